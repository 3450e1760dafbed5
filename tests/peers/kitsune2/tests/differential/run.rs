//! One sequence on both sides, step by step, with what a backend does around it.
//!
//! The backend is the same for both: it keeps several connections, closes one after an error (or, to
//! see what happens, does not), and ends those that a disconnect names.

use crate::compare::{Difference, Facts, Phase, Step, compare};
use crate::event::{Event, Outcome, Who};
use crate::op::{Agents, Op, SPACES, URLS, Vetoer};
use crate::ours::Ours;
use crate::script::{Counts, Script, Side};
use crate::theirs::Theirs;
use std::collections::{BTreeMap, BTreeSet};

/// How many connections a sequence has open at most.
const CONNECTIONS: usize = 6;

/// What happened in a sequence, by name.
pub(crate) type Tally = BTreeMap<&'static str, u64>;

/// What was seen, over any number of sequences.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) ops: Tally,
    pub(crate) events: Tally,
    pub(crate) differences: BTreeMap<Difference, u64>,
    pub(crate) agreed: u64,
}

/// Runs `ops` on fresh nodes; `Err` says where they disagree.
pub(crate) fn run(ops: &[Op], count_entries: usize, seen: &mut Seen) -> Result<(), String> {
    let script = Script::default();
    let mut pair = Pair {
        theirs: Theirs::new(&script),
        ours: Ours::new(&script, count_entries),
        script,
        open: BTreeMap::new(),
        registered: BTreeSet::from([Who::Handler]),
        next: 0,
        closed: false,
        addressed: BTreeSet::new(),
        exempt: Counts::new(),
    };
    for (at, op) in ops.iter().enumerate() {
        match pair.step(op, seen) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(what) => return Err(format!("operation {at}: {what}")),
        }
    }
    pair.compare_counts(seen).map_err(|what| format!("at the end: {what}"))
}

struct Pair {
    theirs: Theirs,
    ours: Ours,
    script: Script,
    /// Open connections: the URL and where they are.
    open: BTreeMap<u32, (String, Phase)>,
    registered: BTreeSet<Who>,
    next: u32,
    closed: bool,
    /// Spaces that have ever had an address of their own.
    addressed: BTreeSet<u8>,
    /// What they counted and we did not, at differences on purpose or before a reset.
    exempt: Counts,
}

impl Pair {
    /// Does one operation on both sides; `Ok(false)` when theirs cannot go on.
    fn step(&mut self, op: &Op, seen: &mut Seen) -> Result<bool, String> {
        if !self.is_possible(op) {
            return Ok(true);
        }
        *seen.ops.entry(op.name()).or_default() += 1;
        match op {
            Op::Stats => return self.compare_counts(seen).map(|()| true),
            Op::ResetCounts => {
                self.reset(seen);
                return Ok(true);
            }
            _ => {}
        }
        let connection = self.connection(op);
        let facts = Facts {
            registered: self.registered.clone(),
            vetoes: self.script.answers().vetoes.clone(),
            addressed: self.addressed.clone(),
            connections: match op {
                Op::Connect { url, .. } => self.open_to(URLS[usize::from(*url)]),
                _ => 0,
            },
            phase: connection.map(|number| self.open[&number].1),
        };
        let before = (self.theirs.counts().0, self.ours.counts());
        let (theirs, ours) = self.both(op, connection);
        for event in &ours.events {
            *seen.events.entry(event.name()).or_default() += 1;
        }
        let Some(difference) = compare(op, &theirs, &ours, &facts)? else {
            seen.agreed += 1;
            self.note(op, &ours.outcome);
            return Ok(true);
        };
        *seen.differences.entry(difference).or_default() += 1;
        if theirs.outcome == Outcome::Panicked {
            // Only the preflight's handler is called without a lock; the sequence ends there, too.
            let held = !theirs.events.iter().any(|event| matches!(event, Event::Validate { .. }));
            return self.after_a_panic(held);
        }
        self.exempt(&before.0, &before.1);
        if matches!(op, Op::Connect { .. }) && ours.outcome.is_error() {
            self.theirs.forget(self.next);
        }
        self.note(op, &ours.outcome);
        Ok(true)
    }

    /// What makes no sense now, or has no certain outcome on either side, is left out.
    fn is_possible(&self, op: &Op) -> bool {
        match op {
            Op::Recv { .. } | Op::End { .. } => !self.open.is_empty(),
            // The agents are looked for in the order of a hash map, up to the first that is there.
            Op::Connect { .. } => self.open.len() < CONNECTIONS && !(self.agents_fail() && self.agents_are()),
            Op::Listening(_) | Op::ListeningFor { .. } | Op::ForgetAddress(_) | Op::Close => !self.closed,
            _ => true,
        }
    }

    fn open_to(&self, url: &str) -> usize {
        self.open.values().filter(|(open, _)| open == url).count()
    }

    fn agents_fail(&self) -> bool {
        self.spaces().any(|space| self.script.answers().agents.get(&space) == Some(&Agents::Fails))
    }

