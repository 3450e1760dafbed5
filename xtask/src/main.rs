//! Every developer command of the workspace: `cargo xtask help`.
//!
//! One file per command. A command prints each program that it runs, with its arguments, so that
//! whatever fails can be run again by hand; what is skipped says so and why. Packages, targets and
//! examples are discovered through `cargo metadata`, never listed here (but for the machine
//! crates, whose names are a promise: see [`machines`]).

mod bench;
mod ci;
mod crash;
mod deny;
mod doc;
mod examples;
mod fmt;
mod fuzz;
mod lint;
mod machines;
mod miri;
mod out;
mod peers;
mod process;
mod sim;
mod test;
mod tidy;
mod tools;
mod wasm;
mod workspace;

use std::process::ExitCode;

/// What a command hands back: on failure the sentence that the user reads.
type Outcome<T = ()> = Result<T, String>;

/// A command: its name, what `help` says about it, and what it does with the remaining arguments.
struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "ci",
        help: "everything below but miri, bench and peers, with the minutes of each stage",
        run: ci::run,
    },
    Command { name: "fmt", help: "check the formatting; --fix formats", run: fmt::run },
    Command { name: "tidy", help: "what no compiler checks; --fix copies the quick start", run: tidy::run },
    Command { name: "lint", help: "clippy: the workspace, then each package alone", run: lint::run },
    Command { name: "test", help: "tests and doc tests; arguments go to the test runner", run: test::run },
    Command { name: "examples", help: "run every example as its first lines say", run: examples::run },
    Command { name: "doc", help: "build the documentation; warnings fail; --open shows it", run: doc::run },
    Command { name: "wasm", help: "check the machine crates for wasm32-unknown-unknown", run: wasm::run },
    Command { name: "deny", help: "bans, licences and sources of all dependencies", run: deny::run },
    Command { name: "fuzz", help: "each fuzz target for a while: [--seconds N] [TARGET…]", run: fuzz::run },
    Command { name: "miri", help: "the wire tests under miri, where it is installed", run: miri::run },
    Command {
        name: "bench",
        help: "the benchmarks: [--quick] [NAME…]; beside others: --peers [NAME…]",
        run: bench::run,
    },
    Command {
        name: "peers", help: "our code against that of others: [NAME…] [-- FILTER…]", run: peers::run
    },
    Command {
        name: "sim",
        help: "groups in virtual time: [--quick | --nightly] [--seed N] [--write]",
        run: sim::run,
    },
    Command {
        name: "crash",
        help: "two hundred kills and thousands of power cuts: minutes",
        run: crash::run,
    },
    Command { name: "help", help: "this list", run: help },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = arguments.collect();
    match dispatch(&name, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            out::error(&format!("cargo xtask {name}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(name: &str, arguments: &[String]) -> Outcome {
    let command = COMMANDS
        .iter()
        .find(|command| command.name == name.trim_start_matches('-'))
        .ok_or_else(|| format!("no such command; `cargo xtask help` lists {} of them", COMMANDS.len()))?;
    workspace::enter()?;
    (command.run)(arguments)
}

fn help(_arguments: &[String]) -> Outcome {
    out::line("cargo xtask COMMAND [ARGUMENT…]\n");
    for Command { name, help, .. } in COMMANDS {
        out::line(&format!("  {name:<9} {help}"));
    }
    out::line("\nTools that are missing are installed into target/tools, or where XTASK_TOOLS says.");
    Ok(())
}

/// Fails on the first argument that the command does not know.
fn only(arguments: &[String], known: &[&str]) -> Outcome {
    match arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        Some(unknown) if known.is_empty() => Err(format!("it takes no arguments, but got `{unknown}`")),
        Some(unknown) => Err(format!("unknown argument `{unknown}`; known: {}", known.join(" "))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_refused() {
        assert!(dispatch("no-such-command", &[]).is_err());
    }

    #[test]
    fn an_unknown_argument_is_named() {
        let arguments = ["--fix".to_owned(), "--fxi".to_owned()];
        assert!(only(&arguments[..1], &["--fix"]).is_ok());
        assert!(only(&arguments, &["--fix"]).is_err_and(|reason| reason.contains("--fxi")));
    }
}
