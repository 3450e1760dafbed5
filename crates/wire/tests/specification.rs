//! The codec against the text of `docs/specs/frame.proto`.
//!
//! The file is compiled, and what the codec writes is read by what came out of it.

use bytes::Bytes;
use prost_reflect::{Cardinality, DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};
use quorate_wire::{Frame, FrameKind, ModuleId, SpaceId};

fn message() -> MessageDescriptor {
    let specs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/specs");
    let files = protox::compile(["frame.proto"], [specs]).expect("the text is protobuf");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("the text is whole");
    pool.get_message_by_name("quorate.wire.Frame").expect("the text has a frame")
}

#[test]
fn the_text_has_the_four_fields() {
    let message = message();
    let fields: Vec<_> = message
        .fields()
        .map(|field| {
            let kind = match field.kind() {
                Kind::Enum(of) => of.name().to_owned(),
                kind => format!("{kind:?}"),
            };
            assert_eq!(field.cardinality(), Cardinality::Optional);
            (field.number(), field.name().to_owned(), kind, field.supports_presence())
        })
        .collect();
    let expected = [
        (1, "kind", "FrameKind", false),
        (2, "data", "bytes", false),
        (3, "space_id", "bytes", true),
        (4, "module_id", "string", true),
    ];
    assert_eq!(
        fields,
        expected.map(|(number, name, kind, presence)| (number, name.into(), kind.into(), presence))
    );
}

#[test]
fn the_text_has_the_kinds_of_the_code() {
    let kinds = message().parent_pool().get_enum_by_name("quorate.wire.FrameKind").unwrap();
    for value in kinds.values() {
        let kind = FrameKind::from(value.number());
        let name = format!("FRAME_KIND_{}", kind.to_string().to_uppercase());
        assert_eq!((kind.number(), value.name()), (value.number(), name.as_str()));
    }
    assert_eq!(kinds.values().len(), 5, "a kind that the text lacks");
}

#[test]
fn what_the_codec_writes_is_what_the_text_means() {
    let data = Bytes::from_static(b"payload");
    let space = SpaceId::from_static(b"space");
    let module = ModuleId::from_static("module");
    let other = Frame::Other { kind: 99, data: data.clone(), space: None, module: Some(module.clone()) };
    for frame in [
        Frame::Preflight { data: Bytes::new() },
        Frame::Notify { space: space.clone(), data: data.clone() },
        Frame::Notify { space: SpaceId::default(), data: data.clone() },
        Frame::Module { space, module, data: data.clone() },
        Frame::Disconnect { reason: data },
        other,
    ] {
        let read = DynamicMessage::decode(message(), frame.encode().to_bytes()).unwrap();
        assert_eq!(read.get_field_by_number(1).unwrap().as_enum_number(), Some(frame.kind().number()));
        assert_eq!(read.get_field_by_number(2).unwrap().as_bytes(), Some(frame.data()));
        let optional =
            |number| read.has_field_by_number(number).then(|| read.get_field_by_number(number).unwrap());
        let space = optional(3).as_deref().and_then(Value::as_bytes).cloned();
        assert_eq!(space.as_deref(), frame.space().map(SpaceId::as_bytes));
        let module = optional(4).as_deref().and_then(Value::as_str).map(ModuleId::from);
        assert_eq!(module.as_ref(), frame.module());
        assert_eq!(read.unknown_fields().count(), 0);

        let mut written = Vec::new();
        prost::Message::encode(&read, &mut written).unwrap();
        assert_eq!(Frame::decode(written.into()), Ok(frame));
    }
}
