//! Four small plots beside each other: participants to the right, a line for each loss; dashed where only some send.

use super::report::{Row, losses};
use std::fmt::Write;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 48.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#2a9d8f", "#e9a23b", "#c8553d", "#6d597a", "#444444"];

/// What a panel shows of a run; `None` where there is nothing to show.
type Value = fn(&Row) -> Option<f64>;

/// The plots as one picture, both axes logarithmic. In `all` everybody sends, in `few` at most ten.
pub(super) fn svg(all: &[Row], few: &[Row]) -> String {
    let panels: [(&str, Value); 4] = [
        ("time to convergence, s", |(_, measured)| measured.converged.map(|time| time.as_secs_f64())),
        ("frames for each delivery", |(_, measured)| Some(measured.frames_per_delivery())),
        ("bytes for each delivery", |(_, measured)| Some(measured.bytes_per_delivery())),
        ("repairs in the worst second (none: 0.01)", |(_, measured)| Some(measured.storm as f64)),
    ];
    let rows: Vec<&Row> = all.iter().chain(few).collect();
    let (width, height) = (panels.len() as f64 * (WIDTH + MARGIN) + MARGIN, HEIGHT + 2.5 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, (title, value)) in panels.into_iter().enumerate() {
        let left = MARGIN + index as f64 * (WIDTH + MARGIN);
        panel(&mut svg, [all, few], left, title, value);
    }
    for (index, loss) in losses(&rows).into_iter().enumerate() {
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
    let x = MARGIN + 4.0 * 110.0;
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\">line: all send; dashed: ten send</text>", height - 14.0);
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, series: [&[Row]; 2], left: f64, title: &str, value: Value) {
    let point =
        |row: &Row| Some((row.0.loss, (row.0.participants as f64).log10(), value(row)?.max(0.01).log10()));
    let series = series.map(|rows| rows.iter().filter_map(point).collect::<Vec<_>>());
    let points = series.concat();
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
    for tick in distinct(points.iter().map(|point| point.1)) {
        let (x, y) = place(tick, y0);
        let participants = 10_f64.powf(tick).round();
        let _ =
            writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{participants}</text>", y + 14.0);
    }
    let losses = distinct(points.iter().map(|point| point.0));
    let lines = losses.iter().enumerate().flat_map(|(index, loss)| {
        let of_loss = |points: &Vec<(f64, f64, f64)>| {
            points.iter().filter(|point| point.0 == *loss).copied().collect::<Vec<_>>()
        };
        let [all, few] = series.each_ref().map(of_loss);
        [(index, all, ""), (index, few, " stroke-dasharray=\"4 3\"")]
    });
    for (index, mut line, dashes) in lines {
        line.sort_by(|a, b| a.1.total_cmp(&b.1));
        let colour = COLOURS[index % COLOURS.len()];
        let mut path = String::new();
        for (_, x, y) in line {
            let (x, y) = place(x, y);
            let _ = write!(path, "{x:.1},{y:.1} ");
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dashes}/>",
            path.trim_end()
        );
    }
}

/// Each value once, ascending.
pub(super) fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
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
