//! The client's side, message by message.

use super::*;
use Mechanism::*;

#[test]
fn the_strongest_mechanism_that_fits() {
    let both = password("alice", "pw");
    let emoji = password("alice", "\u{1f600}");
    let token = token("alice", "token");
    for (credentials, exporter, offered, chosen) in [
        (&both, true, &Mechanism::ALL[..], Some(ScramSha256Plus)),
        (&both, false, &Mechanism::ALL, Some(ScramSha256)),
        (&both, true, &[ScramSha256, Plain], Some(ScramSha256)),
        (&both, true, &[Login, Plain], Some(Plain)),
        (&both, true, &[Login], Some(Login)),
        (&both, false, &[ScramSha256Plus], None),
        (&both, true, &[OAuthBearer, External], None),
        (&both, true, &[], None),
        (&emoji, true, &Mechanism::ALL, Some(Plain)),
        (&emoji, true, &[ScramSha256], None),
        (&password("\u{1f600}", "pw"), true, &Mechanism::ALL, Some(Plain)),
        (&token, true, &Mechanism::ALL, Some(OAuthBearer)),
        (&token, true, &[Plain, XOAuth2], Some(XOAuth2)),
        (&token, true, &[Plain], None),
        (&Credentials::Certificate, false, &Mechanism::ALL, Some(External)),
        (&Credentials::Certificate, true, &[Plain], None),
    ] {
        let got = credentials.mechanism(|mechanism| offered.contains(&mechanism), exporter);
        assert_eq!(got, chosen, "{credentials:?} {exporter} {offered:?}");
    }
}

fn initial(mechanism: Mechanism, credentials: &Credentials) -> Result<Option<String>, ClientError> {
    let (initial, _) = client_side::start(mechanism, credentials, Some(EXPORTER), true, [3; 18])?;
    Ok(initial.map(|octets| String::from_utf8(octets).unwrap()))
}

#[test]
fn initial_responses() {
    let (alice, token) = (password("alice", "pw"), token("a,b=c", "token"));
    let nonce = "AwMD".repeat(6);
    for (mechanism, credentials, sent) in [
        (Plain, &alice, Some("\0alice\0pw".to_owned())),
        (Login, &alice, None),
        (ScramSha256, &alice, Some(format!("n,,n=alice,r={nonce}"))),
        (ScramSha256Plus, &alice, Some(format!("p=tls-exporter,,n=alice,r={nonce}"))),
        (ScramSha256, &password("a,b=c", "pw"), Some(format!("n,,n=a=2Cb=3Dc,r={nonce}"))),
        (ScramSha256, &password("I\u{ad}X", "pw"), Some(format!("n,,n=IX,r={nonce}"))),
        (OAuthBearer, &token, Some("n,a=a=2Cb=3Dc,\x01auth=Bearer token\x01\x01".into())),
        (XOAuth2, &token, Some("user=a,b=c\x01auth=Bearer token\x01\x01".into())),
        (External, &Credentials::Certificate, Some(String::new())),
    ] {
        assert_eq!(initial(mechanism, credentials), Ok(sent), "{mechanism}");
    }
    // What it says of channel binding.
    for (exporter, offers_plus, header) in
        [(Some(EXPORTER), true, "n,,"), (Some(EXPORTER), false, "y,,"), (None, true, "n,,"), (None, false, "n,,")]
    {
        let (first, _) = client_side::start(ScramSha256, &alice, exporter, offers_plus, [3; 18]).unwrap();
        assert_eq!(first.unwrap(), format!("{header}n=alice,r={nonce}").as_bytes());
    }
}

