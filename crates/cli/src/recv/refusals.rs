//! Tells the user of peers that came and cannot work with this version.
//!
//! The rule: each is told of once, and there is a bound on how many, so nobody fills a terminal by knocking.

use crate::output;
use crate::progress::Progress;
use quorate::RefusedPeer;
use serde_json::json;
use std::collections::BTreeSet;
use std::convert::Infallible;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// The most peers that are told of.
const MAX_TOLD: usize = 64;

/// Tells of each peer that is turned away. Never returns.
pub(super) async fn tell(mut refusals: Receiver<RefusedPeer>, progress: &Progress, json: bool) -> Infallible {
    let mut told = BTreeSet::new();
    while told.len() < MAX_TOLD {
        match refusals.recv().await {
            Ok(RefusedPeer { peer, reason }) => {
                if told.insert(peer.clone()) {
                    show(peer.as_str(), &reason, progress, json);
                }
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
        }
    }
    std::future::pending().await
}

fn show(peer: &str, reason: &str, progress: &Progress, json: bool) {
    if json {
        output::json(&json!({ "event": "incompatible", "peer": peer, "reason": reason }));
    } else {
        progress.say(&format!("turned away {peer}: {reason}"));
    }
}
