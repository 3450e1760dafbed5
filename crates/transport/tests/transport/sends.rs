//! A send says what became of it.

use crate::support::*;
use async_trait::async_trait;
use bytes::Bytes;
use quorate_transport::{
    LocalAgents, Refusal, SendError, SendOutcome, Transport, TransportConfig, TxImp, TxImpHnd, TxSpaceHandler,
};
use quorate_wire::{EncodedFrame, Frame, PeerUrl, SpaceId};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
};
use tokio::sync::Semaphore;

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

/// A space that thinks about its agents until the test lets it.
struct Thinks(Semaphore);

impl TxSpaceHandler for Thinks {
    fn has_local_agents(&self) -> LocalAgents<'_> {
        LocalAgents::later(async {
            let answer = self.0.acquire().await.map_err(|_| Refusal::new("never"))?;
            answer.forget();
            Ok(true)
        })
    }
}

#[tokio::test]
async fn a_send_waits_for_a_space_that_thinks_and_a_try_never_does() {
    let bench = Bench::new();
    let space = Arc::new(Thinks(Semaphore::new(0)));
    let (_registration, _) = bench.transport.register_space_handler(SPACE, space.clone()).unwrap();
    let (bob, name) = (mem("bob"), SPACE);
    assert_eq!(bench.transport.try_send_space_notify(&bob, &SPACE, Bytes::new()), Err(SendError::Full));
    let mut sending = Box::pin(bench.transport.send_space_notify(&bob, &name, Bytes::new()));
    assert!(futures_now(&mut sending).is_none());
    space.0.add_permits(1);
    assert_eq!(sending.await, Ok(SendOutcome::HandedOff));
    space.0.add_permits(1);
    let sent = bench.transport.try_send_space_notify(&bob, &SPACE, Bytes::new());
    assert_eq!(sent, Ok(SendOutcome::HandedOff));
    assert_eq!(bench.drawer.0.lock().unwrap().len(), 2, "each of them once");
    space.0.close();
    let refused = bench.transport.send_space_notify(&bob, &SPACE, Bytes::new()).await;
    assert_eq!(refused, Err(SendError::Handler(Refusal::new("never"))));
}

/// What a future yields when it is polled once.
fn futures_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// Has room for every other frame, and makes the rest wait.
#[derive(Default)]
struct Alternates(Mutex<Vec<(bool, EncodedFrame)>>);

#[async_trait]
impl TxImp for Alternates {
    fn url(&self) -> Option<PeerUrl> {
        None
    }
    fn send_now(&self, _: &PeerUrl, frame: &mut Option<EncodedFrame>) -> Result<(), SendError> {
        let mut seen = self.0.lock().unwrap();
        if seen.len().is_multiple_of(2) {
            seen.extend(frame.take().map(|frame| (true, frame)));
        }
        Ok(())
    }
    async fn send(&self, _: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        self.0.lock().unwrap().push((false, frame));
        Ok(())
    }
    async fn disconnect(&self, _: &PeerUrl, _: Option<&str>) {}
}

#[tokio::test]
async fn a_frame_that_is_taken_at_once_is_never_sent_again_and_one_that_is_not_is_never_lost() {
    let hnd = TxImpHnd::new(Probe::new("top", &Log::new()), TransportConfig::default()).unwrap();
    let imp = Arc::new(Alternates::default());
    let transport = Transport::new(hnd, imp.clone());
    let (_registration, _) =
        transport.register_space_handler(SPACE, Probe::new("space", &Log::new())).unwrap();
    for number in 0..6_u8 {
        let (bob, data) = (mem("bob"), Bytes::from(vec![number]));
        let sent = match number {
            0..3 => transport.send_space_notify(&bob, &SPACE, data).await,
            _ => transport.try_send_space_notify(&bob, &SPACE, data),
        };
        assert_eq!(sent, Ok(SendOutcome::HandedOff));
    }
    let seen = imp.0.lock().unwrap();
    let seen: Vec<_> = seen.iter().map(|(at_once, frame)| (*at_once, frame.payload()[0])).collect();
    assert_eq!(seen, [(true, 0), (false, 1), (true, 2), (false, 3), (true, 4), (false, 5)]);
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
