//! The table of message authentication, for people.

use std::fmt::Write;

use crate::measure::Measured;
use crate::report::figure;

/// A Markdown table.
pub fn table(all: &[Measured]) -> String {
    let mut table = String::from(
        "| what | hikyaku | mail-auth | of mail-auth | of the first limit | asked (goal) | limits of the machine | allocations |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for measured in all {
        let limits: Vec<_> =
            measured.limits.iter().map(|(name, time)| format!("{name} {}", figure(measured, *time))).collect();
        let (ours, peer) = measured.allocations;
        let is_over = |is: Option<f64>, most: Option<f64>| matches!((is, most), (Some(is), Some(most)) if is > most);
        let asked = measured.asked;
        let mut of_peer = ratio(measured.of_peer, is_over(measured.of_peer, asked.of_peer));
        if let (Some(_), Some(is)) = (asked.of_peer_beyond, measured.of_peer_beyond) {
            let is = ratio(Some(is), is_over(measured.of_peer_beyond, asked.of_peer_beyond));
            let _ = write!(of_peer, ", {is} beyond the hash");
        }
        let _ = writeln!(
            table,
            "| {} | {} | {} | {of_peer} | {} | {} | {} | {ours}{} |",
            measured.what,
            figure(measured, measured.ours),
            measured.peer.map_or("–".into(), |time| figure(measured, time)),
            ratio(measured.of_limit, is_over(measured.of_limit, asked.of_limit)),
            words(measured),
            if limits.is_empty() { "–".into() } else { limits.join(", ") },
            peer.map_or(String::new(), |peer| format!(" / {peer}")),
        );
    }
    table
}

fn ratio(ratio: Option<f64>, is_over: bool) -> String {
    match ratio {
        Some(ratio) if is_over => format!("**{ratio:.2}**"),
        Some(ratio) => format!("{ratio:.2}"),
        None => "–".into(),
    }
}

fn words(measured: &Measured) -> String {
    let asked = measured.asked;
    let limit = measured.limits.first().map_or("", |(name, _)| name);
    let mut words = Vec::new();
    words.extend(asked.of_limit.map(|most| format!("≤ {most:.2} of {limit}")));
    words.extend(asked.of_peer.map(|most| format!("≤ {most:.2} of mail-auth")));
    words.extend(asked.of_peer_beyond.map(|most| format!("≤ {most:.2} of mail-auth beyond the hash")));
    words.extend(asked.goal.map(|goal| format!("({goal:.2})")));
    if words.is_empty() { "–".into() } else { words.join(", ") }
}
