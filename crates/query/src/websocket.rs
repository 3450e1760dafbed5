//! The frames of a websocket (RFC 6455) as a client reads and writes them, and the head that asks for one.
//!
//! The rules: memory follows what has arrived, never what is announced; a message that grows beyond the limit is refused before it is
//! there; what is left of a peer's bytes is judged frame by frame, so any way of cutting them gives the same messages. Extensions are
//! not asked for, so reserved bits are a breach. Whether text is UTF-8 is left to who reads it: here it is JSON.

use crate::error::Malformed;
use bytes::{Buf, Bytes, BytesMut};
use sha1::{Digest, Sha1};

/// The longest payload of a control frame.
const MAX_CONTROL: usize = 125;
/// The most fragments of one message: a message in tiny ones would keep us busy for nothing.
const MAX_FRAGMENTS: usize = 16 << 10;
/// What a server adds to a client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What a server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message, text or binary.
    Message(Bytes),
    /// A ping; its payload goes back in a pong.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The server closes the connection.
    Close,
}

/// Takes a server's bytes apart.
#[derive(Debug)]
pub struct FrameReader {
    max: usize,
    buffer: BytesMut,
    /// The fragments of a message that goes on.
    begun: Option<BytesMut>,
    fragments: usize,
}

/// A frame's head.
struct Head {
    last: bool,
    opcode: u8,
    /// Of the head itself.
    size: usize,
    payload: usize,
}

impl FrameReader {
    /// A reader of messages up to `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { max, buffer: BytesMut::new(), begun: None, fragments: 0 }
    }

    /// Where bytes from the server go, behind those that are there.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next that is complete; `None` until more bytes are there.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; the connection is of no use after it.
    pub fn take(&mut self) -> Result<Option<Received>, Malformed> {
        while let Some(head) = self.head()? {
            if self.buffer.len() < head.size + head.payload {
                return Ok(None);
            }
            self.buffer.advance(head.size);
            let payload = self.buffer.split_to(head.payload);
            match (head.opcode, head.last) {
                (PING, _) => return Ok(Some(Received::Ping(payload.freeze()))),
                (PONG, _) => return Ok(Some(Received::Pong)),
                (CLOSE, _) => return Ok(Some(Received::Close)),
                (CONTINUATION, last) => {
                    let mut begun = self.begun.take().ok_or(Malformed::Framing)?;
                    begun.extend_from_slice(&payload);
                    self.fragments += 1;
                    if self.fragments > MAX_FRAGMENTS {
                        return Err(Malformed::Framing);
                    }
                    if last {
                        return Ok(Some(Received::Message(begun.freeze())));
                    }
                    self.begun = Some(begun);
                }
                (_, true) => return Ok(Some(Received::Message(payload.freeze()))),
                (_, false) => (self.begun, self.fragments) = (Some(payload), 0),
            }
        }
        Ok(None)
    }

    /// The head of the next frame, when it is there and allowed.
    fn head(&self) -> Result<Option<Head>, Malformed> {
        let (&[first, second], rest) = match self.buffer.split_first_chunk() {
            Some(head) => head,
            None => return Ok(None),
        };
        let (last, opcode) = (first & FINAL != 0, first & 0x0f);
        let is_control = opcode >= CLOSE;
        let sound = first & 0x70 == 0
            && second & MASKED == 0
            && match opcode {
                CONTINUATION => self.begun.is_some(),
                TEXT | BINARY => self.begun.is_none(),
                CLOSE | PING | PONG => last && usize::from(second) <= MAX_CONTROL,
                _ => false,
            };
        if !sound {
            return Err(Malformed::Framing);
        }
        let (size, payload) = match second {
            126 => match rest.first_chunk() {
                Some(length) => (4, u16::from_be_bytes(*length).into()),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (10, u64::from_be_bytes(*length)),
                None => return Ok(None),
            },
            length => (2, u64::from(length)),
        };
        let before = self.begun.as_ref().map_or(0, BytesMut::len);
        match usize::try_from(payload).ok().filter(|payload| *payload <= self.max.saturating_sub(before)) {
            Some(payload) => Ok(Some(Head { last, opcode, size, payload })),
            None if is_control => Err(Malformed::Framing),
            None => Err(Malformed::TooLarge { max: self.max }),
        }
    }
}

/// Adds a text frame with `payload` to `out`. `mask` is drawn anew for each frame.
pub fn write_text(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    write_frame(out, TEXT, payload, mask);
}

/// Adds a ping.
pub fn write_ping(out: &mut Vec<u8>, mask: [u8; 4]) {
    write_frame(out, PING, &[], mask);
}

/// Adds the answer to a ping.
pub fn write_pong(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    write_frame(out, PONG, payload.get(..MAX_CONTROL).unwrap_or(payload), mask);
}

/// Adds the end: the client is done.
pub fn write_close(out: &mut Vec<u8>, mask: [u8; 4]) {
    write_frame(out, CLOSE, &1_000_u16.to_be_bytes(), mask);
}

fn write_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.reserve(payload.len() + 14);
    out.push(FINAL | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    for (byte, mask) in out.iter_mut().skip(start).zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The key of a handshake from 16 random bytes.
pub fn key(random: [u8; 16]) -> String {
    data_encoding::BASE64.encode(&random)
}

/// What a server answers to `key`: the proof that it speaks websocket.
pub fn accept(key: &str) -> String {
    data_encoding::BASE64.encode(&Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests;
