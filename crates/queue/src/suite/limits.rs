//! Stores that can take no more.

use super::Store;
use super::parts::*;
use crate::{Action, CountBy, Draft, Filter, Gate, Health, HoldReason, Manage, Queue, QueueError, QueueKey, SizeHint};

pub(super) fn full_says_so<S: Store>(store: &S) {
    let queue = store.full();
    store.block_on(async {
        let Err(refused) = queue.draft(id(1), SizeHint(Some(1 << 20))).await else {
            panic!("a draft was opened without room");
        };
        assert!(matches!(refused, QueueError::Full), "{refused}");
        assert_eq!(refused.reply().code().as_u16(), 452);
        // What is no message still works.
        assert_eq!(queue.counts(CountBy::Key).await.expect("counts"), []);
        queue.gate(&QueueKey::new("a"), Gate::Paused).await.expect("a gate");
        assert!(!matches!(queue.health(), Health::ReadOnly(_) | Health::Failed(_)), "{:?}", queue.health());
    });
}

pub(super) fn read_only_writes_nothing<S: Store>(store: &S) {
    let Some(queue) = store.read_only() else { return };
    let desk = Desk::new(store, queue);
    let refused = |what: &str, error: Option<QueueError>| {
        assert!(matches!(error, Some(QueueError::ReadOnly)), "{what} on a read-only queue: {error:?}");
    };
    store.block_on(async {
        let before = desk.all().await;
        assert!(matches!(desk.health(), Health::ReadOnly(_)), "{:?}", desk.health());
        match desk.draft(id(u32::MAX), SizeHint::UNKNOWN).await {
            Err(error) => refused("a draft", Some(error)),
            Ok(draft) => {
                let commit = draft.commit(envelope(), bytes::Bytes::new(), vec![due("a", 0)], None).await;
                refused("a commit", commit.err());
            }
        }
        if let Some(entry) = before.first() {
            assert!(desk.body(entry.unit.msg).await.is_ok(), "it can still be read");
            let hold = Action::Hold(HoldReason::new("x"));
            refused("a hold", desk.apply(&Filter::all(), hold).await.err());
            refused("a removal", desk.apply(&Filter::all(), Action::Remove).await.err());
        }
        refused("a gate", desk.gate(&QueueKey::new("a"), Gate::Paused).await.err());
        assert_eq!(desk.all().await, before, "nothing changed");
    });
}
