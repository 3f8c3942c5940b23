//! Destinations that cannot be reached, and leases that do not last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hikyaku::{
    Stopper, converse,
    dns::Zone,
    now,
    queue::{Action, CountBy, Filter, Gate, Manage, QueueKey, UnitState},
    session::{Protocol, server::Peer},
    wire::Timestamp,
};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::support::{DAY, Relay, Sink, service, until, welcome};

/// A host that hangs up on everybody until it is alive.
struct Host {
    port: u16,
    sink: Sink,
    connections: Arc<AtomicUsize>,
    is_alive: Arc<AtomicBool>,
    _stopper: Stopper,
}

impl Host {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_stopper, stop) = Stopper::new();
        let host = Self {
            port: listener.local_addr().unwrap().port(),
            sink: Sink::new(welcome),
            connections: Arc::default(),
            is_alive: Arc::default(),
            _stopper,
        };
        let (sink, connections, is_alive) = (host.sink.clone(), host.connections.clone(), host.is_alive.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                if is_alive.load(Ordering::SeqCst) {
                    let (mut sink, stop, service) = (sink.clone(), stop.clone(), service(Protocol::Smtp));
                    tokio::spawn(async move { converse(stream, Peer::default(), &service, &mut sink, stop).await });
                }
            }
        });
        host
    }

    fn key(&self) -> QueueKey {
        QueueKey::new(format!("127.0.0.1:{}", self.port))
    }

    fn probes(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Until when a key is closed.
async fn closed(relay: &Relay, key: &QueueKey) -> Option<Timestamp> {
    match relay.delivery.queue.gates(Some(key)).await.unwrap()[..] {
        [(_, Gate::NotBefore(until))] => Some(until),
        _ => None,
    }
}

async fn leased(relay: &Relay) -> u64 {
    relay.delivery.queue.counts(CountBy::All).await.unwrap()[0].leased
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_dead_destination_costs_one_probe_an_interval_and_holds_back_no_other() {
    let (host, other) = (Host::start().await, Sink::new(welcome));
    let (_stopper, stop) = Stopper::new();
    let port = other.listen(Protocol::Smtp, &stop).await;
    let transports = [("dead.test", host.key().to_string()), ("far.test", format!("127.0.0.1:{port}"))];
    let relay = Relay::new(Zone::default(), &transports, |_| ());
    for number in 0..1000 {
        relay.put(&["<a@dead.test>"], DAY).await;
        if number % 50 == 49 {
            relay.put(&["<a@far.test>"], DAY).await;
        }
    }
    relay.run();
    until(async || other.got() == 20).await;
    until(async || closed(&relay, &host.key()).await.is_some() && leased(&relay).await == 0).await;
    // Two begin where nothing is known.
    let first = host.probes();
    assert!((1..=2).contains(&first), "{first} probes");
    assert_eq!(relay.deferrals().len(), first);
    let until_first = closed(&relay, &host.key()).await.unwrap();
    assert!(until_first <= now().saturating_add(6 * MINUTE));

    // The interval is over: one asks, for all of them, and the next interval is longer.
    relay.delivery.queue.gate(&host.key(), Gate::Open).await.unwrap();
    until(async || closed(&relay, &host.key()).await.is_some() && leased(&relay).await == 0).await;
    assert_eq!((host.probes(), relay.deferrals().len()), (first + 1, first + 1));
    let until_second = closed(&relay, &host.key()).await.unwrap();
    assert!(until_second > now().saturating_add(7 * MINUTE), "{until_second}");
    let page = relay.delivery.queue.list(&Filter::key(host.key()), None, 2000).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.attempts as usize).sum::<usize>(), first + 1);

    // It is back: the first mail that goes through opens it, and the gate is forgotten.
    host.is_alive.store(true, Ordering::SeqCst);
    relay.delivery.queue.apply(&Filter::all(), Action::Retry(now())).await.unwrap();
    relay.delivery.queue.gate(&host.key(), Gate::NotBefore(now())).await.unwrap();
    relay.empty().await;
    assert_eq!(host.sink.got(), 1000);
    assert_eq!(relay.delivery.queue.gates(None).await.unwrap(), []);
}

#[tokio::test]
async fn no_interval_is_longer_than_the_limits_say() {
    let host = Host::start().await;
    let relay = Relay::new(Zone::default(), &[("dead.test", host.key().to_string())], |d| d.limits.probe = 2 * MINUTE);
    relay.put(&["<a@dead.test>"], DAY).await;
    relay.run();
    until(async || closed(&relay, &host.key()).await.is_some()).await;
    assert!(closed(&relay, &host.key()).await.unwrap() <= now().saturating_add(2 * MINUTE));
}

#[tokio::test]
async fn what_a_person_has_closed_meanwhile_stays_closed() {
    let late = now().saturating_add(DAY);
    for gate in [Gate::Paused, Gate::NotBefore(late)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let key = QueueKey::new(address.as_str());
        let relay = Relay::new(Zone::default(), &[("dead.test", address)], |_| ());
        relay.put(&["<a@dead.test>"], DAY).await;
        relay.run();
        let (connection, _) = listener.accept().await.unwrap();
        relay.delivery.queue.gate(&key, gate).await.unwrap();
        drop(connection);
        until(async || relay.deferrals().len() == 1 && leased(&relay).await == 0).await;
        // The worker's last word on it is behind that: another unit shows that it has been said.
        relay.put(&["<sender@local.test>"], DAY).await;
        until(async || relay.bounces().len() == 1).await;
        assert_eq!(relay.delivery.queue.gates(None).await.unwrap(), [(key, gate)]);
    }
}

