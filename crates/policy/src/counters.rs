//! What is counted between transactions: rates, and who was seen before.

mod lines;
mod rates;
mod recent;
#[cfg(test)]
mod tests;
mod triplets;

use std::net::IpAddr;

pub use self::{rates::Rates, triplets::Triplets};

/// The octets of the network that a client is taken for: /24 of IPv4, /64 of IPv6. Whoever has one
/// address of it has them all.
fn network(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}
