//! Tests of tickets: the vector of `docs/specs/ticket.md`, and everything that is no ticket.

use super::*;
use proptest::prelude::*;

/// The vector of `docs/specs/ticket.md`.
const VECTOR: &str = "qrt1qyqqzqsrqszsvpcgpy9qkrqdpc83qygjzv2p29shrqv35xcur50plll7lh70h7helrmlda0570e0ru80amk7e6l2a85w0eh9\
    un379c0qq4nxjmr9wvpqq9t3w45kxw309ucnydewxqhrqt338g6rgvenqq9k6etd8ghj7cf6xyhkygk9wma";

fn ticket() -> Ticket {
    let space = std::array::from_fn(|n| n as u8);
    let key = Secret::from_bytes(std::array::from_fn(|n| 0xff - n as u8));
    let addresses = vec!["quic://127.0.0.1:4433".parse().unwrap(), "mem://a:1/b".parse().unwrap()];
    Ticket::new(addresses, space, "files", key).unwrap()
}

/// The text of a payload, as another program may write it.
fn text(payload: &[u8]) -> String {
    let mut text = String::new();
    bech32m::write(&mut text, PREFIX, payload).unwrap();
    text
}

fn read(text: &str) -> TicketError {
    text.parse::<Ticket>().unwrap_err()
}

#[test]
fn the_vector_reads_and_writes() {
    assert_eq!(ticket().to_string(), VECTOR);
    assert_eq!(VECTOR.parse(), Ok(ticket()));
    assert_eq!(format!(" {}\n", VECTOR.to_uppercase()).parse(), Ok(ticket()));
    let spec = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/specs/ticket.md"));
    assert!(spec.replace('\n', "").contains(VECTOR), "the vector in the specification is another one");
}

#[test]
fn every_truncation_is_noticed() {
    for len in 0..VECTOR.len() {
        let error = read(&VECTOR[..len]);
        let expected = if len < 4 { TicketError::NotATicket } else { TicketError::Checksum };
        assert_eq!(error, expected, "{len} characters");
    }
    let message = "the ticket is truncated or mistyped: its checksum does not match";
    assert_eq!(read(&VECTOR[..90]).to_string(), message);
}

#[test]
fn every_changed_character_is_noticed() {
    for at in 4..VECTOR.len() {
        for to in ['q', 'x', 'l', 'Q', 'b', '1', ' ', 'ö'] {
            let mut changed: Vec<char> = VECTOR.chars().collect();
            if std::mem::replace(&mut changed[at], to) != to {
                let changed: String = changed.into_iter().collect();
                // White space at an end is fine, and what it stood for is then cut off.
                assert!(changed.parse::<Ticket>().is_err(), "{changed}");
            }
        }
    }
}

#[test]
fn each_kind_of_wrong_text_has_its_own_error() {
    assert_eq!(read(""), TicketError::NotATicket);
    for text in ["hello", "1", "-1-", "https://a.b/1"] {
        assert_eq!(read(text), TicketError::NotATicket);
    }
    assert_eq!(read(&VECTOR.replace("qrt1q", "qrt11")), TicketError::Character { found: '1' });
    let bitcoin = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0";
    assert_eq!(read(bitcoin), TicketError::Prefix { found: "bc".into() });
    assert_eq!(read(&VECTOR.replace("qrt1q", "qrt1Q")), TicketError::MixedCase);
    assert_eq!(read(&VECTOR.replace("qrt1q", "qrt1b")), TicketError::Character { found: 'b' });
    let long = format!("qrt1{}", "q".repeat(MAX_TEXT));
    assert_eq!(read(&long), TicketError::TooLong { found: long.len() });
}

#[test]
fn a_payload_that_another_program_wrote_wrongly_is_told_apart() {
    let whole = ticket().to_bytes().to_vec();
    assert_eq!(text(&whole), VECTOR);
    for len in 0..whole.len() {
        assert_eq!(read(&text(&whole[..len])), TicketError::Short, "{len} bytes");
    }
    assert_eq!(read(&text(&[&whole[..], &[0, 0]].concat())), TicketError::TrailingBytes { count: 2 });
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        read(&text(&bytes))
    };
    assert_eq!(changed(0, 2), TicketError::Version { found: 2 });
    assert_eq!(changed(66, 0xff), TicketError::ChannelId);
    assert_eq!(changed(71, 17), TicketError::AddressCount { found: 17 });
    assert!(matches!(changed(74, b'Q'), TicketError::Address(_)));
    assert_eq!(read(&text(&[&whole[..71], &[0]].concat())), TicketError::AddressCount { found: 0 });
    let nameless = [&whole[..65], &[0], &whole[71..]].concat();
    assert_eq!(read(&text(&nameless)), TicketError::ChannelId);
}

#[test]
fn bits_left_over_must_be_none() {
    // Sixteen bits in four symbols of five: the last has four to spare, and one of them is set.
    assert_eq!(read("qrt1qqqp7v7huf"), TicketError::Padding);
}

#[test]
fn the_largest_ticket_can_be_read() {
    let address = format!("mem://a:1/{}", "x".repeat(PeerUrl::MAX_LEN - 10));
    let addresses = vec![address.parse().unwrap(); MAX_ADDRESSES];
    let key = Secret::from_bytes([1; 32]);
    let ticket = Ticket::new(addresses, [2; 32], &"c".repeat(MAX_CHANNEL_ID), key).unwrap();
    let text = ticket.to_string();
    assert!(text.len() <= MAX_TEXT);
    assert_eq!(text.parse(), Ok(ticket));
}

#[test]
fn the_key_is_not_shown() {
    let shown = format!("{:?}", ticket());
    assert!(shown.contains("redacted") && !shown.contains("254, 253"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(qrt1|QRT1|)[ -~]{0,200}") {
        prop_assert!(text.parse::<Ticket>().is_err());
    }

    #[test]
    fn no_payload_makes_the_reader_panic(mut payload: Vec<u8>) {
        payload.insert(0, VERSION);
        if let Ok(ticket) = text(&payload).parse::<Ticket>() {
            prop_assert_eq!(&ticket.to_bytes()[..], &payload[..]);
        }
    }
}
