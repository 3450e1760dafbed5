//! The program behind `cargo xtask sim`: runs the scenarios, says how it goes, writes the page and the picture.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's output")]

use quorate_tests::sim::kept::Kept;
use quorate_tests::sim::report::{self, Row};
use quorate_tests::sim::{Measured, SPEAKERS, Scenario, TROUBLED_LOSS, Trouble, run};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const SEED: u64 = 20_260_101;
const LOSSES: [f64; 4] = [0.0, 0.1, 0.3, 0.6];
/// How many participants `--nightly` adds.
const LARGE: usize = 1_000;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!(
                "{reason}\nusage: [--quick | --nightly] [--only PARTICIPANTS] [--seed N] [--resume FILE] [--write FOLDER]"
            );
            return ExitCode::from(2);
        }
    };
    let kept = match options.resume.as_deref().map(|file| Kept::open(file, options.seed)).transpose() {
        Ok(kept) => kept.unwrap_or_default(),
        Err(error) => {
            eprintln!("what was measured before cannot be read: {error}");
            return ExitCode::FAILURE;
        }
    };
    let rows = measure_all(&options.scenarios(), options.seed, &kept);
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

/// Runs the scenarios side by side, as many as there are processors. Which runs where changes nothing.
fn measure_all(scenarios: &[Scenario], seed: u64, kept: &Kept) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let scenario = *scenarios.get(at)?;
            let row = kept.find(&scenario).unwrap_or_else(|| {
                let row = measure(scenario, seed);
                kept.add(&row);
                row
            });
            Some((at, row))
        });
        mine.collect::<Vec<_>>()
    };
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut rows: Vec<(usize, Row)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        // A run that fails has said why, with its seed.
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|_| exit(1))).collect()
    });
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn measure(scenario: Scenario, seed: u64) -> Row {
    let started = Instant::now();
    let measured = run(scenario, seed);
    let converged =
        measured.converged.map_or("never".to_owned(), |time| format!("after {:.1} s", time.as_secs_f64()));
    println!(
        "{:>5} participants, {:>3} send, {:>2.0} % loss, {:<14}: {} of {} delivered, converged {converged}; {:.2} frames and {:.0} bytes for each; \
         {} repetitions, {} repairs, {}/s at most, {} syncs, peak {}/s, {} gaps, {} misled, {} refused, {} twice ({:.1} s)",
        scenario.participants,
        scenario.senders,
        scenario.loss * 100.0,
        report::name(scenario.trouble),
        measured.delivered,
        measured.expected,
        measured.frames_per_delivery(),
        measured.bytes_per_delivery(),
        measured.repetitions,
        measured.repairs,
        measured.storm,
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
/// message arrived which did not. Where somebody forges acknowledgements, no more is missing than one attempt loses; where
/// messages are signed besides, what it forged is refused and it is as if nobody did.
fn is_failure(scenario: Scenario, measured: &Measured) -> bool {
    let silent = measured.converged.is_none() && measured.gaps == 0;
    measured.twice > 0
        || match scenario.trouble {
            Trouble::Forger => measured.missing() > scenario.loss,
            Trouble::ForgerAmongSigned => silent || measured.misled > 0 || measured.refused == 0,
            _ => silent || measured.misled > 0,
        }
}

struct Options {
    quick: bool,
    nightly: bool,
    /// Groups of this size alone.
    only: Option<usize>,
    seed: u64,
    /// What was measured before is read from here, and what is measured now is added.
    resume: Option<PathBuf>,
    write: Option<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options =
            Self { quick: false, nightly: false, only: None, seed: SEED, resume: None, write: None };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--nightly" => options.nightly = true,
                "--only" => {
                    let only = arguments.next().and_then(|only| only.parse().ok());
                    options.only = Some(only.ok_or("--only needs a number of participants")?);
                }
                "--seed" => {
                    let seed = arguments.next().and_then(|seed| seed.parse().ok());
                    options.seed = seed.ok_or("--seed needs a number")?;
                }
                "--resume" => {
                    options.resume = Some(arguments.next().ok_or("--resume needs a file")?.into());
                }
                "--write" => options.write = Some(arguments.next().ok_or("--write needs a folder")?),
                unknown => return Err(format!("unknown argument `{unknown}`")),
            }
        }
        Ok(options)
    }

    /// Who all talk, up to 100; ten who talk, up to 1,000: a thousand who all talk would take hours. What goes wrong beside loss
    /// goes wrong at 20 % of it, and that loss alone is what it is held against; in large groups ten talk then.
    fn scenarios(&self) -> Vec<Scenario> {
        let groups: &[usize] = if self.quick { &[3, 10] } else { &[3, 10, 30, 100] };
        let sizes = || groups.iter().copied().chain(self.nightly.then_some(LARGE));
        let all = groups.iter().flat_map(|size| LOSSES.map(|loss| Scenario::of(*size, loss, Trouble::None)));
        let few = sizes().filter(|size| *size > SPEAKERS);
        let few = few.flat_map(|size| LOSSES.map(|loss| Scenario::of(size, loss, Trouble::None)));
        let troubled =
            sizes().flat_map(|size| Trouble::ALL.map(|trouble| Scenario::of(size, TROUBLED_LOSS, trouble)));
        let troubled = troubled.map(|scenario| match scenario.participants {
            ..100 => scenario,
            _ => scenario.with_few_senders(),
        });
        let asked = |scenario: &Scenario| self.only.is_none_or(|only| only == scenario.participants);
        all.chain(few.map(Scenario::with_few_senders)).chain(troubled).filter(asked).collect()
    }
}
