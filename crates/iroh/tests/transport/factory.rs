//! Transports from a configuration file.

use async_trait::async_trait;
use quorate_iroh::{IrohFactory, SecretKey};
use quorate_testkit::{netns, relay::Relay};
use quorate_transport::{
    ConfigSections, CreateError, SendOutcome, Transport, TransportFactory, TxHandler, TxSpaceHandler,
};
use quorate_wire::{PeerUrl, SpaceId};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

const SPACE: SpaceId = SpaceId::from_static(b"made");

/// Says when the node has its address, and what comes.
struct App(Notify, mpsc::UnboundedSender<bytes::Bytes>);

#[async_trait]
impl TxHandler for App {
    async fn new_listening_address(&self, _: &PeerUrl) {
        self.0.notify_one();
    }
}

impl TxSpaceHandler for App {
    fn recv_space_notify(
        &self,
        _: &PeerUrl,
        _: &SpaceId,
        data: bytes::Bytes,
    ) -> Result<(), quorate_transport::Refusal> {
        self.1.send(data).map_err(|_| quorate_transport::Refusal::new("nobody reads"))
    }
}

async fn made(file: &str, key: u8) -> (Transport, mpsc::UnboundedReceiver<bytes::Bytes>) {
    let config: ConfigSections = serde_json::from_str(file).unwrap();
    let (sender, inbox) = mpsc::unbounded_channel();
    let app = Arc::new(App(Notify::new(), sender));
    let factory = IrohFactory { secret_key: Some(SecretKey::from_bytes(&[key; 32])) };
    let transport = factory.create(&config, app.clone(), None).await.unwrap();
    app.0.notified().await;
    transport.register_space_handler(SPACE, app).unwrap().0.keep();
    (transport, inbox)
}

async fn talk(file: &str) {
    let ((a, _a), (b, mut inbox)) = (made(file, 1).await, made(file, 2).await);
    let sent = a.send_space_notify(&b.url().unwrap(), &SPACE, "made".into()).await;
    assert_eq!(sent, Ok(SendOutcome::HandedOff));
    assert_eq!(inbox.recv().await.as_deref(), Some(&b"made"[..]));

    // A space may say again what holds for all, and nothing else.
    let config: ConfigSections = serde_json::from_str(file).unwrap();
    let other: ConfigSections =
        serde_json::from_str(r#"{"irohTransport": {"relayUrl": "https://another.example"}}"#).unwrap();
    let own = a.url();
    a.configure_for_space(&SPACE, &ConfigSections::default()).await.unwrap();
    if !file.contains("relayToken") {
        a.configure_for_space(&SPACE, &config).await.unwrap();
    }
    a.configure_for_space(&SPACE, &other).await.unwrap_err();
    a.unconfigure_for_space(&SPACE).await;
    assert_eq!(a.url(), own);
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn an_empty_file_makes_a_node_of_this_machine() {
    talk("{}").await;
}

#[test]
fn a_file_names_the_relay_and_its_token() {
    netns::alone(|| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap().block_on(async {
            let relay = Relay::start_with_token("open sesame").await;
            let section = |token: &str| {
                format!(
                    r#"{{"irohTransport": {{"relayUrl": "{}", "relayAllowPlainText": true{token}}}}}"#,
                    relay.url()
                )
            };
            talk(&section(r#", "relayToken": "open sesame""#)).await;
            let open = Relay::start().await;
            talk(&section("").replace(&relay.url(), &open.url())).await;
        });
    });
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let (first, _inbox) = made("{}", 1).await;
    let taken = first.url().unwrap().socket_addr().unwrap();
    let file = format!(r#"{{"irohTransport": {{"bindAddr": "{taken}"}}}}"#);
    let config: ConfigSections = serde_json::from_str(&file).unwrap();
    let (sender, _) = mpsc::unbounded_channel();
    let created = IrohFactory::default().create(&config, Arc::new(App(Notify::new(), sender)), None).await;
    assert!(matches!(created, Err(CreateError::Backend(_))));
    first.close().await;
}
