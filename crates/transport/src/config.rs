//! The limits of a transport, in one plain struct.
//!
//! The rule: every table, queue and wait of this crate is bounded by a number that stands here.

use std::{num::NonZeroUsize, time::Duration};

/// What a transport allows itself and its peers.
///
/// The defaults suit a node on the open internet with some hundred peers and 1 GiB of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportConfig {
    /// Connections at the same time, those that are being opened included. Default 1,024.
    pub max_connections: NonZeroUsize,
    /// How long reaching a peer may take, before the preflights. Default 60 s, as in Kitsune2.
    pub connect_time: Duration,
    /// How long the exchange of preflights may take, the application's share included. Default 10 s.
    pub preflight_time: Duration,
    /// How long a polite close may take, the rest of the queue included. Default 2 s.
    pub close_time: Duration,
    /// Bytes that may wait to be written to one peer, at least 1 KiB and below 2 GiB. Default 8 MiB.
    ///
    /// One frame that is larger than all of it may pass alone.
    pub queue_bytes: NonZeroUsize,
    /// The largest frame, either way, without the link's own framing. Default 16 MiB.
    pub max_frame_bytes: NonZeroUsize,
    /// The largest payload of a preflight, either way. Default 64 KiB: little for a stranger.
    pub max_preflight_bytes: NonZeroUsize,
    /// Pairs of peer and space whose blocked messages are counted apart. Default 4,096.
    ///
    /// What goes beyond is counted in one sum.
    pub block_count_entries: usize,
    /// Whether peers that proved no key may connect. Default false.
    pub allow_unauthenticated: bool,
}

impl TransportConfig {
    /// Whether the values fit together. Every constructor that takes a config calls it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let times = [
            ("connect_time", self.connect_time),
            ("preflight_time", self.preflight_time),
            ("close_time", self.close_time),
        ];
        if let Some((name, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::ZeroTime { name });
        }
        if !(1 << 10..1 << 31).contains(&self.queue_bytes.get()) {
            return Err(ConfigError::QueueBytes { found: self.queue_bytes.get() });
        }
        Ok(())
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        const fn number(value: usize) -> NonZeroUsize {
            NonZeroUsize::MIN.saturating_add(value - 1)
        }
        Self {
            max_connections: number(1_024),
            connect_time: Duration::from_secs(60),
            preflight_time: Duration::from_secs(10),
            close_time: Duration::from_secs(2),
            queue_bytes: number(8 << 20),
            max_frame_bytes: number(16 << 20),
            max_preflight_bytes: number(64 << 10),
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
    /// The transport authenticates nobody, and `allow_unauthenticated` is not set.
    #[error("this transport authenticates nobody: set `allow_unauthenticated` to use it all the same")]
    Unauthenticated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_authenticates() {
        let config = TransportConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!((config.max_connections.get(), config.queue_bytes.get()), (1_024, 8 << 20));
        assert!(!config.allow_unauthenticated);
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        let zero = TransportConfig { preflight_time: Duration::ZERO, ..TransportConfig::default() };
        assert_eq!(zero.validate(), Err(ConfigError::ZeroTime { name: "preflight_time" }));
        for found in [1, 1_023, 1 << 31] {
            let queue_bytes = NonZeroUsize::new(found).unwrap();
            let config = TransportConfig { queue_bytes, ..TransportConfig::default() };
            assert_eq!(config.validate(), Err(ConfigError::QueueBytes { found }));
        }
    }
}
