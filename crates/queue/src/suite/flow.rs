//! The mail flow.

use std::collections::BTreeSet;
use std::sync::Mutex;

use bytes::Bytes;

use super::Store;
use super::parts::*;
use crate::{
    Action, BodyReader, CountBy, Draft, Durability, Filter, IdemKey, KeyQuota, Lease, Manage, Next, Queue, QueueError,
    QueueKey, RcptNo, RcptState, Receipt, Settled, Settlement, SizeHint, UnitId, WorkerId,
};

const GONE: Settled = Settled { unit_done: true, message_done: true };
const STAYS: Settled = Settled { unit_done: false, message_done: false };

pub(super) fn settlement(results: Vec<(u32, RcptState)>, next: Next) -> Settlement {
    let results = results.into_iter().map(|(no, state)| (RcptNo(no), state)).collect();
    Settlement { results, ..Settlement::new(next) }
}

/// Every byte, dot lines, NUL, bare line ends.
fn text(len: usize) -> Bytes {
    let mut text = b"\r\n.\r\n..\r\n\0\n\r.\n".to_vec();
    text.extend((0..len).map(|at| (at % 251) as u8 ^ (at >> 8) as u8));
    text.truncate(len);
    text.into()
}

pub(super) fn texts_come_back<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        let lengths = [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, (128 << 10) + 7, 1 << 20];
        for (n, len) in (0..).zip(lengths) {
            for (m, piece) in (0..).zip([1_000_usize, 70_000, 1 << 20]) {
                let (id, text) = (id(n * 8 + m), text(len));
                let mut draft = queue.draft(id, SizeHint(Some(len as u64))).await.expect("room");
                for from in (0..len).step_by(piece) {
                    draft.write(text.slice(from..len.min(from + piece))).await.expect("a write");
                }
                let prepend = Bytes::from_static(b"Received: from x\r\n\tby y\r\n");
                let units = vec![unit("there.test", &["<r@there.test>"])];
                draft.commit(envelope(), prepend.clone(), units, None).await.expect("a commit");
                let claimed = claim_one(&queue, "there.test", 0).await;
                assert_eq!(
                    (claimed.lease.unit, claimed.size),
                    (UnitId { msg: id, unit: 0 }, (len + prepend.len()) as u64)
                );
                assert_eq!(*claimed.envelope, envelope());
                let body = queue.body(id).await.expect("a text");
                assert_eq!((body.len(), body.is_empty(), body.prepend()), (len as u64, len == 0, &prepend));
                assert!(
                    read(&body, 100_000).await == text && read(&body, 33_333).await == text,
                    "{len} bytes in {piece}s"
                );
                assert_eq!(body.read_at(len as u64 + 1, 10).await.expect("a read"), Bytes::new());
                let done =
                    queue.settle(claimed.lease, settlement(vec![(0, relayed(0))], Next::Finish), Durability::Sync);
                assert_eq!(done.await.expect("a settlement"), GONE);
                assert!(matches!(queue.body(id).await.map(|_| ()), Err(QueueError::NotFound)));
                assert!(read(&body, 1 << 20).await == text, "a reader outlives its message");
            }
        }
        assert_eq!(entries(&queue, &Filter::all()).await, []);
    });
}

pub(super) fn drafts_are_invisible<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        let mut draft = queue.draft(id(1), SizeHint::UNKNOWN).await.expect("room");
        draft.write(text(200_000)).await.expect("a write");
        assert_eq!(entries(&queue, &Filter::all()).await, []);
        assert_eq!(queue.due_keys(at(9), None, 9).await.expect("keys"), []);
        drop(draft);
        let draft = queue.draft(id(1), SizeHint::UNKNOWN).await.expect("room");
        assert_invalid(draft.commit(envelope(), Bytes::new(), vec![], None).await);
        let draft = queue.draft(id(1), SizeHint::UNKNOWN).await.expect("room");
        assert_invalid(draft.commit(envelope(), Bytes::new(), vec![unit("a", &[])], None).await);
        let draft = queue.draft(id(1), SizeHint::UNKNOWN).await.expect("room");
        drop(draft.seal(envelope(), Bytes::new(), vec![due("a", 0)]).await.expect("a seal"));
        assert_eq!(entries(&queue, &Filter::all()).await, []);
        assert!(queue.body(id(1)).await.is_err());
        enqueue(&queue, 1, vec![due("a", 0)]).await;
    });
    if let Ok(queue) = store.reopen(queue) {
        assert_eq!(store.block_on(entries(&queue, &Filter::all())).len(), 1);
    }
}

