//! SDS-R: asking for what is missing, and answering for others.
//!
//! The rule: a request waits for its time (T_req) and is made again until the message is there or nobody waits for it any more; an
//! answer waits for its time (T_resp) and is dropped when somebody else gave it. Both tables and what is kept for answers are bounded.

use super::config::RepairConfig;
use super::{Dialect, Key, Lack, Wanted};
use crate::ids::{MessageId, ParticipantId};
use bytes::Bytes;
use quorate_base::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The most requests in one message (LIP).
pub(super) const MAX_REQUESTS: usize = 3;
/// The least time between two messages with requests.
const REQUEST_PAUSE: Duration = Duration::from_millis(50);

/// What we lack and when we ask; what we have and when we answer.
#[derive(Debug)]
pub struct Repair {
    config: RepairConfig,
    dialect: Dialect,
    own: ParticipantId,
    wants: BTreeMap<Key, Want>,
    want_due: BTreeSet<(Mono, Key)>,
    next_request: Mono,
    answers: BTreeMap<Key, Mono>,
    answer_due: BTreeSet<(Mono, Key)>,
    kept: Kept,
}

#[derive(Debug)]
struct Want {
    lack: Lack,
    due: Mono,
    expires: Mono,
}

/// A message that can be given to others.
#[derive(Debug, Clone)]
pub struct KeptMessage {
    /// Its id.
    pub id: MessageId,
    /// Who sent it.
    pub sender: ParticipantId,
    /// The message as it came.
    pub bytes: Bytes,
    /// When it was last given.
    answered: Option<Mono>,
}

/// The newest messages, by key.
#[derive(Debug, Default)]
struct Kept {
    messages: BTreeMap<Key, KeptMessage>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl Repair {
    /// Nothing missing and nothing to give yet. `own` asks and answers.
    pub fn new(config: RepairConfig, dialect: Dialect, own: ParticipantId) -> Self {
        Self {
            config,
            dialect,
            own,
            wants: BTreeMap::new(),
            want_due: BTreeSet::new(),
            next_request: Mono::ZERO,
            answers: BTreeMap::new(),
            answer_due: BTreeSet::new(),
            kept: Kept::default(),
        }
    }

    /// Something is missing: it will be asked for. `true` when that is news. Unless it is told again it is forgotten after
    /// `patience`.
    pub fn want(&mut self, now: Mono, lack: Lack, patience: Duration) -> bool {
        if !self.is_enabled() {
            return false;
        }
        let expires = now + patience;
        if let Some(want) = self.wants.get_mut(&lack.key) {
            want.expires = expires;
            want.lack.run = want.lack.run.max(lack.run);
            want.lack.sender = want.lack.sender.take().or(lack.sender);
            want.lack.hint = want.lack.hint.take().or(lack.hint);
            return false;
        }
        let due = now + self.request_delay(&lack.id);
        if self.wants.len() >= self.config.max_entries {
            // The furthest away goes, which may be the new one.
            match self.want_due.last().cloned() {
                Some((last, key)) if last > due => self.forget_want(&key),
                _ => return false,
            }
        }
        self.want_due.insert((due, lack.key.clone()));
        self.wants.insert(lack.key.clone(), Want { lack, due, expires });
        true
    }

    /// Whether a request is to be made now.
    pub fn is_request_due(&self, now: Mono) -> bool {
        now >= self.next_request && self.want_due.first().is_some_and(|(due, _)| *due <= now)
    }

    /// The requests to make now, the most overdue first. `still` says what of a lack is missing still.
    pub fn take_requests(&mut self, now: Mono, mut still: impl FnMut(&Lack) -> Option<Lack>) -> Vec<Wanted> {
        let mut requests = Vec::new();
        while requests.len() < MAX_REQUESTS {
            let Some((_, key)) = self.want_due.first().filter(|(due, _)| *due <= now).cloned() else { break };
            let Some(want) = self.wants.get_mut(&key) else { break };
            let Some(lack) = still(&want.lack).filter(|_| now < want.expires) else {
                self.forget_want(&key);
                continue;
            };
            requests.push(Wanted {
                id: lack.id.clone(),
                run: lack.run,
                hint: lack.hint.clone(),
                sender: lack.sender.clone(),
            });
            let delay = self.request_delay(&lack.id);
            self.postpone(&key, now + delay);
        }
        if !requests.is_empty() {
            self.next_request = now + REQUEST_PAUSE;
        }
        requests
    }

    /// Somebody else asks for messages: what we have of them is answered in its time, what we lack too is asked for later.
    pub fn handle_requests(&mut self, now: Mono, requests: &[Wanted]) {
        if !self.is_enabled() {
            return;
        }
        for (wanted, key) in requests.iter().take(MAX_REQUESTS).flat_map(keys) {
            if self.wants.contains_key(&key) {
                let due = now + self.request_delay(&wanted.id);
                self.postpone(&key, due);
            }
            if let Some(delay) = self.answer_delay(now, &key) {
                self.answer(now + delay, key);
            }
        }
    }

    /// A message arrived, from its sender or as somebody's answer: nobody needs ours.
    pub fn handle_arrival(&mut self, key: &Key) {
        if let Some(due) = self.answers.remove(key) {
            self.answer_due.remove(&(due, key.clone()));
        }
    }

    /// Keeps a message for others. `bytes` are those that came, or that we sent.
    pub fn keep(&mut self, key: Key, id: MessageId, sender: ParticipantId, bytes: Bytes) {
        if self.is_enabled() {
            let message = KeptMessage { id, sender, bytes, answered: None };
            self.kept.insert(key, message, self.config.max_messages, self.config.max_bytes);
        }
    }

    /// Whether a message is kept for others.
    pub fn keeps(&self, key: &Key) -> bool {
        self.kept.messages.contains_key(key)
    }

    /// The next answer whose time has come.
    pub fn poll_answer(&mut self, now: Mono) -> Option<Key> {
        let (_, key) = self.answer_due.first().filter(|(due, _)| *due <= now).cloned()?;
        self.handle_arrival(&key);
        Some(key)
    }

    /// The message that answers; `None` when it was pushed out meanwhile.
    pub fn given(&mut self, now: Mono, key: &Key) -> Option<KeptMessage> {
        let message = self.kept.messages.get_mut(key)?;
        message.answered = Some(now);
        Some(message.clone())
    }

    /// When there is something to ask or to answer.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let ask = self.want_due.first().map(|(due, _)| (*due).max(self.next_request));
        let answer = self.answer_due.first().map(|(due, _)| *due);
        [ask, answer].into_iter().flatten().min()
    }

