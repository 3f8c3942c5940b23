//! What a server offers in its reply to EHLO or LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1).
//!
//! ```
//! use hikyaku_wire::{Capabilities, Capability, EhloKeyword, Reply};
//!
//! let bytes = b"250-mx.test\r\n250-PIPELINING\r\n250-LIMITS RCPTMAX=50\r\n250 SIZE 1000\r\n";
//! let (reply, _) = Reply::parse(bytes).unwrap().unwrap();
//! let offered = Capabilities::parse(&reply);
//! assert!(offered.has(&EhloKeyword::PIPELINING) && !offered.has(&EhloKeyword::DSN));
//! assert_eq!(offered.size(), Some(1000));
//! assert_eq!(offered.limits().recipients(), Some(50));
//!
//! let ours = Capabilities::new().with(Capability::Pipelining).with(Capability::Size(Some(1000)));
//! assert_eq!(ours.reply("mx.test").to_string(), "250 mx.test PIPELINING SIZE 1000");
//! ```

mod capability;
mod entries;
mod keyword;
mod limits;
mod mechanism;
mod packed;
mod words;

use std::fmt::{self, Write};

pub use self::{
    capability::{Capability, Extension, Seconds},
    keyword::EhloKeyword,
    limits::Limits,
    words::{CapabilityError, CapabilityErrorKind, Words},
};
use self::{entries::Entries, keyword::Known};
use crate::{Code, Reply, reply_text::Form};

/// The extensions that a server offers, in its order (RFC 5321 §4.1.1.1).
///
/// `Capabilities` has a text of its own; `Capabilities<&str>`, which [`parse`](Self::parse)
/// gives, lies in the reply and allocates nothing. Both compare alike: by what is offered,
/// keywords without regard to case.
///
/// An extension that is offered twice stands there twice, and the first one counts. A line that
/// is not `ehlo-line = ehlo-keyword *( SP ehlo-param )` is ignored, as RFC 5321 asks of a client.
#[derive(Clone, Copy)]
pub struct Capabilities<T = String> {
    lines: T,
    form: Form,
    offer: Offer,
}

/// What is asked most, read once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Offer {
    /// A bit for each keyword that has one.
    known: u32,
    /// A bit for each SASL mechanism that has one.
    mechanisms: u32,
    /// The number of the first SIZE; 0, if there is none.
    size: u64,
}

impl Offer {
    #[inline(always)]
    fn add(&mut self, keyword: EhloKeyword<&str>, params: &str) {
        match keyword.known() {
            Some(Known::Size) if self.known & keyword.bit() == 0 => {
                self.size = capability::size(Words::of_line(params)).flatten().unwrap_or_default();
            }
            Some(Known::Auth) => self.mechanisms |= mechanism::bits(params),
            _ => {}
        }
        self.known |= keyword.bit();
    }
}

impl Capabilities {
    /// Nothing is offered, as after HELO.
    pub fn new() -> Self {
        Self { lines: String::new(), form: Form::Clean, offer: Offer::default() }
    }

    /// Offers one more extension.
    ///
    /// With the greeting, 99 of them fit into the 100 lines that [`Reply::parse`] takes.
    #[must_use]
    pub fn with(mut self, capability: Capability<'_>) -> Self {
        if !self.lines.is_empty() {
            self.lines.push_str(self.form.between());
        }
        let start = self.lines.len();
        write!(self.lines, "{capability}").expect("a String takes what is written");
        for (keyword, params) in Entries::new(&self.lines[start..], Form::Clean) {
            self.offer.add(keyword, params);
        }
        self
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Capabilities<&'a str> {
    /// What a reply to EHLO or LHLO offers. Its first line is the greeting.
    pub fn parse<T: AsRef<str>>(reply: &'a Reply<T>) -> Self {
        let mut lines = reply.text_lines();
        lines.next();
        let (lines, form) = lines.rest();
        let mut offer = Offer::default();
        Entries::new(lines, form).for_each(|(keyword, params)| offer.add(keyword, params));
        Self { lines, form, offer }
    }
}

impl<T: AsRef<str>> Capabilities<T> {
    /// Whether an extension is offered.
    pub fn has<U: AsRef<str>>(&self, keyword: &EhloKeyword<U>) -> bool {
        match keyword.bit() {
            0 => self.get(keyword).is_some(),
            bit => self.offer.known & bit != 0,
        }
    }

    /// What is offered under a keyword; the first, if it is offered twice.
    pub fn get<U: AsRef<str>>(&self, keyword: &EhloKeyword<U>) -> Option<Capability<'_>> {
        if self.offer.known & keyword.bit() != keyword.bit() {
            return None;
        }
        let found = self.entries().find(|(k, _)| k == keyword);
        found.map(|(keyword, params)| Capability::read(keyword, params))
    }

    /// All that is offered, in the order of the server.
    pub fn iter(&self) -> impl Iterator<Item = Capability<'_>> {
        self.entries().map(|(keyword, params)| Capability::read(keyword, params))
    }

    /// The most octets of a message that the server takes (RFC 1870 §4); `None` if it states no
    /// limit: it does not offer SIZE, or without a number, or 0, or with what is no number of 64
    /// bits. [`get`](Self::get) tells these apart.
    pub fn size(&self) -> Option<u64> {
        (self.offer.size > 0).then_some(self.offer.size)
    }

    /// The limits that the server states (RFC 9422); none, if it does not offer LIMITS.
    pub fn limits(&self) -> Limits<'_> {
        match self.get(&EhloKeyword::LIMITS) {
            Some(Capability::Limits(limits)) => limits,
            _ => Limits::default(),
        }
    }

    /// The SASL mechanisms that the server offers (RFC 4954 §3), also in the old form
    /// `AUTH=LOGIN`. One may come twice.
    pub fn mechanisms(&self) -> impl Iterator<Item = &str> {
        let offers = self.entries().filter(|(keyword, _)| *keyword == EhloKeyword::AUTH);
        offers.flat_map(|(_, mechanisms)| Words::of_line(mechanisms).iter())
    }

    /// Whether the server offers a SASL mechanism, whose name compares without regard to case.
    pub fn has_mechanism(&self, name: &str) -> bool {
        match mechanism::bit(name) {
            0 => self.mechanisms().any(|offered| offered.eq_ignore_ascii_case(name)),
            bit => self.offer.mechanisms & bit != 0,
        }
    }

    /// The reply to EHLO or LHLO that offers them. The greeting begins with the name of the
    /// server, and is made one harmless line.
    pub fn reply(&self, greeting: &str) -> Reply {
        let mut text = greeting.replace('\n', " ");
        for capability in self.iter() {
            write!(text, "\n{capability}").expect("a String takes what is written");
        }
        Reply::plain(Code::OK_250, text)
    }

    /// The same with a text of its own.
    pub fn into_owned(self) -> Capabilities {
        Capabilities { lines: self.lines.as_ref().to_owned(), form: self.form, offer: self.offer }
    }

    fn entries(&self) -> Entries<'_> {
        Entries::new(self.lines.as_ref(), self.form)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Capabilities<U>> for Capabilities<T> {
    fn eq(&self, other: &Capabilities<U>) -> bool {
        self.offer.known == other.offer.known && self.iter().eq(other.iter())
    }
}

impl<T: AsRef<str>> Eq for Capabilities<T> {}

impl<T: AsRef<str>> fmt::Debug for Capabilities<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
