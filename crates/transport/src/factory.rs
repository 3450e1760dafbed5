//! Transports from a configuration file, for programs that choose theirs when they start.
//!
//! The rule: what a factory reads stands in sections of its own; that of the core is the same for all.

use crate::{BlockList, ConfigError, ConfigSections, Transport, TransportConfig, TxHandler, TxImpHnd};
use async_trait::async_trait;
use std::{error::Error, sync::Arc};

/// Makes transports of one kind.
#[async_trait]
pub trait TransportFactory: Send + Sync + 'static {
    /// Writes the defaults of every section that [`create`](Self::create) reads, for a file to start from.
    ///
    /// The default has the core's.
    fn default_config(&self, config: &mut ConfigSections) -> Result<(), ConfigError> {
        config.write(TransportConfig::SECTION, &TransportConfig::default())
    }

    /// Whether `config` can be used as far as it goes: what is missing is no error, it may come later.
    ///
    /// The default checks the core's section.
    fn validate_config(&self, config: &ConfigSections) -> Result<(), ConfigError> {
        TransportConfig::read(config).map(|_| ())
    }

    /// Makes a transport for `handler`, under the rules of `block_list` if there is one.
    async fn create(
        &self,
        config: &ConfigSections,
        handler: Arc<dyn TxHandler>,
        block_list: Option<Arc<BlockList>>,
    ) -> Result<Transport, CreateError>;
}

impl TransportConfig {
    /// The name of the core's section.
    pub const SECTION: &'static str = "transport";

    /// The core's section, or its defaults, if the values fit together.
    pub fn read(config: &ConfigSections) -> Result<Self, ConfigError> {
        let section: Self = config.read(Self::SECTION)?;
        section.validate().map(|()| section)
    }
}

impl TxImpHnd {
    /// A core as the core's section says.
    pub fn configured(
        config: &ConfigSections,
        handler: Arc<dyn TxHandler>,
        block_list: Option<Arc<BlockList>>,
    ) -> Result<Arc<Self>, ConfigError> {
        let config = TransportConfig::read(config)?;
        match block_list {
            Some(list) => Self::with_block_list(handler, config, list),
            None => Self::new(handler, config),
        }
    }
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The configuration cannot be used. The caller's fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the transport stands on failed: a port is taken, a relay cannot be reached.
    #[error("the transport could not be started")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
}