#[test]
fn what_cannot_be_sent() {
    let long = "a".repeat(256);
    let names = ["", "a\0b", "a\nb", &long];
    for mechanism in Mechanism::ALL {
        for name in names {
            let credentials = credentials(mechanism, name, "pw");
            if mechanism != External {
                assert_eq!(initial(mechanism, &credentials), Err(ClientError::Credentials), "{mechanism} {name:?}");
            }
        }
    }
    for mechanism in [Plain, Login, ScramSha256, ScramSha256Plus] {
        for secret in ["", "a\0b", &long] {
            let sent = initial(mechanism, &password("alice", secret));
            assert_eq!(sent, Err(ClientError::Credentials), "{mechanism} {secret:?}");
        }
        assert_eq!(initial(mechanism, &token("alice", "token")), Err(ClientError::Credentials));
        assert!(initial(mechanism, &password(&long[1..], &long[1..])).is_ok());
    }
    for mechanism in [OAuthBearer, XOAuth2] {
        for secret in ["", "a b", "a\x01b", "t\u{f6}ken"] {
            let sent = initial(mechanism, &token("alice", secret));
            assert_eq!(sent, Err(ClientError::Credentials), "{mechanism} {secret:?}");
        }
        assert_eq!(initial(mechanism, &Credentials::Certificate), Err(ClientError::Credentials));
        let around = initial(mechanism, &token("alice", "t")).unwrap().unwrap().len() - 1;
        let most = "t".repeat(9213 - around);
        assert!(initial(mechanism, &token("alice", &most)).is_ok());
        assert_eq!(initial(mechanism, &token("alice", &format!("{most}t"))), Err(ClientError::Credentials));
    }
    let without = client_side::start(ScramSha256Plus, &password("a", "b"), None, true, [3; 18]);
    assert_eq!(without.err(), Some(ClientError::Credentials));
}

/// A client of SCRAM that has sent its first message.
fn started() -> client_side::Exchange {
    client_side::start(ScramSha256, &password("user", "pencil"), None, false, [3; 18]).unwrap().1
}

#[test]
fn d37_salts() {
    let own = "AwMD".repeat(6);
    let salt = "s=c2l4dGVlbiBvY3RldHMuLg==";
    for (challenge, error) in [
        (format!("r={own}x,{salt},i=4096"), None),
        (format!("r={own}x,{salt},i=4096,x=1"), None),
        (format!("r={own},{salt},i=4096"), Some(ClientError::Challenge)),
        (format!("r=x{own},{salt},i=4096"), Some(ClientError::Challenge)),
        (format!("r={},{salt},i=4096", &own[1..]), Some(ClientError::Challenge)),
        (format!("r={}Bx,{salt},i=4096", &own[..23]), Some(ClientError::Challenge)),
        (format!("r={own}x,{salt},i=1"), Some(ClientError::Iterations(1))),
        (format!("r={own}x,{salt},i=4095"), Some(ClientError::Iterations(4095))),
        (format!("r={own}x,{salt},i=10000001"), Some(ClientError::Iterations(10_000_001))),
        (format!("r={own}x,{salt},i=99999999999"), Some(ClientError::Iterations(u32::MAX))),
        (format!("r={own}x,{salt},i=0"), Some(ClientError::Challenge)),
        (format!("r={own}x,{salt},i=04096"), Some(ClientError::Challenge)),
        (format!("r={own}x,{salt},i=-4096"), Some(ClientError::Challenge)),
        (format!("r={own}x,{salt},i=4096,"), Some(ClientError::Challenge)),
        (format!("r={own}x,{salt},i=4096,m=1"), Some(ClientError::Challenge)),
        (format!("m=1,r={own}x,{salt},i=4096"), Some(ClientError::Challenge)),
        (format!("r={own}x,{salt}"), Some(ClientError::Challenge)),
        (format!("r={own}x,i=4096,{salt}"), Some(ClientError::Challenge)),
        (format!("r={own}x,s=,i=4096"), Some(ClientError::Challenge)),
        (format!("r={own}x,s=c2,i=4096"), Some(ClientError::Challenge)),
        ("e=unknown-user".into(), Some(ClientError::Challenge)),
        ("v=AAAA".into(), Some(ClientError::Challenge)),
        (String::new(), Some(ClientError::Challenge)),
    ] {
        let mut exchange = started();
        assert_eq!(exchange.respond(challenge.as_bytes()).err(), error, "{challenge}");
        let over = if error.is_some() { ClientError::Challenge } else { ClientError::Server };
        assert_eq!(exchange.accepted(), Err(over), "{challenge}");
    }
    assert_eq!(started().respond(b"\xff"), Err(ClientError::Challenge));
}

