//! A disk that loses power: what was not synced is there, is not, or is there in part.
//!
//! The rule: what a sync that returned had covered is there; of every write after it, by the seed, all, nothing, the bytes
//! up to somewhere, or some of its sectors, each write for itself, so that a later one may be there and an earlier one not.
//! One byte is never half written.

use fastrand::Rng;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not at all.
    Stays,
    /// At the operation (a write, a change of length or a sync) of this number, from 0 on; it fails and all after it do.
    CutAt(u64),
}

/// A disk in memory that holds one redb database. A clone is the same disk.
#[derive(Debug, Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// What a reader sees.
    live: Vec<u8>,
    /// What a sync has covered.
    synced: Vec<u8>,
    /// What came after it.
    unsynced: Vec<Change>,
    fate: Fate,
    operations: u64,
    random: Rng,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Disk {
    /// An empty disk that keeps its power.
    pub fn new() -> Self {
        Self::holding(Vec::new(), Fate::Stays, 0)
    }

    /// A disk that holds `image`.
    pub fn holding(image: Vec<u8>, fate: Fate, seed: u64) -> Self {
        let state = State {
            live: image.clone(),
            synced: image,
            unsynced: Vec::new(),
            fate,
            operations: 0,
            random: Rng::with_seed(seed),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Whether the power is gone.
    pub fn is_cut(&self) -> bool {
        self.lock().is_cut()
    }

    /// Cuts the power at the operation after so many more.
    pub fn cut_after(&self, operations: u64) {
        let mut state = self.lock();
        state.fate = Fate::CutAt(state.operations + operations);
    }

    /// The power stays from here on.
    pub fn keep(&self) {
        self.lock().fate = Fate::Stays;
    }

    /// Cuts the power now.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.fate = Fate::CutAt(state.operations);
    }

    /// What is on the disk when the power comes back.
    pub fn image(&self) -> Vec<u8> {
        let mut state = self.lock();
        let mut image = state.synced.clone();
        let changes = std::mem::take(&mut state.unsynced);
        // Often nothing at all got lost, or everything did.
        let mood = state.random.u8(0..8);
        for change in &changes {
            match mood {
                0 => change.apply(&mut image),
                1 => {}
                _ => change.apply_in_part(&mut image, &mut state.random),
            }
        }
        image
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic half-way runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn is_cut(&self) -> bool {
        matches!(self.fate, Fate::CutAt(at) if self.operations >= at)
    }

    /// Counts one operation; the one at which the power goes still reaches the cache.
    fn operate(&mut self, change: Option<Change>) -> io::Result<()> {
        let cut = self.is_cut();
        self.operations += 1;
        if let Some(change) = change
            && !self.is_cut_before_this()
        {
            change.apply(&mut self.live);
            self.unsynced.push(change);
        }
        if cut { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    fn is_cut_before_this(&self) -> bool {
        matches!(self.fate, Fate::CutAt(at) if self.operations > at + 1)
    }
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Write { at, bytes } => write(image, *at, bytes),
        }
    }

    fn apply_in_part(&self, image: &mut Vec<u8>, random: &mut Rng) {
        match (random.u8(0..4), self) {
            (0, _) => {}
            (1, change) | (_, change @ Self::Length(_)) => change.apply(image),
            (2, Self::Write { at, bytes }) => {
                let kept = random.usize(0..=bytes.len());
                write(image, *at, &bytes[..kept]);
            }
            (_, Self::Write { at, bytes }) => {
                // Sectors of the disk, not of the write.
                let mut from = 0;
                while from < bytes.len() {
                    let end = (from + SECTOR - (at + from) % SECTOR).min(bytes.len());
                    if random.bool() {
                        write(image, at + from, &bytes[from..end]);
                    }
                    from = end;
                }
            }
        }
    }
}

fn write(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

fn place(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        let from = place(offset)?;
        let bytes = state.live.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let length = place(len)?;
        self.lock().operate(Some(Change::Length(length)))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.operate(None)?;
        let changes = std::mem::take(&mut state.unsynced);
        changes.iter().for_each(|change| change.apply(&mut state.synced));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = place(offset)?;
        self.lock().operate(Some(Change::Write { at, bytes: data.to_vec() }))
    }
}
