//! What remains of peers that are gone.

use super::*;
use crate::{MemHub, MemTransport, Transport, TransportConfig, TxHandler, TxImp, WeakTransport};

struct App;
impl TxHandler for App {}

fn node(hub: &MemHub, name: &str) -> (Transport, Arc<MemTransport>) {
    let hnd = TxImpHnd::new(Arc::new(App), TransportConfig::default()).unwrap();
    let url = format!("mem://host:1/{name}").parse().unwrap();
    let imp = Arc::new(MemTransport::bind(hub, url, hnd.clone()).unwrap());
    (Transport::new(hnd, imp.clone()), imp)
}

#[tokio::test(start_paused = true)]
async fn peers_that_are_gone_never_stay_in_the_tables() {
    let hub = MemHub::default();
    let (server, imp) = node(&hub, "server");
    let url = server.url().unwrap();
    for number in 0..200 {
        let (guest, _) = node(&hub, &format!("guest-{number}"));
        guest.connect(&url).await.unwrap();
        match number % 3 {
            0 => guest.close().await,
            1 => server.disconnect(&guest.url().unwrap(), Some("bye")).await,
            _ => drop(guest),
        }
    }
    let nobody = "mem://host:1/nobody".parse().unwrap();
    assert!(server.connect(&nobody).await.is_err());
    let sessions = imp.sessions().unwrap();
    let mut tasks = sessions.inner().tasks.subscribe();
    tasks.wait_for(|running| *running == 0).await.unwrap();
    assert!(locked(&sessions.inner().table).peers.is_empty());
    assert!(sessions.inner().links.is_empty());
    assert_eq!(server.totals().connections_ended, 200);

    let weak: WeakTransport = server.downgrade();
    drop((server, imp));
    assert!(weak.upgrade().is_none());
}
