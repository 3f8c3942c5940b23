//! The facts as a policy looks at them: each is looked up once for all lists.

use std::cell::OnceCell;

use hikyaku_message::results;
use hikyaku_wire::{ForwardPath, Host, Mailbox, ReversePath};

use super::Value;
use crate::{
    CertificateSet, Dmarc, Facts, Finding, HostSet, Message, Stage, Test,
    index::{By, Class, Index, Probe, What},
};

/// What looks on while a policy decides.
pub(crate) trait Watch {
    /// Whether every test of a condition is to be seen, those too that cannot matter.
    const WHOLE: bool;

    /// A test has this value, and counts as that.
    fn test(&mut self, test: &Test, value: Value, counts: Value);

    /// All tests of a rule were seen: the rule has this value.
    fn rule(&mut self, rule: usize, value: Value);
}

/// Nobody looks on.
impl Watch for () {
    const WHOLE: bool = false;

    fn test(&mut self, _: &Test, _: Value, _: Value) {}

    fn rule(&mut self, _: usize, _: Value) {}
}

/// The facts, and where they stand in the lists of a policy.
pub(crate) struct View<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) stage: Stage,
    index: &'a Index,
    client: OnceCell<Class>,
    recipient: OnceCell<Class>,
    sender: OnceCell<Class>,
    hello: OnceCell<Class>,
    name: OnceCell<Class>,
    user: OnceCell<Class>,
}

impl<'a> View<'a> {
    pub(crate) fn new(index: &'a Index, facts: &'a Facts) -> Self {
        Self {
            facts,
            stage: facts.stage(),
            index,
            client: OnceCell::new(),
            recipient: OnceCell::new(),
            sender: OnceCell::new(),
            hello: OnceCell::new(),
            name: OnceCell::new(),
            user: OnceCell::new(),
        }
    }

    /// For each fact that is known the rules that may match by it, one bit a rule; all others do
    /// not match.
    pub(crate) fn may_match(&self) -> [Option<&'a [u64]>; 6] {
        let Self { facts, stage, index, .. } = self;
        let filter = &index.filter;
        let from_mail_on = *stage >= Stage::Mail;
        let said_hello = from_mail_on || facts.hello.is_some();
        let has_name = matches!(facts.name, Finding::Is(_));
        [
            filter.rules(By::Client, || Some(self.client())),
            filter.rules(By::Recipient, || facts.recipient.as_ref().map(|_| self.recipient())),
            filter.rules(By::Sender, || facts.sender.as_ref().map(|_| self.sender())),
            filter.rules(By::Hello, || said_hello.then(|| self.hello())),
            filter.rules(By::Name, || has_name.then(|| self.name())),
            filter.rules(By::User, || from_mail_on.then(|| self.user())),
        ]
    }

    /// The value of a rule: whether it matches.
    pub(crate) fn rule<W: Watch>(&self, rule: usize, watch: &mut W) -> Value {
        let entry = &self.index.rules[rule];
        let is_early = entry.at.is_some_and(|at| self.stage < at);
        let value = if is_early && !W::WHOLE {
            Value::Later
        } else {
            let value = self.condition(entry.node, watch);
            if is_early { Value::Later } else { value }
        };
        watch.rule(rule, value);
        value
    }

    /// The value of the condition that begins at a node.
    pub(crate) fn condition<W: Watch>(&self, node: u32, watch: &mut W) -> Value {
        let part = self.index.nodes[node as usize];
        match part.what {
            What::Always => Value::True,
            What::Test(test, unless_known) => {
                let value = self.test(test);
                let counts = value.unless_known(unless_known);
                watch.test(&self.index.tests[test as usize], value, counts);
                counts
            }
            What::Not => !self.condition(node + 1, watch),
            What::All => self.all(node + 1, part.end, watch, |value| value),
            What::Any => !self.all(node + 1, part.end, watch, |value| !value),
        }
    }

