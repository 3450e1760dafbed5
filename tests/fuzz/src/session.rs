//! Operations on a transport's core, in any order: what the handlers are told must be what happened.

use async_trait::async_trait;
use bytes::Bytes;
use quorate_base::{Mono, Wall};
use quorate_transport::{
    AuthenticatedPeer, AwaitingPreflight, BlockList, Direction, LocalAgents, ModuleRegistration, OpenError,
    Ready, RecvError, Refusal, Rule, SendError, SendOutcome, SpaceRegistration, Subject, Transport,
    TransportConfig, TxHandler, TxImp, TxImpHnd, TxModuleHandler, TxSpaceHandler, Verdict,
};
use quorate_wire::{EncodedFrame, Frame, ModuleId, PeerUrl, SpaceId};
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

const PEERS: usize = 4;
const SPACES: usize = 2;
const MODULE: ModuleId = ModuleId::from_static("module");
const MAX: usize = 5;
const MAX_OF_PEER: usize = 2;

/// Each operation is two bytes, a number and an argument; a raw frame takes as many more as its argument says.
pub fn session(input: &[u8]) {
    let mut world = World::new();
    let mut rest = input;
    while let [operation, argument, tail @ ..] = rest {
        rest = tail;
        if operation % 16 == 15 {
            let (raw, tail) = tail.split_at(usize::from(*argument).min(tail.len()));
            rest = tail;
            world.receive(0, Bytes::copy_from_slice(raw));
        } else {
            world.step(operation % 16, usize::from(*argument));
        }
        world.check();
    }
    world.links.clear();
    world.check();
}

/// What the handlers heard, and how they answer.
#[derive(Default)]
struct Ear {
    /// Connections that the transport's handler believes in, by peer.
    open: Mutex<BTreeMap<PeerUrl, u64>>,
    delivered: AtomicU64,
    refuses: AtomicBool,
    blocks: AtomicBool,
    nobody_home: AtomicBool,
}

impl Ear {
    fn answer(&self) -> Result<(), Refusal> {
        if self.refuses.load(Relaxed) { Err(Refusal::new("no")) } else { Ok(()) }
    }

    fn hear(&self) -> Result<(), Refusal> {
        self.delivered.fetch_add(1, Relaxed);
        self.answer()
    }
}

#[async_trait]
impl TxHandler for Ear {
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.answer()?;
        *self.open.lock().unwrap_or_else(PoisonError::into_inner).entry(peer.clone()).or_default() += 1;
        Ok(())
    }
    fn peer_disconnect(&self, peer: &PeerUrl, _: Option<&str>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get_mut(peer).expect("an end has a beginning");
        *count = count.checked_sub(1).expect("an end is told once");
    }
    async fn preflight_validate_incoming(&self, _: &PeerUrl, _: Bytes) -> Result<(), Refusal> {
        self.answer()
    }
}

#[async_trait]
impl TxSpaceHandler for Ear {
    fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, _: Bytes) -> Result<(), Refusal> {
        self.hear()
    }
    fn is_any_agent_at_url_blocked(&self, _: &PeerUrl) -> Result<bool, Refusal> {
        Ok(self.blocks.load(Relaxed))
    }
    fn has_local_agents(&self) -> LocalAgents<'_> {
        let answer = !self.nobody_home.load(Relaxed);
        if answer { answer.into() } else { LocalAgents::later(async move { Ok(answer) }) }
    }
}

impl TxModuleHandler for Ear {
    fn recv_module_msg(&self, _: &PeerUrl, _: &SpaceId, _: &ModuleId, _: Bytes) -> Result<(), Refusal> {
        self.hear()
    }
}

/// Takes everything and sends nothing.
struct Sink;

#[async_trait]
impl TxImp for Sink {
    fn url(&self) -> Option<PeerUrl> {
        None
    }
    async fn send(&self, _: &PeerUrl, _: EncodedFrame) -> Result<(), SendError> {
        Ok(())
    }
    async fn disconnect(&self, _: &PeerUrl, _: Option<&str>) {}
}

/// A connection as the test holds it.
enum Link {
    Awaiting(AwaitingPreflight),
    Ready(Ready),
    /// A frame ended it, and it has not been dropped yet.
    Ended(Ready),
}

struct World {
    ear: Arc<Ear>,
    hnd: Arc<TxImpHnd>,
    transport: Transport,
    list: Arc<BlockList>,
    links: Vec<(usize, Link)>,
    spaces: [Option<SpaceRegistration>; SPACES],
    modules: [Option<ModuleRegistration>; SPACES],
    closed: bool,
    now: Duration,
}

