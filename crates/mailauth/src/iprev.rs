//! The name of an address (RFC 8601 §3).

use std::net::IpAddr;

use hikyaku_dns::{Name, Resolver};
use hikyaku_message::results;

use crate::Lookups;

/// What the reverse name of an address is worth (RFC 8601 §3): forward-confirmed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReverseName {
    /// The result.
    pub result: results::Iprev,
    /// The name that leads back to the address.
    pub name: Option<Name>,
}

impl ReverseName {
    /// Looks it up: of at most ten names the first that leads back.
    pub async fn look_up<R: Resolver>(_lookups: &Lookups<'_, R>, _address: IpAddr) -> Self {
        unimplemented!("e: iprev.rs")
    }
}
