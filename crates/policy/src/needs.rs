//! What must be looked up before a policy can decide.

use hikyaku_wire::{Domain, ReversePath};

use crate::{
    Facts, Finding, Identifier, Policy, Stage, Test, Value, Window,
    decide::View,
    index::{Does, Index, What},
};

/// Facts that must be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// The name of the client's address: for `iprev` and `name`.
    pub iprev: bool,
    /// Lists of addresses.
    pub listed: Vec<Domain>,
    /// SPF of the sender.
    pub spf: bool,
    /// Whose the sender's address is.
    pub owned: bool,
    /// Whether there is such a mailbox.
    pub exists: bool,
    /// Whether client, sender and recipient were seen before.
    pub known: bool,
    /// Windows in which recipients are counted.
    pub rates: Vec<Window>,
    /// Signatures of the message.
    pub dkim: bool,
    /// The chain of ARC sets.
    pub arc: bool,
    /// Whether the author's domain has sent it.
    pub dmarc: bool,
    /// Whether the author is of the sender's domain.
    pub aligned: bool,
    /// Custom conditions.
    pub custom: Vec<Identifier>,
}

impl Needs {
    /// Whether nothing must be found out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, test: &Test) {
        fn once<T: Clone + PartialEq>(all: &mut Vec<T>, one: &T) {
            if !all.contains(one) {
                all.push(one.clone());
            }
        }
        match test {
            Test::Name(_) | Test::Iprev(_) => self.iprev = true,
            Test::Listed { zone, .. } => once(&mut self.listed, zone),
            Test::Spf(_) => self.spf = true,
            Test::SenderOwned => self.owned = true,
            Test::RecipientExists => self.exists = true,
            Test::Known => self.known = true,
            Test::Rate(rate) => once(&mut self.rates, &rate.window),
            Test::Dkim(_) => self.dkim = true,
            Test::Arc(_) => self.arc = true,
            Test::Dmarc(_) => self.dmarc = true,
            Test::AuthorAligned => self.aligned = true,
            Test::Custom(name) => once(&mut self.custom, name),
            Test::From(_) | Test::On(_) | Test::Hours(_) | Test::Tls | Test::Authenticated(_) => {}
            Test::Certificate(_) | Test::Helo(_) | Test::Sender(_) | Test::SenderNull | Test::To(_) => {}
            Test::Recipients(_) | Test::Size(_) | Test::Hops(_) => {}
        }
    }
}

impl Policy {
    /// All that its rules ask for.
    pub fn asks(&self) -> Needs {
        let mut needs = Needs::default();
        self.index.tests[..self.index.asked].iter().for_each(|test| needs.add(test));
        needs
    }

    /// Whether the recipient can still be accepted, whatever is found out of what is not known
    /// yet. Where it cannot, a lookup only chooses between refusals.
    pub fn may_permit(&self, facts: &Facts) -> bool {
        let search = Search { index: &self.index, view: View::new(&self.index, facts) };
        let (rules, _) = search.reached();
        rules
            .iter()
            .any(|(rule, values)| search.permits(*rule) && (values.has(Value::True) || values.has(Value::Later)))
    }

    /// What can still change the decision, of what is not known yet: no other lookup need be made
    /// at this stage.
    ///
    /// Before [`Stage::Recipient`] that is what may bring a refusal now; what only a later stage
    /// makes matter can wait for it. From there on it is all that the decision, its marks and the
    /// shadow rules above it rest on. What is not named here may stay [`Finding::NotYet`]:
    /// [`Policy::decide`] then gives the same as if everything were known.
    pub fn needs(&self, facts: &Facts) -> Needs {
        let view = View::new(&self.index, facts);
        let search = Search { index: &self.index, view };
        let (rules, falls_through) = search.reached();
        // A rule that cannot be known to match may defer what one above or below it permits.
        let is_unsure = rules.iter().any(|(rule, values)| search.decides(*rule) && values.has(Value::Unknown));
        let last_refusal = match falls_through || is_unsure {
            true => rules.len(),
            false => rules.iter().rposition(|(rule, values)| search.refuses(*rule, *values)).unwrap_or(0),
        };
        let may_permit =
            |(rule, values): &(usize, Values)| search.permits(*rule) && *values != Values::one(Value::False);
        let last_permit = rules.iter().rposition(may_permit).unwrap_or(0);
        let mut needs = Needs::default();
        for (at, (rule, values)) in rules.iter().enumerate() {
            let entry = self.index.rules[*rule];
            let is_early = search.view.stage < Stage::Recipient;
            let matters = match entry.does {
                _ if values.is_one() => false,
                _ if entry.shadow => !is_early,
                Does::Mark => !is_early && at < last_permit,
                _ if !is_early => true,
                Does::Refuse | Does::Defer => values.may_be_now(),
                // It keeps from a refusal.
                Does::Permit(_) => at < last_refusal,
            };
            if matters {
                search.collect(entry.node, &mut needs);
            }
        }
        needs
    }
}

/// Which values something can have, one bit each, when what is not known yet is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Values(u8);

impl Values {
    const NONE: Self = Self(0);
    /// Of what is looked up: an answer, or none.
    const OPEN: [Value; 3] = [Value::True, Value::False, Value::Unknown];

