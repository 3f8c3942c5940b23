//! The names of extensions (RFC 5321 §4.1.1.1).

use std::{fmt, str::FromStr};

use super::{
    packed::word,
    words::{CapabilityError, CapabilityErrorKind, LINE_LIMIT},
};

/// The name of an SMTP extension in the EHLO reply. An unknown one is a value like any other.
///
/// Names compare without regard to case; one that is known prints in upper case.
///
/// ```
/// use hikyaku_wire::EhloKeyword;
///
/// assert_eq!("pipelining".parse(), Ok(EhloKeyword::PIPELINING));
/// assert_eq!("X-New".parse::<EhloKeyword>().unwrap().as_str(), "X-New");
/// assert!("X NEW".parse::<EhloKeyword>().is_err());
/// ```
#[derive(Clone, Copy)]
pub struct EhloKeyword<T = Box<str>>(Name<T>);

#[derive(Clone, Copy)]
enum Name<T> {
    Known(Known),
    /// None of the known ones.
    Other(T),
}

macro_rules! keywords {
    ($($known:ident $constant:ident $text:literal $doc:literal;)*) => {
        /// The extensions that have a type of their own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Known { $($known),* }

        impl Known {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$known),*];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$known => $text),* }
            }

            /// A bit of its own for each of them.
            pub(super) const fn bit(self) -> u32 {
                1 << self as u32
            }

            #[inline(always)]
            pub(super) const fn of_word(word: [u64; 3]) -> Option<Self> {
                match word {
                    $(names::$constant => Some(Self::$known),)*
                    _ => None,
                }
            }
        }

        impl EhloKeyword {
            $(#[doc = $doc] pub const $constant: Self = Self(Name::Known(Known::$known));)*
        }

        mod names {
            $(pub(super) const $constant: [u64; 3] = super::super::packed::word($text.as_bytes()).0;)*
        }
    };
}

keywords! {
    Pipelining PIPELINING "PIPELINING" "RFC 2920";
    Size SIZE "SIZE" "RFC 1870";
    EightBitMime EIGHTBITMIME "8BITMIME" "RFC 6152";
    SmtpUtf8 SMTPUTF8 "SMTPUTF8" "RFC 6531";
    EnhancedStatusCodes ENHANCEDSTATUSCODES "ENHANCEDSTATUSCODES" "RFC 2034";
    StartTls STARTTLS "STARTTLS" "RFC 3207";
    Auth AUTH "AUTH" "RFC 4954";
    Chunking CHUNKING "CHUNKING" "RFC 3030";
    BinaryMime BINARYMIME "BINARYMIME" "RFC 3030";
    Dsn DSN "DSN" "RFC 3461";
    DeliverBy DELIVERBY "DELIVERBY" "RFC 2852";
    FutureRelease FUTURERELEASE "FUTURERELEASE" "RFC 4865";
    MtPriority MT_PRIORITY "MT-PRIORITY" "RFC 6710";
    RequireTls REQUIRETLS "REQUIRETLS" "RFC 8689";
    Limits LIMITS "LIMITS" "RFC 9422";
    Etrn ETRN "ETRN" "RFC 1985";
    Vrfy VRFY "VRFY" "RFC 5321 §4.1.1.6";
    Expn EXPN "EXPN" "RFC 5321 §4.1.1.7";
    Help HELP "HELP" "RFC 5321 §4.1.1.8";
    NoSoliciting NO_SOLICITING "NO-SOLICITING" "RFC 3865";
    Burl BURL "BURL" "RFC 4468";
    XClient XCLIENT "XCLIENT" "What a proxy in front of the server may tell of its client.";
}

