//! How messages enter the queue.

use bytes::Bytes;

use super::Store;
use super::parts::*;
use super::texts::text;
use crate::{Draft, Filter, IdemKey, Next, Queue, QueueError, Receipt, Settlement};

pub(super) fn drafts_are_invisible<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        let mut draft = desk.open_draft(1).await;
        draft.write(text(200_000)).await.expect("a write");
        assert_eq!(desk.all().await, [], "a draft is not listed");
        assert_eq!(desk.due_keys_at(9, None, 9).await, [], "a draft is not work");
        assert!(desk.body(id(1)).await.is_err(), "a draft has no text to be read");
        drop(draft);
        assert_invalid(desk.open_draft(1).await.commit(envelope(), Bytes::new(), vec![], None).await);
        let nobody = || vec![due("a", 0), unit("a", &[])];
        assert_invalid(desk.open_draft(1).await.commit(envelope(), Bytes::new(), nobody(), None).await);
        assert_invalid(desk.open_draft(1).await.seal(envelope(), Bytes::new(), nobody()).await);
        drop(desk.sealed(1, "a").await);
        assert_eq!(desk.all().await, [], "what was sealed and dropped is not there");
        assert!(desk.body(id(1)).await.is_err());
        desk.enqueue(1, vec![due("a", 0)]).await;
    });
    if let Ok(desk) = desk.reopen() {
        assert_eq!(store.block_on(desk.all()).len(), 1, "only what was committed outlives reopening");
    }
}

async fn commit<S: Store>(desk: &Desk<'_, S>, n: u32, idem: Option<u8>, minutes: i64) -> Receipt {
    desk.time(minutes).await;
    let mut draft = desk.open_draft(n).await;
    draft.write(text(100)).await.expect("a write");
    let mut envelope = envelope();
    envelope.received = at(minutes);
    let idem = idem.map(|byte| IdemKey::new([byte; 32]));
    draft.commit(envelope, Bytes::new(), vec![due("a", 0)], idem).await.expect("a commit")
}

pub(super) fn commits_are_idempotent<S: Store>(store: &S) {
    let again = Receipt { id: id(1), duplicate: true };
    let desk = Desk::fresh(store);
    store.block_on(async {
        assert!(!commit(&desk, 1, None, 0).await.duplicate);
        assert_eq!(commit(&desk, 1, None, 0).await, again, "the same id is the same message");
        assert_eq!(desk.all().await.len(), 1);
        let sealed = desk.open_draft(1).await.seal(envelope(), Bytes::new(), vec![due("a", 0)]).await;
        assert!(matches!(sealed, Err(QueueError::Duplicate(twice)) if twice == id(1)), "{sealed:?}");
    });
    let desk = desk.reopened();
    store.block_on(async {
        assert_eq!(commit(&desk, 1, None, 0).await, again, "after reopening, too");
        assert_eq!(desk.finish("a", 0).await, GONE);
        assert_eq!(commit(&desk, 1, None, 0).await, again, "a finished message does not come back");
        assert_eq!(desk.all().await, []);
        desk.enqueue(2, vec![due("a", 0)]).await;
        desk.act(&Filter::message(id(2)), crate::Action::Remove).await;
        assert!(commit(&desk, 2, None, 0).await.duplicate, "nor one that was removed");
    });
}

pub(super) fn finished_messages_are_remembered<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let first = |n| Receipt { id: id(n), duplicate: true };
    store.block_on(async {
        for n in [1, 2, 3] {
            commit(&desk, n, Some(n as u8), 0).await;
        }
        let lease = desk.claims("a", 0, 1).await[0].lease;
        desk.end(lease, vec![(0, relayed(0))], Next::Finish).await;
        desk.act(&Filter::message(id(2)), crate::Action::Remove).await;
    });
    let Ok(desk) = desk.reopen() else { return };
    store.block_on(async {
        for n in [1, 2] {
            assert_eq!(commit(&desk, n, None, 0).await, first(n), "what is gone does not come back by its id");
            assert_eq!(commit(&desk, 10 + n, Some(n as u8), 59).await, first(n), "nor by its submission's key");
        }
        assert_eq!(desk.only_entry(3).await.unit, unit_id(3, 0));
        assert_eq!(desk.all().await.len(), 1);
    });
}

pub(super) fn submissions_are_idempotent<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let first = |n, duplicate| Receipt { id: id(n), duplicate };
    store.block_on(async {
        assert_eq!(commit(&desk, 1, Some(7), 0).await, first(1, false));
        assert_eq!(commit(&desk, 2, Some(7), 59).await, first(1, true), "the same submission under another id");
        assert_eq!(commit(&desk, 3, Some(8), 59).await, first(3, false), "another submission");
        assert_eq!(commit(&desk, 9, None, 59).await, first(9, false), "without a key each is one of its own");
    });
    let desk = desk.reopened();
    store.block_on(async {
        assert_eq!(commit(&desk, 4, Some(7), 59).await, first(1, true), "after reopening, too");
        assert_eq!(commit(&desk, 5, Some(7), 60).await, first(5, false), "the window is over");
        assert_eq!(commit(&desk, 6, Some(7), 61).await, first(5, true), "and another one began");
    });
}

