//! Random facts at the edges of what a policy asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_message::results::{Arc, Dkim, Iprev, Spf};
use hikyaku_wire::{Domain, ForwardPath, ReversePath};

use super::{Choices, policy::USERS};
#[cfg(test)]
use crate::Stage;
use crate::{
    Action, Certificate, CertificatePattern, CertificateSet, Dmarc, DomainPattern, Facts, Finding, HostSet, Identifier,
    Listener, Members, Message, Network, NetworkSet, Per, Policy, Rate, Test, Window,
};

/// The values at which a policy may change its mind, and some beside them.
pub(crate) struct Edges {
    clients: Vec<IpAddr>,
    /// Domains and address literals, as they are written.
    hosts: Vec<String>,
    names: Vec<Domain>,
    mailboxes: Vec<String>,
    users: Vec<String>,
    pins: Vec<[u8; 32]>,
    certified: Vec<Domain>,
    zones: Vec<(Domain, Vec<i32>)>,
    windows: Vec<(Window, Vec<u64>)>,
    minutes: Vec<u16>,
    recipients: Vec<u32>,
    sizes: Vec<u64>,
    hops: Vec<u32>,
    customs: Vec<Identifier>,
}

impl Edges {
    pub(crate) fn new(policies: &[&Policy]) -> Self {
        let mut edges = Self {
            clients: ["198.51.100.7", "203.0.113.9", "2001:db8:bad::7", "10.9.8.7", "0.0.0.0", "255.255.255.255", "::"]
                .map(|address| address.parse().expect("an address"))
                .to_vec(),
            hosts: ["stranger.example", "any.com", "[203.0.113.1]", "[IPv6:2001:db8::1]", "com"]
                .map(str::to_owned)
                .to_vec(),
            names: vec!["client.example".parse().expect("a name")],
            mailboxes: vec!["x@stranger.example".to_owned()],
            users: USERS.map(str::to_owned).to_vec(),
            pins: vec![[0; 32]],
            certified: vec!["client.example".parse().expect("a name")],
            zones: Vec::new(),
            windows: Vec::new(),
            minutes: vec![0, 720, 1439],
            recipients: vec![1],
            sizes: vec![1000],
            hops: vec![0],
            customs: Vec::new(),
        };
        for policy in policies {
            edges.policy(policy);
        }
        edges.names.extend(edges.hosts.iter().filter_map(|host| host.parse().ok()));
        edges
    }

    fn policy(&mut self, policy: &Policy) {
        for list in policy.lists() {
            match &list.members {
                Members::Networks(_, networks) => networks.iter().for_each(|network| self.network(network)),
                Members::Domains(_, domains) | Members::Names(_, domains) => {
                    domains.iter().for_each(|domain| self.domain(&domain));
                }
                Members::Users(users) => self.users.extend(users.iter().cloned()),
                Members::Certificates(patterns) => {
                    for pattern in patterns {
                        match pattern {
                            CertificatePattern::Spki(pin) => self.pins.push(*pin),
                            CertificatePattern::Named(name) => self.certified.push(name.clone()),
                        }
                    }
                }
            }
        }
        policy.settings().strangers.iter().for_each(|network| self.network(network));
        self.customs.extend(policy.settings().credentials.iter().cloned());
        for rule in policy.rules() {
            rule.when.tests().into_iter().for_each(|test| self.test(test));
            if let Action::Limit(rate) = &rule.action {
                self.rate(rate);
            }
        }
        policy.claims().iter().flat_map(|claim| claim.when.tests()).for_each(|test| self.test(test));
        self.customs.sort();
        self.customs.dedup();
    }

