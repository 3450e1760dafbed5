//! A file system that is soon full, for as long as the value lives.
//!
//! It is a tmpfs, so it takes the right to mount; where that is missing a test is skipped, and says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A small file system, mounted on a folder.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `bytes` on the folder `at`; `None` where that is not allowed.
    pub fn mount(at: &Path, bytes: u64) -> Option<Self> {
        let options = format!("size={bytes}");
        let mut command = Command::new("mount");
        let command = command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at);
        let status = command.stderr(Stdio::null()).status().ok()?;
        status.success().then(|| Self { at: at.to_owned() })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a folder in it may still be open.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
