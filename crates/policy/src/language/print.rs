//! Printing: what it prints parses to the same policy.

use std::fmt::{self, Write};

use hikyaku_wire::Reply;

use super::{
    pin::Pin,
    words::{DMARC, PERIODS, PERS, UNITS, VERBS, word},
};
use crate::{
    Action, CertificatePattern, CertificateSet, Claim, Condition, Dmarc, DomainPattern, HostSet, Hours, List, Members,
    NetworkSet, Policy, Rate, Rule, Settings, Test, Trust, Verb, Window, domains::Member, policy::IMPLICIT,
};

/// Prints one list a line, then the settings, one rule a line, and one claim a line; the implicit
/// refusal is a comment.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn comment(f: &mut fmt::Formatter<'_>, comment: &[String]) -> fmt::Result {
            comment.iter().try_for_each(|line| writeln!(f, "#{line}"))
        }
        let Settings { strangers, accounts_open, credentials } = &self.settings;
        if self.open {
            writeln!(f, "open")?;
        }
        for list in self.lists() {
            comment(f, &list.comment)?;
            writeln!(f, "{list}")?;
        }
        if !strangers.is_empty() {
            writeln!(f, "strangers from {strangers}")?;
        }
        if *accounts_open {
            writeln!(f, "accounts open to anyone")?;
        }
        for name in credentials {
            writeln!(f, "credential custom {name}")?;
        }
        if self.open || !self.lists().is_empty() || self.settings != Settings::default() {
            writeln!(f)?;
        }
        for (rule, name) in self.rules.iter().zip(&self.names) {
            comment(f, &rule.comment)?;
            writeln!(f, "{name}")?;
        }
        for claim in &self.claims {
            comment(f, &claim.comment)?;
            writeln!(f, "{claim}")?;
        }
        if !self.rules.iter().any(|rule| !rule.shadow && rule.decides() && rule.when == Condition::Always) {
            writeln!(f, "# what no rule matches: {}", Answer("refuse", &IMPLICIT))?;
        }
        Ok(())
    }
}

/// The files stand behind the members that stand in none of them.
impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.inline();
        match &*members {
            Members::Networks(Trust::Trusted, _) | Members::Names(true, _) => f.write_str("trusted ")?,
            Members::Networks(Trust::Wide, _) => f.write_str("trusted wide ")?,
            Members::Domains(role, _) => role.fmt(f)?,
            _ => {}
        }
        write!(f, "{} {} = ", members.kind(), self.name)?;
        if members.len() > 0 || self.files.is_empty() {
            members.fmt(f)?;
        }
        for (index, file) in self.files().enumerate() {
            let first = index == 0 && members.len() == 0;
            write!(f, "{}file {}", if first { "" } else { ", " }, Quoted(file))?;
        }
        Ok(())
    }
}

/// As they stand in a list: `none` where there are none.
impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Networks(_, networks) => networks.fmt(f),
            Self::Domains(_, domains) | Self::Names(_, domains) => domains.fmt(f),
            Self::Users(users) => joined(f, users.iter().map(|user| Quoted(user))),
            Self::Certificates(patterns) => joined(f, patterns),
        }
    }
}

impl fmt::Display for CertificatePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spki(pin) => write!(f, "spki \"{}\"", Pin(pin)),
            Self::Named(name) => write!(f, "ca \"{name}\""),
        }
    }
}

/// A text in quotes, with a backslash before each quote and backslash in it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item = T>) -> fmt::Result {
    let mut empty = true;
    for item in items {
        write!(f, "{}{item}", if empty { "" } else { ", " })?;
        empty = false;
    }
    f.write_str(if empty { "none" } else { "" })
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shadow {
            f.write_str("shadow ")?;
        }
        self.action.fmt(f)?;
        if let Some(stage) = self.at {
            write!(f, " at {stage}")?;
        }
        match &self.when {
            Condition::Always => Ok(()),
            when => write!(f, " when {when}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permit(None) => f.write_str("permit"),
            Self::Permit(Some(route)) => write!(f, "permit via {route}"),
            Self::Refuse(reply) => Answer("refuse", reply).fmt(f),
            Self::Defer(reply) => Answer("defer", reply).fmt(f),
            Self::Limit(Rate { limit, window }) => write!(f, "limit {limit}/{window}"),
            Self::Quarantine(None) => f.write_str("quarantine"),
            Self::Quarantine(Some(why)) => write!(f, "quarantine {}", Quoted(why)),
            Self::Tag(tag) => write!(f, "tag {}", Quoted(tag)),
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { always, verb, when, .. } = self;
        write!(f, "{} {verb} when {when}", if *always { "always" } else { "never" })
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(word(&VERBS, *self))
    }
}

