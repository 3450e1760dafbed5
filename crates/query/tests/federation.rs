//! The async driver against scripted guardians on loopback sockets: every fault alone, faults beyond f, and what a caller
//! sees of them.

use async_trait::async_trait;
use quorate_query::{
    Answer, AttemptsConfig, Call, ClientSettings, ConnectError, ConnectFault, Federation, InviteCode,
    Malformed, PeerError, PeerId, PeerState, QueryError, QueryFailure, Requester,
};
use quorate_testkit::guardians::{Fault, Guardians};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(400);

async fn four() -> (Guardians, Federation) {
    let guardians = Guardians::start(4).await.expect("loopback ports");
    let federation = federation(guardians.urls());
    (guardians, federation)
}

fn settings() -> ClientSettings {
    let mut settings = ClientSettings::new().expect("cryptography");
    settings.connect_timeout = SOON;
    settings.max_answer_bytes = 64 << 10;
    settings
}

fn federation(urls: Vec<String>) -> Federation {
    let endpoints = (0..).map(PeerId).zip(urls.into_iter().map(|url| url.parse().expect("a URL")));
    Federation::at(endpoints, settings()).expect("not empty")
}

fn patience() -> AttemptsConfig {
    AttemptsConfig { attempt_timeout: SOON, deadline: SOON * 8, ..AttemptsConfig::default() }
}

async fn session_count(federation: &Federation) -> Result<u64, QueryError<PeerId>> {
    let query = quorate_query::query::api::session_count(federation.num_peers()).with_config(patience());
    federation.run(query).await
}

#[tokio::test]
async fn nothing_is_connected_before_the_first_query_and_then_once_for_all() {
    let (guardians, federation) = four().await;
    assert_eq!(guardians.guardian(0).connections(), 0);
    let asked = (0..20).map(|_| session_count(&federation));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.expect("all honest"), 42);
    }
    for guardian in &guardians {
        assert!(guardian.connections() <= 1, "{} connects for 20 queries", guardian.connections());
    }
}

#[tokio::test]
async fn any_one_fault_of_four_changes_nothing() {
    for fault in [
        "liar",
        "flipflop",
        "slow=200",
        "hang",
        "error=500",
        "error=404",
        "garbage",
        "wrong-shape",
        "wrong-id",
        "duplicate",
        "huge=100000",
        "drop",
        "refuse",
        "blackhole",
    ] {
        let (guardians, federation) = four().await;
        guardians.guardian(1).set_fault(fault.parse().expect(fault)).await;
        for _ in 0..3 {
            assert_eq!(session_count(&federation).await.expect(fault), 42, "{fault}");
        }
        assert!(guardians.requests() < 100, "{fault}: {} requests", guardians.requests());
    }
}

/// What a federation with guardian 0 and 1 so broken comes to.
async fn two_faults(first: Fault, second: Fault) -> (QueryError<PeerId>, u64) {
    let (guardians, federation) = four().await;
    guardians.guardian(0).set_fault(first).await;
    guardians.guardian(1).set_fault(second).await;
    let error = session_count(&federation).await.expect_err("two of four are faulty");
    (error, guardians.requests())
}

#[tokio::test]
async fn a_liar_and_a_closed_port_end_with_a_reason_and_few_requests() {
    let (error, requests) = two_faults(Fault::Liar, Fault::Refuse).await;
    assert!(matches!(error.failure, QueryFailure::Disagreement { need: 3, best: 2, values: 2 }), "{error}");
    assert!(requests < 100, "{requests} requests");
    let text = error.to_string();
    assert!(text.contains("peer 0 answered 43") && text.contains("connection refused"), "{text}");
}

#[tokio::test]
async fn an_even_split_ends() {
    let (error, requests) = two_faults(Fault::Liar, Fault::Liar).await;
    assert!(matches!(error.failure, QueryFailure::Disagreement { best: 2, values: 2, .. }), "{error}");
    assert!(requests < 100, "{requests} requests");
}

