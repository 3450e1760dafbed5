//! A run of the command: what it prints, line by line, and how it ends.

use serde_json::Value;
use std::ffi::OsStr;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long nothing may happen before a test is ended: a protection from hanging, no measure of speed.
const HANG: Duration = Duration::from_secs(200);

/// The command while it runs. Dropping it kills it.
pub(crate) struct Run {
    child: Child,
    /// Where it can be asked for something.
    stdin: Option<ChildStdin>,
    out: Lines,
    err: Lines,
}

/// What an ended run left.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The lines of a stream, as they come.
struct Lines {
    coming: Receiver<String>,
    /// Everything that came, for who wants to know why a test failed.
    seen: String,
}

impl Run {
    pub(crate) fn start<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::with_stdin(words, Stdio::null())
    }

    /// The same for a command that reads its standard input.
    pub(crate) fn interactive<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::with_stdin(words, Stdio::piped())
    }

    fn with_stdin<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>, stdin: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(words).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        let err = Lines::of(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self { child, stdin, out, err }
    }

    /// Writes a line to its standard input.
    pub(crate) fn ask(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next event with one of these names.
    pub(crate) fn event_of(&mut self, names: &[&str]) -> Value {
        loop {
            let Some(line) = self.out.next() else { self.give_up(&format!("one of {names:?}")) };
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if names.iter().any(|name| event["event"] == *name) {
                return event;
            }
        }
    }

    /// The next event of this name; what comes before it is passed over.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.event_where(name, |_| true)
    }

    /// The next event of this name that is `wanted`.
    pub(crate) fn event_where(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Some(line) = self.out.next() else { self.give_up(&format!("the event `{name}`")) };
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if event["event"] == name && wanted(&event) {
                return event;
            }
        }
    }

    /// The next line on standard output.
    pub(crate) fn line(&mut self) -> String {
        self.out.next().unwrap_or_else(|| self.give_up("a line on standard output"))
    }

    /// The next line on standard error that has `words` in it.
    pub(crate) fn says(&mut self, words: &str) -> String {
        loop {
            match self.err.next() {
                Some(line) if line.contains(words) => return line,
                Some(_) => {}
                None => self.give_up(&format!("\"{words}\" on standard error")),
            }
        }
    }

    /// Ends it at once, without a word: SIGKILL. How far it had come is what it printed until now.
    pub(crate) fn kill(mut self) -> Ended {
        let _ = self.child.kill();
        self.ended()
    }

    /// Asks it to end, as a user or a service manager does: `INT` or `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(mut self) -> Ended {
        drop(self.stdin.take());
        let deadline = Instant::now() + HANG;
        // Its output ends when it does, and everything it said is read first.
        while self.out.next_until(deadline).is_some() {}
        while self.err.next_until(deadline).is_some() {}
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.give_up("its end");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let take = |lines: &mut Lines| std::mem::take(&mut lines.seen);
        Ended { status, stdout: take(&mut self.out), stderr: take(&mut self.err) }
    }

    fn give_up(&mut self, what: &str) -> ! {
        let mut story = String::new();
        let _ = write!(story, "{what} did not come\nstdout:\n{}stderr:\n", self.out.seen);
        // What it said while nobody listened.
        while let Some(line) = self.err.next_until(Instant::now()) {
            let _ = writeln!(story, "{line}");
        }
        panic!("{story}{}", self.err.seen)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { coming, seen: String::new() }
    }

    /// The next line; `None` when the stream has ended, or nothing comes any more.
    fn next(&mut self) -> Option<String> {
        self.next_until(Instant::now() + HANG)
    }

    fn next_until(&mut self, deadline: Instant) -> Option<String> {
        let line = self.coming.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        let _ = writeln!(self.seen, "{line}");
        Some(line)
    }
}

impl Ended {
    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "stdout:\n{}stderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard error has each of these in it.
    #[track_caller]
    pub(crate) fn saying(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "\"{word}\" is not in:\n{}", self.stderr);
        }
        self
    }

    /// Standard output, which is nothing but one JSON object.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout).unwrap();
        assert!(value.is_object(), "{value}");
        value
    }

    /// The last line of standard output, a JSON object.
    #[track_caller]
    pub(crate) fn last_event(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().unwrap()).unwrap()
    }
}

/// Runs the command to its end.
pub(crate) fn run<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Ended {
    Run::start(words).ended()
}

/// `quorate recv --json`, ready to receive.
pub(crate) struct Receiving {
    pub(crate) run: Run,
    pub(crate) ticket: String,
    /// What it is called.
    pub(crate) name: String,
    /// The address of its socket.
    pub(crate) address: String,
}

/// Starts `quorate recv` on `dir`, and waits for its ticket.
pub(crate) fn recv(dir: &Path, more: &[&str]) -> Receiving {
    let mut run = Run::start(["recv", "--json", "--dir", text(dir)].iter().chain(more));
    let told = run.event("ticket");
    let field = |name: &str| told[name].as_str().unwrap().to_owned();
    Receiving { ticket: field("ticket"), name: field("name"), address: field("address"), run }
}

/// The words of `quorate send --json`.
pub(crate) fn send_words(ticket: &str, files: &[&Path]) -> Vec<String> {
    let files = files.iter().map(|file| text(file).to_owned());
    ["send", "--json", ticket].map(str::to_owned).into_iter().chain(files).collect()
}

/// `quorate send --json`, to its end.
pub(crate) fn send(ticket: &str, files: &[&Path]) -> Ended {
    run(send_words(ticket, files))
}

/// A file of `len` bytes that look random; other `seed`s are other bytes.
pub(crate) fn file(folder: &Path, name: &str, len: usize, seed: u64) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content(len, seed)).unwrap();
    path
}

/// `len` bytes that look random.
pub(crate) fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Whether two files have equal bytes. (`assert_eq` would print them.)
#[track_caller]
pub(crate) fn assert_equal(one: &Path, other: &Path) {
    let read =
        |path: &Path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(read(one) == read(other), "{} and {} differ", one.display(), other.display());
}

/// The names in a folder, sorted, the command's own folder left out.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".quorate");
    names.sort();
    names
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Says why a scenario is not tried here.
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
