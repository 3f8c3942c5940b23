//! Authentication results (RFC 8601): the result words that SPF, DKIM, DMARC, ARC and others
//! share with a policy, and the field that carries them.
//!
//! [`AuthenticationResults`] reads and prints the field of RFC 8601 §2.2,
//! [`ArcAuthenticationResults`] that of RFC 8617 §4.1.1, and [`must_remove`] finds the fields
//! that pass themselves off as ours (RFC 8601 §5).
//!
//! ```
//! use hikyaku_message::results::{AuthenticationResults, ResultInfo, Spf, Value};
//!
//! let sender = Value::new("bob@example.org")?;
//! let spf = ResultInfo::from(Spf::Pass).with("smtp", "mailfrom", sender)?;
//! let results = AuthenticationResults::new(Value::new("mx.example.net")?)?.with(spf);
//! let text = "mx.example.net; spf=pass smtp.mailfrom=bob@example.org";
//! assert_eq!(results.to_string(), text);
//!
//! let read = AuthenticationResults::parse(text.as_bytes())?;
//! assert_eq!(read, results);
//! assert_eq!(Spf::of(&read.results()[0]), Some(Spf::Pass));
//! # Ok::<(), hikyaku_message::results::ResultsError>(())
//! ```

use std::fmt;

use hikyaku_wire::EnhancedCode;

mod arc;
mod field;
mod forged;
mod lexer;
mod value;

pub use arc::ArcAuthenticationResults;
pub use field::{AuthenticationResults, Property, ResultInfo};
pub use forged::must_remove;
pub use value::{Keyword, ResultsError, ResultsErrorKind, Value};