    fn all<W: Watch>(&self, mut node: u32, end: u32, watch: &mut W, each: impl Fn(Value) -> Value) -> Value {
        let mut all = Value::True;
        while node < end && (W::WHOLE || all != Value::False) {
            all = all & each(self.condition(node, watch));
            node = self.index.nodes[node as usize].end;
        }
        all
    }

    fn client(&self) -> Class {
        *self.client.get_or_init(|| self.facts.client.map_or(0, |client| self.index.clients.class(client)))
    }

    fn recipient(&self) -> Class {
        *self.recipient.get_or_init(|| match &self.facts.recipient {
            Some(ForwardPath::Mailbox(mailbox)) => self.index.hosts.class(mailbox.host()),
            Some(ForwardPath::Postmaster) => self.index.postmaster,
            None => 0,
        })
    }

    fn sender(&self) -> Class {
        *self.sender.get_or_init(|| match &self.facts.sender {
            Some(ReversePath::Mailbox(mailbox)) => self.index.hosts.class(mailbox.host()),
            Some(ReversePath::Null) | None => 0,
        })
    }

    fn hello(&self) -> Class {
        *self.hello.get_or_init(|| {
            let hello = self.facts.hello.as_ref().map(|hello| Host::parse(hello.as_str()));
            // What is neither a name nor an address literal is in no list.
            hello.and_then(Result::ok).map_or(0, |host| self.index.hosts.class(&host))
        })
    }

    fn name(&self) -> Class {
        *self.name.get_or_init(|| match &self.facts.name {
            Finding::Is(Some(name)) => self.index.hosts.domain(name),
            _ => 0,
        })
    }

    fn user(&self) -> Class {
        let class = |user: &String| self.index.users.get(user.as_str()).copied();
        *self.user.get_or_init(|| self.facts.user.as_ref().and_then(class).unwrap_or(0))
    }

    /// The value of a test, without what it counts as where its fact could not be found out.
    pub(crate) fn test(&self, test: u32) -> Value {
        let Self { facts, stage, index, .. } = self;
        let hosts = &index.hosts.classes;
        match index.probes[test as usize] {
            Probe::From(bit) => index.clients.classes.has(self.client(), bit).into(),
            Probe::To(bit) if facts.recipient.is_some() => hosts.has(self.recipient(), bit).into(),
            Probe::Sender(bit) if facts.sender.is_some() => hosts.has(self.sender(), bit).into(),
            Probe::To(_) | Probe::Sender(_) => Value::Later,
            Probe::Helo(bit) => match &facts.hello {
                None if *stage < Stage::Mail => Value::Later,
                _ => hosts.has(self.hello(), bit).into(),
            },
            Probe::Name(bit) => found(&facts.name, *stage, Stage::Recipient, |_| hosts.has(self.name(), bit)),
            Probe::User(bit) => self.settled(index.user_lists.has(self.user(), bit)),
            Probe::Certificate(bit) => self.settled(self.certificate(bit)),
            Probe::Fact => self.fact(&index.tests[test as usize]),
        }
    }

    /// What has not come until MAIL does not come at all; what has come stays.
    fn settled(&self, value: bool) -> Value {
        if value || self.stage >= Stage::Mail { value.into() } else { Value::Later }
    }

    fn certificate(&self, bit: u32) -> bool {
        let Index { pins, names, certificate_lists, .. } = self.index;
        self.facts.certificate.as_ref().is_some_and(|certificate| {
            let pin = pins.get(&certificate.spki);
            let names = certificate.names.iter().filter_map(|name| names.get(name));
            pin.into_iter().chain(names).any(|class| certificate_lists.has(*class, bit))
        })
    }

