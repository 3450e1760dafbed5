//! The driver on a store: one that fails, one that is opened again, one that is not a channel's.

use super::*;
use crate::Identity;
use crate::{
    AckPolicy, Channel, ChannelConfig, ChannelEvent, ChannelEvents, Dispatch, Messaging, MessagingError,
    NoCipher, ParticipantId, ReliableChannelManager, SendOptions, SendRefused,
};
use bytes::Bytes;
use quorate_base::{Entry, MemoryStore, TokioClock};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

/// A store that fails so many commits.
#[derive(Debug, Default)]
struct Flaky {
    inner: MemoryStore,
    failures: AtomicU32,
}

impl Store for Flaky {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, max_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(prefix, after, max_bytes)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(StoreError::Io("the disk is full".into()));
        }
        self.inner.commit(batch)
    }
}

/// What was published, and to whom it goes.
#[derive(Default)]
struct Line {
    published: Mutex<Vec<Dispatch>>,
    peer: OnceLock<Channel>,
}

#[async_trait::async_trait]
impl Messaging for Line {
    async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError> {
        self.published.lock().unwrap().push(dispatch.clone());
        if let Some(peer) = self.peer.get() {
            peer.handle_envelope(dispatch.envelope.clone());
        }
        Ok(())
    }
}

fn identity(name: &str) -> Identity {
    Identity { channel: "c".into(), topic: "/t".into(), participant: name.into() }
}

async fn open(
    name: &str,
    store: Arc<dyn Store>,
    cursor: Option<EventSeq>,
    line: Arc<Line>,
) -> Result<(Channel, ChannelEvents), OpenError> {
    let other = if name == "alice" { "bob" } else { "alice" };
    let acks = AckPolicy::All([ParticipantId::from(other)].into());
    let config = ChannelConfig { acks, ..ChannelConfig::default() };
    let clock = TokioClock::new();
    Channel::open(store, cursor, identity(name), config, Box::new(NoCipher), clock, line).await
}

#[tokio::test]
async fn a_commit_that_fails_is_tried_again() {
    let (store, line) = (Arc::new(Flaky::default()), Arc::new(Line::default()));
    let (alice, _events) = open("alice", store.clone(), None, line.clone()).await.unwrap();
    store.failures.store(COMMITS - 1, Ordering::SeqCst);
    alice.send("one".into(), SendOptions::default()).await.unwrap();
    assert_eq!(store.failures.load(Ordering::SeqCst), 0);
    assert!(alice.fault().is_none());
}

#[tokio::test]
async fn what_could_not_be_written_has_not_happened_and_the_channel_goes_on() {
    let (store, line) = (Arc::new(Flaky::default()), Arc::new(Line::default()));
    let (alice, mut events) = open("alice", store.clone(), None, line.clone()).await.unwrap();
    let first = alice.send("one".into(), SendOptions::default()).await.unwrap();
    assert_eq!(events.next().await, Some(ChannelEvent::Sent { request: first }));
    let left = line.published.lock().unwrap().len();
    store.failures.store(COMMITS, Ordering::SeqCst);
    let refused = alice.send("two".into(), SendOptions::default()).await;
    assert_eq!(refused, Err(SendRefused::Store));
    let third = alice.send("three".into(), SendOptions::default()).await.unwrap();
    assert!(third > first);
    assert_eq!(events.next().await, Some(ChannelEvent::Sent { request: third }));
    let published = line.published.lock().unwrap();
    let two =
        published.iter().filter(|dispatch| dispatch.envelope.payload.windows(3).any(|part| part == b"two"));
    assert_eq!(two.count(), 0, "what was not written never left");
    assert!(published.len() > left);
}

#[tokio::test]
async fn closing_keeps_open_sends_and_opening_again_goes_on_with_them() {
    let (store, line) = (Arc::new(MemoryStore::new()), Arc::new(Line::default()));
    let manager = ReliableChannelManager::new(line.clone());
    let acks = AckPolicy::All([ParticipantId::from("bob")].into());
    let config = ChannelConfig { acks, ..ChannelConfig::default() };
    let reopen = || manager.open(store.clone(), None, identity("alice"), config.clone(), Box::new(NoCipher));
    let (alice, mut events) = reopen().await.unwrap();
    assert!(matches!(reopen().await, Err(OpenError::Duplicate(_))));
    let request = alice.send("hello".into(), SendOptions::default()).await.unwrap();
    manager.close(&"c".into()).await.unwrap();
    assert_eq!(events.next().await, Some(ChannelEvent::Sent { request }));
    assert_eq!(events.next().await, None, "no outcome is made up");

    let to_alice = Arc::new(Line::default());
    let (bob, mut bob_events) =
        open("bob", Arc::new(MemoryStore::new()), None, to_alice.clone()).await.unwrap();
    let (alice, mut events) = reopen().await.unwrap();
    line.peer.set(bob).ok().unwrap();
    to_alice.peer.set(alice).ok().unwrap();
    let Some(ChannelEvent::Received { payload, .. }) = bob_events.next().await else { panic!() };
    assert_eq!(payload, "hello");
    // Nothing was confirmed: the log tells all of it again, then what is new.
    let by = ParticipantId::from("bob");
    assert_eq!(events.next().await, Some(ChannelEvent::Sent { request }));
    assert_eq!(events.next().await, Some(ChannelEvent::Acknowledged { request, by }));
    assert_eq!(events.next().await, Some(ChannelEvent::Delivered { request }));
}

#[tokio::test]
async fn a_slow_application_reads_its_events_from_the_log_in_order() {
    let (store, line) = (Arc::new(MemoryStore::new()), Arc::new(Line::default()));
    let (alice, mut events) = open("alice", store, None, line).await.unwrap();
    const SENDS: u64 = 1_000;
    for number in 0..SENDS {
        alice.send(Bytes::from(number.to_be_bytes().to_vec()), SendOptions::default()).await.unwrap();
    }
    for number in 1..=SENDS {
        let told = events.next_logged().await.unwrap();
        assert_eq!(told.seq, Some(EventSeq(number)), "{told:?}");
    }
    assert_eq!(alice.events_after(EventSeq(SENDS - 2), 1_000).await.unwrap().len(), 2);
    alice.confirm(EventSeq(SENDS)).await.unwrap();
    assert_eq!(alice.events_after(EventSeq::START, 1_000).await.unwrap(), []);
}

#[tokio::test]
async fn a_cursor_that_the_store_does_not_know_and_records_that_are_damaged_are_errors() {
    let (store, line) = (Arc::new(MemoryStore::new()), Arc::new(Line::default()));
    let ahead = open("alice", store.clone(), Some(EventSeq(7)), line.clone()).await;
    assert!(matches!(ahead, Err(OpenError::CursorAhead { cursor: EventSeq(7), last: EventSeq(0) })));
    let (alice, _events) = open("alice", store.clone(), None, line.clone()).await.unwrap();
    alice.send("hello".into(), SendOptions::default()).await.unwrap();
    alice.shutdown().await;
    let whole = store.scan(b"", None, usize::MAX).unwrap();
    let mut batch = Batch::new();
    batch.delete(whole[0].0.clone());
    store.commit(batch).unwrap();
    let damaged = open("alice", store.clone(), None, line).await;
    assert!(matches!(damaged, Err(OpenError::Recovery(RecoveryError::Damaged { .. }))));
    assert_eq!(store.scan(b"", None, usize::MAX).unwrap(), whole[1..], "nothing is reset");
}
