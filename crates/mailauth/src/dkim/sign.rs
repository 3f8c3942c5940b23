//! Signing (RFC 6376 §5).

use std::sync::Arc;
use std::time::Duration;

use hikyaku_dns::Name;
use hikyaku_message::{FieldSpan, HeaderLimit, HeaderLimits};
use hikyaku_wire::Timestamp;

use super::hashed::{self, Fields, last};
use super::signature::is_label;
use crate::gathered::{Gathered, Unsound, fields};
use crate::tag_field::{TagField, Unsigned};
use crate::{BodyHashes, Canonicalization, Hash, HashId, SigningKey, SigningKeyError};

/// Fields that are signed once more often than they are there: nobody can add one, which many
/// readers would show instead of the one that was signed (RFC 6376 §8.15).
const CLOSED: [&str; 7] = ["From", "Reply-To", "Subject", "Date", "To", "Cc", "Content-Type"];

/// Fields that are signed where they are there: those that say what the message is
/// (RFC 6376 §5.4.1). What hosts on the way add or change is none of them.
const OPEN: [&str; 20] = [
    "Sender",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
];

/// One signature to be made: whose, and how.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The signing domain, `d=`.
    pub domain: Name,
    /// The selector, `s=`.
    pub selector: Name,
    /// The key.
    pub key: Arc<SigningKey>,
    /// The canonical form of the header section; relaxed by [`new`](Self::new).
    pub header: Canonicalization,
    /// The canonical form of the body; relaxed by [`new`](Self::new).
    pub body: Canonicalization,
}

impl Signer {
    /// A signature over the relaxed forms.
    pub fn new(domain: Name, selector: Name, key: Arc<SigningKey>) -> Self {
        Self { domain, selector, key, header: Canonicalization::Relaxed, body: Canonicalization::Relaxed }
    }

    /// Whether verifiers read a signature of this domain and selector, and can look its key up: the
    /// domain has two labels or more, those of both are letters, digits, hyphens and underscores
    /// without a hyphen at an end (RFC 6376 §3.5), and the name of the key has at most 253 octets.
    ///
    /// # Errors
    /// [`SignError::Domain`] and [`SignError::Selector`].
    pub fn check_names(domain: &Name, selector: &Name) -> Result<(), SignError> {
        let is_read = |name: &Name| name.labels().all(|label| label.is_ascii() && is_label(label));
        if !is_read(domain) || domain.labels().nth(1).is_none() {
            return Err(SignError::Domain(domain.clone()));
        }
        let key_name = selector.labels().chain([&b"_domainkey"[..]]).chain(domain.labels());
        if !is_read(selector) || selector.is_root() || Name::from_labels(key_name).is_err() {
            return Err(SignError::Selector(selector.clone()));
        }
        Ok(())
    }
}

/// The signing of a message that streams by, with several keys in one pass: each canonical form
/// of the body is hashed once. Memory is the header section.
///
/// Signed are From, Reply-To, Subject, Date, To, Cc and Content-Type, each once more often than
/// it is there, and of Sender, Message-ID, In-Reply-To, References, MIME-Version,
/// Content-Transfer-Encoding, `Resent-*` and `List-*` those that are there; all of the body
/// (there is no `l=`). The octets are signed as they come, also bare CR and LF: a host that
/// changes them on the way breaks the signature.
///
/// ```
/// use std::sync::Arc;
/// use hikyaku_mailauth::{SigningKey, dkim};
/// use hikyaku_wire::Timestamp;
///
/// let (key, _) = SigningKey::ed25519(&[7; 32])?;
/// let signer = dkim::Signer::new("example.org".parse()?, "s1".parse()?, Arc::new(key));
/// let mut signing = dkim::Signing::new(vec![signer]);
/// for piece in [&b"From: a@example.org\r\nSubj"[..], b"ect: hello\r\n\r\nHi.\r\n"] {
///     signing.push(piece);
/// }
/// let field = signing.finish("", Timestamp::from_millis(1_790_000_000_000))?;
/// assert!(field.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Signing {
    signers: Vec<(Signer, HashId)>,
    gathered: Gathered,
    lifetime: Option<Duration>,
}

impl Signing {
    /// Begins a message, of which the header section is held to the default limits.
    pub fn new(signers: Vec<Signer>) -> Self {
        Self::with_limits(signers, HeaderLimits::default())
    }

    /// Begins a message with other limits of the header section.
    pub fn with_limits(signers: Vec<Signer>, limits: HeaderLimits) -> Self {
        let mut bodies = BodyHashes::default();
        let signers = signers.into_iter().map(|signer| {
            let hash = bodies.want(signer.body, None, Hash::Sha256);
            (signer, hash)
        });
        Self { signers: signers.collect(), gathered: Gathered::new(limits, bodies), lifetime: None }
    }

