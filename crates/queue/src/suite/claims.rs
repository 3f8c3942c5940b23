//! Who gets which unit, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::Store;
use super::parts::*;
use crate::{
    Action, Durability, Filter, HoldReason, KeyQuota, Lease, Next, Queue, QueueKey, StateKind, UnitId, WorkerId,
};

pub(super) fn claims_follow_due_times<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        for (n, minutes) in [(1, 30), (2, 10), (3, 20), (5, 10), (4, 10)] {
            desk.enqueue(n, vec![due("a", minutes)]).await;
        }
        desk.enqueue(6, vec![due("b", 5), due("b", 5), due("c", 5)]).await;
        let key = QueueKey::new;
        let seen: Vec<_> = desk.due_keys_at(10, None, 9).await;
        let seen: Vec<_> = seen.into_iter().map(|key| (key.key, key.due, key.waiting)).collect();
        assert_eq!(seen, [(key("b"), at(5), 2), (key("c"), at(5), 1), (key("a"), at(10), 5)], "oldest first");
        let first = desk.due_keys_at(10, None, 1).await;
        let rest = desk.due_keys_at(10, Some(first[0].cursor()), 9).await;
        assert_eq!(rest.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), ["c", "a"], "after the cursor");
        assert_eq!(desk.due_keys_at(10, None, 0).await, []);
        assert_eq!(desk.due_keys_at(4, None, 9).await, [], "nothing is due yet");
        // It may be asked for what will be due.
        let ahead = desk.due_keys(at(10), None, 9).await.expect("keys");
        assert_eq!(ahead.len(), 3, "the time that is asked for may lie in the future");

        desk.nothing_due("a", 9).await;
        desk.nothing_due("nowhere", 9).await;
        let now = desk.time(25).await;
        let want = [("b", 1), ("c", 9), ("a", 4), ("nowhere", 9)].map(|(name, max)| KeyQuota { key: key(name), max });
        let claimed = desk.claim(WorkerId::new("w"), now, &want, MINUTE).await.expect("a claim");
        let mut order: Vec<_> = claimed.iter().map(|claimed| (claimed.key.as_str(), claimed.lease.unit)).collect();
        // In the order (due, id) within a key.
        order.sort_by_key(|(key, _)| *key);
        let a = [2, 4, 5, 3].map(|n| ("a", unit_id(n, 0)));
        assert_eq!(order, [&a[..], &[("b", unit_id(6, 0)), ("c", unit_id(6, 2))]].concat());
        assert!(claimed.iter().all(|claimed| claimed.lease.expires == at(26) && !claimed.expired));
        assert_eq!(desk.claims("b", 25, 0).await, [], "a quota of nothing gets nothing");
    });
}

/// Units of the two tests with many of them.
const MANY: u32 = 10_000;
const PER_MESSAGE: u32 = 100;

/// What eight threads each of two workers get, seven at a time.
fn claimed_by_many<S: Store>(desk: &Desk<'_, S>, now: i64, each: impl Fn(Lease) + Sync) {
    store_time(desk, now);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let each = &each;
            scope.spawn(move || {
                let who = WorkerId::new(["one", "other"][thread % 2]);
                let want = [KeyQuota { key: QueueKey::new("a"), max: 7 }];
                loop {
                    let claim = desk.claim(who.clone(), at(now), &want, LEASE as u32 * MINUTE);
                    let claimed = desk.store.block_on(claim).expect("a claim");
                    if claimed.is_empty() {
                        return;
                    }
                    claimed.into_iter().for_each(|claimed| each(claimed.lease));
                }
            });
        }
    });
}

fn store_time<S: Store>(desk: &Desk<'_, S>, minutes: i64) {
    desk.store.block_on(desk.time(minutes));
}

pub(super) fn one_holder_each<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        for n in 0..MANY / PER_MESSAGE {
            desk.enqueue(n, (0..PER_MESSAGE).map(|_| due("a", 0)).collect()).await;
        }
    });
    let first = Mutex::new(BTreeMap::new());
    claimed_by_many(&desk, 0, |lease| {
        let before = first.lock().expect("no thread panicked").insert(lease.unit, lease.token);
        assert!(before.is_none(), "{} has two holders", lease.unit);
    });
    let first = first.into_inner().expect("no thread panicked");
    assert_eq!(first.len(), MANY as usize, "every unit has a holder");
    // All leases run out at once: every unit gets one new holder, whose token is higher.
    let second = Mutex::new(BTreeSet::new());
    claimed_by_many(&desk, LEASE, |lease| {
        assert!(lease.token > first[&lease.unit], "the token of {} grows", lease.unit);
        assert!(second.lock().expect("no thread panicked").insert(lease.unit), "{} has two holders", lease.unit);
    });
    assert_eq!(second.into_inner().expect("no thread panicked").len(), MANY as usize);
}

