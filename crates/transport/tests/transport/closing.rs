//! The end of a transport: what is let go of, and what is refused from then on.

use crate::support::*;
use quorate_transport::{ConfigError, ConfigSections, RegisterError, Transport, TxHandler, TxModuleHandler};
use std::sync::Arc;

/// A handler that holds the transport that holds it.
struct Held(#[expect(dead_code, reason = "it is only held")] Box<dyn Send + Sync>);
impl TxModuleHandler for Held {}
impl TxHandler for Held {}

#[tokio::test]
async fn a_closed_transport_never_keeps_a_handler() {
    let bench = Bench::new();
    let module: Arc<dyn TxModuleHandler> = Arc::new(Held(Box::new(bench.transport.clone())));
    let weak_module = Arc::downgrade(&module);
    bench.transport.register_module_handler(SPACE, MODULE, module).unwrap().keep();
    let (space, registration) = bench.space();
    registration.keep();
    let (weak_space, weak_top) = (Arc::downgrade(&space), Arc::downgrade(&bench.top));
    bench.transport.close().await;
    let Bench { top, transport, hnd, .. } = bench;
    drop((top, space));
    assert!(weak_module.upgrade().is_none() && weak_space.upgrade().is_none());
    assert!(weak_top.upgrade().is_none(), "the transport's own handler, too");
    drop((transport, hnd));
}

#[tokio::test]
async fn a_closed_transport_takes_no_handler() {
    let bench = Bench::new();
    let (_space, registration) = bench.space();
    drop(registration);
    bench.transport.close().await;
    let probe = Probe::new("late", &bench.log);
    let space = bench.transport.register_space_handler(SPACE, probe.clone());
    assert_eq!(space.unwrap_err(), RegisterError::Closed);
    let module = bench.transport.register_module_handler(SPACE, MODULE, probe.clone());
    assert_eq!(module.unwrap_err(), RegisterError::Closed);
    assert_eq!(Arc::strong_count(&probe), 1, "nothing of it is kept");
    let configured = bench.transport.configure_for_space(&SPACE, &ConfigSections::default()).await;
    assert_eq!(configured, Err(ConfigError::Closed));
    bench.hnd.new_listening_address_for(&SPACE, &mem("own")).await;
    assert_eq!(bench.transport.stats().transport_stats.peer_urls, [mem("drawer")]);
}

#[tokio::test]
async fn a_close_that_was_dropped_is_finished_by_the_next() {
    let hub = quorate_transport::MemHub::default();
    let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
    a.notify(&b, b"hello").await.unwrap();
    let transport = a.transport.clone();
    {
        let mut closing = Box::pin(transport.close());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(closing.as_mut().poll(&mut context).is_pending(), "the connection is still being closed");
    }
    tokio::join!(transport.close(), transport.close());
    assert!(transport.connected_peers().is_empty());
    b.log.wait_for("top: disconnect a (closing)").await;
    let totals = transport.totals();
    assert_eq!((totals.connections_opened, totals.connections_ended), (1, 1));
    transport.close().await;
}

#[tokio::test]
async fn a_module_with_a_weak_handle_never_keeps_its_transport() {
    let bench = Bench::new();
    let weak = bench.transport.downgrade();
    let module = Arc::new(Held(Box::new(weak.clone())));
    let gone = Arc::downgrade(&module);
    bench.transport.register_module_handler(SPACE, MODULE, module).unwrap().keep();
    assert!(weak.upgrade().is_some_and(|transport: Transport| transport.url() == Some(mem("drawer"))));
    drop(bench);
    assert!(weak.upgrade().is_none() && gone.upgrade().is_none());
}
