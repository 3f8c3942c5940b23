//! AUTH with each mechanism, and servers that do not keep to it.

use super::*;
use crate::sasl::Password;
use hikyaku_wire::{Base64, Reply};

fn password(password: &str) -> Credentials {
    Credentials::Password { user: "user".into(), password: Password::new(password) }
}

fn token(token: &str) -> Credentials {
    Credentials::Token { user: "user".into(), token: Password::new(token) }
}

fn case(credentials: Credentials) -> Case {
    Case::to(&["one@b.test"]).tls(TlsMode::Implicit).auth(credentials)
}

/// TLS, and these mechanisms are offered.
fn offer(mechanisms: &str) -> String {
    format!("H:\nS: 220 mx\nC: EHLO relay.test\nS: 250-mx\nS: 250 AUTH {mechanisms}\n")
}

/// The dialogue behind the offer, in all ways.
fn says(credentials: Credentials, mechanisms: &str, script: &str) {
    case(credentials).run_every_way(&format!("{}{script}", offer(mechanisms)));
}

const PLUS: &str = "
    C: AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49dXNlcixyPUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQQ==
    S: 334 cj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF4eXoscz1jMkZzZERFeU16UT0saT00MDk2
    C: Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xBY0hCd2NIQndjSEJ3Y0hCd2NIQndjSEJ3Y0hCd2NIQndjSEJ3Y0hCd2NILHI9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBeHl6LHA9dThmdVhLaXB1YXBlR0crNy92cWZJMlFIMDk0WWlrYkx2bVZpSzdyYlVDTT0=
    ";
const SCRAM: &str = "C: AUTH SCRAM-SHA-256 eSwsbj11c2VyLHI9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n";
const PLAIN: &str = "C: AUTH PLAIN AHVzZXIAcGVuY2ls\n";

#[test]
fn plain_goes_with_the_command() {
    says(password("pencil"), "PLAIN LOGIN", &format!("{PLAIN}S: 235 2.7.0 welcome\n{MESSAGE}"));
}

#[test]
fn login_answers_two_challenges() {
    says(
        password("pencil"),
        "LOGIN",
        &format!(
            "
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: dXNlcg==
            S: 334 UGFzc3dvcmQ6
            C: cGVuY2ls
            S: 235 2.7.0 welcome
            {MESSAGE}"
        ),
    );
}

#[test]
fn scram_comes_before_plain_and_binds_where_it_can() {
    says(
        password("pencil"),
        "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
        &format!(
            "{PLUS}
            S: 334 dj1ZMXJXdTZiQnlvMjljSjRmalRpcXRxL1EvS0pZaE5uZ1pTaVZEc2hjbS84PQ==
            C:
            S: 235 2.7.0 welcome
            {MESSAGE}"
        ),
    );
    says(
        password("pencil"),
        "PLAIN SCRAM-SHA-256",
        &format!(
            "{SCRAM}
            S: 334 cj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF4eXoscz1jMkZzZERFeU16UT0saT00MDk2
            C: Yz1lU3dzLHI9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBeHl6LHA9VGZCQ2VMcnV6UHl1NVlXUnFFdDBzY3U4SXNmeWlENS94OVB1dVFVRFFnOD0=
            S: 334 dj1kcG02bk1teXl3TGg2d2dVdTQwNGhFUEMrUGVhMnFMMDdLbGtDOEhXVFA0PQ==
            C:
            S: 235 2.7.0 welcome
            {MESSAGE}"
        ),
    );
}

#[test]
fn scram_does_not_bind_where_there_is_nothing_to_bind_to() {
    let case = case(password("pencil"));
    let mut talk = Talk::with(case.config, case.messages, case.credentials);
    let Some(Step::Upgrade(upgrade)) = talk.step.take() else { panic!("no upgrade") };
    let tls = Tls { exporter: None, ..tls() };
    talk.step = Some(upgrade.established(talk.now, tls, &talk.input, &mut talk.out));
    talk.drive();
    talk.hear(b"220 mx\r\n");
    talk.hear(b"250-mx\r\n250 AUTH PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-256\r\n");
    // `n,,n=user,r=AAAA...`
    assert_eq!(talk.log[1], "C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB");
}

