//! Our side: `TxImpHnd` and `Transport`, over a `TxImp` that only takes notes.

use crate::event::{Blob, Event, Log, Outcome, Who};
use crate::op::{MODULES, SPACES};
use crate::script::{Actor, Counts, No, Script, Side};
use async_trait::async_trait;
use bytes::Bytes;
use futures::executor::block_on;
use quorate_base::Wall;
use quorate_transport::{
    AuthenticatedPeer, AwaitingPreflight, Direction, LocalAgents, OpenError, PeerKey, PeerViolation,
    PreflightError, Ready, RecvError, Refusal, RegisterError, SendError, SendOutcome, Side as Whose,
    Transport, TransportConfig, TxHandler, TxImp, TxImpHnd, TxModuleHandler, TxSpaceHandler,
};
use quorate_wire::{DecodeError, EncodedFrame, ModuleId, PeerUrl, SpaceId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

pub(crate) struct Ours {
    hnd: Arc<TxImpHnd>,
    transport: Transport,
    imp: Arc<Backend>,
    log: Log,
    script: Script,
}

impl Ours {
    pub(crate) fn new(script: &Script, block_count_entries: usize) -> Self {
        let (log, script) = (Log::default(), script.clone());
        let handler = Actor { who: Who::Handler, log: log.clone(), script: script.clone() };
        let config = TransportConfig { block_count_entries, ..TransportConfig::default() };
        let hnd = TxImpHnd::new(Arc::new(handler), config).expect("a valid config");
        let imp = Arc::new(Backend { log: log.clone(), connections: Mutex::default() });
        let transport = Transport::new(Arc::clone(&hnd), imp.clone());
        Self { hnd, transport, imp, log, script }
    }

    /// The peers whose connections are past the preflights.
    pub(crate) fn connected(&self) -> Vec<String> {
        self.transport.connected_peers().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn reset_counts(&mut self) {
        self.transport.reset_block_counts();
    }

    fn actor(&self, who: Who) -> Arc<Actor> {
        Arc::new(Actor { who, log: self.log.clone(), script: self.script.clone() })
    }
}

impl Side for Ours {
    fn register_space(&mut self, space: u8, number: u32) -> Outcome {
        let handler = self.actor(Who::Space { space, number });
        match self.transport.register_space_handler(space_id(space), handler) {
            Ok((registration, url)) => {
                registration.keep();
                Outcome::Url(url.map(|url| url.to_string()))
            }
            Err(RegisterError::Closed) => Outcome::Closed,
            Err(_) => Outcome::Duplicate,
        }
    }

    fn register_module(&mut self, space: u8, module: u8, number: u32) -> Outcome {
        let handler = self.actor(Who::Module { space, module, number });
        match self.transport.register_module_handler(space_id(space), module_id(module), handler) {
            Ok(registration) => {
                registration.keep();
                Outcome::Ok
            }
            Err(RegisterError::Closed) => Outcome::Closed,
            Err(_) => Outcome::Duplicate,
        }
    }

    fn unregister_space(&mut self, space: u8) {
        self.transport.unregister_space(&space_id(space));
    }

    fn connect(&mut self, connection: u32, peer: &str, spoofed: bool) -> Outcome {
        let key = if spoofed { Some("another".into()) } else { PeerKey::named_by(&url(peer)) };
        let peer = match AuthenticatedPeer::new(key.expect("the URL names a key"), url(peer)) {
            Ok(peer) => peer,
            Err(PeerViolation::SpoofedUrl { .. }) => return Outcome::SpoofedUrl,
            Err(error) => return Outcome::Other(error.to_string()),
        };
        match block_on(self.hnd.open(peer, Direction::Incoming, Wall::default())) {
            Ok(awaiting) => {
                let preflight = awaiting.preflight().to_bytes();
                self.imp.connections.lock().unwrap().insert(connection, Connection::Awaiting(awaiting));
                Outcome::Preflight(Blob(preflight))
            }
            Err(OpenError::Refused(_)) => Outcome::Refused,
            Err(OpenError::NoLocalAgentsDuringPreflight) => Outcome::NoLocalAgents,
            Err(OpenError::TooManyConnectionsOfPeer { .. }) => Outcome::TooManyOfPeer,
            Err(OpenError::HandlerPanicked) => Outcome::Panicked,
            Err(OpenError::Closed) => Outcome::Closed,
            Err(other) => Outcome::Other(other.to_string()),
        }
    }

    fn recv(&mut self, connection: u32, frame: Bytes) -> Outcome {
        // Not under the lock: a handler may end connections.
        let taken = self.imp.connections.lock().unwrap().remove(&connection);
        let (kept, outcome) = match taken {
            None => (None, Outcome::Ended),
            Some(Connection::Awaiting(awaiting)) => match block_on(awaiting.handle_preflight(frame)) {
                Ok(ready) => (Some(Connection::Ready(ready)), Outcome::Ok),
                Err(error) => (None, preflight_outcome(error)),
            },
            Some(Connection::Ready(mut ready)) => {
                let outcome = ready.recv(frame).map_or_else(recv_outcome, |()| Outcome::Ok);
                (Some(Connection::Ready(ready)), outcome)
            }
        };
        if let Some(kept) = kept {
            self.imp.connections.lock().unwrap().insert(connection, kept);
        }
        outcome
    }

    fn end(&mut self, connection: u32, reason: Option<&str>) {
        let ended = self.imp.connections.lock().unwrap().remove(&connection);
        if let Some(ended) = ended {
            ended.end(reason);
        }
    }

    fn send_notify(&mut self, peer: &str, space: u8, data: Bytes) -> Outcome {
        sent(block_on(self.transport.send_space_notify(&url(peer), &space_id(space), data)))
    }

    fn send_module(&mut self, peer: &str, space: u8, module: u8, data: Bytes) -> Outcome {
        let (space, module) = (space_id(space), module_id(module));
        sent(block_on(self.transport.send_module(&url(peer), &space, &module, data)))
    }

    fn disconnect(&mut self, peer: &str, reason: Option<&str>) {
        block_on(self.transport.disconnect(&url(peer), reason));
    }

    fn listening(&mut self, this: &str) {
        block_on(self.hnd.new_listening_address(&url(this)));
    }

    fn listening_for(&mut self, space: u8, this: &str) {
        block_on(self.hnd.new_listening_address_for(&space_id(space), &url(this)));
    }

    fn forget_address(&mut self, space: u8) {
        self.hnd.forget_listening_address_for(&space_id(space));
    }

    fn unresponsive(&mut self, peer: &str, at_us: u64) {
        block_on(self.hnd.set_unresponsive(&url(peer), Wall::from_unix(Duration::from_micros(at_us))));
    }

    fn close(&mut self) {
        block_on(self.transport.close());
    }

    fn counts(&mut self) -> (Counts, (u32, u32)) {
        let stats = self.transport.stats();
        let mut counts = Counts::new();
        for (url, spaces) in stats.blocked_message_counts {
            for (space, count) in spaces {
                counts.insert((url.to_string(), space.as_bytes().to_vec()), (count.incoming, count.outgoing));
            }
        }
        let other = stats.blocked_message_counts_other;
        (counts, (other.incoming, other.outgoing))
    }

    fn log(&self) -> &Log {
        &self.log
    }
}

fn url(text: &str) -> PeerUrl {
    text.parse().expect("a valid URL")
}

fn space_id(space: u8) -> SpaceId {
    SpaceId::from_static(SPACES[usize::from(space)])
}

fn module_id(module: u8) -> ModuleId {
    ModuleId::from_static(MODULES[usize::from(module)])
}

fn sent(result: Result<SendOutcome, SendError>) -> Outcome {
    match result {
        Ok(SendOutcome::HandedOff) => Outcome::Ok,
        Ok(SendOutcome::Blocked) => Outcome::Blocked,
        Err(SendError::UnknownSpace { .. }) => Outcome::UnknownSpace,
        Err(SendError::NoLocalAgents) => Outcome::NoLocalAgents,
        Err(SendError::Handler(_)) => Outcome::Refused,
        Err(SendError::HandlerPanicked) => Outcome::Panicked,
        Err(SendError::Closed) => Outcome::Closed,
        Err(other) => Outcome::Other(other.to_string()),
    }
}

fn preflight_outcome(error: PreflightError) -> Outcome {
    match error {
        PreflightError::Refused { by: Whose::Local, .. } => Outcome::Refused,
        PreflightError::Refused { by: Whose::Remote, reason } => Outcome::Goodbye(reason),
        PreflightError::Violation(violation) => violation_outcome(violation),
        PreflightError::HandlerPanicked => Outcome::Panicked,
        other => Outcome::Other(other.to_string()),
    }
}

fn recv_outcome(error: RecvError) -> Outcome {
    match error {
        RecvError::RemoteDisconnect { reason } => Outcome::Goodbye(reason),
        RecvError::Violation(violation) => violation_outcome(violation),
        RecvError::Refused(_) => Outcome::Refused,
        RecvError::HandlerPanicked => Outcome::Panicked,
        RecvError::Ended => Outcome::Ended,
        other => Outcome::Other(other.to_string()),
    }
}

fn violation_outcome(violation: PeerViolation) -> Outcome {
    match violation {
        PeerViolation::NotPreflight { .. } => Outcome::NotPreflight,
        PeerViolation::TooLarge { .. } => Outcome::TooLarge,
        PeerViolation::SecondPreflight => Outcome::SecondPreflight,
        PeerViolation::Frame(DecodeError::MissingSpace { .. }) => Outcome::MissingSpace,
        PeerViolation::Frame(DecodeError::MissingModule) => Outcome::MissingModule,
        PeerViolation::Frame(_) => Outcome::Undecodable,
        other => Outcome::Other(other.to_string()),
    }
}

enum Connection {
    Awaiting(AwaitingPreflight),
    Ready(Ready),
}

impl Connection {
    fn end(self, reason: Option<&str>) {
        match (self, reason) {
            (Self::Awaiting(awaiting), Some(reason)) => awaiting.disconnect(reason),
            (Self::Ready(ready), Some(reason)) => ready.disconnect(reason),
            (_, None) => {}
        }
    }

    fn url(&self) -> &PeerUrl {
        match self {
            Self::Awaiting(awaiting) => awaiting.peer().url(),
            Self::Ready(ready) => ready.peer().url(),
        }
    }
}

/// The transport below: it notes what it is told, and ends connections when asked.
struct Backend {
    connections: Mutex<BTreeMap<u32, Connection>>,
    log: Log,
}

impl Backend {
    fn end_all(&self, of: Option<&PeerUrl>, reason: Option<&str>) {
        let ended: Vec<Connection> = {
            let mut connections = self.connections.lock().unwrap();
            let all = connections.extract_if(.., |_, one| of.is_none_or(|url| url == one.url()));
            all.map(|(_, connection)| connection).collect()
        };
        ended.into_iter().for_each(|connection| connection.end(reason));
    }
}

#[async_trait]
impl TxImp for Backend {
    fn url(&self) -> Option<PeerUrl> {
        Some(url("ws://here:80/us"))
    }

    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.log.add(Event::Sent { url: peer.to_string(), bytes: Blob(frame.to_bytes()) });
        Ok(())
    }

    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.log.add(Event::Hangup { url: peer.to_string(), reason: reason.map(str::to_owned) });
        self.end_all(Some(peer), reason);
    }

    async fn close(&self) {
        self.log.add(Event::Shut);
        self.end_all(None, Some("closing"));
    }
}

