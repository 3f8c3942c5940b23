use crate::random::{Choices, Edges, policy, times, until};
use crate::{
    Action, Condition, Facts, Finding, Listener, Message, Needs, Per, Period, Policy, PolicyBuilder, Rate, Rule, Stage,
    Test, Window,
};

/// The same with nothing looked up.
fn hidden(mut facts: Facts) -> Facts {
    facts.iprev = Finding::NotYet;
    facts.name = Finding::NotYet;
    facts.spf = Finding::NotYet;
    facts.owned = Finding::NotYet;
    facts.exists = Finding::NotYet;
    facts.known = Finding::NotYet;
    facts.listed.clear();
    facts.rates.clear();
    facts.custom.clear();
    facts.message = facts.message.map(|message| Message { hops: message.hops, ..Message::new(message.size) });
    facts
}

/// Looks up what is needed.
fn look_up(facts: &mut Facts, needs: &Needs, full: &Facts) {
    if needs.iprev {
        facts.iprev = full.iprev;
        facts.name = full.name.clone();
    }
    for (wanted, to, from) in [
        (needs.owned, &mut facts.owned, &full.owned),
        (needs.exists, &mut facts.exists, &full.exists),
        (needs.known, &mut facts.known, &full.known),
    ] {
        if wanted {
            *to = *from;
        }
    }
    if needs.spf {
        facts.spf = full.spf;
    }
    facts.listed.extend(full.listed.iter().filter(|(zone, _)| needs.listed.contains(zone)).cloned());
    facts.rates.extend(full.rates.iter().filter(|(window, _)| needs.rates.contains(window)));
    facts.custom.extend(full.custom.iter().filter(|(name, _)| needs.custom.contains(name)).cloned());
    if let (Some(to), Some(from)) = (&mut facts.message, &full.message) {
        if needs.aligned {
            to.aligned = from.aligned;
        }
        if needs.dkim {
            to.dkim = from.dkim;
        }
        if needs.arc {
            to.arc = from.arc;
        }
        if needs.dmarc {
            to.dmarc = from.dmarc;
        }
    }
}

/// What was looked up at one stage is known at the next.
fn kept(at: &mut Facts, before: &Facts) {
    (at.iprev, at.name, at.spf) = (before.iprev, before.name.clone(), before.spf);
    (at.owned, at.exists, at.known) = (before.owned, before.exists, before.known);
    (at.listed, at.rates, at.custom) = (before.listed.clone(), before.rates.clone(), before.custom.clone());
}

#[test]
fn what_is_not_needed_changes_nothing() {
    let (mut asked, mut needed, mut rcpt) = (0, 0, 0);
    for seed in 0..600 * times() {
        let mut choices = Choices::seeded(seed ^ 0xface);
        let policy = policy(&mut choices);
        let edges = Edges::new(&[&policy]);
        for _ in 0..25 {
            let full = edges.facts(&mut choices);
            let mut before: Option<Facts> = None;
            for stage in [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message] {
                let everything = until(&full, stage);
                let mut facts = hidden(everything.clone());
                if let Some(before) = &before {
                    kept(&mut facts, before);
                }
                let needs = policy.needs(&facts);
                look_up(&mut facts, &needs, &everything);
                assert!(policy.needs(&facts).is_empty(), "all was looked up: {needs:?}\n{policy}");
                let (some, all) = (policy.decide(&facts), policy.decide(&everything));
                if stage < Stage::Recipient {
                    assert_eq!(some.reply, all.reply, "{stage} {needs:?}\n{policy}\n{everything:#?}");
                } else {
                    assert_eq!(some, all, "{stage} {needs:?}\n{policy}\n{everything:#?}");
                    rcpt += 1;
                    asked += u64::from(!policy.asks().is_empty());
                    needed += u64::from(!needs.is_empty());
                }
                before = Some(facts);
            }
        }
    }
    assert!(rcpt >= 30_000 && needed > 3_000 && needed < asked / 2, "{rcpt} {asked} {needed}");
}

fn of(rules: impl IntoIterator<Item = Rule>) -> Policy {
    PolicyBuilder { rules: rules.into_iter().collect(), ..PolicyBuilder::default() }.build().unwrap()
}

fn listed(zone: &str) -> Condition {
    Test::Listed { zone: zone.parse().unwrap(), at_least: 1 }.into()
}

fn no() -> hikyaku_wire::Reply {
    hikyaku_wire::Reply::RELAY_DENIED_550
}

fn zones(needs: &Needs) -> Vec<String> {
    needs.listed.iter().map(ToString::to_string).collect()
}

fn at(stage: Stage) -> Facts {
    let mut facts = Facts::new(Some("198.51.100.7".parse().unwrap()), Listener::Mx);
    facts.hello = Some("client.example".parse().unwrap());
    facts.sender = Some("<bob@sender.example>".parse().unwrap());
    facts.recipient = Some("<alice@example.org>".parse().unwrap());
    facts.message = Some(Message::new(1000));
    until(&facts, stage)
}

