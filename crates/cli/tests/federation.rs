//! `query`, `versions`, `guardians` and `invite` as a person runs them: the real binary against scripted guardians.

use quorate_testkit::guardians::{Fault, Guardians};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use tokio::runtime::Runtime;

const LIVE_INVITE: &str = "fed11qgqpu8rhwden5te0vejkg6tdd9h8gepwd4cxcumxv4jzuen0duhsqqfqh6nl7sgk72caxfx8khtfnn8y436q3nhyrkev3qp8ugdhdllnh86qmp42pm";

fn quorate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate")).args(arguments).output().expect("the command runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Four guardians on a runtime of their own, and their URLs.
fn four(faults: &[(usize, Fault)]) -> (Runtime, Guardians, String) {
    let runtime = Runtime::new().expect("a runtime");
    let guardians = runtime.block_on(async {
        let guardians = Guardians::start(4).await.expect("loopback ports");
        for (peer, fault) in faults {
            guardians.guardian(*peer).set_fault(fault.clone()).await;
        }
        guardians
    });
    let urls = guardians.urls().join(",");
    (runtime, guardians, urls)
}

#[test]
fn a_query_prints_the_agreed_value_alone() {
    let (_runtime, _guardians, urls) = four(&[(1, Fault::Liar)]);
    let output = quorate(&["query", "--peers", &urls, "session_count"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "42\n"), "{}", err(&output));
    let output = quorate(&["query", "--peers", &urls, "block_count", "--module", "1"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "840000\n"));
}

#[test]
fn a_disagreement_is_exit_code_1_and_a_table() {
    let (_runtime, _guardians, urls) = four(&[(0, Fault::Liar), (1, Fault::Refuse)]);
    let output = quorate(&["query", "--peers", &urls, "--timeout", "5", "session_count"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    let table = err(&output);
    for told in [
        "no agreement: 2 different answers, 2 peers agree where 3 are needed",
        "answered 43",
        "connection refused",
        "answered 42",
    ] {
        assert!(table.contains(told), "{told} in:\n{table}");
    }
    let output = quorate(&["query", "--peers", &urls, "--timeout", "5", "--json", "session_count"]);
    let told: Value = serde_json::from_str(out(&output).trim()).expect("one JSON object");
    assert_eq!(
        (output.status.code(), &told["event"], &told["peers"][0]["answer"]),
        (Some(1), &"failed".into(), &43.into())
    );
    let message = told["message"].as_str().expect("text");
    assert!(message.starts_with("session_count: no agreement") && !message.contains('\n'), "{message}");
}

#[test]
fn strategies_have_names() {
    let (_runtime, _guardians, urls) = four(&[(3, Fault::Liar)]);
    for (strategy, code) in [
        ("threshold", 0),
        ("agreement", 0),
        ("each", 0),
        ("union", 0),
        ("current", 0),
        ("eventual", 0),
        ("first", 0),
        ("full", 1),
        // As the library and the publications call them.
        ("ThresholdConsensus", 0),
        ("CurrentConsensus", 0),
        ("EventuallyConsistent", 0),
        ("UnionResponsesSingle", 0),
        ("TrustAllPeers", 0),
    ] {
        let output =
            quorate(&["query", "--peers", &urls, "--timeout", "5", "--strategy", strategy, "session_count"]);
        assert_eq!(output.status.code(), Some(code), "{strategy}: {}", err(&output));
    }
    let output = quorate(&[
        "query",
        "--peers",
        &urls,
        "--timeout",
        "2",
        "--strategy",
        "all",
        "--json",
        "session_count",
    ]);
    let told: Value = serde_json::from_str(out(&output).trim()).expect("one JSON object");
    assert_eq!((&told["value"]["0"], &told["value"]["3"]), (&42.into(), &43.into()));
}

#[test]
fn the_first_answer_that_passes_a_check_is_the_value() {
    let (_runtime, guardians, urls) = four(&[(0, Fault::Liar), (1, Fault::Liar), (2, Fault::Liar)]);
    let ask = |strategy: &str, check: &str, method: &str| {
        quorate(&[
            "query",
            "--peers",
            &urls,
            "--timeout",
            "5",
            "--strategy",
            strategy,
            "--check",
            check,
            method,
        ])
    };
    // printf 42 | sha256sum
    let hash = "sha256=73475cb40a568e8da8a045ced110137e159f890ac4da883b6b17dc651b3a8049";
    let config = quorate_query::ClientConfig::try_from(guardians.config()).expect("a config");
    let federation = format!("federation={}", config.federation_id());
    for strategy in ["filter", "FilterMap", "verifiable", "VerifiableResponse"] {
        let output = ask(strategy, hash, "session_count");
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "42\n"), "{}", err(&output));
        let output = ask(strategy, &federation, "client_config");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let value: Value = serde_json::from_str(&out(&output)).expect("JSON");
        assert_eq!(value, guardians.config());
    }
    let other = format!("sha256={}", "ab".repeat(32));
    let output = ask("filter", &other, "session_count");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert!(err(&output).contains("73475cb40a568e8d"), "{}", err(&output));
    assert_eq!(ask("verifiable", &other, "session_count").status.code(), Some(1));
}

