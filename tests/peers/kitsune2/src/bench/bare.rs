//! One QUIC stream in each direction, straight on iroh: what is left for a transport above it to lose.
//!
//! A message is its length in four bytes and its bytes; one that begins with 1 is answered.

use super::{
    echo,
    two::{announce, stdin_ends},
};
use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, RelayMode,
    endpoint::{Connection, RecvStream, SendStream, presets},
};
use std::net::{Ipv4Addr, SocketAddr};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ALPN: &[u8] = b"bare/0";

/// One end of the stream.
pub struct Bare {
    send: SendStream,
    recv: RecvStream,
    _connection: Connection,
    _endpoint: Endpoint,
}

impl Bare {
    /// Connects to one that [`serve`](Self::serve)s.
    pub async fn connect(url: &str) -> Result<Self, Failure> {
        let (addr, id) = url.split_once(' ').ok_or("no address")?;
        let endpoint = endpoint().await?;
        let addr = EndpointAddr::new(id.parse()?).with_ip_addr(addr.parse()?);
        let connection = endpoint.connect(addr, ALPN).await?;
        let (send, recv) = connection.open_bi().await?;
        Ok(Self { send, recv, _connection: connection, _endpoint: endpoint })
    }

    /// Accepts one connection, and answers until the parent has gone.
    pub async fn serve() -> Result<(), Failure> {
        let endpoint = endpoint().await?;
        let addr: SocketAddr = endpoint.bound_sockets().first().copied().ok_or("no socket")?;
        announce(&format!("{addr} {}", endpoint.id()));
        let answering = async {
            let connection = endpoint.accept().await.ok_or("closed")?.await?;
            let (mut send, mut recv) = connection.accept_bi().await?;
            loop {
                let data = read(&mut recv).await?;
                if data.first() == Some(&1) {
                    write(&mut send, echo::answer(&data)).await?;
                }
            }
        };
        tokio::select! {
            ended = answering => ended,
            () = stdin_ends() => Ok(()),
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, data: Bytes) -> Result<(), Failure> {
        write(&mut self.send, data).await
    }

    /// Sends a message and waits for its answer.
    pub async fn ask(&mut self, data: Bytes) -> Result<(), Failure> {
        write(&mut self.send, data).await?;
        read(&mut self.recv).await.map(drop)
    }
}

async fn endpoint() -> Result<Endpoint, Failure> {
    let builder = Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled).clear_ip_transports();
    Ok(builder.bind_addr((Ipv4Addr::LOCALHOST, 0))?.alpns(vec![ALPN.to_vec()]).bind().await?)
}

async fn write(send: &mut SendStream, data: Bytes) -> Result<(), Failure> {
    let len = u32::try_from(data.len())?.to_be_bytes();
    send.write_all(&len).await?;
    Ok(send.write_chunk(data).await?)
}

async fn read(recv: &mut RecvStream) -> Result<Vec<u8>, Failure> {
    let mut len = [0; 4];
    recv.read_exact(&mut len).await?;
    let mut data = vec![0; usize::try_from(u32::from_be_bytes(len))?];
    recv.read_exact(&mut data).await?;
    Ok(data)
}
