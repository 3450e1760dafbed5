//! The rules of a block list, and which of them decides.
//!
//! The rule: pure. The date is an argument; a rule that has expired is as good as none.

use crate::{PeerKey, close::bounded};
use quorate_base::Wall;
use quorate_wire::{PeerUrl, SpaceId};
use std::collections::HashMap;

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The peer with this key, wherever it is.
    Key(PeerKey),
    /// Whoever is at this URL.
    Url(PeerUrl),
    /// Everybody about whom there is no closer rule.
    Anyone,
}

impl Subject {
    /// The peer at a URL: by its key where the URL names one, so that it cannot move away.
    pub fn peer(url: &PeerUrl) -> Self {
        PeerKey::named_by(url).map_or_else(|| Self::Url(url.clone()), Self::Key)
    }
}

/// What goes for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Its messages pass.
    Allow,
    /// Its messages are dropped and counted.
    Block,
}

/// One rule of a [`BlockList`](crate::BlockList).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is about.
    pub subject: Subject,
    /// The space it is about; `None` for all of them, and for the connection itself.
    pub space: Option<SpaceId>,
    /// What goes.
    pub verdict: Verdict,
    /// The date from which it says nothing any more.
    pub until: Option<Wall>,
    /// Why, for the operator: at most [`MAX_REASON_BYTES`](crate::MAX_REASON_BYTES), never told to the peer.
    pub reason: String,
}

impl Rule {
    /// Blocks in all spaces, for ever.
    pub fn block(subject: Subject, reason: impl Into<String>) -> Self {
        Self { subject, space: None, verdict: Verdict::Block, until: None, reason: bounded(reason.into()) }
    }

    /// Allows in all spaces, for ever: an exception to a rule that is less specific.
    pub fn allow(subject: Subject, reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Allow, ..Self::block(subject, reason) }
    }

    /// The same rule for one space.
    #[must_use]
    pub fn in_space(mut self, space: SpaceId) -> Self {
        self.space = Some(space);
        self
    }

    /// The same rule until a date.
    #[must_use]
    pub fn until(mut self, until: Wall) -> Self {
        self.until = Some(until);
        self
    }

    fn holds(&self, now: Wall) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The rules about one subject.
#[derive(Debug, Default)]
struct About {
    everywhere: Option<Rule>,
    spaces: HashMap<SpaceId, Rule>,
}

impl About {
    fn slot(&self, space: Option<&SpaceId>) -> Option<&Rule> {
        space.map_or(self.everywhere.as_ref(), |space| self.spaces.get(space))
    }

    fn all(&self) -> impl Iterator<Item = &Rule> {
        self.everywhere.iter().chain(self.spaces.values())
    }
}

/// The first rule that holds in the space, or everywhere.
fn first<'a>(abouts: [Option<&'a About>; 2], space: Option<&SpaceId>, now: Wall) -> Option<&'a Rule> {
    abouts.into_iter().flatten().find_map(|about| about.slot(space).filter(|rule| rule.holds(now)))
}

/// Rules by subject and space.
#[derive(Debug, Default)]
pub(super) struct Rules {
    keys: HashMap<PeerKey, About>,
    urls: HashMap<PeerUrl, About>,
    anyone: About,
    len: usize,
    /// How many of them end one day.
    ending: usize,
}

impl Rules {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn any_ends(&self) -> bool {
        self.ending > 0
    }

    pub(super) fn contains(&self, subject: &Subject, space: Option<&SpaceId>) -> bool {
        self.about(subject).is_some_and(|about| about.slot(space).is_some())
    }

    pub(super) fn set(&mut self, rule: Rule) {
        self.remove(&rule.subject, rule.space.as_ref());
        self.len += 1;
        self.ending += usize::from(rule.until.is_some());
        let about = match &rule.subject {
            Subject::Key(key) => self.keys.entry(key.clone()).or_default(),
            Subject::Url(url) => self.urls.entry(url.clone()).or_default(),
            Subject::Anyone => &mut self.anyone,
        };
        match &rule.space {
            None => about.everywhere = Some(rule),
            Some(space) => {
                about.spaces.insert(space.detach(), rule);
            }
        }
    }

    pub(super) fn remove(&mut self, subject: &Subject, space: Option<&SpaceId>) {
        let about = match subject {
            Subject::Key(key) => self.keys.get_mut(key),
            Subject::Url(url) => self.urls.get_mut(url),
            Subject::Anyone => Some(&mut self.anyone),
        };
        let Some(about) = about else { return };
        let gone = match space {
            None => about.everywhere.take(),
            Some(space) => about.spaces.remove(space),
        };
        let empty = about.everywhere.is_none() && about.spaces.is_empty();
        match subject {
            Subject::Key(key) if empty => drop(self.keys.remove(key)),
            Subject::Url(url) if empty => drop(self.urls.remove(url)),
            _ => {}
        }
        if let Some(gone) = gone {
            self.len -= 1;
            self.ending -= usize::from(gone.until.is_some());
        }
    }

    /// The most specific rule that holds: the peer in the space, the peer, anyone in the space, anyone.
    pub(super) fn decide(
        &self,
        url: &PeerUrl,
        key: Option<&str>,
        space: Option<&SpaceId>,
        now: Wall,
    ) -> Option<&Rule> {
        let (peer, anyone) = (self.about_peer(url, key), [Some(&self.anyone), None]);
        let in_space = |abouts| space.and_then(|space| first(abouts, Some(space), now));
        in_space(peer)
            .or_else(|| first(peer, None, now))
            .or_else(|| in_space(anyone))
            .or_else(|| first(anyone, None, now))
    }

    /// Whether some rule that holds lets the peer talk in some space.
    pub(super) fn allowed_somewhere(&self, url: &PeerUrl, key: Option<&str>, now: Wall) -> bool {
        let [by_key, by_url] = self.about_peer(url, key);
        let abouts = [by_key, by_url, Some(&self.anyone)];
        let mut spaces = abouts.iter().flatten().flat_map(|about| about.spaces.keys());
        spaces.any(|space| {
            let rule = self.decide(url, key, Some(space), now);
            rule.is_some_and(|rule| rule.verdict == Verdict::Allow)
        })
    }

    /// The rules that hold, sorted.
    pub(super) fn all(&self, now: Wall) -> Vec<Rule> {
        self.select(|rule| rule.holds(now))
    }

    /// The rules that do not hold any more, sorted.
    pub(super) fn expired(&self, now: Wall) -> Vec<Rule> {
        self.select(|rule| !rule.holds(now))
    }

    fn select(&self, wanted: impl Fn(&Rule) -> bool) -> Vec<Rule> {
        let abouts = self.keys.values().chain(self.urls.values()).chain([&self.anyone]);
        let mut rules: Vec<_> = abouts.flat_map(About::all).filter(|rule| wanted(rule)).cloned().collect();
        rules.sort_unstable_by(|a, b| (&a.subject, &a.space).cmp(&(&b.subject, &b.space)));
        rules
    }

    fn about_peer(&self, url: &PeerUrl, key: Option<&str>) -> [Option<&About>; 2] {
        [key.and_then(|key| self.keys.get(key)), self.urls.get(url)]
    }

    fn about(&self, subject: &Subject) -> Option<&About> {
        match subject {
            Subject::Key(key) => self.keys.get(key),
            Subject::Url(url) => self.urls.get(url),
            Subject::Anyone => Some(&self.anyone),
        }
    }
}
