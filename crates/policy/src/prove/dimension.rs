//! One dimension: its values, and a value of each of its classes.

use std::collections::BTreeMap;

use hikyaku_message::results;
use hikyaku_wire::{Domain, Host};

use super::{
    credentials::Client,
    keys::{Key, Kind, address_of},
    line::Line,
    space::Fact,
};
use crate::{Dmarc, Listener};

/// One dimension.
#[derive(Debug)]
pub(crate) struct Dimension {
    pub(crate) fact: Fact,
    /// How many classes it has, each with a value.
    pub(crate) classes: usize,
    /// The class of what could not be found out.
    pub(crate) unknown: Option<usize>,
    /// The class of the plainest value.
    pub(crate) plain: usize,
    pub(crate) values: Values,
}

/// The values of the classes.
#[derive(Debug)]
pub(crate) enum Values {
    /// A class each.
    Words(&'static [&'static str]),
    /// None of these names, and one of them.
    Named(Vec<Domain>),
    Users(Things<String>),
    Keys(Things<[u8; 32]>),
    Numbers(Line<i128>),
    Clients(Line<Client>),
    Names(Kind, Line<Key>),
}

/// Things that are named one by one: none of them, one of each class, and any other one.
#[derive(Debug)]
pub(crate) struct Things<T> {
    /// The classes but the first and the last, with what is in each.
    groups: Vec<Vec<T>>,
    class: BTreeMap<T, usize>,
}

impl<T: Ord + Clone> Things<T> {
    pub(super) fn new(groups: Vec<Vec<T>>) -> Self {
        let of = |(group, things): (usize, &Vec<T>)| {
            things.iter().map(|thing| (thing.clone(), group + 1)).collect::<Vec<_>>()
        };
        let class = groups.iter().enumerate().flat_map(of).collect();
        Self { groups, class }
    }

    /// The class of what is in none of the others.
    pub(super) fn other(&self) -> usize {
        self.groups.len() + 1
    }

    pub(super) fn class_of(&self, thing: Option<&T>) -> usize {
        thing.map_or(0, |thing| self.class.get(thing).copied().unwrap_or(self.other()))
    }

    /// A thing of a class, or one that `other` makes of those that it must not be.
    pub(super) fn value(&self, class: usize, other: impl FnOnce(&dyn Fn(&T) -> bool) -> T) -> Option<T> {
        let class = class.checked_sub(1)?;
        match self.groups.get(class).and_then(|group| group.first()) {
            Some(thing) => Some(thing.clone()),
            None => Some(other(&|thing| self.class.contains_key(thing))),
        }
    }
}

pub(super) const YES: usize = 1;

impl Values {
    pub(crate) const BOOL: Self = Self::Words(&["no", "yes"]);

    fn len(&self) -> usize {
        match self {
            Self::Words(words) => words.len(),
            Self::Named(_) => 2,
            Self::Users(users) => users.other() + 1,
            Self::Keys(keys) => keys.other() + 1,
            Self::Numbers(line) => line.values.len(),
            Self::Clients(line) => line.values.len(),
            Self::Names(_, line) => line.values.len(),
        }
    }
}

impl Dimension {
    pub(super) fn new(fact: Fact, values: Values, plain: usize) -> Self {
        let known = values.len();
        let unknown = fact.may_be_unknown().then_some(known);
        let classes = known + usize::from(unknown.is_some());
        Self { fact, classes, unknown, plain, values }
    }

    /// The class in words.
    pub(crate) fn word(&self, class: usize) -> String {
        if self.unknown == Some(class) {
            return "unknown".to_owned();
        }
        match &self.values {
            Values::Words(words) => words[class].to_owned(),
            Values::Named(names) if class == YES => names[0].to_string(),
            Values::Named(_) => "no".to_owned(),
            Values::Users(users) => users.value(class, other_user).unwrap_or_else(|| "none".to_owned()),
            Values::Keys(_) if class == 0 => "none".to_owned(),
            Values::Keys(keys) if class == keys.other() => "another key".to_owned(),
            Values::Keys(_) => format!("key {class}"),
            Values::Numbers(line) => line.values[class].to_string(),
            Values::Clients(line) => match line.values[class] {
                None => "none".to_owned(),
                Some(address) => address_of(address).to_string(),
            },
            Values::Names(kind, line) => match (&self.fact, kind.text(&line.values[class])) {
                (_, Some(text)) => text,
                (Fact::Recipient, None) => "postmaster".to_owned(),
                (Fact::Sender, None) => "<>".to_owned(),
                _ => "none".to_owned(),
            },
        }
    }

