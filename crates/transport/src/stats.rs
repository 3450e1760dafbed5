//! What a transport counted, as values: for people, for `--json`, for dashboards.
//!
//! The rule: the names of the fields are those of Kitsune2 0.5 (seed), so that its tools read them;
//! what we count beyond stands beside them and may be missing in what is read.

use quorate_wire::{PeerUrl, SpaceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Messages between a peer and a space that the gate dropped. Each number stops at its maximum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageBlockCount {
    /// Messages from the peer.
    pub incoming: u32,
    /// Messages to the peer.
    pub outgoing: u32,
}

/// Everything a transport says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiTransportStats {
    /// The state of the network.
    pub transport_stats: TransportStats,
    /// Dropped messages by peer and space, since the last reset.
    pub blocked_message_counts: BTreeMap<PeerUrl, BTreeMap<SpaceId, MessageBlockCount>>,
    /// Dropped messages of all pairs beyond the configured number of entries.
    #[serde(default)]
    pub blocked_message_counts_other: MessageBlockCount,
    /// Sums over all connections, those that have ended included.
    #[serde(default)]
    pub totals: TransportTotals,
}

/// The state of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportStats {
    /// Which `TxImp` it is.
    pub backend: String,
    /// Where peers reach this node now.
    pub peer_urls: Vec<PeerUrl>,
    /// The connections that are ready now.
    pub connections: Vec<TransportConnectionStats>,
}

/// One connection. Frames and bytes are those on the wire: preflights and the link's own framing count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportConnectionStats {
    /// The peer's key as in its URL; the URL where the transport authenticates nobody.
    pub pub_key: String,
    /// Frames sent.
    pub send_message_count: u64,
    /// Bytes sent.
    pub send_bytes: u64,
    /// Frames received.
    pub recv_message_count: u64,
    /// Bytes received.
    pub recv_bytes: u64,
    /// When the connection was opened, in seconds since the Unix epoch.
    pub opened_at_s: u64,
    /// Whether bytes go to the peer without a relay.
    pub is_direct: bool,
}

/// Sums since the transport was made. They never shrink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TransportTotals {
    /// Connections that were announced to the handlers.
    pub connections_opened: u64,
    /// Of those, how many got past the preflights.
    pub connections_ready: u64,
    /// Of those that were opened, how many have ended.
    pub connections_ended: u64,
    /// Connections that a handler, the block list or a limit of this node refused.
    pub refused_here: u64,
    /// Of those, the ones refused because there were too many, in all or of one peer.
    pub refused_too_many: u64,
    /// Of those, the ones refused because the peer is blocked everywhere.
    pub refused_blocked: u64,
    /// Connections that the peer refused.
    pub refused_by_peer: u64,
    /// Frames sent.
    pub send_message_count: u64,
    /// Bytes sent.
    pub send_bytes: u64,
    /// Frames received.
    pub recv_message_count: u64,
    /// Bytes received.
    pub recv_bytes: u64,
    /// Frames that were accepted for a peer and never written, because its connection ended.
    pub dropped_unsent: u64,
    /// Frames of a kind that this version does not know, ignored.
    pub ignored_unknown_kind: u64,
    /// Messages for a space that has no handler here, dropped.
    pub dropped_unknown_space: u64,
    /// Messages for a module that has no handler here, dropped.
    pub dropped_unknown_module: u64,
    /// Times that a peer, or a space, was ahead of its rate and reading from a peer paused.
    pub slowed: u64,
    /// Times that a full `Inbox` made reading from a peer pause.
    pub inbox_waits: u64,
    /// Calls of a handler that panicked.
    pub handler_panics: u64,
    /// What peers did wrong.
    pub violations: ViolationCounts,
}

/// What peers did wrong, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ViolationCounts {
    /// The first frame was no preflight.
    pub not_preflight: u64,
    /// There was a second preflight.
    pub second_preflight: u64,
    /// A notify or module frame lacked its space.
    pub missing_space: u64,
    /// A module frame lacked its module.
    pub missing_module: u64,
    /// Bytes were no frame.
    pub undecodable: u64,
    /// Bytes did not follow the framing of the stream.
    pub framing: u64,
    /// A frame was larger than allowed.
    pub too_large: u64,
    /// A peer presented another's URL.
    pub spoofed_url: u64,
    /// The preflights took too long.
    pub preflight_timeout: u64,
    /// A frame was not finished in time.
    pub frame_timeout: u64,
    /// More came than the rate allows.
    pub too_fast: u64,
}

impl ViolationCounts {
    /// All of them together.
    pub const fn total(&self) -> u64 {
        let Self {
            not_preflight,
            second_preflight,
            missing_space,
            missing_module,
            undecodable,
            framing,
            too_large,
            spoofed_url,
            preflight_timeout,
            frame_timeout,
            too_fast,
        } = *self;
        not_preflight
            .saturating_add(second_preflight)
            .saturating_add(missing_space)
            .saturating_add(missing_module)
            .saturating_add(undecodable)
            .saturating_add(framing)
            .saturating_add(too_large)
            .saturating_add(spoofed_url)
            .saturating_add(preflight_timeout)
            .saturating_add(frame_timeout)
            .saturating_add(too_fast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_read_from_owned_text_and_without_our_own_fields() {
        let stats = ApiTransportStats {
            transport_stats: TransportStats { backend: "mem".into(), ..TransportStats::default() },
            blocked_message_counts: BTreeMap::from([(
                "mem://a:1/k".parse().unwrap(),
                BTreeMap::from([(
                    SpaceId::from_static(b"s"),
                    MessageBlockCount { incoming: 1, outgoing: 2 },
                )]),
            )]),
            ..ApiTransportStats::default()
        };
        let mut json = serde_json::to_value(&stats).unwrap();
        assert_eq!(serde_json::from_value::<ApiTransportStats>(json.clone()).unwrap(), stats);
        let object = json.as_object_mut().unwrap();
        object.remove("totals");
        object.remove("blocked_message_counts_other");
        assert_eq!(json["blocked_message_counts"]["mem://a:1/k"]["cw"]["outgoing"], 2);
        assert_eq!(serde_json::from_value::<ApiTransportStats>(json).unwrap(), stats);
    }
}
