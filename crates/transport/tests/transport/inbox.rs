//! Messages that wait to be taken: who exceeds its budget feels it, and nobody else does.

use crate::{script::*, support::*};
use bytes::Bytes;
use quorate_transport::{
    Close, CloseCode, ConfigError, Inbox, InboxConfig, InboxHandlers, InboxMessage, MemHub, MemTransport,
    Overflow, SendOutcome, Transport, TransportConfig, TxHandler, TxImpHnd,
};
use quorate_wire::Frame;
use std::{num::NonZeroUsize, sync::Arc, time::Duration};

/// Room for so many payloads of 1,000 bytes.
fn config(messages: usize, overflow: Overflow) -> InboxConfig {
    let peer_bytes = NonZeroUsize::new(messages * 1_300).unwrap();
    InboxConfig { peer_bytes, overflow, ..InboxConfig::default() }
}

fn filled(number: u8) -> Bytes {
    Frame::Notify { space: SPACE, data: vec![number; 1_000].into() }.encode().to_bytes()
}

/// A node whose space is an inbox.
fn stage(config: InboxConfig) -> (Stage, Inbox) {
    let stage = Stage::new();
    let (handlers, inbox) = Inbox::new(config).unwrap();
    stage.node.transport.unregister_space(&SPACE);
    stage.node.transport.register_space_handler(SPACE, handlers.space()).unwrap().0.keep();
    (stage, inbox)
}

fn number(message: Option<InboxMessage>) -> Option<u8> {
    message.map(|message| message.data[0])
}

