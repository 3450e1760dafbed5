//! Invite codes from any text, and from any payload in both forms: what is read can be written and read again, and names somebody.

use super::sealed;
use quorate_query::InviteCode;

/// Any bytes are an invite code or an error, as text and as payload.
pub fn invite_code(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        check(text);
    }
    check(&sealed("fed1", input));
}

fn check(text: &str) {
    let Ok(invite) = text.parse::<InviteCode>() else { return };
    assert!(!invite.guardians().is_empty());
    assert_eq!(invite.to_string().parse(), Ok(invite.clone()));
    assert_eq!(invite.to_base32().parse(), Ok(invite.clone()));
    // Endpoints are usable or refused; neither panics.
    let _ = invite.endpoints();
    assert!(!format!("{invite:?}").is_empty());
}
