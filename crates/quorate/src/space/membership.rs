//! Whom to dial, whom to greet, and who is a member: the machine behind a space.
//!
//! The rule: an address that the application named is dialed for as long as the space is open; one
//! that other members named is given up after some failures, and there is a bound on both.

use super::notice::{MAX_NAMED, Notice};
use super::{Absence, Members};
use quorate_base::{Backoff, Mono};
use quorate_wire::PeerUrl;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The most peers known at once, members or not.
const MAX_PEERS: usize = 256;
/// Failed dials after which a peer that only others named is forgotten.
const MAX_FAILURES: u32 = 8;

/// The membership of one node in one space.
#[derive(Debug)]
pub(super) struct Membership {
    own: Option<PeerUrl>,
    peers: BTreeMap<PeerUrl, Peer>,
    outputs: VecDeque<Step>,
    backoff: Backoff,
}

/// What the driver is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Connect to a peer and report how it went.
    Dial(PeerUrl),
    /// Send this peer a notice.
    Greet(PeerUrl, Notice),
}

#[derive(Debug, Default)]
struct Peer {
    origin: Origin,
    connected: bool,
    member: bool,
    dialing: bool,
    failures: u32,
    dial_at: Option<Mono>,
    trouble: Option<String>,
    /// Another try makes no sense, until the peer turns out to be a member or is named again.
    hopeless: bool,
}

/// How a peer became known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Origin {
    /// It dialed us. It is not dialed before it said that it is a member.
    #[default]
    Came,
    /// Another member named it: given up after some failures.
    Introduced,
    /// The application named it: never given up.
    Named,
}

impl Peer {
    /// Whether it may turn out to be a member: the application named it, and nothing is known against it.
    fn is_sought(&self) -> bool {
        self.origin == Origin::Named && !self.member && self.trouble.is_none()
    }
}

