//! Recorded cases from any JSON: judging never panics, and what is accepted is accepted again.

use quorate_eth::case::{Case, Judgement, parse_body};

/// A case. Its first answer is also read as a raw body.
pub fn eth(input: &[u8]) {
    // A body may begin with a byte order mark, a case may not.
    let mut input = input;
    while let Some(rest) = input.strip_prefix(b"\xef\xbb\xbf") {
        input = rest;
    }
    let Ok(json) = serde_json::from_slice(input) else {
        assert!(parse_body(input).is_err(), "a body that is no JSON is no answer");
        return;
    };
    let Ok(case) = Case::parse(&json) else { return };
    let judgement = case.judge();
    assert_eq!(judgement, case.judge(), "a judgement is a function of the case");
    if let Judgement::Rejected { why, .. } = judgement {
        assert!(why.path.starts_with('$'), "a place is a path");
    }
}
