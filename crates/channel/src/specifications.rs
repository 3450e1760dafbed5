//! The code against the texts in `docs/specs`: field by field, and the examples byte by byte.
//!
//! The `.proto` files are compiled; what the structs write is read by what came out of it, by the fields' numbers, and
//! written back. The hexadecimal blocks of the `.md` files are the examples.

use crate::envelope::{MARKER, MessageEnvelope};
use crate::ids::SenderTag;
use crate::sds::{AckVector, Dependency, Dialect, LipProto, NimProto, SdsMessage, Wanted};
use crate::segment::{OlderSegmentProto, Segment, SegmentProto, Segmenter};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use prost::Message;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage, Value,
};

fn text(file: &str, message: &str) -> MessageDescriptor {
    let specs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/specs");
    let files = protox::compile([file], [specs]).expect("the text is protobuf");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("the text is whole");
    pool.get_message_by_name(&format!("quorate.channel.{message}")).expect("the text has the message")
}

/// What the text says of each field: number, type, and whether its absence shows.
fn fields(message: &MessageDescriptor) -> Vec<(u32, String, char)> {
    let field = |field: prost_reflect::FieldDescriptor| {
        let kind = match field.kind() {
            Kind::Message(of) => of.name().to_owned(),
            kind => format!("{kind:?}"),
        };
        let presence = match field.cardinality() {
            Cardinality::Repeated => '*',
            _ if field.supports_presence() => '?',
            _ => '1',
        };
        (field.number(), kind, presence)
    };
    message.fields().map(field).collect()
}

fn expect_fields(message: &MessageDescriptor, expected: &[(u32, &str, char)]) {
    let expected: Vec<_> =
        expected.iter().map(|(number, kind, presence)| (*number, (*kind).to_owned(), *presence)).collect();
    assert_eq!(fields(message), expected, "{}", message.name());
}

/// What the struct wrote, read by the text: every field is known and there, and writing it back changes nothing.
fn read(message: MessageDescriptor, wire: &[u8]) -> DynamicMessage {
    let read = DynamicMessage::decode(message, wire).unwrap();
    assert_eq!(read.unknown_fields().count(), 0);
    assert_eq!(read.fields().count(), read.descriptor().fields().len(), "a field that was not written");
    assert_eq!(read.encode_to_vec(), wire);
    read
}

fn field(message: &DynamicMessage, number: u32) -> Value {
    message.get_field_by_number(number).expect("the text has the field").into_owned()
}

/// The `index`-th block of `text` that is nothing but hexadecimal digits.
fn example(text: &str, index: usize) -> Vec<u8> {
    let blocks = text.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    let hex = blocks
        .filter_map(|block| HEXLOWER.decode(block.split_whitespace().collect::<String>().as_bytes()).ok());
    hex.into_iter().nth(index).expect("the text has the example")
}

#[test]
fn segments_are_as_the_text_says() {
    let today = text("segment.proto", "Segment");
    let (bytes, number) = ("bytes", "uint32");
    let fields = [
        (1, bytes, '1'),
        (2, "uint64", '1'),
        (3, number, '1'),
        (4, number, '1'),
        (5, number, '?'),
        (6, "bool", '1'),
        (7, bytes, '1'),
    ];
    expect_fields(&today, &fields);
    let proto = SegmentProto {
        hash: Bytes::from_static(&[7; 32]),
        length: 500,
        index: 1,
        data_count: 3,
        parity_count: Some(2),
        is_parity: true,
        payload: Bytes::from_static(b"piece"),
    };
    let segment = read(today, &proto.encode_to_vec());
    let numbers = [2, 3, 4, 5].map(|number| field(&segment, number));
    assert_eq!(numbers, [Value::U64(500), Value::U32(1), Value::U32(3), Value::U32(2)]);

    let older = text("segment.proto", "OlderSegment");
    let fields = [
        (1, bytes, '1'),
        (2, number, '1'),
        (3, number, '1'),
        (4, bytes, '1'),
        (5, number, '1'),
        (6, number, '1'),
        (7, "bool", '1'),
    ];
    expect_fields(&older, &fields);
    let proto = OlderSegmentProto {
        hash: Bytes::from_static(&[7; 32]),
        data_index: 1,
        data_count: 2,
        payload: Bytes::from_static(b"piece"),
        parity_index: 3,
        parity_count: 4,
        is_parity: true,
    };
    let segment = read(older, &proto.encode_to_vec());
    let numbers = [2, 3, 5, 6].map(|number| field(&segment, number));
    assert_eq!(numbers, [1, 2, 3, 4].map(Value::U32));
}

