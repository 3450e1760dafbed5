//! The program behind `cargo xtask sim`: runs the scenarios, says how it goes, writes the page and the picture.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's output")]

use quorate_tests::sim::report::{self, Row};
use quorate_tests::sim::{Measured, Scenario, Trouble, run};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

const SEED: u64 = 20_260_101;
const LOSSES: [f64; 4] = [0.0, 0.1, 0.3, 0.6];
const TROUBLES: [Trouble; 6] = [
    Trouble::Bursts,
    Trouble::Partition,
    Trouble::Churn,
    Trouble::Clocks,
    Trouble::Forger,
    Trouble::ForgerAmongSigned,
];

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("{reason}\nusage: [--quick | --nightly] [--seed N] [--write FOLDER]");
            return ExitCode::from(2);
        }
    };
    let rows: Vec<Row> =
        options.scenarios().into_iter().map(|scenario| measure(scenario, options.seed)).collect();
    if let Some(folder) = &options.write {
        let flag = if options.nightly { " --nightly" } else { "" };
        let command = format!("cargo xtask sim --write{flag} --seed {}", options.seed);
        let page = report::page(&rows, options.seed, &command, "simulation.svg");
        let folder = Path::new(folder);
        let written = std::fs::write(folder.join("simulation.md"), page)
            .and_then(|()| std::fs::write(folder.join("simulation.svg"), report::picture(&rows)));
        if let Err(error) = written {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    let failed = rows.iter().filter(|(scenario, measured)| is_failure(*scenario, measured)).count();
    if failed > 0 {
        eprintln!(
            "{failed} of {} runs lost something in silence or repeated it; the seed is {}",
            rows.len(),
            options.seed
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure(scenario: Scenario, seed: u64) -> Row {
    let started = Instant::now();
    let measured = run(scenario, seed);
    let converged =
        measured.converged.map_or("never".to_owned(), |time| format!("after {:.1} s", time.as_secs_f64()));
    println!(
        "{:>5} participants, {:>2.0} % loss, {:<9}: {} of {} delivered, converged {converged}; {:.2} frames and {:.0} bytes for each; \
         {} repetitions, {} repairs, {} syncs, peak {}/s, {} gaps, {} misled, {} refused, {} twice ({:.1} s)",
        scenario.participants,
        scenario.loss * 100.0,
        report::name(scenario.trouble),
        measured.delivered,
        measured.expected,
        measured.frames_per_delivery(),
        measured.bytes_per_delivery(),
        measured.repetitions,
        measured.repairs,
        measured.syncs,
        measured.peak,
        measured.gaps,
        measured.misled,
        measured.refused,
        measured.twice,
        started.elapsed().as_secs_f64(),
    );
    (scenario, measured)
}

/// Nothing comes twice, nothing is missing in silence (what is given up is a gap that is told), and nobody is told that a
/// message arrived which did not, unless somebody forges acknowledgements.
fn is_failure(scenario: Scenario, measured: &Measured) -> bool {
    let silent = measured.converged.is_none() && measured.gaps == 0;
    measured.twice > 0 || (silent || measured.misled > 0) && scenario.trouble != Trouble::Forger
}

struct Options {
    quick: bool,
    nightly: bool,
    seed: u64,
    write: Option<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { quick: false, nightly: false, seed: SEED, write: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--nightly" => options.nightly = true,
                "--seed" => {
                    let seed = arguments.next().and_then(|seed| seed.parse().ok());
                    options.seed = seed.ok_or("--seed needs a number")?;
                }
                "--write" => options.write = Some(arguments.next().ok_or("--write needs a folder")?),
                unknown => return Err(format!("unknown argument `{unknown}`")),
            }
        }
        Ok(options)
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let groups: &[usize] = if self.quick { &[3, 10] } else { &[3, 10, 30, 100] };
        let quiet = groups
            .iter()
            .flat_map(|participants| LOSSES.map(|loss| Scenario::of(*participants, loss, Trouble::None)));
        let troubled = groups
            .iter()
            .filter(|participants| (4..100).contains(*participants))
            .flat_map(|participants| TROUBLES.map(|trouble| Scenario::of(*participants, 0.2, trouble)));
        // A thousand who all talk would take hours: ten of them do, all of them listen and acknowledge.
        let large =
            [0.0, 0.3].map(|loss| Scenario { senders: 10, ..Scenario::of(1_000, loss, Trouble::None) });
        quiet.chain(troubled).chain(large.into_iter().filter(|_| self.nightly)).collect()
    }
}
