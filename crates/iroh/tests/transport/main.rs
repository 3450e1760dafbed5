//! The transport on real sockets of this machine.
//!
//! The rule: no test waits for a time to pass; where a limit must expire, it is short and the test waits
//! for what follows from it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy does not see that helpers belong to tests")]

mod factory;
mod hostile;
mod peers;
mod relay;
mod stranger;
mod suite;

use quorate_iroh::{IrohConfig, IrohTransport};
use quorate_testkit::transport::Node;
use quorate_transport::{TransportConfig, TxImp, TxImpHnd};
use std::sync::Arc;

/// A node on a transport with this config.
async fn node(config: IrohConfig, core: TransportConfig) -> Node {
    let make = |hnd: Arc<TxImpHnd>| {
        let config = config.clone();
        async move {
            let imp = IrohTransport::bind(config, hnd).await.unwrap();
            imp.online().await;
            imp as Arc<dyn TxImp>
        }
    };
    Node::new(&make, core).await
}

/// A node with the defaults.
async fn plain() -> Node {
    node(IrohConfig::default(), TransportConfig::default()).await
}
