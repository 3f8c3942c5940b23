use std::collections::BTreeSet;

use hikyaku_message::results::{Arc, Dkim, Iprev, Spf};
use hikyaku_wire::{Code, EnhancedCode, Reply};

use crate::random::{Choices, Edges, policy, times, until};
use crate::{
    Action, Condition, Decision, Dmarc, DomainPattern, DomainRole, Domains, Facts, Finding, HostSet, Identifier, List,
    Listener, Members, Message, Network, NetworkSet, Networks, Per, Period, Policy, PolicyBuilder, Rate, Rule, Stage,
    Test, Trust, Window,
};

const STAGES: [Stage; 5] = [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message];

fn of(rules: impl IntoIterator<Item = Rule>) -> Policy {
    PolicyBuilder { rules: rules.into_iter().collect(), ..PolicyBuilder::default() }.build().unwrap()
}

fn custom(name: &str) -> Condition {
    Test::Custom(name.parse().unwrap()).into()
}

fn refusal(text: &'static str) -> Reply {
    Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), text)
}

/// At RCPT, from a stranger.
fn facts() -> Facts {
    let mut facts = Facts::new(Some("198.51.100.7".parse().unwrap()), Listener::Mx);
    facts.hello = Some("client.example".parse().unwrap());
    facts.sender = Some("<bob@sender.example>".parse().unwrap());
    facts.recipient = Some("<alice@example.org>".parse().unwrap());
    facts
}

fn with(mut facts: Facts, customs: &[(&str, Finding<bool>)]) -> Facts {
    facts.custom = customs.iter().map(|(name, value)| (name.parse().unwrap(), *value)).collect();
    facts
}

fn what(decision: &Decision<'_>) -> String {
    let provisional = if decision.provisional { " provisional" } else { "" };
    let marks: Vec<_> = decision.quarantine.into_iter().chain(decision.tags.iter().copied()).collect();
    let marks = if marks.is_empty() { String::new() } else { format!(" {}", marks.join(" ")) };
    let route = decision.route.map(|route| format!(" via {route}")).unwrap_or_default();
    format!("{} {:?}{provisional}{route}{marks}", decision.reply.code().as_u16(), decision.line)
}

