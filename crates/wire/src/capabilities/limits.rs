//! The limits of a session (RFC 9422).

use std::fmt;

use super::words::{CapabilityError, CapabilityErrorKind, Words};

/// What the parameters of LIMITS say (RFC 9422 §3).
///
/// ```
/// use hikyaku_wire::Limits;
///
/// let limits = Limits::new(None, Some(100), None).unwrap();
/// assert_eq!(limits.to_string(), "RCPTMAX=100");
/// assert!(Limits::new(None, Some(0), None).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits<'a> {
    typed: [Option<u32>; 3],
    /// All of them as the server has written them; nothing, if they are ours.
    words: Words<'a>,
}

const NAMES: [&str; 3] = ["MAILMAX", "RCPTMAX", "RCPTDOMAINMAX"];

impl<'a> Limits<'a> {
    /// The limits for transactions in a session, recipients in a transaction, and domains of
    /// recipients in a transaction: 1 to 999,999 each, `None` is not stated.
    ///
    /// # Errors
    /// [`CapabilityErrorKind::Range`]; `at` tells which one, from 0.
    pub fn new(
        transactions: Option<u32>,
        recipients: Option<u32>,
        domains: Option<u32>,
    ) -> Result<Self, CapabilityError> {
        let typed = [transactions, recipients, domains];
        let wrong = typed.iter().position(|limit| limit.is_some_and(|limit| !(1..=999_999).contains(&limit)));
        match wrong {
            Some(at) => Err(CapabilityErrorKind::Range.at(at)),
            None => Ok(Self { typed, words: Words::default() }),
        }
    }

    /// `limit-name-value = limit-name ["=" limit-value]`, any number of them. The first of two
    /// with one name counts.
    pub(super) fn read(words: Words<'a>) -> Self {
        let mut typed = [None; 3];
        for (at, limit) in words.iter().filter_map(typed_limit) {
            typed[at] = typed[at].or(Some(limit));
        }
        Self { typed, words }
    }

    /// How many transactions the server takes in this session: MAILMAX.
    pub fn transactions(&self) -> Option<u32> {
        self.typed[0]
    }

    /// How many recipients it takes in a transaction: RCPTMAX.
    pub fn recipients(&self) -> Option<u32> {
        self.typed[1]
    }

    /// How many different domains the recipients of a transaction may have: RCPTDOMAINMAX.
    pub fn recipient_domains(&self) -> Option<u32> {
        self.typed[2]
    }

    /// The limits that have no method here, or a value that is none, as the server wrote them.
    pub fn others(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.words.iter().filter(|word| typed_limit(word).is_none())
    }
}

/// `limit-value = %x31-39 0*5DIGIT` under one of the three names.
fn typed_limit(word: &str) -> Option<(usize, u32)> {
    let (name, value) = word.split_once('=')?;
    let at = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    let valid = (1..=6).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()) && !value.starts_with('0');
    Some((at, value.parse().ok().filter(|_| valid)?))
}

/// Those that have a method first, then the others.
impl fmt::Display for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, limit) in NAMES.iter().zip(self.typed) {
            if let Some(limit) = limit {
                write!(f, "{separator}{name}={limit}")?;
                separator = " ";
            }
        }
        for word in self.others() {
            write!(f, "{separator}{word}")?;
            separator = " ";
        }
        Ok(())
    }
}

impl PartialEq for Limits<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.typed == other.typed && self.others().eq(other.others())
    }
}

impl Eq for Limits<'_> {}
