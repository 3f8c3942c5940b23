//! The command line of the benches that have rows.

/// What was said.
pub struct Arguments {
    /// Whether a row that misses what is asked fails.
    pub check: bool,
    /// Whether the README is renewed.
    pub write: bool,
    /// Turns of each side at least.
    pub rounds: usize,
    rows: Vec<String>,
}

impl Arguments {
    /// Whether the row is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| name.contains(row))
    }
}

/// Reads it; `None` if it is wrong, or help was asked for.
pub fn read() -> Option<Arguments> {
    let mut arguments = Arguments { check: false, write: false, rounds: 48, rows: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // Cargo says it to every bench.
            "--bench" => {}
            "--check" => arguments.check = true,
            "--write" => arguments.write = true,
            "--rounds" => arguments.rounds = words.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
            row if !row.starts_with('-') => arguments.rows.push(row.into()),
            _ => return None,
        }
    }
    // A part of the table in the place of the whole would look like the whole.
    (!arguments.write || arguments.rows.is_empty()).then_some(arguments)
}
