//! Tests of the messages: round trips, hostile bytes, and that structs and `.proto` text agree.

use super::*;
use crate::files::manifest::{MAX_CHUNK_SIZE, MAX_NAME, MIN_CHUNK_SIZE};
use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, Value};

fn manifest() -> Manifest {
    let file = |name: &str, size| FileEntry { name: name.to_owned(), size, sha256: [9; 32] };
    Manifest::with_chunk_size(vec![file("a", 200_000), file("b", 0)], MIN_CHUNK_SIZE).unwrap()
}

fn samples() -> Vec<Message> {
    let transfer = manifest().id();
    let file = FileHave { file: 0, complete: false, runs: vec![1, 2, 300, 4] };
    let done = FileHave { file: 1, complete: true, runs: vec![] };
    vec![
        Message::Offer(manifest()),
        Message::Chunk(Chunk { transfer, file: 1, chunk: 2, data: Bytes::from_static(b"data") }),
        Message::Have(Have { transfer, incarnation: 7, busy: true, checked: 9, files: vec![file, done] }),
        Message::Complete(Complete { transfer, sha256: vec![[1; 32], [2; 32]] }),
        Message::Refused(Refused::new(transfer, RefusedReason::Full, "no space left")),
        Message::Hello(Hello { transfer: Some(transfer) }),
        Message::Hello(Hello { transfer: None }),
    ]
}

#[test]
fn every_message_reads_back() {
    for message in samples() {
        assert_eq!(Message::decode(message.encode()), Ok(message));
    }
}

#[test]
fn the_largest_messages_keep_their_bounds() {
    let file = FileEntry { name: "n".repeat(MAX_NAME), size: u64::from(MAX_CHUNK_SIZE), sha256: [9; 32] };
    let manifest = Manifest::with_chunk_size(vec![file; MAX_FILES], MAX_CHUNK_SIZE).unwrap();
    let transfer = manifest.id();
    assert!(Message::Offer(manifest.clone()).encode().len() <= MAX_CONTROL);
    let data = Bytes::from(vec![1; MAX_CHUNK_SIZE as usize]);
    let chunk = Chunk { transfer, file: u32::MAX, chunk: u32::MAX, data };
    assert!(Message::Chunk(chunk).encode().len() <= MAX_MESSAGE);
    let files = (0..MAX_FILES as u32)
        .map(|file| FileHave { file, complete: false, runs: vec![u32::MAX; MAX_RUNS / MAX_FILES] })
        .collect();
    let have = Have { transfer, incarnation: u64::MAX, busy: true, checked: u64::MAX, files };
    assert!(Message::Have(have).encode().len() <= MAX_CONTROL);
    let complete = Complete { transfer, sha256: vec![[1; 32]; MAX_FILES] };
    assert!(Message::Complete(complete).encode().len() <= MAX_CONTROL);
}

#[test]
fn a_report_that_does_not_fit_claims_less_and_still_resolves() {
    let file = FileEntry { name: "f".into(), size: 200_000 * u64::from(MIN_CHUNK_SIZE), sha256: [0; 32] };
    let manifest = Manifest::with_chunk_size(vec![file], MIN_CHUNK_SIZE).unwrap();
    let mut held = ChunkSet::new(manifest.total_chunks());
    (0..200_000).step_by(2).for_each(|number| {
        held.insert(number);
    });
    let files = Have::of(&manifest, &held, |_| false);
    let have = Have { transfer: manifest.id(), incarnation: 0, busy: false, checked: 0, files };
    let Ok(Message::Have(read)) = Message::decode(Message::Have(have).encode()) else { panic!("a report") };
    let (claimed, _) = read.resolve(&manifest).unwrap();
    assert_eq!(claimed.count() as usize, MAX_RUNS / 2);
    assert_eq!(claimed.next_missing_from(65_534), Some(65_535));
}

#[test]
fn a_report_about_files_or_chunks_that_do_not_exist_does_not_resolve() {
    let manifest = manifest();
    let have = |file, complete, runs| Have {
        transfer: manifest.id(),
        incarnation: 0,
        busy: false,
        checked: 0,
        files: vec![FileHave { file, complete, runs }],
    };
    assert!(have(2, true, vec![]).resolve(&manifest).is_none());
    assert!(have(0, false, vec![0, 5]).resolve(&manifest).is_none());
    let (held, complete) = have(0, false, vec![0, 4]).resolve(&manifest).unwrap();
    assert_eq!((held.count(), complete), (4, vec![false, false]));
}

