//! The command `quorate` of this tree, as a process that lines drive.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// Nothing here takes so long; a test that would hang says what it waited for.
const TOO_LONG: Duration = Duration::from_secs(90);

/// Builds the command, if it is not there yet. Needs whatever network `cargo build` needs.
pub fn build() -> PathBuf {
    if let Some(path) = std::env::var_os("QUORATE") {
        return path.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "-p", "quorate-cli"]).current_dir(&root).env_remove("CARGO_TARGET_DIR");
    assert!(build.status().expect("cargo is there").success(), "the command does not build");
    root.join("target/debug/quorate")
}

/// `quorate node --json` while it runs. Dropping it kills it.
pub struct Run {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// The events so far.
    pub seen: Vec<Value>,
}

impl Run {
    /// Starts it with these words.
    pub fn node(words: &[&str]) -> Self {
        let mut command = Command::new(build());
        command.args(["node", "--json"]).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("its output is ours");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines, seen: vec![] }
    }

    /// Writes to its standard input, and ends the line.
    pub fn ask(&mut self, line: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("it is open");
        stdin.write_all(line.as_ref()).and_then(|()| stdin.write_all(b"\n")).expect("it reads");
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next event of this name; what comes before it is passed over.
    pub fn event(&mut self, name: &str) -> Value {
        while let Some(event) = self.next() {
            if event["event"] == name {
                return event;
            }
        }
        panic!("waited in vain for {name}; so far: {:#?}", self.names());
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill is there").success());
    }

    /// Reads until its output ends; how it ended.
    pub fn ended(mut self) -> (ExitStatus, Vec<Value>) {
        while self.next().is_some() {}
        let status = self.child.wait().expect("it is a child");
        (status, std::mem::take(&mut self.seen))
    }

    fn next(&mut self) -> Option<Value> {
        let line = self.lines.recv_timeout(TOO_LONG).ok()?;
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        self.seen.push(event.clone());
        Some(event)
    }

    fn names(&self) -> Vec<String> {
        let short = |event: &Value| event.to_string().chars().take(200).collect();
        self.seen.iter().map(short).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
