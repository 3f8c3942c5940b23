//! Reading addresses. No octet is looked at more than a few times: an element is passed over once
//! to find out what it is, and read once more as that.

use std::borrow::Cow;

use super::{AddrSpec, Address, AddressList, Ambiguity, Group, NameAddr, is_dot_atom};
use crate::FieldError;
use crate::lexer::{Between, FieldErrorKind, Lexer, is_atext, unquote, utf8};

/// Mailboxes and groups in a list at the most.
const LIMIT: usize = 10_000;

/// `address-list = (address *("," address)) / obs-addr-list`, with
/// `obs-addr-list = *([CFWS] ",") address *("," [address / CFWS])`
pub(super) fn address_list(value: &[u8]) -> Result<AddressList<'_>, FieldError> {
    let mut reader = Reader::new(value);
    let mut addresses = Vec::new();
    while reader.element(false)? {
        addresses.push(reader.address()?);
        reader.end_of_element(false)?;
    }
    Ok(AddressList { addresses, ambiguities: reader.ambiguities })
}

/// `addr-spec = local-part "@" domain`
pub(super) fn one_addr_spec(text: &[u8]) -> Result<AddrSpec<'_>, FieldError> {
    let mut reader = Reader::new(text);
    let address = reader.addr_spec()?;
    match reader.lexer.peek() {
        None => Ok(address),
        Some(_) => Err(reader.lexer.unexpected()),
    }
}

/// How many octets the reader looked at.
#[cfg(test)]
pub(super) fn steps(value: &[u8]) -> usize {
    let mut reader = Reader::new(value);
    while let Ok(true) = reader.element(false) {
        if reader.address().and_then(|_| reader.end_of_element(false)).is_err() {
            break;
        }
    }
    reader.lexer.steps.get()
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    ambiguities: Vec<Ambiguity>,
    /// Mailboxes and groups so far.
    count: usize,
}

/// What a passed-over element turned out to be.
enum Shape {
    /// Words before `<`: a name.
    Angle,
    /// Words before `:`: a group.
    Group,
    /// Words up to the end of the element.
    AddrSpec,
}

fn is_word(octet: u8) -> bool {
    is_atext(octet) || octet == b'.'
}

fn is_dtext(octet: u8) -> bool {
    matches!(octet, b'!'..=b'Z' | b'^'..=b'~')
}

impl<'a> Reader<'a> {
    fn new(value: &'a [u8]) -> Self {
        Self { lexer: Lexer::new(value), ambiguities: Vec::new(), count: 0 }
    }

    fn note(&mut self, ambiguity: Ambiguity) {
        if !self.ambiguities.contains(&ambiguity) {
            self.ambiguities.push(ambiguity);
        }
    }

    fn skip(&mut self) -> Result<Between, FieldError> {
        let between = self.lexer.skip()?;
        if between.address {
            self.note(Ambiguity::Comment);
        }
        Ok(between)
    }

    /// Skips white space that is part of an address.
    fn skip_inside(&mut self) -> Result<(), FieldError> {
        let between = self.skip()?;
        self.note_inside(between);
        Ok(())
    }

    fn note_inside(&mut self, between: Between) {
        if between.comment {
            self.note(Ambiguity::Comment);
        } else if between.any {
            self.note(Ambiguity::Space);
        }
    }

    /// Goes to the next element that is not empty; `false` at the end of the list or group.
    fn element(&mut self, in_group: bool) -> Result<bool, FieldError> {
        loop {
            self.skip()?;
            match self.lexer.peek() {
                None => return Ok(false),
                Some(b';') if in_group => return Ok(false),
                Some(b',') => self.lexer.take(b','),
                Some(_) if self.count == LIMIT => return Err(FieldErrorKind::TooMany.at(self.lexer.at())),
                Some(_) => {
                    self.count += 1;
                    return Ok(true);
                }
            };
        }
    }

    /// An element ends where the next one may begin.
    fn end_of_element(&mut self, in_group: bool) -> Result<(), FieldError> {
        self.skip()?;
        match self.lexer.peek() {
            None | Some(b',') => Ok(()),
            Some(b';') if in_group => Ok(()),
            Some(_) => Err(self.lexer.unexpected()),
        }
    }

