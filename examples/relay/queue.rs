//! `relay queue`: what waits, and what people do with it.

mod access;
mod json;
mod plain;
mod select;
mod show;
mod table;

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, Write},
    process::ExitCode,
    str::FromStr,
};

use clap::{Subcommand, ValueEnum};
use hikyaku::{
    Config, now,
    queue::{Action, CountBy, Filter, Gate, HoldReason, MsgId, QueueKey},
    wire::Timestamp,
};

use self::{
    access::{Access, Failure},
    plain::visible,
    select::{Selection, Span},
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// What waits, one line for each unit: the recipients of a message with one destination.
    List {
        #[command(flatten)]
        selection: Selection,
        /// Show at most so many.
        #[arg(long, value_name = "NUMBER")]
        max: Option<usize>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Everything about one message.
    Show {
        /// The message.
        id: MsgId,
        /// The text of the message too.
        #[arg(long, value_enum, value_name = "PART")]
        text: Option<Part>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// How much waits for each destination, how old it is, and which are closed.
    Summary {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Keep units back until they are released.
    Hold {
        #[command(flatten)]
        selection: Selection,
        /// Why, for whoever looks at them next.
        #[arg(long, default_value = "by hand", value_name = "TEXT")]
        why: String,
    },
    /// Let held units go; they are due at once, and expire when they would have.
    Release {
        #[command(flatten)]
        selection: Selection,
    },
    /// Try units again now, also where their destination is closed because it could not be reached.
    Retry {
        #[command(flatten)]
        selection: Selection,
    },
    /// Take units out of the queue. Nobody is told.
    Remove {
        #[command(flatten)]
        selection: Selection,
    },
    /// Send units elsewhere.
    Rekey {
        #[command(flatten)]
        selection: Selection,
        /// Where: `mx:domain`, `host:port`, `lmtp:host:port`, `lmtp:unix:/path` or `maildir`.
        #[arg(long, value_name = "KEY")]
        into: hikyaku::Route,
    },
    /// Open or close a destination.
    Gate {
        /// Its key, as in `list` and `summary`.
        key: String,
        /// `open`, `pause` until it is opened again, or closed for a time: `2h`.
        gate: Wanted,
    },
}

/// How much of a message's text is shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What comes before the first empty line.
    Header,
    /// All of it.
    Whole,
}

/// What is to become of a gate.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    Open,
    Pause,
    Close(Span),
}

impl FromStr for Wanted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "open" => Ok(Self::Open),
            "pause" => Ok(Self::Pause),
            span => span.parse().map(Self::Close).map_err(|_| "not `open`, `pause` or a time such as `2h`"),
        }
    }
}

/// Nothing was there that was meant.
const NOTHING: u8 = 1;
/// It could not be done.
const COULD_NOT: u8 = 2;

impl Command {
    /// Does it and says how it went: 0 done, 1 nothing matched, 2 it could not be done.
    pub(crate) async fn run(self, config: &Config) -> ExitCode {
        match self.done(config, now()).await {
            Ok(0) => ExitCode::from(NOTHING),
            Ok(_) => ExitCode::SUCCESS,
            // Whoever reads has seen enough.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(failure) => could_not(&failure),
        }
    }

    /// To how many units, or keys, it was done.
    async fn done(self, config: &Config, now: Timestamp) -> Result<u64, Failure> {
        let out = &mut io::BufWriter::new(io::stdout().lock());
        let done = match self {
            Self::List { selection, max, json } => {
                let access = Access::open(config).await?;
                table::list(&access, &selection.filters(now)?, max.unwrap_or(usize::MAX), now, json, out).await
            }
            Self::Show { id, text, json } => show::show(&Access::open(config).await?, id, text, now, json, out).await,
            Self::Summary { json } => {
                let access = Access::open(config).await?;
                let (counts, gates) = (access.counts(CountBy::Key).await?, access.gates(None).await?);
                table::summary(&counts, &gates, now, json, out).map_err(Failure::Output)
            }
            Self::Hold { selection, why } => {
                apply(config, &selection, now, &Action::Hold(HoldReason::new(why)), "held", out).await
            }
            Self::Release { selection } => apply(config, &selection, now, &Action::Release(now), "released", out).await,
            Self::Remove { selection } => apply(config, &selection, now, &Action::Remove, "removed", out).await,
            Self::Rekey { selection, into } => {
                let done = format!("rekeyed to {into}");
                apply(config, &selection, now, &Action::Rekey(into.key()), &done, out).await
            }
            Self::Retry { selection } => retry(config, &selection, now, out).await,
            Self::Gate { key, gate } => {
                let access = Access::open(config).await?;
                let key = QueueKey::new(key);
                let (gate, said) = match gate {
                    Wanted::Open => (Gate::Open, "is open".to_owned()),
                    Wanted::Pause => (Gate::Paused, "is paused until it is opened".to_owned()),
                    Wanted::Close(span) => {
                        let until = now.saturating_add(span.0);
                        (Gate::NotBefore(until), format!("is closed until {until}"))
                    }
                };
                access.gate(&key, gate).await?;
                writeln!(out, "{} {said}", visible(key.as_str())).map(|()| 1).map_err(Failure::Output)
            }
        }?;
        out.flush().map_err(Failure::Output)?;
        Ok(done)
    }
}

