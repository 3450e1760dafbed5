//! `quorate node`: a peer that is driven by lines.

use crate::support::{Run, run};
use async_trait::async_trait;
use bytes::Bytes;
use quorate::iroh::{IrohConfig, IrohTransport};
use quorate::transport::{TransportConfig, TxHandler, TxImp, TxImpHnd};
use quorate::wire::{Frame, PeerUrl};
use quorate_testkit::{netns, relay::Relay};
use serde_json::Value;
use std::sync::Arc;

/// A node in the space `room`, and its address.
fn node(more: &[&str]) -> (Run, String) {
    let mut run =
        Run::interactive(["node", "--json", "--space", "room", "--module", "chat"].iter().chain(more));
    let url = run.event("listening")["url"].as_str().unwrap().to_owned();
    (run, url)
}

/// Two nodes that are connected.
fn pair(one: &[&str], other: &[&str]) -> ((Run, String), (Run, String)) {
    let mut first = node(one);
    let mut second = node(&[&["--connect", &first.1], other].concat());
    for (run, peer) in [(&mut first.0, &second.1), (&mut second.0, &first.1)] {
        assert_eq!(run.event("connect")["peer"], **peer);
        assert_eq!(run.event("preflight")["peer"], **peer);
    }
    (first, second)
}

fn texts(run: &mut Run, event: &str) -> (Value, Value) {
    let event = run.event(event);
    (event["peer"].clone(), event["text"].clone())
}

#[test]
fn two_nodes_talk_and_part_with_a_reason() {
    let ((mut a, url_a), (mut b, url_b)) = pair(&[], &[]);
    a.ask(&format!("notify {url_b} room hello  you"));
    assert_eq!(texts(&mut b, "notify"), (url_a.as_str().into(), "hello  you".into()));
    b.ask(&format!("module {url_a} room chat b64:_wA"));
    let event = a.event("module");
    assert_eq!(
        (&event["space"], &event["module"], &event["b64"]),
        (&"room".into(), &"chat".into(), &"_wA".into())
    );
    b.ask("peers");
    assert_eq!(b.event("peers")["peers"], serde_json::json!([url_a]));
    b.ask("stats");
    let stats = b.event("stats");
    assert_eq!(stats["stats"]["transport_stats"]["backend"], "iroh", "{stats}");
    b.ask(&format!("disconnect {url_a} that is all"));
    assert_eq!(a.event("disconnect")["reason"], "that is all");
    assert_eq!(b.event("disconnect")["peer"], *url_a);
    b.ask("quit");
    b.ended().with(0);
    a.signal("TERM");
    a.ended().with(0);
}

#[test]
fn through_a_relay_nodes_are_peers_too() {
    netns::alone(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let relay = runtime.block_on(Relay::start());
        let words = ["--relay", &relay.url(), "--allow-plain-text"];
        let ((mut a, url_a), (mut b, url_b)) = pair(&words, &words);
        for url in [&url_a, &url_b] {
            assert!(url.starts_with(&relay.url()), "{url}");
        }
        a.ask(&format!("notify {url_b} room through the relay"));
        assert_eq!(texts(&mut b, "notify"), (url_a.as_str().into(), "through the relay".into()));
        b.ask(&format!("disconnect {url_a} enough"));
        assert_eq!(a.event("disconnect")["reason"], "enough");
    });
}

