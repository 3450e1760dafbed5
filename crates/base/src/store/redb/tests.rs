//! The store in a file: it stays, it is one process's, and what is not a store is refused as it is.

use super::*;
use tempfile::TempDir;

fn put(store: &RedbStore, key: &'static str, value: &'static str) {
    let mut batch = Batch::new();
    batch.put(key, value);
    store.commit(batch).unwrap();
}

#[test]
fn what_was_committed_is_there_when_the_file_is_opened_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.redb");
    put(&RedbStore::open(&path).unwrap(), "key", "value");
    assert_eq!(RedbStore::open(&path).unwrap().get(b"key").unwrap().unwrap(), "value");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn one_value_has_a_file_open_at_a_time() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.redb");
    let first = RedbStore::open(&path).unwrap();
    assert!(matches!(RedbStore::open(&path), Err(StoreError::InUse)));
    drop(first);
    RedbStore::open(&path).unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.redb");
    put(&RedbStore::open(&path).unwrap(), "key", "value");
    write_schema(&Database::open(&path).unwrap(), SCHEMA + 1).unwrap();
    let error = RedbStore::open(&path).unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found, known } if found == SCHEMA + 1 && known == SCHEMA)
    );
    write_schema(&Database::open(&path).unwrap(), SCHEMA).unwrap();
    assert_eq!(RedbStore::open(&path).unwrap().get(b"key").unwrap().unwrap(), "value");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in [("empty", &b""[..]), ("text", b"hello, I am a text"), ("short", b"redb\x1a\x0a")] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(RedbStore::open(&path), Err(StoreError::Damaged { .. })), "{name}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
    let foreign = folder.path().join("foreign");
    drop(Database::create(&foreign).unwrap());
    assert!(matches!(RedbStore::open(&foreign), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_crash_while_the_file_is_made_leaves_nothing_in_the_way() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.redb");
    std::fs::write(folder.path().join("state.redb.new"), b"half of a sto").unwrap();
    put(&RedbStore::open(&path).unwrap(), "key", "value");
}

#[test]
fn a_value_that_changed_on_the_disk_is_damage() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.redb");
    put(&RedbStore::open(&path).unwrap(), "key", "a value that can be found");
    let mut bytes = std::fs::read(&path).unwrap();
    let needle = b"can be found";
    let places: Vec<usize> = bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, seen)| seen == needle)
        .map(|(at, _)| at)
        .collect();
    places.into_iter().for_each(|at| bytes[at] = b'C');
    std::fs::write(&path, bytes).unwrap();
    let store = RedbStore::open(&path).unwrap();
    assert!(matches!(store.get(b"key"), Err(StoreError::Damaged { .. })));
    assert!(matches!(store.scan(b"", None, 1_000), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_key_or_a_value_that_is_too_long_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let store = RedbStore::open(folder.path().join("state.redb")).unwrap();
    let mut batch = Batch::new();
    batch.put("key", "value").put(vec![0; MAX_KEY + 1], "value");
    assert!(matches!(store.commit(batch), Err(StoreError::TooLarge { what: "a key" })));
    assert_eq!(store.get(b"key").unwrap(), None);
}
