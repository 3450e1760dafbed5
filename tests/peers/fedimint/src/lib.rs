//! Both clients at the same guardians, in the form that tests and bench share.

pub mod discovery;

use fedimint_api_client::api::DynGlobalApi;
use fedimint_connectors::ConnectorRegistry;
use fedimint_core::PeerId as TheirPeer;
use fedimint_core::util::SafeUrl;
use quorate_query::{AttemptsConfig, ClientSettings, Federation, PeerId};
use std::time::Duration;

/// The published client, at these websocket URLs. Its other transports are never started.
///
/// # Panics
///
/// On a URL that is none.
pub async fn theirs(urls: &[String]) -> DynGlobalApi {
    let connectors = ConnectorRegistry::build_from_client_defaults().bind().await;
    let peers = (0..).map(TheirPeer::from);
    let urls = urls.iter().map(|url| SafeUrl::parse(url).expect("a URL"));
    DynGlobalApi::new(connectors, peers.zip(urls).collect(), None)
}

/// Ours, at the same.
///
/// # Panics
///
/// On a URL that is none.
pub fn ours(urls: &[String]) -> Federation {
    let endpoints = urls.iter().map(|url| url.parse().expect("a URL"));
    let settings = ClientSettings::new().expect("cryptography");
    Federation::at((0..).map(PeerId).zip(endpoints), settings).expect("not empty")
}

/// Short waits, for cases that end by them.
pub fn short() -> AttemptsConfig {
    AttemptsConfig { attempt_timeout: Duration::from_millis(700), ..AttemptsConfig::default() }
        .within(Duration::from_secs(4))
}
