//! From paths to facts, and back.

use hikyaku_message::results;
use hikyaku_wire::{Domain, ForwardPath, ReversePath};

use super::{
    credentials::client,
    dimension::{
        ARCS, DKIMS, DMARCS, Dimension, IPREVS, LISTENERS, SPFS, Values, YES, helo_host, other_key, other_user,
    },
    keys::{Key, address_of, host_key, mailbox_key},
    space::{Fact, Path, Space},
};
use crate::{Certificate, Dmarc, Facts, Finding, Listener, Message};

impl Space<'_> {
    /// Facts of these classes, up to the end of a message; what no policy asks for is plain.
    pub(crate) fn facts(&self, path: &[usize]) -> Facts {
        let mut facts = Facts::new("198.51.100.7".parse().ok(), Listener::Mx);
        facts.minute = Finding::Is(720);
        facts.iprev = Finding::Is(results::Iprev::PermError);
        facts.name = Finding::Is(None);
        facts.hello = "mail.sender.example".parse().ok();
        facts.owned = Finding::Is(false);
        facts.spf = Finding::Is(results::Spf::None);
        facts.exists = Finding::Is(true);
        facts.known = Finding::Is(false);
        let mut message = Message::new(2000);
        message.hops = 1;
        message.aligned = Finding::Is(true);
        message.dkim = Finding::Is(results::Dkim::None);
        message.arc = Finding::Is(results::Arc::None);
        message.dmarc = Finding::Is(Dmarc::None);
        for (of, class) in self.dimensions.iter().zip(path) {
            set(of, *class, &mut facts, &mut message);
        }
        if let Some(certificate) = facts.certificate.as_mut().filter(|_| self.is_vouched(path)) {
            certificate.names.extend(self.other_name());
        }
        facts.message = Some(message);
        facts
    }

    fn is_vouched(&self, path: &[usize]) -> bool {
        self.dimension(&Fact::Vouched).is_some_and(|dimension| path[dimension] == YES)
    }

    /// A name that no policy asks certificates for.
    fn other_name(&self) -> Option<Domain> {
        let named = |name: &Domain| {
            self.dimensions.iter().any(|of| matches!(&of.values, Values::Named(names) if names.contains(name)))
        };
        let names = (0..).map(|number| match number {
            0 => "client.example".to_owned(),
            _ => format!("client-{number}.example"),
        });
        names.map_while(|name| name.parse().ok()).find(|name| !named(name))
    }

    /// The classes of facts at the end of a message. What has not been looked for is unknown.
    pub(crate) fn classes_of(&self, facts: &Facts) -> Path {
        self.dimensions.iter().map(|of| class_of(of, facts)).collect()
    }
}

fn set(of: &Dimension, class: usize, facts: &mut Facts, message: &mut Message) {
    fn finding<T>(of: &Dimension, class: usize, value: impl FnOnce() -> T) -> Finding<T> {
        if of.unknown == Some(class) { Finding::Unknown } else { Finding::Is(value()) }
    }
    let yes = || finding(of, class, || class == YES);
    let number = |class: usize| match &of.values {
        Values::Numbers(line) => line.values[class],
        _ => 0,
    };
    let text = |class: usize| match &of.values {
        Values::Names(kind, line) => kind.text(&line.values[class]),
        _ => None,
    };
    match &of.fact {
        Fact::Listener => facts.listener = LISTENERS[class],
        Fact::Tls => facts.tls = class == YES,
        Fact::User => {
            if let Values::Users(users) = &of.values {
                facts.user = users.value(class, other_user);
            }
        }
        Fact::Key => {
            if let Values::Keys(keys) = &of.values {
                let key = keys.value(class, other_key);
                facts.certificate = key.map(|spki| Certificate { spki, names: Vec::new() });
            }
        }
        Fact::VouchedName(_) if class == YES => {
            if let (Values::Named(names), Some(certificate)) = (&of.values, &mut facts.certificate) {
                certificate.names.push(names[0].clone());
            }
        }
        Fact::Vouched | Fact::VouchedName(_) => {}
        Fact::Owned => facts.owned = yes(),
        Fact::Exists => facts.exists = yes(),
        Fact::Known => facts.known = yes(),
        Fact::Custom(name) => facts.custom.push((name.clone(), yes())),
        Fact::Iprev => facts.iprev = finding(of, class, || IPREVS[class]),
        Fact::Spf => facts.spf = finding(of, class, || SPFS[class]),
        Fact::Dkim => message.dkim = finding(of, class, || DKIMS[class]),
        Fact::Arc => message.arc = finding(of, class, || ARCS[class]),
        Fact::Dmarc => message.dmarc = finding(of, class, || DMARCS[class]),
        Fact::Aligned => message.aligned = yes(),
        Fact::Listed(zone) => {
            let score = finding(of, class, || i32::try_from(number(class)).unwrap_or_default());
            facts.listed.push((zone.clone(), score));
        }
        Fact::Recipients => facts.recipients = u32::try_from(number(class)).unwrap_or_default(),
        // What has not been counted is unknown.
        Fact::Rate(_) if of.unknown == Some(class) => {}
        Fact::Rate(window) => facts.rates.push((*window, u64::try_from(number(class)).unwrap_or_default())),
        Fact::Size => message.size = u64::try_from(number(class)).unwrap_or_default(),
        Fact::Hops => message.hops = u32::try_from(number(class)).unwrap_or_default(),
        Fact::Minute => facts.minute = finding(of, class, || u16::try_from(number(class)).unwrap_or_default()),
        Fact::Client => {
            if let Values::Clients(line) = &of.values {
                facts.client = line.values[class].map(address_of);
            }
        }
        Fact::Helo => {
            // What names no host is no name of the DNS.
            let text = text(class).unwrap_or_else(|| "no_name".to_owned());
            facts.hello = text.parse().ok();
        }
        Fact::Name => facts.name = finding(of, class, || text(class).and_then(|text| text.parse().ok())),
        Fact::Sender => {
            let mailbox = text(class).and_then(|text| text.parse().ok());
            facts.sender = Some(mailbox.map_or(ReversePath::Null, ReversePath::Mailbox));
        }
        Fact::Recipient => {
            let mailbox = text(class).and_then(|text| text.parse().ok());
            facts.recipient = Some(mailbox.map_or(ForwardPath::Postmaster, ForwardPath::Mailbox));
        }
    }
}

