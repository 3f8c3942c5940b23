use std::time::Duration;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn gate(change: impl FnOnce(&mut GateLimits)) -> Arc<Gate> {
    let mut limits = GateLimits::default();
    change(&mut limits);
    Arc::new(Gate::new(limits))
}

fn peer(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn an_address_has_so_many_connections_and_others_theirs() {
    let gate = gate(|limits| limits.connections_per_ip = 2);
    let first = gate.admit(peer("192.0.2.1")).unwrap();
    // The same address, as a socket for both families sees it.
    let _second = gate.admit(peer("::ffff:192.0.2.1")).unwrap();
    assert_eq!(gate.admit(peer("192.0.2.1")).unwrap_err(), Limit::ConnectionsPerIp);
    let _other = gate.admit(peer("192.0.2.2")).unwrap();
    drop(first);
    let _third = gate.admit(peer("192.0.2.1")).unwrap();
    assert_eq!(gate.admit(peer("192.0.2.1")).unwrap_err(), Limit::ConnectionsPerIp);
    assert_eq!(gate.open(), (3, 2), "who was turned away does not count");
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_client() {
    let gate = gate(|limits| limits.connections_per_ip = 1);
    let _first = gate.admit(peer("2001:db8::1")).unwrap();
    assert_eq!(gate.admit(peer("2001:db8::ffff:ffff:ffff:ffff")).unwrap_err(), Limit::ConnectionsPerIp);
    let _next = gate.admit(peer("2001:db8:0:1::1")).unwrap();
}

#[test]
fn who_is_exempt() {
    let limits = |limits: &mut GateLimits| {
        limits.connections_per_ip = 1;
        limits.exempt = "198.51.100.0/24, 2001:db8:1::/48".parse().unwrap();
    };
    let exempt = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "198.51.100.7", "2001:db8:1::1"];
    let lenient = gate(limits);
    let _two: Vec<_> =
        exempt.iter().flat_map(|address| [(); 2].map(|()| lenient.admit(peer(address)).unwrap())).collect();
    assert_eq!(lenient.open(), (12, 0), "in all they count");
    let strict = gate(|all| {
        limits(all);
        all.loopback = true;
    });
    for address in exempt.into_iter().filter(|address| !address.contains("ffff")) {
        let _one = strict.admit(peer(address)).unwrap();
        assert_eq!(strict.admit(peer(address)).unwrap_err(), Limit::ConnectionsPerIp, "{address}");
    }
    // A Unix socket has no address.
    let _two = [(); 2].map(|()| strict.admit(None).unwrap());
}

#[test]
fn the_total_holds_for_everybody_and_nothing_is_kept_of_who_has_gone() {
    let gate = gate(|limits| limits.connections = 3);
    let open: Vec<_> =
        [peer("127.0.0.1"), None, peer("192.0.2.1")].into_iter().map(|peer| gate.admit(peer).unwrap()).collect();
    for peer in [peer("127.0.0.1"), None, peer("192.0.2.1"), peer("192.0.2.2")] {
        assert_eq!(gate.admit(peer).unwrap_err(), Limit::Connections);
    }
    drop(open);
    assert_eq!(gate.open(), (0, 0));
    gate.admit(peer("192.0.2.1")).unwrap();
}

#[test]
fn crowded_above_four_fifths_until_below_seven_tenths() {
    let gate = gate(|limits| limits.connections = 10);
    let crowded = gate.crowded();
    let mut open = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..10 {
        open.push(gate.admit(None).unwrap());
        seen.push(*crowded.borrow());
    }
    assert_eq!(seen, [vec![false; 8], vec![true; 2]].concat());
    seen.clear();
    while open.pop().is_some() {
        seen.push(*crowded.borrow());
    }
    // 9, 8 and 7 are left: still; 6 and fewer: no longer.
    assert_eq!(seen, [vec![true; 3], vec![false; 7]].concat());
}

#[test]
fn those_who_wait_are_woken_once() {
    let gate = gate(|limits| limits.connections = 5);
    let mut crowded = gate.crowded();
    let mut open: Vec<_> = (0..4).map(|_| gate.admit(None).unwrap()).collect();
    assert!(!crowded.has_changed().unwrap());
    open.push(gate.admit(None).unwrap());
    assert!(crowded.has_changed().unwrap() && *crowded.borrow_and_update());
    open.pop();
    open.push(gate.admit(None).unwrap());
    assert!(!crowded.has_changed().unwrap());
}

#[test]
fn a_system_that_has_no_more_is_crowded_until_it_has() {
    let gate = gate(|limits| limits.connections = 10);
    let mut crowded = gate.crowded();
    let _open = [(); 2].map(|()| gate.admit(None).unwrap());
    gate.exhausted();
    assert!(crowded.has_changed().unwrap() && *crowded.borrow_and_update());
    gate.exhausted();
    assert!(!crowded.has_changed().unwrap());
    let _one_more = gate.admit(None).unwrap();
    assert!(!*crowded.borrow());
}

/// Fails so many logins and says what the next one would get.
fn after(gate: &Gate, failures: u32, from: &str, user: Option<&str>, now: Instant) -> Result<(), Limit> {
    for _ in 0..failures {
        gate.failed(peer(from), user, now);
    }
    gate.may_try(peer(from), user, now)
}

#[test]
fn failed_logins_of_an_address() {
    let gate = gate(|limits| {
        limits.auth_attempts_per_ip = 3;
        limits.auth_attempts_per_user = 1000;
    });
    let now = Instant::now();
    assert_eq!(after(&gate, 2, "2001:db8::1", Some("a"), now), Ok(()));
    assert_eq!(after(&gate, 1, "2001:db8::2", Some("b"), now), Err(Limit::AuthAttemptsPerIp));
    assert_eq!(gate.may_try(peer("2001:db8::3"), None, now), Err(Limit::AuthAttemptsPerIp));
    assert_eq!(gate.may_try(peer("2001:db8:0:1::1"), Some("a"), now), Ok(()));
    // Success forgets the address.
    gate.succeeded(peer("2001:db8::9"), Some("c"), now);
    assert_eq!(gate.may_try(peer("2001:db8::1"), Some("a"), now), Ok(()));
    // Loopback is exempt.
    assert_eq!(after(&gate, 50, "127.0.0.1", Some("a"), now), Ok(()));
    assert_eq!(gate.may_try(None, Some("a"), now), Ok(()));
}

#[test]
fn failed_logins_of_a_user() {
    let gate = gate(|limits| {
        limits.auth_attempts_per_ip = 1000;
        limits.auth_attempts_per_user = 3;
    });
    let now = Instant::now();
    assert_eq!(after(&gate, 2, "192.0.2.1", Some("Alice"), now), Ok(()));
    assert_eq!(after(&gate, 1, "192.0.2.2", Some("alice"), now), Err(Limit::AuthAttemptsPerUser));
    assert_eq!(gate.may_try(peer("192.0.2.3"), Some("ALICE"), now), Err(Limit::AuthAttemptsPerUser));
    assert_eq!(gate.may_try(peer("192.0.2.3"), Some("bob"), now), Ok(()));
    assert_eq!(gate.may_try(peer("192.0.2.3"), None, now), Ok(()));
    // It holds for exempt addresses too: the user is the same.
    assert_eq!(gate.may_try(peer("127.0.0.1"), Some("alice"), now), Err(Limit::AuthAttemptsPerUser));
    // From elsewhere a success changes nothing for the others ...
    gate.succeeded(peer("192.0.2.4"), Some("alice"), now);
    assert_eq!(gate.may_try(peer("192.0.2.3"), Some("alice"), now), Err(Limit::AuthAttemptsPerUser));
    // ... but from there the user still gets in, for a day.
    assert_eq!(gate.may_try(peer("192.0.2.4"), Some("alice"), now), Ok(()));
    let almost = now + MINUTE * (24 * 60 - 1);
    assert_eq!(after(&gate, 3, "192.0.2.5", Some("alice"), almost), Err(Limit::AuthAttemptsPerUser));
    assert_eq!(gate.may_try(peer("192.0.2.4"), Some("alice"), almost), Ok(()));
    assert_eq!(
        gate.may_try(peer("192.0.2.4"), Some("alice"), now + MINUTE * (24 * 60)),
        Err(Limit::AuthAttemptsPerUser)
    );
}

#[test]
fn a_failure_counts_for_a_quarter_of_an_hour() {
    let gate = gate(|limits| {
        limits.auth_attempts_per_ip = 2;
        limits.auth_attempts_per_user = 2;
    });
    let (now, from) = (Instant::now(), peer("192.0.2.1"));
    gate.failed(from, Some("a"), now);
    gate.failed(from, Some("a"), now + MINUTE * 10);
    assert_eq!(gate.may_try(from, Some("a"), now + MINUTE * 14), Err(Limit::AuthAttemptsPerIp));
    assert_eq!(gate.may_try(peer("192.0.2.2"), Some("a"), now + MINUTE * 14), Err(Limit::AuthAttemptsPerUser));
    // The first is forgotten, the second is not.
    assert_eq!(gate.may_try(from, Some("a"), now + MINUTE * 15), Ok(()));
    gate.failed(from, Some("a"), now + MINUTE * 15);
    assert_eq!(gate.may_try(from, Some("a"), now + MINUTE * 24), Err(Limit::AuthAttemptsPerIp));
    assert_eq!(gate.may_try(from, Some("a"), now + MINUTE * 25), Ok(()));
    // After a long time nothing of a minute with the same number in the ring is left.
    gate.failed(from, Some("a"), now + MINUTE * 1000);
    assert_eq!(gate.may_try(from, Some("a"), now + MINUTE * 1000), Ok(()));
    // Time does not run backwards; if another thread read the clock earlier, it counts.
    gate.failed(from, Some("a"), now + MINUTE * 999);
    assert_eq!(gate.may_try(from, Some("a"), now + MINUTE * 1000), Err(Limit::AuthAttemptsPerIp));
    assert_eq!(gate.may_try(from, Some("a"), now), Err(Limit::AuthAttemptsPerIp));
}

#[test]
fn the_tables_are_bounded_and_the_oldest_goes_first() {
    let mut attempts = Attempts::new(Instant::now());
    let now = Instant::now();
    let address = |n: u32| IpAddr::from(n.to_be_bytes());
    for n in 0..250_000 {
        let (network, user) = (Some(address(n)), n.to_string());
        attempts.succeeded(network, Some(&user), now);
        attempts.failed(network, Some(&user), now);
        // It is tried all the time, and so never the oldest.
        attempts.failed(None, Some("victim"), now);
    }
    let kept = attempts.len();
    assert!(kept.iter().all(|entries| (50_000..=100_000).contains(entries)), "{kept:?}");
    assert_eq!(attempts.of_network(address(249_999), now), 1);
    assert_eq!(attempts.of_network(address(0), now), 0);
    assert_eq!(attempts.of_user("victim", now), 250_000);
    assert!(attempts.has_been_here(Some(address(249_999)), "249999", now));
    assert!(!attempts.has_been_here(Some(address(0)), "0", now));
}

#[test]
fn what_is_old_goes_without_others_that_push() {
    let start = Instant::now();
    let mut attempts = Attempts::new(start);
    for n in 0..10 {
        attempts.failed(None, Some(&n.to_string()), start);
    }
    attempts.failed(None, Some("x"), start + MINUTE * 15);
    attempts.failed(None, Some("x"), start + MINUTE * 30);
    assert_eq!(attempts.len(), [0, 1, 0]);
    assert_eq!(attempts.of_user("x", start + MINUTE * 30), 1);
}

#[test]
fn what_is_known_of_a_key_moves_with_it() {
    let now = Instant::now();
    let mut attempts = Attempts::new(now);
    let address = |n: u32| IpAddr::from(n.to_be_bytes());
    // Half of the room is taken, and nothing is new.
    for n in 0..50_000 {
        attempts.failed(Some(address(n)), None, now);
    }
    attempts.failed(Some(address(1)), None, now);
    attempts.failed(Some(address(1)), None, now);
    assert_eq!(attempts.len(), [50_000, 0, 0]);
    // One more makes the others the old ones: they can be changed and forgotten as before.
    attempts.failed(Some(address(50_000)), None, now);
    attempts.failed(Some(address(1)), None, now);
    assert_eq!(attempts.of_network(address(1), now), 4);
    attempts.succeeded(Some(address(2)), None, now);
    assert_eq!(attempts.of_network(address(2), now), 0);
    assert_eq!(attempts.len(), [50_000, 0, 0]);
}
