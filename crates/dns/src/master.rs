//! The reader of master files (RFC 1035 §5, RFC 2308 §4, RFC 3597 §5).

use crate::name::unescape;
use crate::record::{Data, MAX_STRING};
use crate::{Mx, Name, NameError, RecordType, RecordTypeError, Soa, Tlsa, Txt, Zone};

/// TTL of a record where neither it nor anything before it states one.
const DEFAULT_TTL: u32 = 3_600;
/// Longest TTL, in seconds (RFC 2181 §8).
const MAX_TTL: u32 = i32::MAX as u32;
/// Longest data of a record, in octets (RFC 1035 §3.2.1).
const MAX_DATA: usize = 65_535;

/// What is wrong in a master file, and where; lines and columns (octets of the
/// line) count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ZoneError {
    /// The line.
    pub line: usize,
    /// The octet in the line.
    pub column: usize,
    /// What is wrong there.
    pub kind: ZoneErrorKind,
}

/// What can be wrong in a master file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneErrorKind {
    /// `$INCLUDE`: nothing here opens files.
    #[error("$INCLUDE is refused: no other file is read")]
    Include,
    /// Another word behind `$` than `ORIGIN` and `TTL`.
    #[error("unknown directive")]
    Directive,
    /// A quotation mark without its second in the same line.
    #[error("quoted string without an end in its line")]
    Quote,
    /// A parenthesis without its counterpart, or within another pair.
    #[error("parenthesis without its counterpart")]
    Parenthesis,
    /// A line that begins with white space before any line with a name.
    #[error("record without a name, and none before it")]
    NoOwner,
    /// What should be a name is none.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A type that is not known here.
    #[error("{0}")]
    Type(#[from] RecordTypeError),
    /// A class other than IN.
    #[error("class other than IN")]
    Class,
    /// A TTL that is no number, or more than 2147483647 seconds.
    #[error("not a TTL of at most 2147483647 seconds")]
    Ttl,
    /// The line ends too early; the text says what is missing.
    #[error("{0} expected")]
    Missing(&'static str),
    /// What stands here is not what belongs here.
    #[error("not {0}")]
    Invalid(&'static str),
    /// Something behind the last field.
    #[error("nothing more expected")]
    Excess,
    /// A record besides an alias of the same name (RFC 1034 §3.6.2).
    #[error("a name with a CNAME has no other records")]
    Alias,
    /// Data of more than 65535 octets.
    #[error("data of more than 65535 octets")]
    TooLong,
}

pub(crate) fn read(text: &[u8], origin: &Name) -> Result<Zone, ZoneError> {
    let mut zone = Zone::default();
    let mut lines = Lines::new(text);
    let mut origin = origin.clone();
    let mut owner: Option<Name> = None;
    let (mut stated_ttl, mut last_ttl) = (None, None);
    while let Some(entry) = lines.next_entry()? {
        let mut fields = Fields { tokens: &entry.tokens, origin: &origin, end: entry.end };
        let first = entry.tokens[0];
        if !entry.indented && !first.quoted && first.raw.starts_with(b"$") {
            fields.tokens = &entry.tokens[1..];
            if first.raw.eq_ignore_ascii_case(b"$ORIGIN") {
                let name = fields.name("a name")?;
                fields.done()?;
                origin = name;
            } else if first.raw.eq_ignore_ascii_case(b"$TTL") {
                stated_ttl = Some(fields.ttl("a TTL")?);
                fields.done()?;
            } else if first.raw.eq_ignore_ascii_case(b"$INCLUDE") {
                return Err(first.wrong(ZoneErrorKind::Include));
            } else {
                return Err(first.wrong(ZoneErrorKind::Directive));
            }
            continue;
        }
        if !entry.indented {
            owner = Some(fields.name("a name")?);
        }
        let Some(name) = &owner else {
            return Err(first.wrong(ZoneErrorKind::NoOwner));
        };
        let (ttl, record_type) = fields.ttl_class_type()?;
        last_ttl = ttl.or(last_ttl);
        let ttl = ttl.or(stated_ttl).or(last_ttl).unwrap_or(DEFAULT_TTL);
        let data = fields.data(record_type)?;
        fields.done()?;
        if data.wire_len() > MAX_DATA {
            return Err(first.wrong(ZoneErrorKind::TooLong));
        }
        let is_alias = |data: &Data| matches!(data, Data::Cname(_));
        let before = zone.records.get(name).and_then(|records| records.first());
        if before.is_some_and(|record| is_alias(&record.data) || is_alias(&data)) {
            return Err(first.wrong(ZoneErrorKind::Alias));
        }
        zone.add(name.clone(), ttl, data);
    }
    Ok(zone)
}

/// Where something stands.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn wrong(self, kind: ZoneErrorKind) -> ZoneError {
        let Self { line, column } = self;
        ZoneError { line, column, kind }
    }
}

