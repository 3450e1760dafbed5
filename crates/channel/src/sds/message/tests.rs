//! Both dialects against messages that `@waku/sds` and nim-sds made, and the extension beside them.

use super::extension::{VectorProto, vector, void};
use super::*;
use crate::ids::StructuredId;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;

fn vectors(dialect: Dialect) -> Vec<Value> {
    let text = match dialect {
        Dialect::Lip => include_str!("../../../tests/vectors/sds_lip.json"),
        Dialect::Nim => include_str!("../../../tests/vectors/sds_nim.json"),
    };
    let all: Value = serde_json::from_str(text).unwrap();
    all["messages"].as_array().unwrap().clone()
}

/// The bytes that a vector names; none where it has none, as nim-sds makes no difference.
fn hex(text: &Value) -> Option<Bytes> {
    Some(HEXLOWER.decode(text.as_str()?.as_bytes()).unwrap().into()).filter(|bytes: &Bytes| !bytes.is_empty())
}

#[test]
fn what_others_wrote_is_read_field_by_field_and_written_back_byte_by_byte() {
    let all = [Dialect::Lip, Dialect::Nim].map(|dialect| (dialect, vectors(dialect)));
    assert_eq!(all.each_ref().map(|(_, vectors)| vectors.len()), [10, 4]);
    for (dialect, vector) in all.iter().flat_map(|(dialect, all)| all.iter().map(|one| (*dialect, one))) {
        let (name, fields) = (&vector["name"], &vector["fields"]);
        let wire = hex(&vector["hex"]).unwrap();
        let message = SdsMessage::decode(dialect, wire.clone()).unwrap();
        assert_eq!(message.sender.as_str(), fields["senderId"], "{name}");
        assert_eq!(message.id.as_str(), fields["messageId"], "{name}");
        assert_eq!(message.channel.as_str(), fields["channelId"], "{name}");
        let time = message.time.map(|time| time.to_string());
        assert_eq!(time.as_deref(), fields["lamportTimestamp"].as_str(), "{name}");
        assert_eq!(message.bloom_filter, hex(&fields["bloomFilter"]), "{name}");
        assert_eq!(message.content, hex(&fields["content"]).unwrap_or_default(), "{name}");
        let history = message.history.iter().map(EntryProto::of).collect();
        let repair = message.repair.iter().map(EntryProto::of_wanted).collect();
        for (list, ours) in [("causalHistory", history), ("repairRequest", repair)] {
            let ours: Vec<EntryProto> = ours;
            let theirs = fields[list].as_array().unwrap();
            assert_eq!(theirs.len(), ours.len(), "{name} {list}");
            for (entry, ours) in theirs.iter().zip(ours) {
                assert_eq!(ours.id, entry["messageId"]);
                assert_eq!(ours.hint, hex(&entry["retrievalHint"]));
                assert_eq!(ours.sender.unwrap_or_default(), entry["senderId"].as_str().unwrap_or_default());
            }
        }
        let kind = match vector["kind"].as_str() {
            Some("sync") => Kind::Sync,
            Some("ephemeral") => Kind::Ephemeral,
            None if message.content.is_empty() => Kind::Sync,
            _ => Kind::Content,
        };
        assert_eq!(message.kind(), kind, "{name}");
        assert_eq!(message.encode(dialect), wire, "{name}");
    }
}

#[test]
fn neither_dialect_reads_the_other() {
    for (ours, theirs) in [(Dialect::Lip, Dialect::Nim), (Dialect::Nim, Dialect::Lip)] {
        for vector in vectors(theirs) {
            let read = SdsMessage::decode(ours, hex(&vector["hex"]).unwrap());
            let fields = &vector["fields"];
            assert!(read.is_err() || read.is_ok_and(|read| *read.channel.as_str() != fields["channelId"]));
        }
    }
}

#[test]
fn what_nim_sds_0_4_leaves_out_may_be_absent_and_older_histories_are_bare_ids() {
    let read = |proto: NimProto| SdsMessage::decode(Dialect::Nim, proto.encode_to_vec().into());
    let least = NimProto { id: "m".into(), channel: "c".into(), time: Some(0), ..NimProto::default() };
    let message = read(least.clone()).unwrap();
    assert_eq!((message.kind(), message.bloom_filter), (Kind::Sync, None));
    let bare = ["m1", "1ca4b3296f0b31b9f584e06c4dfc59119ecc408ba0395047c8d616f4c88a20c6"];
    let old = NimProto { history: bare.map(Bytes::from).to_vec(), ..least.clone() };
    let ids: Vec<_> = read(old).unwrap().history.into_iter().map(|dependency| dependency.id).collect();
    assert_eq!(ids, bare.map(MessageId::from));
    let noise = NimProto { history: vec![Bytes::from_static(&[0xff, 0xfe])], ..least.clone() };
    assert_eq!(read(noise), Err(SdsDecodeError::Undecodable));
    let nameless = NimProto { repair: vec![EntryProto::default()], ..least };
    assert_eq!(read(nameless), Err(SdsDecodeError::Undecodable));
}

