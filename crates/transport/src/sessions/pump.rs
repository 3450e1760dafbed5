//! Frames in both directions over one ready connection, until something ends it.
//!
//! The rule: reading never waits for writing, so two peers that fill each other's queues go on. What
//! was taken from the queue and not written goes back to it.

use super::{
    FrameSink, FrameSource, Link, LinkError,
    outbox::Outbox,
    run::{LAST_WORDS, stopped},
    table::Stop,
};
use crate::{ConnectionMeter, Ready, RecvError, guarded};
use bytes::Bytes;
use quorate_base::TokioClock;
use quorate_wire::EncodedFrame;
use std::{collections::VecDeque, future::Future, pin::Pin, pin::pin, time::Duration};
use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, sleep, timeout},
};

/// After how many frames without a pause the other tasks get their turn.
const FRAMES_PER_TURN: u32 = 64;
/// How long a connection that gives way to another may stay silent while the rest of it is read.
const SILENCE: Duration = Duration::from_millis(100);

/// What ended a connection.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The link.
    Link(LinkError),
    /// A frame.
    Recv(RecvError),
    /// We.
    Stopped(Stop),
}

/// Moves frames until the connection ends. Afterwards the queue holds what was not written.
pub(super) async fn pump(
    ready: &mut Ready,
    link: &mut Link,
    frames: &mut VecDeque<Bytes>,
    outbox: &Outbox,
    stop: &mut watch::Receiver<Option<Stop>>,
    close_time: Duration,
    clock: &TokioClock,
) -> Outcome {
    let meter = ready.meter().clone();
    let Link { sink, source, overhead } = link;
    let mut writer =
        Writer { outbox, meter: &meter, overhead: *overhead, batch: VecDeque::new(), taken: Cost::default() };
    let mut read = pin!(read(ready, source.as_mut(), frames, *overhead, clock));
    let mut write = pin!(writer.run(sink.as_mut()));
    let mut written = false;
    loop {
        tokio::select! {
            stop = stopped(stop) => {
                match stop {
                    Stop::Graceful(_) => flush(read, write, written, close_time).await,
                    Stop::Superseded => hear_out(read, &meter, close_time).await,
                }
                return Outcome::Stopped(stop);
            }
            outcome = &mut read => return outcome,
            done = &mut write, if !written => match done {
                // Held or drained: the order to stop is on its way.
                Ok(()) => written = true,
                Err(error) => return last_words(read, error).await,
            }
        }
    }
}

/// Writes what is queued, within the time limit, and goes on reading meanwhile.
async fn flush(
    mut read: Pin<&mut impl Future<Output = Outcome>>,
    mut write: Pin<&mut impl Future<Output = Result<(), LinkError>>>,
    written: bool,
    close_time: Duration,
) {
    if !written {
        let both = async {
            tokio::select! {
                _ = &mut write => {}
                _ = &mut read => {}
            }
        };
        let _ = timeout(close_time, both).await;
    }
}

/// Reads what the peer had sent before it knew of the other connection.
async fn hear_out(
    mut read: Pin<&mut impl Future<Output = Outcome>>,
    meter: &ConnectionMeter,
    close_time: Duration,
) {
    let begin = Instant::now();
    let mut heard = meter.frames_received();
    while timeout(SILENCE, &mut read).await.is_err() {
        let now = meter.frames_received();
        if now == heard || begin.elapsed() > close_time {
            return;
        }
        heard = now;
    }
}

/// The link takes no more frames: what the peer said about that, if it said something.
async fn last_words(read: Pin<&mut impl Future<Output = Outcome>>, error: LinkError) -> Outcome {
    match timeout(LAST_WORDS, read).await {
        Ok(outcome @ (Outcome::Link(LinkError::Closed(_)) | Outcome::Recv(_))) => outcome,
        _ => Outcome::Link(error),
    }
}

/// Takes frames from the link into the connection.
async fn read(
    ready: &mut Ready,
    source: &mut dyn FrameSource,
    frames: &mut VecDeque<Bytes>,
    overhead: usize,
    clock: &TokioClock,
) -> Outcome {
    let mut turn = 0;
    loop {
        if let Err(error) = keep_pace(ready, frames, clock).await {
            return Outcome::Recv(error);
        }
        while let Some(frame) = frames.pop_front() {
            ready.meter().received(0, overhead as u64);
            if let Err(error) = ready.recv(frame) {
                return Outcome::Recv(error);
            }
            if let Some(pause) = ready.take_pause() {
                // User code: one that panics just does not wait.
                let _ = guarded::drive(pause).await;
            }
            turn += 1;
            if turn == FRAMES_PER_TURN {
                turn = 0;
                yield_now().await;
            }
        }
        if let Err(error) = source.recv(frames).await {
            return Outcome::Link(error);
        }
    }
}

/// Waits while the peer, or a space that it writes to, is ahead of its rate.
async fn keep_pace(ready: &mut Ready, frames: &VecDeque<Bytes>, clock: &TokioClock) -> Result<(), RecvError> {
    if frames.is_empty() || !ready.has_rates() {
        return Ok(());
    }
    let bytes: usize = frames.iter().map(Bytes::len).sum();
    let wait = ready.charge(clock.now().mono, frames.len() as u64, bytes as u64)?;
    if !wait.is_zero() {
        sleep(wait).await;
    }
    Ok(())
}

/// The writing half, and what it has in hand.
struct Writer<'a> {
    outbox: &'a Outbox,
    meter: &'a ConnectionMeter,
    overhead: usize,
    batch: VecDeque<EncodedFrame>,
    /// What `batch` was when it was taken.
    taken: Cost,
}

impl Drop for Writer<'_> {
    /// What is still in hand goes back to the queue, whatever ended the connection.
    fn drop(&mut self) {
        self.settle();
        self.outbox.give_back(std::mem::take(&mut self.batch));
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    frames: usize,
    bytes: usize,
    room: usize,
}

impl Writer<'_> {
    /// Writes what is queued until the queue is drained or held.
    async fn run(&mut self, sink: &mut dyn FrameSink) -> Result<(), LinkError> {
        while self.outbox.take(&mut self.batch).await {
            self.taken = self.cost();
            let sent = sink.send(&mut self.batch).await;
            self.settle();
            sent?;
            self.meter.set_direct(sink.is_direct());
        }
        Ok(())
    }

    /// Accounts for what is no longer in hand.
    fn settle(&mut self) {
        let left = self.cost();
        let frames = self.taken.frames - left.frames;
        let bytes = self.taken.bytes - left.bytes + frames * self.overhead;
        self.meter.sent(frames as u64, bytes as u64);
        self.outbox.written(self.taken.room - left.room);
        self.taken = left;
    }

    fn cost(&self) -> Cost {
        self.batch.iter().fold(Cost::default(), |sum, frame| Cost {
            frames: sum.frames + 1,
            bytes: sum.bytes + frame.len(),
            room: sum.room + self.outbox.cost(frame) as usize,
        })
    }
}
