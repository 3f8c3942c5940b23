//! Connections that break between a COMMIT and its reply.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use hikyaku_queue::{
    Action, Durability, Filter, HoldReason, Manage, Next, Queue, QueueError, RcptNo, Settled, Settlement, StateKind,
};
use hikyaku_queue_postgres::{Clock, Postgres, PostgresConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::mail::{claim, deferred, draft, enqueue, entries, id, lost, message, now, relayed};
use crate::support::Server;

/// What the proxy is to do.
const NOTHING: u8 = 0;
/// Pass on the next COMMIT, and swallow its reply with the connection.
const COMMIT: u8 = 1;
/// The same with whatever is asked next.
const NEXT: u8 = 2;

/// Between the queue and its server.
struct Proxy {
    address: SocketAddr,
    armed: Arc<AtomicU8>,
    swallowed: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (armed, swallowed) = (Arc::new(AtomicU8::new(NOTHING)), Arc::new(AtomicUsize::new(0)));
        let (order, count) = (Arc::clone(&armed), Arc::clone(&swallowed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (order, count) = (Arc::clone(&order), Arc::clone(&count));
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    pass(client, server, &order, &count).await;
                });
            }
        });
        Self { address, armed, swallowed }
    }

    fn arm(&self, order: u8) {
        self.armed.store(order, Ordering::SeqCst);
    }

    /// Asserts that a reply was swallowed since the last call.
    fn assert_swallowed(&self) {
        assert_eq!(self.swallowed.swap(0, Ordering::SeqCst), 1, "a reply was swallowed");
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, order: &AtomicU8, count: &AtomicUsize) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                let hit = match order.load(Ordering::SeqCst) {
                    COMMIT => up[..n].windows(7).any(|window| window == b"COMMIT\0"),
                    NEXT => true,
                    _ => false,
                };
                if server.write_all(&up[..n]).await.is_err() {
                    return;
                }
                if hit {
                    order.store(NOTHING, Ordering::SeqCst);
                    // The server has done it when it replies.
                    let _ = server.read(&mut down).await;
                    count.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if client.write_all(&down[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn in_state(state: StateKind) -> Filter {
    let mut filter = Filter::all();
    filter.state = Some(state);
    filter
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_found_out() {
    let server = Server::shared();
    let proxy = Proxy::start(server.port).await;
    let direct = server.config();
    let mut config = PostgresConfig::new(&format!("postgres://postgres@{}/postgres", proxy.address)).unwrap();
    config.schema.clone_from(&direct.schema);
    config.clock = Clock::Caller;
    config.poll = Duration::from_secs(3600);
    let queue = Postgres::connect(config).await.unwrap();

    // A commit, short and long: one message, and the caller knows that it may have been his.
    for (n, length) in [(1, 100), (2, 700_000)] {
        let draft = draft(&queue, n, length).await;
        proxy.arm(COMMIT);
        let receipt = message(draft, "a").await.unwrap();
        proxy.assert_swallowed();
        assert_eq!((receipt.id, receipt.duplicate), (id(n), true));
        assert_eq!(entries(&queue, &Filter::message(id(n))).await.len(), 1);
    }

    // A retry: it is counted once, and the lease is not called lost by who ended it.
    let lease = claim(&queue, "a", 1).await[0].lease;
    let retry = || Settlement { results: vec![(RcptNo(0), deferred())], ..Settlement::new(Next::RetryAt(now())) };
    proxy.arm(COMMIT);
    let settled = queue.settle(lease, retry(), Durability::Sync).await.unwrap();
    proxy.assert_swallowed();
    assert_eq!(settled, Settled { unit_done: false, message_done: false });
    assert_eq!(entries(&queue, &Filter::message(id(1))).await[0].attempts, 1);
    lost(queue.settle(lease, retry(), Durability::Sync).await);

    // An end with a bounce: both are there once.
    for (n, length) in [(1, 10), (2, 600_000)] {
        let lease = claim(&queue, "a", 1).await[0].lease;
        assert_eq!(lease.unit.msg, id(n));
        let bounce = crate::mail::sealed(&queue, 10 + n, length, "bounces").await;
        let results = vec![(RcptNo(0), relayed())];
        let finish = Settlement { results, follow_up: vec![bounce], ..Settlement::new(Next::Finish) };
        proxy.arm(COMMIT);
        let settled = queue.settle(lease, finish, Durability::Sync).await.unwrap();
        proxy.assert_swallowed();
        assert_eq!(settled, Settled { unit_done: true, message_done: true });
        assert_eq!(entries(&queue, &Filter::message(id(n))).await, []);
        assert_eq!(entries(&queue, &Filter::message(id(10 + n))).await.len(), 1);
        lost(queue.settle(lease, Settlement::new(Next::RetryAt(now())), Durability::Sync).await);
    }
    assert_eq!(crate::mail::read(&queue, 12).await.len(), 600_000, "the long bounce kept its text");

    // A release; the first one makes its statement known to the connection.
    for armed in [NOTHING, NEXT] {
        let lease = claim(&queue, "bounces", 1).await[0].lease;
        proxy.arm(armed);
        queue.release(lease, now()).await.unwrap();
        if armed == NEXT {
            proxy.assert_swallowed();
        }
        assert_eq!(entries(&queue, &in_state(StateKind::Leased)).await, []);
        lost(queue.release(lease, now()).await);
    }

    // What a person asks for.
    proxy.arm(COMMIT);
    let hold = Action::Hold(HoldReason::new("look"));
    assert!(queue.apply(&Filter::all(), hold).await.is_ok());
    proxy.assert_swallowed();
    assert_eq!(entries(&queue, &in_state(StateKind::Held)).await.len(), 2);

    // An id that was there before stays a duplicate, and a sealed one is refused.
    let again = message(draft(&queue, 1, 5).await, "a").await.unwrap();
    assert!(again.duplicate);
    let sealed = crate::mail::seal(draft(&queue, 11, 5).await, "a").await;
    assert!(matches!(sealed, Err(QueueError::Duplicate(_))));
    enqueue(&queue, 3, "a").await;
}
