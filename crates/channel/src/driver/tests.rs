//! The driver and the manager over a network in the same process, in tokio's paused time.

use super::*;
use crate::output::Dispatch;
use crate::{
    AckPolicy, ChannelConfig, ManagerError, MessagingError, NoCipher, ParticipantId, ReliableChannelManager,
};
use std::sync::{Mutex, OnceLock};

/// Everybody in one process; loses every third envelope.
#[derive(Default)]
struct Room {
    members: OnceLock<Vec<Arc<ReliableChannelManager>>>,
    count: Mutex<u64>,
}

#[async_trait::async_trait]
impl Messaging for Room {
    async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError> {
        let members = self.members.get().ok_or(MessagingError::Unreachable)?;
        let mut count = self.count.lock().unwrap();
        *count += 1;
        if count.is_multiple_of(3) {
            return Ok(());
        }
        for member in members {
            member.handle_envelope(&dispatch.envelope);
        }
        Ok(())
    }
}

fn identity(participant: &str, channel: &str) -> Identity {
    Identity {
        channel: channel.into(),
        topic: "/quorate/1/test/proto".into(),
        participant: participant.into(),
    }
}

fn room(members: usize) -> Vec<Arc<ReliableChannelManager>> {
    let room = Arc::new(Room::default());
    let managers: Vec<_> =
        (0..members).map(|_| Arc::new(ReliableChannelManager::new(room.clone()))).collect();
    room.members.set(managers.clone()).ok().unwrap();
    managers
}

fn open(
    manager: &ReliableChannelManager,
    participant: &str,
    channel: &str,
    acks: AckPolicy,
) -> (Channel, ChannelEvents) {
    let config = ChannelConfig { acks, ..ChannelConfig::default() };
    manager.create(identity(participant, channel), config, Box::new(NoCipher)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_send_is_sent_acknowledged_and_delivered_although_a_third_is_lost() {
    let managers = room(2);
    let roster = AckPolicy::All([ParticipantId::from("bob")].into());
    let (alice, mut alice_events) = open(&managers[0], "alice", "c", roster);
    let (_bob, mut bob_events) = open(&managers[1], "bob", "c", AckPolicy::Any);
    let payload = Bytes::from(vec![7; 1_000_000]);
    let request = alice.send(payload.clone(), SendOptions::default()).await.unwrap();
    let Some(ChannelEvent::Received { sender, payload: received, .. }) = bob_events.next().await else {
        panic!()
    };
    assert_eq!((sender.as_str(), received), ("alice", payload));
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(alice_events.next().await.unwrap());
    }
    let by = ParticipantId::from("bob");
    let expected = [
        ChannelEvent::Sent { request },
        ChannelEvent::Acknowledged { request, by },
        ChannelEvent::Delivered { request },
    ];
    assert_eq!(told, expected);
    assert!(alice.stats().await.unwrap().retransmissions > 0);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_takes_no_events_can_still_send() {
    let managers = room(2);
    let (alice, _unread) = open(&managers[0], "alice", "c", AckPolicy::Any);
    let (bob, mut bob_events) = open(&managers[1], "bob", "c", AckPolicy::Any);
    for number in 0..2_000u32 {
        bob.send(Bytes::from(number.to_be_bytes().to_vec()), SendOptions::default()).await.unwrap();
    }
    alice.send(Bytes::from_static(b"still here"), SendOptions::default()).await.unwrap();
    loop {
        if let Some(ChannelEvent::Received { payload, .. }) = bob_events.next().await {
            assert_eq!(payload, "still here");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn duplicate_and_unknown_ids_are_errors_and_a_closed_channel_is_silent() {
    let managers = room(1);
    let (first, mut events) = open(&managers[0], "alice", "c", AckPolicy::Any);
    let again = managers[0].create(identity("alice", "c"), ChannelConfig::default(), Box::new(NoCipher));
    assert_eq!(again.unwrap_err(), ManagerError::Duplicate("c".into()));
    let unknown = managers[0].send(&"d".into(), Bytes::from_static(b"x"), SendOptions::default()).await;
    assert_eq!(unknown.unwrap_err(), ManagerError::Unknown("d".into()));
    managers[0].close(&"c".into()).await.unwrap();
    assert_eq!(events.next().await, None);
    assert_eq!(first.send(Bytes::from_static(b"x"), SendOptions::default()).await, Err(SendRefused::Closed));
    assert_eq!(managers[0].close(&"c".into()).await, Err(ManagerError::Unknown("c".into())));
}

#[tokio::test(start_paused = true)]
async fn a_send_that_nobody_takes_fails_by_its_deadline() {
    let room = Arc::new(Room::default());
    let manager = ReliableChannelManager::new(room);
    let (alice, mut events) = open(&manager, "alice", "c", AckPolicy::Any);
    let started = tokio::time::Instant::now();
    let request = alice.send(Bytes::from_static(b"x"), SendOptions::default()).await.unwrap();
    let told = events.next().await.unwrap();
    assert!(matches!(told, ChannelEvent::SendError { request: failed, .. } if failed == request));
    assert!(started.elapsed() <= ChannelConfig::default().dispatch_timeout + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_the_task() {
    let channel = ReliableChannel::open(
        TokioClock::new().now(),
        identity("alice", "c"),
        ChannelConfig::default(),
        Box::new(NoCipher),
        1,
    );
    let (handle, mut events) = Channel::spawn(channel.unwrap(), TokioClock::new(), Arc::new(Room::default()));
    drop(handle);
    assert_eq!(events.next().await, None);
}
