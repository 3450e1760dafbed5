//! What a channel is configured with: plain values, checked once at the border.

use crate::ids::ParticipantId;
use crate::rate_limit::RateLimitConfig;
use crate::sds::{Dialect, IncomingConfig, Profile, RepairConfig, SdsConfig, SyncConfig};
use crate::segment::ReassemblyLimits;
use quorate_base::{Backoff, Wall};
use std::collections::BTreeSet;
use std::time::Duration;

/// The largest segment that can be configured: with all that is added it stays below what a receiver
/// takes as one envelope.
pub const MAX_SEGMENT_BYTES: usize = 512 << 10;

/// Everything about a channel that its participants need not agree on.
///
/// The defaults suit a group of up to a hundred people on the open internet.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelConfig {
    /// The most bytes of one encoded segment, 256 to 524,288. Default 102,400 (100 KiB).
    pub segment_bytes: usize,
    /// Parity segments for a thousand data segments, 0 to 1,000, rounded up. 125 is 12.5 %: any eighth of a payload's
    /// segments may get lost without a repetition. Default 0: no parity.
    pub parity_permille: u16,
    /// Whose SDS messages are spoken: all participants of a channel speak one. Default [`Dialect::Lip`].
    pub dialect: Dialect,
    /// What they carry beside content and citations. Default [`Profile::Compact`].
    pub profile: Profile,
    /// Who has to acknowledge a message before it counts as delivered. Default [`AckPolicy::Any`].
    pub acks: AckPolicy,
    /// The distance of retransmissions. Default 500 ms to 30 s, half again as much each time; stretched where
    /// acknowledgements take longer than the first, and back to it where a participant acknowledges a later message.
    pub retransmit: Backoff,
    /// How long a send may take to leave, once the rate limit let it go. Default 60 s.
    pub dispatch_timeout: Duration,
    /// How long after it left a send is retransmitted. Default 10 minutes.
    ///
    /// So the delivery outcome of a send comes at most `dispatch_timeout + delivery_timeout` after the
    /// rate limit released its last segment.
    pub delivery_timeout: Duration,
    /// How many messages a message cites at least, where there are as many. Default 2 (LIP). With 0 it cites none:
    /// it is delivered without waiting for what this participant had received before it, and only each sender's own
    /// order holds. That suits an application whose messages do not answer one another.
    pub causal_history: usize,
    /// What a foreign citation of ours acknowledges: see [`SdsConfig::cited_past`]. Default no more than it names.
    pub cited_past: bool,
    /// How long a payload waits for a missing one that it follows. Default 2 minutes.
    pub lost_after: Duration,
    /// Whether messages from before this participant joined are missed. Default
    /// [`JoinPolicy::FromNow`].
    pub join: JoinPolicy,
    /// When sync messages are sent.
    pub sync: SyncConfig,
    /// When missing messages are asked for and given (SDS-R).
    pub repair: RepairConfig,
    /// The epoch rate limit. Off by default.
    pub rate_limit: RateLimitConfig,
    /// Envelopes handed to the messaging layer and not yet confirmed. Default 64.
    pub max_in_flight: usize,
    /// Segments not yet acknowledged; `send` is refused beyond it. Default 4,096.
    pub max_unacknowledged: usize,
    /// Bytes of incomplete and waiting payloads, in all, with what is kept beside them (256 bytes for each segment and
    /// some for what it follows). Default 128 MiB; one payload that others wait for may exceed it.
    pub max_receive_bytes: usize,
    /// The same for one sender. Default 64 MiB.
    pub max_receive_bytes_per_sender: usize,
    /// Incomplete payloads. Default 1,024.
    pub max_incomplete: usize,
    /// The same for one sender. Default 512.
    pub max_incomplete_per_sender: usize,
    /// How long an incomplete payload is kept after its last new segment. Default 5 minutes.
    pub reassembly_timeout: Duration,
    /// Participants remembered, each incarnation counted. Default 1,024.
    pub max_participants: usize,
    /// Events of a channel on a store that the application has not confirmed: beyond it no more sends and payloads are
    /// taken. Default 65,536.
    pub max_unconfirmed_events: usize,
    /// The same in bytes. Default 256 MiB.
    pub max_unconfirmed_bytes: usize,
}

/// Who has to acknowledge a message before it counts as delivered. Fixed when a channel opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AckPolicy {
    /// Anybody.
    Any,
    /// This many participants, at least 1.
    AtLeast(usize),
    /// Each of these, at least one.
    All(BTreeSet<ParticipantId>),
}

impl AckPolicy {
    /// Whether the acknowledgements of `acked` are enough.
    pub fn is_satisfied_by(&self, acked: &BTreeSet<ParticipantId>) -> bool {
        match self {
            Self::Any => !acked.is_empty(),
            Self::AtLeast(count) => acked.len() >= *count,
            Self::All(roster) => roster.is_subset(acked),
        }
    }

    /// How many others there are at least, by what it says.
    pub(crate) fn others(&self) -> usize {
        match self {
            Self::Any => 1,
            Self::AtLeast(count) => *count,
            Self::All(roster) => roster.len(),
        }
    }

    /// Whether an acknowledgement of `by` counts.
    pub fn counts(&self, by: &ParticipantId) -> bool {
        match self {
            Self::Any | Self::AtLeast(_) => true,
            Self::All(roster) => roster.contains(by),
        }
    }
}

