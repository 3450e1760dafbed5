//! `null`, refusals, empty lists and answers to other questions.

use super::{Request, ask, chain, check};
use quorate_eth::case::{Case, Judgement, parse_body};
use quorate_eth::{Depth, Question, QuestionError, Reason, Trust, Unproven, Verdict};
use quorate_testkit::chain::Proof;
use serde_json::{Value, json};

fn unproven(request: &Request, answer: &Value) -> Unproven {
    let verdict = check(request, answer, &Trust::nobody(), Depth::Standard);
    assert!(matches!(verdict, Ok(Verdict::Unproven(_))), "{request:?}: {verdict:?}");
    let found = verdict.ok().and_then(|verdict| match verdict {
        Verdict::Unproven(what) => Some(what),
        Verdict::Verified(_) => None,
    });
    found.expect("it was just looked at")
}

#[test]
fn nothing_is_no_answer() {
    let chain = chain();
    for request in super::requests(&chain, 10) {
        let null = json!({ "id": 1, "result": null });
        assert_eq!(unproven(&request, &null), Unproven::Null, "{request:?}");
        let refusal = json!({ "id": 1, "error": { "code": -32000, "message": "execution reverted" } });
        let message = "execution reverted".to_owned();
        assert_eq!(unproven(&request, &refusal), Unproven::Refused { code: -32000, message });
    }
    let logs = ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x9" }]));
    assert_eq!(unproven(&logs, &json!({ "id": 1, "result": [] })), Unproven::Empty);
}

#[test]
fn a_value_without_a_proof_is_refused() {
    let address = "0x0000000000000000000000000000000000000001";
    let request = ("eth_getBalance", json!([address, "latest"]));
    let answer = json!({ "id": 1, "result": "0x1" });
    let error = check(&request, &answer, &Trust::nobody(), Depth::Standard).unwrap_err();
    assert_eq!((error.path.as_str(), &error.reason), ("$.in3.proof", &Reason::Missing));
    let verdict = check(&request, &answer, &Trust::nobody(), Depth::None);
    assert_eq!(verdict, Ok(Verdict::Unproven(Unproven::NotAsked)));
}

#[test]
fn the_answer_to_another_question_is_refused() {
    let chain = chain();
    let all = super::requests(&chain, 10);
    for asked in &all {
        for given in all.iter().filter(|given| *given != asked) {
            let answer = ask(&chain, given, &Proof { full: true, ..Proof::default() });
            if let Ok(Verdict::Verified(verified)) = check(asked, &answer, &Trust::nobody(), Depth::Standard)
            {
                // Only where both questions have the same answer.
                let honest = ask(&chain, asked, &Proof { full: true, ..Proof::default() });
                let honest = super::value(check(asked, &honest, &Trust::nobody(), Depth::Standard));
                assert_eq!(*verified.claimed(), honest, "{asked:?} answered with {given:?}");
            }
        }
    }
}

#[test]
fn a_method_that_nothing_proves_is_said_to_be_unknown() {
    let error = Question::parse("eth_call", &json!([])).unwrap_err();
    assert_eq!(error, QuestionError::UnknownMethod { method: "eth_call".to_owned() });
    let error = Question::parse("eth_getBalance", &json!([{}])).unwrap_err();
    assert_eq!(error.to_string(), "parameter $[0]: it is not an address");
}

#[test]
fn binary_and_broken_bodies_are_refused_by_name() {
    assert!(parse_body(b"\x01\x02").unwrap_err().to_string().contains("binary"));
    assert!(parse_body(b"<html>").is_err() && parse_body(b"").is_err() && parse_body(b"{").is_err());
    assert!(parse_body(b" [] ").is_ok());
}

#[test]
fn among_several_answers_the_first_that_is_proven_counts() {
    let chain = chain();
    let request = ("eth_getBalance", json!([chain.accounts(5)[0], "0x5"]));
    let honest = ask(&chain, &request, &Proof::default());
    let mut lie = honest.clone();
    lie["result"] = json!("0x1");
    let nothing = json!({ "id": 1, "result": null });
    let judge = |responses: Value| {
        let case = json!({ "request": { "method": request.0, "params": request.1 }, "responses": responses, "descr": "x" });
        Case::parse(&case).unwrap().judge()
    };
    let body = honest.to_string();
    assert!(matches!(judge(json!([nothing, lie, body])), Judgement::Verified { response: 2, .. }));
    assert!(matches!(
        judge(json!([lie, nothing])),
        Judgement::Unproven { response: 1, what: Unproven::Null }
    ));
    let Judgement::Rejected { response: 1, why } = judge(json!([lie, lie])) else { panic!() };
    assert_eq!(why.to_string(), "$.result: it differs from what is proven");
    assert!(Case::parse(&json!({ "request": { "method": "eth_call" }, "responses": [1] })).is_err());
    assert_eq!(judge(json!([])), Judgement::Unanswered);
    assert!(Case::parse(&json!({ "request": { "method": "eth_getCode", "params": ["0x1"] } })).is_err());
    // One response that stands for itself, and none that is anything.
    assert!(matches!(judge(honest.clone()), Judgement::Verified { response: 0, .. }));
    assert!(matches!(judge(json!(honest.to_string())), Judgement::Verified { response: 0, .. }));
    for odd in
        [json!(7), json!(true), json!(""), json!("<html>"), json!({}), json!([[]]), json!([7]), json!([[[]]])]
    {
        assert!(!matches!(judge(odd.clone()), Judgement::Verified { .. }), "{odd}");
    }
}
