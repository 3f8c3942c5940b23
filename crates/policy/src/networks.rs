//! Networks: which client addresses a list holds.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

/// The block of the IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2).
const MAPPED: Network = Network::v6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// The blocks from which no stranger on the Internet can connect (RFC 6890 and its registries).
/// None of them holds another.
pub(crate) const SPECIAL_USE: [Network; 13] = [
    Network::v4(Ipv4Addr::new(0, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(10, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(100, 64, 0, 0), 10),
    Network::v4(Ipv4Addr::new(127, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(169, 254, 0, 0), 16),
    Network::v4(Ipv4Addr::new(172, 16, 0, 0), 12),
    Network::v4(Ipv4Addr::new(192, 168, 0, 0), 16),
    Network::v4(Ipv4Addr::new(198, 18, 0, 0), 15),
    Network::v4(Ipv4Addr::new(224, 0, 0, 0), 3),
    Network::v6(Ipv6Addr::LOCALHOST, 128),
    Network::v6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    Network::v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    Network::v6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// Why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Neither an address nor an address and a prefix length.
    #[error("not a network: write 10.0.0.0/8, 2001:db8::/32 or one address")]
    Syntax,
    /// The prefix is longer than an address of its family.
    #[error("a prefix of {family} has at most {most} bits")]
    PrefixTooLong {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// 32 or 128.
        most: u8,
    },
    /// Bits are set that the prefix does not cover: one of the two is a mistake.
    #[error("{address}/{} has bits set after /{}; the network is {network}", network.prefix, network.prefix)]
    HostBits {
        /// The address as written.
        address: IpAddr,
        /// The network that holds it.
        network: Network,
    },
    /// An IPv6 network that would hold the block of the IPv4-mapped addresses.
    #[error("{0} would hold the IPv4-mapped addresses; an IPv4 client is matched by IPv4 networks only")]
    HoldsMapped(Network),
}

/// One network, `10.0.0.0/8`, `2001:db8::/32` or a single address.
///
/// An IPv4-mapped IPv6 network (`::ffff:192.0.2.0/120`) is the IPv4 network; apart from that no
/// IPv6 network holds an IPv4 client, and no IPv4 network an IPv6 client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    const fn v4(address: Ipv4Addr, prefix: u8) -> Self {
        Self { address: IpAddr::V4(address), prefix }
    }

    const fn v6(address: Ipv6Addr, prefix: u8) -> Self {
        Self { address: IpAddr::V6(address), prefix }
    }

    /// The network of that address and prefix length (in bits).
    ///
    /// # Errors
    /// A prefix that is too long, bits set after it, and an IPv6 network other than `::/0` that
    /// would hold the IPv4-mapped addresses.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        let written = Self { address, prefix };
        if prefix > written.width() {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            return Err(NetworkError::PrefixTooLong { family, most: written.width() });
        }
        let network = Self { address: written.first(), prefix };
        if network != written {
            return Err(NetworkError::HostBits { address, network });
        }
        if MAPPED.is_within(&network) {
            return match (address.to_canonical(), prefix) {
                (IpAddr::V4(_), 96) => Ok(Self::v4(Ipv4Addr::UNSPECIFIED, 0)),
                (IpAddr::V6(_), 0) => Ok(network),
                _ => Err(NetworkError::HoldsMapped(network)),
            };
        }
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(inner)) => Ok(Self::v4(inner, prefix - 96)),
            _ => Ok(network),
        }
    }

    /// The network's first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix in bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the address is in it; an IPv4-mapped IPv6 address is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self { address, prefix: self.prefix }.first() == self.address
    }

    fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }

    fn is_within(&self, outer: &Self) -> bool {
        self.prefix >= outer.prefix && Self { address: self.address, prefix: outer.prefix }.first() == outer.address
    }

    /// Addresses in it; all of IPv6 counts as one less.
    pub(crate) fn size(&self) -> u128 {
        1_u128.checked_shl(u32::from(self.width() - self.prefix)).unwrap_or(u128::MAX)
    }

    /// Addresses in it from which a stranger on the Internet could connect.
    pub(crate) fn public(&self) -> u128 {
        if SPECIAL_USE.iter().any(|special| self.is_within(special)) {
            return 0;
        }
        let special: u128 = SPECIAL_USE.iter().filter(|special| special.is_within(self)).map(Self::size).sum();
        self.size() - special
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| NetworkError::Syntax);
        };
        let plain = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
        if !plain || (prefix.len() > 1 && prefix.starts_with('0')) {
            return Err(NetworkError::Syntax);
        }
        let address = address.parse().map_err(|_| NetworkError::Syntax)?;
        Self::new(address, prefix.parse().unwrap_or(u8::MAX))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == self.width() { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.prefix) }
    }
}

/// A list of networks, sorted, each address at most once: a member that another one holds is
/// left out. It prints as `10.0.0.0/8, 2001:db8::/32`, and as `none` where it is empty. Cloning it
/// copies nothing.
///
/// ```
/// use hikyaku_policy::Networks;
///
/// let office: Networks = "192.0.2.0/24, 2001:db8::/32".parse().unwrap();
/// assert!(office.contains("::ffff:192.0.2.5".parse().unwrap()));
/// assert!(!office.contains("192.0.3.5".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Networks(Arc<Set>);