#[tokio::test(start_paused = true)]
async fn a_slowed_peer_loses_nothing_when_its_messages_are_taken_in_time() {
    let (stage, mut inbox) = stage(config(3, Overflow::Slow(Duration::from_secs(5))));
    let far = stage.guest("far").await;
    for sent in 0..50 {
        far.send(filled(sent));
    }
    settle().await;
    assert_eq!(inbox.stats().messages, 3, "no more than its budget");
    for expected in 0..50 {
        assert_eq!(number(inbox.recv().await), Some(expected));
    }
    let stats = inbox.stats();
    assert_eq!((stats.messages, stats.bytes, stats.dropped), (0, 0, 0));
    assert!(stats.waited > 0);
    assert!(stage.node.transport.totals().inbox_waits > 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_room_always_ends() {
    let (stage, mut inbox) = stage(config(1, Overflow::Slow(Duration::from_secs(5))));
    let far = stage.guest("far").await;
    let begin = tokio::time::Instant::now();
    for sent in 0..4 {
        far.send(filled(sent));
    }
    far.send(Frame::Disconnect { reason: "bye".into() }.encode().to_bytes());
    stage.node.log.wait_for("top: disconnect far (bye)").await;
    assert_eq!(begin.elapsed().as_secs(), 15, "three messages waited for 5 s each");
    assert_eq!(inbox.stats().dropped, 3);
    assert_eq!(number(inbox.try_recv()), Some(0));
    assert_eq!(number(inbox.try_recv()), None);
}

#[tokio::test(start_paused = true)]
async fn other_peers_never_notice_a_slowed_one() {
    let (stage, mut inbox) = stage(config(2, Overflow::Slow(Duration::MAX)));
    let (greedy, modest) = (stage.guest("greedy").await, stage.guest("modest").await);
    for _ in 0..100 {
        greedy.send(filled(1));
    }
    settle().await;
    modest.send(filled(2));
    settle().await;
    let taken: Vec<_> = (0..3).filter_map(|_| number(inbox.try_recv())).collect();
    assert_eq!(taken.iter().filter(|number| **number == 2).count(), 1, "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_is_counted_and_nothing_else_happens() {
    let (stage, mut inbox) = stage(config(2, Overflow::Drop));
    let far = stage.guest("far").await;
    for sent in 0..5 {
        far.send(filled(sent));
    }
    settle().await;
    assert_eq!(inbox.stats().dropped, 3);
    assert_eq!((number(inbox.try_recv()), number(inbox.try_recv())), (Some(0), Some(1)));
    far.send(filled(9));
    assert_eq!(number(inbox.recv().await), Some(9));
    assert_eq!(stage.node.transport.connected_peers(), [mem("far")]);
}

#[tokio::test(start_paused = true)]
async fn a_disconnected_peer_is_told_why() {
    let (stage, inbox) = stage(config(1, Overflow::Disconnect));
    let mut far = stage.guest("far").await;
    far.send(filled(1));
    far.send(filled(2));
    assert_eq!(far.last_words().await, Some(Close::new(CloseCode::Refused, "the inbox is full")));
    let stats = inbox.stats();
    assert_eq!((stats.messages, stats.dropped, stats.refused), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn all_peers_together_never_exceed_the_total() {
    let total_bytes = NonZeroUsize::new(5_000).unwrap();
    let slow = config(2, Overflow::Slow(Duration::MAX));
    let (stage, inbox) = stage(InboxConfig { total_bytes, ..slow });
    let mut guests = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let guest = stage.guest(name).await;
        (0..10).for_each(|_| guest.send(filled(1)));
        settle().await;
        assert!(inbox.stats().bytes <= 5_000, "{:?}", inbox.stats());
        guests.push(guest);
    }
    assert!(inbox.stats().dropped > 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_while_it_waits_leaves_nothing_behind() {
    let (stage, mut inbox) = stage(config(1, Overflow::Slow(Duration::MAX)));
    let far = stage.guest("far").await;
    far.send(filled(1));
    far.send(filled(2));
    settle().await;
    drop(far);
    stage.node.transport.disconnect(&mem("far"), None).await;
    assert_eq!(number(inbox.try_recv()), Some(1));
    assert_eq!(number(inbox.try_recv()), None, "what waited is gone with its connection");
    assert_eq!((inbox.stats().bytes, inbox.stats().dropped), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_is_dropped_stops_nobody() {
    let (stage, inbox) = stage(config(1, Overflow::Slow(Duration::MAX)));
    let far = stage.guest("far").await;
    far.send(filled(1));
    far.send(filled(2));
    settle().await;
    drop(inbox);
    far.send(filled(3));
    far.send(Frame::Disconnect { reason: "bye".into() }.encode().to_bytes());
    stage.node.log.wait_for("top: disconnect far (bye)").await;
}

#[tokio::test]
async fn an_inbox_without_handlers_ends_after_its_last_message() {
    let (handlers, mut inbox) = Inbox::new(InboxConfig::default()).unwrap();
    let bench = Bench::new();
    let (registration, _) = bench.transport.register_space_handler(SPACE, handlers.space()).unwrap();
    let module = bench.transport.register_module_handler(SPACE, MODULE, handlers.module()).unwrap();
    let mut ready = bench.ready("bob").await;
    ready.recv(notify(b"to the space")).unwrap();
    ready.recv(module_frame()).unwrap();
    drop((handlers, registration, module));
    let message = inbox.recv().await.unwrap();
    assert_eq!((message.peer, message.space, message.module), (mem("bob"), SPACE, None));
    assert_eq!(inbox.recv().await.unwrap().module, Some(MODULE));
    assert_eq!(inbox.recv().await, None);
}

fn module_frame() -> Bytes {
    module(b"to the module")
}

#[tokio::test]
async fn a_small_message_never_keeps_the_buffer_that_it_came_in() {
    let (handlers, mut inbox) = Inbox::new(InboxConfig::default()).unwrap();
    let bench = Bench::new();
    let _space = bench.transport.register_space_handler(SPACE, handlers.space()).unwrap();
    let mut ready = bench.ready("bob").await;
    let buffer = Bytes::from([&notify(b"small")[..], &[0; 60_000]].concat());
    let frame = buffer.slice(..notify(b"small").len());
    ready.recv(frame).unwrap();
    assert!(buffer.is_unique(), "the message in the inbox is a copy");
    assert_eq!(inbox.recv().await.unwrap().data, "small");
}

#[tokio::test]
async fn what_is_not_a_message_goes_to_the_handler_behind() {
    let bench = Bench::new();
    let (handlers, _inbox) = Inbox::new(InboxConfig::default()).unwrap();
    let probe = Probe::new("space", &bench.log);
    let over = handlers.space_over(probe.clone());
    let _space = bench.transport.register_space_handler(SPACE, over).unwrap();
    probe.blocks.store(true, std::sync::atomic::Ordering::SeqCst);
    let sent = bench.transport.send_space_notify(&mem("bob"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Ok(SendOutcome::Blocked));
    drop(bench.ready("bob").await);
    let wanted = [
        "space: connect bob",
        "top: connect bob",
        "top: preflight ",
        "space: disconnect bob",
        "top: disconnect bob",
    ];
    assert_eq!(bench.log.take(), wanted);
    bench.hnd.new_listening_address(&mem("new")).await;
    bench.hnd.set_unresponsive(&mem("bob"), Default::default()).await;
    assert_eq!(bench.log.lines()[1..], ["space: address mem://host:1/new", "space: unresponsive bob"]);
}

#[test]
fn a_peers_part_that_is_larger_than_all_is_refused() {
    let total_bytes = NonZeroUsize::MIN;
    let error = Inbox::new(InboxConfig { total_bytes, ..InboxConfig::default() }).unwrap_err();
    assert_eq!(error, ConfigError::InboxBytes { peer: 256 << 10, total: 1 });
}

struct App;
impl TxHandler for App {}

/// A node with an inbox, whose links hold little.
fn facing(hub: &MemHub, name: &str, handlers: &InboxHandlers) -> Transport {
    let queue_bytes = NonZeroUsize::new(64 << 10).unwrap();
    let config = TransportConfig { queue_bytes, ..TransportConfig::default() };
    let hnd = TxImpHnd::new(Arc::new(App), config).unwrap();
    let imp = MemTransport::bind(hub, mem(name), hnd.clone()).unwrap();
    let transport = Transport::new(hnd, Arc::new(imp));
    transport.register_space_handler(SPACE, handlers.space()).unwrap().0.keep();
    transport
}

/// Each side sends all it has before it reads anything, which is more than both inboxes, queues and links hold.
#[tokio::test(start_paused = true)]
async fn two_full_inboxes_that_face_each_other_never_deadlock() {
    const MESSAGES: usize = 400;
    let hub = MemHub::default();
    let slow = config(4, Overflow::Slow(Duration::from_millis(100)));
    let side = async |name: &str, other: &str| {
        let (handlers, mut inbox) = Inbox::new(slow).unwrap();
        let transport = facing(&hub, name, &handlers);
        tokio::task::yield_now().await;
        for _ in 0..MESSAGES {
            let sent = transport.send_space_notify(&mem(other), &SPACE, vec![1; 1_000].into()).await;
            assert_eq!(sent, Ok(SendOutcome::HandedOff));
        }
        (transport, inbox.try_recv().is_some(), inbox)
    };
    let both = async { tokio::join!(side("a", "b"), side("b", "a")) };
    let (a, b) =
        tokio::time::timeout(Duration::from_secs(3_600), both).await.expect("both sides have sent all");
    for (transport, heard, mut inbox) in [a, b] {
        assert!(heard);
        let mut taken = 1;
        while taken + inbox.stats().dropped < MESSAGES as u64 {
            inbox.recv().await.unwrap();
            taken += 1;
        }
        assert!(inbox.stats().dropped > 0, "they were full");
        drop(transport);
    }
}
