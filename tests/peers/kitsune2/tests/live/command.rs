//! `quorate node`, a process that lines drive, and real Kitsune2 nodes.
//!
//! What is asserted is what the command wrote, and what Kitsune2's handlers were told.

use crate::{block_on, data};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use quorate_peers_kitsune2::{
    command::{self, Run},
    node::{Event, Events, MODULE, Node, SPACE, theirs::Theirs},
};
use quorate_testkit::{netns, relay::Relay};
use serde_json::Value;
use std::time::Duration;

/// The space of all nodes here, 32 bytes that are no text, as the command has it.
fn space() -> String {
    encoded(SPACE)
}

fn encoded(bytes: &[u8]) -> String {
    format!("b64:{}", BASE64URL_NOPAD.encode(bytes))
}

/// The command at a relay, and where it is reached.
fn node(relay: &Relay, more: &[&str]) -> (Run, String) {
    let (relay, space) = (relay.url(), space());
    let mut words = vec!["--relay", &relay, "--allow-plain-text", "--space", &space, "--module", MODULE];
    words.extend(["--preflight", "from the command", "--echo"].iter().chain(more));
    let mut run = Run::node(&words);
    let url = run.event("listening")["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&relay), "{url}");
    (run, url)
}

async fn theirs(relay: &Relay) -> Theirs {
    Theirs::start(&relay.url(), Events::new("from Kitsune2")).await.unwrap()
}

fn said(event: &Value) -> Bytes {
    match event["text"].as_str() {
        Some(text) => text.to_owned().into(),
        None => BASE64URL_NOPAD.decode(event["b64"].as_str().unwrap().as_bytes()).unwrap().into(),
    }
}

fn echo_of(payload: &[u8]) -> Bytes {
    [b"re:", payload].concat().into()
}

#[test]
fn the_command_and_a_kitsune2_node_are_peers_whoever_dials() {
    // Outside the namespace, where cargo may need its registry.
    command::build();
    netns::alone(|| {
        block_on(async {
            for the_command_dials in [true, false] {
                let relay = Relay::start().await;
                let theirs = theirs(&relay).await;
                let their_url = theirs.url();
                let dials = ["--connect", their_url.as_str()];
                let (mut run, url) = node(&relay, if the_command_dials { &dials } else { &[] });
                if !the_command_dials {
                    pass_to(&theirs, &mut run, &url, "notify", b"first").await;
                }
                meet(&theirs, &mut run, &url).await;
                talk(&theirs, &mut run, &url).await;
                block(&theirs, &mut run, &url).await;
                part(&theirs, run, &url).await;
            }
        });
    });
}

/// Sends what is not echoed, and reads it.
async fn pass_to(theirs: &Theirs, run: &mut Run, url: &str, how: &str, payload: &[u8]) -> Value {
    let data = Bytes::copy_from_slice(payload);
    match how {
        "notify" => theirs.notify(url, data.clone()).await.unwrap(),
        _ => theirs.module(url, data.clone()).await.unwrap(),
    };
    let event = run.event(how);
    assert!(said(&event) == data, "{how} of {} B", data.len());
    assert_eq!((&event["peer"], &event["space"]), (&theirs.url().into(), &space().into()));
    event
}

async fn meet(theirs: &Theirs, run: &mut Run, url: &str) {
    let preflight = Event::Preflight(url.to_owned(), Bytes::from_static(b"from the command"));
    theirs.events().until_told(preflight).await;
    // The command may have been told while something else was awaited.
    if !run.seen.iter().any(|event| event["event"] == "preflight") {
        run.event("preflight");
    }
    let told = run.seen.iter().find(|event| event["event"] == "preflight").unwrap();
    assert_eq!((&told["peer"], &told["text"]), (&theirs.url().into(), &"from Kitsune2".into()));
}

async fn talk(theirs: &Theirs, run: &mut Run, url: &str) {
    let (to, space) = (theirs.url(), space());
    let large = data(1, 5_000_000);
    run.ask(format!("notify {to} {space} two  words "));
    run.ask(format!("module {to} {space} {MODULE} {}", encoded(b"\xff\x00")));
    run.ask(format!("module {to} {space} {MODULE} {}", encoded(&large)));
    run.ask(format!("notify {to} {space}"));
    for event in [
        Event::Notify(url.to_owned(), Bytes::from_static(b"two  words ")),
        Event::Module(url.to_owned(), Bytes::from_static(b"\xff\x00")),
        Event::Module(url.to_owned(), large.clone()),
        Event::Notify(url.to_owned(), Bytes::new()),
    ] {
        theirs.events().until_told(event).await;
    }
    for payload in [&b"hi"[..], b"", b"\xc3\x28 no text", &large] {
        let event = pass_to(theirs, run, url, "module", payload).await;
        assert_eq!(event["module"], MODULE);
        theirs.events().until_told(Event::Module(url.to_owned(), echo_of(payload))).await;
        pass_to(theirs, run, url, "notify", payload).await;
        theirs.events().until_told(Event::Notify(url.to_owned(), echo_of(payload))).await;
    }
    // Two large ones behind each other, and an echo, which nobody answers.
    for seed in [2, 3] {
        theirs.module(url, data(seed, 5_000_000)).await.unwrap();
    }
    theirs.notify(url, Bytes::from_static(b"re:this is one")).await.unwrap();
    for seed in [2, 3] {
        assert!(said(&run.event("module")) == data(seed, 5_000_000));
        theirs.events().until_told(Event::Module(url.to_owned(), echo_of(&data(seed, 5_000_000)))).await;
    }
    assert_eq!(run.event("notify")["text"], "re:this is one");
    pass_to(theirs, run, url, "notify", b"behind it").await;
    theirs.events().until_told(Event::Notify(url.to_owned(), echo_of(b"behind it"))).await;
    let echoed = |event: &Event| matches!(event, Event::Notify(_, data) if data.starts_with(b"re:re:"));
    assert!(!theirs.events().so_far().iter().any(echoed));

    run.ask("peers");
    assert_eq!(run.event("peers")["peers"], serde_json::json!([to]));
    run.ask("stats");
    let stats = run.event("stats");
    assert_eq!(stats["stats"]["transport_stats"]["backend"], "iroh", "{stats}");
}

async fn block(theirs: &Theirs, run: &mut Run, url: &str) {
    let (to, space) = (theirs.url(), space());
    run.ask(format!("block {to}"));
    // The command's own send says that it has done so.
    run.ask(format!("notify {to} {space} unsaid"));
    assert_eq!(run.event("blocked")["peer"], *to);
    theirs.notify(url, Bytes::from_static(b"unheard")).await.unwrap();
    assert_eq!(run.event("blocked")["space"], *space);
    run.ask(format!("unblock {to}"));
    run.ask(format!("notify {to} {space} said again"));
    theirs.events().until_told(Event::Notify(url.to_owned(), Bytes::from_static(b"said again"))).await;
    pass_to(theirs, run, url, "notify", b"heard again").await;
    assert!(!run.seen.iter().any(|event| event["text"] == "unheard"));
    let unsaid = Event::Notify(url.to_owned(), Bytes::from_static(b"unsaid"));
    assert!(!theirs.events().so_far().contains(&unsaid));
}

async fn part(theirs: &Theirs, mut run: Run, url: &str) {
    let (to, space) = (theirs.url(), space());
    run.ask(format!("disconnect {to} enough for today"));
    let reason = Some("enough for today".to_owned());
    theirs.events().until_told(Event::Disconnect(url.to_owned(), reason)).await;
    assert_eq!(run.event("disconnect")["peer"], *to);

    pass_to(theirs, &mut run, url, "notify", b"once more").await;
    theirs.events().until_told(Event::Notify(url.to_owned(), echo_of(b"once more"))).await;
    theirs.disconnect(url, Some("so long")).await;
    assert_eq!(run.event("disconnect")["reason"], "so long");

    // What was asked for before the end is done.
    theirs.events().forget();
    run.ask(format!("notify {to} {space} the last\nquit"));
    theirs.events().until_told(Event::Notify(url.to_owned(), Bytes::from_static(b"the last"))).await;
    let ended = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Disconnect(_, Some(_))));
    let told = theirs.events().until("its goodbye", ended).await;
    assert!(!told.contains(&Event::Unresponsive(url.to_owned())), "{told:?}");
    let (status, seen) = run.ended();
    assert!(status.success(), "{status}");
    let wrong =
        |event: &&Value| ["error", "violation", "unresponsive"].iter().any(|name| event["event"] == *name);
    assert_eq!(seen.iter().find(wrong), None);
}

