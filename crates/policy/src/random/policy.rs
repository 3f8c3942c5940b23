//! Random policies.

use hikyaku_message::results::{Arc, Dkim, Iprev, Spf};
use hikyaku_wire::{Code, EnhancedCode, Reply};

use super::Choices;
use crate::{
    Action, CertificatePattern, CertificateSet, Claim, Condition, Dmarc, DomainPattern, DomainRole, HostSet, Hours,
    Identifier, List, Listener, Members, Network, NetworkSet, Per, Period, Policy, PolicyBuilder, Rate, Rule, Settings,
    Stage, Test, Trust, Verb, Window,
};

const NETWORKS: [&str; 22] = [
    "192.0.2.0/24",
    "10.0.0.0/8",
    "192.0.2.128/25",
    "192.0.2.200",
    "198.51.100.0/24",
    "198.51.100.7",
    "203.0.113.0/29",
    "10.1.0.0/16",
    "127.0.0.0/8",
    "172.17.0.1",
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "64.0.0.0/2",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "2001:db8:1::7",
    "::1",
    "fd00::/8",
    "::/0",
    "8000::/1",
    "::ffff:192.0.2.64/122",
];
/// Members of lists of domains. The first half is narrow.
const DOMAINS: [&str; 24] = [
    "hik.test",
    "*.hik.test",
    "partner.example",
    "sub.hik.test",
    "*.sub.hik.test",
    "other.test",
    "*.partner.example",
    "third.test",
    "UPPER.Test",
    "[192.0.2.25]",
    "[IPv6:2001:db8::25]",
    "xn--bcher-kva.test",
    "a.b.c.d.hik.test",
    "test",
    "localhost",
    "z.hik.test",
    "*.localhost",
    "*.test",
    "*.example",
    "*.com",
    "example.com",
    "*.co.uk",
    "*.example.co.uk",
    "*",
];
/// What may be a confirmed name of a client.
const NAMES: [&str; 8] = [
    "mx.partner.example",
    "*.partner.example",
    "partner.example",
    "dialup.isp.test",
    "*.isp.test",
    "*.test",
    "mail.hik.test",
    "*",
];
const MAILBOXES: [&str; 5] =
    ["abuse@hik.test", "Abuse@third.test", "\"odd one\"@hik.test", "victim@[192.0.2.25]", "a@sub.hik.test"];
pub(super) const USERS: [&str; 4] = ["alice", "bob", "carol@hik.test", "Alice"];
const ZONES: [&str; 2] = ["zen.example", "dnswl.example"];
const CUSTOMS: [&str; 2] = ["odd", "vpn"];
const HOURS: [(u16, u16); 7] = [(480, 1080), (1320, 360), (0, 480), (1080, 1440), (1080, 0), (1439, 1440), (360, 361)];
const WINDOWS: [(Period, Per); 7] = [
    (Period::Hour, Per::Ip),
    (Period::Minute, Per::Ip),
    (Period::Hour, Per::User),
    (Period::Day, Per::Sender),
    (Period::Hour, Per::Domain),
    (Period::Second, Per::Network),
    (Period::Hour, Per::Network),
];
const DMARC: [Dmarc; 6] = [Dmarc::Pass, Dmarc::None, Dmarc::Fail, Dmarc::Quarantine, Dmarc::Reject, Dmarc::PermError];
const STAGES: [Stage; 5] = [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message];

/// The digest of a public key.
pub(super) fn pin(key: u8) -> [u8; 32] {
    std::array::from_fn(|index| (index as u8).wrapping_mul(7) ^ key)
}

fn name(text: &str) -> Identifier {
    text.parse().expect("a name that is no keyword")
}

fn network(choices: &mut Choices<'_>) -> Network {
    choices.pick(&NETWORKS).parse().expect("a network")
}

fn domain(choices: &mut Choices<'_>) -> DomainPattern {
    // Wide members decide most policies; they come seldom.
    let most = if choices.one_in(6) { DOMAINS.len() } else { 13 };
    choices.pick(&DOMAINS[..most]).parse().expect("a domain")
}

/// A policy as a program would build it.
pub(crate) fn policy(choices: &mut Choices<'_>) -> Policy {
    let lists = lists(choices);
    let writer = Writer { lists: &lists };
    let mut rules = Vec::new();
    for _ in 0..1 + choices.below(7) {
        rules.push(writer.rule(choices));
    }
    let mut claims = Vec::new();
    if choices.one_in(4) {
        let verb = choices.pick(&[Verb::Permit, Verb::Defer, Verb::Refuse]);
        let when = writer.condition(choices, 2, Stage::Message);
        claims.push(if choices.one_in(3) { Claim::always(verb, when) } else { Claim::never(verb, when) });
    }
    let settings = Settings {
        strangers: if choices.one_in(6) { (0..2).map(|_| network(choices)).collect() } else { Default::default() },
        accounts_open: choices.one_in(10),
        credentials: if choices.one_in(8) { vec![name(choices.pick(&CUSTOMS))] } else { Vec::new() },
    };
    let open = choices.one_in(4);
    let builder = PolicyBuilder { open, lists: lists.clone(), settings, rules, claims };
    builder.build().unwrap_or_else(|error| panic!("a policy that is well formed: {error}"))
}

