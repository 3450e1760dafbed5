//! Reading JSON that a stranger wrote, with the place of every value at hand for the error.
//!
//! The rule: numbers are JSON integers of up to 64 bits or hex strings, as nodes write both; a hex number may have an odd
//! count of digits and leading zeros, and addresses and hashes may lack theirs. Beyond that nothing is guessed: a JSON
//! number that is larger, or no integer, has lost digits on its way here.

use crate::error::{Reason, Rejected};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, hex};
use serde_json::Value;
use std::fmt::Write;

/// A value and where it stands. Copying one copies two pointers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a> {
    value: &'a Value,
    place: Place<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Root,
    Member(&'a Json<'a>, &'a str),
    Item(&'a Json<'a>, usize),
}

/// What a member that is not there reads as.
static NULL: Value = Value::Null;

impl<'a> Json<'a> {
    pub(crate) const fn root(value: &'a Value) -> Self {
        Self { value, place: Place::Root }
    }

    /// The member, or null where there is none.
    pub(crate) fn at(&'a self, name: &'a str) -> Self {
        Self { value: self.value.get(name).unwrap_or(&NULL), place: Place::Member(self, name) }
    }

    /// The member, unless it is missing or null.
    pub(crate) fn find(&'a self, name: &'a str) -> Option<Self> {
        let member = self.at(name);
        (!member.value.is_null()).then_some(member)
    }

    /// The member, null included, unless it is missing: a null says that there is nothing.
    pub(crate) fn told(&'a self, name: &'a str) -> Option<Self> {
        self.value.get(name).map(|value| Self { value, place: Place::Member(self, name) })
    }

    /// The member; missing and null are an error.
    pub(crate) fn need(&'a self, name: &'a str) -> Result<Self, Rejected> {
        self.find(name).ok_or_else(|| self.at(name).reject(Reason::Missing))
    }