#[tokio::test]
async fn two_that_hang_end_with_their_timeouts() {
    let (error, _) = two_faults(Fault::Hang, Fault::Hang).await;
    assert!(matches!(error.peer_error(&PeerId(0)), Some(PeerError::TimedOut { after: SOON })), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn two_closed_ports_end_at_once() {
    let (error, _) = two_faults(Fault::Refuse, Fault::Refuse).await;
    assert!(matches!(error.failure, QueryFailure::TooFew { need: 3, .. }), "{error}");
    assert!(error.is_retryable(), "{error}");
}

async fn ask(federation: &Federation, peer: u16) -> Result<u64, PeerError> {
    federation.ask(PeerId(peer), &Call::bare("session_count"), SOON).await
}

#[tokio::test]
async fn causes_are_kept_apart() {
    let (guardians, federation) = four().await;
    for code in [401, 404, 500, -32_000] {
        guardians.guardian(0).set_fault(Fault::Error(code)).await;
        let error = ask(&federation, 0).await.expect_err("scripted");
        assert!(matches!(&error, PeerError::Rpc(error) if error.code == code), "{error:?}");
    }
    guardians.guardian(0).set_fault(Fault::Honest).await;
    let unknown = federation.ask::<Value>(PeerId(0), &Call::bare("no_such_method"), SOON).await;
    assert!(matches!(unknown, Err(PeerError::Rpc(error)) if error.code == -32_601));
    assert!(matches!(ask(&federation, 9).await, Err(PeerError::UnknownPeer)));

    let of = async |fault: Fault| {
        guardians.guardian(0).set_fault(fault).await;
        ask(&federation, 0).await.expect_err("scripted")
    };
    assert!(matches!(of(Fault::WrongShape).await, PeerError::Decode(_)));
    assert!(matches!(of(Fault::Hang).await, PeerError::TimedOut { .. }));
    assert!(matches!(of(Fault::Garbage).await, PeerError::Malformed(Malformed::NotJsonRpc)));
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection_with_that_as_the_cause() {
    for (fault, cause) in [
        (Fault::WrongId, Malformed::UnknownId),
        (Fault::Huge(100_000), Malformed::TooLarge { max: 64 << 10 }),
    ] {
        let (guardians, federation) = four().await;
        guardians.guardian(0).set_fault(fault).await;
        let error = ask(&federation, 0).await.expect_err("scripted");
        assert!(matches!(error, PeerError::Malformed(found) if found == cause), "{error:?}");
        guardians.guardian(0).set_fault(Fault::Honest).await;
        assert_eq!(ask(&federation, 0).await.expect("on a new connection"), 42);
        assert_eq!(guardians.guardian(0).connections(), 2);
    }
}

#[tokio::test]
async fn faults_that_end_are_forgotten() {
    let (guardians, federation) = four().await;
    for fault in [Fault::Refuse, Fault::Drop, Fault::BlackHole] {
        for peer in 0..2 {
            guardians.guardian(peer).set_fault(fault.clone()).await;
        }
        session_count(&federation).await.expect_err("two of four");
        for peer in 0..2 {
            guardians.guardian(peer).set_fault(Fault::Honest).await;
        }
        // The pause between connects is part of what a caller sees; it ends.
        let mut answer = session_count(&federation).await;
        for _ in 0..20 {
            if answer.is_ok() {
                break;
            }
            answer = session_count(&federation).await;
        }
        assert_eq!(answer.expect("the faults are over"), 42, "{fault}");
    }
}

#[tokio::test]
async fn a_dropped_query_leaves_nothing_behind() {
    let (guardians, federation) = four().await;
    session_count(&federation).await.expect("all honest");
    for guardian in &guardians {
        guardian.set_fault(Fault::Hang).await;
    }
    let given_up = tokio::time::timeout(Duration::from_millis(20), session_count(&federation)).await;
    assert!(given_up.is_err());
    for guardian in &guardians {
        guardian.set_fault(Fault::Honest).await;
    }
    assert_eq!(session_count(&federation).await.expect("the connections still stand"), 42);
    assert!(guardians.iter().all(|guardian| guardian.connections() <= 1));
}

#[tokio::test]
async fn a_private_federation_wants_its_secret() {
    let (guardians, federation) = four().await;
    guardians.guardian(0).set_api_secret("open sesame");
    let refused = ask(&federation, 0).await.expect_err("no secret");
    let fault = ConnectFault::Refused { status: 401 };
    assert!(
        matches!(&refused, PeerError::Connect(ConnectError { fault: found, .. }) if found.to_string() == fault.to_string())
    );
    assert!(!refused.is_retryable());
    let endpoint: quorate_query::Endpoint = guardians.guardian(0).url().parse().expect("a URL");
    let let_in = [(PeerId(0), endpoint.with_api_secret("open sesame"))];
    let federation = Federation::at(let_in, settings()).expect("one");
    assert_eq!(ask(&federation, 0).await.expect("let in"), 42);
}

#[tokio::test]
async fn the_api_reads_what_guardians_say() {
    let (guardians, federation) = four().await;
    assert_eq!(federation.session_count().await.expect("42"), 42);
    assert_eq!(federation.fetch_epoch_count().await.expect("42"), 42);
    assert_eq!(federation.config_hash().await.expect("a hash").len(), 64);
    let status = federation.status().await.expect("a quorum");
    assert!(status.len() >= 3 && status.values().all(|status| status.consensus.is_some()));
    let blocks: u64 =
        federation.module(1.into()).agreed(Call::bare("block_count")).await.expect("a module's");
    assert_eq!(blocks, 840_000);

    guardians.set_answer("backup", &Value::Null);
    federation.backup(&json!({ "signed": "…" })).await.expect("a quorum stored it");
    guardians.set_answer("recover", &Value::Null);
    guardians.guardian(2).set_answer("recover", json!({ "epoch": 3 }));
    guardians.guardian(1).set_answer("recover", json!({ "epoch": 3 }));
    let found: Vec<Value> = federation.recover(&"key").await.expect("a quorum");
    assert_eq!(found, [json!({ "epoch": 3 })], "once, and without those who have none");

    guardians.set_answer("transaction", &json!("ab".repeat(32)));
    let id: String =
        federation.submit_transaction("transaction", &json!({ "inputs": [] })).await.expect("taken");
    guardians.set_answer("fetch_transaction", &Value::Null);
    assert_eq!(federation.fetch_transaction::<_, u8>(&id).await.expect("a quorum"), None);
    guardians.set_answer("wait_transaction", &json!({ "Accepted": { "epoch": 7, "outputs": ["1", "x"] } }));
    let parse = |text: String| text.parse::<u8>();
    assert_eq!(federation.await_output(&id, 0, SOON, parse).await.expect("decoded"), 1);
    let none = federation.await_output(&id, 2, SOON, parse).await.expect_err("there are two");
    assert_eq!(none.to_string(), "there is no output 2: the transaction has 2");
    for guardian in &guardians {
        guardian.set_fault(Fault::Hang).await;
    }
    let late =
        federation.await_output(&id, 0, Duration::from_millis(50), parse).await.expect_err("nobody answers");
    assert_eq!(late.to_string(), "no outcome within 50 ms");
}

#[tokio::test]
async fn an_epoch_is_what_decodes_and_verifies() {
    let (guardians, federation) = four().await;
    guardians.set_answer("fetch_epoch_history", &json!("17"));
    guardians.guardian(0).set_fault(Fault::Liar).await;
    let epoch =
        federation.fetch_epoch_history(3, |text: String| text.parse::<u8>(), |epoch| *epoch == 17).await;
    assert_eq!(epoch.expect("the honest ones' verifies"), 17);
    let nobodys =
        federation.fetch_epoch_history(3, |text: String| text.parse::<u8>(), |epoch| *epoch == 18).await;
    let text = nobodys.expect_err("nothing verifies").to_string();
    assert!(text.contains("peer 0 failed: the answer is not valid: invalid digit"), "{text}");
    assert!(text.contains("peer 1 failed: the answer is not valid: invalid signature"), "{text}");
}

fn invite(guardians: &Guardians) -> InviteCode {
    let config = quorate_query::ClientConfig::try_from(guardians.config()).expect("a config");
    let urls = config.endpoints().iter().map(|(peer, endpoint)| (*peer, endpoint.url.clone())).collect();
    InviteCode::of_federation(&urls, config.federation_id(), None).expect("guardians")
}

#[tokio::test]
async fn an_invite_code_leads_to_all_guardians_and_to_no_others() {
    let (guardians, _) = four().await;
    let invite = invite(&guardians);
    assert_eq!(invite.guardians().len(), 2, "f + 1");
    // The first of the two who are named lies about the guardians: the second one's config is the right one.
    guardians.guardian(0).set_fault(Fault::Liar).await;
    let (federation, config) =
        Federation::join(&invite, settings(), patience()).await.expect("one is honest");
    assert_eq!((federation.num_peers().total(), config.federation_id()), (4, invite.federation()));
    assert_eq!(session_count(&federation).await.expect("three honest"), 42);

    guardians.guardian(1).set_fault(Fault::Liar).await;
    let error = Federation::join(&invite, settings(), patience()).await.expect_err("both lie");
    assert!(error.to_string().contains("the config is that of federation"), "{error}");
}

#[tokio::test]
async fn http_is_spoken_as_well() {
    let guardians = Guardians::start(4).await.expect("loopback ports");
    let urls = guardians.iter().map(|guardian| guardian.http_url()).collect();
    let federation = federation(urls);
    guardians.guardian(1).set_fault(Fault::Liar).await;
    for _ in 0..3 {
        assert_eq!(session_count(&federation).await.expect("three honest"), 42);
    }
    assert_eq!(guardians.guardian(0).connections(), 1, "it is kept");
    for (fault, cause) in [
        (Fault::Garbage, "it did not answer in JSON-RPC"),
        (Fault::WrongId, "it answered a question that was not asked"),
        (Fault::Huge(100_000), "its answer is longer than 65536 bytes"),
        (Fault::Error(404), "as scripted (code 404)"),
        (Fault::Drop, "the connection was lost"),
        (Fault::Hang, "no answer within 400 ms"),
    ] {
        guardians.guardian(0).set_fault(fault).await;
        assert_eq!(ask(&federation, 0).await.expect_err("scripted").to_string(), cause);
    }
    guardians.guardian(0).set_fault(Fault::Refuse).await;
    assert_eq!(ask(&federation, 0).await.expect_err("nobody listens").to_string(), "connection refused");
}

#[tokio::test]
async fn a_report_tells_who_did_what_with_a_value_too() {
    let (guardians, federation) = four().await;
    guardians.guardian(3).set_fault(Fault::Hang).await;
    let query = quorate_query::query::api::session_count(federation.num_peers());
    let explained = federation.explain(query).await;
    assert_eq!(explained.outcome.expect("three"), 42);
    let silent = explained.report.peers.iter().filter(|peer| matches!(peer.state, PeerState::Silent));
    assert_eq!(silent.map(|peer| peer.peer).collect::<Vec<_>>(), [PeerId(3)]);
}

/// A peer that notes when it is asked.
struct Noted(u16, u64, Arc<Mutex<Vec<u16>>>);

#[async_trait]
impl Requester for Noted {
    async fn request(&self, _call: &Call) -> Result<Answer, PeerError> {
        self.2.lock().expect("not poisoned").push(self.0);
        // All are asked before anybody answers.
        tokio::task::yield_now().await;
        Ok(Answer(self.1.to_string().into()))
    }
}

#[tokio::test]
async fn who_was_of_no_use_is_asked_last_and_reported_in_its_place() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let says = |peer| if peer == 1 { 43 } else { 42 };
    let peers = (0..4)
        .map(|peer| (PeerId(peer), Arc::new(Noted(peer, says(peer), asked.clone())) as Arc<dyn Requester>));
    let federation = Federation::new(peers).expect("four");
    for order in [[0, 1, 2, 3], [0, 2, 3, 1], [0, 2, 3, 1]] {
        let explained =
            federation.explain(quorate_query::query::api::session_count(federation.num_peers())).await;
        assert_eq!(explained.outcome.expect("three"), 42);
        let reported: Vec<u16> = explained.report.peers.iter().map(|peer| peer.peer.0).collect();
        assert_eq!(reported, [0, 1, 2, 3]);
        assert_eq!(std::mem::take(&mut *asked.lock().expect("not poisoned")), order);
    }
}

#[tokio::test]
async fn an_answer_that_comes_after_its_time_costs_its_guardian_nothing() {
    let (guardians, federation) = four().await;
    guardians.guardian(0).set_fault(Fault::Slow(Duration::from_millis(100))).await;
    let soon = Duration::from_millis(10);
    let call = Call::bare("session_count");
    ask(&federation, 0).await.expect("connected");
    for _ in 0..5 {
        let late = federation.ask::<u64>(PeerId(0), &call, soon).await.expect_err("it takes longer");
        assert!(matches!(late, PeerError::TimedOut { .. }), "{late}");
    }
    // This one is answered after all of them, on the same connection.
    assert_eq!(ask(&federation, 0).await.expect("in time"), 42);
    assert_eq!(guardians.guardian(0).connections(), 1);
}

#[tokio::test]
async fn who_closes_says_goodbye_to_every_guardian_there_is_a_connection_to() {
    let (guardians, federation) = four().await;
    guardians.guardian(2).set_fault(Fault::Refuse).await;
    session_count(&federation).await.expect("three are honest");
    let connected = |guardian: &quorate_testkit::guardians::Guardian| guardian.connections();
    let connections: u64 = guardians.iter().map(connected).sum();
    federation.close().await;
    let farewells = || guardians.iter().map(|guardian| guardian.farewells()).sum::<u64>();
    assert_eq!(connections, 3);
    // It is written; a guardian may yet have to read it.
    let reading = async {
        while farewells() < 3 {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("three goodbyes");
    assert_eq!(session_count(&federation).await.expect("it connects again"), 42);
}

#[test]
fn a_federation_has_somebody_and_each_has_a_host() {
    Federation::new([]).expect_err("nobody");
    "ws://".parse::<quorate_query::Endpoint>().expect_err("no host");
}