    fn test(&mut self, test: &Test) {
        match test {
            Test::From(NetworkSet::Network(network)) => self.network(network),
            Test::To(set) | Test::Sender(set) | Test::Helo(set) | Test::Name(set) => match set {
                HostSet::Pattern(pattern) => self.domain(pattern),
                HostSet::Mailbox(mailbox) => {
                    let host = mailbox.host().to_string();
                    self.mailboxes.push(mailbox.to_string());
                    self.mailboxes.push(mailbox.to_string().to_uppercase());
                    self.mailboxes.push(format!("other@{host}"));
                    if !host.starts_with('[') {
                        self.mailboxes.push(format!("{}@sub.{host}", mailbox.local()));
                    }
                }
                HostSet::List(_) => {}
            },
            Test::Certificate(CertificateSet::Spki(pin)) => self.pins.push(*pin),
            Test::Listed { zone, at_least } => {
                let found = self.zones.iter().position(|(known, _)| known == zone);
                let index = found.unwrap_or_else(|| {
                    self.zones.push((zone.clone(), vec![0]));
                    self.zones.len() - 1
                });
                self.zones[index].1.extend([*at_least, at_least - 1, at_least + 1]);
            }
            Test::Rate(rate) => self.rate(rate),
            Test::Hours(hours) => {
                for minute in [hours.from, hours.until] {
                    self.minutes.extend([minute % 1440, (minute + 1439) % 1440]);
                }
            }
            Test::Recipients(most) => self.recipients.extend([*most, most + 1]),
            Test::Size(most) => self.sizes.extend([*most, most + 1]),
            Test::Hops(most) => self.hops.extend([*most, most + 1]),
            Test::Custom(name) => self.customs.push(name.clone()),
            _ => {}
        }
    }

    fn rate(&mut self, rate: &Rate) {
        let found = self.windows.iter().position(|(window, _)| *window == rate.window);
        let index = found.unwrap_or_else(|| {
            self.windows.push((rate.window, vec![0]));
            self.windows.len() - 1
        });
        self.windows[index].1.extend([rate.limit - 1, rate.limit]);
    }

    /// The first and the last address, and those beside them.
    fn network(&mut self, network: &Network) {
        match network.address() {
            IpAddr::V4(first) => {
                let (first, host) = (first.to_bits(), u32::MAX.checked_shr(network.prefix().into()).unwrap_or(0));
                let last = first | host;
                for bits in [first, last, first.wrapping_sub(1), last.wrapping_add(1)] {
                    let address = Ipv4Addr::from_bits(bits);
                    self.clients.push(address.into());
                    self.clients.push(address.to_ipv6_mapped().into());
                }
                self.clients.push(IpAddr::V6(Ipv6Addr::from_bits(first.into())));
            }
            IpAddr::V6(first) => {
                let (first, host) = (first.to_bits(), u128::MAX.checked_shr(network.prefix().into()).unwrap_or(0));
                let last = first | host;
                for bits in [first, last, first.wrapping_sub(1), last.wrapping_add(1)] {
                    self.clients.push(IpAddr::V6(Ipv6Addr::from_bits(bits)));
                }
            }
        }
    }

    /// A name, names below it, its parent, and names that only look like it.
    fn domain(&mut self, pattern: &DomainPattern) {
        match pattern {
            DomainPattern::All => {}
            DomainPattern::Address(_) => self.hosts.push(pattern.to_string()),
            DomainPattern::Exactly(name) | DomainPattern::Below(name) => {
                let name = name.as_str();
                self.hosts.extend([name.to_owned(), name.to_uppercase()]);
                self.hosts.extend(["sub", "a.sub", "0", "z.z"].map(|below| format!("{below}.{name}")));
                self.hosts.extend([format!("x{name}"), format!("{name}.evil.example"), format!("{name}x")]);
                self.hosts.extend(name.split_once('.').map(|(_, parent)| parent.to_owned()));
            }
        }
    }

