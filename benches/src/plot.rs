//! The ratios as a picture (SVG): a bar a row, to the left of the line where it is faster.

use std::fmt::Write;

use crate::measure::Measured;

const WIDTH: f64 = 900.0;
const LABELS: f64 = 330.0;
const RIGHT: f64 = 70.0;
const ROW: f64 = 22.0;
const TOP: f64 = 64.0;
/// The ends of the scale, which is logarithmic.
const LEAST: f64 = 1.0 / 64.0;
const MOST: f64 = 8.0;

/// Where a ratio stands.
fn x(ratio: f64) -> f64 {
    let part = (ratio.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    LABELS + part * (WIDTH - LABELS - RIGHT)
}

/// A picture of all rows that have a ratio. Its colours can be read on a light and on a dark page.
pub fn svg(all: &[Measured], peer: &str) -> String {
    let bars: Vec<_> = all.iter().filter_map(bar).collect();
    let height = TOP + ROW * bars.len() as f64 + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#808080\">\n\
         <text x=\"8\" y=\"20\" font-size=\"15\">Time of hikyaku divided by the time of {peer}, \
         or of the limit that is named</text>\n\
         <text x=\"8\" y=\"38\">shorter is faster; the mark is what is asked; orange misses it</text>\n",
    );
    for ratio in [1.0 / 32.0, 1.0 / 16.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0] {
        let (x, bottom) = (x(ratio), height - 12.0);
        let (colour, width) = if ratio == 1.0 { ("#808080", 2) } else { ("#80808060", 1) };
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            TOP - 4.0,
            TOP - 9.0,
            if ratio < 1.0 { format!("1/{}", 1.0 / ratio) } else { ratio.to_string() },
        );
    }
    for (number, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let colour = if bar.is_missed { "#d9822b" } else { "#2a9d8f" };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{LABELS}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.2}</text>",
            LABELS - 8.0,
            y + 15.0,
            bar.label.replace('&', "&amp;").replace('<', "&lt;"),
            y + 3.0,
            x(bar.ratio) - LABELS,
            ROW - 6.0,
            x(bar.ratio).max(bar.asked.map_or(0.0, x)) + 6.0,
            y + 15.0,
            bar.ratio,
        );
        if let Some(asked) = bar.asked {
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"3\" height=\"{:.1}\" fill=\"#c0392b\"/>",
                x(asked) - 1.5,
                y + 1.0,
                ROW - 2.0,
            );
        }
    }
    svg += "</svg>\n";
    svg
}

struct Bar {
    label: String,
    ratio: f64,
    asked: Option<f64>,
    is_missed: bool,
}

fn bar(measured: &Measured) -> Option<Bar> {
    let asked = measured.asked;
    let what = measured.what.replace('`', "");
    let limit = || measured.limits.first().map_or("", |(name, _)| name);
    let (label, ratio, asked) = if asked.of_limit.is_some() {
        (format!("{what}, of {}", limit()), measured.of_limit?, asked.of_limit)
    } else if asked.of_peer_beyond.is_some() {
        (format!("{what}, beyond {}", limit()), measured.of_peer_beyond?, asked.of_peer_beyond)
    } else {
        (what, measured.of_peer?, asked.of_peer)
    };
    Some(Bar { label, ratio, asked, is_missed: asked.is_some_and(|most| ratio > most) })
}
