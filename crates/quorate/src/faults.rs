//! Faults on purpose: what a link loses, repeats or delays, for tests and rehearsals on real sockets.
//!
//! The rule: a node without faults configured pays nothing for them, and what a fault does is decided
//! per receiver and per attempt, so that it replays from a seed.

use quorate_channel::Dispatch;
use quorate_wire::PeerUrl;
use std::time::Duration;

/// Decides the fate of every envelope on every link out of a node.
pub trait LinkFaults: Send + Sync + 'static {
    /// The delays after which a copy of this attempt leaves for `to`: none when it is lost, more than
    /// one when it is repeated. An untouched envelope is one copy without delay.
    fn copies(&self, to: &PeerUrl, dispatch: &Dispatch) -> Vec<Duration>;
}
