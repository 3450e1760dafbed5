//! What one QUIC endpoint allows itself and its peers.
//!
//! The rule: limits on frames, queues and connections are the core's
//! ([`TransportConfig`](quorate_transport::TransportConfig)); here is only what QUIC adds.

use crate::{IrohConfigError, Protocol, Protocols, RelayConfig};
use iroh::SecretKey;
use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// The largest receive window that is allowed: a stream ends its connection when what has arrived of it has more than
/// 1,024 gaps (noq-proto 1.4), and so many packets can be lost from a larger window.
const MAX_WINDOW: u32 = 1 << 20;
/// The longest idle timeout that is allowed.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How an [`IrohTransport`](crate::IrohTransport) is bound.
///
/// The default is a node on this machine only, under a new key, for links of up to 250 Mbit/s and 30 ms. With a
/// [`relay`](Self::relay), and bound to all interfaces, it is a node on the internet.
#[derive(Debug, Clone)]
pub struct IrohConfig {
    /// Where to listen. Default `127.0.0.1:0`: loopback, a free port.
    pub bind_addr: SocketAddr,
    /// Where peers reach this node, if that is not where it listens. Port 0 stands for the port it got.
    ///
    /// Required where `bind_addr` is unspecified (`0.0.0.0`, `::`) and there is no relay. With a relay it is one more
    /// address at which peers try to find a direct path. Default: none.
    pub advertised_addr: Option<SocketAddr>,
    /// The key that this node proves. Default: none, a new one each time.
    pub secret_key: Option<SecretKey>,
    /// The relay through which this node is reached and reaches others. Default: none, direct mode.
    pub relay: Option<RelayConfig>,
    /// What is spoken. Default `quorate/1` alone.
    pub protocols: Protocols,
    /// How often an idle connection gives a sign of life. Default 5 s, as in Kitsune2; more is taken as 5 s on
    /// each network path.
    pub keep_alive: Duration,
    /// After how long without a sign of life a connection ends. Default 60 s, as in Kitsune2. A network path that is silent
    /// for 15 s is given up before, and with its last path the connection.
    pub idle_timeout: Duration,
    /// How long reaching a peer may take. Default 10 s. The core's `connect_time` holds too.
    pub connect_time: Duration,
    /// Peers that have connected and not yet introduced themselves, at the same time. More are turned away.
    /// Default 128. (For how long they may take is the core's `preflight_time`.)
    pub max_pending: NonZeroUsize,
    /// Bytes that a peer may send ahead of being read, which bounds its speed to this per round trip. Default
    /// 1 MiB, which is also the most: with more, a burst of lost packets would end the connection.
    pub receive_window: NonZeroU32,
}

impl IrohConfig {
    /// Whether the values fit together. [`IrohTransport::bind`](crate::IrohTransport::bind) calls it.
    pub fn validate(&self) -> Result<(), IrohConfigError> {
        let times = [("keep_alive", self.keep_alive), ("connect_time", self.connect_time)];
        if let Some((name, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(IrohConfigError::ZeroTime { name });
        }
        if self.idle_timeout <= self.keep_alive || self.idle_timeout > DAY {
            let (idle_timeout, keep_alive) = (self.idle_timeout, self.keep_alive);
            return Err(IrohConfigError::IdleTimeout { idle_timeout, keep_alive });
        }
        if self.receive_window.get() > MAX_WINDOW {
            return Err(IrohConfigError::ReceiveWindow { found: self.receive_window.get(), max: MAX_WINDOW });
        }
        match &self.relay {
            Some(relay) => relay.validate()?,
            None if self.protocols.contains(Protocol::Kitsune2) => return Err(IrohConfigError::NoRelay),
            None => {}
        }
        match self.advertised_addr {
            None if self.bind_addr.ip().is_unspecified() && self.relay.is_none() => {
                Err(IrohConfigError::NoAddress { bind_addr: self.bind_addr })
            }
            Some(addr) if addr.ip().is_unspecified() => Err(IrohConfigError::Unreachable { addr }),
            _ => Ok(()),
        }
    }
}

impl Default for IrohConfig {
    fn default() -> Self {
        Self {
            bind_addr: (Ipv4Addr::LOCALHOST, 0).into(),
            advertised_addr: None,
            secret_key: None,
            relay: None,
            protocols: Protocols::default(),
            keep_alive: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            connect_time: Duration::from_secs(10),
            max_pending: NonZeroUsize::MIN.saturating_add(127),
            receive_window: NonZeroU32::MIN.saturating_add(MAX_WINDOW - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_stays_on_this_machine() {
        let config = IrohConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert!(config.bind_addr.ip().is_loopback());
        assert_eq!((config.max_pending.get(), config.receive_window.get()), (128, 1 << 20));
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        let zero = IrohConfig { connect_time: Duration::ZERO, ..IrohConfig::default() };
        assert_eq!(zero.validate(), Err(IrohConfigError::ZeroTime { name: "connect_time" }));
        let idle = IrohConfig { idle_timeout: Duration::from_secs(5), ..IrohConfig::default() };
        assert!(matches!(idle.validate(), Err(IrohConfigError::IdleTimeout { .. })));
        let receive_window = NonZeroU32::MIN.saturating_add(1 << 20);
        let wide = IrohConfig { receive_window, ..IrohConfig::default() };
        let (found, max) = ((1 << 20) + 1, 1 << 20);
        assert_eq!(wide.validate(), Err(IrohConfigError::ReceiveWindow { found, max }));
    }

    #[test]
    fn a_node_on_all_interfaces_must_say_where_it_is_reached() {
        let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let config = IrohConfig { bind_addr: everywhere, ..IrohConfig::default() };
        assert_eq!(config.validate(), Err(IrohConfigError::NoAddress { bind_addr: everywhere }));
        let config = IrohConfig { advertised_addr: Some(everywhere), ..config };
        assert_eq!(config.validate(), Err(IrohConfigError::Unreachable { addr: everywhere }));
        let config = IrohConfig { advertised_addr: "192.0.2.1:0".parse().ok(), ..config };
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn with_a_relay_a_node_need_not_know_its_address() {
        let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let relay = Some(RelayConfig::new("https://relay.example".parse().unwrap()));
        let config = IrohConfig { bind_addr: everywhere, relay, ..IrohConfig::default() };
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn kitsune2_needs_a_relay() {
        for protocols in [Protocols::Kitsune2, Protocols::Both] {
            let config = IrohConfig { protocols, ..IrohConfig::default() };
            assert_eq!(config.validate(), Err(IrohConfigError::NoRelay));
            let relay = Some(RelayConfig::new("https://relay.example".parse().unwrap()));
            assert_eq!(IrohConfig { relay, ..config }.validate(), Ok(()));
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        let key = SecretKey::from_bytes(&[0xab; 32]);
        let text = format!("{:?}", IrohConfig { secret_key: Some(key), ..IrohConfig::default() });
        assert!(text.contains("SecretKey(..)") && !text.contains("171"), "{text}");
    }
}