fn lists(choices: &mut Choices<'_>) -> Vec<List> {
    let mut lists = Vec::new();
    for (list, trust) in
        [("office", Trust::Trusted), ("home", Trust::Trusted), ("blocked", Trust::Plain), ("anywhere4", Trust::Wide)]
    {
        if !choices.one_in(4) {
            let networks = (0..choices.below(4)).map(|_| network(choices)).collect();
            lists.push(List::new(name(list), Members::Networks(trust, networks)));
        }
    }
    for (list, role) in [
        ("ours", DomainRole::Local),
        ("more", DomainRole::Local),
        ("partners", DomainRole::Relay),
        ("noise", DomainRole::Plain),
    ] {
        if !choices.one_in(5) {
            let domains = (0..choices.below(4)).map(|_| domain(choices)).collect();
            lists.push(List::new(name(list), Members::Domains(role, domains)));
        }
    }
    for (list, trusted) in [("friends", true), ("hosts", false)] {
        if choices.one_in(3) {
            let names = (0..1 + choices.below(2)).map(|_| choices.pick(&NAMES).parse().expect("a domain")).collect();
            lists.push(List::new(name(list), Members::Names(trusted, names)));
        }
    }
    if choices.one_in(3) {
        let users = choices.some(&USERS, 1, 2).into_iter().map(str::to_owned).collect();
        lists.push(List::new(name("staff"), Members::Users(users)));
    }
    if choices.one_in(3) {
        let patterns = [
            CertificatePattern::Spki(pin(1)),
            CertificatePattern::Spki(pin(2)),
            CertificatePattern::Named("relay.partner.example".parse().expect("a name")),
            CertificatePattern::Named("mx.third.test".parse().expect("a name")),
        ];
        lists.push(List::new(name("servers"), Members::Certificates(choices.some(&patterns, 1, 3))));
    }
    lists
}

struct Writer<'a> {
    lists: &'a [List],
}

