//! The two dialects of SDS that are in use, and all in which they differ.
//!
//! The rule: a channel speaks one dialect, stated when it opens and never guessed from bytes. The message
//! codecs are in `message/{lip,nim}.rs`, the filters' bits in `filter.rs`, the hashes of repair here.

use super::filter::farmhash;
use crate::ids::ParticipantId;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Whose numbers, filters and hashes are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The text of the LIP, as `@waku/sds` speaks it.
    #[default]
    Lip,
    /// nim-sds 0.3 and 0.4, built by Nim 2.2 or later (64-bit string hash).
    Nim,
}

impl Dialect {
    /// How long `participant` waits before it asks for `message`: T_req of SDS-R, without the time it starts from.
    /// `t_min` where the range is empty.
    pub fn request_delay(
        self,
        participant: &ParticipantId,
        message: &str,
        t_min: Duration,
        t_max: Duration,
    ) -> Duration {
        let range = millis(t_max).saturating_sub(millis(t_min));
        if range == 0 {
            return t_min;
        }
        t_min + Duration::from_millis(self.pair_hash(participant, message) % range)
    }

    /// How long `participant` waits before it answers a request for what `sender` sent: T_resp of SDS-R. Zero for the
    /// sender itself, below `t_max` for everybody.
    pub fn response_delay(
        self,
        participant: &ParticipantId,
        sender: &ParticipantId,
        message: &str,
        t_max: Duration,
    ) -> Duration {
        let t_max = u128::from(millis(t_max));
        if t_max == 0 || participant == sender {
            return Duration::ZERO;
        }
        let distance = self.hash(participant.as_str()) ^ self.hash(sender.as_str());
        let (distance, message) = match self {
            Self::Lip => (distance, self.hash(message)),
            Self::Nim => (magnitude(distance), magnitude(self.hash(message))),
        };
        let product = (u128::from(distance) % t_max) * (u128::from(message) % t_max);
        Duration::from_millis(u64::try_from(product % t_max).unwrap_or(0))
    }

    /// Whether `participant` is among those who answer requests for what `sender` sent.
    pub fn is_in_response_group(
        self,
        participant: &ParticipantId,
        sender: &ParticipantId,
        message: &str,
        groups: u64,
    ) -> bool {
        groups <= 1
            || participant == sender
            || self.pair_hash(participant, message) % groups == self.pair_hash(sender, message) % groups
    }

    fn pair_hash(self, participant: &ParticipantId, message: &str) -> u64 {
        let hash = self.hash(&[participant.as_str(), message].concat());
        match self {
            Self::Lip => hash,
            Self::Nim => magnitude(hash),
        }
    }

    fn hash(self, text: &str) -> u64 {
        match self {
            Self::Lip => {
                let digest = Sha256::digest(text.as_bytes());
                digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
            }
            Self::Nim => farmhash::hash64(text.as_bytes()),
        }
    }
}

/// The absolute value of a hash that is read as a signed number.
const fn magnitude(hash: u64) -> u64 {
    hash.cast_signed().unsigned_abs()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const T_MIN: Duration = Duration::from_secs(30);
    const T_MAX: Duration = Duration::from_secs(120);

    #[test]
    fn the_times_and_groups_of_repair_are_those_of_the_published_implementations() {
        let all: Value = serde_json::from_str(include_str!("../../tests/vectors/sds_hashes.json")).unwrap();
        for (dialect, name) in [(Dialect::Lip, "lip"), (Dialect::Nim, "nim")] {
            let vectors = all["repair"][name].as_array().unwrap();
            assert_eq!(vectors.len(), 4);
            for vector in vectors {
                let text = |field: &str| vector[field].as_str().unwrap();
                let number = |field: &str| vector[field].as_u64().unwrap();
                let time = |field: &str| Duration::from_millis(number(field));
                let (participant, sender) = (text("participant").into(), text("sender").into());
                let (message, t_max) = (text("message"), time("t_max"));
                let asked = dialect.request_delay(&participant, message, time("t_min"), t_max);
                assert_eq!(asked, time("t_req"), "{name} {vector}");
                let answered = dialect.response_delay(&participant, &sender, message, t_max);
                assert_eq!(answered, time("t_resp"), "{name} {vector}");
                let answers = dialect.is_in_response_group(&participant, &sender, message, number("groups"));
                assert_eq!(answers, vector["in_group"].as_bool().unwrap(), "{name} {vector}");
            }
        }
    }

    proptest! {
        #[test]
        fn times_stay_in_their_ranges_and_the_sender_is_always_first(participant in "\\PC{0,20}", sender in "\\PC{0,20}", message in "\\PC{0,40}") {
            let (participant, sender) = (ParticipantId::from(participant), ParticipantId::from(sender));
            for dialect in [Dialect::Lip, Dialect::Nim] {
                let asked = dialect.request_delay(&participant, &message, T_MIN, T_MAX);
                prop_assert!((T_MIN..T_MAX).contains(&asked));
                prop_assert_eq!(asked, dialect.request_delay(&participant, &message, T_MIN, T_MAX));
                prop_assert!(dialect.response_delay(&participant, &sender, &message, T_MAX) < T_MAX);
                prop_assert_eq!(dialect.response_delay(&sender, &sender, &message, T_MAX), Duration::ZERO);
                prop_assert!(dialect.is_in_response_group(&sender, &sender, &message, 7));
                prop_assert!(dialect.is_in_response_group(&participant, &sender, &message, 1));
            }
        }
    }

    #[test]
    fn degenerate_ranges_are_their_lower_end() {
        for dialect in [Dialect::Lip, Dialect::Nim] {
            let (a, b) = ("a".into(), "b".into());
            assert_eq!(dialect.request_delay(&a, "m", T_MAX, T_MIN), T_MAX);
            assert_eq!(dialect.request_delay(&a, "m", T_MIN, T_MIN), T_MIN);
            assert_eq!(dialect.response_delay(&a, &b, "m", Duration::ZERO), Duration::ZERO);
            assert!(dialect.is_in_response_group(&a, &b, "m", 0));
        }
    }

    #[test]
    fn others_ask_and_answer_at_other_times_and_groups_are_about_equal() {
        for dialect in [Dialect::Lip, Dialect::Nim] {
            let sender = ParticipantId::from("sender");
            let members: Vec<ParticipantId> = (0..400).map(|n| format!("member {n}").into()).collect();
            let asked: std::collections::BTreeSet<_> =
                members.iter().map(|one| dialect.request_delay(one, "m", T_MIN, T_MAX)).collect();
            assert!(asked.len() > 390, "{}", asked.len());
            let later = members
                .iter()
                .filter(|one| dialect.response_delay(one, &sender, "m", T_MAX) > Duration::ZERO);
            assert!(later.count() > 390);
            let group = members.iter().filter(|one| dialect.is_in_response_group(one, &sender, "m", 4));
            let group = group.count();
            assert!((60..140).contains(&group), "{group} of 400 in one of 4 groups");
        }
    }
}
