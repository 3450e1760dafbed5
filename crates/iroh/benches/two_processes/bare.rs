//! What there is to lose: one stream of iroh in each direction, and nothing on top of it.

use crate::measure::{Failure, Figures, Peer, Work, round_trips};
use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, RelayMode,
    endpoint::{RecvStream, SendStream, presets},
};
use std::{net::SocketAddr, time::Instant};

const ALPN: &[u8] = b"bare";

async fn endpoint() -> Result<Endpoint, Failure> {
    let builder = Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled).clear_ip_transports();
    Ok(builder.bind_addr("127.0.0.1:0")?.alpns(vec![ALPN.to_vec()]).bind().await?)
}

/// The other side: reads so many bytes as the first eight say and answers with one; then sends back, size by
/// size, what comes.
pub(crate) async fn serve() -> Result<(), Failure> {
    let endpoint = endpoint().await?;
    let addr = endpoint.bound_sockets().first().copied().ok_or("no socket")?;
    println!("{} {addr}", endpoint.id());
    let connection = endpoint.accept().await.ok_or("nobody came")?.await?;
    let (mut send, mut recv) = connection.accept_bi().await?;
    let (mut count, mut size) = ([0; 8], [0; 8]);
    recv.read_exact(&mut count).await?;
    recv.read_exact(&mut size).await?;
    take(&mut recv, u64::from_be_bytes(count) as usize).await?;
    send.write_all(b"!").await?;
    let mut ping = vec![0; u64::from_be_bytes(size) as usize];
    while recv.read_exact(&mut ping).await.is_ok() {
        send.write_all(&ping).await?;
    }
    Ok(())
}

/// Measures.
pub(crate) async fn run(peer: &Peer, work: Work) -> Result<Figures, Failure> {
    let endpoint = endpoint().await?;
    let (id, addr) = peer.address.split_once(' ').ok_or("no address")?;
    let addr = EndpointAddr::new(id.parse()?).with_ip_addr(addr.parse::<SocketAddr>()?);
    let connection = endpoint.connect(addr, ALPN).await?;
    let (mut send, mut recv): (SendStream, RecvStream) = connection.open_bi().await?;
    let payload = Bytes::from(vec![7; work.size]);
    send.write_all(&((work.count * work.size) as u64).to_be_bytes()).await?;
    send.write_all(&(work.size as u64).to_be_bytes()).await?;
    let begin = Instant::now();
    for _ in 0..work.count {
        send.write_chunk(payload.clone()).await?;
    }
    take(&mut recv, 1).await?;
    let took = begin.elapsed();
    let trips = round_trips(work.pings, async || {
        send.write_chunk(payload.clone()).await?;
        take(&mut recv, work.size).await
    })
    .await?;
    endpoint.close().await;
    Ok(Figures::of(work, took, trips))
}

/// Reads so many bytes and forgets them.
async fn take(stream: &mut RecvStream, mut bytes: usize) -> Result<(), Failure> {
    while bytes > 0 {
        bytes -= stream.read_chunk(bytes).await?.ok_or("the stream ended")?.len();
    }
    Ok(())
}
