//! The structs and `docs/specs/preflight.proto` say the same: fields, numbers and types.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};

use crate::preflight::message::{Module, Preflight, Summary, Version};

const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/specs");

fn descriptor(name: &str) -> MessageDescriptor {
    let files = protox::compile(["preflight.proto"], [PROTO]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name(&format!("quorate.preflight.v1.{name}")).unwrap()
}

/// Values that every other integer type would write or read differently.
fn version(index: u32) -> Version {
    Version { major: u32::MAX - index, minor: u32::MAX - 100 - index }
}

/// A message in which every field of every message has a value that is not its default.
fn full() -> Preflight {
    let summary = |index: u32| Summary {
        core_consensus: Some(version(index)),
        core_api: vec![version(index + 1), version(index + 2)],
        modules: vec![Module {
            name: format!("module {index}"),
            core_consensus: Some(version(index + 3)),
            module_consensus: Some(version(index + 4)),
            api: vec![version(index + 5), version(index + 6)],
        }],
    };
    Preflight { needs: Some(summary(0)), offers: Some(summary(10)), app: Bytes::from_static(b"\xff\x00app") }
}

/// Asserts that `message` has every field of its descriptor, and nothing that the text lacks.
fn assert_complete(message: &DynamicMessage) {
    let name = message.descriptor().name().to_owned();
    assert_eq!(message.unknown_fields().count(), 0, "{name} has a field that the text lacks");
    for field in message.descriptor().fields() {
        assert!(message.has_field(&field), "{name}.{} is not written by the struct", field.name());
        match &*message.get_field(&field) {
            Value::Message(inner) => assert_complete(inner),
            Value::List(items) => items.iter().filter_map(Value::as_message).for_each(assert_complete),
            _ => {}
        }
    }
}

fn field(message: &DynamicMessage, path: &[&str]) -> Value {
    let (first, rest) = path.split_first().unwrap();
    let value = message.get_field_by_name(first).unwrap().into_owned();
    let value = match &value {
        Value::List(items) => items[0].clone(),
        _ => value,
    };
    if rest.is_empty() { value } else { field(value.as_message().unwrap(), rest) }
}

#[test]
fn each_field_stands_where_the_text_says() {
    let message = DynamicMessage::decode(descriptor("Preflight"), &*full().encode_to_vec()).unwrap();
    assert_complete(&message);
    let major = |index: u32| Value::U32(u32::MAX - index);
    assert_eq!(field(&message, &["app"]), Value::Bytes(Bytes::from_static(b"\xff\x00app")));
    for (summary, index) in [("needs", 0), ("offers", 10)] {
        let at = |path: &[&str]| field(&message, &[&[summary], path].concat());
        assert_eq!(at(&["core_consensus", "major"]), major(index));
        assert_eq!(at(&["core_consensus", "minor"]), major(index + 100));
        assert_eq!(at(&["core_api", "major"]), major(index + 1));
        assert_eq!(at(&["modules", "name"]), Value::String(format!("module {index}")));
        assert_eq!(at(&["modules", "core_consensus", "major"]), major(index + 3));
        assert_eq!(at(&["modules", "module_consensus", "major"]), major(index + 4));
        assert_eq!(at(&["modules", "api", "minor"]), major(index + 105));
    }
}

#[test]
fn what_the_text_writes_the_structs_read() {
    let bytes = full().encode_to_vec();
    let message = DynamicMessage::decode(descriptor("Preflight"), &*bytes).unwrap();
    let rewritten = message.encode_to_vec();
    assert_eq!(Preflight::decode(&*rewritten), Ok(full()));
    assert_eq!(rewritten, bytes, "the bytes are canonical");
}

#[test]
fn numbers_are_unsigned_and_names_are_text() {
    for field in descriptor("Version").fields() {
        assert_eq!(field.kind(), Kind::Uint32, "{}", field.name());
    }
    assert_eq!(descriptor("Module").get_field_by_name("name").unwrap().kind(), Kind::String);
    assert_eq!(descriptor("Preflight").get_field_by_name("app").unwrap().kind(), Kind::Bytes);
}
