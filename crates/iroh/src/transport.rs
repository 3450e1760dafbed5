//! The transport: an endpoint, a dialer, an accepting task, and the sessions that join them.

use crate::{
    ALPN, BindError, IrohConfig, IrohConfigError,
    accept::{Acceptor, accept_all},
    address::{key_of, url_of},
    dial::QuicDialer,
    link::LinkConfig,
};
use async_trait::async_trait;
use iroh::{
    Endpoint, RelayMode,
    endpoint::{self, QuicTransportConfig, VarInt, presets},
};
use quorate_transport::{PeerIdent, SendError, Sessions, TxImp, TxImpHnd};
use quorate_wire::{EncodedFrame, PartialBudget, PeerUrl};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;

/// A path without any packet for so long is given up; iroh allows no more than 15 s.
const PATH_IDLE: Duration = Duration::from_secs(15);
/// iroh allows no longer intervals between signs of life on a path.
const PATH_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A [`TxImp`] over QUIC, in direct mode.
///
/// Call [`close`](TxImp::close) (or `Transport::close`) before dropping it: peers then learn at once that it
/// is gone, and not by a timeout.
pub struct IrohTransport {
    url: PeerUrl,
    sessions: Sessions,
    endpoint: Endpoint,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl IrohTransport {
    /// Opens a socket and accepts peers from now on. Call it inside a tokio runtime with IO and time enabled.
    pub async fn bind(config: IrohConfig, hnd: Arc<TxImpHnd>) -> Result<Arc<Self>, BindError> {
        config.validate()?;
        let endpoint = open(&config).await?;
        let url = match own_url(&config, &endpoint) {
            Ok(url) => url,
            Err(error) => {
                endpoint.close().await;
                return Err(error);
            }
        };
        let links = Arc::new(LinkConfig {
            url: url.clone(),
            limits: LinkConfig::limits(hnd.config()),
            budget: PartialBudget::new(config.partial_bytes),
            frame_time: config.frame_time,
            close_time: hnd.config().close_time,
        });
        let dialer = QuicDialer {
            endpoint: endpoint.clone(),
            links: Arc::clone(&links),
            connect_time: config.connect_time,
        };
        let sessions = Sessions::new(Arc::clone(&hnd), PeerIdent::Key(key_of(endpoint.id())), dialer)?;
        let acceptor = Acceptor { hnd: Arc::clone(&hnd), sessions: sessions.downgrade(), links };
        let accepting =
            tokio::spawn(accept_all(endpoint.clone(), Arc::new(acceptor), config.max_pending.get()));
        hnd.new_listening_address(&url).await;
        Ok(Arc::new(Self { url, sessions, endpoint, accepting: Mutex::new(Some(accepting)) }))
    }

    /// Where the socket is bound; not necessarily where peers reach it.
    pub fn bound_addr(&self) -> Option<SocketAddr> {
        self.endpoint.bound_sockets().first().copied()
    }

    /// What went over the socket so far.
    pub fn stats(&self) -> IrohStats {
        let socket = &self.endpoint.metrics().socket;
        IrohStats {
            sent_bytes: socket.send_ipv4.get() + socket.send_ipv6.get(),
            received_bytes: socket.recv_data_ipv4.get() + socket.recv_data_ipv6.get(),
            received_datagrams: socket.recv_datagrams.get(),
        }
    }
}

#[async_trait]
impl TxImp for IrohTransport {
    fn url(&self) -> Option<PeerUrl> {
        Some(self.url.clone())
    }

    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.sessions.send(peer, frame).await
    }

    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.sessions.disconnect(peer, reason).await;
    }

    async fn connect(&self, peer: &PeerUrl) -> Result<(), SendError> {
        self.sessions.connect(peer).await
    }

    async fn close(&self) {
        self.sessions.close().await;
        self.endpoint.close().await;
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(accepting) = accepting {
            // It ends with the endpoint.
            let _ = accepting.await;
        }
    }

    fn backend(&self) -> &str {
        "iroh"
    }
}

impl Drop for IrohTransport {
    fn drop(&mut self) {
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(accepting) = accepting {
            accepting.abort();
        }
    }
}

impl std::fmt::Debug for IrohTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IrohTransport").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a transport's socket counted since it was bound: everything, handshakes, acknowledgements and
/// repetitions included. The headers of UDP and IP are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IrohStats {
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Datagrams received.
    pub received_datagrams: u64,
}

/// An endpoint that reaches nobody but whom it is told to: no relay, no discovery, no DNS.
async fn open(config: &IrohConfig) -> Result<Endpoint, BindError> {
    let failed = |error: &dyn std::error::Error| BindError::Endpoint { reason: error.to_string() };
    let mut builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr(config.bind_addr)
        .map_err(|error| failed(&error))?
        .alpns(vec![ALPN.to_vec()])
        .transport_config(quic(config)?);
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

/// QUIC's own limits: one stream in each direction, no datagrams.
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

/// Where peers reach the endpoint.
fn own_url(config: &IrohConfig, endpoint: &Endpoint) -> Result<PeerUrl, BindError> {
    let bound = endpoint.bound_sockets().first().copied().unwrap_or(config.bind_addr);
    let mut addr = config.advertised_addr.unwrap_or(bound);
    if addr.port() == 0 {
        addr.set_port(bound.port());
    }
    Ok(url_of(addr, endpoint.id()).map_err(|_| IrohConfigError::Unreachable { addr })?)
}
