//! Traces of one slot, and a model of two that dial each other over a network in any order.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

fn accepted(incoming: Incoming) -> (ConnectionId, Option<ConnectionId>) {
    match incoming {
        Incoming::Accept { id, displaced } => (id, displaced),
        Incoming::Supersede => panic!("superseded"),
    }
}

#[test]
fn a_second_dial_joins_the_first() {
    let mut slot = Slot::new(true);
    let id = slot.handle_dial().unwrap();
    assert_eq!(slot.handle_dial(), None);
    assert!(slot.handle_ready(id));
    assert_eq!(slot.handle_dial(), None);
    assert_eq!(slot.handle_ended(id, false), SlotEnd::Empty);
    assert!(slot.handle_dial().is_some());
}

#[test]
fn the_larger_side_keeps_its_own_dial() {
    let mut slot = Slot::new(true);
    let ours = slot.handle_dial().unwrap();
    assert_eq!(slot.handle_incoming(0), Incoming::Supersede);
    assert!(slot.handle_ready(ours));
}

#[test]
fn the_smaller_side_gives_up_its_own_dial() {
    let mut slot = Slot::new(false);
    let ours = slot.handle_dial().unwrap();
    let (theirs, displaced) = accepted(slot.handle_incoming(0));
    assert_eq!(displaced, Some(ours));
    assert!(!slot.handle_ready(ours), "a displaced connection never becomes ready");
    assert_eq!(slot.handle_ended(ours, false), SlotEnd::Stale);
    assert!(slot.handle_ready(theirs));
}

#[test]
fn a_peer_that_dials_again_in_the_same_direction_replaces_its_old_connection() {
    for ours_wins in [false, true] {
        let mut slot = Slot::new(ours_wins);
        let (old, _) = accepted(slot.handle_incoming(0));
        assert!(slot.handle_ready(old));
        let (new, displaced) = accepted(slot.handle_incoming(5));
        assert_eq!(displaced, Some(old));
        assert_eq!(slot.current(), Some(new));
    }
}

#[test]
fn a_peer_that_lost_our_connection_is_never_locked_out() {
    let mut slot = Slot::new(true);
    let ours = slot.handle_dial().unwrap();
    assert!(slot.handle_ready(ours));
    assert_eq!(slot.handle_incoming(7), Incoming::Supersede, "it may have crossed ours");
    assert_eq!(accepted(slot.handle_incoming(7)).1, Some(ours), "the peer insists");
}

#[test]
fn a_connection_that_shows_life_is_not_given_up() {
    let mut slot = Slot::new(true);
    let ours = slot.handle_dial().unwrap();
    assert!(slot.handle_ready(ours));
    for received in 1..5 {
        assert_eq!(slot.handle_incoming(received), Incoming::Supersede);
    }
    assert_eq!(slot.current(), Some(ours));
}

#[test]
fn who_lost_waits_for_the_winner_and_then_dials_again() {
    let mut slot = Slot::new(false);
    let ours = slot.handle_dial().unwrap();
    assert_eq!(slot.handle_ended(ours, true), SlotEnd::AwaitWinner);
    assert_eq!(slot.handle_dial(), None, "the winner is on its way");
    let (winner, displaced) = accepted(slot.handle_incoming(0));
    assert_eq!(displaced, None);
    assert_eq!(slot.handle_winner_missing(), None);
    assert_eq!(slot.handle_ended(winner, true), SlotEnd::AwaitWinner);
    assert!(slot.handle_winner_missing().is_some());
}

/// What travels over a link of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// The dialer's preflight.
    Hello,
    /// The acceptor's preflight.
    Welcome,
    /// The other connection stays.
    Superseded,
}

/// Two peers, `true` the larger, and the links between them.
struct Model {
    slots: BTreeMap<bool, Slot>,
    /// Which connection of which peer is which link.
    links: BTreeMap<(bool, ConnectionId), usize>,
    /// In flight by link and receiver, each in order.
    wire: BTreeMap<(usize, bool), VecDeque<Event>>,
    waiting: Vec<bool>,
    dialed: usize,
}

impl Model {
    fn new() -> Self {
        Self {
            slots: [false, true].map(|side| (side, Slot::new(side))).into(),
            links: BTreeMap::new(),
            wire: BTreeMap::new(),
            waiting: Vec::new(),
            dialed: 0,
        }
    }

    fn slot(&mut self, side: bool) -> &mut Slot {
        self.slots.get_mut(&side).unwrap()
    }