fn message() -> impl Strategy<Value = SdsMessage> {
    let dependency = ("[a-z]{1,8}", 0..500u64).prop_map(|(id, age)| Dependency {
        id: id.into(),
        time: Some(1_000 - age),
        hint: None,
        sender: None,
    });
    let steps = prop::collection::vec((1..9u64, 1..9u64), 0..9);
    let acks = (any::<[u8; 6]>(), steps, any::<bool>()).prop_map(|(tag, steps, from_zero)| {
        let mut at = 0;
        let ranges = steps.into_iter().enumerate().map(|(index, (hole, len))| {
            let start = if index == 0 && from_zero { 0 } else { at + hole };
            at = start + len;
            start..at
        });
        AckVector { tag: SenderTag(tag), ranges: ranges.collect() }
    });
    let void = (0..1_000u64, 1..1_000u64).prop_map(|(start, len)| start..start + len);
    let wanted = ("[a-z]{1,8}", 1..5_u64).prop_map(|(id, run)| Wanted {
        id: id.into(),
        run,
        hint: Some(Bytes::from_static(b"hint")),
        sender: Some("bob".into()),
    });
    let lists = (
        prop::collection::vec(wanted, 0..3),
        prop::collection::vec(dependency, 0..4),
        prop::collection::vec(acks, 0..4),
        prop::collection::vec(void, 0..3),
    );
    (lists, prop::option::of(any::<u64>()), prop::collection::vec(any::<u8>(), 0..40)).prop_map(
        |((repair, history, acks, void), oldest, content)| SdsMessage {
            sender: "alice".into(),
            id: "id".into(),
            channel: "chan".into(),
            time: Some(1_000),
            history,
            bloom_filter: None,
            repair,
            content: content.into(),
            acks,
            oldest,
            void,
        },
    )
}

proptest! {
    #[test]
    fn a_message_survives_the_wire(message in message()) {
        for dialect in [Dialect::Lip, Dialect::Nim] {
            let read = SdsMessage::decode(dialect, message.encode(dialect));
            prop_assert_eq!(read.as_ref(), Ok(&message));
        }
    }

    #[test]
    fn occurrences_of_the_extension_are_merged(message in message(), oldest: u64) {
        let more = ExtensionProto { oldest: Some(oldest), void: vec![7, 2, 3, 1], ..ExtensionProto::default() };
        let more = LipProto { extension: Some(more), ..LipProto::default() };
        let both = [message.encode(Dialect::Lip), more.encode_to_vec().into()].concat();
        let mut void = message.void.clone();
        void.extend([7..9, 3..4]);
        let read = SdsMessage::decode(Dialect::Lip, both.into());
        prop_assert_eq!(read, Ok(SdsMessage { oldest: Some(oldest), void, ..message }));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
        let _ = SdsMessage::decode(Dialect::Lip, bytes.clone().into());
        let _ = SdsMessage::decode(Dialect::Nim, bytes.into());
    }
}

#[test]
fn a_vector_that_runs_over_the_end_of_numbers_is_refused() {
    let proto = VectorProto { tag: Bytes::from_static(&[1; 6]), upto: u64::MAX, ranges: vec![1, 1] };
    assert_eq!(vector(&proto), Err(SdsDecodeError::Vector));
    let short = VectorProto { tag: Bytes::from_static(&[1; 5]), ..proto };
    assert_eq!(vector(&short), Err(SdsDecodeError::Vector));
}

#[test]
fn a_void_range_that_is_empty_half_or_beyond_all_numbers_is_refused() {
    assert_eq!(void(&[3, 2, 0, 1]), Ok(vec![3..5, 0..1]));
    for bad in [&[3, 0][..], &[3], &[u64::MAX, 1], &[0, StructuredId::SEQUENCE_END + 1]] {
        assert_eq!(void(bad), Err(SdsDecodeError::Vector), "{bad:?}");
    }
}

#[test]
fn a_name_longer_than_any_honest_one_is_refused() {
    let proto = LipProto { id: "i".repeat(MAX_NAME), time: Some(1), ..LipProto::default() };
    assert!(SdsMessage::decode(Dialect::Lip, proto.encode_to_vec().into()).is_ok());
    let entry = EntryProto { id: "e".repeat(MAX_NAME + 1), ..EntryProto::default() };
    let long = LipProto { history: vec![entry], ..proto.clone() };
    let refused = Err(SdsDecodeError::LongName { len: MAX_NAME + 1 });
    assert_eq!(SdsMessage::decode(Dialect::Lip, long.encode_to_vec().into()), refused);
    let long = LipProto { sender: "s".repeat(MAX_NAME + 1), ..proto };
    assert_eq!(SdsMessage::decode(Dialect::Lip, long.encode_to_vec().into()), refused);
}
