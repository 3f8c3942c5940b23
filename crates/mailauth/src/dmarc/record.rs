//! The record under `_dmarc`: a list of tags that begins with its version (RFC 9989 §4.7, §4.8).

use std::fmt;

use super::{Destination, Policy};

/// How alike two names must be (RFC 9989 §4.4, `adkim`, `aspf`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Alignment {
    /// They belong to one organization: `r`.
    #[default]
    Relaxed,
    /// They are the same: `s`.
    Strict,
}

/// About which failures a domain wants to hear one by one (RFC 9989 §4.7, `fo`); it counts only
/// beside `ruf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FailureOptions {
    /// When any of SPF and DKIM gives no aligned pass (`1`), and not only when all do not (`0`).
    pub any: bool,
    /// When a signature fails, aligned or not: `d`.
    pub dkim: bool,
    /// When SPF fails, aligned or not: `s`.
    pub spf: bool,
}

/// What a domain publishes (RFC 9989 §4.7).
///
/// Tags that are not known are ignored, `pct`, `rf` and `ri` of RFC 7489 among them; where a tag
/// stands twice the first counts; a value that is not of the grammar counts as its default. A
/// record whose `p` is missing, or of whose `p`, `sp` and `np` one is no policy, has none of the
/// three (§4.10.1).
///
/// ```
/// use hikyaku_mailauth::dmarc::{Policy, Record};
///
/// let record = Record::parse(b"v=DMARC1; p=reject; sp=Quarantine; pct=50; x=y").ok_or("no record")?;
/// assert_eq!((record.p, record.sp, record.np), (Some(Policy::Reject), Some(Policy::Quarantine), None));
/// assert_eq!(record.to_string(), "v=DMARC1; p=reject; sp=quarantine");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The policy for the domain itself, and for those below it.
    pub p: Option<Policy>,
    /// The policy for domains below it.
    pub sp: Option<Policy>,
    /// The policy for domains below it that do not exist.
    pub np: Option<Policy>,
    /// How the signing domain must align.
    pub adkim: Alignment,
    /// How the domain of MAIL FROM must align.
    pub aspf: Alignment,
    /// Whether it is a public suffix (`y`), the top of an organization (`n`), or says nothing of
    /// that (`u`).
    pub psd: Option<bool>,
    /// Whether the policy is being tested: what is applied is one step milder.
    pub t: bool,
    /// About which failures it wants to hear one by one.
    pub fo: FailureOptions,
    /// Where aggregate reports are wanted, in the order in which they stand.
    pub rua: Vec<Destination>,
    /// Where reports of single failures are wanted.
    pub ruf: Vec<Destination>,
}

impl Record {
    /// Reads the text of a TXT record; `None` if it is no record of DMARC, which is one that
    /// begins with `v=DMARC1` and a semicolon or its end.
    ///
    /// `dmarc-record = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]`
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut tags = text.split(|octet| *octet == b';');
        let (name, version) = tag(tags.next()?)?;
        if !text.first()?.eq_ignore_ascii_case(&b'v') || !name.eq_ignore_ascii_case("v") || version != "DMARC1" {
            return None;
        }
        let mut record = Self::default();
        let mut seen = Seen::default();
        for (name, value) in tags.filter_map(tag) {
            record.take(&mut seen, name, value);
        }
        if record.p.is_none() || seen.broken_policy {
            (record.p, record.sp, record.np) = (None, None, None);
        }
        Some(record)
    }

    /// The policy for the domain of the record itself. That of a record without a policy is
    /// [`Policy::None`] where somebody wants reports; else there is none, and DMARC does not apply
    /// (RFC 9989 §4.10.1).
    #[must_use]
    pub fn own(&self) -> Option<Policy> {
        self.p.or((!self.rua.is_empty()).then_some(Policy::None))
    }

    /// The policy for domains below it that exist.
    #[must_use]
    pub fn below(&self) -> Option<Policy> {
        self.sp.or_else(|| self.own())
    }

    /// The policy for domains below it that do not exist.
    #[must_use]
    pub fn missing(&self) -> Option<Policy> {
        self.np.or_else(|| self.below())
    }

    /// About how many octets it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + Destination::sizes(&self.rua) + Destination::sizes(&self.ruf)
    }

    fn take(&mut self, seen: &mut Seen, name: &str, value: &str) {
        const NAMES: [&str; 10] = ["p", "sp", "np", "adkim", "aspf", "psd", "t", "fo", "rua", "ruf"];
        let Some(index) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)) else {
            return;
        };
        if std::mem::replace(&mut seen.tags[index], true) {
            return;
        }
        match index {
            0..=2 => {
                let policy = Policy::parse(value);
                seen.broken_policy |= policy.is_none();
                *[&mut self.p, &mut self.sp, &mut self.np][index] = policy;
            }
            3 => self.adkim = Alignment::parse(value),
            4 => self.aspf = Alignment::parse(value),
            5 => self.psd = yes_or_no(value),
            6 => self.t = yes_or_no(value) == Some(true),
            7 => self.fo = FailureOptions::parse(value).unwrap_or_default(),
            8 => self.rua = Destination::list(value),
            _ => self.ruf = Destination::list(value),
        }
    }
}

