//! Our side: two transports, as an application uses them.

use crate::measure::{Failure, Figures, Peer, Work, round_trips};
use bytes::Bytes;
use quorate_iroh::{IrohConfig, IrohTransport};
use quorate_transport::{Refusal, Transport, TransportConfig, TxHandler, TxImpHnd, TxSpaceHandler};
use quorate_wire::{PeerUrl, SpaceId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::mpsc;

const SPACE: SpaceId = SpaceId::from_static(b"bench");

/// Counts, and passes on what has to be answered.
struct App {
    /// How many messages to wait for; the one after them is a ping.
    expected: AtomicU64,
    heard: mpsc::UnboundedSender<(PeerUrl, Bytes)>,
}

impl TxHandler for App {}

impl TxSpaceHandler for App {
    fn recv_space_notify(&self, peer: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        // The counter is at 0 when all have come, and stays there.
        let left = self.expected.load(Ordering::Relaxed);
        if left > 1 {
            self.expected.store(left - 1, Ordering::Relaxed);
            return Ok(());
        }
        self.expected.store(0, Ordering::Relaxed);
        self.heard.send((peer.clone(), data)).map_err(|_| Refusal::new("nobody listens"))
    }
}

/// What was heard and is to be answered.
type Heard = mpsc::UnboundedReceiver<(PeerUrl, Bytes)>;

async fn node() -> Result<(Transport, Arc<App>, Heard), Failure> {
    let (heard, hearing) = mpsc::unbounded_channel();
    let app = Arc::new(App { expected: AtomicU64::new(0), heard });
    let hnd = TxImpHnd::new(app.clone(), TransportConfig::trusted())?;
    let transport = Transport::new(Arc::clone(&hnd), IrohTransport::bind(IrohConfig::default(), hnd).await?);
    transport.register_space_handler(SPACE, app.clone())?.0.keep();
    Ok((transport, app, hearing))
}

/// The other side: the first message says how many follow; the last of them, and each one later, is answered.
pub(crate) async fn serve() -> Result<(), Failure> {
    let (transport, app, mut heard) = node().await?;
    println!("{}", transport.url().ok_or("no address")?);
    while let Some((peer, data)) = heard.recv().await {
        if let Some(count) = data.strip_prefix(b"expect ") {
            app.expected.store(std::str::from_utf8(count)?.parse()?, Ordering::Relaxed);
        }
        let _ = transport.send_space_notify(&peer, &SPACE, data).await?;
    }
    Ok(())
}

/// Measures.
pub(crate) async fn run(peer: &Peer, work: Work) -> Result<Figures, Failure> {
    let (transport, _app, mut heard) = node().await?;
    let url: PeerUrl = peer.address.parse()?;
    let mut call = async |data: Bytes| -> Result<(), Failure> {
        let _ = transport.send_space_notify(&url, &SPACE, data).await?;
        heard.recv().await.ok_or("no answer")?;
        Ok(())
    };
    call(format!("expect {}", work.count).into()).await?;
    let payload = Bytes::from(vec![7; work.size]);
    let begin = Instant::now();
    for _ in 1..work.count {
        let _ = transport.send_space_notify(&url, &SPACE, payload.clone()).await?;
    }
    call(payload.clone()).await?;
    let took = begin.elapsed();
    let trips = round_trips(work.pings, async || call(payload.clone()).await).await?;
    transport.close().await;
    Ok(Figures::of(work, took, trips))
}