/// Each rule is one custom condition, and each condition one of yes, no, unknown and later.
#[test]
fn the_first_rule_that_matches_decides_and_what_is_unknown_must_not_matter() {
    let permit = || Rule::permit(custom("a"));
    let elsewhere = || Rule::permit_via("inside".parse().unwrap(), custom("a"));
    let refuse = || Rule::refuse(refusal("no"), custom("a"));
    let defer = || Rule::defer(Reply::LOCAL_ERROR_451, custom("a"));
    let tag = || Rule::new(Action::Tag("odd".to_owned()), custom("a"));
    let aside = |why: Option<&str>| Rule::new(Action::Quarantine(why.map(str::to_owned)), custom("a"));
    for (rules, values, expected) in [
        (vec![permit(), refuse()], "yy", "250 Some(1)"),
        (vec![permit(), refuse()], "ny", "550 Some(2)"),
        (vec![permit(), refuse()], "nn", "550 None"),
        (vec![permit(), refuse()], "uy", "451 Some(1)"),
        (vec![permit(), refuse()], "un", "451 Some(1)"),
        (vec![permit(), refuse()], "nu", "550 None"),
        (vec![refuse(), permit()], "uy", "451 Some(1)"),
        (vec![refuse(), permit()], "un", "550 None"),
        (vec![refuse(), refuse()], "uy", "550 Some(2)"),
        (vec![permit(), permit()], "uy", "250 Some(2)"),
        (vec![permit(), permit()], "uu", "451 Some(1)"),
        (vec![permit(), elsewhere()], "uy", "451 Some(1)"),
        (vec![elsewhere(), permit()], "uy", "451 Some(1)"),
        (vec![elsewhere(), elsewhere()], "uy", "250 Some(2) via inside"),
        (vec![elsewhere()], "y", "250 Some(1) via inside"),
        (vec![defer(), refuse()], "uy", "451 Some(1)"),
        (vec![defer()], "u", "451 Some(1)"),
        (vec![tag(), permit()], "yy", "250 Some(2) odd"),
        (vec![tag(), permit()], "uy", "250 Some(2)"),
        (vec![tag(), aside(Some("why")), aside(None), permit()], "yyyy", "250 Some(4) why odd"),
        (vec![aside(None), permit()], "yy", "250 Some(2) "),
        (vec![tag(), refuse()], "yy", "550 Some(2)"),
        (vec![tag()], "y", "550 None"),
        (vec![permit().shadow(), refuse()], "yy", "550 Some(2)"),
        // What a later stage tells: a refusal is given at once only where none of that may permit.
        (vec![permit(), refuse()], "ly", "250 Some(1) provisional"),
        (vec![refuse(), permit()], "ly", "250 Some(1) provisional"),
        (vec![refuse(), refuse()], "ly", "550 Some(2)"),
        (vec![refuse()], "l", "550 None"),
        (vec![permit(), permit()], "ly", "250 Some(2)"),
        (vec![permit(), elsewhere()], "ly", "250 Some(1) provisional"),
        (vec![defer(), permit(), refuse()], "lny", "550 Some(3)"),
        (vec![refuse(), permit(), refuse()], "lly", "250 Some(1) provisional"),
        (vec![permit(), refuse(), permit()], "luy", "250 Some(1) provisional"),
        (vec![tag(), permit()], "ly", "250 Some(1) provisional"),
        (vec![tag(), refuse()], "ly", "550 Some(2)"),
        (vec![permit(), tag(), permit()], "lyy", "250 Some(1) provisional"),
        (vec![permit(), tag(), permit()], "lny", "250 Some(3)"),
        (vec![permit(), tag(), permit()], "nly", "250 Some(2) provisional"),
        (vec![tag(), permit(), permit()], "yly", "250 Some(3) odd"),
        (vec![permit().shadow(), permit()], "ly", "250 Some(2)"),
    ] {
        let name = |index: usize| ["a", "b", "c", "d"][index];
        let rules = rules.into_iter().enumerate().map(|(index, rule)| match values.as_bytes()[index] {
            b'l' => Rule { when: Test::Size(0).into(), ..rule },
            _ => Rule { when: custom(name(index)), ..rule },
        });
        let policy = of(rules);
        let customs: Vec<_> = (values.bytes().enumerate())
            .map(|(index, value)| {
                let value = match value {
                    b'y' => Finding::Is(true),
                    b'n' => Finding::Is(false),
                    b'u' => Finding::Unknown,
                    _ => Finding::NotYet,
                };
                (name(index), value)
            })
            .collect();
        let decision = policy.decide(&with(facts(), &customs)).clone();
        assert_eq!(what(&decision), expected, "{values}\n{policy}");
    }
}

#[test]
fn shadow_rules_above_the_one_that_decides_are_told() {
    let policy = of([
        Rule::refuse(refusal("no"), custom("a")).shadow(),
        Rule::permit(custom("b")).shadow(),
        Rule::permit(custom("c")),
        Rule::refuse(refusal("no"), Condition::Always).shadow(),
    ]);
    let yes = Finding::Is(true);
    let all = with(facts(), &[("a", yes), ("b", Finding::Unknown), ("c", yes)]);
    assert_eq!(policy.decide(&all).shadows, [0]);
    let none = with(facts(), &[("a", Finding::Is(false)), ("b", yes), ("c", Finding::Is(false))]);
    assert_eq!(policy.decide(&none).shadows, [1, 3]);
}

#[test]
fn replies_are_of_the_stage_and_of_what_has_happened() {
    let policy = Policy::open();
    for (stage, reply) in STAGES.into_iter().zip([
        "250 2.0.0 ok",
        "250 2.0.0 ok",
        "250 2.1.0 sender ok",
        "250 2.1.5 recipient ok",
        "250 2.0.0 ok",
    ]) {
        let mut facts = facts();
        facts.message = Some(Message::new(10));
        assert_eq!(policy.decide(&until(&facts, stage)).reply.to_string(), reply, "{stage}");
    }
    let window = Window { period: Period::Hour, per: Per::Ip };
    let policy =
        of([Rule::new(Action::Limit(Rate { limit: 2, window }), Condition::Always), Rule::permit(custom("a"))]);
    for (count, a, expected) in [
        (1, Finding::Is(true), "250 2.1.5 recipient ok"),
        (1, Finding::Is(false), "550 5.7.1 relaying denied"),
        (1, Finding::Unknown, "451 4.4.3 a lookup that decides about this recipient failed, try again later"),
        (2, Finding::Is(true), "450 4.7.1 too many recipients for now, try again later"),
        (3, Finding::Is(false), "450 4.7.1 too many recipients for now, try again later"),
    ] {
        let mut facts = with(facts(), &[("a", a)]);
        facts.rates = vec![(window, count)];
        assert_eq!(policy.decide(&facts).reply.to_string(), expected);
    }
}

