//! Preflights from any bytes: what is accepted could have been sent, and both sides come to one
//! verdict.

use bytes::Bytes;
use quorate::preflight::{MAX_PREFLIGHT_BYTES, MAX_REASON_BYTES, NodeVersions, Preflight, judge};

/// Any bytes are a preflight or an error; a preflight is judged against itself and this build's.
pub fn preflight(input: &[u8]) {
    let Ok(preflight) = Preflight::decode(Bytes::copy_from_slice(input)) else { return };
    assert!(input.len() <= MAX_PREFLIGHT_BYTES);
    let bytes = preflight.encode().expect("what is accepted can be sent on");
    assert!(bytes.len() <= MAX_PREFLIGHT_BYTES);
    assert_eq!(Preflight::decode(bytes).as_ref(), Ok(&preflight));

    let theirs = &preflight.versions;
    for ours in [theirs, &NodeVersions::default()] {
        let (at_us, at_them) = (judge(ours, theirs), judge(theirs, ours));
        assert_eq!(at_us.is_ok(), at_them.is_ok(), "one verdict");
        if let Err(refusal) = at_us {
            for text in [refusal.to_string(), refusal.for_them()] {
                assert!(!text.is_empty() && text.len() <= MAX_REASON_BYTES, "{text}");
                assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}
