//! The facts of a transaction as a person says them: the options of `explain`, and the words of a
//! line for `test`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use hikyaku::message::results;
use hikyaku::policy::{
    Certificate, Dmarc, Facts, Finding, Identifier, Listener, Message, Per, Period, Policy, Stage, Window,
};
use hikyaku::wire::{Domain, ForwardPath, Hello, ReversePath};

/// One fact that can be given.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What stands behind it; empty where it is a word by itself.
    pub(crate) value: &'static str,
    /// Whether it may be given several times.
    several: bool,
    pub(crate) help: &'static str,
}

const fn key(name: &'static str, value: &'static str, help: &'static str) -> Key {
    Key { name, value, several: false, help }
}

const fn several(name: &'static str, value: &'static str, help: &'static str) -> Key {
    Key { name, value, several: true, help }
}

/// Every fact that can be given.
pub(crate) const KEYS: &[Key] = &[
    key("peer", "IP", "The client's address; `none` on a Unix socket"),
    key("to", "ADDRESS", "The recipient; `postmaster` alone is the server's own"),
    key("from", "ADDRESS", "The sender, `<>` for the null path [else spam@sender.example]"),
    key("helo", "NAME", "What the client calls itself [else mail.sender.example]"),
    key("user", "USER", "Who has authenticated"),
    key("tls", "", "The connection is encrypted"),
    key("listener", "KIND", "mx, submission, submissions or lmtp [else mx, and submission for a user]"),
    key("certificate", "PIN|NAME", "The client's certificate: `sha256/…`, or the name that an authority vouches for"),
    key("name", "NAME", "The name that leads back to the client's address, `none`, or `unknown`"),
    key("iprev", "RESULT", "pass, fail, permerror, or unknown"),
    several("listed", "ZONE=SCORE", "The client's score in a list of addresses; `unknown`: it does not answer"),
    key("spf", "RESULT", "none, neutral, pass, fail, softfail, permerror, or unknown"),
    key("owned", "yes|no|unknown", "Whether the sender is an address of the user"),
    key("exists", "yes|no|unknown", "Whether there is such a mailbox"),
    key("known", "yes|no|unknown", "Whether client, sender and recipient were seen before"),
    several(
        "rate",
        "WINDOW=N",
        "Recipients accepted before: `h per ip=12`; s, m, h, d; ip, network, user, sender, domain",
    ),
    key("recipients", "N", "Recipients of the transaction, this one included [else 1]"),
    key("time", "HH:MM", "The time of day, UTC [else 12:00]"),
    several("custom", "NAME=yes|no|unknown", "What the program finds out"),
    key("size", "N", "Octets of the message [else 2000]"),
    key("hops", "N", "Fields `Received` of the message [else 1]"),
    key("aligned", "yes|no|unknown", "Whether the author is of the sender's domain"),
    key("dkim", "RESULT", "none, pass, fail, policy, neutral, permerror, or unknown"),
    key("arc", "RESULT", "none, pass, fail, or unknown"),
    key("dmarc", "RESULT", "none, pass, fail, quarantine, reject, permerror, or unknown"),
    key("stage", "STAGE", "How far it has come: connect, hello, mail, recipient [else message]"),
];

/// Facts that were given so far.
#[derive(Clone)]
pub(crate) struct Given {
    facts: Facts,
    message: Message,
    listener: Option<Listener>,
    stage: Stage,
    /// The names of those that were given, with zone, window or name of a condition.
    named: BTreeSet<String>,
}

impl Default for Given {
    fn default() -> Self {
        let mut message = Message::new(2000);
        message.hops = 1;
        message.aligned = Finding::NotYet;
        message.dkim = Finding::NotYet;
        message.arc = Finding::NotYet;
        message.dmarc = Finding::NotYet;
        let facts = Facts::new(None, Listener::Mx);
        Self { facts, message, listener: None, stage: Stage::Message, named: BTreeSet::new() }
    }
}

