//! Nodes by HTTP, with sockets that can be shut down from outside.
//!
//! The rule: an agent is used by one exchange at a time, so that shutting it down ends that exchange and no other. One whose
//! exchange ended by itself is kept with its connections for the next one to the same node.

use super::BlockingTransport;
use super::waiting::Waiting;
use crate::blocking::{agent, post};
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::error::{ConnectFault, PeerError};
use crate::jsonrpc::{read_batch, write_batch};
use crate::pool::Node;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ureq::Agent;

/// How many agents are kept.
const MAX_IDLE: usize = 64;

/// Nodes by HTTP. Exchanges that nobody waits for any more are cut; only looking up a name and opening a connection are not, which end by
/// the exchange's timeout.
#[derive(Debug, Clone, Default)]
pub struct BlockingHttp {
    /// With the node that each was used for.
    idle: Arc<Mutex<Vec<(Endpoint, Agent)>>>,
}

impl BlockingHttp {
    fn take(&self, endpoint: &Endpoint) -> Agent {
        let mut idle = self.idle();
        let place = idle.iter().rposition(|(other, _)| other == endpoint);
        place.map_or_else(agent, |place| idle.remove(place).1)
    }

    fn keep(&self, endpoint: &Endpoint, agent: Agent) {
        let mut idle = self.idle();
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push((endpoint.clone(), agent));
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Endpoint, Agent)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockingTransport for BlockingHttp {
    fn exchange(
        &self,
        _request: u64,
        node: &Node,
        calls: &[Call],
        waiting: &Waiting,
    ) -> Result<Vec<Bytes>, PeerError> {
        let endpoint = &node.endpoint;
        if endpoint.scheme().is_websocket() {
            return Err(PeerError::Connect(ConnectFault::BadEndpoint.into()));
        }
        let agent = self.take(endpoint);
        let stopped = agent.clone();
        let (answer, over) = waiting.until_over(
            move || stopped.shutdown(),
            || post(&agent, endpoint, &write_batch(1, calls), waiting.timeout()),
        );
        if !over {
            self.keep(endpoint, agent);
        }
        let (status, body) = answer?;
        read_batch(status, &body, 1, calls.len())
    }
}
