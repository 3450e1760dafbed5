//! Frames over TCP: a big-endian u32, then so many bytes.
//!
//! The rule: a slow peer holds nobody up. What does not fit its queue is dropped and counted; SDS sends it again.

use super::args::{Endpoint, Plan};
use super::report::listening;
use crate::exit::Failure;
use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The longest frame that is read: a message of a megabyte, a filter, and room.
const MAX_FRAME: usize = 4 << 20;
/// Frames that wait for one peer.
const QUEUE: usize = 1_024;
const RECONNECT: Duration = Duration::from_millis(100);

/// The connections, of which each hears everything that is sent.
pub(super) struct Links {
    peers: Vec<mpsc::Sender<Bytes>>,
    opened: mpsc::Receiver<mpsc::Sender<Bytes>>,
    frames: mpsc::Receiver<Bytes>,
    /// Frames that did not fit a queue.
    pub(super) overflowed: u64,
}

impl Links {
    /// Listens or begins to connect.
    pub(super) async fn open(plan: &Plan) -> Result<Self, Failure> {
        let (open, opened) = mpsc::channel(16);
        let (inbox, frames) = mpsc::channel(QUEUE);
        match &plan.endpoint {
            Endpoint::Listen(address) => {
                let cannot = |error| Failure::usage(format!("cannot listen on {address}: {error}"));
                let listener = TcpListener::bind(address).await.map_err(cannot)?;
                listening(plan.json, listener.local_addr().map_err(cannot)?);
                tokio::spawn(accept(listener, open, inbox));
            }
            Endpoint::Connect(address) => drop(tokio::spawn(connect(address.clone(), open, inbox))),
        }
        Ok(Self { peers: Vec::new(), opened, frames, overflowed: 0 })
    }

    /// Hands a frame to every peer; `false` when there is none.
    pub(super) fn send(&mut self, frame: &Bytes) -> bool {
        let overflowed = &mut self.overflowed;
        self.peers.retain(|peer| match peer.try_send(frame.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                *overflowed += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
        self.is_connected()
    }

    /// Whether anybody hears us.
    pub(super) fn is_connected(&self) -> bool {
        !self.peers.is_empty()
    }

    /// The next frame; `None` when a peer came instead.
    pub(super) async fn receive(&mut self) -> Option<Bytes> {
        tokio::select! {
            Some(peer) = self.opened.recv() => {
                self.peers.push(peer);
                None
            }
            Some(frame) = self.frames.recv() => Some(frame),
            else => std::future::pending().await,
        }
    }
}

type Open = mpsc::Sender<mpsc::Sender<Bytes>>;

async fn accept(listener: TcpListener, open: Open, inbox: mpsc::Sender<Bytes>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, open.clone(), inbox.clone()));
        } else {
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

async fn connect(address: String, open: Open, inbox: mpsc::Sender<Bytes>) {
    while !inbox.is_closed() {
        if let Ok(stream) = TcpStream::connect(&address).await {
            serve(stream, open.clone(), inbox.clone()).await;
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// One connection, until either side ends it or breaks the framing.
async fn serve(stream: TcpStream, open: Open, inbox: mpsc::Sender<Bytes>) {
    // Small frames are worth more early than together.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (peer, mut outbox) = mpsc::channel::<Bytes>(QUEUE);
    if open.send(peer).await.is_err() {
        return;
    }
    let writer = async move {
        let mut write = BufWriter::new(write);
        while let Some(frame) = outbox.recv().await {
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            write.write_u32(length).await?;
            write.write_all(&frame).await?;
            if outbox.is_empty() {
                write.flush().await?;
            }
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = writer => {}
        _ = reader(read, inbox) => {}
    }
}

async fn reader(mut read: OwnedReadHalf, inbox: mpsc::Sender<Bytes>) -> std::io::Result<()> {
    loop {
        let length = usize::try_from(read.read_u32().await?).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Ok(());
        }
        // Grows with what arrives, not with what is announced.
        let mut frame = Vec::new();
        let taken = (&mut read).take(length as u64).read_to_end(&mut frame).await?;
        if taken < length || inbox.send(frame.into()).await.is_err() {
            return Ok(());
        }
    }
}
