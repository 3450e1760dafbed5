//! What every [`Store`] has to do, and a disk that loses power.
//!
//! The rule: the suite knows nothing but the trait. It opens stores with your function, and closes and opens one again with
//! another; each check panics where a test has to fail.
//!
//! ```
//! use quorate_base::MemoryStore;
//!
//! // A store in memory lives as long as its value: opening it again is going on with it.
//! quorate_testkit::store::conformance(MemoryStore::new, |store| store);
//! ```

mod disk;
mod strange;

pub use disk::{Disk, Fate};
pub use strange::{Oddity, StrangeStore};

use bytes::Bytes;
use fastrand::Rng;
use quorate_base::{Batch, Entries, Entry, Op, Store};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Runs every check of the suite. `open` makes an empty store, `reopen` closes one and opens it again.
pub fn conformance<S: Store>(open: impl Fn() -> S, reopen: impl Fn(S) -> S) {
    for check in checks() {
        check.run(&open, &reopen);
    }
}

/// One promise of the trait.
pub struct Check<S> {
    /// The promise.
    pub name: &'static str,
    run: fn(&dyn Fn() -> S, &dyn Fn(S) -> S),
}

impl<S> Check<S> {
    /// Panics where the store breaks the promise.
    pub fn run(&self, open: &dyn Fn() -> S, reopen: &dyn Fn(S) -> S) {
        (self.run)(open, reopen);
    }
}

impl<S> std::fmt::Debug for Check<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every check, to be run one at a time.
pub fn checks<S: Store>() -> Vec<Check<S>> {
    macro_rules! checks {
        ($($name:ident),* $(,)?) => { vec![$(Check { name: stringify!($name), run: $name::<S> }),*] };
    }
    checks![
        what_was_put_is_there,
        a_batch_is_applied_in_order,
        a_batch_applied_twice_is_applied_once,
        a_batch_is_seen_whole,
        keys_and_values_are_any_bytes,
        a_scan_is_ascending_and_within_its_prefix,
        a_scan_begins_after_a_key,
        a_page_is_bounded_and_never_empty_before_the_end,
        what_was_committed_stays,
        it_behaves_as_a_map,
    ]
}

fn what_was_put_is_there<S: Store>(open: &dyn Fn() -> S, _: &dyn Fn(S) -> S) {
    let store = open();
    assert_eq!(get(&store, b"a"), None, "a new store is empty");
    commit(&store, |batch| batch.put("a", "1").put("b", "2"));
    assert_eq!(get(&store, b"a").as_deref(), Some(&b"1"[..]));
    commit(&store, |batch| batch.put("a", "3").delete("b").delete("never there"));
    assert_eq!(get(&store, b"a").as_deref(), Some(&b"3"[..]), "a put replaces");
    assert_eq!(get(&store, b"b"), None, "a delete removes");
}

fn a_batch_is_applied_in_order<S: Store>(open: &dyn Fn() -> S, _: &dyn Fn(S) -> S) {
    let store = open();
    commit(&store, |batch| {
        batch.put("a", "1").put("a", "2").put("b", "3").delete("b").delete("c").put("c", "4")
    });
    assert_eq!(all(&store, b""), entries(&[("a", "2"), ("c", "4")]));
}

fn a_batch_applied_twice_is_applied_once<S: Store>(open: &dyn Fn() -> S, _: &dyn Fn(S) -> S) {
    let store = open();
    let mut batch = Batch::new();
    batch.put("a", "1").delete("b").put("c", "2");
    commit(&store, |other| other.put("b", "0"));
    store.commit(batch.clone()).expect("a commit");
    store.commit(batch).expect("the same commit");
    assert_eq!(all(&store, b""), entries(&[("a", "1"), ("c", "2")]));
}

/// A reader beside the writer sees a batch, or nothing of it.
fn a_batch_is_seen_whole<S: Store>(open: &dyn Fn() -> S, _: &dyn Fn(S) -> S) {
    let store = open();
    let write = |number: u32| {
        let value = Bytes::from(number.to_be_bytes().to_vec());
        commit(&store, |batch| batch.put("first", value.clone()).put("second", value));
    };
    write(0);
    let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let torn = std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut torn = false;
            while !done.load(Ordering::Acquire) {
                let seen = all(&store, b"");
                torn |= seen.len() != 2 || seen[0].1 != seen[1].1;
                reads.fetch_add(1, Ordering::Release);
            }
            torn
        });
        for number in 1..20 {
            let before = reads.load(Ordering::Acquire);
            while reads.load(Ordering::Acquire) == before && !reader.is_finished() {
                std::thread::yield_now();
            }
            write(number);
        }
        done.store(true, Ordering::Release);
        reader.join().expect("the reader does not panic")
    });
    assert!(!torn, "a reader saw a part of a batch");
}

