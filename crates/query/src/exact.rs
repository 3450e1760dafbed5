//! JSON that is compared as it was written, but for white space and the order of members.
//!
//! The rule: two values are equal only if they say the same. Numbers are kept digit by digit (a reader into floating point would
//! make one of two that differ), and an object that has a member twice is refused, for readers disagree on which one counts.

use serde::de::Error;
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

impl<'de> Deserialize<'de> for ExactJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Reader { rest: raw.get() }.value(MAX_DEPTH).map_err(Error::custom)
    }
}

/// Takes text apart that is known to be JSON, in one pass: deep nesting costs no more than its length.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<ExactJson, serde_json::Error> {
        if depth == 0 {
            return Err(Error::custom("it is nested too deeply"));
        }
        Ok(match self.peek() {
            Some(b'{') => self.object(depth - 1)?,
            Some(b'[') => self.array(depth - 1)?,
            Some(b'"') => ExactJson::String(self.string()?),
            _ => {
                let ends = |byte: u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                let length = self.rest.bytes().position(ends).unwrap_or(self.rest.len());
                match self.step(length) {
                    "null" => ExactJson::Null,
                    "true" => ExactJson::Bool(true),
                    "false" => ExactJson::Bool(false),
                    number => ExactJson::Number(number.to_owned()),
                }
            }
        })
    }

    fn object(&mut self, depth: usize) -> Result<ExactJson, serde_json::Error> {
        let mut members = BTreeMap::new();
        while self.goes_on(b'}') {
            let name = self.string()?;
            self.peek();
            self.step(1); // The colon.
            if members.insert(name, self.value(depth)?).is_some() {
                return Err(Error::custom("a member is there twice"));
            }
        }
        Ok(ExactJson::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<ExactJson, serde_json::Error> {
        let mut items = Vec::new();
        while self.goes_on(b']') {
            items.push(self.value(depth)?);
        }
        Ok(ExactJson::Array(items))
    }

    /// Steps over the bracket that opens, or the comma; whether something follows. Else over the bracket that closes.
    fn goes_on(&mut self, close: u8) -> bool {
        let first = self.peek();
        self.step(1);
        if first.is_none() || first == Some(close) {
            return false;
        }
        let is_empty = self.peek() == Some(close);
        if is_empty {
            self.step(1);
        }
        !is_empty
    }

    fn string(&mut self) -> Result<String, serde_json::Error> {
        self.peek();
        let (mut escaped, mut quotes) = (false, 0);
        let mut is_end = |byte: u8| {
            let is_quote = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            quotes += u8::from(is_quote);
            quotes == 2
        };
        let length = self.rest.bytes().position(&mut is_end).map_or(self.rest.len(), |last| last + 1);
        serde_json::from_str(self.step(length))
    }

    /// The next byte that is no white space, and is not stepped over.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.bytes().next()
    }

    /// Steps over that many bytes.
    fn step(&mut self, length: usize) -> &'a str {
        let (token, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        token
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
    fn the_deepest_value_that_is_allowed_is_read_whole() {
        let inner = format!("\"{}\"", "\\\"".repeat(1 << 20));
        let deep = format!("{}{inner}{}", "[".repeat(126), "]".repeat(126));
        let mut value = read(&deep).unwrap();
        for _ in 0..126 {
            let ExactJson::Array(mut items) = value else { panic!("a list") };
            assert_eq!(items.len(), 1);
            value = items.pop().unwrap();
        }
        assert_eq!(value, ExactJson::String("\"".repeat(1 << 20)));
        assert_eq!(
            read("[ [ ] , { } , [ { \"a\" : [ ] } ] , -1.5e+3 ]").unwrap().to_string(),
            r#"[[],{},[{"a":[]}],-1.5e+3]"#
        );
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
