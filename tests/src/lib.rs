//! Suites that cross Quorate's crates: they need two layers at once, or the simulator, on which no
//! layer may depend.
//!
//! The suites stand in `tests/tests`, one scenario per file with a sentence as its name; what they
//! share stands here. Fuzz targets, published peers and downstream builds are workspaces of their
//! own beside it (`fuzz`, `peers`, `downstream`), because they need other tools or other versions.
//!
//! Here: rosters, payloads that say what they follow, and the simulation behind `cargo xtask sim`.

mod causal;
pub mod crash;
pub mod sim;
pub mod wire;

pub use causal::{CausalLog, Stamp};

use quorate_channel::{AckPolicy, ChannelConfig, ParticipantId};
use quorate_testkit::world::{MemberId, Setup, World};
use std::time::Duration;

/// One second.
pub const SECOND: Duration = Duration::from_secs(1);

/// A configuration under which each of `roster` has to acknowledge.
pub fn acknowledged_by(roster: &[&str]) -> ChannelConfig {
    let roster = roster.iter().map(|name| ParticipantId::from(*name)).collect();
    ChannelConfig { acks: AckPolicy::All(roster), ..ChannelConfig::default() }
}

/// Lets `names` join, each waiting for the acknowledgements of all others.
pub fn everybody<const N: usize>(world: &mut World, names: [&str; N]) -> [MemberId; N] {
    names.map(|name| world.join(name, Setup::default().config(acknowledged_by(&others(&names, name)))))
}

/// `names` without `name`.
pub fn others<'a>(names: &[&'a str], name: &str) -> Vec<&'a str> {
    names.iter().copied().filter(|other| *other != name).collect()
}

/// Payloads that `member` received from `from`, in order.
pub fn from(world: &World, member: MemberId, from: MemberId) -> Vec<&[u8]> {
    let name = world.name(from);
    let inbox = world.inbox(member).iter();
    inbox
        .filter(|received| received.from.as_str() == name)
        .map(|received| received.payload.as_ref())
        .collect()
}

/// A payload of `len` bytes that differs from that of any other `number`.
pub fn payload(number: u32, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(len).collect();
    for (at, byte) in bytes.iter_mut().enumerate().skip(4) {
        *byte ^= u8::try_from(at % 251).unwrap_or(0);
    }
    bytes
}
