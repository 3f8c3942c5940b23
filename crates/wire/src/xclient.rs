//! What a trusted proxy says of the real client: the argument of XCLIENT, as Postfix defines it in
//! its XCLIENT_README. There is no RFC.
//!
//! ```
//! use hikyaku_wire::{XClient, XClientName};
//!
//! let client = XClient::parse("NAME=[TEMPUNAVAIL] ADDR=IPV6:2001:db8::1 LOGIN=a+2Bb").unwrap();
//! assert_eq!(client.name(), Some(XClientName::TemporarilyUnavailable));
//! assert_eq!(client.addr(), Some("2001:db8::1".parse().ok()));
//! assert_eq!(client.login().unwrap().unwrap().decode(), "a+b");
//! assert_eq!(client.port(), None);
//! ```

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    Code, EnhancedCode, Reply, Xtext, XtextErrorKind,
    grammar::{self, offset},
    text::wire_text,
};

/// Attributes at the most; Postfix knows eight.
const LIMIT: usize = 16;
const UNAVAILABLE: &str = "[UNAVAILABLE]";
const TEMPORARILY_UNAVAILABLE: &str = "[TEMPUNAVAIL]";

/// The argument of XCLIENT: 1 to 16 attributes, each at most once, kept as received. Two are
/// equal if they are written the same.
///
/// An attribute that is not known is kept. Whether the peer may say any of it is the session's
/// decision.
///
/// ```
/// # use hikyaku_wire::XClient;
/// let client = XClient::parse("ADDR=192.0.2.1 LOGIN=[UNAVAILABLE]").unwrap();
/// assert_eq!((client.login(), client.helo()), (Some(None), None));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct XClient<T = Box<str>>(T);

/// One attribute of XCLIENT. `None` stands for `[UNAVAILABLE]`: the proxy says that there is no
/// such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XClientAttribute<'a> {
    /// `NAME`: the client's name by the DNS.
    Name(XClientName<'a>),
    /// `ADDR`: its address.
    Addr(Option<IpAddr>),
    /// `PORT`: its port.
    Port(Option<u16>),
    /// `PROTO`: how it greeted.
    Proto(XClientProto),
    /// `HELO`: the name that it said.
    Helo(Option<Xtext<&'a str>>),
    /// `LOGIN`: the name as which it has authenticated.
    Login(Option<Xtext<&'a str>>),
    /// `DESTADDR`: the address that it connected to.
    DestAddr(Option<IpAddr>),
    /// `DESTPORT`: the port that it connected to.
    DestPort(Option<u16>),
    /// Any other attribute.
    Other {
        /// Its keyword, as received.
        keyword: &'a str,
        /// Its value.
        value: Xtext<&'a str>,
    },
}

/// The value of `NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XClientName<'a> {
    /// A name that the DNS confirms.
    Known(Xtext<&'a str>),
    /// `[UNAVAILABLE]`: there is none.
    Unavailable,
    /// `[TEMPUNAVAIL]`: the DNS did not answer.
    TemporarilyUnavailable,
}

/// The value of `PROTO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XClientProto {
    /// `SMTP`: the client said HELO.
    Smtp,
    /// `ESMTP`: the client said EHLO.
    Esmtp,
}

/// Why a text is not the argument of XCLIENT, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct XClientError {
    /// What is wrong.
    pub kind: XClientErrorKind,
    /// The octet, counted from 0 at the start of the argument.
    pub at: usize,
}

/// What is wrong with the argument of XCLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XClientErrorKind {
    /// No `attribute=value`, or no single space between two of them.
    #[error("attribute=value expected")]
    Syntax,
    /// The same attribute twice.
    #[error("attribute that came before")]
    Duplicate,
    /// More than 16 attributes.
    #[error("more than 16 attributes")]
    TooMany,
    /// A value that this attribute cannot have.
    #[error("value that this attribute cannot have")]
    Value,
    /// A value that is not `xtext`.
    #[error(transparent)]
    Xtext(XtextErrorKind),
}

impl XClientErrorKind {
    fn at(self, at: usize) -> XClientError {
        XClientError { kind: self, at }
    }
}

impl XClientError {
    /// The reply that belongs to this error: 501 5.5.4.
    pub fn reply(&self) -> Reply {
        Reply::new(Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 4), self.to_string())
    }
}

