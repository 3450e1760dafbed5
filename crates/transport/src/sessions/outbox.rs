//! The frames that wait to be written to one peer: a queue bounded by bytes.
//!
//! The rule: it belongs to the peer, not to a connection. When one connection takes another's place,
//! what was queued but not written stays where it is and goes out over the new one, in order.

use crate::locked;
use quorate_wire::EncodedFrame;
use std::{collections::VecDeque, mem, sync::Mutex};
use tokio::sync::{Notify, Semaphore, TryAcquireError};

/// What a frame costs beyond its own bytes: the value in the queue.
const FRAME_COST: usize = mem::size_of::<EncodedFrame>();
/// When a batch has this many bytes, it is written before more is taken.
const BATCH_BYTES: usize = 256 << 10;

/// A queue of frames with a budget in bytes.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// One permit per byte of room; who waits for room waits in turn.
    room: Semaphore,
    /// Woken when there is something to write.
    filled: Notify,
    budget: u32,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<EncodedFrame>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no ready connection: nothing is accepted, what is there is kept.
    Held,
    /// A ready connection writes what is accepted.
    Open,
    /// What is there is still written, nothing is accepted.
    Draining,
    /// Over.
    Closed,
}

/// Why a frame was not accepted; it stays where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// There is no room now.
    Full,
    /// There is no ready connection now.
    Held,
    /// This queue accepts nothing any more.
    Closed,
}

impl Outbox {
    /// An empty queue that accepts nothing until it is opened. `budget` is in bytes.
    pub(super) fn new(budget: usize) -> Self {
        let budget = u32::try_from(budget).unwrap_or(u32::MAX).min(u32::MAX >> 1);
        Self {
            queue: Mutex::new(Queue { frames: VecDeque::new(), state: State::Held }),
            room: Semaphore::new(budget as usize),
            filled: Notify::new(),
            budget,
        }
    }

    /// Takes the frame if there is room now.
    pub(super) fn try_push(&self, frame: &mut Option<EncodedFrame>) -> Result<(), Rejected> {
        match self.room.try_acquire_many(self.room_for(frame)) {
            Ok(permit) => self.accept(frame).map(|()| permit.forget()),
            Err(TryAcquireError::NoPermits) => Err(Rejected::Full),
            Err(TryAcquireError::Closed) => Err(Rejected::Closed),
        }
    }

    /// Takes the frame when there is room. Cancel safe.
    pub(super) async fn push(&self, frame: &mut Option<EncodedFrame>) -> Result<(), Rejected> {
        match self.room.acquire_many(self.room_for(frame)).await {
            Ok(permit) => self.accept(frame).map(|()| permit.forget()),
            Err(_) => Err(Rejected::Closed),
        }
    }