#[test]
fn nothing_is_looked_up_for_whom_a_rule_above_decides() {
    let office = Test::From(crate::NetworkSet::Network("198.51.100.0/24".parse().unwrap()));
    let policy = of([Rule::permit(office), Rule::refuse(no(), listed("zen.example"))]);
    for stage in [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message] {
        assert!(policy.needs(&at(stage)).is_empty(), "{stage}");
        let mut other = at(stage);
        other.client = Some("203.0.113.9".parse().unwrap());
        assert_eq!(zones(&policy.needs(&other)), ["zen.example"], "{stage}");
        other.listed = vec![("ZEN.example".parse().unwrap(), Finding::Unknown)];
        assert!(policy.needs(&other).is_empty(), "{stage}: it was looked up");
    }
    assert_eq!(zones(&policy.asks()), ["zen.example"]);
}

#[test]
fn what_only_a_later_stage_makes_matter_waits_for_it() {
    let to = |domain: &str| Condition::from(Test::To(crate::HostSet::Pattern(domain.parse().unwrap())));
    let aside = Rule::new(Action::Tag("listed".to_owned()), listed("tag.example"));
    let policy = of([
        Rule::permit(Test::Authenticated(None)),
        Rule::refuse(no(), listed("a.example")),
        Rule::refuse(no(), listed("shadow.example")).shadow(),
        Rule::refuse(no(), to("example.org").and(listed("b.example"))),
        aside,
        Rule::refuse(no(), Condition::from(Test::Size(10)).and(listed("c.example"))),
        Rule::refuse(no(), listed("late.example")).at(Stage::Message),
        Rule::permit(to("example.org")),
        Rule::refuse(no(), listed("below.example")),
    ]);
    let needs = |stage| zones(&policy.needs(&at(stage)));
    assert!(needs(Stage::Connect).is_empty(), "a user may come yet");
    assert_eq!(needs(Stage::Mail), ["a.example"]);
    let rcpt = ["a.example", "shadow.example", "b.example", "tag.example", "c.example"];
    assert_eq!(needs(Stage::Recipient), rcpt);
    assert_eq!(needs(Stage::Message), [&rcpt[..], &["late.example"]].concat());
    let mut elsewhere = at(Stage::Recipient);
    elsewhere.recipient = Some("<x@third.example>".parse().unwrap());
    assert!(!zones(&policy.needs(&elsewhere)).contains(&"b.example".to_owned()));
    assert!(!zones(&policy.needs(&elsewhere)).contains(&"tag.example".to_owned()), "what is refused has no tags");
    assert_eq!(zones(&policy.asks()).len(), 7);
}

#[test]
fn each_fact_is_asked_for_by_its_tests() {
    let window = Window { period: Period::Hour, per: Per::Ip };
    let rate = Rate { limit: 5, window };
    let only = |change: &dyn Fn(&mut Needs)| {
        let mut needs = Needs::default();
        change(&mut needs);
        needs
    };
    let custom: crate::Identifier = "odd".parse().unwrap();
    for (test, expected, from) in [
        (Test::Iprev(vec![hikyaku_message::results::Iprev::Pass]), only(&|needs| needs.iprev = true), Stage::Connect),
        (
            Test::Name(crate::HostSet::Pattern("a.test".parse().unwrap())),
            only(&|needs| needs.iprev = true),
            Stage::Connect,
        ),
        (Test::Custom(custom.clone()), only(&|needs| needs.custom = vec![custom.clone()]), Stage::Connect),
        (Test::Spf(vec![hikyaku_message::results::Spf::Fail]), only(&|needs| needs.spf = true), Stage::Mail),
        (Test::SenderOwned, only(&|needs| needs.owned = true), Stage::Mail),
        (Test::RecipientExists, only(&|needs| needs.exists = true), Stage::Recipient),
        (Test::Known, only(&|needs| needs.known = true), Stage::Recipient),
        (Test::Rate(rate), only(&|needs| needs.rates = vec![window]), Stage::Recipient),
        (Test::AuthorAligned, only(&|needs| needs.aligned = true), Stage::Message),
        (Test::Dkim(vec![hikyaku_message::results::Dkim::Fail]), only(&|needs| needs.dkim = true), Stage::Message),
        (Test::Arc(vec![hikyaku_message::results::Arc::Fail]), only(&|needs| needs.arc = true), Stage::Message),
        (Test::Dmarc(vec![crate::Dmarc::Fail]), only(&|needs| needs.dmarc = true), Stage::Message),
        (Test::Size(3), Needs::default(), Stage::Message),
        (Test::Tls, Needs::default(), Stage::Message),
    ] {
        let policy = of([Rule::refuse(no(), test.clone()), Rule::permit(Condition::Always)]);
        assert_eq!(policy.asks(), expected, "{test}");
        for stage in [Stage::Connect, Stage::Hello, Stage::Mail, Stage::Recipient, Stage::Message] {
            let mut facts = at(stage);
            facts.user = Some("alice".to_owned());
            let expected = if stage >= from { expected.clone() } else { Needs::default() };
            assert_eq!(policy.needs(&facts), expected, "{test} {stage}");
        }
    }
    let limited = of([Rule::new(Action::Limit(rate), Condition::Always), Rule::permit(Condition::Always)]);
    assert_eq!((limited.asks().rates, limited.needs(&at(Stage::Recipient)).rates), (vec![window], vec![window]));
    let nobody = of([Rule::permit(Test::SenderOwned)]);
    assert!(nobody.needs(&at(Stage::Recipient)).is_empty(), "nobody owns nothing");
}