    /// Facts of a whole transaction, which can be so; all of them are known, or some may be not.
    pub(crate) fn facts(&self, choices: &mut Choices<'_>) -> Facts {
        let unsure = choices.one_in(2);
        let client = (!choices.one_in(20)).then(|| choices.pick(&self.clients));
        let mut facts = Facts::new(client, choices.pick(&Listener::ALL));
        if choices.one_in(4) {
            // Whoever fills it in by hand may leave it as the socket says it.
            facts.client = client;
        }
        facts.tls = facts.listener == Listener::Submissions || choices.one_in(2);
        let offers_auth = matches!(facts.listener, Listener::Submission | Listener::Submissions);
        if facts.tls && offers_auth && !choices.one_in(3) {
            facts.user = Some(choices.pick(&self.users));
        }
        if facts.tls && choices.one_in(4) {
            let names = choices.some(&self.certified, 0, 2);
            facts.certificate = Some(Certificate { spki: choices.pick(&self.pins), names });
        }
        let hello = match choices.below(8) {
            0 => "odd_name".to_owned(),
            _ => choices.pick(&self.hosts),
        };
        facts.hello = hello.parse().ok();
        facts.sender = Some(match choices.below(8) {
            0 => ReversePath::Null,
            1 | 2 => format!("<{}>", choices.pick(&self.mailboxes)).parse().expect("a path"),
            _ => format!("<x@{}>", choices.pick(&self.hosts)).parse().expect("a path"),
        });
        facts.recipient = Some(match choices.below(10) {
            0 => ForwardPath::Postmaster,
            1 | 2 => format!("<{}>", choices.pick(&self.mailboxes)).parse().expect("a path"),
            _ => format!("<victim@{}>", choices.pick(&self.hosts)).parse().expect("a path"),
        });
        self.find(&mut facts, unsure, choices);
        facts
    }

    fn find(&self, facts: &mut Facts, unsure: bool, choices: &mut Choices<'_>) {
        fn find<T>(choices: &mut Choices<'_>, unsure: bool, value: impl FnOnce(&mut Choices<'_>) -> T) -> Finding<T> {
            if unsure && choices.one_in(5) { Finding::Unknown } else { Finding::Is(value(choices)) }
        }
        facts.minute = Finding::Is(choices.pick(&self.minutes));
        facts.iprev =
            find(choices, unsure, |choices| choices.pick(&[Iprev::Pass, Iprev::Pass, Iprev::Fail, Iprev::PermError]));
        facts.name = match facts.iprev {
            Finding::Is(Iprev::Pass) => Finding::Is(Some(choices.pick(&self.names))),
            Finding::Is(_) => Finding::Is(None),
            _ => Finding::Unknown,
        };
        for (zone, scores) in &self.zones {
            facts.listed.push((zone.clone(), find(choices, unsure, |choices| choices.pick(scores))));
        }
        let may_own = facts.user.is_some() && facts.sender.as_ref().is_some_and(|path| path.mailbox().is_some());
        facts.owned = match may_own {
            true => find(choices, unsure, |choices| choices.one_in(2)),
            false => Finding::Is(false),
        };
        facts.spf = find(choices, unsure, |choices| {
            choices.pick(&[
                Spf::Pass,
                Spf::Fail,
                Spf::None,
                Spf::SoftFail,
                Spf::Neutral,
                Spf::PermError,
                Spf::TempError,
            ])
        });
        facts.exists = find(choices, unsure, |choices| choices.one_in(2));
        facts.known = Finding::Is(choices.one_in(2));
        facts.recipients = choices.pick(&self.recipients);
        facts.rates = self.windows.iter().map(|(window, counts)| (*window, choices.pick(counts))).collect();
        consistent(facts);
        for name in &self.customs {
            facts.custom.push((name.clone(), find(choices, unsure, |choices| choices.one_in(2))));
        }
        let mut message = Message::new(choices.pick(&self.sizes));
        message.hops = choices.pick(&self.hops);
        message.aligned = find(choices, unsure, |choices| choices.one_in(2));
        message.dkim = find(choices, unsure, |choices| {
            choices.pick(&[Dkim::Pass, Dkim::Fail, Dkim::None, Dkim::Neutral, Dkim::PermError, Dkim::TempError])
        });
        message.arc = find(choices, unsure, |choices| choices.pick(Arc::ALL));
        message.dmarc = find(choices, unsure, |choices| {
            choices.pick(&[Dmarc::Pass, Dmarc::None, Dmarc::Fail, Dmarc::Quarantine, Dmarc::Reject, Dmarc::PermError])
        });
        let passes = facts.spf == Finding::Is(Spf::Pass) || message.dkim == Finding::Is(Dkim::Pass);
        if message.dmarc == Finding::Is(Dmarc::Pass) && !passes {
            message.dmarc = Finding::Is(Dmarc::Fail);
        }
        facts.message = Some(message);
    }
}

