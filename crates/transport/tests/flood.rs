//! A flood of the worst frames from many peers at once: what it costs in memory, and what others notice.
//!
//! A second of it runs with the other tests; ten seconds, optimised and with figures:
//!
//! ```console
//! $ cargo test --release -p quorate-transport --test flood -- --ignored --nocapture
//! ```
//!
//! The links are byte streams with the framing of the wire, so that frames come in pieces. Attackers and node share the
//! process: what the attackers hold counts, too. Nothing depends on how fast the machine is.

#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use quorate_transport::{
    AuthenticatedPeer, Close, DialError, Dialer, FrameSink, FrameSource, Inbox, InboxConfig, Link, LinkError,
    PeerIdent, Refusal, SendError, Sessions, Transport, TransportConfig, TxHandler, TxImp, TxImpHnd,
    TxSpaceHandler,
};
use quorate_wire::{
    EncodedFrame, Frame, PartialBudget, PeerUrl, SpaceId, StreamDecoder, StreamFrame, StreamLimits,
    stream::{encode_data, encode_preflight},
};
use std::{
    collections::VecDeque,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    time::Instant,
};

const SPACE: SpaceId = SpaceId::from_static(b"flooded");
const QUIET: SpaceId = SpaceId::from_static(b"quiet");
/// What the flood may cost above the idle node.
const ALLOWED: usize = 64 << 20;
const ATTACKERS: usize = 48;
/// What a link holds in each direction. (A socket's would be the system's, and not count.)
const PIPE: usize = 16 << 10;
/// How much is read at once.
const READ: usize = 64 << 10;

fn limits() -> StreamLimits {
    StreamLimits { preflight: 70 << 10, data: (16 << 20) + 5 }
}

fn url(name: &str) -> PeerUrl {
    format!("mem://host:1/{name}").parse().unwrap()
}

/// The node's end of a byte stream.
struct Source {
    stream: ReadHalf<DuplexStream>,
    decoder: StreamDecoder,
    buffer: BytesMut,
}

#[async_trait]
impl FrameSource for Source {
    async fn recv(&mut self, frames: &mut VecDeque<Bytes>) -> Result<(), LinkError> {
        loop {
            while let Some(frame) = self.decoder.poll().map_err(stream_error)? {
                frames.push_back(match frame {
                    StreamFrame::Preflight { frame, .. } | StreamFrame::Data { frame } => frame,
                });
            }
            if !frames.is_empty() {
                return Ok(());
            }
            // What is read into is used up before there is more: a chunk must not keep a buffer larger than itself.
            if self.buffer.capacity() < READ / 16 {
                self.buffer.reserve(READ);
            }
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(LinkError::broken)?;
            if read == 0 {
                return Err(LinkError::broken("the peer is gone"));
            }
            self.decoder.push(self.buffer.split().freeze());
        }
    }
}

fn stream_error(error: quorate_wire::StreamError) -> LinkError {
    if error.is_peer_violation() { LinkError::Violation(error.into()) } else { LinkError::broken(error) }
}

struct Sink {
    stream: WriteHalf<DuplexStream>,
    introduced: bool,
}

#[async_trait]
impl FrameSink for Sink {
    async fn send(&mut self, batch: &mut VecDeque<EncodedFrame>) -> Result<(), LinkError> {
        while let Some(frame) = batch.front().cloned() {
            let bytes = if std::mem::replace(&mut self.introduced, true) {
                encode_data(frame, &limits()).map_err(LinkError::broken)?.to_bytes()
            } else {
                encode_preflight(&url("node"), frame, &limits()).map_err(LinkError::broken)?.to_bytes()
            };
            self.stream.write_all(&bytes).await.map_err(LinkError::broken)?;
            batch.pop_front();
        }
        Ok(())
    }
    async fn close(&mut self, _: &Close) {
        // A peer that is gone needs no goodbye.
        let _ = self.stream.shutdown().await;
    }
}

struct Nobody;

#[async_trait]
impl Dialer for Nobody {
    async fn dial(&self, _: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        Err(DialError::unreachable("this node dials nobody"))
    }
}

struct Imp(Sessions);

