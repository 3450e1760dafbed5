//! Bytes to values and back, each bound and each rule once, and the verdict of two nodes.

mod agreement;
mod schema;

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use quorate_versioning::{ApiVersion, Component, InvalidApiVersions, MAX_MAJORS};

use super::*;

/// The example of `docs/specs/preflight.md`.
const EXAMPLE: &str = "515254010a220a0408011001120208011a160a04636861741204080110\
                       011a020801220408021004120c0a04080110011204080110021a026869";
const SPEC: &str = include_str!("../../../../docs/specs/preflight.md");

fn api(major: u32, minor: u32) -> MultiApiVersion {
    ApiVersion::new(major, minor).into()
}

fn majors(count: usize) -> MultiApiVersion {
    let versions = (0..count).map(|major| ApiVersion::new(u32::try_from(major).unwrap(), 0));
    MultiApiVersion::try_from_iter(versions).unwrap()
}

fn with_modules(count: usize) -> NodeVersions {
    (0..count).fold(NodeVersions::default(), |node, index| {
        node.with_module(format!("m{index:03}"), ModuleConsensusVersion::new(1, 0), api(1, 0), api(1, 0))
    })
}

/// The message of `node`, to be broken by a test.
fn message_of(node: NodeVersions) -> message::Preflight {
    message::Preflight::try_from(&Preflight::new(node)).unwrap()
}

fn decode_message(message: &message::Preflight) -> Result<Preflight, PreflightError> {
    let mut bytes = b"QRT\x01".to_vec();
    message.encode(&mut bytes).unwrap();
    Preflight::decode(bytes.into())
}

#[test]
fn the_example_of_the_text_is_what_is_written() {
    let chat = ModuleConsensusVersion::new(1, 0);
    let node = NodeVersions::new(CoreConsensusVersion::new(1, 1), api(1, 0), api(1, 2)).with_module(
        "chat",
        chat,
        api(2, 4),
        MultiApiVersion::new(),
    );
    let preflight = Preflight::new(node).with_app(&b"hi"[..]);
    let bytes = preflight.encode().unwrap();
    assert_eq!(HEXLOWER.encode(&bytes), EXAMPLE);
    assert!(SPEC.contains(EXAMPLE), "the text shows another example");
    assert_eq!(Preflight::decode(bytes), Ok(preflight));
}

#[test]
fn the_applications_bytes_are_a_slice_of_the_input() {
    let bytes = Preflight::new(NodeVersions::default()).with_app(vec![7; 1_000]).encode().unwrap();
    let range = bytes.as_ptr_range();
    let decoded = Preflight::decode(bytes).unwrap();
    assert!(range.contains(&decoded.app.as_ptr()));
}

#[test]
fn another_programs_bytes_are_not_ours() {
    for bytes in [&b""[..], b"Q", b"QRT", b"QRT\0", b"QRS\x01", b"\x0a\x00\x12\x00"] {
        assert_eq!(Preflight::decode(Bytes::from_static(bytes)), Err(PreflightError::NotOurs), "{bytes:?}");
    }
}

#[test]
fn a_newer_format_is_named() {
    let error = Preflight::decode(Bytes::from_static(b"QRT\x02anything")).unwrap_err();
    assert_eq!(error, PreflightError::NewerFormat { found: 2, known: 1 });
    assert_eq!(error.to_string(), "the preflight has format 2, we read up to 1: one side must be updated");
}

#[test]
fn bytes_that_are_no_message_are_malformed() {
    for tail in [
        &b"\x0a\x05abc"[..],
        b"\x08\x01",
        b"\x0a\x02\x08\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        let result = Preflight::decode([b"QRT\x01", tail].concat().into());
        assert!(matches!(result, Err(PreflightError::Malformed(_))), "{tail:?}: {result:?}");
    }
}

#[test]
fn a_truncated_preflight_is_never_taken_for_a_shorter_one() {
    let bytes = Preflight::new(with_modules(3)).encode().unwrap();
    for end in 0..bytes.len() {
        assert!(Preflight::decode(bytes.slice(..end)).is_err(), "{end} bytes");
    }
}

