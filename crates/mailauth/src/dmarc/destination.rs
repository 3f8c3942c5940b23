//! Where reports are wanted: the URIs of `rua` and `ruf` (RFC 9989 §4.8).

use std::fmt;

use hikyaku_dns::Name;

use super::record::is_blank;

/// URIs that are read of one list: more are not for reports but for amplification.
const MAX: usize = 20;

/// A URI that reports are to be sent to, and how large one may be.
///
/// `dmarc-uri = URI`, without commas and exclamation points; the size is an obsolete form that is
/// still published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    uri: Box<str>,
    limit: Option<u64>,
}

impl Destination {
    /// Reads one entry of a list, such as `mailto:a@example.org!10m`; `None` if it is no URI
    /// (RFC 3986 §3), or a `mailto` one without an address (RFC 6068 §2).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (uri, size) = match text.split_once('!') {
            Some((uri, size)) => (uri, Some(size)),
            None => (text, None),
        };
        let uri = uri.trim_matches(is_blank);
        if !is_uri(uri) {
            return None;
        }
        let destination = Self { uri: uri.into(), limit: size.and_then(limit) };
        (!destination.is_mail() || destination.mailbox().is_some()).then_some(destination)
    }

    /// Reads a list; what is no URI in it is left out, and what stands behind the twentieth.
    pub(super) fn list(text: &str) -> Vec<Self> {
        text.split(',').filter_map(Self::parse).take(MAX).collect()
    }

    /// About how many octets a list takes beside itself.
    pub(super) fn sizes(list: &Vec<Self>) -> usize {
        list.capacity() * size_of::<Self>() + list.iter().map(|one| one.uri.len()).sum::<usize>()
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// How many octets a report may have at most as it is sent, packed and encoded; `None`: no
    /// limit. A destination whose limit is exceeded is not used (RFC 9990 §3.5).
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The mail address, decoded; `None` if the URI is not a `mailto` one.
    #[must_use]
    pub fn mailbox(&self) -> Option<String> {
        if !self.is_mail() {
            return None;
        }
        let (_, address) = self.uri.split_once(':')?;
        let (address, _) = address.split_once('?').unwrap_or((address, ""));
        let address = decode(address)?;
        let (local, host) = address.rsplit_once('@')?;
        // White space around the parts of an address means nothing (RFC 5322 §3.4.1).
        let (local, host) = (local.trim_matches(is_blank), host.trim_matches(is_blank));
        let clean = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_control() || is_blank(c));
        (clean(local) && clean(host)).then(|| format!("{local}@{host}"))
    }

    /// The host that reports go to, which must want them (RFC 9990 §4); `None` if there is none.
    #[must_use]
    pub fn host(&self) -> Option<Name> {
        let host = match self.mailbox() {
            Some(mailbox) => mailbox.rsplit_once('@')?.1.to_owned(),
            None => {
                let (_, rest) = self.uri.split_once("://")?;
                let authority = rest.split(['/', '?', '#']).next()?;
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                host.split_once(':').map_or(host, |(host, _)| host).to_owned()
            }
        };
        Name::from_domain(&host).ok().filter(|name| !name.is_root())
    }

    fn is_mail(&self) -> bool {
        self.uri.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("mailto"))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)?;
        match self.limit {
            Some(limit) => write!(f, "!{limit}"),
            None => Ok(()),
        }
    }
}

/// A scheme, a colon, and what may stand in a URI.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme_is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet));
    scheme_is_one
        && !rest.is_empty()
        && rest.bytes().all(|o| o.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&o))
}

/// `obs-dmarc-report-size = "!" 1*DIGIT [ "k" / "m" / "g" / "t" ]`, in octets; units are powers
/// of 1024. What is no size counts as none, as reporters may ignore it anyway.
fn limit(text: &str) -> Option<u64> {
    let text = text.trim_matches(is_blank);
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let power = match text[digits..].trim_matches(is_blank) {
        "" => 0,
        "k" | "K" => 1,
        "m" | "M" => 2,
        "g" | "G" => 3,
        "t" | "T" => 4,
        _ => return None,
    };
    let number: u64 = text[..digits].parse().ok()?;
    Some(number.saturating_mul(1024_u64.pow(power)))
}

/// The text with its escapes resolved (RFC 3986 §2.1).
fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        if *octet != b'%' {
            octets.push(*octet);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        octets.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = after;
    }
    String::from_utf8(octets).ok()
}