async fn commit(queue: &impl Queue, n: u16, idem: Option<u8>, minutes: i64) -> Receipt {
    let mut draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
    draft.write(text(100)).await.expect("a write");
    let mut envelope = envelope();
    envelope.received = at(minutes);
    let idem = idem.map(|byte| IdemKey::new([byte; 32]));
    draft.commit(envelope, Bytes::new(), vec![due("a", 0)], idem).await.expect("a commit")
}

pub(super) fn commits_are_idempotent<S: Store>(store: &S) {
    let again = Receipt { id: id(1), duplicate: true };
    let queue = store.fresh();
    store.block_on(async {
        assert!(!commit(&queue, 1, None, 0).await.duplicate);
        assert_eq!(commit(&queue, 1, None, 0).await, again);
        assert_eq!(entries(&queue, &Filter::all()).await.len(), 1);
        let draft = queue.draft(id(1), SizeHint::UNKNOWN).await.expect("room");
        let sealed = draft.seal(envelope(), Bytes::new(), vec![due("a", 0)]).await;
        assert!(matches!(sealed, Err(QueueError::Duplicate(_))), "{sealed:?}");
    });
    let queue = store.reopen(queue).unwrap_or_else(|queue| queue);
    store.block_on(async {
        let lease = claim_one(&queue, "a", 0).await.lease;
        queue
            .settle(lease, settlement(vec![(0, relayed(0))], Next::Finish), Durability::Sync)
            .await
            .expect("a settlement");
        assert_eq!(commit(&queue, 1, None, 0).await, again, "a finished message does not come back");
        assert_eq!(entries(&queue, &Filter::all()).await, []);
    });
}

pub(super) fn submissions_are_idempotent<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        assert_eq!(commit(&queue, 1, Some(7), 0).await, Receipt { id: id(1), duplicate: false });
        assert_eq!(commit(&queue, 2, Some(7), 59).await, Receipt { id: id(1), duplicate: true });
        assert_eq!(commit(&queue, 3, Some(8), 59).await, Receipt { id: id(3), duplicate: false });
    });
    let queue = store.reopen(queue).unwrap_or_else(|queue| queue);
    store.block_on(async {
        assert_eq!(commit(&queue, 4, Some(7), 59).await, Receipt { id: id(1), duplicate: true });
        assert_eq!(commit(&queue, 5, Some(7), 60).await, Receipt { id: id(5), duplicate: false }, "the window is over");
    });
}

pub(super) fn claims_follow_due_times<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        for (n, minutes) in [(1, 30), (2, 10), (3, 20), (5, 10), (4, 10)] {
            enqueue(&queue, n, vec![due("a", minutes)]).await;
        }
        enqueue(&queue, 6, vec![due("b", 5), due("b", 5), due("c", 5)]).await;
        let keys = |minutes| queue.due_keys(at(minutes), None, 9);
        let seen: Vec<_> =
            keys(10).await.expect("keys").into_iter().map(|key| (key.key, key.due, key.waiting)).collect();
        let key = QueueKey::new;
        assert_eq!(seen, [(key("b"), at(5), 2), (key("c"), at(5), 1), (key("a"), at(10), 5)]);
        let first = queue.due_keys(at(10), None, 1).await.expect("keys");
        let rest = queue.due_keys(at(10), Some(first[0].cursor()), 9).await.expect("keys");
        assert_eq!(rest.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), ["c", "a"]);
        assert_eq!(keys(4).await.expect("keys"), []);

        assert_nothing_due(&queue, "a", 9).await;
        assert_nothing_due(&queue, "nowhere", 9).await;
        let want = [("b", 1), ("c", 9), ("a", 4)].map(|(name, max)| KeyQuota { key: key(name), max });
        let claimed = queue.claim(WorkerId::new("w"), at(25), &want, MINUTE).await.expect("a claim");
        let order: Vec<_> = claimed.iter().map(|claimed| (claimed.key.as_str(), claimed.lease.unit)).collect();
        let unit = |n, unit| UnitId { msg: id(n), unit };
        let a = [2, 4, 5, 3].map(|n| ("a", unit(n, 0)));
        assert_eq!(order, [&[("b", unit(6, 0)), ("c", unit(6, 2))], &a[..]].concat());
        assert!(claimed.iter().all(|claimed| claimed.lease.expires == at(26) && !claimed.expired));
    });
}

