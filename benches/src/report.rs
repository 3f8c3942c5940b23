//! What was measured, as a table for people and as lines for programs.

use std::fmt::Write;

use crate::measure::Measured;
use crate::rows::Per;

/// A Markdown table.
pub fn table(all: &[Measured]) -> String {
    let mut table = String::from(
        "| what | hikyaku | smtp-proto | ratio | asked (goal) | limits of the machine | allocations |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for measured in all {
        let ratio = match (measured.of_peer, measured.asked.of_limit, measured.of_limit) {
            (_, Some(_), Some(of_limit)) => format!("{of_limit:.2} of {}", measured.limits[0].0),
            (Some(ratio), ..) => format!("{ratio:.2}"),
            _ => "–".into(),
        };
        let ratio = if measured.missed().is_empty() { ratio } else { format!("**{ratio}**") };
        let limits: Vec<_> =
            measured.limits.iter().map(|(name, time)| format!("{name} {}", figure(measured, *time))).collect();
        let (ours, peer) = measured.allocations;
        let allocations = |count: u64| match measured.per {
            Per::Each(number) => {
                let each = format!("{:.2}", count as f64 / f64::from(number));
                each.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Per::Octets => count.to_string(),
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {ratio} | {} | {} | {}{} |",
            measured.what,
            figure(measured, measured.ours),
            measured.peer.map_or("–".into(), |time| figure(measured, time)),
            asked(measured),
            limits.join(", "),
            allocations(ours),
            peer.map_or(String::new(), |peer| format!(" / {}", allocations(peer))),
        );
    }
    table
}

/// A time of a row as people read it.
pub fn figure(measured: &Measured, nanoseconds: f64) -> String {
    let each = match measured.per {
        Per::Octets => return format!("{:.2} GB/s", measured.octets as f64 / nanoseconds),
        Per::Each(number) => nanoseconds / f64::from(number),
    };
    match each {
        ..10.0 => format!("{each:.1} ns"),
        10.0..10_000.0 => format!("{each:.0} ns"),
        _ => format!("{:.1} µs", each / 1e3),
    }
}

fn asked(measured: &Measured) -> String {
    let asked = measured.asked;
    let mut words = Vec::new();
    words.extend(asked.of_peer.or(asked.of_limit).map(|most| format!("≤ {most:.2}")));
    words.extend(asked.goal.map(|goal| format!("({goal:.2})")));
    if asked.no_allocation {
        words.push("0 allocations".into());
    }
    if words.is_empty() { "–".into() } else { words.join(" ") }
}

/// One line a row, fields parted by tabs, with a head line; a field that is not there is `-`.
pub fn lines(all: &[Measured]) -> String {
    let mut lines = String::from(
        "row\tours_ns\tpeer_ns\tof_peer\tasked_of_peer\tof_limit\tasked_of_limit\tlimits_ns\tours_allocations\tpeer_allocations\tverdict\n",
    );
    let number = |number: Option<f64>| number.map_or("-".into(), |number| format!("{number:.3}"));
    for measured in all {
        let limits: Vec<_> = measured.limits.iter().map(|(name, time)| format!("{name}={time:.1}")).collect();
        let fields = [
            measured.name.into(),
            number(Some(measured.ours)),
            number(measured.peer),
            number(measured.of_peer),
            number(measured.asked.of_peer),
            number(measured.of_limit),
            number(measured.asked.of_limit),
            limits.join(","),
            measured.allocations.0.to_string(),
            measured.allocations.1.map_or("-".into(), |count| count.to_string()),
            if measured.missed().is_empty() { "met" } else { "missed" }.into(),
        ];
        let _ = writeln!(lines, "{}", fields.join("\t"));
    }
    lines
}
