//! What a request needs first, or to be judged: other values, and signatures.

use super::*;

fn doubles(before: &[(&'static str, Vec<SubRequest<String>>)]) -> Doubles {
    Doubles { before: before.to_vec(), after: Vec::new() }
}

#[test]
fn what_is_independent_is_fetched_in_parallel_and_each_thing_once() {
    let verifier = doubles(&[
        ("send", vec![query("nonce"), query("fee"), signature("transaction")]),
        ("fee", vec![query("nonce")]),
    ]);
    let mut world = World::asking("send", verifier, pool(3), config(1));
    // The nonce is asked for once though two need it, and the signer is asked at the same time.
    assert_eq!(world.asked.iter().map(|(.., what)| what.as_str()).collect::<Vec<_>>(), ["nonce"]);
    assert_eq!(world.signs.len(), 1);
    world.answer(0, honest(5));
    assert_eq!(world.asked[0].2, "fee");
    let signed = Signature { message: "transaction".into(), bytes: "signature".into() };
    world.sign(Ok(Signed::Signature(signed)));
    assert_eq!(world.machine.state(), State::WaitingForResponse);
    world.answer(0, honest(6));
    assert_eq!(world.asked[0].2, "send");
    world.answer(0, honest(42));
    assert_eq!((world.value(), world.total), (42, 3));
}

#[test]
fn an_answer_that_needs_something_waits_while_others_race_on() {
    let verifier = Doubles { after: vec![("value", vec![query("code")])], ..Doubles::default() };
    let mut world = World::asking("value", verifier, pool(3), config(2));
    world.answer(0, honest(42));
    assert!(world.done.is_none());
    world.answer(world.place_of("value"), lie());
    world.answer(world.place_of("code"), honest(1));
    assert_eq!(world.value(), 42);
}

#[test]
fn an_answer_whose_needs_cannot_be_had_is_unusable_and_nobodys_lie() {
    let verifier = Doubles { after: vec![("value", vec![query("nonsense")])], ..Doubles::default() };
    let rounds = NonZeroU32::new(1).unwrap();
    let mut world = World::asking("value", verifier, pool(2), VerifiedConfig { rounds, ..config(1) });
    let node = world.answer(0, honest(42));
    let error = world.failure();
    assert!(matches!(&error.report.questions[0].end, QuestionEnd::Unusable(_)), "{error}");
    assert!(!world.pool.is_banned(world.now, node));
}

#[test]
fn what_cannot_be_had_fails_what_needs_it_by_name() {
    let verifier = doubles(&[("send", vec![query("fee")]), ("fee", vec![query("nonsense")])]);
    let world = World::asking("send", verifier, pool(2), config(1));
    let text = world.failure().failure.to_string();
    let expected = "fee, which is needed first: nonsense, which is needed first: the request cannot be asked: it makes no sense";
    assert_eq!(text, expected);
    assert_eq!(world.total, 0);
}

#[test]
fn a_circle_and_a_need_without_end_are_errors() {
    let circle = doubles(&[("a", vec![query("b")]), ("b", vec![query("a")])]);
    let world = World::asking("a", circle, pool(1), config(1));
    assert!(world.failure().to_string().contains("goes in a circle"));
    let world = World::asking("stubborn", Doubles::default(), pool(1), config(1));
    assert!(matches!(world.failure().failure, VerifiedFailure::NoProgress));
    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let deep: Vec<_> = NAMES.windows(2).map(|pair| (pair[0], vec![query(pair[1])])).collect();
    let world = World::asking("a", doubles(&deep), pool(1), config(1));
    assert!(world.failure().to_string().contains("goes deeper than 8 steps"));
    let many: Vec<_> = (0..=MAX_JOBS).map(|number| query(&number.to_string())).collect();
    let world = World::asking("a", doubles(&[("a", many)]), pool(1), config(1));
    assert!(matches!(world.failure().failure, VerifiedFailure::TooMany { max: MAX_JOBS }));
}

/// An answer that needs so many other values.
fn greedy(prefix: &str, count: usize) -> Value {
    let needs: Vec<_> = (0..count).map(|number| format!("{prefix}{number}")).collect();
    json!({ "result": 7, "proof": 14, "needs": needs })
}

#[test]
fn what_one_answer_needs_leaves_room_for_the_others() {
    let mut world = World::new(9, config(6));
    // Together with the request they are as many as the request itself may have.
    for (node, count) in [("a", MAX_ANSWER_JOBS), ("b", MAX_ANSWER_JOBS), ("c", MAX_ANSWER_JOBS), ("d", 15)] {
        world.answer(world.place_of("value"), greedy(node, count));
    }
    assert_eq!(world.machine.jobs.len(), MAX_JOBS);
    // More than it may have: none of it is asked for.
    let before = world.total;
    world.answer(world.place_of("value"), greedy("e", MAX_ANSWER_JOBS + 1));
    assert!(world.asked.iter().all(|(.., what)| !what.starts_with('e')) && world.total == before);
    world.answer(world.place_of("value"), json!({ "result": 42, "proof": 84, "needs": ["code"] }));
    world.answer(world.place_of("code"), honest(1));
    assert_eq!(world.value(), 42);
}

#[test]
fn all_that_is_needed_together_is_bounded_whoever_needs_it() {
    let mut world = World::new(200, config(100));
    let most = (MAX_ALL_JOBS - 1) / MAX_ANSWER_JOBS;
    for node in 0..=most {
        world.answer(world.place_of("value"), greedy(&format!("{node}-"), MAX_ANSWER_JOBS));
    }
    assert_eq!(world.machine.jobs.len(), 1 + most * MAX_ANSWER_JOBS);
    assert!(world.machine.jobs.len() + MAX_ANSWER_JOBS > MAX_ALL_JOBS);
}

#[test]
fn a_request_that_needs_nobody_asks_nobody() {
    let world = World::asking("one", Doubles::default(), pool(0), config(1));
    assert_eq!((world.value(), world.total), (1, 0));
}

#[test]
fn a_signer_may_want_to_know_something_first() {
    let verifier = doubles(&[("send", vec![signature("transaction")])]);
    let mut world = World::asking("send", verifier, pool(1), config(1));
    assert_eq!(world.machine.state(), State::WaitingForResponse);
    let owners = Call::plain("owners", &json!([])).unwrap();
    world.sign(Ok(Signed::Needs(vec![owners.clone()])));
    world.answer(0, honest(3));
    assert_eq!(world.signs[0].2, [("owners".to_owned(), "3".to_owned())]);
    // Asking for the same again would go on for ever.
    world.sign(Ok(Signed::Needs(vec![owners])));
    assert!(world.failure().to_string().contains("asked for again"));
}

#[test]
fn a_signer_is_asked_once_when_all_that_it_needs_is_there_at_once() {
    let verifier = doubles(&[("send", vec![signature("transaction")])]);
    let mut world = World::asking("send", verifier, pool(1), config(1));
    let local = Call::plain("one", &json!([])).unwrap();
    world.sign(Ok(Signed::Needs(vec![local])));
    assert_eq!(world.signs.len(), 1);
    let signed = Signature { message: "transaction".into(), bytes: "signature".into() };
    world.sign(Ok(Signed::Signature(signed)));
    world.answer(0, honest(42));
    assert_eq!((world.value(), world.machine.late()), (42, 0));
}

#[test]
fn a_refused_signature_says_why() {
    for (error, text) in [
        (SignError::UnknownAccount, "the signer does not know the account"),
        (SignError::UnknownKind, "the signer does not sign that way"),
        (
            SignError::Refused(Reason::new(Because("the user said no"))),
            "the signer refuses: the user said no",
        ),
    ] {
        let verifier = doubles(&[("send", vec![signature("transaction")])]);
        let mut world = World::asking("send", verifier, pool(1), config(1));
        world.sign(Err(error));
        assert!(world.failure().to_string().contains(text), "{}", world.failure());
        assert!(!world.failure().failure.is_retryable());
    }
}
