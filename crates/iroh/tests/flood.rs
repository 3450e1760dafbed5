//! A flood of the worst frames from many peers at once, over QUIC: what it costs in memory, and what others notice.
//!
//! Two seconds of it run with the other tests; ten, optimised and with figures:
//!
//! ```console
//! $ cargo test --release -p quorate-iroh --test flood -- --ignored --nocapture ten_seconds
//! ```
//!
//! The attackers are a process of their own, so that what they hold does not count. Nothing depends on how fast the
//! machine is.

#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]

use bytes::Bytes;
use iroh::{Endpoint, EndpointAddr, RelayMode, endpoint::presets};
use quorate_iroh::{IrohConfig, IrohTransport, Protocol};
use quorate_transport::{
    Inbox, InboxConfig, Refusal, SendOutcome, Transport, TransportConfig, TxHandler, TxImp, TxImpHnd,
    TxSpaceHandler,
};
use quorate_wire::{
    Frame, PeerUrl, SpaceId, StreamLimits,
    stream::{encode_data, encode_preflight},
};
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

const SPACE: SpaceId = SpaceId::from_static(b"flooded");
const QUIET: SpaceId = SpaceId::from_static(b"quiet");
/// What the flood may cost above the idle node.
const ALLOWED: usize = 64 << 20;
const ATTACKERS: usize = 16;
/// Where the attackers' process finds its target.
const TARGET: &str = "QUORATE_FLOOD_TARGET";

fn limits() -> StreamLimits {
    StreamLimits { preflight: 70 << 10, data: (16 << 20) + 5 }
}

struct App;
impl TxHandler for App {}
impl TxSpaceHandler for App {}

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

async fn node() -> Transport {
    let hnd = TxImpHnd::new(Arc::new(App), TransportConfig::default()).unwrap();
    let imp = IrohTransport::bind(IrohConfig::default(), Arc::clone(&hnd)).await.unwrap();
    Transport::new(hnd, imp as Arc<dyn TxImp>)
}

fn introduction(url: &PeerUrl) -> Bytes {
    let frame = Frame::Preflight { data: Bytes::new() }.into_encoded();
    encode_preflight(url, frame, &limits()).unwrap().to_bytes()
}

fn notify(space: SpaceId, data: Bytes) -> Bytes {
    encode_data(Frame::Notify { space, data }.into_encoded(), &limits()).unwrap().to_bytes()
}

/// What the attackers write on their connections, again and again until the link takes no more.
fn attacks() -> Vec<Vec<Bytes>> {
    let announce = |kind: u8, len: u32| Bytes::from([&[kind][..], &len.to_be_bytes()].concat());
    let big = notify(SPACE, Bytes::from(vec![0x5a; (16 << 20) - 100]));
    let many = |data: &'static [u8]| (0..500).flat_map(|_| notify(SPACE, Bytes::from_static(data))).collect();
    let url: PeerUrl = "quic://127.0.0.1:1/again".parse().unwrap();
    vec![
        // A frame that announces 16 MiB and stops in the middle; one that stops after its head.
        vec![announce(1, 16 << 20), big.slice(..8 << 20)],
        vec![announce(1, 16 << 20)],
        // Messages without bytes, small ones, large ones and the largest, to an inbox that nobody reads.
        vec![many(b"")],
        vec![many(&[7; 40])],
        vec![notify(SPACE, Bytes::from(vec![1; 1 << 20]))],
        vec![big],
        // Spaces that nobody knows, with long names.
        (0..100).map(|number| notify(format!("{number:01000}").into_bytes().into(), Bytes::new())).collect(),
        // Second preflights, garbage, unknown types, what is too large.
        vec![introduction(&url)],
        vec![announce(1, 3), Bytes::from_static(&[0xff; 3])],
        vec![announce(9, 1)],
        vec![announce(1, u32::MAX)],
    ]
}