impl From<No> for Refusal {
    fn from(_: No) -> Self {
        Self::new("refused")
    }
}

#[async_trait]
impl TxHandler for Actor {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.listening(this_url.as_str());
    }

    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        Ok(self.connect(peer.as_str())?)
    }

    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.disconnect(peer.as_str(), reason);
    }

    async fn preflight_gather_outgoing(&self, peer: &PeerUrl) -> Result<Bytes, Refusal> {
        Ok(self.gather(peer.as_str())?)
    }

    async fn preflight_validate_incoming(&self, peer: &PeerUrl, data: Bytes) -> Result<(), Refusal> {
        Ok(self.validate(peer.as_str(), data)?)
    }
}

#[async_trait]
impl TxSpaceHandler for Actor {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.listening(this_url.as_str());
    }

    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        Ok(self.connect(peer.as_str())?)
    }

    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.disconnect(peer.as_str(), reason);
    }

    fn recv_space_notify(&self, peer: &PeerUrl, space: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        self.check_space(space.as_bytes());
        Ok(self.received(peer.as_str(), data)?)
    }

    fn is_any_agent_at_url_blocked(&self, peer: &PeerUrl) -> Result<bool, Refusal> {
        Ok(self.is_blocked(peer.as_str())?)
    }

    async fn set_unresponsive(&self, peer: &PeerUrl, when: Wall) {
        let at = u64::try_from(when.unix().as_micros()).expect("a time that fits");
        self.unresponsive(peer.as_str(), at);
    }

    fn has_local_agents(&self) -> LocalAgents<'_> {
        self.has_agents().map_err(Refusal::from).into()
    }
}

#[async_trait]
impl TxModuleHandler for Actor {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.listening(this_url.as_str());
    }

    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        Ok(self.connect(peer.as_str())?)
    }

    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.disconnect(peer.as_str(), reason);
    }

    fn recv_module_msg(
        &self,
        peer: &PeerUrl,
        space: &SpaceId,
        module: &ModuleId,
        data: Bytes,
    ) -> Result<(), Refusal> {
        self.check_space(space.as_bytes());
        assert!(
            matches!(self.who, Who::Module { module: own, .. } if MODULES[usize::from(own)] == module.as_str())
        );
        Ok(self.received(peer.as_str(), data)?)
    }
}