#[derive(Debug, Default)]
struct Set {
    networks: Vec<Network>,
    // The same as first and last addresses, so that a look-up compares plain numbers.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl PartialEq for Networks {
    fn eq(&self, other: &Self) -> bool {
        self.0.networks == other.0.networks
    }
}

impl Eq for Networks {}

impl Hash for Networks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.networks.hash(state);
    }
}

impl Networks {
    /// Whether the address is in one of the networks; an IPv4-mapped IPv6 address is the IPv4
    /// address. Nothing is allocated, and the work grows with the logarithm of the list's length.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => within(&self.0.v4, address.to_bits()),
            IpAddr::V6(address) => within(&self.0.v6, address.to_bits()),
        }
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many networks there are.
    pub fn len(&self) -> usize {
        self.0.networks.len()
    }

    /// The networks in order, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = &Network> {
        self.0.networks.iter()
    }

    /// Whether all of a network is in one of them.
    pub(crate) fn holds(&self, network: &Network) -> bool {
        let networks = &self.0.networks;
        let after = networks.partition_point(|other| other.address <= network.address);
        after > 0 && network.is_within(&networks[after - 1])
    }

    /// The networks that do not stand in the other list as they do here.
    pub(crate) fn without(&self, other: &Self) -> Self {
        self.iter().filter(|network| other.0.networks.binary_search(network).is_err()).copied().collect()
    }
}

/// Whether a number lies in one of the spans, which are sorted and do not meet.
fn within<T: Ord + Copy>(spans: &[(T, T)], number: T) -> bool {
    let after = spans.partition_point(|(first, _)| *first <= number);
    after > 0 && number <= spans[after - 1].1
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let mut networks: Vec<_> = networks.into_iter().collect();
        // What holds a network begins at the same address or before and is sorted before it.
        networks.sort_unstable();
        networks.dedup_by(|next, kept| next.is_within(kept));
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in &networks {
            match network.address {
                IpAddr::V4(first) => {
                    let rest = u32::MAX.checked_shr(network.prefix.into()).unwrap_or(0);
                    v4.push((first.to_bits(), first.to_bits() | rest));
                }
                IpAddr::V6(first) => {
                    let rest = u128::MAX.checked_shr(network.prefix.into()).unwrap_or(0);
                    v6.push((first.to_bits(), first.to_bits() | rest));
                }
            }
        }
        Self(Arc::new(Set { networks, v4, v6 }))
    }
}

