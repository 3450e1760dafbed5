//! The seed's connect info from any text, and from any payload under a checksum that holds: what is read can be written and read again.

use super::sealed;
use quorate_query::{ConnectInfo, ConnectInfoError};

/// Any bytes are a connect info or an error, as text and as payload.
pub fn connect_info(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        // Hardly any text has a right checksum; one that has is checked, the others are refused.
        let _ = check(text);
    }
    let sealed = check(&sealed("fed1", input));
    assert!(!matches!(sealed, Err(ConnectInfoError::Text(_))), "the text is right: {sealed:?}");
}

fn check(text: &str) -> Result<(), ConnectInfoError> {
    let info = text.parse::<ConnectInfo>()?;
    assert_eq!(info.to_string().parse(), Ok(info), "what was read can be written");
    Ok(())
}
