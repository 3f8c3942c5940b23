//! The decision: the first rule that matches.

use hikyaku_wire::Reply;

use crate::{Action, Condition, Facts, Needs, Policy, Stage, policy::IMPLICIT};

/// What a policy decides, and which rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'p> {
    /// What to answer: a 2xx where it is permitted.
    pub reply: Reply,
    /// The rule that decides, as it prints; `implicit refusal` where no rule matches. While the
    /// decision is provisional, the first rule that may still match.
    pub rule: &'p str,
    /// The rule's line in the printed policy, counted from 1; `None` for the implicit refusal.
    pub line: Option<usize>,
    /// Whether facts of a later stage may change the verdict. It is always a permit then: go on
    /// and ask again.
    pub provisional: bool,
}

impl Decision<'_> {
    /// Whether the answer is a 2xx.
    pub fn is_permitted(&self) -> bool {
        self.reply.is_positive()
    }
}

impl Policy {
    /// Decides by the facts that are known; at [`Stage::Recipient`] that is final.
    ///
    /// Before that stage, a verdict that no later fact can change is given at once; everything
    /// else is permitted provisionally.
    pub fn decide(&self, facts: &Facts) -> Decision<'_> {
        let scan = self.scan(|test| test.holds(facts, &self.lists));
        let verdict = self.verdict(scan.decided);
        let provisional = scan.pending.iter().any(|rule| self.verdict(Some(*rule)) != verdict);
        let rule = if provisional { scan.pending.first().copied() } else { scan.decided };
        let reply = match rule.map_or(&Action::Refuse(IMPLICIT), |rule| &self.rules[rule].action) {
            Action::Refuse(reply) | Action::Defer(reply) if !provisional => reply.clone(),
            _ => match facts.stage() {
                Stage::Recipient => Reply::RECIPIENT_OK_250,
                Stage::Mail => Reply::SENDER_OK_250,
                Stage::Connect | Stage::Hello => Reply::OK_250,
            },
        };
        Decision {
            reply,
            rule: rule.map_or("implicit refusal", |rule| &self.names[rule]),
            line: rule.map(|rule| self.line(rule)),
            provisional,
        }
    }

    /// What must be looked up for it before it can decide at [`Stage::Recipient`].
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        self.rules.iter().for_each(|rule| rule.when.need(&mut needs));
        needs
    }

    /// Reads the rules in order until one matches for certain. `test` gives the value of each
    /// single test, `None` where it is not known.
    pub(crate) fn scan(&self, test: impl Fn(&Condition) -> Option<bool>) -> Scan {
        let mut pending = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            match rule.when.value(&test) {
                Some(true) => return Scan { pending, decided: Some(index) },
                Some(false) => {}
                None => pending.push(index),
            }
        }
        Scan { pending, decided: None }
    }

    pub(crate) fn verdict(&self, rule: Option<usize>) -> Verdict {
        match rule.map(|rule| &self.rules[rule].action) {
            Some(Action::Permit) => Verdict::Permit,
            Some(Action::Defer(_)) => Verdict::Defer,
            Some(Action::Refuse(_)) | None => Verdict::Refuse,
        }
    }
}

