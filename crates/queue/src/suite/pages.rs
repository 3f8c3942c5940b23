//! Lists in pages, and what outlives reopening.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::Store;
use super::parts::*;
use crate::{
    Action, CountBy, Cursor, Draft, Envelope, Filter, HoldReason, Manage, MsgId, Next, Origin, Queue, QueueKey, UnitId,
};

async fn page<S: Store>(
    desk: &Desk<'_, S>,
    filter: &Filter,
    after: Option<Cursor>,
    max: usize,
) -> (Vec<UnitId>, Option<Cursor>) {
    let page = desk.list(filter, after, max).await.expect("a list");
    assert!(page.entries.len() <= max, "a page is no longer than was asked for");
    (page.entries.iter().map(|entry| entry.unit).collect(), page.next)
}

pub(super) fn pages_are_stable<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let (first, second) = store.block_on(async {
        for n in 0..10 {
            desk.enqueue(n * 10, vec![due("a", 0), due("b", 0)]).await;
        }
        let (first, cursor) = page(&desk, &Filter::all(), None, 7).await;
        assert_eq!(first.len(), 7);
        // Gone before the cursor, gone after it, new before and after.
        for n in [0, 90] {
            desk.act(&Filter::message(id(n)), Action::Remove).await;
        }
        desk.enqueue(5, vec![due("a", 0)]).await;
        desk.enqueue(45, vec![due("a", 0)]).await;
        (first, cursor)
    });
    let desk = desk.reopened();
    store.block_on(async {
        let mut seen = first;
        let mut cursor = second;
        while let Some(at) = cursor {
            let (more, next) = page(&desk, &Filter::all(), Some(at), 3).await;
            seen.extend(more);
            cursor = next;
        }
        assert!(seen.is_sorted(), "in the order of ids");
        let messages: Vec<MsgId> = seen.iter().map(|unit| unit.msg).collect();
        let each = |n: u32| messages.iter().filter(|msg| **msg == id(n)).count();
        assert_eq!([10, 20, 30, 40, 50, 60, 70, 80].map(each), [2; 8], "who was there all the time is listed once");
        assert_eq!([each(45), each(90), each(5)], [1, 0, 0]);
        let by_key = Filter::key(QueueKey::new("b"));
        let (some, cursor) = page(&desk, &by_key, None, 5).await;
        let (rest, end) = page(&desk, &by_key, cursor, 9).await;
        assert_eq!((some.len(), rest.len(), end), (5, 3, None));
        assert_eq!(page(&desk, &Filter::all(), None, 0).await.0, []);
        let beyond = Cursor(unit_id(u32::MAX, u16::MAX));
        assert_eq!(page(&desk, &Filter::all(), Some(beyond), 9).await, (vec![], None));
    });
}

pub(super) fn pages_are_stable_under_change<S: Store>(store: &S) {
    const STAY: u32 = 60;
    let desk = Desk::fresh(store);
    store.block_on(async {
        for n in 0..STAY {
            desk.enqueue(n * 10, vec![due("a", 0)]).await;
        }
    });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Messages come and go between those that stay, and those that stay change.
            for n in (0..).take_while(|_| !done.load(Ordering::SeqCst)) {
                store.block_on(async {
                    let n = n % 5_000;
                    let between = (n % STAY) * 10 + 1 + n / STAY % 9;
                    let draft = desk.open_draft(between).await;
                    draft.commit(envelope(), Bytes::new(), vec![due("b", 0)], None).await.expect("a commit");
                    desk.act(&Filter::message(id(between)), Action::Remove).await;
                    desk.act(&Filter::message(id((n % STAY) * 10)), Action::Rekey(QueueKey::new("c"))).await;
                });
            }
        });
        for _ in 0..12 {
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let (more, next) = store.block_on(page(&desk, &Filter::all(), cursor, 7));
                seen.extend(more);
                cursor = next;
                if next.is_none() {
                    break;
                }
            }
            let stayed = seen.iter().filter(|unit| (0..STAY).any(|n| unit.msg == id(n * 10))).count();
            let whole = seen.is_sorted_by(|a, b| a < b) && stayed == STAY as usize;
            if !whole {
                done.store(true, Ordering::SeqCst);
            }
            assert!(whole, "each that stays is listed once, in order: {seen:?}");
        }
        done.store(true, Ordering::SeqCst);
    });
}

pub(super) fn everything_outlives_reopening<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
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
        let evil = "x\",\"next_unit\":9}\r\nHKYMSG01\u{1}\u{1b}\u{2028}é'; --";
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
        let mut draft = desk.open_draft(1).await;
        draft.write(Bytes::from_static(b"HKYMSG01")).await.expect("a write");
        draft.commit(envelope, Bytes::from_static(b"HKYFRM01"), units, None).await.expect("a commit");
        desk.enqueue(2, vec![due("b", 0)]).await;
        let lease = desk.claim_one(evil, 0).await.lease;
        let results = vec![(0, relayed(1)), (1, deferred(2)), (2, failed(3))];
        desk.end(lease, results, Next::RetryAt(at(40))).await;
        desk.all().await
    });
    assert_eq!(before.len(), 3);
    let counts = store.block_on(desk.counts(CountBy::Key)).expect("counts");
    let keys = store.block_on(desk.due_keys_at(9_999, None, 9));
    let Ok(desk) = desk.reopen() else { return };
    store.block_on(async {
        assert_eq!(desk.all().await, before, "every field of every unit");
        assert_eq!(desk.counts(CountBy::Key).await.expect("counts"), counts);
        assert_eq!(desk.due_keys_at(9_999, None, 9).await, keys);
        assert_eq!(desk.health(), crate::Health::Ok);
        let body = desk.body(id(1)).await.expect("a text");
        assert_eq!(read(&body, 99).await, b"HKYMSG01");
    });
}
