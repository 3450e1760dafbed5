//! What a configuration refuses, and how it is written.

use super::*;

#[test]
fn the_default_is_valid_and_authenticates() {
    let config = TransportConfig::default();
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(TransportConfig::trusted().validate(), Ok(()));
    assert_eq!((config.max_connections.get(), config.queue_bytes.get()), (1_024, 8 << 20));
    assert!(!config.allow_unauthenticated);
}

#[test]
fn values_that_cannot_work_are_named() {
    let zero = TransportConfig { preflight_time: Duration::ZERO, ..TransportConfig::default() };
    assert_eq!(zero.validate(), Err(ConfigError::ZeroTime { name: "preflight_time" }));
    for found in [1, 1_023, 1 << 31] {
        let queue_bytes = NonZeroUsize::new(found).unwrap();
        let config = TransportConfig { queue_bytes, ..TransportConfig::default() };
        assert_eq!(config.validate(), Err(ConfigError::QueueBytes { found }));
    }
    let partial_bytes = NonZeroUsize::new((16 << 20) - 1).unwrap();
    let config = TransportConfig { partial_bytes, ..TransportConfig::default() };
    let error = ConfigError::PartialBytes { found: (16 << 20) - 1, frame: 16 << 20 };
    assert_eq!(config.validate(), Err(error));
}

#[test]
fn json_has_camel_case_names_and_times_in_seconds() {
    let json = serde_json::to_value(TransportConfig::default()).unwrap();
    let expected = serde_json::json!({
        "maxConnections": 1_024,
        "maxConnectionsPerKey": 4,
        "connectTimeoutS": 60,
        "preflightTimeoutS": 10,
        "closeTimeoutS": 2,
        "frameTimeoutS": 60,
        "partialBytes": 17_825_792,
        "queueBytes": 8_388_608,
        "maxFrameBytes": 16_777_216,
        "maxPreflightBytes": 65_536,
        "peerRate": {"messagesPerS": 20_000, "bytesPerS": 268_435_456, "burstS": 1},
        "spaceRate": {"messagesPerS": 200_000, "bytesPerS": 1_073_741_824, "burstS": 1},
        "overRate": "slow",
        "blockCountEntries": 4_096,
        "allowUnauthenticated": false,
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<TransportConfig>(json).unwrap(), TransportConfig::default());
}

#[test]
fn what_is_missing_has_its_default_and_what_is_unknown_is_an_error() {
    let read = |text: &str| serde_json::from_str::<TransportConfig>(text);
    let config = read(r#"{"closeTimeoutS": 0.25, "peerRate": null}"#).unwrap();
    assert_eq!(config.close_time, Duration::from_millis(250));
    assert_eq!(config.peer_rate, None);
    assert_eq!(config.space_rate, TransportConfig::default().space_rate);
    for wrong in [
        r#"{"maxConections": 5}"#,
        r#"{"maxConnections": 0}"#,
        r#"{"connectTimeoutS": -1}"#,
        r#"{"connectTimeoutS": 1e300}"#,
        r#"{"peerRate": {"messagesPerS": 1}}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_section_that_cannot_be_read_is_named() {
    let sections: ConfigSections = serde_json::from_str(r#"{"transport": {"queueBytes": "much"}}"#).unwrap();
    let error = sections.read::<TransportConfig>("transport").unwrap_err();
    assert!(matches!(&error, ConfigError::Section { name, .. } if name == "transport"), "{error}");
    let mut sections = ConfigSections::default();
    sections.write("transport", &TransportConfig::trusted()).unwrap();
    assert_eq!(sections.read::<TransportConfig>("transport").unwrap(), TransportConfig::trusted());
    assert_eq!(sections.names().collect::<Vec<_>>(), ["transport"]);
}
