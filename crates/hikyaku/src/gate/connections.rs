//! The connections that are open, in all and of each address.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use hikyaku_session::server::Limit;

use super::{Gate, lock};

/// How many connections are open.
#[derive(Debug, Default)]
pub(super) struct Connections {
    total: usize,
    /// Of networks that have any.
    each: HashMap<IpAddr, usize>,
}

/// A connection that was let in; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    gate: Arc<Gate>,
    network: Option<IpAddr>,
}

impl Admitted {
    /// `network` is none where the limit for one address does not hold.
    pub(super) fn new(gate: &Arc<Gate>, network: Option<IpAddr>) -> Result<Self, Limit> {
        let mut open = lock(&gate.connections);
        if open.total >= gate.limits.connections {
            return Err(Limit::Connections);
        }
        if let Some(network) = network {
            if open.each.get(&network).copied().unwrap_or_default() >= gate.limits.connections_per_ip {
                return Err(Limit::ConnectionsPerIp);
            }
            *open.each.entry(network).or_default() += 1;
        }
        open.total += 1;
        gate.look_around(open.total);
        Ok(Self { gate: gate.clone(), network })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = lock(&self.gate.connections);
        open.total -= 1;
        if let Some(network) = self.network
            && let Some(count) = open.each.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                open.each.remove(&network);
            }
        }
        self.gate.look_around(open.total);
    }
}

impl Gate {
    /// The system allows less than the limit does: it is crowded until there is room for another.
    pub(crate) fn exhausted(&self) {
        self.crowded.send_if_modified(|crowded| !std::mem::replace(crowded, true));
    }

    /// Between the two marks it stays as it was, so that it does not change with every connection.
    fn look_around(&self, total: usize) {
        let (used, all) = (total.saturating_mul(10), self.limits.connections);
        self.crowded.send_if_modified(|crowded| {
            let before = *crowded;
            *crowded = used > all.saturating_mul(8) || (before && used >= all.saturating_mul(7));
            *crowded != before
        });
    }
}

#[cfg(test)]
impl Gate {
    /// How many connections count, and for how many networks.
    pub(super) fn open(&self) -> (usize, usize) {
        let open = lock(&self.connections);
        (open.total, open.each.len())
    }
}