impl World {
    fn new() -> Self {
        let (ear, list) = (Arc::new(Ear::default()), Arc::new(BlockList::new(Verdict::Allow, Wall::default)));
        let number = |value| NonZeroUsize::new(value).expect("it is not zero");
        let config = TransportConfig {
            max_connections: number(MAX),
            max_connections_per_key: number(MAX_OF_PEER),
            max_frame_bytes: number(200),
            max_preflight_bytes: number(100),
            block_count_entries: 3,
            ..TransportConfig::default()
        };
        let hnd = TxImpHnd::with_block_list(ear.clone(), config, list.clone()).expect("the config is valid");
        let transport = Transport::new(hnd.clone(), Arc::new(Sink));
        let (links, spaces, modules) = (Vec::new(), [None, None], [None, None]);
        Self { ear, hnd, transport, list, links, spaces, modules, closed: false, now: Duration::ZERO }
    }

    fn step(&mut self, operation: u8, argument: usize) {
        let (peer, space) = (argument % PEERS, argument / PEERS % SPACES);
        match operation {
            0 => self.open(peer),
            1 => self
                .receive(argument, Frame::Preflight { data: vec![0; argument].into() }.encode().to_bytes()),
            2 => self.receive(argument, notify(space, argument)),
            3 => self.receive(argument, module(space, argument)),
            4 => self.receive(argument, Frame::Disconnect { reason: "bye".into() }.encode().to_bytes()),
            5 => self.drop_link(argument),
            6 => self.register(space),
            7 => self.spaces[space] = None,
            8 => self.modules[space] = None,
            9 => self.rule(peer, argument),
            10 => flip(&self.ear.refuses),
            11 => flip(&self.ear.blocks),
            12 => flip(&self.ear.nobody_home),
            13 => self.send(peer, space),
            _ => self.charge_or_close(argument),
        }
    }

    fn open(&mut self, peer: usize) {
        let of_peer = self.links.iter().filter(|(of, _)| *of == peer).count();
        let who = AuthenticatedPeer::vouched(url(peer));
        match at_once(self.hnd.open(who, Direction::Incoming, Wall::default())) {
            Ok(awaiting) => {
                assert!(!self.closed && self.links.len() < MAX && of_peer < MAX_OF_PEER);
                assert!(!self.list.is_blocked(&url(peer), None) && !self.ear.refuses.load(Relaxed));
                self.links.push((peer, Link::Awaiting(awaiting)));
            }
            Err(OpenError::TooManyConnections { .. }) => assert_eq!(self.links.len(), MAX),
            Err(OpenError::TooManyConnectionsOfPeer { .. }) => assert_eq!(of_peer, MAX_OF_PEER),
            Err(OpenError::Closed) => assert!(self.closed),
            Err(OpenError::Blocked) => assert!(self.list.is_blocked(&url(peer), None)),
            Err(OpenError::Refused(_)) => assert!(self.ear.refuses.load(Relaxed)),
            Err(OpenError::NoLocalAgentsDuringPreflight) => {
                assert!(self.ear.nobody_home.load(Relaxed) && self.spaces.iter().any(Option::is_some));
            }
            Err(other) => unreachable!("nothing was done that fails like this: {other}"),
        }
    }

    fn receive(&mut self, which: usize, frame: Bytes) {
        if self.links.is_empty() {
            return;
        }
        let at = which % self.links.len();
        let (peer, link) = self.links.swap_remove(at);
        let before = self.ear.delivered.load(Relaxed);
        let link = match link {
            Link::Awaiting(awaiting) => {
                let is_preflight = matches!(Frame::decode(frame.clone()), Ok(Frame::Preflight { .. }));
                let judged = at_once(awaiting.handle_preflight(frame));
                assert_eq!(self.ear.delivered.load(Relaxed), before, "nothing comes before the preflight");
                judged.ok().inspect(|_| assert!(is_preflight)).map(Link::Ready)
            }
            Link::Ready(mut ready) => {
                let allowed = self.may_pass(peer, &frame);
                let received = ready.recv(frame);
                let delivered = self.ear.delivered.load(Relaxed) - before;
                assert!(
                    delivered <= u64::from(allowed),
                    "what is blocked, unknown or broken is never delivered"
                );
                assert!(received.is_err() || delivered == u64::from(allowed), "what may pass is delivered");
                Some(if received.is_ok() { Link::Ready(ready) } else { Link::Ended(ready) })
            }
            Link::Ended(mut ready) => {
                assert_eq!(ready.recv(frame), Err(RecvError::Ended));
                assert_eq!(self.ear.delivered.load(Relaxed), before);
                Some(Link::Ended(ready))
            }
        };
        self.links.extend(link.map(|link| (peer, link)));
    }

