//! A ticket from any text, and from any payload under a checksum that holds.

use bech32::{Bech32m, Checksum, Hrp};
use quorate::ticket::{Ticket, TicketError};

/// Any bytes are a ticket or an error, as text and as payload; a ticket has one text.
pub fn ticket(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.to_string(), text.trim().to_lowercase(), "a ticket has one text");
    }

    // A fuzzer does not come past a checksum by itself.
    let prefix = Hrp::parse("qrt").expect("a prefix");
    let sealed = bech32::encode::<Long>(prefix, input).expect("a checksum without end");
    match sealed.parse::<Ticket>() {
        Ok(ticket) => {
            assert_eq!(ticket.to_string(), sealed);
            assert!(!ticket.addresses().is_empty() && !ticket.channel().is_empty());
        }
        Err(error) => {
            let is_about_text = matches!(
                error,
                TicketError::NotATicket
                    | TicketError::Prefix { .. }
                    | TicketError::Checksum
                    | TicketError::MixedCase
            );
            assert!(!is_about_text, "the text is right, its content is not: {error}");
        }
    }
}

/// The ticket's checksum: bech32m over a string of any length.
enum Long {}

impl Checksum for Long {
    type MidstateRepr = <Bech32m as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32m as Checksum>::CorrectionField;

    const ROOT_GENERATOR: Self::CorrectionField = Bech32m::ROOT_GENERATOR;
    const ROOT_EXPONENTS: std::ops::RangeInclusive<usize> = Bech32m::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32m::TARGET_RESIDUE;
}
