//! What was measured before: a run of hours that is cut short goes on where it was.
//!
//! The rule: a line is a scenario, its seed, and what came of it, all in numbers. It says nothing of the code that measured it: who
//! changes the code begins a new file.

use super::report::{Row, name};
use super::{Measured, Scenario, Trouble};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The rows of a file, and the file, to which others are added. The default has neither.
#[derive(Debug, Default)]
pub struct Kept {
    rows: Vec<Row>,
    file: Option<Mutex<File>>,
    seed: u64,
}

impl Kept {
    /// Reads the rows of `seed`; what is torn or of another seed is passed over.
    ///
    /// # Errors
    /// Of the file; one that is not there is made.
    pub fn open(file: &Path, seed: u64) -> io::Result<Self> {
        let open = File::options().create(true).append(true).open(file)?;
        let rows = std::fs::read_to_string(file)?.lines().filter_map(|line| read(line, seed)).collect();
        Ok(Self { rows, file: Some(Mutex::new(open)), seed })
    }

    /// What came of a scenario before.
    pub fn find(&self, scenario: &Scenario) -> Option<Row> {
        self.rows.iter().find(|(known, _)| known == scenario).copied()
    }

    /// Adds a row. One that cannot be written is measured again next time.
    pub fn add(&self, row: &Row) {
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = file.write_all(line(row, self.seed).as_bytes());
        }
    }
}

fn line((scenario, measured): &Row, seed: u64) -> String {
    let converged = measured.converged.map_or(-1, |time| i128::try_from(time.as_nanos()).unwrap_or(-1));
    let numbers = numbers(*measured).map(|number| number.to_string()).join(" ");
    format!(
        "{seed}|{}|{}|{}|{}|{converged}|{numbers}|\n",
        scenario.participants,
        scenario.senders,
        scenario.loss,
        name(scenario.trouble)
    )
}

fn read(line: &str, seed: u64) -> Option<Row> {
    let fields: Vec<&str> = line.split('|').collect();
    let [of_seed, participants, senders, loss, trouble, converged, numbers, ""] = fields.as_slice() else {
        return None;
    };
    let trouble = Trouble::ALL.into_iter().find(|known| name(*known) == *trouble)?;
    let scenario = Scenario {
        participants: participants.parse().ok()?,
        senders: senders.parse().ok()?,
        loss: loss.parse().ok()?,
        trouble,
    };
    let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [
        expected,
        delivered,
        frames,
        bytes,
        repetitions,
        syncs,
        peak,
        twice,
        repairs,
        storm,
        refused,
        gaps,
        misled,
    ] = <[u64; 13]>::try_from(numbers).ok()?;
    let converged = u64::try_from(converged.parse::<i128>().ok()?).ok().map(Duration::from_nanos);
    let measured = Measured {
        expected,
        delivered,
        converged,
        frames,
        bytes,
        repetitions,
        syncs,
        peak,
        twice,
        repairs,
        storm,
        refused,
        gaps,
        misled,
    };
    (of_seed.parse() == Ok(seed)).then_some((scenario, measured))
}

/// In the order in which they are read.
fn numbers(measured: Measured) -> [u64; 13] {
    let Measured { expected, delivered, frames, bytes, repetitions, syncs, peak, .. } = measured;
    let Measured { twice, repairs, storm, refused, gaps, misled, .. } = measured;
    [
        expected,
        delivered,
        frames,
        bytes,
        repetitions,
        syncs,
        peak,
        twice,
        repairs,
        storm,
        refused,
        gaps,
        misled,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written_and_a_torn_one_is_none() {
        for converged in [None, Some(Duration::from_millis(1_234))] {
            let measured =
                Measured { expected: 1, delivered: 2, converged, misled: 13, ..Measured::default() };
            let row = (Scenario::of(30, 0.3, Trouble::ForgerAmongSigned).with_few_senders(), measured);
            let written = line(&row, 7);
            assert_eq!(format!("{:?}", read(written.trim_end(), 7)), format!("{:?}", Some(row)));
            assert!(read(written.trim_end(), 8).is_none(), "another seed");
            assert!(read(&written[..written.len() - 2], 7).is_none(), "torn");
        }
    }
}
