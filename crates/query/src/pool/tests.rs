//! Weights, rests, bans, and what is kept of them.

use super::*;
use bytes::Bytes;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn pool(nodes: u16) -> (Pool, Vec<NodeId>) {
    let mut pool = Pool::new(PoolConfig::default());
    let ids = (0..nodes).map(|port| {
        let url = format!("http://127.0.0.1:{}/", 1_000 + port);
        let mut node = Node::at(url.parse().expect("a URL"));
        node.key = Bytes::from(vec![port as u8; 20]);
        pool.insert(node).expect("room")
    });
    let ids = ids.collect();
    (pool, ids)
}

fn at(seconds: u64) -> Mono {
    Mono::from_origin(Duration::from_secs(seconds))
}

fn pick(pool: &Pool, now: Mono, count: usize) -> Result<Vec<NodeId>, NoNodes> {
    pool.pick(now, count, &Filter::default(), &[], &mut Rng::with_seed(1))
}

#[test]
fn a_fast_node_is_drawn_more_often_in_proportion() {
    let (mut pool, ids) = pool(2);
    let mut random = Rng::with_seed(7);
    for _ in 0..4 {
        pool.record(at(0), ids[0], NodeEvent::Verified(Duration::from_millis(10)), &mut random);
        pool.record(at(0), ids[1], NodeEvent::Verified(Duration::from_millis(90)), &mut random);
    }
    let mut drawn = [0; 2];
    for _ in 0..1_000 {
        let node = pool.pick(at(0), 1, &Filter::default(), &[], &mut random).unwrap()[0];
        drawn[node.index()] += 1;
    }
    assert!((850..950).contains(&drawn[0]), "{drawn:?}");
}

#[test]
fn a_latency_of_nothing_divides_by_nothing() {
    let (mut pool, ids) = pool(1);
    for _ in 0..9 {
        pool.record(at(0), ids[0], NodeEvent::Verified(Duration::ZERO), &mut Rng::with_seed(1));
    }
    assert_eq!(pool.weight(at(0), ids[0]), 1_000_000);
    pool.record(at(0), ids[0], NodeEvent::Verified(Duration::MAX / 16), &mut Rng::with_seed(1));
    assert!(pool.weight(at(0), ids[0]) >= 1);
}

#[test]
fn trouble_is_a_rest_that_grows_and_a_lie_is_a_ban() {
    let (mut pool, ids) = pool(3);
    let mut random = Rng::with_seed(7);
    pool.record(at(0), ids[0], NodeEvent::Trouble, &mut random);
    pool.record(at(0), ids[1], NodeEvent::Lied, &mut random);
    assert_eq!(pick(&pool, at(0), 9).unwrap(), [ids[2]]);
    assert_eq!(pick(&pool, at(60), 9).unwrap().len(), 2, "the rest is over");
    assert!(pool.is_banned(at(60), ids[1]) && !pool.is_banned(at(60), ids[0]));
    assert!(!pool.is_banned(Mono::from_origin(DAY), ids[1]));
}

#[test]
fn those_at_rest_are_asked_when_nobody_else_is_left_and_liars_never() {
    let (mut pool, ids) = pool(3);
    let mut random = Rng::with_seed(7);
    pool.record(at(0), ids[0], NodeEvent::Trouble, &mut random);
    pool.record(at(0), ids[0], NodeEvent::Trouble, &mut random);
    pool.record(at(0), ids[1], NodeEvent::Trouble, &mut random);
    pool.record(at(0), ids[2], NodeEvent::Lied, &mut random);
    assert_eq!(pick(&pool, at(0), 9).unwrap(), [ids[1], ids[0]], "whose rest ends first comes first");
    for id in &ids {
        pool.record(at(0), *id, NodeEvent::Lied, &mut random);
    }
    let none = pick(&pool, at(0), 9).unwrap_err();
    assert_eq!((none.nodes, none.banned), (3, 3), "no number of bans lifts one of them");
}

#[test]
fn a_second_lie_costs_twice_and_trust_comes_back_slowly() {
    let (mut pool, ids) = pool(1);
    let mut random = Rng::with_seed(7);
    let whole = pool.weight(at(0), ids[0]);
    pool.record(at(0), ids[0], NodeEvent::Lied, &mut random);
    assert_eq!(pool.weight(at(0), ids[0]), 0);
    let after = |days: u32| Mono::from_origin(DAY * days / 2);
    assert_eq!(pool.weight(after(2), ids[0]), whole / 100);
    assert_eq!(pool.weight(after(3), ids[0]), whole / 2);
    pool.record(after(3), ids[0], NodeEvent::Lied, &mut random);
    assert!(pool.is_banned(after(6), ids[0]) && !pool.is_banned(after(7), ids[0]));
    assert_eq!(pool.weight(after(11), ids[0]), whole);
}