#[test]
fn all_bytes_together_are_bounded() {
    let bare = Preflight::new(NodeVersions::default()).encode().unwrap().len();
    // The field's tag and a length of three bytes.
    let room = MAX_PREFLIGHT_BYTES - bare - 4;
    let preflight = |app: usize| Preflight::new(NodeVersions::default()).with_app(vec![0; app]);
    let largest = preflight(room).encode().unwrap();
    assert_eq!(largest.len(), MAX_PREFLIGHT_BYTES);
    assert_eq!(Preflight::decode(largest), Ok(preflight(room)));

    let too_large = PreflightError::TooLarge {
        what: PreflightLimit::Total,
        found: MAX_PREFLIGHT_BYTES + 1,
        max: MAX_PREFLIGHT_BYTES,
    };
    assert_eq!(preflight(room + 1).encode(), Err(too_large.clone()));
    let mut bytes = b"QRT\x01".to_vec();
    bytes.resize(MAX_PREFLIGHT_BYTES + 1, 0);
    assert_eq!(Preflight::decode(bytes.into()), Err(too_large));
}

#[test]
fn the_largest_preflight_fits_a_stream_by_default() {
    let url: quorate_wire::PeerUrl =
        format!("ws://a.b:80/{}", "p".repeat(quorate_wire::PeerUrl::MAX_LEN - 12)).parse().unwrap();
    let frame = quorate_wire::Frame::Preflight { data: vec![0; MAX_PREFLIGHT_BYTES].into() };
    let limits = quorate_wire::StreamLimits::default();
    assert!(quorate_wire::stream::encode_preflight(&url, frame.encode(), &limits).is_ok());
}

#[test]
fn the_largest_summaries_fit() {
    let name = |index: usize| format!("{index:0>width$}", width = MAX_MODULE_NAME_BYTES);
    let node = (0..MAX_PREFLIGHT_MODULES).fold(NodeVersions::default(), |node, index| {
        node.with_module(name(index), ModuleConsensusVersion::new(1, 1), api(1, 1), api(1, 1))
    });
    let preflight = Preflight::new(node);
    assert_eq!(Preflight::decode(preflight.encode().unwrap()), Ok(preflight));
}

#[test]
fn modules_names_and_majors_are_bounded_on_either_side() {
    let too_large = |what, max: usize| Err(PreflightError::TooLarge { what, found: max + 1, max });
    let one = ModuleConsensusVersion::new(1, 0);

    let modules = with_modules(MAX_PREFLIGHT_MODULES + 1);
    let expected = too_large(PreflightLimit::Modules, MAX_PREFLIGHT_MODULES);
    assert_eq!(Preflight::new(modules).encode().map(drop), expected);
    let mut message = message_of(with_modules(MAX_PREFLIGHT_MODULES));
    let summary = message.offers.as_mut().unwrap();
    summary.modules.push(summary.modules[0].clone());
    assert_eq!(decode_message(&message).map(drop), expected);

    let long = "n".repeat(MAX_MODULE_NAME_BYTES + 1);
    let expected = too_large(PreflightLimit::ModuleName, MAX_MODULE_NAME_BYTES);
    let named = NodeVersions::default().with_module(long.clone(), one, api(1, 0), api(1, 0));
    assert_eq!(Preflight::new(named).encode().map(drop), expected);
    let mut message = message_of(with_modules(1));
    message.needs.as_mut().unwrap().modules[0].name = long;
    assert_eq!(decode_message(&message).map(drop), expected);

    let expected = too_large(PreflightLimit::Majors, MAX_MAJORS);
    let listed = NodeVersions::new(NodeVersions::CORE_CONSENSUS, majors(MAX_MAJORS + 1), api(1, 0));
    assert_eq!(Preflight::new(listed).encode().map(drop), expected);
    let mut message = message_of(NodeVersions::default());
    message.needs.as_mut().unwrap().core_api = vec![message::Version { major: 1, minor: 0 }; MAX_MAJORS + 1];
    assert_eq!(decode_message(&message).map(drop), expected);
}

#[test]
fn what_must_be_there_and_is_not_is_named() {
    type Removal = fn(&mut message::Preflight);
    let removals: [(&str, Removal); 5] = [
        ("needs", |message| message.needs = None),
        ("offers", |message| message.offers = None),
        ("core_consensus", |message| message.needs.as_mut().unwrap().core_consensus = None),
        ("core_consensus", |message| message.needs.as_mut().unwrap().modules[0].core_consensus = None),
        ("module_consensus", |message| message.offers.as_mut().unwrap().modules[0].module_consensus = None),
    ];
    for (field, remove) in removals {
        let mut message = message_of(with_modules(1));
        remove(&mut message);
        assert_eq!(decode_message(&message), Err(Inconsistency::Missing { field }.into()));
    }
}

