//! Facts in words: what people are told of a transaction.

use std::fmt::Display;

use hikyaku_message::results;

use crate::{Certificate, CertificatePattern, Dmarc, Facts, Finding, Message};

/// Octets of a message of which nothing is known.
pub(crate) const PLAIN_SIZE: u64 = 2000;
/// Fields `Received` of a message of which nothing is known.
pub(crate) const PLAIN_HOPS: u32 = 1;
/// The time of day of a transaction of which nothing is known: noon.
pub(crate) const PLAIN_MINUTE: u16 = 12 * 60;

/// One fact in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// What it is called: `client`, `spf`, `listed zen.example`.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether that need not be told: a peer who does nothing of note, a DNS that answers, a
    /// list that does not list.
    pub plain: bool,
    /// Whether a dialogue shows it.
    pub spoken: bool,
}

/// Every fact in words, in the order in which they become known.
pub(crate) fn words(facts: &Facts) -> Vec<Word> {
    let Facts { client, listener, minute, iprev, name, listed, tls, certificate, hello, user, sender, .. } = facts;
    let Facts { owned, spf, recipient, exists, known, recipients, rates, custom, message, .. } = facts;
    let mut words = Words(Vec::new());
    words.spoken("client", client.map_or("none".to_owned(), |client| client.to_string()));
    words.spoken("listener", listener);
    let time = |minute: &u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    words.told("time", found(minute, time), *minute == Finding::Is(PLAIN_MINUTE));
    words.told("iprev", found(iprev, results::Iprev::to_string), *iprev == Finding::Is(results::Iprev::PermError));
    let confirmed = found(name, |name| name.as_ref().map_or("none".to_owned(), ToString::to_string));
    words.told("name", confirmed, *name == Finding::Is(None));
    for (zone, score) in listed {
        words.told(format!("listed {zone}"), found(score, i32::to_string), *score == Finding::Is(0));
    }
    words.spoken("tls", yes_no(*tls));
    let shown = certificate.as_ref().map_or("none".to_owned(), shown);
    words.told("certificate", shown, certificate.is_none());
    words.spoken("helo", hello.as_ref().map_or("none", |hello| hello.as_str()));
    words.spoken("user", user.as_ref().map_or("none".to_owned(), |user| format!("{user:?}")));
    words.spoken("sender", sender.as_ref().map_or("none".to_owned(), |sender| bare(&sender.to_string())));
    words.flag("owned", owned, false);
    words.told("spf", found(spf, results::Spf::to_string), *spf == Finding::Is(results::Spf::None));
    words.spoken("to", recipient.as_ref().map_or("none".to_owned(), |recipient| bare(&recipient.to_string())));
    words.flag("exists", exists, true);
    words.flag("known", known, false);
    words.told("recipients", recipients, *recipients == 1);
    for (window, count) in rates {
        words.told(format!("rate {window}"), count, *count == 0);
    }
    for (name, value) in custom {
        words.flag(format!("custom {name}"), value, false);
    }
    if let Some(Message { size, hops, aligned, dkim, arc, dmarc }) = message {
        words.told("size", size, *size == PLAIN_SIZE);
        words.told("hops", hops, *hops == PLAIN_HOPS);
        words.flag("aligned", aligned, true);
        words.told("dkim", found(dkim, results::Dkim::to_string), *dkim == Finding::Is(results::Dkim::None));
        words.told("arc", found(arc, results::Arc::to_string), *arc == Finding::Is(results::Arc::None));
        words.told("dmarc", found(dmarc, Dmarc::to_string), *dmarc == Finding::Is(Dmarc::None));
    }
    words.0
}

impl Facts {
    /// Every fact in words, in the order in which they become known: what it is called, and its
    /// value; `unknown` for what nobody has found out.
    ///
    /// ```
    /// use hikyaku_policy::{Facts, Listener};
    ///
    /// let facts = Facts::new(Some("198.51.100.7".parse()?), Listener::Mx);
    /// assert_eq!(facts.words()[..2], [("client".into(), "198.51.100.7".into()), ("listener".into(), "mx".into())]);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn words(&self) -> Vec<(String, String)> {
        words(self).into_iter().map(|word| (word.name, word.value)).collect()
    }

    /// Who sends to whom, and what else is of note: one line.
    pub fn summary(&self) -> String {
        summary(self)
    }
}

/// A transaction in one line: who sends to whom, and what else is of note.
pub(crate) fn summary(facts: &Facts) -> String {
    let words = words(facts);
    let value = |name: &str| words.iter().find(|word| word.name == name).map_or("", |word| word.value.as_str());
    let mut text = format!("{} to {}", value("client"), value("to"));
    for word in &words {
        let plain = match word.name.as_str() {
            "client" | "to" => true,
            "listener" => word.value == "mx",
            "tls" => word.value == "no",
            "user" => word.value == "none",
            "helo" => word.value == PLAIN_HELLO,
            "sender" => word.value == PLAIN_SENDER,
            _ => word.plain,
        };
        if !plain {
            text += &format!(", {} {}", word.name, word.value);
        }
    }
    text
}

/// What a client of no note calls itself.
pub(crate) const PLAIN_HELLO: &str = "mail.sender.example";
/// From whom a client of no note sends.
pub(crate) const PLAIN_SENDER: &str = "spam@sender.example";

/// A path without its brackets, where that can be read: `<>` stays.
fn bare(path: &str) -> String {
    match path.strip_prefix('<').and_then(|path| path.strip_suffix('>')) {
        Some(inner) if !inner.is_empty() => inner.to_owned(),
        _ => path.to_owned(),
    }
}

struct Words(Vec<Word>);

impl Words {
    fn spoken(&mut self, name: &str, value: impl Display) {
        self.0.push(Word { name: name.to_owned(), value: value.to_string(), plain: false, spoken: true });
    }

    fn told(&mut self, name: impl Into<String>, value: impl Display, plain: bool) {
        self.0.push(Word { name: name.into(), value: value.to_string(), plain, spoken: false });
    }

    fn flag(&mut self, name: impl Into<String>, value: &Finding<bool>, plain: bool) {
        self.told(name, found(value, |value| yes_no(*value).to_owned()), *value == Finding::Is(plain));
    }
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn found<T>(finding: &Finding<T>, text: impl FnOnce(&T) -> String) -> String {
    match finding {
        Finding::Is(value) => text(value),
        Finding::NotYet | Finding::Unknown => "unknown".to_owned(),
    }
}

fn shown(certificate: &Certificate) -> String {
    let Certificate { spki, names } = certificate;
    let pin = CertificatePattern::Spki(*spki).to_string();
    let mut text = pin.trim_start_matches("spki ").trim_matches('"').to_owned();
    for name in names {
        text += &format!(" {name}");
    }
    text
}
