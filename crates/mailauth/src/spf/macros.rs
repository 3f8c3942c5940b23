//! Macros of SPF (RFC 7208 §7): read once, expanded when a term needs it.

mod expand;

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use hikyaku_dns::{Name, NameError};

pub(super) use expand::Values;

/// Longest name that is looked up, in characters; of a longer one labels are dropped on the left
/// (RFC 7208 §7.3).
const MAX_NAME: usize = 253;
/// `delimiter` (RFC 7208 §7.1).
const DELIMITERS: &[u8; 7] = b".-+,/_=";

/// `macro-string` (RFC 7208 §7.1): text with macros in it.
///
/// ```text
/// macro-string     = *( macro-expand / macro-literal )
/// macro-expand     = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MacroString {
    pieces: Vec<Piece>,
}

/// The name that a term speaks of (RFC 7208 §7.1): a name of the DNS, or a text with macros that
/// makes one.
///
/// ```text
/// domain-spec      = macro-string domain-end
/// domain-end       = ( "." toplabel [ "." ] ) / macro-expand
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainSpec(Spec);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Spec {
    /// Shared, as an evaluation holds it while it is there.
    Name(Arc<Name>),
    Macros(MacroString),
}

/// What is wrong with a macro, a text or a name in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacroError {
    /// A `%` that begins no macro (RFC 7208 §7.1).
    #[error("a % begins a macro: %{{letter}}, or %% for the character itself")]
    Percent,
    /// A letter without a meaning (RFC 7208 §7.2).
    #[error("there is no macro of this letter")]
    Letter,
    /// `c`, `r` or `t` outside of an explanation's text (RFC 7208 §7.2).
    #[error("the macros c, r and t are for the text of an explanation only")]
    OnlyInExplanation,
    /// A number of parts that is zero (RFC 7208 §7.3).
    #[error("the number of parts that a macro keeps is at least 1")]
    Zero,
    /// Something else behind the letter than digits, `r` and delimiters.
    #[error("a macro is a letter, then digits, then r, then delimiters of .-+,/_= and a closing brace")]
    Form,
    /// White space, a control character, or an octet outside ASCII.
    #[error("an octet that is no visible character of ASCII")]
    Octet,
    /// A name that ends neither in a top label nor in a macro (RFC 7208 §7.1).
    #[error("a name has two labels or more and ends in a top label, which is not all digits, or in a macro")]
    TopLabel,
    /// A text without macros that is no name of the DNS.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Text(Box<str>),
    Percent,
    Space,
    EscapedSpace,
    Macro(Macro),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Macro {
    letter: Letter,
    /// Whether the letter is upper case: the value is escaped as in a URL.
    escaped: bool,
    /// How many parts are kept, on the right; 0 for all.
    keep: u16,
    reversed: bool,
    /// One bit for each of [`DELIMITERS`].
    delimiters: u8,
}

