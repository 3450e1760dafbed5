//! Rust files: each opens with what it is, stays short, and none is called `mod.rs`.

use std::path::Path;

use super::{Files, Report};

/// Past this length a file needs a seam.
const SEAM: usize = 600;
/// No file outside tests is longer.
const MAX: usize = 1_000;

pub(super) fn check(files: &Files, report: &mut Report) {
    for (path, text) in files.ending(".rs") {
        if !text.starts_with("//!") {
            report.fail(path, "does not open with `//!`");
        }
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            report.fail(path, "`mod.rs`: name it after its folder, beside it");
        }
        let lines = text.lines().count();
        if !is_test(path) && lines > MAX {
            report.fail(path, format!("{lines} lines, more than {MAX}"));
        } else if !is_test(path) && lines > SEAM {
            report.warn(path, format!("{lines} lines: look for a seam"));
        }
    }
}

/// Whether the whole file is tests.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(path: &str, text: &str) -> Report {
        let mut report = Report::default();
        check(&Files::of(&[(path, text)]), &mut report);
        report
    }

    #[test]
    fn a_file_that_does_not_say_what_it_is_fails() {
        assert_eq!(report("src/a.rs", "//! What it is.\n").failures.len(), 0);
        assert_eq!(report("src/a.rs", "// What it is.\n").failures.len(), 1);
        assert_eq!(report("src/a.rs", "").failures.len(), 1);
    }

    #[test]
    fn a_mod_rs_fails() {
        assert_eq!(report("src/a/mod.rs", "//! A.\n").failures.len(), 1);
        assert_eq!(report("src/a/amod.rs", "//! A.\n").failures.len(), 0);
    }

    #[test]
    fn length_warns_and_then_fails_but_not_in_tests() {
        let of = |lines: usize| format!("//! Long.\n{}", "\n".repeat(lines - 1));
        let findings = |path, lines| {
            let report = report(path, &of(lines));
            (report.warnings.len(), report.failures.len())
        };
        assert_eq!(findings("src/a.rs", 600), (0, 0));
        assert_eq!(findings("src/a.rs", 601), (1, 0));
        assert_eq!(findings("src/a.rs", 1_001), (0, 1));
        assert_eq!(findings("src/a/tests.rs", 1_001), (0, 0));
        assert_eq!(findings("tests/a.rs", 1_001), (0, 0));
    }
}
