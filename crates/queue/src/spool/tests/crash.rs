//! The process dies, or one call fails, at any step of the disk (D68).

use super::*;
use crate::{Attempt, Entry, Next, RcptNo, RcptState};
use hikyaku_wire::{Code, EnhancedCode, Reply};

/// How many things the story does.
const STORY: usize = 8;

/// Does one thing of the story; it may be told again if it failed.
async fn tell(spool: &Spool, chapter: usize, time: Timestamp) -> Result<()> {
    let reply = |code, class| Reply::new(Code::new(code).unwrap(), EnhancedCode::new(class, 1, 1), "said");
    let failed = || RcptState::Failed(Attempt::new(now(), reply(550, 5)));
    let deferred = || RcptState::Deferred(Attempt::new(now(), reply(451, 4)));
    let later = now().saturating_add(Duration::from_secs(9_000));
    let settle = async |key: &str, states: [RcptState; 2], next: Next, bounce: Option<u8>| {
        let want = [KeyQuota { key: QueueKey::new(key), max: 1 }];
        let claimed = spool.claim(WorkerId::new("w"), time, &want, Duration::from_secs(60)).await?;
        let mut settlement = Settlement::new(next);
        settlement.results = (0..).map(RcptNo).zip(states).collect();
        if let Some(n) = bounce {
            let mut draft = spool.draft(id(n), SizeHint::UNKNOWN).await?;
            draft.write(Bytes::from(text(n))).await?;
            let units = vec![unit("bounce", &["<s@s.test>", "<t@s.test>"])];
            let envelope = Envelope::new("<>".parse().unwrap(), now());
            settlement.follow_up.push(draft.seal(envelope, Bytes::from_static(b"R: x\r\n"), units).await?);
        }
        spool.settle(claimed[0].lease, settlement, Durability::Sync).await.map(|_| ())
    };
    match chapter {
        0 => commit(spool, 1, "a").await,
        1 => commit(spool, 2, "b").await,
        2 => settle("a", [failed(), deferred()], Next::RetryAt(later), Some(11)).await,
        3 => settle("b", [failed(), failed()], Next::Finish, Some(12)).await,
        4 => spool.apply(&Filter::message(id(1)), Action::Rekey(QueueKey::new("c"))).await.map(|_| ()),
        5 => spool.gate(&QueueKey::new("c"), Gate::Paused).await,
        6 => settle("bounce", [failed(), failed()], Next::Finish, None).await,
        7 => spool.apply(&Filter::message(id(1)), Action::Remove).await.map(|_| ()),
        _ => panic!("the story is over"),
    }
}

type Picture = (Vec<Entry>, Vec<DueKey>);

/// What there is, with all texts read.
async fn picture(spool: &Spool) -> Picture {
    let far = now().saturating_add(Duration::from_secs(1 << 30));
    let entries = spool.list(&Filter::all(), None, 99).await.unwrap().entries;
    for entry in &entries {
        let body = spool.body(entry.unit.msg).await.unwrap();
        let n = entry.unit.msg.as_bytes()[15];
        assert_eq!((&body.prepend()[..], body.read_at(0, 99).await.unwrap()), (&b"R: x\r\n"[..], Bytes::from(text(n))));
    }
    (entries, spool.due_keys(far, None, 99).await.unwrap())
}

fn hours(hours: usize) -> Timestamp {
    now().saturating_add(Duration::from_secs(3_600 * hours as u64))
}

/// The story without accidents: what there is before it and after each chapter.
fn pictures(folders: &Folders) -> Vec<Picture> {
    let spool = folders.fresh();
    folders.runtime.block_on(async {
        let mut pictures = vec![picture(&spool).await];
        for chapter in 0..STORY {
            tell(&spool, chapter, hours(chapter)).await.unwrap();
            pictures.push(picture(&spool).await);
        }
        assert!(pictures.is_sorted_by(|a, b| a != b), "every chapter changes something");
        pictures
    })
}

