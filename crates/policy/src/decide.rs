//! The decision: the first rule that matches.

use std::{borrow::Cow, net::IpAddr};

use hikyaku_message::results;
use hikyaku_wire::{Domain, ForwardPath, Hello, Host, Mailbox, Reply, ReversePath};

use crate::{
    Action, CertificatePattern, CertificateSet, Condition, Dmarc, DomainRole, Facts, Finding, HostSet, List, Members,
    NetworkSet, Policy, Stage, Test, Verb, list::Lists, policy::IMPLICIT,
};

/// What a policy decides, and which rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'p> {
    /// What to answer: a 2xx where it is permitted.
    pub reply: Reply,
    /// The rule that decides, as it prints; `implicit refusal` where no rule matches. While the
    /// decision is provisional, the first rule that may still match.
    pub rule: &'p str,
    /// The rule's line; `None` for the implicit refusal.
    pub line: Option<usize>,
    /// Whether facts of a later stage may change the decision: go on, and ask again. Then it is a
    /// permit, which a later stage may take back or mark.
    pub provisional: bool,
    /// The route that the mail goes, if the rule names one.
    pub route: Option<&'p str>,
    /// Why the message is to be put aside, if it is; empty where the rule does not say.
    pub quarantine: Option<&'p str>,
    /// The marks of the message.
    pub tags: Vec<&'p str>,
    /// The indices of the shadow rules that match.
    pub shadows: Vec<usize>,
}

impl Decision<'_> {
    /// Whether the answer is a 2xx.
    pub fn is_permitted(&self) -> bool {
        self.reply.is_positive()
    }
}

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It could not be found out, and never will be.
    Unknown,
    /// A later stage will tell.
    Later,
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl Policy {
    /// Decides by the facts that are known; at [`Stage::Message`] that is final.
    ///
    /// Before that stage, a refusal that no later fact can turn into a permit is given at once;
    /// everything else is permitted, provisionally where a later fact may change it.
    pub fn decide(&self, facts: &Facts) -> Decision<'_> {
        let mut scan = Scan::default();
        for (index, rule) in self.rules.iter().enumerate() {
            let value = self.value(index, facts);
            if rule.shadow {
                scan.shadows.extend((value == Value::True).then_some(index));
            } else if scan.rule(index, &rule.action, value) {
                break;
            }
        }
        self.decision(scan, facts)
    }

    /// The value of a rule: whether it matches.
    pub(crate) fn value(&self, rule: usize, facts: &Facts) -> Value {
        let rule = &self.rules[rule];
        if rule.at.is_some_and(|at| facts.stage() < at) {
            return Value::Later;
        }
        let when = rule.when.value(facts, &self.lists);
        match &rule.action {
            Action::Limit(rate) => when & !Test::Rate(*rate).value(facts, &self.lists),
            _ => when,
        }
    }

    fn decision(&self, scan: Scan<'_>, facts: &Facts) -> Decision<'_> {
        let Scan { pending, decided, later, shadows, .. } = scan;
        let decided = decided.unwrap_or(match pending {
            Some(pending) if pending.verb != Verb::Refuse => Decided { rule: Some(pending.rule), is_torn: true },
            _ => Decided { rule: None, is_torn: false },
        });
        let verb = |rule: Option<usize>| match rule.map(|rule| &self.rules[rule].action) {
            Some(Action::Permit(_)) => Verb::Permit,
            Some(Action::Defer(_) | Action::Limit(_)) => Verb::Defer,
            _ => Verb::Refuse,
        };
        let of_rule = |rule: usize| match &self.rules[rule].action {
            Action::Permit(route) => (Verb::Permit, route.as_ref()),
            _ => (verb(Some(rule)), None),
        };
        let permits = !decided.is_torn && verb(decided.rule) == Verb::Permit;
        let may_permit = permits || later.iter().any(|rule| verb(Some(*rule)) == Verb::Permit);
        let differs = |rule: &usize| decided.is_torn || decided.rule.map(of_rule) != Some(of_rule(*rule));
        let provisional = may_permit && later.iter().any(differs);
        let rule = if provisional { later.first().copied() } else { decided.rule };
        let reply = match rule.map(|rule| &self.rules[rule].action) {
            _ if provisional || permits => match facts.stage() {
                Stage::Recipient => Reply::RECIPIENT_OK_250,
                Stage::Mail => Reply::SENDER_OK_250,
                Stage::Connect | Stage::Hello | Stage::Message => Reply::OK_250,
            },
            _ if decided.is_torn => TORN,
            Some(Action::Refuse(reply) | Action::Defer(reply)) => reply.clone(),
            Some(Action::Limit(_)) => LIMITED,
            _ => IMPLICIT,
        };
        let marks = |mark: fn(&Action) -> Option<&str>| {
            scan.marks.iter().filter_map(move |rule| mark(&self.rules[*rule].action))
        };
        Decision {
            reply,
            rule: rule.map_or("implicit refusal", |rule| &self.names[rule]),
            line: rule.map(|rule| self.line(rule)),
            provisional,
            route: match rule.map(|rule| &self.rules[rule].action) {
                Some(Action::Permit(Some(route))) if permits && !provisional => Some(route.as_str()),
                _ => None,
            },
            quarantine: marks(|action| match action {
                Action::Quarantine(why) => Some(why.as_deref().unwrap_or_default()),
                _ => None,
            })
            .next(),
            tags: marks(|action| match action {
                Action::Tag(tag) => Some(tag),
                _ => None,
            })
            .collect(),
            shadows,
        }
    }
}

