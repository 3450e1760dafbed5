//! What every transport promises, held by this one.

use quorate_iroh::{IrohConfig, IrohTransport, SecretKey};
use quorate_testkit::transport::{self as suite, MakeImp};
use quorate_transport::{TxImp, TxImpHnd};
use quorate_wire::PeerUrl;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

/// Nodes that all have this config, each under a key of its own.
pub(crate) struct Nodes {
    config: IrohConfig,
    next: AtomicU8,
    keys: Mutex<HashMap<PeerUrl, SecretKey>>,
}

impl Nodes {
    pub(crate) fn new(config: IrohConfig) -> Self {
        Self { config, next: AtomicU8::new(1), keys: Mutex::default() }
    }
}

impl MakeImp for Nodes {
    async fn make(&self, hnd: Arc<TxImpHnd>) -> Arc<dyn TxImp> {
        let key = SecretKey::from_bytes(&[self.next.fetch_add(1, Ordering::Relaxed); 32]);
        let config = IrohConfig { secret_key: Some(key.clone()), ..self.config.clone() };
        let imp = IrohTransport::bind(config, hnd).await.unwrap();
        imp.online().await;
        self.keys.lock().unwrap().insert(imp.url().unwrap(), key);
        imp
    }

    async fn make_again(&self, url: &PeerUrl, hnd: Arc<TxImpHnd>) -> Option<Arc<dyn TxImp>> {
        let secret_key = self.keys.lock().unwrap().get(url).cloned();
        let bind_addr = url.socket_addr().filter(|_| self.config.relay.is_none());
        let bind_addr = bind_addr.unwrap_or(self.config.bind_addr);
        let config = IrohConfig { secret_key, bind_addr, ..self.config.clone() };
        let imp = loop {
            // The transport that has the port may not have ended yet.
            match IrohTransport::bind(config.clone(), Arc::clone(&hnd)).await {
                Ok(imp) => break imp,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
            tokio::task::yield_now().await;
        };
        imp.online().await;
        Some(imp)
    }
}

quorate_testkit::conformance_tests!(Nodes::new(IrohConfig::default()));

#[tokio::test(flavor = "current_thread")]
async fn one_thread_is_enough() {
    let nodes = Nodes::new(IrohConfig::default());
    suite::both_directions(&nodes).await;
    suite::first_sends_that_cross_all_arrive(&nodes).await;
}