    fn agents_are(&self) -> bool {
        let some = |space| matches!(self.script.answers().agents.get(&space), None | Some(Agents::Some));
        self.spaces().any(some)
    }

    fn spaces(&self) -> impl Iterator<Item = u8> {
        self.registered.iter().filter_map(|who| match who {
            Who::Space { space, .. } => Some(*space),
            _ => None,
        })
    }

    fn connection(&self, op: &Op) -> Option<u32> {
        let (Op::Recv { connection, .. } | Op::End { connection, .. }) = op else { return None };
        self.open.keys().nth(usize::from(*connection) % self.open.len()).copied()
    }

    fn both(&mut self, op: &Op, connection: Option<u32>) -> (Step, Step) {
        let (next, script) = (self.next, &self.script);
        let theirs = act(&mut self.theirs, op, connection, next, script);
        let ours = act(&mut self.ours, op, connection, next, script);
        if let (Op::Recv { linger, .. }, Some(number)) = (op, connection) {
            let (_, phase) = &self.open[&number];
            let goodbye = match (&theirs, &ours) {
                (Outcome::Goodbye(_), Outcome::Goodbye(reason)) => Some(reason.as_str()),
                _ => None,
            };
            let failed = theirs.is_error() || ours.is_error();
            // A first frame that fails leaves nothing that could linger.
            let lingers = *linger && goodbye.is_none() && *phase != Phase::Awaiting;
            if failed && !lingers && theirs != Outcome::Panicked {
                let reason = goodbye.unwrap_or("error");
                let reason = Some(reason).filter(|reason| !reason.is_empty());
                self.theirs.end(number, reason);
                self.ours.end(number, reason);
            }
            if theirs == Outcome::Panicked {
                self.ours.end(number, None);
            }
        }
        let mut steps = (
            Step { outcome: theirs, events: self.theirs.log().take() },
            Step { outcome: ours, events: self.ours.log().take() },
        );
        let errors = matches!(op, Op::Recv { .. }) && !matches!(steps.1.outcome, Outcome::Goodbye(_));
        // A connection that failed and was kept ends with the words of the failure, in ours.
        let failed = self.open.values().any(|(_, phase)| *phase == Phase::Failed);
        if errors || failed {
            // The words of an error are each side's own.
            plain_reasons(&mut steps.0.events);
            plain_reasons(&mut steps.1.events);
        }
        steps
    }

    /// Keeps the books of what is open and registered, by what we returned.
    fn note(&mut self, op: &Op, ours: &Outcome) {
        let number = self.next;
        match op {
            Op::ListeningFor { space, .. } => {
                self.addressed.insert(*space);
            }
            Op::RegisterSpace(_) | Op::RegisterModule(..) if self.closed => {}
            Op::RegisterSpace(space) => {
                self.registered.insert(Who::Space { space: *space, number });
            }
            Op::RegisterModule(space, module) => {
                self.registered.insert(Who::Module { space: *space, module: *module, number });
            }
            Op::UnregisterSpace(gone) => self.registered.retain(|who| match who {
                Who::Space { space, .. } | Who::Module { space, .. } => space != gone,
                Who::Handler => true,
            }),
            Op::Connect { url, .. } if !ours.is_error() => {
                self.open.insert(number, (URLS[usize::from(*url)].to_owned(), Phase::Awaiting));
            }
            Op::Recv { linger, .. } => {
                let Some(number) = self.connection(op) else { return };
                let (_, phase) = self.open.get_mut(&number).expect("it is open");
                let lingers = *linger && !matches!(ours, Outcome::Goodbye(_)) && *phase != Phase::Awaiting;
                match ours.is_error() {
                    false => *phase = Phase::Ready,
                    true if lingers => *phase = Phase::Failed,
                    true => drop(self.open.remove(&number)),
                }
            }
            Op::End { .. } => {
                let number = self.connection(op).expect("one is open");
                self.open.remove(&number);
            }
            Op::Disconnect { url, .. } => self.open.retain(|_, (open, _)| open != URLS[usize::from(*url)]),
            Op::Close => {
                self.closed = true;
                self.open.clear();
                self.registered.clear();
            }
            _ => {}
        }
        self.next += 1;
    }

    /// Theirs is unusable for good where it held a lock, ours goes on as if nothing had happened.
    fn after_a_panic(&mut self, held: bool) -> Result<bool, String> {
        if self.theirs.is_bricked() != held {
            return Err(format!("a lock was held: {held}, and theirs is bricked: {}", !held));
        }
        self.ours.unregister_space(1);
        self.script.answers().agents.clear();
        let registered = self.ours.register_space(1, u32::MAX);
        let sent = self.ours.send_notify(URLS[5], 1, bytes::Bytes::from_static(b"still here"));
        match (registered, sent) {
            (Outcome::Url(Some(_)), Outcome::Ok | Outcome::Blocked | Outcome::Refused) => Ok(false),
            other => Err(format!("ours did not survive a panic: {other:?}")),
        }
    }