#[test]
fn a_server_has_to_prove_itself() {
    let salt = format!("r={}x,s=c2l4dGVlbiBvY3RldHMuLg==,i=4096", "AwMD".repeat(6));
    // Nobody but who knows the password can say the right one; another one has its form.
    for (last, error) in [
        (format!("v={}=", "A".repeat(43)), Some(ClientError::Server)),
        (format!("v={}=,x=1", "A".repeat(43)), Some(ClientError::Server)),
        ("v=".into(), Some(ClientError::Challenge)),
        ("v=AAAA".into(), Some(ClientError::Challenge)),
        (format!("x=1,v={}=", "A".repeat(43)), Some(ClientError::Challenge)),
        (salt.clone(), Some(ClientError::Challenge)),
        (String::new(), Some(ClientError::Challenge)),
        ("e=invalid-proof".into(), None),
    ] {
        let mut exchange = started();
        assert!(exchange.respond(salt.as_bytes()).unwrap().starts_with(b"c=biws,r="));
        assert_eq!(exchange.respond(last.as_bytes()).err(), error, "{last}");
        assert!(exchange.accepted().is_err(), "{last}");
    }
    let mut exchange = started();
    exchange.respond(salt.as_bytes()).unwrap();
    assert_eq!(exchange.accepted(), Err(ClientError::Server), "235 instead of a proof");
    assert_eq!(started().accepted(), Err(ClientError::Server), "235 instead of a salt");
}

#[test]
fn challenges_that_do_not_belong() {
    for mechanism in [Plain, External] {
        let credentials = credentials(mechanism, "alice", "pw");
        let (_, mut exchange) = client_side::start(mechanism, &credentials, None, false, [3; 18]).unwrap();
        assert_eq!(exchange.respond(b""), Err(ClientError::Challenge));
        assert_eq!(exchange.accepted(), Err(ClientError::Challenge), "it was cancelled");
    }
    for (mechanism, acknowledgement) in [(OAuthBearer, &b"\x01"[..]), (XOAuth2, b"")] {
        let credentials = token("alice", "token");
        let (_, mut exchange) = client_side::start(mechanism, &credentials, None, false, [3; 18]).unwrap();
        assert_eq!(exchange.respond(br#"{"status":"invalid_token"}"#).as_deref(), Ok(acknowledgement));
        assert_eq!(exchange.respond(b""), Err(ClientError::Challenge));
        assert_eq!(exchange.accepted(), Err(ClientError::Challenge), "it was refused");
    }
    // Servers prompt in many words.
    let (_, mut exchange) = client_side::start(Login, &password("alice", "pw"), None, false, [3; 18]).unwrap();
    assert_eq!(exchange.respond(b"User Name\0").as_deref(), Ok(&b"alice"[..]));
    assert_eq!(exchange.respond(b"").as_deref(), Ok(&b"pw"[..]));
    assert_eq!(exchange.accepted(), Ok(()));
    let (_, mut exchange) = client_side::start(Login, &password("alice", "pw"), None, false, [3; 18]).unwrap();
    exchange.respond(b"Username:").unwrap();
    assert_eq!(exchange.accepted(), Err(ClientError::Challenge), "235 before the password");
}

#[test]
fn secrets_are_not_printed_by_debug() {
    for mechanism in Mechanism::ALL {
        let credentials = credentials(mechanism, "alice", "sesame");
        let (_, exchange) = client_side::start(mechanism, &credentials, Some(EXPORTER), true, [3; 18]).unwrap();
        let printed = format!("{exchange:?} {credentials:?}");
        assert!(printed.starts_with("Exchange { mechanism: "), "{printed}");
        assert!(!printed.contains("sesame") && !printed.contains("\"token\""), "{printed}");
    }
}