    fn fact(&self, test: &Test) -> Value {
        let Self { facts, stage, .. } = self;
        let stage = *stage;
        match test {
            Test::On(listener) => (facts.listener == *listener).into(),
            Test::Hours(hours) => found(&facts.minute, stage, Stage::Recipient, |minute| hours.contains(*minute)),
            Test::Iprev(results) => found(&facts.iprev, stage, Stage::Recipient, |result| results.contains(result)),
            Test::Listed { zone, at_least } => {
                found(&facts.score(zone), stage, Stage::Recipient, |score| score >= at_least)
            }
            Test::Tls => self.settled(facts.tls),
            Test::Authenticated(None) => self.settled(facts.user.is_some()),
            Test::Certificate(set) => self.settled(facts.certificate.as_ref().is_some_and(|certificate| match set {
                CertificateSet::Trusted => !certificate.names.is_empty(),
                CertificateSet::Spki(pin) => certificate.spki == *pin,
                CertificateSet::List(_) => false,
            })),
            Test::Sender(HostSet::Mailbox(one)) => {
                of_stage(facts.sender.as_ref(), |sender| sender.mailbox().is_some_and(|mailbox| is_same(one, mailbox)))
            }
            Test::To(HostSet::Mailbox(one)) => {
                of_stage(facts.recipient.as_ref(), |to| to.mailbox().is_some_and(|mailbox| is_same(one, mailbox)))
            }
            Test::SenderNull => of_stage(facts.sender.as_ref(), |sender| sender.mailbox().is_none()),
            Test::SenderOwned => match (&facts.user, &facts.sender) {
                (_, None) => Value::Later,
                (Some(_), Some(ReversePath::Mailbox(_))) => {
                    found(&facts.owned, stage, Stage::Recipient, |owned| *owned)
                }
                _ => Value::False,
            },
            Test::Spf(results) => match &facts.spf {
                Finding::Is(results::Spf::TempError) => Value::Unknown,
                spf => found(spf, stage, Stage::Recipient, |spf| results.contains(spf)),
            },
            Test::RecipientExists => found(&facts.exists, stage, Stage::Recipient, |exists| *exists),
            Test::Known => found(&facts.known, stage, Stage::Recipient, |known| *known),
            Test::Recipients(_) | Test::Rate(_) if stage < Stage::Recipient => Value::Later,
            Test::Recipients(most) => (facts.recipients > *most).into(),
            Test::Rate(rate) => found(&facts.count(rate), stage, Stage::Recipient, |count| *count < rate.limit),
            Test::Custom(name) => found(&facts.custom(name), stage, Stage::Recipient, |value| *value),
            Test::Size(_) | Test::Hops(_) | Test::AuthorAligned | Test::Dkim(_) | Test::Arc(_) | Test::Dmarc(_) => {
                facts.message.as_ref().map_or(Value::Later, |message| of_message(test, message))
            }
            // Their lists were looked up.
            Test::From(_) | Test::Name(_) | Test::Helo(_) => Value::False,
            Test::Authenticated(Some(_)) | Test::Sender(_) | Test::To(_) => Value::False,
        }
    }
}

fn of_message(test: &Test, message: &Message) -> Value {
    const AT: Stage = Stage::Message;
    match test {
        Test::Size(most) => (message.size > *most).into(),
        Test::Hops(most) => (message.hops > *most).into(),
        Test::AuthorAligned => found(&message.aligned, AT, AT, |aligned| *aligned),
        Test::Dkim(results) => match &message.dkim {
            Finding::Is(results::Dkim::TempError) => Value::Unknown,
            dkim => found(dkim, AT, AT, |dkim| results.contains(dkim)),
        },
        Test::Arc(results) => found(&message.arc, AT, AT, |arc| results.contains(arc)),
        Test::Dmarc(results) => {
            found(&message.dmarc, AT, AT, |dmarc| results.iter().any(|result| result.means(*dmarc)))
        }
        _ => Value::False,
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

fn is_same(one: &Mailbox, other: &Mailbox) -> bool {
    crate::domains::is_same(one.host(), other.host())
        && one.local().content().eq_ignore_ascii_case(&other.local().content())
}

impl Dmarc {
    /// Whether this word of the language means that result: `fail` means every failure.
    pub(crate) fn means(self, result: Self) -> bool {
        self == result || (self == Self::Fail && matches!(result, Self::Quarantine | Self::Reject))
    }
}
