//! How many connections and how many failed logins: what all listeners together allow.

/// The bounds that hold over all connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once of one IPv4 address, or of one IPv6 /64.
    pub connections_per_ip: usize,
    /// Failed logins of one IPv4 address, or of one IPv6 /64, in a quarter of an hour.
    pub auth_attempts_per_ip: u32,
    /// Failed logins of one user in a quarter of an hour.
    pub auth_attempts_per_user: u32,
    /// Whether the limits for one address hold for loopback and `exempt` too.
    pub loopback: bool,
    /// Networks for which they do not hold.
    pub exempt: hikyaku_policy::Networks,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            connections: 2000,
            connections_per_ip: 50,
            auth_attempts_per_ip: 20,
            auth_attempts_per_user: 20,
            loopback: false,
            exempt: hikyaku_policy::Networks::default(),
        }
    }
}

/// Counts connections and failed logins over all listeners.
#[derive(Debug)]
pub struct Gate {}

impl Gate {
    /// A gate with these bounds.
    pub fn new(limits: GateLimits) -> Self {
        let _ = limits;
        Self {}
    }
}
