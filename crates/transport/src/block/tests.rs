//! Which rule decides, when it ends, and what a store gives back.

use super::*;
use proptest::prelude::*;
use quorate_base::MemoryStore;
use std::sync::atomic::AtomicU64;

const SPACE: SpaceId = SpaceId::from_static(b"space");
const OTHER: SpaceId = SpaceId::from_static(b"other");

fn url(name: &str) -> PeerUrl {
    format!("mem://host:1/{name}").parse().unwrap()
}

fn key(name: &str) -> Subject {
    Subject::Key(name.into())
}

/// A list whose date is what the number says, in milliseconds.
fn dated(unknown: Verdict) -> (BlockList, Arc<AtomicU64>) {
    let date = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&date);
    (BlockList::new(unknown, move || Wall::from_unix_millis(clock.load(Ordering::Relaxed))), date)
}

fn list(unknown: Verdict) -> BlockList {
    dated(unknown).0
}

#[test]
fn what_no_rule_says_is_the_callers_choice() {
    for (unknown, blocked) in [(Verdict::Allow, false), (Verdict::Block, true)] {
        let list = list(unknown);
        assert_eq!(list.is_blocked(&url("a"), Some(&SPACE)), blocked);
        assert_eq!(list.is_blocked(&url("a"), None), blocked);
        assert_eq!(list.may_connect(&url("a"), Some("a")), !blocked);
        list.set(Rule::block(key("b"), "")).unwrap();
        assert_eq!(list.is_blocked(&url("a"), Some(&SPACE)), blocked, "a rule about another peer");
    }
}

#[test]
fn the_most_specific_rule_decides() {
    let list = list(Verdict::Allow);
    let check = |blocked: bool| assert_eq!(list.is_blocked(&url("a"), Some(&SPACE)), blocked);
    list.set(Rule::block(Subject::Anyone, "everywhere")).unwrap();
    check(true);
    list.set(Rule::allow(Subject::Anyone, "in the space").in_space(SPACE)).unwrap();
    check(false);
    list.set(Rule::block(Subject::Url(url("a")), "the URL")).unwrap();
    check(true);
    list.set(Rule::allow(key("a"), "the key")).unwrap();
    check(false);
    list.set(Rule::block(Subject::Url(url("a")), "the URL in the space").in_space(SPACE)).unwrap();
    check(true);
    list.set(Rule::allow(key("a"), "the key in the space").in_space(SPACE)).unwrap();
    check(false);
    assert_eq!(list.rule_for(&url("a"), Some(&SPACE)).unwrap().reason, "the key in the space");
    assert!(!list.is_blocked(&url("a"), Some(&OTHER)), "the key, everywhere");
    assert!(list.is_blocked(&url("b"), Some(&OTHER)), "anyone, everywhere");
}

#[test]
fn a_key_that_was_not_proven_opens_no_door() {
    let list = list(Verdict::Block);
    list.set(Rule::allow(key("a"), "")).unwrap();
    assert_eq!(list.verdict(&url("a"), Some("a"), Some(&SPACE)), Verdict::Allow);
    assert_eq!(list.verdict(&url("a"), None, Some(&SPACE)), Verdict::Block);
    assert!(!list.may_connect(&url("a"), None));
}

#[test]
fn who_may_talk_somewhere_may_connect() {
    let list = list(Verdict::Block);
    list.set(Rule::allow(key("a"), "").in_space(SPACE)).unwrap();
    assert!(list.may_connect(&url("a"), Some("a")) && !list.may_connect(&url("b"), Some("b")));
    list.set(Rule::block(key("a"), "").in_space(SPACE)).unwrap();
    assert!(!list.may_connect(&url("a"), Some("a")));
    list.set(Rule::allow(Subject::Anyone, "an open space").in_space(OTHER)).unwrap();
    assert!(list.may_connect(&url("b"), Some("b")));
}

#[test]
fn a_rule_ends_on_its_date_and_the_one_behind_it_decides() {
    let (list, date) = dated(Verdict::Allow);
    list.set(Rule::block(key("a"), "a while").until(Wall::from_unix_millis(100))).unwrap();
    list.set(Rule::block(Subject::Url(url("b")), "for ever")).unwrap();
    list.set(Rule::allow(key("b"), "a while").until(Wall::from_unix_millis(100))).unwrap();
    date.store(99, Ordering::Relaxed);
    assert!(list.is_blocked(&url("a"), Some(&SPACE)) && !list.is_blocked(&url("b"), Some(&SPACE)));
    assert_eq!(list.rules().len(), 3);
    date.store(100, Ordering::Relaxed);
    assert!(!list.is_blocked(&url("a"), Some(&SPACE)) && list.is_blocked(&url("b"), Some(&SPACE)));
    assert_eq!(list.rules().len(), 1);
    assert_eq!(list.rule_for(&url("a"), Some(&SPACE)), None);
}