/// A word or a quoted string, with its escapes and without its quotes.
#[derive(Clone, Copy)]
struct Token<'a> {
    raw: &'a [u8],
    quoted: bool,
    place: Place,
}

impl Token<'_> {
    fn wrong(&self, kind: ZoneErrorKind) -> ZoneError {
        self.place.wrong(kind)
    }

    /// The text of a word that is no quoted string.
    fn word(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.raw).ok()?;
        (!self.quoted).then_some(text)
    }
}

/// The words of one line, or of several held together by parentheses.
struct Entry<'a> {
    /// The line begins with white space: its name is that of the record before.
    indented: bool,
    /// At least one.
    tokens: Vec<Token<'a>>,
    end: Place,
}

struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, line_start: 0 }
    }

    fn place(&self) -> Place {
        Place { line: self.line, column: self.at - self.line_start + 1 }
    }

    fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ZoneError> {
        let mut tokens = Vec::new();
        let mut open: Option<Place> = None;
        let mut indented = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
        while let Some(octet) = self.text.get(self.at) {
            match octet {
                b'\n' => {
                    let end = self.place();
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                    if open.is_some() {
                        continue;
                    }
                    if !tokens.is_empty() {
                        return Ok(Some(Entry { indented, tokens, end }));
                    }
                    indented = matches!(self.text.get(self.at), Some(b' ' | b'\t'));
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => {
                    while self.text.get(self.at).is_some_and(|octet| *octet != b'\n') {
                        self.at += 1;
                    }
                }
                b'(' if open.is_none() => {
                    open = Some(self.place());
                    self.at += 1;
                }
                b')' if open.take().is_some() => self.at += 1,
                b'(' | b')' => return Err(self.place().wrong(ZoneErrorKind::Parenthesis)),
                b'"' => tokens.push(self.quoted()?),
                _ => tokens.push(self.word()),
            }
        }
        if let Some(place) = open {
            return Err(place.wrong(ZoneErrorKind::Parenthesis));
        }
        let end = self.place();
        Ok((!tokens.is_empty()).then_some(Entry { indented, tokens, end }))
    }

    fn quoted(&mut self) -> Result<Token<'a>, ZoneError> {
        let place = self.place();
        self.at += 1;
        let raw = self.until(|octet| matches!(octet, b'"' | b'\n'));
        if self.text.get(self.at) != Some(&b'"') {
            return Err(place.wrong(ZoneErrorKind::Quote));
        }
        self.at += 1;
        Ok(Token { raw, quoted: true, place })
    }

    fn word(&mut self) -> Token<'a> {
        let place = self.place();
        let raw = self.until(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"'));
        Token { raw, quoted: false, place }
    }

    /// Takes what comes before an octet that ends it; an escaped octet ends
    /// nothing, but for the end of the line.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while let Some(octet) = self.text.get(self.at) {
            let escaped = *octet == b'\\' && !matches!(self.text.get(self.at + 1), None | Some(b'\n'));
            if escaped {
                self.at += 2;
            } else if ends(*octet) {
                break;
            } else {
                self.at += 1;
            }
        }
        &self.text[start..self.at]
    }
}

