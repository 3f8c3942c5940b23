//! What is counted between transactions: rates, and who was seen before.

mod lines;
mod rates;
mod recent;
#[cfg(test)]
mod tests;
mod triplets;

use std::net::IpAddr;

use hikyaku_wire::{Host, Mailbox};

pub use self::{rates::Rates, triplets::Triplets};
use crate::domains::canonical;

/// The host of an address as a key: by its A-labels, if it has them.
fn host(mailbox: &Mailbox) -> String {
    let canonical = mailbox.host().domain().and_then(canonical).map(|name| name.to_ascii_lowercase());
    canonical.unwrap_or_else(|| Host::to_string(mailbox.host()).to_ascii_lowercase())
}

/// An address as a key.
fn address(mailbox: &Mailbox) -> String {
    format!("{}@{}", mailbox.local().content().to_ascii_lowercase(), host(mailbox))
}

/// The octets of the network that a client is taken for: /24 of IPv4, /64 of IPv6. Whoever has one
/// address of it has them all.
fn network(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}