impl<'a> XClient<&'a str> {
    /// Reads the argument, the verb and its space not included; nothing is copied. Keywords and
    /// words are read in any case.
    ///
    /// ```text
    /// xclient-command = XCLIENT 1*( SP attribute-name"="attribute-value )
    /// attribute-name = ( NAME | ADDR | PORT | PROTO | HELO | LOGIN | DESTADDR | DESTPORT )
    /// attribute-value = xtext
    /// ```
    ///
    /// # Errors
    /// No attribute or more than 16, an empty value or one that the attribute cannot have, and
    /// attributes that come twice.
    pub fn parse(text: &'a str) -> Result<Self, XClientError> {
        let mut keywords = [""; LIMIT];
        for (count, pair) in Pairs::new(text).enumerate() {
            let (at, keyword, value) = pair?;
            if keywords[..count].iter().any(|earlier| earlier.eq_ignore_ascii_case(keyword)) {
                return Err(XClientErrorKind::Duplicate.at(at));
            }
            *keywords.get_mut(count).ok_or(XClientErrorKind::TooMany.at(at))? = keyword;
            XClientAttribute::read(keyword, value).ok_or(XClientErrorKind::Value.at(at + keyword.len() + 1))?;
        }
        Ok(Self(text))
    }
}

impl XClient {
    /// Puts attributes together.
    ///
    /// What is made is what the text means: a name that is spelled `[UNAVAILABLE]` says that there
    /// is none.
    ///
    /// # Errors
    /// No attribute or more than 16, empty values, keywords that are none, and attributes that
    /// come twice.
    pub fn new(attributes: &[XClientAttribute<'_>]) -> Result<Self, XClientError> {
        let texts: Vec<String> = attributes.iter().map(ToString::to_string).collect();
        texts.join(" ").parse()
    }
}

impl<T: AsRef<str>> XClient<T> {
    /// The argument as received.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    /// The same without its own text.
    pub fn borrowed(&self) -> XClient<&str> {
        XClient(self.as_str())
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> XClient
    where
        T: Into<Box<str>>,
    {
        XClient(self.0.into())
    }

    /// The attributes in order.
    pub fn attributes(&self) -> impl Iterator<Item = XClientAttribute<'_>> {
        Pairs::new(self.as_str()).map_while(|pair| {
            let (_, keyword, value) = pair.ok()?;
            XClientAttribute::read(keyword, value)
        })
    }

    fn find<'a, V>(&'a self, is: impl Fn(XClientAttribute<'a>) -> Option<V>) -> Option<V> {
        self.attributes().find_map(is)
    }

    /// `NAME`, if it was said.
    pub fn name(&self) -> Option<XClientName<'_>> {
        self.find(|a| if let XClientAttribute::Name(name) = a { Some(name) } else { None })
    }

    /// `ADDR`, if it was said.
    pub fn addr(&self) -> Option<Option<IpAddr>> {
        self.find(|a| if let XClientAttribute::Addr(addr) = a { Some(addr) } else { None })
    }

    /// `PORT`, if it was said.
    pub fn port(&self) -> Option<Option<u16>> {
        self.find(|a| if let XClientAttribute::Port(port) = a { Some(port) } else { None })
    }

    /// `PROTO`, if it was said.
    pub fn proto(&self) -> Option<XClientProto> {
        self.find(|a| if let XClientAttribute::Proto(proto) = a { Some(proto) } else { None })
    }

    /// `HELO`, if it was said.
    pub fn helo(&self) -> Option<Option<Xtext<&str>>> {
        self.find(|a| if let XClientAttribute::Helo(helo) = a { Some(helo) } else { None })
    }

    /// `LOGIN`, if it was said.
    pub fn login(&self) -> Option<Option<Xtext<&str>>> {
        self.find(|a| if let XClientAttribute::Login(login) = a { Some(login) } else { None })
    }

    /// `DESTADDR`, if it was said.
    pub fn dest_addr(&self) -> Option<Option<IpAddr>> {
        self.find(|a| if let XClientAttribute::DestAddr(addr) = a { Some(addr) } else { None })
    }

    /// `DESTPORT`, if it was said.
    pub fn dest_port(&self) -> Option<Option<u16>> {
        self.find(|a| if let XClientAttribute::DestPort(port) = a { Some(port) } else { None })
    }
}

wire_text!(XClient, XClientError);

