//! What a conversation that waits for a command costs.

use std::sync::mpsc;

use hikyaku::{
    Handler, converse,
    session::server::{Peer, Session, TlsMode},
    wire::{Hello, Reply},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use super::support::{Client, House};

/// As many words as a relay keeps of a connection.
#[derive(Default)]
struct Small([usize; 16]);

impl Handler for Small {
    /// There is none yet, so it takes no room.
    type Mail = [u8; 1024];

    async fn connect(&mut self, _: &Session) -> Reply {
        Reply::OK_250
    }
    async fn hello(&mut self, _: &Session, _: &Hello) -> Reply {
        self.0[0] += 1;
        Reply::OK_250
    }
}

/// The size of what a runtime allocates for a task, but for its own header.
#[test]
fn a_conversation_is_small() {
    let House { service, stop, .. } = House::plain();
    let (io, _) = tokio::io::duplex(1);
    let io: Box<dyn hikyaku::Stream> = Box::new(io);
    let mut handler = Small::default();
    let conversation = converse(io, Peer::default(), &service, &mut handler, stop);
    let size = size_of_val(&conversation);
    println!("a conversation: {size} octets");
    assert!(size <= 1024, "{size}");
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

    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let House { service, stopper, stop, .. } = House::plain();
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

/// With TLS it is what rustls keeps that counts, and whether we keep more.
#[test]
fn an_idle_conversation_under_tls() {
    const MANY: usize = 50;
    let house = House::new(TlsMode::Implicit, |_, _| ());
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime();
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (done, ended) = mpsc::channel::<()>();
    let (idle, waits) = tokio::sync::oneshot::channel();
    std::thread::scope(|scope| {
        // What this thread allocates is not counted.
        let house = &house;
        scope.spawn(move || {
            let clients = runtime().block_on(async {
                let mut clients = Vec::new();
                for _ in 0..MANY {
                    let client = Client::new(TcpStream::connect(address).await.unwrap());
                    let mut client = house.tls(client).await.unwrap();
                    assert!(client.hear().await.starts_with("220 "));
                    assert!(client.ask("EHLO x.test\r\n").await.contains("AUTH"));
                    clients.push(client);
                }
                clients
            });
            idle.send(()).unwrap();
            // Until the other side has counted.
            let _ = ended.recv();
            drop(clients);
        });
        let mut servers = JoinSet::new();
        let measured = allocation_counter::measure(|| {
            server.block_on(async {
                for _ in 0..MANY {
                    let (io, _) = listener.accept().await.unwrap();
                    let (service, stop) = (house.service.clone(), house.stop.clone());
                    servers.spawn(async move {
                        let io: Box<dyn hikyaku::Stream> = Box::new(io);
                        converse(io, Peer::default(), &service, &mut Small::default(), stop).await
                    });
                }
                waits.await.unwrap();
            });
        });
        let each = measured.bytes_current.unsigned_abs() / MANY as u64;
        println!("an idle conversation under TLS: {each} octets");
        assert_eq!(servers.len(), MANY);
        assert!(each <= 12 << 10, "{each}");
        drop(done);
        server.block_on(async { while servers.join_next().await.is_some() {} });
    });
}
