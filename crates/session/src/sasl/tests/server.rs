//! The server's side, message by message.

use hikyaku_wire::{Code, EnhancedCode};

use super::*;

/// The challenges and the end, where the client sends these.
fn exchange(mechanism: Mechanism, given: &Given, initial: Option<&[u8]>, responses: &[&[u8]]) -> (Vec<String>, End) {
    let mut users = Users::new("alice", "pw");
    let (mut challenges, mut responses) = (Vec::new(), responses.iter());
    let end = serve(server_side::start(mechanism, given.setup(), initial), &mut users, |challenge| {
        challenges.push(String::from_utf8(challenge.to_vec()).unwrap());
        responses.next().map(|response| response.to_vec()).ok_or(ClientError::Challenge)
    });
    assert_eq!(responses.next(), None, "everything is taken: {challenges:?} {end:?}");
    (challenges, end)
}

fn plain(given: &Given, message: &[u8]) -> End {
    let (challenges, end) = exchange(Mechanism::Plain, given, Some(message), &[]);
    assert_eq!(challenges, [""; 0]);
    assert_eq!(exchange(Mechanism::Plain, given, None, &[message]), (vec![String::new()], end.clone()));
    end
}

#[test]
fn d35_d36_plain() {
    let long = |n| "a".repeat(n);
    for (message, end) in [
        ("\0alice\0pw".to_owned(), accepted("alice")),
        ("alice\0alice\0pw".into(), accepted("alice")),
        ("bob\0alice\0pw".into(), refused()),
        ("alice\0bob\0pw".into(), refused()),
        ("\0alice\0pW".into(), refused()),
        ("\0alice\0p".into(), refused()),
        ("\0Alice\0pw".into(), refused()),
        ("\0a\0".into(), refused()),
        ("\0\0pw".into(), refused()),
        ("\0\0".into(), refused()),
        ("".into(), malformed()),
        ("\0".into(), malformed()),
        ("alice\0pw".into(), malformed()),
        ("\0alice\0pw\0".into(), malformed()),
        ("\0\0alice\0pw".into(), malformed()),
        (format!("\0{}\0pw", long(255)), refused()),
        (format!("\0{}\0pw", long(256)), malformed()),
        (format!("\0alice\0{}", long(255)), refused()),
        (format!("\0alice\0{}", long(256)), malformed()),
        (format!("{}\0alice\0pw", long(255)), refused()),
        (format!("{}\0alice\0pw", long(256)), malformed()),
        ("\0al\nice\0pw".into(), refused()),
        ("al\rice\0alice\0pw".into(), refused()),
    ] {
        assert_eq!(plain(&Given::new(), message.as_bytes()), end, "{message:?}");
    }
    assert_eq!(plain(&Given::new(), b"\0alice\xff\0pw"), malformed());
}

