//! The reading half of the hand-written protobuf codec.
//!
//! The rule: it accepts exactly what `prost` accepts, and yields the same, whatever the bytes
//! (`tests.rs` holds the two together). The payload is not copied: fields are noted as ranges of the
//! input and cut out at the end.
#![deny(clippy::indexing_slicing)]

use super::FrameRef;
use crate::{DecodeError, FrameKind, id::is_utf8};
use std::ops::Range;

/// How deep groups of unknown fields may nest; `prost`'s limit.
const MAX_DEPTH: u32 = 100;

/// The number of a notify.
const NOTIFY: u8 = 2;
/// The number of a module message.
const MODULE: u8 = 3;

/// Wire type of an integer.
const VARINT: u8 = 0;
/// Wire type of eight fixed bytes.
const FIXED64: u8 = 1;
/// Wire type of a length and that many bytes.
const LEN: u8 = 2;
/// Wire type that opens a group.
const GROUP_START: u8 = 3;
/// Wire type that closes a group.
const GROUP_END: u8 = 4;
/// Wire type of four fixed bytes.
const FIXED32: u8 = 5;

/// Where the four fields lie, before the kind's demands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    pub(super) kind: i32,
    pub(super) data: Range<usize>,
    pub(super) space: Option<&'a [u8]>,
    pub(super) module: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Finds the fields of `input`, in whatever form protobuf allows.
    pub(super) fn find(input: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        let mut reader = Reader::new(input);
        while !reader.is_empty() {
            let (field, wire_type) = reader.key()?;
            match (field, wire_type) {
                // Protobuf cuts an enum to 32 bits.
                (1, VARINT) => fields.kind = reader.varint()? as i32,
                (2, LEN) => fields.data = reader.bytes()?,
                (3, LEN) => fields.space = input.get(reader.bytes()?),
                (4, LEN) => {
                    fields.module = input.get(reader.bytes()?);
                    // A module that another replaces must have been text all the same.
                    if !fields.module.is_some_and(is_utf8) {
                        return Err(DecodeError::ModuleNotUtf8);
                    }
                }
                (1..=4, _) => return Err(DecodeError::WireType { field, wire_type }),
                _ => reader.skip(field, wire_type, MAX_DEPTH)?,
            }
        }
        Ok(fields)
    }
}

/// A frame of any form.
#[cold]
pub(super) fn any(input: &[u8]) -> Result<FrameRef<'_>, DecodeError> {
    let Fields { kind: number, data, space, module } = Fields::find(input)?;
    let kind = FrameKind::from(number);
    let needed = || space.ok_or(DecodeError::MissingSpace { kind });
    Ok(match kind {
        FrameKind::Module => {
            let space = needed()?;
            FrameRef::Module { space, module: module.ok_or(DecodeError::MissingModule)?, data }
        }
        FrameKind::Notify => FrameRef::Notify { space: needed()?, data },
        FrameKind::Preflight => FrameRef::Preflight { data },
        FrameKind::Disconnect => FrameRef::Disconnect { reason: data },
        FrameKind::Unspecified | FrameKind::Unknown(_) => {
            FrameRef::Other { kind: number, data, space, module }
        }
    })
}

/// A notify or a module message in the form that encoders write, or `None`, which is no verdict: each field once and in
/// order, numbers and ids short. Nearly all frames are of this form, and it is read with a handful of comparisons.
#[inline(always)]
pub(super) fn usual(input: &[u8]) -> Option<FrameRef<'_>> {
    let [0x08, kind @ (NOTIFY | MODULE), 0x12, rest @ ..] = input else { return None };
    let (len, rest) = match rest {
        [a @ 0..0x80, rest @ ..] => (usize::from(*a), rest),
        [a, b @ 0..0x80, rest @ ..] => (usize::from(a & 0x7f) | usize::from(*b) << 7, rest),
        [a, b, c @ 0..0x80, rest @ ..] => {
            (usize::from(a & 0x7f) | usize::from(b & 0x7f) << 7 | usize::from(*c) << 14, rest)
        }
        _ => return None,
    };
    let start = input.len() - rest.len();
    let [0x1a, space_len @ 0..0x80, ids @ ..] = rest.get(len..)? else { return None };
    let (space, rest) = ids.split_at_checked(usize::from(*space_len))?;
    let data = start..start + len;
    match (*kind, rest) {
        (NOTIFY, []) => Some(FrameRef::Notify { space, data }),
        (MODULE, [0x22, len @ 0..0x80, module @ ..])
            if module.len() == usize::from(*len) && is_utf8(module) =>
        {
            Some(FrameRef::Module { space, module, data })
        }
        _ => None,
    }
}

/// A position in the input.
struct Reader<'a> {
    input: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    const fn new(input: &'a [u8]) -> Self {
        Self { input, rest: input }
    }

    const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A field's number and wire type.
    #[inline(always)]
    fn key(&mut self) -> Result<(u32, u8), DecodeError> {
        let key = self.varint()?;
        let wire_type = (key & 7) as u8;
        match u32::try_from(key) {
            Ok(short) if short >> 3 != 0 && wire_type <= FIXED32 => Ok((short >> 3, wire_type)),
            _ => Err(DecodeError::Key { key }),
        }
    }

    /// An integer of up to 64 bits, seven in each byte, the lowest first.
    #[inline(always)]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
            self.rest = rest;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(DecodeError::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// A length and that many bytes, as a range of the input.
    #[inline(always)]
    fn bytes(&mut self) -> Result<Range<usize>, DecodeError> {
        let len = self.varint()?;
        let start = self.input.len() - self.rest.len();
        self.take(len)?;
        Ok(start..self.input.len() - self.rest.len())
    }

    #[inline(always)]
    fn take(&mut self, len: u64) -> Result<(), DecodeError> {
        let len = usize::try_from(len).map_err(|_| DecodeError::Truncated)?;
        self.rest = self.rest.get(len..).ok_or(DecodeError::Truncated)?;
        Ok(())
    }

    /// Passes over the value of an unknown field.
    #[cold]
    fn skip(&mut self, field: u32, wire_type: u8, depth: u32) -> Result<(), DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::Group)?;
        match wire_type {
            VARINT => self.varint().map(drop),
            FIXED64 => self.take(8),
            LEN => self.bytes().map(drop),
            GROUP_START => loop {
                let (inner, inner_type) = self.key()?;
                if inner_type == GROUP_END {
                    return if inner == field { Ok(()) } else { Err(DecodeError::Group) };
                }
                self.skip(inner, inner_type, depth)?;
            },
            FIXED32 => self.take(4),
            _ => Err(DecodeError::Group),
        }
    }
}