macro_rules! letters {
    ($($variant:ident $letter:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        enum Letter {
            $($variant),*
        }

        impl Letter {
            fn of(octet: u8) -> Option<Self> {
                match octet.to_ascii_lowercase() {
                    $($letter => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn octet(self) -> u8 {
                match self {
                    $(Self::$variant => $letter),*
                }
            }
        }
    };
}

letters! {
    Sender b's',
    LocalPart b'l',
    SenderDomain b'o',
    Domain b'd',
    Address b'i',
    Validated b'p',
    Version b'v',
    Hello b'h',
    ReadableAddress b'c',
    Receiver b'r',
    Time b't',
}

impl MacroString {
    /// Reads a macro string as it stands in a record.
    ///
    /// # Errors
    ///
    /// [`MacroError`].
    pub fn parse(text: &[u8]) -> Result<Self, MacroError> {
        read(text, false)
    }

    /// About how many octets it takes beside itself.
    pub(super) fn size(&self) -> usize {
        let texts = self.pieces.iter().map(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 });
        self.pieces.capacity() * size_of::<Piece>() + texts.sum::<usize>()
    }

    /// `explain-string` (RFC 7208 §6.2): may also hold spaces, and the letters `c`, `r` and `t`.
    pub(super) fn parse_explanation(text: &[u8]) -> Result<Self, MacroError> {
        read(text, true)
    }
}

impl DomainSpec {
    /// Reads a domain-spec as it stands in a record.
    ///
    /// # Errors
    ///
    /// [`MacroError`]; one without macros must be a name of the DNS.
    pub fn parse(text: &[u8]) -> Result<Self, MacroError> {
        let macros = MacroString::parse(text)?;
        let Some(Piece::Text(end)) = macros.pieces.last() else {
            // `domain-end` may be a macro, but something must be there.
            return if text.is_empty() { Err(MacroError::TopLabel) } else { Ok(Self(Spec::Macros(macros))) };
        };
        let end = end.strip_suffix('.').unwrap_or(end).as_bytes();
        let dot = memchr::memrchr(b'.', end).ok_or(MacroError::TopLabel)?;
        if !is_top_label(&end[dot + 1..]) {
            return Err(MacroError::TopLabel);
        }
        // A text that is too long is cut when it is expanded, and stays what it is until then.
        if macros.pieces.len() == 1 && text.strip_suffix(b".").unwrap_or(text).len() <= MAX_NAME {
            return Ok(Self(Spec::Name(Arc::new(name_of(text)?))));
        }
        Ok(Self(Spec::Macros(macros)))
    }

    /// The name, if there is no macro in it and it is not too long to be one.
    pub fn name(&self) -> Option<&Name> {
        match &self.0 {
            Spec::Name(name) => Some(name),
            Spec::Macros(_) => None,
        }
    }

    /// About how many octets it takes beside itself.
    pub(super) fn size(&self) -> usize {
        match &self.0 {
            Spec::Name(name) => size_of::<Name>() + name.labels().map(|label| 1 + label.len()).sum::<usize>(),
            Spec::Macros(macros) => macros.size(),
        }
    }

    /// The name, or the text that makes one.
    pub(super) fn name_or_macros(&self) -> Result<&Arc<Name>, &MacroString> {
        match &self.0 {
            Spec::Name(name) => Ok(name),
            Spec::Macros(macros) => Err(macros),
        }
    }
}

/// `toplabel` (RFC 7208 §7.1).
///
/// ```text
/// toplabel         = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
/// ```
fn is_top_label(label: &[u8]) -> bool {
    let ends = |octet: Option<&u8>| octet.is_some_and(u8::is_ascii_alphanumeric);
    ends(label.first())
        && ends(label.last())
        && label.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
        && !label.iter().all(u8::is_ascii_digit)
}

/// The name of an expanded text: nothing is escaped in it, a final dot means nothing, and of one
/// that is too long labels are dropped on the left.
fn name_of(text: &[u8]) -> Result<Name, NameError> {
    let mut text = text.strip_suffix(b".").unwrap_or(text);
    if text.len() > MAX_NAME {
        let from = text.len() - MAX_NAME - 1;
        let dot = memchr::memchr(b'.', &text[from..]).ok_or(NameError::LabelTooLong(0))?;
        text = &text[from + dot + 1..];
    }
    Name::from_labels(text.split(|octet| *octet == b'.'))
}

fn read(text: &[u8], explanation: bool) -> Result<MacroString, MacroError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        let (literal, after) = rest.split_at(length);
        if !literal.is_empty() {
            let visible = |octet: u8| octet.is_ascii_graphic() || (explanation && octet == b' ');
            if !literal.iter().copied().all(visible) {
                return Err(MacroError::Octet);
            }
            pieces.push(Piece::Text(std::str::from_utf8(literal).map_err(|_| MacroError::Octet)?.into()));
        }
        rest = match after {
            [] => after,
            [_, b'%', rest @ ..] => {
                pieces.push(Piece::Percent);
                rest
            }
            [_, b'_', rest @ ..] => {
                pieces.push(Piece::Space);
                rest
            }
            [_, b'-', rest @ ..] => {
                pieces.push(Piece::EscapedSpace);
                rest
            }
            [_, b'{', rest @ ..] => {
                let (found, rest) = Macro::read(rest, explanation)?;
                pieces.push(Piece::Macro(found));
                rest
            }
            _ => return Err(MacroError::Percent),
        };
    }
    Ok(MacroString { pieces })
}

impl Macro {
    /// Reads what stands behind `%{`, and gives what stands behind the brace.
    fn read(text: &[u8], explanation: bool) -> Result<(Self, &[u8]), MacroError> {
        let (first, mut rest) = text.split_first().ok_or(MacroError::Form)?;
        let letter = Letter::of(*first).ok_or(MacroError::Letter)?;
        if !explanation && matches!(letter, Letter::ReadableAddress | Letter::Receiver | Letter::Time) {
            return Err(MacroError::OnlyInExplanation);
        }
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let keep = rest[..digits]
            .iter()
            .fold(0_u16, |number, digit| number.saturating_mul(10).saturating_add(u16::from(*digit - b'0')));
        if digits > 0 && keep == 0 {
            return Err(MacroError::Zero);
        }
        rest = &rest[digits..];
        let reversed = matches!(rest.first(), Some(b'r' | b'R'));
        rest = &rest[usize::from(reversed)..];
        let mut delimiters = 0;
        loop {
            let (octet, after) = rest.split_first().ok_or(MacroError::Form)?;
            rest = after;
            if *octet == b'}' {
                break;
            }
            let at = DELIMITERS.iter().position(|known| known == octet).ok_or(MacroError::Form)?;
            delimiters |= 1 << at;
        }
        Ok((Self { letter, escaped: first.is_ascii_uppercase(), keep, reversed, delimiters }, rest))
    }
}

/// The labels with dots between them and nothing escaped, as SPF writes names.
pub(super) fn plain(name: &Name) -> String {
    let mut text = String::new();
    for (at, label) in name.labels().enumerate() {
        if at > 0 {
            text.push('.');
        }
        text.extend(label.iter().map(|octet| char::from(*octet)));
    }
    text
}

impl fmt::Display for Macro {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = self.letter.octet();
        let letter = if self.escaped { letter.to_ascii_uppercase() } else { letter };
        write!(out, "%{{{}", char::from(letter))?;
        if self.keep > 0 {
            write!(out, "{}", self.keep)?;
        }
        if self.reversed {
            out.write_char('r')?;
        }
        for (at, delimiter) in DELIMITERS.iter().enumerate() {
            if self.delimiters & (1 << at) != 0 {
                out.write_char(char::from(*delimiter))?;
            }
        }
        out.write_char('}')
    }
}

impl fmt::Display for MacroString {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.write_str(text)?,
                Piece::Percent => out.write_str("%%")?,
                Piece::Space => out.write_str("%_")?,
                Piece::EscapedSpace => out.write_str("%-")?,
                Piece::Macro(found) => found.fmt(out)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for DomainSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Spec::Name(name) => out.write_str(&plain(name)),
            Spec::Macros(macros) => macros.fmt(out),
        }
    }
}

impl FromStr for MacroString {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        Self::parse(text.as_bytes())
    }
}

impl FromStr for DomainSpec {
    type Err = MacroError;

    fn from_str(text: &str) -> Result<Self, MacroError> {
        Self::parse(text.as_bytes())
    }
}