    /// When there is something to answer.
    pub fn poll_answer_timeout(&self) -> Option<Mono> {
        self.answer_due.first().map(|(due, _)| *due)
    }

    /// Messages that are missing and will be asked for, answers that wait, messages kept, and their bytes.
    pub fn sizes(&self) -> (usize, usize, usize, usize) {
        (self.wants.len(), self.answers.len(), self.kept.messages.len(), self.kept.bytes)
    }

    /// Nobody to ask as, or not wanted.
    fn is_enabled(&self) -> bool {
        self.config.enabled && !self.own.as_str().is_empty()
    }

    fn request_delay(&self, id: &MessageId) -> Duration {
        self.dialect.request_delay(&self.own, id.as_str(), self.config.t_min, self.config.t_max)
    }

    /// How long our answer waits; `None` when we give none: we lack it, others are to answer, or we just did.
    fn answer_delay(&self, now: Mono, key: &Key) -> Option<Duration> {
        let message = self.kept.messages.get(key)?;
        let (id, sender) = (message.id.as_str(), &message.sender);
        let is_ours = self.dialect.is_in_response_group(&self.own, sender, id, self.config.groups);
        let recently = message.answered.is_some_and(|at| now.since(at) < self.config.t_min / 2);
        let delay = || self.dialect.response_delay(&self.own, sender, id, self.config.t_max);
        (is_ours && !recently && !self.answers.contains_key(key)).then(delay)
    }

    fn answer(&mut self, due: Mono, key: Key) {
        if self.answers.len() >= self.config.max_entries {
            match self.answer_due.last().cloned() {
                Some((last, furthest)) if last > due => self.handle_arrival(&furthest),
                _ => return,
            }
        }
        self.answer_due.insert((due, key.clone()));
        self.answers.insert(key, due);
    }

    fn postpone(&mut self, key: &Key, due: Mono) {
        if let Some(want) = self.wants.get_mut(key) {
            self.want_due.remove(&(want.due, key.clone()));
            want.due = want.due.max(due);
            self.want_due.insert((want.due, key.clone()));
        }
    }

    fn forget_want(&mut self, key: &Key) {
        if let Some(want) = self.wants.remove(key) {
            self.want_due.remove(&(want.due, key.clone()));
        }
    }
}

impl Kept {
    fn insert(&mut self, key: Key, message: KeptMessage, max_messages: usize, max_bytes: usize) {
        self.bytes += message.bytes.len();
        if let Some(old) = self.messages.insert(key.clone(), message) {
            self.bytes -= old.bytes.len();
        } else {
            self.order.push_back(key);
        }
        while self.messages.len() > max_messages || self.bytes > max_bytes {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(old) = self.messages.remove(&oldest) {
                self.bytes -= old.bytes.len();
            }
        }
    }
}

/// Each message that a request asks for.
fn keys(wanted: &Wanted) -> impl Iterator<Item = (&Wanted, Key)> {
    let first = Key::of(&wanted.id);
    (0..wanted.run).map_while(move |step| {
        let key = match &first {
            Key::Sequence(tag, sequence) => Key::Sequence(*tag, sequence.checked_add(step)?),
            Key::Opaque(_) if step > 0 => return None,
            Key::Opaque(id) => Key::Opaque(id.clone()),
        };
        Some((wanted, key))
    })
}

#[cfg(test)]
mod tests;
