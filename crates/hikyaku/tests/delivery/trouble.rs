//! Destinations, workers and stores that fail.

use std::time::Duration;

use hikyaku::{
    Route, Stopper, converse,
    dns::{Error, Name, RecordType, Zone},
    now,
    queue::{CountBy, Filter, KeyQuota, Manage, Memory, Queue, WorkerId},
    session::{Protocol, server::Peer},
    wire::Reply,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use super::support::{DAY, Relay, Sink, service, until, welcome};

#[tokio::test]
async fn a_destination_that_does_not_answer_holds_back_no_other() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let sink = Sink::new(welcome);
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let transports = [("silent.test", format!("127.0.0.1:{silent_port}")), ("far.test", format!("127.0.0.1:{port}"))];
    let relay = Relay::new(Zone::default(), &transports, |_| ());
    for _ in 0..200 {
        relay.put(&["<a@silent.test>"], DAY).await;
    }
    relay.put(&["<a@far.test>"], DAY).await;
    relay.run();
    until(async || sink.got() == 1).await;
    assert!(relay.deferrals().is_empty(), "nobody waited for the silent one");
    relay.stopper.stop();
}

#[tokio::test]
async fn a_panic_in_a_handler_ends_one_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let sink =
        Sink::new(|to| if to.to_string().contains("panic") { panic!("on purpose") } else { Reply::RECIPIENT_OK_250 });
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let talk = async |to: &str, end: &str| {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let script = format!("EHLO x.test\r\nMAIL FROM:<>\r\nRCPT TO:<{to}@far.test>\r\n{end}");
        stream.write_all(script.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // The connection that dies may be reset: what was read before counts.
        let _ = stream.read_to_end(&mut said).await;
        String::from_utf8(said).unwrap()
    };
    assert!(!talk("panic", "QUIT\r\n").await.contains("\r\n221 "));
    assert!(talk("fine", "QUIT\r\n").await.ends_with("221 2.0.0 bye\r\n"));
}

#[tokio::test]
async fn a_mail_that_is_slow_does_not_hold_back_the_next_to_the_same_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sink = Sink::new(welcome);
    let (_stopper, stop) = Stopper::new();
    let (mut handler, server_stop) = (sink.clone(), stop.clone());
    let service = service(Protocol::Smtp);
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>"], DAY).await;
    relay.run();
    // The first connection is never greeted.
    let (_silent, _) = listener.accept().await.unwrap();
    relay.put(&["<b@far.test>"], DAY).await;
    let (second, _) = listener.accept().await.unwrap();
    tokio::spawn(async move { converse(second, Peer::default(), &service, &mut handler, server_stop).await });
    until(async || sink.got() == 1).await;
}

#[tokio::test]
async fn many_silent_destinations_hold_back_neither_local_mail_nor_the_stop() {
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let name = |n: usize| format!("s{n}.test");
    let names: Vec<_> = (0..silent.len()).map(name).collect();
    let transports: Vec<_> = names
        .iter()
        .zip(&silent)
        .map(|(name, listener)| (name.as_str(), format!("127.0.0.1:{}", listener.local_addr().unwrap().port())))
        .collect();
    let relay = Relay::new(Zone::default(), &transports, |d| d.limits.workers = 60);
    for name in &names {
        for _ in 0..4 {
            relay.put(&[&format!("<a@{name}>")], DAY).await;
        }
    }
    relay.put(&["<sender@local.test>"], DAY).await;
    let running = tokio::spawn(relay.delivery.clone().run(relay.stop.clone()));
    until(async || relay.bounces().len() == 1).await;
    relay.stopper.stop();
    tokio::time::timeout(Duration::from_secs(20), running).await.expect("what was not greeted is given back").unwrap();
    let counts = relay.delivery.queue.counts(CountBy::All).await.unwrap();
    assert_eq!((counts[0].ready, counts[0].leased), (160, 0));
    assert!(relay.deferrals().is_empty(), "no attempt is counted");
}

#[tokio::test]
async fn a_unit_of_a_worker_that_died_is_delivered_by_another() {
    let relay = Relay::new(Zone::default(), &[], |_| ());
    relay.put(&["<sender@local.test>"], DAY).await;
    let want = [KeyQuota { key: Route::Maildir.key(), max: 1 }];
    let lost = relay.delivery.queue.claim(WorkerId::new("dead"), now(), &want, Duration::from_millis(1)).await.unwrap();
    assert_eq!(lost.len(), 1);
    until(async || now() > lost[0].lease.expires).await;
    relay.run();
    until(async || relay.bounces().len() == 1).await;
}

