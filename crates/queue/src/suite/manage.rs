//! What people and tools do.

use bytes::Bytes;

use super::Store;
use super::parts::*;
use crate::{
    Action, Count, CountBy, Draft, Durability, Entry, Envelope, Filter, Gate, HoldReason, Lease, Manage, NewUnit, Next,
    Origin, Queue, QueueKey, StateKind, UnitState,
};

/// Three messages that differ in every field that a filter can name: number `n` with one unit that is
/// ready, `n + 1` with one that is ready and one that is held, `n + 2` with one that is leased.
async fn three_messages<S: Store>(desk: &Desk<'_, S>, n: u32) -> Lease {
    let from = |name: &str, minutes| {
        let mut envelope = Envelope::new(format!("<{name}@{name}.test>").parse().expect("a path"), at(minutes));
        envelope.origin = Origin { user: Some(name.to_owned()), ..Origin::default() };
        envelope
    };
    let held = NewUnit { hold: Some(HoldReason::new("from the start")), ..unit("two-b", &["<d@d2.test>"]) };
    let messages = [
        (from("one", 1), vec![unit("one", &["<a@a1.test>"])]),
        (from("two", 2), vec![unit("two", &["<b@b2.test>", "<c@c2.test>"]), held]),
        (from("three", 3), vec![unit("three", &["<e@e3.test>"])]),
    ];
    for (n, (envelope, units)) in (n..).zip(messages) {
        let draft = desk.open_draft(n).await;
        draft.commit(envelope, Bytes::new(), units, None).await.expect("a commit");
    }
    desk.claim_one("three", 0).await.lease
}

/// Every field of a filter, and which of the four units it means.
fn filters(n: u32) -> Vec<(Filter, &'static [usize])> {
    let all = Filter::all;
    let state = |state| Filter { state: Some(state), ..all() };
    vec![
        (all(), &[0, 1, 2, 3]),
        (Filter { msg: Some(id(n + 1)), ..all() }, &[1, 2]),
        (Filter { unit: Some(1), ..all() }, &[2]),
        (Filter { unit: Some(2), ..all() }, &[]),
        (Filter { key: Some(QueueKey::new("two")), ..all() }, &[1]),
        (Filter { key: Some(QueueKey::new("Two")), ..all() }, &[]),
        (state(StateKind::Ready), &[0, 1]),
        (state(StateKind::Held), &[2]),
        (state(StateKind::Leased), &[3]),
        (Filter { sender: Some("<two@two.test>".parse().expect("a path")), ..all() }, &[1, 2]),
        (Filter { sender_domain: Some("TWO.test".parse().expect("a domain")), ..all() }, &[1, 2]),
        (Filter { rcpt: Some("<c@c2.test>".parse().expect("a path")), ..all() }, &[1]),
        (Filter { rcpt_domain: Some("d2.TEST".parse().expect("a domain")), ..all() }, &[2]),
        (Filter { user: Some("two".to_owned()), ..all() }, &[1, 2]),
        (Filter { received_from: Some(at(2)), ..all() }, &[1, 2, 3]),
        (Filter { received_before: Some(at(2)), ..all() }, &[0]),
        (Filter { received_from: Some(at(2)), received_before: Some(at(3)), unit: Some(0), ..all() }, &[1]),
        (Filter { key: Some(QueueKey::new("two")), msg: Some(id(n)), ..all() }, &[]),
    ]
}

/// What an action makes of a unit that it means, and whether it changes it.
fn after(entry: &Entry, action: &Action) -> (Option<Entry>, bool) {
    let mut changed = entry.clone();
    let held = matches!(entry.state, UnitState::Held(_));
    match action {
        // What is leased stays that until the lease ends.
        Action::Hold(_) if matches!(entry.state, UnitState::Leased { .. }) => {}
        Action::Hold(why) if !held => changed.state = UnitState::Held(why.clone()),
        Action::Release(due) if held => (changed.state, changed.due) = (UnitState::Ready, *due),
        Action::Retry(due) if !held => changed.due = *due,
        Action::Rekey(key) => changed.key = key.clone(),
        Action::Remove => return (None, true),
        Action::Hold(_) | Action::Release(_) | Action::Retry(_) => return (Some(changed), false),
    }
    (Some(changed), true)
}

