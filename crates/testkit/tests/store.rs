//! Both stores keep what a store promises, the suite notices who does not, and a power cut tears no batch.

#![expect(clippy::unwrap_used, reason = "clippy does not see that helpers belong to tests")]

use fastrand::Rng;
use quorate_base::{Batch, Entries, Entry, MemoryStore, RedbStore, Store, StoreError};
use quorate_testkit::store::{Disk, Fate, Oddity, StrangeStore, checks, conformance};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tempfile::TempDir;

#[test]
fn the_memory_store_keeps_what_a_store_promises() {
    conformance(MemoryStore::new, |store| store);
}

#[test]
fn the_redb_store_keeps_what_a_store_promises() {
    let folder = TempDir::new().unwrap();
    let latest = RefCell::new(0);
    let path = || folder.path().join(format!("{}.redb", latest.borrow()));
    conformance(
        || {
            *latest.borrow_mut() += 1;
            RedbStore::open(path()).unwrap()
        },
        |store| {
            drop(store);
            RedbStore::open(path()).unwrap()
        },
    );
}

#[test]
fn every_check_fails_a_store_that_breaks_its_promise() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let holds = |check: &quorate_testkit::store::Check<StrangeStore>, oddity| {
        let run = || check.run(&|| StrangeStore::new(oddity), &StrangeStore::reopened);
        catch_unwind(AssertUnwindSafe(run)).is_ok()
    };
    let sound: Vec<bool> = checks().iter().map(|check| holds(check, Oddity::None)).collect();
    let mut failed_by: BTreeMap<&str, Vec<Oddity>> = BTreeMap::new();
    let mut caught = Vec::new();
    for oddity in Oddity::ALL {
        let failed: Vec<_> =
            checks().iter().filter(|check| !holds(check, oddity)).map(|check| check.name).collect();
        caught.push((oddity, !failed.is_empty()));
        failed.into_iter().for_each(|name| failed_by.entry(name).or_default().push(oddity));
    }
    std::panic::set_hook(quiet);
    assert!(sound.iter().all(|holds| *holds), "a sound store passes");
    assert!(caught.iter().all(|(_, caught)| *caught), "every oddity is noticed: {caught:?}");
    let never: Vec<_> =
        checks::<StrangeStore>().iter().map(|c| c.name).filter(|n| !failed_by.contains_key(n)).collect();
    assert!(never.is_empty(), "checks that no oddity fails: {never:?}");
}

/// Four keys of every batch tell which one it is; the others come and go.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    let mut random = Rng::with_seed(number);
    for key in ["a", "b", "c", "d"] {
        batch.put(key, number.to_be_bytes().to_vec());
    }
    for _ in 0..random.usize(0..20) {
        let key = format!("other/{}", random.u8(0..40));
        let longest = if random.u8(0..10) == 0 { 30_000 } else { 300 };
        let value = vec![number as u8; random.usize(0..longest)];
        if random.u8(0..4) == 0 {
            batch.delete(key)
        } else {
            batch.put(key, value)
        };
    }
    batch
}

fn entries(store: &dyn Store) -> Result<Vec<Entry>, StoreError> {
    Entries::new(store, "").collect()
}

/// What a store holds after batch `number` and all before it, from batch `from` on.
fn model(before: &[Entry], batches: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let store = MemoryStore::new();
    let past =
        before.iter().map(|(key, value)| quorate_base::Op::Put { key: key.clone(), value: value.clone() });
    store.commit(past.collect()).unwrap();
    batches.for_each(|number| store.commit(batch(number)).unwrap());
    entries(&store).unwrap()
}

/// One life: opens what the last power cut left, commits until the power goes. Returns the image and its content.
fn live(seed: u64, image: Vec<u8>, held: Vec<Entry>, next: u64) -> (Vec<u8>, Vec<Entry>, u64) {
    let mut random = Rng::with_seed(seed);
    let disk = Disk::holding(image, Fate::CutAt(random.u64(0..60)), seed);
    let mut committed = next;
    if let Ok(store) = RedbStore::with_backend(disk.clone()) {
        while store.commit(batch(committed)).is_ok() {
            committed += 1;
        }
    }
    assert!(disk.is_cut(), "seed {seed}: only the power ends a life");
    let image = disk.image();
    let store = RedbStore::with_backend(Disk::holding(image.clone(), Fate::Stays, 0)).unwrap();
    let found = entries(&store).unwrap();
    let without = model(&held, next..=committed - 1);
    if found == without {
        return (image, found, committed);
    }
    // The batch under way may be there, whole.
    assert_eq!(
        found,
        model(&held, next..=committed),
        "seed {seed}: batch {committed} is torn or one before is lost"
    );
    (image, found, committed + 1)
}

#[test]
fn after_thousands_of_power_cuts_every_batch_is_whole_and_none_that_was_committed_is_lost() {
    let disk = Disk::new();
    drop(RedbStore::with_backend(disk.clone()).unwrap());
    let fresh = disk.image();
    let (mut cuts, mut at_work, mut batches) = (0, 0, 0);
    for generation in 0..100u64 {
        let (mut image, mut held, mut next) = (fresh.clone(), Vec::new(), 1);
        for life in 0..30 {
            let before = next;
            (image, held, next) = live(generation * 1_000 + life, image, held, next);
            cuts += 1;
            at_work += u64::from(next > before);
            batches += next - before;
        }
    }
    assert!(
        cuts == 3_000 && at_work > cuts / 2,
        "{cuts} cuts, {at_work} of them after a commit, {batches} batches"
    );
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless_and_never_another_value() {
    let disk = Disk::new();
    let store = RedbStore::with_backend(disk.clone()).unwrap();
    (1..40).for_each(|number| store.commit(batch(number)).unwrap());
    let held = entries(&store).unwrap();
    drop(store);
    let image = disk.image();
    let mut random = Rng::with_seed(9);
    let (mut refused, mut harmless, mut wrong) = (0, 0, Vec::new());
    // redb answers some damage with a panic, which the store catches.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for round in 0..1_500 {
        let mut damaged = image.clone();
        let (at, bit) = (random.usize(0..damaged.len()), random.u8(0..8));
        damaged[at] ^= 1 << bit;
        let read =
            RedbStore::with_backend(Disk::holding(damaged, Fate::Stays, 0)).and_then(|store| entries(&store));
        match read {
            Ok(found) if found == held => harmless += 1,
            Ok(_) => wrong.push((round, at, bit)),
            Err(_) => refused += 1,
        }
    }
    std::panic::set_hook(loud);
    assert!(wrong.is_empty(), "read as another value (round, byte, bit): {wrong:?}");
    assert!(refused > 0 && harmless > 0, "{refused} refused, {harmless} harmless");
}
