//! A primary and two standbys, one of which at least has what is acknowledged, and what is lost when
//! any of them dies: nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hikyaku_queue::{Durability, Filter, MsgId, Next, Queue, QueueError, RcptNo, Settlement};
use hikyaku_queue_postgres::{Copies, Postgres, PostgresConfig};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::mail::{claim_for, draft, enqueue, entries, id, message, relayed};
use crate::support::Server;

const STANDBYS: &str = "synchronous_standby_names=ANY 1 (one,two)";

struct Cluster {
    primary: Server,
    one: Server,
    two: Server,
}

impl Cluster {
    fn start() -> Self {
        let primary = Server::start_new(&[STANDBYS]);
        let (one, two) = (primary.standby("one"), primary.standby("two"));
        Self { primary, one, two }
    }

    /// All three, in whatever order; whoever takes writes is used.
    fn config(&self) -> PostgresConfig {
        let ports = [&self.one, &self.two, &self.primary].map(|server| format!("127.0.0.1:{}", server.port));
        let mut config = PostgresConfig::new(&format!("postgres://postgres@{}/postgres", ports.join(","))).unwrap();
        config.schema = "cluster".to_owned();
        config.copies = Copies::Two;
        config
    }
}

/// What producers and workers of a few nodes were told.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    next: AtomicU32,
    acknowledged: Mutex<BTreeSet<MsgId>>,
    settled: Mutex<BTreeSet<MsgId>>,
    /// Settled, perhaps: nobody was told.
    open: Mutex<BTreeSet<MsgId>>,
    lost_leases: AtomicU32,
}

impl Told {
    fn sum(&self) -> (usize, usize) {
        (self.acknowledged.lock().unwrap().len(), self.settled.lock().unwrap().len())
    }
}

