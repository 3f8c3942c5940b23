//! Names that a policy gives: of lists, routes and custom conditions.

use std::{fmt, str::FromStr};

/// The words of the language that nothing can have as its name.
const KEYWORDS: &[&str] = &[
    "accounts",
    "aligned",
    "always",
    "and",
    "any",
    "anyone",
    "anywhere",
    "arc",
    "as",
    "at",
    "authenticated",
    "author",
    "ca",
    "certificate",
    "certificates",
    "connect",
    "credential",
    "custom",
    "defer",
    "dkim",
    "dmarc",
    "domain",
    "domains",
    "exists",
    "fail",
    "file",
    "from",
    "hello",
    "helo",
    "hops",
    "hours",
    "ip",
    "iprev",
    "known",
    "limit",
    "listed",
    "lmtp",
    "local",
    "mail",
    "mailbox",
    "means",
    "message",
    "mx",
    "name",
    "names",
    "network",
    "networks",
    "neutral",
    "never",
    "no",
    "none",
    "not",
    "null",
    "on",
    "open",
    "or",
    "owned",
    "pass",
    "per",
    "permerror",
    "permit",
    "quarantine",
    "rate",
    "recipient",
    "recipients",
    "refuse",
    "reject",
    "relay",
    "sender",
    "shadow",
    "size",
    "softfail",
    "spf",
    "spki",
    "strangers",
    "submission",
    "submissions",
    "tag",
    "tls",
    "to",
    "trusted",
    "unknown",
    "user",
    "users",
    "via",
    "when",
    "wide",
    "yes",
];

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// Not a letter and then letters, digits, `-` and `_`.
    #[error("a name is a letter, then letters, digits, `-` and `_`")]
    Syntax,
    /// A word that means something else.
    #[error("`{0}` is a word of the policy language")]
    Keyword(&'static str),
}

/// The name of a list, a route or a custom condition: a letter, then letters, digits, `-` and `_`; no word of the language.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(Box<str>);

impl Identifier {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.bytes().all(plain) {
            return Err(IdentifierError::Syntax);
        }
        match KEYWORDS.iter().find(|word| **word == text) {
            Some(word) => Err(IdentifierError::Keyword(word)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_taken_for_anything_else() {
        for name in ["ours", "local_domains", "A-1", "Trusted"] {
            assert_eq!(name.parse::<Identifier>().unwrap().to_string(), name);
        }
        for name in ["", "1a", "-a", "_a", "a b", "a.b", "ü", "a=", "a\n"] {
            assert_eq!(name.parse::<Identifier>(), Err(IdentifierError::Syntax), "{name}");
        }
        for name in KEYWORDS {
            assert_eq!(name.parse::<Identifier>(), Err(IdentifierError::Keyword(name)));
        }
    }
}