/// The words of an entry that are still to be read.
struct Fields<'e, 'a> {
    tokens: &'e [Token<'a>],
    origin: &'e Name,
    end: Place,
}

impl<'e, 'a> Fields<'e, 'a> {
    fn next(&mut self, what: &'static str) -> Result<&'e Token<'a>, ZoneError> {
        let (first, rest) = self.tokens.split_first().ok_or(self.end.wrong(ZoneErrorKind::Missing(what)))?;
        self.tokens = rest;
        Ok(first)
    }

    fn done(&self) -> Result<(), ZoneError> {
        match self.tokens.first() {
            Some(token) => Err(token.wrong(ZoneErrorKind::Excess)),
            None => Ok(()),
        }
    }

    fn parse<T>(&mut self, what: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, ZoneError> {
        let token = self.next(what)?;
        let value = token.word().and_then(read);
        value.ok_or(token.wrong(ZoneErrorKind::Invalid(what)))
    }

    fn number<T: std::str::FromStr>(&mut self, what: &'static str) -> Result<T, ZoneError> {
        self.parse(what, |text| {
            let digits = text.bytes().all(|octet| octet.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        })
    }

    fn name(&mut self, what: &'static str) -> Result<Name, ZoneError> {
        let token = self.next(what)?;
        if token.quoted {
            return Err(token.wrong(ZoneErrorKind::Invalid(what)));
        }
        if token.raw == b"@" {
            return Ok(self.origin.clone());
        }
        let name = Name::read(token.raw).and_then(|(name, absolute)| match absolute {
            true => Ok(name),
            false => name.join(self.origin),
        });
        name.map_err(|error| token.wrong(error.into()))
    }

    fn ttl(&mut self, what: &'static str) -> Result<u32, ZoneError> {
        let token = self.next(what)?;
        let ttl = token.word().and_then(read_ttl);
        ttl.ok_or(token.wrong(ZoneErrorKind::Ttl))
    }

    /// `[<TTL>] [<class>] <type>` or `[<class>] [<TTL>] <type>`.
    fn ttl_class_type(&mut self) -> Result<(Option<u32>, RecordType), ZoneError> {
        const CLASSES: [&str; 6] = ["IN", "CH", "HS", "CS", "ANY", "NONE"];
        let (mut ttl, mut class) = (None, false);
        loop {
            let before = self.tokens;
            let token = self.next("a record type")?;
            let word = token.word().ok_or(token.wrong(RecordTypeError.into()))?;
            let upper = word.to_ascii_uppercase();
            if ttl.is_none() && word.starts_with(|first: char| first.is_ascii_digit()) {
                self.tokens = before;
                ttl = Some(self.ttl("a TTL")?);
            } else if !class && (CLASSES.contains(&&*upper) || upper.starts_with("CLASS")) {
                if upper != "IN" && upper != "CLASS1" {
                    return Err(token.wrong(ZoneErrorKind::Class));
                }
                class = true;
            } else {
                return match word.parse() {
                    Ok(record_type) => Ok((ttl, record_type)),
                    Err(error) => Err(token.wrong(ZoneErrorKind::Type(error))),
                };
            }
        }
    }

    fn data(&mut self, record_type: RecordType) -> Result<Data, ZoneError> {
        Ok(match record_type {
            RecordType::A => Data::A(self.parse("an IPv4 address", |text| text.parse().ok())?),
            RecordType::AAAA => Data::Aaaa(self.parse("an IPv6 address", |text| text.parse().ok())?),
            RecordType::CNAME => Data::Cname(self.name("a name")?),
            RecordType::NS => Data::Ns(self.name("a name")?),
            RecordType::PTR => Data::Ptr(self.name("a name")?),
            RecordType::MX => Data::Mx(Mx { preference: self.number("a preference")?, exchange: self.name("a name")? }),
            RecordType::SOA => Data::Soa(Soa {
                primary: self.name("a name")?,
                mailbox: self.name("a name")?,
                serial: self.number("a serial number")?,
                refresh: self.ttl("a refresh time")?,
                retry: self.ttl("a retry time")?,
                expire: self.ttl("an expiry time")?,
                minimum: self.ttl("a minimum time")?,
            }),
            RecordType::TLSA => Data::Tlsa(Tlsa {
                usage: self.number("a certificate usage")?,
                selector: self.number("a selector")?,
                matching: self.number("a matching type")?,
                data: self.hex()?,
            }),
            RecordType::TXT => Data::Txt(self.text()?),
            RecordType::SPF => Data::Spf(self.text()?),
            _ => Data::Unknown { record_type, octets: self.unknown()? },
        })
    }

    fn text(&mut self) -> Result<Txt, ZoneError> {
        let mut strings = vec![self.string()?];
        while !self.tokens.is_empty() {
            strings.push(self.string()?);
        }
        Ok(Txt { strings })
    }

    fn string(&mut self) -> Result<Vec<u8>, ZoneError> {
        const WHAT: &str = "a string of at most 255 octets";
        let token = self.next(WHAT)?;
        let invalid = token.wrong(ZoneErrorKind::Invalid(WHAT));
        let mut string = Vec::with_capacity(token.raw.len());
        let mut rest = token.raw;
        while let Some(octet) = rest.first() {
            let (octet, length) = match octet {
                b'\\' => unescape(rest).ok_or(invalid)?,
                octet => (*octet, 1),
            };
            string.push(octet);
            rest = &rest[length..];
        }
        if string.len() > MAX_STRING {
            return Err(invalid);
        }
        Ok(string)
    }

    /// `\# <length> <hex>…` (RFC 3597 §5).
    fn unknown(&mut self) -> Result<Vec<u8>, ZoneError> {
        self.parse(r"the form \# of RFC 3597", |text| (text == r"\#").then_some(()))?;
        let length = self.tokens.first().copied();
        let stated: u16 = self.number("a length")?;
        let octets = self.hex()?;
        match length {
            Some(token) if octets.len() != usize::from(stated) => {
                Err(token.wrong(ZoneErrorKind::Invalid("the length of the data")))
            }
            _ => Ok(octets),
        }
    }

    /// All the rest, hexadecimal digits in any number of words.
    fn hex(&mut self) -> Result<Vec<u8>, ZoneError> {
        const WHAT: &str = "hexadecimal digits in pairs";
        let mut octets = Vec::new();
        let mut high = None;
        while let Some(token) = self.tokens.first() {
            self.tokens = &self.tokens[1..];
            for digit in token.raw {
                let digit = char::from(*digit).to_digit(16).filter(|_| !token.quoted);
                let digit = digit.and_then(|digit| u8::try_from(digit).ok());
                let digit = digit.ok_or(token.wrong(ZoneErrorKind::Invalid(WHAT)))?;
                match high.take() {
                    Some(high) => octets.push(high << 4 | digit),
                    None => high = Some(digit),
                }
            }
        }
        match high {
            Some(_) => Err(self.end.wrong(ZoneErrorKind::Missing(WHAT))),
            None => Ok(octets),
        }
    }
}

/// Seconds, or numbers with the units `w`, `d`, `h`, `m`, `s`.
fn read_ttl(text: &str) -> Option<u32> {
    let (mut total, mut number) = (0_u32, None::<u32>);
    for octet in text.bytes() {
        if octet.is_ascii_digit() {
            let digit = u32::from(octet - b'0');
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    if text.is_empty() {
        return None;
    }
    total.checked_add(number.unwrap_or(0)).filter(|ttl| *ttl <= MAX_TTL)
}

#[cfg(test)]
mod tests;