#[test]
fn lists_are_joined_and_published_discovery_chooses_for_a_client() {
    let (_runtime, guardians, urls) = four(&[(3, Fault::Refuse)]);
    guardians.set_answer("list", &serde_json::json!([1, 2]));
    guardians.guardian(1).set_answer("list", serde_json::json!([2, 3]));
    let ask = |words: &[&str]| {
        quorate(&[&["query", "--peers", &urls, "--timeout", "2", "--json", "--strategy"], words].concat())
    };
    let value = |output: &Output| {
        let told: Value = serde_json::from_str(out(output).trim()).expect("one JSON object");
        told["value"].clone()
    };
    let output = ask(&["UnionResponses", "list"]);
    let mut joined: Vec<u64> = serde_json::from_value(value(&output)).expect("numbers");
    joined.sort_unstable();
    assert_eq!((output.status.code(), joined), (Some(0), vec![1, 2, 3]), "{}", err(&output));
    let output = ask(&["UnionResponses", "session_count"]);
    assert_eq!(output.status.code(), Some(1), "a number is no list: {}", out(&output));

    let output = ask(&["DiscoverApiVersionSet", "version"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(value(&output)["core"], serde_json::json!({ "major": 0, "minor": 0 }));
    let needs =
        r#"{"core":{"core_consensus":{"major":2,"minor":0},"api":[{"major":0,"minor":7}]},"modules":{}}"#;
    let output = ask(&["discover", "version", "--needs", needs]);
    assert_eq!(
        value(&output),
        serde_json::json!({ "core": { "major": 0, "minor": 7 }, "modules": {} }),
        "the least that the client needs, as published"
    );
    let output = ask(&["discover", "version", "--needs", &needs.replace(":7", ":12")]);
    assert_eq!(output.status.code(), Some(1), "nobody has 0.12: {}", out(&output));
}

#[test]
fn nobodys_answers_are_no_value() {
    let output =
        quorate(&["query", "--peers", "ws://127.0.0.1:1", "--timeout", "1", "--strategy", "all", "any"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert!(err(&output).contains("too few answers: 0 where 1 are needed"), "{}", err(&output));
}

#[test]
fn what_a_command_cannot_do_is_refused_with_what_to_use_instead() {
    for (words, told) in [
        (&["--strategy", "VerifiableResponse", "config"][..], "--check sha256=HEX"),
        (&["--strategy", "filter", "config"], "--check federation=HEX"),
        (&["--strategy", "filter", "--check", "sha256=ff", "config"], "64 hexadecimal digits"),
        (&["--check", "md5=ff", "config"], "sha256=HEX and federation=HEX"),
        (&["--check", &format!("sha256={}", "00".repeat(32)), "config"], "--strategy filter and verifiable"),
        (&["--strategy", "DiscoverApiVersionSet", "session_count"], "the method version"),
        (&["--needs", "{}", "session_count"], "--strategy discover"),
        (&["--strategy", "NegotiateVersions", "version"], "`quorate versions`"),
        (&["--strategy", "Decoded", "session_count"], "a step in a program"),
        (&["--peers", "ws://localhost:1,ws://a:1,ws://127.0.0.1:1/", "version"], "is guardian 0 as well"),
    ] {
        let peers = ["--peers", "ws://127.0.0.1:1"];
        let peers = if words.contains(&"--peers") { &[][..] } else { &peers[..] };
        let output = quorate(&[&["query"][..], peers, words].concat());
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{words:?}");
        assert!(err(&output).contains(told), "{words:?}: {}", err(&output));
    }
    let id = "ab".repeat(32);
    let encode = |url: &str| quorate(&["invite", "encode", "--peer", url, "--federation", &id]);
    for (url, told) in [
        ("0=ftp://host/", "no guardian speaks ftp"),
        ("0=file:///etc/passwd", "no guardian speaks file"),
        ("0=ws://", "the URL has no host"),
    ] {
        let output = encode(url);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{url}");
        assert!(err(&output).contains(told), "{url}: {}", err(&output));
    }
    assert_eq!(encode("0=iroh://0123456789abcdef").status.code(), Some(0), "other clients speak it");
}

#[test]
fn a_command_says_goodbye_before_it_ends() {
    let (_runtime, guardians, urls) = four(&[]);
    // All four have to answer, so all four are connected. Without waiting some of the goodbyes would still be said.
    let commands = [&["query", "session_count", "--strategy", "full"][..], &["versions"]];
    for (done, words) in (1..).zip(commands.iter().cycle().take(40)) {
        let output = quorate(&[&[words[0], "--peers", &urls], &words[1..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let began = std::time::Instant::now();
        for guardian in &guardians {
            assert_eq!(guardian.connections(), done, "{words:?}");
            // It is written when the command ends; the guardian may yet have to read it.
            while guardian.farewells() < done {
                assert!(began.elapsed().as_secs() < 20, "{words:?}: no goodbye");
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn an_explanation_goes_beside_the_value() {
    let (_runtime, _guardians, urls) = four(&[(2, Fault::Hang)]);
    let output = quorate(&["query", "--peers", &urls, "--explain", "session_count"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "42\n"));
    assert!(err(&output).contains("is silent"), "{}", err(&output));
}

#[test]
fn words_that_cannot_work_are_exit_code_2() {
    for words in [
        &["query", "session_count"][..],
        &["query", "--peers", "nonsense", "session_count"],
        &["query", "--peers", "ws://127.0.0.1:1,ws://127.0.0.1:1/", "session_count"],
        &["query", "--peers", "", "session_count"],
        &["query", "--peers", "ws://127.0.0.1:1", "--strategy", "none", "session_count"],
        &["query", "--peers", "ws://127.0.0.1:1", "--params", "{", "session_count"],
        &["query", "--peers", "ws://127.0.0.1:1", "--timeout", "0", "session_count"],
        &["query", "--invite", "fed1oops", "session_count"],
        &["versions", "--peers", "ws://127.0.0.1:1", "--needs", "{}"],
        &["guardians", "--fault", "9=liar"],
        &["guardians", "--fault", "1=sleepy"],
        &["invite", "decode", "fed1oops"],
        &["invite", "encode", "--peer", "0=ws://host", "--federation", "ff"],
    ] {
        let output = quorate(words);
        assert_eq!(
            (output.status.code(), out(&output).as_str()),
            (Some(2), ""),
            "{words:?}: {}",
            err(&output)
        );
    }
}

#[test]
fn versions_are_a_table_and_who_holds_them_down() {
    let (_runtime, guardians, urls) = four(&[(0, Fault::Hang)]);
    let mut old: Value = serde_json::from_str(quorate_testkit::guardians::LIVE_VERSION).expect("JSON");
    old["core"]["api"][0]["minor"] = 4.into();
    guardians.guardian(1).set_answer("version", old);
    let output = quorate(&["versions", "--peers", &urls]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("from 0.9 by 0, 1"), "{}", out(&output));
    let output = quorate(&["versions", "--peers", &urls, "--json"]);
    let told: Value = serde_json::from_str(out(&output).trim()).expect("one JSON object");
    assert_eq!((&told["components"][0]["version"], &told["complete"]), (&"0.4".into(), &true.into()));

    let needs =
        r#"{"core":{"core_consensus":{"major":2,"minor":0},"api":[{"major":0,"minor":12}]},"modules":{}}"#;
    let output = quorate(&["versions", "--peers", &urls, "--needs", needs, "--timeout", "2"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out(&output).contains("we need API 0.12 or newer of major 0, they offer 0.9"),
        "{}",
        out(&output)
    );
}

#[test]
fn a_liar_neither_adds_a_module_nor_takes_one_away() {
    let (_runtime, guardians, urls) = four(&[]);
    let mut lie: Value = serde_json::from_str(quorate_testkit::guardians::LIVE_VERSION).expect("JSON");
    let modules = lie["modules"].as_object_mut().expect("modules");
    let module = modules.remove("0").expect("the first");
    modules.insert("77".to_owned(), module);
    // Whichever comes first or last.
    for liar in [0, 3] {
        for guardian in &guardians {
            let truth = serde_json::from_str(quorate_testkit::guardians::LIVE_VERSION).expect("JSON");
            guardian.set_answer("version", truth);
        }
        guardians.guardian(liar).set_answer("version", lie.clone());
        let output = quorate(&["versions", "--peers", &urls, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let told: Value = serde_json::from_str(out(&output).trim()).expect("one JSON object");
        let components = told["components"].as_array().expect("a list").iter();
        let named: Vec<_> = components.map(|one| one["component"].as_str().expect("a name")).collect();
        assert_eq!(named, ["core", "module 0", "module 1", "module 2", "module 3"], "{told}");
    }
}

#[test]
fn invite_codes_are_read_and_written() {
    let output = quorate(&["invite", "decode", LIVE_INVITE]);
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).contains("guardian 0  wss://fedimintd.mplsfed.foo/\n"), "{}", out(&output));
    let decoded = out(&quorate(&["invite", "decode", "--json", LIVE_INVITE]));
    let decoded: Value = serde_json::from_str(decoded.trim()).expect("one JSON object");
    let federation = decoded["federation"].as_str().expect("hexadecimal");
    let words = ["invite", "encode", "--peer", "0=wss://fedimintd.mplsfed.foo/", "--federation", federation];
    assert_eq!(out(&quorate(&words)).trim(), LIVE_INVITE);
    let base32 = out(&quorate(&[&words[..], &["--base32"]].concat()));
    assert!(base32.starts_with("fedimint"), "{base32}");
    assert_eq!(out(&quorate(&["invite", "decode", "--json", base32.trim()])).trim(), decoded.to_string());
}

/// `quorate guardians`, ended when it is dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn guardians_run_and_are_asked_by_their_invite_code() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(["guardians", "--n", "4", "--fault", "0=liar", "--answer", "session_count=7", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let _running = Running(child);
    let told: Value = serde_json::from_str(&line).expect("one JSON object");
    let invite = told["invite"].as_str().expect("a code");
    let output = quorate(&["query", "--invite", invite, "session_count"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "7\n"), "{}", err(&output));
    let output = quorate(&["versions", "--invite", invite]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn an_even_split_is_no_agreement_with_either_threshold_strategy() {
    let (_runtime, _guardians, urls) = four(&[(0, Fault::Liar), (1, Fault::Liar)]);
    for strategy in ["threshold", "agreement"] {
        let output =
            quorate(&["query", "--peers", &urls, "--timeout", "10", "--strategy", strategy, "session_count"]);
        assert_eq!(output.status.code(), Some(1), "{strategy}");
        let told = err(&output);
        assert!(
            told.contains("no agreement: 2 different answers, 2 peers agree where 3 are needed"),
            "{told}"
        );
    }
}

#[test]
fn an_invite_code_of_another_federation_is_not_followed() {
    let (_runtime, guardians, _urls) = four(&[]);
    let another = "ab".repeat(32);
    let words = [
        "invite",
        "encode",
        "--peer",
        &format!("0={}", guardians.guardian(0).url()),
        "--federation",
        &another,
    ];
    let invite = out(&quorate(&words));
    let output = quorate(&["query", "--invite", invite.trim(), "--timeout", "5", "session_count"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    let told = err(&output);
    assert!(told.contains("the config is that of federation"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 120), "a table of at most 120 columns:\n{told}");
    assert_eq!(guardians.guardian(1).requests(), 0, "nobody but the named one was asked");
}

#[test]
fn guardians_over_http_are_asked_beside_those_over_websocket() {
    let (_runtime, guardians, _urls) = four(&[(3, Fault::Refuse)]);
    let urls: Vec<String> = guardians
        .iter()
        .enumerate()
        .map(|(n, one)| if n % 2 == 0 { one.http_url() } else { one.url() })
        .collect();
    let output = quorate(&["query", "--peers", &urls.join(","), "--timeout", "10", "session_count"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "42\n"), "{}", err(&output));
}

#[test]
fn who_answers_after_a_quorum_is_heard_all_the_same() {
    let (_runtime, _guardians, urls) = four(&[(2, Fault::Slow(std::time::Duration::from_millis(50)))]);
    let output = quorate(&["versions", "--peers", &urls]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(!out(&output).contains("silent"), "{}", out(&output));
}
