//! The relay goes away and comes back.

use crate::{block_on, pass, theirs};
use quorate_peers_kitsune2::node::{Event, Events, Node, ours::Ours};
use quorate_testkit::{netns, relay::Relay};
use std::time::Duration;

/// Whatever goes wrong at once is tried again: iroh needs a moment to find its relay again.
pub(crate) async fn pass_in_the_end(from: &dyn Node, to: &dyn Node, text: &'static str) {
    let payload = bytes::Bytes::from_static(text.as_bytes());
    let arrives = async {
        loop {
            let sent = from.notify(&to.url(), payload.clone()).await;
            let heard = to.events().until_told(Event::Notify(from.url(), payload.clone()));
            if sent.is_ok() && tokio::time::timeout(Duration::from_secs(2), heard).await.is_ok() {
                return;
            }
        }
    };
    let arrived = tokio::time::timeout(Duration::from_secs(90), arrives).await;
    arrived.unwrap_or_else(|_| {
        panic!("`{text}` never arrived; {} was told {:#?}", to.kind(), to.events().so_far())
    });
}

/// Ours has no direct paths, so every byte needs the relay.
#[test]
fn through_the_relay_alone_messages_flow_again_when_it_is_back() {
    netns::alone(|| {
        block_on(async {
            for we_dial in [true, false] {
                let relay = Relay::start().await;
                let ours = Ours::start_hidden(&relay.url(), Events::new("from Quorate")).await.unwrap();
                let theirs = theirs(&relay.url()).await;
                let (dialer, other): (&dyn Node, &dyn Node) =
                    if we_dial { (&ours, &*theirs) } else { (&*theirs, &ours) };
                pass(dialer, other, "before").await;
                pass(other, dialer, "and back").await;
                let stopped = relay.stop().await;
                let _relay = stopped.start().await;
                pass_in_the_end(dialer, other, "after").await;
                pass_in_the_end(other, dialer, "and back again").await;
            }
        });
    });
}

/// A newcomer finds both nodes after the relay has come back: they are at home there again.
#[test]
fn after_the_relay_is_back_new_peers_are_reached() {
    netns::alone(|| {
        block_on(async {
            let relay = Relay::start().await;
            let ours = Ours::start(&relay.url(), Events::new("from Quorate")).await.unwrap();
            let their_node = theirs(&relay.url()).await;
            pass(&ours, &*their_node, "before").await;
            let stopped = relay.stop().await;
            // A direct path needs no relay.
            pass_in_the_end(&ours, &*their_node, "meanwhile").await;
            pass_in_the_end(&*their_node, &ours, "meanwhile, back").await;
            let relay = stopped.start().await;
            let newcomer = theirs(&relay.url()).await;
            pass_in_the_end(&*newcomer, &ours, "a newcomer of theirs").await;
            pass_in_the_end(&ours, &*newcomer, "and back").await;
            let newcomer = Ours::start(&relay.url(), Events::new("from Quorate")).await.unwrap();
            pass_in_the_end(&newcomer, &*their_node, "a newcomer of ours").await;
            pass_in_the_end(&*their_node, &newcomer, "and back").await;
        });
    });
}
