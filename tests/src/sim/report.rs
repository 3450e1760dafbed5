//! The page that a simulation yields: a table of what was counted, and beyond it what the growth suggests, so called.

use super::{MESSAGES, Measured, PAYLOAD, SPEAKERS, Scenario, TROUBLED_LOSS, Trouble, plot};
use std::fmt::Write;
use std::time::Duration;

/// Groups for which the growth is carried on.
const BEYOND: [usize; 2] = [10_000, 100_000];

/// A scenario and what came of it.
pub type Row = (Scenario, Measured);

/// The page, in Markdown, with the plot's file name.
pub fn page(rows: &[Row], seed: u64, command: &str, picture: &str) -> String {
    let mut page = String::new();
    page.push_str("# Groups in simulation\n\n");
    let _ = writeln!(
        page,
        "Written by `{command}`, seed {seed}: the real machines in virtual time, so the same command writes the same page. Each sender sends \
         {MESSAGES} messages of {PAYLOAD} bytes within 30 s and waits until all others acknowledged them (`AckPolicy::All`). An envelope reaches each receiver \
         after 20 to 125 ms, or is lost, for each receiver on its own; 2 % arrive twice, 5 % late. Everything else is the default configuration, without a \
         cipher. A *frame* is one envelope handed to a medium that carries it to everybody; a *delivery* is one message at one receiver.\n"
    );
    let _ = writeln!(page, "![Time to convergence, frames and bytes for each delivery]({picture})\n");
    page.push_str("## Loss\n\n");
    table(&mut page, rows.iter().filter(|(scenario, _)| is_of_series(scenario, scenario.participants)));
    let _ = writeln!(page, "\n## Loss, where {SPEAKERS} send\n\nAll receive and acknowledge.\n");
    table(&mut page, rows.iter().filter(|(scenario, _)| is_of_series(scenario, SPEAKERS)));
    page.push_str("\n## Trouble\n\n");
    table(&mut page, rows.iter().filter(|(scenario, _)| is_troubled(scenario)));
    page.push_str(
        "\n*None* is what the others are held against. *Bursts*: every 3 s a third is cut off for 1 s. *Partition*: two halves are apart from 10 s to 40 s; the time counts from then. *Churn*: a third \
         comes and goes as new incarnations; who stays counts. *Clocks*: every 2 s a wall clock jumps by up to an hour. *Forger*: a member acknowledges everything in the names of others and asks \
         for repairs of what never was, each second, to each. *Misled* are sends that their sender was told everybody has, although somebody does not: only forged acknowledgements do that. *Forger, \
         signed*: the same forger where messages are signed (`SenderAuth`); *refused* are envelopes whose sender had not signed them. A *storm* of repairs is the most answers to requests for repair \
         in one second, of all participants together.\n",
    );
    harm(&mut page, rows);
    extrapolation(&mut page, rows);
    page
}

/// The plot, as SVG.
pub fn picture(rows: &[Row]) -> String {
    let of = |senders| move |row: &&Row| is_of_series(&row.0, row.0.participants.min(senders));
    let series = |senders| rows.iter().filter(of(senders)).copied().collect::<Vec<Row>>();
    plot::svg(&series(usize::MAX), &series(SPEAKERS))
}

/// Whether a run is one of those over the number of participants in which so many send, and nothing but loss happens.
fn is_of_series(scenario: &Scenario, senders: usize) -> bool {
    scenario.trouble == Trouble::None && scenario.loss != TROUBLED_LOSS && scenario.senders == senders
}

/// Whether a run is one of those that show what trouble does, or the one without any that they are held against.
fn is_troubled(scenario: &Scenario) -> bool {
    scenario.loss == TROUBLED_LOSS
}

fn table<'a>(page: &mut String, rows: impl Iterator<Item = &'a Row>) {
    page.push_str(
        "| participants | senders | loss | trouble | delivered | converged after | frames/delivery | bytes/delivery | repetitions/message | repairs/message | repair storm/s | syncs/frame | peak frames/s | gaps | misled | refused |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (scenario, measured) in rows {
        let sent = (scenario.senders * MESSAGES) as f64;
        let _ = writeln!(
            page,
            "| {} | {} | {:.0} % | {} | {} of {} | {} | {:.2} | {:.0} | {:.1} | {:.2} | {} | {:.2} | {} | {} | {} | {} |",
            scenario.participants,
            scenario.senders,
            scenario.loss * 100.0,
            name(scenario.trouble),
            measured.delivered,
            measured.expected,
            measured.converged.map_or("never".to_owned(), seconds),
            measured.frames_per_delivery(),
            measured.bytes_per_delivery(),
            measured.repetitions as f64 / sent,
            measured.repairs as f64 / sent,
            measured.storm,
            measured.syncs as f64 / measured.frames.max(1) as f64,
            measured.peak,
            measured.gaps,
            measured.misled,
            measured.refused,
        );
    }
}

