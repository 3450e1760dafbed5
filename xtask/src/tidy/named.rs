//! Names in pages: what a page names as a test, a function or a field exists. Tests are renamed, and pages forget it.

use super::{Files, Report};
use std::collections::BTreeSet;
use std::path::Path;

/// So many underscores make a sentence, as tests are named here; functions of others that a page speaks of have fewer.
const LEAST: usize = 4;

pub(super) fn check(files: &Files, report: &mut Report) {
    let words: BTreeSet<&str> = files.ending(".rs").flat_map(|(path, text)| names(path, text)).collect();
    for (page, text) in files.ending(".md").filter(|(page, _)| page.starts_with("docs")) {
        for named in text.split('`').skip(1).step_by(2).filter_map(name_of) {
            let exists = match named.strip_suffix('…') {
                Some(start) => words.range(start..).next().is_some_and(|word| word.starts_with(start)),
                None => words.contains(named),
            };
            if !exists {
                report.fail(page, format!("`{named}` is the name of nothing"));
            }
        }
    }
}

/// The words of a source file, and what it is called: a file of tests is named like one.
fn names<'a>(path: &'a Path, text: &'a str) -> impl Iterator<Item = &'a str> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    text.split(|c: char| !is_part(c)).chain(stem).filter(|word| is_long(word))
}

/// The name that a piece of code in a page is, behind whatever says where it stands (`world: a_name_like_this`).
fn name_of(code: &str) -> Option<&str> {
    let name = code.rsplit([' ', '/']).next()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    let plain = name.strip_suffix('…').unwrap_or(name);
    (plain.chars().all(is_part) && is_long(plain)).then_some(name)
}

fn is_part(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

fn is_long(word: &str) -> bool {
    word.matches('_').count() >= LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(page: &str) -> usize {
        let source = ("crates/a/src/lib.rs", "fn the_tests_that_there_are() {}");
        let file = ("tests/tests/a/a_file_that_is_a_test.rs", "");
        let mut report = Report::default();
        check(&Files::of(&[source, file, ("docs/a.md", page)]), &mut report);
        report.failures.len()
    }

    #[test]
    fn a_name_that_exists_is_found_by_its_function_its_file_or_its_beginning() {
        for page in [
            "`the_tests_that_there_are`",
            "`world: a_file_that_is_a_test` and `tests/tests/a/a_file_that_is_a_test.rs`",
            "`the_tests_that_there_…`",
            "a short `file_name`, prose_that_is_not_code",
        ] {
            assert_eq!(failures(page), 0, "{page}");
        }
    }

    #[test]
    fn a_name_of_nothing_is_a_failure() {
        assert_eq!(failures("`a_test_that_was_renamed`, `live:` `another_one_that_was_too`"), 2);
        assert_eq!(failures("`the_tests_that_were_…`"), 1);
    }
}
