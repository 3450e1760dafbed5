//! The dialect `Nim`: the field numbers of nim-sds, as 0.3 writes them, and as 0.3 and 0.4 are read.
//!
//! The rule: what 0.3 demands is always written (content and filter also where they are empty), and what either leaves out
//! may be absent. Ids that are no UTF-8, which 0.4 would take, are refused.

use super::{EntryProto, ExtensionProto, SdsDecodeError, SdsMessage};
use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NimProto {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) time: Option<u64>,
    /// Entries; ids alone in what older versions wrote.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) history: Vec<Bytes>,
    #[prost(string, tag = "4")]
    pub(crate) channel: String,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(crate) content: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(crate) bloom_filter: Option<Bytes>,
    #[prost(string, tag = "7")]
    pub(crate) sender: String,
    #[prost(message, repeated, tag = "13")]
    pub(crate) repair: Vec<EntryProto>,
    #[prost(message, optional, tag = "100")]
    pub(crate) extension: Option<ExtensionProto>,
}

impl NimProto {
    pub(super) fn of(message: &SdsMessage) -> Self {
        let entry = |dependency| EntryProto::of(dependency).encode_to_vec().into();
        Self {
            id: message.id.as_str().to_owned(),
            time: message.time,
            history: message.history.iter().map(entry).collect(),
            channel: message.channel.as_str().to_owned(),
            content: Some(message.content.clone()),
            bloom_filter: Some(message.bloom_filter.clone().unwrap_or_default()),
            sender: message.sender.as_str().to_owned(),
            repair: message.repair.iter().map(EntryProto::of_wanted).collect(),
            extension: ExtensionProto::of(message),
        }
    }

    pub(super) fn into_message(self) -> Result<(SdsMessage, ExtensionProto), SdsDecodeError> {
        let history = entries(self.history)?.into_iter().map(EntryProto::into_dependency).collect();
        let repair: Vec<_> = self.repair.into_iter().map(EntryProto::into_wanted).collect();
        if repair.iter().any(|wanted| wanted.id.as_str().is_empty()) {
            return Err(SdsDecodeError::Undecodable);
        }
        let message = SdsMessage {
            sender: self.sender.into(),
            id: self.id.into(),
            channel: self.channel.into(),
            time: self.time,
            history,
            bloom_filter: self.bloom_filter.filter(|filter| !filter.is_empty()),
            repair,
            content: self.content.unwrap_or_default(),
            acks: Vec::new(),
            oldest: None,
            void: Vec::new(),
        };
        Ok((message, self.extension.unwrap_or_default()))
    }
}

/// The history's entries; all of them are bare ids where one is no entry.
fn entries(fields: Vec<Bytes>) -> Result<Vec<EntryProto>, SdsDecodeError> {
    let entry = |field: &Bytes| EntryProto::decode(field.clone()).ok().filter(|entry| !entry.id.is_empty());
    if let Some(entries) = fields.iter().map(entry).collect() {
        return Ok(entries);
    }
    let bare = |field: Bytes| match std::str::from_utf8(&field) {
        Ok(id) if !id.is_empty() => Ok(EntryProto { id: id.to_owned(), ..EntryProto::default() }),
        _ => Err(SdsDecodeError::Undecodable),
    };
    fields.into_iter().map(bare).collect()
}
