//! The API version in use per component: what a discovery comes to.

use crate::{ApiVersion, ModuleInstanceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One API version for the core and for each module that can be used (seed 000 `ApiVersionSet`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Deserialize<'de> + Ord"))]
pub struct ApiVersionSet<K: Ord = ModuleInstanceId> {
    /// The core's.
    pub core: ApiVersion,
    /// The modules', without those that cannot be used.
    pub modules: BTreeMap<K, ApiVersion>,
}

impl<K: Ord + fmt::Display> fmt::Display for ApiVersionSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {}", self.core)?;
        self.modules.iter().try_for_each(|(key, version)| write!(f, ", module {key} {version}"))
    }
}