/// What is answered where a lookup failed that decides between accepting and not.
pub(crate) const TORN: Reply = Reply::LOCAL_ERROR_451;
/// What is answered where a limit is reached.
pub(crate) const LIMITED: Reply = Reply::LOCAL_ERROR_451;

/// The rules as they are read, up to the one that decides.
#[derive(Default)]
struct Scan<'p> {
    /// The first rule that cannot be known to match, which all others up to here agree with.
    pending: Option<Pending<'p>>,
    decided: Option<Decided>,
    /// Rules that a later stage may make match, in order.
    later: Vec<usize>,
    marks: Vec<usize>,
    shadows: Vec<usize>,
}

struct Pending<'p> {
    rule: usize,
    verb: Verb,
    route: Option<&'p str>,
}

#[derive(Clone, Copy)]
struct Decided {
    /// `None` is the implicit refusal.
    rule: Option<usize>,
    /// Whether the rule is one that cannot be known to match, and what else would decide differs.
    is_torn: bool,
}

impl<'p> Scan<'p> {
    /// Takes the next rule; gives whether the decision has fallen.
    fn rule(&mut self, rule: usize, action: &'p Action, value: Value) -> bool {
        let (verb, route) = match action {
            Action::Permit(route) => (Verb::Permit, route.as_ref().map(|route| route.as_str())),
            Action::Refuse(_) => (Verb::Refuse, None),
            Action::Defer(_) | Action::Limit(_) => (Verb::Defer, None),
            Action::Quarantine(_) | Action::Tag(_) => {
                match value {
                    Value::True => self.marks.push(rule),
                    Value::Later => self.later.push(rule),
                    Value::False | Value::Unknown => {}
                }
                return false;
            }
        };
        match (value, &self.pending) {
            (Value::False, _) => {}
            (Value::Later, _) => self.later.push(rule),
            (_, Some(pending)) if (pending.verb, pending.route) != (verb, route) => {
                self.decided = Some(Decided { rule: Some(pending.rule), is_torn: true });
            }
            (Value::True, _) => self.decided = Some(Decided { rule: Some(rule), is_torn: false }),
            (Value::Unknown, Some(_)) => {}
            (Value::Unknown, None) => self.pending = Some(Pending { rule, verb, route }),
        }
        self.decided.is_some()
    }
}

impl std::ops::Not for Value {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other,
        }
    }
}

impl std::ops::BitAnd for Value {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Later, _) | (_, Self::Later) => Self::Later,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::True,
        }
    }
}

impl Condition {
    /// The value for these facts.
    pub(crate) fn value(&self, facts: &Facts, lists: &Lists) -> Value {
        match self {
            Self::Always => Value::True,
            Self::Test(test) => match (test.value(facts, lists), test.unless_known()) {
                (Value::Unknown, Some(value)) => value.into(),
                (value, _) => value,
            },
            Self::Assuming(test, unless_known) => match test.value(facts, lists) {
                Value::Unknown => (*unless_known).into(),
                value => value,
            },
            Self::Not(inner) => !inner.value(facts, lists),
            Self::All(inner) => inner.iter().fold(Value::True, |all, one| all & one.value(facts, lists)),
            Self::Any(inner) => !inner.iter().fold(Value::True, |none, one| none & !one.value(facts, lists)),
        }
    }
}

