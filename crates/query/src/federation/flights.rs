//! The requests of one query that are in flight, polled in place.
//!
//! A query has as many as it has peers, a handful: they stand in a list and are all polled when one of them wakes the task,
//! which is cheaper than a waker for each.

use crate::attempts::AttemptId;
use crate::call::Answer;
use crate::error::PeerError;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

type Outcome = Result<Answer, PeerError>;
type Flight<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

pub(super) struct Flights<'a> {
    flights: Vec<(AttemptId, Flight<'a>)>,
}

impl<'a> Flights<'a> {
    pub(super) const fn new() -> Self {
        Self { flights: Vec::new() }
    }

    pub(super) fn start(&mut self, attempt: AttemptId, flight: Flight<'a>) {
        self.flights.push((attempt, flight));
    }

    /// Drops a request.
    pub(super) fn stop(&mut self, attempt: AttemptId) {
        self.flights.retain(|(other, _)| *other != attempt);
    }

    /// The next one that ends; never while there is none.
    pub(super) async fn next(&mut self) -> (AttemptId, Outcome) {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(AttemptId, Outcome)> {
        let landed = self.flights.iter_mut().enumerate().find_map(|(index, (_, flight))| {
            match flight.as_mut().poll(cx) {
                Poll::Ready(outcome) => Some((index, outcome)),
                Poll::Pending => None,
            }
        });
        match landed {
            Some((index, outcome)) => Poll::Ready((self.flights.swap_remove(index).0, outcome)),
            None => Poll::Pending,
        }
    }
}
