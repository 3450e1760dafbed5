//! Every peer's last answer to `version`, with its date.
//!
//! Kept in the store under `query/versions/` and the peer's number (2 bytes big-endian): milliseconds since the Unix epoch (8 bytes
//! big-endian) and the answer as JSON. An entry that cannot be read is as if it were not there.

use super::Discovered;
use crate::peer::PeerId;
use quorate_base::{Batch, Store, StoreError, Wall};
use quorate_versioning::{ModuleInstanceId, Negotiation, NumPeers, SupportedApiVersionsSummary, negotiate};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PREFIX: &[u8] = b"query/versions/";

/// What is known of every peer.
#[derive(Debug, Clone)]
pub struct VersionBook {
    client: SupportedApiVersionsSummary,
    count: NumPeers,
    known: BTreeMap<PeerId, Option<Known>>,
    unsaved: BTreeSet<PeerId>,
}

/// A peer's last answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it answered.
    pub summary: SupportedApiVersionsSummary,
    /// When, by the clock of that time.
    pub at: Wall,
    /// Whether it was asked by this process.
    pub fresh: bool,
}

impl VersionBook {
    /// Reads the last answers of `peers`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the store.
    pub fn load(
        client: SupportedApiVersionsSummary,
        count: NumPeers,
        peers: impl IntoIterator<Item = PeerId>,
        store: &dyn Store,
    ) -> Result<Self, StoreError> {
        let mut known = BTreeMap::new();
        for peer in peers {
            let entry = store.get(&key(peer))?;
            known.insert(peer, entry.as_deref().and_then(read));
        }
        Ok(Self { client, count, known, unsaved: BTreeSet::new() })
    }

    /// What the client needs.
    pub const fn client(&self) -> &SupportedApiVersionsSummary {
        &self.client
    }

    /// A peer has answered.
    pub fn learn(&mut self, peer: PeerId, summary: SupportedApiVersionsSummary, at: Wall) {
        if let Some(known) = self.known.get_mut(&peer) {
            *known = Some(Known { summary, at, fresh: true });
            self.unsaved.insert(peer);
        }
    }

    /// Writes what was learnt since the last time.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the store; the next call writes it again.
    pub fn save(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for peer in &self.unsaved {
            if let Some(Some(known)) = self.known.get(peer) {
                let mut entry = known.at.unix_millis().to_be_bytes().to_vec();
                // Plain data is always JSON; what were not would be read as not there.
                entry.extend(serde_json::to_vec(&known.summary).unwrap_or_default());
                batch.put(key(*peer), entry);
            }
        }
        if !batch.is_empty() {
            store.commit(batch)?;
        }
        self.unsaved.clear();
        Ok(())
    }

    /// What is known of a peer.
    pub fn known(&self, peer: PeerId) -> Option<&Known> {
        self.known.get(&peer)?.as_ref()
    }

    /// Who has not answered this process.
    pub fn not_fresh(&self) -> impl Iterator<Item = PeerId> + '_ {
        let stale = self.known.iter().filter(|(_, known)| !known.as_ref().is_some_and(|known| known.fresh));
        stale.map(|(peer, _)| *peer)
    }

    /// What all answers come to, old and new.
    pub fn negotiate(&self) -> Negotiation<PeerId, ModuleInstanceId> {
        let summary = |known: &Option<Known>| known.as_ref().map(|known| known.summary.clone());
        let answers = self.known.iter().map(|(peer, known)| (*peer, summary(known))).collect();
        negotiate(&self.client, &answers, self.count)
    }

    /// The versions to use, when every component that can have one has it and the core does.
    pub(super) fn discovered(
        &self,
        now: Wall,
    ) -> Result<Discovered, Box<Negotiation<PeerId, ModuleInstanceId>>> {
        let negotiation = self.negotiate();
        match negotiation.api_version_set() {
            Ok(set) if !negotiation.is_incompatible() => {
                Ok(Discovered { set, negotiation, oldest: self.oldest(now) })
            }
            _ => Err(Box::new(negotiation)),
        }
    }

    /// The age of the oldest answer that is not of this process. A clock that was set back makes it zero.
    fn oldest(&self, now: Wall) -> Option<Duration> {
        let old = self.known.values().flatten().filter(|known| !known.fresh);
        old.map(|known| now.unix().saturating_sub(known.at.unix())).max()
    }
}

fn key(peer: PeerId) -> Vec<u8> {
    [PREFIX, &peer.0.to_be_bytes()].concat()
}

fn read(entry: &[u8]) -> Option<Known> {
    let (millis, json) = entry.split_first_chunk()?;
    let summary = serde_json::from_slice(json).ok()?;
    Some(Known { summary, at: Wall::from_unix_millis(u64::from_be_bytes(*millis)), fresh: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_base::MemoryStore;
    use quorate_versioning::{ApiVersion, SupportedCoreApiVersions};

    fn summary(minor: u32) -> SupportedApiVersionsSummary {
        SupportedApiVersionsSummary::new(
            SupportedCoreApiVersions::try_from_raw((2, 0), &[(0, minor)]).unwrap(),
        )
    }

    fn book(store: &MemoryStore) -> VersionBook {
        VersionBook::load(summary(0), NumPeers::new(4).unwrap(), (0..4).map(PeerId), store).unwrap()
    }

    #[test]
    fn last_answers_are_kept_with_their_date() {
        let store = MemoryStore::new();
        let mut first = book(&store);
        for peer in 0..3 {
            first.learn(PeerId(peer), summary(9), Wall::from_unix_millis(1_000));
        }
        first.learn(PeerId(9), summary(9), Wall::from_unix_millis(1_000));
        assert_eq!(first.discovered(Wall::from_unix_millis(1_000)).unwrap().oldest, None);
        first.save(&store).unwrap();

        let later = book(&store);
        let discovered = later.discovered(Wall::from_unix_millis(61_000)).unwrap();
        assert_eq!(
            (discovered.set.core, discovered.oldest),
            (ApiVersion::new(0, 9), Some(Duration::from_secs(60)))
        );
        assert_eq!(later.not_fresh().count(), 4);
        let known = later.known(PeerId(2)).unwrap();
        assert_eq!((known.at.unix_millis(), known.fresh), (1_000, false));
        assert_eq!(later.discovered(Wall::from_unix_millis(0)).unwrap().oldest, Some(Duration::ZERO));
    }

    #[test]
    fn damaged_entries_are_not_there() {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        batch.put(key(PeerId(0)), &b"short"[..]).put(key(PeerId(1)), &b"12345678{"[..]);
        store.commit(batch).unwrap();
        assert_eq!(book(&store).known(PeerId(0)), None);
        assert_eq!(book(&store).known(PeerId(1)), None);
    }
}