    /// The class that a word of the axioms means, if there is one.
    pub(super) fn class_of_word(&self, word: &str) -> Option<usize> {
        match (word, &self.values) {
            ("unknown", _) => self.unknown,
            (word, Values::Words(words)) => words.iter().position(|one| *one == word),
            ("no", Values::Named(_)) => Some(0),
            ("none", Values::Users(_) | Values::Keys(_)) => Some(0),
            ("none", Values::Names(_, line)) => Some(line.class_of(&Key::default())),
            ("none", Values::Numbers(line)) => Some(line.class_of(&0)),
            ("none", Values::Clients(line)) => Some(line.class_of(&None)),
            _ => None,
        }
    }
}

/// A user who is none of some.
pub(super) fn other_user(is_taken: &dyn Fn(&String) -> bool) -> String {
    let mut user = "somebody".to_owned();
    while is_taken(&user) {
        user.push('\'');
    }
    user
}

/// A key that is none of some.
pub(super) fn other_key(is_taken: &dyn Fn(&[u8; 32]) -> bool) -> [u8; 32] {
    let mut key = [0xee; 32];
    for number in 0_u64.. {
        key[..8].copy_from_slice(&number.to_be_bytes());
        if !is_taken(&key) {
            break;
        }
    }
    key
}

impl Fact {
    fn may_be_unknown(&self) -> bool {
        match self {
            Self::Listener | Self::Tls | Self::User | Self::Key | Self::Vouched | Self::VouchedName(_) => false,
            Self::Recipients | Self::Size | Self::Hops => false,
            Self::Client | Self::Helo | Self::Sender | Self::Recipient => false,
            Self::Owned | Self::Exists | Self::Known | Self::Custom(_) | Self::Iprev | Self::Spf => true,
            Self::Dkim | Self::Arc | Self::Dmarc | Self::Aligned | Self::Listed(_) => true,
            Self::Rate(_) | Self::Minute | Self::Name => true,
        }
    }
}

pub(super) const LISTENERS: [Listener; 4] = Listener::ALL;
pub(super) const LISTENER_WORDS: &[&str] = &["mx", "submission", "submissions", "lmtp"];

use results::{Arc, Dkim, Iprev, Spf};

pub(super) const IPREVS: [Iprev; 4] = [Iprev::PermError, Iprev::Fail, Iprev::Pass, Iprev::TempError];
pub(super) const IPREV_WORDS: &[&str] = &["permerror", "fail", "pass", "temperror"];
/// All but the one that is no result.
pub(super) const SPFS: [Spf; 7] =
    [Spf::None, Spf::Pass, Spf::Neutral, Spf::SoftFail, Spf::Fail, Spf::PermError, Spf::Policy];
pub(super) const SPF_WORDS: &[&str] = &["none", "pass", "neutral", "softfail", "fail", "permerror", "policy"];
pub(super) const DKIMS: [Dkim; 6] = [Dkim::None, Dkim::Pass, Dkim::Fail, Dkim::Neutral, Dkim::PermError, Dkim::Policy];
pub(super) const DKIM_WORDS: &[&str] = &["none", "pass", "fail", "neutral", "permerror", "policy"];
pub(super) const ARCS: [Arc; 3] = [Arc::None, Arc::Pass, Arc::Fail];
pub(super) const ARC_WORDS: &[&str] = &["none", "pass", "fail"];
pub(super) const DMARCS: [Dmarc; 6] =
    [Dmarc::None, Dmarc::Pass, Dmarc::Fail, Dmarc::Quarantine, Dmarc::Reject, Dmarc::PermError];
pub(super) const DMARC_WORDS: &[&str] = &["none", "pass", "fail", "quarantine", "reject", "permerror"];

/// The host of a HELO, if it is one.
pub(super) fn helo_host(text: &str) -> Option<Host> {
    text.parse().ok()
}
