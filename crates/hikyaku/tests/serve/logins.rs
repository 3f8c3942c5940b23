//! AUTH: the handler's answers, and how many logins may fail.

use std::sync::atomic::Ordering;

use hikyaku::{
    session::{
        sasl::{Answer, Mechanism, Password, client},
        server::{Limit, TlsMode},
    },
    wire::{Base64, Reply},
};
use tokio::io::DuplexStream;
use tokio_rustls::client::TlsStream;

use super::support::{Client, House};

type Encrypted = Client<TlsStream<DuplexStream>>;

const PIPE: usize = 64 << 10;

fn house(per_ip: u32, per_user: u32) -> House {
    House::new(TlsMode::StartTls, |config, limits| {
        config.limits.auth_delay = std::time::Duration::ZERO;
        limits.auth_attempts_per_ip = per_ip;
        limits.auth_attempts_per_user = per_user;
    })
}

async fn connected(house: &House, from: [u8; 4]) -> Encrypted {
    house.encrypted(PIPE, from).await.0
}

fn base64(octets: &[u8]) -> String {
    Base64::encode(octets).unwrap().to_string()
}

fn plain(user: &str, password: &str) -> String {
    format!("AUTH PLAIN {}\r\n", base64(format!("\0{user}\0{password}").as_bytes()))
}

/// SCRAM to its end.
async fn scram(client: &mut Encrypted, user: &str, password: &str) -> String {
    let credentials = client::Credentials::Password { user: user.into(), password: Password::new(password) };
    let (first, mut exchange) = client::start(Mechanism::ScramSha256, &credentials, None, false, [9; 18]).unwrap();
    let mut said = client.ask(&format!("AUTH SCRAM-SHA-256 {}\r\n", base64(&first.unwrap()))).await;
    while let Some(challenge) = said.strip_prefix("334 ") {
        let challenge = challenge.trim_end().parse::<Base64>().unwrap().decode();
        let response = exchange.respond(&challenge).unwrap();
        said = client.ask(&format!("{}\r\n", base64(&response))).await;
    }
    said
}

fn questions(house: &House) -> usize {
    house.clerk.0.questions.load(Ordering::SeqCst)
}

const TOO_MANY: &str = "454 4.7.0 too many failed authentications, try again later";

#[tokio::test]
async fn who_knows_the_password_is_the_user() {
    let house = house(10, 10);
    let mut client = connected(&house, [192, 0, 2, 1]).await;
    assert_eq!(client.ask(&plain("alice", "secret")).await, "235 2.7.0 authenticated\r\n");
    let mut client = connected(&house, [192, 0, 2, 1]).await;
    assert_eq!(scram(&mut client, "alice", "secret").await, "235 2.7.0 authenticated\r\n");
    let mut client = connected(&house, [192, 0, 2, 1]).await;
    assert!(client.ask(&plain("alice", "Secret")).await.starts_with("535 5.7.8 "));
    assert!(scram(&mut client, "alice", "Secret").await.starts_with("535 5.7.8 "));
    assert!(scram(&mut client, "nobody", "secret").await.starts_with("535 5.7.8 "));
}

#[tokio::test]
async fn a_login_is_told_whatever_follows_it() {
    let house = house(2, 10);
    let from = [192, 0, 2, 1];
    for (n, more) in ["", "QUIT\r\n", "FOO\r\n", "MAIL FROM:<a@x.test>\r\n"].into_iter().enumerate() {
        let mut client = connected(&house, from).await;
        client.ask(&plain("alice", "wrong")).await;
        assert!(client.ask("AUTH PLAIN\r\n").await.starts_with("334 "));
        let response = format!("{}\r\n{more}", base64(b"\0alice\0secret"));
        assert!(client.ask(&response).await.starts_with("235 "));
        client.ask(if more.is_empty() { "NOOP\r\n" } else { "" }).await;
        assert_eq!(house.clerk.0.users.lock().unwrap().len(), n + 1, "{more}");
    }
    assert_eq!(house.clerk.0.limits(), []);
    assert_eq!(*house.clerk.0.known.lock().unwrap(), [4], "before MAIL, not after it");
}

