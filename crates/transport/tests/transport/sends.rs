//! A send says what became of it.

use crate::support::*;
use bytes::Bytes;
use quorate_transport::{SendError, SendOutcome, TransportConfig};
use quorate_wire::{Frame, SpaceId};
use std::{num::NonZeroUsize, sync::atomic::Ordering::SeqCst};

#[tokio::test]
async fn a_send_to_an_unknown_space_is_never_a_success() {
    let bench = Bench::new();
    let space = SpaceId::from_static(b"nowhere");
    let wanted = SendError::UnknownSpace { space: space.clone() };
    let (bob, data) = (mem("bob"), Bytes::from_static(b"lost"));
    assert_eq!(bench.transport.send_space_notify(&bob, &space, data.clone()).await, Err(wanted.clone()));
    assert_eq!(bench.transport.send_module(&bob, &space, &MODULE, data.clone()).await, Err(wanted.clone()));
    assert_eq!(bench.transport.try_send_module(&bob, &space, &MODULE, data), Err(wanted));
    assert!(bench.drawer.0.lock().unwrap().is_empty());
    assert!(bench.transport.stats().blocked_message_counts.is_empty());
}

#[tokio::test]
async fn a_space_without_agents_sends_nothing() {
    let bench = Bench::new();
    let (space, _registration) = bench.space();
    space.has_agents.store(false, SeqCst);
    space.blocks.store(true, SeqCst);
    let sent = bench.transport.send_space_notify(&mem("bob"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Err(SendError::NoLocalAgents));
    assert!(SendError::NoLocalAgents.is_retryable());
    assert!(bench.transport.stats().blocked_message_counts.is_empty(), "agents are looked for first");
}

#[tokio::test]
async fn what_is_sent_is_the_frame_and_its_payload_is_not_copied() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    let data = Bytes::from(vec![7; 1_000]);
    let sent = bench.transport.send_module(&mem("bob"), &SPACE, &MODULE, data.clone()).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff));
    let frames = bench.drawer.0.lock().unwrap();
    assert_eq!(frames[0].payload().as_ptr(), data.as_ptr());
    let frame = Frame::Module { space: SPACE, module: MODULE, data };
    assert_eq!(Frame::decode(frames[0].to_bytes()), Ok(frame));
}

#[tokio::test]
async fn a_frame_above_the_limit_is_refused_before_it_harms_the_connection() {
    let max_frame_bytes = NonZeroUsize::new(20).unwrap();
    let bench = Bench::with(TransportConfig { max_frame_bytes, ..TransportConfig::default() });
    let (_space, _registration) = bench.space();
    let bob = mem("bob");
    let send = |len| bench.transport.try_send_space_notify(&bob, &SPACE, Bytes::from(vec![0; len]));
    assert_eq!(send(9), Ok(SendOutcome::HandedOff));
    assert_eq!(send(10), Err(SendError::TooLarge { len: 21, max: 20 }));
}

#[tokio::test]
async fn nothing_is_sent_after_close() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    bench.transport.close().await;
    let sent = bench.transport.send_space_notify(&mem("bob"), &SPACE, Bytes::new()).await;
    assert_eq!(sent, Err(SendError::Closed));
    assert_eq!(bench.transport.connect(&mem("bob")).await, Err(SendError::Closed));
    let opened =
        bench.hnd.open(peer("bob"), quorate_transport::Direction::Incoming, Default::default()).await;
    assert_eq!(opened.unwrap_err(), quorate_transport::OpenError::Closed);
}

#[tokio::test]
async fn the_default_connect_sends_what_peers_ignore() {
    let bench = Bench::new();
    bench.transport.connect(&mem("bob")).await.unwrap();
    let frames = bench.drawer.0.lock().unwrap();
    assert_eq!(Frame::decode(frames[0].to_bytes()).unwrap().kind(), quorate_wire::FrameKind::Unspecified);
}
