//! Reports for people.

use std::fmt;

use super::{Cell, Change, Flip, Grid, Idle, Note, Outcome, Row, Surface, Verdict, Why, Witness, table::Table, words};

/// Why the policy must not be used.
pub(super) fn open(witness: &Witness, notes: &[Note]) -> String {
    let mut text = format!("{}\n{}", opened(witness), indented(&witness.dialogue(), "  "));
    notes.iter().for_each(|note| text += &format!("{note}\n"));
    text + "if that is meant, write `open` in the first line"
}

/// `an open relay by line 3: permit`, and on which custom condition that rests.
fn opened(witness: &Witness) -> String {
    let mut customs = Vec::new();
    for (name, value) in &witness.customs {
        customs.push(format!("custom {name} is {}", if *value { "true" } else { "false" }));
    }
    let customs = if customs.is_empty() { String::new() } else { format!(" if {}", customs.join(" and ")) };
    format!("an open relay{customs} by {}", place(witness.line, &witness.rule))
}

fn place(line: Option<usize>, rule: &str) -> String {
    line.map_or_else(|| rule.to_owned(), |line| format!("line {line}: {rule}"))
}

fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}").trim_end().to_owned() + "\n").collect()
}

/// `lines 3, 5-7`.
pub(super) fn lines(lines: &[usize]) -> String {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => spans.push((*line, *line)),
        }
    }
    let span = |(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    let spans: Vec<_> = spans.iter().map(span).collect();
    format!("line{} {}", if lines.len() == 1 { "" } else { "s" }, spans.join(", "))
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Never => "never",
            Self::Depends => "depends",
            Self::Always => "always",
        })
    }
}

impl Grid {
    fn table(&self, mark: impl Fn(Cell) -> &'static str) -> Table {
        let mut table = Table::default();
        table.row(std::iter::once("").chain(self.columns.iter().map(String::as_str)));
        for (who, cells) in &self.rows {
            let mut row = vec![who.clone()];
            row.extend(cells.iter().map(ToString::to_string));
            let is_verdict =
                who == super::grid::STRANGER && self.columns.last().is_some_and(|to| to == super::grid::FOREIGN);
            row.extend(cells.last().filter(|_| is_verdict).map(|cell| mark(*cell).to_owned()));
            table.row(row);
        }
        table
    }
}

/// The grid, as a table. The cell of strangers and foreign domains is the verdict.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |cell| if cell == Cell::Never { "<- closed" } else { "<- OPEN" };
        f.write_str(&self.table(mark).print(""))
    }
}

/// The whole report, as tables.
impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.verdict, self.declared_open) {
            (Verdict::Closed, false) => writeln!(f, "CLOSED: no stranger can send to foreign domains")?,
            (Verdict::Closed, true) => {
                writeln!(f, "CLOSED: no stranger can send to foreign domains, though the first line says open")?;
            }
            (Verdict::Open(witness), declared) => {
                let declared = if declared { ", as its first line declares" } else { "" };
                writeln!(f, "OPEN: {}{declared}", opened(witness))?;
                write!(f, "{}", indented(&witness.dialogue(), "  "))?;
            }
        }
        for assumption in &self.assumptions {
            writeln!(f, "  assuming that {assumption}")?;
        }
        writeln!(f)?;
        let mark = |cell| match (cell, self.declared_open) {
            (Cell::Never, _) => "<- closed",
            (_, true) => "<- open, as declared",
            (_, false) => "<- OPEN",
        };
        write!(f, "{}", self.grid.table(mark).print(""))?;
        writeln!(f, "\nWhat is permitted")?;
        write!(f, "{}", rows(&self.rows).print("  "))?;
        if !self.extents.is_empty() {
            let mut table = Table::default();
            self.extents
                .iter()
                .for_each(|extent| table.row([&extent.list, &extent.kind, &extent.size].map(String::as_str)));
            write!(f, "\nLists\n{}", table.print("  "))?;
        }
        if !self.idle.is_empty() {
            writeln!(f, "\nIdle rules")?;
            self.idle.iter().try_for_each(|idle| writeln!(f, "  {idle}"))?;
        }
        if !self.claims.is_empty() {
            writeln!(f, "\nClaims")?;
        }
        for (line, broken) in &self.claims {
            match broken {
                None => writeln!(f, "  line {line} holds")?,
                Some(witness) => {
                    writeln!(f, "  line {line} does NOT hold: {}", place(witness.line, &witness.rule))?;
                    write!(f, "{}", indented(&witness.dialogue(), "    "))?;
                }
            }
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nNotes")?;
            self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        Ok(())
    }
}

fn rows(rows: &[Row]) -> Table {
    let mut table = Table::default();
    if rows.is_empty() {
        table.row(["nothing"]);
        return table;
    }
    table.row([if rows.iter().any(|row| row.line.is_some()) { "line" } else { "" }, "who", "to", "when"]);
    for Row { who, to, when, line, except, .. } in rows {
        let except = if except.is_empty() { String::new() } else { format!(", but not as {} say", lines(except)) };
        let except = if except.matches("lines").count() == 0 { except.replace(" say", " says") } else { except };
        let line = line.map_or(String::new(), |line| line.to_string());
        table.row([line, who.clone(), to.clone(), when.clone() + &except]);
    }
    table
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.why {
            Why::Contradictory => f.write_str("contradictory: its condition cannot hold"),
            Why::NeverReached(covers) => {
                let verb = if covers.len() == 1 { "decides" } else { "decide" };
                write!(f, "never reached: {} {verb} before it", lines(covers))
            }
            Why::Redundant => f.write_str("redundant: without it everything is decided alike"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, reply, route, rule: _, line, marks } = self;
        match (verb, route) {
            (crate::Verb::Permit, None) => f.write_str("permit")?,
            (crate::Verb::Permit, Some(route)) => write!(f, "permit via {route}")?,
            _ => write!(f, "{verb} {reply}")?,
        }
        marks.iter().try_for_each(|mark| write!(f, ", {mark}"))?;
        match line {
            Some(line) => write!(f, " (line {line})"),
            None => f.write_str(" (no rule)"),
        }
    }
}

impl Change {
    /// Changes as a table: before, after, and an example of each.
    pub fn table(changes: &[Self]) -> String {
        let mut table = Table::default();
        if !changes.is_empty() {
            table.row(["before", "after", "for example"]);
        }
        for Self { witness, before, after } in changes {
            table.row([before.to_string(), after.to_string(), words::summary(witness)]);
        }
        table.print("")
    }
}

impl fmt::Display for Flip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<_> = self.changes.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        write!(f, "{} if {}", self.verb, changes.join(" and "))?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}
