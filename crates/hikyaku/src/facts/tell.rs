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
        message.aligned =
            Finding::Is(pair.is_some_and(|(author, sender)| author.is_within(&sender) || sender.is_within(author)));
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
/// keys for: the time of day where it asks for that.
pub(crate) fn words(facts: &Facts, asks: &Needs, tells_time: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut say = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    say("listener", Some(facts.listener.to_string()));
    if let (true, Finding::Is(minute)) = (tells_time, &facts.minute) {
        say("time", Some(format!("{:02}:{:02}", minute / 60, minute % 60)));
    }
    say("tls", facts.tls.then(|| "yes".to_owned()));
    say("certificate", facts.certificate.as_ref().map(|certificate| SpkiPin(certificate.spki).to_string()));
    if asks.iprev {
        say("iprev", word(&facts.iprev, |iprev| iprev.as_str()));
        if let Finding::Is(Some(name)) = &facts.name {
            say("name", Some(name.to_string()));
        }
    }
    for (zone, score) in &facts.listed {
        say("listed", word(score, i32::to_string).map(|word| format!("{zone}={word}")));
    }
    say("spf", word(&facts.spf, |spf| spf.as_str()));
    say("owned", word(&facts.owned, yes).filter(|_| asks.owned && facts.user.is_some()));
    if facts.stage() >= Stage::Recipient {
        say("exists", word(&facts.exists, yes).filter(|_| asks.exists));
        say("known", word(&facts.known, yes));
        say("recipients", Some(facts.recipients.to_string()).filter(|_| facts.recipients > 1));
        for (window, count) in &facts.rates {
            say("rate", Some(format!("{window}={count}")));
        }
    }
    for (name, value) in &facts.custom {
        say("custom", word(value, yes).map(|word| format!("{name}={word}")));
    }
    if let Some(Message { size, hops, aligned, dkim, arc, dmarc, .. }) = &facts.message {
        say("size", Some(size.to_string()));
        say("hops", Some(hops.to_string()));
        say("aligned", word(aligned, yes));
        say("dkim", word(dkim, |dkim| dkim.as_str()));
        say("arc", word(arc, |arc| arc.as_str()));
        say("dmarc", word(dmarc, Dmarc::to_string));
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

#[cfg(test)]
mod tests {
    use hikyaku_dns::Name;
    use hikyaku_policy::{Certificate, Listener, Per, Period, Window};

    use super::*;

    #[test]
    fn a_name_that_leads_back_is_told_only_where_it_does() {
        let name: Name = "client.test".parse().unwrap();
        let odd: Name = "a_b.client.test".parse().unwrap();
        let (no, unknown) = (Finding::Is(None), Finding::Unknown);
        for (result, name, iprev, told) in [
            (
                results::Iprev::Pass,
                Some(name),
                Finding::Is(results::Iprev::Pass),
                Finding::Is("client.test".parse().ok()),
            ),
            (results::Iprev::Pass, Some(odd), Finding::Is(results::Iprev::Fail), no.clone()),
            (results::Iprev::Fail, None, Finding::Is(results::Iprev::Fail), no.clone()),
            (results::Iprev::PermError, None, Finding::Is(results::Iprev::PermError), no),
            (results::Iprev::TempError, None, Finding::Unknown, unknown),
        ] {
            let mut facts = Facts::new(None, Listener::Mx);
            tell_name(&ReverseName { result, name: name.clone() }, &mut facts);
            assert_eq!((facts.iprev, facts.name), (iprev, told), "{result:?} {name:?}");
        }
    }

    #[test]
    fn what_is_known_is_said_in_words() {
        let mut facts = Facts::new(None, Listener::Submission);
        assert_eq!(words(&facts, &Needs::default(), true), ["listener=submission"]);
        facts.minute = Finding::Is(61);
        facts.tls = true;
        facts.certificate = Some(Certificate { spki: [0; 32], names: Vec::new() });
        facts.listed =
            vec![("a.test".parse().unwrap(), Finding::Is(-3)), ("b.test".parse().unwrap(), Finding::Unknown)];
        facts.iprev = Finding::Is(results::Iprev::Pass);
        facts.name = Finding::Is("client.test".parse().ok());
        facts.spf = Finding::Is(results::Spf::SoftFail);
        facts.custom = vec![("vpn".parse().unwrap(), Finding::Is(true))];
        facts.recipient = Some("<a@b.test>".parse().unwrap());
        facts.exists = Finding::Is(false);
        facts.known = Finding::Is(true);
        facts.recipients = 2;
        facts.rates = vec![(Window { period: Period::Hour, per: Per::Network }, 7)];
        let mut asks = Needs::default();
        (asks.iprev, asks.exists) = (true, true);
        let said = words(&facts, &asks, true);
        assert_eq!(
            said[3..],
            [
                "certificate=sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                "iprev=pass",
                "name=client.test",
                "listed=a.test=-3",
                "listed=b.test=unknown",
                "spf=softfail",
                "exists=no",
                "known=yes",
                "recipients=2",
                "rate=h per network=7",
                "custom=vpn=yes",
            ]
        );
        assert_eq!(said[..3], ["listener=submission", "time=01:01", "tls=yes"]);
        let fewer = words(&facts, &Needs::default(), false);
        assert!(
            !fewer.iter().any(|word| ["time", "iprev", "name", "exists"].iter().any(|name| word.starts_with(name))),
            "{fewer:?}"
        );
    }

    #[tokio::test]
    async fn an_author_is_aligned_with_a_sender_above_or_below() {
        use crate::{Check, Names, Verification, facts::tests::off};
        let names = Names { hostname: "mx.test".to_owned(), authserv_id: "mx.test".to_owned() };
        let zone: hikyaku_dns::Zone = "".parse().unwrap();
        let config = crate::VerifyConfig { spf: Check::Off, ..off() };
        let verification = Verification::new(zone, config, Default::default(), names);
        let mut needs = Needs::default();
        needs.aligned = true;
        for (author, sender, aligned) in [
            ("a@b.test", "<x@B.test>", true),
            ("a@sub.b.test", "<x@b.test>", true),
            ("a@b.test", "<x@sub.b.test>", true),
            ("a@ab.test", "<x@b.test>", false),
            ("a@other.test", "<x@b.test>", false),
            ("a@b.test", "<>", false),
            ("a@b.test, c@d.test", "<x@b.test>", false),
            ("a@b.test", "<x@[192.0.2.1]>", false),
        ] {
            let mut arriving = verification.arriving(false, &needs).unwrap();
            arriving.push(format!("From: {author}\r\n\r\n").as_bytes());
            let found = verification.message(arriving, ClientResults::default(), &mut Default::default()).await;
            let mut facts = Facts::new(None, Listener::Mx);
            facts.sender = Some(sender.parse().unwrap());
            facts.message = Some(Message::new(1));
            tell_message(&found, &needs, &mut facts);
            let told = facts.message.unwrap();
            assert_eq!((told.aligned, told.dkim), (Finding::Is(aligned), Finding::NotYet), "{author} {sender}");
        }
        assert!(verification.arriving(true, &Needs::default()).is_none());
    }
}
