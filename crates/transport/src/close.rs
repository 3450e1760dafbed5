//! How connections end, in numbers and words that both sides understand.
//!
//! The rule: a side that closes says why, and what it says is bounded.

use std::fmt;

/// The most bytes of a reason that are sent, kept or shown; the rest is cut off.
pub const MAX_REASON_BYTES: usize = 1_024;

/// Why a side closes a link. 0 to 2 are the application close codes of Kitsune2 0.6; it reads the
/// others as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 0: something failed, or a number that this version does not know.
    Failure,
    /// 1: on purpose, and the peer is in good standing.
    Graceful,
    /// 2: another connection between the same two peers stays in place of this one.
    Superseded,
    /// 3: the application, or a limit, does not want this peer.
    Refused,
    /// 4: the peer broke the protocol.
    Violation,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::Failure => 0,
            Self::Graceful => 1,
            Self::Superseded => 2,
            Self::Refused => 3,
            Self::Violation => 4,
        }
    }
}

impl From<u64> for CloseCode {
    fn from(number: u64) -> Self {
        match number {
            1 => Self::Graceful,
            2 => Self::Superseded,
            3 => Self::Refused,
            4 => Self::Violation,
            _ => Self::Failure,
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failure => "failure",
            Self::Graceful => "graceful",
            Self::Superseded => "superseded",
            Self::Refused => "refused",
            Self::Violation => "violation",
        })
    }
}

/// A code and a reason: what one side tells the other as the last thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The kind of end.
    pub code: CloseCode,
    /// The words, at most [`MAX_REASON_BYTES`].
    pub reason: String,
}

impl Close {
    /// A close with a reason, cut to [`MAX_REASON_BYTES`].
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        Self { code, reason: bounded(reason.into()) }
    }

    /// The reason, unless there are no words.
    pub fn words(&self) -> Option<&str> {
        Some(self.reason.as_str()).filter(|reason| !reason.is_empty())
    }
}

/// `reason` without what is beyond the bound, cut between characters.
pub(crate) fn bounded(mut reason: String) -> String {
    if reason.len() > MAX_REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        reason.shrink_to_fit();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_unknown_ones_are_failures() {
        for number in 0..5 {
            assert_eq!(CloseCode::from(number).number(), number as u32);
        }
        assert_eq!(CloseCode::from(77), CloseCode::Failure);
        assert_eq!(CloseCode::from(u64::MAX), CloseCode::Failure);
    }

    #[test]
    fn a_reason_never_grows_beyond_its_bound() {
        let close = Close::new(CloseCode::Refused, "é".repeat(5_000));
        assert_eq!(close.reason.len(), MAX_REASON_BYTES);
        let odd = bounded(format!("a{}", "é".repeat(5_000)));
        assert_eq!(odd.len(), MAX_REASON_BYTES - 1);
        assert_eq!(bounded("short".into()), "short");
    }
}
