//! The seed's connect info from any text: what is read is written back as the same text.

use quorate_query::ConnectInfo;

/// Any text is a connect info or an error.
pub fn connect_info(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(info) = text.parse::<ConnectInfo>() else { return };
    let written = info.to_string();
    assert_eq!(written, text.trim().to_lowercase(), "one text per value");
    assert_eq!(written.parse(), Ok(info));
}
