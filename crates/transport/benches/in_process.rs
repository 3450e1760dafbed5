//! What a message costs between the caller's `send` and the peer's handler, in one process.
//!
//! `core` puts the sending half straight onto the receiving half, without tasks or queues; `mem` goes
//! through `Sessions` and the in-memory transport.

#![expect(clippy::unwrap_used, reason = "a bench that fails to set up has nothing better to do")]

use async_trait::async_trait;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quorate_base::Wall;
use quorate_transport::{
    AuthenticatedPeer, Direction, MemHub, MemTransport, Ready, Refusal, SendError, SendOutcome, Transport,
    TransportConfig, TxHandler, TxImp, TxImpHnd, TxModuleHandler, TxSpaceHandler,
};
use quorate_wire::{EncodedFrame, Frame, ModuleId, PeerUrl, SpaceId};
use std::{
    hint::black_box,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

const SPACE: SpaceId = SpaceId::from_static(&[7; 32]);
const MODULE: ModuleId = ModuleId::from_static("echo");
const SIZES: [usize; 3] = [32, 1 << 10, 64 << 10];
const MESSAGES: usize = 1_000;

/// Counts messages, and wakes the bench at every thousandth.
#[derive(Default)]
struct Counter {
    count: AtomicUsize,
    round: Notify,
}

impl TxHandler for Counter {}
impl TxSpaceHandler for Counter {}
impl TxModuleHandler for Counter {
    fn recv_module_msg(&self, _: &PeerUrl, _: &SpaceId, _: &ModuleId, data: Bytes) -> Result<(), Refusal> {
        black_box(data);
        if (self.count.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(MESSAGES) {
            self.round.notify_one();
        }
        Ok(())
    }
}

/// Hands each frame to the peer's connection at once.
struct Wire(Mutex<Ready>);

#[async_trait]
impl TxImp for Wire {
    fn url(&self) -> Option<PeerUrl> {
        None
    }
    async fn send(&self, _: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.0.lock().unwrap().recv(frame.to_bytes()).map_err(|_| SendError::Closed)
    }
    async fn disconnect(&self, _: &PeerUrl, _: Option<&str>) {}
}

fn hnd() -> Arc<TxImpHnd> {
    TxImpHnd::new(Arc::new(Counter::default()), TransportConfig::trusted()).unwrap()
}

fn register(transport: &Transport) -> Arc<Counter> {
    let counter = Arc::new(Counter::default());
    transport.register_space_handler(SPACE, counter.clone()).unwrap().0.keep();
    transport.register_module_handler(SPACE, MODULE, counter.clone()).unwrap().keep();
    counter
}

async fn send(transport: &Transport, peer: &PeerUrl, data: &Bytes) {
    for _ in 0..MESSAGES {
        let sent = transport.send_module(peer, &SPACE, &MODULE, data.clone()).await;
        assert_eq!(sent, Ok(SendOutcome::HandedOff));
    }
}

fn core(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let receiver = hnd();
    let url: PeerUrl = "mem://host:1/sender".parse().unwrap();
    let peer = AuthenticatedPeer::new("sender".into(), url.clone()).unwrap();
    let ready = runtime.block_on(async {
        let awaiting = receiver.open(peer, Direction::Incoming, Wall::default()).await.unwrap();
        let preflight = Frame::Preflight { data: Bytes::new() }.encode().to_bytes();
        awaiting.handle_preflight(preflight).await.unwrap()
    });
    let wire: Arc<dyn TxImp> = Arc::new(Wire(Mutex::new(ready)));
    let receiving = Transport::new(receiver, wire.clone());
    register(&receiving);
    let sending = Transport::new(hnd(), wire);
    register(&sending);

    let mut group = criterion.benchmark_group("core: send to handler");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for size in SIZES {
        let data = Bytes::from(vec![1; size]);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| runtime.block_on(send(&sending, &url, &data)));
        });
    }
}

fn mem(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    let hub = MemHub::default();
    let node = |name: &str| {
        let (hnd, url) = (hnd(), format!("mem://host:1/{name}").parse().unwrap());
        Transport::new(hnd.clone(), Arc::new(MemTransport::bind(&hub, url, hnd).unwrap()))
    };
    let (sending, receiving) = (node("a"), node("b"));
    register(&sending);
    let counter = register(&receiving);
    let url = receiving.url().unwrap();

    let mut group = criterion.benchmark_group("mem: send to handler");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for size in SIZES {
        let data = Bytes::from(vec![1; size]);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    send(&sending, &url, &data).await;
                    counter.round.notified().await;
                })
            });
        });
    }
}

criterion_group!(benches, core, mem);
criterion_main!(benches);
