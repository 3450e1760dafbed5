//! The few things a receiver does to a disk, none of which follows a symbolic link.
//!
//! The rule: every name given here is one plain component, opened relative to a folder that is
//! already open. So nobody who plants a link, before or while a transfer runs, makes the receiver
//! write outside its folder.

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};

/// Why the disk did not do what was asked.
///
/// Nothing is under a final name after an error; what was written before it stays, for a resume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// No space or no quota is left.
    #[error("the disk is full ({what})")]
    Full {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Something else than what the receiver makes stands in its way: a symbolic link, mostly.
    #[error("{name} is {found}, which is not followed or replaced")]
    InTheWay {
        /// The name, below the receiver's folder.
        name: String,
        /// What was found there.
        found: &'static str,
    },
    /// Another receiver uses the folder.
    #[error("another receiver is using this folder")]
    Locked,
    /// The system refused for another reason.
    #[error("{what} failed")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl DiskError {
    /// Whether the same call may succeed later: space was freed, the other receiver ended.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Locked)
    }

    /// The error for `source`, met while doing `what`.
    pub(super) fn of(what: &'static str, source: io::Error) -> Self {
        use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full { what, source },
            _ => Self::Io { what, source },
        }
    }
}

/// Options that do not follow a link in the name they open.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.follow(FollowSymlinks::No);
    options
}

/// Opens the folder `name` in `dir`, made (for its owner alone) where there is none.
pub(super) fn folder(dir: &Dir, name: &str) -> Result<Dir, DiskError> {
    make_folder(dir, name)?;
    dir.open_dir_nofollow(name).map_err(|error| explain(dir, name, "opening a folder", error))
}

/// Opens the folder `name` in `dir` if there is one.
pub(super) fn existing_folder(dir: &Dir, name: &str) -> Result<Option<Dir>, DiskError> {
    match dir.open_dir_nofollow(name) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(explain(dir, name, "opening a folder", error)),
    }
}

/// Opens the regular file `name` in `dir`.
pub(super) fn open(dir: &Dir, name: &str, options: &OpenOptions) -> Result<File, DiskError> {
    // A pipe would block the opening, so look first. A race costs waiting, never a write elsewhere.
    if let Ok(meta) = dir.symlink_metadata(name)
        && !meta.is_file()
    {
        return Err(in_the_way(name, meta.file_type()));
    }
    dir.open_with(name, options).map_err(|error| explain(dir, name, "opening a file", error))
}

/// The content of the file `name`, `None` where there is none.
///
/// At most `max` bytes of it are read.
pub(super) fn read(dir: &Dir, name: &str, max: u64) -> Result<Option<Vec<u8>>, DiskError> {
    let file = match open(dir, name, options().read(true)) {
        Ok(file) => file,
        Err(DiskError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).map_err(|error| DiskError::of("reading a file", error))?;
    Ok(Some(bytes))
}

/// Gives the file `name` this content, durably, all of it or none: whoever reads it sees the old
/// content or the new one. A link of that name is replaced, not followed.
pub(super) fn replace(dir: &Dir, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let scratch = format!("{name}.new");
    remove(dir, &scratch)?;
    let mut options = options();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = open(dir, &scratch, &options)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let outcome = written.and_then(|()| dir.rename(&scratch, dir, name));
    if let Err(error) = outcome {
        // The error that matters is the first one; the scratch file is replaced by the next attempt.
        let _ = remove(dir, &scratch);
        return Err(DiskError::of("writing a state file", error));
    }
    sync(dir)
}

/// Removes the file or link `name`; nothing there is fine.
pub(super) fn remove(dir: &Dir, name: &str) -> Result<(), DiskError> {
    match dir.remove_file_or_symlink(name) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(explain(dir, name, "removing a file", error))
        }
        _ => Ok(()),
    }
}

/// Makes the entries of `dir` durable, where the platform can.
pub(super) fn sync(dir: &Dir) -> Result<(), DiskError> {
    if cfg!(unix) {
        let opened = dir.open_with(".", options().read(true));
        opened.and_then(|file| file.sync_all()).map_err(|error| DiskError::of("syncing a folder", error))?;
    }
    Ok(())
}

/// Makes a file that is created readable by its owner alone, where the platform can.
pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

fn make_folder(dir: &Dir, name: &str) -> Result<(), DiskError> {
    #[cfg(unix)]
    let made = {
        use cap_std::fs::{DirBuilder, DirBuilderExt};
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        dir.create_dir_with(name, &builder)
    };
    #[cfg(not(unix))]
    let made = dir.create_dir(name);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(DiskError::of("making a folder", error))
        }
        _ => Ok(()),
    }
}

/// The error for `name`: what stands in the way, where that is why.
fn explain(dir: &Dir, name: &str, what: &'static str, error: io::Error) -> DiskError {
    match dir.symlink_metadata(name) {
        Ok(meta) if meta.is_symlink() => in_the_way(name, meta.file_type()),
        Ok(meta) if error.kind() == ErrorKind::NotADirectory => in_the_way(name, meta.file_type()),
        _ => DiskError::of(what, error),
    }
}

fn in_the_way(name: &str, kind: cap_std::fs::FileType) -> DiskError {
    let found = if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a file"
    } else {
        "neither a file nor a folder"
    };
    DiskError::InTheWay { name: name.to_owned(), found }
}
