//! The limits of a transport, in one plain struct.
//!
//! The rule: every table, queue, rate and wait of this crate is bounded by a number that stands here.

pub(crate) mod seconds;
mod sections;

pub use sections::ConfigSections;

use crate::Rate;
use serde::{Deserialize, Serialize};
use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// What a transport allows itself and its peers.
///
/// The defaults suit a node on the open internet with some hundred peers and 1 GiB of memory.
/// [`trusted`](Self::trusted) is for a network where every peer is known.
///
/// As JSON the names are in camel case, times are in seconds and end in `TimeoutS`, and what is missing has
/// its default: `{"maxFrameBytes": 1048576, "connectTimeoutS": 10}`. `maxFrameBytes` and `connectTimeoutS` are Kitsune2's
/// names. A name that is not known is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct TransportConfig {
    /// Connections at the same time, those that are being opened included. Default 1,024.
    pub max_connections: NonZeroUsize,
    /// Of those, how many one peer may have: two dials that cross, an old connection that is just being
    /// closed. Only one of them is ready in [`Sessions`](crate::Sessions). Default 4.
    pub max_connections_per_key: NonZeroUsize,
    /// How long reaching a peer may take, before the preflights. Default 60 s, as in Kitsune2.
    #[serde(rename = "connectTimeoutS", with = "seconds")]
    pub connect_time: Duration,
    /// How long the exchange of preflights may take, the application's share included. Default 10 s.
    #[serde(rename = "preflightTimeoutS", with = "seconds")]
    pub preflight_time: Duration,
    /// How long a polite close may take, the rest of the queue included. Default 2 s.
    #[serde(rename = "closeTimeoutS", with = "seconds")]
    pub close_time: Duration,
    /// How long a frame may take from its first byte to its last, where frames come in pieces. Default 60 s.
    #[serde(rename = "frameTimeoutS", with = "seconds")]
    pub frame_time: Duration,
    /// Bytes of frames that are unfinished or just handed over, all connections together, where frames come in
    /// pieces. At least a whole frame. Default 17 MiB.
    pub partial_bytes: NonZeroUsize,
    /// Bytes that may wait to be written to one peer, at least 1 KiB and below 2 GiB. Default 8 MiB.
    ///
    /// One frame that is larger than all of it may pass alone.
    pub queue_bytes: NonZeroUsize,
    /// The largest frame, either way, without the link's own framing. Default 16 MiB.
    pub max_frame_bytes: NonZeroUsize,
    /// The largest payload of a preflight, either way. Default 64 KiB: little for a stranger.
    pub max_preflight_bytes: NonZeroUsize,
    /// What may come from one peer, over all its spaces; `None` (JSON `null`) for any amount. Default
    /// 20,000 messages and 256 MiB a second, a second's worth of it at once.
    pub peer_rate: Option<Rate>,
    /// What may come to one space, from all peers. Default 200,000 messages and 1 GiB a second, a second's
    /// worth of it at once.
    ///
    /// Who sends to a space beyond its rate is slowed down, never disconnected: it may have done nothing wrong.
    pub space_rate: Option<Rate>,
    /// What happens to a peer that is faster than `peer_rate`. Default: it is slowed down.
    pub over_rate: OverRate,
    /// Pairs of peer and space whose blocked messages are counted apart. Default 4,096.
    ///
    /// What goes beyond is counted in one sum.
    pub block_count_entries: usize,
    /// Whether peers that proved no key may connect. Default false.
    pub allow_unauthenticated: bool,
}

/// What happens to a peer that sends faster than it may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverRate {
    /// Nothing more is read from it until it is within its rate again: its own link fills up, and its
    /// sends wait. Nothing is lost.
    #[default]
    Slow,
    /// [`PeerViolation::TooFast`](crate::PeerViolation::TooFast): its connection ends.
    Disconnect,
}

impl TransportConfig {
    /// Without rates: for peers that are known, on a network that can carry what they send.
    pub fn trusted() -> Self {
        Self { peer_rate: None, space_rate: None, ..Self::default() }
    }

    /// Whether the values fit together. Every constructor that takes a config calls it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let times = [
            ("connect_time", self.connect_time),
            ("preflight_time", self.preflight_time),
            ("close_time", self.close_time),
            ("frame_time", self.frame_time),
        ];
        if let Some((name, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::ZeroTime { name });
        }
        if !(1 << 10..1 << 31).contains(&self.queue_bytes.get()) {
            return Err(ConfigError::QueueBytes { found: self.queue_bytes.get() });
        }
        let frame = self.max_frame_bytes.max(self.max_preflight_bytes).get();
        if self.partial_bytes.get() < frame {
            return Err(ConfigError::PartialBytes { found: self.partial_bytes.get(), frame });
        }
        Ok(())
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        const fn number(value: usize) -> NonZeroUsize {
            NonZeroUsize::MIN.saturating_add(value - 1)
        }
        const fn rate(messages: u64, bytes: u64) -> Rate {
            Rate {
                messages_per_s: NonZeroU64::MIN.saturating_add(messages - 1),
                bytes_per_s: NonZeroU64::MIN.saturating_add(bytes - 1),
                burst: Duration::from_secs(1),
            }
        }
        Self {
            max_connections: number(1_024),
            max_connections_per_key: number(4),
            connect_time: Duration::from_secs(60),
            preflight_time: Duration::from_secs(10),
            close_time: Duration::from_secs(2),
            frame_time: Duration::from_secs(60),
            partial_bytes: number(17 << 20),
            queue_bytes: number(8 << 20),
            max_frame_bytes: number(16 << 20),
            max_preflight_bytes: number(64 << 10),
            peer_rate: Some(rate(20_000, 256 << 20)),
            space_rate: Some(rate(200_000, 1 << 30)),
            over_rate: OverRate::Slow,
            block_count_entries: 4_096,
            allow_unauthenticated: false,
        }
    }
}

/// Why a configuration cannot be used. The caller's fault; nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A time limit of zero would end everything at once.
    #[error("`{name}` must be longer than zero")]
    ZeroTime {
        /// The field.
        name: &'static str,
    },
    /// The queue is too small to be of use, or too large to be counted.
    #[error("`queue_bytes` must be at least 1 KiB and below 2 GiB, not {found}")]
    QueueBytes {
        /// The value found.
        found: usize,
    },
    /// No frame of the allowed size could ever arrive in pieces.
    #[error("`partial_bytes` is {found}, less than a frame of the allowed {frame} bytes")]
    PartialBytes {
        /// The value found.
        found: usize,
        /// The larger of `max_frame_bytes` and `max_preflight_bytes`.
        frame: usize,
    },
    /// One peer's part of an `Inbox` is larger than all of it.
    #[error("an inbox of {total} bytes has no room for the {peer} bytes of one peer")]
    InboxBytes {
        /// `peer_bytes`.
        peer: usize,
        /// `total_bytes`.
        total: usize,
    },
    /// The transport authenticates nobody, and `allow_unauthenticated` is not set.
    #[error("this transport authenticates nobody: set `allow_unauthenticated` to use it all the same")]
    Unauthenticated,
    /// This transport was closed.
    #[error("this transport was closed")]
    Closed,
    /// A section of a configuration file is not what it should be.
    #[error("the section `{name}` cannot be used: {reason}")]
    Section {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