impl<'a> XClientAttribute<'a> {
    /// `None` if the attribute cannot have this value.
    fn read(keyword: &'a str, value: Xtext<&'a str>) -> Option<Self> {
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        let unavailable = says(value, UNAVAILABLE);
        let text = (!unavailable).then_some(value);
        let addr = || if unavailable { Some(None) } else { address(value).map(Some) };
        let port = || if unavailable { Some(None) } else { number(value).map(Some) };
        Some(match keyword {
            _ if is("NAME") && unavailable => Self::Name(XClientName::Unavailable),
            _ if is("NAME") && says(value, TEMPORARILY_UNAVAILABLE) => Self::Name(XClientName::TemporarilyUnavailable),
            _ if is("NAME") => Self::Name(XClientName::Known(value)),
            _ if is("ADDR") => Self::Addr(addr()?),
            _ if is("PORT") => Self::Port(port()?),
            _ if is("PROTO") && says(value, "SMTP") => Self::Proto(XClientProto::Smtp),
            _ if is("PROTO") && says(value, "ESMTP") => Self::Proto(XClientProto::Esmtp),
            _ if is("PROTO") => return None,
            _ if is("HELO") => Self::Helo(text),
            _ if is("LOGIN") => Self::Login(text),
            _ if is("DESTADDR") => Self::DestAddr(addr()?),
            _ if is("DESTPORT") => Self::DestPort(port()?),
            keyword => Self::Other { keyword, value },
        })
    }
}

impl fmt::Display for XClientAttribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn text(value: Option<Xtext<&str>>) -> &str {
            value.map_or(UNAVAILABLE, Xtext::into_str)
        }
        let addr = |f: &mut fmt::Formatter<'_>, addr: Option<IpAddr>| match addr {
            None => f.write_str(UNAVAILABLE),
            Some(IpAddr::V4(addr)) => addr.fmt(f),
            Some(IpAddr::V6(addr)) => write!(f, "IPV6:{addr}"),
        };
        let port = |f: &mut fmt::Formatter<'_>, port: Option<u16>| match port {
            None => f.write_str(UNAVAILABLE),
            Some(port) => port.fmt(f),
        };
        match *self {
            Self::Name(XClientName::Known(name)) => write!(f, "NAME={name}"),
            Self::Name(XClientName::Unavailable) => write!(f, "NAME={UNAVAILABLE}"),
            Self::Name(XClientName::TemporarilyUnavailable) => write!(f, "NAME={TEMPORARILY_UNAVAILABLE}"),
            Self::Addr(value) => f.write_str("ADDR=").and_then(|()| addr(f, value)),
            Self::Port(value) => f.write_str("PORT=").and_then(|()| port(f, value)),
            Self::Proto(XClientProto::Smtp) => f.write_str("PROTO=SMTP"),
            Self::Proto(XClientProto::Esmtp) => f.write_str("PROTO=ESMTP"),
            Self::Helo(value) => write!(f, "HELO={}", text(value)),
            Self::Login(value) => write!(f, "LOGIN={}", text(value)),
            Self::DestAddr(value) => f.write_str("DESTADDR=").and_then(|()| addr(f, value)),
            Self::DestPort(value) => f.write_str("DESTPORT=").and_then(|()| port(f, value)),
            Self::Other { keyword, value } => write!(f, "{keyword}={value}"),
        }
    }
}

/// Where each attribute stands, its keyword, and its value; ends after the first error.
struct Pairs<'a> {
    text: &'a str,
    at: Option<usize>,
}

impl<'a> Pairs<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: Some(0) }
    }

    fn read(&mut self, at: usize) -> Result<(usize, &'a str, Xtext<&'a str>), XClientError> {
        let rest = &self.text[at..];
        let end = rest.find(' ').unwrap_or(rest.len());
        let pair = &rest[..end];
        let keyword_end = match grammar::esmtp_keyword(pair.as_bytes()) {
            Ok((after, _)) => pair.len() - after.len(),
            Err(error) => return Err(XClientErrorKind::Syntax.at(at + offset(pair.as_bytes(), error))),
        };
        let (keyword, after) = pair.split_at(keyword_end);
        let value = after.strip_prefix('=').ok_or(XClientErrorKind::Syntax.at(at + keyword_end))?;
        let value_at = at + keyword_end + 1;
        if value.is_empty() {
            return Err(XClientErrorKind::Value.at(value_at));
        }
        let value = Xtext::parse(value).map_err(|e| XClientErrorKind::Xtext(e.kind).at(value_at + e.at))?;
        self.at = (end < rest.len()).then_some(at + end + 1);
        Ok((at, keyword, value))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(usize, &'a str, Xtext<&'a str>), XClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at.take()?;
        Some(self.read(at))
    }
}

