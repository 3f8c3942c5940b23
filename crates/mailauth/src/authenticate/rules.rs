use hikyaku_dns::Name;
use hikyaku_message::HeaderLimits;

use crate::dkim;

/// Lookups that DMARC needs for the policy of the author's domain, and for one that aligns with it
/// (RFC 9989 §4.10): eight to find the record, one for the name itself, some for a subdomain.
const DMARC: u32 = 12;

/// Which checks are made, and how.
///
/// [`Rules::default`] makes all of them and trusts no sealer; [`Rules::none`] makes none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Whether the name of the client's address is looked up.
    pub iprev: bool,
    /// Whether SPF is checked; DMARC needs it.
    pub spf: bool,
    /// Whether signatures are verified, and how; DMARC needs them.
    pub dkim: Option<dkim::Rules>,
    /// Whether the chain of ARC sets is verified.
    pub arc: bool,
    /// Whether DMARC is evaluated.
    pub dmarc: bool,
    /// Whether the author's domain is read, which asks nobody; DMARC needs it.
    pub author: bool,
    /// Whose ARC seals are believed: only these can say that a failure of DMARC was none where
    /// they saw the message (RFC 8617 §7.2.1). Empty: nobody's.
    pub trusted_sealers: Vec<Name>,
    /// How large a header section may be; of a larger one nothing is verified.
    pub header: HeaderLimits,
}

impl Rules {
    /// No check at all, to switch on what is wanted.
    #[must_use]
    pub fn none() -> Self {
        let header = HeaderLimits::default();
        Self {
            iprev: false,
            spf: false,
            dkim: None,
            arc: false,
            dmarc: false,
            author: false,
            trusted_sealers: Vec::new(),
            header,
        }
    }

    /// Lookups that are left for DMARC while signatures are verified.
    pub(super) fn held_for_dmarc(&self) -> u32 {
        if self.dmarc { DMARC } else { 0 }
    }

    /// Lookups that are left for the message while the client is checked.
    pub(super) fn held_for_message(&self) -> u32 {
        let keys = self.dkim.as_ref().map_or(0, |rules| u32::try_from(rules.signatures).unwrap_or(u32::MAX));
        keys.min(10) + self.held_for_dmarc()
    }

    /// Whether anything of the message itself is looked at.
    pub(super) fn read_message(&self) -> bool {
        self.dkim.is_some() || self.arc || self.dmarc || self.author
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { iprev: true, spf: true, dkim: Some(dkim::Rules::default()), arc: true, dmarc: true, ..Self::none() }
    }
}
