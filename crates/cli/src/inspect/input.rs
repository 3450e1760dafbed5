//! Where the bytes come from: the command line, a file, standard input.

use crate::exit::Failure;
use bytes::Bytes;
use data_encoding::HEXLOWER_PERMISSIVE;
use std::io::Read;
use std::path::Path;

/// The most bytes that are read: more than any frame.
const MAX: u64 = 256 << 20;

/// The bytes of an argument. Digits are digits, even where a file is called so (`./cafe` is that file).
pub(super) fn read(argument: &str) -> Result<Bytes, Failure> {
    if argument == "-" {
        let read = read_all(std::io::stdin().lock(), "standard input")?;
        return Ok(from_text(&read).unwrap_or(read));
    }
    if let Some(bytes) = hex(argument) {
        return Ok(bytes);
    }
    let path = Path::new(argument);
    match std::fs::File::open(path) {
        Ok(file) => {
            let read = read_all(file, argument)?;
            Ok(from_text(&read).unwrap_or(read))
        }
        Err(error) if looks_like_hex(argument) => Err(Failure::usage(format!(
            "{argument}: an odd number of hexadecimal digits, and no file: {error}"
        ))),
        Err(error) => Err(Failure::usage(format!("{argument}: no hexadecimal digits, and no file: {error}"))),
    }
}

fn read_all(source: impl Read, name: &str) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    let read = source.take(MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    if bytes.len() as u64 > MAX {
        return Err(Failure::usage(format!("{name}: more than {MAX} bytes")));
    }
    Ok(bytes.into())
}

/// Text that is nothing but hexadecimal digits and white space.
fn from_text(bytes: &[u8]) -> Option<Bytes> {
    std::str::from_utf8(bytes).ok().and_then(hex)
}

fn hex(text: &str) -> Option<Bytes> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let decoded = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    (!decoded.is_empty()).then(|| decoded.into())
}

fn looks_like_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit() || c.is_whitespace())
}
