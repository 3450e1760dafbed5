//! Why bytes are no frame.
//!
//! All of it is the doing of whoever wrote the bytes: a caller that got them from a peer counts any
//! of these as that peer's violation and closes the connection.

use crate::FrameKind;

/// Why bytes are no [`Frame`](crate::Frame). Always the violation of the peer that sent them.
///
/// The input is consumed, nothing else changed. Retrying the same bytes fails the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field says it is longer than what is left of the frame, or the frame ends inside a field.
    #[error("the peer sent a frame that ends inside a field")]
    Truncated,
    /// A variable-length integer has more than 64 bits.
    #[error("the peer sent an integer of more than 64 bits")]
    Varint,
    /// A field's key has field number 0, more than 32 bits, or a wire type that protobuf lacks.
    #[error("the peer sent an invalid field key: {key:#x}")]
    Key {
        /// The key as read.
        key: u64,
    },
    /// A field of ours came with a wire type that is not the field's.
    #[error("the peer sent field {field} with wire type {wire_type}")]
    WireType {
        /// The number of the field, 1 to 4.
        field: u32,
        /// The wire type it came with.
        wire_type: u8,
    },
    /// A group (of an unknown field) ends that was not open, or nests deeper than 100 levels.
    #[error("the peer sent groups that do not match")]
    Group,
    /// The module id is not UTF-8.
    #[error("the peer sent a module id that is not UTF-8")]
    ModuleNotUtf8,
    /// A notify or a module frame without a space.
    #[error("the peer sent a {kind} frame without a space")]
    MissingSpace {
        /// The kind of the frame.
        kind: FrameKind,
    },
    /// A module frame without a module id. (Kitsune2 drops such a frame silently.)
    #[error("the peer sent a module frame without a module id")]
    MissingModule,
}