/// Whether a value stands for a word, in any case.
fn says(value: Xtext<&str>, word: &str) -> bool {
    value.chars().map(|c| c.to_ascii_lowercase()).eq(word.chars().map(|c| c.to_ascii_lowercase()))
}

/// An IPv4 address, or `IPV6:` and an IPv6 address.
fn address(value: Xtext<&str>) -> Option<IpAddr> {
    let mut buffer = [0; 64];
    let text = value.decode_into(&mut buffer)?;
    match text.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPV6:") => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A port: one to five digits without a zero in front.
fn number(value: Xtext<&str>) -> Option<u16> {
    let mut buffer = [0; 5];
    let text = value.decode_into(&mut buffer)?;
    let form = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    form.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postfix_readme_attributes() {
        let text = "NAME=spike.porcupine.org ADDR=168.100.189.2 PORT=25 PROTO=ESMTP HELO=a+20b \
                    LOGIN=[UNAVAILABLE] DESTADDR=IPV6:::1 DESTPORT=[UNAVAILABLE] X-NEW=[UNAVAILABLE]";
        let client: XClient = text.parse().unwrap();
        assert_eq!(client.name(), Some(XClientName::Known(Xtext::parse("spike.porcupine.org").unwrap())));
        assert_eq!(client.addr(), Some(Some("168.100.189.2".parse().unwrap())));
        assert_eq!(client.port(), Some(Some(25)));
        assert_eq!(client.proto(), Some(XClientProto::Esmtp));
        assert_eq!(client.helo().unwrap().unwrap().decode(), "a b");
        assert_eq!(client.login(), Some(None));
        assert_eq!(client.dest_addr(), Some(Some("::1".parse().unwrap())));
        assert_eq!(client.dest_port(), Some(None));
        let other = client.attributes().last();
        let value = Xtext::parse("[UNAVAILABLE]").unwrap();
        assert_eq!(other, Some(XClientAttribute::Other { keyword: "X-NEW", value }));
        assert_eq!(client.to_string(), text);
        assert_eq!(XClient::new(&client.attributes().collect::<Vec<_>>()).unwrap(), client);
        assert_eq!(client.borrowed().into_owned(), client);
    }

    #[test]
    fn what_was_not_said_is_not_there() {
        let client = XClient::parse("x=y").unwrap();
        assert_eq!((client.name(), client.addr(), client.port(), client.proto()), (None, None, None, None));
        assert_eq!((client.helo(), client.login(), client.dest_addr(), client.dest_port()), (None, None, None, None));
    }

    #[test]
    fn words_in_any_case_and_escaped() {
        let client =
            XClient::parse("name=[unavailable] addr=[Unavailable] proto=smtp port=+32+35 login=+5BUNAVAILABLE]")
                .unwrap();
        assert_eq!(client.name(), Some(XClientName::Unavailable));
        assert_eq!((client.addr(), client.port()), (Some(None), Some(Some(25))));
        assert_eq!((client.proto(), client.login()), (Some(XClientProto::Smtp), Some(None)));
        let client =
            XClient::parse("NAME=[TempUnavail] ADDR=ipv6+3A2001:db8::1 PORT=[UNAVAILABLE] HELO=[TEMPUNAVAIL]").unwrap();
        assert_eq!(client.name(), Some(XClientName::TemporarilyUnavailable));
        assert_eq!(client.addr(), Some("2001:db8::1".parse().ok()));
        assert_eq!((client.port(), client.helo().unwrap().unwrap().as_str()), (Some(None), "[TEMPUNAVAIL]"));
    }

    #[test]
    fn what_is_no_xclient() {
        use XClientErrorKind::*;
        let seventeen: String = (0..17).map(|n| format!(" A{n}=x")).collect();
        let seventeen = seventeen.trim_start();
        for (text, kind, at) in [
            ("", Syntax, 0),
            (" ", Syntax, 0),
            ("ADDR", Syntax, 4),
            ("=x", Syntax, 0),
            ("-A=x", Syntax, 0),
            ("ADDR 1.2.3.4", Syntax, 4),
            ("NAME=a ", Syntax, 7),
            (" NAME=a", Syntax, 0),
            ("NAME=a  ADDR=1.2.3.4", Syntax, 7),
            ("N\u{e9}=x", Syntax, 1),
            ("NAME=a name=b", Duplicate, 7),
            ("X=a ADDR=1.2.3.4 x=a", Duplicate, 17),
            (seventeen, TooMany, 86),
            ("NAME=", Value, 5),
            ("ADDR=1.2.3.4 LOGIN=", Value, 19),
            ("ADDR=2001:db8::1", Value, 5),
            ("ADDR=IPV6:1.2.3.4", Value, 5),
            ("ADDR=01.2.3.4", Value, 5),
            ("ADDR=[1.2.3.4]", Value, 5),
            ("ADDR=[TEMPUNAVAIL]", Value, 5),
            ("ADDR=IPV6:fe80::1%eth0", Value, 5),
            ("PORT=65536", Value, 5),
            ("PORT=025", Value, 5),
            ("PORT=-1", Value, 5),
            ("PORT=+2B1", Value, 5),
            ("DESTPORT=99999999999999999999", Value, 9),
            ("DESTADDR=x", Value, 9),
            ("PROTO=LMTP", Value, 6),
            ("PROTO=[UNAVAILABLE]", Value, 6),
            ("LOGIN=a=b", Xtext(XtextErrorKind::Character), 7),
            ("LOGIN=a+0Ab", Xtext(XtextErrorKind::Content), 7),
            ("HELO=x NAME=a\r\nb", Xtext(XtextErrorKind::Content), 13),
            ("LOGIN=a\0", Xtext(XtextErrorKind::Content), 7),
            ("LOGIN=ü", Xtext(XtextErrorKind::Content), 6),
            ("LOGIN=+2b", Xtext(XtextErrorKind::Escape), 6),
        ] {
            assert_eq!(text.parse::<XClient>(), Err(kind.at(at)), "{text:?}");
        }
        let sixteen = seventeen.rsplit_once(' ').unwrap().0;
        assert_eq!(XClient::parse(sixteen).map(|client| client.attributes().count()), Ok(16));
        let error = XClient::parse("NAME=").unwrap_err();
        assert_eq!(error.reply().to_string(), "501 5.5.4 value that this attribute cannot have at octet 5");
    }

    #[test]
    fn what_cannot_be_made() {
        let xtext = |text| Xtext::parse(text).unwrap();
        let other = |keyword, value| XClientAttribute::Other { keyword, value: xtext(value) };
        for attributes in [
            &[][..],
            &[other("A B", "x")],
            &[other("A\r\nB", "x")],
            &[other("A", "")],
            &[other("", "x")],
            &[other("ADDR", "x")],
            &[XClientAttribute::Port(None), XClientAttribute::Port(Some(1))],
        ] {
            assert!(XClient::new(attributes).is_err(), "{attributes:?}");
        }
        let named = XClient::new(&[XClientAttribute::Name(XClientName::Known(xtext("[UNAVAILABLE]")))]).unwrap();
        assert_eq!(named.name(), Some(XClientName::Unavailable));
    }

    fn attribute() -> impl proptest::strategy::Strategy<Value = String> {
        proptest::string::string_regex(
            "((NAME|ADDR|PORT|PROTO|HELO|LOGIN|DESTADDR|DESTPORT|X)=(E?SMTP|\\[UNAVAILABLE\\]|[a-c+2B]{1,6}|[0-9]{1,5}|1\\.2\\.3\\.4|IPV6:[0-9a-f:]{2,9}))",
        )
        .unwrap()
    }

    proptest::proptest! {
        #[test]
        fn what_parses_prints_the_same(pairs in proptest::collection::vec(attribute(), 1..5)) {
            let text = pairs.join(" ");
            if let Ok(client) = XClient::parse(&text) {
                let attributes: Vec<_> = client.attributes().collect();
                proptest::prop_assert_eq!(attributes.len(), pairs.len());
                let made = XClient::new(&attributes).unwrap();
                proptest::prop_assert_eq!(made.attributes().collect::<Vec<_>>(), attributes);
            }
        }
    }
}
