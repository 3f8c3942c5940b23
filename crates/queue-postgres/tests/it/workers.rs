//! Several nodes on one server, by the database's clock: who holds what, and what the stopped and
//! the dead may still do.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hikyaku_queue::{
    Action, CountBy, Durability, Filter, Gate, KeyQuota, Manage, Next, Queue, QueueError, QueueKey, RcptNo, Settlement,
    WorkerId,
};
use hikyaku_queue_postgres::{Postgres, PostgresConfig};
use hikyaku_wire::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

use crate::mail::{claim, claim_for, deferred, draft, enqueue, entries, id, lost, message, now, read, relayed};
use crate::support::Server;

const CHILD: &str = "HIKYAKU_TEST_URL";

fn finish() -> Settlement {
    Settlement { results: vec![(RcptNo(0), relayed())], ..Settlement::new(Next::Finish) }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Claims until something comes.
async fn wait_for(queue: &Postgres, key: &str) -> hikyaku_queue::Claimed {
    for _ in 0..600 {
        if let Some(claimed) = claim(queue, key, 1).await.pop() {
            return claimed;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the lease does not run out");
}

/// The worker that is stopped; it is run by the test below, as a process of its own.
#[test]
fn a_child_that_settles_when_it_is_told() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let (url, schema) = place.split_once(' ').unwrap();
    let mut config = PostgresConfig::new(url).unwrap();
    config.schema = schema.to_owned();
    runtime().block_on(async {
        let queue = Postgres::connect(config).await.unwrap();
        let lease = claim_for(&queue, "a", 1, Duration::from_millis(500)).await[0].lease;
        println!("\nclaimed {}", lease.token.as_u64());
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        let answers = (
            queue.extend(&lease, Duration::from_secs(60)).await.map(|_| ()),
            queue.settle(lease, finish(), Durability::Sync).await.map(|_| ()),
            queue.release(lease, now()).await,
        );
        println!("\nanswers {answers:?}");
    });
}

#[test]
fn a_stopped_worker_writes_nothing_when_it_goes_on() {
    let server = Server::shared();
    let config = server.config();
    let place = format!("{} {}", server.url("postgres"), config.schema);
    let runtime = runtime();
    let queue = runtime.block_on(async {
        let queue = Postgres::connect(config).await.unwrap();
        enqueue(&queue, 1, "a").await;
        queue
    });
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workers::a_child_that_settles_when_it_is_told", "--nocapture", "--test-threads=1"])
        .env(CHILD, place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said = |word: &str| lines.find_map(|line| line.strip_prefix(word).map(str::to_owned)).unwrap();
    let token: u64 = said("claimed ").parse().unwrap();
    kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
    let before = runtime.block_on(async {
        let claimed = wait_for(&queue, "a").await;
        assert!(claimed.lease.token.as_u64() > token, "the next holder's token is higher");
        let retry = Settlement { results: vec![(RcptNo(0), deferred())], ..Settlement::new(Next::RetryAt(now())) };
        queue.settle(claimed.lease, retry, Durability::Sync).await.unwrap();
        entries(&queue, &Filter::all()).await
    });
    kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
    drop(child.stdin.take());
    assert_eq!(said("answers "), "(Err(LeaseLost), Err(LeaseLost), Err(LeaseLost))");
    assert!(child.wait().unwrap().success());
    let after = runtime.block_on(entries(&queue, &Filter::all()));
    assert_eq!(after, before, "it changed nothing");
    assert_eq!(after[0].attempts, 1);
}

#[test]
fn the_leases_of_a_dead_worker_run_out() {
    let server = Server::shared();
    let config = server.config();
    runtime().block_on(async {
        let queue = Postgres::connect(config.clone()).await.unwrap();
        for n in 0..20 {
            enqueue(&queue, n, "a").await;
        }
        let dead = Postgres::connect(config).await.unwrap();
        let held = claim_for(&dead, "a", 10, Duration::from_millis(700)).await;
        assert_eq!(held.len(), 10);
        drop(dead);
        let mut seen = BTreeSet::new();
        while seen.len() < 20 {
            let claimed = wait_for(&queue, "a").await;
            if let Some(old) = held.iter().find(|old| old.lease.unit == claimed.lease.unit) {
                assert!(claimed.lease.token > old.lease.token);
            }
            assert!(seen.insert(claimed.lease.unit), "two holders");
            queue.settle(claimed.lease, finish(), Durability::Sync).await.unwrap();
        }
        assert_eq!(queue.counts(CountBy::Key).await.unwrap(), []);
    });
}

#[test]
fn many_claimers_on_two_nodes_share_without_overlap() {
    let server = Server::shared();
    let mut config = server.config();
    config.leases_per_key = Some(9);
    runtime().block_on(async {
        let nodes = [Postgres::connect(config.clone()).await.unwrap(), Postgres::connect(config).await.unwrap()];
        let many: Vec<_> = (0..300)
            .map(|n| {
                let queue = nodes[n as usize % 2].clone();
                tokio::spawn(async move { enqueue(&queue, n, if n % 3 == 0 { "b" } else { "a" }).await })
            })
            .collect();
        for one in many {
            one.await.unwrap();
        }
        let (holders, done) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(Mutex::new(BTreeSet::new())));
        let workers: Vec<_> = (0..8)
            .map(|n| {
                let queue = nodes[n % 2].clone();
                let (holders, done) = (Arc::clone(&holders), Arc::clone(&done));
                tokio::spawn(async move {
                    let want = ["a", "b"].map(|key| KeyQuota { key: QueueKey::new(key), max: 4 });
                    let long = Duration::from_secs(300);
                    let mut idle = 0;
                    while idle < 20 {
                        let claimed = queue.claim(WorkerId::new("w"), now(), &want, long).await.unwrap();
                        for claimed in &claimed {
                            let mut holders = holders.lock().unwrap();
                            assert!(holders.insert((claimed.key.clone(), claimed.lease.unit)), "two holders");
                            let same = holders.iter().filter(|(key, _)| *key == claimed.key).count();
                            assert!(same <= 9, "{same} leases of a key that may have 9 over all nodes");
                        }
                        idle = if claimed.is_empty() { idle + 1 } else { 0 };
                        for claimed in claimed {
                            holders.lock().unwrap().remove(&(claimed.key.clone(), claimed.lease.unit));
                            queue.settle(claimed.lease, finish(), Durability::Sync).await.unwrap();
                            assert!(done.lock().unwrap().insert(claimed.lease.unit), "delivered twice");
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(done.lock().unwrap().len(), 300);
        // A key at its limit gives nothing, and the other one what is left of the quota.
        for n in 300..320 {
            enqueue(&nodes[0], n, "a").await;
        }
        assert_eq!(claim(&nodes[0], "a", 6).await.len(), 6);
        assert_eq!(claim(&nodes[1], "a", 6).await.len(), 3);
        assert_eq!(claim(&nodes[0], "a", 6).await.len(), 0);
    });
}

#[test]
fn the_databases_clock_counts() {
    let server = Server::shared();
    runtime().block_on(async {
        let queue = Postgres::connect(server.config()).await.unwrap();
        enqueue(&queue, 1, "a").await;
        let want = [KeyQuota { key: QueueKey::new("a"), max: 1 }];
        let lease = Duration::from_secs(300);
        // A node whose clock is a century behind, or ahead, gets what is due, and times by its clock.
        let behind = Timestamp::from_millis(0);
        let claimed = queue.claim(WorkerId::new("w"), behind, &want, lease).await.unwrap().remove(0);
        assert_eq!(claimed.lease.expires, behind.saturating_add(lease));
        assert!(!claimed.expired);
        let longer = queue.extend(&claimed.lease, lease).await.unwrap();
        assert_eq!(longer.expires, behind.saturating_add(2 * lease));
        let ahead = now().saturating_add(Duration::from_secs(90 * 366 * 86_400));
        assert_eq!(
            queue.claim(WorkerId::new("w"), ahead, &want, lease).await.unwrap(),
            [],
            "the lease has not run out"
        );
        queue.release(longer, now()).await.unwrap();
        assert!(!queue.claim(WorkerId::new("w"), ahead, &want, lease).await.unwrap()[0].expired);
        // What is due in the database's future is due in the node's future, too.
        enqueue(&queue, 2, "b").await;
        let to_come = Timestamp::from_millis(i64::MAX);
        queue.gate(&QueueKey::new("b"), Gate::NotBefore(to_come)).await.unwrap();
        let keys = queue.due_keys(ahead, None, 9).await.unwrap();
        assert!(keys.iter().all(|key| key.key != QueueKey::new("b")), "{keys:?}");
    });
}

#[test]
fn news_of_other_nodes_end_the_wait() {
    let server = Server::shared();
    let mut config = server.config();
    config.poll = Duration::from_millis(50);
    runtime().block_on(async {
        let one = Postgres::connect(config.clone()).await.unwrap();
        let two = Postgres::connect(config).await.unwrap();
        let far = now().saturating_add(Duration::from_secs(10 * 366 * 86_400));
        let waiter = tokio::spawn(async move { one.wait_ready(far).await });
        enqueue(&two, 1, "a").await;
        tokio::time::timeout(Duration::from_secs(60), waiter).await.expect("it is told").unwrap();
    });
}

#[test]
fn long_texts_are_streamed_and_leave_nothing_behind() {
    let server = Server::shared();
    let mut config = server.config();
    config.keep = Duration::ZERO;
    let schema = config.schema.clone();
    runtime().block_on(async {
        let queue = Postgres::connect(config).await.unwrap();
        let rows = |table: &str| server.sql(&format!("SELECT count(*) FROM {schema}.{table}"))[0].clone();
        let length = 3 * (256 << 10) + 5;
        message(draft(&queue, 1, length).await, "a").await.unwrap();
        assert_eq!((rows("chunk"), rows("text")), ("4".to_owned(), "1".to_owned()));
        let text = read(&queue, 1).await;
        assert_eq!(text.len(), length);
        assert!(text.iter().enumerate().all(|(at, octet)| *octet == (at % 251) as u8));
        // A draft that is dropped takes its pieces along.
        drop(draft(&queue, 2, length).await);
        settles(&|| rows("text") == "1" && rows("chunk") == "4").await;
        // One whose pieces were lost never becomes a message.
        let broken = draft(&queue, 3, length).await;
        server.sql(&format!("DELETE FROM {schema}.chunk WHERE n = 1 AND text <> (SELECT text FROM {schema}.message)"));
        let error = message(broken, "a").await.unwrap_err();
        assert!(error.to_string().contains("sent again"), "{error}");
        assert_eq!(entries(&queue, &Filter::message(id(3))).await, []);
        // A reader is told, and does not get another text.
        let body = queue.body(id(1)).await.unwrap();
        assert_eq!(queue.apply(&Filter::all(), Action::Remove).await.unwrap(), 1);
        queue.clean().await.unwrap();
        settles(&|| ["message", "unit", "ended", "text", "chunk"].iter().all(|table| rows(table) == "0")).await;
        let gone = hikyaku_queue::BodyReader::read_at(&body, 0, 10).await;
        assert!(matches!(gone, Err(QueueError::Corrupt { .. })), "{gone:?}");
    });
}

/// Waits until something is so that happens by itself.
async fn settles(is_so: &(dyn Fn() -> bool + Sync)) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come to be so");
}

#[test]
fn one_bad_request_does_not_spoil_its_group() {
    let server = Server::shared();
    let config = server.config();
    let schema = config.schema.clone();
    runtime().block_on(async {
        let queue = Postgres::connect(config).await.unwrap();
        server.sql(&format!("ALTER TABLE {schema}.message ADD CHECK (size <> 13 + 6)"));
        let many: Vec<_> = (0..40)
            .map(|n| {
                let queue = queue.clone();
                let length = if n == 17 { 13 } else { 50 };
                tokio::spawn(async move { message(draft(&queue, n, length).await, "a").await })
            })
            .collect();
        let mut refused = 0;
        for one in many {
            refused += u32::from(one.await.unwrap().is_err());
        }
        assert_eq!((refused, entries(&queue, &Filter::all()).await.len()), (1, 39));
        lost(queue.release(claim(&queue, "a", 1).await[0].lease, now()).await.and(Err::<(), _>(QueueError::LeaseLost)));
    });
}
