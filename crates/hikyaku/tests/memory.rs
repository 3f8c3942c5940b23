//! What a conversation that waits for a command costs.

use std::sync::Arc;

use hikyaku::{
    Gate, GateLimits, Handler, Service, Stopper, converse,
    session::server::{Config, Peer, Session},
    wire::{Hello, Reply},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
    task::JoinSet,
};

/// As many words as a relay keeps of a connection.
#[derive(Default)]
struct Small([usize; 16]);

impl Handler for Small {
    type Mail = Vec<u8>;

    async fn connect(&mut self, _: &Session) -> Reply {
        Reply::OK_250
    }
    async fn hello(&mut self, _: &Session, _: &Hello) -> Reply {
        self.0[0] += 1;
        Reply::OK_250
    }
}

fn service() -> Arc<Service> {
    let gate = Arc::new(Gate::new(GateLimits::default()));
    Arc::new(Service { session: Arc::new(Config::new("mx.test")), tls: None, gate })
}

/// The size of what a runtime allocates for a task, but for its own header.
#[test]
fn a_conversation_is_small() {
    let (service, (_stopper, stop)) = (service(), Stopper::new());
    let (io, _) = tokio::io::duplex(1);
    let io: Box<dyn hikyaku::Stream> = Box::new(io);
    let mut handler = Small::default();
    let conversation = converse(io, Peer::default(), &service, &mut handler, stop);
    let size = size_of_val(&conversation);
    println!("a conversation: {size} octets");
    assert!(size <= 1280, "{size}");
}

#[test]
fn an_idle_conversation_keeps_little() {
    const MANY: usize = 200;
    /// What a pipe between two tasks costs, which a socket does not.
    fn pipes(runtime: &Runtime) -> (u64, Vec<tokio::io::DuplexStream>) {
        let mut kept = Vec::new();
        let measured = allocation_counter::measure(|| {
            runtime.block_on(async {
                for _ in 0..MANY {
                    let (mut near, mut far) = tokio::io::duplex(256);
                    // Both directions have been used.
                    near.write_all(&[0; 256]).await.unwrap();
                    far.write_all(&[0; 256]).await.unwrap();
                    near.read_exact(&mut [0; 256]).await.unwrap();
                    far.read_exact(&mut [0; 256]).await.unwrap();
                    kept.extend([near, far]);
                }
            });
        });
        (measured.bytes_current.unsigned_abs(), kept)
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (service, (stopper, stop)) = (service(), Stopper::new());
    let (pipe, _pipes) = pipes(&runtime);
    let mut clients = Vec::new();
    let mut servers = JoinSet::new();
    let measured = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..MANY {
                let (mut client, server) = tokio::io::duplex(256);
                let (service, stop) = (service.clone(), stop.clone());
                servers.spawn(async move {
                    let server: Box<dyn hikyaku::Stream> = Box::new(server);
                    converse(server, Peer::default(), &service, &mut Small::default(), stop).await
                });
                // A large group of commands, which needs buffers of all kinds for a while.
                client
                    .write_all(&[&b"EHLO client.example.org\r\n"[..], &b"NOOP\r\n".repeat(50)].concat())
                    .await
                    .unwrap();
                let mut said = vec![0; 256];
                let mut heard = String::new();
                while heard.matches("250 2.0.0 ok").count() < 50 {
                    let read = client.read(&mut said).await.unwrap();
                    heard.push_str(std::str::from_utf8(&said[..read]).unwrap());
                }
                clients.push(client);
            }
        });
    });
    let each = measured.bytes_current.unsigned_abs().saturating_sub(pipe) / MANY as u64;
    println!("an idle conversation: {each} octets");
    assert_eq!(servers.len(), MANY);
    // The rest up to what a process pays is the socket's registration and what malloc adds.
    assert!(each <= 2560, "{each}");
    stopper.stop();
    drop(clients);
    runtime.block_on(async { while servers.join_next().await.is_some() {} });
}
