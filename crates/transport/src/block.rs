//! The block list: an operator's rules about who may talk, with expiry and reason.
//!
//! The rule: the most specific rule decides, and what no rule says is the caller's choice. What was accepted
//! by [`BlockList::set`] is in the store before it has any effect.

mod rules;
mod stored;

pub use rules::{Rule, Subject, Verdict};

use crate::locked;
use quorate_base::{Batch, Store, StoreError, Wall};
use quorate_wire::{PeerUrl, SpaceId};
use rules::Rules;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};

/// How many rules a list takes unless told otherwise.
const MAX_RULES: usize = 65_536;

type Clock = Box<dyn Fn() -> Wall + Send + Sync>;

/// Who may talk, in which space, until when, and why not.
///
/// Hand one to [`TxImpHnd::with_block_list`](crate::TxImpHnd::with_block_list); change it whenever you like. A message that it blocks
/// is dropped and counted, either way, by peer and space. A peer that is blocked everywhere gets no connection; one that has a
/// connection keeps it until you disconnect it, and nothing passes over it.
///
/// Of the rules that fit, the first in this order decides: a peer (by key, then by URL) in the space, a peer
/// everywhere, anyone in the space, anyone everywhere, and else [`Verdict`] that the list was made with.
///
/// The list has no clock of its own: rules expire by the one that it is made with, a date. A check costs one look
/// at a flag while there are no rules, and a shared lock and up to five look-ups when there are.
///
/// ```
/// use quorate_base::Wall;
/// use quorate_transport::{BlockList, Rule, Subject, Verdict};
///
/// let list = BlockList::new(Verdict::Allow, || Wall::from_unix_millis(1_000));
/// let peer: quorate_wire::PeerUrl = "quic://192.0.2.1:4433/mallory".parse()?;
/// list.set(Rule::block(Subject::Key("mallory".into()), "floods us").until(Wall::from_unix_millis(5_000)))?;
/// assert!(list.is_blocked(&peer, None));
/// assert_eq!(list.rules()[0].reason, "floods us");
/// assert!(list.remove(&Subject::Key("mallory".into()), None)?);
/// assert!(!list.is_blocked(&peer, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BlockList {
    unknown: Verdict,
    max_rules: usize,
    clock: Clock,
    rules: RwLock<Rules>,
    /// Some rule may decide something.
    any: AtomicBool,
    /// Some rule ends one day: the clock has to be asked.
    ends: AtomicBool,
    /// Where changes go first; the lock keeps their order, and no reader waits for it.
    store: Mutex<Option<Arc<dyn Store>>>,
}

impl BlockList {
    /// An empty list in memory. `unknown` is for peers that no rule fits, `clock` says what the date is.
    pub fn new(unknown: Verdict, clock: impl Fn() -> Wall + Send + Sync + 'static) -> Self {
        Self {
            unknown,
            max_rules: MAX_RULES,
            clock: Box::new(clock),
            rules: RwLock::default(),
            any: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            store: Mutex::default(),
        }
    }

    /// The list that `store` holds, and that keeps itself there. The calls that change it block as the store does.
    pub fn open(
        store: Arc<dyn Store>,
        unknown: Verdict,
        clock: impl Fn() -> Wall + Send + Sync + 'static,
    ) -> Result<Self, BlockListError> {
        let mut list = Self::new(unknown, clock);
        let rules = stored::read(store.as_ref())?;
        list.max_rules = list.max_rules.max(rules.len());
        list.store = Mutex::new(Some(store));
        for rule in rules {
            list.rules.get_mut().unwrap_or_else(PoisonError::into_inner).set(rule);
        }
        list.note();
        Ok(list)
    }

    /// The same list for so many rules at most. Default 65,536.
    #[must_use]
    pub fn with_max_rules(mut self, max_rules: usize) -> Self {
        self.max_rules = max_rules;
        self
    }