#[test]
fn tokens_and_certificates() {
    let welcome = format!("S: 235 2.7.0 welcome\n{MESSAGE}");
    says(
        token("tok"),
        "PLAIN XOAUTH2 OAUTHBEARER",
        &format!("C: AUTH OAUTHBEARER bixhPXVzZXIsAWF1dGg9QmVhcmVyIHRvawEB\n{welcome}"),
    );
    says(token("tok"), "PLAIN XOAUTH2", &format!("C: AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHRvawEB\n{welcome}"));
    says(Credentials::Certificate, "PLAIN EXTERNAL", &format!("C: AUTH EXTERNAL =\n{welcome}"));
}

#[test]
fn a_token_that_is_refused_gets_its_reply() {
    says(
        token("tok"),
        "OAUTHBEARER",
        "
        C: AUTH OAUTHBEARER bixhPXVzZXIsAWF1dGg9QmVhcmVyIHRvawEB
        S: 334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=
        C: AQ==
        S: 535 5.7.8 no
        C: QUIT
        S: 221 bye
        X: remote 535 5.7.8 no
        ",
    );
}

#[test]
fn rfc4954_what_does_not_fit_into_the_command_waits_for_a_challenge() {
    // 12 octets of the command, the CRLF among them, leave room for 498 of base64.
    let line = |octets: usize| {
        let text = format!("n,a=user,\x01auth=Bearer {}\x01\x01", "t".repeat(octets - 24));
        Base64::encode(text.as_bytes()).expect("base64").to_string()
    };
    let of = |octets: usize| token(&"t".repeat(octets - 24));
    // `AUTH OAUTHBEARER ` and CRLF are 19 octets: 492 of 493 that are left can be base64.
    says(of(369), "OAUTHBEARER", &format!("C: AUTH OAUTHBEARER {}\nS: 235 ok\n{MESSAGE}", line(369)));
    let late = line(370);
    says(of(370), "OAUTHBEARER", &format!("C: AUTH OAUTHBEARER\nS: 334\nC: {late}\nS: 235 ok\n{MESSAGE}"));
    // Neither a challenge nor a success makes sense before the response.
    says(
        of(370),
        "OAUTHBEARER",
        "
        C: AUTH OAUTHBEARER
        S: 334 AA==
        C: *
        S: 501 5.0.0 cancelled
        C: QUIT
        S: 221 bye
        X: us 454 4.7.0 the server's challenge does not belong to the mechanism
        ",
    );
    says(of(370), "OAUTHBEARER", "C: AUTH OAUTHBEARER\nS: 235 ok\nX: us 451 4.5.0 replies do not match commands");
}

#[test]
fn a_wrong_password_is_the_servers_word() {
    for refusal in ["535 5.7.8 no", "454 4.7.0 later", "432 4.7.12 change it", "525 5.7.13 disabled"] {
        says(password("pencil"), "PLAIN", &format!("{PLAIN}S: {refusal}\nC: QUIT\nS: 221 bye\nX: remote {refusal}"));
    }
    says(password("pencil"), "PLAIN", &format!("{PLAIN}S: 421 4.7.0 too many\nX: remote 421 4.7.0 too many"));
}

#[test]
fn d77_nothing_is_sent_without_tls() {
    let refused = "D: no AUTH, 454 4.7.11 credentials are not sent without TLS\n";
    for mode in [TlsMode::Off, TlsMode::StartTls] {
        for credentials in [password("pencil"), token("tok"), Credentials::Certificate] {
            case(credentials).tls(mode).run_every_way(&format!(
                "S: 220 mx\nC: EHLO relay.test\nS: 250-mx\nS: 250 AUTH EXTERNAL SCRAM-SHA-256 XOAUTH2 PLAIN LOGIN
                {refused}{MESSAGE}"
            ));
        }
    }
}

