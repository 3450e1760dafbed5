//! Tests of websocket frames: the examples of RFC 6455, every cut of a stream, everything that is no frame.

use super::*;
use proptest::prelude::*;

/// A frame as a server writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(&mut out, first & 0x0f, payload, [0; 4]);
    // The same without a mask.
    let head = out.len() - payload.len() - 4;
    out.drain(head..head + 4);
    out[0] = first;
    out[1] &= !MASKED;
    out
}

fn read(bytes: &[u8], max: usize, cut: usize) -> (Vec<Received>, Option<Malformed>) {
    let mut reader = FrameReader::new(max);
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

fn message(bytes: &[u8]) -> Received {
    Received::Message(Bytes::copy_from_slice(bytes))
}

#[test]
fn the_examples_of_the_specification_hold() {
    // RFC 6455 section 5.7.
    assert_eq!(read(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], 16, 7).0, [message(b"Hello")]);
    let fragments = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(read(&fragments, 16, 9).0, [message(b"Hello")]);
    let mut masked = Vec::new();
    write_text(&mut masked, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
    assert_eq!(masked, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    // Section 1.3.
    assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn control_frames_come_between_fragments() {
    let bytes = [frame(1, b"a"), frame(0x89, b"ping"), frame(0x8a, b""), frame(0x80, b"b"), frame(0x88, b"")]
        .concat();
    let ping = Received::Ping(Bytes::from_static(b"ping"));
    for cut in 1..bytes.len() {
        let expected = vec![ping.clone(), Received::Pong, message(b"ab"), Received::Close];
        assert_eq!(read(&bytes, 16, cut), (expected, None), "cut every {cut} bytes");
    }
}

#[test]
fn what_is_no_frame_of_a_server_is_refused() {
    for (bytes, why) in [
        (&[0xc1, 0x00][..], "a reserved bit"),
        (&[0x83, 0x00], "an opcode that means nothing"),
        (&[0x81, 0x80], "a masked frame"),
        (&[0x80, 0x00], "a continuation of nothing"),
        (&[0x01, 0x00, 0x81, 0x00], "a message in a message"),
        (&[0x09, 0x00], "a ping in fragments"),
        (&[0x89, 126], "a long ping"),
    ] {
        assert_eq!(read(bytes, 16, 1).1, Some(Malformed::Framing), "{why}");
    }
}

#[test]
fn a_length_is_refused_before_the_bytes_are_there() {
    let too_large = Some(Malformed::TooLarge { max: 100 });
    assert_eq!(read(&frame(0x82, &[0; 100]), 100, 1_000), (vec![message(&[0; 100])], None));
    assert_eq!(read(&frame(0x82, &[0; 101])[..2], 100, 2).1, too_large);
    assert_eq!(read(&[0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0], 100, 1).1, too_large);
    assert_eq!(read(&[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 100, 1).1, too_large);
    // In fragments the sum counts.
    let fragments = [frame(2, &[0; 60]), frame(0, &[0; 40]), frame(0x80, &[0; 1])].concat();
    assert_eq!(read(&fragments, 100, 7).1, too_large);
}

#[test]
fn lengths_of_every_size_are_written_and_read() {
    for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
        let payload = vec![7; length];
        assert_eq!(read(&frame(0x82, &payload), 1 << 20, 8_192).0, [message(&payload)], "{length}");
        let mut masked = Vec::new();
        write_text(&mut masked, &payload, [1, 2, 3, 4]);
        assert_eq!(masked.len() - length, frame(0x82, &payload).len() - length + 4);
        let unmasked: Vec<u8> = masked[masked.len() - length..]
            .iter()
            .zip([1, 2, 3, 4].iter().cycle())
            .map(|(a, b)| a ^ b)
            .collect();
        assert_eq!(unmasked, payload);
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_cut_give_the_same(bytes: Vec<u8>, cut in 1_usize..40) {
        prop_assert_eq!(read(&bytes, 200, cut), read(&bytes, 200, bytes.len()));
    }

    #[test]
    fn any_messages_in_any_fragments_come_whole(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..5),
        fragment in 1_usize..100,
        cut in 1_usize..50,
    ) {
        let mut bytes = Vec::new();
        for message in &messages {
            let mut pieces = message.chunks(fragment).peekable();
            let mut opcode = BINARY;
            loop {
                let piece = pieces.next().unwrap_or_default();
                let last = pieces.peek().is_none();
                bytes.extend(frame(opcode | if last { FINAL } else { 0 }, piece));
                opcode = CONTINUATION;
                if last {
                    break;
                }
            }
        }
        let expected: Vec<_> = messages.iter().map(|payload| message(payload)).collect();
        prop_assert_eq!(read(&bytes, 300, cut), (expected, None));
    }
}
