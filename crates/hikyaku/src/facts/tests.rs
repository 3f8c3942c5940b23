use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use hikyaku_dns::{Answer, Error, Mx, Tlsa, Txt, Zone};
use hikyaku_message::{Received, results};
use hikyaku_policy::{Condition, Dmarc, Facts, Finding, Listener, Policy, PolicyBuilder, Rule, Test};
use hikyaku_queue::{BodyReader, Envelope, Memory, NewRcpt, NewUnit, Queue, QueueKey};
use hikyaku_wire::Timestamp;

use hikyaku_policy as policy;
use hikyaku_policy::Domains;

use super::*;
use crate::{
    AuditLog, Directory, GreylistConfig, Intake, Routes, Ruling, Screening, SigningKeys,
    signing::testing::{Folder, record},
};

const ZONE: &str = r#"
spf.test. 300 TXT "v=spf1 ip4:192.0.2.1 exp=why.spf.test -all"
why.spf.test. 300 TXT "%{i} is not ours"
strict.test. 300 TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.strict.test. 300 TXT "v=DMARC1; p=reject"
loose.test. 300 TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.loose.test. 300 TXT "v=DMARC1; p=quarantine"
testing.test. 300 TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.testing.test. 300 TXT "v=DMARC1; p=none"
1.2.0.192.in-addr.arpa. 300 PTR client.test.
client.test. 300 A 192.0.2.1
9.2.0.192.in-addr.arpa. 300 PTR elsewhere.test.
elsewhere.test. 300 A 192.0.2.8
"#;

/// A zone that writes down what it is asked, and does not answer for `slow.test` and below.
#[derive(Clone, Debug)]
pub(crate) struct Asked(pub(crate) Arc<Zone>, pub(crate) Arc<Mutex<Vec<String>>>);

macro_rules! asked {
    ($($lookup:ident -> $record:ty;)*) => {
        impl Resolver for Asked {
            $(async fn $lookup(&self, name: &Name) -> Result<Answer<$record>, Error> {
                self.1.lock().unwrap().push(format!("{} {name}", stringify!($lookup)));
                if name.to_string().ends_with("slow.test") {
                    std::future::pending::<()>().await;
                }
                self.0.$lookup(name).await
            })*
        }
    };
}

asked! {
    a -> Ipv4Addr;
    aaaa -> Ipv6Addr;
    mx -> Mx;
    ptr -> Name;
    tlsa -> Tlsa;
    txt -> Txt;
}

pub(crate) fn off() -> VerifyConfig {
    let off = Check::Off;
    VerifyConfig { spf: off, dkim: off, dmarc: off, arc: off, iprev: off, ..VerifyConfig::default() }
}

/// A relay that takes one message, as a client of this address sends it.
struct Relay {
    config: VerifyConfig,
    /// What stands before the rule that permits everything.
    rules: Vec<Rule>,
    client: Option<IpAddr>,
    sender: &'static str,
    /// More of the zone.
    zone: String,
}

impl Relay {
    fn new(config: VerifyConfig) -> Self {
        let client = Some([192, 0, 2, 1].into());
        Self { config, rules: Vec::new(), client, sender: "<a@spf.test>", zone: String::new() }
    }

    fn stranger(self) -> Self {
        Self { client: Some([192, 0, 2, 9].into()), ..self }
    }

    fn from(self, sender: &'static str) -> Self {
        Self { sender, ..self }
    }

    fn policy(&self) -> Policy {
        let rules = self.rules.iter().cloned().chain([Rule::permit(Condition::Always)]).collect();
        PolicyBuilder { open: true, rules, ..PolicyBuilder::default() }.build().unwrap()
    }

