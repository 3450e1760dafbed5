//! What is asked of a node: one line of standard input is one command.

use super::ids::{payload_of, space_of};
use bytes::Bytes;
use quorate::wire::{ModuleId, PeerUrl, SpaceId};
use std::io::{BufRead, Read};
use tokio::sync::mpsc;

/// Lines that wait to be obeyed.
const LINES: usize = 16;
/// The longest line: the largest message there is as base64url, and the words before it.
const MAX_LINE: usize = 24 << 20;

/// Something to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Send { peer: PeerUrl, space: SpaceId, module: Option<ModuleId>, data: Bytes },
    Block { peer: PeerUrl },
    Unblock { peer: PeerUrl },
    Disconnect { peer: PeerUrl, reason: Option<String> },
    Peers,
    Stats,
    Quit,
}

impl Command {
    /// Reads a line. The error says what is wrong with it.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim_end_matches(['\r', '\n']);
        let mut words = Words(line);
        let command = match words.next("a command")? {
            "notify" => {
                let (peer, space) = (words.peer()?, words.space()?);
                Self::Send { peer, space, module: None, data: words.payload()? }
            }
            "module" => {
                let (peer, space) = (words.peer()?, words.space()?);
                let module = Some(ModuleId::from(words.next("a module")?));
                Self::Send { peer, space, module, data: words.payload()? }
            }
            "block" => Self::Block { peer: words.last_peer()? },
            "unblock" => Self::Unblock { peer: words.last_peer()? },
            "disconnect" => {
                let peer = words.peer()?;
                Self::Disconnect { peer, reason: (!words.0.is_empty()).then(|| words.0.to_owned()) }
            }
            "peers" => words.end(Self::Peers)?,
            "stats" => words.end(Self::Stats)?,
            "quit" => words.end(Self::Quit)?,
            other => return Err(format!("no command `{other}`")),
        };
        Ok(command)
    }
}

/// A line of standard input, or why it is none.
pub(super) type Line = Result<String, String>;

/// The lines of standard input, until it ends. They are read by a thread, which nothing waits for.
pub(super) fn lines() -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Some(line) = next_line(&mut input, MAX_LINE) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The next line that has something in it, of at most `max` bytes. What is wrong with one line is no end of the others.
fn next_line(input: &mut impl BufRead, max: usize) -> Option<Line> {
    loop {
        let mut line = Vec::new();
        if input.take(max as u64).read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if line.len() == max && !line.ends_with(b"\n") {
            input.skip_until(b'\n').ok()?;
            return Some(Err(format!("a line has {max} bytes or more")));
        }
        match String::from_utf8(line) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => return Some(Ok(line)),
            Err(_) => return Some(Err("a line is no UTF-8; other bytes are written as b64:…".to_owned())),
        }
    }
}

/// What is left of a line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str, String> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        if word.is_empty() { Err(format!("{what} is missing")) } else { Ok(word) }
    }

    fn peer(&mut self) -> Result<PeerUrl, String> {
        let word = self.next("a URL")?;
        word.parse().map_err(|error| format!("{word}: {error}"))
    }

    fn last_peer(&mut self) -> Result<PeerUrl, String> {
        let peer = self.peer()?;
        self.end(peer)
    }

    fn space(&mut self) -> Result<SpaceId, String> {
        space_of(self.next("a space")?).map_err(|error| error.to_string())
    }

    /// All that is left: a text may have blanks in it, or be empty.
    fn payload(&mut self) -> Result<Bytes, String> {
        payload_of(self.0).map_err(|error| error.to_string())
    }

    fn end<T>(&self, value: T) -> Result<T, String> {
        if self.0.is_empty() { Ok(value) } else { Err(format!("`{}` is too much", self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "quic://127.0.0.1:1/a";

    fn send(
        space: &'static [u8],
        module: Option<&'static str>,
        data: &'static [u8],
    ) -> Result<Command, String> {
        let module = module.map(ModuleId::from_static);
        let (peer, space) = (URL.parse().unwrap(), SpaceId::from_static(space));
        Ok(Command::Send { peer, space, module, data: Bytes::from_static(data) })
    }

    #[test]
    fn lines_are_commands() {
        let parse = |line: &str| Command::parse(&line.replace("URL", URL));
        assert_eq!(parse("notify URL room  two  words "), send(b"room", None, b" two  words "));
        assert_eq!(parse("notify URL b64:_w\r\n"), send(b"\xff", None, b""));
        assert_eq!(parse("module URL room chat b64:_wA"), send(b"room", Some("chat"), b"\xff\x00"));
        let peer: PeerUrl = URL.parse().unwrap();
        assert_eq!(parse("block URL"), Ok(Command::Block { peer: peer.clone() }));
        let reason = Some("good bye".to_owned());
        assert_eq!(parse("disconnect URL good bye"), Ok(Command::Disconnect { peer: peer.clone(), reason }));
        assert_eq!(parse("disconnect URL"), Ok(Command::Disconnect { peer, reason: None }));
        assert_eq!(parse("quit"), Ok(Command::Quit));
    }

    #[test]
    fn a_line_that_is_none_does_not_end_the_others() {
        let input = b"quit\n\n  \n\xff\xfe\nmuch too long for this\npeers\nlast";
        let mut input = &input[..];
        let mut told = vec![];
        while let Some(line) = next_line(&mut input, 10) {
            told.push(line.map_err(|reason| reason.split(' ').nth(2).unwrap_or_default().to_owned()));
        }
        let (ok, wrong) = (|line: &str| Ok(line.to_owned()), |word: &str| Err(word.to_owned()));
        assert_eq!(told, [ok("quit\n"), wrong("is"), wrong("has"), ok("peers\n"), ok("last")]);
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let wrong = |line: &str| Command::parse(&line.replace("URL", URL)).unwrap_err();
        assert_eq!(wrong("shout URL"), "no command `shout`");
        assert_eq!(wrong("notify"), "a URL is missing");
        assert!(wrong("notify nowhere room x").starts_with("nowhere: "));
        assert_eq!(wrong("notify URL"), "a space is missing");
        assert_eq!(wrong("module URL room"), "a module is missing");
        assert!(wrong("notify URL b64:? x").contains("base64url"));
        assert_eq!(wrong("block URL now"), "`now` is too much");
        assert_eq!(wrong("peers all"), "`all` is too much");
    }
}
