//! Faults of the log: what peers can make a node write.

use crate::support::*;
use bytes::Bytes;
use quorate_base::Wall;
use quorate_transport::{BlockList, Direction, MemHub, Rule, Subject, TransportConfig, Verdict};
use quorate_wire::Frame;
use std::{
    fmt,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Level and text of each line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

/// A frame of every kind, whole and broken.
fn frames() -> Vec<Bytes> {
    let (space, data) = (b"unknown"[..].into(), Bytes::from_static(b"x"));
    vec![
        notify(b"x"),
        module(b"x"),
        preflight(b"again"),
        Frame::Notify { space, data: data.clone() }.encode().to_bytes(),
        Frame::Module { space: SPACE, module: "unknown".into(), data: data.clone() }.encode().to_bytes(),
        Frame::Other { kind: 77, data, space: None, module: None }.encode().to_bytes(),
        Frame::Disconnect { reason: "bye".into() }.encode().to_bytes(),
        Bytes::from_static(b"\x08\x02"),
        Bytes::from_static(b"\x08\x03\x1a\x00"),
        Bytes::from_static(b"\xff\xff\xff"),
        Bytes::new(),
    ]
}

#[tokio::test]
async fn no_peer_ever_writes_above_debug_level() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let bench = Bench::new();
    let (space, _registration) = bench.space();
    let module = Probe::new("module", &bench.log);
    let _module = bench.transport.register_module_handler(SPACE, MODULE, module.clone()).unwrap();
    for blocks in [false, true] {
        for hangs_up in [None, Some("enough")] {
            space.blocks.store(blocks, SeqCst);
            *space.hangs_up.lock().unwrap() = hangs_up;
            *module.hangs_up.lock().unwrap() = hangs_up;
            for frame in frames() {
                let opened = bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await;
                // The outcome is not what this is about.
                let _ = opened.unwrap().handle_preflight(frame.clone()).await;
                let _ = bench.ready("bob").await.recv(frame);
            }
        }
    }
    *bench.top.veto.lock().unwrap() = Some("no");
    assert!(bench.hnd.open(peer("bob"), Direction::Incoming, Wall::default()).await.is_err());

    let hub = MemHub::default();
    let (a, b) = (Node::new(&hub, "a"), Node::new(&hub, "b"));
    a.notify(&b, b"hello").await.unwrap();
    *b.space.hangs_up.lock().unwrap() = Some("enough");
    a.notify(&b, b"again").await.unwrap();
    b.log.wait_for("top: disconnect a (enough)").await;
    settle().await;

    let lines = lines.0.lock().unwrap();
    assert!(lines.len() > 10, "what is dropped is written at debug level: {lines:?}");
    let loud: Vec<_> = lines.iter().filter(|(level, _)| *level < Level::DEBUG).collect();
    assert!(loud.is_empty(), "{loud:?}");
}

#[tokio::test]
async fn a_blocked_message_is_never_logged_without_its_module() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let list = Arc::new(BlockList::new(Verdict::Allow, Wall::default));
    list.set(Rule::block(Subject::peer(&mem("bob")), "").in_space(SPACE)).unwrap();
    let bench = Bench::with_list(TransportConfig::default(), &list);
    let (_space, _registration) = bench.space();
    let sent = bench.transport.send_module(&mem("bob"), &SPACE, &MODULE, Bytes::new()).await;
    assert_eq!(sent, Ok(quorate_transport::SendOutcome::Blocked));
    bench.ready("bob").await.recv(module(b"x")).unwrap();
    let lines = lines.0.lock().unwrap();
    let blocked: Vec<_> = lines.iter().filter(|(_, text)| text.contains("blocked peer")).collect();
    assert_eq!(blocked.len(), 2, "{lines:?}");
    assert!(blocked.iter().all(|(_, text)| text.contains("module=") && text.contains("bob")), "{blocked:?}");
    assert!(blocked.iter().all(|(_, text)| text.contains(MODULE.as_str())), "{blocked:?}");
}