    async fn take(&self, message: &str) -> Taken {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let zone = format!("{ZONE}{}", self.zone).parse().unwrap();
        let resolver = Asked(Arc::new(zone), asked.clone());
        let names = Names { hostname: "mx.hik.test".to_owned(), authserv_id: "hik.test".to_owned() };
        let limits = HeaderLimits::default();
        let verification = Verification::new(resolver, self.config.clone(), limits, names);
        let routes = Routes { local: Domains::default(), transports: Vec::new(), smarthost: None, named: Vec::new() };
        let (ruling, greylist) = (Ruling::new(self.policy(), routes).unwrap(), GreylistConfig::default());
        let audit = Arc::new(AuditLog::open("/dev/null".as_ref()).unwrap());
        let (lists, directory) = (Vec::new(), Directory::default());
        let screening = Screening::new(ruling, verification, lists, &greylist, directory, |_, _| false, audit);
        let mut visitor = screening.visitor(self.client, Listener::Mx);
        visitor.is_called(Some(&"client.test".parse().unwrap()));
        assert!(screening.greets(&visitor).reply.is_positive());
        let mut mail = screening.mail(&mut visitor, &self.sender.parse().unwrap()).unwrap();
        assert_eq!(asked.lock().unwrap().len(), 0, "nothing is looked up before there is a recipient");
        let at_recipient = screening.recipient(&mut visitor, &mut mail, &"<b@hik.test>".parse().unwrap()).await;
        let queue = Memory::new();
        let mut intake = Intake::open(&queue, None, limits, "hik.test").await.unwrap();
        intake.verified(screening.arriving(&mail));
        for piece in message.as_bytes().chunks(7) {
            intake.push(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        intake.finish().unwrap();
        let outcome = screening.message(&mut visitor, &mut mail, &mut intake).await;
        let said = |judgement: &crate::Judgement| {
            (!judgement.reply.is_positive()).then(|| format!("{}: {}", judgement.rule, judgement.reply))
        };
        let refusal = outcome.judgements.first().and_then(|(_, judgement)| said(judgement));
        let id = intake.id();
        let time = Timestamp::from_millis(0);
        let trace = Received { helo: "c", peer: None, by: "mx", with: "SMTP", id: "1", recipient: None, time };
        let unit = NewUnit::new(QueueKey::new("maildir"), time, time);
        let unit = unit.with(NewRcpt::new("<b@hik.test>".parse().unwrap()));
        intake.commit(Envelope::new(self.sender.parse().unwrap(), time), trace, vec![unit]).await.unwrap();
        let body = queue.body(id).await.unwrap();
        let prepend = String::from_utf8(body.prepend().to_vec()).unwrap();
        let mut text = String::new();
        while (text.len() as u64) < body.len() {
            let piece = body.read_at(text.len() as u64, usize::MAX).await.unwrap();
            text += std::str::from_utf8(&piece).unwrap();
        }
        let fields = prepend[..prepend.find("Received:").unwrap()].to_owned();
        let mut asked = asked.lock().unwrap().clone();
        asked.sort();
        assert!(asked.len() >= usize::try_from(visitor.lookups()).unwrap() / 2, "{asked:?}");
        let facts = mail.facts().clone();
        Taken { at_recipient: said(&at_recipient), found: outcome.found, refusal, fields, text, facts, asked }
    }
}

#[derive(Debug)]
struct Taken {
    at_recipient: Option<String>,
    found: Option<Found>,
    refusal: Option<String>,
    /// In front of the trace field.
    fields: String,
    /// What the queue has of the message itself.
    text: String,
    facts: Facts,
    /// In order of the alphabet.
    asked: Vec<String>,
}

impl Taken {
    /// What DMARC has said.
    fn dmarc(&self) -> Option<results::Dmarc> {
        Some(self.found.as_ref()?.authentication.dmarc.as_ref()?.result)
    }

    fn message(&self) -> &policy::Message {
        self.facts.message.as_ref().unwrap()
    }
}

/// A message of an author.
fn of(author: &str) -> String {
    format!("From: {author}\r\nSubject: x\r\n\r\nbody\r\n")
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_looked_up() {
    let nothing = Relay::new(off()).take(&of("a@strict.test")).await;
    assert_eq!((nothing.asked.len(), nothing.found, nothing.fields.as_str()), (0, None, ""));
    assert_eq!((nothing.facts.spf, nothing.facts.iprev), (Finding::NotYet, Finding::NotYet));

    let all = VerifyConfig { iprev: Check::Report, ..VerifyConfig::default() };
    // On this host nobody has an address to judge by.
    let here = Relay { client: None, ..Relay::new(all.clone()) }.take(&of("a@strict.test")).await;
    assert_eq!((here.asked.len(), here.found), (0, None));

    let report = Check::Report;
    let signed = format!("DKIM-Signature: v=1; a=rsa-sha256; d=spf.test; s=s; h=from; bh=; b=\r\n{}", of("a@spf.test"));
    for (config, expected) in [
        (VerifyConfig { spf: report, ..off() }, &["txt client.test", "txt spf.test"][..]),
        (VerifyConfig { iprev: report, ..off() }, &["a client.test", "ptr 1.2.0.192.in-addr.arpa"]),
        (VerifyConfig { arc: report, ..off() }, &[]),
    ] {
        let taken = Relay::new(config.clone()).take(&signed).await;
        assert_eq!(taken.asked, expected, "{config:?}");
        assert!(taken.fields.starts_with("Authentication-Results: hik.test;"), "{}", taken.fields);
    }
    let dmarc = Relay::new(VerifyConfig { dmarc: report, ..off() }).take(&of("a@strict.test")).await;
    assert_eq!(dmarc.asked, ["txt _dmarc.strict.test", "txt _dmarc.test", "txt client.test", "txt spf.test"]);
}

#[tokio::test]
async fn a_policy_is_told_what_it_needs() {
    let rules = vec![
        Rule::refuse(Reply::RELAY_DENIED_550, Test::Spf(vec![results::Spf::Fail])),
        Rule::defer(Reply::LOCAL_ERROR_451, !Condition::from(Test::Iprev(vec![results::Iprev::Pass]))),
    ];
    let take = async |relay: Relay| Relay { rules: rules.clone(), ..relay }.take(&of("a@spf.test")).await;
    let code = |taken: &Taken| taken.at_recipient.as_ref().and_then(|said| said.split(": ").nth(1)?[..3].parse().ok());
    let good = take(Relay::new(off())).await;
    assert_eq!(code(&good), None::<u16>);
    assert_eq!(good.asked, ["a client.test", "ptr 1.2.0.192.in-addr.arpa", "txt client.test", "txt spf.test"]);
    assert_eq!(code(&take(Relay::new(off()).stranger()).await), Some(550));
    assert_eq!(code(&take(Relay::new(off()).stranger().from("<a@elsewhere.test>")).await), Some(451));
    // On this host nobody has an address to judge by.
    let here = take(Relay { client: None, ..Relay::new(off()) }).await;
    assert_eq!((code(&here), here.asked.len()), (Some(451), 0));
}

#[tokio::test]
async fn spf_that_is_enforced_refuses_at_rcpt() {
    let config = VerifyConfig { spf: Check::Enforce, ..off() };
    let at_recipient = async |relay: Relay| relay.take(&of("a@spf.test")).await.at_recipient;
    assert_eq!(at_recipient(Relay::new(config.clone())).await, None);
    assert_eq!(
        at_recipient(Relay::new(config.clone()).stranger()).await.unwrap(),
        "spf: 550 5.7.23 SPF: this host may not send as spf.test; spf.test explains: 192.0.2.9 is not ours"
    );
    assert_eq!(at_recipient(Relay::new(config).stranger().from("<a@none.test>")).await, None);
    let report = VerifyConfig { spf: Check::Report, ..off() };
    assert_eq!(at_recipient(Relay::new(report).stranger()).await, None);
}

#[tokio::test]
async fn an_address_without_a_name_is_refused_where_that_is_enforced() {
    let relay = || Relay::new(VerifyConfig { iprev: Check::Enforce, ..off() });
    assert_eq!(relay().take(&of("a@spf.test")).await.at_recipient, None);
    let stranger = relay().stranger().take(&of("a@spf.test")).await;
    assert!(stranger.at_recipient.unwrap().starts_with("iprev: 550 5.7.25 192.0.2.9 "));
    let report = Relay::new(VerifyConfig { iprev: Check::Report, ..off() });
    assert_eq!(report.stranger().take(&of("a@spf.test")).await.at_recipient, None);
}

#[tokio::test]
async fn the_policy_of_the_authors_domain_is_honoured() {
    let take = async |author: &str, dmarc| {
        let config = VerifyConfig { dmarc, ..VerifyConfig::default() };
        let taken = Relay::new(config).stranger().take(&of(author)).await;
        let result = taken.dmarc().unwrap();
        assert!(taken.fields.contains(&format!("dmarc={result}")), "{}", taken.fields);
        (taken.refusal, taken.fields.contains("\r\nX-Spam-Flag: YES\r\n"), result)
    };
    use results::Dmarc::{Fail, None as Nothing};
    let enforce = Check::Enforce;
    let reply = "dmarc: 550 5.7.1 the DMARC policy of strict.test asks to refuse this message".to_owned();
    assert_eq!(take("a@strict.test", enforce).await, (Some(reply), false, Fail));
    assert_eq!(take("a@loose.test", enforce).await, (None, true, Fail));
    assert_eq!(take("a@testing.test", enforce).await, (None, false, Fail));
    assert_eq!(take("a@nothing.test", enforce).await, (None, false, Nothing));
    for author in ["a@strict.test", "a@loose.test"] {
        assert_eq!(take(author, Check::Report).await, (None, false, Fail));
    }
    let good = Relay::new(VerifyConfig::default()).from("<a@strict.test>").take(&of("a@strict.test")).await;
    assert_eq!((good.dmarc(), good.refusal), (Some(results::Dmarc::Pass), None));
}

/// D52, C1.26: nobody hides from DMARC behind a From field that others read in another way.
#[tokio::test]
async fn d52_without_one_author_there_is_nobody_to_ask() {
    for message in [
        "Subject: x\r\n\r\nbody\r\n",
        "From: a@nothing.test\r\nFrom: b@strict.test\r\n\r\n",
        "From: a@nothing.test\r\nFROM : b@strict.test\r\n\r\n",
        "From: a@nothing.test, b@strict.test\r\n\r\n",
        "From: <a@nothing.test,b@strict.test>\r\n\r\n",
        "From: undisclosed:;\r\n\r\n",
        "From: a\r\n\r\n",
        "Subject: x\r\nno colon\r\nFrom: a@nothing.test\r\n\r\n",
        "\r\nFrom: a@nothing.test\r\n\r\n",
    ] {
        let taken = Relay::new(VerifyConfig::default()).take(message).await;
        let refusal = taken.refusal.unwrap_or_else(|| panic!("{message:?} is taken"));
        assert!(refusal.starts_with("dmarc: 550 5.7.1 nobody can be held to be the author: "), "{refusal}");
        let report = VerifyConfig { dmarc: Check::Report, ..VerifyConfig::default() };
        assert_eq!(Relay::new(report).take(message).await.refusal, None, "{message:?}");
    }
}

/// The message with a signature of each domain, and the zone of their keys.
fn signed(domains: &[&str], message: &str) -> (String, String) {
    let folder = Folder::new();
    let listed = domains.iter().map(|domain| folder.key(domain, "s")).collect();
    let keys = SigningKeys::load(listed).unwrap();
    let zone = (0..domains.len()).map(|index| record(&keys, index)).collect();
    let sign = |domain: &&str| keys.sign(&domain.parse().unwrap(), message.as_bytes(), now());
    (domains.iter().map(sign).collect::<String>() + message, zone)
}

#[tokio::test]
async fn a_good_signature_is_enough_where_one_is_asked_for() {
    let (message, zone) = signed(&["strict.test", "b.test"], &of("a@strict.test"));
    let config = VerifyConfig { dkim: Check::Enforce, dmarc: Check::Enforce, ..off() };
    let good = Relay { zone: zone.clone(), ..Relay::new(config.clone()).stranger() }.take(&message).await;
    assert_eq!(good.message().dkim, Finding::Is(results::Dkim::Pass));
    assert_eq!(good.message().dmarc, Finding::Is(Dmarc::Pass));
    assert_eq!((good.dmarc(), good.refusal), (Some(results::Dmarc::Pass), None));
    assert_eq!(good.found.unwrap().event().dkim, ["pass strict.test s", "pass b.test s"]);
    // One of two is enough.
    let zone = zone.lines().nth(1).unwrap().to_owned();
    let config = VerifyConfig { dmarc: Check::Report, ..config };
    let one = Relay { zone, ..Relay::new(config.clone()) }.take(&message).await;
    assert_eq!(one.refusal, None);
    assert!(Relay::new(config).take(&message).await.refusal.unwrap().starts_with("dkim: 550 5.7.20 "));
}

#[tokio::test(start_paused = true)]
async fn a_signature_whose_key_does_not_come_is_asked_for_again() {
    let (message, _) = signed(&["slow.test"], &of("a@spf.test"));
    let taken = Relay::new(VerifyConfig { dkim: Check::Enforce, ..off() }).take(&message).await;
    assert_eq!(taken.message().dkim, Finding::Unknown);
    assert!(taken.refusal.unwrap().starts_with("dkim: 451 4.7.20 "));
}

/// C1: whatever client and message ask for, it is bounded for both together.
#[tokio::test]
async fn a_message_causes_fifty_lookups_at_the_most() {
    let mut zone =
        String::from("big.test. 300 TXT \"v=spf1 mx:m1.test mx:m2.test mx:m3.test mx:m4.test mx:m5.test -all\"\n");
    for n in 1..=5 {
        for host in 0..10 {
            zone += &format!("m{n}.test. 300 MX 10 h{host}.m{n}.test.\nh{host}.m{n}.test. 300 A 192.0.2.77\n");
        }
    }
    let domains: Vec<String> = (0..10).map(|n| format!("d{n}.c{n}.b{n}.a{n}.test")).collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let (message, keys) = signed(&domains, &of("a@1.2.3.4.5.6.7.8.9.strict.test"));
    zone += &keys;
    let relay = Relay { zone, ..Relay::new(VerifyConfig::default()).from("<a@big.test>") };
    let taken = relay.take(&message).await;
    assert!(taken.asked.iter().any(|asked| asked.starts_with("txt _dmarc.")), "{:?}", taken.asked);
    assert!((40..=50).contains(&taken.asked.len()), "{} {:?}", taken.asked.len(), taken.asked);
}

#[tokio::test]
async fn signatures_and_chains_that_are_enforced_refuse_without_them() {
    let dkim = |check| VerifyConfig { dkim: check, ..off() };
    let reply = "dkim: 550 5.7.20 no good DKIM signature".to_owned();
    assert_eq!(Relay::new(dkim(Check::Enforce)).take(&of("a@spf.test")).await.refusal, Some(reply));
    assert_eq!(Relay::new(dkim(Check::Report)).take(&of("a@spf.test")).await.refusal, None);
    let chain = format!("ARC-Seal: i=2; cv=pass; d=a.test; s=s; a=rsa-sha256; b=\r\n{}", of("a@spf.test"));
    let arc = |check| VerifyConfig { arc: check, ..off() };
    let reply = "arc: 550 5.7.29 the chain of ARC sets is broken".to_owned();
    assert_eq!(Relay::new(arc(Check::Enforce)).take(&chain).await.refusal, Some(reply));
    assert_eq!(Relay::new(arc(Check::Enforce)).take(&of("a@spf.test")).await.refusal, None);
    assert_eq!(Relay::new(arc(Check::Report)).take(&chain).await.refusal, None);
}

/// The answer never comes: the clock of the test goes on by itself.
#[tokio::test(start_paused = true)]
async fn lookups_end_in_time_and_then_have_failed_for_now() {
    let config = VerifyConfig { spf: Check::Enforce, timeout: Duration::from_secs(7), ..off() };
    let start = Instant::now();
    let slow = Relay::new(config).from("<a@slow.test>").take(&of("a@slow.test")).await;
    assert_eq!(slow.at_recipient.unwrap(), "spf: 451 4.7.24 SPF of slow.test cannot be looked up now");
    assert_eq!(slow.facts.spf, Finding::Is(results::Spf::TempError));
    assert_eq!(start.elapsed().as_secs(), 7);

    let start = Instant::now();
    let dmarc = Relay::new(VerifyConfig::default()).take(&of("a@slow.test")).await;
    assert_eq!((dmarc.dmarc(), dmarc.message().dmarc), (Some(results::Dmarc::TempError), Finding::Unknown));
    let reply = "dmarc: 451 4.7.1 the DMARC policy of slow.test cannot be evaluated now";
    assert_eq!(dmarc.refusal.as_deref(), Some(reply), "who makes lookups slow must not send as anybody");
    let config = VerifyConfig { dmarc: Check::Report, ..VerifyConfig::default() };
    assert_eq!(Relay::new(config).take(&of("a@slow.test")).await.refusal, None);
    let start = start + Duration::from_secs(20);
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn the_queue_gets_results_on_top_and_forged_ones_out() {
    let forged = "Authentication-Results: HIK.test; dmarc=pass\r\n";
    let other = "Authentication-Results: other.test; dmarc=pass\r\n";
    let message = format!("{forged}{other}{forged}{}", of("a@strict.test"));
    let taken = Relay::new(VerifyConfig::default()).from("<a@strict.test>").take(&message).await;
    assert_eq!(taken.text, format!("{other}{}", of("a@strict.test")));
    let found = results::AuthenticationResults::parse(&taken.fields.as_bytes()["Authentication-Results:".len()..]);
    let words: Vec<_> =
        found.unwrap().results().iter().map(|info| format!("{}={}", info.method(), info.result())).collect();
    assert_eq!(words, ["spf=none", "spf=pass", "dkim=none", "arc=none", "dmarc=pass"]);
    let event = taken.found.unwrap().event();
    assert_eq!(event.spf.as_deref(), Some("pass strict.test"));
    assert_eq!(event.helo.as_deref(), Some("none client.test"));
    assert_eq!(event.dmarc.as_deref(), Some("pass strict.test"));
    assert_eq!((event.dkim.len(), event.iprev, event.quarantine), (0, None, None));
}