    /// Whether a handler has to hear of this frame.
    fn may_pass(&self, peer: usize, frame: &Bytes) -> bool {
        if frame.len() > 200 || self.closed || self.ear.blocks.load(Relaxed) {
            return false;
        }
        let (space, to_module) = match Frame::decode(frame.clone()) {
            Ok(Frame::Notify { space, .. }) => (space, None),
            Ok(Frame::Module { space, module, .. }) => (space, Some(module)),
            _ => return false,
        };
        let Some(number) = (0..SPACES).find(|number| id(*number) == space) else { return false };
        let listens = match to_module {
            None => true,
            Some(module) => module == MODULE && self.modules[number].is_some(),
        };
        listens && self.spaces[number].is_some() && !self.list.is_blocked(&url(peer), Some(&space))
    }

    fn drop_link(&mut self, which: usize) {
        if self.links.is_empty() {
            return;
        }
        match self.links.swap_remove(which % self.links.len()).1 {
            Link::Awaiting(awaiting) if which.is_multiple_of(2) => awaiting.disconnect("reason"),
            Link::Ready(ready) if which.is_multiple_of(2) => ready.disconnect("reason"),
            link => drop(link),
        }
    }

    fn register(&mut self, space: usize) {
        let registered = self.transport.register_space_handler(id(space), self.ear.clone());
        assert_eq!(registered.is_ok(), !self.closed && self.spaces[space].is_none());
        if let Ok((registration, _)) = registered {
            self.spaces[space] = Some(registration);
        }
        let registered = self.transport.register_module_handler(id(space), MODULE, self.ear.clone());
        assert_eq!(registered.is_ok(), !self.closed && self.modules[space].is_none());
        if let Ok(registration) = registered {
            self.modules[space] = Some(registration);
        }
    }

    fn rule(&self, peer: usize, argument: usize) {
        let subject = Subject::peer(&url(peer));
        let space = (argument & 64 != 0).then(|| id(argument / PEERS % SPACES));
        if argument & 128 != 0 {
            self.list.remove(&subject, space.as_ref()).expect("there is no store to fail");
        } else {
            let rule = Rule { space, ..Rule::block(subject, "") };
            self.list.set(rule).expect("there is room, and no store to fail");
        }
    }

    fn send(&self, peer: usize, space: usize) {
        let blocked = self.ear.blocks.load(Relaxed) || self.list.is_blocked(&url(peer), Some(&id(space)));
        match self.transport.try_send_space_notify(&url(peer), &id(space), Bytes::new()) {
            Ok(SendOutcome::HandedOff) => assert!(!blocked && !self.closed),
            Ok(SendOutcome::Blocked) => assert!(blocked),
            Err(SendError::UnknownSpace { .. }) => assert!(self.spaces[space].is_none()),
            Err(SendError::NoLocalAgents) => assert!(self.ear.nobody_home.load(Relaxed)),
            Err(SendError::Closed) => assert!(self.closed),
            Err(other) => unreachable!("nothing was done that fails like this: {other}"),
        }
    }

    fn charge_or_close(&mut self, argument: usize) {
        if argument == 255 {
            at_once(self.transport.close());
            self.closed = true;
            return;
        }
        self.now += Duration::from_millis(argument as u64);
        let now = Mono::from_origin(self.now);
        if let Some((_, Link::Ready(ready))) = self.links.first_mut() {
            ready.charge(now, argument as u64 * 1_000, 0).expect("who is too fast is slowed down");
        }
    }

    fn check(&self) {
        let open = self.ear.open.lock().unwrap_or_else(PoisonError::into_inner);
        for peer in 0..PEERS {
            let live = self.links.iter().filter(|(of, _)| *of == peer).count() as u64;
            let believed = open.get(&url(peer)).copied().unwrap_or_default();
            // Once closed the handler is gone, and ends are told to nobody.
            assert!(
                believed == live || self.closed && believed >= live,
                "peer {peer}: {believed}, not {live}"
            );
        }
        let totals = self.transport.totals();
        assert_eq!(totals.connections_opened - totals.connections_ended, self.links.len() as u64);
        let mut ready: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| !matches!(link, Link::Awaiting(_)))
            .map(|(of, _)| url(*of))
            .collect();
        ready.sort();
        ready.dedup();
        assert_eq!(self.transport.connected_peers(), ready);
        let counts = self.transport.stats().blocked_message_counts;
        assert!(counts.values().map(BTreeMap::len).sum::<usize>() <= 3);
    }
}

fn url(peer: usize) -> PeerUrl {
    format!("mem://host:1/{peer}").parse().expect("it is a URL")
}

fn id(space: usize) -> SpaceId {
    SpaceId::from(vec![space as u8])
}

fn notify(space: usize, len: usize) -> Bytes {
    Frame::Notify { space: id(space), data: vec![1; len].into() }.encode().to_bytes()
}

fn module(space: usize, len: usize) -> Bytes {
    Frame::Module { space: id(space), module: MODULE, data: vec![1; len].into() }.encode().to_bytes()
}

fn flip(flag: &AtomicBool) {
    flag.fetch_xor(true, Relaxed);
}

/// What a future yields in which nothing waits.
fn at_once<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}