impl FromStr for Networks {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        if text.trim() == "none" {
            return Ok(Self::default());
        }
        text.split(',').map(|network| network.trim().parse()).collect()
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, network) in self.iter().enumerate() {
            write!(f, "{}{network}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(text: &str) -> Networks {
        text.parse().unwrap()
    }

    fn holds(text: &str, address: &str) -> bool {
        networks(text).contains(address.parse().unwrap())
    }

    #[test]
    fn d48_an_ipv4_mapped_client_is_the_ipv4_client() {
        assert!(holds("192.0.2.0/24", "::ffff:192.0.2.5"));
        assert!(holds("::ffff:192.0.2.0/120", "192.0.2.5"));
        assert_eq!(networks("::ffff:192.0.2.0/120").to_string(), "192.0.2.0/24");
        assert_eq!(networks("::ffff:192.0.2.7").to_string(), "192.0.2.7");
        assert_eq!(networks("::ffff:0:0/96").to_string(), "0.0.0.0/0");
        for (list, client) in [
            ("::/96", "192.0.2.5"),
            ("::/0", "192.0.2.5"),
            ("::/0", "::ffff:192.0.2.5"),
            ("0.0.0.0/0", "::192.0.2.5"),
            ("0.0.0.0/0", "2001:db8::1"),
        ] {
            assert!(!holds(list, client), "{list} {client}");
        }
        let network: Network = "2001:db8::/48".parse().unwrap();
        assert!(!network.contains("192.0.2.5".parse().unwrap()), "an IPv4 address has no 48 bits");
        assert!(
            holds("::/96", "::192.0.2.5") && holds("::/0", "2001:db8::1") && holds("0.0.0.0/0", "::ffff:192.0.2.5")
        );
    }

    #[test]
    fn both_ends_of_a_network() {
        for (list, first, last, before, after) in [
            ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
            ("192.0.2.8/29", "192.0.2.8", "192.0.2.15", "192.0.2.7", "192.0.2.16"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.0", "192.0.2.2"),
            ("128.0.0.0/1", "128.0.0.0", "255.255.255.255", "127.255.255.255", "0.0.0.0"),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7::", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::1", "2001:db8::", "2001:db8::2"),
        ] {
            assert!(holds(list, first) && holds(list, last), "{list}");
            assert!(!holds(list, before) && !holds(list, after), "{list}");
        }
    }

    #[test]
    fn lists_are_sorted_and_hold_each_address_once() {
        for (text, printed) in [
            ("none", "none"),
            ("192.0.2.0/24,10.0.0.0/8", "10.0.0.0/8, 192.0.2.0/24"),
            ("10.1.0.0/16, 10.0.0.0/8 ,10.255.255.255, 10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/8, 10.0.0.0/16, 11.0.0.0/8", "10.0.0.0/8, 11.0.0.0/8"),
            ("2001:DB8:0::/48, 127.0.0.1/32, ::1", "127.0.0.1, ::1, 2001:db8::/48"),
        ] {
            assert_eq!(networks(text).to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_network() {
        use NetworkError::*;
        let error = |text: &str| text.parse::<Network>().unwrap_err();
        for text in [
            "",
            "10",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "/8",
            "010.0.0.0/8",
            "10.0.0.0/-1",
            "fe80::1%eth0",
            "fe80::%1/10",
            "[::1]",
            "example.org",
            "10.0.0.0 /8",
            "10.0.0.0/1000",
            "*",
        ] {
            assert_eq!(error(text), Syntax, "{text}");
        }
        assert_eq!(error("10.0.0.0/33"), PrefixTooLong { family: "IPv4", most: 32 });
        assert_eq!(error("10.0.0.0/300"), PrefixTooLong { family: "IPv4", most: 32 });
        assert_eq!(error("::/129"), PrefixTooLong { family: "IPv6", most: 128 });
        assert_eq!(error("10.0.0.1/8").to_string(), "10.0.0.1/8 has bits set after /8; the network is 10.0.0.0/8");
        assert_eq!(error("1.0.0.0/0").to_string(), "1.0.0.0/0 has bits set after /0; the network is 0.0.0.0/0");
        assert_eq!(
            error("2001:db8::1/64").to_string(),
            "2001:db8::1/64 has bits set after /64; the network is 2001:db8::/64"
        );
        assert_eq!(
            error("::ffff:192.0.2.1/120").to_string(),
            "::ffff:192.0.2.1/120 has bits set after /120; the network is ::ffff:192.0.2.0/120"
        );
        for text in ["::/64", "::/80", "::/1"] {
            assert!(matches!(error(text), HoldsMapped(_)), "{text}");
        }
        assert!("10.0.0.0/8,".parse::<Networks>().is_err() && "".parse::<Networks>().is_err());
    }

    #[test]
    fn public_addresses() {
        let public = |text: &str| text.parse::<Network>().unwrap().public();
        for text in
            ["10.0.0.0/8", "10.2.0.0/16", "127.0.0.1", "192.168.0.0/16", "240.0.0.0/4", "::1", "fd00::/8", "fe80::1"]
        {
            assert_eq!(public(text), 0, "{text}");
        }
        assert_eq!(public("203.0.113.0/24"), 256);
        assert_eq!(public("10.0.0.0/7"), 1 << 24);
        assert_eq!(public("172.0.0.0/8"), (1 << 24) - (1 << 20));
        assert_eq!(public("128.0.0.0/1"), (1 << 31) - (1 << 29) - (1 << 20) - (1 << 17) - 2 * (1 << 16));
        assert_eq!(public("2000::/3"), 1 << 125);
        assert!(public("::/0") > 1 << 126);
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            (0_u32..8).prop_map(|low| IpAddr::V4(Ipv4Addr::from_bits(low))),
            any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
            (0_u128..8).prop_map(|low| IpAddr::V6(Ipv6Addr::from_bits(low))),
            any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from_bits(bits).to_ipv6_mapped())),
        ]
    }

    fn network() -> impl Strategy<Value = Network> {
        (address(), any::<u8>()).prop_filter_map("holds the mapped block", |(address, prefix)| {
            let written = Network { address, prefix: 0 };
            let prefix = prefix % (written.width() + 1);
            Network::new(Network { address, prefix }.first(), prefix).ok()
        })
    }

    proptest! {
        #[test]
        fn lists_print_and_parse(members in proptest::collection::vec(network(), 0..12)) {
            let list: Networks = members.into_iter().collect();
            prop_assert_eq!(list.to_string().parse(), Ok(list));
        }

        /// The oracle compares bit by bit and knows nothing of sorting.
        #[test]
        fn a_list_holds_what_one_member_holds(members in proptest::collection::vec(network(), 0..12), other in address(), pick: usize, low: u8) {
            let near = match members.get(pick % members.len().max(1)).map(Network::address) {
                Some(IpAddr::V4(first)) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits().wrapping_sub(2).wrapping_add(low.into()))),
                Some(IpAddr::V6(first)) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits().wrapping_sub(2).wrapping_add(low.into()))),
                None => other,
            };
            let bits = |address: IpAddr| match address.to_canonical() {
                IpAddr::V4(address) => format!("4{:032b}", address.to_bits()),
                IpAddr::V6(address) => format!("6{:0128b}", address.to_bits()),
            };
            let list: Networks = members.iter().copied().collect();
            for client in [near, other] {
                let expected = members.iter().any(|member| bits(client).starts_with(&bits(member.address)[..=usize::from(member.prefix)]));
                prop_assert_eq!(list.contains(client), expected, "{} {}", list, client);
            }
        }
    }
}
