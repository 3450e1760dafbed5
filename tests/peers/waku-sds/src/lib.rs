//! Two processes that talk SDS over loopback: ours, the command `quorate sds`, and theirs, Node with `@waku/sds`.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// This folder.
pub const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// A process that says one JSON object a line.
pub struct Peer {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// All that a peer said, and its exit code.
pub struct Said {
    /// Each line.
    pub lines: Vec<Value>,
    /// The exit code.
    pub code: Option<i32>,
}

impl Peer {
    /// Starts a process.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program is there");
        let out = child.stdout.take().expect("it is piped");
        Self { child, lines: BufReader::new(out).lines() }
    }

    /// The next line.
    pub fn line(&mut self) -> Option<Value> {
        let line = self.lines.next()?.expect("it is text");
        Some(serde_json::from_str(&line).expect("each line is a JSON object"))
    }

    /// Waits for its end.
    pub fn end(mut self) -> Said {
        let lines = std::iter::from_fn(|| self.line()).collect();
        Said { lines, code: self.child.wait().expect("it ends").code() }
    }
}

impl Said {
    /// The closing line.
    pub fn summary(&self) -> &Value {
        self.lines.iter().find(|line| line["event"] == "summary").expect("it says how it went")
    }

    /// A number of the summary.
    pub fn number(&self, field: &str) -> u64 {
        self.summary()[field].as_u64().unwrap_or_else(|| panic!("no `{field}` in {}", self.summary()))
    }

    /// The ids of the lines with that event, in order.
    pub fn ids(&self, event: &str) -> Vec<&str> {
        let of = self.lines.iter().filter(|line| line["event"] == event);
        of.map(|line| line["id"].as_str().expect("it has an id")).collect()
    }
}

/// The command `quorate`, built from this tree.
pub fn quorate() -> PathBuf {
    if let Some(path) = std::env::var_os("QUORATE") {
        return path.into();
    }
    let root = Path::new(FOLDER).join("../../..");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "quorate-cli"])
        .current_dir(&root)
        .env_remove("CARGO_TARGET_DIR")
        .status();
    assert!(built.expect("cargo is there").success(), "the command does not build");
    root.join("target/debug/quorate")
}

/// `quorate sds`, which waits for the other; and where.
pub fn ours(options: &str) -> (Peer, String) {
    let mut command = Command::new(quorate());
    command.args(["sds", "--listen", "0", "--id", "rust", "--json"]).args(options.split_whitespace());
    let mut peer = Peer::start(command);
    let listening = peer.line().expect("it says where it listens");
    let address = listening["address"].as_str().expect("it has an address").to_owned();
    (peer, address)
}

/// Node with `@waku/sds`, which connects.
pub fn theirs(address: &str, options: &str) -> Peer {
    let mut command = Command::new("node");
    command.arg(Path::new(FOLDER).join("peer.mjs"));
    command.args(["--connect", address, "--id", "js"]).args(options.split_whitespace());
    Peer::start(command)
}
