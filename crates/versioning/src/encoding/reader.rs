//! A cursor over encoded bytes that never allocates from an announced length.

use super::{DecodeError, DecodeFault, MAX_ENCODED_BYTES};

/// Reads values one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    ///
    /// # Errors
    ///
    /// [`DecodeFault::TooLong`] beyond [`MAX_ENCODED_BYTES`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match bytes.len() > MAX_ENCODED_BYTES {
            true => Err(DecodeError { at: 0, fault: DecodeFault::TooLong { max: MAX_ENCODED_BYTES } }),
            false => Ok(Self { all: bytes, at: 0 }),
        }
    }

    /// The offset of the next byte.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Whether no byte is left.
    pub const fn is_empty(&self) -> bool {
        self.at == self.all.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeFault::Truncated`] when fewer are left; the position is as it was.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(count);
        let taken =
            end.and_then(|end| self.all.get(self.at..end)).ok_or(self.fault(DecodeFault::Truncated))?;
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeFault::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let truncated = self.fault(DecodeFault::Truncated);
        self.take(N)?.try_into().map_err(|_| truncated)
    }

    /// A byte string: its length and its bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeFault::Truncated`] when the length is more than what is left, or that of [`Self::big_size`].
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.big_size()?;
        let truncated = self.fault(DecodeFault::Truncated);
        self.take(usize::try_from(length).map_err(|_| truncated)?)
    }

    /// A BigSize integer.
    ///
    /// # Errors
    ///
    /// [`DecodeFault::NotShortest`], [`DecodeFault::Truncated`].
    pub fn big_size(&mut self) -> Result<u64, DecodeError> {
        let not_shortest = self.fault(DecodeFault::NotShortest);
        let [tag] = self.array()?;
        let (value, least) = match tag {
            0xfd => (u64::from(u16::from_be_bytes(self.array()?)), 0xfd),
            0xfe => (u64::from(u32::from_be_bytes(self.array()?)), 0x1_0000),
            0xff => (u64::from_be_bytes(self.array()?), 0x1_0000_0000),
            small => (u64::from(small), 0),
        };
        if value < least { Err(not_shortest) } else { Ok(value) }
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`DecodeFault::LeftOver`] when bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.all.len() - self.at {
            0 => Ok(()),
            count => Err(self.fault(DecodeFault::LeftOver { count })),
        }
    }

    const fn fault(&self, fault: DecodeFault) -> DecodeError {
        DecodeError { at: self.at, fault }
    }
}
