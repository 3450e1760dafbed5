//! A store in one file, on redb: a batch is a transaction, and a commit that returned survives a power cut.
//!
//! The rule: what is read is what was written, or [`StoreError::Damaged`]. A file that is not ours, is damaged, or was
//! written by a newer version is refused and left as it is; nothing is ever reset. redb checks its own pages where it
//! recovers from a crash only, so each value carries a CRC-32 of its key and itself.

mod value;

use super::{Batch, Entry, Op, Store, StoreError};
use ::redb::{
    CommitError, Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase, StorageBackend,
    StorageError, TableDefinition, TableError, TransactionError,
};
use bytes::Bytes;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The schema that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("quorate");
const ABOUT: TableDefinition<'_, &str, u32> = TableDefinition::new("quorate about");
const SCHEMA_KEY: &str = "schema";
/// Pages kept in memory.
const CACHE_BYTES: usize = 32 << 20;
const MAX_KEY: usize = 64 << 10;
const MAX_VALUE: usize = 256 << 20;

/// A [`Store`] in a file that one process has open at a time.
///
/// Calls block for as long as the disk takes; a commit ends with an `fsync`. After the medium failed the next call opens
/// the file again. Damage that redb answers with a panic is caught and is [`StoreError::Damaged`], where panics unwind.
pub struct RedbStore {
    database: Mutex<State>,
    /// Where it can be opened again.
    path: Option<PathBuf>,
}

enum State {
    Open(Arc<Database>),
    /// The medium failed: what is in memory is not to be trusted.
    Failed,
}

impl RedbStore {
    /// Opens the store at `path`, or makes one where there is no file.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerSchema`], [`StoreError::Damaged`] where the file is no store or is
    /// empty, [`StoreError::Io`]. The file is as it was.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let database = guarded(|| open_file(&path))?;
        Ok(Self { database: Mutex::new(State::Open(database.into())), path: Some(path) })
    }

    /// Opens the store that a redb backend holds, or makes one where it is empty: for media of your own, and for tests
    /// of power cuts.
    ///
    /// # Errors
    /// As for [`RedbStore::open`].
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        let database = guarded(|| {
            let is_new = backend.len().map_err(io_error)? == 0;
            let database = builder().create_with_backend(backend).map_err(of_database)?;
            if is_new {
                write_schema(&database, SCHEMA)?;
            }
            check_schema(&database)?;
            Ok(database)
        })?;
        Ok(Self { database: Mutex::new(State::Open(database.into())), path: None })
    }

    /// Runs `work` on the database; after a failure the database is not used again.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database()?;
        let outcome = guarded(|| work(&database));
        if let Err(StoreError::Io(_) | StoreError::Damaged { .. }) = outcome {
            let failed = std::mem::replace(&mut *self.lock(), State::Failed);
            let _ = dispose(failed);
        }
        dispose(database)?;
        outcome
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let mut state = self.lock();
        match (&*state, &self.path) {
            (State::Open(database), _) => Ok(database.clone()),
            (State::Failed, Some(path)) => {
                let database = Arc::new(guarded(|| open_file(path))?);
                *state = State::Open(database.clone());
                Ok(database)
            }
            (State::Failed, None) => Err(io_error(io::Error::other("the medium failed before"))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Opening a file is all that happens under this lock; the state is whole at every step of it.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(of_transaction)?;
            read(&transaction.open_table(ENTRIES).map_err(of_table)?)
        })
    }
}

impl Store for RedbStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.read(|table| {
            let found = table.get(key).map_err(of_storage)?;
            found.map(|found| value::open(key, found.value())).transpose()
        })
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, max_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.read(|table| {
            let mut page = Vec::new();
            let mut room = max_bytes;
            for entry in table.range::<&[u8]>((from, Bound::Unbounded)).map_err(of_storage)? {
                let (key, sealed) = entry.map_err(of_storage)?;
                let size = key.value().len() + value::len(sealed.value());
                if !key.value().starts_with(prefix) || (size > room && !page.is_empty()) {
                    break;
                }
                room = room.saturating_sub(size);
                page.push((Bytes::copy_from_slice(key.value()), value::open(key.value(), sealed.value())?));
            }
            Ok(page)
        })
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if let Some(what) = batch.ops().iter().find_map(too_large) {
            return Err(StoreError::TooLarge { what });
        }
        self.with(|database| commit(database, batch))
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        let last = std::mem::replace(&mut *self.lock(), State::Failed);
        let _ = dispose(last);
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// redb answers some damage with a panic; to a caller it is an error as any other.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // What a panic leaves behind is never used again: the caller drops the database.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::Damaged { what: "the pages of the file contradict one another".to_owned() })
    })
}

