//! What the SDS machine is configured with, and the two profiles.

use super::{Dialect, FilterConfig, IncomingConfig, SyncConfig};
use crate::config::{AckPolicy, ConfigError, JoinPolicy};
use crate::segment::ReassemblyLimits;
use quorate_base::Backoff;
use std::time::Duration;

/// What messages carry beside content and citations. Stated when a channel opens, never guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Profile {
    /// Acknowledgement vectors, and no filter: for groups of Quorate peers.
    #[default]
    Compact,
    /// What foreign implementations need in addition: citations of the latest messages of the log with their senders, and Bloom
    /// filters on syncs and on some content messages.
    Interop {
        /// How large the filters are. In the dialect `Lip` all members must agree; `@waku/sds` has the default.
        filter: FilterConfig,
        /// Every how manyth content message carries a filter; at least 1.
        filter_every: u32,
    },
}

impl Profile {
    /// `Interop` with the filters of both published implementations, on every 16th content message.
    pub const INTEROP: Self =
        Self::Interop { filter: FilterConfig { capacity: 10_000, error_rate: 0.001 }, filter_every: 16 };
}

/// When repair is asked for and given (SDS-R).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairConfig {
    /// Whether there is any. Default yes.
    pub enabled: bool,
    /// The least time after which a missing message is asked for. Default 5 s (LIP: 30 s).
    pub t_min: Duration,
    /// The time within which it is asked for, and within which a request is answered. Default 30 s (LIP: 120 to 600 s).
    pub t_max: Duration,
    /// Into how many groups members are divided, of which one answers. Must be the same for all. Default 1.
    pub groups: u64,
    /// Missing messages and requests that are remembered, each. Default 1,000.
    pub max_entries: usize,
    /// Messages that are kept to answer requests. Default 4,096.
    pub max_messages: usize,
    /// Their bytes. Default 32 MiB.
    pub max_bytes: usize,
}

impl Default for RepairConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            t_min: Duration::from_secs(5),
            t_max: Duration::from_secs(30),
            groups: 1,
            max_entries: 1_000,
            max_messages: 4_096,
            max_bytes: 32 << 20,
        }
    }
}

/// Everything about the SDS machine that its participants need not agree on, but for dialect and filter.
#[derive(Debug, Clone, PartialEq)]
pub struct SdsConfig {
    /// Whose messages are spoken. Default `Lip`.
    pub dialect: Dialect,
    /// What they carry. Default `Compact`.
    pub profile: Profile,
    /// How many messages a message cites at least, where there are as many. Default 2 (LIP); at most 200.
    pub causal_history: usize,
    /// Whether a foreign participant that cites a message of ours has what that message cites of ours too. True of whoever delivers
    /// nothing before it has all that it follows (LIP), so short citations acknowledge more; not of one that delivers without what
    /// it gave up. Default no: a citation acknowledges exactly what it names.
    pub cited_past: bool,
    /// Who has to acknowledge a message before it is no more repeated. Default [`AckPolicy::Any`].
    pub acks: AckPolicy,
    /// The distance of retransmissions.
    pub retransmit: Backoff,
    /// How long numbers of sends that were undone are told. Default 10 minutes.
    pub void_lifetime: Duration,
    /// When sync messages are sent.
    pub sync: SyncConfig,
    /// When repair is asked for and given.
    pub repair: RepairConfig,
    /// The receiving side's bounds and deadlines.
    pub incoming: IncomingConfig,
}

/// The most messages that a message is made to cite.
const MAX_CAUSAL_HISTORY: usize = 200;

impl Default for SdsConfig {
    fn default() -> Self {
        Self {
            dialect: Dialect::Lip,
            profile: Profile::Compact,
            causal_history: 2,
            cited_past: false,
            acks: AckPolicy::Any,
            retransmit: Backoff::new(Duration::from_millis(500), Duration::from_secs(30)).factor(1.5),
            void_lifetime: Duration::from_secs(600),
            sync: SyncConfig::default(),
            repair: RepairConfig::default(),
            incoming: IncomingConfig {
                lost_after: Duration::from_secs(120),
                join: JoinPolicy::FromNow,
                reassembly: ReassemblyLimits {
                    bytes: 128 << 20,
                    bytes_per_sender: 64 << 20,
                    sets: 1_024,
                    sets_per_sender: 512,
                    timeout: Duration::from_secs(300),
                    evict: false,
                },
                max_participants: 1_024,
            },
        }
    }
}

impl SdsConfig {
    /// Checks every range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Profile::Interop { filter, filter_every } = self.profile {
            if !filter.is_valid() {
                return Err(ConfigError::Filter);
            }
            if filter_every == 0 {
                return Err(ConfigError::TooSmall { field: "profile.filter_every", value: 0, least: 1 });
            }
        }
        if self.causal_history > MAX_CAUSAL_HISTORY {
            let (field, value) = ("causal_history", self.causal_history);
            return Err(ConfigError::TooLarge { field, value, most: MAX_CAUSAL_HISTORY });
        }
        match &self.acks {
            AckPolicy::AtLeast(0) => return Err(ConfigError::NobodyAcknowledges),
            AckPolicy::All(roster) if roster.is_empty() => return Err(ConfigError::NobodyAcknowledges),
            _ => {}
        }
        let durations = [
            ("retransmit", self.retransmit.initial()),
            ("sync.ack_delay", self.sync.ack_delay),
            ("sync.idle", self.sync.idle.initial()),
            ("repair.t_min", self.repair.t_min),
        ];
        match durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            Some((field, _)) => Err(ConfigError::Zero(field)),
            None => Ok(()),
        }
    }
}
