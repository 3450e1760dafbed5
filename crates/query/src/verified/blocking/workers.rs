//! Threads for jobs that block: as many as are needed, up to a bound; then jobs wait for one.
//!
//! The rule: a thread that has nothing to do ends. Both the threads and the jobs that wait have a bound.

use crate::error::PeerError;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded number of threads of one kind.
pub(super) struct Workers {
    name: &'static str,
    max: usize,
    max_waiting: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    threads: usize,
    waiting: VecDeque<Job>,
}

impl Workers {
    /// Up to `max` threads; beyond that `max_waiting` jobs wait.
    pub(super) fn new(name: &'static str, max: usize, max_waiting: usize) -> Self {
        Self { name, max, max_waiting, state: Arc::default() }
    }

    /// Runs a job, now or when a thread is free.
    ///
    /// # Errors
    ///
    /// [`PeerError::Busy`] when too many wait already, or there is no thread to be had. The job is dropped.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PeerError> {
        {
            let mut state = lock(&self.state);
            if state.threads >= self.max {
                if state.waiting.len() >= self.max_waiting {
                    return Err(PeerError::Busy { max: self.max + self.max_waiting });
                }
                state.waiting.push_back(Box::new(job));
                return Ok(());
            }
            state.threads += 1;
        }
        let shared = self.state.clone();
        let thread = thread::Builder::new().name(self.name.to_owned());
        if thread.spawn(move || work(&shared, Box::new(job))).is_ok() {
            return Ok(());
        }
        lock(&self.state).threads -= 1;
        Err(PeerError::Busy { max: self.threads() })
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        lock(&self.state).threads
    }
}

fn work(state: &Mutex<State>, first: Job) {
    let mut job = first;
    loop {
        // A transport or a signer that panics loses its own job and no thread; whoever waits for it waits until its time is up.
        let _ = catch_unwind(AssertUnwindSafe(job));
        let mut state = lock(state);
        match state.waiting.pop_front() {
            Some(next) => job = next,
            None => {
                state.threads -= 1;
                return;
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn threads_and_waiting_jobs_are_bounded_and_nothing_is_left_behind() {
        let workers = Workers::new("test", 2, 1);
        let (say, heard) = channel();
        let mut gates = Vec::new();
        for number in 0..3 {
            let (open, gate) = channel::<()>();
            gates.push(open);
            let say = say.clone();
            let job = move || {
                let _ = gate.recv();
                let _ = say.send(number);
            };
            workers.run(job).expect("there is room for two and one that waits");
        }
        assert!(matches!(workers.run(|| {}), Err(PeerError::Busy { max: 3 })));
        assert_eq!(workers.threads(), 2);
        drop(gates);
        let mut done: Vec<_> = (0..3).map(|_| heard.recv().expect("each job is done")).collect();
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2]);
        while workers.threads() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn a_job_that_panics_costs_no_thread() {
        let workers = Workers::new("test", 1, 9);
        let (say, heard) = channel();
        workers.run(|| std::panic::resume_unwind(Box::new(()))).expect("there is room");
        workers.run(move || assert_eq!(say.send(()), Ok(()))).expect("there is room");
        heard.recv_timeout(std::time::Duration::from_secs(30)).expect("the next one is done");
    }
}