#[tokio::test]
async fn mail_that_goes_through_does_not_open_what_a_person_has_closed_meanwhile() {
    let late = now().saturating_add(DAY);
    for gate in [Gate::Paused, Gate::NotBefore(late)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let key = QueueKey::new(address.as_str());
        let relay = Relay::new(Zone::default(), &[("dead.test", address)], |_| ());
        relay.put(&["<a@dead.test>"], DAY).await;
        relay.run();
        drop(listener.accept().await.unwrap());
        until(async || closed(&relay, &key).await.is_some() && leased(&relay).await == 0).await;
        relay.delivery.queue.apply(&Filter::all(), Action::Retry(now())).await.unwrap();
        relay.delivery.queue.gate(&key, Gate::Open).await.unwrap();
        let (connection, _) = listener.accept().await.unwrap();
        relay.delivery.queue.gate(&key, gate).await.unwrap();
        let (mut sink, (_stopper, stop)) = (Sink::new(welcome), Stopper::new());
        // The worker says QUIT when there is nothing more to do, and to say.
        converse(connection, Peer::default(), &service(Protocol::Smtp), &mut sink, stop).await.unwrap();
        assert_eq!(sink.got(), 1);
        assert_eq!(relay.delivery.queue.gates(None).await.unwrap(), [(key, gate)]);
    }
}

#[tokio::test]
async fn an_earlier_life_is_remembered_and_old_gates_go() {
    let host = Host::start().await;
    let relay = Relay::new(Zone::default(), &[("dead.test", host.key().to_string())], |_| ());
    for _ in 0..10 {
        relay.put(&["<a@dead.test>"], DAY).await;
    }
    let (nobody, gone) = (QueueKey::new("mx:nobody.test"), now().saturating_sub(2 * DAY));
    relay.delivery.queue.gate(&nobody, Gate::NotBefore(gone)).await.unwrap();
    relay.delivery.queue.gate(&host.key(), Gate::NotBefore(now().saturating_sub(MINUTE))).await.unwrap();
    relay.run();
    let over = now().saturating_add(7 * MINUTE);
    until(async || closed(&relay, &host.key()).await.is_some_and(|until| until > over)).await;
    assert_eq!(host.probes(), 1, "it is known to be slow");
    until(async || relay.delivery.queue.gates(Some(&nobody)).await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_worker_that_loses_its_lease_stops_and_writes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let relay = Relay::new(Zone::default(), &[("slow.test", address)], |d| {
        d.limits.lease = Duration::from_secs(1);
        d.limits.margin = Duration::from_millis(100);
    });
    relay.put(&["<a@slow.test>"], DAY).await;
    relay.run();
    let (mut connection, _) = listener.accept().await.unwrap();
    relay.delivery.queue.apply(&Filter::all(), Action::Remove).await.unwrap();
    let mut heard = Vec::new();
    let ended = tokio::time::timeout(MINUTE, connection.read_to_end(&mut heard)).await;
    ended.expect("the worker stops").unwrap();
    assert!(heard.is_empty());
    relay.put(&["<sender@local.test>"], DAY).await;
    until(async || relay.bounces().len() == 1).await;
    assert!(relay.deferrals().is_empty() && relay.failures().is_empty());
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_its_delivery() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let lease = Duration::from_secs(5);
    let relay = Relay::new(Zone::default(), &[("slow.test", address)], |d| {
        d.limits.lease = lease;
        d.limits.margin = Duration::from_secs(1);
    });
    let expires = async || {
        let page = relay.delivery.queue.list(&Filter::all(), None, 1).await.unwrap();
        match page.entries.first().map(|entry| entry.state.clone()) {
            Some(UnitState::Leased { expires, .. }) => Some(expires),
            _ => None,
        }
    };
    relay.put(&["<a@slow.test>"], DAY).await;
    relay.run();
    let (connection, _) = listener.accept().await.unwrap();
    let first = expires().await.expect("it is being delivered");
    until(async || expires().await.is_some_and(|later| later > first.saturating_add(lease / 4))).await;
    // Never more than the lease from now: who dies does not keep it for long.
    assert!(expires().await.unwrap() <= now().saturating_add(lease));
    let (mut sink, (_stopper, stop)) = (Sink::new(welcome), Stopper::new());
    let taken = sink.clone();
    tokio::spawn(async move { converse(connection, Peer::default(), &service(Protocol::Smtp), &mut sink, stop).await });
    relay.empty().await;
    assert_eq!(taken.got(), 1);
}

#[tokio::test]
async fn nothing_is_begun_without_time_to_end_it() {
    let host = Host::start().await;
    let relay = Relay::new(Zone::default(), &[("far.test", host.key().to_string())], |d| {
        d.limits.margin = d.limits.lease;
    });
    relay.put(&["<a@far.test>"], DAY).await;
    relay.put(&["<sender@local.test>"], DAY).await;
    relay.run();
    until(async || leased(&relay).await == 2).await;
    relay.stopper.stop();
    assert_eq!(host.probes(), 0);
    assert!(relay.events().is_empty() && relay.bounces().is_empty());
}
