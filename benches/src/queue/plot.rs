//! What a message costs by the depth of the queue, as a picture (SVG).

use std::fmt::Write;

use super::depth::Depth;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 64.0;
const HEIGHT: f64 = 260.0;

/// The most MiB on the scale, which are those that are asked at the most.
const MEMORY: f64 = 150.0;

/// The most of the raw limit on the scale.
const PART: f64 = 1.2;

/// A picture with the depth from left to right. Its colours can be read on a light and on a dark page.
pub fn svg(depth: &Depth) -> String {
    let most = depth.seen.last().map_or(1, |seen| seen.depth) as f64;
    let x = |depth: f64| LEFT + depth / most * (WIDTH - LEFT - RIGHT);
    let y = |part: f64| TOP + HEIGHT * (1.0 - part.clamp(0.0, 1.0));
    let (ours, memory) = ("#2a9d8f", "#d9822b");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#808080\">\n\
         <text x=\"8\" y=\"20\" font-size=\"15\">Committing with 32 producers while the queue gets deep</text>\n\
         <text x=\"8\" y=\"38\" fill=\"{ours}\">left: messages a second, divided by those of the raw limit beside them</text>\n\
         <text x=\"{}\" y=\"38\" text-anchor=\"end\" fill=\"{memory}\">right: MiB in memory, of {MEMORY} that are asked at the most</text>\n",
        TOP + HEIGHT + 40.0,
        WIDTH - 8.0,
    );
    for step in 0..=6 {
        let (part, at) = (f64::from(step) / 6.0, y(f64::from(step) / 6.0));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#80808060\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{ours}\">{:.1}</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{memory}\">{:.0}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            part * PART,
            WIDTH - RIGHT + 8.0,
            at + 4.0,
            part * MEMORY,
        );
    }
    for step in 0..=4 {
        let depth = most * f64::from(step) / 4.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{depth:.0}</text>",
            x(depth),
            TOP + HEIGHT + 20.0
        );
    }
    let mut line = |colour: &str, value: &dyn Fn(usize) -> f64| {
        let points: Vec<_> = depth
            .seen
            .iter()
            .enumerate()
            .map(|(at, seen)| format!("{:.1},{:.1}", x(seen.depth as f64), y(value(at))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
    };
    line(ours, &|at| depth.seen[at].rate / depth.seen[at].raw / PART);
    line(memory, &|at| depth.seen[at].memory / MEMORY);
    svg += "</svg>\n";
    svg
}
