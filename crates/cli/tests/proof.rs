//! `quorate proof check` as people and scripts run it.

use quorate_testkit::chain::{Chain, Proof, Signers, address, key};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};

fn check(arguments: &[&str], cases: impl AsRef<[u8]>) -> Output {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("cases");
    fs::write(&file, cases).expect("a file can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(["proof", "check"]).args(arguments).arg(&file).output().expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the command writes UTF-8")
}

/// An honest case, and the same with a lie in it.
fn cases() -> (Value, Value) {
    let chain = Chain::seeded(1, 4);
    let params = json!([chain.accounts(2)[0], "0x2"]);
    let signers = Signers { keys: vec![key(1)], registry: None };
    let answer = chain.answer(&json!(1), "eth_getBalance", &params, &Proof { signers, full: false });
    let mut lie = answer.clone();
    lie["result"] = json!("0x1");
    let case = |answer: Value| json!({ "request": { "method": "eth_getBalance", "params": params }, "responses": [answer] });
    (case(answer), case(lie))
}

#[test]
fn each_case_gets_a_verdict_and_a_lie_its_place() {
    let (honest, lie) = cases();
    let mut signed = honest.clone();
    signed["signers"] = json!([address(&key(1))]);
    let mut unsigned = honest.clone();
    unsigned["signers"] = json!([address(&key(2))]);
    let nothing = json!({ "request": honest["request"], "responses": [{ "id": 1, "result": null }] });
    let call = json!({ "request": { "method": "eth_call", "params": [] }, "responses": [{ "id": 1, "result": "0x" }] });
    let all = json!([honest, signed, unsigned, lie, nothing, call]);

    let output = check(&["--json"], all.to_string());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let verdicts: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<_> = verdicts.iter().map(|verdict| verdict["verdict"].as_str().unwrap()).collect();
    assert_eq!(words, ["consistent", "anchored", "rejected", "rejected", "unproven", "unproven"]);
    assert_eq!(verdicts[3]["path"], "$.result");
    assert_eq!(verdicts[2]["path"], "$.in3.proof.signatures");
    assert!(verdicts[0]["value"]["balance"].is_string());

    let people = text(&check(&[], all.to_string()).stdout);
    assert!(people.contains("3: rejected at $.result: it differs from what is proven"), "{people}");
}

#[test]
fn what_was_expected_decides_the_exit_code() {
    let (honest, lie) = cases();
    let lines = format!("{honest}\n\n{lie}\n");
    for (expect, cases, code) in [
        ("accept", honest.to_string(), 0),
        ("accept", lines.clone(), 1),
        ("reject", lines.clone(), 1),
        ("reject", lie.to_string(), 0),
    ] {
        let output = check(&["--expect", expect, "--jsonl"], cases);
        assert_eq!(output.status.code(), Some(code), "{expect}: {}", text(&output.stderr));
    }
}

#[test]
fn what_is_no_case_is_said_and_the_others_are_judged_all_the_same() {
    let (honest, _) = cases();
    for broken in [
        "{",
        "7",
        "{}",
        "{\"request\": {\"method\": \"eth_getBalance\", \"params\": [1]}, \"responses\": [1]}",
    ] {
        let output = check(&["--json", "--jsonl"], format!("{broken}\n{honest}\n"));
        assert_eq!(output.status.code(), Some(2));
        let lines = text(&output.stdout);
        assert!(lines.contains("\"broken\"") && lines.contains("\"consistent\""), "{lines}");
    }
    assert_eq!(check(&["--jsonl"], "").status.code(), Some(2));
    assert_eq!(check(&[], "[]").status.code(), Some(2));
}

