//! A receiver's folder, opened and locked: where files arrive, and `.quorate` in it.
//!
//! The rule: who holds a [`Home`] is the only receiver in that folder, on this machine, until it is
//! dropped or the process ends in whatever way.

use super::disk::{self, DiskError};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File as CapFile};
use std::fs::{File, TryLockError};
use std::path::Path;

/// The folder within the receiver's that holds its own state.
pub const HOME_NAME: &str = ".quorate";

const LOCK_NAME: &str = "lock";

/// A receiver's folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct Home {
    out: Dir,
    own: Dir,
    // Held for its lock.
    _lock: File,
}

impl Home {
    /// Opens `out`, made where there is none, and `.quorate` in it, and locks it.
    ///
    /// `out` itself may be a link: it is what the user said. Nothing below it is followed.
    ///
    /// # Errors
    ///
    /// [`DiskError::Locked`] while another receiver uses the folder; nothing was changed then
    /// beyond folders that were made. A process that this one started a moment ago shares its locks
    /// until it runs its own program, so a folder that was just closed may still be locked then.
    pub fn open(out: &Path) -> Result<Self, DiskError> {
        let authority = ambient_authority();
        Dir::create_ambient_dir_all(out, authority)
            .map_err(|error| DiskError::of("making the receiver's folder", error))?;
        let out = Dir::open_ambient_dir(out, authority)
            .map_err(|error| DiskError::of("opening the receiver's folder", error))?;
        let own = disk::folder(&out, HOME_NAME)?;
        let lock = lock(&own)?;
        Ok(Self { out, own, _lock: lock })
    }

    /// The folder that received files appear in.
    pub(super) fn out(&self) -> &Dir {
        &self.out
    }

    /// The folder `.quorate` in it.
    pub(super) fn own(&self) -> &Dir {
        &self.own
    }
}

fn lock(own: &Dir) -> Result<File, DiskError> {
    let mut options = disk::options();
    options.read(true).write(true).create(true);
    disk::private(&mut options);
    let file = disk::open(own, LOCK_NAME, &options).map(CapFile::into_std)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DiskError::Locked),
        Err(TryLockError::Error(error)) => Err(DiskError::of("locking the receiver's folder", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_receiver_in_one_folder_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        let first = Home::open(&out).unwrap();
        let error = Home::open(&out).unwrap_err();
        assert!(matches!(error, DiskError::Locked) && error.is_retryable());
        drop(first);
        Home::open(&out).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_in_place_of_the_own_folder_or_the_lock_are_not_followed() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = folder.path().join(HOME_NAME);
        std::os::unix::fs::symlink(elsewhere.path(), &own).unwrap();
        assert!(matches!(Home::open(folder.path()), Err(DiskError::InTheWay { .. })));
        std::fs::remove_file(&own).unwrap();
        std::fs::create_dir(&own).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("made"), own.join(LOCK_NAME)).unwrap();
        assert!(matches!(Home::open(folder.path()), Err(DiskError::InTheWay { .. })));
        assert_eq!(elsewhere.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_place_of_a_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(HOME_NAME), "").unwrap();
        let error = Home::open(folder.path()).unwrap_err();
        assert_eq!(error.to_string(), ".quorate is a file, which is not followed or replaced");
    }
}