pub(super) fn actions_by_every_field<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let actions = [
        Action::Hold(HoldReason::new("why")),
        Action::Release(at(3)),
        Action::Retry(at(4)),
        Action::Rekey(QueueKey::new("new")),
        Action::Remove,
    ];
    store.block_on(async {
        let mut n = 0;
        for which in 0..filters(0).len() {
            for action in &actions {
                n += 10;
                let lease = three_messages(&desk, n).await;
                let (filter, means) = filters(n).swap_remove(which);
                let before = desk.all().await;
                assert_eq!(before.len(), 4);
                let listed = desk.entries(&filter).await;
                let meant: Vec<_> = means.iter().map(|&unit| before[unit].clone()).collect();
                assert_eq!(listed, meant, "{filter:?}");

                let mut expected = Vec::new();
                let mut met = 0;
                for (number, entry) in before.iter().enumerate() {
                    let (entry, changes) = match means.contains(&number) {
                        true => after(entry, action),
                        false => (Some(entry.clone()), false),
                    };
                    met += u64::from(changes);
                    expected.extend(entry);
                }
                assert_eq!(desk.act(&filter, action.clone()).await, met, "{action:?} of {filter:?}");
                assert_eq!(desk.all().await, expected, "{action:?} of {filter:?}");

                // What the leased unit was told takes effect when the lease ends.
                let told = means.contains(&3);
                let settled = desk.settle(lease, settlement(vec![], Next::RetryAt(at(70))), Durability::Sync).await;
                if told && *action == Action::Remove {
                    assert_lost(settled);
                } else {
                    assert_eq!(settled.expect("the lease goes on"), STAYS, "{action:?} of {filter:?}");
                    let entry = desk.only_entry(n + 2).await;
                    let held = told && matches!(action, Action::Hold(_));
                    let due = if told && matches!(action, Action::Retry(_)) { at(4) } else { at(70) };
                    let key = if told && matches!(action, Action::Rekey(_)) { "new" } else { "three" };
                    assert_eq!((entry.due, entry.key.as_str()), (due, key), "{action:?} of {filter:?}");
                    assert_eq!(entry.state.kind() == StateKind::Held, held, "{action:?} of {filter:?}");
                }
                desk.act(&Filter::all(), Action::Remove).await;
                assert_eq!(desk.all().await, []);
                assert!(desk.body(id(n)).await.is_err() && desk.body(id(n + 1)).await.is_err(), "texts go with it");
            }
        }
        assert_eq!(desk.counts(CountBy::Key).await.expect("counts"), []);
    });
    if let Ok(desk) = desk.reopen() {
        assert_eq!(store.block_on(desk.all()), [], "what was removed stays away");
    }
}

pub(super) fn counts_add_up<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        let nothing = Count { key: None, ready: 0, leased: 0, held: 0, oldest: None };
        assert_eq!(desk.counts(CountBy::All).await.expect("counts"), [nothing]);
        three_messages(&desk, 1).await;
        desk.enqueue(7, vec![due("two", 900), due("three", 900)]).await;
        let count = |key, [ready, leased, held]: [u64; 3]| Count {
            key: Some(QueueKey::new(key)),
            ready,
            leased,
            held,
            oldest: Some(id(0).timestamp()),
        };
        let by_key = [("one", [1, 0, 0]), ("three", [1, 1, 0]), ("two", [2, 0, 0]), ("two-b", [0, 0, 1])]
            .map(|(k, n)| count(k, n));
        assert_eq!(desk.counts(CountBy::Key).await.expect("counts"), by_key, "in the order of the keys");
        let all = Count { key: None, ..count("", [4, 1, 1]) };
        assert_eq!(desk.counts(CountBy::All).await.expect("counts"), [all]);
    });
}