#[test]
fn an_echo_answers_everything_but_echoes() {
    let ((mut a, url_a), (mut b, url_b)) = pair(&["--echo"], &["--echo"]);
    b.ask(&format!("notify {url_a} room hi"));
    assert_eq!(texts(&mut a, "notify"), (url_b.as_str().into(), "hi".into()));
    assert_eq!(texts(&mut b, "notify").1, "re:hi");
    b.ask(&format!("module {url_a} room chat more"));
    assert_eq!(texts(&mut b, "module").1, "re:more");
    // What came to each of them is all there was: nobody answered an answer.
    for (run, events) in [(a, ["hi", "more"]), (b, ["re:hi", "re:more"])] {
        run.signal("TERM");
        let ended = run.ended().with(0);
        let events_seen = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let said: Vec<_> = events_seen.filter_map(|event| Some(event["text"].as_str()?.to_owned())).collect();
        let said: Vec<_> = said.iter().filter(|text| text.contains("hi") || text.contains("more")).collect();
        assert_eq!(said, events.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_blocked_peer_is_told_of_and_not_heard() {
    let ((mut a, url_a), (mut b, url_b)) = pair(&[], &[]);
    a.ask(&format!("block {url_b}"));
    // In one process the order of lines holds, in two it does not: the blocked node's own send says that it is.
    a.ask(&format!("notify {url_b} room out"));
    assert_eq!(a.event("blocked")["peer"], *url_b);
    b.ask(&format!("notify {url_a} room in"));
    let blocked = a.event("blocked");
    assert_eq!((&blocked["peer"], &blocked["space"]), (&url_b.as_str().into(), &"room".into()));
    a.ask(&format!("unblock {url_b}"));
    a.ask(&format!("notify {url_b} room again"));
    assert_eq!(texts(&mut b, "notify"), (url_a.as_str().into(), "again".into()));
    b.ask(&format!("notify {url_a} room heard"));
    assert_eq!(texts(&mut a, "notify").1, "heard");
    a.ask(&format!("unblock {url_b}"));
    assert_eq!(a.event("error")["reason"], "it was not blocked");
}

#[test]
fn a_preflight_in_words_is_sent_as_it_is_and_any_is_accepted() {
    let mut a = node(&["--preflight", "from a"]);
    let mut b = node(&["--preflight", "b64:_w", "--connect", &a.1]);
    assert_eq!(b.0.event("preflight")["text"], "from a");
    assert_eq!(a.0.event("preflight")["b64"], "_w");
    b.0.ask(&format!("notify {} room hi", a.1));
    assert_eq!(texts(&mut a.0, "notify").1, "hi");

    // Who expects a summary of versions turns them away, and says why.
    let mut c = node(&["--connect", &a.1]);
    let reason = c.0.event("error")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("preflight"), "{reason}");
}

#[test]
fn what_is_asked_wrongly_is_said_and_changes_nothing() {
    let (mut a, url) = node(&[]);
    for (line, reason) in [("shout", "no command `shout`"), ("notify nowhere room x", "nowhere: ")] {
        a.ask(line);
        let told = a.event("error");
        assert!(told["reason"].as_str().unwrap().starts_with(reason), "{told}");
    }
    a.ask(&format!("notify {url} elsewhere x"));
    let told = a.event("error");
    assert_eq!(told["peer"], *url, "{told}");
    a.ask("quit");
    a.ended().with(0);
}

#[test]
fn a_peer_that_is_not_there_is_unresponsive() {
    let (gone, url) = node(&[]);
    gone.kill();
    let (mut a, _) = node(&[]);
    a.ask(&format!("notify {url} room hello"));
    let told = [a.event_of(&["error", "unresponsive"]), a.event_of(&["error", "unresponsive"])];
    assert!(told.iter().all(|event| event["peer"] == *url), "{told:?}");
    assert_ne!(told[0]["event"], told[1]["event"]);
}

/// Accepts everybody and says nothing.
struct Silent;

#[async_trait]
impl TxHandler for Silent {}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_the_protocol_is_told_of() {
    let (mut a, url) = node(&["--preflight", "x"]);
    let url: PeerUrl = url.parse().unwrap();
    let hnd = TxImpHnd::new(Arc::new(Silent), TransportConfig::default()).unwrap();
    let peer = IrohTransport::bind(IrohConfig::default(), hnd).await.unwrap();
    peer.connect(&url).await.unwrap();
    let again = Frame::Preflight { data: Bytes::from_static(b"again") };
    peer.send(&url, again.into_encoded()).await.unwrap();
    let told = a.event("violation");
    assert_eq!(told["peer"], peer.url().unwrap().as_str(), "{told}");
    assert!(told["reason"].as_str().unwrap().starts_with("second_preflight"), "{told}");
    assert_eq!(a.event("disconnect")["peer"], peer.url().unwrap().as_str());
    peer.close().await;
}

#[test]
fn people_read_one_line_per_event() {
    let mut a = Run::interactive(["node", "--space", "b64:_wA", "--module", "chat"]);
    let line = a.line();
    let url = line.strip_prefix("listening url=").unwrap().to_owned();
    let mut b = Run::interactive(["node", "--space", "b64:_wA", "--connect", &url]);
    b.line();
    assert!(a.line().starts_with("connect peer=quic://127.0.0.1:"));
    assert!(a.line().starts_with("preflight peer=quic://127.0.0.1:"));
    b.ask(&format!("notify {url} b64:_wA two words"));
    let line = a.line();
    assert!(line.ends_with(r#" space=b64:_wA text="two words""#), "{line}");
}

#[test]
fn a_node_that_cannot_work_does_not_start() {
    for (words, saying) in [
        (&["node"][..], "--space"),
        (&["node", "--space", "b64:?"], "base64url"),
        (&["node", "--space", "a", "--space", "a"], "twice"),
        (&["node", "--space", "a", "--module", "m", "--module", "m"], "twice"),
        (&["node", "--space", "a", "--connect", "nowhere"], "--connect"),
        (&["node", "--space", "a", "--allow-plain-text"], "--relay"),
        (&["node", "--space", "a", "--relay", "http://127.0.0.1:1"], "cannot listen"),
        (&["node", "--space", "a", "--listen", "192.0.2.1:1"], "cannot listen"),
    ] {
        run(words).with(2).saying(&[saying]);
    }
}