#[test]
fn the_example_of_a_segment_is_what_is_written() {
    let golden = example(include_str!("../../../docs/specs/segment.md"), 0);
    let segment = Segmenter::new(102_400).cut(Bytes::from_static(b"hi")).unwrap().next().unwrap();
    assert_eq!(HEXLOWER.encode(&segment.encode()), HEXLOWER.encode(&golden));
    assert_eq!(Segment::decode(golden.into()), Ok(segment));
}

#[test]
fn sds_messages_are_as_the_text_says() {
    let message = text("sds.proto", "SdsMessage");
    let fields = [
        (1, "string", '1'),
        (2, "string", '1'),
        (3, "string", '1'),
        (10, "uint64", '?'),
        (11, "HistoryEntry", '*'),
        (12, "bytes", '?'),
        (13, "HistoryEntry", '*'),
        (20, "bytes", '?'),
        (100, "Extension", '?'),
    ];
    expect_fields(&message, &fields);
    let entry = [(1, "string", '1'), (2, "bytes", '?'), (3, "string", '?')];
    expect_fields(&text("sds.proto", "HistoryEntry"), &entry);
    let extension = [
        (1, "AckVector", '*'),
        (2, "uint64", '?'),
        (3, "uint64", '*'),
        (4, "uint64", '*'),
        (5, "uint64", '*'),
        (6, "bytes", '?'),
    ];
    expect_fields(&text("sds.proto", "Extension"), &extension);
    expect_fields(
        &text("sds.proto", "AckVector"),
        &[(1, "bytes", '1'), (2, "uint64", '1'), (3, "uint64", '*')],
    );

    let dependency = |id: &str| Dependency {
        id: id.into(),
        time: Some(990),
        hint: Some(Bytes::from_static(b"hint")),
        sender: Some("bob".into()),
    };
    let whole = SdsMessage {
        history: vec![dependency("p")],
        bloom_filter: Some(Bytes::from_static(b"bloom")),
        repair: vec![Wanted { id: "r".into(), run: 4, hint: None, sender: Some("bob".into()) }],
        oldest: Some(3),
        void: vec![5..7],
        ..example_message()
    };
    let wire = whole.encode(Dialect::Lip);
    assert_eq!(SdsMessage::decode(Dialect::Lip, wire.clone()), Ok(whole.clone()));
    let read = read(message, &wire);
    assert_eq!(
        [1, 2, 3].map(|number| field(&read, number)),
        ["alice", "id-", "c"].map(|text| Value::String(text.into()))
    );
    let history = field(&read, 11);
    let entry = history.as_list().unwrap()[0].as_message().unwrap().clone();
    assert_eq!(
        (field(&entry, 1), field(&entry, 3)),
        (Value::String("p".into()), Value::String("bob".into()))
    );
    let extension = field(&read, 100);
    let extension = extension.as_message().unwrap();
    assert_eq!(field(extension, 2), Value::U64(3));
    assert_eq!(field(extension, 3), Value::List(vec![Value::U64(10)]));
    assert_eq!(field(extension, 4), Value::List(vec![Value::U64(5), Value::U64(2)]));
    assert_eq!(field(extension, 5), Value::List(vec![Value::U64(4)]));
    let vectors = field(extension, 1);
    let vector = vectors.as_list().unwrap()[0].as_message().unwrap().clone();
    assert_eq!(field(&vector, 1), Value::Bytes(Bytes::from_static(&[1, 2, 3, 4, 5, 0xff])));
    assert_eq!(field(&vector, 2), Value::U64(5));
    assert_eq!(field(&vector, 3), Value::List([2, 1, 12, 10].map(Value::U64).into()));
}

