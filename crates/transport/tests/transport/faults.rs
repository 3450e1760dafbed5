//! The faults that are known of Kitsune2's transport, and the test that each of them cannot be here.
//!
//! The rule: one test for each, named after what must not happen. [`TABLE`] says where it stands, and
//! [`the_table_is_true`] that it does.

mod core;
mod logs;

use std::{fs, path::Path};

/// Number, fault, file below the workspace, test.
const TABLE: &[(u8, &str, &str, &str)] = &[
    (1, "callbacks under a lock", REGISTRY, "a_handler_that_registers_inside_a_call_never_deadlocks"),
    (1, "one slow handler stops all peers", CORE, "a_slow_handler_never_holds_up_other_peers_or_sends"),
    (
        2,
        "a panic, or a duplicate registration, breaks it for good",
        CORE,
        "a_panic_or_a_duplicate_never_breaks_what_comes_after",
    ),
    (2, "a duplicate replaces the handler", REGISTRY, "a_duplicate_registration_never_replaces_the_handler"),
    (
        3,
        "the table of handlers is copied for every event",
        "crates/transport/src/registry/tests.rs",
        "reading_never_copies_the_table",
    ),
    (4, "a veto after others were told", VETOES, "a_veto_never_leaves_others_believing_in_the_connection"),
    (
        5,
        "a space's address that is lost in a race",
        ADDRESSES,
        "an_address_that_races_a_registration_arrives_one_way_or_the_other",
    ),
    (
        5,
        "unregistering a space leaves its address",
        ADDRESSES,
        "an_address_that_comes_before_its_space_is_never_lost",
    ),
    (
        6,
        "the transport's `url` is called under a lock",
        CORE,
        "a_transport_that_asks_back_for_its_url_never_deadlocks",
    ),
    (7, "a send that went nowhere is a success", SENDS, "a_send_to_an_unknown_space_is_never_a_success"),
    (
        7,
        "a blocked send is a success",
        "crates/transport/tests/transport/gate.rs",
        "a_blocked_message_is_neither_delivered_nor_sent",
    ),
    (8, "peers fill the log", LOGS, "no_peer_ever_writes_above_debug_level"),
    (
        9,
        "a module frame without its module passes in silence",
        CONNECTIONS,
        "a_frame_without_its_space_or_module_never_passes_in_silence",
    ),
    (
        10,
        "the log of a blocked message lacks its module",
        LOGS,
        "a_blocked_message_is_never_logged_without_its_module",
    ),
    (
        11,
        "unknown peers are blocked",
        "crates/transport/tests/transport/gate.rs",
        "unknown_peers_are_not_blocked_unless_the_handler_says_so",
    ),
    (
        12,
        "a preflight that introduces nobody",
        CONNECTIONS,
        "nobody_is_introduced_while_no_space_has_an_agent",
    ),
    (
        13,
        "block counts overflow",
        "crates/transport/src/gate.rs",
        "a_count_stops_at_its_maximum_and_a_reset_starts_again",
    ),
    (
        13,
        "block counts grow with the URLs that peers choose",
        "crates/transport/src/gate.rs",
        "a_million_urls_never_take_more_entries_than_configured",
    ),
    (
        14,
        "a handler's error leaves the connection open",
        SESSIONS,
        "a_handler_that_hangs_up_tells_the_peer_why",
    ),
    (
        15,
        "the reason of a disconnect is lost",
        SESSIONS,
        "a_disconnect_loses_nothing_that_was_handed_off_and_both_sides_hear_the_reason",
    ),
    (
        16,
        "a send succeeds on a connection that never became ready",
        CORE,
        "a_send_is_never_a_success_when_the_connection_ended_in_the_preflights",
    ),
    (
        17,
        "a message is sent twice, or out of order, when a connection is replaced",
        "crates/transport/tests/transport/simultaneous.rs",
        "frames_that_were_queued_but_not_written_go_to_the_winner_in_order",
    ),
    (18, "stats that cannot be read back", CORE, "stats_are_never_unreadable_from_a_reader_or_a_value"),
    (
        19,
        "a URL is whose the peer says",
        "crates/transport/src/peer.rs",
        "a_url_of_another_key_is_never_accepted",
    ),
    (19, "the same over QUIC", IROH, "nobody_speaks_under_the_url_of_another"),
    (20, "a preflight that is none", CONNECTIONS, "a_frame_before_the_preflight_is_never_delivered"),
    (20, "a second preflight", CONNECTIONS, "a_second_preflight_is_never_validated"),
    (
        21,
        "no versions: what is unknown vanishes",
        "crates/quorate/tests/nodes/meet.rs",
        "agreement_and_application_bytes_of_a_peer_are_known_while_it_is_connected",
    ),
    (21, "an unknown kind is not even counted", CONNECTIONS, "an_unknown_kind_is_ignored_but_counted"),
    (22, "one peer takes all connections", LIMITS, "one_peer_never_takes_the_places_of_the_others"),
    (22, "no rate limit", LIMITS, "a_peer_that_is_too_fast_is_slowed_down_and_loses_nothing"),
    (
        23,
        "five bytes announce 100 MiB and get them",
        WIRE,
        "an_announced_length_takes_no_memory_and_above_the_limit_no_patience",
    ),
    (24, "a frame that never ends", IROH, "a_frame_that_never_ends_ends_the_connection"),
    (25, "one slow dialer holds up all others", IROH, "silent_strangers_hold_up_nobody"),
    (
        26,
        "a table that never shrinks",
        "crates/transport/src/sessions/tests.rs",
        "peers_that_are_gone_never_stay_in_the_tables",
    ),
    (27, "one peer reserves the memory of all", WIRE, "half_frames_of_all_streams_share_one_budget"),
    (
        28,
        "no peer without a relay",
        "crates/iroh/tests/transport/peers.rs",
        "a_url_is_the_address_and_the_key",
    ),
    (29, "one slow peer holds up all others", SESSIONS, "a_slow_peer_never_holds_up_another"),
];

const ADDRESSES: &str = "crates/transport/tests/transport/addresses.rs";
const CONNECTIONS: &str = "crates/transport/tests/transport/connections.rs";
const CORE: &str = "crates/transport/tests/transport/faults/core.rs";
const IROH: &str = "crates/iroh/tests/transport/hostile.rs";
const LIMITS: &str = "crates/transport/tests/transport/limits.rs";
const LOGS: &str = "crates/transport/tests/transport/faults/logs.rs";
const REGISTRY: &str = "crates/transport/tests/transport/registry.rs";
const SENDS: &str = "crates/transport/tests/transport/sends.rs";
const SESSIONS: &str = "crates/transport/tests/transport/sessions.rs";
const VETOES: &str = "crates/transport/tests/transport/vetoes.rs";
const WIRE: &str = "crates/wire/src/stream/tests.rs";

#[test]
fn the_table_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (number, fault, file, test) in TABLE {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        assert!(text.contains(&format!("fn {test}(")), "{number}, {fault}: no test `{test}` in {file}");
    }
    let missing: Vec<_> = (1..=29).filter(|number| TABLE.iter().all(|row| row.0 != *number)).collect();
    assert!(missing.is_empty(), "no test for the faults {missing:?}");
}