/// Which tags have been read.
#[derive(Default)]
struct Seen {
    tags: [bool; 10],
    broken_policy: bool,
}

/// Name and value of a tag, without the white space around them; `None` for what is no tag.
///
/// `dmarc-tag = 1*ALPHA equals 1*dmarc-value`
fn tag(text: &[u8]) -> Option<(&str, &str)> {
    let equals = text.iter().position(|octet| *octet == b'=')?;
    let name = std::str::from_utf8(&text[..equals]).ok()?.trim_matches(is_blank);
    // A value that is not even text is not one of the grammar either.
    let value = std::str::from_utf8(&text[equals + 1..]).unwrap_or("\u{fffd}").trim_matches(is_blank);
    let is_tag = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphabetic());
    is_tag.then_some((name, value))
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn yes_or_no(value: &str) -> Option<bool> {
    match value {
        "y" | "Y" => Some(true),
        "n" | "N" => Some(false),
        _ => None,
    }
}

impl Policy {
    /// The word of the record and of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// The policy of this word, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject].into_iter().find(|one| one.as_str().eq_ignore_ascii_case(word))
    }

    /// The policy one step milder, which is applied while it is tested (RFC 9989 §4.7, `t`).
    #[must_use]
    pub fn milder(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Alignment {
    /// The letter of the record and of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relaxed => "r",
            Self::Strict => "s",
        }
    }

    /// The alignment of this letter; what is no letter of it is the default.
    pub(super) fn parse(value: &str) -> Self {
        if value.eq_ignore_ascii_case("s") { Self::Strict } else { Self::Relaxed }
    }
}

impl FailureOptions {
    /// Letters with colons between them, each at most once, and only one of `0` and `1`.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut options = Self::default();
        let mut seen = [false; 3];
        for letter in value.split(':') {
            let index = match letter.trim_matches(is_blank) {
                "0" => 0,
                "1" => {
                    options.any = true;
                    0
                }
                "d" | "D" => {
                    options.dkim = true;
                    1
                }
                "s" | "S" => {
                    options.spf = true;
                    2
                }
                _ => return None,
            };
            if std::mem::replace(&mut seen[index], true) {
                return None;
            }
        }
        Some(options)
    }
}

impl fmt::Display for FailureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.any { "1" } else { "0" })?;
        f.write_str(if self.dkim { ":d" } else { "" })?;
        f.write_str(if self.spf { ":s" } else { "" })
    }
}

/// The record without what is the default.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DMARC1")?;
        for (name, policy) in [("p", self.p), ("sp", self.sp), ("np", self.np)] {
            if let Some(policy) = policy {
                write!(f, "; {name}={policy}")?;
            }
        }
        for (name, alignment) in [("adkim", self.adkim), ("aspf", self.aspf)] {
            if alignment == Alignment::Strict {
                write!(f, "; {name}=s")?;
            }
        }
        if let Some(psd) = self.psd {
            write!(f, "; psd={}", if psd { "y" } else { "n" })?;
        }
        if self.t {
            f.write_str("; t=y")?;
        }
        if self.fo != FailureOptions::default() {
            write!(f, "; fo={}", self.fo)?;
        }
        for (name, list) in [("rua", &self.rua), ("ruf", &self.ruf)] {
            for (at, destination) in list.iter().enumerate() {
                write!(f, "{}{destination}", if at == 0 { format!("; {name}=") } else { ",".to_owned() })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
