//! A message is signed while it streams in (RFC 6376 §5).

use std::sync::Arc;

use hikyaku_dns::Name;
use hikyaku_mailauth::dkim::Signing;
use hikyaku_message::{AddressList, Header, HeaderLimits};
use hikyaku_wire::{Reply, Timestamp};

use crate::signing::Keys;

/// The signatures of one message.
#[derive(Debug)]
pub(super) enum Signature {
    /// Who the author is, and so which keys sign, is not known before the header section is over.
    Author { keys: Arc<Keys>, limits: HeaderLimits, section: Vec<u8> },
    /// It is being signed.
    Signing(Box<Signing>),
    /// There is no key for its author.
    Nobody,
}

impl Signature {
    pub(super) fn new(keys: Arc<Keys>, limits: HeaderLimits) -> Self {
        Self::Author { keys, limits, section: Vec::new() }
    }

    /// Takes the next piece; `over`: the header section ends in it, or before. The header section
    /// is as large as the intake lets it be.
    pub(super) fn push(&mut self, piece: &[u8], over: bool) {
        match self {
            Self::Author { section, .. } => {
                section.extend_from_slice(piece);
                if over {
                    self.begin();
                }
            }
            Self::Signing(signing) => signing.push(piece),
            Self::Nobody => {}
        }
    }

    /// The message is over: the fields that go in front of it and of what stands before it.
    ///
    /// # Errors
    /// The keys do not sign: the client is to come again.
    pub(super) fn finish(mut self, before: &str, now: Timestamp) -> Result<String, Reply> {
        self.begin();
        match self {
            Self::Signing(signing) => signing
                .finish(before, now)
                .map_err(|error| Reply::LOCAL_ERROR_451.append(&format!(": the message cannot be signed: {error}"))),
            Self::Author { .. } | Self::Nobody => Ok(String::new()),
        }
    }

    /// The header section is over.
    fn begin(&mut self) {
        let Self::Author { keys, limits, section } = self else { return };
        let signers = author(section, *limits).map(|author| keys.signers(&author)).unwrap_or_default();
        *self = if signers.is_empty() {
            Self::Nobody
        } else {
            let mut signing = Signing::with_limits(signers, *limits);
            signing.push(section);
            Self::Signing(Box::new(signing))
        };
    }
}

/// The domain of the author; of the first, if there are several.
fn author(section: &[u8], limits: HeaderLimits) -> Option<Name> {
    let from = Header::parse(section, limits).ok()?.only("From")?;
    let authors = AddressList::parse(from.raw_value()).ok()?;
    let mailbox = authors.mailboxes().next()?.address().mailbox().ok()?;
    Name::from_domain(&mailbox.host().to_string()).ok()
}
