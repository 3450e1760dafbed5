//! Our node: `quorate-iroh` under `quorate-transport`, with Kitsune2's ALPN through the relay, or our own.

use super::{Event, Events, MODULE, Node, SPACE, Sent};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_iroh::{IrohConfig, IrohTransport, Protocols, RelayConfig, SecretKey};
use quorate_transport::{
    Refusal, SendOutcome, Transport, TransportConfig, TxHandler, TxImp, TxImpHnd, TxModuleHandler,
    TxSpaceHandler,
};
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::sync::Arc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A node of ours.
pub struct Ours {
    transport: Transport,
    events: Events,
}

impl Ours {
    /// One that speaks `kitsune2/0` through this relay, and waits until it has its URL.
    pub async fn start(relay: &str, events: Events) -> Result<Self, Failure> {
        let handler = Arc::new(Recording(events.clone()));
        Self::start_with(Some(relay), TransportConfig::default(), events, handler.clone(), handler).await
    }

    /// The same with a key that is larger than that of `peer`, or smaller.
    pub async fn start_beside(
        relay: &str,
        events: Events,
        peer: &str,
        larger: bool,
    ) -> Result<Self, Failure> {
        let theirs = peer.rsplit('/').next().unwrap_or_default();
        let keys = (0..=u8::MAX).map(|byte| SecretKey::from_bytes(&[byte; 32]));
        let fits = |key: &SecretKey| (*key.public().to_string() > *theirs) == larger;
        let secret_key = keys.into_iter().find(fits);
        let config = IrohConfig { secret_key, ..through(relay)? };
        let handler = Arc::new(Recording(events.clone()));
        Self::bind(config, TransportConfig::default(), events, handler.clone(), handler).await
    }

    /// The same without direct paths: everything goes through the relay.
    pub async fn start_hidden(relay: &str, events: Events) -> Result<Self, Failure> {
        let handler = Arc::new(Recording(events.clone()));
        let mut config = through(relay)?;
        if let Some(relay) = &mut config.relay {
            relay.direct_paths = false;
        }
        Self::bind(config, TransportConfig::default(), events, handler.clone(), handler).await
    }

    /// With other handlers of the space and the module; without a relay, `quorate/1` and direct.
    pub async fn start_with(
        relay: Option<&str>,
        limits: TransportConfig,
        events: Events,
        space: Arc<dyn TxSpaceHandler>,
        module: Arc<dyn TxModuleHandler>,
    ) -> Result<Self, Failure> {
        let config = relay.map_or_else(|| Ok(IrohConfig::default()), through)?;
        Self::bind(config, limits, events, space, module).await
    }

    async fn bind(
        config: IrohConfig,
        limits: TransportConfig,
        events: Events,
        space: Arc<dyn TxSpaceHandler>,
        module: Arc<dyn TxModuleHandler>,
    ) -> Result<Self, Failure> {
        let hnd = TxImpHnd::new(Arc::new(Recording(events.clone())), limits)?;
        let imp = IrohTransport::bind(config, Arc::clone(&hnd)).await?;
        imp.online().await;
        let transport = Transport::new(hnd, imp as Arc<dyn TxImp>);
        transport.register_space_handler(space_id(), space)?.0.keep();
        transport.register_module_handler(space_id(), module_id(), module)?.keep();
        Ok(Self { transport, events })
    }

    /// The transport itself.
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }
}

fn through(relay: &str) -> Result<IrohConfig, Failure> {
    let relay = RelayConfig { allow_plain_text: true, ..RelayConfig::new(relay.parse()?) };
    Ok(IrohConfig { relay: Some(relay), protocols: Protocols::Kitsune2, ..IrohConfig::default() })
}

/// The space's id, as we have it.
pub const fn space_id() -> SpaceId {
    SpaceId::from_static(SPACE)
}

/// The module's id.
pub const fn module_id() -> ModuleId {
    ModuleId::from_static(MODULE)
}

fn peer_url(text: &str) -> Result<PeerUrl, String> {
    text.parse().map_err(|error: quorate_wire::PeerUrlError| error.to_string())
}

const fn sent(outcome: SendOutcome) -> Sent {
    match outcome {
        SendOutcome::HandedOff => Sent::HandedOff,
        SendOutcome::Blocked => Sent::Blocked,
    }
}

#[async_trait]
impl Node for Ours {
    fn kind(&self) -> &'static str {
        "Quorate"
    }

    fn url(&self) -> String {
        self.transport.url().map(|url| url.to_string()).unwrap_or_default()
    }

    async fn notify(&self, peer: &str, data: Bytes) -> Result<Sent, String> {
        let outcome = self.transport.send_space_notify(&peer_url(peer)?, &space_id(), data).await;
        outcome.map(sent).map_err(|error| error.to_string())
    }

    async fn module(&self, peer: &str, data: Bytes) -> Result<Sent, String> {
        let outcome = self.transport.send_module(&peer_url(peer)?, &space_id(), &module_id(), data).await;
        outcome.map(sent).map_err(|error| error.to_string())
    }

    async fn disconnect(&self, peer: &str, reason: Option<&str>) {
        if let Ok(peer) = peer_url(peer) {
            self.transport.disconnect(&peer, reason).await;
        }
    }

    async fn connected(&self) -> Vec<String> {
        self.transport.connected_peers().iter().map(ToString::to_string).collect()
    }

    async fn blocked(&self, peer: &str) -> (u32, u32) {
        let stats = self.transport.stats();
        let Ok(peer) = peer_url(peer) else { return (0, 0) };
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
struct Recording(Events);

#[async_trait]
impl TxHandler for Recording {
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.0.add(Event::Connect(peer.to_string()));
        Ok(())
    }

    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.0.add(Event::Disconnect(peer.to_string(), reason.map(str::to_owned)));
    }

    async fn preflight_gather_outgoing(&self, _: &PeerUrl) -> Result<Bytes, Refusal> {
        Ok(self.0.preflight().await)
    }

    async fn preflight_validate_incoming(&self, peer: &PeerUrl, data: Bytes) -> Result<(), Refusal> {
        if self.0.judge(peer.as_str(), data) { Ok(()) } else { Err(Refusal::new("not with you")) }
    }
}

#[async_trait]
impl TxSpaceHandler for Recording {
    fn recv_space_notify(&self, peer: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        self.0.add(Event::Notify(peer.to_string(), data));
        Ok(())
    }

    fn is_any_agent_at_url_blocked(&self, peer: &PeerUrl) -> Result<bool, Refusal> {
        Ok(self.0.is_blocked(peer.as_str()))
    }

    async fn set_unresponsive(&self, peer: &PeerUrl, _: Wall) {
        self.0.add(Event::Unresponsive(peer.to_string()));
    }
}

#[async_trait]
impl TxModuleHandler for Recording {
    fn recv_module_msg(&self, peer: &PeerUrl, _: &SpaceId, _: &ModuleId, data: Bytes) -> Result<(), Refusal> {
        self.0.add(Event::Module(peer.to_string(), data));
        Ok(())
    }
}
