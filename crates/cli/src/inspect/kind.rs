//! What bytes can be.

use super::{Fault, layers, stream};
use bytes::Bytes;
use clap::ValueEnum;
use quorate::channel::sds::Dialect;
use serde_json::Value;

/// Something that bytes can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Frames as they stand on a stream: type, length, body
    Stream,
    /// An envelope: 14/WAKU2-MESSAGE
    Envelope,
    /// A frame: what Kitsune2 calls K2Proto
    Frame,
    /// An SDS message in the dialect of the LIP
    Sds,
    /// An SDS message in the dialect of nim-sds
    SdsNim,
}

impl Kind {
    /// All, those first whose bytes say the most about themselves.
    pub(super) const ALL: [Self; 5] = [Self::Stream, Self::Envelope, Self::Frame, Self::Sds, Self::SdsNim];

    /// Its name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Envelope => "envelope",
            Self::Frame => "frame",
            Self::Sds => "sds",
            Self::SdsNim => "sds-nim",
        }
    }

    /// The same for people.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Stream => "stream frames",
            Self::Envelope => "envelope",
            Self::Frame => "frame",
            Self::Sds => "SDS message (LIP)",
            Self::SdsNim => "SDS message (nim-sds)",
        }
    }

    /// The fields, or the first byte that cannot be.
    pub(super) fn decode(self, bytes: &Bytes) -> Result<Value, Fault> {
        match self {
            Self::Stream => stream::decode(bytes),
            Self::Envelope => layers::envelope(bytes),
            Self::Frame => layers::frame(bytes),
            Self::Sds => layers::sds(Dialect::Lip, bytes),
            Self::SdsNim => layers::sds(Dialect::Nim, bytes),
        }
    }

    /// Whether bytes that can be read so are likely to be meant so: protobuf accepts a lot.
    pub(super) fn is_plausible(self, bytes: &Bytes, fields: &Value) -> bool {
        match self {
            Self::Stream => true,
            Self::Envelope => {
                fields["marked"] == true
                    || fields["content_topic"].as_str().is_some_and(|t| t.starts_with('/'))
            }
            Self::Frame => layers::is_canonical_frame(bytes),
            Self::Sds | Self::SdsNim => ["sender", "id", "channel"]
                .iter()
                .all(|name| fields[name].as_str().is_some_and(|text| !text.is_empty())),
        }
    }
}
