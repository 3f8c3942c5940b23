//! Words and what they mean, for reading and printing alike.

use crate::{Dmarc, Per, Period, Stage, Verb};

/// Units of octets, the largest first.
pub(super) const UNITS: [(char, u64); 3] = [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

pub(super) const PERIODS: [(&str, Period); 4] =
    [("s", Period::Second), ("m", Period::Minute), ("h", Period::Hour), ("d", Period::Day)];

pub(super) const PERS: [(&str, Per); 5] =
    [("ip", Per::Ip), ("network", Per::Network), ("user", Per::User), ("sender", Per::Sender), ("domain", Per::Domain)];

pub(super) const DMARC: [(&str, Dmarc); 6] = [
    ("pass", Dmarc::Pass),
    ("none", Dmarc::None),
    ("fail", Dmarc::Fail),
    ("quarantine", Dmarc::Quarantine),
    ("reject", Dmarc::Reject),
    ("permerror", Dmarc::PermError),
];

pub(super) const VERBS: [(&str, Verb); 3] =
    [("permit", Verb::Permit), ("defer", Verb::Defer), ("refuse", Verb::Refuse)];

pub(super) const STAGES: [Stage; 5] = [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message];

/// The words that begin a line.
pub(super) const BEGINNINGS: [&str; 20] = [
    "open",
    "trusted",
    "local",
    "relay",
    "networks",
    "domains",
    "names",
    "users",
    "certificates",
    "strangers",
    "accounts",
    "credential",
    "shadow",
    "permit",
    "refuse",
    "defer",
    "limit",
    "quarantine",
    "tag",
    "never",
];

/// The words that begin a test, and `not`.
pub(super) const TESTS: [&str; 25] = [
    "from",
    "to",
    "sender",
    "helo",
    "name",
    "iprev",
    "on",
    "tls",
    "authenticated",
    "certificate",
    "known",
    "recipient",
    "recipients",
    "spf",
    "dkim",
    "dmarc",
    "arc",
    "author",
    "listed",
    "rate",
    "hours",
    "size",
    "hops",
    "custom",
    "not",
];

/// The word for a value of a table.
pub(super) fn word<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, other)| *other == value).map_or("", |(word, _)| word)
}
