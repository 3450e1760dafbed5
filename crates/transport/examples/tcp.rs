//! A transport over TCP: what a stranger writes to bring frames to peers by other means.
//!
//! Run: `cargo run -p quorate-transport --example tcp`
//!
//! It authenticates nobody and encrypts nothing: whoever reaches the port can speak under any URL, so the core starts
//! it only with `allow_unauthenticated`. The first half is the transport, the second half says hello over it.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::sessions::stream::{StreamLink, StreamLinks};
use quorate_transport::{
    AuthenticatedPeer, DialError, Dialer, Link, PeerIdent, Refusal, SendError, Sessions, Transport,
    TransportConfig, TxHandler, TxImp, TxImpHnd, TxSpaceHandler,
};
use quorate_wire::{EncodedFrame, PeerUrl, SpaceId};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

type Failure = Box<dyn Error + Send + Sync>;

/// Peers at `ws://ip:port`. (`PeerUrl` has no scheme for TCP; the address is what counts.)
pub(crate) struct TcpTransport {
    url: PeerUrl,
    sessions: Sessions,
    /// Ends when this is dropped.
    _accepting: JoinSet<()>,
}

impl TcpTransport {
    /// Listens at an address such as `127.0.0.1:0`.
    pub(crate) async fn bind(addr: &str, hnd: Arc<TxImpHnd>) -> Result<Self, Failure> {
        let listener = TcpListener::bind(addr).await?;
        let url: PeerUrl = format!("ws://{}", listener.local_addr()?).parse()?;
        let links = StreamLinks::new(url.clone(), hnd.config());
        let sessions = Sessions::new(hnd, PeerIdent::Url(url.clone()), TcpDialer(links.clone()))?;
        let weak = sessions.downgrade();
        let accept = async move {
            loop {
                let accepted = listener.accept().await;
                let Some(sessions) = weak.upgrade() else { return };
                match accepted {
                    Ok((stream, _)) => sessions.accept_stream(link(&links, stream), None),
                    // Out of file handles, for example: it may pass.
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        };
        Ok(Self { url, sessions, _accepting: JoinSet::from_iter([accept]) })
    }
}

#[async_trait]
impl TxImp for TcpTransport {
    fn url(&self) -> Option<PeerUrl> {
        Some(self.url.clone())
    }
    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.sessions.send(peer, frame).await
    }
    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.sessions.disconnect(peer, reason).await;
    }
    fn sessions(&self) -> Option<&Sessions> {
        Some(&self.sessions)
    }
}

struct TcpDialer(StreamLinks);

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, peer: &PeerUrl) -> Result<(AuthenticatedPeer, Link), DialError> {
        let stream = TcpStream::connect(peer.addr()).await.map_err(DialError::unreachable)?;
        Ok((AuthenticatedPeer::unauthenticated(peer.clone()), link(&self.0, stream).into()))
    }
}

fn link(links: &StreamLinks, stream: TcpStream) -> StreamLink<OwnedReadHalf, OwnedWriteHalf> {
    // Many small frames are gathered by `Sessions`; the kernel must not wait for more of them.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    links.link(read, write)
}

// From here on: two nodes that say hello.

/// Accepts everybody, and prints what it hears.
struct App(mpsc::Sender<Bytes>);

impl TxHandler for App {}

impl TxSpaceHandler for App {
    fn recv_space_notify(&self, peer: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        println!("{peer} says {}", data.escape_ascii());
        self.0.try_send(data).map_err(|_| Refusal::new("too many greetings"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let space = SpaceId::from_static(b"example");
    let (heard, mut greetings) = mpsc::channel(16);
    let node = async || -> Result<(Transport, PeerUrl), Failure> {
        let app = Arc::new(App(heard.clone()));
        let config = TransportConfig { allow_unauthenticated: true, ..TransportConfig::default() };
        let hnd = TxImpHnd::new(app.clone(), config)?;
        let transport =
            Transport::new(Arc::clone(&hnd), Arc::new(TcpTransport::bind("127.0.0.1:0", hnd).await?));
        let (registered, url) = transport.register_space_handler(space.clone(), app)?;
        registered.keep();
        Ok((transport, url.ok_or("no address")?))
    };
    let ((alice, alices), (bob, bobs)) = (node().await?, node().await?);
    let sent = alice.send_space_notify(&bobs, &space, Bytes::from_static(b"hello over TCP")).await?;
    println!("{alices} sent to {bobs}: {sent:?}");
    let heard = greetings.recv().await.ok_or("nobody said anything")?;
    assert_eq!(heard, "hello over TCP");
    alice.close().await;
    bob.close().await;
    Ok(())
}