pub(super) fn one_holder_each<S: Store>(store: &S) {
    let queue = store.fresh();
    let units = 100;
    let messages = 20;
    store.block_on(async {
        for n in 0..messages {
            enqueue(&queue, n, (0..units).map(|_| due("a", 0)).collect()).await;
        }
    });
    let seen = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let claimed = store.block_on(claim(&queue, "a", 0, 7));
                    if claimed.is_empty() {
                        return;
                    }
                    let mut seen = seen.lock().expect("no thread panicked");
                    for claimed in claimed {
                        assert!(seen.insert(claimed.lease.unit), "two holders");
                    }
                }
            });
        }
    });
    assert_eq!(seen.lock().expect("no thread panicked").len(), usize::from(units * messages));
}

pub(super) fn leases_expire<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        enqueue(&queue, 1, vec![due("a", 0)]).await;
        let old = claim_one(&queue, "a", 0).await.lease;
        assert_eq!(old.expires, at(5));
        assert_nothing_due(&queue, "a", 4).await;
        assert_eq!(queue.due_keys(at(4), None, 9).await.expect("keys"), []);
        let longer = queue.extend(&old, 5 * MINUTE).await.expect("the lease is current");
        assert_eq!(longer, Lease { expires: at(10), ..old });
        assert_nothing_due(&queue, "a", 9).await;
        assert_eq!(queue.due_keys(at(10), None, 9).await.expect("keys")[0].due, at(10), "an overrun lease is work");
        let new = claim_one(&queue, "a", 10).await.lease;
        assert!(new.token > old.token && new.unit == old.unit);

        let before = only_entry(&queue, 1).await;
        assert_lost(queue.extend(&old, HOUR).await);
        assert_lost(queue.release(old, at(0)).await);
        let finish = || settlement(vec![(0, relayed(1))], Next::Finish);
        assert_lost(queue.settle(old, finish(), Durability::Sync).await);
        let sealed = queue.draft(id(2), SizeHint::UNKNOWN).await.expect("room");
        let sealed = sealed.seal(envelope(), Bytes::new(), vec![due("a", 0)]).await.expect("a seal");
        let with_bounce = Settlement { follow_up: vec![sealed], ..finish() };
        assert_lost(queue.settle(old, with_bounce, Durability::Sync).await);
        assert_eq!(only_entry(&queue, 1).await, before, "a stale holder changes nothing");
        assert_eq!(entries(&queue, &Filter::all()).await.len(), 1);

        queue.release(new, at(12)).await.expect("the lease is current");
        assert_lost(queue.release(new, at(0)).await);
        assert_nothing_due(&queue, "a", 11).await;
        let last = claim_one(&queue, "a", 12).await;
        assert!(last.lease.token > new.token && last.attempts == 0, "a release is no attempt");
        assert_eq!(queue.settle(last.lease, finish(), Durability::Sync).await.expect("a settlement"), GONE);
        assert_lost(queue.settle(last.lease, finish(), Durability::Sync).await);
        assert_lost(queue.extend(&last.lease, HOUR).await);
    });
}

