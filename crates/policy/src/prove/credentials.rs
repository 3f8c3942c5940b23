//! What a policy declares to be a credential or its own, as far as that can be counted.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Note,
    cuts::Cuts,
    keys::{Key, Kind, Span, address_bits, empty_span},
    suffix,
};
use crate::{
    DomainPattern, DomainRole, Domains, Identifier, Members, Network, Networks, Policy, Trust, networks::SPECIAL_USE,
};

/// A client: `None` has no address.
pub(crate) type Client = Option<u128>;

/// Public addresses that all trusted networks together may hold, IPv4 and IPv6.
const BUDGET: [u128; 2] = [1 << 20, 1 << 100];

/// What is counted.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// Addresses that a stranger may come from.
    pub(crate) strangers: Cuts<Client>,
    /// Names that make their owners no strangers.
    pub(crate) names: Cuts<Key>,
    /// Recipients in local domains.
    pub(crate) local: Cuts<Key>,
    /// Recipients in relay domains.
    pub(crate) relay: Cuts<Key>,
    pub(crate) customs: Vec<Identifier>,
    pub(crate) accounts_open: bool,
    /// What is not counted, and why.
    pub(crate) notes: Vec<Note>,
}

impl Credentials {
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut notes = Vec::new();
        let trusted = trusted(policy, &mut notes);
        let open = networks(policy.settings.strangers.iter());
        let special = networks(&SPECIAL_USE);
        let somewhere = Cuts::span(Some(0), None);
        let mut names = Vec::new();
        // Mail for the bare postmaster is for this server, whatever its domains are (RFC 5321 §4.5.1).
        let (mut local, mut relay) = (vec![empty_span()], Vec::new());
        for (index, list) in policy.lists().iter().enumerate() {
            let line = Some(policy.list_line(index));
            let (kind, domains, spans) = match &list.members {
                Members::Names(true, domains) => (Kind::Host, domains, &mut names),
                Members::Domains(DomainRole::Local, domains) => (Kind::Mailbox, domains, &mut local),
                Members::Domains(DomainRole::Relay, domains) => (Kind::Mailbox, domains, &mut relay),
                _ => continue,
            };
            notes.extend(counted(kind, domains, spans).into_iter().map(|wide| {
                let reason = match wide {
                    DomainPattern::All => "every domain is in it".to_owned(),
                    _ => "anyone can register a name under it".to_owned(),
                };
                let as_what = if kind == Kind::Host { "as a credential" } else { "as ours" };
                Note { line, text: format!("`{}` holds {wide}: {reason}; not counted {as_what}", list.name) }
            }));
        }
        Self {
            strangers: somewhere.minus(&special).minus(&trusted).or(&open),
            names: Cuts::union(names),
            local: Cuts::union(local),
            relay: Cuts::union(relay),
            customs: policy.settings.credentials.clone(),
            accounts_open: policy.settings.accounts_open,
            notes,
        }
    }
}

/// Takes the members that are counted; gives those that are not.
fn counted(kind: Kind, domains: &Domains, spans: &mut Vec<Span>) -> Vec<DomainPattern> {
    let mut wide = Vec::new();
    for pattern in domains.iter() {
        let is_wide = match &pattern {
            DomainPattern::All => true,
            DomainPattern::Below(name) => suffix::is_public(name),
            DomainPattern::Exactly(_) | DomainPattern::Address(_) => false,
        };
        if is_wide {
            wide.push(pattern);
        } else {
            spans.push(kind.span(&pattern));
        }
    }
    wide
}

