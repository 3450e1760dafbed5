//! Kitsune2's side: `TxImpHnd` and `DefaultTransport` as published, over a backend that only takes notes.

use crate::event::{Blob, Event, Log, Outcome, Who};
use crate::op::{MODULES, SPACES};
use crate::script::{Actor, Counts, No, Script, Side};
use bytes::Bytes;
use futures::executor::block_on;
use kitsune2_api::{
    BoxFut, DefaultTransport, DynTransport, K2Error, K2Proto, K2Result, SpaceId, Timestamp, TransportStats,
    TxBaseHandler, TxHandler, TxImp, TxImpHnd, TxModuleHandler, TxSpaceHandler, Url,
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, OnceLock, Weak},
};

pub(crate) struct Theirs {
    hnd: Arc<TxImpHnd>,
    transport: DynTransport,
    imp: Arc<Backend>,
    log: Log,
    script: Script,
}

impl Theirs {
    pub(crate) fn new(script: &Script) -> Self {
        let (log, script) = (Log::default(), script.clone());
        let handler = Actor { who: Who::Handler, log: log.clone(), script: script.clone() };
        let hnd = TxImpHnd::new(Arc::new(handler));
        let imp = Arc::new(Backend { log: log.clone(), ..Backend::default() });
        imp.hnd.set(Arc::downgrade(&hnd)).expect("set once");
        let transport = DefaultTransport::create(&hnd, imp.clone());
        Self { hnd, transport, imp, log, script }
    }

    /// Whether it is unusable for good: a lock is poisoned, and every call that takes it panics.
    pub(crate) fn is_bricked(&mut self) -> bool {
        let tx = self.transport.clone();
        caught(|| block_on(tx.unregister_space(space_id(4)))).is_err()
    }

    /// A connection that ours did not open is none in theirs either.
    pub(crate) fn forget(&mut self, connection: u32) {
        self.imp.connections.lock().unwrap().remove(&connection);
    }

    fn actor(&self, who: Who) -> Arc<Actor> {
        Arc::new(Actor { who, log: self.log.clone(), script: self.script.clone() })
    }
}

impl Side for Theirs {
    fn register_space(&mut self, space: u8, number: u32) -> Outcome {
        let handler = self.actor(Who::Space { space, number });
        match caught(|| self.transport.register_space_handler(space_id(space), handler)) {
            Ok(url) => Outcome::Url(url.map(|url| url.to_string())),
            Err(panicked) => panicked,
        }
    }

    fn register_module(&mut self, space: u8, module: u8, number: u32) -> Outcome {
        let handler = self.actor(Who::Module { space, module, number });
        let name = MODULES[usize::from(module)].to_owned();
        let done = caught(|| self.transport.register_module_handler(space_id(space), name, handler));
        done.map_or_else(|panicked| panicked, |()| Outcome::Ok)
    }

    fn unregister_space(&mut self, space: u8) {
        block_on(self.transport.unregister_space(space_id(space)));
    }

    /// Nobody checks whose URL it is.
    fn connect(&mut self, connection: u32, peer: &str, _spoofed: bool) -> Outcome {
        let outcome = match block_on(self.hnd.peer_connect(url(peer))) {
            Ok(preflight) => Outcome::Preflight(Blob(preflight)),
            Err(error) => outcome(&error),
        };
        if !outcome.is_error() {
            self.imp.connections.lock().unwrap().insert(connection, url(peer));
        }
        outcome
    }

    fn recv(&mut self, connection: u32, frame: Bytes) -> Outcome {
        let peer = self.imp.connections.lock().unwrap()[&connection].clone();
        match caught(|| block_on(self.hnd.recv_data(peer, frame))) {
            Ok(Ok(())) => Outcome::Ok,
            Ok(Err(error)) => outcome(&error),
            Err(panicked) => panicked,
        }
    }

    fn end(&mut self, connection: u32, reason: Option<&str>) {
        let peer = self.imp.connections.lock().unwrap().remove(&connection);
        if let Some(peer) = peer {
            self.hnd.peer_disconnect(peer, reason.map(str::to_owned));
        }
    }

