//! Who is a stranger and what is elsewhere, read slowly. It is exact for the lists that
//! [`policy`](super::policy) draws from, where a network is either far beyond what may be trusted or
//! far below.

use std::net::IpAddr;

use hikyaku_wire::ForwardPath;

use super::means::{in_network, matched};
use crate::{
    CertificatePattern, CertificateSet, DomainPattern, DomainRole, Domains, Facts, Finding, Members, Network, Policy,
    Test, Trust,
};

/// Whether nothing that the policy declares a credential speaks for the client. `None` where a
/// custom credential could not be found out.
pub(crate) fn stranger(policy: &Policy, facts: &Facts) -> Option<bool> {
    let credentials = &policy.settings().credentials;
    let customs = facts.custom.iter().filter(|(name, _)| credentials.contains(name)).map(|(_, value)| *value);
    let customs: Vec<_> = customs.collect();
    if customs.iter().any(|value| !matches!(value, Finding::Is(_))) {
        return None;
    }
    let named = match &facts.name {
        Finding::Is(Some(name)) => {
            let mut lists = policy.lists().iter().filter_map(|list| match &list.members {
                Members::Names(true, domains) => Some(domains),
                _ => None,
            });
            lists.any(|domains| narrowly(domains, name.as_str()))
        }
        _ => false,
    };
    let authenticated = facts.user.is_some() && !policy.settings().accounts_open;
    let from_anywhere = facts.client.is_some_and(|client| may_be_anyone(policy, client));
    let proved = authenticated || certified(policy, facts) || named || customs.contains(&Finding::Is(true));
    Some(from_anywhere && !proved)
}

/// Whether the recipient is neither of a local nor of a relay domain.
pub(crate) fn foreign(policy: &Policy, facts: &Facts) -> bool {
    let Some(ForwardPath::Mailbox(recipient)) = &facts.recipient else { return false };
    let host = recipient.host().to_string();
    !policy.lists().iter().any(|list| match &list.members {
        Members::Domains(DomainRole::Local | DomainRole::Relay, domains) => narrowly(domains, &host),
        _ => false,
    })
}

/// Whether a list holds a host by a member below which not just anyone has a name.
fn narrowly(domains: &Domains, host: &str) -> bool {
    domains.iter().any(|pattern| {
        let is_wide = match &pattern {
            DomainPattern::All => true,
            // Nobody can register a name below one of this machine (RFC 6761).
            DomainPattern::Below(name) => match name.as_str() {
                "localhost" => false,
                name => !name.contains('.') || name == "co.uk",
            },
            _ => false,
        };
        !is_wide && matched(host, &pattern)
    })
}

/// Whether the certificate is one that an authority vouches for, or whose key the policy names.
fn certified(policy: &Policy, facts: &Facts) -> bool {
    let Some(certificate) = &facts.certificate else { return false };
    let listed = policy.lists().iter().any(|list| match &list.members {
        Members::Certificates(patterns) => patterns.contains(&CertificatePattern::Spki(certificate.spki)),
        _ => false,
    });
    let conditions =
        policy.rules().iter().map(|rule| &rule.when).chain(policy.claims().iter().map(|claim| &claim.when));
    let asked = conditions
        .flat_map(|condition| condition.tests())
        .any(|test| *test == Test::Certificate(CertificateSet::Spki(certificate.spki)));
    !certificate.names.is_empty() || listed || asked
}

/// Whether anybody on the Internet may come from there.
fn may_be_anyone(policy: &Policy, client: IpAddr) -> bool {
    if policy.settings().strangers.iter().any(|network| in_network(client, network)) {
        return true;
    }
    let trusted = policy.lists().iter().any(|list| match &list.members {
        Members::Networks(Trust::Wide, networks) => networks.iter().any(|network| in_network(client, network)),
        Members::Networks(Trust::Trusted, networks) => {
            networks.iter().any(|network| is_narrow(network) && in_network(client, network))
        }
        _ => false,
    });
    !trusted && !is_special(client)
}

fn is_narrow(network: &Network) -> bool {
    network.prefix() >= if network.address().is_ipv4() { 12 } else { 28 }
}

/// Whether nobody on the Internet has such an address (RFC 6890).
fn is_special(client: IpAddr) -> bool {
    match client.to_canonical() {
        IpAddr::V4(client) => match client.octets() {
            [0 | 10 | 127 | 224..=255, ..] => true,
            [100, second, ..] => (64..128).contains(&second),
            [169, 254, ..] | [192, 168, ..] => true,
            [172, second, ..] => (16..32).contains(&second),
            [198, second, ..] => second == 18 || second == 19,
            _ => false,
        },
        IpAddr::V6(client) => match client.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => true,
            [first, ..] => first >> 9 == 0xfc00 >> 9 || first >> 6 == 0xfe80 >> 6 || first >> 8 == 0xff,
        },
    }
}