impl Given {
    /// Whether it was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.contains(name)
    }

    /// Takes one fact; an error says what is wrong with it.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("`{name}`: `{value}` is no {}", kind(name));
        let facts = &mut self.facts;
        let mut detail = String::new();
        match name {
            "peer" if value == "none" => facts.client = None,
            "peer" => facts.client = Some(value.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical()),
            "to" if value.eq_ignore_ascii_case("postmaster") => facts.recipient = Some(ForwardPath::Postmaster),
            "to" => {
                let path = format!("<{}>", bare(value)).parse();
                facts.recipient = Some(path.map_err(|error| format!("{}: {error}", wrong()))?);
            }
            "from" => {
                let path = format!("<{}>", bare(value)).parse::<ReversePath>();
                facts.sender = Some(path.map_err(|error| format!("{}: {error}", wrong()))?);
            }
            "helo" => {
                facts.hello = Some(Hello::parse(value).map_err(|error| format!("{}: {error}", wrong()))?.into_owned())
            }
            "user" if value.is_empty() => return Err(wrong()),
            "user" => facts.user = Some(value.to_owned()),
            "tls" => facts.tls = yes(or_yes(value)).ok_or_else(wrong)?,
            "listener" | "on" => {
                let found = Listener::ALL.into_iter().find(|listener| listener.to_string() == value);
                self.listener = Some(found.ok_or_else(wrong)?);
            }
            "certificate" => {
                let (spki, names) = match value.starts_with("sha256/") {
                    true => (value.parse::<hikyaku::SpkiPin>().map_err(|error| error.to_string())?.0, Vec::new()),
                    false => ([0; 32], vec![value.parse::<Domain>().map_err(|_| wrong())?]),
                };
                facts.certificate = Some(Certificate { spki, names });
                facts.tls = true;
            }
            "name" => {
                let name = finding(value, |text| if text == "none" { Some(None) } else { text.parse().ok().map(Some) });
                facts.name = name.ok_or_else(wrong)?;
                // One comes with the other.
                facts.iprev = match &facts.name {
                    Finding::Is(Some(_)) => Finding::Is(results::Iprev::Pass),
                    Finding::Is(None) if facts.iprev != Finding::Is(results::Iprev::PermError) => {
                        Finding::Is(results::Iprev::Fail)
                    }
                    Finding::Is(None) => facts.iprev,
                    _ => Finding::Unknown,
                };
                self.named.insert("iprev".to_owned());
            }
            "iprev" => {
                facts.iprev = finding(value, results::Iprev::parse).ok_or_else(wrong)?;
                if facts.iprev == Finding::Is(results::Iprev::TempError) {
                    facts.iprev = Finding::Unknown;
                }
                match (&facts.iprev, &facts.name) {
                    (Finding::Is(results::Iprev::Pass), Finding::Is(Some(_))) => {}
                    (Finding::Is(results::Iprev::Pass), _) => {
                        facts.name = Finding::Is(Some("client.example".parse().map_err(|_| wrong())?));
                    }
                    (Finding::Is(_), _) => facts.name = Finding::Is(None),
                    _ => facts.name = Finding::Unknown,
                }
                self.named.insert("name".to_owned());
            }
            "listed" => {
                let (zone, score) = value.split_once('=').unwrap_or((value, "1"));
                let zone = zone.parse::<Domain>().map_err(|_| wrong())?;
                let score = finding(score, |text| text.parse().ok()).ok_or_else(wrong)?;
                detail = format!(" {}", zone.to_lowercase());
                facts.listed.retain(|(known, _)| *known != zone);
                facts.listed.push((zone, score));
            }
            "spf" => facts.spf = finding(value, results::Spf::parse).ok_or_else(wrong)?,
            "owned" => facts.owned = finding(or_yes(value), yes).ok_or_else(wrong)?,
            "exists" => facts.exists = finding(or_yes(value), yes).ok_or_else(wrong)?,
            "known" => facts.known = finding(or_yes(value), yes).ok_or_else(wrong)?,
            "rate" => {
                let (text, count) = value.rsplit_once('=').ok_or_else(wrong)?;
                let window = window(text).ok_or_else(wrong)?;
                let count = count.parse().map_err(|_| wrong())?;
                detail = format!(" {window}");
                facts.rates.retain(|(known, _)| *known != window);
                facts.rates.push((window, count));
            }
            "recipients" => facts.recipients = value.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?,
            "time" => facts.minute = Finding::Is(minute(value).ok_or_else(wrong)?),
            "custom" => {
                let (custom, text) = value.split_once('=').unwrap_or((value, "yes"));
                let custom = custom.parse::<Identifier>().map_err(|error| format!("{}: {error}", wrong()))?;
                let value = finding(text, yes).ok_or_else(wrong)?;
                detail = format!(" {custom}");
                facts.custom.retain(|(known, _)| *known != custom);
                facts.custom.push((custom, value));
            }
            "size" => self.message.size = value.parse().map_err(|_| wrong())?,
            "hops" => self.message.hops = value.parse().map_err(|_| wrong())?,
            "aligned" => self.message.aligned = finding(or_yes(value), yes).ok_or_else(wrong)?,
            "dkim" => self.message.dkim = finding(value, results::Dkim::parse).ok_or_else(wrong)?,
            "arc" => self.message.arc = finding(value, results::Arc::parse).ok_or_else(wrong)?,
            "dmarc" => self.message.dmarc = finding(value, dmarc).ok_or_else(wrong)?,
            "stage" => self.stage = stage(value).ok_or_else(wrong)?,
            _ => return Err(format!("`{name}` is no fact; `policy test --help` lists them")),
        }
        self.named.insert(format!("{name}{detail}"));
        Ok(())
    }

    /// All facts: those that were not given are plain, and of lists, rates and custom conditions those
    /// are there that the policy asks for.
    pub(crate) fn facts(&self, policy: &Policy) -> Facts {
        let mut facts = self.facts.clone();
        let otherwise = if facts.user.is_some() { Listener::Submission } else { Listener::Mx };
        facts.listener = self.listener.unwrap_or(otherwise);
        facts.tls |= facts.listener == Listener::Submissions;
        let plain = |finding: &mut Finding<bool>, value| {
            if *finding == Finding::NotYet {
                *finding = Finding::Is(value);
            }
        };
        if facts.minute == Finding::NotYet {
            facts.minute = Finding::Is(12 * 60);
        }
        if facts.iprev == Finding::NotYet {
            (facts.iprev, facts.name) = (Finding::Is(results::Iprev::PermError), Finding::Is(None));
        }
        if facts.hello.is_none() {
            facts.hello = Hello::parse("mail.sender.example").ok().map(Hello::into_owned);
        }
        if facts.sender.is_none() {
            facts.sender = "<spam@sender.example>".parse().ok();
        }
        // What is about the sender, or about the recipient, cannot be known before them.
        if self.stage >= Stage::Mail {
            if facts.spf == Finding::NotYet {
                facts.spf = Finding::Is(results::Spf::None);
            }
            plain(&mut facts.owned, false);
        }
        if self.stage >= Stage::Recipient {
            plain(&mut facts.exists, true);
            plain(&mut facts.known, false);
        }
        let asks = policy.asks();
        for zone in &asks.listed {
            if !facts.listed.iter().any(|(known, _)| known == zone) {
                facts.listed.push((zone.clone(), Finding::Is(0)));
            }
        }
        for window in &asks.rates {
            if !facts.rates.iter().any(|(known, _)| known == window) {
                facts.rates.push((*window, 0));
            }
        }
        for custom in &asks.custom {
            if !facts.custom.iter().any(|(known, _)| known == custom) {
                facts.custom.push((custom.clone(), Finding::Is(false)));
            }
        }
        let mut message = self.message.clone();
        plain(&mut message.aligned, true);
        if message.dkim == Finding::NotYet {
            message.dkim = Finding::Is(results::Dkim::None);
        }
        if message.arc == Finding::NotYet {
            message.arc = Finding::Is(results::Arc::None);
        }
        if message.dmarc == Finding::NotYet {
            message.dmarc = Finding::Is(Dmarc::None);
        }
        facts.message = Some(message).filter(|_| self.stage >= Stage::Message);
        facts.recipient = facts.recipient.filter(|_| self.stage >= Stage::Recipient);
        facts.sender = facts.sender.filter(|_| self.stage >= Stage::Mail);
        facts.hello = facts.hello.filter(|_| self.stage >= Stage::Hello);
        facts
    }
}

