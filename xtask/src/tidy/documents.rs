//! Pages: links lead somewhere, every page is in the book, and the README has its two commands.

use std::path::{Component, Path, PathBuf};

use super::{Files, Report};

/// The commands that the README shows a newcomer, at the start of a line behind `$ `.
const COMMANDS: &[&str] = &["cargo run --release -p quorate-cli -- demo", "cargo xtask ci"];

pub(super) fn check(files: &Files, report: &mut Report) {
    for (page, text) in files.ending(".md") {
        for target in links(text) {
            if !exists(files, page, target) {
                report.fail(page, format!("the link `{target}` leads nowhere"));
            }
        }
    }
    book(files, report);
    protos(files, report);
    readme(files, report);
    let changes = files.text("CHANGELOG.md").unwrap_or_default();
    if !changes.lines().any(|line| line.starts_with("## [Unreleased]")) {
        report.fail("CHANGELOG.md", "has no heading `## [Unreleased]`");
    }
}

/// Every page under `docs` is in `SUMMARY.md`: mdBook leaves out what is not.
fn book(files: &Files, report: &mut Report) {
    let summary = files.text("docs/SUMMARY.md").unwrap_or_default();
    let listed: Vec<PathBuf> =
        links(summary).map(|target| resolve(Path::new("docs/SUMMARY.md"), target)).collect();
    let pages = files.ending(".md").map(|(path, _)| path).filter(|path| path.starts_with("docs"));
    for page in pages.filter(|page| !page.ends_with("SUMMARY.md")) {
        if !listed.iter().any(|listed| listed == page) {
            report.fail(page, "is not in docs/SUMMARY.md");
        }
    }
}

/// Every `.proto` file is named by a page that explains it.
fn protos(files: &Files, report: &mut Report) {
    for (proto, _) in files.ending(".proto").filter(|(path, _)| path.starts_with("docs")) {
        let name = proto.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !files.ending(".md").any(|(page, text)| page.starts_with("docs") && text.contains(&name)) {
            report.fail(proto, "no page under docs mentions it");
        }
    }
}

fn readme(files: &Files, report: &mut Report) {
    let text = files.text("README.md").unwrap_or_default();
    let shown: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    for command in COMMANDS {
        if !shown.iter().any(|line| line.starts_with(command)) {
            report.fail("README.md", format!("does not show `$ {command}` on a line of its own"));
        }
    }
}

/// The targets of the relative links of a page, code left out.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    let prose = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    prose.flat_map(links_of_line).filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

fn links_of_line(line: &str) -> impl Iterator<Item = &str> {
    // Every second piece between backquotes is code.
    line.split('`').step_by(2).flat_map(|prose| {
        prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', ' ']).next())
            .filter(|target| !target.is_empty())
    })
    // A link whose text is code is cut in two by the split above; its target still follows `](`.
}

fn exists(files: &Files, page: &Path, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.to_owned() } else { resolve(page, file) };
    let text = path.to_str().and_then(|path| files.text(path));
    match (text, anchor) {
        (Some(text), Some(anchor)) => anchors(text).any(|known| known == anchor),
        (Some(_), None) => true,
        (None, _) => path.as_os_str().is_empty() || files.0.iter().any(|(known, _)| known.starts_with(&path)),
    }
}

/// The anchors that the headings of a page get: lower case, blanks as hyphens, punctuation left out.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// The path that a link of `page` means, from the root.
fn resolve(page: &Path, target: &str) -> PathBuf {
    let mut path = page.parent().map(Path::to_owned).unwrap_or_default();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir if path.pop() => {}
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(files: &[(&str, &str)], check: fn(&Files, &mut Report)) -> Vec<String> {
        let mut report = Report::default();
        check(&Files::of(files), &mut report);
        report.failures
    }

    fn dead_links(text: &str) -> usize {
        let files = [
            ("docs/a.md", text),
            ("docs/specs/b.md", "# A heading: two, three\n"),
            ("README.md", ""),
            ("crates/base/src/lib.rs", ""),
        ];
        failures(&files, check).iter().filter(|failure| failure.contains("leads nowhere")).count()
    }

    #[test]
    fn a_link_to_a_file_a_folder_or_a_heading_is_found() {
        for link in
            ["specs/b.md", "./specs/b.md", "../README.md", "../crates/base", "specs/b.md#a-heading-two-three"]
        {
            assert_eq!(dead_links(&format!("See [it]({link}).")), 0, "{link}");
        }
        assert_eq!(
            dead_links("# Here\n[down](#here) [away](https://example.org/x) [title](specs/b.md \"B\")"),
            0
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_failure() {
        for link in ["specs/c.md", "specs/b.md#a-heading", "#nowhere", "../../README.md", "/README.md"] {
            assert_eq!(dead_links(&format!("See [it]({link}).")), 1, "{link}");
        }
        assert_eq!(dead_links("[`code`](nowhere.md) and [two](specs/c.md)"), 2);
    }

    #[test]
    fn what_stands_in_code_is_no_link() {
        assert_eq!(dead_links("`a[i](x.md)`\n```rust\nlet a = b[0](c);\n```\n"), 0);
    }

    #[test]
    fn a_page_that_the_book_leaves_out_is_a_failure() {
        let summary = ("docs/SUMMARY.md", "- [A](a.md)\n");
        assert_eq!(failures(&[summary, ("docs/a.md", "")], book).len(), 0);
        assert_eq!(failures(&[summary, ("docs/a.md", ""), ("docs/b.md", "")], book).len(), 1);
    }

    #[test]
    fn a_proto_that_no_page_mentions_is_a_failure() {
        let proto = ("docs/specs/frame.proto", "");
        assert_eq!(failures(&[proto, ("docs/specs/wire.md", "see `frame.proto`")], protos).len(), 0);
        assert_eq!(failures(&[proto, ("README.md", "frame.proto")], protos).len(), 1);
    }

    #[test]
    fn the_readme_shows_both_commands() {
        let both = "$ cargo run --release -p quorate-cli -- demo\n$ cargo xtask ci\n";
        assert_eq!(failures(&[("README.md", both)], readme).len(), 0);
        assert_eq!(failures(&[("README.md", "$ cargo xtask ci\n")], readme).len(), 1);
    }
}
