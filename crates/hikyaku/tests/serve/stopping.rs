//! A request to stop, whatever a connection is doing.

use std::{sync::atomic::Ordering, time::Duration};

use hikyaku::session::server::TlsMode;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use super::support::{Client, House};

const PEER: [u8; 4] = [192, 0, 2, 1];
const PIPE: usize = 64 << 10;

#[tokio::test]
async fn who_is_idle_is_told_and_who_sends_a_message_may_end_it() {
    let house = House::plain();
    let (mut idle, idle_running) = house.talk(PIPE, PEER);
    let (mut busy, busy_running) = house.talk(PIPE, PEER);
    idle.hear().await;
    busy.hear().await;
    busy.ask("EHLO x.test\r\n").await;
    busy.begin().await;
    house.stopper.stop();
    assert!(idle.rest().await.starts_with("421 4.3.2 "));
    drop(idle);
    idle_running.await.unwrap().unwrap();
    assert!(busy.ask("x\r\n.\r\n").await.starts_with("250 "));
    assert!(busy.rest().await.starts_with("421 4.3.2 "));
    drop(busy);
    busy_running.await.unwrap().unwrap();
    assert_eq!(house.clerk.0.mails.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_and_an_exchange_are_not_waited_for() {
    let house = House::new(TlsMode::Implicit, |_, _| ());
    let began = Instant::now();
    let (mut client, running) = house.talk(PIPE, PEER);
    client.io.write_all(b"\x16\x03").await.unwrap();
    house.stopper.stop();
    assert_eq!(client.rest().await, "");
    running.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(house.clerk.0.connects.load(Ordering::SeqCst), 0);

    let house = House::new(TlsMode::StartTls, |_, _| ());
    let (mut client, running) = house.encrypted(PIPE, PEER).await;
    assert_eq!(client.ask("AUTH PLAIN\r\n").await, "334 \r\n");
    house.stopper.stop();
    assert!(client.rest().await.starts_with("421 4.3.2 "));
    drop(client);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_transaction_that_does_not_end_is_cut_after_a_minute() {
    let house = House::new(TlsMode::Off, |config, _| config.limits.body_rate = 0);
    let (address, running) = house.listen("127.0.0.1:0").await;
    let mut client = Client::new(TcpStream::connect(address.to_string()).await.unwrap());
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    client.begin().await;
    // From here on nothing comes over the socket.
    tokio::time::pause();
    let began = Instant::now();
    house.stopper.stop();
    running.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 60);
    assert_eq!(house.clerk.0.over.load(Ordering::SeqCst), 1);
    assert_eq!(client.rest().await, "");
    assert!(TcpStream::connect(address.to_string()).await.is_err(), "nobody listens");
}

#[tokio::test(start_paused = true)]
async fn a_stopper_that_is_gone_stops_too() {
    let mut house = House::plain();
    let (mut client, running) = house.talk(PIPE, PEER);
    client.hear().await;
    house.stopper = hikyaku::Stopper::new().0;
    let said = tokio::time::timeout(Duration::from_secs(5), client.rest()).await.unwrap();
    assert!(said.starts_with("421 4.3.2 "));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_transaction_is_dropped_when_it_is_over() {
    let house = House::plain();
    let (mut client, _running) = house.talk(PIPE, PEER);
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    for n in 1..=2 {
        client.ask("MAIL FROM:<a@x.test>\r\n").await;
        client.ask("RSET\r\n").await;
        assert_eq!(house.clerk.0.over.load(Ordering::SeqCst), n);
    }
}
