//! Several rounds: whom to ask next, how long, and what is told in the end.

use super::*;

#[test]
fn each_round_asks_new_nodes_as_long_as_there_are_any() {
    let mut world = World::new(6, config(2));
    let mut nodes = Vec::new();
    for _ in 0..3 {
        assert_eq!(world.asked.len(), 2);
        nodes.extend([world.fail(0), world.fail(0)]);
    }
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), 6, "nobody was asked twice");
    assert!(world.asked.is_empty(), "now there is a pause");
    assert_eq!(world.machine.state(), State::WaitingToSend);
    world.sleep();
    assert_eq!(world.asked.len(), 2);
    world.answer(0, honest(42));
    assert_eq!(world.value(), 42);
}

#[test]
fn a_liar_is_not_asked_again_and_without_honest_nodes_it_ends() {
    let mut world = World::new(3, config(1));
    for _ in 0..3 {
        world.answer(0, lie());
    }
    // Everybody lied: there is nobody left, and no ban was lifted.
    let error = world.failure();
    assert!(matches!(&error.failure, VerifiedFailure::AllLied { nodes: 3 }), "{error}");
    assert_eq!(world.total, 3);
    assert!(world.pool.nodes().all(|(id, _)| world.pool.is_banned(world.now, id)));
}

#[test]
fn the_error_has_every_round_and_not_only_the_last() {
    let rounds = NonZeroU32::new(3).unwrap();
    let mut world = World::new(6, VerifiedConfig { rounds, ..config(2) });
    for round in 0..3 {
        world.fail(0);
        world.answer(0, if round == 0 { lie() } else { null() });
    }
    let error = world.failure();
    assert!(matches!(error.failure, VerifiedFailure::Exhausted { rounds: 3 }), "{error}");
    assert_eq!(error.report.questions.len(), 6);
    let text = error.to_string();
    for part in [
        "no verified answer in 3 rounds",
        "in round 1",
        "in round 3",
        "lied: the proof is not the double",
        "null, without",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_timeout_below_a_second_is_kept() {
    let attempt_timeout = Duration::from_millis(300);
    let rounds = NonZeroU32::new(1).unwrap();
    let mut world = World::new(2, VerifiedConfig { attempt_timeout, rounds, ..config(2) });
    world.sleep();
    assert_eq!(world.now, Mono::from_origin(attempt_timeout));
    assert!(matches!(world.failure().failure, VerifiedFailure::Exhausted { rounds: 1 }));
    assert!(world.asked.is_empty(), "both were called back");
}

#[test]
fn a_request_ends_by_its_deadline_whatever_nodes_do() {
    let mut world = World::new(2, config(2).within(Duration::from_secs(3)));
    while world.done.is_none() {
        world.sleep();
    }
    assert_eq!(world.now, Mono::from_origin(Duration::from_secs(3)));
    assert!(matches!(world.failure().failure, VerifiedFailure::Deadline));
}

#[test]
fn silent_nodes_leave_time_to_ask_another_and_are_remembered() {
    let mut world = World::new(3, config(2).within(Duration::from_secs(6)));
    let silent = [world.asked[0].1, world.asked[1].1];
    world.sleep();
    assert_eq!(world.now, Mono::from_origin(Duration::from_secs(2)));
    world.answer(0, honest(42));
    assert_eq!(world.value(), 42);
    assert!(silent.iter().all(|node| world.pool.weight(world.now, *node) == 0), "they rest");
}

#[test]
fn too_few_signers_are_an_error_and_not_fewer_signatures() {
    let world = World::new(3, VerifiedConfig { witnesses: 2, ..config(2) });
    assert!(matches!(world.failure().failure, VerifiedFailure::NoSigners { wanted: 2, there: 1 }));
    assert_eq!(world.total, 0);
}

#[test]
fn our_own_limits_are_not_held_against_a_node() {
    let mut world = World::new(2, config(1));
    let (exchange, node, _) = world.asked.remove(0);
    let error = PeerError::RequestTooLarge { len: 2, max: 1 };
    world.machine.handle_failure(world.now, &mut world.pool, exchange, error);
    world.drain();
    assert!(world.pool.weight(world.now, node) > 0);
}

#[test]
fn a_pool_without_nodes_is_said_at_once() {
    let world = World::new(0, config(1));
    assert!(matches!(world.failure().failure, VerifiedFailure::NoNodes(_)));
}

#[test]
fn the_four_states_are_those_of_the_seed() {
    let mut pool = pool(2);
    let verifier = Arc::new(Doubles::default());
    let mut machine = Verified::new(Mono::ZERO, &mut pool, verifier, "value".to_owned(), config(1), 7);
    assert_eq!(machine.state(), State::WaitingToSend);
    let Some(VerifiedOutput::Ask { exchange, .. }) = machine.poll_output() else { panic!("a question") };
    assert_eq!(machine.state(), State::WaitingForResponse);
    machine.handle_failure(Mono::ZERO, &mut pool, exchange, PeerError::Closed);
    assert_eq!(machine.state(), State::WaitingToSend, "the next round");
    let Some(VerifiedOutput::Ask { exchange, .. }) = machine.poll_output() else { panic!("a question") };
    let answer = Bytes::from(honest(42).to_string());
    machine.handle_answers(Mono::ZERO, &mut pool, exchange, vec![answer.clone()]);
    assert_eq!(machine.state(), State::Success);
    machine.handle_answers(Mono::ZERO, &mut pool, exchange, vec![answer]);
    machine.cancel(Mono::ZERO);
    assert_eq!((machine.state(), machine.late()), (State::Success, 1), "an end is an end");
}

#[test]
fn signers_are_drawn_from_those_who_do_not_answer() {
    let mut machine = World::new(5, VerifiedConfig { witnesses: 2, ..config(2) });
    let calls = machine.machine.jobs.get(ROOT).unwrap().calls.clone();
    let request = String::from_utf8(crate::jsonrpc::write_request(0, &calls[0])).unwrap();
    assert!(request.ends_with(r#""witnesses":2}"#), "{request}");
    let Some(Stage::Asking(round)) = machine.machine.jobs.get_mut(ROOT).map(|job| &job.stage) else {
        panic!("it asks")
    };
    for key in &round.witnesses {
        let signer = machine.pool.with_key(key).unwrap();
        assert!(machine.asked.iter().all(|(_, node, _)| *node != signer));
    }
}
