//! The model: sets of messages, no bounds, no ids, no time but for what was given up.
//!
//! The rule: it knows everything that everybody did, and says of each event whether it may be, and after each input what must
//! have been.

use std::collections::BTreeSet;

/// A message, by its place in the list of all.
pub(crate) type Number = usize;
/// A participant in one incarnation, by its place in the list of all.
pub(crate) type Member = usize;

/// Who has to acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    AtLeast(usize),
    Everybody,
}

#[derive(Debug)]
struct Message {
    by: Member,
    /// All that it follows, at whatever remove.
    past: BTreeSet<Number>,
    /// Names of those whose acknowledgement its sender knows of.
    acknowledged: BTreeSet<usize>,
    satisfied: bool,
}

#[derive(Debug, Default)]
struct Knowledge {
    /// Which participant it is an incarnation of.
    name: usize,
    gone: bool,
    accepted: BTreeSet<Number>,
    delivered: BTreeSet<Number>,
    given_up: BTreeSet<Number>,
    own: BTreeSet<Number>,
    /// How many messages there were when it came.
    since: Number,
}

/// Everything that happened.
#[derive(Debug)]
pub(crate) struct Model {
    policy: Policy,
    names: usize,
    messages: Vec<Message>,
    /// They never left: nobody waits for them, and who never heard their sender may name them in a gap.
    undone: BTreeSet<Number>,
    members: Vec<Knowledge>,
}

type Verdict = Result<(), String>;

fn check(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(why()) }
}

impl Model {
    pub(crate) fn new(names: usize, policy: Policy) -> Self {
        let members = (0..names).map(|name| Knowledge { name, ..Knowledge::default() }).collect();
        Self { policy, names, messages: Vec::new(), undone: BTreeSet::new(), members }
    }

    /// `member` sends; the number of the message.
    pub(crate) fn send(&mut self, member: Member) -> Number {
        let this = &mut self.members[member];
        let known: BTreeSet<Number> = this.delivered.union(&this.own).copied().collect();
        let past = known.iter().flat_map(|one| &self.messages[*one].past).chain(&known).copied().collect();
        let number = self.messages.len();
        this.own.insert(number);
        self.messages.push(Message { by: member, past, acknowledged: BTreeSet::new(), satisfied: false });
        number
    }

    /// It never left.
    pub(crate) fn undo(&mut self, number: Number) {
        self.members[self.messages[number].by].own.remove(&number);
        self.undone.insert(number);
    }

    /// A participant comes back without its memory.
    pub(crate) fn restart(&mut self, member: Member) -> Member {
        self.members[member].gone = true;
        let name = self.members[member].name;
        self.members.push(Knowledge { name, since: self.messages.len(), ..Knowledge::default() });
        self.members.len() - 1
    }

    /// A message arrived at `member`. Whether it is new to it and wanted.
    pub(crate) fn arrive(&mut self, member: Member, number: Number) {
        let this = &mut self.members[member];
        if !this.given_up.contains(&number) && self.messages[number].by != member {
            this.accepted.insert(number);
        }
    }

    /// What `member` can truly say it has.
    pub(crate) fn has(&self, member: Member) -> BTreeSet<Number> {
        self.members[member].accepted.clone()
    }

    /// `member` was told to deliver.
    pub(crate) fn delivered(&mut self, member: Member, number: Number) -> Verdict {
        let lacks = self.lacks(member, number);
        let this = &mut self.members[member];
        check(this.accepted.contains(&number), || format!("{member} delivers {number}, which never came"))?;
        check(lacks.is_empty(), || format!("{member} delivers {number} before {lacks:?}, which it follows"))?;
        check(this.delivered.insert(number), || format!("{member} delivers {number} again"))
    }

    /// `member` was told that a message is lost: something waits for it, and it did not come.
    pub(crate) fn given_up(&mut self, member: Member, number: Number) -> Verdict {
        if self.undone.contains(&number) {
            return Ok(());
        }
        let waits = self.waiting(member).any(|waiter| self.messages[waiter].past.contains(&number));
        let this = &mut self.members[member];
        check(waits, || format!("{member} gives up {number}, for which nothing waits"))?;
        check(!this.accepted.contains(&number), || format!("{member} gives up {number}, which it has"))?;
        check(this.given_up.insert(number), || format!("{member} gives up {number} again"))
    }

