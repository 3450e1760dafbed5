//! The one message on the wire: what two peers say to each other, whatever carries it.
//!
//! The rule: a frame that decodes is complete for its kind (a notify has its space, a module frame
//! its space and module), so that nobody above checks it again. The bytes are those of Kitsune2's
//! `K2Proto`; `docs/specs/frame.md` has the tables.

mod borrowed;
mod decode;
mod encode;

#[cfg(test)]
mod tests;

pub use borrowed::FrameRef;
pub use encode::EncodedFrame;

use crate::{DecodeError, ModuleId, SpaceId, cut};
use bytes::Bytes;
use std::{borrow::Cow, fmt};

/// A message between two peers.
///
/// Payloads are opaque. All of it is cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The first message in each direction of a connection; it is sent even when it is empty.
    Preflight {
        /// What the application wants to say first.
        data: Bytes,
    },
    /// A message to a space.
    Notify {
        /// The space.
        space: SpaceId,
        /// The payload.
        data: Bytes,
    },
    /// A message to a module of a space.
    Module {
        /// The space.
        space: SpaceId,
        /// The module.
        module: ModuleId,
        /// The payload.
        data: Bytes,
    },
    /// The sender is about to close the connection.
    Disconnect {
        /// Why, meant as UTF-8 and not checked; [`Frame::reason`] reads it.
        reason: Bytes,
    },
    /// A kind that this version does not know, or 0. Receivers ignore it, but count it.
    ///
    /// Encoded as it stands: with the number of a known kind it is decoded as that kind.
    Other {
        /// The number of the kind.
        kind: i32,
        /// The payload.
        data: Bytes,
        /// The space, where one was given.
        space: Option<SpaceId>,
        /// The module, where one was given.
        module: Option<ModuleId>,
    },
}

impl Frame {
    /// Reads a frame. The payload is a slice of `input`, and the time does not grow with it. Ids of
    /// ordinary length are copied into the frame (see [`SpaceId`] and [`ModuleId`]); nothing is allocated for them.
    /// Who only looks at the ids does without the copy: [`FrameRef`].
    ///
    /// Protobuf's rules hold: fields in any order, the last of a repeated field wins, unknown fields
    /// are skipped, and empty input is `Other` of kind 0. Space and module are ignored where the kind
    /// has no place for them ([`Frame::Other`] keeps both).
    pub fn decode(input: Bytes) -> Result<Self, DecodeError> {
        Ok(match FrameRef::decode(&input)? {
            FrameRef::Module { space, module, data } => {
                let (space, module) = (SpaceId::part_of(&input, space), ModuleId::of_utf8(module));
                Self::Module { space, module, data: cut(input, data) }
            }
            FrameRef::Notify { space, data } => {
                let space = SpaceId::part_of(&input, space);
                Self::Notify { space, data: cut(input, data) }
            }
            FrameRef::Preflight { data } => Self::Preflight { data: cut(input, data) },
            FrameRef::Disconnect { reason } => Self::Disconnect { reason: cut(input, reason) },
            FrameRef::Other { kind, data, space, module } => {
                let space = space.map(|space| SpaceId::part_of(&input, space));
                let module = module.map(ModuleId::of_utf8);
                Self::Other { kind, space, module, data: cut(input, data) }
            }
        })
    }

    /// The frame as bytes to send: head, payload and tail, the payload not copied.
    pub fn encode(&self) -> EncodedFrame {
        EncodedFrame::new(self.kind(), self.data().clone(), self.space(), self.module())
    }

    /// As [`encode`](Self::encode), for a frame that is not needed any more: it touches no reference count.
    pub fn into_encoded(self) -> EncodedFrame {
        let kind = self.kind();
        match self {
            Self::Preflight { data } | Self::Disconnect { reason: data } => {
                EncodedFrame::new(kind, data, None, None)
            }
            Self::Notify { space, data } => EncodedFrame::new(kind, data, Some(&space), None),
            Self::Module { space, module, data } => {
                EncodedFrame::new(kind, data, Some(&space), Some(&module))
            }
            Self::Other { data, space, module, .. } => {
                EncodedFrame::new(kind, data, space.as_ref(), module.as_ref())
            }
        }
    }

    /// The kind.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Preflight { .. } => FrameKind::Preflight,
            Self::Notify { .. } => FrameKind::Notify,
            Self::Module { .. } => FrameKind::Module,
            Self::Disconnect { .. } => FrameKind::Disconnect,
            Self::Other { kind, .. } => FrameKind::from(*kind),
        }
    }

    /// The payload; for a disconnect its reason.
    pub fn data(&self) -> &Bytes {
        match self {
            Self::Preflight { data }
            | Self::Notify { data, .. }
            | Self::Module { data, .. }
            | Self::Disconnect { reason: data }
            | Self::Other { data, .. } => data,
        }
    }

    /// The space, where the frame has one.
    pub fn space(&self) -> Option<&SpaceId> {
        match self {
            Self::Notify { space, .. } | Self::Module { space, .. } => Some(space),
            Self::Other { space, .. } => space.as_ref(),
            Self::Preflight { .. } | Self::Disconnect { .. } => None,
        }
    }

    /// The module, where the frame has one.
    pub fn module(&self) -> Option<&ModuleId> {
        match self {
            Self::Module { module, .. } => Some(module),
            Self::Other { module, .. } => module.as_ref(),
            Self::Preflight { .. } | Self::Notify { .. } | Self::Disconnect { .. } => None,
        }
    }

    /// The reason of a disconnect as text, with what is not UTF-8 replaced; `None` for other kinds.
    pub fn reason(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Disconnect { reason } => Some(String::from_utf8_lossy(reason)),
            _ => None,
        }
    }
}

/// The kind of a [`Frame`], Kitsune2's `K2WireType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// 0: nothing sends it.
    Unspecified,
    /// 1.
    Preflight,
    /// 2.
    Notify,
    /// 3.
    Module,
    /// 15.
    Disconnect,
    /// A number that this version does not know.
    Unknown(i32),
}

impl FrameKind {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Preflight => 1,
            Self::Notify => 2,
            Self::Module => 3,
            Self::Disconnect => 15,
            Self::Unknown(number) => number,
        }
    }
}

impl From<i32> for FrameKind {
    fn from(number: i32) -> Self {
        match number {
            0 => Self::Unspecified,
            1 => Self::Preflight,
            2 => Self::Notify,
            3 => Self::Module,
            15 => Self::Disconnect,
            _ => Self::Unknown(number),
        }
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("unspecified"),
            Self::Preflight => f.write_str("preflight"),
            Self::Notify => f.write_str("notify"),
            Self::Module => f.write_str("module"),
            Self::Disconnect => f.write_str("disconnect"),
            Self::Unknown(number) => write!(f, "unknown ({number})"),
        }
    }
}
