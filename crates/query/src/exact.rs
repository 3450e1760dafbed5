//! JSON that is compared as it was written, but for white space and the order of members.
//!
//! The rule: two values are equal only if they say the same. Numbers are kept digit by digit (a reader into floating point would
//! make one of two that differ), and an object that has a member twice is refused, for readers disagree on which one counts.

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// How deep values may be nested.
const MAX_DEPTH: usize = 128;

/// A JSON value of which nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExactJson {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<ExactJson>),
    /// Members by name.
    Object(BTreeMap<String, ExactJson>),
}

/// Members in the order in which they stand, and as often.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

impl ExactJson {
    fn read(text: &str, depth: usize) -> Result<Self, serde_json::Error> {
        if depth == 0 {
            return Err(Error::custom("it is nested too deeply"));
        }
        Ok(match text.trim_start().as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text)?;
                let mut object = BTreeMap::new();
                for (name, value) in members {
                    let value = Self::read(value.get(), depth - 1)?;
                    if object.insert(name, value).is_some() {
                        return Err(Error::custom("a member is there twice"));
                    }
                }
                Self::Object(object)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Self::Array(
                    items.iter().map(|item| Self::read(item.get(), depth - 1)).collect::<Result<_, _>>()?,
                )
            }
            Some(b'"') => Self::String(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            Some(b'n') => Self::Null,
            _ => Self::Number(text.trim().to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for ExactJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Self::read(raw.get(), MAX_DEPTH).map_err(Error::custom)
    }
}

impl fmt::Display for ExactJson {
    /// As JSON; with `{:#}` over several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, f, f.alternate(), 0)
    }
}

fn write(value: &ExactJson, f: &mut fmt::Formatter<'_>, pretty: bool, depth: usize) -> fmt::Result {
    match value {
        ExactJson::Null => f.write_str("null"),
        ExactJson::Bool(value) => write!(f, "{value}"),
        ExactJson::Number(digits) => f.write_str(digits),
        ExactJson::String(text) => write_text(text, f),
        ExactJson::Array(items) => {
            write_all(items, ['[', ']'], f, pretty, depth, |item, f| write(item, f, pretty, depth + 1))
        }
        ExactJson::Object(members) => write_all(members, ['{', '}'], f, pretty, depth, |(name, value), f| {
            write_text(name, f)?;
            f.write_str(if pretty { ": " } else { ":" })?;
            write(value, f, pretty, depth + 1)
        }),
    }
}

fn write_all<T>(
    all: impl IntoIterator<Item = T>,
    [open, close]: [char; 2],
    f: &mut fmt::Formatter<'_>,
    pretty: bool,
    depth: usize,
    one: impl Fn(T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    let line = |f: &mut fmt::Formatter<'_>, depth: usize| match pretty {
        true => write!(f, "\n{:1$}", "", 2 * depth),
        false => Ok(()),
    };
    write!(f, "{open}")?;
    let mut is_empty = true;
    for item in all {
        if !is_empty {
            f.write_str(",")?;
        }
        is_empty = false;
        line(f, depth + 1)?;
        one(item, f)?;
    }
    if !is_empty {
        line(f, depth)?;
    }
    write!(f, "{close}")
}

fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // A text is always JSON.
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use serde_json::{Value, json};

    fn read(text: &str) -> Result<ExactJson, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn numbers_that_differ_are_not_equal() {
        let numbers = ["18446744073709551616", "18446744073709551617", "1", "1.0", "-0", "0"];
        for (at, one) in numbers.iter().enumerate() {
            for (other_at, other) in numbers.iter().enumerate() {
                assert_eq!(read(one).unwrap() == read(other).unwrap(), at == other_at, "{one} and {other}");
            }
            assert_eq!(read(one).unwrap().to_string(), **one);
        }
    }

    #[test]
    fn white_space_and_the_order_of_members_do_not_count_and_a_member_is_there_once() {
        assert_eq!(
            read(r#" { "a" : [1, "ä\n"], "b":null } "#).unwrap(),
            read(r#"{"b":null,"a":[1,"\u00e4\u000a"]}"#).unwrap()
        );
        assert!(read(r#"{"a":1,"a":1}"#).unwrap_err().to_string().contains("twice"));
        assert!(read(&("[".repeat(200) + &"]".repeat(200))).is_err());
        let nested = read(r#"{"a":[],"b":[{"c":true}]}"#).unwrap();
        assert_eq!(
            format!("{nested:#}"),
            "{\n  \"a\": [],\n  \"b\": [\n    {\n      \"c\": true\n    }\n  ]\n}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(number: i64, text in any::<String>(), flag: bool) {
            let value = json!({ "a": [number, text, flag, null, { "b": text }], "c": {} });
            let exact = read(&value.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&exact.to_string()).unwrap(), value.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&format!("{exact:#}")).unwrap(), value);
        }
    }
}
