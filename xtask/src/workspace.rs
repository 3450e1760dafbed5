//! What the workspace holds, as cargo tells it.
//!
//! Discovered, never listed: a new crate, bench or example is in every command at once.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Outcome;
use crate::process::Program;

/// The members of the workspace, in the order of their names.
pub(crate) struct Workspace {
    /// All members, xtask included.
    pub(crate) packages: Vec<Package>,
}

/// One member.
pub(crate) struct Package {
    /// As in `cargo -p NAME`.
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: PathBuf,
    /// Its features, `default` included where it has one.
    pub(crate) features: Vec<String>,
    /// Libraries, binaries, examples, tests and benches.
    pub(crate) targets: Vec<Target>,
}

/// A thing that cargo builds.
pub(crate) struct Target {
    /// As in `--example NAME`.
    pub(crate) name: String,
    /// `lib`, `bin`, `example`, `test`, `bench` or `custom-build`.
    pub(crate) kind: String,
    /// The root file, relative to the root.
    pub(crate) source: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Outcome<Self> {
        let text = Program::cargo().args("metadata --format-version 1 --no-deps").output()?;
        let metadata: Value =
            serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
        let root = PathBuf::from(string(&metadata["workspace_root"]));
        let mut packages: Vec<_> = list(&metadata["packages"]).map(|value| package(value, &root)).collect();
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        if packages.is_empty() {
            Err("cargo metadata names no package".to_owned())
        } else {
            Ok(Self { packages })
        }
    }

    /// The member of that name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// Every target of a kind, with its package.
    pub(crate) fn targets<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a Package, &'a Target)> + 'a {
        self.packages.iter().flat_map(move |package| {
            package
                .targets
                .iter()
                .filter(move |target| target.kind == kind)
                .map(move |target| (package, target))
        })
    }
}

impl Package {
    /// Whether the package has a library.
    pub(crate) fn has_library(&self) -> bool {
        self.targets.iter().any(|target| target.kind == "lib")
    }
}

/// Makes the workspace's root the current folder: every path in this package is relative to it.
pub(crate) fn enter() -> Outcome {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&manifest).parent().ok_or("xtask has no parent folder")?;
    std::env::set_current_dir(root).map_err(|error| format!("{}: {error}", root.display()))
}

/// The folders of the workspaces inside this one that have their own lock file (`tests/fuzz` and its like).
pub(crate) fn nested() -> Outcome<Vec<PathBuf>> {
    let manifests =
        files()?.into_iter().filter(|path| path.file_name().is_some_and(|name| name == "Cargo.toml"));
    let mut folders = Vec::new();
    for manifest in manifests {
        let folder = manifest.parent().unwrap_or(Path::new("")).to_owned();
        if !folder.as_os_str().is_empty() && read(&manifest)?.lines().any(|line| line.trim() == "[workspace]")
        {
            folders.push(folder);
        }
    }
    Ok(folders)
}

/// Every file that is committed or could be, relative to the root and sorted.
pub(crate) fn files() -> Outcome<Vec<PathBuf>> {
    let listing = Program::new("git").args("ls-files --cached --others --exclude-standard -z").output()?;
    let mut files: Vec<_> = listing
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// A file's text.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn package(value: &Value, root: &Path) -> Package {
    let relative = |path: &str| Path::new(path).strip_prefix(root).unwrap_or(Path::new(path)).to_owned();
    let manifest = relative(string(&value["manifest_path"]));
    Package {
        name: string(&value["name"]).to_owned(),
        folder: manifest.parent().map(Path::to_owned).unwrap_or_default(),
        features: value["features"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default(),
        targets: list(&value["targets"])
            .map(|target| Target {
                name: string(&target["name"]).to_owned(),
                kind: list(&target["kind"]).next().map_or("", string).to_owned(),
                source: relative(string(&target["src_path"])),
            })
            .collect(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