impl Writer<'_> {
    fn rule(&self, choices: &mut Choices<'_>) -> Rule {
        let text = |choices: &mut Choices<'_>| choices.pick(&["no", "not here"]);
        let action = match choices.below(16) {
            0..=5 => Action::Permit(None),
            6 => Action::Permit(Some(name(choices.pick(&["smarthost", "inside"])))),
            7..=9 => {
                let code = Code::new(choices.pick(&[550, 554])).expect("a code");
                Action::Refuse(Reply::new(code, EnhancedCode::new(5, 7, 1), text(choices)))
            }
            10 | 11 => {
                let code = Code::new(choices.pick(&[450, 451])).expect("a code");
                Action::Defer(Reply::new(code, EnhancedCode::new(4, 7, 1), text(choices)))
            }
            12 => Action::Limit(rate(choices)),
            13 => Action::Quarantine(choices.one_in(2).then(|| text(choices).to_owned())),
            14 => Action::Tag(choices.pick(&["spam", "odd"]).to_owned()),
            _ => Action::Refuse(Reply::new(Code::new(550).expect("a code"), EnhancedCode::new(5, 7, 1), "no")),
        };
        let at = choices.one_in(7).then(|| choices.pick(&STAGES));
        let latest = match (&action, at) {
            (Action::Limit(_), Some(at)) => at.max(Stage::Recipient),
            (_, at) => at.unwrap_or(Stage::Message),
        };
        let at = at.map(|_| latest);
        let when = if choices.one_in(12) { Condition::Always } else { self.condition(choices, 3, latest) };
        let rule = Rule { at, ..Rule::new(action, when) };
        if choices.one_in(10) { rule.shadow() } else { rule }
    }

    /// A condition that can be known at that stage.
    fn condition(&self, choices: &mut Choices<'_>, depth: usize, latest: Stage) -> Condition {
        match if depth == 0 { 0 } else { choices.below(10) } {
            0..=4 => {
                let test = loop {
                    let test = self.test(choices);
                    if test.stage() <= latest {
                        break test;
                    }
                    if choices.is_empty() {
                        break Test::On(Listener::Mx);
                    }
                };
                if can_be_unknown(&test) && choices.one_in(6) {
                    Condition::Assuming(test, choices.one_in(2))
                } else {
                    test.into()
                }
            }
            5 => match self.condition(choices, depth - 1, latest) {
                Condition::Not(inner) => *inner,
                inner => !inner,
            },
            more => {
                let inner: Vec<_> =
                    (0..2 + choices.below(2)).map(|_| self.condition(choices, depth - 1, latest)).collect();
                joined(inner, more < 8)
            }
        }
    }

    fn list(&self, choices: &mut Choices<'_>, kinds: &[&str]) -> Option<Identifier> {
        let names: Vec<_> = self.lists.iter().filter(|list| kinds.contains(&list.members.kind())).collect();
        (!names.is_empty()).then(|| choices.pick(&names).name.clone())
    }

    fn hosts(&self, choices: &mut Choices<'_>, kinds: &[&str], pool: &[&str]) -> HostSet {
        match self.list(choices, kinds) {
            Some(list) if !choices.one_in(5) => HostSet::List(list),
            _ => HostSet::Pattern(choices.pick(pool).parse().expect("a domain")),
        }
    }

    fn addresses(&self, choices: &mut Choices<'_>) -> HostSet {
        match choices.one_in(8) {
            true => HostSet::Mailbox(choices.pick(&MAILBOXES).parse().expect("a mailbox")),
            false => self.hosts(choices, &["domains"], &DOMAINS[..]),
        }
    }

    fn test(&self, choices: &mut Choices<'_>) -> Test {
        let names = &["names", "domains"][..];
        match choices.below(40) {
            0..=5 => Test::To(self.addresses(choices)),
            6..=9 => Test::From(match self.list(choices, &["networks"]) {
                Some(list) if !choices.one_in(5) => NetworkSet::List(list),
                _ => NetworkSet::Network(network(choices)),
            }),
            10..=12 => Test::Authenticated(match self.list(choices, &["users"]) {
                Some(list) if choices.one_in(2) => Some(list),
                _ => None,
            }),
            13 => Test::Tls,
            14 => Test::On(choices.pick(&Listener::ALL)),
            15 | 16 => Test::Sender(self.addresses(choices)),
            17 => Test::SenderNull,
            18 | 19 => Test::SenderOwned,
            20 => Test::Helo(self.hosts(choices, names, &DOMAINS[..])),
            21 | 22 => Test::Name(self.hosts(choices, names, &NAMES)),
            23 => Test::Iprev(choices.some(&Iprev::ALL[..2], 1, 2)),
            24 | 25 => {
                let zone = choices.pick(&ZONES).parse().expect("a zone");
                Test::Listed { zone, at_least: choices.pick(&[1, 3, 10, -2]) }
            }
            26 => Test::Certificate(match self.list(choices, &["certificates"]) {
                Some(list) if !choices.one_in(3) => CertificateSet::List(list),
                _ if choices.one_in(2) => CertificateSet::Spki(pin(1)),
                _ => CertificateSet::Trusted,
            }),
            27 | 28 => {
                let words = [Spf::Pass, Spf::Fail, Spf::SoftFail, Spf::Neutral, Spf::None, Spf::PermError];
                Test::Spf(choices.some(&words, 1, 3))
            }
            29 => Test::RecipientExists,
            30 | 31 => Test::Known,
            32 => Test::Recipients(choices.pick(&[1, 2, 100])),
            33 => Test::Rate(rate(choices)),
            34 => Test::Hours({
                let (from, until) = choices.pick(&HOURS);
                Hours { from, until }
            }),
            35 => Test::Custom(name(choices.pick(&CUSTOMS))),
            36 => match choices.below(3) {
                0 => Test::Size(choices.pick(&[1, 1024, 10 << 20])),
                1 => Test::Hops(choices.pick(&[1, 30])),
                _ => Test::AuthorAligned,
            },
            37 => Test::Dkim(choices.some(&[Dkim::Pass, Dkim::Fail, Dkim::None], 1, 2)),
            38 => Test::Arc(choices.some(Arc::ALL, 1, 2)),
            _ => Test::Dmarc(choices.some(&DMARC, 1, 2)),
        }
    }
}

/// All in all, and any in any, are one.
fn joined(inner: Vec<Condition>, all: bool) -> Condition {
    let flat = inner
        .into_iter()
        .flat_map(|one| match one {
            Condition::All(inner) if all => inner,
            Condition::Any(inner) if !all => inner,
            one => vec![one],
        })
        .collect();
    if all { Condition::All(flat) } else { Condition::Any(flat) }
}

/// Whether its fact may be one that could not be found out.
fn can_be_unknown(test: &Test) -> bool {
    matches!(
        test,
        Test::Name(_)
            | Test::Iprev(_)
            | Test::Listed { .. }
            | Test::SenderOwned
            | Test::Spf(_)
            | Test::RecipientExists
            | Test::AuthorAligned
            | Test::Dkim(_)
            | Test::Arc(_)
            | Test::Dmarc(_)
            | Test::Custom(_)
    )
}

fn rate(choices: &mut Choices<'_>) -> Rate {
    let (period, per) = choices.pick(&WINDOWS);
    Rate { limit: choices.pick(&[1, 2, 10, 100]), window: Window { period, per } }
}
