//! Whether a list works (RFC 5782 §5).

use std::net::{IpAddr, Ipv4Addr};

use hikyaku_dns::{Name, Resolver};

use super::{Broken, List, NoAnswer, reversed};
use crate::{LookupError, Lookups};

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// Domains.
    Domains,
}

/// Why a list is not to be relied upon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelfTestError {
    /// What every list must hold is not there: there is no list, or it is not the kind of list.
    #[error("{0} does not exist: this is no such list, or it has ended")]
    NotListed(Name),
    /// What no list may hold is there: it lists everything.
    #[error("{0} exists: the list holds everything, as one does that has ended")]
    Listed(Name),
    /// An answer says so itself.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It could not be asked.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

impl List {
    /// Asks for the two test entries of RFC 5782 §5, whatever the filter takes: 127.0.0.2 must be
    /// listed and 127.0.0.1 must not, which for IPv6 are `::ffff:7f00:2` and `::ffff:7f00:1`, for
    /// domains `test` and `invalid`. Two lookups.
    ///
    /// # Errors
    /// [`SelfTestError`].
    pub async fn self_test<R: Resolver>(&self, lookups: &Lookups<'_, R>, kind: Kind) -> Result<(), SelfTestError> {
        let address = |last| {
            let v4 = Ipv4Addr::new(127, 0, 0, last);
            match kind {
                Kind::Ipv6 => reversed(IpAddr::V6(v4.to_ipv6_mapped())),
                _ => reversed(IpAddr::V4(v4)),
            }
        };
        let (in_list, not_in_list) = match kind {
            Kind::Ipv4 | Kind::Ipv6 => (address(2), address(1)),
            Kind::Domains => (label(b"test"), label(b"invalid")),
        };
        let in_list = self.entry(&in_list);
        if !self.has(lookups, &in_list).await? {
            return Err(SelfTestError::NotListed(in_list));
        }
        let not_in_list = self.entry(&not_in_list);
        if self.has(lookups, &not_in_list).await? {
            return Err(SelfTestError::Listed(not_in_list));
        }
        Ok(())
    }

    /// A name in the zone; the zone itself if that is too long to hold any.
    fn entry(&self, name: &Name) -> Name {
        name.join(&self.zone).unwrap_or_else(|_| self.zone.clone())
    }

    async fn has<R: Resolver>(&self, lookups: &Lookups<'_, R>, name: &Name) -> Result<bool, SelfTestError> {
        match self.answers(lookups, name).await {
            Ok((answers, _)) => Ok(!answers.is_empty()),
            Err(NoAnswer::Broken(broken)) => Err(broken.into()),
            Err(NoAnswer::Failed(error)) => Err(error.into()),
        }
    }
}

fn label(label: &[u8]) -> Name {
    Name::from_labels([label]).expect("a label of 7 octets fits")
}
