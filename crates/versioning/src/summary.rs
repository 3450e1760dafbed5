//! What a party supports: its core, and its modules by key.
//!
//! The rule: a summary names each module once. JSON that names one twice is refused, because which
//! of the two counts would depend on the reader.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{ApiVersion, CoreConsensusVersion, InvalidApiVersions, ModuleConsensusVersion, MultiApiVersion};

/// How many modules a summary may have that comes from outside: 65,536, all that
/// [`ModuleInstanceId`] can name. Keys of another type are bounded alike.
pub const MAX_MODULES: usize = 1 << 16;

/// The number of a module instance in a federation's configuration.
///
/// As a JSON map key a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModuleInstanceId(pub u16);

impl From<u16> for ModuleInstanceId {
    fn from(id: u16) -> Self {
        Self(id)
    }
}

impl fmt::Display for ModuleInstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The core's consensus version and its API versions (seed `SupportedCoreApiVersions`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SupportedCoreApiVersions {
    /// The one version the core runs in.
    pub core_consensus: CoreConsensusVersion,
    /// The API versions within it.
    pub api: MultiApiVersion,
}

impl SupportedCoreApiVersions {
    /// From bare numbers, the API versions in any order.
    ///
    /// # Errors
    ///
    /// [`InvalidApiVersions::Duplicate`] when an API major stands there twice.
    pub fn try_from_raw(core: (u32, u32), api: &[(u32, u32)]) -> Result<Self, InvalidApiVersions> {
        Ok(Self { core_consensus: CoreConsensusVersion::new(core.0, core.1), api: api_from_raw(api)? })
    }
}

/// A module's consensus versions and its API versions (seed `SupportedModuleApiVersions`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SupportedModuleApiVersions {
    /// The version of the core that the module runs on.
    pub core_consensus: CoreConsensusVersion,
    /// The one version the module runs in.
    pub module_consensus: ModuleConsensusVersion,
    /// The API versions within both.
    pub api: MultiApiVersion,
}

impl SupportedModuleApiVersions {
    /// From bare numbers, the API versions in any order (the seed's `from_raw`, which panics).
    ///
    /// # Errors
    ///
    /// [`InvalidApiVersions::Duplicate`] when an API major stands there twice.
    pub fn try_from_raw(
        core: (u32, u32),
        module: (u32, u32),
        api: &[(u32, u32)],
    ) -> Result<Self, InvalidApiVersions> {
        Ok(Self {
            core_consensus: CoreConsensusVersion::new(core.0, core.1),
            module_consensus: ModuleConsensusVersion::new(module.0, module.1),
            api: api_from_raw(api)?,
        })
    }
}

/// Everything that one party needs, or everything that it offers (seed
/// `SupportedApiVersionsSummary`).
///
/// `K` names a module: its number in a federation, its name between nodes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Deserialize<'de> + Ord + fmt::Display"))]
pub struct SupportedApiVersionsSummary<K: Ord = ModuleInstanceId> {
    /// The core.
    pub core: SupportedCoreApiVersions,
    /// The modules, each once, at most [`MAX_MODULES`].
    #[serde(deserialize_with = "modules_once")]
    pub modules: BTreeMap<K, SupportedModuleApiVersions>,
}

impl<K: Ord> SupportedApiVersionsSummary<K> {
    /// A summary without modules.
    pub const fn new(core: SupportedCoreApiVersions) -> Self {
        Self { core, modules: BTreeMap::new() }
    }

    /// Adds a module, replacing what was listed under `key`.
    #[must_use]
    pub fn with_module(mut self, key: impl Into<K>, versions: SupportedModuleApiVersions) -> Self {
        self.modules.insert(key.into(), versions);
        self
    }
}

fn api_from_raw(api: &[(u32, u32)]) -> Result<MultiApiVersion, InvalidApiVersions> {
    MultiApiVersion::try_from_iter(api.iter().map(|&(major, minor)| ApiVersion::new(major, minor)))
        .map_err(|duplicate| InvalidApiVersions::Duplicate { major: duplicate.major })
}

/// Reads a map and refuses a second entry under one key, which serde would let win.
fn modules_once<'de, K, D>(deserializer: D) -> Result<BTreeMap<K, SupportedModuleApiVersions>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(ModulesOnce(PhantomData))
}

struct ModulesOnce<K>(PhantomData<K>);

impl<'de, K: Deserialize<'de> + Ord + fmt::Display> Visitor<'de> for ModulesOnce<K> {
    type Value = BTreeMap<K, SupportedModuleApiVersions>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_MODULES} modules by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut modules = BTreeMap::new();
        while let Some(key) = entries.next_key::<K>()? {
            if modules.contains_key(&key) {
                return Err(A::Error::custom(format_args!("module {key} is listed twice")));
            }
            if modules.len() == MAX_MODULES {
                return Err(A::Error::custom(format_args!("more than {MAX_MODULES} modules are listed")));
            }
            modules.insert(key, entries.next_value()?);
        }
        Ok(modules)
    }
}
