//! Which channel an envelope goes to, and which names are errors.

use super::*;
use crate::cipher::NoCipher;
use crate::output::{ChannelEvent, Dispatch};
use crate::{ChannelKey, MessagingError, XChaCha20Poly1305Cipher};
use std::sync::OnceLock;
use std::time::Duration;

/// A perfect network in one process, which keeps what crossed it.
#[derive(Default)]
struct Room {
    members: OnceLock<Vec<Arc<ReliableChannelManager>>>,
    crossed: Mutex<Vec<MessageEnvelope>>,
}

#[async_trait::async_trait]
impl Messaging for Room {
    async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError> {
        self.crossed.lock().unwrap().push(dispatch.envelope.clone());
        for member in self.members.get().ok_or(MessagingError::Unreachable)? {
            member.handle_envelope(&dispatch.envelope);
        }
        Ok(())
    }
}

fn two() -> (Arc<Room>, [Arc<ReliableChannelManager>; 2]) {
    let room = Arc::new(Room::default());
    let members = [(); 2].map(|()| Arc::new(ReliableChannelManager::new(room.clone())));
    room.members.set(members.to_vec()).ok().unwrap();
    (room, members)
}

fn open(
    manager: &ReliableChannelManager,
    name: &str,
    channel: &str,
    topic: &str,
) -> (Channel, ChannelEvents) {
    let identity = Identity { channel: channel.into(), topic: topic.into(), participant: name.into() };
    manager.create(identity, ChannelConfig::default(), Box::new(NoCipher)).unwrap()
}

async fn received(events: &mut ChannelEvents) -> Bytes {
    loop {
        if let ChannelEvent::Received { payload, .. } = events.next().await.unwrap() {
            return payload;
        }
    }
}

async fn nothing(events: &mut ChannelEvents) -> bool {
    tokio::time::timeout(Duration::from_secs(30), events.next()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn two_channels_share_a_topic_and_each_gets_its_own() {
    let (_room, [alice, bob]) = two();
    let (one, _events) = open(&alice, "alice", "one", "/t");
    let (_one, mut to_one) = open(&bob, "bob", "one", "/t");
    let (two, mut to_two) = open(&bob, "bob", "two", "/t");
    one.send("hello".into(), SendOptions::default()).await.unwrap();
    assert_eq!(received(&mut to_one).await, "hello");
    assert!(nothing(&mut to_two).await);
    assert!(two.stats().await.unwrap().foreign > 0);
    bob.close(&"one".into()).await.unwrap();
    let (_two, _events) = open(&alice, "alice", "two", "/t");
    alice.send(&"two".into(), "still here".into(), SendOptions::default()).await.unwrap();
    assert_eq!(received(&mut to_two).await, "still here", "the topic is kept while another channel uses it");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_marked_or_of_another_topic_goes_to_nobody() {
    let (room, [alice, bob]) = two();
    let (one, _events) = open(&alice, "alice", "one", "/t");
    one.send("hello".into(), SendOptions::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let genuine = room.crossed.lock().unwrap()[0].clone();
    let (_one, mut events) = open(&bob, "bob", "one", "/t");
    let unmarked = MessageEnvelope { meta: None, ..genuine.clone() };
    let other =
        MessageEnvelope { meta: Some(Bytes::from_static(b"RELIABLE-CHANNEL-API/2")), ..genuine.clone() };
    let elsewhere = MessageEnvelope { content_topic: "/u".into(), ..genuine.clone() };
    assert_eq!([unmarked, other, elsewhere].map(|envelope| bob.handle_envelope(&envelope)), [0, 0, 0]);
    assert_eq!(bob.handle_envelope(&genuine), 1);
    assert_eq!(received(&mut events).await, "hello");
    assert_eq!(bob.handle_envelope(&genuine), 1);
    bob.close(&"one".into()).await.unwrap();
    assert_eq!(bob.handle_envelope(&genuine), 0, "a closed channel gets nothing");
    assert_eq!(events.next().await, None, "and the duplicate was no event");
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_known_between_create_and_close() {
    let (_room, [alice, _bob]) = two();
    let id = ChannelId::from("one");
    assert_eq!(alice.channel(&id).unwrap_err(), ManagerError::Unknown(id.clone()));
    let (_one, _events) = open(&alice, "alice", "one", "/t");
    assert!(alice.channel(&id).is_ok());
    alice.close(&id).await.unwrap();
    assert_eq!(alice.channel(&id).unwrap_err(), ManagerError::Unknown(id.clone()));
    let (_again, _events) = open(&alice, "alice", "one", "/t");
    alice.shutdown().await;
    assert_eq!(alice.close(&id).await, Err(ManagerError::Unknown(id)));
}

#[tokio::test(start_paused = true)]
async fn a_key_changes_while_the_channel_is_open() {
    let (_room, [alice, bob]) = two();
    let cipher = |key: u8, nonce: u8| -> Box<dyn Cipher> {
        Box::new(XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([key; 32]), [nonce; 16]))
    };
    let identity =
        |name: &str| Identity { channel: "one".into(), topic: "/t".into(), participant: name.into() };
    let (one, _events) = alice.create(identity("alice"), ChannelConfig::default(), cipher(1, 1)).unwrap();
    let (other, mut events) = bob.create(identity("bob"), ChannelConfig::default(), cipher(1, 2)).unwrap();
    let grace = Duration::from_secs(60);
    other.rotate(cipher(2, 3), grace).await.unwrap();
    one.send("the old key".into(), SendOptions::default()).await.unwrap();
    assert_eq!(received(&mut events).await, "the old key");
    one.rotate(cipher(2, 4), grace).await.unwrap();
    let request = one.send("the new one".into(), SendOptions::default()).await.unwrap();
    assert_eq!(received(&mut events).await, "the new one");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(one.segment_states(request).await.unwrap(), None, "delivered, so nothing is left to be seen");
    assert_eq!(other.stats().await.unwrap().unknown_key, 0);
}
