//! Websocket frames from any bytes: any way of cutting them gives the same messages, and none is longer than allowed.

use quorate_query::Malformed;
use quorate_query::websocket::{FrameReader, Received};

/// The longest message.
const MAX: usize = 300;

/// Any bytes are frames or an error, however they are cut; the first byte says how.
pub fn websocket(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first() else { return };
    let whole = read(bytes, bytes.len());
    assert_eq!(read(bytes, usize::from(*cut)), whole, "cut every {cut} bytes");
    for received in whole.0 {
        match received {
            Received::Message(message) => assert!(message.len() <= MAX),
            Received::Ping(payload) => assert!(payload.len() <= 125),
            Received::Pong | Received::Close => {}
        }
    }
}

fn read(bytes: &[u8], cut: usize) -> (Vec<Received>, Option<Malformed>) {
    let mut reader = FrameReader::new(MAX);
    let mut received = Vec::new();
    for piece in bytes.chunks(cut.max(1)) {
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.take() {
                Ok(Some(one)) => received.push(one),
                Ok(None) => break,
                Err(malformed) => return (received, Some(malformed)),
            }
        }
    }
    (received, None)
}