/// Tells the operator what went wrong.
pub(crate) fn could_not(failure: &impl fmt::Display) -> ExitCode {
    eprintln!("relay: {}", visible(&failure.to_string()));
    ExitCode::from(COULD_NOT)
}

async fn apply(
    config: &Config,
    selection: &Selection,
    now: Timestamp,
    action: &Action,
    word: &str,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let filters = selection.chosen(now)?;
    let access = Access::open(config).await?;
    let mut done = 0;
    for filter in &filters {
        done += access.apply(filter, action.clone()).await?;
    }
    said(done, word, out).map_err(Failure::Output)?;
    Ok(done)
}

fn said(done: u64, word: &str, out: &mut impl Write) -> io::Result<()> {
    match done {
        0 => writeln!(out, "nothing matches"),
        1 => writeln!(out, "1 unit {word}"),
        _ => writeln!(out, "{done} units {word}"),
    }
}

async fn retry(config: &Config, selection: &Selection, now: Timestamp, out: &mut impl Write) -> Result<u64, Failure> {
    let filters = selection.chosen(now)?;
    let access = Access::open(config).await?;
    let (mut done, mut closed) = (0, access.gates(None).await?);
    closed.retain(|(_, gate)| !matches!(gate, Gate::NotBefore(until) if *until <= now));
    if !closed.is_empty() {
        let keys = keys(&access, &filters, &closed).await?;
        closed.retain(|(key, _)| keys.contains(key));
    }
    for filter in &filters {
        done += access.apply(filter, Action::Retry(now)).await?;
    }
    said(done, "to be tried again now", out).map_err(Failure::Output)?;
    for (key, gate) in closed {
        let name = visible(key.as_str());
        let told = if gate == Gate::Paused {
            writeln!(out, "{name} is paused: `relay queue gate {name} open` lets mail through")
        } else {
            access.gate(&key, Gate::Open).await?;
            writeln!(out, "{name} is open again")
        };
        told.map_err(Failure::Output)?;
    }
    Ok(done)
}

/// The keys of what is meant, among those that are closed.
async fn keys(access: &Access, filters: &[Filter], closed: &[(QueueKey, Gate)]) -> Result<BTreeSet<QueueKey>, Failure> {
    let mut keys = BTreeSet::new();
    for filter in filters {
        for (key, _) in closed {
            if filter.key.as_ref().is_some_and(|of| of != key) {
                continue;
            }
            let mut of = filter.clone();
            of.key = Some(key.clone());
            // One is enough to know that the key is meant.
            if !access.list(&of, None, 1).await?.entries.is_empty() {
                keys.insert(key.clone());
            }
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_in_words() {
        assert!(matches!("open".parse(), Ok(Wanted::Open)));
        assert!(matches!("pause".parse(), Ok(Wanted::Pause)));
        assert!(matches!("90m".parse(), Ok(Wanted::Close(Span(span))) if span.as_secs() == 5400));
        assert!("closed".parse::<Wanted>().is_err());
    }

    #[test]
    fn how_many() {
        for (done, text) in [(0, "nothing matches\n"), (1, "1 unit held\n"), (1000, "1000 units held\n")] {
            let mut out = Vec::new();
            said(done, "held", &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