#[test]
fn a_full_list_refuses_and_expired_rules_make_room() {
    let (list, date) = dated(Verdict::Allow);
    let list = list.with_max_rules(2);
    list.set(Rule::block(key("a"), "").until(Wall::from_unix_millis(10))).unwrap();
    list.set(Rule::block(key("b"), "")).unwrap();
    assert!(matches!(list.set(Rule::block(key("c"), "")), Err(BlockListError::Full { max: 2 })));
    list.set(Rule::block(key("b"), "again")).unwrap();
    date.store(10, Ordering::Relaxed);
    list.set(Rule::block(key("c"), "")).unwrap();
    assert_eq!(list.read().len(), 2);
    assert!(matches!(list.set(Rule::block(key("d"), "")), Err(BlockListError::Full { .. })));
}

#[test]
fn a_list_in_a_store_is_there_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let open = || BlockList::open(store.clone(), Verdict::Allow, Wall::default).unwrap();
    let list = open();
    list.set(Rule::block(key("a"), "a reason").in_space(SPACE).until(Wall::from_unix_millis(77))).unwrap();
    list.set(Rule::allow(Subject::Url(url("b")), "")).unwrap();
    list.set(Rule::block(Subject::Anyone, "é")).unwrap();
    list.set(Rule::block(key("gone"), "")).unwrap();
    assert!(list.remove(&key("gone"), None).unwrap());
    assert!(!list.remove(&key("gone"), None).unwrap());
    assert!(!list.remove(&key("a"), None).unwrap(), "that rule is about a space");
    let again = open();
    assert_eq!(again.rules(), list.rules());
    assert_eq!(again.rules().len(), 3);
    assert!(again.is_blocked(&url("a"), Some(&SPACE)));
}

#[test]
fn a_damaged_rule_is_reported_and_a_newer_one_too() {
    let store = Arc::new(MemoryStore::new());
    BlockList::open(store.clone(), Verdict::Allow, Wall::default)
        .unwrap()
        .set(Rule::block(key("a"), ""))
        .unwrap();
    let (key, value) = store.scan(b"", None, 1_000).unwrap().remove(0);
    let reopen = |key: &[u8], value: &[u8]| {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        batch.put(key.to_vec(), value.to_vec());
        store.commit(batch).unwrap();
        BlockList::open(Arc::new(store), Verdict::Allow, Wall::default).map(|_| ())
    };
    for cut in 0..value.len() {
        let error = reopen(&key, &value[..cut]);
        assert!(matches!(error, Err(BlockListError::Store(StoreError::Damaged { .. }))), "{cut}");
    }
    let mut newer = value.to_vec();
    newer[0] = 2;
    let error = reopen(&key, &newer);
    assert!(matches!(error, Err(BlockListError::Store(StoreError::NewerSchema { found: 2, known: 1 }))));
    assert!(reopen(&key[..key.len() - 1], &value).is_err(), "the subject is cut");
    assert!(reopen(&key, &value).is_ok());
}

#[test]
fn a_store_that_fails_leaves_the_list_as_it_was() {
    struct Broken;
    impl Store for Broken {
        fn get(&self, _: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
            Ok(None)
        }
        fn scan(&self, _: &[u8]) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, StoreError> {
            Ok(Vec::new())
        }
        fn commit(&self, _: Batch) -> Result<(), StoreError> {
            Err(StoreError::Io("full".into()))
        }
    }
    let list = BlockList::open(Arc::new(Broken), Verdict::Allow, Wall::default).unwrap();
    assert!(list.set(Rule::block(key("a"), "")).is_err());
    assert!(list.rules().is_empty() && !list.is_blocked(&url("a"), None));
}

proptest! {
    /// Any sequence of changes: what the list says is what its store says after a restart.
    #[test]
    fn memory_and_store_never_part(
        changes in prop::collection::vec((0_u8..3, 0_u8..3, any::<bool>(), any::<bool>()), 0..40),
    ) {
        let store = Arc::new(MemoryStore::new());
        let open = || BlockList::open(store.clone(), Verdict::Allow, Wall::default).unwrap();
        let list = open();
        for (subject, name, spaced, removed) in changes {
            let name = ["a", "b", "c"][usize::from(name)];
            let subject = match subject {
                0 => key(name),
                1 => Subject::Url(url(name)),
                _ => Subject::Anyone,
            };
            let space = spaced.then_some(SPACE);
            if removed {
                list.remove(&subject, space.as_ref()).unwrap();
            } else {
                list.set(Rule { space, ..Rule::block(subject, name) }).unwrap();
            }
            prop_assert_eq!(list.rules().len(), list.read().len());
        }
        prop_assert_eq!(open().rules(), list.rules());
    }
}