    fn accept(&self, frame: &mut Option<EncodedFrame>) -> Result<(), Rejected> {
        let mut queue = locked(&self.queue);
        match queue.state {
            State::Open => queue.frames.extend(frame.take()),
            State::Held => return Err(Rejected::Held),
            State::Draining | State::Closed => return Err(Rejected::Closed),
        }
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    fn room_for(&self, frame: &Option<EncodedFrame>) -> u32 {
        frame.as_ref().map_or(0, |frame| self.cost(frame))
    }

    /// Waits for frames and moves some of them into the empty `batch`. `false`: drained to the end.
    pub(super) async fn take(&self, batch: &mut VecDeque<EncodedFrame>) -> bool {
        loop {
            if self.take_now(batch) {
                return true;
            }
            if locked(&self.queue).state != State::Open {
                return false;
            }
            self.filled.notified().await;
        }
    }

    fn take_now(&self, batch: &mut VecDeque<EncodedFrame>) -> bool {
        let mut queue = locked(&self.queue);
        let mut bytes = 0;
        let fits = |frame: &EncodedFrame| {
            bytes += frame.len() + FRAME_COST;
            bytes <= BATCH_BYTES
        };
        // At least one, whatever its size.
        let count = queue.frames.iter().map(fits).take_while(|fits| *fits).count().max(1);
        if count >= queue.frames.len() {
            mem::swap(&mut queue.frames, batch);
        } else {
            batch.extend(queue.frames.drain(..count));
        }
        !batch.is_empty()
    }

    /// Puts frames that were taken and not written back to the front.
    pub(super) fn give_back(&self, mut batch: VecDeque<EncodedFrame>) {
        let mut queue = locked(&self.queue);
        batch.append(&mut queue.frames);
        queue.frames = batch;
    }

    /// Frames that cost `cost` were written: there is room for others.
    pub(super) fn written(&self, cost: usize) {
        self.room.add_permits(cost);
    }

    /// What a frame takes of the budget; one that is larger than all of it takes all of it.
    pub(super) fn cost(&self, frame: &EncodedFrame) -> u32 {
        u32::try_from(frame.len() + FRAME_COST).unwrap_or(u32::MAX).min(self.budget)
    }

    /// Accepts frames: a connection is ready.
    pub(super) fn open(&self) {
        self.set(State::Open);
    }

    /// Accepts nothing for a while: the connection is being replaced.
    pub(super) fn hold(&self) {
        self.set(State::Held);
    }

    /// Accepts nothing any more; who waits for room is sent away.
    pub(super) fn drain(&self) {
        self.set(State::Draining);
        self.room.close();
        self.filled.notify_one();
    }

    /// The end; returns how many frames were never written.
    pub(super) fn close(&self) -> usize {
        self.set(State::Closed);
        self.room.close();
        self.filled.notify_one();
        mem::take(&mut locked(&self.queue).frames).len()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        locked(&self.queue).frames.is_empty()
    }

    /// Draining and closed are for good.
    fn set(&self, state: State) {
        let mut queue = locked(&self.queue);
        if matches!(queue.state, State::Held | State::Open) || state == State::Closed {
            queue.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guarded::at_once;
    use bytes::Bytes;
    use quorate_wire::{Frame, SpaceId};

    fn encoded(len: usize) -> EncodedFrame {
        Frame::Notify { space: SpaceId::from_static(b"s"), data: Bytes::from(vec![len as u8; len]) }.encode()
    }

    fn frame(len: usize) -> Option<EncodedFrame> {
        Some(encoded(len))
    }

    fn open(budget: usize) -> Outbox {
        let outbox = Outbox::new(budget);
        outbox.open();
        outbox
    }

    fn payloads(batch: &VecDeque<EncodedFrame>) -> Vec<usize> {
        batch.iter().map(|frame| frame.payload().len()).collect()
    }

    #[test]
    fn a_frame_above_the_budget_passes_alone() {
        let outbox = open(1_024);
        outbox.try_push(&mut frame(5_000)).unwrap();
        assert!(matches!(outbox.try_push(&mut frame(0)), Err(Rejected::Full)));
        let mut batch = VecDeque::new();
        assert_eq!(at_once(outbox.take(&mut batch)), Some(true));
        assert!(matches!(outbox.try_push(&mut frame(0)), Err(Rejected::Full)), "taken is not written");
        outbox.written(batch.iter().map(|frame| outbox.cost(frame) as usize).sum());
        outbox.try_push(&mut frame(1)).unwrap();
        assert!(
            matches!(outbox.try_push(&mut frame(5_000)), Err(Rejected::Full)),
            "it waits for all the room"
        );
    }

    #[test]
    fn frames_without_bytes_cannot_fill_the_memory() {
        let outbox = open(64 << 10);
        let accepted = (0..100_000).take_while(|_| outbox.try_push(&mut frame(0)).is_ok()).count();
        assert!((1..=(64 << 10) / FRAME_COST).contains(&accepted), "{accepted}");
    }

    #[test]
    fn who_waits_for_room_is_not_overtaken() {
        let outbox = open(1_024);
        outbox.try_push(&mut frame(700)).unwrap();
        let mut large_frame = frame(1_000);
        let mut large = Box::pin(outbox.push(&mut large_frame));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(large.as_mut().poll(&mut context).is_pending());
        assert!(matches!(outbox.try_push(&mut frame(0)), Err(Rejected::Full)));
        outbox.written(outbox.cost(&encoded(700)) as usize);
        assert!(large.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn what_was_not_written_comes_out_first_again() {
        let outbox = open(8_192);
        for len in [1, 2, 3, 4] {
            outbox.try_push(&mut frame(len)).unwrap();
        }
        let mut batch = VecDeque::new();
        assert_eq!(at_once(outbox.take(&mut batch)), Some(true));
        batch.pop_front();
        outbox.hold();
        assert!(matches!(outbox.try_push(&mut frame(9)), Err(Rejected::Held)));
        outbox.give_back(batch);
        outbox.open();
        outbox.try_push(&mut frame(5)).unwrap();
        let mut batch = VecDeque::new();
        assert_eq!(at_once(outbox.take(&mut batch)), Some(true));
        assert_eq!(payloads(&batch), [2, 3, 4, 5]);
    }

    #[test]
    fn a_large_queue_is_taken_in_batches() {
        let outbox = open(8 << 20);
        for _ in 0..10 {
            outbox.try_push(&mut frame(100 << 10)).unwrap();
        }
        let mut batch = VecDeque::new();
        assert_eq!(at_once(outbox.take(&mut batch)), Some(true));
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn draining_writes_what_is_there_and_sends_waiters_away() {
        let outbox = open(2_048);
        outbox.try_push(&mut frame(1_500)).unwrap();
        let mut second = frame(1_500);
        let mut waiting = Box::pin(outbox.push(&mut second));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        outbox.drain();
        outbox.open();
        assert!(matches!(at_once(waiting), Some(Err(Rejected::Closed))));
        assert!(matches!(outbox.try_push(&mut frame(1)), Err(Rejected::Closed)), "draining is for good");
        let mut batch = VecDeque::new();
        assert_eq!(at_once(outbox.take(&mut batch)), Some(true));
        let mut rest = VecDeque::new();
        assert_eq!(at_once(outbox.take(&mut rest)), Some(false));
        outbox.give_back(batch);
        assert_eq!(outbox.close(), 1);
    }
}
