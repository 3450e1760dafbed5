//! The requests of one question that are in flight, polled in place.
//!
//! A question has as many as it has peers, a handful: they stand in a list and are all polled when one of them wakes the task,
//! which is cheaper than a waker for each. Of several that have ended the one that was asked first comes first.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

type Flight<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Requests with ids `K` that end in a `T`.
pub(crate) struct Flights<'a, K, T> {
    flights: Vec<(K, Flight<'a, T>)>,
}

impl<'a, K: PartialEq, T> Flights<'a, K, T> {
    pub(crate) const fn new() -> Self {
        Self { flights: Vec::new() }
    }

    pub(crate) fn start(&mut self, id: K, flight: Flight<'a, T>) {
        self.flights.push((id, flight));
    }

    /// Drops a request.
    pub(crate) fn stop(&mut self, id: &K) {
        self.flights.retain(|(other, _)| other != id);
    }

    /// The next one that ends; never while there is none.
    pub(crate) async fn next(&mut self) -> (K, T) {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(K, T)> {
        let landed = self.flights.iter_mut().enumerate().find_map(|(index, (_, flight))| {
            match flight.as_mut().poll(cx) {
                Poll::Ready(outcome) => Some((index, outcome)),
                Poll::Pending => None,
            }
        });
        match landed {
            Some((index, outcome)) => Poll::Ready((self.flights.remove(index).0, outcome)),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[tokio::test]
    async fn of_several_that_have_ended_the_first_asked_comes_first() {
        let mut flights = Flights::new();
        for peer in 0..4 {
            flights.start(peer, Box::pin(ready(10 * peer)));
        }
        for peer in 0..4 {
            assert_eq!(flights.next().await, (peer, 10 * peer));
        }
    }
}
