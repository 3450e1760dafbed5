//! The promise of the machine crates: without default features no runtime is in their tree, and clippy forbids clock and thread.

use super::{Files, Report};
use crate::process::Program;
use crate::workspace::Workspace;
use crate::{Outcome, machines};

/// What each machine crate's `clippy.toml` forbids.
const DISALLOWED: &[&str] = &["std::time::Instant::now", "std::time::SystemTime::now", "std::thread::spawn"];

/// What no machine crate may depend on.
const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "mio"];

pub(super) fn check(files: &Files, workspace: &Workspace, report: &mut Report) -> Outcome {
    let present = machines::present(workspace)?;
    for (machine, package) in &present {
        let path = package.folder.join("clippy.toml");
        let text = files.text(&path.to_string_lossy()).unwrap_or_default();
        missing(text)
            .into_iter()
            .for_each(|method| report.fail(&path, format!("does not disallow `{method}`")));
        for runtime in runtimes(&tree(machine.package)?) {
            report.fail(machine.package, format!("reaches `{runtime}` with default features off"));
        }
    }
    // The other way round: a crate that forbids the clock but is not in the list is not held to the rest.
    for package in &workspace.packages {
        let path = package.folder.join("clippy.toml");
        let listed = present.iter().any(|(machine, _)| machine.package == package.name);
        if !listed && files.text(&path.to_string_lossy()).is_some_and(|text| missing(text).is_empty()) {
            report.fail(&path, "a machine crate that the list in xtask/src/machines.rs lacks");
        }
    }
    Ok(())
}

/// The names of all packages that a crate is built from, with default features off, on any platform.
fn tree(package: &str) -> Outcome<String> {
    let selection =
        format!("tree --edges normal,build --no-default-features --target all --package {package}");
    Program::cargo().args(&selection).args("--prefix none --format {p}").output()
}

/// The runtimes in the output of `cargo tree`.
fn runtimes(tree: &str) -> Vec<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut runtimes: Vec<_> = names.filter(|name| RUNTIMES.contains(name)).collect();
    runtimes.sort_unstable();
    runtimes.dedup();
    runtimes
}

/// What a `clippy.toml` should forbid and does not.
fn missing(clippy: &str) -> Vec<&'static str> {
    let forbidden = |method: &str| {
        clippy
            .lines()
            .any(|line| !line.trim_start().starts_with('#') && line.contains(&format!("\"{method}\"")))
    };
    DISALLOWED.iter().copied().filter(|method| !forbidden(method)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_anywhere_in_the_tree_is_found() {
        assert_eq!(
            runtimes("quorate-base v0.1.0 (/a)\nbytes v1.12.1\ntokio v1.54.1\ntokio v1.54.1 (*)\n"),
            ["tokio"]
        );
        assert_eq!(runtimes("quorate-base v0.1.0 (/tokio)\ntokio-stream-free v1.0.0\n"), Vec::<&str>::new());
    }

    #[test]
    fn a_method_that_is_not_forbidden_is_named() {
        let all: Vec<_> = DISALLOWED.iter().map(|method| format!("  {{ path = \"{method}\" }},\n")).collect();
        assert_eq!(missing(&all.concat()), Vec::<&str>::new());
        assert_eq!(missing(&all[1..].concat()), ["std::time::Instant::now"]);
        assert_eq!(missing(&format!("# {}", all[0])).len(), 3);
    }

    #[test]
    fn the_real_tree_of_the_lowest_machine_can_be_read() {
        let tree = tree(machines::MACHINES[0].package);
        assert!(tree.is_ok_and(|tree| tree.contains(machines::MACHINES[0].package)));
    }
}