    /// Nothing that can be delivered has not been.
    pub(crate) fn settled(&self, member: Member) -> Verdict {
        let ready: Vec<_> =
            self.waiting(member).filter(|waiter| self.lacks(member, *waiter).is_empty()).collect();
        check(ready.is_empty(), || format!("{member} has not delivered {ready:?}"))
    }

    /// The sender of `number` was told that `name` has it, and whether that is enough.
    pub(crate) fn acknowledged(&mut self, number: Number, name: usize, satisfied: bool) -> Verdict {
        let had = self.members.iter().any(|one| one.name == name && one.accepted.contains(&number));
        check(had, || format!("{name} is said to have {number}, and has not"))?;
        let names = self.names;
        let message = &mut self.messages[number];
        check(!message.satisfied, || format!("{number} was acknowledged by enough before"))?;
        check(message.acknowledged.insert(name), || format!("{name} acknowledges {number} again"))?;
        message.satisfied = match self.policy {
            Policy::AtLeast(least) => message.acknowledged.len() >= least,
            Policy::Everybody => message.acknowledged.len() == names - 1,
        };
        check(message.satisfied == satisfied, || format!("{number}: satisfied is not {satisfied}"))
    }

    /// Which messages of `sender` a participant called `name`, that says it has `has`, newly acknowledges.
    pub(crate) fn news(&self, sender: Member, name: usize, has: &BTreeSet<Number>) -> BTreeSet<Number> {
        let open = |number: &&Number| {
            let message = &self.messages[**number];
            message.by == sender && !message.satisfied && !message.acknowledged.contains(&name)
        };
        has.iter().filter(open).copied().collect()
    }

    /// When nothing is lost any more, and time has passed: everybody who is there has all that anybody who is there has, from
    /// when it came on, but for what it gave up; and every send was acknowledged.
    pub(crate) fn over(&self) -> Verdict {
        let there = || self.members.iter().enumerate().filter(|(_, one)| !one.gone);
        let known: BTreeSet<Number> =
            there().flat_map(|(_, one)| one.own.iter().chain(&one.accepted)).copied().collect();
        for (member, one) in there() {
            let expected = known.iter().filter(|number| **number >= one.since && !one.own.contains(number));
            let lacks: Vec<_> = expected
                .filter(|number| !one.delivered.contains(number))
                .filter(|number| !one.given_up.contains(number))
                .collect();
            check(lacks.is_empty(), || format!("{member} lacks {lacks:?} in the end"))?;
            let waits: Vec<_> = self.waiting(member).collect();
            check(waits.is_empty(), || format!("{waits:?} wait at {member} in the end"))?;
        }
        let nothing_was_given_up = self.members.iter().all(|one| one.given_up.is_empty());
        for (_, one) in there().filter(|_| nothing_was_given_up) {
            let open: Vec<_> = one.own.iter().filter(|number| !self.messages[**number].satisfied).collect();
            check(open.is_empty(), || format!("{open:?} are not acknowledged in the end"))?;
        }
        Ok(())
    }

    pub(crate) fn name(&self, member: Member) -> usize {
        self.members[member].name
    }

    fn waiting(&self, member: Member) -> impl Iterator<Item = Number> + '_ {
        let this = &self.members[member];
        this.accepted.difference(&this.delivered).copied()
    }

    /// What `number` follows, as `member` can know, that it neither sent, nor delivered, nor gave up. What a lost message followed
    /// nobody can tell, but for the earlier ones of its sender.
    fn lacks(&self, member: Member, number: Number) -> Vec<Number> {
        let this = &self.members[member];
        let mut lacks = BTreeSet::new();
        let mut look: Vec<Number> = self.told(number);
        while let Some(past) = look.pop() {
            if this.given_up.contains(&past) {
                look.extend(self.earlier(past));
            } else if !this.own.contains(&past) && !this.delivered.contains(&past) {
                lacks.insert(past);
            }
        }
        lacks.into_iter().collect()
    }

    /// What a message tells of its past: the earlier ones of its sender, and the latest of the others.
    fn told(&self, number: Number) -> Vec<Number> {
        let past = &self.messages[number].past;
        let is_latest = |one: &&Number| past.iter().all(|other| !self.messages[*other].past.contains(one));
        past.iter().filter(is_latest).copied().chain(self.earlier(number)).collect()
    }

    /// The last message of the same sender before it.
    fn earlier(&self, number: Number) -> Option<Number> {
        let message = &self.messages[number];
        message.past.iter().rev().find(|past| self.messages[**past].by == message.by).copied()
    }
}
