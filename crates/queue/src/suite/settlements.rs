//! What becomes of a unit.

use super::Store;
use super::parts::*;
use crate::{Durability, Filter, Lease, NewUnit, Next, Queue, QueueKey, RcptNo, RcptState, Settled, UnitState};

pub(super) fn results_stay<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let next = Next::RetryAt(at(30));
    let old = store.block_on(async {
        desk.enqueue(1, vec![unit("a", &["<a@a.test>", "<b@a.test>", "<c@a.test>"]), due("z", 0)]).await;
        let claimed = desk.claim_one("a", 0).await;
        assert_eq!(claimed.rcpts.iter().map(|rcpt| rcpt.no).collect::<Vec<_>>(), [0, 1, 2].map(RcptNo));
        let lease = claimed.lease;
        let settle = |results, next: &Next| desk.settle(lease, settlement(results, next.clone()), Durability::Sync);
        assert_invalid(settle(vec![(3, failed(1))], &next).await);
        assert_invalid(settle(vec![(0, failed(1)), (0, failed(1))], &next).await);
        assert_invalid(settle(vec![(0, relayed(1)), (1, failed(1))], &Next::Finish).await);
        let three = vec![(0, relayed(1)), (1, failed(1)), (2, deferred(1))];
        assert_eq!(settle(three, &next).await.expect("a settlement"), STAYS);
        lease
    });
    async fn check<S: Store>(desk: &Desk<'_, S>, minutes: i64, old: &Lease) -> Lease {
        let entry = &desk.entries(&Filter::key(QueueKey::new("a"))).await[0];
        let states: Vec<_> = entry.rcpts.iter().map(|rcpt| rcpt.state.clone()).collect();
        assert_eq!(states, [relayed(1), failed(1), deferred(1)], "results stay, final ones too");
        let claimed = desk.claim_one("a", minutes).await;
        assert!(claimed.lease.token > old.token, "tokens grow across reopening");
        assert_eq!((claimed.attempts, claimed.first_attempt), (1, Some(at(1))));
        let open: Vec<_> = claimed.rcpts.iter().map(|rcpt| (rcpt.no, &rcpt.state)).collect();
        assert_eq!(open, [(RcptNo(2), &deferred(1))], "only open recipients come back");
        claimed.lease
    }
    let lease = store.block_on(async {
        desk.nothing_due("a", 29).await;
        check(&desk, 30, &old).await
    });
    let (desk, lease) = match desk.reopen() {
        // A lease may outlive it, or end with it.
        Ok(desk) => {
            let lease = store.block_on(check(&desk, 30 + LEASE, &lease));
            (desk, lease)
        }
        Err(desk) => (desk, lease),
    };
    store.block_on(async {
        let settle = |results, next| desk.settle(lease, settlement(results, next), Durability::Sync);
        assert_invalid(settle(vec![(0, failed(2)), (2, failed(2))], Next::Finish).await);
        let done = settle(vec![(2, expired(31))], next).await.expect("a settlement");
        assert_eq!(done, Settled { unit_done: true, message_done: false }, "without open recipients it is finished");
        assert!(desk.body(id(1)).await.is_ok(), "the other unit still needs the text");
        let lease = desk.claim_one("z", 0).await.lease;
        let results = vec![(0, RcptState::Delivered(said(1, 250, (2, 1, 5), "ok")))];
        assert_eq!(desk.settle(lease, settlement(results, Next::Finish), Durability::Lazy).await.expect("x"), GONE);
    });
    if let Ok(desk) = desk.reopen() {
        assert_eq!(store.block_on(desk.all()), [], "a final result is not lazy");
    }
}

pub(super) fn retries_are_counted<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        desk.enqueue(1, vec![due("a", 0)]).await;
        for (attempt, minutes) in (0..).zip([0, 10, 30]) {
            if minutes > 0 {
                desk.nothing_due("a", minutes - 1).await;
            }
            let claimed = desk.claim_one("a", minutes).await;
            assert_eq!(claimed.attempts, attempt);
            assert_eq!(claimed.first_attempt, (attempt > 0).then(|| at(1)), "the first of them is remembered");
            let next = Next::RetryAt(at([10, 30, 70][attempt as usize]));
            let settle = settlement(vec![(0, deferred(minutes + 1))], next);
            let durability = if attempt == 2 { Durability::Lazy } else { Durability::Sync };
            assert_eq!(desk.settle(claimed.lease, settle, durability).await.expect("a settlement"), STAYS);
        }
        let entry = desk.only_entry(1).await;
        assert_eq!((entry.attempts, entry.due), (3, at(70)), "a lazy settlement is seen at once");
    });
    if let Ok(desk) = desk.reopen() {
        let entry = store.block_on(desk.only_entry(1));
        let found = (entry.attempts, entry.due);
        assert!(
            [(2, at(30)), (3, at(70))].contains(&found),
            "a lazy settlement that is lost means an earlier retry and nothing else: {found:?}"
        );
    }
}

