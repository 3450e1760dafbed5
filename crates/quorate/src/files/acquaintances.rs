//! Whom a receiver has met, over restarts: the addresses of the members that were with it last.
//!
//! The rule: they are a hint and nothing else. A receiver that is killed and started again dials them, so a sender
//! that still believes in its dead connection hears of the new one at once. What cannot be read is no error: the
//! hint is missing then.

use super::disk::{self, DiskError};
use super::home::Home;
use cap_std::fs::Dir;
use quorate_wire::PeerUrl;

const NAME: &str = "acquaintances";
/// The most addresses that are kept.
pub const MAX_ACQUAINTANCES: usize = 16;
/// The longest file that is read, in bytes.
const MAX_LEN: u64 = 64 * 1024;

/// The addresses in `.quorate/acquaintances`, one a line.
#[derive(Debug)]
pub struct Acquaintances {
    own: Dir,
    saved: Vec<PeerUrl>,
}

impl Acquaintances {
    /// Those that were saved in `home`.
    ///
    /// # Errors
    ///
    /// [`DiskError`] where the folder cannot be opened a second time; a file that does not hold yields nobody.
    pub fn load(home: &Home) -> Result<Self, DiskError> {
        let own =
            home.own().try_clone().map_err(|error| DiskError::of("opening the receiver's folder", error))?;
        let text = disk::read(&own, NAME, MAX_LEN).ok().flatten().unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| PeerUrl::try_from(line).ok());
        let saved = lines.take(MAX_ACQUAINTANCES).collect();
        Ok(Self { own, saved })
    }

    /// The members that were there last, at most [`MAX_ACQUAINTANCES`].
    pub fn list(&self) -> &[PeerUrl] {
        &self.saved
    }

    /// Saves `members`, the first [`MAX_ACQUAINTANCES`] of them, in place of what was saved before. Touches the disk
    /// only when they changed.
    pub fn keep(&mut self, members: &[PeerUrl]) -> Result<(), DiskError> {
        let members = members.get(..MAX_ACQUAINTANCES).unwrap_or(members);
        if self.saved == members {
            return Ok(());
        }
        let text: String = members.iter().map(|url| format!("{url}\n")).collect();
        disk::replace(&self.own, NAME, text.as_bytes())?;
        self.saved = members.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::home::HOME_NAME;

    fn url(port: u16) -> PeerUrl {
        format!("quic://127.0.0.1:{port}/a").parse().unwrap()
    }

    #[test]
    fn they_are_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let mut met = Acquaintances::load(&home).unwrap();
        assert_eq!(met.list(), []);
        met.keep(&[url(1), url(2)]).unwrap();
        drop((met, home));
        let home = Home::open(folder.path()).unwrap();
        assert_eq!(Acquaintances::load(&home).unwrap().list(), [url(1), url(2)]);
    }

    #[test]
    fn there_is_a_bound_and_what_does_not_hold_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let mut met = Acquaintances::load(&home).unwrap();
        let many: Vec<_> = (1..100).map(url).collect();
        met.keep(&many).unwrap();
        assert_eq!(Acquaintances::load(&home).unwrap().list(), &many[..MAX_ACQUAINTANCES]);
        let path = folder.path().join(HOME_NAME).join(NAME);
        std::fs::write(&path, b"quic://127.0.0.1:7/a\nnonsense\n\xff\xfe\n\nquic://127.0.0.1:8/a").unwrap();
        assert_eq!(Acquaintances::load(&home).unwrap().list(), [url(7), url(8)]);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(Acquaintances::load(&home).unwrap().list(), []);
    }
}