pub(super) fn small_keys_do_not_starve<S: Store>(store: &S) {
    const SMALL: u32 = 100;
    let desk = Desk::fresh(store);
    let name = |key: u32| format!("small{key}");
    store.block_on(async {
        // The large key is there first, and all of it is due earlier.
        for n in 0..MANY / PER_MESSAGE {
            desk.enqueue(n, (0..PER_MESSAGE).map(|_| due("a", 0)).collect()).await;
        }
        for key in 0..SMALL {
            desk.enqueue(MANY + key, (0..10).map(|_| due(&name(key), 1)).collect()).await;
        }
        let mut served: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..2 {
            let mut after = None;
            loop {
                let keys = desk.due_keys_at(2, after.clone(), 16).await;
                let Some(last) = keys.last() else { break };
                after = Some(last.cursor());
                for key in keys {
                    let claimed = desk.claims(key.key.as_str(), 2, 5).await;
                    *served.entry(key.key.as_str().to_owned()).or_default() += claimed.len() as u32;
                }
            }
        }
        for key in 0..SMALL {
            assert_eq!(served.get(&name(key)), Some(&10), "{} is served whole in two rounds", name(key));
        }
        // Its leases may put the large key at another place in the second round, but not out of it.
        assert_eq!(served.get("a"), Some(&10), "and the large key gets its share");
        let keys = desk.due_keys_at(2, None, 200).await;
        assert_eq!(keys.iter().map(|key| (key.key.as_str(), key.waiting)).collect::<Vec<_>>(), [("a", 9_990)]);
    });
}

pub(super) fn leases_expire<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        desk.enqueue(1, vec![due("a", 0)]).await;
        let old = desk.claim_one("a", 0).await.lease;
        assert_eq!(old.expires, at(LEASE));
        let longer = desk.extend(&old, LEASE as u32 * MINUTE).await.expect("the lease is current");
        assert_eq!(longer, Lease { expires: at(10), ..old }, "extending keeps the token");
        desk.nothing_due("a", 9).await;
        let key = &desk.due_keys_at(10, None, 9).await[0];
        assert_eq!((key.due, key.waiting), (at(10), 0), "an overrun lease is work");
        let new = desk.claim_one("a", 10).await.lease;
        assert!(new.token > old.token && new.unit == old.unit, "a new lease has a higher token");

        let before = desk.only_entry(1).await;
        assert_lost(desk.extend(&old, HOUR).await);
        assert_lost(desk.release(old, at(0)).await);
        let finish = || settlement(vec![(0, relayed(1))], Next::Finish);
        assert_lost(desk.settle(old, finish(), Durability::Sync).await);
        assert_lost(desk.settle(old, finish(), Durability::Lazy).await);
        let with_bounce = crate::Settlement { follow_up: vec![desk.sealed(2, "a").await], ..finish() };
        assert_lost(desk.settle(old, with_bounce, Durability::Sync).await);
        assert_eq!(desk.all().await, [before], "a stale holder changes nothing");

        desk.release(new, at(12)).await.expect("the lease is current");
        assert_lost(desk.release(new, at(0)).await);
        desk.nothing_due("a", 11).await;
        let last = desk.claim_one("a", 12).await;
        assert!(last.lease.token > new.token && last.attempts == 0, "a release is no attempt");
        assert_eq!(desk.settle(last.lease, finish(), Durability::Sync).await.expect("a settlement"), GONE);
        assert_lost(desk.settle(last.lease, finish(), Durability::Sync).await);
        assert_lost(desk.extend(&last.lease, HOUR).await);
        assert_lost(desk.release(last.lease, at(0)).await);
    });
}

