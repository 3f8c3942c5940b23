//! The reader of master files (RFC 1035 §5, RFC 2308 §4, RFC 3597 §5).

use std::fmt;

use lines::{Comment, Lines, Place, Token};

use crate::name::unescape;
use crate::record::{Data, MAX_STRING};
use crate::{Mx, Name, NameError, RecordType, RecordTypeError, Soa, Tlsa, Txt, Zone};

mod lines;

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

/// What a master file may say and seldom means, and where; lines and columns (octets of the line)
/// count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneWarning {
    /// The line.
    pub line: usize,
    /// The octet in the line.
    pub column: usize,
    /// What is doubtful there.
    pub kind: ZoneWarningKind,
}

impl fmt::Display for ZoneWarning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, kind } = self;
        write!(out, "line {line}, column {column}: {kind}")
    }
}

/// What can be doubtful in a master file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZoneWarningKind {
    /// A `;` outside quotation marks has ended a text, as in `TXT v=DKIM1; k=rsa; p=…`.
    TextCut,
}

impl fmt::Display for ZoneWarningKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextCut => out.write_str(
                "the text ends here, since an unquoted ; begins a comment; put quotation marks around the text",
            ),
        }
    }
}

pub(crate) fn read(text: &[u8], origin: &Name) -> Result<(Zone, Vec<ZoneWarning>), ZoneError> {
    let mut zone = Zone::default();
    let mut warnings = Vec::new();
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
        let fields_before = entry.tokens.len() - fields.tokens.len();
        let data = fields.data(record_type)?;
        fields.done()?;
        if matches!(data, Data::Txt(_) | Data::Spf(_)) {
            let behind_data = entry.comments.iter().filter(|comment| comment.behind > fields_before);
            warnings.extend(behind_data.filter(|comment| cuts(comment, &entry.tokens)).map(|comment| {
                let Place { line, column } = comment.place;
                ZoneWarning { line, column, kind: ZoneWarningKind::TextCut }
            }));
        }
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
    Ok((zone, warnings))
}

/// Whether a comment looks like the rest of the text before it: it follows without white space, or
/// holds what could be a tag. Behind a quoted string both are needed.
fn cuts(comment: &Comment<'_>, tokens: &[Token<'_>]) -> bool {
    let quoted = tokens.get(comment.behind - 1).is_some_and(|token| token.quoted);
    let tag = comment.raw.contains(&b'=');
    if quoted { comment.adjacent && tag } else { comment.adjacent || tag }
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
        // The form of RFC 3597 is allowed for any type.
        if let Some(token) = self.tokens.first().filter(|token| !token.quoted && token.raw == br"\#") {
            let octets = self.unknown()?;
            let strings = split(&octets).filter(|strings| !strings.is_empty());
            let strings = strings.ok_or(token.wrong(ZoneErrorKind::Invalid("strings, each behind its length")))?;
            return Ok(Txt { strings });
        }
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

/// Strings in wire form.
fn split(mut octets: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = octets.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        strings.push(string.to_vec());
        octets = rest;
    }
    Some(strings)
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