#[test]
fn a_line_that_is_no_text_stops_no_other() {
    let (honest, lie) = cases();
    let mut lines = b"\xef\xbb\xbf".to_vec();
    lines.extend(format!("{honest}\r\n\r\n   \n").bytes());
    lines.extend(b"{\"request\": \"\xff\xfe\"}\n\xff\n\0\n");
    lines.extend(format!("{lie}\r\n{honest}").bytes());
    let output = check(&["--json", "--jsonl"], &lines);
    let verdicts: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<_> = verdicts.iter().map(|verdict| verdict["verdict"].as_str().unwrap()).collect();
    assert_eq!(words, ["consistent", "broken", "broken", "broken", "rejected", "consistent"]);
    assert!(verdicts[1]["reason"].is_string());
    assert_eq!(output.status.code(), Some(2), "three were not judged");

    let file = [b"\xef\xbb\xbf".as_slice(), honest.to_string().as_bytes(), b"\r\n"].concat();
    assert_eq!(check(&["--expect", "accept"], file).status.code(), Some(0));
}

#[test]
fn members_that_others_write_otherwise_change_no_verdict() {
    let (honest, _) = cases();
    let with = |name: &str, value: Value| {
        let mut case = honest.clone();
        case[name] = value;
        case.to_string()
    };
    let mut lines = vec![honest.to_string()];
    for chain in [json!(1), json!("0x1"), json!("1"), json!(null), json!("mainnet"), json!([])] {
        lines.push(with("chainId", chain));
    }
    for responses in [honest["responses"][0].clone(), json!(honest["responses"][0].to_string())] {
        lines.push(with("responses", responses));
    }
    for (name, value) in
        [("finality", json!("10")), ("signers", json!(null)), ("proof", json!(null)), ("why", json!(1e300))]
    {
        lines.push(with(name, value));
    }
    let output = check(&["--expect", "accept", "--jsonl"], lines.join("\n"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn trust_that_contradicts_itself_and_an_address_cut_short_are_no_case() {
    let (honest, _) = cases();
    let mut contradictory = honest.clone();
    contradictory["trustedHashes"] = json!({ "2": format!("0x{:064x}", 1), "0x2": format!("0x{:064x}", 2) });
    let mut short = honest.clone();
    let whole = honest["request"]["params"][0].as_str().expect("an address").to_owned();
    short["request"]["params"][0] = json!(whole[..40]);
    for case in [contradictory, short] {
        let output = check(&[], case.to_string());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        assert!(text(&output.stdout).starts_with("0: broken: "), "{}", text(&output.stdout));
    }
}

#[test]
fn what_a_node_wrote_is_never_a_line_of_ours() {
    let (honest, _) = cases();
    let message = format!("x\n1: anchored: {{\"balance\":\"999\"}}{}", "y".repeat(10_000));
    let refusal = json!({ "id": 1, "error": { "code": -1, "message": message } });
    let output = check(&[], json!({ "request": honest["request"], "responses": [refusal] }).to_string());
    let told = text(&output.stdout);
    assert_eq!((told.lines().count(), output.status.code()), (1, Some(0)), "{told}");
    assert!(told.starts_with("0: unproven: refused with code -1: x") && told.len() < 1_000, "{told}");
}

#[test]
fn responses_that_are_nothing_are_judged_and_never_believed() {
    let (honest, _) = cases();
    let with = |responses: Value| {
        let mut case = honest.clone();
        case["responses"] = responses;
        case.to_string()
    };
    let odd = [
        json!([]),
        json!([null]),
        json!({}),
        json!(7),
        json!(""),
        json!("<html>"),
        json!([true, -1, 1.5]),
        json!([[], [[]], {}]),
        json!(["\u{0001}"]),
        json!([{ "result": {}, "in3": 7 }]),
        json!([{ "result": "0x1", "in3": { "proof": "none" } }]),
        json!([{ "error": "no" }]),
    ];
    let lines: Vec<_> = odd.into_iter().map(with).collect();
    let output = check(&["--json", "--expect", "reject", "--jsonl"], lines.join("\n"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert_eq!(text(&output.stdout).lines().count(), lines.len());
}
