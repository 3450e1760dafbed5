//! Words that belong to somebody's machine, not to the repository.
//!
//! Paths of the machine where a file was written and the hosts that a package client talks to get
//! in by pasted output; neither means anything to a reader.

use super::{Files, Report};

/// Written in two pieces, so that this file holds none of them.
const FORBIDDEN: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp", "/target"),
    concat!("../sha", "red"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.npmjs", ".org"),
    concat!("files.pythonhosted", ".org"),
    concat!("deb.debian", ".org"),
];

pub(super) fn check(files: &Files, report: &mut Report) {
    for (path, text) in &files.0 {
        for (number, line) in (1..).zip(text.lines()) {
            for word in FORBIDDEN.iter().filter(|word| holds(line, word)) {
                report.fail(path, format!("line {number}: `{word}` names somebody's machine"));
            }
        }
    }
}

/// Whether `line` holds `word`, and for an absolute path not as the middle of another path.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !(word.starts_with('/')
            && before.is_some_and(|before| before.is_alphanumeric() || "._-}".contains(before)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(text: &str) -> usize {
        let mut report = Report::default();
        check(&Files::of(&[("docs/a.md", text)]), &mut report);
        report.failures.len()
    }

    #[test]
    fn a_path_of_a_machine_fails_wherever_it_stands() {
        for word in FORBIDDEN {
            assert_eq!(failures(&format!("first line\nsee {word}x\n")), 1, "{word}");
            assert_eq!(failures(&format!("`{word}x`")), 1, "{word}");
        }
    }

    #[test]
    fn a_relative_path_with_such_a_folder_is_fine() {
        assert_eq!(failures(concat!("docs/wo", "rk/plan.md and at ./net", "wo", "rk/")), 0);
    }
}
