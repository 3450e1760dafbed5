//! Who is told where this node is reached: the transport, or a space that has an address of its own.

use crate::support::*;
use quorate_wire::SpaceId;

const OTHER: SpaceId = SpaceId::from_static(b"other");

#[tokio::test]
async fn a_space_with_an_address_of_its_own_is_never_told_of_the_transports() {
    let bench = Bench::new();
    let (_space, _registration) = bench.space();
    let other = Probe::new("other", &bench.log);
    let (_other, reached) = bench.transport.register_space_handler(OTHER, other).unwrap();
    assert_eq!(reached, Some(mem("drawer")));
    let module = Probe::new("module", &bench.log);
    let _module = bench.transport.register_module_handler(SPACE, MODULE, module).unwrap();

    bench.hnd.new_listening_address_for(&SPACE, &mem("own")).await;
    assert_eq!(bench.log.take(), ["space: address mem://host:1/own", "module: address mem://host:1/own"]);
    bench.hnd.new_listening_address(&mem("new")).await;
    assert_eq!(bench.log.take(), ["top: address mem://host:1/new", "other: address mem://host:1/new"]);
    let urls = bench.transport.stats().transport_stats.peer_urls;
    assert_eq!(urls, [mem("drawer"), mem("own")]);

    bench.transport.unconfigure_for_space(&SPACE).await;
    bench.hnd.new_listening_address(&mem("new")).await;
    assert_eq!(bench.log.lines().len(), 4);
    assert_eq!(bench.transport.stats().transport_stats.peer_urls, [mem("drawer")]);
}

#[tokio::test]
async fn an_address_that_comes_before_its_space_is_never_lost() {
    let bench = Bench::new();
    bench.hnd.new_listening_address_for(&SPACE, &mem("own")).await;
    let probe = Probe::new("space", &bench.log);
    let (registration, reached) = bench.transport.register_space_handler(SPACE, probe.clone()).unwrap();
    assert_eq!(reached, Some(mem("own")));
    drop(registration);
    let (_registration, reached) = bench.transport.register_space_handler(SPACE, probe.clone()).unwrap();
    assert_eq!(reached, Some(mem("own")), "the transport is still there for the space");
    bench.transport.unregister_space(&SPACE);
    let (_registration, reached) = bench.transport.register_space_handler(SPACE, probe).unwrap();
    assert_eq!(reached, Some(mem("drawer")), "unregistering the space forgets its address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_races_a_registration_arrives_one_way_or_the_other() {
    for _ in 0..200 {
        let bench = Bench::new();
        let (hnd, own) = (bench.hnd.clone(), mem("own"));
        let telling = tokio::spawn(async move { hnd.new_listening_address_for(&SPACE, &own).await });
        let probe = Probe::new("space", &bench.log);
        let (_registration, reached) = bench.transport.register_space_handler(SPACE, probe).unwrap();
        telling.await.unwrap();
        let told = bench.log.count("space: address mem://host:1/own");
        assert_eq!((reached == Some(mem("own"))) as usize + told, 1, "{reached:?}, told {told} times");
    }
}