    /// `address = mailbox / group`
    fn address(&mut self) -> Result<Address<'a>, FieldError> {
        let start = self.lexer.at();
        match self.shape()? {
            Shape::Group => self.group(start).map(Address::Group),
            shape => self.mailbox(start, &shape).map(Address::Mailbox),
        }
    }

    /// `group = display-name ":" [group-list] ";" [CFWS]`
    fn group(&mut self, start: usize) -> Result<Group<'a>, FieldError> {
        let name = self.phrase(start)?.unwrap_or_default();
        self.lexer.expect(b':')?;
        let mut members = Vec::new();
        while self.element(true)? {
            let start = self.lexer.at();
            match self.shape()? {
                // A group in a group.
                Shape::Group => return Err(self.lexer.unexpected()),
                shape => members.push(self.mailbox(start, &shape)?),
            }
            self.end_of_element(true)?;
        }
        if !self.lexer.take(b';') {
            self.note(Ambiguity::OpenGroup);
        }
        Ok(Group { name, members })
    }

    /// `mailbox = name-addr / addr-spec`, of which the start has been passed over.
    fn mailbox(&mut self, start: usize, shape: &Shape) -> Result<NameAddr<'a>, FieldError> {
        if let Shape::AddrSpec = shape {
            self.lexer.back_to(start);
            return self.addr_spec().map(NameAddr::from);
        }
        let name = self.phrase(start)?;
        Ok(NameAddr { name, address: self.angle_addr()? })
    }

    /// Passes over words until it is clear what they are.
    fn shape(&mut self) -> Result<Shape, FieldError> {
        let start = self.lexer.at();
        let (mut words, mut signs) = (false, false);
        loop {
            match self.lexer.peek() {
                Some(b'"') => {
                    self.lexer.quoted_string()?;
                }
                Some(b'@') => signs = self.lexer.take(b'@'),
                Some(b'[') => {
                    self.literal()?;
                    signs = true;
                }
                Some(octet) if is_word(octet) => {
                    self.lexer.take_while(is_word);
                }
                Some(b'<') => {
                    if signs {
                        self.note(Ambiguity::UnquotedName);
                    }
                    return Ok(Shape::Angle);
                }
                Some(b':') if words && !signs => return Ok(Shape::Group),
                None | Some(b',' | b';') if signs => return Ok(Shape::AddrSpec),
                None | Some(b',' | b';') if words => return Err(FieldErrorKind::NoDomain.at(start)),
                _ => return Err(self.lexer.unexpected()),
            }
            words = true;
            self.skip()?;
        }
    }

    /// `phrase = 1*word / obs-phrase`, from `start` to here: its words with one space between
    /// them where something stood between them. `None` if there are none.
    fn phrase(&mut self, start: usize) -> Result<Option<Cow<'a, str>>, FieldError> {
        let end = self.lexer.at();
        let whole = self.lexer.slice(start, end).trim_ascii_end();
        if whole.is_empty() {
            return Ok(None);
        }
        let plain = |octet: &u8| !matches!(octet, b'"' | b'(' | b'\r' | b'\t');
        if whole.iter().all(plain) && memchr::memmem::find(whole, b"  ").is_none() {
            return Ok(Some(printable(String::from_utf8_lossy(whole))));
        }
        self.lexer.back_to(start);
        let mut text: Cow<'a, [u8]> = Cow::Borrowed(b"");
        let mut first = true;
        loop {
            let between = self.lexer.skip()?;
            if self.lexer.at() == end {
                break;
            }
            if between.any && !first {
                text.to_mut().push(b' ');
            }
            let word = if self.lexer.peek() == Some(b'"') {
                let content = unquote(self.lexer.quoted_string()?);
                if has_encoded_word(&content) {
                    self.note(Ambiguity::EncodedWord);
                }
                content
            } else if self.lexer.peek() == Some(b'[') {
                Cow::Borrowed(self.literal()?)
            } else {
                Cow::Borrowed(self.lexer.take_while(|octet| is_word(octet) || octet == b'@'))
            };
            if first {
                text = word;
            } else {
                text.to_mut().extend_from_slice(&word);
            }
            first = false;
        }
        let text = match text {
            Cow::Borrowed(text) => String::from_utf8_lossy(text),
            Cow::Owned(text) => Cow::Owned(String::from_utf8_lossy(&text).into_owned()),
        };
        Ok(Some(printable(text)))
    }

    /// `angle-addr = [CFWS] "<" addr-spec ">" [CFWS] / obs-angle-addr`
    fn angle_addr(&mut self) -> Result<AddrSpec<'a>, FieldError> {
        self.lexer.expect(b'<')?;
        self.skip()?;
        if matches!(self.lexer.peek(), Some(b'@' | b',')) {
            self.route()?;
        }
        let address = self.addr_spec()?;
        self.lexer.expect(b'>')?;
        Ok(address)
    }

    /// `obs-route = obs-domain-list ":"`, with
    /// `obs-domain-list = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain])`
    fn route(&mut self) -> Result<(), FieldError> {
        self.note(Ambiguity::Route);
        while !self.lexer.take(b':') {
            if !self.lexer.take(b',') {
                self.lexer.expect(b'@')?;
                self.domain()?;
            }
            self.skip()?;
        }
        Ok(())
    }

    /// `addr-spec = local-part "@" domain`, and the white space and comments around it.
    fn addr_spec(&mut self) -> Result<AddrSpec<'a>, FieldError> {
        self.skip()?;
        let local = self.local_part()?;
        self.lexer.expect(b'@')?;
        let domain = self.domain()?;
        if has_encoded_word(local.as_bytes()) || has_encoded_word(domain.as_bytes()) {
            self.note(Ambiguity::EncodedWord);
        }
        Ok(AddrSpec { local, domain })
    }

    /// `local-part = dot-atom / quoted-string / obs-local-part`, with
    /// `obs-local-part = word *("." word)`; dots may stand anywhere.
    fn local_part(&mut self) -> Result<Cow<'a, str>, FieldError> {
        let start = self.lexer.at();
        let mut local = Dotted::default();
        loop {
            let at = self.lexer.at();
            match self.lexer.peek() {
                Some(b'"') => {
                    let content = unquote(self.lexer.quoted_string()?);
                    if !is_dot_atom(&content) {
                        self.note(Ambiguity::QuotedLocalPart);
                    }
                    local.push(content, at, (false, false))?;
                }
                Some(octet) if is_word(octet) => local.push_run(self.lexer.take_while(is_word), at)?,
                Some(b'@') if at > start => break,
                None | Some(b',' | b';' | b'>') if at > start => return Err(FieldErrorKind::NoDomain.at(start)),
                _ => return Err(self.lexer.unexpected()),
            }
            self.skip_inside()?;
        }
        local.text(start)
    }

    /// `domain = dot-atom / domain-literal / obs-domain`, with
    /// `obs-domain = atom *("." atom)`; dots may stand anywhere. Also the white space and
    /// comments around it.
    fn domain(&mut self) -> Result<Cow<'a, str>, FieldError> {
        self.skip_inside()?;
        let start = self.lexer.at();
        if self.lexer.peek() == Some(b'[') {
            let literal = self.literal()?;
            self.skip()?;
            return utf8(literal, start).map(Cow::Borrowed);
        }
        let mut domain = Dotted::default();
        let mut before = Between::default();
        loop {
            let at = self.lexer.at();
            let run = self.lexer.take_while(is_word);
            if run.is_empty() {
                break;
            }
            self.note_inside(before);
            domain.push_run(run, at)?;
            before = self.skip()?;
        }
        if self.lexer.at() == start {
            return Err(self.lexer.unexpected());
        }
        domain.text(start)
    }

    /// `domain-literal = [CFWS] "[" *([FWS] dtext) [FWS] "]" [CFWS]`, without white space in it.
    fn literal(&mut self) -> Result<&'a [u8], FieldError> {
        let start = self.lexer.at();
        self.lexer.expect(b'[')?;
        self.lexer.take_while(is_dtext);
        self.lexer.expect(b']')?;
        Ok(self.lexer.slice(start, self.lexer.at()))
    }
}

