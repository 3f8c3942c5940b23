//! How many connections there may be, over real sockets.

use std::{net::SocketAddr, sync::atomic::Ordering};

use hikyaku::{
    Address,
    session::server::{Limit, TlsMode},
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream, UnixStream},
};

use super::support::{Client, House};

const TOO_MANY: &str = "421 4.7.0 too many connections, try again later (";

/// Connects from an address of loopback.
async fn connect(from: &str, to: &Address) -> Client<TcpStream> {
    let Address::Tcp(to) = *to else { unreachable!() };
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    Client::new(socket.connect(to).await.unwrap())
}

#[tokio::test]
async fn one_too_many_of_an_address_is_told_so_and_logged() {
    let house = House::new(TlsMode::Off, |_, limits| limits.connections_per_ip = 2);
    let (here, _running) = house.listen("127.0.0.1:0").await;
    let (there, _running) = house.listen("127.0.0.1:0").await;
    // Over all listeners.
    let mut first = connect("127.0.0.1", &here).await;
    let mut second = connect("127.0.0.1", &there).await;
    assert!(first.hear().await.starts_with("220 ") && second.hear().await.starts_with("220 "));
    for to in [&here, &there] {
        let mut third = connect("127.0.0.1", to).await;
        let said = third.rest().await;
        assert!(said.starts_with(TOO_MANY) && said.ends_with(")\r\n"), "{said}");
    }
    let notes = &house.clerk.0;
    assert_eq!(notes.limits(), [Limit::ConnectionsPerIp; 2]);
    assert_eq!(notes.connects.load(Ordering::SeqCst), 2, "the handler is not asked");
    assert!(connect("127.0.0.2", &here).await.hear().await.starts_with("220 "));
    // When one has gone there is room again.
    assert!(first.ask("QUIT\r\n").await.starts_with("221 "));
    assert_eq!(first.rest().await, "");
    drop(first);
    loop {
        let mut next = connect("127.0.0.1", &here).await;
        if next.hear().await.starts_with("220 ") {
            break;
        }
    }
}

#[tokio::test]
async fn one_too_many_in_all_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smtp.sock");
    let house = House::new(TlsMode::Off, |_, limits| {
        limits.connections = 2;
        limits.loopback = false;
    });
    let (tcp, _running) = house.listen("127.0.0.1:0").await;
    let (_unix, _running) = house.listen(&format!("unix:{}", path.display())).await;
    let mut first = connect("127.0.0.1", &tcp).await;
    let mut second = Client::new(UnixStream::connect(&path).await.unwrap());
    assert!(first.hear().await.starts_with("220 ") && second.hear().await.starts_with("220 "));
    assert!(connect("127.0.0.2", &tcp).await.rest().await.starts_with(TOO_MANY));
    let mut fourth = Client::new(UnixStream::connect(&path).await.unwrap());
    assert!(fourth.rest().await.starts_with(TOO_MANY));
    assert_eq!(house.clerk.0.limits(), [Limit::Connections; 2]);
    // Those that are there are served as before.
    assert!(first.ask("NOOP\r\n").await.starts_with("250 "));
}

#[tokio::test]
async fn one_too_many_for_implicit_tls_gets_no_word() {
    let house = House::new(TlsMode::Implicit, |_, limits| limits.connections_per_ip = 1);
    let (address, _running) = house.listen("127.0.0.1:0").await;
    let first = connect("127.0.0.1", &address).await;
    let mut first = house.tls(first).await.unwrap();
    assert!(first.hear().await.starts_with("220 "));
    let mut second = connect("127.0.0.1", &address).await;
    let mut said = Vec::new();
    let _ = second.io.read_to_end(&mut said).await;
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(house.clerk.0.limits(), [Limit::ConnectionsPerIp]);
    assert!(first.ask("NOOP\r\n").await.starts_with("250 "));
}

#[tokio::test]
async fn a_flood_of_connections_holds_back_nobody_else() {
    let house = House::new(TlsMode::Off, |_, limits| limits.connections_per_ip = 1);
    let (address, _running) = house.listen("127.0.0.1:0").await;
    let mut first = connect("127.0.0.1", &address).await;
    first.hear().await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(connect("127.0.0.1", &address).await);
    }
    assert!(connect("127.0.0.2", &address).await.hear().await.starts_with("220 "));
    for mut refused in flood {
        assert!(refused.rest().await.starts_with(TOO_MANY));
    }
    assert_eq!(house.clerk.0.limits().len(), 300);
}

#[tokio::test]
async fn a_conversation_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smtp.sock");
    let house = House::new(TlsMode::StartTls, |_, _| ());
    let (_address, running) = house.listen(&format!("unix:{}", path.display())).await;
    let mut client = Client::new(UnixStream::connect(&path).await.unwrap());
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    client.ask("STARTTLS\r\n").await;
    let mut client = house.tls(client).await.unwrap();
    client.ask("EHLO x.test\r\n").await;
    client.begin().await;
    assert!(client.ask("x\r\n.\r\n").await.starts_with("250 "));
    house.stopper.stop();
    assert!(client.rest().await.starts_with("421 4.3.2 "));
    drop(client);
    running.await.unwrap();
    assert!(!path.exists());
}
