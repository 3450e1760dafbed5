//! Transports from a configuration file, under Kitsune2's names where it has them.
//!
//! The rule: what stands in the file and cannot be done is an error, never skipped in silence.

use crate::{IrohConfig, IrohTransport, Protocols, RelayConfig, RelayUrl};
use async_trait::async_trait;
use iroh::SecretKey;
use quorate_transport::{
    BlockList, ConfigError, ConfigSections, CreateError, Transport, TransportConfig, TransportFactory,
    TxHandler, TxImp, TxImpHnd,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

/// The bytes before a data frame's own, which Kitsune2 counts into `maxFrameBytes`.
const FRAME_HEAD: usize = 5;

/// Makes [`IrohTransport`]s, each as the section `irohTransport` says.
#[derive(Debug, Clone, Default)]
pub struct IrohFactory {
    /// The key that they prove. Default: none, a new one each time.
    pub secret_key: Option<SecretKey>,
}

/// The section `irohTransport`. The section of Kitsune2's transport of the same name (0.6) can be read as it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct IrohSection {
    /// The relay. Default: none, direct mode. (Kitsune2 takes a public relay then.)
    pub relay_url: Option<String>,
    /// Whether relays may be spoken to without TLS. Default false.
    pub relay_allow_plain_text: bool,
    /// The largest frame, with the five bytes before it. Default: what the core's section says.
    ///
    /// Where it is larger than the core's budget for unfinished frames, the budget is raised to hold one.
    pub max_frame_bytes: Option<NonZeroUsize>,
    /// Seconds that reaching a peer may take. Default 10. (Kitsune2: 60.)
    pub connect_timeout_s: NonZeroU32,
    /// What Kitsune2 exchanges for a relay's token at its bootstrap server. That exchange is not part of this: it must be
    /// absent, and the token goes into `relayToken`.
    pub auth_material_relay_base64: Option<String>,
    /// How often Kitsune2 repeats that exchange, in seconds; without one it has no effect.
    pub relay_keepalive_interval_s: NonZeroU32,
    /// The bearer token that the relay asks for. Default: none. Kitsune2's section has none.
    pub relay_token: Option<String>,
    /// As [`RelayConfig::direct_paths`]. Not in Kitsune2's section, nor are those below.
    pub relay_direct_paths: bool,
    /// As [`IrohConfig::bind_addr`].
    pub bind_addr: SocketAddr,
    /// As [`IrohConfig::advertised_addr`].
    pub advertised_addr: Option<SocketAddr>,
    /// As [`IrohConfig::protocols`]. Default: `both` with a relay, `quorate` without.
    pub protocols: Option<Protocols>,
}

impl IrohSection {
    /// The name of the section.
    pub const SECTION: &'static str = "irohTransport";

    /// The section, or its defaults, if it can be used.
    pub fn read(config: &ConfigSections) -> Result<Self, ConfigError> {
        let section: Self = config.read(Self::SECTION)?;
        section.to_config()?.validate().map_err(wrong)?;
        Ok(section)
    }

    /// The same as an [`IrohConfig`].
    pub fn to_config(&self) -> Result<IrohConfig, ConfigError> {
        if self.auth_material_relay_base64.is_some() {
            return Err(wrong("`authMaterialRelayBase64`: fetch the token, and set `relayToken`"));
        }
        let relay = self.relay_url.as_deref().map(relay_url).transpose()?.map(|url| RelayConfig {
            token: self.relay_token.clone(),
            allow_plain_text: self.relay_allow_plain_text,
            direct_paths: self.relay_direct_paths,
            ..RelayConfig::new(url)
        });
        let default = if relay.is_some() { Protocols::Both } else { Protocols::Quorate };
        Ok(IrohConfig {
            bind_addr: self.bind_addr,
            advertised_addr: self.advertised_addr,
            protocols: self.protocols.unwrap_or(default),
            connect_time: Duration::from_secs(self.connect_timeout_s.get().into()),
            relay,
            ..IrohConfig::default()
        })
    }

    /// The core's limits with those that stand here.
    pub fn limit(&self, mut core: TransportConfig) -> TransportConfig {
        if let Some(max) = self.max_frame_bytes {
            let frame = NonZeroUsize::new(max.get().saturating_sub(FRAME_HEAD)).unwrap_or(NonZeroUsize::MIN);
            core.max_frame_bytes = frame;
            core.partial_bytes = core.partial_bytes.max(frame);
        }
        core
    }

    /// Whether a space may have this section in a transport at `own`: with that relay, or none of its own.
    ///
    /// iroh stays connected to one relay. At another one nobody would reach the node.
    pub(crate) fn suits_space(&self, own: Option<&RelayUrl>) -> Result<(), ConfigError> {
        if self.auth_material_relay_base64.is_some() || self.relay_token.is_some() {
            return Err(wrong("a space has no token of its own"));
        }
        let Some(relay) = self.relay_url.as_deref() else { return Ok(()) };
        let bare = |url: &str| url.trim_end_matches('/').to_owned();
        match own {
            Some(own) if bare(own.as_str()) == bare(relay_url(relay)?.as_str()) => Ok(()),
            _ => Err(wrong("a space has no relay of its own")),
        }
    }
}

