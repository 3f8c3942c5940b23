//! Printing: what it prints parses to the same policy.

use std::fmt;

use hikyaku_wire::{Mailbox, Reply};

use crate::{
    Action, CertificatePattern, CertificateSet, Claim, Condition, Dmarc, DomainPattern, HostSet, Hours, List, Members,
    NetworkSet, Per, Period, Policy, Rate, Rule, Test, Trust, Verb, Window, policy::IMPLICIT,
};

/// Prints one list a line, then the settings, one rule a line, and one claim a line; the implicit
/// refusal is a comment.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.printed() {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl Policy {
    fn printed(&self) -> Vec<String> {
        self.print().0
    }

    /// The line, counted from 1, on which each rule and then each claim prints.
    pub(crate) fn printed_lines(&self) -> Vec<usize> {
        self.print().1
    }

    fn print(&self) -> (Vec<String>, Vec<usize>) {
        let (mut text, mut lines) = (Vec::new(), Vec::new());
        let comment = |text: &mut Vec<String>, comment: &[String]| {
            text.extend(comment.iter().map(|line| format!("#{line}")));
        };
        text.extend(self.open.then(|| "open".to_owned()));
        for list in self.lists() {
            comment(&mut text, &list.comment);
            text.push(list.to_string());
        }
        if !self.settings.strangers.is_empty() {
            text.push(format!("strangers from {}", self.settings.strangers));
        }
        text.extend(self.settings.accounts_open.then(|| "accounts open to anyone".to_owned()));
        text.extend(self.settings.credentials.iter().map(|name| format!("credential custom {name}")));
        if !text.is_empty() {
            text.push(String::new());
        }
        for (rule, name) in self.rules.iter().zip(&self.names) {
            comment(&mut text, &rule.comment);
            text.push(name.clone());
            lines.push(text.len());
        }
        for claim in &self.claims {
            comment(&mut text, &claim.comment);
            text.push(claim.to_string());
            lines.push(text.len());
        }
        if !self.rules.last().is_some_and(|rule| rule.when == Condition::Always) {
            text.push(format!("# what no rule matches: {}", Answer("refuse", &IMPLICIT)));
        }
        (text, lines)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, members, .. } = self;
        match members {
            Members::Networks(trust, networks) => {
                let trust = match trust {
                    Trust::Plain => "",
                    Trust::Trusted => "trusted ",
                    Trust::Wide => "trusted wide ",
                };
                write!(f, "{trust}networks {name} = {networks}")
            }
            Members::Domains(role, domains) => write!(f, "{role}domains {name} = {domains}"),
            Members::Names(trusted, domains) => {
                write!(f, "{}names {name} = {domains}", if *trusted { "trusted " } else { "" })
            }
            Members::Users(users) => write!(f, "users {name} = {}", joined(users.iter().map(|user| quoted(user)))),
            Members::Certificates(patterns) => {
                write!(f, "certificates {name} = {}", joined(patterns.iter().map(ToString::to_string)))
            }
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

/// `sha256/` and base64, as RFC 7469 §2.4 writes the digest.
struct Pin<'a>(&'a [u8; 32]);

impl fmt::Display for Pin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        f.write_str("sha256/")?;
        for chunk in self.0.chunks(3) {
            let bits = chunk.iter().fold(0, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - chunk.len()));
            for digit in 0..4 {
                let value = (bits >> (18 - 6 * digit)) & 63;
                write!(f, "{}", if digit > chunk.len() { '=' } else { char::from(ALPHABET[value as usize]) })?;
            }
        }
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn joined(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
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
            Self::Quarantine(Some(why)) => write!(f, "quarantine {}", quoted(why)),
            Self::Tag(tag) => write!(f, "tag {}", quoted(tag)),
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
        f.pad(match self {
            Self::Permit => "permit",
            Self::Defer => "defer",
            Self::Refuse => "refuse",
        })
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
        write!(f, " {}", quoted(reply.lines().next().unwrap_or_default()))
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
        fn words(items: &[impl ToString]) -> String {
            joined(items.iter().map(ToString::to_string))
        }
        match self {
            Self::From(NetworkSet::List(name)) => write!(f, "from {name}"),
            Self::From(NetworkSet::Network(network)) => write!(f, "from {network}"),
            Self::On(listener) => write!(f, "on {listener}"),
            Self::Hours(hours) => write!(f, "hours {hours}"),
            Self::Name(set) => write!(f, "name {set}"),
            Self::Iprev(results) => write!(f, "iprev {}", words(results)),
            Self::Listed { zone, at_least: 1 } => write!(f, "listed {zone}"),
            Self::Listed { zone, at_least } => write!(f, "listed {zone} >= {at_least}"),
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
            Self::Spf(results) => write!(f, "spf {}", words(results)),
            Self::To(set) => write!(f, "to {set}"),
            Self::RecipientExists => f.write_str("recipient exists"),
            Self::Known => f.write_str("known"),
            Self::Recipients(most) => write!(f, "recipients > {most}"),
            Self::Rate(Rate { limit, window }) => write!(f, "rate < {limit}/{window}"),
            Self::Size(most) => write!(f, "size > {most}"),
            Self::Hops(most) => write!(f, "hops > {most}"),
            Self::AuthorAligned => f.write_str("author aligned"),
            Self::Dkim(results) => write!(f, "dkim {}", words(results)),
            Self::Arc(results) => write!(f, "arc {}", words(results)),
            Self::Dmarc(results) => write!(f, "dmarc {}", words(results)),
            Self::Custom(name) => write!(f, "custom {name}"),
        }
    }
}

impl fmt::Display for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(name) => name.fmt(f),
            Self::Pattern(DomainPattern::Exactly(name)) if !name.as_str().contains('.') => write!(f, "\"{name}\""),
            Self::Pattern(pattern) => pattern.fmt(f),
            Self::Mailbox(mailbox) => write!(f, "mailbox {}", quoted(&Mailbox::to_string(mailbox))),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Second => "s",
            Period::Minute => "m",
            Period::Hour => "h",
            Period::Day => "d",
        };
        let per = match self.per {
            Per::Ip => "ip",
            Per::Network => "network",
            Per::User => "user",
            Per::Sender => "sender",
            Per::Domain => "domain",
        };
        write!(f, "{period} per {per}")
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
        f.write_str(match self {
            Self::Pass => "pass",
            Self::None => "none",
            Self::Fail => "fail",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
            Self::PermError => "permerror",
        })
    }
}
