//! Peers that do not read, or hardly write.

use std::{sync::atomic::Ordering, time::Duration};

use hikyaku::session::server::{Limit, TlsMode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use super::support::House;

const PEER: [u8; 4] = [192, 0, 2, 1];

/// A house in which commands that lead nowhere have no limit.
fn patient(change: impl FnOnce(&mut hikyaku::session::server::Limits)) -> House {
    House::new(TlsMode::Off, |config, _| {
        config.limits.junk = u32::MAX;
        config.limits.commands = u32::MAX;
        change(&mut config.limits);
    })
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_not_read_any_more_and_then_left() {
    let house = patient(|_| ());
    let (mut client, running) = house.talk(1024, PEER);
    let began = Instant::now();
    let mut taken = 0;
    // The server ends while we still want to say something.
    while client.io.write_all(&b"NOOP\r\n".repeat(100)).await.is_ok() {
        taken += 600;
    }
    // As much as the pipe holds, and one read of it: the answers to that do not fit.
    assert!((1024..4096).contains(&taken), "{taken}");
    assert_eq!(running.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(house.clerk.0.limits(), [Limit::WriteTime]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_at_a_time_must_take_it_all_in_time() {
    let house = patient(|_| ());
    let (client, running) = house.talk(64, PEER);
    let (mut reader, mut writer) = tokio::io::split(client.io);
    let talk = tokio::spawn(async move { while writer.write_all(b"NOOP\r\nNOOP\r\n").await.is_ok() {} });
    let began = Instant::now();
    let mut octet = [0];
    while reader.read(&mut octet).await.is_ok_and(|read| read > 0) {
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(running.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
    assert_eq!(house.clerk.0.limits(), [Limit::WriteTime]);
    talk.await.unwrap();
}

#[tokio::test]
async fn a_million_commands_in_one_breath_are_answered_one_by_one() {
    const MANY: usize = 100_000;
    let house = patient(|_| ());
    let (client, running) = house.talk(4096, PEER);
    let (mut reader, mut writer) = tokio::io::split(client.io);
    let talk = tokio::spawn(async move {
        for _ in 0..MANY / 1000 {
            writer.write_all(&b"NOOP\r\n".repeat(1000)).await.unwrap();
        }
        writer.write_all(b"QUIT\r\n").await.unwrap();
        writer
    });
    let mut said = String::new();
    reader.read_to_string(&mut said).await.unwrap();
    assert_eq!(said.matches("250 2.0.0 ok\r\n").count(), MANY);
    assert!(said.ends_with("221 2.0.0 bye\r\n"));
    drop((talk.await.unwrap(), reader));
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn d44_a_client_that_says_nothing() {
    let house = House::plain();
    let (mut client, running) = house.talk(4096, PEER);
    let began = Instant::now();
    client.hear().await;
    // An octet now and then is no command.
    for _ in 0..14 {
        sleep(Duration::from_secs(20)).await;
        client.say("N").await;
    }
    assert!(client.rest().await.starts_with("421 4.4.2 "));
    drop(client);
    running.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 300);
    assert_eq!(house.clerk.0.limits(), [Limit::CommandTime]);
}

#[tokio::test(start_paused = true)]
async fn d44_a_message_that_hardly_comes() {
    let house = House::plain();
    let (mut client, running) = house.talk(4096, PEER);
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    client.begin().await;
    let began = Instant::now();
    // Ten octets a second: below the hundred that are asked for.
    let said = loop {
        if client.io.write_all(&[b'x'; 200]).await.is_err() {
            break client.rest().await;
        }
        match tokio::time::timeout(Duration::from_secs(20), client.hear()).await {
            Ok(said) => break said,
            Err(_) => continue,
        }
    };
    assert!(said.starts_with("421 4.4.2 "), "{said}");
    drop(client);
    running.await.unwrap().unwrap();
    assert!((60..80).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(house.clerk.0.limits(), [Limit::ByteRate]);
    assert_eq!(house.clerk.0.over.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn c1_8_a_line_without_end_is_not_kept() {
    let house = House::plain();
    let (mut client, running) = house.talk(4096, PEER);
    client.hear().await;
    let mut taken = 0;
    while taken < 1 << 30 && client.io.write_all(&[b'x'; 1024]).await.is_ok() {
        taken += 1024;
        tokio::task::yield_now().await;
    }
    // Some is read after the last reply, so that it arrives.
    assert!((16 << 10..2 << 20).contains(&taken), "{taken}");
    let said = client.rest().await;
    assert!(said.starts_with("500 5.5.2 line too long") && said.contains("\r\n421 4.7.0 "), "{said}");
    drop(client);
    let _ = running.await.unwrap();
    assert_eq!(house.clerk.0.limits(), [Limit::CommandLine; 2]);
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_sending_after_the_last_reply_is_left() {
    let house = House::plain();
    let (mut client, running) = house.talk(4096, PEER);
    client.hear().await;
    assert!(client.ask("QUIT\r\n").await.starts_with("221 "));
    let began = Instant::now();
    let mut sent = 0_u32;
    while client.io.write_all(b"NOOP\r\n").await.is_ok() {
        sent += 1;
        sleep(Duration::from_millis(100)).await;
    }
    running.await.unwrap().unwrap();
    assert!((19..=21).contains(&sent), "{sent}");
    assert_eq!(began.elapsed().as_secs(), 2);
}
