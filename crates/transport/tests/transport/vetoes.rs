//! Who refuses a connection undoes what the others were told.

use crate::support::*;
use quorate_base::Wall;
use quorate_transport::{Direction, OpenError, Refusal};

async fn open(bench: &Bench) -> Result<(), OpenError> {
    bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await.map(drop)
}

#[tokio::test]
async fn a_veto_never_leaves_others_believing_in_the_connection() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    let module = Probe::new("module", &bench.log);
    let _module = bench.transport.register_module_handler(SPACE, MODULE, module).unwrap();
    *bench.top.veto.lock().unwrap() = Some("not today");
    assert_eq!(open(&bench).await, Err(OpenError::Refused(Refusal::new("not today"))));
    let wanted = [
        "module: connect bob",
        "space: connect bob",
        "top: connect bob",
        "space: disconnect bob (not today)",
        "module: disconnect bob (not today)",
    ];
    assert_eq!(bench.log.lines(), wanted);
    assert_eq!(bench.transport.totals().refused_here, 1);
    assert!(bench.transport.connected_peers().is_empty());
}

#[tokio::test]
async fn after_a_veto_nobody_further_is_asked() {
    let bench = Bench::new();
    let (space, _registration) = bench.space();
    *space.veto.lock().unwrap() = Some("no");
    assert!(open(&bench).await.is_err());
    assert_eq!(bench.log.lines(), ["space: connect bob"]);
    *space.veto.lock().unwrap() = None;
    let module = Probe::new("module", &bench.log);
    *module.veto.lock().unwrap() = Some("no");
    let _module = bench.transport.register_module_handler(SPACE, MODULE, module).unwrap();
    bench.log.take();
    assert!(open(&bench).await.is_err());
    assert_eq!(bench.log.lines(), ["module: connect bob"]);
}

#[tokio::test]
async fn a_refusal_to_gather_a_preflight_takes_the_announcement_back() {
    struct Shy(Log);
    #[async_trait::async_trait]
    impl quorate_transport::TxHandler for Shy {
        fn peer_disconnect(&self, _: &quorate_wire::PeerUrl, reason: Option<&str>) {
            self.0.write(reason.unwrap_or("-"));
        }
        async fn preflight_gather_outgoing(
            &self,
            _: &quorate_wire::PeerUrl,
        ) -> Result<bytes::Bytes, Refusal> {
            Err(Refusal::new("nothing to say"))
        }
    }
    let log = Log::new();
    let hnd =
        quorate_transport::TxImpHnd::new(std::sync::Arc::new(Shy(log.clone())), Default::default()).unwrap();
    let opened = hnd.open(peer("bob"), Direction::Outgoing, Wall::default()).await;
    assert_eq!(opened.unwrap_err(), OpenError::Refused(Refusal::new("nothing to say")));
    assert_eq!(log.lines(), ["nothing to say"]);
}
