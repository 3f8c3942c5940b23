//! The capabilities with which a server answers EHLO.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::{AddressError, AddressErrorKind, Code, Reply, grammar};

/// The name of an SMTP extension in the EHLO reply, in upper case. An unknown one is a value
/// like any other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EhloKeyword(Cow<'static, str>);

impl EhloKeyword {
    /// RFC 2920
    pub const PIPELINING: Self = Self(Cow::Borrowed("PIPELINING"));
    /// RFC 1870
    pub const SIZE: Self = Self(Cow::Borrowed("SIZE"));
    /// RFC 6152
    pub const EIGHTBITMIME: Self = Self(Cow::Borrowed("8BITMIME"));
    /// RFC 6531
    pub const SMTPUTF8: Self = Self(Cow::Borrowed("SMTPUTF8"));
    /// RFC 2034
    pub const ENHANCEDSTATUSCODES: Self = Self(Cow::Borrowed("ENHANCEDSTATUSCODES"));
    /// RFC 3207
    pub const STARTTLS: Self = Self(Cow::Borrowed("STARTTLS"));
    /// RFC 4954
    pub const AUTH: Self = Self(Cow::Borrowed("AUTH"));
    /// RFC 3030
    pub const CHUNKING: Self = Self(Cow::Borrowed("CHUNKING"));
    /// RFC 3461
    pub const DSN: Self = Self(Cow::Borrowed("DSN"));

    /// The keyword in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EhloKeyword {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match grammar::esmtp_keyword(text.as_bytes()) {
            Ok(([], _)) => Ok(Self(Cow::Owned(text.to_ascii_uppercase()))),
            _ => Err(AddressErrorKind::Syntax.at(0)),
        }
    }
}

impl fmt::Display for EhloKeyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The extensions that a server offers, in its order (RFC 5321 §4.1.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    offered: Vec<(EhloKeyword, Vec<Box<str>>)>,
}

impl Capabilities {
    /// Nothing is offered, as after HELO.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers one more extension. Parameters that are not `ehlo-param = 1*(%d33-126)` are left out.
    #[must_use]
    pub fn with(mut self, keyword: EhloKeyword, params: &[&str]) -> Self {
        let graphic = |p: &&&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_graphic());
        let params = params.iter().filter(graphic).map(|p| Box::from(*p)).collect();
        self.offered.push((keyword, params));
        self
    }

    /// What the lines of an EHLO reply offer. The first line is the greeting; a line that does
    /// not begin with a keyword is ignored, as RFC 5321 asks of a client.
    pub fn parse(reply: &Reply) -> Self {
        let line = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            // Some old servers wrote `AUTH=LOGIN`; that says nothing that `AUTH LOGIN` does not.
            let keyword = words.next()?.parse().ok()?;
            Some((keyword, words.map(Box::from).collect()))
        };
        Self { offered: reply.lines().skip(1).filter_map(line).collect() }
    }

    /// Whether an extension is offered.
    pub fn has(&self, keyword: &EhloKeyword) -> bool {
        self.offered.iter().any(|(k, _)| k == keyword)
    }

    /// Octets of a message that the server takes (RFC 1870 §4): `None` if it does not offer
    /// SIZE, `Some(0)` if it states no limit.
    pub fn size(&self) -> Option<u64> {
        let (_, params) = self.offered.iter().find(|(k, _)| *k == EhloKeyword::SIZE)?;
        // A number that 64 bits do not hold, or none at all, is no limit.
        Some(params.first().and_then(|p| p.parse().ok()).unwrap_or(0))
    }

    /// The extensions with their parameters.
    pub fn iter(&self) -> impl Iterator<Item = (&EhloKeyword, impl Iterator<Item = &str>)> {
        self.offered.iter().map(|(k, params)| (k, params.iter().map(AsRef::as_ref)))
    }

    /// The EHLO reply that offers them.
    pub fn reply(&self, greeting: &str) -> Reply {
        let mut text = greeting.replace('\n', " ");
        for (keyword, params) in self.iter() {
            text.push('\n');
            text.push_str(keyword.as_str());
            params.for_each(|param| {
                text.push(' ');
                text.push_str(param);
            });
        }
        Reply::plain(Code::OK_250, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_survive_the_wire() {
        let offered = Capabilities::new()
            .with(EhloKeyword::PIPELINING, &[])
            .with(EhloKeyword::SIZE, &["1000"])
            .with("x-new".parse().unwrap(), &["a", "b=c"]);
        let reply = offered.reply("mx.test");
        assert_eq!(reply.lines().collect::<Vec<_>>(), ["mx.test", "PIPELINING", "SIZE 1000", "X-NEW a b=c"]);
        assert_eq!(Capabilities::parse(&reply), offered);
        assert!(offered.has(&EhloKeyword::PIPELINING) && !offered.has(&EhloKeyword::DSN));
        assert_eq!(offered.size(), Some(1000));
    }

    #[test]
    fn size_in_all_its_forms() {
        let size = |params: &[&str]| Capabilities::new().with(EhloKeyword::SIZE, params).size();
        assert_eq!(size(&[]), Some(0));
        assert_eq!(size(&["0"]), Some(0));
        assert_eq!(size(&["99999999999999999999999"]), Some(0));
        assert_eq!(Capabilities::new().size(), None);
    }

    #[test]
    fn no_parameter_can_end_the_line() {
        let offered = Capabilities::new().with(EhloKeyword::SIZE, &["1\r\n250 X"]);
        assert_eq!(offered.reply("a\nb").lines().collect::<Vec<_>>(), ["a b", "SIZE"]);
    }
}
