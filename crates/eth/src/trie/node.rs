//! One node of a trie, as slices of its bytes.
//!
//! The rule: a node has one encoding. What is longer than it must be, has bytes left over, or a
//! prefix that no writer writes, is malformed.

use alloy_primitives::B256;
use alloy_rlp::Header;

/// What a parent holds of its child.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reference<'a> {
    /// The hash of a node of 32 bytes or more.
    Hash(B256),
    /// The node itself, which has fewer than 32 bytes.
    Embedded(&'a [u8]),
}

/// A node.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is looked at a time, on the stack: a box would be an allocation per node"
)]
pub(super) enum Node<'a> {
    Branch(Branch<'a>),
    Extension { path: Path<'a>, child: Reference<'a> },
    Leaf { path: Path<'a>, value: &'a [u8] },
}

impl<'a> Node<'a> {
    /// Reads a whole node.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut rest = bytes;
        let body = Header::decode_bytes(&mut rest, true).map_err(|_| "it is no list")?;
        if !rest.is_empty() {
            return Err("bytes follow it");
        }
        let (mut items, mut len) = ([&[][..]; 17], 0);
        let mut body = body;
        while !body.is_empty() {
            let place = items.get_mut(len).ok_or("it has too many items")?;
            *place = take_item(&mut body)?;
            len += 1;
        }
        match (len, items) {
            (17, items) => Ok(Self::Branch(Branch { items })),
            (2, [path, second, ..]) => {
                let path = Path::decode(text(path)?)?;
                if path.leaf {
                    let value = text(second)?;
                    if value.is_empty() { Err("its value is empty") } else { Ok(Self::Leaf { path, value }) }
                } else if path.len() == 0 {
                    Err("its path is empty")
                } else {
                    let child = reference(second)?.ok_or("it leads nowhere")?;
                    Ok(Self::Extension { path, child })
                }
            }
            _ => Err("it has neither 2 nor 17 items"),
        }
    }
}

/// A node with a child for each nibble, and a value of its own.
#[derive(Debug)]
pub(super) struct Branch<'a> {
    items: [&'a [u8]; 17],
}

impl<'a> Branch<'a> {
    pub(super) fn child(&self, nibble: u8) -> Result<Option<Reference<'a>>, &'static str> {
        self.items.get(usize::from(nibble)).map_or(Ok(None), |item| reference(item))
    }

    pub(super) fn value(&self) -> Result<Option<&'a [u8]>, &'static str> {
        let [.., last] = self.items;
        let value = text(last)?;
        Ok((!value.is_empty()).then_some(value))
    }
}

/// A path in hex-prefix encoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    leaf: bool,
    first: Option<u8>,
    rest: &'a [u8],
}

impl<'a> Path<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let (prefix, rest) = bytes.split_first().ok_or("its path lacks the prefix")?;
        let (flags, low) = (prefix >> 4, prefix & 0x0f);
        let odd = flags & 1 == 1;
        if flags > 3 || (!odd && low != 0) {
            return Err("its path has an unknown prefix");
        }
        Ok(Self { leaf: flags & 2 == 2, first: odd.then_some(low), rest })
    }

    /// In nibbles.
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + 2 * self.rest.len()
    }

    pub(super) fn nibbles(&self) -> impl Iterator<Item = u8> + 'a {
        self.first.into_iter().chain(self.rest.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]))
    }
}

/// The next item with its header.
fn take_item<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    const BROKEN: &str = "an item is no canonical RLP";
    let whole = *from;
    let header = Header::decode(from).map_err(|_| BROKEN)?;
    *from = from.get(header.payload_length..).ok_or(BROKEN)?;
    whole.get(..whole.len() - from.len()).ok_or(BROKEN)
}

/// The bytes of a string item.
fn text(item: &[u8]) -> Result<&[u8], &'static str> {
    let mut item = item;
    Header::decode_bytes(&mut item, false).map_err(|_| "an item is a list and should be bytes")
}

/// What a child's item refers to; nothing where it is empty.
fn reference(item: &[u8]) -> Result<Option<Reference<'_>>, &'static str> {
    match item {
        [0x80] => Ok(None),
        [0xa0, hash @ ..] => {
            let hash = B256::try_from(hash).map_err(|_| "a reference is no hash")?;
            Ok(Some(Reference::Hash(hash)))
        }
        [0xc0..=0xff, ..] if item.len() < 32 => Ok(Some(Reference::Embedded(item))),
        [0xc0..=0xff, ..] => Err("an embedded node has 32 bytes or more"),
        _ => Err("a reference is neither a hash nor a node"),
    }
}