/// The trusted networks that are counted: all that are declared wide, and of the others, the
/// narrowest first, as many as the budget holds.
fn trusted(policy: &Policy, notes: &mut Vec<Note>) -> Cuts<Client> {
    let lists = || {
        policy.lists().iter().enumerate().filter_map(|(index, list)| match &list.members {
            Members::Networks(trust, networks) if *trust != Trust::Plain => {
                Some((list, Some(policy.list_line(index)), *trust, networks))
            }
            _ => None,
        })
    };
    let mut counted: Vec<Network> = Vec::new();
    let mut narrow: Vec<(u128, Network, usize)> = Vec::new();
    for (index, (list, line, trust, networks)) in lists().enumerate() {
        match trust {
            Trust::Wide => {
                counted.extend(networks.iter());
                let text = format!("`{}` is trusted, however wide it is: {}", list.name, extent(networks));
                notes.push(Note { line, text });
            }
            _ => narrow.extend(networks.iter().map(|network| (network.public(), *network, index))),
        }
    }
    narrow.sort_unstable();
    let mut spent = [0_u128; 2];
    // What is counted so far, by its first address: a wider network takes in those inside of it.
    let mut kept: BTreeMap<u128, (u128, u128)> = BTreeMap::new();
    let mut left_out: BTreeMap<usize, [u128; 2]> = BTreeMap::new();
    for (public, network, list) in narrow {
        let family = usize::from(network.address().is_ipv6());
        let (first, last) = ends(&network);
        let inside: u128 = kept.range(first..=last).map(|(_, (_, public))| public).sum();
        let is_held = kept.range(..=first).next_back().is_some_and(|(_, (end, _))| *end >= last);
        if is_held {
            continue;
        }
        if spent[family] + (public - inside) > BUDGET[family] {
            let left_out = &mut left_out.entry(list).or_default()[family];
            *left_out = left_out.saturating_add(public);
            continue;
        }
        spent[family] += public - inside;
        let taken_in: Vec<_> = kept.range(first..=last).map(|(first, _)| *first).collect();
        for first in taken_in {
            kept.remove(&first);
        }
        kept.insert(first, (last, public));
        counted.push(network);
    }
    for (index, (list, line, ..)) in lists().enumerate() {
        for (family, public) in left_out.get(&index).into_iter().flat_map(|left_out| left_out.iter().enumerate()) {
            if *public > 0 {
                let (name, most) = if family == 0 { ("IPv4", "1,048,576") } else { ("IPv6", "2^100 (a /28)") };
                let text = format!(
                    "trusted networks `{}` holds {} public {name} addresses beyond the {most} that all trusted networks \
                     may hold: not counted as a credential (`trusted wide networks` would be)",
                    list.name,
                    grouped(*public)
                );
                notes.push(Note { line, text });
            }
        }
    }
    networks(&counted)
}

/// How many addresses there are from which a stranger could come.
fn extent(networks: &Networks) -> String {
    let public = |v4: bool| -> u128 {
        let family = networks.iter().filter(|network| network.address().is_ipv4() == v4);
        family.map(Network::public).fold(0, u128::saturating_add)
    };
    format!("{} public IPv4 and {} public IPv6 addresses", grouped(public(true)), grouped(public(false)))
}

/// Digits in groups of three, or a power of two where there are too many of them.
fn grouped(number: u128) -> String {
    if number > 1 << 64 {
        return format!("about 2^{}", 127 - number.leading_zeros());
    }
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The first and the last address of a network.
pub(crate) fn ends(network: &Network) -> (u128, u128) {
    let first = address_bits(network.address());
    let width = if network.address().is_ipv4() { 32 } else { 128 };
    let host = u128::MAX.checked_shr(128 - (width - u32::from(network.prefix()))).unwrap_or(0);
    (first, first | host)
}

/// The clients in some networks. No IPv6 network holds an IPv4 client.
pub(crate) fn networks<'n>(networks: impl IntoIterator<Item = &'n Network>) -> Cuts<Client> {
    const MAPPED: (u128, u128) = (0xffff << 32, 0x1_0000 << 32);
    let mut spans = Vec::new();
    for network in networks {
        let (first, last) = ends(network);
        let until = last.checked_add(1).map(Some);
        if network.address().is_ipv6() && first < MAPPED.0 && last >= MAPPED.1 {
            spans.push((Some(first), Some(Some(MAPPED.0))));
            spans.push((Some(MAPPED.1), until));
        } else {
            spans.push((Some(first), until));
        }
    }
    Cuts::union(spans)
}

pub(crate) fn list(list: &Networks) -> Cuts<Client> {
    networks(list.iter())
}