/// Names that mean something to a directory reach the application as they are, and what can be
/// nobody's does not reach it.
#[test]
fn c1_22_what_the_application_sees() {
    let ask = |message: &str| {
        let given = Given::new();
        match server_side::start(Mechanism::Plain, given.setup(), Some(message.as_bytes())) {
            Turn::Ask(asking) => Some(format!("{:?}", asking.question())),
            _ => None,
        }
    };
    assert_eq!(
        ask("\0*)(uid=*\0x").as_deref(),
        Some(r#"Password { user: "*)(uid=*", authzid: None, password: Password(..) }"#)
    );
    assert!(ask("b\0a\0x").is_some_and(|asked| asked.contains(r#"authzid: Some("b")"#)));
    for message in ["\0\0x", "\0a\0", "\0a\u{9b}\0x", "\0a\x1b\0x", "b\n\0a\0x"] {
        assert_eq!(ask(message), None, "{message:?}");
    }
}

#[test]
fn d36_delegation() {
    let given = Given { delegation: true, ..Given::new() };
    assert_eq!(plain(&given, b"bob\0alice\0pw"), accepted("alice"));
    assert_eq!(plain(&given, b"bob\0bob\0pw"), refused());
}

#[test]
fn login() {
    let given = Given::new();
    let prompts = |n| ["Username:", "Password:"][..n].iter().map(|text| text.to_string()).collect::<Vec<_>>();
    let of = |initial: Option<&[u8]>, responses: &[&[u8]]| exchange(Mechanism::Login, &given, initial, responses);
    assert_eq!(of(None, &[b"alice", b"pw"]), (prompts(2), accepted("alice")));
    assert_eq!(of(Some(b"alice"), &[b"pw"]), (prompts(2)[1..].to_vec(), accepted("alice")));
    let long = [b'a'; 256];
    for (responses, challenges, end) in [
        (&[&b"alice"[..], b"pw "][..], 2, refused()),
        (&[b"bob", b"pw"], 2, refused()),
        (&[b"alice", b""], 2, refused()),
        (&[b"alice", b"p\0w"], 2, refused()),
        (&[b"alice", b"\xff"], 2, malformed()),
        (&[b"alice", &long], 2, malformed()),
        (&[b"alice", &long[1..]], 2, refused()),
        (&[b""], 1, refused()),
        (&[b"a\n"], 1, refused()),
        (&[b"\xff"], 1, malformed()),
        (&[&long], 1, malformed()),
        (&[&long[1..], b"pw"], 2, refused()),
    ] {
        assert_eq!(of(None, responses), (prompts(challenges), end), "{responses:?}");
    }
}

#[test]
fn d38_external() {
    let given = Given::new();
    let of = |given: &Given, initial: Option<&[u8]>, responses: &[&[u8]]| {
        exchange(Mechanism::External, given, initial, responses)
    };
    assert_eq!(of(&given, None, &[b""]), (vec![String::new()], accepted("alice")));
    for (name, end) in [
        (&b""[..], accepted("alice")),
        (b"alice", accepted("alice")),
        (b"bob", refused()),
        (b"Alice", refused()),
        (b"alice\n", refused()),
        (b"alice\0", malformed()),
        (b"\xff", malformed()),
    ] {
        assert_eq!(of(&given, Some(name), &[]), (vec![], end), "{name:?}");
    }
    let delegation = Given { delegation: true, ..Given::new() };
    assert_eq!(of(&delegation, Some(b"bob"), &[]).1, accepted("alice"));
    let without = Given { tls: Tls { certificate: None, ..Tls::default() }, ..Given::new() };
    for initial in [None, Some(&b""[..]), Some(b"alice")] {
        assert_eq!(of(&without, initial, &[]), (vec![], refused()));
    }
    let plaintext = Setup { tls: None, ..given.setup() };
    assert!(matches!(server_side::start(Mechanism::External, plaintext, None), Turn::Refused(_)));
}

const OAUTHBEARER_FAILURE: &str = r#"{"status":"invalid_token"}"#;
const XOAUTH2_FAILURE: &str = r#"{"status":"401","schemes":"bearer"}"#;

#[test]
fn rfc7628_oauthbearer() {
    let given = Given::new();
    for message in [
        "n,,\x01auth=Bearer token\x01\x01",
        "y,,\x01auth=Bearer token\x01\x01",
        "n,a=alice,\x01auth=Bearer token\x01\x01",
        "n,a=alice,\x01host=server.example.com\x01port=587\x01auth=Bearer token\x01\x01",
        "n,a=alice,\x01auth=bEARER   token\x01host=\x01\x01",
    ] {
        let of =
            |initial: Option<&[u8]>, responses: &[&[u8]]| exchange(Mechanism::OAuthBearer, &given, initial, responses);
        assert_eq!(of(Some(message.as_bytes()), &[]), (vec![], accepted("alice")), "{message:?}");
        assert_eq!(of(None, &[message.as_bytes()]), (vec![String::new()], accepted("alice")));
    }
    for message in [
        "n,,\x01auth=Bearer other\x01\x01",
        "n,a=bob,\x01auth=Bearer token\x01\x01",
        "n,,\x01auth=Bearer \x01\x01",
        "n,,\x01auth=Bearer\x01\x01",
        "n,,\x01auth=\x01\x01",
        "n,,\x01auth=Basic token\x01\x01",
        "n,,\x01auth=Bearer tok en\x01\x01",
        "n,,\x01host=a\x01\x01",
        "n,,\x01\x01",
    ] {
        // Whatever the client says to the failure, it has failed.
        for acknowledgement in [&b"\x01"[..], b"", b"n,,\x01auth=Bearer token\x01\x01"] {
            let failed = exchange(Mechanism::OAuthBearer, &given, Some(message.as_bytes()), &[acknowledgement]);
            assert_eq!(failed, (vec![OAUTHBEARER_FAILURE.into()], refused()), "{message:?}");
        }
    }
    for (message, end) in [
        ("", malformed()),
        ("\x01", malformed()),
        ("n,,", malformed()),
        ("n,,\x01", malformed()),
        ("n,,auth=Bearer token\x01\x01", malformed()),
        ("n,,\x01auth=Bearer token", malformed()),
        ("n,,\x01auth=Bearer token\x01", malformed()),
        ("n,,\x01auth=Bearer token\x01auth=Bearer token\x01\x01", malformed()),
        ("n,,\x01auth=Bearer token\x01\x01\x01", malformed()),
        ("n,,\x01auth=Bearer token\x01\x01host=a\x01\x01", malformed()),
        ("n,,\x01auth=Bearer t\u{f6}ken\x01\x01", malformed()),
        ("n,,\x01auth=Bearer token\0\x01\x01", malformed()),
        ("n,,\x01h0st=a\x01auth=Bearer token\x01\x01", malformed()),
        ("n,,\x01=a\x01auth=Bearer token\x01\x01", malformed()),
        ("n,,\x01host\x01auth=Bearer token\x01\x01", malformed()),
        ("n,a=ali=ce,\x01auth=Bearer token\x01\x01", malformed()),
        ("user=alice\x01auth=Bearer token\x01\x01", malformed()),
        ("p=tls-exporter,,\x01auth=Bearer token\x01\x01", refused()),
    ] {
        let failed = exchange(Mechanism::OAuthBearer, &given, Some(message.as_bytes()), &[]);
        assert_eq!(failed, (vec![], end), "{message:?}");
    }
}

#[test]
fn xoauth2() {
    let given = Given::new();
    let of = |message: &[u8], responses: &[&[u8]]| exchange(Mechanism::XOAuth2, &given, Some(message), responses);
    assert_eq!(of(b"user=alice\x01auth=Bearer token\x01\x01", &[]), (vec![], accepted("alice")));
    for message in ["user=alice\x01auth=Bearer other\x01\x01", "user=bob\x01auth=Bearer token\x01\x01"] {
        assert_eq!(of(message.as_bytes(), &[b""]), (vec![XOAUTH2_FAILURE.into()], refused()), "{message:?}");
    }
    for (message, end) in [
        (&b""[..], malformed()),
        (b"user=alice", malformed()),
        (b"user=alice\x01", malformed()),
        (b"alice\x01auth=Bearer token\x01\x01", malformed()),
        (b"user=alice\x01auth=Bearer token\x01", malformed()),
        (b"n,,\x01auth=Bearer token\x01\x01", malformed()),
        (b"user=alice\xff\x01auth=Bearer token\x01\x01", malformed()),
        (b"user=\x01auth=Bearer token\x01\x01", refused()),
        (b"user=al\nice\x01auth=Bearer token\x01\x01", refused()),
    ] {
        assert_eq!(of(message, &[]), (vec![], end), "{message:?}");
    }
}

/// A first message that leads to the question of each kind.
const ASKING: [(Mechanism, &[u8]); 6] = [
    (Mechanism::Plain, b"\0alice\0pw"),
    (Mechanism::Login, b"alice"),
    (Mechanism::ScramSha256, b"n,,n=alice,r=abc"),
    (Mechanism::OAuthBearer, b"n,a=alice,\x01auth=Bearer token\x01\x01"),
    (Mechanism::XOAuth2, b"user=alice\x01auth=Bearer token\x01\x01"),
    (Mechanism::External, b"alice"),
];

fn asked(mechanism: Mechanism, first: &[u8]) -> server_side::Asking {
    match server_side::start(mechanism, Given::new().setup(), Some(first)) {
        Turn::Ask(asking) => asking,
        Turn::Challenge(_, waiting) => match waiting.respond(b"pw") {
            Turn::Ask(asking) => asking,
            turn => panic!("{turn:?}"),
        },
        turn => panic!("{turn:?}"),
    }
}

#[test]
fn answers_that_refuse_or_do_not_fit() {
    let disabled = Reply::ACCOUNT_DISABLED_525;
    let odd = Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 3, 0), "the disk\nis full");
    let unfit = Reply::TEMPORARY_AUTHENTICATION_FAILURE_454;
    let keys = Answer::Keys { user: "alice".into(), keys: Users::new("alice", "pw").keys };
    for (salt, iterations) in [(7, 4096), (65, 4096), (10_000, 4096), (16, 4095), (16, 0), (16, 10_000_001)] {
        let keys = ScramKeys { salt: vec![1; salt], iterations, ..Users::new("alice", "pw").keys };
        let asking = asked(Mechanism::ScramSha256, b"n,,n=alice,r=abc");
        let turn = asking.answer(Answer::Keys { user: "alice".into(), keys }, [9; 18]);
        assert!(matches!(&turn, Turn::Refused(reply) if *reply == unfit), "{salt} {iterations}: {turn:?}");
    }
    for (mechanism, first) in ASKING {
        let asks_keys = mechanism == Mechanism::ScramSha256;
        let wrong = if asks_keys { Answer::Accept("alice".into()) } else { keys.clone() };
        for (answer, reply) in [
            (Answer::Refuse(disabled.clone()), &disabled),
            (Answer::Refuse(odd.clone()), &odd),
            (Answer::Refuse(Reply::OK_250), &unfit),
            (Answer::Refuse(Reply::AUTHENTICATED_235), &unfit),
            (Answer::Refuse(Reply::START_INPUT_354), &unfit),
            (wrong, &unfit),
        ] {
            match asked(mechanism, first).answer(answer.clone(), [9; 18]) {
                Turn::Refused(given) => assert_eq!(given, *reply, "{mechanism} {answer:?}"),
                turn => panic!("{mechanism} {answer:?}: {turn:?}"),
            }
        }
    }
}

/// A token is good, but not that of whom the client names.
#[test]
fn d36_tokens_of_another() {
    for (mechanism, first) in [ASKING[3], ASKING[4]] {
        for (delegation, user, accepted) in [(false, "bob", false), (true, "bob", true), (false, "alice", true)] {
            let given = Given { delegation, ..Given::new() };
            let Turn::Ask(asking) = server_side::start(mechanism, given.setup(), Some(first)) else { panic!() };
            let turn = asking.answer(Answer::Accept(user.into()), [9; 18]);
            assert_eq!(matches!(turn, Turn::Accepted(_)), accepted, "{mechanism} {delegation} {user}: {turn:?}");
        }
    }
}

/// The name that counts is the one of the answer.
#[test]
fn the_application_names_the_user() {
    for (mechanism, first, user) in [
        (Mechanism::Plain, &b"\0Alice@Example.ORG\0pw"[..], "Alice@Example.ORG"),
        (Mechanism::Plain, b"Alice@Example.ORG\0Alice@Example.ORG\0pw", "Alice@Example.ORG"),
        (Mechanism::Plain, b"alice\0Alice@Example.ORG\0pw", "Alice@Example.ORG"),
        (Mechanism::OAuthBearer, b"n,,\x01auth=Bearer token\x01\x01", ""),
        (Mechanism::External, b"", ""),
    ] {
        let asking = asked(mechanism, first);
        assert_eq!(asking.question().user().unwrap_or_default(), user);
        let turn = asking.answer(Answer::Accept("alice".into()), [9; 18]);
        assert!(matches!(&turn, Turn::Accepted(user) if &**user == "alice"), "{turn:?}");
    }
}

#[test]
fn secrets_are_not_printed_by_debug() {
    for (mechanism, first) in ASKING {
        let printed = format!("{:?}", Turn::Ask(asked(mechanism, first)));
        assert!(printed.starts_with("Ask(Asking(") && !printed.contains("pw"), "{printed}");
        assert!(!printed.contains("token\""), "{printed}");
        let printed = format!("{:?}", server_side::start(mechanism, Given::new().setup(), None));
        assert!(printed.starts_with("Challenge([") && printed.ends_with("Waiting(..))"), "{printed}");
    }
}
