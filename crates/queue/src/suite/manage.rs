//! What people and tools do.

use bytes::Bytes;

use super::Store;
use super::parts::*;
use crate::{
    Action, Count, CountBy, Cursor, Draft, Durability, Envelope, Filter, Gate, HoldReason, Manage, MsgId, Next, Origin,
    Queue, QueueKey, RcptNo, Settlement, SizeHint, StateKind, UnitState,
};

/// Two messages that differ in every field a filter can name.
async fn two_messages(queue: &impl Queue) {
    let mut one = Envelope::new("<one@one.test>".parse().expect("a path"), at(1));
    one.origin = Origin { user: Some("one".to_owned()), ..Origin::default() };
    let mut two = Envelope::new("<two@two.test>".parse().expect("a path"), at(2));
    two.origin = Origin { user: Some("two".to_owned()), ..Origin::default() };
    for (n, envelope, unit) in
        [(1, one, unit("1", &["<a@a1.test>"])), (2, two, unit("2", &["<b@b2.test>", "<c@c2.test>"]))]
    {
        let draft = queue.draft(id(n), SizeHint::UNKNOWN).await.expect("room");
        draft.commit(envelope, Bytes::new(), vec![unit], None).await.expect("a commit");
    }
}

pub(super) fn actions_by_every_field<S: Store>(store: &S) {
    let queue = store.fresh();
    let all = Filter::all;
    let only_second = [
        Filter { msg: Some(id(2)), ..all() },
        Filter { key: Some(QueueKey::new("2")), ..all() },
        Filter { sender: Some("<two@two.test>".parse().expect("a path")), ..all() },
        Filter { sender_domain: Some("TWO.test".parse().expect("a domain")), ..all() },
        Filter { rcpt: Some("<c@c2.test>".parse().expect("a path")), ..all() },
        Filter { rcpt_domain: Some("b2.TEST".parse().expect("a domain")), ..all() },
        Filter { user: Some("two".to_owned()), ..all() },
        Filter { received_from: Some(at(2)), ..all() },
        Filter { received_from: Some(at(2)), key: Some(QueueKey::new("2")), ..all() },
    ];
    store.block_on(async {
        two_messages(&queue).await;
        let apply = async |filter: Filter, action: Action| queue.apply(&filter, action).await.expect("an action");
        let hold = || Action::Hold(HoldReason::new("why"));
        for filter in only_second {
            assert_eq!(apply(filter.clone(), hold()).await, 1, "{filter:?}");
            let entries = entries(&queue, &all()).await;
            assert_eq!(entries[0].state, UnitState::Ready);
            assert_eq!(entries[1].state, UnitState::Held(HoldReason::new("why")));
            assert_eq!(apply(filter.clone(), hold()).await, 0, "it is held already");
            assert_eq!(apply(filter.clone(), Action::Retry(at(3))).await, 0, "what is held is released, not retried");
            let held = Filter { state: Some(StateKind::Held), ..all() };
            assert_eq!(apply(held, Action::Release(at(3))).await, 1);
            assert_eq!(apply(filter, Action::Release(at(3))).await, 0);
        }
        assert_eq!(apply(Filter { received_before: Some(at(2)), ..all() }, hold()).await, 1);
        assert_eq!(apply(Filter { state: Some(StateKind::Ready), ..all() }, Action::Retry(at(9))).await, 1);
        assert_eq!(only_entry(&queue, 2).await.due, at(9));
        assert_eq!(apply(Filter { unit: Some(1), ..all() }, Action::Remove).await, 0);
        assert_eq!(apply(Filter { unit: Some(0), ..all() }, Action::Rekey(QueueKey::new("3"))).await, 2);
        let count = Count { key: Some(QueueKey::new("3")), ready: 1, leased: 0, held: 1, oldest: Some(at(0)) };
        let all_keys = Count { key: None, ..count.clone() };
        assert_eq!(queue.counts(CountBy::Key).await.expect("counts"), [count]);
        assert_eq!(queue.counts(CountBy::All).await.expect("counts"), [all_keys]);
        assert_nothing_due(&queue, "2", 99).await;
        assert_eq!(claim_one(&queue, "3", 99).await.lease.unit.msg, id(2));
        assert_eq!(apply(Filter { state: Some(StateKind::Leased), ..all() }, Action::Remove).await, 1);
        assert_eq!(apply(all(), Action::Remove).await, 1);
        assert_eq!(entries(&queue, &all()).await, []);
        assert!(queue.body(id(1)).await.is_err());
    });
    if let Ok(queue) = store.reopen(queue) {
        assert_eq!(store.block_on(entries(&queue, &all())), [], "what was removed stays away");
    }
}

