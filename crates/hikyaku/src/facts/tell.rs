//! What was found out, as a policy is told it and as the audit log has it.

use std::fmt::Display;

use hikyaku_dns::Name;
use hikyaku_mailauth::{Authentication, ClientResults, ReverseName, dkim, dmarc};
use hikyaku_message::results;
use hikyaku_policy::{Dmarc, Facts, Finding, Message, Needs, Stage};
use hikyaku_wire::{Domain, Host, Mailbox};

use crate::SpkiPin;

/// Tells of the client.
pub(crate) fn tell_client(results: &ClientResults, facts: &mut Facts) {
    if let Some(spf) = &results.mail_from {
        facts.spf = Finding::Is(spf.result);
    }
    if let Some((_, name)) = &results.iprev {
        tell_name(name, facts);
    }
}

/// Tells of the name of the client's address.
fn tell_name(name: &ReverseName, facts: &mut Facts) {
    let domain = || name.name.as_ref().and_then(|name| name.to_string().parse::<Domain>().ok());
    (facts.iprev, facts.name) = match name.result {
        results::Iprev::TempError => (Finding::Unknown, Finding::Unknown),
        results::Iprev::Pass => match domain() {
            Some(domain) => (Finding::Is(name.result), Finding::Is(Some(domain))),
            // A name that is none of mail leads back to nothing that a list could hold.
            None => (Finding::Is(results::Iprev::Fail), Finding::Is(None)),
        },
        result => (Finding::Is(result), Finding::Is(None)),
    };
}

/// Tells of the message.
pub(crate) fn tell_message(found: &Authentication, needs: &Needs, facts: &mut Facts) {
    let sender = match facts.sender.as_ref().and_then(|sender| sender.mailbox()).map(Mailbox::host) {
        Some(Host::Domain(domain)) => Name::from_domain(domain.as_str()).ok(),
        _ => None,
    };
    let Some(message) = &mut facts.message else { return };
    if let Some(signatures) = &found.dkim {
        message.dkim = of_signatures(signatures);
    }
    if let Some(chain) = &found.arc {
        message.arc = if chain.is_temporary() { Finding::Unknown } else { Finding::Is(chain.result) };
    }
    if let Some(outcome) = &found.dmarc {
        message.dmarc = of_author(outcome);
    }
    if needs.aligned {
        let pair = found.author.as_ref().zip(sender);
        message.aligned = Finding::Is(pair.is_some_and(|(author, sender)| author.is_within(&sender) || sender.is_within(author)));
    }
}

/// `pass` if one is good; unknown if one may yet be; else what became of the first.
fn of_signatures(signatures: &[dkim::Verified]) -> Finding<results::Dkim> {
    let any = |result| signatures.iter().any(|signature| signature.result == result);
    match signatures.first() {
        None => Finding::Is(results::Dkim::None),
        Some(_) if any(results::Dkim::Pass) => Finding::Is(results::Dkim::Pass),
        Some(_) if any(results::Dkim::TempError) => Finding::Unknown,
        Some(first) => Finding::Is(first.result),
    }
}

fn of_author(outcome: &dmarc::Outcome) -> Finding<Dmarc> {
    Finding::Is(match (outcome.result, outcome.disposition) {
        (results::Dmarc::TempError, _) => return Finding::Unknown,
        (results::Dmarc::Pass, _) => Dmarc::Pass,
        (results::Dmarc::None, _) => Dmarc::None,
        (results::Dmarc::PermError, _) => Dmarc::PermError,
        (results::Dmarc::Fail, dmarc::Policy::None) => Dmarc::Fail,
        (results::Dmarc::Fail, dmarc::Policy::Quarantine) => Dmarc::Quarantine,
        (results::Dmarc::Fail, dmarc::Policy::Reject) => Dmarc::Reject,
    })
}

/// What the policy asks for and is known, each as `fact=value`, without what an audit line has
/// keys for.
pub(crate) fn words(facts: &Facts, asks: &Needs) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    say("listener", Some(facts.listener.to_string()));
    say("tls", facts.tls.then(|| "yes".to_owned()));
    say("certificate", facts.certificate.as_ref().map(|certificate| SpkiPin(certificate.spki).to_string()));
    if asks.iprev {
        say("iprev", word(&facts.iprev, |iprev| iprev.as_str()));
        if let Finding::Is(Some(name)) = &facts.name {
            say("name", Some(name.to_string()));
        }
    }
    for (zone, score) in &facts.listed {
        say("listed", word(score, |score| format!("{zone}:{score}")).map(|word| match score {
            Finding::Is(_) => word,
            _ => format!("{zone}:{word}"),
        }));
    }
    say("spf", word(&facts.spf, |spf| spf.as_str()));
    say("owned", word(&facts.owned, yes).filter(|_| asks.owned && facts.user.is_some()));
    if facts.stage() >= Stage::Recipient {
        say("exists", word(&facts.exists, yes).filter(|_| asks.exists));
        say("known", word(&facts.known, yes));
        for (window, count) in &facts.rates {
            let name = format!("rate={count}/{:?} per {:?}", window.period, window.per).to_lowercase();
            let (name, value) = name.split_once('=').unwrap_or((&name, ""));
            say(name, Some(value.to_owned()));
        }
    }
    for (name, value) in &facts.custom {
        say(&format!("custom {name}"), word(value, yes));
    }
    if let Some(Message { size, hops, aligned, dkim, arc, dmarc, .. }) = &facts.message {
        say("size", Some(size.to_string()));
        say("hops", Some(hops.to_string()));
        say("aligned", word(aligned, yes));
        say("dkim", word(dkim, |dkim| dkim.as_str()));
        say("arc", word(arc, |arc| arc.as_str()));
        say("dmarc", word(dmarc, |dmarc| match dmarc {
            Dmarc::Pass => "pass",
            Dmarc::None => "none",
            Dmarc::Fail => "fail",
            Dmarc::Quarantine => "quarantine",
            Dmarc::Reject => "reject",
            Dmarc::PermError => "permerror",
        }));
    }
    words
}

fn word<T, V: Display>(finding: &Finding<T>, say: impl FnOnce(&T) -> V) -> Option<String> {
    match finding {
        Finding::NotYet => None,
        Finding::Unknown => Some("unknown".to_owned()),
        Finding::Is(value) => Some(say(value).to_string()),
    }
}

fn yes(value: &bool) -> &'static str {
    if *value { "yes" } else { "no" }
}