#[test]
fn a_refusal_names_the_facts_that_its_text_names() {
    let of = |text: &'static str| of([Rule::refuse(refusal(text), Condition::Always)]);
    let mut facts = facts();
    for (text, expected) in [
        ("see https://bl.example/%{ip}", "see https://bl.example/198.51.100.7"),
        ("%{helo}, %{sender} to %{recipient}", "client.example, bob@sender.example to alice@example.org"),
        ("%{user} %{name}.", "unknown unknown."),
        ("%%{ip}%", "%198.51.100.7%"),
    ] {
        assert_eq!(of(text).decide(&facts).reply.lines().next(), Some(expected), "{text}");
    }
    facts.client = Some("::ffff:192.0.2.1".parse().unwrap());
    facts.user = Some(format!("eve\r\n250 ok\u{7f}{}", "x".repeat(300)));
    facts.sender = Some("<>".parse().unwrap());
    facts.recipient = Some("<postmaster>".parse().unwrap());
    facts.name = Finding::Is(Some("mx.example".parse().unwrap()));
    let reply = of("%{ip} %{name} %{sender} %{recipient} %{user}").decide(&facts).reply.clone();
    let expected = format!("192.0.2.1 mx.example <> postmaster eve??250 ok?{}", "x".repeat(243));
    assert_eq!(reply.lines().collect::<Vec<_>>(), [expected]);
    // No fact is read again as a text that names facts, and none brings a code of its own.
    facts.user = Some("5.7.0 %{ip}".to_owned());
    let reply = of("%{user}").decide(&facts).reply.clone();
    assert_eq!(reply.to_string(), "550 5.7.1 5.7.0 %{ip}");
    facts.client = None;
    assert_eq!(of("%{ip}").decide(&facts).reply.to_string(), "550 5.7.1 unknown");
}

#[test]
fn a_rule_is_not_asked_before_its_stage() {
    let policy =
        of([Rule::refuse(refusal("no"), Test::On(Listener::Mx)).at(Stage::Mail), Rule::permit(Condition::Always)]);
    let mut facts = facts();
    facts.message = Some(Message::new(1));
    let codes = STAGES.map(|stage| what(&policy.decide(&until(&facts, stage))));
    assert_eq!(
        codes,
        ["250 Some(1) provisional", "250 Some(1) provisional", "550 Some(1)", "550 Some(1)", "550 Some(1)"]
    );
}

