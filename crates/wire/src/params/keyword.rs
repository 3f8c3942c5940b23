//! Keywords of parameters as numbers, and the words of a line's tail.

use crate::{
    CommandError, CommandErrorKind, ValueError,
    grammar::{is_keyword, number, number_at},
};

/// The command to which parameters belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Mail,
    Rcpt,
}

/// The keywords for which the parameters of MAIL or RCPT have a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Size,
    Body,
    SmtpUtf8,
    Auth,
    Ret,
    EnvId,
    RequireTls,
    HoldFor,
    HoldUntil,
    By,
    MtPriority,
    Notify,
    OrcPt,
}

impl Keyword {
    /// The keyword that is the first `length` octets of `text`: letters, digits and hyphens, of which
    /// no two have the same number.
    #[inline(always)]
    fn read(text: &[u8], length: usize, of: Of) -> Option<Self> {
        const SIZE: u64 = number(b"SIZE");
        const BODY: u64 = number(b"BODY");
        const SMTPUTF8: u64 = number(b"SMTPUTF8");
        const AUTH: u64 = number(b"AUTH");
        const RET: u64 = number(b"RET");
        const ENVID: u64 = number(b"ENVID");
        const REQUIRETLS: u64 = number(b"REQUIRETLS");
        const HOLDFOR: u64 = number(b"HOLDFOR");
        const HOLDUNTIL: u64 = number(b"HOLDUNTIL");
        const BY: u64 = number(b"BY");
        const MT_PRIORITY: u64 = number(b"MT-PRIORITY");
        const NOTIFY: u64 = number(b"NOTIFY");
        const ORCPT: u64 = number(b"ORCPT");
        let (keyword, rest) = match (of, number_at(text, length)) {
            (Of::Mail, SIZE) => (Self::Size, ""),
            (Of::Mail, BODY) => (Self::Body, ""),
            (Of::Mail, SMTPUTF8) => (Self::SmtpUtf8, ""),
            (Of::Mail, AUTH) => (Self::Auth, ""),
            (Of::Mail, RET) => (Self::Ret, ""),
            (Of::Mail, ENVID) => (Self::EnvId, ""),
            (Of::Mail, REQUIRETLS) => (Self::RequireTls, "LS"),
            (Of::Mail, HOLDFOR) => (Self::HoldFor, ""),
            (Of::Mail, HOLDUNTIL) => (Self::HoldUntil, "L"),
            (Of::Mail, BY) => (Self::By, ""),
            (Of::Mail, MT_PRIORITY) => (Self::MtPriority, "ITY"),
            (Of::Rcpt, NOTIFY) => (Self::Notify, ""),
            (Of::Rcpt, ORCPT) => (Self::OrcPt, ""),
            _ => return None,
        };
        let same = length <= 8 || text[8..length].eq_ignore_ascii_case(rest.as_bytes());
        (same && (length > 8) != rest.is_empty()).then_some(keyword)
    }
}

/// How many octets of `text` are a keyword:
/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`.
fn length(text: &[u8]) -> usize {
    if text.first() == Some(&b'-') {
        return 0;
    }
    text.iter().position(|b| !is_keyword(*b)).unwrap_or(text.len())
}

/// One `esmtp-param` of which the keyword has been read; the value is any text without a space.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    /// The octet of the line at which it stands.
    pub(super) at: usize,
    /// None for a keyword that has no field.
    pub(super) keyword: Option<Keyword>,
    pub(super) name: &'a str,
    pub(super) value: Option<&'a str>,
}

impl<'a> Word<'a> {
    /// Reads the parameter at the start of `text`, which stands at `at` of the line, up to a space;
    /// gives how many octets it has too.
    #[inline(always)]
    pub(super) fn read(text: &'a str, at: usize, of: Of) -> Result<(Self, usize), CommandError> {
        let invalid = |octets| Err(CommandErrorKind::Parameter.at(at + octets));
        let bytes = text.as_bytes();
        let length = length(bytes);
        if length == 0 {
            return invalid(0);
        }
        let (value, end) = match bytes.get(length) {
            None | Some(b' ') => (None, length),
            Some(b'=') => {
                let rest = &text[length + 1..];
                let end = memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
                if end == 0 {
                    return invalid(length);
                }
                (Some(&rest[..end]), length + 1 + end)
            }
            Some(_) => return invalid(length),
        };
        let keyword = Keyword::read(bytes, length, of);
        Ok((Self { at, keyword, name: &text[..length], value }, end))
    }

    /// What is said of a parameter that may not stand where it does.
    pub(super) fn invalid(&self) -> CommandError {
        CommandErrorKind::Parameter.at(self.at)
    }

    /// For a keyword that has no value.
    #[inline(always)]
    pub(super) fn flag(&self, field: &mut bool) -> Result<(), CommandError> {
        match (self.value, std::mem::replace(field, true)) {
            (None, false) => Ok(()),
            _ => Err(self.invalid()),
        }
    }

    /// For a keyword that has a value. One that comes twice is an error, because nobody could say
    /// which one counts.
    #[inline(always)]
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
    of: Of,
}

impl<'a> Tail<'a> {
    /// The rest of `line` from octet `at`.
    pub(super) fn new(line: &'a str, at: usize, of: Of) -> Self {
        Self { line, at, of }
    }

    /// The next parameter, none at the end of the line.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Word<'a>>, CommandError> {
        let rest = &self.line[self.at..];
        let Some(text) = rest.strip_prefix(' ') else {
            return if rest.is_empty() { Ok(None) } else { Err(CommandErrorKind::Parameter.at(self.at)) };
        };
        let (word, octets) = Word::read(text, self.at + 1, self.of)?;
        self.at += 1 + octets;
        Ok(Some(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_known_whole_and_in_any_case() {
        let read = |text: &str, of| Word::read(text, 0, of).unwrap().0.keyword;
        for (text, keyword) in [
            ("SIZE=1", Some(Keyword::Size)),
            ("siZe", Some(Keyword::Size)),
            ("BODY=x", Some(Keyword::Body)),
            ("smtputf8", Some(Keyword::SmtpUtf8)),
            ("Auth=<>", Some(Keyword::Auth)),
            ("RET=x", Some(Keyword::Ret)),
            ("EnvID=x SIZE=1", Some(Keyword::EnvId)),
            ("requireTLS", Some(Keyword::RequireTls)),
            ("HoldFor=1", Some(Keyword::HoldFor)),
            ("holdUNTIL=1", Some(Keyword::HoldUntil)),
            ("by=1", Some(Keyword::By)),
            ("BY=1 a", Some(Keyword::By)),
            ("mt-Priority=1", Some(Keyword::MtPriority)),
            ("SIZ", None),
            ("SIZEX", None),
            ("XSIZE", None),
            ("SMTPUTF8X", None),
            ("SMTPUTF", None),
            ("SMTPUTFx", None),
            ("REQUIRET", None),
            ("REQUIRETL", None),
            ("REQUIRETLX", None),
            ("REQUIRETLSX", None),
            ("HOLDUNTI", None),
            ("MT-PRIORITYX-AND-MORE", None),
            ("MT-PRIOR=1 ITY", None),
            ("NOTIFY=x", None),
        ] {
            assert_eq!(read(text, Of::Mail), keyword, "{text}");
        }
        assert_eq!(read("notify=NEVER", Of::Rcpt), Some(Keyword::Notify));
        assert_eq!(read("OrcPt=x", Of::Rcpt), Some(Keyword::OrcPt));
        assert_eq!(read("SIZE=1", Of::Rcpt), None);
    }
}