#[tokio::test]
async fn an_address_may_fail_so_often_and_then_nobody_is_asked() {
    let house = house(3, 100);
    let (from, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    for n in 0..3 {
        // Neither a new connection nor another user or mechanism begins anew.
        let mut client = connected(&house, from).await;
        let said = match n {
            0 => client.ask(&plain("alice", "wrong")).await,
            1 => scram(&mut client, "bob", "wrong").await,
            _ => client.ask(&plain("nobody", "wrong")).await,
        };
        assert!(said.starts_with("535 "), "{said}");
    }
    assert_eq!(questions(&house), 3);
    for user in ["alice", "nobody"] {
        let mut client = connected(&house, from).await;
        let said = client.ask(&plain(user, "secret")).await;
        assert!(said.starts_with(TOO_MANY), "{said}");
        let said = scram(&mut client, user, "secret").await;
        assert!(said.starts_with(TOO_MANY), "{said}");
    }
    assert_eq!(questions(&house), 3, "the same for who exists and who does not: nothing is looked up");
    assert_eq!(house.clerk.0.limits(), [Limit::AuthAttemptsPerIp; 4]);
    let mut client = connected(&house, other).await;
    assert!(client.ask(&plain("alice", "secret")).await.starts_with("235 "));
}

#[tokio::test]
async fn success_forgets_what_the_address_has_failed() {
    for scrams in [false, true] {
        let house = house(3, 100);
        let from = [192, 0, 2, 1];
        for _ in 0..3 {
            let mut client = connected(&house, from).await;
            for _ in 0..2 {
                client.ask(&plain("alice", "wrong")).await;
            }
            let said = match scrams {
                true => scram(&mut client, "alice", "secret").await,
                false => client.ask(&plain("alice", "secret")).await,
            };
            assert!(said.starts_with("235 "), "{said}");
        }
        assert_eq!(house.clerk.0.limits(), []);
    }
}

#[tokio::test]
async fn a_user_may_be_tried_so_often_from_anywhere() {
    let house = house(100, 3);
    let home = [192, 0, 2, 1];
    let mut client = connected(&house, home).await;
    assert!(client.ask(&plain("alice", "secret")).await.starts_with("235 "));
    for n in 0..3 {
        let mut client = connected(&house, [198, 51, 100, n]).await;
        let user = if n == 0 { "Alice" } else { "alice" };
        assert!(client.ask(&plain(user, "guess")).await.starts_with("535 "));
    }
    let mut client = connected(&house, [198, 51, 100, 9]).await;
    assert!(client.ask(&plain("alice", "secret")).await.starts_with(TOO_MANY));
    assert_eq!(house.clerk.0.limits(), [Limit::AuthAttemptsPerUser]);
    assert!(client.ask(&plain("bob", "guess")).await.starts_with("535 "));
    // Strangers cannot lock a user out from where the user was before.
    let mut client = connected(&house, home).await;
    assert!(client.ask(&plain("alice", "secret")).await.starts_with("235 "));
}

#[tokio::test]
async fn d39_the_fourth_failure_of_a_connection_is_its_last_and_counts_too() {
    let house = house(4, 100);
    let from = [192, 0, 2, 1];
    let mut client = connected(&house, from).await;
    for _ in 0..3 {
        assert!(client.ask(&plain("alice", "wrong")).await.starts_with("535 5.7.8 "));
    }
    assert!(client.ask(&plain("alice", "wrong")).await.starts_with("421 4.7.0 "));
    assert_eq!(client.rest().await, "");
    let mut client = connected(&house, from).await;
    assert!(client.ask(&plain("alice", "secret")).await.starts_with(TOO_MANY));
    assert_eq!(house.clerk.0.limits(), [Limit::AuthAttempts, Limit::AuthAttemptsPerIp]);
}

#[tokio::test]
async fn a_failure_that_is_one_error_too_many_counts() {
    let house = House::new(TlsMode::StartTls, |config, limits| {
        config.limits.errors = 0;
        limits.auth_attempts_per_ip = 2;
    });
    let from = [192, 0, 2, 1];
    for n in 0..2 {
        let mut client = connected(&house, from).await;
        let said = if n == 0 {
            client.ask(&plain("alice", "wrong")).await
        } else {
            scram(&mut client, "alice", "wrong").await
        };
        assert!(said.starts_with("421 4.7.0 too many errors"), "{said}");
    }
    let mut client = connected(&house, from).await;
    client.ask(&plain("alice", "secret")).await;
    assert_eq!(house.clerk.0.limits()[2..], [Limit::AuthAttemptsPerIp, Limit::Errors]);
}

#[tokio::test]
async fn what_is_no_guess_does_not_count() {
    let house = house(2, 2);
    let from = [192, 0, 2, 1];
    for _ in 0..4 {
        let mut client = connected(&house, from).await;
        // Given up before the proof; not base64; no mechanism; other errors.
        assert!(client.ask("AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiY2RlZmdoaWo=\r\n").await.starts_with("334 "));
        assert!(client.ask("*\r\n").await.starts_with("501 "));
        assert!(client.ask("AUTH PLAIN !!!\r\n").await.starts_with("501 "));
        assert!(client.ask("AUTH NTLM\r\n").await.starts_with("504 "));
        assert!(client.ask("RCPT TO:<a@x.test>\r\n").await.starts_with("503 "));
        // Nor is it when the application cannot tell.
        *house.clerk.0.answer.lock().unwrap() = Some(Answer::Refuse(Reply::TEMPORARY_AUTHENTICATION_FAILURE_454));
        assert!(client.ask(&plain("alice", "secret")).await.starts_with("454 "));
        *house.clerk.0.answer.lock().unwrap() = None;
        assert!(client.ask("RCPT TO:<a@x.test>\r\n").await.starts_with("503 "));
    }
    assert_eq!(house.clerk.0.limits(), []);
    let mut client = connected(&house, from).await;
    assert!(client.ask(&plain("alice", "secret")).await.starts_with("235 "));
}

#[tokio::test]
async fn an_address_that_is_shut_out_is_not_shut_out_for_longer() {
    let house = house(3, 100);
    let from = [192, 0, 2, 1];
    for _ in 0..3 {
        let mut client = connected(&house, from).await;
        assert!(client.ask(&plain("alice", "wrong")).await.starts_with("535 "));
    }
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(10 * 60)).await;
    tokio::time::resume();
    for n in 0..8 {
        // Until the machine has had enough of it, too.
        let mut client = connected(&house, from).await;
        for _ in 0..3 {
            assert!(client.ask(&plain("alice", "secret")).await.starts_with(TOO_MANY));
        }
        assert!(client.ask(&plain("alice", "secret")).await.starts_with("421 4.7.0 "), "{n}");
    }
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(6 * 60)).await;
    tokio::time::resume();
    let mut client = connected(&house, from).await;
    assert!(client.ask(&plain("alice", "secret")).await.starts_with("235 "));
}

