use hikyaku_dns::Name;
use hikyaku_message::HeaderLimits;

use crate::dkim;

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
        Self { iprev: false, spf: false, dkim: None, arc: false, dmarc: false, trusted_sealers: Vec::new(), header }
    }

    /// Whether anything of the message itself is looked at.
    pub(super) fn read_message(&self) -> bool {
        self.dkim.is_some() || self.arc || self.dmarc
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { iprev: true, spf: true, dkim: Some(dkim::Rules::default()), arc: true, dmarc: true, ..Self::none() }
    }
}
