//! STARTTLS, implicit TLS, and what comes in clear text where it must not.

use std::{sync::atomic::Ordering, time::Duration};

use hikyaku::session::server::{Limit, TlsMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Client, House};

const PEER: [u8; 4] = [192, 0, 2, 1];
const PIPE: usize = 64 << 10;
/// `decode_error`, fatal (RFC 8446 §6): what clear text gets.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

fn house(tls: TlsMode) -> House {
    House::new(tls, |_, _| ())
}

#[tokio::test]
async fn a_mail_over_starttls() {
    let house = house(TlsMode::StartTls);
    let (mut client, running) = house.encrypted(PIPE, PEER).await;
    client.begin().await;
    let text = format!(
        "Subject: x\r\n\r\n{}",
        "seventy octets and so on and so on, as much as one line may well hold..\r\n".repeat(5000)
    );
    assert_eq!(client.ask(&format!("{text}.\r\n")).await, "250 2.0.0 ok\r\n");
    assert!(client.ask("QUIT\r\n").await.starts_with("221 "));
    // Our side ends as TLS wants it to.
    assert_eq!(client.io.read(&mut [0; 8]).await.unwrap(), 0);
    drop(client);
    running.await.unwrap().unwrap();
    assert_eq!(*house.clerk.0.mails.lock().unwrap(), [text.into_bytes()]);
}

#[tokio::test]
async fn implicit_tls_has_no_word_before_the_handshake() {
    let house = house(TlsMode::Implicit);
    let (client, running) = house.talk(PIPE, PEER);
    let mut client = house.tls(client).await.unwrap();
    assert_eq!(client.hear().await, "220 mx.test ESMTP\r\n");
    assert!(!client.ask("EHLO x.test\r\n").await.contains("STARTTLS"));
    client.begin().await;
    assert_eq!(client.ask("x\r\n.\r\n").await, "250 2.0.0 ok\r\n");
    drop(client);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn clear_text_on_a_port_for_tls_is_not_answered() {
    let house = house(TlsMode::Implicit);
    let (mut client, running) = house.talk(PIPE, PEER);
    client.say("EHLO x.test\r\nMAIL FROM:<a@x.test>\r\n").await;
    let mut said = Vec::new();
    client.io.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, ALERT);
    running.await.unwrap().unwrap();
    let refusals = house.clerk.0.refusals();
    assert!(matches!(&refusals[..], [one] if one.starts_with("454 4.7.0 no TLS: ")), "{refusals:?}");
    assert_eq!(house.clerk.0.connects.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn c1_13_close_notify_in_a_body_discards_the_message_and_clear_text_is_not_read() {
    for notify in [true, false] {
        let house = house(TlsMode::StartTls);
        let (mut client, running) = house.encrypted(PIPE, PEER).await;
        client.begin().await;
        client.say("Subject: half\r\n\r\nof it\r\n").await;
        if notify {
            client.io.get_mut().1.send_close_notify();
            client.io.flush().await.unwrap();
        }
        let mut raw = client.io.into_inner().0;
        let more = b".\r\nMAIL FROM:<c@x.test>\r\nRCPT TO:<d@x.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
        raw.write_all(more).await.unwrap();
        let mut said = Vec::new();
        raw.read_to_end(&mut said).await.unwrap();
        assert!(!String::from_utf8_lossy(&said).contains("250"), "notify {notify}: {said:?}");
        drop(raw);
        running.await.unwrap().unwrap();
        let notes = &house.clerk.0;
        assert_eq!(notes.begun.load(Ordering::SeqCst), 1, "notify {notify}");
        assert_eq!(notes.over.load(Ordering::SeqCst), 1, "notify {notify}");
        assert!(notes.mails.lock().unwrap().is_empty(), "notify {notify}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_body_discards_the_message() {
    let house = house(TlsMode::StartTls);
    let (mut client, running) = house.encrypted(PIPE, PEER).await;
    client.begin().await;
    client.say("Subject: half\r\n").await;
    drop(client);
    running.await.unwrap().unwrap();
    assert_eq!(house.clerk.0.over.load(Ordering::SeqCst), 1);
    assert!(house.clerk.0.mails.lock().unwrap().is_empty());
}

#[tokio::test]
async fn commands_behind_starttls_are_not_executed() {
    let house = house(TlsMode::StartTls);
    let (mut client, running) = house.talk(PIPE, PEER);
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    let said = client.ask("STARTTLS\r\nMAIL FROM:<a@x.test>\r\n").await;
    assert!(said.starts_with("554 5.5.1 "), "{said}");
    assert_eq!(client.rest().await, "");
    running.await.unwrap().unwrap();
    assert_eq!(house.clerk.0.begun.load(Ordering::SeqCst), 0);

    // In a packet of their own they are what the handshake fails of.
    let (mut client, running) = house.talk(PIPE, PEER);
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    assert!(client.ask("STARTTLS\r\n").await.starts_with("220 "));
    client.say("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n").await;
    let mut said = Vec::new();
    client.io.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, ALERT);
    running.await.unwrap().unwrap();
    assert_eq!(house.clerk.0.begun.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_its_time() {
    for (mode, words) in [(TlsMode::Implicit, ""), (TlsMode::StartTls, "EHLO x.test\r\nSTARTTLS\r\n")] {
        let house = House::new(mode, |config, _| config.limits.handshake_timeout = Duration::from_secs(17));
        let began = tokio::time::Instant::now();
        let (mut client, running) = house.talk(PIPE, PEER);
        for (n, line) in words.split_inclusive("\r\n").enumerate() {
            if n == 0 {
                client.hear().await;
            }
            client.ask(line).await;
        }
        // The beginning of a handshake, and then an octet now and then.
        client.io.write_all(b"\x16\x03\x01\x01\x00").await.unwrap();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            client.io.write_all(&[1]).await.unwrap();
        }
        assert_eq!(client.rest().await, "", "{mode:?}: not a word in clear text");
        running.await.unwrap().unwrap();
        assert_eq!(began.elapsed().as_secs(), 17, "{mode:?}");
        assert_eq!(house.clerk.0.limits(), [Limit::HandshakeTime], "{mode:?}");
    }
}

#[tokio::test]
async fn without_a_certificate_there_is_no_handshake() {
    let mut house = house(TlsMode::StartTls);
    house.service.tls = None;
    let (mut client, running) = house.talk(PIPE, PEER);
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    client.ask("STARTTLS\r\n").await;
    let _ = client.io.write_all(b"EHLO x.test\r\nMAIL FROM:<a@x.test>\r\n").await;
    assert_eq!(client.rest().await, "");
    running.await.unwrap().unwrap();
    assert_eq!(house.clerk.0.refusals(), ["454 4.7.0 no TLS: there is no certificate"]);
}

#[tokio::test]
async fn what_was_said_in_clear_text_is_forgotten() {
    let house = house(TlsMode::StartTls);
    let (mut client, _running) = house.talk(PIPE, PEER);
    client.hear().await;
    client.ask("EHLO x.test\r\n").await;
    client.ask("STARTTLS\r\n").await;
    let mut client: Client<_> = house.tls(client).await.unwrap();
    assert!(client.ask("MAIL FROM:<a@x.test>\r\n").await.starts_with("503 "));
}
