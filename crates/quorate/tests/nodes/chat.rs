//! A group that talks, encrypted, over a transport that a stranger wrote.

#[expect(dead_code, reason = "its `main` is the example's")]
#[path = "../../../transport/examples/tcp.rs"]
mod stranger;

use quorate::channel::{
    AckPolicy, Channel, ChannelConfig, ChannelEvent, ChannelEvents, ChannelKey, Identity, SendOptions,
    XChaCha20Poly1305Cipher,
};
use quorate::transport::{TransportConfig, TxImp};
use quorate::wire::SpaceId;
use quorate::{Node, Space};
use std::sync::Arc;
use stranger::TcpTransport;

/// Each line answers all before it.
const TALK: [(&str, &str); 4] = [
    ("alice", "does anybody read this?"),
    ("bob", "I do"),
    ("carol", "so do I"),
    ("alice", "then let us begin"),
];
const MEMBERS: [&str; 3] = ["alice", "bob", "carol"];

/// A node on TCP, in the space of the chat.
struct Guest {
    node: Node,
    space: Space,
    channel: Channel,
    events: ChannelEvents,
}

impl Guest {
    /// Opens the channel under `key`, and waits for all members to have what it says.
    async fn new(name: &str, key: u8) -> Result<Self, Box<dyn std::error::Error>> {
        let limits = TransportConfig { allow_unauthenticated: true, ..TransportConfig::default() };
        let node = Node::builder().limits(limits).bind_with(async |hnd| {
            let imp: Arc<dyn TxImp> = Arc::new(TcpTransport::bind("127.0.0.1:0", hnd).await?);
            Ok(imp)
        });
        let node = node.await?;
        let space = node.join(SpaceId::from_static(b"chat"))?;
        let identity = Identity {
            channel: "chat".into(),
            topic: "/quorate/1/chat/proto".into(),
            participant: name.into(),
        };
        let others = MEMBERS.into_iter().filter(|member| *member != name).map(Into::into);
        let config = ChannelConfig { acks: AckPolicy::All(others.collect()), ..ChannelConfig::default() };
        let mut nonces = [0; 16];
        nonces.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        let cipher = XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([key; 32]), nonces);
        let (channel, events) = space.open(identity, config, Box::new(cipher))?;
        Ok(Self { node, space, channel, events })
    }

    /// Takes part in the talk as `name`: says a line when all before it were heard. Ends when all was said, and everybody has
    /// what this one said; returns what it heard.
    async fn talk(&mut self, name: &str) -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
        let (mut heard, mut said, mut delivered) = (Vec::new(), 0, 0);
        loop {
            let turn = said + heard.len();
            match TALK.get(turn) {
                Some((who, line)) if *who == name => {
                    self.channel.send((*line).into(), SendOptions::default()).await?;
                    said += 1;
                    continue;
                }
                None if delivered == said => return Ok(heard),
                _ => {}
            }
            match self.events.next().await.ok_or("the channel was closed")? {
                ChannelEvent::Received { sender, payload, .. } => {
                    heard.push((sender.as_str().to_owned(), String::from_utf8(payload.to_vec())?));
                }
                ChannelEvent::Delivered { .. } => delivered += 1,
                ChannelEvent::Sent { .. } | ChannelEvent::Acknowledged { .. } => {}
                other => return Err(format!("{other:?}").into()),
            }
        }
    }
}

#[tokio::test]
async fn a_strangers_transport_carries_an_encrypted_group_chat() {
    let mut guests = Vec::new();
    for name in MEMBERS {
        guests.push(Guest::new(name, 7).await.unwrap());
    }
    // Somebody else is in the space, too, and got another key.
    let eve = Guest::new("eve", 8).await.unwrap();
    let meeting_point = guests[0].node.url().unwrap();
    for guest in guests[1..].iter().chain([&eve]) {
        guest.space.meet(meeting_point.clone()).await;
    }
    for guest in guests.iter().chain([&eve]) {
        guest.space.members().wait_for(|members| members.present.len() == 3).await.unwrap();
    }

    let [alice, bob, carol] = &mut guests[..] else { panic!() };
    let (alices, bobs, carols) = tokio::join!(alice.talk("alice"), bob.talk("bob"), carol.talk("carol"));
    for (name, heard) in MEMBERS.into_iter().zip([alices, bobs, carols]) {
        let expected = TALK.into_iter().filter(|(who, _)| *who != name);
        let expected: Vec<_> = expected.map(|(who, line)| (who.to_owned(), line.to_owned())).collect();
        assert_eq!(heard.unwrap(), expected, "what {name} heard");
    }

    // The outsider got every line, sealed.
    while eve.channel.stats().await.unwrap().decrypt_failed < TALK.len() as u64 {
        tokio::task::yield_now().await;
    }
    assert_eq!(eve.channel.stats().await.unwrap().messages_received, 0);
    for guest in guests.iter().chain([&eve]) {
        guest.node.shutdown().await;
    }
}
