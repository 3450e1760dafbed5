//! The quick start that the README shows is the example that CI runs.
//!
//! The README holds it between two markers; the example's own opening `//!` lines are left out.

use std::path::Path;

use super::{Files, Report};
use crate::{Outcome, workspace};

const README: &str = "README.md";
const EXAMPLE: &str = "crates/quorate/examples/quickstart.rs";
const START: &str = "<!-- quickstart -->\n";
const END: &str = "<!-- /quickstart -->";

pub(super) fn check(files: &Files, report: &mut Report) {
    let Some(readme) = files.text(README) else { return report.fail(README, "is missing") };
    let Some(example) = files.text(EXAMPLE) else { return report.lacks(EXAMPLE, "there is no quick start") };
    match between(readme) {
        Some(shown) if shown == snippet(example) => {}
        Some(_) => report.fail(README, format!("its quick start is not {EXAMPLE}: `cargo xtask tidy --fix`")),
        None => report.fail(README, "has no quick start between its markers"),
    }
}

/// Copies the example into the README.
pub(super) fn fix() -> Outcome {
    let readme = workspace::read(Path::new(README))?;
    let example = workspace::read(Path::new(EXAMPLE))?;
    let shown = between(&readme).ok_or("the README has no markers for its quick start")?;
    let fixed =
        readme.replace(&format!("{START}{shown}{END}"), &format!("{START}{}{END}", snippet(&example)));
    std::fs::write(README, fixed).map_err(|error| format!("{README}: {error}"))
}

/// What stands between the markers.
fn between(readme: &str) -> Option<&str> {
    readme.split_once(START)?.1.split_once(END).map(|(shown, _)| shown)
}

/// The example as the README shows it.
fn snippet(example: &str) -> String {
    let code: Vec<_> = example.lines().skip_while(|line| line.starts_with("//!")).collect();
    format!("```rust\n{}\n```\n", code.join("\n").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str =
        "//! The quick start.\n//!\n//! cargo run --example quickstart\n\nfn main() {\n    run();\n}\n";
    const SHOWN: &str = "```rust\nfn main() {\n    run();\n}\n```\n";

    fn failures(readme: &str) -> usize {
        let mut report = Report::default();
        check(&Files::of(&[(README, readme), (EXAMPLE, CODE)]), &mut report);
        report.failures.len()
    }

    #[test]
    fn the_same_code_passes_and_one_changed_letter_fails() {
        let readme = format!("# Q\n\n{START}{SHOWN}{END}\n\nmore\n");
        assert_eq!(failures(&readme), 0);
        assert_eq!(failures(&readme.replace("run()", "ran()")), 1);
    }

    #[test]
    fn a_readme_without_markers_fails() {
        assert_eq!(failures(SHOWN), 1);
        assert_eq!(failures(&format!("{START}{SHOWN}")), 1);
    }
}
