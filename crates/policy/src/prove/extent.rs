//! How much the lists hold.

use super::{Extent, Row};
use crate::{
    CertificateSet, DomainPattern, Domains, HostSet, Identifier, List, Members, NetworkSet, Networks, Policy, Test,
    Trust,
};

/// The lists that the rows name.
pub(super) fn extents(policy: &Policy, rows: &[Row]) -> Vec<Extent> {
    let named: Vec<&Identifier> = rows.iter().flat_map(|row| row.condition.tests()).filter_map(name).collect();
    policy.lists().iter().filter(|list| named.contains(&&list.name)).map(extent).collect()
}

fn name(test: &Test) -> Option<&Identifier> {
    match test {
        Test::From(NetworkSet::List(name)) => Some(name),
        Test::To(HostSet::List(name)) | Test::Sender(HostSet::List(name)) => Some(name),
        Test::Helo(HostSet::List(name)) | Test::Name(HostSet::List(name)) => Some(name),
        Test::Authenticated(Some(name)) | Test::Certificate(CertificateSet::List(name)) => Some(name),
        _ => None,
    }
}

fn extent(list: &List) -> Extent {
    let (kind, size) = match &list.members {
        Members::Networks(trust, networks) => {
            let kind = match trust {
                Trust::Plain => "networks".to_owned(),
                Trust::Trusted => "trusted networks".to_owned(),
                Trust::Wide => "trusted wide networks".to_owned(),
            };
            (kind, addresses(networks))
        }
        Members::Domains(role, domains) => (format!("{role}domains"), hosts(domains)),
        Members::Names(trusted, domains) => {
            (format!("{}names", if *trusted { "trusted " } else { "" }), hosts(domains))
        }
        Members::Users(users) => ("users".to_owned(), counted(users.len() as u128, "user")),
        Members::Certificates(patterns) => ("certificates".to_owned(), counted(patterns.len() as u128, "certificate")),
    };
    Extent { list: list.name.to_string(), kind, size }
}

/// `256 public and 16.8 M private IPv4 addresses, 1 public IPv6 address`.
fn addresses(networks: &Networks) -> String {
    let mut families = Vec::new();
    for (family, is_v4) in [("IPv4", true), ("IPv6", false)] {
        let (mut public, mut private) = (0_u128, 0_u128);
        for network in networks.iter().filter(|network| network.address().is_ipv4() == is_v4) {
            public = public.saturating_add(network.public());
            private = private.saturating_add(network.size() - network.public());
        }
        let what = |count: u128| format!("{family} address{}", if count == 1 { "" } else { "es" });
        match (public, private) {
            (0, 0) => {}
            (0, private) => families.push(format!("{} private {}", amount(private), what(private))),
            (public, 0) => families.push(format!("{} public {}", amount(public), what(public))),
            _ => families.push(format!("{} public and {} private {family} addresses", amount(public), amount(private))),
        }
    }
    if families.is_empty() { "nobody".to_owned() } else { families.join(", ") }
}

/// `2 names and all below 1`.
fn hosts(domains: &Domains) -> String {
    let (mut names, mut below, mut literals) = (0, 0, 0);
    for pattern in domains.iter() {
        match pattern {
            DomainPattern::All => return "every host".to_owned(),
            DomainPattern::Exactly(_) => names += 1,
            DomainPattern::Below(_) => below += 1,
            DomainPattern::Address(_) => literals += 1,
        }
    }
    let mut parts = Vec::new();
    if names > 0 {
        parts.push(counted(names, "name"));
    }
    if below > 0 {
        parts.push(format!("all below {}", amount(below)));
    }
    if literals > 0 {
        parts.push(counted(literals, "address literal"));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(" and ") }
}

fn counted(count: u128, what: &str) -> String {
    format!("{} {what}{}", amount(count), if count == 1 { "" } else { "s" })
}

/// A number that can be read: `65,536`, `16.8 M`, `2^80`.
fn amount(count: u128) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{},{:03}", count / 1_000, count % 1_000),
        1_000_000..1_000_000_000 => tenths(count, 1_000_000, "M"),
        1_000_000_000..=0x1_0000_0000 => tenths(count, 1_000_000_000, "G"),
        _ if count.is_power_of_two() => format!("2^{}", count.trailing_zeros()),
        _ => format!("over 2^{}", count.ilog2()),
    }
}

fn tenths(count: u128, unit: u128, name: &str) -> String {
    let tenths = (count * 10 + unit / 2) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DomainRole;

    #[test]
    fn amounts_can_be_read() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (65_536, "65,536"),
            (999_999, "999,999"),
            (1_000_000, "1.0 M"),
            (16_777_216, "16.8 M"),
            (1 << 31, "2.1 G"),
            (1 << 32, "4.3 G"),
            (1 << 80, "2^80"),
            ((1 << 80) + 1, "over 2^80"),
            (u128::MAX, "over 2^127"),
        ] {
            assert_eq!(amount(count), text);
        }
    }

    #[test]
    fn lists_say_how_much_they_hold() {
        let size = |members: Members| {
            let Extent { list, kind, size } = extent(&List::new("x".parse().unwrap(), members));
            assert_eq!(list, "x");
            format!("{kind}: {size}")
        };
        let networks = |text: &str| Members::Networks(Trust::Trusted, text.parse().unwrap());
        let domains = |text: &str| Members::Domains(DomainRole::Local, text.parse().unwrap());
        for (members, text) in [
            (networks("203.0.113.0/24, 10.0.0.0/8"), "trusted networks: 256 public and 16.8 M private IPv4 addresses"),
            (
                networks("203.0.113.1, 2001:db8::/48"),
                "trusted networks: 1 public IPv4 address, 2^80 public IPv6 addresses",
            ),
            (networks("127.0.0.1, ::1"), "trusted networks: 1 private IPv4 address, 1 private IPv6 address"),
            (networks("none"), "trusted networks: nobody"),
            (
                domains("a.example, b.example, *.a.example, [192.0.2.1]"),
                "local domains: 2 names and all below 1 and 1 address literal",
            ),
            (domains("*"), "local domains: every host"),
            (domains("none"), "local domains: nothing"),
            (Members::Names(true, "a.example".parse().unwrap()), "trusted names: 1 name"),
            (Members::Users(vec!["a".into(), "b".into()]), "users: 2 users"),
        ] {
            assert_eq!(size(members), text);
        }
    }
}