    /// The item of an array, or null where there is none.
    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self { value: self.value.get(index).unwrap_or(&NULL), place: Place::Item(self, index) }
    }

    /// The items of an array.
    pub(crate) fn items(&'a self) -> Result<impl ExactSizeIterator<Item = Self>, Rejected> {
        let items = self.value.as_array().ok_or_else(|| self.malformed("an array"))?;
        Ok(items.iter().enumerate().map(move |(at, value)| Self { value, place: Place::Item(self, at) }))
    }

    /// The members of an object.
    pub(crate) fn members(&'a self) -> Result<impl ExactSizeIterator<Item = (&'a str, Self)>, Rejected> {
        let members = self.value.as_object().ok_or_else(|| self.malformed("an object"))?;
        Ok(members
            .iter()
            .map(move |(name, value)| (name.as_str(), Self { value, place: Place::Member(self, name) })))
    }

    pub(crate) const fn value(&self) -> &'a Value {
        self.value
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    pub(crate) fn is_object(&self) -> bool {
        self.value.is_object()
    }

    pub(crate) fn text(&self) -> Result<&'a str, Rejected> {
        self.value.as_str().ok_or_else(|| self.malformed("a string"))
    }

    pub(crate) fn boolean(&self) -> Result<bool, Rejected> {
        self.value.as_bool().ok_or_else(|| self.malformed("true or false"))
    }

    /// A number of up to 256 bits.
    pub(crate) fn u256(&self) -> Result<U256, Rejected> {
        const EXPECTED: &str = "a number";
        if let Value::Number(number) = self.value {
            let whole = number.as_u64().map(U256::from);
            return whole.ok_or_else(|| self.malformed("an integer of up to 64 bits, or a number in hex"));
        }
        let digits = self.hex_digits(EXPECTED)?.trim_start_matches('0');
        if digits.len() > 64 {
            return Err(self.malformed("a number of at most 256 bits"));
        }
        if digits.is_empty() {
            return Ok(U256::ZERO);
        }
        U256::from_str_radix(digits, 16).map_err(|_| self.malformed(EXPECTED))
    }

    /// A number of up to 128 bits.
    pub(crate) fn u128(&self) -> Result<u128, Rejected> {
        self.u256()?.try_into().map_err(|_| self.malformed("a number of at most 128 bits"))
    }

    /// A number of up to 64 bits.
    pub(crate) fn u64(&self) -> Result<u64, Rejected> {
        self.u256()?.try_into().map_err(|_| self.malformed("a number of at most 64 bits"))
    }

    /// Bytes in hex, two digits each.
    pub(crate) fn bytes(&self) -> Result<Bytes, Rejected> {
        const EXPECTED: &str = "bytes in hex";
        let digits = self.hex_digits(EXPECTED)?;
        hex::decode(digits).map(Bytes::from).map_err(|_| self.malformed(EXPECTED))
    }

    /// Exactly `N` bytes in hex; missing digits at the front are zeros.
    pub(crate) fn fixed<const N: usize>(&self) -> Result<FixedBytes<N>, Rejected> {
        let expected = match N {
            8 => "8 bytes in hex",
            20 => "an address",
            32 => "a hash",
            _ => "hex of the right length",
        };
        let digits = self.hex_digits(expected)?.as_bytes();
        let mut bytes = [0; N];
        if digits.len() > 2 * N || digits.is_empty() {
            return Err(self.malformed(expected));
        }
        for (at, digit) in digits.iter().rev().enumerate() {
            let nibble = char::from(*digit).to_digit(16).ok_or_else(|| self.malformed(expected))? as u8;
            if let Some(byte) = bytes.get_mut(N - 1 - at / 2) {
                *byte |= nibble << (4 * (at % 2));
            }
        }
        Ok(FixedBytes(bytes))
    }

    pub(crate) fn hash(&self) -> Result<B256, Rejected> {
        self.fixed()
    }

    pub(crate) fn address(&self) -> Result<Address, Rejected> {
        Ok(Address(self.fixed()?))
    }

    /// A hash with all its digits: what a caller cut short is no question.
    pub(crate) fn exact_hash(&self) -> Result<B256, Rejected> {
        self.exact()
    }

    /// An address with all its digits.
    pub(crate) fn exact_address(&self) -> Result<Address, Rejected> {
        Ok(Address(self.exact()?))
    }

    fn exact<const N: usize>(&self) -> Result<FixedBytes<N>, Rejected> {
        let value = self.fixed()?;
        match self.value.as_str().map(str::len) {
            Some(length) if length == 2 + 2 * N => Ok(value),
            _ => Err(self.malformed(if N == 20 { "an address of 40 digits" } else { "a hash of 64 digits" })),
        }
    }

    /// The member's items, each read, at most `max`; a list that is missing or null is an empty one.
    pub(crate) fn list<T>(
        &self,
        name: &str,
        max: usize,
        read: impl Fn(&Json<'_>) -> Result<T, Rejected>,
    ) -> Result<Vec<T>, Rejected> {
        let Some(list) = self.find(name) else { return Ok(Vec::new()) };
        let items = list.items()?;
        if items.len() > max {
            return Err(list.reject(Reason::TooMany { max }));
        }
        items.map(|item| read(&item)).collect()
    }

    /// An array of bytes in hex, such as the nodes of a proof; at most `max`.
    pub(crate) fn list_of_bytes(&self, max: usize) -> Result<Vec<Bytes>, Rejected> {
        let items = self.items()?;
        if items.len() > max {
            return Err(self.reject(Reason::TooMany { max }));
        }
        items.map(|item| item.bytes()).collect()
    }

    fn hex_digits(&self, expected: &'static str) -> Result<&'a str, Rejected> {
        let text = self.value.as_str().ok_or_else(|| self.malformed(expected))?;
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        digits.ok_or_else(|| self.malformed(expected))
    }

    /// Whether it is one of the forms in which nodes write that there are no bytes.
    pub(crate) fn is_empty_text(&self) -> bool {
        matches!(self.value.as_str(), Some("" | "0x" | "0X"))
    }

    /// An error unless the value read is the one that `from` names.
    pub(crate) fn expect<T: PartialEq>(
        &self,
        read: T,
        wanted: T,
        from: &'static str,
    ) -> Result<(), Rejected> {
        if read == wanted { Ok(()) } else { Err(self.differs(from)) }
    }

    pub(crate) fn reject(&self, reason: impl Into<Reason>) -> Rejected {
        Rejected { path: self.path(), reason: reason.into() }
    }

    pub(crate) fn malformed(&self, expected: &'static str) -> Rejected {
        self.reject(Reason::Malformed { expected })
    }

    pub(crate) fn differs(&self, from: &'static str) -> Rejected {
        self.reject(Reason::Differs { from })
    }

    /// As a JSONPath: `$.in3.proof.accounts.0x12.accountProof[3]`.
    pub(crate) fn path(&self) -> String {
        let mut path = match self.place {
            Place::Root => return "$".to_owned(),
            Place::Member(parent, _) | Place::Item(parent, _) => parent.path(),
        };
        // Writing to a string cannot fail.
        let _ = match self.place {
            Place::Root => Ok(()),
            Place::Member(_, name) => write!(path, ".{name}"),
            Place::Item(_, index) => write!(path, "[{index}]"),
        };
        path
    }
}

/// The name of a block in an object's keys: its number in decimal or in hex.
pub(crate) fn block_number(text: &str) -> Option<u64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |digits| (digits, 16));
    // Numbers may be written with a sign, which no node writes.
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_integers_or_hex_of_any_length_that_fits() {
        let value = json!([
            7,
            "0x7",
            "0x07",
            "0x",
            "0X7",
            "0x000000000000000000000000000000000000000000000000000000000000000000001",
            "7",
            1e3,
            18_446_744_073_709_551_616_f64,
            -1,
            1.5,
            "0xg",
            "0x1ffffffffffffffff",
            null,
            [],
            {}
        ]);
        let root = Json::root(&value);
        let read: Vec<_> = root.items().unwrap().map(|item| item.u64().ok()).collect();
        let none = None;
        assert_eq!(
            read,
            [
                Some(7),
                Some(7),
                Some(7),
                Some(0),
                Some(7),
                Some(1),
                none,
                none,
                none,
                none,
                none,
                none,
                none,
                none,
                none,
                none
            ]
        );
    }

    #[test]
    fn short_addresses_are_padded_and_long_ones_refused() {
        let value = json!(["0x3", "0x", format!("0x{}", "1".repeat(41)), "0x+1"]);
        let root = Json::root(&value);
        assert_eq!(root.item(0).address().unwrap(), Address::with_last_byte(3));
        assert!((1..4).all(|at| root.item(at).address().is_err()));
    }

    #[test]
    fn an_error_names_its_place() {
        let value = json!({"in3": {"proof": {"nodes": ["0x00", "0x0"]}}});
        let (root, nodes) = (Json::root(&value), "nodes");
        let (in3, max) = (root.at("in3"), 10);
        let proof = in3.at("proof");
        let error = proof.at(nodes).list_of_bytes(max).unwrap_err();
        assert_eq!(error.to_string(), "$.in3.proof.nodes[1]: it is not bytes in hex");
        assert_eq!(root.need("result").unwrap_err().path, "$.result");
    }
}