pub(super) fn results_stay<S: Store>(store: &S) {
    let queue = store.fresh();
    let next = Next::RetryAt(at(30));
    let old = store.block_on(async {
        enqueue(&queue, 1, vec![unit("a", &["<a@a.test>", "<b@a.test>", "<c@a.test>"]), due("z", 0)]).await;
        let claimed = claim_one(&queue, "a", 0).await;
        assert_eq!(claimed.rcpts.iter().map(|rcpt| rcpt.no).collect::<Vec<_>>(), [0, 1, 2].map(RcptNo));
        let lease = claimed.lease;
        let settle = |results, next: &Next| queue.settle(lease, settlement(results, next.clone()), Durability::Sync);
        assert_invalid(settle(vec![(3, failed(1))], &next).await);
        assert_invalid(settle(vec![(0, relayed(1)), (1, failed(1))], &Next::Finish).await);
        let three = vec![(0, relayed(1)), (1, failed(1)), (2, deferred(1))];
        assert_eq!(settle(three, &next).await.expect("a settlement"), STAYS);
        lease
    });
    let check = |queue: &S::Queue, old: &Lease| {
        store.block_on(async {
            let entry = &entries(queue, &Filter::key(QueueKey::new("a"))).await[0];
            let states: Vec<_> = entry.rcpts.iter().map(|rcpt| rcpt.state.clone()).collect();
            assert_eq!(states, [relayed(1), failed(1), deferred(1)]);
            assert_nothing_due(queue, "a", 29).await;
            let claimed = claim_one(queue, "a", 30).await;
            assert!(claimed.lease.token > old.token, "tokens grow across reopening");
            assert_eq!((claimed.attempts, claimed.first_attempt), (1, Some(at(1))));
            assert_eq!(claimed.rcpts.len(), 1);
            assert_eq!((claimed.rcpts[0].no, &claimed.rcpts[0].state), (RcptNo(2), &deferred(1)));
            claimed.lease
        })
    };
    let mut lease = check(&queue, &old);
    let queue = match store.reopen(queue) {
        Ok(queue) => {
            lease = check(&queue, &lease);
            queue
        }
        Err(queue) => queue,
    };
    store.block_on(async {
        let settle = |results, next| queue.settle(lease, settlement(results, next), Durability::Sync);
        assert_invalid(settle(vec![(0, failed(2)), (2, failed(2))], Next::Finish).await);
        let done =
            settle(vec![(2, RcptState::Expired(said(31, 550, (5, 4, 7), "late")))], next).await.expect("a settlement");
        assert_eq!(done, Settled { unit_done: true, message_done: false }, "without open recipients it is finished");
        assert!(queue.body(id(1)).await.is_ok(), "the other unit still needs the text");
        let lease = claim_one(&queue, "z", 0).await.lease;
        let results = vec![(0, RcptState::Delivered(said(1, 250, (2, 1, 5), "ok")))];
        assert_eq!(queue.settle(lease, settlement(results, Next::Finish), Durability::Lazy).await.expect("x"), GONE);
    });
    if let Ok(queue) = store.reopen(queue) {
        assert_eq!(store.block_on(entries(&queue, &Filter::all())), [], "a final result is not lazy");
    }
}

pub(super) fn follow_ups_come_with_the_settlement<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        enqueue(&queue, 1, vec![due("a", 0)]).await;
        enqueue(&queue, 2, vec![due("a", 0)]).await;
        let claimed = claim(&queue, "a", 0, 2).await;
        let ways = [(11, Next::Finish, failed(1)), (12, Next::RetryAt(at(30)), deferred(1))];
        for (claimed, (n, next, state)) in claimed.into_iter().zip(ways) {
            let mut draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
            draft.write(Bytes::from_static(b"bounce")).await.expect("a write");
            let prepend = Bytes::from_static(b"X: y\r\n");
            let sealed = draft.seal(envelope(), prepend, vec![due("bounce", 0)]).await.expect("a seal");
            assert_eq!(sealed.id(), id(n));
            assert_nothing_due(&queue, "bounce", 0).await;
            let settlement = Settlement { follow_up: vec![sealed], ..settlement(vec![(0, state)], next) };
            queue.settle(claimed.lease, settlement, Durability::Lazy).await.expect("a settlement");
            let bounce = claim_one(&queue, "bounce", 0).await;
            assert_eq!((bounce.lease.unit.msg, bounce.size), (id(n), 12));
            let body = queue.body(id(n)).await.expect("a text");
            assert_eq!((&body.prepend()[..], &read(&body, 9).await[..]), (&b"X: y\r\n"[..], &b"bounce"[..]));
        }
    });
    if let Ok(queue) = store.reopen(queue) {
        let left = store.block_on(entries(&queue, &Filter::all()));
        assert_eq!(left.iter().map(|entry| entry.unit.msg).collect::<Vec<_>>(), [id(2), id(11), id(12)]);
        assert_eq!((left[0].due, left[0].attempts), (at(30), 1));
    }
}

pub(super) fn retries_are_counted<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        enqueue(&queue, 1, vec![due("a", 0)]).await;
        for (attempt, minutes) in (0..).zip([0, 10, 30]) {
            if minutes > 0 {
                assert_nothing_due(&queue, "a", minutes - 1).await;
            }
            let claimed = claim_one(&queue, "a", minutes).await;
            assert_eq!(claimed.attempts, attempt);
            assert_eq!(claimed.first_attempt, (attempt > 0).then(|| at(1)));
            let next = Next::RetryAt(at([10, 30, 70][attempt as usize]));
            let settle = settlement(vec![(0, deferred(minutes + 1))], next);
            let durability = if attempt == 2 { Durability::Lazy } else { Durability::Sync };
            assert_eq!(queue.settle(claimed.lease, settle, durability).await.expect("a settlement"), STAYS);
        }
        assert_eq!((only_entry(&queue, 1).await.attempts, only_entry(&queue, 1).await.due), (3, at(70)));
    });
    if let Ok(queue) = store.reopen(queue) {
        let entry = store.block_on(only_entry(&queue, 1));
        assert!(
            entry.attempts >= 2 && entry.due >= at(30),
            "a lazy settlement that is lost means an earlier retry only"
        );
    }
}