impl Test {
    /// The value for these facts, without what it counts as where that could not be found out.
    pub(crate) fn value(&self, facts: &Facts, lists: &Lists) -> Value {
        let stage = facts.stage();
        let settled = |value: bool| if value || stage >= Stage::Mail { value.into() } else { Value::Later };
        match self {
            Self::From(set) => facts.client.is_some_and(|client| holds_address(set, client, lists)).into(),
            Self::On(listener) => (facts.listener == *listener).into(),
            Self::Hours(hours) => found(&facts.minute, stage, Stage::Recipient, |minute| hours.contains(*minute)),
            Self::Name(set) => found(&facts.name, stage, Stage::Recipient, |name| {
                name.as_ref().is_some_and(|name| set.holds(Named::Domain(name), lists))
            }),
            Self::Iprev(results) => found(&facts.iprev, stage, Stage::Recipient, |result| results.contains(result)),
            Self::Listed { zone, at_least } => {
                let score = facts.listed.iter().find(|(listed, _)| listed == zone);
                let score = score.map_or(Finding::NotYet, |(_, score)| *score);
                found(&score, stage, Stage::Recipient, |score| score >= at_least)
            }
            Self::Tls => settled(facts.tls),
            Self::Authenticated(None) => settled(facts.user.is_some()),
            Self::Authenticated(Some(list)) => settled(facts.user.as_ref().is_some_and(|user| {
                matches!(lists.get(list), Some(List { members: Members::Users(users), .. }) if users.contains(user))
            })),
            Self::Certificate(set) => {
                settled(facts.certificate.as_ref().is_some_and(|certificate| set.holds(certificate, lists)))
            }
            Self::Helo(set) => match &facts.hello {
                Some(hello) => set.holds(Named::Hello(hello), lists).into(),
                None if stage < Stage::Mail => Value::Later,
                None => Value::False,
            },
            Self::Sender(set) => of_stage(facts.sender.as_ref(), |sender| match sender {
                ReversePath::Mailbox(mailbox) => set.holds(Named::Mailbox(mailbox), lists),
                ReversePath::Null => false,
            }),
            Self::SenderNull => of_stage(facts.sender.as_ref(), |sender| sender.mailbox().is_none()),
            Self::SenderOwned => match (&facts.user, &facts.sender) {
                (_, None) => Value::Later,
                (Some(_), Some(ReversePath::Mailbox(_))) => found(&facts.owned, stage, Stage::Recipient, |owned| *owned),
                _ => Value::False,
            },
            Self::Spf(results) => match &facts.spf {
                Finding::Is(results::Spf::TempError) => Value::Unknown,
                spf => found(spf, stage, Stage::Recipient, |spf| results.contains(spf)),
            },
            Self::To(set) => of_stage(facts.recipient.as_ref(), |recipient| match (recipient, set) {
                (ForwardPath::Mailbox(mailbox), set) => set.holds(Named::Mailbox(mailbox), lists),
                (ForwardPath::Postmaster, HostSet::List(name)) => lists.get(name).is_some_and(List::is_local),
                (ForwardPath::Postmaster, _) => false,
            }),
            Self::RecipientExists => found(&facts.exists, stage, Stage::Recipient, |exists| *exists),
            Self::Known => found(&facts.known, stage, Stage::Recipient, |known| *known),
            Self::Recipients(most) => match stage {
                Stage::Recipient | Stage::Message => (facts.recipients > *most).into(),
                _ => Value::Later,
            },
            Self::Rate(rate) => match stage {
                Stage::Recipient | Stage::Message => {
                    found(&facts.count(rate), stage, Stage::Recipient, |count| *count < rate.limit)
                }
                _ => Value::Later,
            },
            Self::Size(most) => of_stage(facts.message.as_ref(), |message| message.size > *most),
            Self::Hops(most) => of_stage(facts.message.as_ref(), |message| message.hops > *most),
            Self::AuthorAligned => {
                of_message(facts, |message| found(&message.aligned, stage, Stage::Message, |aligned| *aligned))
            }
            Self::Dkim(results) => of_message(facts, |message| match &message.dkim {
                Finding::Is(results::Dkim::TempError) => Value::Unknown,
                dkim => found(dkim, stage, Stage::Message, |dkim| results.contains(dkim)),
            }),
            Self::Arc(results) => {
                of_message(facts, |message| found(&message.arc, stage, Stage::Message, |arc| results.contains(arc)))
            }
            Self::Dmarc(results) => of_message(facts, |message| {
                found(&message.dmarc, stage, Stage::Message, |dmarc| results.iter().any(|result| result.means(*dmarc)))
            }),
            Self::Custom(name) => {
                let value = facts.custom.iter().find(|(custom, _)| custom == name);
                let value = value.map_or(Finding::NotYet, |(_, value)| *value);
                found(&value, stage, Stage::Recipient, |value| *value)
            }
        }
    }
}

