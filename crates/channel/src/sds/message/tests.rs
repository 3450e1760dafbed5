//! The `Lip` dialect against messages that `@waku/sds` made, and the extension beside them.

use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;

fn vectors() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../tests/vectors/sds_lip.json")).unwrap();
    all["messages"].as_array().unwrap().clone()
}

fn hex(text: &Value) -> Option<Bytes> {
    Some(HEXLOWER.decode(text.as_str()?.as_bytes()).unwrap().into())
}

#[test]
fn what_waku_sds_wrote_is_read_field_by_field_and_written_back_byte_by_byte() {
    for vector in vectors() {
        let (name, fields) = (&vector["name"], &vector["fields"]);
        let wire = hex(&vector["hex"]).unwrap();
        let message = SdsMessage::decode(wire.clone()).unwrap();
        assert_eq!(message.sender.as_str(), fields["senderId"], "{name}");
        assert_eq!(message.id.as_str(), fields["messageId"], "{name}");
        assert_eq!(message.channel.as_str(), fields["channelId"], "{name}");
        let time = message.time.map(|time| time.to_string());
        assert_eq!(time.as_deref(), fields["lamportTimestamp"].as_str(), "{name}");
        assert_eq!(message.bloom_filter, hex(&fields["bloomFilter"]), "{name}");
        assert_eq!(message.content, hex(&fields["content"]).unwrap_or_default(), "{name}");
        for (list, ours) in [("causalHistory", &message.history), ("repairRequest", &message.repair)] {
            let theirs = fields[list].as_array().unwrap();
            assert_eq!(theirs.len(), ours.len(), "{name} {list}");
            for (entry, ours) in theirs.iter().zip(ours) {
                assert_eq!(ours.id.as_str(), entry["messageId"]);
                assert_eq!(ours.hint, hex(&entry["retrievalHint"]));
                assert_eq!(ours.sender.as_ref().map(ParticipantId::as_str), entry["senderId"].as_str());
            }
        }
        let kind = match vector["kind"].as_str().unwrap() {
            "sync" => Kind::Sync,
            "ephemeral" => Kind::Ephemeral,
            _ => Kind::Content,
        };
        assert_eq!(message.kind(), kind, "{name}");
        assert_eq!(message.encode(), wire, "{name}");
    }
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
    let lists = (
        prop::collection::vec(dependency, 0..4),
        prop::collection::vec(acks, 0..4),
        prop::collection::vec(void, 0..3),
    );
    (lists, prop::option::of(any::<u64>()), prop::collection::vec(any::<u8>(), 0..40)).prop_map(
        |((history, acks, void), oldest, content)| SdsMessage {
            sender: "alice".into(),
            id: "id".into(),
            channel: "chan".into(),
            time: Some(1_000),
            history,
            bloom_filter: None,
            repair: Vec::new(),
            content: content.into(),
            acks,
            oldest,
            void,
        },
    )
}

proptest! {
    #[test]
    fn the_extension_survives_the_wire(message in message()) {
        prop_assert_eq!(SdsMessage::decode(message.encode()).unwrap(), message);
    }

    #[test]
    fn a_stamp_replaces_what_was_said_before_and_adds_to_the_rest(message in message(), oldest: u64) {
        let first = SdsMessage { void: Vec::new(), ..message };
        let void = vec![7..9, 3..4];
        let stamped = SdsMessage::stamp(&first.encode(), oldest, &void).freeze();
        prop_assert_eq!(SdsMessage::decode(stamped), Ok(SdsMessage { oldest: Some(oldest), void, ..first }));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
        let _ = SdsMessage::decode(bytes.into());
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
    let proto = SdsProto { id: "i".repeat(MAX_NAME), time: Some(1), ..SdsProto::default() };
    assert!(SdsMessage::decode(proto.encode_to_vec().into()).is_ok());
    let entry = EntryProto { id: "e".repeat(MAX_NAME + 1), ..EntryProto::default() };
    let long = SdsProto { history: vec![entry], ..proto.clone() };
    let refused = Err(SdsDecodeError::LongName { len: MAX_NAME + 1 });
    assert_eq!(SdsMessage::decode(long.encode_to_vec().into()), refused);
    let long = SdsProto { sender: "s".repeat(MAX_NAME + 1), ..proto };
    assert_eq!(SdsMessage::decode(long.encode_to_vec().into()), refused);
}
