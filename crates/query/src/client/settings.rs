//! The limits and waits of a client.

use crate::error::ConnectFault;
use quorate_base::Backoff;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// How a client connects, and how much it holds.
#[derive(Clone)]
pub struct ClientSettings {
    /// How long connecting may take, TLS and handshake included. Default: 10 s.
    pub connect_timeout: Duration,
    /// The pauses between connects that fail. Requests that come in a pause fail at once with the last cause. Default:
    /// 100 ms to 5 s.
    pub connect_backoff: Backoff,
    /// A connection that is lost earlier counts as a connect that failed. Default: 1 s.
    pub stable_after: Duration,
    /// How long a connection with unanswered requests may be silent before it is given up; a ping is sent at half of
    /// it. Default: 30 s.
    pub silence: Duration,
    /// How many requests may wait for one peer. Default: 1,024.
    pub max_waiting: NonZeroUsize,
    /// The longest request, in bytes, and (16 times that) all that wait together. Default: 1 MiB.
    pub max_request_bytes: usize,
    /// The longest answer, in bytes. Default: 16 MiB.
    pub max_answer_bytes: usize,
    /// How many connections an HTTP client may have. Default: 8.
    pub max_http_connections: NonZeroUsize,
    tls: Arc<rustls::ClientConfig>,
}

impl ClientSettings {
    /// The defaults, trusting the certificate authorities that browsers trust.
    ///
    /// # Errors
    ///
    /// [`ConnectFault::Tls`] when the cryptography cannot be set up.
    pub fn new() -> Result<Self, ConnectFault> {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<rustls::RootCertStore>();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConnectFault::Tls(Arc::new(error)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::with_tls(config))
    }

    /// The defaults, with TLS as the caller has it: other authorities, a client certificate.
    pub fn with_tls(tls: rustls::ClientConfig) -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            connect_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            stable_after: Duration::from_secs(1),
            silence: Duration::from_secs(30),
            max_waiting: const { NonZeroUsize::new(1_024).expect("not zero") },
            max_request_bytes: 1 << 20,
            max_answer_bytes: 16 << 20,
            max_http_connections: const { NonZeroUsize::new(8).expect("not zero") },
            tls: Arc::new(tls),
        }
    }

    pub(crate) const fn tls(&self) -> &Arc<rustls::ClientConfig> {
        &self.tls
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("connect_timeout", &self.connect_timeout)
            .field("max_waiting", &self.max_waiting)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .finish_non_exhaustive()
    }
}
