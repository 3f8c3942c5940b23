//! What a policy means, read slowly: addresses as strings of bits, domains as strings, and rules
//! from the last to the first. It shares nothing with the engine.

use std::net::IpAddr;

use hikyaku_message::results::{Dkim, Spf};
use hikyaku_wire::{ForwardPath, Mailbox, ReversePath};

use crate::{
    Action, CertificatePattern, CertificateSet, Condition, Dmarc, DomainPattern, DomainRole, Facts, Finding, HostSet,
    Members, Network, NetworkSet, Policy, Rate, Rule, Test, Verb,
};

/// The verb and the route for the facts of a whole transaction.
pub(crate) fn verb_by_hand(policy: &Policy, facts: &Facts) -> (Verb, Option<String>) {
    /// What the rules from one on come to: one class, or two at once.
    enum Rest {
        One((Verb, Option<String>)),
        Torn,
    }
    let mut rest = Rest::One((Verb::Refuse, None));
    for rule in policy.rules().iter().rev().filter(|rule| !rule.shadow) {
        let class = match &rule.action {
            Action::Permit(route) => (Verb::Permit, route.as_ref().map(ToString::to_string)),
            Action::Refuse(_) => (Verb::Refuse, None),
            Action::Defer(_) | Action::Limit(_) => (Verb::Defer, None),
            Action::Quarantine(_) | Action::Tag(_) => continue,
        };
        let when = matches(policy, rule, facts);
        rest = match (when, rest) {
            (Some(true), _) => Rest::One(class),
            (Some(false), rest) => rest,
            (None, Rest::One(other)) if other == class => Rest::One(class),
            (None, _) => Rest::Torn,
        };
    }
    match rest {
        Rest::One(class) => class,
        Rest::Torn => (Verb::Defer, None),
    }
}

/// Whether a rule matches: a limit does where its rate is reached.
pub(crate) fn matches(policy: &Policy, rule: &Rule, facts: &Facts) -> Option<bool> {
    let when = holds(policy, &rule.when, facts);
    match &rule.action {
        Action::Limit(rate) => every([when, rate_of(rate, facts).map(|below| !below)].into_iter()),
        _ => when,
    }
}

/// The reasons for quarantine and the tags, where nothing is unknown and it is permitted.
pub(crate) fn marks_by_hand(policy: &Policy, facts: &Facts) -> Option<Vec<String>> {
    let mut marks = Vec::new();
    for rule in policy.rules().iter().filter(|rule| !rule.shadow) {
        let matches = matches(policy, rule, facts)?;
        match &rule.action {
            Action::Quarantine(why) if matches => marks.push(format!("quarantine {}", why.as_deref().unwrap_or(""))),
            Action::Tag(tag) if matches && !marks.contains(tag) => marks.push(tag.clone()),
            Action::Permit(_) if matches => return Some(marks),
            Action::Refuse(_) | Action::Defer(_) | Action::Limit(_) if matches => return None,
            _ => {}
        }
    }
    None
}

/// Whether a condition holds; `None` where that cannot be found out.
pub(crate) fn holds(policy: &Policy, condition: &Condition, facts: &Facts) -> Option<bool> {
    match condition {
        Condition::Always => Some(true),
        Condition::Test(test) => {
            let counts_as_no = matches!(test, Test::Listed { .. } | Test::Known | Test::Name(_));
            test_holds(policy, test, facts).or(counts_as_no.then_some(false))
        }
        Condition::Assuming(test, value) => test_holds(policy, test, facts).or(Some(*value)),
        Condition::Not(inner) => holds(policy, inner, facts).map(|value| !value),
        Condition::All(inner) => every(inner.iter().map(|one| holds(policy, one, facts))),
        Condition::Any(inner) => {
            every(inner.iter().map(|one| holds(policy, one, facts).map(|value| !value))).map(|none| !none)
        }
    }
}

fn every(values: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let values: Vec<_> = values.collect();
    match () {
        () if values.contains(&Some(false)) => Some(false),
        () if values.contains(&None) => None,
        () => Some(true),
    }
}

