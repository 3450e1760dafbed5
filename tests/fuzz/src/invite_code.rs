//! Invite codes from any text, in both forms: what is read can be written and read again, and names somebody.

use quorate_query::InviteCode;

/// Any text is an invite code or an error.
pub fn invite_code(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(invite) = text.parse::<InviteCode>() else { return };
    assert!(!invite.guardians().is_empty());
    assert_eq!(invite.to_string().parse(), Ok(invite.clone()));
    assert_eq!(invite.to_base32().parse(), Ok(invite.clone()));
    // Endpoints are usable or refused; neither panics.
    let _ = invite.endpoints();
    assert!(!format!("{invite:?}").is_empty());
}
