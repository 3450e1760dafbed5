//! Fields as lines, and bytes as words.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

/// The most bytes that are shown.
const SHOWN: usize = 256;

/// Bytes: as text where they are that, else as hexadecimal digits; of many only the first, and how many there are.
pub(super) fn data(bytes: &[u8]) -> Value {
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty() && text.chars().all(is_shown));
    match text {
        Some(text) if bytes.len() <= SHOWN => json!({ "bytes": bytes.len(), "text": text }),
        _ if bytes.is_empty() => json!({ "bytes": 0 }),
        _ => json!({ "bytes": bytes.len(), "hex": HEXLOWER.encode(shown) }),
    }
}

fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line for each field, what belongs to one behind it, further in.
pub(super) fn fields(value: &Value, depth: usize) -> Vec<String> {
    let indent = "  ".repeat(depth);
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (format!("[{at}]"), item)).collect(),
        _ => return vec![format!("{indent}{value}")],
    };
    let mut lines = Vec::new();
    for (name, value) in entries {
        if is_short(value) {
            lines.push(format!("{indent}{name}: {value}"));
        } else {
            lines.push(format!("{indent}{name}:"));
            lines.extend(fields(value, depth + 1));
        }
    }
    lines
}

/// Whether a value fits on its field's line.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.iter().all(|item| item.is_number() || item.is_string()),
        _ => true,
    }
}
