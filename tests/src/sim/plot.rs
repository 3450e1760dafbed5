//! Three small plots beside each other: participants to the right, a line for each loss.

use super::report::{Row, losses};
use std::fmt::Write;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 48.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#2a9d8f", "#e9a23b", "#c8553d", "#6d597a", "#444444"];

/// What a panel shows of a run; `None` where there is nothing to show.
type Value = fn(&Row) -> Option<f64>;

/// The plots as one picture, both axes logarithmic.
pub(super) fn svg(rows: &[Row]) -> String {
    let panels: [(&str, Value); 3] = [
        ("time to convergence, s", |(_, measured)| measured.converged.map(|time| time.as_secs_f64())),
        ("frames for each delivery", |(_, measured)| Some(measured.frames_per_delivery())),
        ("bytes for each delivery", |(_, measured)| Some(measured.bytes_per_delivery())),
    ];
    let (width, height) = (3.0 * (WIDTH + MARGIN) + MARGIN, HEIGHT + 2.5 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, (title, value)) in panels.into_iter().enumerate() {
        let left = MARGIN + index as f64 * (WIDTH + MARGIN);
        panel(&mut svg, rows, left, title, value);
    }
    for (index, loss) in losses(&rows.iter().collect::<Vec<_>>()).into_iter().enumerate() {
        let (x, y) = (MARGIN + index as f64 * 110.0, height - 14.0);
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">loss {:.0} %</text>",
            y - 6.0,
            x + 20.0,
            loss * 100.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, rows: &[Row], left: f64, title: &str, value: Value) {
    let points: Vec<(f64, f64, f64)> = rows
        .iter()
        .filter_map(|row| {
            Some((row.0.loss, (row.0.participants as f64).log10(), value(row)?.max(0.01).log10()))
        })
        .collect();
    let bounds = |of: fn(&(f64, f64, f64)) -> f64| {
        let low = points.iter().map(of).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        (low, if high - low < 0.01 { low + 1.0 } else { high })
    };
    let ((x0, x1), (y0, y1)) = (bounds(|point| point.1), bounds(|point| point.2));
    let top = MARGIN;
    let place =
        |x: f64, y: f64| (left + (x - x0) / (x1 - x0) * WIDTH, top + HEIGHT - (y - y0) / (y1 - y0) * HEIGHT);
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{title}</text>\n\
         <rect x=\"{left}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#bbb\"/>",
        top - 14.0
    );
    for value in [y0, y1] {
        let (x, y) = place(x0, value);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            x - 4.0,
            y + 4.0,
            short(value)
        );
    }
    let mut ticks: Vec<usize> = rows.iter().map(|row| row.0.participants).collect();
    ticks.sort_unstable();
    ticks.dedup();
    for tick in ticks {
        let (x, y) = place((tick as f64).log10(), y0);
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", y + 14.0);
    }
    for (index, loss) in losses(&rows.iter().collect::<Vec<_>>()).into_iter().enumerate() {
        let mut line: Vec<_> = points.iter().filter(|point| point.0 == loss).collect();
        line.sort_by(|a, b| a.1.total_cmp(&b.1));
        let colour = COLOURS[index % COLOURS.len()];
        let mut path = String::new();
        for (_, x, y) in line {
            let (x, y) = place(*x, *y);
            let _ = write!(path, "{x:.1},{y:.1} ");
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            path.trim_end()
        );
    }
}

/// Ten to the power of `exponent`, as text.
fn short(exponent: f64) -> String {
    let value = 10_f64.powf(exponent);
    match value {
        0.0..10.0 => format!("{value:.2}"),
        10.0..1_000.0 => format!("{value:.0}"),
        _ => format!("{:.1}k", value / 1_000.0),
    }
}