    fn send_notify(&mut self, peer: &str, space: u8, data: Bytes) -> Outcome {
        sent(block_on(self.transport.send_space_notify(url(peer), space_id(space), data)))
    }

    fn send_module(&mut self, peer: &str, space: u8, module: u8, data: Bytes) -> Outcome {
        let module = MODULES[usize::from(module)].to_owned();
        sent(block_on(self.transport.send_module(url(peer), space_id(space), module, data)))
    }

    fn disconnect(&mut self, peer: &str, reason: Option<&str>) {
        block_on(self.transport.disconnect(url(peer), reason.map(str::to_owned)));
    }

    fn listening(&mut self, this: &str) {
        block_on(self.hnd.new_listening_address(url(this), None));
    }

    fn listening_for(&mut self, space: u8, this: &str) {
        block_on(self.hnd.new_listening_address(url(this), Some(&space_id(space))));
    }

    fn forget_address(&mut self, space: u8) {
        self.hnd.unmark_per_space_managed(&space_id(space));
    }

    fn unresponsive(&mut self, peer: &str, at_us: u64) {
        let when = Timestamp::from_micros(i64::try_from(at_us).expect("a time that fits"));
        block_on(self.hnd.set_unresponsive(url(peer), when)).expect("it never fails");
    }

    fn close(&mut self) {
        block_on(self.transport.close());
    }

    fn counts(&mut self) -> (Counts, (u32, u32)) {
        let stats = block_on(self.transport.dump_network_stats()).expect("the backend has stats");
        let mut counts = Counts::new();
        for (url, spaces) in stats.blocked_message_counts {
            for (space, count) in spaces {
                counts.insert((url.to_string(), space.to_vec()), (count.incoming, count.outgoing));
            }
        }
        (counts, (0, 0))
    }

    fn log(&self) -> &Log {
        &self.log
    }
}

fn url(text: &str) -> Url {
    Url::from_str(text).expect("a valid URL")
}

fn space_id(space: u8) -> SpaceId {
    SpaceId::from(Bytes::from_static(SPACES[usize::from(space)]))
}

fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Outcome> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Outcome::Panicked)
}

fn sent(result: K2Result<()>) -> Outcome {
    result.map_or_else(|error| outcome(&error), |()| Outcome::Ok)
}

/// There is one error for all; its words tell what happened.
fn outcome(error: &K2Error) -> Outcome {
    let K2Error::Other { ctx, .. } = error else { return Outcome::NoLocalAgents };
    match &**ctx {
        "refused" => Outcome::Refused,
        "Failed to decode K2Proto Message" => Outcome::Undecodable,
        "Received a message without space id." => Outcome::MissingSpace,
        "transport closed" => Outcome::Closed,
        other => match other.strip_prefix("Remote Disconnect: ") {
            Some(reason) => Outcome::Goodbye(reason.to_owned()),
            None => Outcome::Other(other.to_owned()),
        },
    }
}

impl From<No> for K2Error {
    fn from(_: No) -> Self {
        Self::other("refused")
    }
}

/// The transport below: it notes what it is told, and ends connections when asked.
#[derive(Debug, Default)]
struct Backend {
    hnd: OnceLock<Weak<TxImpHnd>>,
    connections: Mutex<BTreeMap<u32, Url>>,
    log: Log,
}

impl Backend {
    fn end_all(&self, of: Option<&Url>, reason: Option<&str>) {
        let hnd = self.hnd.get().and_then(Weak::upgrade).expect("the test holds it");
        let ended: Vec<Url> = {
            let mut connections = self.connections.lock().unwrap();
            let all = connections.extract_if(.., |_, peer| of.is_none_or(|url| url == peer));
            all.map(|(_, peer)| peer).collect()
        };
        for peer in ended {
            hnd.peer_disconnect(peer, reason.map(str::to_owned));
        }
    }
}

impl TxImp for Backend {
    fn url(&self) -> Option<Url> {
        Some(url("ws://here:80/us"))
    }