/// The value of a fact that must be found out, at the latest at a stage.
fn found<T>(finding: &Finding<T>, now: Stage, latest: Stage, test: impl FnOnce(&T) -> bool) -> Value {
    match finding {
        Finding::Is(value) => test(value).into(),
        Finding::NotYet if now < latest => Value::Later,
        Finding::NotYet | Finding::Unknown => Value::Unknown,
    }
}

/// The value of a fact that is there from a stage on.
fn of_stage<T>(fact: Option<&T>, test: impl FnOnce(&T) -> bool) -> Value {
    fact.map_or(Value::Later, |fact| test(fact).into())
}

fn of_message(facts: &Facts, test: impl FnOnce(&crate::Message) -> Value) -> Value {
    facts.message.as_ref().map_or(Value::Later, test)
}

fn holds_address(set: &NetworkSet, client: IpAddr, lists: &Lists) -> bool {
    match set {
        NetworkSet::Network(network) => network.contains(client),
        NetworkSet::List(name) => match lists.get(name).map(|list| &list.members) {
            Some(Members::Networks(_, networks)) => networks.contains(client),
            _ => false,
        },
    }
}

impl Dmarc {
    /// Whether this word of the language means that result: `fail` means every failure.
    pub(crate) fn means(self, result: Self) -> bool {
        self == result || (self == Self::Fail && matches!(result, Self::Quarantine | Self::Reject))
    }
}

impl List {
    /// Whether it is a list of local domains, each of which holds the bare postmaster.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.members, Members::Domains(DomainRole::Local, _))
    }
}

/// What may be in a set of hosts.
#[derive(Clone, Copy)]
pub(crate) enum Named<'a> {
    Domain(&'a Domain),
    Hello(&'a Hello),
    Mailbox(&'a Mailbox),
}

impl HostSet {
    pub(crate) fn holds(&self, named: Named<'_>, lists: &Lists) -> bool {
        let host = match named {
            Named::Domain(domain) => Some(Cow::Owned(Host::Domain(domain.clone()))),
            // What is neither a name nor an address literal is in no list.
            Named::Hello(hello) => hello.as_str().parse().ok().map(Cow::Owned),
            Named::Mailbox(mailbox) => Some(Cow::Borrowed(mailbox.host())),
        };
        match (self, host, named) {
            (Self::Mailbox(one), _, Named::Mailbox(mailbox)) => {
                one.host() == mailbox.host() && one.local().content().eq_ignore_ascii_case(&mailbox.local().content())
            }
            (Self::Pattern(pattern), Some(host), _) => pattern.matches(&host),
            (Self::List(name), Some(host), _) => match lists.get(name).map(|list| &list.members) {
                Some(Members::Domains(_, domains) | Members::Names(_, domains)) => domains.contains(&host),
                _ => false,
            },
            _ => false,
        }
    }
}

impl CertificateSet {
    pub(crate) fn holds(&self, certificate: &crate::Certificate, lists: &Lists) -> bool {
        match self {
            Self::Trusted => !certificate.names.is_empty(),
            Self::Spki(pin) => certificate.spki == *pin,
            Self::List(name) => match lists.get(name).map(|list| &list.members) {
                Some(Members::Certificates(patterns)) => patterns.iter().any(|pattern| match pattern {
                    CertificatePattern::Spki(pin) => certificate.spki == *pin,
                    CertificatePattern::Named(name) => certificate.names.contains(name),
                }),
                _ => false,
            },
        }
    }
}