/// The point of a client on the line.
pub(crate) fn client(address: Option<IpAddr>) -> Client {
    address.map(address_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of the addresses is one that a stranger may come from.
    fn strangers(text: &str, addresses: &[&str]) -> Vec<bool> {
        let policy = Policy::parse(&format!("{text}\npermit"), &mut |_| Err(String::new())).unwrap();
        let credentials = Credentials::of(&policy);
        assert!(!credentials.strangers.contains(&None));
        let point = |address: &&str| client(Some(address.parse().unwrap()));
        addresses.iter().map(|address| credentials.strangers.contains(&point(address))).collect()
    }

    #[test]
    fn who_may_be_anyone() {
        let office = "trusted networks office = 198.51.100.0/24, 2001:db8::/48";
        let addresses = [
            "198.51.100.0",
            "198.51.100.255",
            "198.51.101.0",
            "::ffff:198.51.100.7",
            "2001:db8::1",
            "2001:db8:1::",
            "10.0.0.1",
        ];
        assert_eq!(strangers(office, &addresses), [false, false, true, false, false, true, false]);
        // Behind a proxy there is anyone, trusted or not.
        let docker = "trusted networks docker = 172.17.0.0/16\nstrangers from 172.17.0.1";
        assert_eq!(strangers(docker, &["172.17.0.1", "172.17.0.2", "192.168.0.1"]), [true, false, false]);
        let wide = "trusted wide networks all = 0.0.0.0/0";
        assert_eq!(strangers(wide, &["8.8.8.8", "2600::7"]), [false, true]);
        assert_eq!(strangers("networks plain = 8.8.8.8", &["8.8.8.8"]), [true]);
    }

    #[test]
    fn all_trusted_networks_together_have_one_budget() {
        let blocks =
            |from: u8, n: u8| (from..from + n).map(|b| format!("20.{b}.0.0/16")).collect::<Vec<_>>().join(", ");
        for (text, addresses, expected) in [
            (format!("trusted networks a = {}", blocks(0, 16)), ["20.0.0.1", "20.15.0.1"], [false, false]),
            (format!("trusted networks a = {}", blocks(0, 17)), ["20.15.0.1", "20.16.0.1"], [false, true]),
            (
                format!("trusted networks a = {}\ntrusted networks b = {}", blocks(0, 9), blocks(9, 8)),
                ["20.15.0.1", "20.16.0.1"],
                [false, true],
            ),
            // What is inside of another one counts once.
            (
                "trusted networks a = 20.0.0.0/24\ntrusted networks b = 20.0.0.0/12".to_owned(),
                ["20.0.0.1", "20.15.0.1"],
                [false, false],
            ),
            ("trusted networks a = 20.0.0.0/11".to_owned(), ["20.0.0.1", "20.31.0.1"], [true, true]),
            // Private addresses cost nothing.
            (format!("trusted networks a = 10.0.0.0/8, {}", blocks(0, 16)), ["10.1.2.3", "20.15.0.1"], [false, false]),
            ("trusted networks a = 2001:db8::/32, 2600::/28".to_owned(), ["2001:db8::1", "2600::1"], [false, true]),
            ("trusted networks a = 2600::/28".to_owned(), ["2600::1", "2600:10::"], [false, true]),
            ("trusted networks a = 2600::/27".to_owned(), ["2600::1", "2600:10::"], [true, true]),
        ] {
            assert_eq!(strangers(&text, &addresses), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_counted_is_told() {
        let text = "trusted networks low = 0.0.0.0/1\ntrusted wide networks all = 8.0.0.0/8, 10.0.0.0/8\n\
            local domains ours = *, *.co.uk, a.example\ntrusted names friends = *.com\nrelay domains customers = *.lan\npermit";
        let policy = Policy::parse(text, &mut |_| Err(String::new())).unwrap();
        let told: Vec<_> = Credentials::of(&policy).notes.iter().map(|note| (note.line, note.text.clone())).collect();
        let starts = [
            (Some(2), "`all` is trusted, however wide it is: 16,777,216 public IPv4 and 0 public IPv6 addresses"),
            (Some(1), "trusted networks `low` holds 2,092,957,696 public IPv4 addresses beyond"),
            (Some(3), "`ours` holds *: every domain is in it; not counted as ours"),
            (Some(3), "`ours` holds *.co.uk: anyone can register a name under it; not counted as ours"),
            (Some(4), "`friends` holds *.com: anyone can register a name under it; not counted as a credential"),
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for ((line, text), (expected, start)) in told.iter().zip(starts) {
            assert!(*line == expected && text.starts_with(start), "{line:?} {text}");
        }
    }
}
