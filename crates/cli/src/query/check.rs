//! Checks of a single answer that a command can do: against a hash, or against a federation's id.
//!
//! The rule: an answer that passes is right whoever gave it, as far as the check reaches; nothing else is a check.

use quorate_query::{ClientConfig, ExactJson, FederationId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// What an answer must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// Its SHA-256, written in one line: no white space, members by name.
    Sha256([u8; 32]),
    /// It is a client config, and its guardians are those of this federation.
    Federation(FederationId),
}

/// Why an answer does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Another one was wanted.
    #[error("its SHA-256 is {0}")]
    Hash(String),
    /// It is none.
    #[error("it is no client config: {0}")]
    NoConfig(String),
    /// It is another federation's.
    #[error(transparent)]
    WrongFederation(#[from] quorate_query::WrongFederation),
}

impl Check {
    /// The answer, when it holds.
    pub(super) fn pass(&self, answer: ExactJson) -> Result<ExactJson, Refused> {
        self.holds(&answer).map(|()| answer)
    }

    /// Whether it does.
    pub(super) fn holds(&self, answer: &ExactJson) -> Result<(), Refused> {
        let text = answer.to_string();
        match self {
            Self::Sha256(wanted) => {
                let found = Sha256::digest(text.as_bytes());
                match found[..] == wanted[..] {
                    true => Ok(()),
                    false => Err(Refused::Hash(data_encoding::HEXLOWER.encode(&found))),
                }
            }
            Self::Federation(id) => {
                let config = serde_json::from_str::<Value>(&text).map_err(|error| error.to_string());
                let config =
                    config.and_then(|json| ClientConfig::try_from(json).map_err(|error| error.to_string()));
                config.map_err(Refused::NoConfig)?.verified(*id)?;
                Ok(())
            }
        }
    }
}

impl FromStr for Check {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, hex) = text.split_once('=').unwrap_or((text, ""));
        match kind {
            "sha256" => {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes());
                let hash = bytes.ok().and_then(|bytes| bytes.try_into().ok());
                hash.map(Self::Sha256).ok_or_else(|| "a SHA-256 has 64 hexadecimal digits".to_owned())
            }
            "federation" => hex.parse().map(Self::Federation).map_err(|error| format!("{error}")),
            _ => Err("the checks are sha256=HEX and federation=HEX".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_hashed_in_one_line_with_its_members_by_name() {
        // printf '{"a":[1,2.50],"b":null}' | sha256sum
        let check: Check =
            "sha256=0e102c80036a6d7d55047bb1c0e6b860c1f8813ecb85f489a8c238ff774964ff".parse().unwrap();
        let answer: ExactJson = serde_json::from_str(r#" { "b" : null, "a" : [1, 2.50] } "#).unwrap();
        check.holds(&answer).unwrap();
        let other: ExactJson = serde_json::from_str(r#"{"b":null,"a":[1,2.5]}"#).unwrap();
        assert!(matches!(check.holds(&other), Err(Refused::Hash(_))));
    }

    #[test]
    fn other_words_are_no_check() {
        for text in ["", "sha256", "sha256=ff", "federation=", "md5=00"] {
            text.parse::<Check>().expect_err(text);
        }
    }
}
