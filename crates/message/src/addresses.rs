//! Address lists of header fields (RFC 5322 §3.4, obsolete forms §4.4, UTF-8 RFC 6532).
//!
//! ```
//! use hikyaku_message::AddressList;
//!
//! let from = AddressList::parse(b"\"Anna B.\" <anna@example.org>, friends: bert@example.net;")?;
//! let addresses: Vec<_> = from.mailboxes().map(|mailbox| mailbox.address().to_string()).collect();
//! assert_eq!(addresses, ["anna@example.org", "bert@example.net"]);
//! assert_eq!(from.mailboxes().next().unwrap().name(), Some("Anna B."));
//! # Ok::<(), hikyaku_message::FieldError>(())
//! ```

mod parse;

use std::borrow::Cow;
use std::fmt::{self, Write};

use hikyaku_wire::{AddressError, Domain, Mailbox};

use crate::FieldError;
use crate::lexer::{FieldErrorKind, is_atext};

/// The addresses of From, Sender, Reply-To, To, Cc or Bcc:
/// `address-list = (address *("," address)) / obs-addr-list` (RFC 5322 §3.4).
///
/// Everything is read in time linear in the length of the value, with comments at most 32 deep and
/// at most 10,000 mailboxes and groups. Texts are borrowed from the value where it has them
/// without folds, comments and backslashes. Prints in one line; [`UnfoldedField`] folds it.
///
/// Accepted beyond the current grammar: obsolete routes, empty elements, dots in names and
/// anywhere in a local part, white space and comments around each `.` and `@`, a list without an
/// element. What another program may read as another address is accepted too, but never in
/// silence: see [`ambiguity`](Self::ambiguity).
///
/// # Incomplete support
/// Encoded words (RFC 2047) stay as they are. Octets of a name that are not UTF-8 become U+FFFD.
///
/// [`UnfoldedField`]: crate::UnfoldedField
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressList<'a> {
    addresses: Vec<Address<'a>>,
    /// Each kind at most once.
    ambiguities: Vec<Ambiguity>,
}

impl<'a> AddressList<'a> {
    /// Reads the value of a field, folded or not.
    ///
    /// # Errors
    /// What is wrong in the value, and where. Not accepted are, among others, addresses without a
    /// domain, two addresses without a comma between them, and `;` in place of a comma.
    pub fn parse(value: &'a [u8]) -> Result<Self, FieldError> {
        parse::address_list(value)
    }

    /// The addresses in their order; empty elements are left out.
    #[must_use]
    pub fn addresses(&self) -> &[Address<'a>] {
        &self.addresses
    }

    /// All mailboxes in their order, those in groups too.
    pub fn mailboxes(&self) -> impl Iterator<Item = &NameAddr<'a>> {
        self.addresses.iter().flat_map(|address| match address {
            Address::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Address::Group(group) => group.members(),
        })
    }

    /// The first reason for which another program may read other addresses here.
    #[must_use]
    pub fn ambiguity(&self) -> Option<Ambiguity> {
        self.ambiguities.first().copied()
    }

    /// All reasons for which another program may read other addresses here, each once, in the
    /// order in which they were found.
    ///
    /// ```
    /// use hikyaku_message::{AddressList, Ambiguity};
    ///
    /// let from = AddressList::parse(b"\"a b\"@example.org, c@d.test <e@example.org>")?;
    /// assert_eq!(from.ambiguities(), [Ambiguity::QuotedLocalPart, Ambiguity::UnquotedName]);
    /// # Ok::<(), hikyaku_message::FieldError>(())
    /// ```
    #[must_use]
    pub fn ambiguities(&self) -> &[Ambiguity] {
        &self.ambiguities
    }

    /// The one domain of all authors, where this is a From field: DMARC needs exactly one
    /// (RFC 9989).
    ///
    /// # Errors
    /// There is no author, authors have different domains or one that is no domain of SMTP, or
    /// another program may read others.
    pub fn author_domain(&self) -> Result<Domain, AuthorError> {
        if let Some(ambiguity) = self.ambiguity() {
            return Err(AuthorError::Ambiguous(ambiguity));
        }
        let mut one: Option<Domain> = None;
        for author in self.mailboxes() {
            if author.address.domain.starts_with('[') {
                return Err(AuthorError::Literal);
            }
            let domain = author.address.domain.parse().map_err(AuthorError::Domain)?;
            if one.as_ref().is_some_and(|one| *one != domain) {
                return Err(AuthorError::Several);
            }
            one.get_or_insert(domain);
        }
        one.ok_or(AuthorError::Nobody)
    }

    /// Gives up the borrow.
    #[must_use]
    pub fn into_owned(self) -> AddressList<'static> {
        let addresses = self.addresses.into_iter().map(Address::into_owned).collect();
        AddressList { addresses, ambiguities: self.ambiguities }
    }
}