pub(super) fn actions_on_leased_units<S: Store>(store: &S) {
    let queue = store.fresh();
    store.block_on(async {
        enqueue(&queue, 1, vec![due("a", 0)]).await;
        let act = async |action| assert_eq!(queue.apply(&Filter::all(), action).await.expect("an action"), 1);
        let retry = || Settlement { results: vec![(RcptNo(0), deferred(1))], ..Settlement::new(Next::RetryAt(at(60))) };
        let is_leased = || async { only_entry(&queue, 1).await.state.kind() == StateKind::Leased };

        let lease = claim_one(&queue, "a", 0).await.lease;
        act(Action::Hold(HoldReason::new("stop"))).await;
        assert!(is_leased().await, "the holder goes on");
        queue.settle(lease, retry(), Durability::Sync).await.expect("the lease is current");
        assert_eq!(only_entry(&queue, 1).await.state, UnitState::Held(HoldReason::new("stop")));
        assert_nothing_due(&queue, "a", 99).await;

        act(Action::Release(at(2))).await;
        let lease = claim_one(&queue, "a", 2).await.lease;
        act(Action::Retry(at(4))).await;
        act(Action::Rekey(QueueKey::new("b"))).await;
        assert!(is_leased().await);
        queue.settle(lease, retry(), Durability::Lazy).await.expect("the lease is current");
        assert_nothing_due(&queue, "b", 3).await;
        let lease = claim_one(&queue, "b", 4).await.lease;

        // The holder dies: what was asked for holds when the lease is over.
        act(Action::Hold(HoldReason::new("again"))).await;
        assert_nothing_due(&queue, "b", 99).await;
        assert_eq!(only_entry(&queue, 1).await.state, UnitState::Held(HoldReason::new("again")));
        assert_lost(queue.settle(lease, retry(), Durability::Sync).await);

        act(Action::Release(at(100))).await;
        let lease = claim_one(&queue, "b", 100).await.lease;
        act(Action::Hold(HoldReason::new("third"))).await;
        queue.release(lease, at(100)).await.expect("the lease is current");
        assert_nothing_due(&queue, "b", 100).await;

        act(Action::Release(at(100))).await;
        let lease = claim_one(&queue, "b", 100).await.lease;
        act(Action::Remove).await;
        assert_lost(queue.settle(lease, retry(), Durability::Sync).await);
        assert_lost(queue.extend(&lease, MINUTE).await);
        assert_eq!(entries(&queue, &Filter::all()).await, []);
    });
}

pub(super) fn pages_are_stable<S: Store>(store: &S) {
    let queue = store.fresh();
    let page = |queue: &S::Queue, filter: &Filter, after: Option<Cursor>, max: usize| {
        let page = store.block_on(queue.list(filter, after, max)).expect("a list");
        (page.entries.iter().map(|entry| entry.unit).collect::<Vec<_>>(), page.next)
    };
    let (first, second) = store.block_on(async {
        for n in 0..10 {
            enqueue(&queue, n * 10, vec![due("a", 0), due("b", 0)]).await;
        }
        let (first, cursor) = page(&queue, &Filter::all(), None, 7);
        assert_eq!(first.len(), 7);
        // Gone before the cursor, gone after it, new before and after.
        for n in [0, 90] {
            queue.apply(&Filter::message(id(n)), Action::Remove).await.expect("an action");
        }
        enqueue(&queue, 5, vec![due("a", 0)]).await;
        enqueue(&queue, 45, vec![due("a", 0)]).await;
        (first, cursor)
    });
    let queue = store.reopen(queue).unwrap_or_else(|queue| queue);
    let mut seen = first;
    let mut cursor = second;
    while let Some(at) = cursor {
        let (more, next) = page(&queue, &Filter::all(), Some(at), 3);
        seen.extend(more);
        cursor = next;
    }
    assert!(seen.is_sorted());
    let messages: Vec<MsgId> = seen.iter().map(|unit| unit.msg).collect();
    let each = |n: u16| messages.iter().filter(|msg| **msg == id(n)).count();
    assert_eq!([10, 20, 30, 40, 50, 60, 70, 80].map(each), [2; 8], "who was there all the time is listed once");
    assert_eq!([each(45), each(90), each(5)], [1, 0, 0]);
    let by_key = Filter::key(QueueKey::new("b"));
    let (some, cursor) = page(&queue, &by_key, None, 5);
    let (rest, end) = page(&queue, &by_key, cursor, 9);
    assert_eq!((some.len(), rest.len(), end), (5, 3, None));
    assert_eq!(page(&queue, &Filter::all(), None, 0).0, []);
}

