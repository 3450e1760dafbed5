//! Who a receiver is, over restarts: its key, its port, and the channel that its ticket names.
//!
//! The rule: what was saved is read back exactly, or the caller is told that it is damaged. It is
//! never replaced by something new on the quiet: the ticket that others hold would be worthless.

use super::disk::{self, DiskError};
use super::home::Home;
use crate::secret::Secret;
use prost::Message as _;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

const NAME: &str = "identity";
const MAGIC: &[u8; 4] = b"QRID";
const VERSION: u8 = 1;
/// The longest file that is read, in bytes.
const MAX_LEN: u64 = 4 * 1024;
/// The longest channel id, in bytes.
pub const MAX_CHANNEL_ID: usize = 255;

/// What a receiver must not forget. Saved in `.quorate/identity`, readable by its owner alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The secret key of its endpoint: a ticket names the public one.
    pub secret_key: Secret,
    /// The port that it listens on, 0 when none is fixed.
    pub port: u16,
    /// The space that its group meets in.
    pub space: [u8; 32],
    /// The channel that files come through, at most [`MAX_CHANNEL_ID`] bytes.
    pub channel: String,
    /// The channel's key.
    pub channel_key: Secret,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file is there and does not hold. Nothing was changed; removing it makes a new receiver,
    /// which old tickets do not reach.
    #[error("the saved identity is damaged ({what}); old tickets are lost if it is removed")]
    Damaged {
        /// What did not hold.
        what: &'static str,
    },
    /// A newer version wrote it.
    #[error("the saved identity has version {found}, this program knows {VERSION}")]
    NewerVersion {
        /// The version found.
        found: u8,
    },
    /// The channel id is empty or too long to be saved.
    #[error("a channel id has 1 to {MAX_CHANNEL_ID} bytes")]
    ChannelId,
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Identity {
    /// Reads the identity saved in `home`; `None` where none was saved.
    pub fn load(home: &Home) -> Result<Option<Self>, IdentityError> {
        let Some(bytes) = disk::read(home.own(), NAME, MAX_LEN)? else { return Ok(None) };
        decode(&Zeroizing::new(bytes)).map(Some)
    }

    /// Saves it in `home`, durably, in place of what was saved before, all of it or nothing.
    pub fn save(&self, home: &Home) -> Result<(), IdentityError> {
        if self.channel.is_empty() || self.channel.len() > MAX_CHANNEL_ID {
            return Err(IdentityError::ChannelId);
        }
        Ok(disk::replace(home.own(), NAME, &encode(self))?)
    }
}

/// The saved form, a protobuf message behind a magic number, a version and a SHA-256 of the rest.
#[derive(Clone, PartialEq, prost::Message)]
struct Saved {
    #[prost(bytes = "vec", tag = "1")]
    secret_key: Vec<u8>,
    #[prost(uint32, tag = "2")]
    port: u32,
    #[prost(bytes = "vec", tag = "3")]
    space: Vec<u8>,
    #[prost(string, tag = "4")]
    channel: String,
    #[prost(bytes = "vec", tag = "5")]
    channel_key: Vec<u8>,
}

fn encode(identity: &Identity) -> Zeroizing<Vec<u8>> {
    let mut saved = Saved {
        secret_key: identity.secret_key.expose().to_vec(),
        port: identity.port.into(),
        space: identity.space.to_vec(),
        channel: identity.channel.clone(),
        channel_key: identity.channel_key.expose().to_vec(),
    };
    let body = Zeroizing::new(saved.encode_to_vec());
    saved.secret_key.zeroize();
    saved.channel_key.zeroize();
    let mut bytes = Zeroizing::new(Vec::with_capacity(37 + body.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&Sha256::digest(&body));
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Identity, IdentityError> {
    let damaged = |what| IdentityError::Damaged { what };
    let rest = bytes.strip_prefix(MAGIC).ok_or(damaged("it does not begin like one"))?;
    let (&version, rest) = rest.split_first().ok_or(damaged("it is cut off"))?;
    if version > VERSION {
        return Err(IdentityError::NewerVersion { found: version });
    }
    let (hash, body) = rest.split_first_chunk::<32>().ok_or(damaged("it is cut off"))?;
    if version != VERSION || Sha256::digest(body)[..] != hash[..] {
        return Err(damaged("its checksum does not match"));
    }
    let mut saved = Saved::decode(body).map_err(|_| damaged("it is no protobuf"))?;
    let identity = parse(&saved).ok_or(damaged("a field is out of range"));
    saved.secret_key.zeroize();
    saved.channel_key.zeroize();
    identity
}

fn parse(saved: &Saved) -> Option<Identity> {
    let fits = (1..=MAX_CHANNEL_ID).contains(&saved.channel.len());
    Some(Identity {
        secret_key: Secret::from_bytes(saved.secret_key[..].try_into().ok()?),
        port: u16::try_from(saved.port).ok()?,
        space: saved.space[..].try_into().ok()?,
        channel: fits.then(|| saved.channel.clone())?,
        channel_key: Secret::from_bytes(saved.channel_key[..].try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::home::HOME_NAME;

    fn identity() -> Identity {
        Identity {
            secret_key: Secret::from_bytes([1; 32]),
            port: 4_433,
            space: [2; 32],
            channel: "files".into(),
            channel_key: Secret::from_bytes([3; 32]),
        }
    }

    #[test]
    fn an_identity_is_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        assert_eq!(Identity::load(&home).unwrap(), None);
        identity().save(&home).unwrap();
        let moved = Identity { port: 5_544, ..identity() };
        moved.save(&home).unwrap();
        drop(home);
        assert_eq!(Identity::load(&Home::open(folder.path()).unwrap()).unwrap(), Some(moved));
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed_and_nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        identity().save(&home).unwrap();
        let path = folder.path().join(HOME_NAME).join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            for bytes in [&changed[..], &whole[..at]] {
                std::fs::write(&path, bytes).unwrap();
                let error = Identity::load(&home).unwrap_err();
                assert!(!matches!(error, IdentityError::Disk(_)), "byte {at}: {error}");
                assert_eq!(std::fs::read(&path).unwrap(), bytes);
            }
        }
        let newer = [&b"QRID\x02"[..], &whole[5..]].concat();
        std::fs::write(&path, newer).unwrap();
        assert!(matches!(Identity::load(&home), Err(IdentityError::NewerVersion { found: 2 })));
    }

    #[cfg(unix)]
    #[test]
    fn it_is_readable_by_its_owner_alone_and_no_link_is_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let path = folder.path().join(HOME_NAME).join(NAME);
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, &path).unwrap();
        symlink(&elsewhere, path.with_extension("new")).unwrap();
        let error = Identity::load(&home).unwrap_err();
        assert!(matches!(error, IdentityError::Disk(DiskError::InTheWay { .. })));
        identity().save(&home).unwrap();
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"untouched");
        assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Identity::load(&home).unwrap(), Some(identity()));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", identity());
        assert!(shown.contains("redacted") && !shown.contains("1, 1") && !shown.contains("3, 3"));
    }
}