struct Answer<'a>(&'static str, &'a Reply);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verb, reply) = self;
        write!(f, "{verb} {}", reply.code().as_u16())?;
        if let Some(enhanced) = reply.enhanced() {
            write!(f, " {enhanced}")?;
        }
        write!(f, " {}", Quoted(reply.lines().next().unwrap_or_default()))
    }
}

/// `and` and `or` never stand side by side without parentheses.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, inner: &[Self], word: &str| {
            for (index, one) in inner.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { word })?;
                match one {
                    Self::All(_) | Self::Any(_) => write!(f, "({one})")?,
                    _ => one.fmt(f)?,
                }
            }
            Ok(())
        };
        match self {
            // On its own it is left out; inside of another condition it needs a word.
            Self::Always => f.write_str("to anywhere"),
            Self::Test(test) => test.fmt(f),
            Self::Assuming(test, value) => {
                write!(f, "{test} (unknown means {})", if *value { "yes" } else { "no" })
            }
            Self::Not(inner) => match **inner {
                Self::Not(_) | Self::All(_) | Self::Any(_) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Self::All(inner) => join(f, inner, " and "),
            Self::Any(inner) => join(f, inner, " or "),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn results(f: &mut fmt::Formatter<'_>, method: &str, results: &[impl fmt::Display]) -> fmt::Result {
            write!(f, "{method} ")?;
            joined(f, results)
        }
        match self {
            Self::From(NetworkSet::List(name)) => write!(f, "from {name}"),
            Self::From(NetworkSet::Network(network)) => write!(f, "from {network}"),
            Self::On(listener) => write!(f, "on {listener}"),
            Self::Hours(hours) => write!(f, "hours {hours}"),
            Self::Name(set) => write!(f, "name {set}"),
            Self::Iprev(words) => results(f, "iprev", words),
            Self::Listed { zone, at_least } => {
                write!(f, "listed {}", Member(&DomainPattern::Exactly(zone.clone())))?;
                if *at_least == 1 { Ok(()) } else { write!(f, " >= {at_least}") }
            }
            Self::Tls => f.write_str("tls"),
            Self::Authenticated(None) => f.write_str("authenticated"),
            Self::Authenticated(Some(users)) => write!(f, "authenticated as {users}"),
            Self::Certificate(CertificateSet::Trusted) => f.write_str("certificate any"),
            Self::Certificate(CertificateSet::List(name)) => write!(f, "certificate {name}"),
            Self::Certificate(CertificateSet::Spki(pin)) => write!(f, "certificate spki \"{}\"", Pin(pin)),
            Self::Helo(set) => write!(f, "helo {set}"),
            Self::Sender(set) => write!(f, "sender {set}"),
            Self::SenderNull => f.write_str("sender null"),
            Self::SenderOwned => f.write_str("sender owned"),
            Self::Spf(words) => results(f, "spf", words),
            Self::To(set) => write!(f, "to {set}"),
            Self::RecipientExists => f.write_str("recipient exists"),
            Self::Known => f.write_str("known"),
            Self::Recipients(most) => write!(f, "recipients > {most}"),
            Self::Rate(Rate { limit, window }) => write!(f, "rate < {limit}/{window}"),
            Self::Size(most) => write!(f, "size > {}", Octets(*most)),
            Self::Hops(most) => write!(f, "hops > {most}"),
            Self::AuthorAligned => f.write_str("author aligned"),
            Self::Dkim(words) => results(f, "dkim", words),
            Self::Arc(words) => results(f, "arc", words),
            Self::Dmarc(words) => results(f, "dmarc", words),
            Self::Custom(name) => write!(f, "custom {name}"),
        }
    }
}

impl fmt::Display for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(name) => name.fmt(f),
            Self::Pattern(pattern) => Member(pattern).fmt(f),
            Self::Mailbox(mailbox) => write!(f, "mailbox {}", Quoted(&mailbox.to_string())),
        }
    }
}

/// A number of octets, with the largest unit that leaves it whole.
struct Octets(u64);

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, octets)| self.0 > 0 && self.0.is_multiple_of(*octets));
        match unit {
            Some((letter, octets)) => write!(f, "{}{letter}", self.0 / octets),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", word(&PERIODS, self.period), word(&PERS, self.per))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl fmt::Display for Dmarc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(word(&DMARC, *self))
    }
}