pub(super) fn gates_close_keys<S: Store>(store: &S) {
    let queue = store.fresh();
    let (a, b, c) = (QueueKey::new("a"), QueueKey::new("b"), QueueKey::new("c"));
    store.block_on(async {
        enqueue(&queue, 1, vec![due("a", 0), due("b", 0), due("c", 0), due("d", 0)]).await;
        queue.gate(&a, Gate::NotBefore(at(10))).await.expect("a gate");
        queue.gate(&b, Gate::Paused).await.expect("a gate");
        queue.gate(&c, Gate::Paused).await.expect("a gate");
        queue.gate(&c, Gate::Open).await.expect("a gate");
        queue.gate(&QueueKey::new("nobody"), Gate::Paused).await.expect("a gate");
    });
    let check = |queue: &S::Queue| {
        store.block_on(async {
            let keys = queue.due_keys(at(1_000), None, 9).await.expect("keys");
            let keys: Vec<_> = keys.iter().map(|key| (key.key.as_str(), key.due)).collect();
            assert_eq!(keys, [("c", at(0)), ("d", at(0)), ("a", at(10))]);
            assert_nothing_due(queue, "a", 9).await;
            assert_nothing_due(queue, "b", 1_000).await;
            let closed = queue.gates(None).await.expect("gates");
            let nobody = QueueKey::new("nobody");
            let expected = [(a.clone(), Gate::NotBefore(at(10))), (b.clone(), Gate::Paused), (nobody, Gate::Paused)];
            assert_eq!(closed, expected);
            assert_eq!(queue.gates(Some(&a)).await.expect("gates"), expected[..1]);
            assert_eq!(queue.gates(Some(&c)).await.expect("gates"), []);
            let lease = claim_one(queue, "a", 10).await.lease;
            queue.release(lease, at(0)).await.expect("the lease is current");
        });
    };
    check(&queue);
    let queue = match store.reopen(queue) {
        Ok(queue) => {
            check(&queue);
            queue
        }
        Err(queue) => queue,
    };
    store.block_on(async {
        queue.gate(&b, Gate::Open).await.expect("a gate");
        claim_one(&queue, "b", 0).await;
        enqueue(&queue, 2, vec![due("nobody", 0)]).await;
        assert_nothing_due(&queue, "nobody", 99).await;
    });
}

pub(super) fn everything_outlives_reopening<S: Store>(store: &S) {
    let queue = store.fresh();
    let before = store.block_on(async {
        let mut envelope = Envelope::new("<\"a b\\\"\"@[IPv6:2001:db8::1]>".parse().expect("a path"), at(1));
        envelope.body = hikyaku_wire::Body::EightBitMime;
        envelope.smtputf8 = true;
        envelope.ret = Some("HDRS".parse().expect("a word"));
        envelope.envid = Some("QQ+2B314+20159".parse().expect("xtext"));
        envelope.require_tls = true;
        envelope.by = Some("-120;NT".parse().expect("a deadline"));
        envelope.priority = Some("-3".parse().expect("a priority"));
        // C1.14: what a peer said cannot begin a record of its own.
        let evil = "x\",\"next_unit\":9}\r\nHKYMSG01\0\u{1b}\u{2028}é";
        envelope.origin = Origin {
            address: Some("2001:db8::2".parse().expect("an address")),
            hello: Some(evil.to_owned()),
            user: Some(evil.to_owned()),
            session: Some("s".to_owned()),
            listener: Some("l".to_owned()),
            tls: true,
        };
        let mut held = unit("held", &["<postmaster>"]);
        held.hold = Some(HoldReason::new(evil));
        held.rcpts[0].notify = Some("SUCCESS,DELAY".parse().expect("a word"));
        held.rcpts[0].orcpt = Some("rfc822;a+2Bb@c.test".parse().expect("an address"));
        let units = vec![unit(evil, &["<a@a.test>", "<\"x y\"@[192.0.2.7]>", "<d\u{fc}@d\u{fc}.test>"]), held];
        let mut draft = queue.draft(id(1), SizeHint::UNKNOWN).await.expect("room");
        draft.write(Bytes::from_static(b"HKYMSG01")).await.expect("a write");
        draft.commit(envelope, Bytes::from_static(b"HKYFRM01"), units, None).await.expect("a commit");
        enqueue(&queue, 2, vec![due("b", 0)]).await;
        let lease = claim_one(&queue, evil, 0).await.lease;
        let results = vec![(RcptNo(0), relayed(1)), (RcptNo(1), deferred(2)), (RcptNo(2), failed(3))];
        let settlement = Settlement { results, ..Settlement::new(Next::RetryAt(at(40))) };
        queue.settle(lease, settlement, Durability::Sync).await.expect("a settlement");
        entries(&queue, &Filter::all()).await
    });
    assert_eq!(before.len(), 3);
    let counts = store.block_on(queue.counts(CountBy::Key)).expect("counts");
    let Ok(queue) = store.reopen(queue) else { return };
    assert_eq!(store.block_on(entries(&queue, &Filter::all())), before);
    assert_eq!(store.block_on(queue.counts(CountBy::Key)).expect("counts"), counts);
    assert_eq!(queue.health(), crate::Health::Ok);
    let body = store.block_on(queue.body(id(1))).expect("a text");
    assert_eq!(store.block_on(read(&body, 99)), b"HKYMSG01");
}
