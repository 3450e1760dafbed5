//! Transports that are not QUIC keep what every transport promises: in memory, and a stranger's, over TCP.

#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]

#[expect(dead_code, reason = "its `main` is the example's")]
#[path = "../../transport/examples/tcp.rs"]
mod example;

use quorate_testkit::transport::{MakeImp, conformance};
use quorate_transport::{MemHub, MemTransport, TxImp, TxImpHnd};
use quorate_wire::PeerUrl;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Nodes on one hub, under keys (`mem://host:1/7`) or under bare URLs (`mem://host:7`).
struct Mem {
    hub: MemHub,
    next: AtomicU32,
    keyed: bool,
}

fn mem(keyed: bool) -> Mem {
    Mem { hub: MemHub::default(), next: AtomicU32::new(1), keyed }
}

impl MakeImp for Mem {
    fn make(&self, hnd: Arc<TxImpHnd>) -> impl Future<Output = Arc<dyn TxImp>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let url = if self.keyed { format!("mem://host:1/{number}") } else { format!("mem://host:{number}") };
        let imp: Arc<dyn TxImp> = Arc::new(MemTransport::bind(&self.hub, url.parse().unwrap(), hnd).unwrap());
        std::future::ready(imp)
    }

    fn make_again(&self, url: &PeerUrl, hnd: Arc<TxImpHnd>) -> impl Future<Output = Option<Arc<dyn TxImp>>> {
        let imp: Arc<dyn TxImp> = Arc::new(MemTransport::bind(&self.hub, url.clone(), hnd).unwrap());
        std::future::ready(Some(imp))
    }
}

/// Nodes on loopback, each on a port of its own.
struct Tcp;

impl MakeImp for Tcp {
    async fn make(&self, hnd: Arc<TxImpHnd>) -> Arc<dyn TxImp> {
        Arc::new(example::TcpTransport::bind("127.0.0.1:0", hnd).await.unwrap())
    }

    async fn make_again(&self, url: &PeerUrl, hnd: Arc<TxImpHnd>) -> Option<Arc<dyn TxImp>> {
        loop {
            // The task that has the port may not have ended yet.
            match example::TcpTransport::bind(url.addr(), Arc::clone(&hnd)).await {
                Ok(imp) => return Some(Arc::new(imp)),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

mod in_memory {
    quorate_testkit::conformance_tests!(super::mem(true));
}

mod over_tcp {
    quorate_testkit::conformance_tests!(super::Tcp);
}

#[test]
fn a_transport_that_authenticates_nobody_keeps_it_too() {
    let mut two = tokio::runtime::Builder::new_multi_thread();
    two.worker_threads(2).enable_all().build().unwrap().block_on(conformance(mem(false)));
}

#[test]
fn one_thread_is_enough() {
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one.block_on(conformance(mem(true)));
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    one.block_on(conformance(Tcp));
}