#[test]
fn d77_nothing_secret_is_sent_to_a_remote_that_is_not_known() {
    for (credentials, first) in [
        (password("pencil"), "D: no AUTH, 454 4.7.5 "),
        (token("tok"), "D: no AUTH, 454 4.7.5 "),
        (Credentials::Certificate, "C: AUTH EXTERNAL "),
    ] {
        let case = case(credentials);
        let mut talk = Talk::with(case.config, case.messages, case.credentials);
        let Some(Step::Upgrade(upgrade)) = talk.step.take() else { panic!("no upgrade") };
        let tls = Tls { certificate: None, ..tls() };
        talk.step = Some(upgrade.established(talk.now, tls, &talk.input, &mut talk.out));
        talk.drive();
        talk.hear(b"220 mx\r\n");
        talk.hear(b"250-mx\r\n250 AUTH PLAIN SCRAM-SHA-256-PLUS XOAUTH2 EXTERNAL\r\n");
        assert!(talk.log[1].starts_with(first), "{:?}", talk.log);
    }
}

#[test]
fn nothing_that_fits_is_offered() {
    let refused = "D: no AUTH, 454 4.7.4 the remote offers no mechanism that fits the credentials\n";
    for (credentials, mechanisms) in [
        (password("pencil"), "CRAM-MD5 EXTERNAL XOAUTH2"),
        (token("tok"), "PLAIN LOGIN SCRAM-SHA-256"),
        (Credentials::Certificate, "PLAIN OAUTHBEARER"),
        (password("pencil"), ""),
    ] {
        says(credentials, mechanisms, &format!("{refused}{MESSAGE}"));
    }
}

#[test]
fn what_cannot_be_sent_is_not() {
    let refused = "D: no AUTH, 454 4.7.0 the user's name or the password cannot be sent with this mechanism\n";
    says(password(""), "PLAIN", &format!("{refused}{MESSAGE}"));
    says(password("pen\0cil"), "PLAIN", &format!("{refused}{MESSAGE}"));
    says(token("t\r\nMAIL FROM:<>"), "XOAUTH2", &format!("{refused}{MESSAGE}"));
    says(token(&"t".repeat(9300)), "XOAUTH2", &format!("{refused}{MESSAGE}"));
}

#[test]
fn d37_challenges_that_are_not_the_mechanisms_are_cancelled() {
    let cancelled = "C: *\nS: 501 5.0.0 cancelled\nC: QUIT\nS: 221 bye\nX: us 454 4.7.0";
    let foreign = "the server's challenge does not belong to the mechanism";
    for challenge in ["334 AA==", "334", "334 what?", "334 AA=", "334-AA==\nS: 334 AA=="] {
        says(password("pencil"), "PLAIN", &format!("{PLAIN}S: {challenge}\n{cancelled} {foreign}"));
        says(password("pencil"), "SCRAM-SHA-256", &format!("{SCRAM}S: {challenge}\n{cancelled} {foreign}"));
    }
    for (challenge, iterations) in [
        ("cj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF4eXoscz1jMkZzZERFeU16UT0saT00MDk1", 4095),
        ("cj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF4eXoscz1jMkZzZERFeU16UT0saT0xMDAwMDAwMQ==", 10_000_001),
    ] {
        let why = format!("the server asks for {iterations} iterations; 4,096 to 10,000,000 are accepted");
        says(password("pencil"), "SCRAM-SHA-256", &format!("{SCRAM}S: 334 {challenge}\n{cancelled} {why}"));
    }
    // A challenge of two lines is none, even where any would do.
    let challenge = "S: 334-VXNlcm5hbWU6\nS: 334 VXNlcm5hbWU6";
    says(password("pencil"), "LOGIN", &format!("C: AUTH LOGIN\n{challenge}\n{cancelled} {foreign}"));
    // Another nonce than ours.
    let other = "cj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUIscz1jMkZzZERFeU16UT0saT00MDk2";
    says(password("pencil"), "SCRAM-SHA-256", &format!("{SCRAM}S: 334 {other}\n{cancelled} {foreign}"));
}

