//! Rules as entries of a store: `transport/rule/`, kind, length and text of the subject, the space.
//!
//! The rule: what cannot be read is reported as damage, never skipped: a block that is silently
//! forgotten would be none.
#![deny(clippy::indexing_slicing)]

use super::{Rule, Subject, Verdict};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_base::{Batch, Entries, Store, StoreError, Wall};
use quorate_wire::SpaceId;

const PREFIX: &[u8] = b"transport/rule/";
const VERSION: u8 = 1;
const FOR_EVER: u64 = u64::MAX;

pub(super) fn put(batch: &mut Batch, rule: &Rule) {
    let mut value = BytesMut::new();
    value.put_u8(VERSION);
    value.put_u8(u8::from(rule.verdict == Verdict::Block));
    value.put_u64(rule.until.map_or(FOR_EVER, |until| until.unix_millis().min(FOR_EVER - 1)));
    value.put_slice(rule.reason.as_bytes());
    batch.put(key(&rule.subject, rule.space.as_ref()), value.freeze());
}

pub(super) fn delete(batch: &mut Batch, subject: &Subject, space: Option<&SpaceId>) {
    batch.delete(key(subject, space));
}

/// All rules of a store.
pub(super) fn read(store: &dyn Store) -> Result<Vec<Rule>, StoreError> {
    Entries::new(store, PREFIX).map(|entry| entry.and_then(|(key, value)| rule(key, value))).collect()
}

fn key(subject: &Subject, space: Option<&SpaceId>) -> Bytes {
    let (kind, text) = match subject {
        Subject::Key(key) => (b'k', key.as_str()),
        Subject::Url(url) => (b'u', url.as_str()),
        Subject::Anyone => (b'a', ""),
    };
    let mut out = BytesMut::from(PREFIX);
    out.put_u8(kind);
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text.as_bytes());
    if let Some(space) = space {
        out.put_u8(1);
        out.put_slice(space.as_bytes());
    }
    out.freeze()
}

fn rule(key: Bytes, value: Bytes) -> Result<Rule, StoreError> {
    if value.first().is_some_and(|version| *version > VERSION) {
        let found = value.first().copied().unwrap_or_default();
        return Err(StoreError::NewerSchema { found: found.into(), known: VERSION.into() });
    }
    parse(key, value).ok_or_else(|| StoreError::Damaged { what: "a rule of the block list".into() })
}

fn parse(mut key: Bytes, mut value: Bytes) -> Option<Rule> {
    key.try_copy_to_slice(&mut [0; PREFIX.len()]).ok()?;
    let kind = key.try_get_u8().ok()?;
    let len = usize::try_from(key.try_get_u32().ok()?).ok()?;
    let text = std::str::from_utf8(key.get(..len)?).ok()?.to_owned();
    key.advance(len);
    let subject = match kind {
        b'k' => Subject::Key(text.into()),
        b'u' => Subject::Url(text.parse().ok()?),
        b'a' if text.is_empty() => Subject::Anyone,
        _ => return None,
    };
    let space = match key.try_get_u8() {
        Err(_) => None,
        Ok(1) => Some(SpaceId::copy_from_slice(&key)),
        Ok(_) => return None,
    };
    let verdict = match (value.try_get_u8().ok()?, value.try_get_u8().ok()?) {
        (VERSION, 0) => Verdict::Allow,
        (VERSION, 1) => Verdict::Block,
        _ => return None,
    };
    let until = Some(value.try_get_u64().ok()?).filter(|until| *until != FOR_EVER);
    let reason = std::str::from_utf8(&value).ok()?.to_owned();
    Some(Rule { subject, space, verdict, until: until.map(Wall::from_unix_millis), reason })
}
