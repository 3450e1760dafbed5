//! The QUIC endpoint: which sockets, which limits, and whom it asks for anything.
//!
//! The rule: it talks to the peers that it is told to talk to and, in relay mode, to the relay in the config;
//! no discovery, no port mapper, no public relay, no public name server.

use crate::{BindError, IrohConfig, IrohConfigError, address::direct_url};
use iroh::{
    Endpoint, NetReportConfig, RelayMode,
    dns::DnsResolver,
    endpoint::{self, Builder, QuicTransportConfig, VarInt, presets},
};
use quorate_wire::PeerUrl;
use std::{io, time::Duration};

/// A path without any packet for so long is given up; iroh allows no more than 15 s.
const PATH_IDLE: Duration = Duration::from_secs(15);
/// iroh allows no longer intervals between signs of life on a path.
const PATH_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Opens the socket.
pub(crate) async fn open(config: &IrohConfig) -> Result<Endpoint, BindError> {
    let mut builder = Endpoint::builder(presets::Minimal)
        .clear_ip_transports()
        // The name of a relay is asked of the system's name servers and of no others.
        .dns_resolver(DnsResolver::builder().with_system_defaults().disable_fallback().build())
        .alpns(config.protocols.alpns())
        .transport_config(quic(config)?);
    builder = match &config.relay {
        None => builder.relay_mode(RelayMode::Disabled),
        Some(relay) => {
            let mut report = NetReportConfig::default();
            report.captive_portal_check = false;
            builder.relay_mode(RelayMode::Custom(relay.map())).net_report_config(report)
        }
    };
    if has_socket(config) {
        builder = with_socket(builder, config)?;
    }
    if let Some(key) = &config.secret_key {
        builder = builder.secret_key(key.clone());
    }
    builder.bind().await.map_err(|error| match error {
        endpoint::BindError::Sockets { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            BindError::AddrInUse { addr: config.bind_addr }
        }
        endpoint::BindError::Sockets { source, .. } => BindError::Socket { addr: config.bind_addr, source },
        other => failed(&other),
    })
}

/// Where peers reach the endpoint by its own address. `None`: in relay mode, bound to all interfaces.
pub(crate) fn own_url(config: &IrohConfig, endpoint: &Endpoint) -> Result<Option<PeerUrl>, BindError> {
    if !has_socket(config) {
        return Ok(None);
    }
    let bound = endpoint.bound_sockets().first().copied().unwrap_or(config.bind_addr);
    let mut addr = config.advertised_addr.unwrap_or(bound);
    if addr.port() == 0 {
        addr.set_port(bound.port());
    }
    if addr.ip().is_unspecified() {
        return Ok(None);
    }
    Ok(Some(direct_url(addr, endpoint.id()).map_err(|_| IrohConfigError::Unreachable { addr })?))
}

/// Whether there is a UDP socket. A node that hides its addresses behind a relay needs none.
fn has_socket(config: &IrohConfig) -> bool {
    config.relay.as_ref().is_none_or(|relay| relay.direct_paths)
}

fn with_socket(builder: Builder, config: &IrohConfig) -> Result<Builder, BindError> {
    let builder = builder.bind_addr(config.bind_addr).map_err(|error| failed(&error))?;
    Ok(match config.advertised_addr {
        Some(addr) if config.relay.is_some() && addr.port() != 0 => builder.external_addr(addr),
        _ => builder,
    })
}

/// QUIC's own limits: one stream in each direction at a time, no datagrams.
fn quic(config: &IrohConfig) -> Result<QuicTransportConfig, BindError> {
    let idle = config.idle_timeout.try_into().map_err(|_| IrohConfigError::IdleTimeout {
        idle_timeout: config.idle_timeout,
        keep_alive: config.keep_alive,
    })?;
    let window = VarInt::from_u32(config.receive_window.get());
    Ok(QuicTransportConfig::builder()
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(window)
        .receive_window(window)
        .keep_alive_interval(config.keep_alive)
        .default_path_keep_alive_interval(config.keep_alive.min(PATH_KEEP_ALIVE))
        .max_idle_timeout(Some(idle))
        .default_path_max_idle_timeout(config.idle_timeout.min(PATH_IDLE))
        .build())
}

fn failed(error: &dyn std::error::Error) -> BindError {
    BindError::Endpoint { reason: error.to_string() }
}