/// What the forger did, beside the same group without one.
fn harm(page: &mut String, rows: &[Row]) {
    page.push_str(
        "\n## What a forger does\n\nBeside the same group at the same loss without one. A forged acknowledgement ends the repetition of what somebody still lacks, so at most what one attempt loses stays lost; others repair \
         most of that, and what they do not is a gap, or, in the first seconds after its sender was heard first, taken for a message from before. Requests for what never was cost nobody an answer.\n\n\
         | participants | senders | sends misled | never came | frames, times | repair storm/s, without and with | signed: forged and refused | never came | frames, times |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let find = |like: &Scenario, trouble| {
        rows.iter()
            .find(|(scenario, _)| *scenario == Scenario { trouble, ..*like })
            .map(|(_, measured)| measured)
    };
    for (scenario, forged) in rows.iter().filter(|(scenario, _)| scenario.trouble == Trouble::Forger) {
        let (Some(without), Some(signed)) =
            (find(scenario, Trouble::None), find(scenario, Trouble::ForgerAmongSigned))
        else {
            continue;
        };
        let times = |measured: &Measured| measured.frames as f64 / without.frames.max(1) as f64;
        let _ = writeln!(
            page,
            "| {} | {} | {} of {} | {} of {} ({:.2} %) | {:.2} | {} and {} | {} | {} of {} | {:.2} |",
            scenario.participants,
            scenario.senders,
            forged.misled,
            scenario.senders * MESSAGES,
            forged.expected - forged.delivered,
            forged.expected,
            forged.missing() * 100.0,
            times(forged),
            without.storm,
            forged.storm,
            signed.refused,
            signed.expected - signed.delivered,
            signed.expected,
            times(signed),
        );
    }
}

/// What was measured where ten send, and the growth between the two largest groups carried on beyond.
fn extrapolation(page: &mut String, rows: &[Row]) {
    let series: Vec<&Row> = rows
        .iter()
        .filter(|(scenario, _)| is_of_series(scenario, scenario.participants.min(SPEAKERS)))
        .collect();
    let mut sizes: Vec<usize> = series.iter().map(|(scenario, _)| scenario.participants).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let [.., small, large] = sizes.as_slice() else { return };
    let _ = writeln!(
        page,
        "\n## Beyond what was run\n\nWhere ten send. *Carried on* is not measured: it is the growth from {small} to {large} participants, carried on as a power of their number. It says what to expect if nothing changes \
         in kind, and nothing more. One thing does: up to 500 others acknowledgements wait the longer the more there are, beyond that not.\n\n\
         | participants | loss | | converged after | frames/delivery | bytes/delivery | peak frames/s |\n|---|---|---|---|---|---|---|"
    );
    for loss in losses(&series) {
        let of = |size: &usize| {
            let found =
                series.iter().find(|(scenario, _)| scenario.loss == loss && scenario.participants == *size);
            found.map(|(_, measured)| figures(measured))
        };
        let (Some(before), Some(last)) = (of(small), of(large)) else { continue };
        for (size, measured) in [(small, before), (large, last)] {
            line(page, *size, loss, "measured", measured);
        }
        for beyond in BEYOND.into_iter().filter(|beyond| beyond > large) {
            let carried = std::array::from_fn(|at| {
                let (before, last) = (before[at]?.max(0.001), last[at]?.max(0.001));
                let exponent = (last / before).ln() / (*large as f64 / *small as f64).ln();
                Some(last * (beyond as f64 / *large as f64).powf(exponent))
            });
            line(page, beyond, loss, "carried on", carried);
        }
    }
}

/// What the extrapolation is made of: seconds, frames and bytes for each delivery, frames in one second.
type Figures = [Option<f64>; 4];

fn figures(measured: &Measured) -> Figures {
    [
        measured.converged.map(|time| time.as_secs_f64()),
        Some(measured.frames_per_delivery()),
        Some(measured.bytes_per_delivery()),
        Some(measured.peak as f64),
    ]
}

fn line(page: &mut String, participants: usize, loss: f64, how: &str, figures: Figures) {
    let [time, frames, bytes, peak] = figures;
    let text = |value: Option<f64>, digits| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let time = time.map_or("never".to_owned(), |time| format!("{time:.1} s"));
    let _ = writeln!(
        page,
        "| {participants} | {:.0} % | {how} | {time} | {} | {} | {} |",
        loss * 100.0,
        text(frames, 3),
        text(bytes, 0),
        text(peak, 0)
    );
}

/// The losses that were run, ascending.
pub(super) fn losses(rows: &[&Row]) -> Vec<f64> {
    plot::distinct(rows.iter().map(|(scenario, _)| scenario.loss))
}

/// What a trouble is called.
pub const fn name(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::None => "none",
        Trouble::Bursts => "bursts",
        Trouble::Partition => "partition",
        Trouble::Churn => "churn",
        Trouble::Clocks => "clocks",
        Trouble::Forger => "forger",
        Trouble::ForgerAmongSigned => "forger, signed",
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