/// What stands behind a name, for an error.
fn kind(name: &str) -> &'static str {
    let name = if name == "on" { "listener" } else { name };
    KEYS.iter().find(|key| key.name == name).map_or("", |key| if key.value.is_empty() { "yes|no" } else { key.value })
}

/// An address may stand in angle brackets.
fn bare(text: &str) -> &str {
    text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text)
}

fn finding<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Finding<T>> {
    match text {
        "unknown" | "temperror" => Some(Finding::Unknown),
        text => read(text).map(Finding::Is),
    }
}

/// A word by itself says yes.
fn or_yes(text: &str) -> &str {
    if text.is_empty() { "yes" } else { text }
}

fn yes(text: &str) -> Option<bool> {
    match text {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn dmarc(text: &str) -> Option<Dmarc> {
    let all = [Dmarc::Pass, Dmarc::None, Dmarc::Fail, Dmarc::Quarantine, Dmarc::Reject, Dmarc::PermError];
    all.into_iter().find(|result| result.to_string() == text)
}

fn stage(text: &str) -> Option<Stage> {
    let all = [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message];
    all.into_iter().find(|stage| stage.to_string() == text)
}

/// `h per ip`
fn window(text: &str) -> Option<Window> {
    let mut words = text.split_whitespace();
    let period = match words.next()? {
        "s" => Period::Second,
        "m" => Period::Minute,
        "h" => Period::Hour,
        "d" => Period::Day,
        _ => return None,
    };
    let per = match (words.next()?, words.next()?) {
        ("per", "ip") => Per::Ip,
        ("per", "network") => Per::Network,
        ("per", "user") => Per::User,
        ("per", "sender") => Per::Sender,
        ("per", "domain") => Per::Domain,
        _ => return None,
    };
    words.next().is_none().then_some(Window { period, per })
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_two = |digits: &str| digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let (hour, minute) = (Some(hour).filter(|hour| is_two(hour))?, Some(minute).filter(|minute| is_two(minute))?);
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The options of `explain`: one for each of [`KEYS`].
impl Args for Given {
    fn augment_args(command: Command) -> Command {
        KEYS.iter().fold(command, |command, key| {
            let argument = Arg::new(key.name).long(key.name).help(key.help);
            let argument = match (key.value, key.several) {
                ("", _) => argument.action(ArgAction::SetTrue),
                (value, true) => argument.value_name(value).action(ArgAction::Append),
                (value, false) => argument.value_name(value).allow_hyphen_values(true),
            };
            command.arg(argument.required(matches!(key.name, "peer" | "to")))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self::default();
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for key in KEYS {
            let values: Vec<String> = match key.value {
                "" => matches.get_flag(key.name).then(String::new).into_iter().collect(),
                _ => matches.get_many(key.name).into_iter().flatten().cloned().collect(),
            };
            for value in values {
                self.set(key.name, &value)
                    .map_err(|error| clap::Error::raw(clap::error::ErrorKind::ValueValidation, error + "\n"))?;
            }
        }
        Ok(())
    }
}