/// One attacker: connects under ever new keys, misbehaves until it is thrown out, and comes back. Never ends.
async fn attacker(target: PeerUrl, number: usize) {
    let attacks = attacks();
    let attack = &attacks[number % attacks.len()];
    loop {
        let builder =
            Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled).clear_ip_transports();
        let endpoint = builder.bind_addr("127.0.0.1:0").unwrap().bind().await.unwrap();
        let url = format!("quic://{}/{}", endpoint.bound_sockets()[0], endpoint.id()).parse().unwrap();
        for _ in 0..8 {
            let addr = EndpointAddr::new(target.peer_id().unwrap().parse().unwrap());
            let addr = addr.with_ip_addr(target.socket_addr().unwrap());
            let dialed =
                timeout(Duration::from_secs(2), endpoint.connect(addr, Protocol::Quorate.alpn())).await;
            let Ok(Ok(connection)) = dialed else { continue };
            let Ok(mut stream) = connection.open_uni().await else { continue };
            let mut open = stream.write_all(&introduction(&url)).await.is_ok();
            let until = Instant::now() + Duration::from_millis(300);
            while open && Instant::now() < until {
                for piece in attack {
                    // A link that is full or gone is left, as an attacker would.
                    let limit = Duration::from_millis(100);
                    open = open && matches!(timeout(limit, stream.write_all(piece)).await, Ok(Ok(())));
                }
            }
            // Some hold on to what they have begun.
            if number.is_multiple_of(3) {
                sleep(Duration::from_millis(300)).await;
            }
        }
        endpoint.close().await;
    }
}

/// The attackers' process: runs until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other half of the tests below, which start it"]
async fn the_attackers() {
    let Ok(target) = std::env::var(TARGET) else { return };
    let target: PeerUrl = target.parse().unwrap();
    let attackers: Vec<_> =
        (0..ATTACKERS).map(|number| tokio::spawn(attacker(target.clone(), number))).collect();
    for attacker in attackers {
        attacker.await.unwrap();
    }
}

/// Ends the attackers with the test.
struct Attackers(Child);

impl Attackers {
    fn start(target: &PeerUrl) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["the_attackers", "--exact", "--ignored", "--nocapture"]).env(TARGET, target.as_str());
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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

/// The peer that notices nothing: the next number, and it arrives.
async fn pass(friend: &Transport, to: &PeerUrl, heard: &AtomicU64) -> u64 {
    let number = heard.load(Relaxed) + 1;
    let mut data = number.to_be_bytes().to_vec();
    data.resize(8 + (number as usize * 37) % 12_000, 0);
    let sent = friend.send_space_notify(to, &QUIET, data.into()).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff), "the honest peer is not disconnected");
    let arrives = async {
        while heard.load(Relaxed) != number {
            sleep(Duration::from_micros(100)).await;
        }
    };
    timeout(Duration::from_secs(60), arrives).await.expect("what the honest peer sends arrives");
    number
}

async fn flood(time: Duration) {
    let (target, friend) = (node().await, node().await);
    let (handlers, inbox) = Inbox::new(InboxConfig::default()).unwrap();
    // Nobody reads the inbox.
    target.register_space_handler(SPACE, handlers.space_over(Arc::new(App))).unwrap().0.keep();
    let heard = Arc::new(AtomicU64::new(0));
    target.register_space_handler(QUIET, Arc::new(Honest(heard.clone()))).unwrap().0.keep();
    friend.register_space_handler(QUIET, Arc::new(App)).unwrap().0.keep();
    let url = target.url().unwrap();
    for _ in 0..100 {
        pass(&friend, &url, &heard).await;
    }
    let idle = resident();
    let attackers = Attackers::start(&url);
    // The clock starts when the attack does.
    while target.totals().violations.total() == 0 {
        pass(&friend, &url, &heard).await;
    }
    let (begin, mut peak, mut messages) = (Instant::now(), 0, 0);
    while begin.elapsed() < time {
        messages = pass(&friend, &url, &heard).await;
        peak = peak.max(resident().unwrap_or_default());
    }
    drop(attackers);
    let (totals, inbox) = (target.totals(), inbox.stats());
    say(&format!("{messages} honest messages in {:?}, all in order\n{totals:?}\n{inbox:?}", begin.elapsed()));
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
    friend.close().await;
    target.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_over_quic_never_takes_more_memory_than_allowed_and_others_never_notice() {
    flood(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten seconds: see the first lines of this file"]
async fn ten_seconds_of_it() {
    flood(Duration::from_secs(10)).await;
}