fn is_keyword(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

impl<'a> EhloKeyword<&'a str> {
    /// `ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")` (RFC 5321 §4.1.1.1)
    ///
    /// # Errors
    /// [`CapabilityError`] says which octet does not belong.
    pub fn parse(text: &'a str) -> Result<Self, CapabilityError> {
        if text.len() > LINE_LIMIT {
            return Err(CapabilityErrorKind::TooLong.at(LINE_LIMIT));
        }
        let odd = text.bytes().position(|b| !is_keyword(b));
        if let Some(at) = odd.or_else(|| (text.is_empty() || text.starts_with('-')).then_some(0)) {
            return Err(CapabilityErrorKind::Keyword.at(at));
        }
        Ok(Self(Known::of_word(word(text.as_bytes()).0).map_or(Name::Other(text), Name::Known)))
    }
}

impl<T: AsRef<str>> EhloKeyword<T> {
    /// The keyword, in upper case if it is known.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Known(known) => known.as_str(),
            Name::Other(text) => text.as_ref(),
        }
    }

    /// The same keyword with a text of its own.
    pub fn into_owned(self) -> EhloKeyword {
        EhloKeyword(match self.0 {
            Name::Known(known) => Name::Known(known),
            Name::Other(text) => Name::Other(text.as_ref().into()),
        })
    }

    pub(super) fn known(&self) -> Option<Known> {
        match self.0 {
            Name::Known(known) => Some(known),
            Name::Other(_) => None,
        }
    }

    /// A bit of its own for each known keyword, none for others.
    pub(super) fn bit(&self) -> u32 {
        self.known().map_or(0, Known::bit)
    }
}

impl<T> From<Known> for EhloKeyword<T> {
    fn from(known: Known) -> Self {
        Self(Name::Known(known))
    }
}

impl FromStr for EhloKeyword {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        EhloKeyword::parse(text).map(EhloKeyword::into_owned)
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<EhloKeyword<U>> for EhloKeyword<T> {
    fn eq(&self, other: &EhloKeyword<U>) -> bool {
        match (&self.0, &other.0) {
            (Name::Known(a), Name::Known(b)) => a == b,
            (Name::Other(a), Name::Other(b)) => a.as_ref().eq_ignore_ascii_case(b.as_ref()),
            _ => false,
        }
    }
}

impl<T: AsRef<str>> Eq for EhloKeyword<T> {}

impl<T: AsRef<str>> fmt::Debug for EhloKeyword<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EhloKeyword({self})")
    }
}

impl<T: AsRef<str>> fmt::Display for EhloKeyword<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<Known> {
        Known::of_word(word(text).0)
    }

    #[test]
    fn every_known_name_is_found() {
        let names: Vec<_> = Known::ALL.iter().map(|known| known.as_str()).collect();
        for (&known, &name) in Known::ALL.iter().zip(&names) {
            for text in [name.to_owned(), name.to_lowercase()] {
                let keyword: EhloKeyword = text.parse().unwrap();
                assert_eq!((keyword.known(), keyword.as_str()), (Some(known), name));
            }
            for near in
                [format!("{name}X"), format!("X{name}"), name[1..].to_owned(), name[..name.len() - 1].to_owned()]
            {
                assert_eq!(read(near.as_bytes()), None, "{near}");
            }
        }
        let bits = names.iter().fold(0, |all, name| all | name.parse::<EhloKeyword>().unwrap().bit());
        assert_eq!(bits.count_ones() as usize, names.len());
    }

    #[test]
    fn only_the_case_of_letters_is_lost() {
        for octet in 0..=255u8 {
            for name in ["SIZE", "8BITMIME", "NO-SOLICITING", "DSN"] {
                for place in 0..name.len() {
                    let mut word = name.as_bytes().to_vec();
                    word[place] = octet;
                    // Control characters and spaces stand in no line that is split.
                    if octet > b' ' {
                        let same = word.eq_ignore_ascii_case(name.as_bytes());
                        assert_eq!(read(&word) == read(name.as_bytes()), same, "{name} {place} {octet}");
                    }
                }
            }
        }
        assert_eq!(read("X".repeat(25).as_bytes()), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn a_keyword_is_letters_digits_and_hyphens() {
        let error = |text: &str| text.parse::<EhloKeyword>().unwrap_err();
        for (text, at) in [("", 0), ("-A", 0), ("A B", 1), ("A\r\n", 1), ("A=B", 1), ("Aü", 1), ("A_B", 1)] {
            assert_eq!(error(text), CapabilityErrorKind::Keyword.at(at), "{text:?}");
        }
        assert_eq!(error(&"A".repeat(507)), CapabilityErrorKind::TooLong.at(506));
        let x = |text: &str| text.parse::<EhloKeyword>().unwrap();
        assert_eq!(x("x-new"), x("X-NEW"));
        assert_ne!(x("x-new"), x("x-newer"));
        assert_eq!(format!("{} {:?}", x("9a-"), x("x-new")), "9a- EhloKeyword(x-new)");
    }
}