impl Default for IrohSection {
    fn default() -> Self {
        Self {
            relay_url: None,
            relay_allow_plain_text: false,
            max_frame_bytes: None,
            connect_timeout_s: NonZeroU32::MIN.saturating_add(9),
            auth_material_relay_base64: None,
            relay_keepalive_interval_s: NonZeroU32::MIN.saturating_add(119),
            relay_token: None,
            relay_direct_paths: true,
            bind_addr: IrohConfig::default().bind_addr,
            advertised_addr: None,
            protocols: None,
        }
    }
}

impl fmt::Debug for IrohSection {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrohSection").field("relay_url", &self.relay_url).finish_non_exhaustive()
    }
}

#[async_trait]
impl TransportFactory for IrohFactory {
    fn default_config(&self, config: &mut ConfigSections) -> Result<(), ConfigError> {
        config.write(TransportConfig::SECTION, &TransportConfig::default())?;
        config.write(IrohSection::SECTION, &IrohSection::default())
    }

    fn validate_config(&self, config: &ConfigSections) -> Result<(), ConfigError> {
        let section = IrohSection::read(config)?;
        section.limit(TransportConfig::read(config)?).validate()
    }

    async fn create(
        &self,
        config: &ConfigSections,
        handler: Arc<dyn TxHandler>,
        block_list: Option<Arc<BlockList>>,
    ) -> Result<Transport, CreateError> {
        let section = IrohSection::read(config)?;
        let core = section.limit(TransportConfig::read(config)?);
        let hnd = match block_list {
            Some(list) => TxImpHnd::with_block_list(handler, core, list)?,
            None => TxImpHnd::new(handler, core)?,
        };
        let config = IrohConfig { secret_key: self.secret_key.clone(), ..section.to_config()? };
        let bound = IrohTransport::bind(config, Arc::clone(&hnd)).await;
        let imp = bound.map_err(|error| CreateError::Backend(Box::new(error)))?;
        Ok(Transport::new(hnd, imp as Arc<dyn TxImp>))
    }
}

fn relay_url(text: &str) -> Result<RelayUrl, ConfigError> {
    text.parse().map_err(|error| wrong(format_args!("`relayUrl`: {error}")))
}

fn wrong(reason: impl fmt::Display) -> ConfigError {
    ConfigError::Section { name: IrohSection::SECTION.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(json: &str) -> ConfigSections {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_file_of_kitsune2_is_read_as_it_is() {
        let file = r#"{"irohTransport": {"relayUrl": "http://127.0.0.1:3340/relay", "relayAllowPlainText": true,
            "maxFrameBytes": 104857600, "connectTimeoutS": 60, "authMaterialRelayBase64": null,
            "relayKeepaliveIntervalS": 120}, "coreFetch": {"any": "thing"}}"#;
        let file = sections(file);
        IrohFactory::default().validate_config(&file).unwrap();
        let section = IrohSection::read(&file).unwrap();
        let config = section.to_config().unwrap();
        let relay = config.relay.unwrap();
        assert_eq!(relay.url.as_str(), "http://127.0.0.1:3340/relay");
        assert!(relay.allow_plain_text && relay.token.is_none() && relay.direct_paths);
        assert_eq!((config.connect_time, config.protocols), (Duration::from_secs(60), Protocols::Both));
        let core = section.limit(TransportConfig::default());
        assert_eq!(core.max_frame_bytes.get(), (100 << 20) - 5);
        assert!(core.partial_bytes >= core.max_frame_bytes);
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (section, words) in [
            (r#"{"relayUrl": "http://a.b"}"#, "TLS"),
            (r#"{"relayUrl": "no url"}"#, "relayUrl"),
            (r#"{"relayUrl": "https://a.b", "authMaterialRelayBase64": "AA=="}"#, "relayToken"),
            (r#"{"relayKeepaliveIntervalS": 0}"#, "nonzero"),
            (r#"{"connectTimeoutS": 0}"#, "nonzero"),
            (r#"{"relayURL": "https://a.b"}"#, "relayURL"),
            (r#"{"protocols": "kitsune2"}"#, "relay"),
        ] {
            let file = sections(&format!(r#"{{"irohTransport": {section}}}"#));
            let error = IrohFactory::default().validate_config(&file).unwrap_err();
            assert!(error.to_string().contains(words), "{section}: {error}");
        }
    }

    #[test]
    fn the_defaults_can_be_written_and_read() {
        let mut file = ConfigSections::default();
        let factory = IrohFactory::default();
        factory.default_config(&mut file).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["irohTransport", "transport"]);
        factory.validate_config(&file).unwrap();
        assert_eq!(IrohSection::read(&file), Ok(IrohSection::default()));
        assert_eq!(IrohSection::default().limit(TransportConfig::default()), TransportConfig::default());
    }

    #[test]
    fn a_space_has_the_relay_of_the_transport_or_none() {
        let own: RelayUrl = "https://a.b:1/relay".parse().unwrap();
        let with =
            |url: Option<&str>| IrohSection { relay_url: url.map(str::to_owned), ..IrohSection::default() };
        for url in [None, Some("https://a.b:1/relay/"), Some("https://a.b:1/relay")] {
            assert_eq!(with(url).suits_space(Some(&own)), Ok(()), "{url:?}");
        }
        with(None).suits_space(None).unwrap();
        with(Some("https://a.b:2/relay")).suits_space(Some(&own)).unwrap_err();
        with(Some("https://a.b:1/relay")).suits_space(None).unwrap_err();
        let token = IrohSection { relay_token: Some("secret".to_owned()), ..IrohSection::default() };
        token.suits_space(Some(&own)).unwrap_err();
        assert!(!format!("{token:?}").contains("secret"));
    }
}
