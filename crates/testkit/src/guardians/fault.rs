//! What a guardian does with requests.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a guardian does with requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fault {
    /// Answers as it should.
    #[default]
    Honest,
    /// Tells the lie that all liars tell.
    Liar,
    /// The truth and the lie in turn.
    FlipFlop,
    /// Answers as it should, after that long.
    Slow(Duration),
    /// Takes requests and never answers.
    Hang,
    /// Answers with this error code.
    Error(i64),
    /// Answers with bytes that are no JSON.
    Garbage,
    /// Answers with JSON of another shape than any method has.
    WrongShape,
    /// Answers another question than was asked.
    WrongId,
    /// Answers every question twice, the second time with the lie.
    Duplicate,
    /// Answers with a string of that many bytes.
    Huge(usize),
    /// Closes the connection at every request.
    Drop,
    /// Refuses connections: nobody listens on the port.
    Refuse,
    /// Connections are neither refused nor answered.
    BlackHole,
}

/// The word names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the faults are honest, liar, flipflop, slow=MS, hang, error=CODE, garbage, wrong-shape, wrong-id, duplicate, \
     huge=BYTES, drop, refuse and blackhole"
)]
pub struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let number = || value.and_then(|value| value.parse::<u64>().ok()).ok_or(UnknownFault);
        let fault = match name {
            "slow" => return Ok(Self::Slow(Duration::from_millis(number()?))),
            "huge" => return Ok(Self::Huge(usize::try_from(number()?).map_err(|_| UnknownFault)?)),
            "error" => {
                let code = value.and_then(|value| value.parse().ok());
                return code.map(Self::Error).ok_or(UnknownFault);
            }
            "honest" => Self::Honest,
            "liar" => Self::Liar,
            "flipflop" => Self::FlipFlop,
            "hang" => Self::Hang,
            "garbage" => Self::Garbage,
            "wrong-shape" => Self::WrongShape,
            "wrong-id" => Self::WrongId,
            "duplicate" => Self::Duplicate,
            "drop" => Self::Drop,
            "refuse" => Self::Refuse,
            "blackhole" => Self::BlackHole,
            _ => return Err(UnknownFault),
        };
        value.map_or(Ok(fault), |_| Err(UnknownFault))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slow(after) => return write!(f, "slow={}", after.as_millis()),
            Self::Error(code) => return write!(f, "error={code}"),
            Self::Huge(bytes) => return write!(f, "huge={bytes}"),
            Self::Honest => "honest",
            Self::Liar => "liar",
            Self::FlipFlop => "flipflop",
            Self::Hang => "hang",
            Self::Garbage => "garbage",
            Self::WrongShape => "wrong-shape",
            Self::WrongId => "wrong-id",
            Self::Duplicate => "duplicate",
            Self::Drop => "drop",
            Self::Refuse => "refuse",
            Self::BlackHole => "blackhole",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_word() {
        for word in [
            "honest",
            "liar",
            "flipflop",
            "slow=5",
            "hang",
            "error=-32000",
            "garbage",
            "wrong-shape",
            "wrong-id",
            "duplicate",
            "huge=9",
            "drop",
            "refuse",
            "blackhole",
        ] {
            assert_eq!(word.parse::<Fault>().map(|fault| fault.to_string()).as_deref(), Ok(word));
        }
        for none in ["", "slow", "slow=x", "error", "liar=1", "dead"] {
            assert_eq!(none.parse::<Fault>(), Err(UnknownFault), "{none}");
        }
    }
}