pub(super) fn units_expire<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        enqueue(&queue, 1, vec![crate::NewUnit { expires: at(60), ..due("a", 0) }]).await;
        let claimed = claim_one(&queue, "a", 58).await;
        assert!(!claimed.expired);
        let settle = settlement(vec![(0, deferred(58))], Next::RetryAt(at(180)));
        queue.settle(claimed.lease, settle, Durability::Sync).await.expect("a settlement");
        assert_eq!(only_entry(&queue, 1).await.due, at(60), "a retry after the expiry is the expiry");
        let claimed = claim_one(&queue, "a", 60).await;
        assert!(claimed.expired);
        // The worker could not write the bounce: it says when to come back, and that holds.
        queue
            .settle(claimed.lease, Settlement::new(Next::RetryAt(at(90))), Durability::Sync)
            .await
            .expect("a settlement");
        assert_nothing_due(&queue, "a", 89).await;
        // Nothing expires while it is held.
        let hold = Action::Hold(crate::HoldReason::new("look"));
        assert_eq!(queue.apply(&Filter::all(), hold).await.expect("an action"), 1);
        assert_nothing_due(&queue, "a", 100_000).await;
        assert_eq!(queue.due_keys(at(100_000), None, 9).await.expect("keys"), []);
        assert_eq!(queue.apply(&Filter::all(), Action::Release(at(100))).await.expect("an action"), 1);
        let claimed = claim_one(&queue, "a", 100).await;
        assert!(claimed.expired, "the expiry stays what it was");
        let results = vec![(0, RcptState::Expired(said(100, 550, (5, 4, 7), "late")))];
        let done = queue.settle(claimed.lease, settlement(results, Next::Finish), Durability::Sync);
        assert_eq!(done.await.expect("a settlement"), GONE);
    });
}

pub(super) fn splits_lose_nobody<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        enqueue(&queue, 1, vec![unit("a", &["<a@a.test>", "<b@a.test>", "<c@a.test>"])]).await;
        let lease = claim_one(&queue, "a", 0).await.lease;
        let results = || vec![(0, relayed(1)), (1, deferred(1))];
        let part = |key, rcpt| unit(key, &[rcpt]);
        let split = |parts| queue.settle(lease, settlement(results(), Next::Split(parts)), Durability::Sync);
        assert_invalid(split(vec![part("b", "<b@a.test>")]).await);
        assert_invalid(split(vec![part("b", "<b@a.test>"), part("c", "<c@a.test>"), unit("d", &[])]).await);
        let done = split(vec![part("b", "<b@a.test>"), part("c", "<c@a.test>")]).await.expect("a settlement");
        assert_eq!(done, Settled { unit_done: true, message_done: false });
        let b = claim_one(&queue, "b", 0).await;
        assert_eq!(b.rcpts[0].state, deferred(1), "the last state goes along");
        assert_eq!(claim_one(&queue, "c", 0).await.rcpts[0].state, RcptState::Pending);
        assert_eq!([b.lease.unit.unit, b.rcpts.len() as u16], [1, 1], "a number is never used twice");
    });
}

pub(super) fn full_says_so<S: Store>(store: &S) {
    let queue = store.full();
    store.block_on(async {
        let Err(refused) = queue.draft(id(1), SizeHint(Some(1 << 20))).await else {
            panic!("a draft was opened without room");
        };
        assert!(matches!(refused, QueueError::Full), "{refused}");
        assert_eq!(refused.reply().code().as_u16(), 452);
        assert_eq!(queue.counts(CountBy::Key).await.expect("counts"), []);
    });
}

pub(super) fn clocks_may_jump<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        enqueue(&queue, 1, vec![due("a", 0)]).await;
        assert_nothing_due(&queue, "a", -60).await;
        let old = claim_one(&queue, "a", 60).await.lease;
        assert_nothing_due(&queue, "a", 0).await;
        // The clock falls back: the lease lasts longer, and nothing else.
        let extended = queue.extend(&old, MINUTE).await.expect("the lease is current");
        assert_eq!(extended.expires, at(66));
        let new = claim_one(&queue, "a", 24 * 60 * 365).await.lease;
        assert!(new.token > old.token);
        queue.release(new, at(-24 * 60)).await.expect("the lease is current");
        assert_eq!(claim_one(&queue, "a", -24 * 60).await.lease.unit, new.unit);
    });
}
