//! The dialect `Lip`: the field numbers of the SDS LIP and of `@waku/sds`.

use super::{Dependency, ExtensionProto, SdsMessage, Wanted};
use crate::ids::ParticipantId;
use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LipProto {
    #[prost(string, tag = "1")]
    pub(crate) sender: String,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    #[prost(string, tag = "3")]
    pub(crate) channel: String,
    #[prost(uint64, optional, tag = "10")]
    pub(crate) time: Option<u64>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) history: Vec<EntryProto>,
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub(crate) bloom_filter: Option<Bytes>,
    #[prost(message, repeated, tag = "13")]
    pub(crate) repair: Vec<EntryProto>,
    #[prost(bytes = "bytes", optional, tag = "20")]
    pub(crate) content: Option<Bytes>,
    #[prost(message, optional, tag = "100")]
    pub(crate) extension: Option<ExtensionProto>,
}

/// The same in both dialects.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EntryProto {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) hint: Option<Bytes>,
    #[prost(string, optional, tag = "3")]
    pub(crate) sender: Option<String>,
}

impl LipProto {
    pub(super) fn of(message: &SdsMessage) -> Self {
        Self {
            sender: message.sender.as_str().to_owned(),
            id: message.id.as_str().to_owned(),
            channel: message.channel.as_str().to_owned(),
            time: message.time,
            history: message.history.iter().map(EntryProto::of).collect(),
            bloom_filter: message.bloom_filter.clone(),
            repair: message.repair.iter().map(EntryProto::of_wanted).collect(),
            content: (!message.content.is_empty()).then(|| message.content.clone()),
            extension: ExtensionProto::of(message),
        }
    }

    pub(super) fn into_message(self) -> (SdsMessage, ExtensionProto) {
        let message = SdsMessage {
            sender: self.sender.into(),
            id: self.id.into(),
            channel: self.channel.into(),
            time: self.time,
            history: self.history.into_iter().map(EntryProto::into_dependency).collect(),
            bloom_filter: self.bloom_filter,
            repair: self.repair.into_iter().map(EntryProto::into_wanted).collect(),
            content: self.content.unwrap_or_default(),
            acks: Vec::new(),
            oldest: None,
            void: Vec::new(),
        };
        (message, self.extension.unwrap_or_default())
    }
}

impl EntryProto {
    pub(super) fn of(dependency: &Dependency) -> Self {
        Self {
            id: dependency.id.as_str().to_owned(),
            hint: dependency.hint.clone(),
            sender: dependency.sender.as_ref().map(|sender| sender.as_str().to_owned()),
        }
    }

    pub(super) fn of_wanted(wanted: &Wanted) -> Self {
        Self {
            id: wanted.id.as_str().to_owned(),
            hint: wanted.hint.clone(),
            sender: wanted.sender.as_ref().map(|sender| sender.as_str().to_owned()),
        }
    }

    pub(super) fn into_dependency(self) -> Dependency {
        Dependency {
            id: self.id.into(),
            time: None,
            hint: self.hint,
            sender: self.sender.map(ParticipantId::from),
        }
    }

    pub(super) fn into_wanted(self) -> Wanted {
        Wanted { id: self.id.into(), run: 1, hint: self.hint, sender: self.sender.map(ParticipantId::from) }
    }
}
