//! A transport that is made as a file says.

use crate::support::*;
use quorate_base::Wall;
use quorate_transport::{
    BlockList, ConfigError, ConfigSections, CreateError, MemFactory, MemHub, TransportConfig,
    TransportFactory, Verdict,
};
use std::sync::Arc;

fn sections(text: &str) -> ConfigSections {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_factory_makes_what_the_file_says() {
    let hub = MemHub::default();
    let factory = MemFactory(hub.clone());
    let mut defaults = ConfigSections::default();
    factory.default_config(&mut defaults).unwrap();
    assert_eq!(defaults.names().collect::<Vec<_>>(), ["memTransport", "transport"]);
    assert_eq!(defaults.read::<TransportConfig>("transport").unwrap(), TransportConfig::default());
    assert_eq!(factory.validate_config(&defaults), Ok(()), "what is missing may come later");

    let log = Log::new();
    let config =
        sections(r#"{"memTransport": {"url": "mem://host:1/made"}, "transport": {"maxFrameBytes": 100}}"#);
    let list = Arc::new(BlockList::new(Verdict::Allow, Wall::default));
    let made = factory.create(&config, Probe::new("top", &log), Some(list)).await.unwrap();
    assert_eq!(made.url(), Some(mem("made")));
    assert!(made.block_list().is_some());
    let probe = Probe::new("space", &log);
    let _space = made.register_space_handler(SPACE, probe).unwrap();
    let sent = made.send_space_notify(&mem("x"), &SPACE, vec![0; 200].into()).await;
    assert!(matches!(sent, Err(quorate_transport::SendError::TooLarge { max: 100, .. })), "{sent:?}");
    assert!(Node::new(&hub, "b").transport.connect(&mem("made")).await.is_ok());
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_with_the_section() {
    let factory = MemFactory(MemHub::default());
    let log = Log::new();
    for text in [
        r#"{"transport": {"queueBytes": 1}}"#,
        r#"{"transport": {"unknown": 1}}"#,
        r#"{"memTransport": {"url": "not a URL"}}"#,
    ] {
        assert!(factory.validate_config(&sections(text)).is_err(), "{text}");
        let made = factory.create(&sections(text), Probe::new("top", &log), None).await;
        assert!(matches!(made, Err(CreateError::Config(_))), "{text}");
    }
    let made = factory.create(&ConfigSections::default(), Probe::new("top", &log), None).await;
    let Err(CreateError::Config(ConfigError::Section { name, reason })) = made else { panic!("{made:?}") };
    assert_eq!((name.as_str(), reason.as_str()), ("memTransport", "`url` is missing"));
}
