//! Our node and a real Kitsune2 node, through a relay of the test's own, where there is no network but loopback.
//!
//! Every scenario runs both ways: dialed by us and dialed by them. What is asserted is what either side's
//! handlers were told.

mod command;
mod crossing;
mod relay;

use bytes::Bytes;
use quorate_peers_kitsune2::node::{Event, Events, Node, Sent, ours::Ours, theirs::Theirs};
use quorate_testkit::{netns, relay::Relay};
use std::time::Duration;

/// From nothing to above Kitsune2's largest in practice.
const SIZES: [usize; 7] = [0, 1, 100, 1 << 10, 64 << 10, 1 << 20, 5_000_000];

/// A runtime of two threads. `RUST_LOG` shows what iroh and Kitsune2 log.
fn block_on(test: impl Future<Output = ()>) {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_default_env() {
        // Each test has its own process, but for where there are no namespaces.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}

/// One of ours and one of theirs at a relay. `dialer` acts first.
struct Scene {
    dialer: Box<dyn Node>,
    other: Box<dyn Node>,
}

async fn ours(relay: &str) -> Box<dyn Node> {
    Box::new(Ours::start(relay, Events::new("from Quorate")).await.unwrap())
}

async fn theirs(relay: &str) -> Box<dyn Node> {
    Box::new(Theirs::start(relay, Events::new("from Kitsune2")).await.unwrap())
}

/// The scenario twice, each time with fresh nodes and a fresh relay.
fn both_ways<F: Future<Output = ()>>(scenario: impl Fn(Scene) -> F) {
    block_on(async {
        for we_dial in [true, false] {
            let relay = Relay::start().await;
            let url = relay.url();
            let (ours, theirs) = tokio::join!(ours(&url), theirs(&url));
            let (dialer, other) = if we_dial { (ours, theirs) } else { (theirs, ours) };
            println!("{} dials {}", dialer.kind(), other.kind());
            scenario(Scene { dialer, other }).await;
            // Not before: what a future does not use it does not keep.
            drop(relay);
        }
    });
}

fn data(seed: usize, len: usize) -> Bytes {
    (0..len).map(|at| (at * 7 + at / 256 + seed) as u8).collect::<Vec<_>>().into()
}

/// Sends and waits until it has arrived.
async fn pass(from: &dyn Node, to: &dyn Node, text: &'static str) {
    let payload = Bytes::from_static(text.as_bytes());
    let sent = from.notify(&to.url(), payload.clone()).await;
    assert_eq!(sent, Ok(Sent::HandedOff), "{text}");
    to.events().until_told(Event::Notify(from.url(), payload)).await;
}

#[test]
fn preflights_notifies_and_module_messages_of_every_size() {
    netns::alone(|| {
        both_ways(|Scene { dialer, other }| async move {
            for (seed, len) in SIZES.into_iter().enumerate() {
                for (from, to) in [(&dialer, &other), (&other, &dialer)] {
                    let sent = from.notify(&to.url(), data(seed, len)).await;
                    assert_eq!(sent, Ok(Sent::HandedOff), "notify of {len} B from {}", from.kind());
                    let sent = from.module(&to.url(), data(seed + 100, len)).await;
                    assert_eq!(sent, Ok(Sent::HandedOff), "module message of {len} B from {}", from.kind());
                }
            }
            for (from, to) in [(&dialer, &other), (&other, &dialer)] {
                let last = Event::Module(from.url(), data(SIZES.len() - 1 + 100, 5_000_000));
                to.events().until_told(last).await;
                let preflight = if from.kind() == "Quorate" { "from Quorate" } else { "from Kitsune2" };
                let mut expected = vec![
                    Event::Connect(from.url()),
                    Event::Preflight(from.url(), Bytes::from_static(preflight.as_bytes())),
                ];
                for (seed, len) in SIZES.into_iter().enumerate() {
                    expected.push(Event::Notify(from.url(), data(seed, len)));
                    expected.push(Event::Module(from.url(), data(seed + 100, len)));
                }
                let told = sorted_start(to.events().so_far());
                assert!(told == expected, "{} was told {told:#?}", to.kind());
                assert_eq!(to.connected().await, [from.url()]);
            }
        });
    });
}

/// Who was dialed may be told of the preflight before the connection: theirs asks in that order, ours in the other.
fn sorted_start(mut events: Vec<Event>) -> Vec<Event> {
    if let [first, second, ..] = &mut events[..]
        && matches!((&*first, &*second), (Event::Preflight(..), Event::Connect(_)))
    {
        std::mem::swap(first, second);
    }
    events
}

#[test]
fn a_disconnect_brings_its_reason_and_the_next_message_a_new_connection() {
    netns::alone(|| {
        both_ways(|Scene { dialer, other }| async move {
            for (from, to) in [(&dialer, &other), (&other, &dialer)] {
                pass(&**from, &**to, "before").await;
                pass(&**to, &**from, "and back").await;
                from.disconnect(&to.url(), Some("enough for today")).await;
                let reason = Some("enough for today".to_owned());
                to.events().until_told(Event::Disconnect(from.url(), reason)).await;
                let ended = |events: &[Event]| {
                    events.iter().any(|event| matches!(event, Event::Disconnect(url, _) if *url == to.url()))
                };
                from.events().until("the end of its own connection", ended).await;
                let told = to.events().so_far();
                assert!(
                    !told.contains(&Event::Unresponsive(from.url())),
                    "a goodbye is no silence: {told:?}"
                );
                for node in [from, to] {
                    node.events().forget();
                }
            }
            pass(&*dialer, &*other, "again").await;
        });
    });
}

#[test]
fn each_side_can_block_the_other_without_losing_the_connection() {
    netns::alone(|| {
        both_ways(|Scene { dialer, other }| async move {
            pass(&*dialer, &*other, "before").await;
            for (from, to) in [(&dialer, &other), (&other, &dialer)] {
                // Blocked where it arrives: dropped and counted, and the sender does not know.
                to.events().block(&from.url(), true);
                assert_eq!(from.notify(&to.url(), Bytes::from_static(b"unheard")).await, Ok(Sent::HandedOff));
                let incoming = async {
                    while to.blocked(&from.url()).await != (1, 0) {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(Duration::from_secs(60), incoming).await.expect("it is counted");
                // Blocked where it starts: nothing is sent.
                let back = to.module(&from.url(), Bytes::from_static(b"unsaid")).await;
                let says = if to.kind() == "Quorate" { Sent::Blocked } else { Sent::HandedOff };
                assert_eq!(back, Ok(says));
                assert_eq!(to.blocked(&from.url()).await, (1, 1));
                to.events().block(&from.url(), false);
                pass(&**from, &**to, "heard again").await;
                pass(&**to, &**from, "said again").await;
            }
            for node in [&dialer, &other] {
                let told = node.events().so_far();
                let unwanted = told.iter().any(|event| match event {
                    Event::Notify(_, data) | Event::Module(_, data) => data == "unheard" || data == "unsaid",
                    Event::Disconnect(..) | Event::Unresponsive(_) => true,
                    Event::Connect(_) | Event::Preflight(..) => false,
                });
                assert!(!unwanted, "{} was told {told:#?}", node.kind());
            }
        });
    });
}

#[test]
fn a_refused_preflight_ends_the_connection_on_both_sides() {
    netns::alone(|| {
        both_ways(|Scene { dialer, other }| async move {
            other.events().refuse_preflights(true);
            let refused = dialer.notify(&other.url(), Bytes::from_static(b"let me in")).await;
            if dialer.kind() == "Quorate" {
                refused.expect_err("ours learns that it was refused");
            }
            let judged = |events: &[Event]| events.iter().any(|e| matches!(e, Event::Preflight(..)));
            other.events().until("the preflight", judged).await;
            other.events().refuse_preflights(false);
            pass(&*dialer, &*other, "now I may").await;
            let unheard = Event::Notify(dialer.url(), Bytes::from_static(b"let me in"));
            let told = other.events().so_far();
            assert!(!told.contains(&unheard), "{told:#?}");
        });
    });
}

#[test]
fn a_node_that_goes_away_politely_is_not_unresponsive() {
    netns::alone(|| {
        both_ways(|Scene { dialer, other }| async move {
            pass(&*dialer, &*other, "hello").await;
            dialer.close().await;
            let gone = dialer.url();
            let ended = |events: &[Event]| {
                events.iter().any(|event| matches!(event, Event::Disconnect(url, Some(_)) if *url == gone))
            };
            let told = other.events().until("the goodbye", ended).await;
            assert!(!told.contains(&Event::Unresponsive(gone.clone())), "{told:#?}");
            assert!(other.connected().await.is_empty());
        });
    });
}