fn dispose<T>(value: T) -> Result<(), StoreError> {
    guarded(|| {
        drop(value);
        Ok(())
    })
}

fn commit(database: &Database, batch: Batch) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(of_transaction)?;
    {
        let mut table = transaction.open_table(ENTRIES).map_err(of_table)?;
        for op in batch {
            match op {
                Op::Put { key, value } => {
                    let mut room =
                        table.insert_reserve(&*key, value::sealed_len(&value)).map_err(of_storage)?;
                    value::seal(&key, &value, room.as_mut());
                }
                Op::Delete { key } => drop(table.remove(&*key).map_err(of_storage)?),
            }
        }
    }
    transaction.commit().map_err(of_commit)
}

fn too_large(op: &Op) -> Option<&'static str> {
    match op {
        Op::Put { key, .. } | Op::Delete { key } if key.len() > MAX_KEY => Some("a key"),
        Op::Put { value, .. } if value.len() > MAX_VALUE => Some("a value"),
        _ => None,
    }
}

fn builder() -> ::redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    match std::fs::metadata(path) {
        Ok(about) if about.len() == 0 => {
            return Err(StoreError::Damaged { what: "the file is empty".to_owned() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_file(path)?,
        Err(error) => return Err(io_error(error)),
    }
    let database = builder().open(path).map_err(of_database)?;
    check_schema(&database)?;
    Ok(database)
}

/// Makes a store beside `path` and moves it there when it is whole: a file at `path` is a store, or damaged.
fn make_file(path: &Path) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    let database = builder().create(&beside).map_err(of_database)?;
    write_schema(&database, SCHEMA)?;
    drop(database);
    std::fs::rename(&beside, path).map_err(io_error)?;
    // The name has to survive the power cut too; where a folder cannot be synced the file system does it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn write_schema(database: &Database, schema: u32) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(of_transaction)?;
    transaction.open_table(ENTRIES).map_err(of_table)?;
    transaction.open_table(ABOUT).map_err(of_table)?.insert(SCHEMA_KEY, schema).map_err(of_storage)?;
    transaction.commit().map_err(of_commit)
}

fn check_schema(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_read().map_err(of_transaction)?;
    match schema(&transaction)? {
        None => Err(StoreError::Damaged { what: "there is no schema number: not a store".to_owned() }),
        Some(found) if found > SCHEMA => Err(StoreError::NewerSchema { found, known: SCHEMA }),
        Some(0) => Err(StoreError::Damaged { what: "the schema number is 0".to_owned() }),
        Some(_) => transaction.open_table(ENTRIES).map(drop).map_err(of_table),
    }
}

fn schema(transaction: &ReadTransaction) -> Result<Option<u32>, StoreError> {
    match transaction.open_table(ABOUT) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(of_table(error)),
        Ok(table) => Ok(table.get(SCHEMA_KEY).map_err(of_storage)?.map(|found| found.value())),
    }
}

fn io_error(error: io::Error) -> StoreError {
    StoreError::Io(Box::new(error))
}

fn of_storage(error: StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(what) => StoreError::Damaged { what },
        StorageError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            StoreError::Damaged { what: error.to_string() }
        }
        error => StoreError::Io(Box::new(error)),
    }
}

fn of_database(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
        DatabaseError::Storage(error) => of_storage(error),
        error => StoreError::Damaged { what: error.to_string() },
    }
}

fn of_transaction(error: TransactionError) -> StoreError {
    match error {
        TransactionError::Storage(error) => of_storage(error),
        error => StoreError::Io(Box::new(error)),
    }
}

fn of_commit(error: CommitError) -> StoreError {
    match error {
        CommitError::Storage(error) => of_storage(error),
        error => StoreError::Io(Box::new(error)),
    }
}

fn of_table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => of_storage(error),
        error => StoreError::Damaged { what: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