fn class_of(of: &Dimension, facts: &Facts) -> usize {
    let unknown = of.unknown.unwrap_or(0);
    let yes = |finding: Finding<bool>| match finding {
        Finding::Is(value) => usize::from(value),
        _ => unknown,
    };
    let number = |number: i128| match &of.values {
        Values::Numbers(line) => line.class_of(&number),
        _ => 0,
    };
    let key = |key: Option<Key>| match &of.values {
        Values::Names(_, line) => line.class_of(&key.unwrap_or_default()),
        _ => 0,
    };
    fn place<T: PartialEq>(all: &[T], finding: Option<&Finding<T>>, unknown: usize) -> usize {
        match finding {
            Some(Finding::Is(value)) => all.iter().position(|one| one == value).unwrap_or(unknown),
            _ => unknown,
        }
    }
    let message = facts.message.as_ref();
    let certificate = facts.certificate.as_ref();
    match &of.fact {
        Fact::Listener => LISTENERS.iter().position(|one| *one == facts.listener).unwrap_or_default(),
        Fact::Tls => usize::from(facts.tls),
        Fact::User => match &of.values {
            Values::Users(users) => users.class_of(facts.user.as_ref()),
            _ => 0,
        },
        Fact::Key => match &of.values {
            Values::Keys(keys) => keys.class_of(certificate.map(|certificate| &certificate.spki)),
            _ => 0,
        },
        Fact::Vouched => usize::from(certificate.is_some_and(|certificate| !certificate.names.is_empty())),
        Fact::VouchedName(_) => match (&of.values, certificate) {
            (Values::Named(names), Some(certificate)) => {
                usize::from(names.iter().any(|name| certificate.names.contains(name)))
            }
            _ => 0,
        },
        // Only a user owns anything, and nobody owns `<>`.
        Fact::Owned => match (&facts.user, &facts.sender) {
            (Some(_), Some(ReversePath::Mailbox(_))) => yes(facts.owned),
            _ => 0,
        },
        Fact::Exists => yes(facts.exists),
        Fact::Known => yes(facts.known),
        Fact::Custom(name) => {
            yes(facts.custom.iter().find(|(custom, _)| custom == name).map_or(Finding::NotYet, |(_, value)| *value))
        }
        Fact::Iprev => place(&IPREVS, Some(&facts.iprev), unknown),
        Fact::Spf => place(&SPFS, Some(&facts.spf), unknown),
        Fact::Dkim => place(&DKIMS, message.map(|message| &message.dkim), unknown),
        Fact::Arc => place(&ARCS, message.map(|message| &message.arc), unknown),
        Fact::Dmarc => place(&DMARCS, message.map(|message| &message.dmarc), unknown),
        Fact::Aligned => yes(message.map_or(Finding::NotYet, |message| message.aligned)),
        Fact::Listed(zone) => match facts.listed.iter().find(|(listed, _)| listed == zone) {
            Some((_, Finding::Is(score))) => number((*score).into()),
            _ => unknown,
        },
        Fact::Recipients => number(facts.recipients.into()),
        Fact::Rate(window) => match facts.rates.iter().find(|(counted, _)| counted == window) {
            Some((_, count)) => number((*count).into()),
            None => unknown,
        },
        Fact::Size => number(message.map_or(0, |message| message.size.into())),
        Fact::Hops => number(message.map_or(0, |message| message.hops.into())),
        Fact::Minute => match facts.minute {
            Finding::Is(minute) => number(minute.into()),
            _ => unknown,
        },
        Fact::Client => match &of.values {
            Values::Clients(line) => line.class_of(&client(facts.client)),
            _ => 0,
        },
        Fact::Helo => key(facts.hello.as_ref().and_then(|hello| helo_host(hello.as_str())).map(|host| host_key(&host))),
        Fact::Name => match &facts.name {
            Finding::Is(name) => key(name.as_ref().map(|name| host_key(&hikyaku_wire::Host::Domain(name.clone())))),
            _ => unknown,
        },
        Fact::Sender => key(facts.sender.as_ref().and_then(ReversePath::mailbox).map(mailbox_key)),
        Fact::Recipient => key(facts.recipient.as_ref().and_then(ForwardPath::mailbox).map(mailbox_key)),
    }
}