/// More sets than bits of a word, each a fact's own and each a list's.
#[test]
fn every_list_is_found_by_every_fact() {
    let name = |kind: &str, n: usize| format!("{kind}{n}").parse::<Identifier>().unwrap();
    let mut builder = PolicyBuilder::default();
    for n in 0..130 {
        let networks: Networks =
            format!("10.{n}.0.0/16, 10.{n}.128.0/20, 10.0.0.0/8, 2001:db8:{n:x}::/48").parse().unwrap();
        builder.lists.push(List::new(name("net", n), Members::Networks(Trust::Plain, networks)));
        let role = if n % 2 == 0 { DomainRole::Local } else { DomainRole::Plain };
        let domains: Domains = format!("d{n}.test, *.w{n}.test, shared.test, [192.0.2.{n}]").parse().unwrap();
        builder.lists.push(List::new(name("dom", n), Members::Domains(role, domains)));
        let users = vec!["all".to_owned(), format!("user{n}")];
        builder.lists.push(List::new(name("user", n), Members::Users(users)));
    }
    for n in 0..130 {
        let tag = |what: &str, test: Test| Rule::new(Action::Tag(format!("{what}{n}")), test);
        let set = || HostSet::List(name("dom", n));
        builder.rules.push(tag("from", Test::From(NetworkSet::List(name("net", n)))));
        builder.rules.push(tag("to", Test::To(set())));
        builder.rules.push(tag("sender", Test::Sender(set())));
        builder.rules.push(tag("helo", Test::Helo(set())));
        builder.rules.push(tag("name", Test::Name(set())));
        builder.rules.push(tag("user", Test::Authenticated(Some(name("user", n)))));
    }
    builder.rules.push(Rule::permit(Condition::Always));
    let policy = builder.build().unwrap();
    let none = || {
        let mut facts = facts();
        facts.name = Finding::Is(None);
        facts
    };
    let ask = |change: &dyn Fn(&mut Facts)| {
        let mut facts = none();
        change(&mut facts);
        policy.decide(&facts).tags.iter().map(|tag| (*tag).to_owned()).collect::<BTreeSet<_>>()
    };
    let all = |what: &str, step| (0..130).step_by(step).map(|n| format!("{what}{n}")).collect::<BTreeSet<_>>();
    let one = |what: &str| BTreeSet::from([what.to_owned()]);
    assert_eq!(ask(&|_| ()), BTreeSet::new());
    for n in [0, 1, 63, 64, 127, 128, 129] {
        let from = |client: String| ask(&|facts| facts.client = Some(client.parse().unwrap()));
        assert_eq!(from(format!("2001:db8:{n:x}:ffff::1")), one(&format!("from{n}")));
        assert_eq!(from(format!("10.{n}.129.3")), all("from", 1), "all hold 10.0.0.0/8");
        for (host, tag) in [
            (format!("D{n}.Test"), Some(n)),
            (format!("x.d{n}.test"), None),
            (format!("w{n}.test"), None),
            (format!("a.b.W{n}.test"), Some(n)),
            (format!("w{n}.test.test"), None),
            (format!("[192.0.2.{n}]"), Some(n)),
            (format!("[IPv6:::ffff:192.0.2.{n}]"), Some(n)),
            (format!("[192.0.3.{n}]"), None),
        ] {
            let tags = |what: &str| tag.map(|n| format!("{what}{n}")).into_iter().collect::<BTreeSet<_>>();
            let to = ask(&|facts| facts.recipient = Some(format!("<a@{host}>").parse().unwrap()));
            let sender = ask(&|facts| facts.sender = Some(format!("<a@{host}>").parse().unwrap()));
            let helo = ask(&|facts| facts.hello = Some(host.parse().unwrap()));
            assert_eq!((to, sender, helo), (tags("to"), tags("sender"), tags("helo")), "{host}");
            if let Ok(domain) = host.parse::<hikyaku_wire::Domain>() {
                assert_eq!(ask(&|facts| facts.name = Finding::Is(Some(domain.clone()))), tags("name"), "{host}");
            }
        }
        assert_eq!(ask(&|facts| facts.user = Some(format!("user{n}"))), one(&format!("user{n}")));
        assert_eq!(ask(&|facts| facts.user = Some(format!("User{n}"))), BTreeSet::new());
    }
    assert_eq!(ask(&|facts| facts.recipient = Some("<a@shared.test>".parse().unwrap())), all("to", 1));
    assert_eq!(ask(&|facts| facts.recipient = Some("<postmaster>".parse().unwrap())), all("to", 2));
    assert_eq!(ask(&|facts| facts.user = Some("all".to_owned())), all("user", 1));
}

