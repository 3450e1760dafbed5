//! Manifests: dependencies stand in the root, each with a reason, and all of them are used.

use super::{Files, Report};
use crate::workspace::Workspace;

pub(super) fn check(files: &Files, workspace: &Workspace, report: &mut Report) {
    let Some(root) = files.text("Cargo.toml") else { return report.fail("Cargo.toml", "is missing") };
    let mut members = Vec::new();
    for package in &workspace.packages {
        let path = package.folder.join("Cargo.toml");
        let Some(text) = files.text(&path.to_string_lossy()) else { continue };
        inherits(text).into_iter().for_each(|finding| report.fail(&path, finding));
        members.push(text);
    }
    for entry in entries(root) {
        if !entry.explained {
            report.fail(
                "Cargo.toml",
                format!("`{}` has no comment above it that says why it is there", entry.name),
            );
        }
        if !members.iter().any(|member| uses(member, entry.name)) {
            report.lacks("Cargo.toml", format!("no member uses `{}`", entry.name));
        }
    }
}

/// A line of `[workspace.dependencies]`.
#[derive(Debug, PartialEq)]
struct Entry<'a> {
    name: &'a str,
    /// Whether a comment stands above it. Our own crates, which stand together, share one.
    explained: bool,
}

fn entries(root: &str) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let (mut comment, mut ours) = (false, false);
    for line in section(root, "[workspace.dependencies]") {
        if line.starts_with('#') {
            comment = true;
        } else if line.trim().is_empty() {
            (comment, ours) = (false, false);
        } else if let Some((name, value)) = assignment(line) {
            let own = value.contains("path =");
            entries.push(Entry { name, explained: comment || (own && ours) });
            (comment, ours) = (false, own && (comment || ours));
        }
    }
    entries
}

/// What a member's manifest says itself instead of taking it from the root.
fn inherits(member: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if section(member, "[lints]").all(|line| line.trim() != "workspace = true") {
        findings.push("does not have `[lints] workspace = true`".to_owned());
    }
    for heading in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
        for (name, value) in section(member, heading).filter_map(assignment) {
            if !name.ends_with(".workspace") && !value.contains("workspace = true") {
                findings.push(format!("`{name}` does not come from the root (`{name}.workspace = true`)"));
            }
        }
    }
    findings
}

/// Whether a member's manifest takes `name` from the root.
fn uses(member: &str, name: &str) -> bool {
    member.lines().filter_map(assignment).any(|(key, value)| {
        key.strip_suffix(".workspace") == Some(name) || (key == name && value.contains("workspace = true"))
    })
}

/// The lines of a table, up to the next heading.
fn section<'a>(manifest: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    manifest
        .lines()
        .skip_while(move |line| line.trim() != heading)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

/// Key and value of a line that starts an assignment; `None` for comments and for what continues one.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim_end();
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    is_key.then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace]\n\n[workspace.dependencies]\n# Our own crates.\na = { path = \"a\" }\nb = { path = \"b\" }\nc = \"1\"\n\n# Why.\nd = \"1\"\ne = \"1\"\n\nf = { version = \"1\", features = [\n  \"x\",\n] }\n\n[profile.dev]\ndebug = 1\n";

    #[test]
    fn every_entry_but_our_own_needs_its_own_comment() {
        let explained: Vec<_> =
            entries(ROOT).into_iter().map(|entry| (entry.name, entry.explained)).collect();
        let expected = [("a", true), ("b", true), ("c", false), ("d", true), ("e", false), ("f", false)];
        assert_eq!(explained, expected);
    }

    #[test]
    fn use_is_seen_in_both_spellings_and_in_nothing_else() {
        let member = "[dependencies]\nd.workspace = true\ne = { workspace = true, optional = true }\n# f.workspace = true\nff.workspace = true\n";
        assert!(uses(member, "d") && uses(member, "e"));
        assert!(!uses(member, "f") && !uses(member, "workspace"));
    }

    #[test]
    fn a_member_with_a_version_of_its_own_or_without_lints_is_told() {
        let good = "[dependencies]\nd.workspace = true\n\n[dev-dependencies]\ne = { workspace = true }\n\n[lints]\nworkspace = true\n";
        assert_eq!(inherits(good), Vec::<String>::new());
        assert_eq!(inherits(&good.replace("d.workspace = true", "d = \"1\"")).len(), 1);
        assert_eq!(inherits(&good.replace("[lints]\nworkspace = true", "")).len(), 1);
    }
}
