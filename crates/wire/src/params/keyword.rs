//! Keywords of parameters as numbers, and the words of a line's tail.

use crate::{CommandError, CommandErrorKind, ValueError};

/// A keyword in upper case as one number: its octets, the last one lowest. Of a keyword of more
/// than 16 octets it is the last 16; the known ones are shorter, so that none can be mistaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keyword(u128);

impl Keyword {
    pub(super) const SIZE: Self = Self::of(b"SIZE");
    pub(super) const BODY: Self = Self::of(b"BODY");
    pub(super) const SMTPUTF8: Self = Self::of(b"SMTPUTF8");
    pub(super) const AUTH: Self = Self::of(b"AUTH");
    pub(super) const RET: Self = Self::of(b"RET");
    pub(super) const ENVID: Self = Self::of(b"ENVID");
    pub(super) const REQUIRETLS: Self = Self::of(b"REQUIRETLS");
    pub(super) const HOLDFOR: Self = Self::of(b"HOLDFOR");
    pub(super) const HOLDUNTIL: Self = Self::of(b"HOLDUNTIL");
    pub(super) const BY: Self = Self::of(b"BY");
    pub(super) const MT_PRIORITY: Self = Self::of(b"MT-PRIORITY");
    pub(super) const NOTIFY: Self = Self::of(b"NOTIFY");
    pub(super) const ORCPT: Self = Self::of(b"ORCPT");

    const fn of(text: &[u8]) -> Self {
        let (mut number, mut at) = (0, 0);
        while at < text.len() {
            number = number << 8 | text[at] as u128;
            at += 1;
        }
        Self(number)
    }

    /// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")` at the start of `text`, and how many
    /// octets it has.
    pub(super) fn read(text: &str) -> Option<(Self, usize)> {
        let (mut number, mut length) = (0, 0);
        for byte in text.bytes() {
            if !byte.is_ascii_alphanumeric() && (byte != b'-' || length == 0) {
                break;
            }
            number = number << 8 | u128::from(byte.to_ascii_uppercase());
            length += 1;
        }
        (length > 0).then_some((Self(number), length))
    }

    /// Whether the parameters of this command have a field for the keyword.
    pub(super) fn has_field(self, of: Of) -> bool {
        match of {
            Of::Mail => matches!(
                self,
                Self::SIZE
                    | Self::BODY
                    | Self::SMTPUTF8
                    | Self::AUTH
                    | Self::RET
                    | Self::ENVID
                    | Self::REQUIRETLS
                    | Self::HOLDFOR
                    | Self::HOLDUNTIL
                    | Self::BY
                    | Self::MT_PRIORITY
            ),
            Of::Rcpt => matches!(self, Self::NOTIFY | Self::ORCPT),
        }
    }
}

/// The command to which parameters belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Mail,
    Rcpt,
}

/// One `esmtp-param` of which the keyword has been read; the value is any text without a space.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    /// The octet of the line at which it stands.
    pub(super) at: usize,
    pub(super) keyword: Keyword,
    pub(super) name: &'a str,
    pub(super) value: Option<&'a str>,
}

impl<'a> Word<'a> {
    /// Reads a word without spaces that stands at `at` of the line.
    pub(super) fn read(text: &'a str, at: usize) -> Result<Self, CommandError> {
        let (keyword, length) = Keyword::read(text).ok_or(CommandErrorKind::Parameter.at(at))?;
        let (name, rest) = text.split_at(length);
        let value = match rest.as_bytes() {
            [] => None,
            [b'=', _, ..] => Some(&rest[1..]),
            _ => return Err(CommandErrorKind::Parameter.at(at + length)),
        };
        Ok(Self { at, keyword, name, value })
    }

    /// What is said of a parameter that may not stand where it does.
    pub(super) fn invalid(&self) -> CommandError {
        CommandErrorKind::Parameter.at(self.at)
    }

    /// For a keyword that has no value.
    pub(super) fn flag(&self, field: &mut bool) -> Result<(), CommandError> {
        match (self.value, std::mem::replace(field, true)) {
            (None, false) => Ok(()),
            _ => Err(self.invalid()),
        }
    }

    /// For a keyword that has a value. One that comes twice is an error, because nobody could say
    /// which one counts.
    pub(super) fn set<V>(
        &self,
        field: &mut Option<V>,
        parse: impl FnOnce(&'a str) -> Result<V, ValueError>,
    ) -> Result<(), CommandError> {
        let Some(value) = self.value.filter(|_| field.is_none()) else { return Err(self.invalid()) };
        match parse(value) {
            Ok(value) => *field = Some(value),
            Err(error) => return Err(CommandErrorKind::Value(error.kind).at(self.at + self.name.len() + 1 + error.at)),
        }
        Ok(())
    }
}

/// `*(SP esmtp-param)` up to the end of a line.
pub(super) struct Tail<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Tail<'a> {
    /// The rest of `line` from octet `at`.
    pub(super) fn new(line: &'a str, at: usize) -> Self {
        Self { line, at }
    }

    /// The next parameter, none at the end of the line.
    pub(super) fn next(&mut self) -> Result<Option<Word<'a>>, CommandError> {
        let rest = &self.line[self.at..];
        let Some(text) = rest.strip_prefix(' ') else {
            return if rest.is_empty() { Ok(None) } else { Err(CommandErrorKind::Parameter.at(self.at)) };
        };
        let end = memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len());
        let word = Word::read(&text[..end], self.at + 1)?;
        self.at += 1 + end;
        Ok(Some(word))
    }
}
