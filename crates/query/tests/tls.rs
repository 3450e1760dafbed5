//! `wss` against a server with a certificate of its own: trusted where the caller says so, refused elsewhere.

use futures::{SinkExt, StreamExt};
use quorate_query::{Call, ClientSettings, ConnectError, ConnectFault, Federation, PeerError, PeerId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_websockets::{Message, ServerBuilder};

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(include_bytes!("tls-keys/cert.pem")).expect("a certificate for localhost")
}

/// A guardian behind TLS that answers 42 to everything; its port.
async fn guardian() -> u16 {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls-keys/key.pem")).expect("its key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust the certificate goes away here.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let Ok((_, mut socket)) = ServerBuilder::new().accept(stream).await else { return };
                let mut id = 1;
                while let Some(Ok(_)) = socket.next().await {
                    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":42}}"#);
                    id += 1;
                    if socket.send(Message::text(answer)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn ask(port: u16, settings: ClientSettings) -> Result<u64, PeerError> {
    let endpoint = format!("wss://localhost:{port}/").parse().expect("a URL");
    let federation = Federation::at([(PeerId(0), endpoint)], settings).expect("one");
    federation.ask(PeerId(0), &Call::bare("session_count"), Duration::from_secs(5)).await
}

#[tokio::test]
async fn a_certificate_is_believed_by_those_who_trust_it() {
    let port = guardian().await;
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).expect("a trust anchor");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert_eq!(ask(port, ClientSettings::with_tls(tls)).await.expect("trusted"), 42);

    let error = ask(port, ClientSettings::new().expect("cryptography")).await.expect_err("not trusted");
    assert!(
        matches!(&error, PeerError::Connect(ConnectError { fault: ConnectFault::Tls(_), .. })),
        "{error}"
    );
    assert!(!error.is_retryable());
}