pub(super) fn many_commits_at_once<S: Store>(store: &S) {
    const THREADS: u32 = 8;
    const EACH: u32 = 40;
    let desk = Desk::fresh(store);
    // Each id is committed by two threads: one of them makes the message, the other is told so.
    let made = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (desk, made) = (&desk, &made);
            scope.spawn(move || {
                for n in 0..EACH {
                    let n = (thread / 2) * EACH + n;
                    let receipt = store.block_on(commit(desk, n, Some((n % 200) as u8), 0));
                    assert_eq!(receipt.id, id(n));
                    made.fetch_add(u32::from(!receipt.duplicate), std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
    let messages = THREADS / 2 * EACH;
    assert_eq!(made.into_inner(), messages, "each message was made once");
    let desk = desk.reopened();
    let entries = store.block_on(desk.all());
    let ids: Vec<_> = entries.iter().map(|entry| entry.unit).collect();
    assert_eq!(ids, (0..messages).map(|n| unit_id(n, 0)).collect::<Vec<_>>(), "each is there once");
}

pub(super) fn follow_ups_come_with_the_settlement<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let follow = |sealed, results, next| Settlement { follow_up: sealed, ..settlement(results, next) };
    store.block_on(async {
        desk.enqueue(1, vec![due("a", 0)]).await;
        desk.enqueue(2, vec![due("a", 0)]).await;
        let claimed = desk.claims("a", 0, 2).await;
        let ways = [(11, Next::Finish, failed(1)), (12, Next::RetryAt(at(30)), deferred(1))];
        for (claimed, (n, next, state)) in claimed.into_iter().zip(ways) {
            let (sealed, second) = (desk.sealed(n, "bounce").await, desk.sealed(n + 10, "copy").await);
            assert_eq!(sealed.id(), id(n));
            desk.nothing_due("bounce", 0).await;
            let settlement = follow(vec![sealed, second], vec![(0, state)], next);
            // With what follows it is never lazy.
            desk.settle(claimed.lease, settlement, crate::Durability::Lazy).await.expect("a settlement");
            let bounce = desk.claim_one("bounce", 0).await;
            assert_eq!((bounce.lease.unit, bounce.size), (unit_id(n, 0), 12));
            assert_eq!(desk.claim_one("copy", 0).await.lease.unit, unit_id(n + 10, 0));
            let body = desk.body(id(n)).await.expect("a text");
            use crate::BodyReader;
            assert_eq!((&body.prepend()[..], &read(&body, 9).await[..]), (&b"X: y\r\n"[..], &b"bounce"[..]));
        }
    });
    if let Ok(desk) = desk.reopen() {
        let left = store.block_on(desk.all());
        let ids: Vec<_> = left.iter().map(|entry| entry.unit.msg).collect();
        assert_eq!(ids, [2, 11, 12, 21, 22].map(id), "what followed outlives reopening");
        assert_eq!((left[0].due, left[0].attempts), (at(30), 1));
    }
}

pub(super) fn refused_settlements_bring_nothing<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        desk.enqueue(1, vec![due("a", 0)]).await;
        desk.enqueue(5, vec![due("b", 0)]).await;
        let lease = desk.claim_one("a", 0).await.lease;
        let before = desk.all().await;
        let settle = async |n, results, next| {
            let follow_up = vec![desk.sealed(n, "bounce").await];
            let settlement = Settlement { follow_up, ..settlement(results, next) };
            desk.settle(lease, settlement, crate::Durability::Sync).await
        };
        assert_invalid(settle(11, vec![], Next::Finish).await);
        assert_invalid(settle(12, vec![(7, failed(1))], Next::RetryAt(at(9))).await);
        // Sealed before a message of the same id comes by another way: one of the two is refused.
        let sealed = desk.sealed(13, "bounce").await;
        let rival = desk.open_draft(13).await;
        let rival = rival.commit(envelope(), Bytes::new(), vec![due("c", 0)], None).await;
        if let Ok(receipt) = rival {
            assert!(!receipt.duplicate, "what is sealed is not in the queue");
            let twice = Settlement { follow_up: vec![sealed], ..settlement(vec![(0, failed(1))], Next::Finish) };
            let refused = desk.settle(lease, twice, crate::Durability::Sync).await;
            assert!(matches!(refused, Err(QueueError::Duplicate(twice)) if twice == id(13)), "{refused:?}");
            desk.act(&Filter::message(id(13)), crate::Action::Remove).await;
        } else {
            assert!(matches!(rival, Err(QueueError::Duplicate(twice)) if twice == id(13)), "{rival:?}");
        }
        assert_eq!(desk.all().await, before, "a settlement that was refused changed nothing");
        assert_eq!(settle(14, vec![(0, failed(1))], Next::Finish).await.expect("the lease is still current"), GONE);
        let left: Vec<_> = desk.all().await.iter().map(|entry| entry.unit.msg).collect();
        assert_eq!(left, [5, 14].map(id));
    });
    if let Ok(desk) = desk.reopen() {
        let left: Vec<_> = store.block_on(desk.all()).iter().map(|entry| entry.unit.msg).collect();
        assert_eq!(left, [5, 14].map(id), "nor later");
    }
}