/// Commits one message after the other, each until it is acknowledged.
async fn produce(queue: Postgres, told: Arc<Told>) {
    while !told.stop.load(Ordering::Relaxed) {
        let n = told.next.fetch_add(1, Ordering::Relaxed);
        loop {
            if queue.draft(id(n), hikyaku_queue::SizeHint::UNKNOWN).await.is_ok() {
                match message(draft(&queue, n, 300).await, "a").await {
                    Ok(receipt) => {
                        assert_eq!(receipt.id, id(n));
                        told.acknowledged.lock().unwrap().insert(id(n));
                        break;
                    }
                    Err(QueueError::Invalid(why)) => panic!("{why}"),
                    Err(_) if told.stop.load(Ordering::Relaxed) => return,
                    Err(_) => {}
                }
            } else if told.stop.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Claims and finishes every third message; the others wait.
async fn work(queue: Postgres, told: Arc<Told>) {
    while !told.stop.load(Ordering::Relaxed) {
        let want = [hikyaku_queue::KeyQuota { key: hikyaku_queue::QueueKey::new("a"), max: 5 }];
        let who = hikyaku_queue::WorkerId::new("worker");
        let Ok(claimed) = queue.claim(who, crate::mail::now(), &want, Duration::from_secs(60)).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        for claimed in claimed {
            let msg = claimed.lease.unit.msg;
            if msg.as_bytes()[15] % 3 != 0 {
                let _ = queue.release(claimed.lease, far()).await;
                continue;
            }
            let done = Settlement { results: vec![(RcptNo(0), relayed())], ..Settlement::new(Next::Finish) };
            match queue.settle(claimed.lease, done, Durability::Sync).await {
                Ok(settled) => {
                    assert!(settled.message_done);
                    assert!(told.settled.lock().unwrap().insert(msg), "{msg} was finished twice");
                }
                Err(QueueError::LeaseLost) => _ = told.lost_leases.fetch_add(1, Ordering::Relaxed),
                Err(_) => _ = told.open.lock().unwrap().insert(msg),
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Later than any test.
fn far() -> hikyaku_wire::Timestamp {
    crate::mail::now().saturating_add(Duration::from_secs(50 * 366 * 86_400))
}

async fn load(config: &PostgresConfig, told: &Arc<Told>) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let queue = Postgres::connect(config.clone()).await.unwrap();
        for _ in 0..4 {
            tasks.push(tokio::spawn(produce(queue.clone(), Arc::clone(told))));
        }
        tasks.push(tokio::spawn(work(queue, Arc::clone(told))));
    }
    tasks
}

async fn grows(told: &Told, by: usize) {
    let from = told.sum().0;
    for _ in 0..600 {
        if told.sum().0 >= from + by {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing more is acknowledged after {from}");
}

/// Everything acknowledged is there or was finished, once; nothing that was finished is there.
async fn nothing_is_lost(queue: &Postgres, told: &Told, what: &str) {
    let mut there: BTreeMap<MsgId, u32> = BTreeMap::new();
    for entry in entries(queue, &Filter::all()).await {
        *there.entry(entry.unit.msg).or_default() += 1;
    }
    assert!(there.values().all(|count| *count == 1), "no id twice");
    let (acknowledged, settled) = (told.acknowledged.lock().unwrap(), told.settled.lock().unwrap());
    let open = told.open.lock().unwrap();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !there.contains_key(id) && !settled.contains(id) && !open.contains(id))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let back: Vec<_> = settled.iter().filter(|id| there.contains_key(id)).collect();
    assert!(back.is_empty(), "finished and there again: {back:?}");
    println!(
        "sum: {what}: {} acknowledged, {} finished, {} of unknown outcome, {} leases lost; lost 0, twice 0",
        acknowledged.len(),
        settled.len(),
        open.len(),
        told.lost_leases.load(Ordering::Relaxed)
    );
}

#[test]
fn a_dead_standby_changes_nothing_and_two_stop_everything() {
    let cluster = Cluster::start();
    Runtime::new().unwrap().block_on(async {
        let told = Arc::new(Told::default());
        let tasks = load(&cluster.config(), &told).await;
        grows(&told, 50).await;
        cluster.one.kill();
        grows(&told, 100).await;
        told.stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        let queue = Postgres::connect(cluster.config()).await.unwrap();
        nothing_is_lost(&queue, &told, "one standby killed").await;

        // Without the other one nobody may be told that anything is durable.
        let mut config = cluster.config();
        config.deadline = Duration::from_secs(3);
        let queue = Postgres::connect(config).await.unwrap();
        cluster.two.kill();
        let n = 1_000_000;
        let refused = message(draft(&queue, n, 300).await, "b").await;
        assert!(matches!(refused, Err(QueueError::Unknown)), "{refused:?}");
        let draft_now = queue.draft(id(n + 1), hikyaku_queue::SizeHint::UNKNOWN).await;
        let reply = draft_now.map(|_| ()).expect_err("no text is read in vain").reply();
        assert!(reply.is_transient(), "{reply:?}");
        cluster.two.start();
        let mut again = None;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if queue.draft(id(n), hikyaku_queue::SizeHint::UNKNOWN).await.is_ok() {
                again = Some(message(draft(&queue, n, 300).await, "b").await.expect("it goes on"));
                break;
            }
        }
        let again = again.expect("it goes on when a standby is back");
        assert_eq!(again.id, id(n));
        assert_eq!(claim_for(&queue, "b", 9, Duration::from_secs(60)).await.len(), 1, "one message, whoever made it");
        nothing_is_lost(&queue, &told, "both standbys killed, one back").await;
    });
}

#[test]
fn the_most_advanced_standby_has_everything() {
    let mut cluster = Cluster::start();
    Runtime::new().unwrap().block_on(async {
        let told = Arc::new(Told::default());
        let config = cluster.config();
        let tasks = load(&config, &told).await;
        grows(&told, 100).await;
        cluster.primary.kill();
        let (new, other, name) = match cluster.one.received() >= cluster.two.received() {
            true => (&cluster.one, &mut cluster.two, "two"),
            false => (&cluster.two, &mut cluster.one, "one"),
        };
        new.promote();
        // It would acknowledge alone: `ALTER SYSTEM` of the old one is not replicated.
        let alone = Postgres::connect(config.clone()).await.map(|_| ()).expect_err("it keeps no promise of two copies");
        assert!(alone.to_string().contains("synchronous_standby_names"), "{alone}");
        let before = told.sum().0;
        new.sql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (one,two)'; SELECT pg_reload_conf()");
        new.sql(&format!("SELECT pg_create_physical_replication_slot('{name}')"));
        other.kill();
        other.follow(new, name);
        other.start();
        grows(&told, 100).await;
        told.stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        let queue = Postgres::connect(config).await.unwrap();
        assert!(told.sum().0 > before);
        nothing_is_lost(&queue, &told, "the primary killed, a standby promoted").await;
        enqueue(&queue, 2_000_000, "c").await;
    });
}