#[tokio::test]
async fn a_bounce_for_which_there_is_no_room_costs_nobody_a_second_copy() {
    let sink =
        Sink::new(
            |to| if to.to_string().contains("never") { Reply::UNKNOWN_USER_550 } else { Reply::RECIPIENT_OK_250 },
        );
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let transports = [("far.test", format!("127.0.0.1:{port}"))];
    // Room for the message, not for its bounce.
    let relay = Relay::new(Zone::default(), &transports, |d| d.queue = Memory::with_capacity(300));
    relay.put(&["<now@far.test>", "<never@far.test>"], DAY).await;
    relay.run();
    until(async || relay.deferrals().len() == 1).await;
    assert_eq!(sink.got(), 1);
    assert!(relay.failures().is_empty() && relay.bounces().is_empty());
    until(async || relay.delivery.queue.counts(CountBy::All).await.unwrap()[0].ready == 1).await;
    let page = relay.delivery.queue.list(&Filter::all(), None, 10).await.unwrap();
    let open: Vec<_> =
        page.entries[0].rcpts.iter().filter(|r| !r.state.is_final()).map(|r| r.addr.to_string()).collect();
    assert_eq!(open, ["<never@far.test>"]);
}

#[tokio::test]
async fn d69_it_is_no_for_good_only_if_every_host_says_so() {
    let mut sink = Sink::new(welcome);
    sink.greeting = "554 5.7.1 not you".parse().unwrap();
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let mut zone: Zone = "down.test. 60 MX 10 dead.test.\ndown.test. 60 MX 20 no.test.\n\
                half.test. 60 MX 10 fails.test.\nhalf.test. 60 MX 20 lo.test.\n\
                other.test. 60 MX 10 lo.test.\nother.test. 60 MX 20 fails.test.\n\
                dead.test. 60 A 127.0.0.2\nno.test. 60 A 127.0.0.1\nlo.test. 60 A 169.254.0.1\n\
                only.test. 60 MX 10 no.test.\n"
        .parse()
        .unwrap();
    for kind in [RecordType::A, RecordType::AAAA] {
        zone.failures.insert(("fails.test".parse::<Name>().unwrap(), kind), Error::ServerFailure.into());
    }
    let relay = Relay::new(zone.clone(), &[], |d| d.mx_port = port);
    relay.put(&["<a@down.test>"], DAY).await;
    relay.put(&["<a@only.test>"], DAY).await;
    relay.run();
    until(async || relay.deferrals().len() == 1 && relay.failures().len() == 1).await;
    assert!(relay.deferrals()[0].starts_with("451 4.4.1"), "{:?}", relay.deferrals());
    assert!(relay.failures()[0].starts_with("554 5.7.1 not you"), "{:?}", relay.failures());
    let strict = Relay::new(zone, &[], |d| d.allow_private = false);
    strict.put(&["<a@half.test>"], DAY).await;
    strict.put(&["<a@other.test>"], DAY).await;
    strict.run();
    until(async || strict.deferrals().len() == 2).await;
    assert!(strict.deferrals().iter().all(|reply| reply.starts_with("451 4.4.3")), "{:?}", strict.deferrals());
}

#[tokio::test]
async fn a_server_that_takes_one_message_a_connection_gets_them_all() {
    let mut sink = Sink::new(welcome);
    sink.patience = 1;
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    for _ in 0..40 {
        relay.put(&["<a@far.test>"], DAY).await;
    }
    relay.run();
    relay.empty().await;
    assert_eq!((sink.got(), relay.deferrals()), (40, Vec::new()));
}

#[tokio::test]
async fn d69_silence_after_the_final_dot_is_no_reason_for_a_bounce() {
    let mut sink = Sink::new(welcome);
    sink.message = || panic!("on purpose");
    let (_stopper, stop) = Stopper::new();
    let port = sink.listen(Protocol::Smtp, &stop).await;
    let relay = Relay::new(Zone::default(), &[("far.test", format!("127.0.0.1:{port}"))], |_| ());
    relay.put(&["<a@far.test>"], DAY).await;
    relay.run();
    until(async || relay.deferrals().len() == 1).await;
    assert!(relay.deferrals()[0].starts_with("451 4.4.2") && relay.bounces().is_empty(), "{:?}", relay.deferrals());
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_tried_again_later() {
    // A listener that never accepts, filled up until the system answers no more.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        held.push(connected.unwrap());
        assert!(held.len() < 100, "it never filled up");
    }
    let short = Duration::from_millis(200);
    let relay = Relay::new(Zone::default(), &[("far.test", address.to_string())], |d| d.connect_timeout = short);
    relay.put(&["<a@far.test>"], DAY).await;
    relay.run();
    until(async || relay.deferrals().len() == 1).await;
    assert!(relay.deferrals()[0].starts_with("451 4.4.1"), "{:?}", relay.deferrals());
}
