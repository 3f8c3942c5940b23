//! What is measured in turns, and what is asked of it.

/// A thing that the spool does, and what it is compared with, which both give things a second.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// One word, for programs.
    pub name: &'static str,
    /// What is done, for people.
    pub what: &'static str,
    /// The measurement of the spool.
    pub ours: &'static str,
    /// The measurement beside it.
    pub beside: &'static str,
    /// What that is, for people.
    pub limit: &'static str,
    /// Our rate divided by that one must reach this.
    pub least: f64,
    /// Octets written for each octet of a message must not be more.
    pub most_written: Option<f64>,
}

/// All of them.
pub const ALL: &[Row] = &[
    Row {
        name: "one",
        what: "committing, 1 producer",
        ours: "ours-1",
        beside: "raw-1",
        limit: "appending and syncing",
        least: 0.9,
        most_written: Some(2.0),
    },
    Row {
        name: "many",
        what: "committing, 32 producers",
        ours: "ours-32",
        beside: "raw-32",
        limit: "appending and syncing",
        least: 0.8,
        most_written: Some(1.2),
    },
    Row {
        name: "files",
        what: "committing, 32 producers",
        ours: "ours-32",
        beside: "files-32",
        limit: "one file a message",
        least: 4.0,
        most_written: None,
    },
    Row {
        name: "settle",
        what: "claiming, reading, settling for good, 32 at once",
        ours: "settle",
        beside: "raw-32",
        limit: "appending and syncing",
        least: 0.25,
        most_written: None,
    },
    Row {
        name: "reschedule",
        what: "claiming and rescheduling lazily, 32 at once",
        ours: "reschedule",
        beside: "raw-32",
        limit: "appending and syncing",
        least: 0.5,
        most_written: None,
    },
];
