//! A corpus of small policies: what is proved of each stands behind it, in lines `#= …`.
//!
//! The first comment of a policy begins with the word `open`, `closed` or `rejected`, which was
//! written by hand and must be what is proved. With `HIKYAKU_BLESS=1` in the environment the
//! lines behind the policies are written anew.

use std::{fs, path::PathBuf};

use hikyaku_policy::{Cell, Limits, Policy, Rejection, Surface, Verdict, Why};

/// Name, text and the lines that are expected.
fn corpus() -> Vec<(PathBuf, String, Vec<String>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let whole = fs::read_to_string(&path).unwrap();
        let (expected, text): (Vec<_>, Vec<_>) = whole.lines().partition(|line| line.starts_with("#="));
        let text = text.iter().map(|line| format!("{line}\n")).collect::<String>();
        (path, text.trim_end().to_owned() + "\n", expected.into_iter().map(str::to_owned).collect())
    };
    files.into_iter().map(read).collect()
}

fn parse(path: &std::path::Path, text: &str) -> Policy {
    let none = &mut |file: &str| Err(format!("no file {file}"));
    Policy::parse(text, none).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The word of the first comment.
fn said(text: &str) -> &str {
    let comment = text.lines().find_map(|line| line.strip_prefix("# ")).expect("a comment");
    comment.split(':').next().unwrap()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| format!("#=   {line}").trim_end().to_owned()).collect()
}

/// What is proved, a line each.
fn report(policy: &Policy) -> Vec<String> {
    let limits = Limits::default();
    let surface = policy.prove(&limits).unwrap();
    let mut report = vec![format!("#= {}", verdict(&surface))];
    match policy.admit(&limits) {
        Ok(()) | Err(Rejection::Open(..)) => {}
        Err(rejection) => {
            report.push("#= rejected".to_owned());
            report.extend(lines(&rejection.to_string()));
        }
    }
    if let Verdict::Open(witness) = &surface.verdict {
        report.extend(lines(&witness.dialogue()));
    }
    report.extend(surface.assumptions.iter().map(|text| format!("#= assumes: {text}")));
    report.extend(surface.notes.iter().map(|note| match note.line {
        Some(line) => format!("#= note, line {line}: {}", note.text),
        None => format!("#= note: {}", note.text),
    }));
    report.push(format!("#= grid: {}", surface.grid.columns.join(" | ")));
    report.extend(surface.grid.rows.iter().map(|(who, cells)| {
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| match cell {
                Cell::Never => "never",
                Cell::Depends => "depends",
                Cell::Always => "always",
            })
            .collect();
        format!("#=   {who}: {}", cells.join(" | "))
    }));
    report.extend(surface.rows.iter().map(|row| {
        let line = row.line.map(|line| format!(" | line {line}")).unwrap_or_default();
        let except = if row.except.is_empty() { String::new() } else { format!(" | except lines {:?}", row.except) };
        format!("#= | {} | {} | {}{line}{except}", row.who, row.to, row.when)
    }));
    report.extend(surface.idle.iter().map(|idle| {
        let why = match &idle.why {
            Why::Contradictory => "contradictory".to_owned(),
            Why::NeverReached(lines) => format!("never reached, because of lines {lines:?}"),
            Why::Redundant => "redundant".to_owned(),
        };
        format!("#= line {}: {why}", idle.line)
    }));
    report.extend(surface.claims.iter().map(|(line, witness)| {
        format!("#= claim on line {line}: {}", if witness.is_some() { "does not hold" } else { "holds" })
    }));
    report
}

fn verdict(surface: &Surface) -> String {
    let declared = if surface.declared_open { ", declared" } else { "" };
    match &surface.verdict {
        Verdict::Closed => format!("closed{declared}"),
        Verdict::Open(witness) => format!("open{declared}, by line {}: {}", witness.line.unwrap_or(0), witness.rule),
    }
}

#[test]
fn every_policy_is_what_it_is_said_to_be() {
    let corpus = corpus();
    assert!(corpus.len() >= 60, "{} policies", corpus.len());
    let (mut bad, bless) = (Vec::new(), std::env::var_os("HIKYAKU_BLESS").is_some());
    for (path, text, expected) in corpus {
        let policy = parse(&path, &text);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let limits = Limits::default();
        let proved = match (policy.verdict(&limits).unwrap(), policy.admit(&limits)) {
            (Verdict::Open(_), _) => "open",
            (Verdict::Closed, Ok(())) => "closed",
            (Verdict::Closed, Err(_)) => "rejected",
        };
        if proved != said(&text) {
            bad.push(format!("{name} is said to be {} and is {proved}", said(&text)));
        }
        let report = report(&policy);
        if report == expected {
            continue;
        }
        if bless {
            fs::write(&path, format!("{text}\n{}\n", report.join("\n"))).unwrap();
            continue;
        }
        bad.push(format!("{name}:"));
        bad.extend(expected.iter().filter(|line| !report.contains(line)).map(|line| format!("- {line}")));
        bad.extend(report.iter().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}")));
    }
    assert!(bad.is_empty(), "{}\nHIKYAKU_BLESS=1 keeps what is proved now", bad.join("\n"));
}

/// A policy prints to one of which the same is proved, and says so of every line of the corpus.
#[test]
fn every_policy_prints_and_parses() {
    for (path, text, _) in corpus() {
        let policy = parse(&path, &text);
        let printed = policy.to_string();
        let again = parse(&path, &printed);
        assert_eq!(again, policy, "{}", path.display());
        assert_eq!(again.to_string(), printed, "{}", path.display());
        assert_eq!(policy.diff(&again, &Limits::default()).unwrap(), [], "{}", path.display());
    }
}

/// Who reads a policy with its proof behind it reads the same policy.
#[test]
fn the_proof_is_a_comment() {
    for (path, text, expected) in corpus() {
        let whole = format!("{text}\n{}\n", expected.join("\n"));
        assert_eq!(parse(&path, &whole), parse(&path, &text), "{}", path.display());
    }
}

/// Loading refuses what is open and does not say so, and nothing else that is proved closed.
#[test]
fn only_what_is_admitted_loads() {
    let none = &mut |file: &str| Err(format!("no file {file}"));
    for (path, text, _) in corpus() {
        let loaded = Policy::load(&text, none, &Limits::default());
        let declared = text.starts_with("open\n");
        match said(&text) {
            "closed" => assert!(loaded.is_ok(), "{}: {}", path.display(), loaded.unwrap_err()),
            "open" if declared => assert!(loaded.is_ok(), "{}: {}", path.display(), loaded.unwrap_err()),
            _ => {
                let error = loaded.expect_err(&path.display().to_string());
                assert!(error.rejected.is_some(), "{}: {error}", path.display());
            }
        }
    }
}