fn test_holds(policy: &Policy, test: &Test, facts: &Facts) -> Option<bool> {
    let message = facts.message.as_ref();
    match test {
        Test::From(set) => Some(facts.client.is_some_and(|client| match set {
            NetworkSet::Network(network) => in_network(client, network),
            NetworkSet::List(name) => match members(policy, name.as_str()) {
                Members::Networks(_, networks) => networks.iter().any(|network| in_network(client, network)),
                other => panic!("{other:?}"),
            },
        })),
        Test::On(listener) => Some(facts.listener == *listener),
        Test::Hours(hours) => known(&facts.minute).map(|minute| {
            let span = if hours.from < hours.until { 1440 } else { 0 };
            // Both ends as they lie after the beginning of the span.
            let after = |minute: u16| (minute + 1440 - hours.from) % 1440;
            let length = if span > 0 { hours.until - hours.from } else { hours.until + 1440 - hours.from };
            after(minute) < length
        }),
        Test::Name(set) => {
            known(&facts.name).map(|name| name.is_some_and(|name| among(policy, set, Some(name.as_str()), None)))
        }
        Test::Iprev(words) => known(&facts.iprev).map(|word| words.contains(&word)),
        Test::Listed { zone, at_least } => {
            let score = facts.listed.iter().find(|(listed, _)| listed.as_str().eq_ignore_ascii_case(zone.as_str()))?;
            known(&score.1).map(|score| score >= *at_least)
        }
        Test::Tls => Some(facts.tls),
        Test::Authenticated(None) => Some(facts.user.is_some()),
        Test::Authenticated(Some(name)) => Some(match (members(policy, name.as_str()), &facts.user) {
            (Members::Users(users), Some(user)) => users.iter().any(|one| one == user),
            _ => false,
        }),
        Test::Certificate(set) => Some(facts.certificate.as_ref().is_some_and(|certificate| match set {
            CertificateSet::Trusted => !certificate.names.is_empty(),
            CertificateSet::Spki(pin) => certificate.spki == *pin,
            CertificateSet::List(name) => match members(policy, name.as_str()) {
                Members::Certificates(patterns) => patterns.iter().any(|pattern| match pattern {
                    CertificatePattern::Spki(pin) => certificate.spki == *pin,
                    CertificatePattern::Named(name) => {
                        certificate.names.iter().any(|one| one.as_str().eq_ignore_ascii_case(name.as_str()))
                    }
                }),
                other => panic!("{other:?}"),
            },
        })),
        Test::Helo(set) => Some(facts.hello.as_ref().is_some_and(|hello| {
            let host = Some(hello.as_str()).filter(|text| !text.contains('_'));
            among(policy, set, host, None)
        })),
        Test::Sender(set) => Some(match facts.sender.as_ref()? {
            ReversePath::Null => false,
            ReversePath::Mailbox(mailbox) => mailbox_among(policy, set, mailbox),
        }),
        Test::SenderNull => Some(facts.sender.as_ref()?.to_string() == "<>"),
        Test::SenderOwned => match (&facts.user, facts.sender.as_ref()?) {
            (Some(_), ReversePath::Mailbox(_)) => known(&facts.owned),
            _ => Some(false),
        },
        Test::Spf(words) => known(&facts.spf).filter(|word| *word != Spf::TempError).map(|word| words.contains(&word)),
        Test::To(set) => Some(match (facts.recipient.as_ref()?, set) {
            (ForwardPath::Mailbox(mailbox), set) => mailbox_among(policy, set, mailbox),
            (ForwardPath::Postmaster, HostSet::List(name)) => {
                matches!(members(policy, name.as_str()), Members::Domains(DomainRole::Local, _))
            }
            (ForwardPath::Postmaster, _) => false,
        }),
        Test::RecipientExists => known(&facts.exists),
        Test::Known => known(&facts.known),
        Test::Recipients(most) => Some(facts.recipients > *most),
        Test::Rate(rate) => rate_of(rate, facts),
        Test::Size(most) => Some(message?.size > *most),
        Test::Hops(most) => Some(message?.hops > *most),
        Test::AuthorAligned => known(&message?.aligned),
        Test::Dkim(words) => {
            known(&message?.dkim).filter(|word| *word != Dkim::TempError).map(|word| words.contains(&word))
        }
        Test::Arc(words) => known(&message?.arc).map(|word| words.contains(&word)),
        Test::Dmarc(words) => known(&message?.dmarc).map(|found| {
            let failed = [Dmarc::Fail, Dmarc::Quarantine, Dmarc::Reject].contains(&found);
            words.contains(&found) || (failed && words.contains(&Dmarc::Fail))
        }),
        Test::Custom(name) => known(&facts.custom.iter().find(|(custom, _)| custom == name)?.1),
    }
}

fn known<T: Clone>(finding: &Finding<T>) -> Option<T> {
    match finding {
        Finding::Is(value) => Some(value.clone()),
        _ => None,
    }
}

fn rate_of(rate: &Rate, facts: &Facts) -> Option<bool> {
    facts.rates.iter().find(|(window, _)| *window == rate.window).map(|(_, count)| *count < rate.limit)
}

fn members<'p>(policy: &'p Policy, name: &str) -> &'p Members {
    let list = policy.lists().iter().find(|list| list.name.as_str() == name);
    &list.unwrap_or_else(|| panic!("a list named {name}")).members
}

/// All bits of an address, as digits.
fn bits(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.octets().iter().map(|octet| format!("{octet:08b}")).collect(),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(inner) => bits(inner.into()),
            None => address.octets().iter().map(|octet| format!("{octet:08b}")).collect(),
        },
    }
}

pub(crate) fn in_network(client: IpAddr, network: &Network) -> bool {
    let (client, first) = (bits(client), bits(network.address()));
    client.len() == first.len() && client.starts_with(&first[..network.prefix().into()])
}

fn mailbox_among(policy: &Policy, set: &HostSet, mailbox: &Mailbox) -> bool {
    among(policy, set, Some(&mailbox.host().to_string()), Some(mailbox))
}

fn among(policy: &Policy, set: &HostSet, host: Option<&str>, mailbox: Option<&Mailbox>) -> bool {
    match (set, host) {
        (HostSet::Mailbox(one), _) => mailbox.is_some_and(|mailbox| {
            let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            same(&one.local().content(), &mailbox.local().content())
                && same(&one.host().to_string(), &mailbox.host().to_string())
        }),
        (HostSet::Pattern(pattern), Some(host)) => matched(host, pattern),
        (HostSet::List(name), Some(host)) => match members(policy, name.as_str()) {
            Members::Domains(_, domains) | Members::Names(_, domains) => {
                domains.iter().any(|pattern| matched(host, &pattern))
            }
            other => panic!("{other:?}"),
        },
        (_, None) => false,
    }
}

pub(crate) fn matched(host: &str, pattern: &DomainPattern) -> bool {
    let host = host.to_ascii_lowercase();
    match pattern.to_string().to_ascii_lowercase().trim_matches('"') {
        "*" => true,
        pattern => match pattern.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == pattern,
        },
    }
}