#[test]
fn d37_a_server_that_does_not_know_the_password_is_not_believed() {
    let why = "us 454 4.7.0 the server has not proved that it knows the password";
    // It says yes before it has proved anything, or proves something else.
    says(password("pencil"), "SCRAM-SHA-256", &format!("{SCRAM}S: 235 ok\nX: {why}"));
    says(password("pencil"), "SCRAM-SHA-256-PLUS", &format!("{PLUS}S: 235 ok\nX: {why}"));
    let wrong = "dj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBPQ==";
    says(
        password("pencil"),
        "SCRAM-SHA-256-PLUS",
        &format!("{PLUS}S: 334 {wrong}\nC: *\nS: 501 5.0.0 cancelled\nC: QUIT\nS: 221 bye\nX: {why}"),
    );
}

#[test]
fn whatever_follows_a_cancellation_ends_the_conversation() {
    let why = "us 454 4.7.0 the server's challenge does not belong to the mechanism";
    for answer in ["S: 235 yes after all", "S: 334 AA==", "S: 421 4.3.2 down", "T:", "E:"] {
        says(password("pencil"), "PLAIN", &format!("{PLAIN}S: 334 AA==\nC: *\n{answer}\nX: {why}"));
    }
    says(password("pencil"), "PLAIN", &format!("{PLAIN}S: 334 AA==\nC: *\nS: 559 no\nC: QUIT\nE:\nX: {why}"));
    says(password("pencil"), "PLAIN", &format!("{PLAIN}S: 334 AA==\nC: *\nS: 400 no\nC: QUIT\nE:\nX: {why}"));
}

#[test]
fn other_answers_to_auth_end_the_conversation() {
    for answer in ["250 ok", "221 bye", "354 go", "220 go", "335 AA=="] {
        says(
            password("pencil"),
            "PLAIN",
            &format!("{PLAIN}S: {answer}\nX: us 451 4.5.0 replies do not match commands"),
        );
    }
    let awaited = "while waiting for the reply to AUTH";
    says(password("pencil"), "PLAIN", &format!("{PLAIN}T:\nX: us 451 4.4.2 time-out {awaited}"));
    says(password("pencil"), "PLAIN", &format!("{PLAIN}E:\nX: us 451 4.4.2 connection lost {awaited}"));
}

#[test]
fn what_comes_before_it_is_asked_for_is_out_of_step() {
    let out_of_step = "X: us 451 4.5.0 replies do not match commands";
    let talk = |said: &[&str]| {
        let case = case(password("pencil"));
        let mut talk = Talk::with(case.config, case.messages, case.credentials);
        talk.shake_hands("");
        talk.hear(b"220 mx\r\n");
        said.iter().for_each(|said| talk.hear(said.as_bytes()));
        talk.log.split_off(1)
    };
    // Before AUTH, between challenge and response, after the end.
    assert_eq!(talk(&["250-mx\r\n250 AUTH PLAIN\r\n235 ok\r\n"]), [out_of_step]);
    let login = "250-mx\r\n250 AUTH LOGIN\r\n";
    assert_eq!(talk(&[login, "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"]), ["C: AUTH LOGIN", out_of_step]);
    assert_eq!(
        talk(&["250-mx\r\n250 AUTH PLAIN\r\n", "235 ok\r\n250 ok\r\n"]),
        ["C: AUTH PLAIN AHVzZXIAcGVuY2ls", out_of_step]
    );
    // Half a reply is as much out of turn.
    assert_eq!(talk(&["250-mx\r\n250 AUTH PLAIN\r\n2"]), [out_of_step]);
}