    fn dial(&mut self, side: bool) {
        if let Some(id) = self.slot(side).handle_dial() {
            self.dialed_as(side, id);
        }
    }

    fn dialed_as(&mut self, side: bool, id: ConnectionId) {
        let link = self.dialed;
        self.dialed += 1;
        self.links.insert((side, id), link);
        self.send(link, !side, Event::Hello);
    }

    /// The peer forgets everything, without a word.
    fn crash(&mut self, side: bool) {
        self.slots.insert(side, Slot::new(side));
        self.links.retain(|(owner, _), _| *owner != side);
        self.wire.retain(|(_, receiver), _| *receiver != side);
        self.waiting.retain(|waiting| *waiting != side);
    }

    fn send(&mut self, link: usize, to: bool, event: Event) {
        self.wire.entry((link, to)).or_default().push_back(event);
    }

    fn id_of(&self, side: bool, link: usize) -> Option<ConnectionId> {
        let mut ids = self.links.iter().filter(|((owner, _), of)| *owner == side && **of == link);
        ids.next().map(|((_, id), _)| *id)
    }

    /// Delivers the next event of some link.
    fn step(&mut self, choice: usize) -> bool {
        let keys: Vec<_> = self.wire.keys().copied().collect();
        let Some(&(link, side)) = keys.get(choice % keys.len().max(1)) else { return false };
        let queue = self.wire.get_mut(&(link, side)).unwrap();
        let event = queue.pop_front().unwrap();
        if queue.is_empty() {
            self.wire.remove(&(link, side));
        }
        match (event, self.id_of(side, link)) {
            (Event::Hello, _) => self.hello(side, link),
            (Event::Welcome, Some(id)) => {
                self.slot(side).handle_ready(id);
            }
            (Event::Superseded, Some(id)) => {
                if self.slot(side).handle_ended(id, true) == SlotEnd::AwaitWinner {
                    self.waiting.push(side);
                }
            }
            (_, None) => {}
        }
        true
    }

    fn hello(&mut self, side: bool, link: usize) {
        match self.slot(side).handle_incoming(0) {
            Incoming::Supersede => self.send(link, !side, Event::Superseded),
            Incoming::Accept { id, displaced } => {
                if let Some(loser) = displaced.and_then(|id| self.links.get(&(side, id)).copied()) {
                    self.send(loser, !side, Event::Superseded);
                }
                self.links.insert((side, id), link);
                assert!(self.slot(side).handle_ready(id));
                self.send(link, !side, Event::Welcome);
            }
        }
    }

    /// Delivers all that is in flight, and lets waits end only when nothing is.
    fn settle(&mut self, choices: &mut impl Iterator<Item = usize>) {
        for _ in 0..1_000 {
            let choice = choices.next().unwrap();
            if self.step(choice) {
                continue;
            }
            if self.waiting.is_empty() {
                return;
            }
            let side = self.waiting.remove(choice % self.waiting.len());
            if let Some(id) = self.slot(side).handle_winner_missing() {
                self.dialed_as(side, id);
            }
        }
        panic!("the two never come to rest");
    }

    /// The link that both hold, ready on both sides.
    fn common(&self) -> Option<usize> {
        let held = |side| {
            let slot = &self.slots[&side];
            slot.current().filter(|_| slot.is_ready()).and_then(|id| self.links.get(&(side, id)).copied())
        };
        held(true).filter(|link| held(false) == Some(*link))
    }
}

proptest! {
    #[test]
    fn two_that_dial_each_other_never_keep_different_connections(
        choices: Vec<usize>, dials: Vec<(bool, u8)>,
    ) {
        let mut choices = choices.into_iter().chain(std::iter::repeat(0));
        let mut model = Model::new();
        model.dial(true);
        for (side, steps) in dials {
            for _ in 0..steps % 4 {
                model.step(choices.next().unwrap());
            }
            model.dial(side);
        }
        model.settle(&mut choices);
        prop_assert!(model.common().is_some());
    }

    #[test]
    fn a_peer_that_crashed_always_gets_back_in(choices: Vec<usize>, crashes: [(bool, u8); 3]) {
        let mut choices = choices.into_iter().chain(std::iter::repeat(1));
        let mut model = Model::new();
        model.dial(true);
        model.dial(false);
        for (side, steps) in crashes {
            for _ in 0..steps % 8 {
                model.step(choices.next().unwrap());
            }
            model.crash(side);
            model.dial(side);
            model.settle(&mut choices);
            prop_assert!(model.common().is_some(), "after the crash of {side}");
        }
    }
}
