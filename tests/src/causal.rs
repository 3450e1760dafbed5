//! Vector clocks in the payloads, kept by the test: what happened before what is known without asking SDS.

/// A vector clock, with the number of its owner: what a payload is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Who sent it.
    pub by: usize,
    /// How many messages of each the sender had sent or delivered, this one included.
    pub clock: Vec<u32>,
}

/// One participant's view: its clock, and whether anything was delivered too early or twice.
#[derive(Debug)]
pub struct CausalLog {
    me: usize,
    clock: Vec<u32>,
}

impl Stamp {
    /// As bytes of a payload.
    pub fn encode(&self) -> Vec<u8> {
        let numbers =
            [u32::try_from(self.by).unwrap_or(u32::MAX)].into_iter().chain(self.clock.iter().copied());
        numbers.flat_map(u32::to_be_bytes).collect()
    }

    /// From the bytes of a payload.
    pub fn decode(payload: &[u8]) -> Self {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        let mut numbers = payload.chunks(4).map(number);
        let by = numbers.next().unwrap_or(u32::MAX) as usize;
        Self { by, clock: numbers.collect() }
    }
}

impl CausalLog {
    /// The view of participant `me` of `group`.
    pub fn new(me: usize, group: usize) -> Self {
        Self { me, clock: vec![0; group] }
    }

    /// The stamp of the next own message.
    pub fn send(&mut self) -> Stamp {
        self.clock[self.me] += 1;
        Stamp { by: self.me, clock: self.clock.clone() }
    }

    /// Takes note of a delivery. `Err` says what it came before, or that it came twice.
    pub fn deliver(&mut self, stamp: &Stamp) -> Result<(), String> {
        for (who, (seen, needs)) in self.clock.iter().zip(&stamp.clock).enumerate() {
            let right = if who == stamp.by { *seen + 1 == *needs } else { seen >= needs };
            if !right {
                return Err(format!("{} has {:?} and was told {stamp:?}", self.me, self.clock));
            }
        }
        self.clock[stamp.by] += 1;
        Ok(())
    }

    /// How many messages of each were sent or delivered.
    pub fn clock(&self) -> &[u32] {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inversion_and_a_repetition_are_noticed() {
        let (mut a, mut b, mut c) = (CausalLog::new(0, 3), CausalLog::new(1, 3), CausalLog::new(2, 3));
        let first = a.send();
        b.deliver(&first).unwrap();
        let reply = Stamp::decode(&b.send().encode());
        assert!(c.deliver(&reply).is_err(), "before what it answers");
        c.deliver(&first).unwrap();
        c.deliver(&reply).unwrap();
        assert!(c.deliver(&reply).is_err(), "twice");
        assert_eq!(c.clock(), [1, 1, 0]);
    }
}
