//! What goes wrong in a simulation beside loss, second by second.

use super::{Run, TALK, hostile};
use quorate_channel::NoCipher;
use quorate_testkit::world::Setup;
use std::time::Duration;

/// What goes wrong beside loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Every 3 s a random third hears and is heard by nobody for 1 s.
    Bursts,
    /// Two halves do not hear each other from 10 s to 40 s.
    Partition,
    /// A third of the participants comes and goes: each is gone after 10 s on average, and comes back as a new incarnation.
    Churn,
    /// Every 2 s the wall clock of somebody jumps by up to an hour either way.
    Clocks,
    /// A member acknowledges everything in everybody's name, and asks for repairs of what never was.
    Forger,
    /// The same member, in a group whose messages are signed ([`SenderAuth`](quorate_channel::sds::SenderAuth)).
    ForgerAmongSigned,
}

impl Trouble {
    /// All that can go wrong, and nothing.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Bursts,
        Self::Partition,
        Self::Churn,
        Self::Clocks,
        Self::Forger,
        Self::ForgerAmongSigned,
    ];
}

impl Run {
    /// What goes wrong in this second.
    pub(super) fn trouble(&mut self) {
        let seconds = self.world.elapsed().as_secs();
        let talking = self.world.elapsed() < TALK;
        match self.scenario.trouble {
            Trouble::None => {}
            Trouble::Bursts => self.burst(seconds.is_multiple_of(3) && talking),
            Trouble::Partition => {
                let members: Vec<_> = self.seats.iter().map(|seat| seat.member).collect();
                let (one, other) = members.split_at(members.len() / 2);
                match seconds {
                    10 => self.world.partition(one, other),
                    40 => {
                        self.world.heal();
                        self.quiet_since = self.world.elapsed();
                    }
                    _ => {}
                }
            }
            Trouble::Churn => self.churn(talking),
            Trouble::Clocks => {
                if seconds.is_multiple_of(2) && talking {
                    let member = self.seats[self.random.usize(..self.seats.len())].member;
                    let step = Duration::from_secs(self.random.u64(1..3_600));
                    if self.random.bool() {
                        self.world.step_wall(member, step);
                    } else {
                        self.world.step_wall_back(member, step);
                    }
                }
            }
            Trouble::Forger | Trouble::ForgerAmongSigned => {
                if talking {
                    let members: Vec<_> = self.seats.iter().map(|seat| seat.member).collect();
                    hostile::forge(&mut self.world, &members, seconds);
                }
            }
        }
    }

    /// A random third is alone for this second, where there is a burst.
    fn burst(&mut self, now: bool) {
        self.world.heal();
        if now {
            let mut members: Vec<_> = self.seats.iter().map(|seat| seat.member).collect();
            self.random.shuffle(&mut members);
            let out = members.split_off(members.len() - members.len() / 3);
            for (index, member) in out.iter().enumerate() {
                self.world.partition(&[*member], &members);
                self.world.partition(&[*member], &out[index + 1..]);
            }
        }
    }

    fn churn(&mut self, talking: bool) {
        let now = self.world.elapsed();
        for seat in self.seats.iter_mut().filter(|seat| !seat.stays) {
            match seat.back_at {
                None if talking && self.random.u8(..10) == 0 => {
                    self.world.crash(seat.member);
                    seat.back_at = Some(now + Duration::from_secs(self.random.u64(2..8)));
                }
                Some(back) if back <= now => {
                    let stats = self.world.stats(seat.member);
                    seat.before.frames += stats.envelopes_dispatched;
                    seat.before.bytes += stats.envelope_bytes_dispatched;
                    seat.before.repetitions += stats.retransmissions;
                    seat.before.syncs += stats.syncs_sent;
                    seat.before.repairs += stats.repairs_given;
                    let setup = Setup::default().cipher(Box::new(NoCipher));
                    seat.member = self.world.join(&seat.name, setup);
                    seat.inbox_seen = 0;
                    seat.back_at = None;
                }
                _ => {}
            }
        }
    }
}