/// The rules, by their index, one of which decides: whatever is not known turns out to be.
pub(crate) struct Scan {
    /// May match, in order.
    pub(crate) pending: Vec<usize>,
    /// Decides if none of them does; `None` is the implicit refusal.
    pub(crate) decided: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Permit,
    Refuse,
    Defer,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Listener, Rule,
        random::{facts, lists_and_rules, means},
    };

    fn to(recipient: &str) -> Facts {
        let mut facts = Facts::new(Some("198.51.100.7".parse().unwrap()), Listener::Mx);
        facts.hello = Some("client.test".parse().unwrap());
        facts.sender = Some("<>".parse().unwrap());
        facts.recipient = Some(recipient.parse().unwrap());
        facts
    }

    #[test]
    fn the_deciding_rule_is_named() {
        let policy =
            Policy::closed("hik.test".parse().unwrap(), Default::default(), "192.0.2.0/24".parse().unwrap()).unwrap();
        let decision = policy.decide(&to("<bob@hik.test>"));
        assert_eq!(
            (decision.reply, decision.rule, decision.line),
            (Reply::RECIPIENT_OK_250, "permit when to local_domains", Some(5))
        );
        let decision = policy.decide(&to("<bob@third.test>"));
        assert_eq!((decision.reply, decision.rule, decision.line), (Reply::RELAY_DENIED_550, "implicit refusal", None));
        // D48
        let mut inside = to("<bob@third.test>");
        inside.client = Some("::ffff:192.0.2.5".parse().unwrap());
        assert_eq!(policy.decide(&inside).rule, "permit when from trusted_networks");
        inside.client = None;
        assert!(!policy.decide(&inside).is_permitted());
    }

    #[test]
    fn the_bare_postmaster_is_local() {
        for local in ["hik.test", "none"] {
            let policy =
                Policy::closed(local.parse().unwrap(), "partner.test".parse().unwrap(), Default::default()).unwrap();
            assert_eq!(policy.decide(&to("<postmaster>")).rule, "permit when to local_domains");
            assert!(!policy.decide(&to("<postmaster@third.test>")).is_permitted());
        }
    }

    #[test]
    fn the_order_of_rules_matters() {
        let not_here = Rule::refuse(Reply::UNKNOWN_USER_550, !Condition::Authenticated);
        let anyone = Rule::permit(Condition::Any);
        let decide =
            |rules: Vec<Rule>| Policy::declared_open(Vec::new(), rules).unwrap().decide(&to("<a@b.test>")).reply;
        assert_eq!(decide(vec![not_here.clone(), anyone.clone()]), Reply::UNKNOWN_USER_550);
        assert_eq!(decide(vec![anyone, not_here]), Reply::RECIPIENT_OK_250);
        assert_eq!(decide(Vec::new()), Reply::RELAY_DENIED_550);
    }

    #[test]
    fn what_is_looked_up_decides() {
        use hikyaku_message::results::{Iprev, Spf};
        let spf = Rule::refuse(Reply::UNKNOWN_USER_550, Condition::Spf(Spf::Fail));
        let iprev = Rule::defer(Reply::LOCAL_ERROR_451, !Condition::Iprev(Iprev::Pass));
        let policy = Policy::declared_open(Vec::new(), vec![spf.clone(), iprev, Rule::permit(Condition::Any)]).unwrap();
        assert_eq!(policy.needs(), Needs { spf: true, iprev: true });
        let only = |rule: Rule| Policy::declared_open(Vec::new(), vec![rule]).unwrap().needs();
        assert_eq!(only(spf), Needs { spf: true, iprev: false });
        let nested = Condition::Any.and(!Condition::Tls.or(Condition::Iprev(Iprev::Fail)));
        assert_eq!(only(Rule::permit(nested)), Needs { spf: false, iprev: true });
        assert_eq!(only(Rule::permit(Condition::Authenticated)), Needs::default());

        let mut facts = to("<a@b.test>");
        let decide = |facts: &Facts| (policy.decide(facts).reply, policy.decide(facts).provisional);
        // Where nothing was looked up, nothing is said.
        assert_eq!(decide(&facts), (Reply::LOCAL_ERROR_451, false));
        facts.iprev = Some(Iprev::Pass);
        assert_eq!(decide(&facts), (Reply::RECIPIENT_OK_250, false));
        facts.spf = Some(Spf::SoftFail);
        assert_eq!(decide(&facts), (Reply::RECIPIENT_OK_250, false));
        facts.spf = Some(Spf::Fail);
        assert_eq!(decide(&facts), (Reply::UNKNOWN_USER_550, false));
        // Before the recipient it counts once it is known, and is open until then.
        facts.recipient = None;
        assert_eq!(decide(&facts), (Reply::UNKNOWN_USER_550, false));
        facts.spf = None;
        assert_eq!(decide(&facts), (Reply::SENDER_OK_250, true));
    }

    #[test]
    fn early_answers() {
        let closed =
            Policy::closed("hik.test".parse().unwrap(), Default::default(), "192.0.2.0/24".parse().unwrap()).unwrap();
        let users = Rule::refuse(Reply::AUTHENTICATION_REQUIRED_530, !Condition::Authenticated);
        let submission = Policy::new(Vec::new(), vec![users, Rule::permit(Condition::Any)]).unwrap();
        let mut facts = Facts::new(None, Listener::Submission);
        let early = |policy: &Policy, facts: &Facts| {
            let decision = policy.decide(facts);
            (decision.reply, decision.rule.to_owned(), decision.provisional)
        };
        let first = "refuse 530 5.7.0 \"authentication required\" when not authenticated".to_owned();
        assert_eq!(early(&submission, &facts), (Reply::OK_250, first.clone(), true));
        facts.hello = Some("client.test".parse().unwrap());
        assert_eq!(early(&submission, &facts), (Reply::OK_250, first.clone(), true));
        assert_eq!(early(&closed, &facts), (Reply::OK_250, "permit when to local_domains".to_owned(), true));
        facts.sender = Some("<a@b.test>".parse().unwrap());
        assert_eq!(early(&submission, &facts), (Reply::AUTHENTICATION_REQUIRED_530, first, false));
        assert_eq!(early(&closed, &facts), (Reply::SENDER_OK_250, "permit when to local_domains".to_owned(), true));
        facts.user = Some("alice".to_owned());
        assert_eq!(early(&submission, &facts), (Reply::SENDER_OK_250, "permit".to_owned(), false));
    }

    /// A permanent refusal must not be given for what would only have been deferred.
    #[test]
    fn a_refusal_does_not_overtake_a_deferral() {
        let list = crate::List::Domains {
            name: "slow".parse().unwrap(),
            role: crate::DomainRole::Plain,
            domains: "slow.test".parse().unwrap(),
        };
        let slow = Rule::defer(Reply::LOCAL_ERROR_451, Condition::To("slow".parse().unwrap()));
        let policy = Policy::new(vec![list], vec![slow]).unwrap();
        let mut facts = to("<a@slow.test>");
        assert_eq!(policy.decide(&facts).reply, Reply::LOCAL_ERROR_451);
        facts.recipient = None;
        assert!(policy.decide(&facts).provisional && policy.decide(&facts).is_permitted());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_first_rule_that_matches_decides((lists, rules) in lists_and_rules(), facts in facts()) {
            let policy = Policy::declared_open(lists, rules).unwrap();
            let first = policy.rules().iter().position(|rule| means(&rule.when, &facts));
            let decision = policy.decide(&facts);
            let expected = match first.map(|first| &policy.rules()[first].action) {
                Some(Action::Permit) => &Reply::RECIPIENT_OK_250,
                Some(Action::Refuse(reply) | Action::Defer(reply)) => reply,
                None => &IMPLICIT,
            };
            prop_assert_eq!(&decision.reply, expected);
            prop_assert_eq!(decision.rule, first.map_or("implicit refusal", |first| policy.names[first].as_str()));
            prop_assert_eq!(decision.line, first.map(|first| policy.line(first)));
            prop_assert!(!decision.provisional);
        }

        /// An early verdict is the verdict; whatever is not certain is a permit for now.
        #[test]
        fn asked_early_a_policy_never_says_what_it_must_take_back(
            (lists, rules) in lists_and_rules(), facts in facts(), tls_later: bool, user_later: bool,
        ) {
            let policy = Policy::declared_open(lists, rules).unwrap();
            let last = policy.decide(&facts);
            let mut early = facts;
            for stage in [Stage::Mail, Stage::Hello, Stage::Connect] {
                match stage {
                    Stage::Mail => early.recipient = None,
                    Stage::Hello => {
                        early.sender = None;
                        early.tls &= !tls_later;
                        early.user = early.user.filter(|_| !user_later);
                    }
                    _ => early.hello = None,
                }
                prop_assert_eq!(early.stage(), stage);
                let decision = policy.decide(&early);
                if decision.provisional {
                    prop_assert!(decision.is_permitted());
                } else {
                    prop_assert_eq!(decision.reply.code().as_u16() / 100, last.reply.code().as_u16() / 100);
                }
            }
        }
    }
}
