//! One round: who wins, and what becomes of the others.

use super::*;

#[test]
fn the_first_verifiable_answer_in_order_of_arrival_wins() {
    let mut world = World::new(5, config(3));
    assert_eq!(world.asked.len(), 3);
    let liar = world.answer(2, lie());
    assert!(world.done.is_none());
    let winner = world.answer(1, honest(42));
    assert_eq!(world.value(), 42);
    let success = world.done.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(success.node, Some(winner));
    assert!(world.asked.is_empty(), "the last one is called back");
    assert!(world.pool.is_banned(world.now, liar) && !world.pool.is_banned(world.now, winner));
}

#[test]
fn a_refusal_a_null_or_an_empty_list_never_ends_a_race_alone() {
    for early in [null(), refusal(), json!({ "result": [] })] {
        let mut world = World::new(2, config(2));
        let node = world.answer(0, early);
        assert!(world.done.is_none());
        assert!(!world.pool.is_banned(world.now, node), "and nobody is banned for it");
        world.answer(0, honest(42));
        assert_eq!(world.value(), 42);
    }
}

#[test]
fn when_enough_nodes_give_no_proof_that_is_the_end_and_no_value() {
    let mut world = World::new(9, config(2));
    world.answer(0, null());
    world.answer(0, refusal());
    assert!(world.done.is_none());
    world.answer(0, refusal());
    let error = world.failure();
    assert!(matches!(
        &error.failure,
        VerifiedFailure::Unproven { what: Unproven::Refused { code: 3, .. }, nodes: 3 }
    ));
    assert_eq!(error.report.questions.len(), 4, "the fourth was called back: {error}");
}

#[test]
fn with_few_nodes_all_of_them_have_to_give_no_proof_and_are_not_asked_again() {
    let mut world = World::new(2, config(1));
    world.answer(0, null());
    world.answer(0, null());
    assert!(matches!(world.failure().failure, VerifiedFailure::Unproven { nodes: 2, .. }));
    assert_eq!(world.total, 2);

    let mut world = World::new(2, config(1));
    world.answer(0, lie());
    world.answer(0, null());
    let lonely = matches!(world.failure().failure, VerifiedFailure::Unproven { nodes: 1, .. });
    assert!(lonely && world.total == 2, "a liar is no reason to ask the other once more");
}

#[test]
fn an_honest_not_final_bans_nobody_and_is_asked_again() {
    let mut world = World::new(2, config(1));
    let first = world.answer(0, json!({ "absent": "key 9" }));
    let second = world.answer(0, json!({ "absent": "key 9" }));
    assert_ne!(first, second);
    world.sleep();
    world.answer(0, honest(42));
    assert_eq!(world.value(), 42);
    assert!([first, second].iter().all(|node| !world.pool.is_banned(world.now, *node)));
}

#[test]
fn a_signer_whom_two_nodes_report_is_held_to_be_offline() {
    let mut world = World::new(4, config(1));
    let signer = world.pool.with_key(b"key 3").unwrap();
    world.machine.config.nodes.only = Some(world.pool.nodes().map(|(id, _)| id).take(3).collect());
    for expected in [false, true] {
        // The first round was drawn before the choice was narrowed; the signer does not report itself.
        if world.asked[0].1 == signer {
            world.fail(0);
        }
        world.answer(0, json!({ "absent": "key 3" }));
        assert_eq!(world.pool.is_offline(world.now, signer), expected);
    }
}

#[test]
fn a_late_answer_changes_nothing_unless_it_is_audited() {
    for audit in [false, true] {
        let mut world = World::new(3, VerifiedConfig { audit, ..config(3) });
        let late: Vec<_> = world.asked[1..].iter().map(|(exchange, node, _)| (*exchange, *node)).collect();
        world.answer(0, honest(42));
        assert_eq!(world.value(), 42, "nobody waits for an audit");
        assert_eq!(world.asked.len(), if audit { 2 } else { 0 });
        world.asked.clear();
        world.late_answer(late[0].0, lie());
        world.late_answer(late[1].0, honest(42));
        assert_eq!(world.pool.is_banned(world.now, late[0].1), audit);
        assert!(!world.pool.is_banned(world.now, late[1].1));
        assert_eq!((world.machine.audited(), world.machine.late()), if audit { (2, 0) } else { (0, 2) });
        assert_eq!(world.machine.poll_timeout(), None, "all is over");
    }
}

#[test]
fn an_audit_ends_by_the_timeout_of_its_question() {
    let mut world = World::new(2, VerifiedConfig { audit: true, ..config(2) });
    world.answer(0, honest(42));
    assert_eq!(world.asked.len(), 1);
    world.sleep();
    assert!(world.asked.is_empty());
    assert_eq!(world.machine.poll_timeout(), None);
}

#[test]
fn cancelling_calls_everything_back() {
    let mut world = World::new(3, config(3));
    world.machine.cancel(world.now);
    world.drain();
    assert!(matches!(world.failure().failure, VerifiedFailure::Cancelled));
    assert!(world.asked.is_empty());
    assert_eq!(world.machine.state(), State::Error);
    assert_eq!(world.machine.poll_timeout(), None);
}

#[test]
fn a_hedge_asks_the_next_node_when_one_is_slow_or_fails() {
    let mut world = World::new(4, VerifiedConfig { hedge: Some(Duration::from_millis(40)), ..config(1) });
    assert_eq!(world.asked.len(), 1);
    world.sleep();
    assert_eq!((world.asked.len(), world.now), (2, Mono::from_origin(Duration::from_millis(40))));
    world.answer(1, honest(42));
    assert_eq!(world.value(), 42);
}