/// Networks and names inside of each other, against what one member says.
#[test]
fn tables_hold_what_their_members_hold() {
    let mut choices = Choices::seeded(7);
    for _ in 0..300 * times() {
        let mut networks = Vec::new();
        let mut patterns = Vec::new();
        for _ in 0..choices.below(12) {
            let (prefix, bits) = (choices.below(9), choices.below(256) as u32);
            let address = std::net::Ipv4Addr::from_bits((bits >> (8 - prefix) << (8 - prefix)) | 0xffff_ff00);
            networks.push(Network::new(address.into(), 24 + prefix as u8).unwrap());
            let prefix = 120 + choices.below(9) as u8;
            let last = choices.below(256) as u128 >> (128 - prefix) << (128 - prefix);
            let address = std::net::Ipv6Addr::from_bits((u128::MAX << 8) | last);
            networks.push(Network::new(address.into(), prefix).unwrap());
            patterns.push(pattern(&mut choices));
        }
        networks.extend(choices.one_in(4).then(|| "0.0.0.0/0".parse::<Network>().unwrap()));
        networks.extend(choices.one_in(4).then(|| "::/0".parse::<Network>().unwrap()));
        let from = networks.iter().map(|network| Test::From(NetworkSet::Network(*network)));
        let to = patterns.iter().map(|pattern| Test::To(HostSet::Pattern(pattern.clone())));
        let rules: Vec<_> = from.chain(to).enumerate().collect();
        let tags = rules.iter().map(|(n, test)| Rule::new(Action::Tag(n.to_string()), test.clone()));
        let policy = of(tags.chain([Rule::permit(Condition::Always)]));
        for low in 0..=255_u8 {
            let v4 = std::net::Ipv4Addr::new(255, 255, 255, low);
            let v6 = std::net::Ipv6Addr::from_bits((u128::MAX << 8) | u128::from(low));
            let host = name(&mut choices);
            for client in [std::net::IpAddr::from(v4), v6.into(), v4.to_ipv6_mapped().into(), "::".parse().unwrap()] {
                let mut facts = facts();
                facts.client = Some(client);
                facts.recipient = Some(format!("<a@{host}>").parse().unwrap());
                let expected: Vec<_> = (rules.iter())
                    .filter(|(_, test)| match test {
                        Test::From(NetworkSet::Network(network)) => network.contains(client),
                        Test::To(HostSet::Pattern(pattern)) => pattern.matches(&host.parse().unwrap()),
                        other => panic!("{other:?}"),
                    })
                    .map(|(n, _)| n.to_string())
                    .collect();
                assert_eq!(policy.decide(&facts).tags, expected, "{client} {host}\n{policy}");
            }
        }
    }
}

fn name(choices: &mut Choices<'_>) -> String {
    let labels: Vec<_> = (0..=choices.below(4)).map(|_| choices.pick(&["a", "b", "A", "ü", "bb"])).collect();
    labels.join(".")
}

fn pattern(choices: &mut Choices<'_>) -> DomainPattern {
    match choices.below(12) {
        0 => DomainPattern::All,
        1..=5 => format!("*.{}", name(choices)).parse().unwrap(),
        _ => name(choices).parse().unwrap(),
    }
}

/// What is decided for good before the end is not taken back: neither verb nor route nor marks.
#[test]
fn what_is_final_stays() {
    let mut finals = 0;
    for seed in 0..600 * times() {
        let mut choices = Choices::seeded(seed ^ 0xb0b);
        let policy = policy(&mut choices);
        let edges = Edges::new(&[&policy]);
        for _ in 0..25 {
            let full = edges.facts(&mut choices);
            let end = policy.decide(&full);
            assert!(!end.provisional);
            let mut settled = false;
            for stage in STAGES {
                let decision = policy.decide(&until(&full, stage));
                assert!(!settled || !decision.provisional, "{stage}: {decision:?}\n{policy}\n{full:#?}");
                if decision.provisional {
                    assert!(decision.is_permitted() && decision.route.is_none());
                    assert!(decision.tags.is_empty() && decision.quarantine.is_none());
                    continue;
                }
                settled = true;
                finals += u64::from(stage < Stage::Message);
                assert_eq!(decision.is_permitted(), end.is_permitted(), "{stage}\n{policy}\n{full:#?}");
                if end.is_permitted() {
                    let of = |decision: &Decision<'_>| {
                        let route = decision.route.map(str::to_owned);
                        (route, decision.quarantine.map(str::to_owned), decision.tags.join(" "))
                    };
                    assert_eq!(of(&decision), of(&end), "{stage}\n{policy}\n{full:#?}");
                } else {
                    assert!(decision.tags.is_empty() && decision.quarantine.is_none() && decision.route.is_none());
                }
            }
        }
    }
    assert!(finals > 10_000, "{finals}");
}

