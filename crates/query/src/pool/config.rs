//! How long a pool remembers.

use quorate_base::Backoff;
use std::time::Duration;

/// How long nodes are left out, and for what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolConfig {
    /// How long a node is banned for its first lie; each further one doubles that. Default: 24 h.
    pub lie_ban: Duration,
    /// The longest ban. Default: 30 days.
    pub longest_ban: Duration,
    /// How long a node rests after trouble, one after the other. Default: 1 s to 5 min.
    pub trouble: Backoff,
    /// How long a signer is held to be offline, and within what time two nodes have to say so. Default: 1 h.
    pub offline: Duration,
    /// The latency that a node counts with until it was measured. Default: 50 ms.
    pub unmeasured: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            lie_ban: Duration::from_secs(DAY),
            longest_ban: Duration::from_secs(30 * DAY),
            trouble: Backoff::new(Duration::from_secs(1), Duration::from_secs(5 * 60)),
            offline: Duration::from_secs(60 * 60),
            unmeasured: Duration::from_millis(50),
        }
    }
}