/// The result words of one method: an enum, its words, and the road to a [`ResultInfo`].
macro_rules! results {
    ($($(#[$doc:meta])* $name:ident $method:literal { $($(#[$word_doc:meta])* $variant:ident $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
        }

        impl $name {
            /// The method's name (RFC 8601 §2.7).
            pub const METHOD: &'static str = $method;
            /// Every word of the method.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in the field.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The meaning of `word`, in any case; `None` if the method has no such word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(word))
            }

            /// What `info` says, if it is a result of this method in version 1, with a word
            /// that is known.
            #[must_use]
            pub fn of<T: AsRef<str>>(info: &ResultInfo<T>) -> Option<Self> {
                let ours = *info.method() == *Self::METHOD && matches!(info.version(), None | Some(1));
                ours.then(|| Self::parse(info.result().as_str()))?
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<$name> for ResultInfo {
            fn from(result: $name) -> Self {
                Self::known($name::METHOD, result.as_str())
            }
        }
    )+};
}

results! {
    /// What SPF says of the client's right to use a name (RFC 7208 §2.6, RFC 8601 §2.7.2).
    Spf "spf" {
        /// No record was found, or there was no name to look up.
        None "none",
        /// The domain makes no statement about the client.
        Neutral "neutral",
        /// The client is authorized.
        Pass "pass",
        /// The client is not authorized.
        Fail "fail",
        /// The client is probably not authorized.
        SoftFail "softfail",
        /// Local policy did not accept what SPF said.
        Policy "policy",
        /// A failure that may pass, such as a time-out of the DNS.
        TempError "temperror",
        /// The record cannot be interpreted.
        PermError "permerror",
    }
    /// What became of one DKIM signature (RFC 6376 §3.9, RFC 8601 §2.7.1).
    Dkim "dkim" {
        /// The message is not signed.
        None "none",
        /// The signature is good and acceptable.
        Pass "pass",
        /// The signature or the body hash does not match.
        Fail "fail",
        /// The signature is good but local policy does not accept it.
        Policy "policy",
        /// The signature has a form that could not be processed.
        Neutral "neutral",
        /// A failure that may pass, such as a key that could not be fetched.
        TempError "temperror",
        /// A failure that will not pass, such as a missing key or required tag.
        PermError "permerror",
    }
    /// Whether the domain of the author aligns (RFC 9989).
    Dmarc "dmarc" {
        /// The domain has no policy record.
        None "none",
        /// An aligned identifier passed.
        Pass "pass",
        /// No aligned identifier passed.
        Fail "fail",
        /// A failure that may pass.
        TempError "temperror",
        /// A failure that will not pass, such as a message with several authors' domains.
        PermError "permerror",
    }
    /// Whether the chain of ARC sets holds (RFC 8617 §4.4, §10.1).
    Arc "arc" {
        /// The message has no ARC set.
        None "none",
        /// The chain is intact.
        Pass "pass",
        /// The chain is broken.
        Fail "fail",
    }
    /// Whether the client's address has a name that leads back to it (RFC 8601 §3).
    Iprev "iprev" {
        /// Address and name confirm each other.
        Pass "pass",
        /// They do not.
        Fail "fail",
        /// A failure of the DNS that may pass.
        TempError "temperror",
        /// A failure that will not pass, such as an address without a name.
        PermError "permerror",
    }
    /// Whether the client authenticated itself (RFC 4954, RFC 8601 §2.7.4).
    Auth "auth" {
        /// It did not try.
        None "none",
        /// It did.
        Pass "pass",
        /// It tried and failed.
        Fail "fail",
        /// The attempt could not be completed, and may be later.
        TempError "temperror",
        /// The attempt could not be completed.
        PermError "permerror",
    }
    /// Whether the author's domain authorizes the signer (RFC 6541 §8.3).
    Atps "dkim-atps" {
        /// No signature to be authorized.
        None "none",
        /// The signer is authorized.
        Pass "pass",
        /// It is not.
        Fail "fail",
        /// A failure that may pass.
        TempError "temperror",
        /// A failure that will not pass.
        PermError "permerror",
    }
    /// Whether somebody vouches for the domain (RFC 5518, RFC 6212).
    Vbr "vbr" {
        /// Nobody was asked.
        None "none",
        /// Somebody vouches.
        Pass "pass",
        /// Nobody does.
        Fail "fail",
        /// A failure that may pass.
        TempError "temperror",
        /// A failure that will not pass.
        PermError "permerror",
    }
    /// Whether the mailbox has had its owner since the date asked for (RFC 7293 §14).
    Rrvs "rrvs" {
        /// It has.
        Pass "pass",
        /// It has not.
        Fail "fail",
        /// It is not known.
        Unknown "unknown",
        /// A failure that may pass.
        TempError "temperror",
        /// A failure that will not pass.
        PermError "permerror",
    }
    /// What became of an S/MIME signature (RFC 7281 §3.2).
    Smime "smime" {
        /// The message is not signed.
        None "none",
        /// The signature is good.
        Pass "pass",
        /// It is not.
        Fail "fail",
        /// It is good but local policy does not accept it.
        Policy "policy",
        /// It could not be processed.
        Neutral "neutral",
        /// A failure that may pass.
        TempError "temperror",
        /// A failure that will not pass.
        PermError "permerror",
    }
    /// Whether a DNS list of the welcome holds the client (RFC 8904 §2).
    Dnswl "dnswl" {
        /// It does not.
        None "none",
        /// It does.
        Pass "pass",
        /// A failure that may pass.
        TempError "temperror",
        /// A failure that will not pass.
        PermError "permerror",
    }
}

impl Spf {
    /// The status code of a refusal for this result (RFC 7372 §3.2); `None` where it is no
    /// reason to refuse.
    #[must_use]
    pub fn refusal(self) -> Option<EnhancedCode> {
        match self {
            Self::Fail => Some(EnhancedCode::new(5, 7, 23)),
            Self::TempError => Some(EnhancedCode::new(4, 7, 24)),
            Self::PermError => Some(EnhancedCode::new(5, 7, 24)),
            Self::None | Self::Neutral | Self::Pass | Self::SoftFail | Self::Policy => None,
        }
    }
}

impl Iprev {
    /// The status code of a refusal for this result (RFC 7372 §3.3); `None` where it is no
    /// reason to refuse.
    #[must_use]
    pub fn refusal(self) -> Option<EnhancedCode> {
        match self {
            Self::Fail | Self::PermError => Some(EnhancedCode::new(5, 7, 25)),
            Self::TempError => Some(EnhancedCode::new(4, 7, 25)),
            Self::Pass => None,
        }
    }
}

#[cfg(test)]
mod tests;
