//! The transport: an endpoint, a dialer, an accepting task, and the sessions that join them.

use crate::{
    BindError, IrohConfig, IrohSection, RelayStatus,
    accept::{Acceptor, accept_all},
    address::key_of,
    dial::QuicDialer,
    endpoint::{open, own_url},
    link::LinkConfig,
    own::OwnUrls,
    relay::follow,
};
use async_trait::async_trait;
use iroh::{Endpoint, RelayUrl};
use quorate_transport::{ConfigError, ConfigSections, PeerIdent, SendError, Sessions, TxImp, TxImpHnd};
use quorate_wire::{EncodedFrame, PeerUrl, SpaceId};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::watch, task::JoinHandle};

/// A [`TxImp`] over QUIC, in direct mode or through a relay.
///
/// Call [`close`](TxImp::close) (or `Transport::close`) before dropping it: peers then learn at once that it
/// is gone, and not by a timeout.
pub struct IrohTransport {
    own: OwnUrls,
    sessions: Sessions,
    endpoint: Endpoint,
    /// The relay in the config.
    relay: Option<RelayUrl>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl IrohTransport {
    /// Opens a socket and accepts peers from now on. Call it inside a tokio runtime with IO and time enabled.
    ///
    /// In relay mode it does not wait for the relay: [`TxImp::url`] is `None` until that has answered
    /// ([`online`](Self::online)), and whoever dials waits for it.
    pub async fn bind(config: IrohConfig, hnd: Arc<TxImpHnd>) -> Result<Arc<Self>, BindError> {
        config.validate()?;
        let endpoint = open(&config).await?;
        let direct = match own_url(&config, &endpoint) {
            Ok(url) => url,
            Err(error) => {
                endpoint.close().await;
                return Err(error);
            }
        };
        let relay = config.relay.clone().map(|relay| (relay, watch::Sender::new(RelayStatus::default())));
        let own = OwnUrls::new(direct, relay.as_ref().map(|(_, status)| status.subscribe()));
        let links = Arc::new(LinkConfig::new(hnd.config()));
        let dialer = QuicDialer {
            endpoint: endpoint.clone(),
            links: Arc::clone(&links),
            own: own.clone(),
            protocols: config.protocols,
            allow_plain_text: config.relay.as_ref().is_some_and(|relay| relay.allow_plain_text),
            connect_time: config.connect_time,
        };
        let sessions = Sessions::new(Arc::clone(&hnd), PeerIdent::Key(key_of(endpoint.id())), dialer)?;
        let acceptor =
            Acceptor { hnd: Arc::clone(&hnd), sessions: sessions.downgrade(), links, own: own.clone() };
        let accepting = accept_all(endpoint.clone(), Arc::new(acceptor), config.max_pending.get());
        let mut tasks = vec![tokio::spawn(accepting)];
        match (relay, own.advertised()) {
            (Some((relay, status)), _) => {
                tasks.push(tokio::spawn(follow(endpoint.clone(), relay, status, hnd)));
            }
            (None, Some(url)) => hnd.new_listening_address(&url).await,
            (None, None) => {}
        }
        let relay = config.relay.map(|relay| relay.url);
        Ok(Arc::new(Self { own, sessions, endpoint, relay, tasks: Mutex::new(tasks) }))
    }

    /// What is known about the way to the relay, now and as it changes. `None` in direct mode.
    pub fn relay_status(&self) -> Option<watch::Receiver<RelayStatus>> {
        self.own.relay().cloned()
    }

    /// Returns when peers can reach this node: at once in direct mode, else when there is a connection to the relay.
    ///
    /// There is no time limit: a relay that is not there, or does not want this node, is tried again and again.
    /// [`relay_status`](Self::relay_status) says why.
    pub async fn online(&self) {
        if let Some(mut relay) = self.relay_status() {
            // The sender ends with the endpoint; who waits for a closed transport waits for nothing.
            let _ = relay.wait_for(|relay| relay.connected).await;
        }
    }

    /// Where the socket is bound; not necessarily where peers reach it. `None` where there is none.
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
        self.own.advertised()
    }

    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.sessions.send(peer, frame).await
    }

    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.sessions.disconnect(peer, reason).await;
    }

    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.sessions)
    }

    /// Accepts a section that says nothing new. iroh stays connected to one relay, so a space cannot have another.
    async fn configure_for_space(&self, _: &SpaceId, config: &ConfigSections) -> Result<(), ConfigError> {
        config.read::<IrohSection>(IrohSection::SECTION)?.suits_space(self.relay.as_ref())
    }

    async fn close(&self) {
        self.sessions.close().await;
        self.endpoint.close().await;
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // They end with the endpoint.
            let _ = task.await;
        }
    }

    fn backend(&self) -> &str {
        "iroh"
    }
}

impl Drop for IrohTransport {
    fn drop(&mut self) {
        for task in self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl std::fmt::Debug for IrohTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IrohTransport").field("own", &self.own).finish_non_exhaustive()
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