pub(super) fn tokens_grow_for_ever<S: Store>(store: &S) {
    let mut desk = Desk::fresh(store);
    store.block_on(desk.enqueue(1, vec![due("a", 0)]));
    let mut last = None;
    for round in 0..4 {
        let lease = store.block_on(desk.claim_one("a", round * 10)).lease;
        assert!(last.is_none_or(|last| last < lease.token), "a token of an earlier life is never the higher one");
        last = Some(lease.token);
        desk = desk.reopened();
        if round == 2 {
            // Whoever held it before has nothing to say once somebody else has it.
            let newer = store.block_on(desk.claim_one("a", 29)).lease;
            assert_lost(store.block_on(desk.settle(lease, settlement(vec![], Next::RetryAt(at(0))), Durability::Sync)));
            store.block_on(desk.release(newer, at(0))).expect("the lease is current");
            last = Some(newer.token);
        }
    }
}

pub(super) fn units_expire<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        desk.enqueue(1, vec![crate::NewUnit { expires: at(60), ..due("a", 0) }]).await;
        let claimed = desk.claim_one("a", 58).await;
        assert!(!claimed.expired);
        desk.end(claimed.lease, vec![(0, deferred(58))], Next::RetryAt(at(180))).await;
        assert_eq!(desk.only_entry(1).await.due, at(60), "a retry after the expiry is the expiry");
        let claimed = desk.claim_one("a", 60).await;
        assert!(claimed.expired, "a unit past its expiry is given to a worker, who writes the bounce");
        // The worker could not write the bounce: it says when to come back, and that holds.
        desk.end(claimed.lease, vec![], Next::RetryAt(at(90))).await;
        desk.nothing_due("a", 89).await;
        // Nothing expires while it is held.
        assert_eq!(desk.act(&Filter::all(), Action::Hold(HoldReason::new("look"))).await, 1);
        desk.nothing_due("a", 100_000).await;
        assert_eq!(desk.due_keys_at(100_000, None, 9).await, [], "what is held is no work");
        assert_eq!(desk.act(&Filter::all(), Action::Release(at(100))).await, 1);
        let claimed = desk.claim_one("a", 100).await;
        assert!(claimed.expired, "the expiry stays what it was");
        assert_eq!(desk.end(claimed.lease, vec![(0, expired(100))], Next::Finish).await, GONE);

        // It expires while it is leased: this holder knows nothing of it, the next one does.
        desk.enqueue(2, vec![crate::NewUnit { expires: at(60), ..due("a", 0) }]).await;
        let claimed = desk.claim_one("a", 58).await;
        desk.end(claimed.lease, vec![(0, deferred(61))], Next::RetryAt(at(70))).await;
        assert!(desk.claim_one("a", 61).await.expired);
        // One that enters the queue past its expiry is due at once.
        desk.enqueue(3, vec![crate::NewUnit { expires: at(1), ..due("late", 500) }]).await;
        assert!(desk.claim_one("late", 61).await.expired);
    });
}

pub(super) fn clocks_may_jump<S: Store>(store: &S) {
    const DAY: i64 = 24 * 60;
    const YEAR: i64 = 365 * DAY;
    let desk = Desk::fresh(store);
    store.block_on(async {
        desk.enqueue(1, vec![crate::NewUnit { expires: at(3 * YEAR), ..due("a", 0) }]).await;
        desk.nothing_due("a", -60).await;
        let old = desk.claim_one("a", 60).await.lease;
        // An hour back: the lease lasts longer, and nothing else.
        desk.nothing_due("a", 0).await;
        let extended = desk.extend(&old, MINUTE).await.expect("the lease is current");
        assert_eq!(extended.expires, at(66));
        // A year on: the lease is over.
        let new = desk.claim_one("a", YEAR).await.lease;
        assert!(new.token > old.token, "tokens grow whatever the clock does");
        assert_lost(desk.extend(&old, MINUTE).await);
        // A year and a day back.
        desk.nothing_due("a", -DAY).await;
        desk.release(new, at(-DAY)).await.expect("the lease is current");
        let again = desk.claim_one("a", -DAY).await;
        assert_eq!(again.lease.unit, new.unit);
        assert!(again.lease.token > new.token && !again.expired);
        desk.end(again.lease, vec![(0, deferred(-DAY))], Next::RetryAt(at(-DAY + 5))).await;
        desk.nothing_due("a", -DAY + 4).await;
        assert_eq!(desk.claim_one("a", 60).await.attempts, 1);
        let leased = Filter { state: Some(StateKind::Leased), ..Filter::all() };
        let units: Vec<UnitId> = desk.entries(&leased).await.iter().map(|entry| entry.unit).collect();
        assert_eq!(units, [unit_id(1, 0)], "there is one unit all the time");
    });
}
