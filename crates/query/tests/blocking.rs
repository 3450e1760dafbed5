//! The blocking driver, without a runtime: the guardians have one, on another thread.

use quorate_query::blocking::{BlockingError, BlockingFederation};
use quorate_query::query::api;
use quorate_query::{AttemptsConfig, PeerId, QueryFailure};
use quorate_testkit::guardians::{Fault, Guardians};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Guardians on a runtime of their own, and a client that has none.
fn four(faults: &[(usize, Fault)]) -> (Runtime, Guardians, BlockingFederation) {
    let runtime = Runtime::new().expect("a runtime");
    let guardians = runtime.block_on(async {
        let guardians = Guardians::start(4).await.expect("loopback ports");
        for (peer, fault) in faults {
            guardians.guardian(*peer).set_fault(fault.clone()).await;
        }
        guardians
    });
    let endpoints = guardians.iter().map(|guardian| guardian.http_url().parse().expect("a URL"));
    let federation = BlockingFederation::at((0..).map(PeerId).zip(endpoints)).expect("four");
    (runtime, guardians, federation)
}

fn patience() -> AttemptsConfig {
    AttemptsConfig { attempt_timeout: Duration::from_millis(300), ..AttemptsConfig::default() }
        .within(Duration::from_secs(2))
}

#[test]
fn a_quorum_answers_with_one_fault_of_any_kind() {
    for fault in [Fault::Liar, Fault::Hang, Fault::Refuse, Fault::Garbage, Fault::Error(500), Fault::Drop] {
        let (_runtime, _guardians, federation) = four(&[(0, fault.clone())]);
        let query = api::session_count(federation.num_peers()).with_config(patience());
        assert_eq!(federation.run(query).expect("three honest"), 42, "{fault}");
    }
}

#[test]
fn beyond_f_it_ends_with_what_everybody_did() {
    let (_runtime, guardians, federation) = four(&[(0, Fault::Liar), (1, Fault::Hang)]);
    let query = api::session_count(federation.num_peers()).with_config(patience());
    let error = federation.run(query).expect_err("two of four");
    assert!(matches!(error.failure, QueryFailure::Disagreement { .. } | QueryFailure::Deadline), "{error}");
    assert!(guardians.requests() < 100);
    let text = error.to_string();
    assert!(text.contains("peer 0 answered 43") && text.contains("no answer within 300 ms"), "{text}");
}

#[test]
fn a_websocket_is_refused_by_name() {
    let endpoints = [(PeerId(3), "wss://guardian/".parse().expect("a URL"))];
    assert_eq!(BlockingFederation::at(endpoints).expect_err("no HTTP"), BlockingError::Websocket(PeerId(3)));
    assert_eq!(BlockingFederation::at([]).expect_err("nobody"), BlockingError::Empty);
}