#[test]
fn bytes_of_another_kind_version_or_protocol_are_told_apart() {
    let decode = |bytes: &[u8]| Message::decode(Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(decode(b""), DecodeError::NotAFileMessage);
    assert_eq!(decode(b"hello"), DecodeError::NotAFileMessage);
    assert_eq!(decode(&[MARKER]), DecodeError::Malformed);
    assert_eq!(decode(&[MARKER, 2, 1]), DecodeError::Version { found: 2 });
    assert_eq!(decode(&[MARKER, VERSION, 9]), DecodeError::Kind { found: 9 });
    assert_eq!(decode(&[MARKER, VERSION, 2, 0xff]), DecodeError::Malformed);
    assert_eq!(decode(&[MARKER, VERSION, 2]), DecodeError::Length { what: "a transfer id" });
    let mut long = vec![0; MAX_CONTROL + 1];
    long[..3].copy_from_slice(&[MARKER, VERSION, 1]);
    assert_eq!(decode(&long), DecodeError::TooLong { found: MAX_CONTROL + 1, max: MAX_CONTROL });
}

#[test]
fn an_offer_under_a_foreign_id_is_refused() {
    let mut bytes = Message::Offer(manifest()).encode().to_vec();
    bytes[5] ^= 1; // the first byte of the id: after the header, a key and a length
    assert_eq!(Message::decode(bytes.into()), Err(DecodeError::WrongId));
}

#[test]
fn a_refusal_carries_no_control_characters_to_a_terminal() {
    let transfer = manifest().id();
    let refused = Refused { transfer, reason: RefusedReason::Other(77), text: "a\u{1b}[2Jb".into() };
    let Ok(Message::Refused(read)) = Message::decode(Message::Refused(refused).encode()) else { panic!() };
    assert_eq!((read.text.as_str(), read.reason), ("a [2Jb", RefusedReason::Other(77)));
    assert!(Refused::new(transfer, RefusedReason::Full, &"ö".repeat(400)).text.len() <= MAX_TEXT);
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(kind in 0u8..8, body: Vec<u8>) {
        let bytes = [&[MARKER, VERSION, kind], &body[..]].concat();
        let _ = Message::decode(bytes.into());
    }

    #[test]
    fn a_changed_byte_is_an_error_or_another_message(which in 0usize..7, at: usize, to: u8) {
        let message = samples().swap_remove(which);
        let mut bytes = message.encode().to_vec();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(read) = Message::decode(bytes.into()) {
            prop_assert_eq!(Message::decode(read.encode()), Ok(read));
        }
    }
}

/// Reads each sample's bytes with the `.proto` text and writes them again: the same bytes come out,
/// and nothing in them was unknown to the text.
#[test]
fn the_structs_and_the_proto_text_agree() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/specs");
    let set = protox::compile(["files.proto"], [folder]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(set).unwrap();
    for message in samples() {
        let bytes = message.encode();
        let name = ["Offer", "Chunk", "Have", "Complete", "Refused", "Hello"][usize::from(bytes[2]) - 1];
        let descriptor = pool.get_message_by_name(&format!("quorate.files.v1.{name}")).unwrap();
        let read = DynamicMessage::decode(descriptor.clone(), bytes.slice(3..)).unwrap();
        assert_eq!(read.unknown_fields().count(), 0, "{name}");
        assert_eq!(read.encode_to_vec(), bytes[3..], "{name}");
        for field in descriptor.fields() {
            let set = read.has_field(&field)
                || matches!(&message, Message::Hello(hello) if hello.transfer.is_none());
            assert!(set, "{name}.{} is in the text and not in the struct", field.name());
            if let (Kind::Message(_), Value::List(items)) = (field.kind(), read.get_field(&field).as_ref()) {
                let known = items.iter().filter_map(Value::as_message);
                assert!(known.into_iter().all(|item| item.unknown_fields().count() == 0), "{name}");
            }
        }
    }
}