fn keys_and_values_are_any_bytes<S: Store>(open: &dyn Fn() -> S, reopen: &dyn Fn(S) -> S) {
    let store = open();
    let long = vec![7; 3_000_000];
    let odd: [(&[u8], &[u8]); 5] = [
        (b"", b"at the empty key"),
        (&[0], b""),
        (&[0, 0], &[0]),
        (&[255], &[255; 40]),
        (&[255, 255, 1], &long),
    ];
    commit(&store, |batch| {
        for (key, value) in odd {
            batch.put(key.to_vec(), value.to_vec());
        }
        batch
    });
    let store = reopen(store);
    for (key, value) in odd {
        assert_eq!(get(&store, key).as_deref(), Some(value), "the value at {key:?}");
    }
    assert_eq!(all(&store, &[255]).len(), 2, "a prefix that nothing comes after");
}

fn a_scan_is_ascending_and_within_its_prefix<S: Store>(open: &dyn Fn() -> S, _: &dyn Fn(S) -> S) {
    let store = open();
    commit(&store, |batch| {
        for key in ["b/2", "a/9", "b/1", "c", "b", "b0", "b/10"] {
            batch.put(key, key);
        }
        batch
    });
    assert_eq!(all(&store, b"b/"), entries(&[("b/1", "b/1"), ("b/10", "b/10"), ("b/2", "b/2")]));
    assert_eq!(all(&store, b"").len(), 7);
    assert_eq!(all(&store, b"d"), []);
}

fn a_scan_begins_after_a_key<S: Store>(open: &dyn Fn() -> S, _: &dyn Fn(S) -> S) {
    let store = open();
    commit(&store, |batch| batch.put("a", "0").put("b/1", "1").put("b/2", "2").put("b/3", "3"));
    let after = |after: &[u8]| store.scan(b"b/", Some(after), usize::MAX).expect("a scan");
    assert_eq!(after(b"b/1"), entries(&[("b/2", "2"), ("b/3", "3")]), "the key itself is left out");
    assert_eq!(after(b"b/1x"), entries(&[("b/2", "2"), ("b/3", "3")]), "the key need not be there");
    assert_eq!(after(b"a").len(), 3, "a key before the prefix leaves nothing out");
    assert_eq!(after(b"c"), []);
}

fn a_page_is_bounded_and_never_empty_before_the_end<S: Store>(open: &dyn Fn() -> S, _: &dyn Fn(S) -> S) {
    let store = open();
    commit(&store, |batch| {
        for number in 0..50u8 {
            batch.put(vec![b'k', number], vec![number; 98]);
        }
        batch
    });
    assert_eq!(store.scan(b"k", None, 1_000).expect("a scan").len(), 10, "ten entries of 100 bytes");
    assert_eq!(store.scan(b"k", None, 1).expect("a scan").len(), 1, "one however long it is");
    assert_eq!(all(&store, b"k").len(), 50);
}

fn what_was_committed_stays<S: Store>(open: &dyn Fn() -> S, reopen: &dyn Fn(S) -> S) {
    let mut store = open();
    for number in 0..5u8 {
        commit(&store, |batch| batch.put(vec![number], vec![number; 10]).put("last", vec![number]));
        store = reopen(store);
        assert_eq!(all(&store, b"").len(), usize::from(number) + 2);
        assert_eq!(get(&store, b"last").as_deref(), Some(&[number][..]));
    }
}

fn it_behaves_as_a_map<S: Store>(open: &dyn Fn() -> S, reopen: &dyn Fn(S) -> S) {
    let mut store = open();
    let mut model = BTreeMap::new();
    let mut random = Rng::with_seed(4);
    for step in 0..60 {
        let mut batch = Batch::new();
        for _ in 0..random.usize(0..12) {
            let key = Bytes::from(format!("{}/{}", random.u8(0..3), random.u8(0..9)));
            if random.u8(0..3) == 0 {
                model.remove(&key);
                batch.delete(key);
            } else {
                let value = Bytes::from(vec![random.u8(..); random.usize(0..5_000)]);
                model.insert(key.clone(), value.clone());
                batch.push(Op::Put { key, value });
            }
        }
        store.commit(batch).expect("a commit");
        if step % 20 == 19 {
            store = reopen(store);
        }
        for prefix in ["", "0/", "1/", "2/4"] {
            let expected: Vec<Entry> = model
                .iter()
                .filter(|(key, _)| key.starts_with(prefix.as_bytes()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            assert_eq!(all(&store, prefix.as_bytes()), expected, "step {step}, prefix {prefix:?}");
        }
    }
}

fn commit<S: Store>(store: &S, fill: impl FnOnce(&mut Batch) -> &mut Batch) {
    let mut batch = Batch::new();
    fill(&mut batch);
    store.commit(batch).expect("a commit");
}

fn get<S: Store>(store: &S, key: &[u8]) -> Option<Bytes> {
    store.get(key).expect("a value can be read")
}

fn all<S: Store>(store: &S, prefix: &[u8]) -> Vec<Entry> {
    let entries = Entries::new(store, prefix.to_vec());
    // A store that pages wrongly must fail here, not run for ever.
    entries.take(10_000).map(|entry| entry.expect("an entry can be read")).collect()
}

fn entries(expected: &[(&'static str, &'static str)]) -> Vec<Entry> {
    expected.iter().map(|(key, value)| (Bytes::from(*key), Bytes::from(*value))).collect()
}