    /// Adds a rule, in place of one for the same subject and space. On `Err` the list is as before.
    ///
    /// Where the list is full, rules that have expired make room.
    pub fn set(&self, rule: Rule) -> Result<(), BlockListError> {
        let store = locked(&self.store);
        let now = (self.clock)();
        let mut batch = Batch::new();
        let (full, expired) = {
            let rules = self.read();
            let full = rules.len() >= self.max_rules && !rules.contains(&rule.subject, rule.space.as_ref());
            (full, if full { rules.expired(now) } else { Vec::new() })
        };
        if full && expired.is_empty() {
            return Err(BlockListError::Full { max: self.max_rules });
        }
        for old in &expired {
            stored::delete(&mut batch, &old.subject, old.space.as_ref());
        }
        stored::put(&mut batch, &rule);
        commit(&store, batch)?;
        self.change(|rules| {
            for old in expired {
                rules.remove(&old.subject, old.space.as_ref());
            }
            rules.set(rule);
        });
        Ok(())
    }

    /// Removes the rule for exactly this subject and space. Whether there was one.
    pub fn remove(&self, subject: &Subject, space: Option<&SpaceId>) -> Result<bool, BlockListError> {
        let store = locked(&self.store);
        if !self.read().contains(subject, space) {
            return Ok(false);
        }
        let mut batch = Batch::new();
        stored::delete(&mut batch, subject, space);
        commit(&store, batch)?;
        self.change(|rules| rules.remove(subject, space));
        Ok(true)
    }

    /// Whether messages between the peer at `url` and `space` (or, without one, everything) are blocked now.
    ///
    /// The last segment of the URL counts as the peer's key.
    pub fn is_blocked(&self, url: &PeerUrl, space: Option<&SpaceId>) -> bool {
        self.verdict(url, url.peer_id(), space) == Verdict::Block
    }

    /// The rule that decides, if it is one.
    pub fn rule_for(&self, url: &PeerUrl, space: Option<&SpaceId>) -> Option<Rule> {
        let now = (self.clock)();
        self.read().decide(url, url.peer_id(), space, now).cloned()
    }

    /// All rules that have not expired, sorted by subject and space.
    pub fn rules(&self) -> Vec<Rule> {
        let now = (self.clock)();
        self.read().all(now)
    }

    /// What goes for peers that no rule fits.
    pub const fn unknown(&self) -> Verdict {
        self.unknown
    }

    /// What goes for a peer that proved `key`, or none.
    pub(crate) fn verdict(&self, url: &PeerUrl, key: Option<&str>, space: Option<&SpaceId>) -> Verdict {
        if !self.any.load(Ordering::Acquire) {
            return self.unknown;
        }
        let now = self.now();
        self.read().decide(url, key, space, now).map_or(self.unknown, |rule| rule.verdict)
    }

    /// Whether the peer may have a connection: it may unless it is blocked everywhere.
    pub(crate) fn may_connect(&self, url: &PeerUrl, key: Option<&str>) -> bool {
        let now = self.now();
        self.verdict(url, key, None) == Verdict::Allow || self.read().allowed_somewhere(url, key, now)
    }

    /// The date, where a rule asks for it. User code, so not under the lock.
    fn now(&self) -> Wall {
        if self.ends.load(Ordering::Acquire) { (self.clock)() } else { Wall::default() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rules) -> T) {
        change(&mut self.rules.write().unwrap_or_else(PoisonError::into_inner));
        self.note();
    }

    fn note(&self) {
        let rules = self.read();
        self.ends.store(rules.any_ends(), Ordering::Release);
        self.any.store(rules.len() > 0, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn commit(store: &Option<Arc<dyn Store>>, batch: Batch) -> Result<(), StoreError> {
    store.as_ref().map_or(Ok(()), |store| store.commit(batch))
}

impl fmt::Debug for BlockList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.read().len();
        f.debug_struct("BlockList")
            .field("unknown", &self.unknown)
            .field("rules", &rules)
            .finish_non_exhaustive()
    }
}

/// Why a list was not changed, or not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockListError {
    /// It has as many rules as it takes, and none has expired. Nothing was changed.
    #[error("the block list has {max} rules, as many as it takes")]
    Full {
        /// The limit.
        max: usize,
    },
    /// The store failed. The list in memory is as before; what is in the store is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