    fn disconnect(&self, peer: Url, payload: Option<(String, Bytes)>) -> BoxFut<'_, ()> {
        Box::pin(async move {
            let reason = payload.map(|(reason, frame)| {
                // What they would send says the same.
                let frame = K2Proto::decode(&frame).expect("their own frame");
                assert_eq!((frame.ty, &frame.data[..]), (15, reason.as_bytes()));
                reason
            });
            self.log.add(Event::Hangup { url: peer.to_string(), reason: reason.clone() });
            self.end_all(Some(&peer), reason.as_deref());
        })
    }

    fn send(&self, peer: Url, data: Bytes) -> BoxFut<'_, K2Result<()>> {
        Box::pin(async move {
            self.log.add(Event::Sent { url: peer.to_string(), bytes: Blob(data) });
            Ok(())
        })
    }

    fn get_connected_peers(&self) -> BoxFut<'_, K2Result<Vec<Url>>> {
        Box::pin(async { Ok(self.connections.lock().unwrap().values().cloned().collect()) })
    }

    fn dump_network_stats(&self) -> BoxFut<'_, K2Result<TransportStats>> {
        Box::pin(async {
            Ok(TransportStats { backend: "notes".into(), peer_urls: vec![], connections: vec![] })
        })
    }

    fn close(&self) -> BoxFut<'_, ()> {
        Box::pin(async {
            self.log.add(Event::Shut);
            self.end_all(None, Some("closing"));
        })
    }
}

impl TxBaseHandler for Actor {
    fn new_listening_address(&self, this_url: Url) -> BoxFut<'static, ()> {
        Actor::listening(self, this_url.as_str());
        Box::pin(async {})
    }

    fn peer_connect(&self, peer: Url) -> K2Result<()> {
        Ok(Actor::connect(self, peer.as_str())?)
    }

    fn peer_disconnect(&self, peer: Url, reason: Option<String>) {
        Actor::disconnect(self, peer.as_str(), reason.as_deref());
    }
}

impl TxHandler for Actor {
    fn preflight_gather_outgoing(&self, peer_url: Url) -> BoxFut<'_, K2Result<Bytes>> {
        Box::pin(async move { Ok(self.gather(peer_url.as_str())?) })
    }

    fn preflight_validate_incoming(&self, peer_url: Url, data: Bytes) -> BoxFut<'_, K2Result<()>> {
        Box::pin(async move { Ok(self.validate(peer_url.as_str(), data)?) })
    }

    fn has_local_agents(&self) -> BoxFut<'_, K2Result<bool>> {
        panic!("nothing calls the handler's: only those of the spaces count")
    }
}

impl TxSpaceHandler for Actor {
    fn recv_space_notify(&self, peer: Url, space_id: SpaceId, data: Bytes) -> K2Result<()> {
        self.check_space(&space_id);
        Ok(self.received(peer.as_str(), data)?)
    }

    fn set_unresponsive(&self, peer: Url, when: Timestamp) -> BoxFut<'_, K2Result<()>> {
        self.unresponsive(peer.as_str(), u64::try_from(when.as_micros()).expect("a time that fits"));
        // What it returns is swallowed.
        Box::pin(async { Err(K2Error::other("nobody reads this")) })
    }

    fn is_any_agent_at_url_blocked(&self, peer_url: &Url) -> K2Result<bool> {
        Ok(self.is_blocked(peer_url.as_str())?)
    }

    fn has_local_agents(&self) -> BoxFut<'_, K2Result<bool>> {
        Box::pin(async { Ok(self.has_agents()?) })
    }
}

impl TxModuleHandler for Actor {
    fn recv_module_msg(&self, peer: Url, space_id: SpaceId, module: String, data: Bytes) -> K2Result<()> {
        self.check_space(&space_id);
        assert!(matches!(self.who, Who::Module { module: own, .. } if MODULES[usize::from(own)] == module));
        Ok(self.received(peer.as_str(), data)?)
    }
}