#[test]
fn messages_of_the_dialect_nim_are_as_the_text_says() {
    let message = text("sds.proto", "NimSdsMessage");
    let fields = [
        (1, "string", '1'),
        (2, "uint64", '?'),
        (3, "HistoryEntry", '*'),
        (4, "string", '1'),
        (5, "bytes", '?'),
        (6, "bytes", '?'),
        (7, "string", '1'),
        (13, "HistoryEntry", '*'),
        (100, "Extension", '?'),
    ];
    expect_fields(&message, &fields);
    let filter =
        [(1, "bytes", '1'), (2, "uint64", '1'), (3, "uint64", '1'), (4, "uint64", '1'), (5, "uint64", '1')];
    expect_fields(&text("sds.proto", "NimBloomFilter"), &filter);
    let dependency = Wanted { id: "r".into(), run: 1, hint: None, sender: None };
    let wire = SdsMessage { repair: vec![dependency], ..example_message() }.encode(Dialect::Nim);
    let read = read(message, &wire);
    assert_eq!(field(&read, 4), Value::String("c".into()));
    assert_eq!(field(&read, 6), Value::Bytes(Bytes::new()));
    let again = NimProto::decode(read.encode_to_vec().as_slice()).unwrap();
    assert_eq!(again.encode_to_vec(), wire);
}

fn example_message() -> SdsMessage {
    let vector = AckVector { tag: SenderTag([1, 2, 3, 4, 5, 0xff]), ranges: vec![0..5, 7..8, 20..30] };
    SdsMessage {
        sender: "alice".into(),
        id: "id-".into(),
        channel: "c".into(),
        time: Some(1_000),
        history: vec![Dependency { id: "p".into(), time: Some(990), hint: None, sender: None }],
        bloom_filter: None,
        repair: Vec::new(),
        content: Bytes::from_static(b"x"),
        acks: vec![vector],
        oldest: None,
        void: Vec::new(),
    }
}

#[test]
fn the_examples_of_sds_messages_are_what_is_written() {
    let spec = include_str!("../../../docs/specs/sds.md");
    let message = SdsMessage { oldest: Some(3), void: vec![5..7], ..example_message() };
    for (place, dialect) in [Dialect::Lip, Dialect::Nim].into_iter().enumerate() {
        let golden = example(spec, place);
        assert_eq!(HEXLOWER.encode(&message.encode(dialect)), HEXLOWER.encode(&golden));
        assert_eq!(SdsMessage::decode(dialect, golden.into()), Ok(message.clone()));
    }
}

/// Protobuf's own rule, so that a reader made from the text alone does the same.
#[test]
fn a_reader_made_from_the_text_merges_the_extension() {
    let more = SdsMessage { history: Vec::new(), oldest: Some(3), ..example_message() };
    let both = [example_message().encode(Dialect::Lip), more.encode(Dialect::Lip)].concat();
    let read = DynamicMessage::decode(text("sds.proto", "SdsMessage"), both.as_slice()).unwrap();
    let merged = LipProto::decode(read.encode_to_vec().as_slice()).unwrap().extension.unwrap();
    assert_eq!((merged.acks.len(), merged.oldest, merged.history_ages), (2, Some(3), vec![10]));
}

#[test]
fn envelopes_are_as_the_text_says() {
    let message = text("envelope.proto", "MessageEnvelope");
    let fields = [
        (1, "bytes", '1'),
        (2, "string", '1'),
        (3, "uint32", '?'),
        (10, "sint64", '?'),
        (11, "bytes", '?'),
        (21, "bytes", '?'),
        (31, "bool", '?'),
    ];
    expect_fields(&message, &fields);
    let envelope = MessageEnvelope {
        payload: Bytes::from_static(b"p"),
        content_topic: "t".into(),
        version: Some(9),
        timestamp: Some(-5),
        meta: Some(Bytes::from_static(MARKER)),
        rate_limit_proof: Some(Bytes::from_static(b"proof")),
        ephemeral: Some(true),
    };
    let read = read(message, &envelope.encode_to_vec());
    assert_eq!((field(&read, 3), field(&read, 10)), (Value::U32(9), Value::I64(-5)));
    assert_eq!(field(&read, 21), Value::Bytes(Bytes::from_static(b"proof")));
}

#[test]
fn the_example_of_an_envelope_is_what_is_written() {
    let golden = example(include_str!("../../../docs/specs/envelope.md"), 0);
    let envelope = MessageEnvelope {
        payload: Bytes::from_static(b"p"),
        content_topic: "t".into(),
        timestamp: Some(1),
        meta: Some(Bytes::from_static(MARKER)),
        ephemeral: Some(true),
        ..MessageEnvelope::default()
    };
    assert_eq!(HEXLOWER.encode(&envelope.encode_to_vec()), HEXLOWER.encode(&golden));
    assert_eq!(MessageEnvelope::decode(golden.as_slice()).unwrap(), envelope);
}