    fn one(value: Value) -> Self {
        Self(match value {
            Value::True => 1,
            Value::False => 2,
            Value::Unknown => 4,
            Value::Later => 8,
        })
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn iter(self) -> impl Iterator<Item = Value> {
        let all = [Value::True, Value::False, Value::Unknown, Value::Later];
        all.into_iter().filter(move |value| self.has(*value))
    }

    fn map(self, each: impl Fn(Value) -> Value) -> Self {
        self.iter().fold(Self::NONE, |all, value| all.or(Self::one(each(value))))
    }

    fn and(self, other: Self) -> Self {
        self.iter().fold(Self::NONE, |all, value| all.or(other.map(|other| value & other)))
    }

    fn has(self, value: Value) -> bool {
        self.0 & Self::one(value).0 != 0
    }

    fn is_one(self) -> bool {
        self.0.is_power_of_two()
    }

    /// Whether a rule may match, or cannot be known to, without a later stage.
    fn may_be_now(self) -> bool {
        self.has(Value::True) || self.has(Value::Unknown)
    }
}

struct Search<'a> {
    index: &'a Index,
    view: View<'a>,
}

impl Search<'_> {
    /// The rules that may be asked, which values they can have, and whether none of them decides
    /// for sure.
    fn reached(&self) -> (Vec<(usize, Values)>, bool) {
        let mut rules = Vec::new();
        for (rule, entry) in self.index.rules.iter().enumerate() {
            let values = match entry.at {
                Some(at) if self.view.stage < at => Values::one(Value::Later),
                _ => self.values(entry.node),
            };
            rules.push((rule, values));
            if self.settles(rule, values) {
                return (rules, false);
            }
        }
        (rules, true)
    }

    /// Whether nothing below the rule matters: it decides, or it may permit later, so that nothing
    /// is refused before.
    fn settles(&self, rule: usize, values: Values) -> bool {
        let may_come = self.permits(rule) && self.view.stage < Stage::Recipient && values == Values::one(Value::Later);
        self.decides(rule) && (values == Values::one(Value::True) || may_come)
    }

    fn decides(&self, rule: usize) -> bool {
        let entry = self.index.rules[rule];
        !entry.shadow && entry.does != Does::Mark
    }

    fn refuses(&self, rule: usize, values: Values) -> bool {
        self.decides(rule) && !self.permits(rule) && values.may_be_now()
    }

    fn permits(&self, rule: usize) -> bool {
        self.decides(rule) && matches!(self.index.rules[rule].does, Does::Permit(_))
    }

    fn values(&self, node: u32) -> Values {
        let part = self.index.nodes[node as usize];
        match part.what {
            What::Always => Values::one(Value::True),
            What::Test(test, unless_known) if self.is_open(test) => Values::OPEN
                .into_iter()
                .fold(Values::NONE, |all, value| all.or(Values::one(value.unless_known(unless_known)))),
            What::Test(test, unless_known) => Values::one(self.view.test(test).unless_known(unless_known)),
            What::Not => self.values(node + 1).map(|value| !value),
            What::All => self.all(node + 1, part.end, |value| value),
            What::Any => self.all(node + 1, part.end, |value| !value).map(|value| !value),
        }
    }

    fn all(&self, mut node: u32, end: u32, each: impl Fn(Value) -> Value) -> Values {
        let mut all = Values::one(Value::True);
        while node < end {
            all = all.and(self.values(node).map(&each));
            node = self.index.nodes[node as usize].end;
        }
        all
    }

    /// Adds what the value of a condition rests on: nothing where it can have only one.
    fn collect(&self, node: u32, needs: &mut Needs) {
        if self.values(node).is_one() {
            return;
        }
        let part = self.index.nodes[node as usize];
        if let What::Test(test, _) = part.what {
            needs.add(&self.index.tests[test as usize]);
        }
        let mut inner = node + 1;
        while inner < part.end {
            self.collect(inner, needs);
            inner = self.index.nodes[inner as usize].end;
        }
    }

    /// Whether the fact of a test is not known yet and can be looked up now.
    fn is_open(&self, test: u32) -> bool {
        fn not_yet<T>(finding: &Finding<T>) -> bool {
            matches!(finding, Finding::NotYet)
        }
        let View { facts, stage, .. } = &self.view;
        let message = |open: fn(&crate::Message) -> bool| facts.message.as_ref().is_some_and(open);
        match &self.index.tests[test as usize] {
            Test::Name(_) => not_yet(&facts.name),
            Test::Iprev(_) => not_yet(&facts.iprev),
            Test::Listed { zone, .. } => not_yet(&facts.score(zone)),
            Test::Custom(name) => not_yet(&facts.custom(name)),
            Test::Spf(_) => *stage >= Stage::Mail && not_yet(&facts.spf),
            Test::SenderOwned => {
                let by_user = facts.user.is_some() && matches!(facts.sender, Some(ReversePath::Mailbox(_)));
                by_user && not_yet(&facts.owned)
            }
            Test::RecipientExists => *stage >= Stage::Recipient && not_yet(&facts.exists),
            Test::Known => *stage >= Stage::Recipient && not_yet(&facts.known),
            Test::Rate(rate) => *stage >= Stage::Recipient && not_yet(&facts.count(rate)),
            Test::AuthorAligned => message(|message| not_yet(&message.aligned)),
            Test::Dkim(_) => message(|message| not_yet(&message.dkim)),
            Test::Arc(_) => message(|message| not_yet(&message.arc)),
            Test::Dmarc(_) => message(|message| not_yet(&message.dmarc)),
            Test::From(_) | Test::On(_) | Test::Hours(_) | Test::Tls | Test::Authenticated(_) => false,
            Test::Certificate(_) | Test::Helo(_) | Test::Sender(_) | Test::SenderNull | Test::To(_) => false,
            Test::Recipients(_) | Test::Size(_) | Test::Hops(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