fn accident(folders: &Folders, pictures: &[Picture], step: u64, dead: bool) -> bool {
    let spool = folders.fresh();
    spool.inner.disk.fault.arm(step, dead);
    let mut told = 0;
    let mut read_only = false;
    folders.runtime.block_on(async {
        let mut hour = 0;
        while told < STORY {
            hour += 1;
            match tell(&spool, told, hours(hour)).await {
                Ok(()) => told += 1,
                Err(_) if dead || read_only => break,
                Err(error) => {
                    read_only = matches!(spool.health(), Health::ReadOnly(_));
                    assert_eq!(read_only, matches!(error, QueueError::ReadOnly), "step {step}: {error}");
                }
            }
        }
    });
    assert!(told == STORY || dead || read_only, "step {step}: what failed once is done when it is tried again");
    let fired = spool.inner.disk.fault.fired();

    let spool = folders.open(&folders.close(spool));
    assert_eq!(spool.quarantined(), [], "step {step}");
    folders.runtime.block_on(async {
        let found = picture(&spool).await;
        if told < STORY && found == pictures[told + 1] {
            told += 1;
        }
        assert!(found == pictures[told], "step {step}: {told} told, found {found:#?}");
        for chapter in told..STORY {
            tell(&spool, chapter, hours(100 + chapter)).await.unwrap();
        }
        assert!(picture(&spool).await == pictures[STORY], "step {step}");
    });
    let path = folders.close(spool);
    for folder in ["tmp", "sealed", "corrupt", "states"] {
        assert_eq!(files(&path.join(folder)), [""; 0], "step {step}: {folder}");
    }
    fired
}

#[test]
fn death_between_any_two_steps_loses_nothing() {
    let folders = Folders::new();
    let pictures = pictures(&folders);
    let steps = (1..).take_while(|step| accident(&folders, &pictures, *step, true)).count();
    assert!(steps > 50, "{steps} steps");
}

#[test]
fn one_failure_at_any_step_loses_nothing() {
    let folders = Folders::new();
    let pictures = pictures(&folders);
    let steps = (1..).take_while(|step| accident(&folders, &pictures, *step, false)).count();
    assert!(steps > 50, "{steps} steps");
}

/// Each chapter with its steps: nothing is said to be done before its last sync.
#[test]
fn every_promise_is_synced_in_order() {
    const PUT: [&str; 5] = ["create", "write", "sync", "rename", "sync folder"];
    let finish = ["remove", "sync folder", "remove"];
    let publish = ["rename", "sync folder"];
    let chapters: [&[&[&str]]; STORY] = [
        &[&PUT],
        &[&PUT],
        // The sealed bounce, the state that names it, the bounce's move.
        &[&PUT, &PUT, &publish],
        &[&PUT, &PUT, &publish, &finish],
        &[&PUT],
        &[&PUT],
        &[&finish],
        &[&finish],
    ];
    let folders = Folders::new();
    let spool = folders.fresh();
    folders.runtime.block_on(async {
        for (chapter, steps) in chapters.into_iter().enumerate() {
            spool.inner.disk.fault.arm(0, false);
            tell(&spool, chapter, hours(chapter)).await.unwrap();
            assert_eq!(spool.inner.disk.fault.steps(), steps.concat(), "chapter {chapter}");
        }
    });
}

#[test]
fn after_a_failed_sync_nothing_is_written() {
    let folders = Folders::new();
    let spool = folders.fresh();
    folders.runtime.block_on(async {
        commit(&spool, 1, "a").await.unwrap();
        // Create, write, then the sync.
        spool.inner.disk.fault.arm(3, false);
        assert!(matches!(commit(&spool, 2, "a").await, Err(QueueError::ReadOnly)));
        assert!(matches!(spool.health(), Health::ReadOnly(_)));
        assert!(matches!(spool.draft(id(3), SizeHint::UNKNOWN).await, Err(QueueError::ReadOnly)));
        assert!(matches!(spool.apply(&Filter::all(), Action::Remove).await, Err(QueueError::ReadOnly)));
        assert!(matches!(spool.gate(&QueueKey::new("a"), Gate::Paused).await, Err(QueueError::ReadOnly)));
        assert_eq!(spool.list(&Filter::all(), None, 9).await.unwrap().entries.len(), 1);
        assert!(spool.body(id(1)).await.is_ok(), "it can still be read");
    });
}