pub(super) fn actions_on_leased_units<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    store.block_on(async {
        desk.enqueue(1, vec![due("a", 0)]).await;
        let act = async |action| assert_eq!(desk.act(&Filter::all(), action).await, 1);
        let retry = || settlement(vec![(0, deferred(1))], Next::RetryAt(at(60)));
        let is_leased = || async { desk.only_entry(1).await.state.kind() == StateKind::Leased };

        let lease = desk.claim_one("a", 0).await.lease;
        act(Action::Hold(HoldReason::new("stop"))).await;
        assert!(is_leased().await, "the holder goes on");
        desk.settle(lease, retry(), Durability::Sync).await.expect("the lease is current");
        assert_eq!(desk.only_entry(1).await.state, UnitState::Held(HoldReason::new("stop")));
        desk.nothing_due("a", 99).await;

        act(Action::Release(at(2))).await;
        let lease = desk.claim_one("a", 2).await.lease;
        act(Action::Retry(at(4))).await;
        act(Action::Rekey(QueueKey::new("b"))).await;
        assert!(is_leased().await);
        desk.settle(lease, retry(), Durability::Lazy).await.expect("the lease is current");
        desk.nothing_due("b", 3).await;
        let lease = desk.claim_one("b", 4).await.lease;

        // The holder dies: what was asked for holds when the lease is over.
        act(Action::Hold(HoldReason::new("again"))).await;
        desk.nothing_due("b", 99).await;
        assert_eq!(desk.only_entry(1).await.state, UnitState::Held(HoldReason::new("again")));
        assert_lost(desk.settle(lease, retry(), Durability::Sync).await);

        act(Action::Release(at(100))).await;
        let lease = desk.claim_one("b", 100).await.lease;
        act(Action::Hold(HoldReason::new("third"))).await;
        desk.release(lease, at(100)).await.expect("the lease is current");
        desk.nothing_due("b", 100).await;

        act(Action::Release(at(100))).await;
        let lease = desk.claim_one("b", 100).await.lease;
        act(Action::Remove).await;
        assert_lost(desk.settle(lease, retry(), Durability::Sync).await);
        assert_lost(desk.extend(&lease, MINUTE).await);
        assert_eq!(desk.all().await, []);
    });
}

pub(super) fn gates_close_keys<S: Store>(store: &S) {
    let desk = Desk::fresh(store);
    let (a, b, c) = (QueueKey::new("a"), QueueKey::new("b"), QueueKey::new("c"));
    store.block_on(async {
        desk.enqueue(1, vec![due("a", 0), due("b", 0), due("c", 0), due("d", 0)]).await;
        desk.gate(&a, Gate::NotBefore(at(10))).await.expect("a gate");
        desk.gate(&b, Gate::Paused).await.expect("a gate");
        desk.gate(&c, Gate::Paused).await.expect("a gate");
        desk.gate(&c, Gate::Open).await.expect("a gate");
        desk.gate(&QueueKey::new("nobody"), Gate::Paused).await.expect("a gate");
    });
    async fn check<S: Store>(desk: &Desk<'_, S>) {
        let keys = desk.due_keys_at(1_000, None, 9).await;
        let keys: Vec<_> = keys.iter().map(|key| (key.key.as_str(), key.due)).collect();
        assert_eq!(keys, [("c", at(0)), ("d", at(0)), ("a", at(10))], "a closed key is no work before it opens");
        desk.nothing_due("a", 9).await;
        desk.nothing_due("b", 1_000).await;
        let [a, b, c, nobody] = ["a", "b", "c", "nobody"].map(QueueKey::new);
        let closed = [(a.clone(), Gate::NotBefore(at(10))), (b, Gate::Paused), (nobody, Gate::Paused)];
        assert_eq!(desk.gates(None).await.expect("gates"), closed, "the gates that are not open, in order");
        assert_eq!(desk.gates(Some(&a)).await.expect("gates"), closed[..1]);
        assert_eq!(desk.gates(Some(&c)).await.expect("gates"), []);
        let lease = desk.claim_one("a", 10).await.lease;
        desk.release(lease, at(0)).await.expect("the lease is current");
        let counts = desk.counts(CountBy::Key).await.expect("counts");
        assert!(counts.iter().all(|count| count.ready == 1), "what is behind a gate is counted: {counts:?}");
    }
    store.block_on(check(&desk));
    let desk = desk.reopened();
    store.block_on(async {
        check(&desk).await;
        // A lease under way is not ended by a gate.
        let lease = desk.claim_one("d", 0).await.lease;
        desk.gate(&QueueKey::new("d"), Gate::Paused).await.expect("a gate");
        assert!(desk.extend(&lease, MINUTE).await.is_ok());
        desk.nothing_due("d", 99).await;
        desk.end(lease, vec![(0, relayed(0))], Next::Finish).await;
        // The last word counts.
        desk.gate(&b, Gate::NotBefore(at(500))).await.expect("a gate");
        desk.nothing_due("b", 499).await;
        desk.gate(&b, Gate::Open).await.expect("a gate");
        desk.claim_one("b", 0).await;
        desk.enqueue(2, vec![due("nobody", 0)]).await;
        desk.nothing_due("nobody", 99).await;
        // A unit that gets another key stands behind that key's gate.
        desk.act(&Filter::key(c.clone()), Action::Rekey(QueueKey::new("nobody"))).await;
        desk.nothing_due("nobody", 99).await;
    });
}
