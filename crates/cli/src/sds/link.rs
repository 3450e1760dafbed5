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
const MAX_FRAME: u32 = 4 << 20;
/// Frames that wait for one peer.
const QUEUE: usize = 1_024;
const RECONNECT: Duration = Duration::from_millis(100);

/// What came from a peer.
pub(super) enum Heard {
    /// A frame.
    Frame(Bytes),
    /// It announced a frame of so many bytes, more than any message has; the connection was ended.
    TooLong(u32),
    /// Its connection ended within a frame.
    Cut,
}

/// The connections, of which each hears everything that is sent.
pub(super) struct Links {
    peers: Vec<mpsc::Sender<Bytes>>,
    opened: mpsc::Receiver<mpsc::Sender<Bytes>>,
    heard: mpsc::Receiver<Heard>,
    /// Frames that did not fit a queue.
    pub(super) overflowed: u64,
}

impl Links {
    /// Listens or begins to connect.
    pub(super) async fn open(plan: &Plan) -> Result<Self, Failure> {
        let (open, opened) = mpsc::channel(16);
        let (inbox, heard) = mpsc::channel(QUEUE);
        match &plan.endpoint {
            Endpoint::Listen(address) => {
                let cannot = |error| Failure::usage(format!("cannot listen on {address}: {error}"));
                let listener = TcpListener::bind(address).await.map_err(cannot)?;
                listening(plan.json, listener.local_addr().map_err(cannot)?);
                tokio::spawn(accept(listener, open, inbox));
            }
            Endpoint::Connect(address) => drop(tokio::spawn(connect(address.clone(), open, inbox))),
        }
        Ok(Self { peers: Vec::new(), opened, heard, overflowed: 0 })
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

    /// What comes next from a peer; `None` when a peer came instead.
    pub(super) async fn receive(&mut self) -> Option<Heard> {
        tokio::select! {
            Some(peer) = self.opened.recv() => {
                self.peers.push(peer);
                None
            }
            Some(heard) = self.heard.recv() => Some(heard),
            else => std::future::pending().await,
        }
    }
}

type Open = mpsc::Sender<mpsc::Sender<Bytes>>;

async fn accept(listener: TcpListener, open: Open, inbox: mpsc::Sender<Heard>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, open.clone(), inbox.clone()));
        } else {
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

async fn connect(address: String, open: Open, inbox: mpsc::Sender<Heard>) {
    while !inbox.is_closed() {
        if let Ok(stream) = TcpStream::connect(&address).await {
            serve(stream, open.clone(), inbox.clone()).await;
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// One connection, until either side ends it or breaks the framing.
async fn serve(stream: TcpStream, open: Open, inbox: mpsc::Sender<Heard>) {
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

async fn reader(mut read: OwnedReadHalf, inbox: mpsc::Sender<Heard>) {
    loop {
        let heard = frame(&mut read).await;
        let goes_on = matches!(heard, Some(Heard::Frame(_)));
        if let Some(heard) = heard
            && inbox.send(heard).await.is_err()
        {
            return;
        }
        if !goes_on {
            return;
        }
    }
}

/// One frame; `None` where the connection ended before it.
async fn frame(read: &mut OwnedReadHalf) -> Option<Heard> {
    let mut head = [0; 4];
    match read.read(&mut head).await {
        Ok(0) | Err(_) => return None,
        Ok(some) => {
            let rest = head.get_mut(some..)?;
            if read.read_exact(rest).await.is_err() {
                return Some(Heard::Cut);
            }
        }
    }
    let length = u32::from_be_bytes(head);
    if length > MAX_FRAME {
        return Some(Heard::TooLong(length));
    }
    // Grows with what arrives, not with what is announced.
    let mut frame = Vec::new();
    match read.take(u64::from(length)).read_to_end(&mut frame).await {
        Ok(taken) if taken as u64 == u64::from(length) => Some(Heard::Frame(frame.into())),
        _ => Some(Heard::Cut),
    }
}
