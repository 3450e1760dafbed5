//! Two nodes, one encrypted reliable channel, one message that its sender knows was delivered.
//!
//! Run: `cargo run -p quorate --example quickstart`

use quorate::Node;
use quorate::channel::{
    ChannelConfig, ChannelEvent, ChannelKey, Identity, SendOptions, XChaCha20Poly1305Cipher,
};
use quorate::transport::MemHub;
use quorate::wire::SpaceId;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Nodes in one process; `bind_iroh` puts them on QUIC and changes nothing else.
    let hub = MemHub::default();
    let alice = Node::builder().bind_mem(&hub, "mem://here:1/alice".parse()?)?;
    let bob = Node::builder().bind_mem(&hub, "mem://here:1/bob".parse()?)?;

    // They meet in a space and open the same channel, with the same key.
    let space = SpaceId::from_static(b"book club");
    let (alices, bobs) = (alice.join(space.clone())?, bob.join(space)?);
    alices.meet(bob.url().ok_or("no address")?).await;
    let open = |space: &quorate::Space, participant: &str, nonce: u8| {
        let topic = "/quorate/1/book-club/proto".into();
        let identity = Identity { channel: "book club".into(), topic, participant: participant.into() };
        // Real keys and nonce prefixes are random: see `getrandom::fill`.
        let cipher = XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([7; 32]), [nonce; 16]);
        space.open(identity, ChannelConfig::default(), Box::new(cipher))
    };
    let (sender, mut outcomes) = open(&alices, "alice", 1)?;
    let (_receiver, mut inbox) = open(&bobs, "bob", 2)?;

    let request = sender.send("Moby-Dick, by Friday?".into(), SendOptions::default()).await?;
    let Some(ChannelEvent::Received { sender: from, payload, .. }) = inbox.next().await else {
        return Err("nothing came".into());
    };
    assert_eq!((from.as_str(), &payload[..]), ("alice", &b"Moby-Dick, by Friday?"[..]));

    // `Sent`, `Acknowledged` by bob, and then what alice waits for.
    while let Some(outcome) = outcomes.next().await {
        if outcome == (ChannelEvent::Delivered { request }) {
            return Ok(());
        }
    }
    Err("the channel was closed".into())
}