/// Nothing is counted for whom there is not, and no more in a part than in the whole.
fn consistent(facts: &mut Facts) {
    let whole = |part: Window, whole: Window| {
        let wider = matches!((part.per, whole.per), (Per::Ip, Per::Network) | (Per::Sender, Per::Domain));
        part != whole && part.period <= whole.period && (part.per == whole.per || wider)
    };
    for index in 0..facts.rates.len() {
        let (window, count) = facts.rates[index];
        facts.rates[index].1 = if is_counted(window, facts) { count } else { 0 };
    }
    for (part, most) in facts.rates.clone() {
        for (other, count) in &mut facts.rates {
            if whole(part, *other) {
                *count = most.max(*count);
            }
        }
    }
}

/// Whether there is what the window counts for.
fn is_counted(window: Window, facts: &Facts) -> bool {
    match window.per {
        Per::Ip | Per::Network => facts.client.is_some(),
        Per::User => facts.user.is_some(),
        Per::Sender | Per::Domain => facts.sender.as_ref().is_some_and(|path| path.mailbox().is_some()),
    }
}

/// Whether facts of a whole transaction can be so.
pub(crate) fn feasible(facts: &Facts) -> Result<(), &'static str> {
    let dkim = facts.message.as_ref().map(|message| (&message.dkim, &message.dmarc));
    let sender = facts.sender.as_ref().and_then(ReversePath::mailbox);
    let has_name = matches!(facts.name, Finding::Is(Some(_)));
    for (holds, axiom) in [
        (facts.certificate.is_none() || facts.tls, "a certificate is shown under TLS"),
        (facts.listener != Listener::Submissions || facts.tls, "submissions is TLS from the first octet"),
        (
            facts.user.is_none() || matches!(facts.listener, Listener::Submission | Listener::Submissions),
            "users come to a listener that offers AUTH",
        ),
        (facts.user.is_none() || facts.tls, "users authenticate under TLS"),
        (
            facts.owned != Finding::Is(true) || (facts.user.is_some() && sender.is_some()),
            "a user has the sender that is owned",
        ),
        (has_name == (facts.iprev == Finding::Is(Iprev::Pass)), "a confirmed name is what `iprev pass` means"),
        (
            dkim.is_none_or(|(dkim, dmarc)| {
                *dmarc != Finding::Is(Dmarc::Pass)
                    || facts.spf == Finding::Is(Spf::Pass)
                    || *dkim == Finding::Is(Dkim::Pass)
            }),
            "DMARC passes by SPF or DKIM",
        ),
        (!matches!(facts.known, Finding::Unknown), "who was seen before is known"),
        (!matches!(facts.minute, Finding::Unknown), "the time is known"),
        (facts.minute != Finding::Is(1440), "a day has 1440 minutes"),
        (facts.recipients > 0, "this recipient counts"),
        (
            facts.rates.iter().all(|(window, count)| *count == 0 || is_counted(*window, facts)),
            "nothing is counted for whom there is not",
        ),
    ] {
        if !holds {
            return Err(axiom);
        }
    }
    Ok(())
}

/// What of the facts of a whole transaction is there at a stage. What a client may still change
/// is not there before MAIL.
#[cfg(test)]
pub(crate) fn until(facts: &Facts, stage: Stage) -> Facts {
    let mut facts = facts.clone();
    if stage < Stage::Message {
        facts.message = None;
    }
    if stage < Stage::Recipient {
        facts.recipient = None;
        (facts.exists, facts.known) = (Finding::NotYet, Finding::NotYet);
        facts.rates.clear();
    }
    if stage < Stage::Mail {
        facts.sender = None;
        (facts.owned, facts.spf) = (Finding::NotYet, Finding::NotYet);
        facts.user = None;
        facts.tls = facts.listener == Listener::Submissions;
        facts.certificate = facts.certificate.filter(|_| facts.tls);
    }
    if stage < Stage::Hello {
        facts.hello = None;
    }
    facts
}
