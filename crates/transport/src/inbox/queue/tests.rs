//! Budgets and order, against a model that remembers everything.

use super::*;
use proptest::prelude::*;

fn peer(number: usize) -> PeerUrl {
    format!("mem://host:1/{number}").parse().unwrap()
}

#[test]
fn one_peer_never_uses_anothers_room() {
    let mut queue: Queue<u32, ()> = Queue::new(100, 1_000);
    assert_eq!(queue.push(peer(1), 60, 1), Pushed::Queued);
    assert_eq!(queue.push(peer(1), 60, 2), Pushed::PeerFull(2));
    assert_eq!(queue.push(peer(2), 60, 3), Pushed::Queued);
    assert_eq!(queue.pop(), Some((1, None)));
    assert_eq!(queue.push(peer(1), 60, 4), Pushed::Queued);
}

#[test]
fn a_message_above_the_budget_waits_alone() {
    let mut queue: Queue<u32, ()> = Queue::new(100, 1_000);
    assert_eq!(queue.push(peer(1), 500, 1), Pushed::Queued);
    assert_eq!(queue.push(peer(1), 1, 2), Pushed::PeerFull(2));
    assert_eq!(queue.push(peer(2), 600, 3), Pushed::AllFull(3));
}

#[test]
fn a_waiting_message_comes_next_and_is_never_overtaken() {
    let mut queue = Queue::new(100, 1_000);
    queue.push(peer(1), 100, 1);
    assert!(queue.wait(&peer(1), 50, 2, "waiter"));
    assert_eq!(queue.push(peer(1), 1, 3), Pushed::PeerFull(3), "it would overtake");
    assert!(!queue.wait(&peer(1), 1, 3, "another"), "one at a time");
    assert_eq!(queue.pop(), Some((1, Some("waiter"))));
    assert_eq!(queue.push(peer(1), 1, 4), Pushed::Queued);
    assert_eq!(queue.pop(), Some((2, None)));
    assert_eq!(queue.pop(), Some((4, None)));
    let stats = queue.stats();
    assert_eq!((stats.bytes, stats.dropped, stats.waited), (0, 1, 1));
    assert!(queue.peers.is_empty());
}

#[test]
fn who_gives_up_drops_its_own_message_only() {
    let mut queue = Queue::new(100, 1_000);
    queue.push(peer(1), 100, 1);
    queue.wait(&peer(1), 50, 2, ());
    let first = queue.waiter(&peer(1), |ticket, ()| ticket).unwrap();
    assert_eq!(queue.pop(), Some((1, Some(()))));
    assert_eq!(queue.give_up(&peer(1), first), None, "it found room before");
    queue.push(peer(1), 50, 3);
    queue.wait(&peer(1), 50, 4, ());
    assert_eq!(queue.give_up(&peer(1), first), None, "another one waits now");
    assert_eq!(queue.give_up(&peer(1), first + 1), Some(4));
    assert_eq!(queue.stats().dropped, 1);
}

#[derive(Debug, Clone)]
enum Step {
    Push { peer: usize, cost: usize },
    Pop,
    GiveUp { peer: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..4, 1_usize..150).prop_map(|(peer, cost)| Step::Push { peer, cost }),
        2 => Just(Step::Pop),
        1 => (0_usize..4).prop_map(|peer| Step::GiveUp { peer }),
    ]
}

proptest! {
    /// Whatever happens: the total holds, each peer's order holds, and every message is somewhere.
    #[test]
    fn nothing_is_lost_uncounted_and_nothing_is_overtaken(steps in prop::collection::vec(step(), 0..200)) {
        let mut queue: Queue<(usize, u64), ()> = Queue::new(200, 500);
        let (mut sent, mut seen, mut given_up) = (0, [0; 4], 0);
        for step in steps {
            match step {
                Step::Push { peer: from, cost } => {
                    sent += 1;
                    match queue.push(peer(from), cost, (from, sent)) {
                        Pushed::Queued => {}
                        Pushed::PeerFull(message) => drop(queue.wait(&peer(from), cost, message, ())),
                        Pushed::AllFull(_) => queue.count_dropped(),
                    }
                }
                Step::Pop => {
                    if let Some(((from, number), _)) = queue.pop() {
                        prop_assert!(number > seen[from], "{from}: {number} after {}", seen[from]);
                        seen[from] = number;
                        given_up += 1;
                    }
                }
                Step::GiveUp { peer: from } => {
                    if let Some(ticket) = queue.waiter(&peer(from), |ticket, ()| ticket) {
                        prop_assert!(queue.give_up(&peer(from), ticket).is_some());
                    }
                }
            }
            prop_assert!(queue.used <= 500);
            let waiting = queue.peers.values().filter(|peer| peer.waiting.is_some()).count() as u64;
            let stats = queue.stats();
            prop_assert_eq!(stats.messages as u64 + waiting + stats.dropped + given_up, sent);
        }
        while queue.pop().is_some() {}
        prop_assert!(queue.peers.is_empty() && queue.used == 0);
    }
}
