//! Random policies over a few lists that overlap, and facts at the edges of those lists.

use proptest::prelude::*;

use hikyaku_message::results::{Iprev, Spf};
use hikyaku_wire::{Code, EnhancedCode, Reply};

use crate::{Condition, DomainRole, Facts, List, Listener, Rule};

/// Networks by name: trusted or not, and a list.
const NETWORKS: [(&str, bool, &str); 4] = [
    ("office", true, "192.0.2.0/24"),
    ("home", true, "10.0.0.0/8, 2001:db8::/32"),
    ("blocked", false, "192.0.2.128/25, 198.51.100.0/24"),
    ("nobody", false, "none"),
];
const DOMAINS: [(&str, DomainRole, &str); 5] = [
    ("ours", DomainRole::Local, "hik.test, *.hik.test"),
    ("more", DomainRole::Local, "sub.hik.test, other.test, [192.0.2.25]"),
    ("partners", DomainRole::Relay, "partner.test, hik.test"),
    ("noise", DomainRole::Plain, "hik.test, third.test"),
    ("nothing", DomainRole::Plain, "none"),
];
const CLIENTS: [&str; 8] = [
    "192.0.2.1",
    "192.0.2.200",
    "::ffff:192.0.2.127",
    "198.51.100.7",
    "203.0.113.9",
    "10.9.8.7",
    "2001:db8::1",
    "2001:db9::1",
];
const HOSTS: [&str; 8] = [
    "hik.test",
    "a.SUB.hik.test",
    "sub.hik.test",
    "other.test",
    "partner.test",
    "third.test",
    "evilhik.test",
    "[192.0.2.25]",
];

fn lists() -> Vec<List> {
    let networks = NETWORKS.map(|(name, trusted, networks)| List::Networks {
        name: name.parse().unwrap(),
        trusted,
        networks: networks.parse().unwrap(),
    });
    let domains = DOMAINS.map(|(name, role, domains)| List::Domains {
        name: name.parse().unwrap(),
        role,
        domains: domains.parse().unwrap(),
    });
    networks.into_iter().chain(domains).collect()
}

fn condition() -> impl Strategy<Value = Condition> {
    let networks = proptest::sample::select(NETWORKS.map(|list| list.0).to_vec());
    let domains = proptest::sample::select(DOMAINS.map(|list| list.0).to_vec());
    let test = prop_oneof![
        1 => Just(Condition::Any),
        4 => networks.prop_map(|name| Condition::From(name.parse().unwrap())),
        6 => domains.clone().prop_map(|name| Condition::To(name.parse().unwrap())),
        2 => domains.prop_map(|name| Condition::Sender(name.parse().unwrap())),
        1 => Just(Condition::NullSender),
        2 => Just(Condition::Authenticated),
        1 => Just(Condition::Tls),
        1 => Just(Condition::On(Listener::Submission)),
        1 => Just(Condition::Spf(Spf::Fail)),
        1 => Just(Condition::Iprev(Iprev::Pass)),
    ];
    test.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| !inner),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner).prop_map(|(a, b)| a.or(b)),
        ]
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let reply = |code: u16| Reply::new(Code::new(code).unwrap(), EnhancedCode::new(5, 7, 1), "no");
    prop_oneof![
        3 => condition().prop_map(Rule::permit),
        2 => condition().prop_map(move |when| Rule::refuse(reply(554), when)),
        1 => condition().prop_map(move |when| Rule::defer(reply(450), when)),
    ]
}

pub(crate) fn lists_and_rules() -> impl Strategy<Value = (Vec<List>, Vec<Rule>)> {
    (Just(lists()), proptest::collection::vec(rule(), 0..6))
}

/// All facts known.
pub(crate) fn facts() -> impl Strategy<Value = Facts> {
    let host = || proptest::sample::select(&HOSTS[..]);
    (
        proptest::option::weighted(0.9, proptest::sample::select(&CLIENTS[..])),
        (any::<(bool, bool, bool)>(), any::<(Option<bool>, Option<bool>)>()),
        proptest::option::weighted(0.8, host()),
        proptest::option::weighted(0.9, host()),
    )
        .prop_map(|(client, ((submission, tls, user), (spf, iprev)), sender, recipient)| {
            let listener = if submission { Listener::Submission } else { Listener::Mx };
            let mut facts = Facts::new(client.map(|client| client.parse().unwrap()), listener);
            facts.tls = tls;
            facts.spf = spf.map(|fails| if fails { Spf::Fail } else { Spf::Pass });
            facts.iprev = iprev.map(|passes| if passes { Iprev::Pass } else { Iprev::Fail });
            facts.hello = Some("client.test".parse().unwrap());
            facts.user = user.then(|| "alice".to_owned());
            facts.sender = Some(sender.map_or("<>".to_owned(), |host| format!("<a@{host}>")).parse().unwrap());
            let recipient = recipient.map_or("<postmaster>".to_owned(), |host| format!("<b@{host}>"));
            facts.recipient = Some(recipient.parse().unwrap());
            facts
        })
}

/// What the condition means, by string comparison: it shares no code with the engine.
pub(crate) fn means(condition: &Condition, facts: &Facts) -> bool {
    let host = |path: String| path.trim_matches(['<', '>']).split_once('@').map(|(_, host)| host.to_ascii_lowercase());
    let listed = |name: &str, host: &str| {
        let (_, _, members) = DOMAINS.into_iter().find(|list| list.0 == name).unwrap();
        members.split(", ").any(|member| match member.strip_prefix('*') {
            Some(end) => host.ends_with(end) && host.len() > end.len(),
            None => member == host,
        })
    };
    match condition {
        Condition::Any => true,
        Condition::From(name) => facts.client.is_some_and(|client| network_of(client).contains(&name.as_str())),
        Condition::To(name) => match host(facts.recipient.as_ref().unwrap().to_string()) {
            Some(host) => listed(name.as_str(), &host),
            None => ["ours", "more"].contains(&name.as_str()),
        },
        Condition::Sender(name) => {
            host(facts.sender.as_ref().unwrap().to_string()).is_some_and(|host| listed(name.as_str(), &host))
        }
        Condition::NullSender => facts.sender.as_ref().unwrap().to_string() == "<>",
        Condition::Authenticated => facts.user.is_some(),
        Condition::Tls => facts.tls,
        Condition::On(listener) => facts.listener == *listener,
        Condition::Spf(result) => facts.spf.is_some_and(|spf| spf.as_str() == result.as_str()),
        Condition::Iprev(result) => facts.iprev.is_some_and(|iprev| iprev.as_str() == result.as_str()),
        Condition::Not(inner) => !means(inner, facts),
        Condition::And(a, b) => means(a, facts) & means(b, facts),
        Condition::Or(a, b) => means(a, facts) | means(b, facts),
    }
}

/// The lists that hold a client, written out.
fn network_of(client: std::net::IpAddr) -> &'static [&'static str] {
    let text = client.to_string();
    match text.as_str() {
        "192.0.2.200" => &["office", "blocked"],
        "198.51.100.7" => &["blocked"],
        _ if text.starts_with("192.0.2.") => &["office"],
        _ if text.starts_with("10.") || text.starts_with("2001:db8:") => &["home"],
        _ => &[],
    }
}
