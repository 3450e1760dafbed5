//! A real Kitsune2 node: the published iroh transport under the published core, built by its factory.

use super::{Event, Events, MODULE, Node, SPACE, Sent};
use async_trait::async_trait;
use bytes::Bytes;
use kitsune2_api::{
    BoxFut, DynTransport, K2Error, K2Result, SpaceId, Timestamp, TxBaseHandler, TxHandler, TxModuleHandler,
    TxSpaceHandler, Url,
};
use kitsune2_transport_iroh::{IrohTransportConfig, IrohTransportFactory, IrohTransportModConfig};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// A Kitsune2 node that is reached through a relay.
pub struct Theirs {
    transport: DynTransport,
    url: watch::Receiver<Option<Url>>,
    events: Events,
}

impl Theirs {
    /// Starts one, and waits until it has its URL.
    pub async fn start(relay: &str, events: Events) -> K2Result<Self> {
        let handler = Recording::new(events.clone());
        // All three are told of connections; one of them writes it down.
        let others =
            Arc::new(Recording { is_handler: false, events: events.clone(), url: handler.url.clone() });
        Self::start_with(relay, events, handler, others.clone(), others).await
    }

    /// The same, with other handlers of the space and the module.
    pub async fn start_with(
        relay: &str,
        events: Events,
        handler: Arc<Recording>,
        space: Arc<dyn TxSpaceHandler>,
        module: Arc<dyn TxModuleHandler>,
    ) -> K2Result<Self> {
        let builder = kitsune2_api::Builder {
            transport: IrohTransportFactory::create(),
            ..kitsune2_core::default_test_builder()
        };
        let builder = builder.with_default_config()?;
        let iroh_transport = IrohTransportConfig {
            relay_url: Some(relay.to_owned()),
            relay_allow_plain_text: true,
            ..IrohTransportConfig::default()
        };
        builder.config.set_module_config(&IrohTransportModConfig { iroh_transport })?;
        builder.validate_config()?;
        let builder = Arc::new(builder);
        let mut url = handler.url.subscribe();
        let transport = builder.transport.create(builder.clone(), handler).await?;
        transport.register_space_handler(space_id(), space);
        transport.register_module_handler(space_id(), MODULE.to_owned(), module);
        let known = tokio::time::timeout(Duration::from_secs(60), url.wait_for(Option::is_some)).await;
        known.map_err(|_| K2Error::other("no URL: the relay was not reached"))?.map_err(K2Error::other)?;
        Ok(Self { transport, url, events })
    }

    /// The transport itself.
    pub const fn transport(&self) -> &DynTransport {
        &self.transport
    }
}

/// The space's id, as they have it.
pub fn space_id() -> SpaceId {
    SpaceId::from(Bytes::from_static(SPACE))
}

fn peer_url(text: &str) -> Result<Url, String> {
    Url::from_str(text).map_err(|error| error.to_string())
}

#[async_trait]
impl Node for Theirs {
    fn kind(&self) -> &'static str {
        "Kitsune2"
    }

    fn url(&self) -> String {
        self.url.borrow().as_ref().map(ToString::to_string).unwrap_or_default()
    }

    async fn notify(&self, peer: &str, data: Bytes) -> Result<Sent, String> {
        let sent = self.transport.send_space_notify(peer_url(peer)?, space_id(), data).await;
        sent.map(|()| Sent::HandedOff).map_err(|error| error.to_string())
    }

    async fn module(&self, peer: &str, data: Bytes) -> Result<Sent, String> {
        let sent = self.transport.send_module(peer_url(peer)?, space_id(), MODULE.to_owned(), data).await;
        sent.map(|()| Sent::HandedOff).map_err(|error| error.to_string())
    }

    async fn disconnect(&self, peer: &str, reason: Option<&str>) {
        if let Ok(peer) = peer_url(peer) {
            self.transport.disconnect(peer, reason.map(str::to_owned)).await;
        }
    }

    async fn connected(&self) -> Vec<String> {
        let peers = self.transport.get_connected_peers().await.unwrap_or_default();
        peers.iter().map(ToString::to_string).collect()
    }

    async fn blocked(&self, peer: &str) -> (u32, u32) {
        let stats = self.transport.dump_network_stats().await.ok();
        let (Some(stats), Ok(peer)) = (stats, peer_url(peer)) else { return (0, 0) };
        let spaces = stats.blocked_message_counts.get(&peer);
        let count = spaces.and_then(|spaces| spaces.get(&space_id()));
        count.map_or((0, 0), |count| (count.incoming, count.outgoing))
    }

    async fn close(&self) {
        self.transport.close().await;
    }

    fn events(&self) -> &Events {
        &self.events
    }
}

/// Handlers that write everything down.
#[derive(Debug)]
pub struct Recording {
    is_handler: bool,
    events: Events,
    url: Arc<watch::Sender<Option<Url>>>,
}

impl Recording {
    /// For a node whose space and module have handlers of their own.
    pub fn new(events: Events) -> Arc<Self> {
        Arc::new(Self { is_handler: true, events, url: Arc::new(watch::Sender::new(None)) })
    }
}

impl TxBaseHandler for Recording {
    fn new_listening_address(&self, this_url: Url) -> BoxFut<'static, ()> {
        // Spaces are told, too: it is the same.
        self.url.send_replace(Some(this_url));
        Box::pin(async {})
    }

    fn peer_connect(&self, peer: Url) -> K2Result<()> {
        if self.is_handler {
            self.events.add(Event::Connect(peer.to_string()));
        }
        Ok(())
    }

    fn peer_disconnect(&self, peer: Url, reason: Option<String>) {
        if self.is_handler {
            self.events.add(Event::Disconnect(peer.to_string(), reason));
        }
    }
}

impl TxHandler for Recording {
    fn preflight_gather_outgoing(&self, _: Url) -> BoxFut<'_, K2Result<Bytes>> {
        Box::pin(async { Ok(self.events.preflight().await) })
    }

    fn preflight_validate_incoming(&self, peer: Url, data: Bytes) -> BoxFut<'_, K2Result<()>> {
        let agreed = self.events.judge(peer.as_str(), data);
        Box::pin(async move { if agreed { Ok(()) } else { Err(K2Error::other("not with you")) } })
    }
}

impl TxSpaceHandler for Recording {
    fn recv_space_notify(&self, peer: Url, _: SpaceId, data: Bytes) -> K2Result<()> {
        self.events.add(Event::Notify(peer.to_string(), data));
        Ok(())
    }

    fn set_unresponsive(&self, peer: Url, _: Timestamp) -> BoxFut<'_, K2Result<()>> {
        self.events.add(Event::Unresponsive(peer.to_string()));
        Box::pin(async { Ok(()) })
    }

    fn is_any_agent_at_url_blocked(&self, peer: &Url) -> K2Result<bool> {
        Ok(self.events.is_blocked(peer.as_str()))
    }
}

impl TxModuleHandler for Recording {
    fn recv_module_msg(&self, peer: Url, _: SpaceId, _: String, data: Bytes) -> K2Result<()> {
        self.events.add(Event::Module(peer.to_string(), data));
        Ok(())
    }
}
