//! The page that a simulation yields: a table of what was counted, and beyond it what the growth suggests, so called.

use super::{MESSAGES, Measured, PAYLOAD, Scenario, Trouble, plot};
use std::fmt::Write;
use std::time::Duration;

/// Groups for which the growth is carried on.
const BEYOND: [usize; 2] = [1_000, 10_000];

/// A scenario and what came of it.
pub type Row = (Scenario, Measured);

/// The page, in Markdown, with the plot's file name.
pub fn page(rows: &[Row], seed: u64, command: &str, picture: &str) -> String {
    let mut page = String::new();
    let (quiet, troubled): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|(scenario, _)| scenario.trouble == Trouble::None);
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
    table(&mut page, &quiet);
    page.push_str("\n## Trouble\n\n");
    table(&mut page, &troubled);
    page.push_str(
        "\n*Bursts*: every 3 s a third is cut off for 1 s. *Partition*: two halves are apart from 10 s to 40 s; the time counts from then. *Churn*: a third comes and goes as new \
         incarnations; who stays counts. *Clocks*: every 2 s a wall clock jumps by up to an hour. *Forger*: a member acknowledges everything in the names of others and asks for repairs of what \
         never was, each second, to each. *Misled* are sends that their sender was told everybody has, although somebody does not: only forged acknowledgements do that. *Forger, signed*: the \
         same forger where messages are signed (`SenderAuth`); *refused* are envelopes whose sender had not signed them.\n",
    );
    extrapolation(&mut page, &quiet);
    page
}

/// The plot, as SVG.
pub fn picture(rows: &[Row]) -> String {
    let quiet: Vec<Row> = rows.iter().filter(|(scenario, _)| is_comparable(scenario)).copied().collect();
    plot::svg(&quiet)
}

/// Whether a run is one of the series over the number of participants: all send, and nothing but loss happens.
fn is_comparable(scenario: &Scenario) -> bool {
    scenario.trouble == Trouble::None && scenario.senders == scenario.participants
}

fn table(page: &mut String, rows: &[&Row]) {
    page.push_str(
        "| participants | senders | loss | trouble | delivered | converged after | frames/delivery | bytes/delivery | repetitions/message | repairs/message | syncs/frame | peak frames/s | gaps | misled | refused |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (scenario, measured) in rows {
        let sent = (scenario.senders * MESSAGES) as f64;
        let _ = writeln!(
            page,
            "| {} | {} | {:.0} % | {} | {} of {} | {} | {:.2} | {:.0} | {:.1} | {:.2} | {:.2} | {} | {} | {} | {} |",
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
            measured.syncs as f64 / measured.frames.max(1) as f64,
            measured.peak,
            measured.gaps,
            measured.misled,
            measured.refused,
        );
    }
}

/// Carries on the growth between the two largest groups that were measured.
fn extrapolation(page: &mut String, rows: &[&Row]) {
    let mut lines = String::new();
    for loss in losses(rows) {
        let all_send = |scenario: &Scenario| scenario.senders == scenario.participants;
        let mut same: Vec<_> =
            rows.iter().filter(|(scenario, _)| scenario.loss == loss && all_send(scenario)).collect();
        same.sort_by_key(|(scenario, _)| scenario.participants);
        let [.., (small, before), (large, last)] = same.as_slice() else { continue };
        let grown = large.participants as f64 / small.participants as f64;
        let carry = |at: usize, before: f64, last: f64| {
            let exponent = (last / before).ln() / grown.ln();
            last * (at as f64 / large.participants as f64).powf(exponent)
        };
        for beyond in BEYOND.into_iter().filter(|beyond| *beyond > large.participants) {
            let frames = carry(beyond, before.frames_per_delivery(), last.frames_per_delivery());
            let bytes = carry(beyond, before.bytes_per_delivery(), last.bytes_per_delivery());
            let time = before.converged.zip(last.converged).map(|(before, last)| {
                seconds(Duration::from_secs_f64(carry(beyond, before.as_secs_f64(), last.as_secs_f64())))
            });
            let time = time.unwrap_or_else(|| "-".to_owned());
            let _ =
                writeln!(lines, "| {beyond} | {:.0} % | {time} | {frames:.2} | {bytes:.0} |", loss * 100.0);
        }
    }
    if !lines.is_empty() {
        page.push_str(
            "\n## Beyond what was run\n\nNot measured: the growth from 30 to 100 participants who all send (with 1,000 only ten did), carried on as a power of the number of participants. It says what to expect if nothing changes in \
             kind, and nothing more. One thing does: up to 500 others acknowledgements wait the longer the more there are, beyond that not.\n\n| participants | loss | converged after | frames/delivery | bytes/delivery |\n|---|---|---|---|---|\n",
        );
        page.push_str(&lines);
    }
}

/// The losses that were run, ascending.
pub(super) fn losses(rows: &[&Row]) -> Vec<f64> {
    let mut losses: Vec<f64> = rows.iter().map(|(scenario, _)| scenario.loss).collect();
    losses.sort_by(f64::total_cmp);
    losses.dedup();
    losses
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