#[tokio::test]
async fn a_token_that_is_wrong_has_failed_when_the_client_knows_it() {
    let bearer = |token: &str| {
        format!("AUTH OAUTHBEARER {}\r\n", base64(format!("n,a=alice,\x01auth=Bearer {token}\x01\x01").as_bytes()))
    };
    for end in ["AQ==\r\n", "*\r\n", "!\r\n"] {
        let house = House::new(TlsMode::StartTls, |config, limits| {
            config.limits.auth_delay = std::time::Duration::ZERO;
            config.auth.mechanisms.push(Mechanism::OAuthBearer);
            limits.auth_attempts_per_ip = 2;
        });
        for _ in 0..2 {
            let mut client = connected(&house, [192, 0, 2, 1]).await;
            assert!(client.ask(&bearer("wrong")).await.starts_with("334 "));
            client.ask(end).await;
            assert_eq!(house.clerk.0.limits(), [], "{end}");
        }
        let mut client = connected(&house, [192, 0, 2, 1]).await;
        assert!(client.ask(&bearer("wrong")).await.starts_with(TOO_MANY), "{end}");
    }
}

#[tokio::test]
async fn an_application_that_says_535_itself_has_seen_a_guess() {
    let house = house(2, 100);
    *house.clerk.0.answer.lock().unwrap() = Some(Answer::Refuse(Reply::AUTHENTICATION_FAILED_535));
    let mut client = connected(&house, [192, 0, 2, 1]).await;
    for _ in 0..2 {
        assert!(client.ask(&plain("alice", "wrong")).await.starts_with("535 "));
    }
    assert!(client.ask(&plain("alice", "wrong")).await.starts_with(TOO_MANY));
}

#[tokio::test]
async fn what_was_given_up_is_not_failed_later() {
    let house = house(100, 1);
    let mut client = connected(&house, [192, 0, 2, 1]).await;
    assert!(client.ask("AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiY2RlZmdoaWo=\r\n").await.starts_with("334 "));
    assert!(client.ask("*\r\n").await.starts_with("501 "));
    // A failure of nobody: there is no password in it.
    assert!(client.ask("AUTH PLAIN AGEA\r\n").await.starts_with("535 "));
    assert!(client.ask(&plain("alice", "secret")).await.starts_with("235 "));
}
