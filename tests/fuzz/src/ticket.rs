//! A ticket from any text, and from any payload under a checksum that holds.

use super::sealed;
use quorate::ticket::{Ticket, TicketError};

/// Any bytes are a ticket or an error, as text and as payload; a ticket has one text.
pub fn ticket(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(ticket) = text.parse::<Ticket>() {
        assert_eq!(ticket.to_string(), text.trim().to_lowercase(), "a ticket has one text");
    }

    let sealed = sealed("qrt", input);
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
