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
    let lists = (prop::collection::vec(dependency, 0..4), prop::collection::vec(acks, 0..4));
    (lists, prop::option::of(any::<u64>()), prop::collection::vec(any::<u8>(), 0..40)).prop_map(
        |((history, acks), oldest, content)| SdsMessage {
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
        },
    )
}

proptest! {
    #[test]
    fn the_extension_survives_the_wire(message in message()) {
        prop_assert_eq!(SdsMessage::decode(message.encode()).unwrap(), message);
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