/// Tries until it is answered: iroh needs a moment to find its relay again.
async fn reach(theirs: &Theirs, url: &str) {
    let question = Bytes::from_static(b"are you there");
    let answers = async {
        loop {
            let sent = theirs.notify(url, question.clone()).await;
            let answer = theirs.events().until_told(Event::Notify(url.to_owned(), echo_of(&question)));
            if sent.is_ok() && tokio::time::timeout(Duration::from_secs(2), answer).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(90), answers).await.expect("the command is reached again");
}

#[test]
fn neither_nonsense_nor_a_relay_that_restarts_nor_the_end_of_input_ends_the_command() {
    command::build();
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let before = theirs(&relay).await;
            let (mut run, url) = node(&relay, &[]);
            let (to, space) = (before.url(), space());
            for (line, reason) in [
                (b"shout".to_vec(), "no command `shout`"),
                (b"\xff\xfe \x80".to_vec(), "a line is no UTF-8"),
                (b"notify nowhere room x".to_vec(), "nowhere: "),
                (format!("module {to}").into_bytes(), "a space is missing"),
                (format!("notify {to} b64:!! x").into_bytes(), "b64:!!: not base64url"),
                (format!("notify {to} elsewhere x").into_bytes(), "no handler is registered for the space"),
            ] {
                run.ask(line);
                let told = run.event("error");
                assert!(told["reason"].as_str().unwrap().contains(reason), "{told}");
            }
            run.ask(format!("\n  \nnotify {to} {space} after all that\r"));
            before
                .events()
                .until_told(Event::Notify(url.clone(), Bytes::from_static(b"after all that")))
                .await;

            let stopped = relay.stop().await;
            let relay = stopped.start().await;
            let after = theirs(&relay).await;
            reach(&after, &url).await;
            run.ask(format!("notify {} {space} to the newcomer", after.url()));
            let heard = Event::Notify(url.clone(), Bytes::from_static(b"to the newcomer"));
            after.events().until_told(heard).await;

            run.end_input();
            after.notify(&url, Bytes::from_static(b"nobody asks any more")).await.unwrap();
            while run.event("notify")["text"] != "nobody asks any more" {}
            after.events().until_told(Event::Notify(url.clone(), echo_of(b"nobody asks any more"))).await;
            run.terminate();
            let (status, _) = run.ended();
            assert!(status.success(), "{status}");
        });
    });
}