    /// From here on, what theirs counted at this step and ours did not is left out of the comparison.
    fn exempt(&mut self, theirs: &Counts, ours: &(Counts, (u32, u32))) {
        if self.ours.counts() != *ours {
            return;
        }
        for (key, now) in self.theirs.counts().0 {
            let before = theirs.get(&key).copied().unwrap_or_default();
            let exempt = self.exempt.entry(key).or_default();
            *exempt = (exempt.0 + now.0 - before.0, exempt.1 + now.1 - before.1);
        }
    }

    fn reset(&mut self, seen: &mut Seen) {
        self.ours.reset_counts();
        self.exempt = self.theirs.counts().0;
        if !self.exempt.is_empty() {
            *seen.differences.entry(Difference::CountsAreReset).or_default() += 1;
        }
    }

    /// The counts are the same, but for what has no entry of its own; and the same peers are connected.
    fn compare_counts(&mut self, seen: &mut Seen) -> Result<(), String> {
        let ready = self.open.values().filter(|(_, phase)| *phase != Phase::Awaiting);
        let ready: BTreeSet<_> = ready.map(|(url, _)| url.clone()).collect();
        let connected = BTreeSet::from_iter(self.ours.connected());
        if ready != connected {
            return Err(format!("connected: {connected:?}, ready: {ready:?}"));
        }
        let (ours, other) = self.ours.counts();
        let mut rest = (0, 0);
        for (key, count) in self.theirs.counts().0 {
            let exempt = self.exempt.get(&key).copied().unwrap_or_default();
            let count = (count.0 - exempt.0, count.1 - exempt.1);
            match ours.get(&key) {
                Some(counted) if *counted == count => {}
                Some(counted) => return Err(format!("{key:?}: theirs {count:?}, ours {counted:?}")),
                None => rest = (rest.0 + count.0, rest.1 + count.1),
            }
        }
        if rest != other {
            return Err(format!("without an entry: theirs {rest:?}, ours {other:?}"));
        }
        if other != (0, 0) {
            *seen.differences.entry(Difference::CountsAreBounded).or_default() += 1;
        }
        Ok(())
    }
}

/// What the operation is on one side.
fn act(side: &mut dyn Side, op: &Op, connection: Option<u32>, next: u32, script: &Script) -> Outcome {
    let url = |url: &u8| URLS[usize::from(*url)];
    let words = |given: &bool| given.then_some("enough for today");
    match op {
        Op::RegisterSpace(space) => return side.register_space(*space, next),
        Op::RegisterModule(space, module) => return side.register_module(*space, *module, next),
        Op::Connect { url: peer, spoofed } => return side.connect(next, url(peer), *spoofed),
        Op::Recv { frame, .. } => {
            return side.recv(connection.expect("one is open"), frame.bytes());
        }
        Op::SendNotify { url: peer, space, data } => {
            return side.send_notify(url(peer), *space, data.bytes());
        }
        Op::SendModule { url: peer, space, module, data } => {
            return side.send_module(url(peer), *space, *module, data.bytes());
        }
        Op::UnregisterSpace(space) => side.unregister_space(*space),
        Op::End { reason, .. } => side.end(connection.expect("one is open"), words(reason)),
        Op::Disconnect { url: peer, reason } => side.disconnect(url(peer), words(reason)),
        Op::Listening(this) => side.listening(url(this)),
        Op::ListeningFor { space, url: this } => side.listening_for(*space, url(this)),
        Op::ForgetAddress(space) => side.forget_address(*space),
        Op::Unresponsive(peer) => side.unresponsive(url(peer), 1_700_000_000_000_000 + u64::from(next)),
        Op::Close => side.close(),
        Op::Stats | Op::ResetCounts => {}
        Op::Veto { .. }
        | Op::Block { .. }
        | Op::BlockCheckFails { .. }
        | Op::Agents { .. }
        | Op::GatherFails(_) => {
            rehearse(op, script);
        }
    }
    Outcome::Ok
}

/// Changes what the handlers answer.
fn rehearse(op: &Op, script: &Script) {
    let mut answers = script.answers();
    match op {
        Op::Veto { who, on } => set::<Vetoer>(&mut answers.vetoes, *who, *on),
        Op::Block { space, url, on } => {
            set(&mut answers.blocks, (*space, URLS[usize::from(*url)].to_owned()), *on);
        }
        Op::BlockCheckFails { space, on } => set(&mut answers.failing_checks, *space, *on),
        Op::Agents { space, agents } => drop(answers.agents.insert(*space, *agents)),
        Op::GatherFails(on) => answers.gather_fails = *on,
        _ => {}
    }
}

fn set<T: Ord>(values: &mut BTreeSet<T>, value: T, on: bool) {
    let _changed = if on { values.insert(value) } else { values.remove(&value) };
}

fn plain_reasons(events: &mut [Event]) {
    for event in events {
        if let Event::Disconnect { reason, .. } = event {
            *reason = None;
        }
    }
}

/// Whether every id that is drawn can be told apart.
pub(crate) fn ids_differ() -> bool {
    let spaces: BTreeSet<_> = SPACES.iter().collect();
    spaces.len() == SPACES.len() && BTreeSet::from_iter(URLS).len() == URLS.len()
}