#[async_trait]
impl TxImp for Imp {
    fn url(&self) -> Option<PeerUrl> {
        Some(url("node"))
    }
    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.0.send(peer, frame).await
    }
    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.0.disconnect(peer, reason).await;
    }
    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.0)
    }
}

/// Blocks every second attacker, so that their messages are counted.
struct App;
impl TxHandler for App {}
impl TxSpaceHandler for App {
    fn is_any_agent_at_url_blocked(&self, peer: &PeerUrl) -> Result<bool, Refusal> {
        Ok(peer.peer_id().is_some_and(|id| id.ends_with("blocked")))
    }
}

/// Counts what the one honest peer sends.
struct Honest(Arc<AtomicU64>);
impl TxSpaceHandler for Honest {
    fn recv_space_notify(&self, _: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        let number = u64::from_be_bytes(data[..8].try_into().unwrap());
        // In order, and none is missing.
        if self.0.swap(number, Relaxed) + 1 == number {
            Ok(())
        } else {
            Err(Refusal::new("a message is missing"))
        }
    }
}

/// A node under attack.
struct Target {
    sessions: Sessions,
    transport: Transport,
    budget: PartialBudget,
    heard: Arc<AtomicU64>,
    /// Nobody reads it.
    inbox: Inbox,
}

impl Target {
    fn new() -> Self {
        let hnd = TxImpHnd::new(Arc::new(App), TransportConfig::default()).unwrap();
        let budget = PartialBudget::new(hnd.config().partial_bytes.get());
        let sessions = Sessions::new(hnd.clone(), PeerIdent::Key("node".into()), Nobody).unwrap();
        let transport = Transport::new(hnd, Arc::new(Imp(sessions.clone())));
        let (handlers, inbox) = Inbox::new(InboxConfig::default()).unwrap();
        transport.register_space_handler(SPACE, handlers.space_over(Arc::new(App))).unwrap().0.keep();
        let heard = Arc::new(AtomicU64::new(0));
        transport.register_space_handler(QUIET, Arc::new(Honest(heard.clone()))).unwrap().0.keep();
        Self { sessions, transport, budget, heard, inbox }
    }

    /// Connects, and returns the peer's end.
    fn accept(&self, name: &str) -> DuplexStream {
        let (near, far) = duplex(PIPE);
        let (stream, sink) = split(near);
        let decoder = StreamDecoder::with_budget(limits(), self.budget.clone());
        let source = Source { stream, decoder, buffer: BytesMut::new() };
        let link = Link::new(Sink { stream: sink, introduced: false }, source);
        self.sessions.accept(AuthenticatedPeer::vouched(url(name)), link);
        far
    }
}

fn introduction(name: &str) -> Bytes {
    let frame = Frame::Preflight { data: Bytes::new() }.into_encoded();
    encode_preflight(&url(name), frame, &limits()).unwrap().to_bytes()
}

fn notify(space: SpaceId, data: Bytes) -> Bytes {
    encode_data(Frame::Notify { space, data }.into_encoded(), &limits()).unwrap().to_bytes()
}

/// What the attackers write on their connections, again and again until the link takes no more: made once, so
/// that it does not count as the node's.
fn attacks() -> Vec<Vec<Bytes>> {
    let announce = |kind: u8, len: u32| Bytes::from([&[kind][..], &len.to_be_bytes()].concat());
    let big = notify(SPACE, Bytes::from(vec![0x5a; (16 << 20) - 100]));
    let many = |data: &'static [u8]| (0..500).flat_map(|_| notify(SPACE, Bytes::from_static(data))).collect();
    vec![
        // A frame that announces 16 MiB and stops in the middle.
        vec![announce(1, 16 << 20), big.slice(..8 << 20)],
        // One that stops after its head.
        vec![announce(1, 16 << 20)],
        // Messages without bytes, and small ones, to an inbox that nobody reads.
        vec![many(b"")],
        vec![many(&[7; 40])],
        // Large ones, and the largest.
        vec![notify(SPACE, Bytes::from(vec![1; 1 << 20]))],
        vec![big],
        // Spaces that nobody knows, with long names.
        (0..100).map(|number| notify(format!("{number:01000}").into_bytes().into(), Bytes::new())).collect(),
        // Second preflights, garbage, unknown types, what is too large.
        vec![introduction("again")],
        vec![announce(1, 3), Bytes::from_static(&[0xff; 3])],
        vec![announce(9, 1)],
        vec![announce(1, u32::MAX)],
    ]
}