/// Permitted only if it is permitted whatever the unknown facts are, refused only if it is refused
/// whatever they are. Where a test says itself what unknown means, that is what it means.
#[test]
fn what_is_unknown_does_not_matter_or_defers() {
    let (mut answers, mut completions, mut deferred, mut needless) = (0_u64, 0_u64, 0_u64, 0_u64);
    for seed in 0..2_000 * times() {
        let mut choices = Choices::seeded(seed ^ 0x0dd);
        let policy = policy(&mut choices);
        if policy.to_string().contains("unknown means") {
            continue;
        }
        let edges = Edges::new(&[&policy]);
        for _ in 0..10 {
            let facts = edges.facts(&mut choices);
            let all = completed(&facts);
            if all.len() < 2 || all.len() > 600 {
                continue;
            }
            let class = |facts: &Facts| policy.decide(facts).reply.code().as_u16() / 100;
            let decided = class(&facts);
            let possible: BTreeSet<_> = all.iter().map(class).collect();
            answers += 1;
            completions += all.len() as u64;
            match decided {
                4 => {
                    deferred += 1;
                    needless += u64::from(possible == BTreeSet::from([2]) || possible == BTreeSet::from([5]));
                }
                class => assert_eq!(possible, BTreeSet::from([class]), "{policy}\n{facts:#?}"),
            }
        }
    }
    assert!(answers > 2_000 && completions > 50_000 && deferred > 200, "{answers} {completions} {deferred}");
    assert!(needless < deferred / 2, "{needless} of {deferred} deferrals were needless");
}

/// All facts that these can be, if what is unknown and stays unknown were known.
fn completed(facts: &Facts) -> Vec<Facts> {
    fn each<T: Clone>(
        all: Vec<Facts>,
        fact: impl Fn(&mut Facts) -> Option<&mut Finding<T>>,
        values: &[T],
    ) -> Vec<Facts> {
        let complete = |mut facts: Facts| match fact(&mut facts) {
            Some(Finding::Unknown) => (values.iter())
                .map(|value| {
                    let mut facts = facts.clone();
                    if let Some(finding) = fact(&mut facts) {
                        *finding = Finding::Is(value.clone());
                    }
                    facts
                })
                .collect(),
            _ => vec![facts],
        };
        all.into_iter().flat_map(complete).collect()
    }
    const SPF: [Spf; 6] = [Spf::Pass, Spf::Fail, Spf::None, Spf::SoftFail, Spf::Neutral, Spf::PermError];
    const DKIM: [Dkim; 5] = [Dkim::Pass, Dkim::Fail, Dkim::None, Dkim::Neutral, Dkim::PermError];
    const DMARC: [Dmarc; 6] =
        [Dmarc::Pass, Dmarc::None, Dmarc::Fail, Dmarc::Quarantine, Dmarc::Reject, Dmarc::PermError];
    let mut facts = facts.clone();
    if facts.spf == Finding::Is(Spf::TempError) {
        facts.spf = Finding::Unknown;
    }
    if let Some(Message { dkim: dkim @ Finding::Is(Dkim::TempError), .. }) = &mut facts.message {
        *dkim = Finding::Unknown;
    }
    let mut all = vec![facts.clone()];
    all = each(all, |facts| Some(&mut facts.minute), &[0, 700, 1439]);
    all = each(all, |facts| Some(&mut facts.iprev), &[Iprev::Pass, Iprev::Fail, Iprev::PermError]);
    all = each(all, |facts| Some(&mut facts.owned), &[true, false]);
    all = each(all, |facts| Some(&mut facts.spf), &SPF);
    all = each(all, |facts| Some(&mut facts.exists), &[true, false]);
    for index in 0..facts.custom.len() {
        all = each(all, |facts| Some(&mut facts.custom[index].1), &[true, false]);
    }
    all = each(all, |facts| facts.message.as_mut().map(|message| &mut message.aligned), &[true, false]);
    all = each(all, |facts| facts.message.as_mut().map(|message| &mut message.dkim), &DKIM);
    all = each(all, |facts| facts.message.as_mut().map(|message| &mut message.arc), Arc::ALL);
    each(all, |facts| facts.message.as_mut().map(|message| &mut message.dmarc), &DMARC)
}