/// Words with dots between them; borrowed as long as there is one word only.
#[derive(Default)]
struct Dotted<'a> {
    text: Option<Cow<'a, [u8]>>,
    /// The last word was, or ended with, a dot.
    dot: bool,
}

impl<'a> Dotted<'a> {
    /// Adds atoms and dots.
    fn push_run(&mut self, run: &'a [u8], at: usize) -> Result<(), FieldError> {
        self.push(Cow::Borrowed(run), at, (run.starts_with(b"."), run.ends_with(b".")))
    }

    /// Adds a word; `dots` says whether it brings its own dot at its start and end.
    fn push(&mut self, word: Cow<'a, [u8]>, at: usize, dots: (bool, bool)) -> Result<(), FieldError> {
        match &mut self.text {
            None => self.text = Some(word),
            Some(text) if self.dot || dots.0 => text.to_mut().extend_from_slice(&word),
            // Two words without a dot.
            Some(_) => return Err(FieldErrorKind::Unexpected.at(at)),
        }
        self.dot = dots.1;
        Ok(())
    }

    fn text(self, at: usize) -> Result<Cow<'a, str>, FieldError> {
        match self.text.unwrap_or_default() {
            Cow::Borrowed(text) => utf8(text, at).map(Cow::Borrowed),
            Cow::Owned(text) => utf8(&text, at).map(|text| Cow::Owned(text.to_owned())),
        }
    }
}

/// Whether a program that decodes too much would decode something here.
fn has_encoded_word(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"=?").is_some()
}

/// A name without control characters: a tab becomes a space, any other U+FFFD.
fn printable(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text;
    }
    let replace = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(text.chars().map(replace).collect())
}
