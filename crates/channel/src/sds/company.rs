//! How many others there are, as far as they were heard.
//!
//! The rule: everybody who receives acknowledges, so the larger the group, the rarer each of its members speaks. The count decays, is
//! bounded, and is no more than a guess: who forges names slows acknowledgements down to a bound, and stops nothing.

use crate::ids::ParticipantId;
use quorate_base::Mono;
use std::collections::BTreeSet;
use std::time::Duration;

/// The most that are counted.
const MAX: usize = 4_096;
/// Who was silent for this long, or twice as long, counts no more.
const GENERATION: Duration = Duration::from_secs(150);

/// Those who were heard lately.
#[derive(Debug)]
pub(crate) struct Company {
    /// So many are there, whether they were heard or not.
    least: usize,
    heard: BTreeSet<ParticipantId>,
    /// How many there were in the generation before.
    before: usize,
    since: Mono,
}

impl Company {
    /// Nobody was heard yet; `least` are there all the same.
    pub(crate) const fn new(now: Mono, least: usize) -> Self {
        Self { least, heard: BTreeSet::new(), before: 0, since: now }
    }

    /// Somebody spoke.
    pub(crate) fn heard(&mut self, now: Mono, who: &ParticipantId) {
        if now.since(self.since) >= GENERATION {
            self.before = self.heard.len();
            self.heard.clear();
            self.since = now;
        }
        if self.heard.len() < MAX && !self.heard.contains(who) {
            self.heard.insert(who.clone());
        }
    }

    /// How many others there are.
    pub(crate) fn size(&self) -> usize {
        self.least.max(self.before).max(self.heard.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn who_was_heard_counts_once_and_not_for_ever() {
        let mut company = Company::new(at(0), 1);
        assert_eq!(company.size(), 1, "the least");
        for name in ["a", "b", "c", "a"] {
            company.heard(at(1), &name.into());
        }
        assert_eq!(company.size(), 3);
        company.heard(at(200), &"a".into());
        assert_eq!(company.size(), 3, "they may only be silent");
        company.heard(at(400), &"a".into());
        assert_eq!(company.size(), 1);
    }

    #[test]
    fn names_without_end_cost_no_memory_without_end() {
        let mut company = Company::new(at(0), 0);
        (0..2 * MAX).for_each(|name| company.heard(at(1), &name.to_string().into()));
        assert_eq!(company.size(), MAX);
    }
}