    /// The signatures expire so long after they are made, `x=`, in whole seconds, at least one;
    /// without this they do not.
    #[must_use]
    pub fn expiring(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Takes the next piece of the message, from its first octet on.
    pub fn push(&mut self, piece: &[u8]) {
        if !self.signers.is_empty() {
            self.gathered.push(piece);
        }
    }

    /// The message is over: the `DKIM-Signature` fields that go in front of it, and in front of
    /// `prepended`, fields that stand in front of the message and are signed too (a Date that was
    /// added), if they are of those that are signed. Each ends in CR LF, and they stand in the
    /// order of the signers; without signers there are none, whatever the message.
    ///
    /// One signature by an RSA key takes about half a millisecond (2048 bit) or four (4096 bit).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn finish(self, prepended: &str, now: Timestamp) -> Result<String, SignError> {
        if self.signers.is_empty() {
            return Ok(String::new());
        }
        let (mut section, mut spans, digests) = self.gathered.finish()?;
        if !prepended.is_empty() {
            if !prepended.ends_with("\r\n") || fields(prepended.as_bytes()).is_none() {
                return Err(SignError::Prepended);
            }
            section = [prepended.as_bytes(), &section].concat();
            spans = hashed::spans(&fields(&section).ok_or(SignError::Malformed)?);
        }
        let fields = Fields::of(&section, spans.into());
        match fields.count(b"From") {
            0 => return Err(SignError::NoFrom),
            1 => {}
            _ => return Err(SignError::SeveralFrom),
        }
        let form = Form { names: covered(&fields, &[]), fields, now, lifetime: self.lifetime };
        let mut text = String::new();
        for (signer, hash) in &self.signers {
            let mut field = TagField::new("DKIM-Signature");
            field.tag("v", "1");
            text.push_str(&form.sign(field, signer, digests.digest(*hash))?);
        }
        Ok(text)
    }
}

/// What is the same in all signatures of a message.
pub(crate) struct Form<'a> {
    /// `h=`
    pub(crate) names: Vec<&'a str>,
    pub(crate) fields: Fields<'a>,
    pub(crate) now: Timestamp,
    pub(crate) lifetime: Option<Duration>,
}

impl Form<'_> {
    /// Makes a signature of the field, which has begun.
    pub(crate) fn sign(&self, mut field: TagField, signer: &Signer, body: &[u8]) -> Result<String, SignError> {
        let Signer { header, body: form, .. } = signer;
        begin(&mut field, signer, self.now)?;
        field.tag("c", &format!("{}/{}", header.as_str(), form.as_str()));
        if let Some(lifetime) = self.lifetime {
            let expires = seconds(self.now).saturating_add(lifetime.as_secs().max(1));
            field.tag("x", &expires.to_string());
        }
        field.list("h", &self.names);
        field.base64("bh", body);
        // Most messages have less to sign.
        let mut signed = Vec::with_capacity(2048);
        self.fields.named(self.names.join(":").as_bytes(), None, *header, &mut signed);
        finish(field.unsigned(), signer, *header, signed)
    }
}

/// Writes what all fields with signatures have: by whom, by which key, and when.
pub(crate) fn begin(field: &mut TagField, signer: &Signer, now: Timestamp) -> Result<(), SignError> {
    let Signer { domain, selector, key, .. } = signer;
    Signer::check_names(domain, selector)?;
    field.tag("a", key.algorithm());
    field.tag("d", &domain.to_string());
    field.tag("s", &selector.to_string());
    field.tag("t", &seconds(now).to_string());
    Ok(())
}

/// Signs what is gathered so far and the field itself.
pub(crate) fn finish(
    field: Unsigned,
    signer: &Signer,
    form: Canonicalization,
    mut signed: Vec<u8>,
) -> Result<String, SignError> {
    let text = field.text().as_bytes();
    let colon = memchr::memchr(b':', text).unwrap_or(text.len()) as u64;
    let span = FieldSpan { start: 0, colon, end: text.len() as u64 };
    let own = span.field(text).expect("a field that was written has a colon");
    let end = own.raw_value().len();
    last(&own, end..end, form, &mut signed);
    Ok(field.sign(&signer.key.sign(&signed)?))
}

/// Whole seconds since 1970, as `t=` has them.
fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.as_millis() / 1000).unwrap_or(0)
}

/// The names that are signed, each as often as it is signed; `more` are signed where they are
/// there, like those of [`OPEN`].
pub(crate) fn covered<'n>(fields: &Fields<'_>, more: &[&'n str]) -> Vec<&'n str> {
    let closed = CLOSED.iter().map(|name| (*name, fields.count(name.as_bytes()) + 1));
    let open = OPEN.iter().chain(more).map(|name| (*name, fields.count(name.as_bytes())));
    closed.chain(open).flat_map(|(name, count)| std::iter::repeat_n(name, count)).collect()
}

/// Why a message was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It has no From field: what nobody has written cannot be signed (RFC 6376 §5.4).
    #[error("the message has no From field")]
    NoFrom,
    /// It has more than one From field: who is shown as its author is not known (RFC 6376 §8.15).
    #[error("the message has more than one From field")]
    SeveralFrom,
    /// Its header section is over a limit.
    #[error("{0}")]
    Limit(HeaderLimit),
    /// Its header section does not consist of fields, holds a CR or LF alone, or does not end with
    /// an empty line: others may see other fields than were signed.
    #[error("the header section of the message is malformed")]
    Malformed,
    /// What goes in front of it does not consist of fields that end in CR LF.
    #[error("what goes in front of the message is not header fields")]
    Prepended,
    /// The signing domain is no host name of at least two labels.
    #[error(
        "{0} cannot be the domain of a signature: verifiers read only one of at least two labels of letters, digits, \
         hyphens and underscores, without a hyphen at an end of a label"
    )]
    Domain(Name),
    /// The selector is no host name, or the name of the key would be too long with it.
    #[error(
        "{0} cannot be a selector: verifiers read only labels of letters, digits, hyphens and underscores, without \
         a hyphen at an end of a label, and names of keys of at most 253 octets"
    )]
    Selector(Name),
    /// The key has made no signature.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
}

impl From<Unsound> for SignError {
    fn from(unsound: Unsound) -> Self {
        match unsound {
            Unsound::Limit(limit) => Self::Limit(limit),
            Unsound::Malformed => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests;
