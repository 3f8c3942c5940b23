//! The policy as text: one rule a line, read aloud as English.

use std::fmt;

use hikyaku_wire::Reply;

use crate::{Action, Condition, Policy, Rule, policy::IMPLICIT};

/// Prints one list, then one rule a line; the implicit refusal at the end is a comment.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.open {
            writeln!(f, "open")?;
        }
        for list in self.lists() {
            writeln!(f, "{list}")?;
        }
        if self.lines_before_rules() > 0 {
            writeln!(f)?;
        }
        for name in &self.names {
            writeln!(f, "{name}")?;
        }
        if self.rules.last().is_some_and(|rule| rule.when == Condition::Any) {
            return Ok(());
        }
        writeln!(f, "# what no rule matches: {}", Answer("refuse", &IMPLICIT))
    }
}

impl Policy {
    /// The line, counted from 1, on which the rule prints.
    pub(crate) fn line(&self, rule: usize) -> usize {
        let before = self.lines_before_rules();
        before + usize::from(before > 0) + rule + 1
    }

    fn lines_before_rules(&self) -> usize {
        usize::from(self.open) + self.lists().len()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action.fmt(f)?;
        match self.when {
            Condition::Any => Ok(()),
            ref when => write!(f, " when {when}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permit => f.write_str("permit"),
            Self::Refuse(reply) => Answer("refuse", reply).fmt(f),
            Self::Defer(reply) => Answer("defer", reply).fmt(f),
        }
    }
}

struct Answer<'a>(&'static str, &'a Reply);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verb, reply) = self;
        write!(f, "{verb} {}", reply.code().as_u16())?;
        if let Some(enhanced) = reply.enhanced() {
            write!(f, " {enhanced}")?;
        }
        let text = reply.lines().next().unwrap_or_default();
        write!(f, " \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// `and` and `or` never stand side by side without parentheses.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // On its own it is left out; inside of another condition it needs a word.
            Self::Any => f.write_str("to anywhere"),
            Self::From(name) => write!(f, "from {name}"),
            Self::To(name) => write!(f, "to {name}"),
            Self::Sender(name) => write!(f, "sender {name}"),
            Self::NullSender => f.write_str("sender null"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::Tls => f.write_str("tls"),
            Self::On(listener) => write!(f, "on {listener}"),
            Self::Spf(result) => write!(f, "spf {result}"),
            Self::Iprev(result) => write!(f, "iprev {result}"),
            Self::Not(inner) => match **inner {
                Self::Not(_) | Self::And(..) | Self::Or(..) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Self::And(a, b) => write!(f, "{} and {}", Side(a, matches!(**a, Self::And(..))), Side(b, false)),
            Self::Or(a, b) => write!(f, "{} or {}", Side(a, matches!(**a, Self::Or(..))), Side(b, false)),
        }
    }
}

/// One side of `and` or `or`, and whether it goes on the same chain: `a and b and c`.
struct Side<'a>(&'a Condition, bool);

impl fmt::Display for Side<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Condition::And(..) | Condition::Or(..), false) => write!(f, "({})", self.0),
            Self(condition, _) => condition.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hikyaku_message::results::{Iprev, Spf};
    use hikyaku_wire::{Code, EnhancedCode};
    use proptest::prelude::*;

    use super::*;
    use crate::{DomainRole, List, Listener, random::lists_and_rules};

    #[test]
    fn a_policy_reads_aloud() {
        let domains = |name: &str, role, domains: &str| List::Domains {
            name: name.parse().unwrap(),
            role,
            domains: domains.parse().unwrap(),
        };
        let networks = |name: &str, trusted, networks: &str| List::Networks {
            name: name.parse().unwrap(),
            trusted,
            networks: networks.parse().unwrap(),
        };
        let lists = vec![
            networks("office", true, "2001:db8:12::/48, 10.0.0.0/8"),
            networks("noisy", false, "203.0.113.0/24"),
            domains("ours", DomainRole::Local, "*.example.org, example.org, \"localhost\""),
            domains("partners", DomainRole::Relay, "partner.example"),
            domains("blocked", DomainRole::Plain, "none"),
        ];
        let (from, to) =
            (|name: &str| Condition::From(name.parse().unwrap()), |name: &str| Condition::To(name.parse().unwrap()));
        let later = Reply::new(Code::new(450).unwrap(), EnhancedCode::new(4, 7, 1), "not \"now\", \\ later");
        let rules = vec![
            Rule::defer(later, from("noisy").and(!(Condition::Tls.or(Condition::Authenticated)))),
            Rule::refuse(
                Reply::plain(Code::new(554).unwrap(), "no"),
                Condition::Sender("blocked".parse().unwrap()).or(Condition::NullSender.and(to("blocked"))),
            ),
            Rule::permit(to("ours").or(to("partners")).or(from("office"))),
            Rule::refuse(Reply::RELAY_DENIED_550, Condition::Spf(Spf::Fail).and(!Condition::Iprev(Iprev::Pass))),
            Rule::permit(Condition::On(Listener::Submission).and(Condition::Authenticated).and(!Condition::NullSender)),
        ];
        let policy = Policy::new(lists.clone(), rules.clone()).unwrap();
        assert_eq!(
            policy.to_string(),
            r#"trusted networks office = 10.0.0.0/8, 2001:db8:12::/48
networks noisy = 203.0.113.0/24
local domains ours = example.org, "localhost", *.example.org
relay domains partners = partner.example
domains blocked = none

defer 450 4.7.1 "not \"now\", \\ later" when from noisy and not (tls or authenticated)
refuse 554 "no" when sender blocked or (sender null and to blocked)
permit when to ours or to partners or from office
refuse 550 5.7.1 "relaying denied" when spf fail and not iprev pass
permit when on submission and authenticated and not sender null
# what no rule matches: refuse 550 5.7.1 "relaying denied"
"#
        );
        assert!(
            Policy::declared_open(lists, rules).unwrap().to_string().starts_with("open\ntrusted networks office = ")
        );
        assert_eq!(Policy::open().to_string(), "open\n\npermit\n");
        assert_eq!(
            Policy::new(vec![], vec![]).unwrap().to_string(),
            "# what no rule matches: refuse 550 5.7.1 \"relaying denied\"\n"
        );
    }

    /// Two conditions that print alike are one: what is printed can be read in one way only.
    #[test]
    fn every_condition_of_three_levels_prints_differently() {
        let mut conditions = vec![Condition::Any, Condition::Tls, Condition::Authenticated];
        for _ in 0..2 {
            let mut next = conditions.clone();
            next.extend(conditions.iter().map(|inner| !inner.clone()));
            for a in &conditions {
                next.extend(conditions.iter().flat_map(|b| [a.clone().and(b.clone()), a.clone().or(b.clone())]));
            }
            conditions = next;
        }
        let mut printed: BTreeMap<String, Condition> = BTreeMap::new();
        for condition in conditions {
            let before = printed.insert(condition.to_string(), condition.clone());
            assert!(before.is_none_or(|before| before == condition), "{condition}");
        }
        assert!(printed.len() > 1000);
    }

    proptest! {
        #[test]
        fn printing_is_stable_and_each_rule_stands_on_its_line((lists, rules) in lists_and_rules()) {
            let policy = Policy::declared_open(lists, rules).unwrap();
            let text = policy.to_string();
            prop_assert_eq!(&policy.clone().to_string(), &text);
            for (index, rule) in policy.rules().iter().enumerate() {
                let line = text.lines().nth(policy.line(index) - 1).map(str::to_owned);
                prop_assert_eq!(line, Some(rule.to_string()));
            }
        }
    }
}