impl<'a> From<Vec<Address<'a>>> for AddressList<'a> {
    fn from(addresses: Vec<Address<'a>>) -> Self {
        Self { addresses, ambiguities: Vec::new() }
    }
}

impl fmt::Display for AddressList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        separated(f, &self.addresses)
    }
}

/// Why a From field has not exactly one domain that DMARC may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// It names nobody: it is empty, or holds empty groups only.
    #[error("the From field names nobody")]
    Nobody,
    /// Its authors have different domains.
    #[error("the From field names authors of different domains")]
    Several,
    /// Another program may read another author.
    #[error("the From field can be read in two ways: {0}")]
    Ambiguous(Ambiguity),
    /// The author's host is an address literal, not a domain.
    #[error("the From field names an address literal in place of a domain")]
    Literal,
    /// The author's domain is none that SMTP allows; octets are counted in the domain.
    #[error("the From field names no domain of SMTP: {0}")]
    Domain(AddressError),
}

/// Why two programs may read different addresses in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// A route in front of the address (RFC 5322 §4.4, `obs-route`).
    #[error("a route stands in front of an address")]
    Route,
    /// A comment inside an address, or one that holds `@`, `<`, `>` or a comma.
    #[error("a comment stands in an address, or looks like one")]
    Comment,
    /// White space inside an address.
    #[error("white space stands inside an address")]
    Space,
    /// A quoted local part with characters that need the quotes, as in `"a@b"@c`.
    #[error("a local part is quoted")]
    QuotedLocalPart,
    /// A name with `@` or brackets that is not quoted, as in `a@b <c@d>`.
    #[error("a name holds an unquoted @ or [")]
    UnquotedName,
    /// `=?` in an address or in quotes, where some programs decode it and others do not
    /// (RFC 2047 §5).
    #[error("an encoded word stands where none may stand")]
    EncodedWord,
    /// A group without `;` at its end.
    #[error("a group has no semicolon at its end")]
    OpenGroup,
}

/// `address = mailbox / group` (RFC 5322 §3.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address<'a> {
    /// One mailbox.
    Mailbox(NameAddr<'a>),
    /// A named list of mailboxes.
    Group(Group<'a>),
}

impl Address<'_> {
    /// Gives up the borrow.
    #[must_use]
    pub fn into_owned(self) -> Address<'static> {
        match self {
            Self::Mailbox(mailbox) => Address::Mailbox(mailbox.into_owned()),
            Self::Group(group) => Address::Group(group.into_owned()),
        }
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(mailbox) => mailbox.fmt(f),
            Self::Group(group) => group.fmt(f),
        }
    }
}

/// `group = display-name ":" [group-list] ";" [CFWS]` (RFC 5322 §3.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group<'a> {
    name: Cow<'a, str>,
    members: Vec<NameAddr<'a>>,
}

impl<'a> Group<'a> {
    /// Makes a group, which may be empty.
    ///
    /// # Errors
    /// The name holds a control character.
    pub fn new(name: impl Into<Cow<'a, str>>, members: Vec<NameAddr<'a>>) -> Result<Self, FieldError> {
        Ok(Self { name: checked(name.into())?, members })
    }

    /// The name, without quotes and comments.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mailboxes in it.
    #[must_use]
    pub fn members(&self) -> &[NameAddr<'a>] {
        &self.members
    }

