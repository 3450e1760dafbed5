//! Handlers come and go, also from inside a call, and none takes another's place.

use crate::support::*;
use bytes::Bytes;
use quorate_transport::{Refusal, RegisterError, SpaceRegistration, Transport, TxSpaceHandler};
use quorate_wire::{PeerUrl, SpaceId};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn a_duplicate_registration_never_replaces_the_handler() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    let late = Probe::new("late", &bench.log);
    let error = bench.transport.register_space_handler(SPACE, late.clone()).unwrap_err();
    assert_eq!(error, RegisterError::AlreadyRegistered { space: SPACE, module: None });
    assert_eq!(error.to_string(), "the space c3BhY2U has a handler already");

    let module_handler = Probe::new("module", &bench.log);
    let _module = bench.transport.register_module_handler(SPACE, MODULE, module_handler).unwrap();
    let error = bench.transport.register_module_handler(SPACE, MODULE, late).unwrap_err();
    assert_eq!(error, RegisterError::AlreadyRegistered { space: SPACE, module: Some(MODULE) });

    let mut ready = bench.ready("bob").await;
    ready.recv(notify(b"1")).unwrap();
    ready.recv(module(b"2")).unwrap();
    assert_eq!(bench.log.lines()[4..], ["space: notify 1", "module: module 2"]);
}

#[tokio::test]
async fn a_dropped_registration_never_removes_a_later_one() {
    let bench = Bench::new();
    let (_space, first) = bench.space();
    bench.transport.unregister_space(&SPACE);
    let (_space, _second) = bench.space();
    drop(first);
    let mut ready = bench.ready("bob").await;
    ready.recv(notify(b"still here")).unwrap();
    assert_eq!(bench.log.count("space: notify still here"), 1);
}

#[tokio::test]
async fn dropping_a_registration_unregisters_and_keeping_it_does_not() {
    let bench = Bench::new();
    let (_space, registration) = bench.space();
    let probe = Probe::new("module", &bench.log);
    bench.transport.register_module_handler(SPACE, MODULE, probe.clone()).unwrap().keep();
    drop(registration);
    let mut ready = bench.ready("bob").await;
    ready.recv(module(b"no space")).unwrap();
    assert_eq!(bench.transport.totals().dropped_unknown_space, 1, "a module alone is no space");
    let (_space, registration) = bench.space();
    registration.keep();
    ready.recv(module(b"kept")).unwrap();
    assert_eq!(bench.log.count("module: module kept"), 1);
    bench.transport.unregister_space(&SPACE);
    ready.recv(module(b"gone")).unwrap();
    assert_eq!(bench.transport.totals().dropped_unknown_space, 2);
    assert!(bench.transport.register_module_handler(SPACE, MODULE, probe).is_ok(), "the module went with it");
}

/// Unregisters itself and registers another, from inside a call.
struct Restless {
    transport: Transport,
    own: Mutex<Option<SpaceRegistration>>,
    next: Mutex<Option<Arc<Probe>>>,
}

impl TxSpaceHandler for Restless {
    fn recv_space_notify(&self, _: &PeerUrl, space: &SpaceId, _: Bytes) -> Result<(), Refusal> {
        drop(self.own.lock().unwrap().take());
        let next = self.next.lock().unwrap().take().unwrap();
        let registered = self.transport.register_space_handler(space.clone(), next);
        registered.map_err(|error| Refusal::new(error.to_string()))?.0.keep();
        let _ = self.transport.stats();
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_registers_inside_a_call_never_deadlocks() {
    let bench = Bench::new();
    let restless = Arc::new(Restless {
        transport: bench.transport.clone(),
        own: Mutex::default(),
        next: Mutex::new(Some(Probe::new("next", &bench.log))),
    });
    let (registration, _) = bench.transport.register_space_handler(SPACE, restless.clone()).unwrap();
    *restless.own.lock().unwrap() = Some(registration);
    let mut ready = bench.ready("bob").await;
    ready.recv(notify(b"1")).unwrap();
    ready.recv(notify(b"2")).unwrap();
    assert_eq!(bench.log.lines().last().unwrap(), "next: notify 2");
}

#[tokio::test]
async fn a_new_address_reaches_everybody_once() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    let probe = Probe::new("module", &bench.log);
    let _module = bench.transport.register_module_handler(SPACE, MODULE, probe).unwrap();
    bench.hnd.new_listening_address(&mem("us")).await;
    let address = |name: &str| format!("{name}: address mem://host:1/us");
    assert_eq!(bench.log.lines(), [address("top"), address("space"), address("module")]);
}

#[tokio::test]
async fn registering_a_space_yields_the_current_url() {
    let bench = Bench::new();
    let probe = Probe::new("space", &bench.log);
    let (registration, url) = bench.transport.register_space_handler(SPACE, probe).unwrap();
    assert_eq!(url, Some(mem("drawer")));
    assert_eq!(registration.space(), &SPACE);
}
