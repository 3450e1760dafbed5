//! The published client and ours at the same guardians: the same answers where both answer, and the cases in which theirs
//! never ends and ours does.

use fedimint_api_client::api::FederationApiExt;
use fedimint_core::config::PeerUrl as TheirPeerUrl;
use fedimint_core::encoding::{Decodable, Encodable};
use fedimint_core::invite_code::InviteCode as TheirInvite;
use fedimint_core::module::registry::ModuleDecoderRegistry;
use fedimint_core::module::{ApiRequestErased, SupportedApiVersionsSummary as TheirSummary};
use fedimint_core::util::SafeUrl;
use quorate_peers_fedimint::{ours, short, theirs};
use quorate_query::query::api;
use quorate_query::{ClientConfig, InviteCode, PeerId, QueryFailure};
use quorate_testkit::guardians::{Fault, Guardians, LIVE_VERSION};
use quorate_versioning::SupportedApiVersionsSummary;
use quorate_versioning::encoding::ConsensusEncoding;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long theirs is watched where it does not end.
const WATCHED: Duration = Duration::from_secs(5);

async fn four(faults: &[(usize, Fault)]) -> Guardians {
    let guardians = Guardians::start(4).await.expect("loopback ports");
    for (peer, fault) in faults {
        guardians.guardian(*peer).set_fault(fault.clone()).await;
    }
    guardians
}

#[tokio::test(flavor = "multi_thread")]
async fn with_any_one_fault_both_give_the_same_answer() {
    for fault in [
        "honest",
        "liar",
        "slow=200",
        "hang",
        "error=500",
        "garbage",
        "wrong-shape",
        "drop",
        "refuse",
        "blackhole",
    ] {
        let guardians = four(&[(2, fault.parse().expect(fault))]).await;
        let (theirs, ours) = (theirs(&guardians.urls()).await, ours(&guardians.urls()));
        for method in ["session_count", "module_1_block_count", "version", "client_config"] {
            let their_answer: Value = theirs
                .request_current_consensus(method.to_owned(), ApiRequestErased::default())
                .await
                .expect(method);
            let our_answer: Value = ours.agreed(quorate_query::Call::bare(method)).await.expect(method);
            assert_eq!(our_answer, their_answer, "{method} with {fault}");
        }
    }
}

/// Whether theirs ends while it is watched, how many requests it made, and how ours ends.
async fn beyond_f(faults: &[(usize, Fault)]) -> (bool, u64, QueryFailure) {
    let guardians = four(faults).await;
    let their_client = theirs(&guardians.urls()).await;
    let asked = their_client
        .request_current_consensus::<u64>("session_count".to_owned(), ApiRequestErased::default());
    let ended = tokio::time::timeout(WATCHED, asked).await.is_ok();
    let their_requests = guardians.requests();

    let federation = ours(&guardians.urls());
    let began = Instant::now();
    let query = api::session_count(federation.num_peers()).with_config(short());
    let error = federation.run(query).await.expect_err("two of four are faulty");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let our_requests = guardians.requests() - their_requests;
    println!(
        "{faults:?}: theirs ended: {ended}, {their_requests} requests in {WATCHED:?}; ours: {error}, {our_requests} requests"
    );
    assert!(our_requests < 100, "{our_requests} requests");
    (ended, their_requests, error.failure)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_and_a_dead_guardian_end_for_us_alone() {
    let (ended, requests, failure) = beyond_f(&[(0, Fault::Liar), (1, Fault::Refuse)]).await;
    assert!(!ended && requests > 1_000, "theirs asks at once again and for ever: {requests} requests");
    assert!(matches!(failure, QueryFailure::Disagreement { need: 3, best: 2, values: 2 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_even_split_ends_for_us_alone() {
    let (ended, requests, failure) = beyond_f(&[(0, Fault::Liar), (1, Fault::Liar)]).await;
    assert!(!ended && requests > 1_000, "{requests} requests");
    assert!(matches!(failure, QueryFailure::Disagreement { need: 3, best: 2, values: 2 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_hang_end_by_our_deadline() {
    let (ended, _, failure) = beyond_f(&[(0, Fault::Hang), (1, Fault::Hang)]).await;
    assert!(!ended, "theirs waits for 60 s");
    assert!(matches!(failure, QueryFailure::TooFew { .. } | QueryFailure::Deadline), "{failure}");
}

#[test]
fn versions_have_the_same_bytes() {
    let ours: SupportedApiVersionsSummary = serde_json::from_str(LIVE_VERSION).expect("a guardian wrote it");
    let theirs: TheirSummary = serde_json::from_str(LIVE_VERSION).expect("a guardian wrote it");
    let bytes = theirs.consensus_encode_to_vec();
    assert_eq!(ours.to_consensus_bytes().as_deref(), Ok(&bytes[..]));
    assert_eq!(SupportedApiVersionsSummary::from_consensus_bytes(&bytes), Ok(ours));
    TheirSummary::consensus_decode_whole(&bytes, &ModuleDecoderRegistry::default()).expect("their own");
}

#[tokio::test]
async fn federation_ids_and_invite_codes_are_the_same() {
    let guardians = four(&[]).await;
    let config = ClientConfig::try_from(guardians.config()).expect("a config");
    let endpoints: BTreeMap<fedimint_core::PeerId, TheirPeerUrl> = config
        .endpoints()
        .iter()
        .map(|(peer, endpoint)| {
            let url = SafeUrl::parse(endpoint.url.as_str()).expect("a URL");
            (fedimint_core::PeerId::from(peer.0), TheirPeerUrl { url, name: endpoint.name.clone() })
        })
        .collect();
    let hash = fedimint_core::encoding::Encodable::consensus_hash::<
        fedimint_core::bitcoin::hashes::sha256::Hash,
    >(&endpoints);
    assert_eq!(hash.to_string(), config.federation_id().to_string());

    let urls = config.endpoints().iter().map(|(peer, endpoint)| (*peer, endpoint.url.clone())).collect();
    let ours = InviteCode::of_federation(&urls, config.federation_id(), Some("secret".to_owned()))
        .expect("guardians");
    let theirs: TheirInvite = ours.to_string().parse().expect("they read it");
    assert_eq!(theirs.federation_id().to_string(), ours.federation().to_string());
    assert_eq!(theirs.api_secret().as_deref(), ours.api_secret());
    assert_eq!(theirs.peers().len(), ours.guardians().len());
    assert_eq!(theirs.to_string().parse(), Ok(ours.clone()));
    assert_eq!(ours.guardians().keys().next(), Some(&PeerId(0)));
}
