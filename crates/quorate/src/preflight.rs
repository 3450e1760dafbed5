//! The first frame of a `quorate/1` connection: what a node needs, what it offers, and whether that
//! is enough to go on.
//!
//! The rule: bytes become a [`Preflight`] only when every bound and every order holds, and equal
//! versions have equal bytes. The text is `docs/specs/preflight.md`.
//!
//! ```
//! use quorate::preflight::{NodeVersions, Preflight, judge};
//! use quorate_versioning::{ApiVersion, ModuleConsensusVersion};
//!
//! let chat = |needs, offers| {
//!     let consensus = ModuleConsensusVersion::new(1, 0);
//!     NodeVersions::default().with_module("chat", consensus, ApiVersion::new(2, needs), ApiVersion::new(2, offers))
//! };
//! let (new, old) = (chat(4, 7), chat(0, 1));
//!
//! let received = Preflight::decode(Preflight::new(old.clone()).encode()?)?;
//! let refused = judge(&new, &received.versions).map(|agreement| agreement.problems_for_us());
//! assert_eq!(refused?, ["module chat: we need API 2.4 or newer of major 2, they offer 2.1"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod judge;
mod message;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use quorate_versioning::{
    CoreConsensusVersion, ModuleConsensusVersion, MultiApiVersion, SupportedApiVersionsSummary,
    SupportedCoreApiVersions, SupportedModuleApiVersions,
};

pub use error::{Inconsistency, PreflightError, PreflightLimit};
pub use judge::{Agreement, IncompatiblePeer, MAX_REASON_BYTES, judge};

/// The first three bytes.
pub const MAGIC: [u8; 3] = *b"QRT";
/// The fourth byte: the format that this build writes, and the newest it reads.
pub const FORMAT: u8 = 1;
/// The most that a preflight may take, magic and application's bytes included: 60 KiB.
///
/// With the sender's URL (at most 2 KiB) and the frame's own bytes it stays within the 64 KiB that a
/// stream allows a preflight by default.
pub const MAX_PREFLIGHT_BYTES: usize = 60 << 10;
/// The most modules that either summary may name.
pub const MAX_PREFLIGHT_MODULES: usize = 256;
/// The longest module name, in bytes of UTF-8.
pub const MAX_MODULE_NAME_BYTES: usize = 64;

const HEAD_BYTES: usize = MAGIC.len() + 1;

/// What a node needs, or what it offers, its modules by name.
pub type VersionSummary = SupportedApiVersionsSummary<String>;

/// What a node tells before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// What it needs and what it offers.
    pub versions: NodeVersions,
    /// What the application adds; Quorate passes it on unread.
    pub app: Bytes,
}

impl Preflight {
    /// A preflight without application bytes.
    pub const fn new(versions: NodeVersions) -> Self {
        Self { versions, app: Bytes::new() }
    }

    /// The same with the application's bytes.
    #[must_use]
    pub fn with_app(mut self, app: impl Into<Bytes>) -> Self {
        self.app = app.into();
        self
    }

    /// The bytes of the preflight frame.
    ///
    /// # Errors
    ///
    /// [`PreflightError::TooLarge`] or [`PreflightError::Inconsistent`] when the other side would
    /// have to refuse them; here the fault is ours.
    pub fn encode(&self) -> Result<Bytes, PreflightError> {
        let message = message::Preflight::try_from(self)?;
        let size = HEAD_BYTES + message.encoded_len();
        check(PreflightLimit::Total, size, MAX_PREFLIGHT_BYTES)?;
        let mut bytes = BytesMut::with_capacity(size);
        bytes.put_slice(&MAGIC);
        bytes.put_u8(FORMAT);
        bytes.put_slice(&message.encode_to_vec());
        Ok(bytes.freeze())
    }

    /// Reads the bytes of a preflight frame. The application's bytes are a slice of them.
    ///
    /// # Errors
    ///
    /// See [`PreflightError`]; whoever sent the bytes is at fault, or newer than we are.
    pub fn decode(bytes: Bytes) -> Result<Self, PreflightError> {
        match bytes.get(..HEAD_BYTES).and_then(|head| head.strip_prefix(&MAGIC)) {
            Some([FORMAT]) => {}
            Some(&[found]) if found > FORMAT => {
                return Err(PreflightError::NewerFormat { found, known: FORMAT });
            }
            _ => return Err(PreflightError::NotOurs),
        }
        check(PreflightLimit::Total, bytes.len(), MAX_PREFLIGHT_BYTES)?;
        let message =
            message::Preflight::decode(bytes.slice(HEAD_BYTES..)).map_err(PreflightError::Malformed)?;
        Self::try_from(message)
    }
}

/// What a node needs of others and what it offers them.
///
/// The default is what this build's own protocol speaks, without modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVersions {
    /// Per API major the least minor that will do.
    pub needs: VersionSummary,
    /// Per API major the most there is.
    pub offers: VersionSummary,
}

impl NodeVersions {
    /// The consensus version of the core that this build runs in.
    pub const CORE_CONSENSUS: CoreConsensusVersion = CoreConsensusVersion::new(1, 0);

    /// A node without modules.
    pub fn new(
        core_consensus: CoreConsensusVersion,
        needs: impl Into<MultiApiVersion>,
        offers: impl Into<MultiApiVersion>,
    ) -> Self {
        let summary = |api| VersionSummary::new(SupportedCoreApiVersions { core_consensus, api });
        Self { needs: summary(needs.into()), offers: summary(offers.into()) }
    }

    /// Adds a module that runs on this node's core. An empty list of needs (or of offers) leaves
    /// the module out of what is needed (or offered).
    ///
    /// The name is at most [`MAX_MODULE_NAME_BYTES`] long; [`Preflight::encode`] checks it.
    #[must_use]
    pub fn with_module(
        mut self,
        name: impl Into<String>,
        module_consensus: ModuleConsensusVersion,
        needs: impl Into<MultiApiVersion>,
        offers: impl Into<MultiApiVersion>,
    ) -> Self {
        let name = name.into();
        for (summary, api) in [(&mut self.needs, needs.into()), (&mut self.offers, offers.into())] {
            if !api.is_empty() {
                let core_consensus = summary.core.core_consensus;
                let versions = SupportedModuleApiVersions { core_consensus, module_consensus, api };
                summary.modules.insert(name.clone(), versions);
            }
        }
        self
    }
}

impl Default for NodeVersions {
    fn default() -> Self {
        let api = quorate_versioning::ApiVersion::new(1, 0);
        Self::new(Self::CORE_CONSENSUS, api, api)
    }
}

fn check(what: PreflightLimit, found: usize, max: usize) -> Result<(), PreflightError> {
    if found > max { Err(PreflightError::TooLarge { what, found, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