    /// Gives up the borrow.
    #[must_use]
    pub fn into_owned(self) -> Group<'static> {
        let members = self.members.into_iter().map(NameAddr::into_owned).collect();
        Group { name: Cow::Owned(self.name.into_owned()), members }
    }
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        phrase(f, &self.name)?;
        f.write_str(":")?;
        if !self.members.is_empty() {
            f.write_str(" ")?;
        }
        separated(f, &self.members)?;
        f.write_str(";")
    }
}

/// A mailbox with its display name: `mailbox = name-addr / addr-spec` (RFC 5322 §3.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameAddr<'a> {
    name: Option<Cow<'a, str>>,
    address: AddrSpec<'a>,
}

impl<'a> NameAddr<'a> {
    /// Puts name and address together. A name of encoded words (RFC 2047) prints as such.
    ///
    /// # Errors
    /// The name holds a control character.
    pub fn new(name: impl Into<Cow<'a, str>>, address: AddrSpec<'a>) -> Result<Self, FieldError> {
        Ok(Self { name: Some(checked(name.into())?), address })
    }

    /// The display name, without quotes and comments; white space between its words is one space.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &AddrSpec<'a> {
        &self.address
    }

    /// Gives up the borrow.
    #[must_use]
    pub fn into_owned(self) -> NameAddr<'static> {
        let name = self.name.map(|name| Cow::Owned(name.into_owned()));
        NameAddr { name, address: self.address.into_owned() }
    }
}

impl<'a> From<AddrSpec<'a>> for NameAddr<'a> {
    fn from(address: AddrSpec<'a>) -> Self {
        Self { name: None, address }
    }
}

impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            return self.address.fmt(f);
        };
        phrase(f, name)?;
        write!(f, " <{}>", self.address)
    }
}

/// `addr-spec = local-part "@" domain` (RFC 5322 §3.4.1).
///
/// It is what header fields may hold, which is more than a [`Mailbox`] of SMTP. Prints without
/// comments and white space, the local part quoted where it must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddrSpec<'a> {
    /// The content, without quotes.
    local: Cow<'a, str>,
    domain: Cow<'a, str>,
}

impl<'a> AddrSpec<'a> {
    /// Reads a text that is one address and nothing more than white space or comments around it.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &'a [u8]) -> Result<Self, FieldError> {
        parse::one_addr_spec(text)
    }

    /// What stands before the `@`, without quotes.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What stands behind the `@`: a name, or a literal with its brackets.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The address as SMTP has it (RFC 5321 §4.1.2).
    ///
    /// # Errors
    /// Why SMTP has no such address; octets are counted in the address as it prints.
    pub fn mailbox(&self) -> Result<Mailbox, AddressError> {
        self.to_string().parse()
    }

    /// Gives up the borrow.
    #[must_use]
    pub fn into_owned(self) -> AddrSpec<'static> {
        AddrSpec { local: Cow::Owned(self.local.into_owned()), domain: Cow::Owned(self.domain.into_owned()) }
    }
}

impl From<&Mailbox> for AddrSpec<'static> {
    fn from(mailbox: &Mailbox) -> Self {
        let text = mailbox.to_string();
        let address = parse::one_addr_spec(text.as_bytes());
        address.expect("RFC 5322 allows each address that SMTP allows").into_owned()
    }
}

impl fmt::Display for AddrSpec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(self.local.as_bytes()) {
            f.write_str(&self.local)?;
        } else {
            quoted(f, &self.local)?;
        }
        write!(f, "@{}", self.domain)
    }
}

/// `dot-atom-text = 1*atext *("." 1*atext)`: what needs no quotes.
fn is_dot_atom(text: &[u8]) -> bool {
    text.split(|&octet| octet == b'.').all(|atom| !atom.is_empty() && atom.iter().copied().all(is_atext))
}

/// A name that can be printed.
fn checked(name: Cow<'_, str>) -> Result<Cow<'_, str>, FieldError> {
    match name.find(char::is_control) {
        Some(at) => Err(FieldErrorKind::Control.at(at)),
        None => Ok(name),
    }
}

/// `phrase = 1*word / obs-phrase`: atoms where that is enough, else one quoted string.
fn phrase(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.split(' ').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext)) {
        return f.write_str(text);
    }
    quoted(f, text)
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

fn separated(f: &mut fmt::Formatter<'_>, elements: &[impl fmt::Display]) -> fmt::Result {
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        element.fmt(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
