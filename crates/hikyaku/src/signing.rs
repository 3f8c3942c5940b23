//! The keys that sign what users send (RFC 6376).

use std::path::PathBuf;

use hikyaku_dns::Name;

/// A key that signs the mail of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// The domain that signs: mail whose author's address is in it, or in a domain below it that
    /// has no key of its own.
    pub domain: Name,
    /// The selector: the public half is published under `SELECTOR._domainkey.DOMAIN`.
    pub selector: Name,
    /// The file of the private key, as PEM.
    pub file: PathBuf,
}

impl DkimKey {
    /// Where the public half is published (RFC 6376 §3.6.2.1); `None` if that is too long for a
    /// DNS name.
    pub fn record(&self) -> Option<Name> {
        let label = Name::from_labels([&b"_domainkey"[..]]).ok()?;
        self.selector.join(&label.join(&self.domain).ok()?).ok()
    }
}
