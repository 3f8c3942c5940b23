//! What waits, one line for each unit, and how much for each key.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use hikyaku::{
    queue::{Count, Entry, Filter, Gate, QueueKey, UnitState},
    wire::Timestamp,
};

use super::{
    access::{Access, Failure},
    json,
    plain::{cut, size, span, until, visible},
};

/// Units that are asked for at a time.
const PAGE: usize = 500;
/// The longest key, list of addresses and reply in a line.
const KEY: usize = 32;
const ADDRESSES: usize = 72;
const REPLY: usize = 100;

type Gates = BTreeMap<QueueKey, Gate>;

/// Lists units, and says how many.
pub(super) async fn list(
    access: &Access,
    filters: &[Filter],
    max: usize,
    now: Timestamp,
    as_json: bool,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let gates: Gates = access.gates(None).await?.into_iter().collect();
    let (mut left, mut listed, mut more) = (max, 0_u64, false);
    for filter in filters {
        let mut after = None;
        while left > 0 {
            let page = access.list(filter, after, left.min(PAGE)).await?;
            left -= page.entries.len();
            let written = if as_json {
                page.entries.iter().try_for_each(|entry| writeln!(out, "{}", json::line(&json::entry(entry))))
            } else {
                lines(&page.entries, &gates, listed == 0, now, out)
            };
            written.map_err(Failure::Output)?;
            listed += page.entries.len() as u64;
            after = page.next;
            more = after.is_some();
            if after.is_none() {
                break;
            }
        }
    }
    let last = match (as_json, listed) {
        (true, _) => Ok(()),
        (false, 0) => writeln!(out, "nothing matches"),
        (false, _) if more => writeln!(out, "... and more: only {listed} were asked for"),
        (false, _) => Ok(()),
    };
    last.map_err(Failure::Output)?;
    Ok(listed)
}

/// Lines of aligned columns, of which the last is as long as it is.
fn lines(entries: &[Entry], gates: &Gates, is_first: bool, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let mut rows: Vec<[String; 8]> = Vec::with_capacity(entries.len() + 1);
    if is_first && !entries.is_empty() {
        rows.push(["UNIT", "AGE", "SIZE", "STATE", "TRIES", "NEXT", "KEY", "FROM -> TO"].map(str::to_owned));
    }
    rows.extend(entries.iter().map(|entry| row(entry, gates, now)));
    columns(&rows, &[1, 2, 4], out)
}

fn row(entry: &Entry, gates: &Gates, now: Timestamp) -> [String; 8] {
    let (state, next) = match &entry.state {
        UnitState::Ready => ("ready", next(entry, gates, now)),
        UnitState::Leased { .. } => ("leased", "now".to_owned()),
        UnitState::Held(_) => ("held", "-".to_owned()),
    };
    [
        entry.unit.to_string(),
        span(now.saturating_since(entry.envelope.received)),
        size(entry.size),
        state.to_owned(),
        entry.attempts.to_string(),
        next,
        cut(&visible(entry.key.as_str()), KEY),
        story(entry),
    ]
}

/// When it is tried next, which its destination's gate may put off.
fn next(entry: &Entry, gates: &Gates, now: Timestamp) -> String {
    match gates.get(&entry.key) {
        Some(Gate::Paused) => "paused".to_owned(),
        Some(Gate::NotBefore(from)) => until(entry.due.max(*from), now),
        Some(Gate::Open) | None => until(entry.due, now),
    }
}

/// From whom to whom, and what was said last.
fn story(entry: &Entry) -> String {
    let open: Vec<_> = entry.rcpts.iter().filter(|rcpt| !rcpt.state.is_final()).collect();
    let first = open.first().map_or_else(String::new, |rcpt| rcpt.addr.to_string());
    let (sender, count) = (entry.envelope.sender.to_string(), open.len().saturating_sub(1));
    let mut text = cut(&visible(&format!("{sender} -> {first}")), ADDRESSES);
    if count > 0 {
        text.push_str(&format!(" +{count}"));
    }
    if let UnitState::Held(why) = &entry.state {
        text.push_str(&format!("  held: {}", cut(&visible(why.as_str()), REPLY)));
    }
    let last = entry.rcpts.iter().filter_map(|rcpt| rcpt.state.attempt()).max_by_key(|attempt| attempt.when);
    if let Some(attempt) = last {
        text.push_str(&format!("  {}", cut(&visible(&json::reply(&attempt.reply)), REPLY)));
    }
    text
}

/// How much waits for each key, also for those that are closed and have nothing; says for how many.
pub(super) fn summary(
    counts: &[Count],
    gates: &[(QueueKey, Gate)],
    now: Timestamp,
    as_json: bool,
    out: &mut impl Write,
) -> io::Result<u64> {
    let counts: BTreeMap<&QueueKey, &Count> = counts.iter().filter_map(|c| Some((c.key.as_ref()?, c))).collect();
    let gates: BTreeMap<&QueueKey, Gate> =
        gates.iter().filter(|(_, gate)| !is_over(*gate, now)).map(|(key, gate)| (key, *gate)).collect();
    let keys: BTreeSet<&QueueKey> = counts.keys().chain(gates.keys()).copied().collect();
    if as_json {
        for key in &keys {
            writeln!(out, "{}", json::line(&json::count(key, counts.get(key).copied(), gates.get(key).copied())))?;
        }
        return Ok(keys.len() as u64);
    }
    if keys.is_empty() {
        writeln!(out, "the queue is empty")?;
        return Ok(0);
    }
    let mut rows = vec![["KEY", "READY", "LEASED", "HELD", "OLDEST", "GATE"].map(str::to_owned)];
    let number = |number: Option<u64>| number.unwrap_or(0).to_string();
    let age = |oldest: Option<Timestamp>| oldest.map_or("-".to_owned(), |at| span(now.saturating_since(at)));
    for key in &keys {
        let count = counts.get(key);
        let gate = match gates.get(key) {
            None | Some(Gate::Open) => "open".to_owned(),
            Some(Gate::Paused) => "paused".to_owned(),
            Some(Gate::NotBefore(at)) => format!("opens {}", until(*at, now)),
        };
        rows.push([
            visible(key.as_str()),
            number(count.map(|c| c.ready)),
            number(count.map(|c| c.leased)),
            number(count.map(|c| c.held)),
            age(count.and_then(|c| c.oldest)),
            gate,
        ]);
    }
    let sum = |of: fn(&Count) -> u64| counts.values().map(|count| of(count)).sum::<u64>().to_string();
    let oldest = counts.values().filter_map(|count| count.oldest).min();
    rows.push(["total".to_owned(), sum(|c| c.ready), sum(|c| c.leased), sum(|c| c.held), age(oldest), String::new()]);
    columns(&rows, &[1, 2, 3, 4], out)?;
    Ok(keys.len() as u64)
}

fn is_over(gate: Gate, now: Timestamp) -> bool {
    matches!(gate, Gate::NotBefore(at) if at <= now)
}

/// Writes rows with each column as wide as its widest cell, numbers on the right.
fn columns<const N: usize>(rows: &[[String; N]], right: &[usize], out: &mut impl Write) -> io::Result<()> {
    let length = |text: &String| text.chars().count();
    let widths: [usize; N] = std::array::from_fn(|at| rows.iter().map(|row| length(&row[at])).max().unwrap_or(0));
    for row in rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = " ".repeat(width - length(cell));
            let (before, after) = if right.contains(&at) { (gap.as_str(), "") } else { ("", gap.as_str()) };
            line.extend([before, cell.as_str(), after, "  "]);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
