//! `cargo bench --bench queue -- [--check] [--write] [--rounds N] [ROW…]`: the spool beside what the
//! disk does at most and beside one file a message, in memory, deep, and when it starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use hikyaku_benches::queue::depth::Depth;
use hikyaku_benches::queue::process::{self, One};
use hikyaku_benches::queue::rows::{self, Row};
use hikyaku_benches::queue::{depth, once, plot};
use hikyaku_benches::{arguments, readme};

/// What the README says of this table.
const PLACE: &str = "cargo bench --bench queue -- --write";

const HELP: &str = "\
cargo bench --bench queue -- [OPTION]… [ROW]…

Measures the spool on the disk of cargo's target folder, each time in a process of its own (or the
rows whose names contain ROW: one many files settle reschedule large start depth).

--check      exit with 1 if something misses what is asked
--write      put tables, machine and commit into README.md, and the picture into queue.svg
--rounds N   turns of each side, of which the median counts (7)
";

/// A figure that is measured once, and what is asked of it.
struct Figure {
    what: String,
    is: f64,
    unit: &'static str,
    asked: Option<Asked>,
}

#[derive(Clone, Copy)]
enum Asked {
    Below(f64),
    AtLeast(f64),
}

impl Figure {
    fn is_missed(&self) -> bool {
        match self.asked {
            Some(Asked::Below(most)) => self.is >= most,
            Some(Asked::AtLeast(least)) => self.is < least,
            None => false,
        }
    }
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("queue");
    if let Ok(name) = std::env::var(process::ONE) {
        once::run(&name, &folder);
        return ExitCode::SUCCESS;
    }
    let Some(arguments) = arguments::read() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    std::fs::create_dir_all(&folder).expect("make a folder");
    let rounds = if arguments.rounds == 48 { 7 } else { arguments.rounds };
    let rows: Vec<_> = rows::ALL.iter().filter(|row| arguments.wants(row.name)).collect();
    let mut missed = Vec::new();
    let mut text = String::new();
    if !rows.is_empty() {
        text += &in_turns(&rows, rounds, &mut missed);
    }

    let mut figures = Vec::new();
    if arguments.wants("large") {
        figures.extend(large());
    }
    if arguments.wants("start") {
        figures.extend(start());
    }
    let depth = arguments.wants("depth").then(|| Depth::read(&One::start("depth").ended()));
    figures.extend(depth.iter().flat_map(deep));
    if !figures.is_empty() {
        text += "| what | is | asked |\n|---|---|---|\n";
    }
    for figure in &figures {
        let Figure { what, is, unit, .. } = figure;
        let asked = match figure.asked {
            Some(Asked::Below(most)) => format!("< {most}"),
            Some(Asked::AtLeast(least)) => format!("≥ {least}"),
            None => "–".to_owned(),
        };
        let bold = if figure.is_missed() { "**" } else { "" };
        text += &format!("| {what} | {bold}{}{unit}{bold} | {asked} |\n", short(*is));
        missed.extend(figure.is_missed().then(|| format!("{what}: {}{unit}, asked is {asked}", short(*is))));
    }
    let text = format!("{text}\n{}\n", readme::machine());
    println!("{text}");
    if let Some(depth) = &depth {
        for seen in &depth.seen {
            println!("depth\t{}\t{:.0}\t{:.0}\t{:.1}", seen.depth, seen.rate, seen.raw, seen.memory);
        }
        if arguments.write {
            std::fs::write(readme::folder().join("queue.svg"), plot::svg(depth)).expect("the picture can be written");
        }
    }
    if arguments.write {
        readme::write(PLACE, &text);
    }
    let _ = std::fs::remove_dir_all(&folder);
    for one in &missed {
        eprintln!("missed: {one}");
    }
    if arguments.check && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Measures all sides of the rows in each round, every second round backwards.
fn in_turns(rows: &[&Row], rounds: usize, missed: &mut Vec<String>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| [row.beside, row.ours]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut written: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for name in &names {
            let figures = One::start(name).ended();
            rates.entry(name).or_default().push(figures[0]);
            written.entry(name).or_default().extend(figures.get(1));
        }
        names.reverse();
    }
    let mut table = String::from(
        "| what | a second | beside it | a second | ratio | asked | written for each octet | asked |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let (ours, beside) = (&rates[row.ours], &rates[row.beside]);
        let ratio = median(ours.iter().zip(beside).map(|(ours, beside)| ours / beside).collect());
        let is_slow = ratio < row.least;
        let bold = |text: String, bad: bool| if bad { format!("**{text}**") } else { text };
        let (amplified, asked) = match row.most_written {
            Some(most) => {
                let is = median(written[row.ours].clone());
                missed.extend((is > most).then(|| format!("{}: {is:.2} written, at most {most} are asked", row.name)));
                (bold(format!("{is:.2}"), is > most), format!("≤ {most:.1}"))
            }
            None => ("–".to_owned(), "–".to_owned()),
        };
        table += &format!(
            "| {} | {:.0} | {} | {:.0} | {} | ≥ {} | {amplified} | {asked} |\n",
            row.what,
            median(ours.clone()),
            row.limit,
            median(beside.clone()),
            bold(format!("{ratio:.2}"), is_slow),
            row.least,
        );
        missed.extend(is_slow.then(|| format!("{}: {ratio:.2}, at least {} is asked", row.name, row.least)));
    }
    table.push('\n');
    table
}

fn large() -> Vec<Figure> {
    let figures = One::start("large").ended();
    let what = |what| format!("{what} a message of {} MiB", once::LARGE >> 20);
    vec![
        Figure { what: what("committing and reading"), is: figures[0], unit: " MiB/s", asked: None },
        Figure { what: what("memory for"), is: figures[1], unit: " MiB", asked: Some(Asked::Below(8.0)) },
        Figure { what: what("written for each octet of"), is: figures[2], unit: "", asked: Some(Asked::Below(1.02)) },
    ]
}

fn start() -> Vec<Figure> {
    let what = |how| format!("open, and the first 32 of {} claimed, after {how}", once::QUEUED);
    One::start("fill").ended();
    let clean = One::start("start").ended();
    // Dropped, it is killed.
    drop(One::start("wait"));
    let killed = One::start("start").ended();
    vec![
        Figure { what: what("a clean end"), is: clean[0], unit: " s", asked: Some(Asked::Below(2.0)) },
        Figure { what: what("kill -9"), is: killed[0], unit: " s", asked: Some(Asked::Below(2.0)) },
        Figure { what: "memory then".to_owned(), is: killed[1], unit: " MiB", asked: Some(Asked::Below(150.0)) },
    ]
}

fn deep(depth: &Depth) -> Vec<Figure> {
    let most = depth::DEPTH;
    let [due, counts, claim] = depth.reads;
    let flat = format!("rate of the last fifth of {most} by that of the first, both by the raw limit");
    vec![
        Figure { what: flat, is: depth.flat(), unit: "", asked: Some(Asked::AtLeast(0.9)) },
        Figure {
            what: format!("memory with {most} queued"),
            is: depth.memory(),
            unit: " MiB",
            asked: Some(Asked::Below(150.0)),
        },
        Figure { what: "the 1,000 keys that are due then".to_owned(), is: due, unit: " ms", asked: None },
        Figure { what: "counts of all keys then".to_owned(), is: counts, unit: " ms", asked: None },
        Figure { what: "claiming 32 then".to_owned(), is: claim, unit: " ms", asked: None },
    ]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A number with three digits or so.
fn short(number: f64) -> String {
    match number {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
