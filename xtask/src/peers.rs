//! `cargo xtask peers`: our code against the published software of others, in `tests/peers/NAME`.
//!
//! Each folder there is a cargo workspace of its own, with its own lock file: what the peers depend on
//! never reaches our tree. Its tests run optimised; its program `bench` is run by
//! `cargo xtask bench --peers NAME`. A `package.json` in it names npm packages, which are installed first.
//! Not part of `ci`: some of them build for many minutes.

use std::path::{Path, PathBuf};

use crate::process::Program;
use crate::test::Count;
use crate::{Outcome, out};

const FOLDER: &str = "tests/peers";

/// Runs the tests of the named peers, or of all; what stands behind `--` goes to the test runner.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (names, filters) = split(arguments);
    let mut count = Count::default();
    for peer in chosen(names)? {
        peer.install()?;
        let program = peer.cargo("test --release --workspace --no-fail-fast");
        let program = filters.iter().fold(program.arg("--"), |program, filter| program.arg(filter));
        let mut ran = Count::default();
        let outcome = program.run_and_read(|line| {
            ran.add(line);
            true
        });
        count += &ran;
        out::line(&format!("{}: {ran}", peer.name));
        outcome?;
        if ran.is_empty() {
            return Err(format!("no test of {} ran", peer.name));
        }
    }
    out::line(&count.to_string());
    Ok(())
}

/// Runs the program `bench` of the named peers, or of all; what stands behind `--` goes to it.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    let (names, options) = split(arguments);
    for peer in chosen(names)? {
        peer.install()?;
        let program = peer.cargo("run --release --bin bench").arg("--");
        options.iter().fold(program, |program, option| program.arg(option)).run()?;
    }
    Ok(())
}

/// A folder with somebody else's software in it.
#[derive(Debug, PartialEq)]
struct Peer {
    name: String,
    folder: PathBuf,
}

impl Peer {
    /// Whether `name` is its name, or what stands behind a hyphen in it: `sds` is `waku-sds`.
    fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.name.strip_suffix(name).is_some_and(|before| before.ends_with('-'))
    }

    /// Installs the npm packages, where the folder asks for any.
    fn install(&self) -> Outcome {
        if !self.folder.join("package.json").is_file() {
            return Ok(());
        }
        if !Program::new("npm").arg("--version").succeeds() {
            return Err(format!("{} needs npm, which is not on this machine", self.folder.display()));
        }
        Program::new("npm").args("install --no-audit --no-fund --prefix").arg(self.path()).run()
    }

    /// `cargo COMMAND` in the peer's workspace.
    fn cargo(&self, command: &str) -> Program {
        let (verb, options) = command.split_once(' ').unwrap_or((command, ""));
        let manifest = self.folder.join("Cargo.toml").display().to_string();
        Program::cargo().args(verb).arg("--manifest-path").arg(manifest).args(options)
    }

    fn path(&self) -> String {
        self.folder.display().to_string()
    }
}

/// The peers of those names, or all of them.
fn chosen(names: &[String]) -> Outcome<Vec<Peer>> {
    let known = peers(Path::new(FOLDER))?;
    if let Some(unknown) = names.iter().find(|name| !known.iter().any(|peer| peer.answers_to(name))) {
        let known: Vec<_> = known.iter().map(|peer| peer.name.as_str()).collect();
        return Err(format!("no peer `{unknown}` in {FOLDER}; there are: {}", known.join(" ")));
    }
    Ok(known
        .into_iter()
        .filter(|peer| names.is_empty() || names.iter().any(|name| peer.answers_to(name)))
        .collect())
}

/// Every folder with a manifest, by name.
fn peers(folder: &Path) -> Outcome<Vec<Peer>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut peers: Vec<_> = folders
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .filter_map(|folder| Some(Peer { name: folder.file_name()?.to_str()?.to_owned(), folder }))
        .collect();
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(peers)
}

/// What stands before `--` and what stands behind it.
fn split(arguments: &[String]) -> (&[String], &[String]) {
    match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_stands_behind_two_hyphens_is_not_a_name() {
        let arguments = words(&["kitsune2", "--", "live", "--nocapture"]);
        assert_eq!(split(&arguments), (&words(&["kitsune2"])[..], &words(&["live", "--nocapture"])[..]));
        assert_eq!(split(&words(&["a", "b"])), (&words(&["a", "b"])[..], &[][..]));
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_peer() {
        // Beside this package's manifest stands `src`, above it stand this package and the one of the suites.
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let names =
            |folder| peers(folder).map(|peers| peers.into_iter().map(|peer| peer.name).collect::<Vec<_>>());
        assert_eq!(names(package), Ok(vec![]));
        let above = package.parent().map(names);
        assert!(above.is_some_and(|names| names == Ok(vec!["tests".to_owned(), "xtask".to_owned()])));
        assert_eq!(peers(Path::new("no-such-folder")), Ok(Vec::new()));
    }

    #[test]
    fn an_unknown_peer_is_named() {
        assert!(chosen(&words(&["no-such-peer"])).is_err_and(|reason| reason.contains("no-such-peer")));
    }
}
