//! Facts in words.

use hikyaku_wire::{Domain, ReversePath};

use crate::{Facts, Finding, Message, Test, decide::harmless};

/// The fact that a test looks at.
pub(super) fn fact(test: &Test, facts: &Facts) -> String {
    match test {
        Test::From(_) => match facts.client {
            Some(client) => format!("client {}", client.to_canonical()),
            None => "a client without an address".to_owned(),
        },
        Test::On(_) => format!("listener {}", facts.listener),
        Test::Hours(_) => finding("time", &facts.minute, |minute| format!("{:02}:{:02} UTC", minute / 60, minute % 60)),
        Test::Name(_) => finding("name of the client", &facts.name, |name| match name {
            Some(name) => format!("name {name}"),
            None => "no confirmed name".to_owned(),
        }),
        Test::Iprev(_) => finding("iprev", &facts.iprev, |iprev| format!("iprev {iprev}")),
        Test::Listed { zone, .. } => {
            finding(&format!("answer of {zone}"), &facts.score(zone), |score| format!("score {score}"))
        }
        Test::Tls => if facts.tls { "encrypted" } else { "in clear" }.to_owned(),
        Test::Authenticated(_) => match &facts.user {
            Some(user) => format!("user {}", harmless(user)),
            None => "no user".to_owned(),
        },
        Test::Certificate(_) => certificate(facts),
        Test::Helo(_) => {
            facts.hello.as_ref().map_or_else(|| "no helo".to_owned(), |name| format!("helo {}", name.as_str()))
        }
        Test::Sender(_) | Test::SenderNull => sender(facts),
        Test::SenderOwned => match (&facts.user, &facts.sender) {
            (None, _) => "no user".to_owned(),
            (_, Some(ReversePath::Mailbox(_))) => finding("owner of the sender", &facts.owned, |owned| {
                if *owned { "the sender is the user's" } else { "the sender is not the user's" }.to_owned()
            }),
            _ => sender(facts),
        },
        Test::Spf(_) => finding("spf", &facts.spf, |spf| format!("spf {spf}")),
        Test::To(_) => match &facts.recipient {
            Some(recipient) => format!("recipient {recipient}"),
            None => "no recipient yet".to_owned(),
        },
        Test::RecipientExists => finding("mailbox", &facts.exists, |exists| {
            if *exists { "the mailbox exists" } else { "no such mailbox" }.to_owned()
        }),
        Test::Known => finding("client, sender and recipient", &facts.known, |known| {
            if *known { "seen before" } else { "new" }.to_owned()
        }),
        Test::Recipients(_) => format!("recipients {}", facts.recipients),
        Test::Rate(rate) => finding(&format!("count in 1{}", rate.window), &facts.count(rate), |count| {
            format!("{count} in 1{}", rate.window)
        }),
        Test::Custom(name) => finding(name.as_str(), &facts.custom(name), |value| {
            format!("{name} is {}", if *value { "true" } else { "false" })
        }),
        Test::Size(_) | Test::Hops(_) | Test::AuthorAligned | Test::Dkim(_) | Test::Arc(_) | Test::Dmarc(_) => {
            facts.message.as_ref().map_or_else(|| "no message yet".to_owned(), |message| of_message(test, message))
        }
    }
}

fn of_message(test: &Test, message: &Message) -> String {
    match test {
        Test::Hops(_) => format!("hops {}", message.hops),
        Test::AuthorAligned => finding("author", &message.aligned, |aligned| {
            if *aligned { "the author is of the sender's domain" } else { "the author is of another domain" }.to_owned()
        }),
        Test::Dkim(_) => finding("dkim", &message.dkim, |dkim| format!("dkim {dkim}")),
        Test::Arc(_) => finding("arc", &message.arc, |arc| format!("arc {arc}")),
        Test::Dmarc(_) => finding("dmarc", &message.dmarc, |dmarc| format!("dmarc {dmarc}")),
        _ => format!("size {}", message.size),
    }
}

fn finding<T>(what: &str, finding: &Finding<T>, value: impl FnOnce(&T) -> String) -> String {
    match finding {
        Finding::Is(known) => value(known),
        Finding::Unknown => format!("{what} could not be found out"),
        Finding::NotYet => format!("{what} not looked up"),
    }
}

fn sender(facts: &Facts) -> String {
    match &facts.sender {
        Some(sender) => format!("sender {sender}"),
        None => "no sender yet".to_owned(),
    }
}

fn certificate(facts: &Facts) -> String {
    let Some(certificate) = &facts.certificate else { return "no certificate".to_owned() };
    match &certificate.names[..] {
        [] => "a certificate that nobody vouches for".to_owned(),
        names => format!("certificate of {}", names.iter().map(Domain::to_string).collect::<Vec<_>>().join(", ")),
    }
}
