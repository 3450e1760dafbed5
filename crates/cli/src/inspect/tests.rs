//! What bytes are taken for, and where they are wrong.

use super::*;
use quorate::wire::stream::{data_head, preflight_head};
use quorate::wire::{Frame, ModuleId, PeerUrl, SpaceId, StreamLimits};

fn hex(text: &str) -> Bytes {
    let digits = text.replace(' ', "");
    data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap().into()
}

#[track_caller]
fn found(text: &str) -> (&'static str, Value) {
    let found = find(None, &hex(text)).unwrap();
    (found.kind.name(), found.fields)
}

#[track_caller]
fn fault(kind: Kind, text: &str) -> (usize, String) {
    let faults = find(Some(kind), &hex(text)).unwrap_err();
    (faults[0].1.offset, faults[0].1.reason.clone())
}

/// The two of Kitsune2's own tests, a preflight, and one of no kind.
#[test]
fn a_frame_is_taken_for_a_frame() {
    let (kind, fields) = found("08 03 12 01 61 1a 01 62 22 01 63");
    assert_eq!(kind, "frame");
    assert_eq!((&fields["kind"], &fields["module"]), (&json!("module"), &json!("c")));
    assert_eq!((&fields["space"]["text"], &fields["data"]["text"]), (&json!("b"), &json!("a")));
    assert_eq!(found("08 0f 12 01 64").1["data"]["text"], "d");
    assert_eq!(found("08 01").1["kind"], "preflight");
    assert!(find(None, &hex("08 07")).is_err());
    assert_eq!(find(Some(Kind::Frame), &hex("08 07")).unwrap().fields["data"]["bytes"], 0);
}

#[test]
fn a_frame_that_is_none_is_wrong_at_a_byte() {
    assert_eq!(fault(Kind::Frame, "08 03 12 01 61 1a 09 62").0, 5);
    assert_eq!(fault(Kind::Frame, "08 03 12 01 61 22 01 ff").0, 5);
    let (offset, reason) = fault(Kind::Frame, "08 02 12 01 61");
    assert!(offset == 5 && reason.contains("without a space"), "{offset}: {reason}");
    assert_eq!(fault(Kind::Frame, "0a 01 61").0, 0);
}

/// Stream frames as a peer writes them: the preflight with its URL, then data.
fn stream() -> Vec<u8> {
    let (url, limits): (PeerUrl, _) = ("quic://127.0.0.1:1/a".parse().unwrap(), StreamLimits::default());
    let preflight = Frame::Preflight { data: Bytes::from_static(b"hi") }.encode().to_bytes();
    let space = SpaceId::from_static(b"room");
    let module = ModuleId::from_static("chat");
    let data = Frame::Module { space, module, data: Bytes::from_static(b"\xff") }.encode().to_bytes();
    let mut bytes = preflight_head(&url, preflight.len(), &limits).unwrap().to_vec();
    bytes.extend_from_slice(&preflight);
    bytes.extend_from_slice(&data_head(data.len(), &limits).unwrap());
    bytes.extend_from_slice(&data);
    bytes
}

#[test]
fn frames_on_a_stream_are_shown_with_their_places() {
    let bytes = Bytes::from(stream());
    let found = find(None, &bytes).unwrap();
    assert_eq!(found.kind, Kind::Stream);
    let frames = found.fields["frames"].as_array().unwrap();
    assert_eq!(
        (&frames[0]["type"], &frames[0]["url"]),
        (&json!("preflight"), &json!("quic://127.0.0.1:1/a"))
    );
    assert_eq!(frames[0]["frame"]["data"]["text"], "hi");
    assert_eq!(frames[1]["offset"], 5 + 4 + 20 + 6);
    assert_eq!(frames[1]["frame"]["data"]["hex"], "ff");
}

#[test]
fn an_error_on_a_stream_has_a_place_in_all_of_it() {
    let at = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = stream();
        change(&mut bytes);
        find(Some(Kind::Stream), &bytes.into()).unwrap_err()[0].1.offset
    };
    let second = 5 + 4 + 20 + 6;
    assert_eq!(at(&|bytes| bytes[second] = 7), second);
    assert_eq!(at(&|bytes| bytes[second + 1] = 0xff), second + 1);
    assert_eq!(at(&|bytes| bytes[second + 5] = 0x0a), second + 5, "the key of the frame's first field");
    assert_eq!(at(&|bytes| bytes[9] = b'Q'), 9, "the URL");
    assert_eq!(at(&|bytes| bytes.truncate(second + 8)), second + 8, "its end is missing");
}

/// The examples of the specifications.
#[test]
fn envelopes_and_sds_messages_are_known_by_their_fields() {
    let envelope = "0a0170 120174 5002 5a16 52454c4941424c452d4348414e4e454c2d4150492f31 f80101";
    let (kind, fields) = found(envelope);
    assert_eq!(kind, "envelope");
    assert_eq!((&fields["marked"], &fields["timestamp_ns"]), (&json!(true), &json!(1)));

    let sds = "0a05 616c696365 1203 69642d 1a01 63 50e807 5a03 0a0170 a20101 78 \
               a20615 0a10 0a060102030405ff10051a0402010c0a 1a010a";
    let (kind, fields) = found(sds);
    assert_eq!(kind, "sds");
    assert_eq!((&fields["sender"], &fields["lamport_time"]), (&json!("alice"), &json!(1_000)));
    assert_eq!(fields["causal_history"][0], json!({ "id": "p", "lamport_time": 990 }));
    assert_eq!(fields["acks"][0], json!({ "tag": "0102030405ff", "has": [[0, 5], [7, 8], [20, 30]] }));
    assert_eq!(fields["content"]["text"], "x");

    let (offset, _) = fault(Kind::Sds, "0a05 616c696365 1203 69642d 1a01 63 50e807 a206 03 0a01 00");
    assert_eq!(offset, 18, "the extension, whose vector has no tag");
    let (offset, reason) = fault(Kind::Sds, "0a05 616c696365");
    assert!(offset == 7 && reason.contains("id"), "{offset}: {reason}");
}

#[test]
fn an_envelope_in_a_frame_is_opened_as_far_as_it_goes() {
    let sealed = [&[1u8][..], &[0xaa; 4], &[0xbb; 24], &[0xcc; 16]].concat();
    let envelope = [&[0x0a, 45][..], &sealed, &[0x12, 1, b't']].concat();
    let frame = Frame::Module {
        space: SpaceId::from_static(b"\xff\xfe"),
        module: ModuleId::from_static("quorate/channel"),
        data: envelope.into(),
    };
    let found = find(None, &frame.encode().to_bytes()).unwrap();
    let payload = &found.fields["data"]["envelope"]["payload"];
    assert_eq!((&payload["sealed"], &payload["key_id"]), (&json!(true), &json!("aaaaaaaa")));
    assert_eq!(payload["plaintext_bytes"], 0);
    let lines = show::fields(&found.fields, 1).join("\n");
    assert!(
        lines.contains("  module: \"quorate/channel\"") && lines.contains("key_id: \"aaaaaaaa\""),
        "{lines}"
    );
}

#[test]
fn a_failure_names_each_thing_that_it_could_have_been_and_the_byte() {
    let bytes = hex("ff ff ff");
    let faults = find(None, &bytes).unwrap_err();
    assert_eq!(faults.len(), Kind::ALL.len());
    let text = failure(&faults, &bytes).to_string();
    assert!(text.contains("no frame: byte 0 (0xff): "), "{text}");
    assert!(text.contains("no stream frames: byte 0 (0xff): "), "{text}");
}
