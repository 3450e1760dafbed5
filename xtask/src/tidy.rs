//! `cargo xtask tidy`: the rules of the repository that no compiler checks.
//!
//! Each check is a function from text to findings, so that its tests need no repository. All of
//! them run and all findings are shown; warnings fail nothing.

mod documents;
mod machines;
mod manifests;
mod named;
mod quickstart;
mod source;
mod words;

use std::path::{Path, PathBuf};

use crate::workspace::{self, Workspace};
use crate::{Outcome, only, out};

/// Checks everything; `--fix` first copies the quick start into the README.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &["--fix"])?;
    if !arguments.is_empty() {
        quickstart::fix()?;
    }
    let files = Files::load()?;
    let workspace = Workspace::load()?;
    let mut report = Report::default();
    source::check(&files, &mut report);
    words::check(&files, &mut report);
    documents::check(&files, &mut report);
    named::check(&files, &mut report);
    quickstart::check(&files, &mut report);
    manifests::check(&files, &workspace, &mut report);
    machines::check(&files, &workspace, &mut report)?;
    report.close(files.0.len())
}

/// Every text file of the repository, by its path from the root.
struct Files(Vec<(PathBuf, String)>);

impl Files {
    fn load() -> Outcome<Self> {
        let mut files = Vec::new();
        for path in workspace::files()? {
            let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((path, text));
            }
        }
        Ok(Self(files))
    }

    /// The files whose name ends so.
    fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a Path, &'a str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.to_string_lossy().ends_with(end))
            .map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// The text of one file.
    fn text(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == Path::new(path)).map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
impl Files {
    fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect())
    }
}

/// What the checks found.
#[derive(Debug, Default)]
struct Report {
    failures: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    fn fail(&mut self, path: impl AsRef<Path>, what: impl std::fmt::Display) {
        self.failures.push(format!("{}: {what}", path.as_ref().display()));
    }

    fn warn(&mut self, path: impl AsRef<Path>, what: impl std::fmt::Display) {
        self.warnings.push(format!("{}: {what}", path.as_ref().display()));
    }

    /// What the growing workspace lacks: a failure once it has stopped growing.
    fn lacks(&mut self, path: impl AsRef<Path>, what: impl std::fmt::Display) {
        if crate::machines::GROWING {
            self.warn(path, format!("{what} (yet)"));
        } else {
            self.fail(path, what);
        }
    }

    fn close(self, files: usize) -> Outcome {
        self.warnings.iter().for_each(|warning| out::warning(warning));
        self.failures.iter().for_each(|failure| out::error(failure));
        let Self { failures, warnings } = self;
        let counts = format!("{files} files, {} failures, {} warnings", failures.len(), warnings.len());
        out::line(&counts);
        if failures.is_empty() { Ok(()) } else { Err(counts) }
    }
}