pub(super) fn a_settlement_may_hold<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let why = || crate::HoldReason::new("postmaster, look");
    store.block_on(async {
        desk.enqueue(1, vec![due("a", 0)]).await;
        let lease = desk.claim_one("a", 0).await.lease;
        let settle = settlement(vec![(0, deferred(1))], Next::Hold(why()));
        assert_eq!(desk.settle(lease, settle, Durability::Lazy).await.expect("a settlement"), STAYS);
        desk.nothing_due("a", 1_000).await;
    });
    let desk = desk.reopened();
    store.block_on(async {
        let entry = desk.only_entry(1).await;
        assert_eq!((entry.state, entry.attempts), (UnitState::Held(why()), 1), "a hold is not lazy");
        desk.nothing_due("a", 1_000).await;
    });
}

pub(super) fn splits_lose_nobody<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        let mut whole = unit("a", &["<a@a.test>", "<b@a.test>", "<c@a.test>"]);
        whole.rcpts[1].notify = Some("NEVER".parse().expect("a word"));
        whole.rcpts[1].orcpt = Some("rfc822;b@old.test".parse().expect("an address"));
        desk.enqueue(1, vec![whole]).await;
        let lease = desk.claim_one("a", 0).await.lease;
        let before = desk.all().await;
        let results = || vec![(0, relayed(1)), (1, deferred(1))];
        let part = |key, rcpt| unit(key, &[rcpt]);
        let split = |parts| desk.settle(lease, settlement(results(), Next::Split(parts)), Durability::Lazy);
        assert_invalid(split(vec![part("b", "<b@a.test>")]).await);
        assert_invalid(split(vec![part("b", "<b@a.test>"), part("c", "<c@a.test>"), unit("d", &[])]).await);
        assert_invalid(split(vec![]).await);
        assert_eq!(desk.all().await, before, "a split that would lose somebody changes nothing");
        let held = NewUnit { hold: Some(crate::HoldReason::new("x")), ..part("h", "<new@h.test>") };
        let done = split(vec![part("b", "<b@a.test>"), part("c", "<c@a.test>"), held]).await.expect("a settlement");
        assert_eq!(done, Settled { unit_done: true, message_done: false });
    });
    let desk = desk.reopened();
    store.block_on(async {
        let b = desk.claim_one("b", 0).await;
        assert_eq!(b.rcpts[0].state, deferred(1), "the last state goes along");
        let asked = (b.rcpts[0].notify, b.rcpts[0].orcpt.as_ref().map(|orcpt| orcpt.as_str()));
        assert_eq!(asked, (Some(hikyaku_wire::Notify::NEVER), Some("rfc822;b@old.test")), "and what was asked for");
        assert_eq!(desk.claim_one("c", 0).await.rcpts[0].state, RcptState::Pending);
        assert_eq!((b.lease.unit, b.rcpts.len(), b.attempts), (unit_id(1, 1), 1, 0), "a number is never used twice");
        desk.nothing_due("h", 0).await;
        desk.nothing_due("a", 1_000).await;
        assert_eq!(desk.all().await.iter().map(|entry| entry.unit.unit).collect::<Vec<_>>(), [1, 2, 3]);
    });
}

pub(super) fn units_of_a_message_are_settled_apart<S: Store>(store: &S) {
    const UNITS: usize = 64;
    let desk = Desk::fresh(store);
    store.block_on(desk.enqueue(1, (0..UNITS).map(|_| due("a", 0)).collect()));
    let claimed = store.block_on(desk.claims("a", 0, 99));
    assert_eq!(claimed.len(), UNITS);
    // All at once: some end, some are tried again, and exactly one settlement may end the message, none here.
    std::thread::scope(|scope| {
        for claimed in &claimed {
            let (desk, even) = (&desk, claimed.lease.unit.unit % 2 == 0);
            scope.spawn(move || {
                let (state, next) = if even { (failed(1), Next::Finish) } else { (deferred(1), Next::RetryAt(at(9))) };
                let settled = store.block_on(desk.end(claimed.lease, vec![(0, state)], next));
                assert_eq!(settled, Settled { unit_done: even, message_done: false });
            });
        }
    });
    let desk = desk.reopened();
    let entries = store.block_on(desk.all());
    assert_eq!(entries.len(), UNITS / 2);
    let waits = |entry: &crate::Entry| entry.unit.unit % 2 == 1 && entry.due == at(9) && entry.attempts == 1;
    assert!(entries.iter().all(waits), "{entries:?}");
    let claimed = store.block_on(desk.claims("a", 9, 99));
    let done = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for claimed in &claimed {
            let (desk, done) = (&desk, &done);
            scope.spawn(move || {
                let settled = store.block_on(desk.end(claimed.lease, vec![(0, relayed(9))], Next::Finish));
                done.fetch_add(usize::from(settled.message_done), std::sync::atomic::Ordering::SeqCst);
            });
        }
    });
    assert_eq!((claimed.len(), done.into_inner()), (UNITS / 2, 1), "exactly one settlement ends the message");
    store.block_on(async {
        assert!(desk.body(id(1)).await.is_err());
        assert_eq!(desk.all().await, []);
    });
}