#[test]
fn rfc4954_there_is_one_auth_and_none_in_a_transaction() {
    let now = Instant::now();
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    let ready = |said: &[&str], input: &mut BytesMut, out: &mut BytesMut| {
        let config = Config { tls: TlsMode::Implicit, ..Config::new("relay.test".parse().expect("a name")) };
        let Step::Upgrade(upgrade) = start(Arc::new(config), now) else { panic!("no upgrade") };
        let mut step = upgrade.established(now, tls(), input, out);
        for said in said {
            input.extend_from_slice(said.as_bytes());
            let Step::Receive(receive) = step else { panic!("{step:?}") };
            step = receive.process(now, input, out);
        }
        let Step::Ready(ready) = step else { panic!("{step:?}") };
        ready
    };
    let hello = ["220 mx\r\n", "250-mx\r\n250 AUTH PLAIN\r\n"];
    let first = ready(&hello, &mut input, &mut out);
    assert!(!first.is_authenticated());
    let Ok(Step::Receive(receive)) = first.authenticate(&password("pencil"), [0; 18], now, &mut input, &mut out) else {
        panic!("no AUTH")
    };
    input.extend_from_slice(b"235 ok\r\n");
    let Step::Ready(second) = receive.process(now, &mut input, &mut out) else { panic!("not ready") };
    assert!(second.is_authenticated());
    out.clear();
    let refused = second.authenticate(&password("pencil"), [0; 18], now, &mut input, &mut out).expect_err("a second");
    assert_eq!((refused.reply, out.len()), (Reply::BAD_SEQUENCE_503, 0));
    assert!(refused.ready.is_authenticated());

    // The remote still holds a transaction of which nobody was left.
    let mut step = ready(&hello, &mut input, &mut out).send(&envelope(&["one@b.test"]), 1, now, &mut input, &mut out);
    for said in ["250 ok\r\n", "550 no\r\n"] {
        let Ok(Step::Receive(receive)) = step else { panic!("{step:?}") };
        input.extend_from_slice(said.as_bytes());
        step = Ok(receive.process(now, &mut input, &mut out));
    }
    let Ok(Step::Done(done)) = step else { panic!("{step:?}") };
    let (_, Step::Ready(stale)) = done.settle() else { panic!("not ready") };
    out.clear();
    let refused = stale.authenticate(&password("pencil"), [0; 18], now, &mut input, &mut out).expect_err("in a mail");
    assert_eq!((refused.reply, out.len()), (Reply::BAD_SEQUENCE_503, 0));
}

#[test]
fn each_reply_of_auth_has_its_time() {
    let mut case = case(password("pencil"));
    case.config.timeouts.auth = std::time::Duration::from_secs(10);
    let mut talk = Talk::with(case.config, case.messages, case.credentials);
    talk.shake_hands("");
    talk.hear(b"220 mx\r\n");
    for said in ["250-mx\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "334\r\n"] {
        talk.now += std::time::Duration::from_secs(7);
        talk.hear(said.as_bytes());
        let Some(Step::Receive(receive)) = &talk.step else { panic!("{:?}", talk.step) };
        assert_eq!(receive.deadline(), talk.now + std::time::Duration::from_secs(10), "{said}");
    }
    assert_eq!(talk.log.last().map(String::as_str), Some("C: *"));
}

#[test]
fn secrets_are_not_printed() {
    let secret = "t".repeat(400);
    for (mechanisms, said) in [("OAUTHBEARER", ""), ("OAUTHBEARER", "334\r\n"), ("XOAUTH2", "")] {
        let case = case(token(&secret));
        let mut talk = Talk::with(case.config, case.messages, case.credentials);
        talk.shake_hands("");
        talk.hear(b"220 mx\r\n");
        talk.hear(format!("250-mx\r\n250 AUTH {mechanisms}\r\n").as_bytes());
        talk.hear(said.as_bytes());
        let (step, line) = (format!("{:?}", talk.step), talk.log.last().expect("a line"));
        assert!(said.is_empty() || line.len() > 500, "{line}");
        // `tttttt` in base64.
        assert!(!step.contains("dHR0dHR0") && !step.contains("ttt"), "{step}");
    }
}
