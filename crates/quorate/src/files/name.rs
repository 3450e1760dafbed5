//! Turns a file name from a stranger into one that is safe to create in a folder.
//!
//! The rule: what comes out is one plain path component on every platform, however hostile what
//! went in. It is the same on every platform, so that a folder on a memory stick behaves alike.

use super::home::HOME_NAME;
use super::manifest::MAX_NAME;

/// The longest extension that a cut name keeps, in bytes, its dot included.
const MAX_EXTENSION: usize = 32;

/// The names that Windows gives to devices, with any extension and in any case.
///
/// Beside them stand `com` and `lpt` with one digit, superscript digits included.
const RESERVED: [&str; 7] = ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// Why a name cannot be used at all. The sender is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing is left of it, or it is `.` or `..`.
    #[error("the name is empty or stands for a folder")]
    Empty,
    /// It is the name under which the receiver keeps its own state.
    #[error("the name is taken by the receiver's own state")]
    Taken,
}

/// A name that is safe to create: one component of at most [`MAX_NAME`] bytes.
///
/// Of a path only the last component counts, whatever separator it was written with. Control
/// characters, characters that hide or reorder text, and those that Windows forbids (`<>:"|?*`)
/// become `_`; spaces at either end and dots at the end go; a device name gets a `_` before it; a
/// name that is too long is cut before its extension.
///
/// ```
/// use quorate::files::name::clean_name;
/// assert_eq!(clean_name("../../etc/passwd").as_deref(), Ok("passwd"));
/// assert_eq!(clean_name("C:\\secret\\NUL.txt").as_deref(), Ok("_NUL.txt"));
/// assert!(clean_name("..").is_err());
/// ```
pub fn clean_name(name: &str) -> Result<String, NameError> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or("");
    let replaced: String = last.chars().map(|c| if is_unwanted(c) { '_' } else { c }).collect();
    let trimmed = trim(&replaced);
    if trimmed.is_empty() {
        return Err(NameError::Empty);
    }
    if trimmed.eq_ignore_ascii_case(HOME_NAME) {
        return Err(NameError::Taken);
    }
    let prefixed = if is_reserved(trimmed) { format!("_{trimmed}") } else { trimmed.to_owned() };
    Ok(fit(&prefixed, ""))
}

/// The name with a number before its extension: `a.txt` and 2 give `a (2).txt`; 0 gives it unchanged.
///
/// `name` is one that [`clean_name`] made; the result is as safe, and at most [`MAX_NAME`] bytes.
pub fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    fit(name, &format!(" ({number})"))
}

/// A name cut to [`MAX_NAME`] bytes before its extension, for a manifest; nothing else is changed.
pub(super) fn cut(name: &str) -> String {
    if name.len() <= MAX_NAME { name.to_owned() } else { fit(name, "") }
}

fn is_unwanted(c: char) -> bool {
    // Format characters are invisible or reorder what is shown: `gpj.exe` can look like `exe.jpg`.
    let hides = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    hides || c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '/' | '\\')
}

/// Without white space at either end, and without dots at the end (Windows drops both).
fn trim(name: &str) -> &str {
    name.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

fn is_reserved(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or("").trim_end().to_lowercase();
    let digitless = base.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³'));
    let ports = matches!(digitless, "com" | "lpt") && base.chars().count() == 4;
    ports || RESERVED.contains(&base.as_str())
}

/// `stem`, `suffix` and extension of `name`, the stem (or what has to be) cut to [`MAX_NAME`] bytes.
fn fit(name: &str, suffix: &str) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION => name.split_at(dot),
        _ => (name, ""),
    };
    let room = MAX_NAME.saturating_sub(suffix.len() + extension.len());
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    let joined = format!("{}{suffix}{extension}", &stem[..end]);
    trim(&joined).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    fn clean(name: &str) -> String {
        clean_name(name).unwrap()
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["a", "a.txt", "archive.tar.gz", "-rf", ".profile", "Größe (1).pdf", "日本語.txt", "a b"]
        {
            assert_eq!(clean(name), name);
        }
    }

    #[test]
    fn of_a_path_only_the_last_component_counts() {
        for path in ["/etc/passwd", "../../passwd", "C:\\x\\passwd", "a/../passwd", "\\\\host\\share\\passwd"]
        {
            assert_eq!(clean(path), "passwd");
        }
    }

    #[test]
    fn names_that_mean_something_else_to_a_file_system_are_changed() {
        for (name, expected) in [
            ("a\0b", "a_b"),
            ("a\nb\u{1b}[2J", "a_b_[2J"),
            ("C:evil", "C_evil"),
            ("a.txt:stream", "a.txt_stream"),
            ("what?.txt", "what_.txt"),
            ("  a.txt. . ", "a.txt"),
            ("nul", "_nul"),
            ("CON.txt", "_CON.txt"),
            ("com1", "_com1"),
            ("LPT².log", "_LPT².log"),
            ("com10", "com10"),
            ("console", "console"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
        ] {
            assert_eq!(clean(name), expected);
        }
    }

    #[test]
    fn names_that_leave_nothing_or_are_ours_are_refused() {
        for name in ["", ".", "..", "...", "a/", "a/..", "   ", ". .", "\\"] {
            assert_eq!(clean_name(name), Err(NameError::Empty));
        }
        for name in [".quorate", ".QUORATE", "x/.quorate", ".quorate. "] {
            assert_eq!(clean_name(name), Err(NameError::Taken));
        }
    }

    #[test]
    fn a_long_name_is_cut_before_its_extension_and_on_a_character() {
        let name = clean(&format!("{}.tar.gz", "ö".repeat(200)));
        assert!(name.ends_with("ö.gz") && name.len() <= MAX_NAME && name.len() > MAX_NAME - 2);
        let second = numbered(&name, 12);
        assert!(second.ends_with("ö (12).gz") && second.len() <= MAX_NAME);
        assert_eq!(clean(&format!("a.{}", "x".repeat(400))).len(), MAX_NAME);
    }

    #[test]
    fn a_number_stands_before_the_extension() {
        assert_eq!(numbered("a.txt", 0), "a.txt");
        assert_eq!(numbered("a.txt", 1), "a (1).txt");
        assert_eq!(numbered(".profile", 3), ".profile (3)");
        assert_eq!(numbered("noext", 10), "noext (10)");
    }

    proptest! {
        #[test]
        fn what_comes_out_is_one_plain_component(
            name in r#"(\PC|[./\\:\x00-\x20"\u{202e}]|\.quorate|nul|com1|\.\.){0,300}"#,
            number: u32,
        ) {
            let Ok(cleaned) = clean_name(&name) else { return Ok(()) };
            for name in [cleaned.clone(), numbered(&cleaned, number)] {
                let components: Vec<_> = Path::new(&name).components().collect();
                prop_assert!(matches!(components[..], [Component::Normal(only)] if only == name.as_str()));
                prop_assert!(name.len() <= MAX_NAME && !name.chars().any(is_unwanted));
                prop_assert!(!name.ends_with(['.', ' ']) && !name.eq_ignore_ascii_case(HOME_NAME));
                prop_assert!(!is_reserved(&name));
            }
            prop_assert_eq!(clean_name(&cleaned), Ok(cleaned.clone()));
        }
    }
}