#[test]
fn modules_ascend_and_stand_there_once() {
    let mut message = message_of(with_modules(2));
    let modules = &mut message.needs.as_mut().unwrap().modules;
    modules.swap(0, 1);
    let unsorted = Inconsistency::UnsortedModule { name: "m000".into(), after: "m001".into() };
    assert_eq!(decode_message(&message), Err(unsorted.into()));

    let modules = &mut message.needs.as_mut().unwrap().modules;
    modules[1] = modules[0].clone();
    let duplicate = Inconsistency::DuplicateModule { name: "m001".into() };
    assert_eq!(decode_message(&message), Err(duplicate.into()));
}

#[test]
fn a_broken_list_of_majors_names_its_component() {
    let mut message = message_of(with_modules(1));
    message.offers.as_mut().unwrap().modules[0].api.push(message::Version { major: 1, minor: 9 });
    let error = decode_message(&message).unwrap_err();
    let component = Component::Module("m000".to_owned());
    let source = InvalidApiVersions::Duplicate { major: 1 };
    assert_eq!(error, Inconsistency::Api { component, source }.into());
    let PreflightError::Inconsistent(inconsistency) = error else { unreachable!("compared above") };
    assert_eq!(inconsistency.to_string(), "module m000: API major 1 is listed twice");
}

#[test]
fn names_that_would_mislead_a_reader_are_refused() {
    for name in ["", "a\nb", "\u{1b}[31m", "a\u{202e}b", "\u{2066}", "a\u{200f}"] {
        let one = ModuleConsensusVersion::new(1, 0);
        let node = NodeVersions::default().with_module(name, one, api(1, 0), api(1, 0));
        let refused = Inconsistency::ModuleName { name: name.to_owned() };
        assert_eq!(Preflight::new(node).encode(), Err(refused.clone().into()), "{name:?}");
        let mut message = message_of(with_modules(1));
        message.needs.as_mut().unwrap().modules[0].name = name.to_owned();
        assert_eq!(decode_message(&message), Err(refused.into()), "{name:?}");
    }
    let name = NodeVersions::default().with_module(
        "Küche हिन्दी 🙂",
        ModuleConsensusVersion::new(1, 0),
        api(1, 0),
        api(1, 0),
    );
    assert!(Preflight::new(name).encode().is_ok());
}

#[test]
fn fields_of_a_later_writer_are_skipped() {
    let preflight = Preflight::new(with_modules(1));
    let mut bytes = preflight.encode().unwrap().to_vec();
    bytes.extend_from_slice(b"\x7a\x03new");
    assert_eq!(Preflight::decode(bytes.into()), Ok(preflight));
}

/// Mostly small, so that two nodes often share a version.
fn any_number() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![9 => 0u32..3, 1 => any::<u32>()]
}

fn any_api() -> impl Strategy<Value = MultiApiVersion> {
    prop::collection::btree_map(any_number(), any_number(), 1..4).prop_map(|versions| {
        let versions = versions.into_iter().map(|(major, minor)| ApiVersion::new(major, minor));
        MultiApiVersion::try_from_sorted(versions).unwrap()
    })
}

fn any_node() -> impl Strategy<Value = NodeVersions> {
    let core = ((0u32..2, any_number()), any_api(), any_api());
    let module = ("[a-c]{1,2}", (0u32..2, any_number()), any_api(), any_api());
    (core, prop::collection::vec(module, 0..5)).prop_map(|((consensus, needs, offers), modules)| {
        let core = NodeVersions::new(CoreConsensusVersion::new(consensus.0, consensus.1), needs, offers);
        modules.into_iter().fold(core, |node, (name, (major, minor), needs, offers)| {
            node.with_module(name, ModuleConsensusVersion::new(major, minor), needs, offers)
        })
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(versions in any_node(), app: Vec<u8>) {
        let preflight = Preflight::new(versions).with_app(app);
        prop_assert_eq!(Preflight::decode(preflight.encode().unwrap()), Ok(preflight));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(tail: Vec<u8>, ours: bool) {
        let head: &[u8] = if ours { b"QRT\x01" } else { b"" };
        let _ = Preflight::decode([head, &tail].concat().into());
    }

    #[test]
    fn a_damaged_preflight_is_decoded_or_refused(versions in any_node(), at: prop::sample::Index, to: u8) {
        let mut bytes = Preflight::new(versions).encode().unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(decoded) = Preflight::decode(bytes.into()) {
            prop_assert!(decoded.encode().is_ok(), "what is accepted can be passed on");
        }
    }
}
