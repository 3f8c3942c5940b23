//! Where mail goes, and what becomes of each recipient.

use std::{sync::atomic::Ordering, time::Duration};

use hikyaku::{
    Stopper,
    audit::Event,
    dns::{Error, Name, RecordType, Zone},
    now,
    session::{Protocol, server::Verdicts},
    wire::Reply,
};

use super::support::{DAY, Relay, Sink, until, welcome};

#[tokio::test]
async fn mail_goes_to_the_first_host_of_the_domain_that_answers() {
    let sink = Sink::new(welcome);
    let zone = "example.test. 60 MX 10 dead.test.\nexample.test. 60 MX 20 alive.test.\n\
                dead.test. 60 A 127.0.0.2\nalive.test. 60 A 127.0.0.1\n";
    let (stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(zone.parse().unwrap(), &[], |d| d.mx_port = port);
    relay.put(&["<a@example.test>", "<b@EXAMPLE.test>"], DAY).await;
    relay.run();
    relay.empty().await;
    let mails = sink.mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 1, "both recipients in one transaction");
    assert_eq!(mails[0].0.len(), 2);
    let text = String::from_utf8(mails[0].1.clone()).unwrap();
    assert!(text.starts_with("Received: from x.test") && text.ends_with("\r\nSubject: x\r\n\r\n.dot\r\n"), "{text}");
    let hosts: Vec<_> = relay
        .events()
        .into_iter()
        .filter_map(|e| if let Event::Attempt(a) = e { Some(a.host) } else { None })
        .collect();
    assert_eq!(hosts, ["dead.test", "alive.test"]);
    assert!(relay.failures().is_empty() && relay.deferrals().is_empty());
    stopper.stop();
}

#[tokio::test]
async fn d71_d72_domains_that_take_no_mail_are_bounced_and_failed_lookups_are_not() {
    let mut zone: Zone = "null.test. 60 MX 0 .\nself.test. 60 MX 10 relay.test.\nrelay.test. 60 A 192.0.2.1\n\
                inside.test. 60 MX 10 lo.test.\nlo.test. 60 A 127.0.0.1\nlo.test. 60 AAAA ::1\n\
                link.test. 60 A 169.254.169.254\nfails.test. 60 A 192.0.2.1\n"
        .parse()
        .unwrap();
    zone.failures.insert(("fails.test".parse::<Name>().unwrap(), RecordType::MX), Error::ServerFailure.into());
    let relay = Relay::new(zone, &[], |d| d.allow_private = false);
    for to in [
        "<a@null.test>",
        "<a@self.test>",
        "<a@nowhere.test>",
        "<a@inside.test>",
        "<a@link.test>",
        "<a@[127.0.0.1]>",
        "<a@[IPv6:::ffff:127.0.0.1]>",
        "<a@fails.test>",
    ] {
        relay.put(&[to], DAY).await;
    }
    relay.run();
    until(async || relay.bounces().len() == 7 && relay.deferrals().len() == 1).await;
    let mut failures = relay.failures();
    failures.sort();
    let codes: Vec<_> = failures.iter().map(|f| f.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(codes, ["550 5.1.2", "550 5.4.4", "550 5.4.4", "550 5.4.4", "550 5.4.4", "554 5.4.6", "556 5.1.10"]);
    assert!(relay.deferrals()[0].starts_with("451 4.4.3"), "{:?}", relay.deferrals());
}

#[tokio::test]
async fn a_recipient_that_is_refused_bounces_one_that_is_put_off_waits_and_the_rest_is_delivered() {
    let sink = Sink::new(|to| match to.to_string().as_str() {
        "<later@far.test>" => "450 4.2.1 busy".parse().unwrap(),
        "<never@far.test>" => "550 5.1.1 no such user\u{1b}[2J".parse().unwrap(),
        _ => Reply::RECIPIENT_OK_250,
    });
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<now@far.test>", "<later@far.test>", "<never@far.test>"], DAY).await;
    relay.run();
    until(async || relay.bounces().len() == 1).await;
    assert_eq!(sink.mails.lock().unwrap()[0].0, ["<now@far.test>".parse().unwrap()]);
    let bounce = &relay.bounces()[0];
    assert!(
        bounce.contains("never@far.test") && !bounce.contains("later@far.test") && !bounce.contains('\u{1b}'),
        "{bounce}"
    );
    let Some(Event::Deferred(deferred)) = relay.events().into_iter().find(|e| matches!(e, Event::Deferred(_))) else {
        panic!("nothing was put off")
    };
    let wait = deferred.next.saturating_since(now()).as_secs();
    assert!((4 * 60..6 * 60).contains(&wait), "five minutes with jitter, not {wait} s");
}

#[tokio::test]
async fn what_was_not_delivered_in_time_is_bounced() {
    let sink = Sink::new(|_| "450 4.2.1 busy".parse().unwrap());
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>"], Duration::ZERO).await;
    relay.run();
    relay.empty().await;
    let bounces = relay.bounces();
    assert_eq!(bounces.len(), 1);
    assert!(bounces[0].contains("Status: 5.4.7") && bounces[0].contains("Action: failed"), "{}", bounces[0]);
}

#[tokio::test]
async fn connections_are_used_again() {
    let sink = Sink::new(welcome);
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    for _ in 0..200 {
        relay.put(&["<a@far.test>"], DAY).await;
    }
    relay.run();
    relay.empty().await;
    assert_eq!(sink.got(), 200);
    let connections = sink.connections.load(Ordering::SeqCst);
    assert!((2..=20).contains(&connections), "several at once, each for many: {connections}");
}

#[tokio::test]
async fn lmtp_gives_each_recipient_its_own_answer() {
    let mut sink = Sink::new(welcome);
    sink.message = || Verdicts::Each(vec![Reply::OK_250, "552 5.2.2 mailbox full".parse().unwrap()]);
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Lmtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("lmtp:127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>", "<full@far.test>"], DAY).await;
    relay.run();
    relay.empty().await;
    assert_eq!(relay.failures().len(), 1);
    assert!(relay.bounces()[0].contains("full@far.test") && !relay.bounces()[0].contains("<a@far.test>"));
}