/// One attacker: connects under ever new names, misbehaves until it is thrown out, and comes back.
async fn attacker(
    target: Arc<Target>,
    number: usize,
    stop: Arc<AtomicBool>,
    attack: Vec<Bytes>,
    written: Arc<AtomicUsize>,
) {
    for round in 0_usize.. {
        let blocked = if number.is_multiple_of(2) { "blocked" } else { "" };
        let name = format!("attacker-{number}-{round}-{blocked}");
        let mut link = target.accept(&name);
        let mut open = link.write_all(&introduction(&name)).await.is_ok();
        let until = Instant::now() + Duration::from_millis(300);
        while open && !stop.load(Relaxed) && Instant::now() < until {
            for piece in &attack {
                // A link that is full or gone is left, as an attacker would.
                let limit = Duration::from_millis(100);
                open = open && matches!(tokio::time::timeout(limit, link.write_all(piece)).await, Ok(Ok(())));
                written.fetch_add(piece.len(), Relaxed);
            }
            tokio::task::yield_now().await;
        }
        if stop.load(Relaxed) {
            return;
        }
        // Some hold on to what they have begun.
        if number.is_multiple_of(3) && round.is_multiple_of(3) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The peer that notices nothing: numbers, one after the other, and each of them arrives.
async fn honest(target: Arc<Target>, stop: Arc<AtomicBool>) -> u64 {
    let mut link = target.accept("honest");
    link.write_all(&introduction("honest")).await.unwrap();
    let mut number = 0_u64;
    while !stop.load(Relaxed) {
        number += 1;
        let mut data = number.to_be_bytes().to_vec();
        data.resize(8 + (number as usize * 37) % 12_000, 0);
        link.write_all(&notify(QUIET, data.into())).await.expect("the honest peer is not disconnected");
        while target.heard.load(Relaxed) != number {
            tokio::task::yield_now().await;
            assert_eq!(
                target
                    .transport
                    .stats()
                    .transport_stats
                    .connections
                    .iter()
                    .filter(|c| c.pub_key == "honest")
                    .count(),
                1
            );
        }
    }
    number
}

/// Bytes of the process in memory, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10)
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

async fn flood(time: Duration) {
    let target = Arc::new(Target::new());
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let attacks = attacks();
    let friend = tokio::spawn(honest(target.clone(), stop.clone()));
    while target.heard.load(Relaxed) < 100 {
        tokio::task::yield_now().await;
    }
    let idle = resident();
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|number| {
            let (target, stop, written) = (target.clone(), stop.clone(), written.clone());
            tokio::spawn(attacker(target, number, stop, attacks[number % attacks.len()].clone(), written))
        })
        .collect();
    let (begin, mut peak) = (Instant::now(), 0);
    while begin.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(10)).await;
        peak = peak.max(resident().unwrap_or_default());
    }
    stop.store(true, Relaxed);
    let messages = friend.await.expect("the honest peer noticed nothing");
    for attacker in attackers {
        attacker.await.unwrap();
    }
    let totals = target.transport.totals();
    let inbox = target.inbox.stats();
    say(&format!(
        "{} MB of attack in {:?}; {messages} honest messages, all in order",
        written.load(Relaxed) >> 20,
        begin.elapsed()
    ));
    say(&format!("{:?}\n{inbox:?}", totals));
    assert!(totals.violations.total() > 0 && totals.dropped_unknown_space > 0 && inbox.messages > 0);
    assert!(inbox.bytes <= InboxConfig::default().total_bytes.get());
    match idle {
        Some(idle) => {
            let above = peak.saturating_sub(idle);
            say(&format!("idle {} KiB, {} KiB above it at the worst", idle >> 10, above >> 10));
            assert!(above < ALLOWED, "{} MiB above idle", above >> 20);
        }
        None => say("skipped: this system does not tell how much memory a process has"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_never_takes_more_memory_than_allowed_and_others_never_notice() {
    flood(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten seconds: see the first lines of this file"]
async fn ten_seconds_of_it() {
    flood(Duration::from_secs(10)).await;
}
