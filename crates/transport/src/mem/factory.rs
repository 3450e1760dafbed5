//! In-memory transports from a configuration file.

use super::{MemHub, MemTransport};
use crate::{
    BlockList, ConfigError, ConfigSections, CreateError, Transport, TransportFactory, TxHandler, TxImpHnd,
};
use async_trait::async_trait;
use quorate_wire::PeerUrl;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Makes [`MemTransport`]s on one hub, each where the section `memTransport` says.
pub struct MemFactory(pub MemHub);

/// The section `memTransport`: `{"url": "mem://host:1/alice"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MemConfig {
    /// Where the hub finds the transport. Mandatory when it is made.
    pub url: Option<PeerUrl>,
}

impl MemFactory {
    /// The name of the section.
    pub const SECTION: &'static str = "memTransport";
}

#[async_trait]
impl TransportFactory for MemFactory {
    fn default_config(&self, config: &mut ConfigSections) -> Result<(), ConfigError> {
        config.write(crate::TransportConfig::SECTION, &crate::TransportConfig::default())?;
        config.write(Self::SECTION, &MemConfig::default())
    }

    fn validate_config(&self, config: &ConfigSections) -> Result<(), ConfigError> {
        crate::TransportConfig::read(config)?;
        config.read::<MemConfig>(Self::SECTION).map(|_| ())
    }

    async fn create(
        &self,
        config: &ConfigSections,
        handler: Arc<dyn TxHandler>,
        block_list: Option<Arc<BlockList>>,
    ) -> Result<Transport, CreateError> {
        let section: MemConfig = config.read(Self::SECTION)?;
        let missing =
            || ConfigError::Section { name: Self::SECTION.into(), reason: "`url` is missing".into() };
        let url = section.url.ok_or_else(missing)?;
        let hnd = TxImpHnd::configured(config, handler, block_list)?;
        let imp = MemTransport::bind(&self.0, url, Arc::clone(&hnd))?;
        Ok(Transport::new(hnd, Arc::new(imp)))
    }
}