#[test]
fn a_signer_is_offline_when_two_different_nodes_say_so() {
    let (mut pool, ids) = pool(4);
    let signer = ids[3];
    assert!(!pool.report_offline(at(0), signer, ids[0]));
    assert!(!pool.report_offline(at(1), signer, ids[0]), "one node twice is one node");
    assert!(!pool.report_offline(at(1), signer, signer), "nobody reports itself");
    assert!(pool.report_offline(at(2), signer, ids[1]));
    let keys = |now| pool.pick_signers(now, 9, &Filter::default(), &ids[..1], &mut Rng::with_seed(1));
    assert_eq!(keys(at(2)).len(), 2);
    assert_eq!(keys(at(2 + 60 * 60)).len(), 3, "it is given another chance");
    assert!(!pool.is_banned(at(2), signer), "who does not sign may still answer");
}

#[test]
fn a_report_of_long_ago_is_no_second_opinion() {
    let (mut pool, ids) = pool(4);
    const HOUR: u64 = 60 * 60;
    assert!(!pool.report_offline(at(0), ids[3], ids[0]));
    assert!(!pool.report_offline(at(HOUR), ids[3], ids[1]), "the first report has expired");
    assert!(pool.report_offline(at(2 * HOUR - 1), ids[3], ids[0]), "the second has not");
}

#[test]
fn a_key_vouches_once_and_not_for_its_own_answer() {
    let mut pool = Pool::new(PoolConfig::default());
    for (port, key) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
        let mut node = Node::at(format!("http://127.0.0.1:{port}").parse().expect("a URL"));
        node.key = key.into();
        pool.insert(node).expect("room");
    }
    let asked = pool.find("http://127.0.0.1:1/").unwrap();
    let keys = pool.pick_signers(at(0), 9, &Filter::default(), &[asked], &mut Rng::with_seed(1));
    assert_eq!(keys, ["b"]);
}

#[test]
fn capabilities_stake_and_choice_narrow_the_nodes() {
    let mut pool = Pool::new(PoolConfig::default());
    let mut insert = |port: u16, capabilities: u64, stake: u128| {
        let mut node = Node::at(format!("http://127.0.0.1:{port}").parse().expect("a URL"));
        (node.capabilities, node.stake) = (Capabilities(capabilities), stake);
        pool.insert(node).expect("room")
    };
    let (a, b, c) = (insert(1, 0b11, 5), insert(2, 0b01, 9), insert(3, 0b11, 1));
    let picked = |filter: Filter| {
        let mut picked = pool.pick(at(0), 9, &filter, &[], &mut Rng::with_seed(1)).unwrap_or_default();
        picked.sort_unstable();
        picked
    };
    assert_eq!(picked(Filter { capabilities: Capabilities(0b10), ..Filter::default() }), [a, c]);
    assert_eq!(picked(Filter { min_stake: 5, ..Filter::default() }), [a, b]);
    assert_eq!(picked(Filter { only: Some(vec![c]), ..Filter::default() }), [c]);
    assert_eq!(picked(Filter { min_stake: 10, ..Filter::default() }), []);
}

#[test]
fn what_is_known_survives_in_a_store_and_reads_well() {
    let store = quorate_base::MemoryStore::new();
    let (mut before, ids) = pool(3);
    let mut random = Rng::with_seed(7);
    before.record(at(100), ids[0], NodeEvent::Verified(Duration::from_micros(1_250)), &mut random);
    before.record(at(100), ids[1], NodeEvent::Lied, &mut random);
    before.record(at(100), ids[2], NodeEvent::Trouble, &mut random);
    before.save(at(100), &store).unwrap();
    // Another process, whose clock begins anew.
    let (mut after, _) = pool(3);
    after.load(at(0), &store).unwrap();
    let text = after.snapshot(at(0)).to_string();
    assert_eq!(text, before.snapshot(at(100)).to_string());
    assert!(
        text.contains(
            "http://127.0.0.1:1000/: ready, weight 20000; 1 verified (mean 1.250 ms), 0 troubles, 0 lies"
        ),
        "{text}"
    );
    assert!(text.contains("http://127.0.0.1:1001/: banned for 86400 s"), "{text}");
    assert!(after.is_banned(at(0) + (DAY - SECOND), ids[1]) && !after.is_banned(at(0) + DAY, ids[1]));
}

#[test]
fn a_damaged_record_is_named_and_nothing_is_taken_over() {
    let store = quorate_base::MemoryStore::new();
    let mut batch = quorate_base::Batch::new();
    batch.put("query/pool/http://127.0.0.1:1000/", "{}").put("query/pool/http://elsewhere/", "{}");
    quorate_base::Store::commit(&store, batch).unwrap();
    let (mut pool, _) = pool(1);
    let error = pool.load(at(0), &store).unwrap_err();
    assert!(error.to_string().contains("http://127.0.0.1:1000/"), "{error}");
}

#[test]
fn a_password_is_neither_shown_nor_kept() {
    let mut pool = Pool::new(PoolConfig::default());
    pool.insert(Node::at("http://user:secret@127.0.0.1:1/".parse().expect("a URL"))).unwrap();
    let json = serde_json::to_string(&pool.snapshot(at(0))).unwrap();
    assert!(!json.contains("secret") && json.contains("http://127.0.0.1:1/"), "{json}");
}

#[test]
fn a_pool_is_bounded() {
    let mut node = Node::at("http://127.0.0.1:1/".parse().expect("a URL"));
    node.key = vec![0; MAX_KEY_BYTES + 1].into();
    assert_eq!(Pool::new(PoolConfig::default()).insert(node), Err(PoolError::KeyTooLong));
}