impl Membership {
    pub(super) fn new(own: Option<PeerUrl>) -> Self {
        Self {
            own,
            peers: BTreeMap::new(),
            outputs: VecDeque::new(),
            backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(10)),
        }
    }

    /// The application named a member's address.
    pub(super) fn handle_named(&mut self, now: Mono, url: PeerUrl) {
        if self.own.as_ref() == Some(&url) {
            return;
        }
        let peer = self.peers.entry(url).or_default();
        peer.origin = Origin::Named;
        peer.hopeless = false;
        if !peer.connected && !peer.dialing {
            peer.dial_at = Some(now);
        }
        self.handle_timeout(now);
    }

    /// Somebody named a peer that may be a member, and may be gone.
    pub(super) fn handle_introduced(&mut self, now: Mono, url: PeerUrl) {
        let known = self.own.as_ref() == Some(&url) || self.peers.contains_key(&url);
        if !known && self.peers.len() < MAX_PEERS {
            let peer = Peer { origin: Origin::Introduced, dial_at: Some(now), ..Peer::default() };
            self.peers.insert(url, peer);
            self.handle_timeout(now);
        }
    }

    /// A connection is up, or about to be.
    pub(super) fn handle_connected(&mut self, url: PeerUrl) {
        if !self.peers.contains_key(&url) && self.peers.len() >= MAX_PEERS && !self.forget_one() {
            return;
        }
        let peer = self.peers.entry(url.clone()).or_default();
        peer.connected = true;
        peer.dial_at = None;
        // One that cannot work with us may still knock.
        peer.trouble = peer.trouble.take().filter(|_| peer.hopeless);
        self.greet(url);
    }

    /// The last connection to a peer ended.
    pub(super) fn handle_disconnected(
        &mut self,
        now: Mono,
        url: &PeerUrl,
        reason: Option<String>,
        random: f64,
    ) {
        let Some(peer) = self.peers.get_mut(url) else { return };
        peer.connected = false;
        if peer.origin == Origin::Came && !peer.member && !peer.dialing {
            self.peers.remove(url);
            return;
        }
        peer.member = false;
        if peer.hopeless {
            return;
        }
        peer.trouble = Some(reason.unwrap_or_else(|| "the connection was lost".to_owned()));
        if !peer.dialing {
            peer.dial_at = Some(now + self.backoff.delay(peer.failures, random));
        }
    }

    /// A dial ended. `Err` says why, and whether another try makes sense.
    pub(super) fn handle_dialed(
        &mut self,
        now: Mono,
        url: &PeerUrl,
        outcome: Result<(), (String, bool)>,
        random: f64,
    ) {
        let Some(peer) = self.peers.get_mut(url) else { return };
        peer.dialing = false;
        match outcome {
            Ok(()) => {
                peer.failures = 0;
                peer.hopeless = false;
                peer.trouble = None;
                if !peer.connected {
                    self.handle_connected(url.clone());
                }
            }
            Err((reason, retry)) => {
                peer.failures = peer.failures.saturating_add(1);
                peer.trouble = Some(reason);
                peer.hopeless = !retry;
                peer.dial_at = retry.then(|| now + self.backoff.delay(peer.failures - 1, random));
                if peer.origin != Origin::Named
                    && (!retry || peer.failures >= MAX_FAILURES)
                    && !peer.connected
                {
                    self.peers.remove(url);
                }
            }
        }
    }

    /// A peer says that it is a member, and names others.
    pub(super) fn handle_notice(&mut self, now: Mono, from: PeerUrl, notice: Notice) {
        if !self.peers.contains_key(&from) {
            self.handle_connected(from.clone());
        }
        if let Some(peer) = self.peers.get_mut(&from)
            && !peer.member
        {
            peer.member = true;
            peer.connected = true;
            peer.hopeless = false;
            peer.failures = 0;
            peer.trouble = None;
            self.greet(from);
        }
        for url in notice.members {
            self.handle_introduced(now, url);
        }
    }

    /// Dials who is due.
    pub(super) fn handle_timeout(&mut self, now: Mono) {
        for (url, peer) in &mut self.peers {
            if peer.dial_at.is_some_and(|at| at <= now) {
                peer.dial_at = None;
                if !peer.connected && !peer.dialing {
                    peer.dialing = true;
                    self.outputs.push_back(Step::Dial(url.clone()));
                }
            }
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Step> {
        self.outputs.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.peers.values().filter_map(|peer| peer.dial_at).min()
    }

    /// Who is here, and who is not and why.
    pub(super) fn members(&self) -> Members {
        let present = self.peers.iter().filter(|(_, peer)| peer.member).map(|(url, _)| url.clone());
        let trouble = |(url, peer): (&PeerUrl, &Peer)| {
            let reason = peer.trouble.clone().filter(|_| !peer.connected)?;
            let retried = peer.dialing || peer.dial_at.is_some();
            Some((url.clone(), Absence { reason, retried }))
        };
        let sought = self.peers.iter().filter(|(_, peer)| peer.is_sought()).map(|(url, _)| url.clone());
        Members {
            present: present.collect(),
            sought: sought.collect(),
            absent: self.peers.iter().filter_map(trouble).collect(),
        }
    }

    fn greet(&mut self, url: PeerUrl) {
        let others = self.peers.iter().filter(|(other, peer)| peer.member && **other != url);
        let members = others.map(|(other, _)| other.clone()).take(MAX_NAMED).collect();
        self.outputs.push_back(Step::Greet(url, Notice { members }));
    }

    /// Makes room by forgetting a peer that nobody needs.
    fn forget_one(&mut self) -> bool {
        let idle = self
            .peers
            .iter()
            .find(|(_, peer)| peer.origin != Origin::Named && !peer.connected && !peer.dialing);
        idle.map(|(url, _)| url.clone()).is_some_and(|url| self.peers.remove(&url).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(port: u16) -> PeerUrl {
        format!("mem://host:{port}/p").parse().unwrap()
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(seconds))
    }

    fn steps(membership: &mut Membership) -> Vec<Step> {
        std::iter::from_fn(|| membership.poll_output()).collect()
    }

    #[test]
    fn a_member_introduces_the_others() {
        let mut membership = Membership::new(Some(url(1)));
        membership.handle_connected(url(2));
        membership.handle_notice(at(0), url(2), Notice::default());
        steps(&mut membership);
        membership.handle_connected(url(3));
        assert_eq!(steps(&mut membership), [Step::Greet(url(3), Notice { members: vec![url(2)] })]);
        membership.handle_notice(at(0), url(3), Notice { members: vec![url(1), url(2), url(4)] });
        let said = steps(&mut membership);
        assert_eq!(said, [Step::Greet(url(3), Notice { members: vec![url(2)] }), Step::Dial(url(4))]);
        assert_eq!(membership.members().present, [url(2), url(3)]);
    }

    #[test]
    fn a_named_address_is_dialed_for_ever_and_one_that_others_named_is_not() {
        let mut membership = Membership::new(None);
        membership.handle_named(at(0), url(2));
        membership.handle_connected(url(3));
        membership.handle_notice(at(0), url(3), Notice { members: vec![url(4)] });
        let mut dials = BTreeMap::<PeerUrl, u32>::new();
        let mut now = at(0);
        for _ in 0..200 {
            for step in steps(&mut membership) {
                if let Step::Dial(url) = step {
                    *dials.entry(url.clone()).or_default() += 1;
                    membership.handle_dialed(now, &url, Err(("nobody there".into(), true)), 0.5);
                }
            }
            let Some(next) = membership.poll_timeout() else { break };
            now = next;
            membership.handle_timeout(now);
        }
        assert_eq!(dials[&url(4)], MAX_FAILURES);
        assert!(dials[&url(2)] > 50);
        let absence = &membership.members().absent[&url(2)];
        assert_eq!((absence.reason.as_str(), absence.retried), ("nobody there", true));
    }

    #[test]
    fn who_was_named_is_sought_until_it_is_met_or_missed() {
        let mut membership = Membership::new(None);
        membership.handle_connected(url(9));
        assert_eq!(membership.members().sought, [], "who came by itself was asked for by nobody");
        membership.handle_named(at(0), url(2));
        membership.handle_named(at(0), url(3));
        assert_eq!(membership.members().sought, [url(2), url(3)]);
        membership.handle_dialed(at(0), &url(2), Ok(()), 0.5);
        membership.handle_dialed(at(0), &url(3), Err(("nobody there".into(), true)), 0.5);
        assert_eq!(membership.members().sought, [url(2)], "connected, and has not said that it is a member");
        membership.handle_notice(at(0), url(2), Notice { members: vec![url(4)] });
        assert_eq!(membership.members().sought, [], "one that only others named may be long gone");
    }

    #[test]
    fn a_refusal_is_not_tried_again() {
        let mut membership = Membership::new(None);
        membership.handle_named(at(0), url(2));
        steps(&mut membership);
        membership.handle_dialed(at(0), &url(2), Err(("the peer refused: too old".into(), false)), 0.5);
        assert_eq!(membership.poll_timeout(), None);
        assert!(!membership.members().absent[&url(2)].retried);
    }

    #[test]
    fn two_that_cannot_work_together_do_not_knock_at_one_another_for_ever() {
        let mut membership = Membership::new(None);
        membership.handle_named(at(0), url(2));
        steps(&mut membership);
        membership.handle_dialed(at(0), &url(2), Err(("the peer refused: too old".into(), false)), 0.5);
        // It dials us, and is refused in turn.
        membership.handle_connected(url(2));
        assert_eq!(membership.members().sought, []);
        membership.handle_disconnected(at(1), &url(2), None, 0.5);
        assert_eq!(membership.poll_timeout(), None);
        let absence = &membership.members().absent[&url(2)];
        assert_eq!((absence.reason.as_str(), absence.retried), ("the peer refused: too old", false));
        // And one that came by itself and never was a member is not dialed back.
        membership.handle_connected(url(3));
        membership.handle_disconnected(at(1), &url(3), None, 0.5);
        assert_eq!(membership.poll_timeout(), None);
        assert!(!membership.peers.contains_key(&url(3)));
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let mut membership = Membership::new(None);
        membership.handle_connected(url(1));
        for batch in 0..100u16 {
            let members = (0..30).map(|port| url(100 + batch * 30 + port)).collect();
            membership.handle_notice(at(0), url(1), Notice { members });
        }
        assert!(membership.peers.len() <= MAX_PEERS);
    }
}