/// Whether messages from before a participant joined are missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinPolicy {
    /// The past starts with what senders still send: what they settled before is not missed.
    FromNow,
    /// Everything since that time is missed until it arrives or is declared lost.
    Since(Wall),
}

/// A configuration that cannot work. The caller's fault; nothing was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is outside its range.
    #[error("`{field}` is {value}, the least is {least}")]
    TooSmall {
        /// The field.
        field: &'static str,
        /// Its value.
        value: usize,
        /// The smallest value that works.
        least: usize,
    },
    /// A number is outside its range.
    #[error("`{field}` is {value}, the most is {most}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// Its value.
        value: usize,
        /// The largest value that works.
        most: usize,
    },
    /// The filter's capacity or error rate is none that can be had.
    #[error("no such filter: 1 to 100,000 ids, an error rate that needs 1 to 12 hashes")]
    Filter,
    /// The policy names nobody, so nothing would ever be sent again.
    #[error("the acknowledgement policy asks for nobody")]
    NobodyAcknowledges,
    /// A duration that must not be zero is.
    #[error("`{0}` is zero")]
    Zero(&'static str),
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 102_400,
            parity_permille: 0,
            dialect: Dialect::Lip,
            profile: Profile::Compact,
            acks: AckPolicy::Any,
            retransmit: Backoff::new(Duration::from_millis(500), Duration::from_secs(30)).factor(1.5),
            dispatch_timeout: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(600),
            causal_history: 2,
            cited_past: false,
            lost_after: Duration::from_secs(120),
            join: JoinPolicy::FromNow,
            sync: SyncConfig::default(),
            repair: RepairConfig::default(),
            rate_limit: RateLimitConfig::default(),
            max_in_flight: 64,
            max_unacknowledged: 4_096,
            max_receive_bytes: 128 << 20,
            max_receive_bytes_per_sender: 64 << 20,
            max_incomplete: 1_024,
            max_incomplete_per_sender: 512,
            reassembly_timeout: Duration::from_secs(300),
            max_participants: 1_024,
            max_unconfirmed_events: 65_536,
            max_unconfirmed_bytes: 256 << 20,
        }
    }
}

impl ChannelConfig {
    /// The part of it that is the SDS machine's.
    pub fn sds(&self) -> SdsConfig {
        SdsConfig {
            dialect: self.dialect,
            profile: self.profile,
            causal_history: self.causal_history,
            cited_past: self.cited_past,
            acks: self.acks.clone(),
            retransmit: self.retransmit,
            void_lifetime: self.delivery_timeout,
            sync: self.sync,
            repair: self.repair,
            incoming: IncomingConfig {
                lost_after: self.lost_after,
                join: self.join,
                reassembly: self.reassembly(),
                max_participants: self.max_participants,
            },
        }
    }

    /// The bounds of what is incomplete or waits.
    pub(crate) const fn reassembly(&self) -> ReassemblyLimits {
        ReassemblyLimits {
            bytes: self.max_receive_bytes,
            bytes_per_sender: self.max_receive_bytes_per_sender,
            sets: self.max_incomplete,
            sets_per_sender: self.max_incomplete_per_sender,
            timeout: self.reassembly_timeout,
            evict: false,
        }
    }

    /// Checks every range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let least = [
            ("segment_bytes", self.segment_bytes, 256),
            ("max_in_flight", self.max_in_flight, 1),
            ("max_unacknowledged", self.max_unacknowledged, 1),
            ("max_receive_bytes", self.max_receive_bytes, self.segment_bytes),
            ("max_receive_bytes_per_sender", self.max_receive_bytes_per_sender, self.segment_bytes),
            ("max_incomplete", self.max_incomplete, 1),
            ("max_incomplete_per_sender", self.max_incomplete_per_sender, 1),
            ("max_participants", self.max_participants, 1),
            ("max_unconfirmed_events", self.max_unconfirmed_events, 1),
            ("max_unconfirmed_bytes", self.max_unconfirmed_bytes, 1),
        ];
        for (field, value, least) in least {
            if value < least {
                return Err(ConfigError::TooSmall { field, value, least });
            }
        }
        let most = [
            ("segment_bytes", self.segment_bytes, MAX_SEGMENT_BYTES),
            ("parity_permille", usize::from(self.parity_permille), 1_000),
        ];
        if let Some((field, value, most)) = most.into_iter().find(|(_, value, most)| value > most) {
            return Err(ConfigError::TooLarge { field, value, most });
        }
        self.sds().validate()?;
        let durations =
            [("dispatch_timeout", self.dispatch_timeout), ("delivery_timeout", self.delivery_timeout)];
        match durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            Some((field, _)) => Err(ConfigError::Zero(field)),
            None => self.rate_limit.validate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_nonsense_is_not() {
        assert_eq!(ChannelConfig::default().validate(), Ok(()));
        let nobody = ChannelConfig { acks: AckPolicy::All(BTreeSet::new()), ..ChannelConfig::default() };
        assert_eq!(nobody.validate(), Err(ConfigError::NobodyAcknowledges));
        let tiny = ChannelConfig { segment_bytes: 10, ..ChannelConfig::default() };
        assert!(matches!(tiny.validate(), Err(ConfigError::TooSmall { field: "segment_bytes", .. })));
        let hasty = ChannelConfig { delivery_timeout: Duration::ZERO, ..ChannelConfig::default() };
        assert_eq!(hasty.validate(), Err(ConfigError::Zero("delivery_timeout")));
    }
}
