use hikyaku_message::results::Spf;

use crate::random::{Choices, Edges, policy, times, until};
use crate::{Condition, Facts, Finding, Listener, PolicyBuilder, Rule, Stage, Test, Value};

#[test]
fn it_ends_as_it_is_decided() {
    let mut steps = 0;
    for seed in 0..300 * times() {
        let mut choices = Choices::seeded(seed ^ 0xe4);
        let policy = policy(&mut choices);
        let edges = Edges::new(&[&policy]);
        for _ in 0..20 {
            let full = edges.facts(&mut choices);
            for stage in [Stage::Connect, Stage::Mail, Stage::Recipient, Stage::Message] {
                let facts = until(&full, stage);
                let (explanation, decision) = (policy.explain(&facts), policy.decide(&facts));
                assert_eq!(explanation.decision, decision, "{policy}\n{facts:#?}");
                steps += explanation.steps.len();
                for (step, rule) in explanation.steps.iter().zip(policy.rules()) {
                    assert_eq!(step.rule, rule.to_string());
                    let limits = usize::from(matches!(rule.action, crate::Action::Limit(_)));
                    assert_eq!(step.tests.len(), rule.when.tests().len() + limits);
                }
                // Nothing below the rule that decides for good is told.
                let last = explanation.steps.last().filter(|_| !decision.provisional);
                let is_torn = decision.reply.code().as_u16() == 451;
                if let (Some(line), Some(last), false) = (decision.line, last, is_torn) {
                    assert_eq!((last.line, last.value), (line, Value::True), "{explanation}");
                }
                let text = explanation.to_string();
                assert!(text.lines().all(|line| !line.chars().any(char::is_control)));
            }
        }
    }
    assert!(steps > 50_000, "{steps}");
}

#[test]
fn it_prints_as_a_table() {
    let listed = |zone: &str| Test::Listed { zone: zone.parse().unwrap(), at_least: 3 };
    let to = |domain: &str| Test::To(crate::HostSet::Pattern(domain.parse().unwrap()));
    let no = hikyaku_wire::Reply::RELAY_DENIED_550;
    let rules = vec![
        Rule::refuse(
            no.clone(),
            Condition::from(listed("zen.example")).and(!Condition::from(Test::Authenticated(None))),
        ),
        Rule::refuse(no.clone(), Test::Spf(vec![Spf::Fail])),
        Rule::permit(to("example.org")),
        Rule::refuse(no, Test::Size(1_000_000)),
    ];
    let policy = PolicyBuilder { rules, ..PolicyBuilder::default() }.build().unwrap();
    let mut facts = Facts::new(Some("198.51.100.7".parse().unwrap()), Listener::Mx);
    facts.sender = Some("<bob@sender.example>".parse().unwrap());
    facts.recipient = Some("<alice@example.org>".parse().unwrap());
    facts.listed = vec![("zen.example".parse().unwrap(), Finding::Unknown)];
    facts.spf = Finding::Is(Spf::TempError);
    assert_eq!(
        policy.explain(&facts).to_string(),
        "   line 1: no       refuse 550 5.7.1 \"relaying denied\" when listed zen.example >= 3 and not authenticated
            no       listed zen.example >= 3    answer of zen.example could not be found out: counts as no
            no       authenticated              no user
-> line 2: unknown  refuse 550 5.7.1 \"relaying denied\" when spf fail
            unknown  spf fail                   spf temperror: counts as unknown
   line 3: yes      permit when to example.org
            yes      to example.org             recipient <alice@example.org>
451 4.4.3 a lookup that decides about this recipient failed, try again later, by line 2
"
    );
    facts.spf = Finding::Is(Spf::Pass);
    facts.recipient = Some("<eve@third.example>".parse().unwrap());
    facts.user = Some("a\nb".to_owned());
    let text = policy.explain(&facts).to_string();
    assert!(text.contains("user a?b\n"), "{text}");
    assert!(text.ends_with("550 5.7.1 relaying denied, because no rule matches\n"), "{text}");
    facts.sender = None;
    facts.recipient = None;
    let text = policy.explain(&facts).to_string();
    assert!(text.ends_with("250 2.0.0 ok, until a later stage tells whether line 3 matches\n"), "{text}");
}
