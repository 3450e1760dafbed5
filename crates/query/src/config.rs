//! A federation's config, believed only when it is that of the federation one was invited to.

use crate::invite::FederationId;
use crate::peer::PeerId;
use quorate_versioning::encoding::{write_big_size, write_bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use url::Url;

/// A guardian as the config has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerUrl {
    /// Where its API is.
    pub url: Url,
    /// What it calls itself.
    pub name: String,
}

/// A federation's client config: the endpoints by type, everything as JSON.
///
/// Reads both today's form (`global.api_endpoints`) and the seed's (`api_endpoints`, or both fields under
/// `client_config`). Two configs are equal when their JSON is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct ClientConfig {
    endpoints: BTreeMap<PeerId, PeerUrl>,
    json: Value,
}

/// The config is another federation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the config is that of federation {found}, not of {expected}")]
pub struct WrongFederation {
    /// Whose config was wanted.
    pub expected: FederationId,
    /// Whose it is.
    pub found: FederationId,
}

impl ClientConfig {
    /// The guardians. Of two under one number JSON readers keep the last.
    pub const fn endpoints(&self) -> &BTreeMap<PeerId, PeerUrl> {
        &self.endpoints
    }

    /// The whole config.
    pub const fn json(&self) -> &Value {
        &self.json
    }

    /// The federation that these guardians are: SHA-256 of the map from peer to (URL, name) in consensus encoding.
    ///
    /// It covers the guardians and nothing else of the config: for the rest a quorum of them has to agree.
    pub fn federation_id(&self) -> FederationId {
        let mut bytes = Vec::new();
        write_big_size(self.endpoints.len() as u64, &mut bytes);
        for (peer, endpoint) in &self.endpoints {
            write_big_size(peer.0.into(), &mut bytes);
            write_bytes(endpoint.url.as_str().as_bytes(), &mut bytes);
            write_bytes(endpoint.name.as_bytes(), &mut bytes);
        }
        FederationId(Sha256::digest(&bytes).into())
    }

    /// Gives the config back when it is that of `expected`.
    ///
    /// # Errors
    ///
    /// [`WrongFederation`] with both ids.
    pub fn verified(self, expected: FederationId) -> Result<Self, WrongFederation> {
        match self.federation_id() {
            found if found == expected => Ok(self),
            found => Err(WrongFederation { expected, found }),
        }
    }
}

impl TryFrom<Value> for ClientConfig {
    type Error = serde_json::Error;

    fn try_from(json: Value) -> Result<Self, serde_json::Error> {
        let config = json.get("client_config").unwrap_or(&json);
        let endpoints = config.get("global").unwrap_or(config).get("api_endpoints");
        let endpoints = BTreeMap::deserialize(endpoints.unwrap_or(&Value::Null))?;
        Ok(Self { endpoints, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four guardians, and the id that Fedimint 0.13 computes for them.
    fn config(name: &str) -> Value {
        let endpoint = |peer: u16| serde_json::json!({ "url": format!("ws://127.0.0.1:{}/", 1_000 + peer), "name": name });
        serde_json::json!({
            "global": { "api_endpoints": { "0": endpoint(0), "1": endpoint(1) }, "meta": {} },
            "modules": {},
        })
    }

    #[test]
    fn a_config_is_its_federations_or_refused_with_both_ids() {
        let read: ClientConfig = serde_json::from_value(config("a")).unwrap();
        let id = read.federation_id();
        assert!(read.clone().verified(id).is_ok());
        let other: ClientConfig = serde_json::from_value(config("b")).unwrap();
        let refused = other.verified(id).expect_err("another name, another federation");
        assert_eq!(refused.expected, id);
        assert_ne!(refused.found, id);
    }

    #[test]
    fn the_seeds_forms_are_read_too() {
        let today: ClientConfig = serde_json::from_value(config("a")).unwrap();
        let flat = config("a")["global"].clone();
        let signed = serde_json::json!({ "client_config": flat, "signature": "…" });
        for form in [flat, signed] {
            let read: ClientConfig = serde_json::from_value(form).unwrap();
            assert_eq!(read.federation_id(), today.federation_id());
        }
    }

    #[test]
    fn a_config_without_guardians_is_none() {
        for form in ["{}", "7", r#"{"global":{}}"#, r#"{"api_endpoints":{"0":{"url":"no","name":"a"}}}"#] {
            assert!(serde_json::from_str::<ClientConfig>(form).is_err(), "{form}");
        }
    }
}
