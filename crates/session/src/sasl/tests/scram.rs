//! SCRAM, message by message, and what must not tell whether a user exists.

use super::*;
use crate::sasl::crypto::HMACS;

/// The client's first message, the server's answer, and the client that has sent it.
fn challenged(given: &Given, users: &mut Users, mechanism: Mechanism, first: &[u8]) -> Result<String, End> {
    let mut challenge = None;
    let end = serve(server_side::start(mechanism, given.setup(), Some(first)), users, |octets| {
        challenge = Some(String::from_utf8(octets.to_vec()).unwrap());
        Err(ClientError::Challenge)
    });
    challenge.ok_or(end)
}

#[test]
fn first_messages() {
    let binds = Given::new();
    let without_plus = Given { offers_plus: false, ..Given::new() };
    let plain = Mechanism::ScramSha256;
    let plus = Mechanism::ScramSha256Plus;
    for (mechanism, given, first, end) in [
        (plain, &binds, "n,,n=alice,r=abc", None),
        (plain, &binds, "n,,n=alice,r=abc,x=1,y=a=b", None),
        (plain, &binds, "n,a=bob,n=alice,r=abc", None),
        (plain, &without_plus, "n,,n=alice,r=abc", None),
        (plain, &without_plus, "y,,n=alice,r=abc", None),
        // Somebody between has taken the mechanism out of the list.
        (plain, &binds, "y,,n=alice,r=abc", Some(refused())),
        (plain, &binds, "p=tls-exporter,,n=alice,r=abc", Some(refused())),
        (plus, &binds, "p=tls-exporter,,n=alice,r=abc", None),
        (plus, &binds, "p=tls-unique,,n=alice,r=abc", Some(refused())),
        (plus, &binds, "n,,n=alice,r=abc", Some(refused())),
        (plus, &binds, "y,,n=alice,r=abc", Some(refused())),
        (plus, &without_plus, "y,,n=alice,r=abc", Some(refused())),
        (plain, &binds, "", Some(malformed())),
        (plain, &binds, "n,,", Some(malformed())),
        (plain, &binds, "n,,n=alice", Some(malformed())),
        (plain, &binds, "n,,r=abc,n=alice", Some(malformed())),
        (plain, &binds, "n,n=alice,r=abc", Some(malformed())),
        (plain, &binds, "n,,n=,r=abc", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=a c", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=\u{fc}", Some(malformed())),
        (plain, &binds, "n,,n=al=ice,r=abc", Some(malformed())),
        (plain, &binds, "n,,n=al=2cice,r=abc", Some(malformed())),
        (plain, &binds, "n,,n=alice\0,r=abc", Some(malformed())),
        (plain, &binds, "n,,m=x,n=alice,r=abc", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=abc,m=x", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=abc,", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=abc,1=a", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=abc,x=", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=abc,x", Some(malformed())),
        (plain, &binds, "n,,n=alice,r=abc,x=a\0", Some(malformed())),
        (plain, &binds, "n,,n=al\u{7}ice,r=abc", Some(refused())),
        (plain, &binds, "n,,n=\u{ad},r=abc", Some(refused())),
        (plain, &binds, "n,,n=\u{1f600},r=abc", Some(refused())),
    ] {
        let mut users = Users::new("alice", "pw");
        let got = challenged(given, &mut users, mechanism, first.as_bytes());
        assert_eq!(got.as_ref().err(), end.as_ref(), "{mechanism} {first:?}");
        assert_eq!(users.questions.len(), usize::from(end.is_none()), "{first:?}");
        if let Ok(challenge) = got {
            let salt = "s=c2l4dGVlbiBvY3RldHMuLg==,i=4096";
            assert_eq!(challenge, format!("r=abc{},{salt}", "CQkJ".repeat(6)), "{first:?}");
        }
    }
    let (given, mut users) = (Given::new(), Users::new("alice", "pw"));
    assert_eq!(challenged(&given, &mut users, plain, b"n,,n=\xff,r=abc"), Err(malformed()));
    for (octets, good) in [(512, true), (513, false)] {
        let first = format!("n,,n=alice,r={}", "a".repeat(octets));
        assert_eq!(challenged(&given, &mut users, plain, first.as_bytes()).is_ok(), good);
    }
    for tls in [None, Some(&Tls::default())] {
        let turn = server_side::start(plus, Setup { tls, ..given.setup() }, None);
        assert!(matches!(turn, Turn::Refused(reply) if reply == Reply::AUTHENTICATION_FAILED_535));
    }
}

#[test]
fn names_are_unescaped_and_prepared() {
    for (written, name) in [("a=2Cb", "a,b"), ("a=3D2C", "a=2C"), ("\u{2168}", "IX"), ("I\u{ad}X", "IX")] {
        let mut users = Users::new(name, "pw");
        let first = format!("n,,n={written},r=abc");
        assert!(challenged(&Given::new(), &mut users, Mechanism::ScramSha256, first.as_bytes()).is_ok());
        assert_eq!(users.questions, [format!("ScramKeys {{ user: {name:?}, authzid: None }}")]);
    }
}

/// What the client sends as its last message, changed.
fn last(
    mechanism: Mechanism,
    given: &Given,
    (user, secret): (&str, &str),
    change: impl Fn(String) -> String,
) -> (Vec<Vec<u8>>, End) {
    let mut seen = Vec::new();
    let mut users = Users::new("alice", "pw");
    let end = converse(mechanism, &password(user, secret), given, &mut users, |count, message| {
        if count == 2 {
            *message = change(String::from_utf8(message.clone()).unwrap()).into_bytes();
        }
        seen.push(message.clone());
    });
    (seen, end)
}

#[test]
fn d37_last_messages() {
    let given = Given::new();
    let of = |change: &dyn Fn(String) -> String| last(Mechanism::ScramSha256, &given, ("alice", "pw"), change).1;
    assert_eq!(of(&|text| text), accepted("alice"));
    // The message is part of what is proved, so that each change needs another proof; what is
    // refused for another reason must be refused in the same words.
    let nonce = format!("r={}{}", "AwMD".repeat(6), "CQkJ".repeat(6));
    let shortened = |by: usize| {
        let nonce = nonce.clone();
        move |text: String| text.replace(&nonce, &nonce[..nonce.len() - by])
    };
    for (what, end) in [
        (of(&shortened(1)), refused()),
        (of(&shortened(24)), refused()),
        (of(&|text| text.replace(&nonce, &format!("{nonce}x"))), refused()),
        (of(&|text| text.replace("c=biws", "c=eSws")), refused()),
        (of(&|text| text.replace("c=biws", "c=biwsYQ==")), refused()),
        (of(&|text| text.replace(",p=", ",x=1,p=")), refused()),
        (of(&|text| text[..text.len() - 44].to_owned() + &"A".repeat(43) + "="), refused()),
        (of(&|text| text[..text.len() - 4].to_owned()), malformed()),
        (of(&|text| format!("{text},x=1")), malformed()),
        (of(&|text| text.replace(",p=", ",q=")), malformed()),
        (of(&|text| text.replace("c=", "")), malformed()),
        (of(&|text| text.replace("c=biws,", "")), malformed()),
        (of(&|text| text.replace("biws", "bi_s")), malformed()),
        (of(&|text| text.replace(",p=", ",m=1,p=")), malformed()),
        (of(&|text| text.replace("c=biws,", "c=biws,x=1,")), malformed()),
        (of(&|_| String::new()), malformed()),
        (of(&|_| ",".to_owned()), malformed()),
    ] {
        assert_eq!(what, end);
    }
}

/// Whether the three things that are compared are each compared: a client that is right in
/// everything else proves a message in which one is wrong.
#[test]
fn d37_a_good_proof_of_a_bad_message() {
    use crate::sasl::crypto::{hash, hmac, xor};
    let given = Given::new();
    let first = "n=alice,r=abc";
    for (mechanism, header, binding, nonce, good) in [
        (Mechanism::ScramSha256, "n,,", &b"n,,"[..], "", true),
        (Mechanism::ScramSha256, "n,,", b"y,,", "", false),
        (Mechanism::ScramSha256, "n,,", b"n,,x", "", false),
        (Mechanism::ScramSha256, "n,,", b"n,,", "x", false),
        (Mechanism::ScramSha256, "n,a=alice,", b"n,a=alice,", "", true),
        (Mechanism::ScramSha256, "n,a=alice,", b"n,,", "", false),
        (Mechanism::ScramSha256, "n,a=bob,", b"n,a=bob,", "", false),
        (Mechanism::ScramSha256Plus, "p=tls-exporter,,", &[&b"p=tls-exporter,,"[..], &EXPORTER].concat(), "", true),
        (Mechanism::ScramSha256Plus, "p=tls-exporter,,", &[&b"p=tls-exporter,,"[..], &[0; 32]].concat(), "", false),
        (Mechanism::ScramSha256Plus, "p=tls-exporter,,", b"p=tls-exporter,,", "", false),
    ] {
        let salted = crate::sasl::crypto::salted("pw", b"sixteen octets..", 4096.try_into().unwrap());
        let turn = server_side::start(mechanism, given.setup(), Some(format!("{header}{first}").as_bytes()));
        let mut signatures = Vec::new();
        let end = serve(turn, &mut Users::new("alice", "pw"), |challenge| {
            let challenge = str::from_utf8(challenge).unwrap();
            if challenge.starts_with("v=") {
                signatures.push(challenge.to_owned());
                return Ok(Vec::new());
            }
            let full = &challenge[2..challenge.find(',').unwrap()];
            let base64 = |octets: &[u8]| hikyaku_wire::Base64::encode(octets).unwrap();
            let without_proof = format!("c={},r={full}{nonce}", base64(binding));
            let key = hmac(&*salted, &[b"Client Key"]);
            let messages = format!("{first},{challenge},{without_proof}");
            let proof = xor(&key, &hmac(&hash(&key), &[messages.as_bytes()]));
            Ok(format!("{without_proof},p={}", base64(&proof)).into_bytes())
        });
        assert_eq!(end, if good { accepted("alice") } else { refused() }, "{header} {binding:?} {nonce}");
        assert_eq!(signatures.len(), usize::from(good), "a signature only for who has proved himself");
    }
}

#[test]
fn the_clients_last_word_is_empty() {
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha256Plus] {
        for (word, end) in [(&b""[..], accepted("alice")), (b"x", malformed())] {
            let credentials = password("alice", "pw");
            let given = Given::new();
            let mut users = Users::new("alice", "pw");
            let got = converse(mechanism, &credentials, &given, &mut users, |count, message| {
                if count == 4 {
                    *message = word.to_vec();
                }
            });
            assert_eq!(got, end);
        }
    }
}

#[test]
fn d37_a_binding_to_another_connection() {
    let (given, mut users) = (Given::new(), Users::new("alice", "pw"));
    let credentials = password("alice", "pw");
    let plus = Mechanism::ScramSha256Plus;
    assert_eq!(converse(plus, &credentials, &given, &mut users, |_, _| {}), accepted("alice"));
    let (initial, mut exchange) = client_side::start(plus, &credentials, Some([1; 32]), true, [3; 18]).unwrap();
    let turn = server_side::start(plus, given.setup(), initial.as_deref());
    assert_eq!(serve(turn, &mut users, |challenge| exchange.respond(challenge)), refused());
}

/// Which users there are shows neither in what is said nor in what is computed.
#[test]
fn unknown_users_and_wrong_passwords_are_the_same() {
    let given = Given::new();
    let tries = |user: &str, secret: &str| {
        let before = HMACS.get();
        let mut seen = Vec::new();
        let mut client = 0;
        let mut users = Users::new("alice", "pw");
        let start = HMACS.get();
        let (initial, mut exchange) =
            client_side::start(Mechanism::ScramSha256, &password(user, secret), None, false, [3; 18]).unwrap();
        let turn = server_side::start(Mechanism::ScramSha256, given.setup(), initial.as_deref());
        let end = serve(turn, &mut users, |challenge| {
            seen.push(challenge.to_vec());
            let before = HMACS.get();
            let response = exchange.respond(challenge);
            client += HMACS.get() - before;
            response
        });
        assert!(start > before, "the keys of the tests are counted too");
        (seen, end, HMACS.get() - start - client)
    };
    let (known, end, work) = tries("alice", "wrong");
    assert_eq!((&end, known.len()), (&refused(), 1));
    let (unknown, other_end, other_work) = tries("bob", "wrong");
    assert_eq!((other_end, other_work), (end, work));
    let shape = |challenge: &[u8]| {
        let text = String::from_utf8(challenge.to_vec()).unwrap();
        let (start, salt) = text.split_once(",s=").map(|(start, rest)| (start.to_owned(), rest.to_owned())).unwrap();
        let (salt, rest) = salt.split_once(',').map(|(salt, rest)| (salt.len(), rest.to_owned())).unwrap();
        (start, salt, rest)
    };
    assert_eq!(shape(&known[0]), shape(&unknown[0]));
    assert_ne!(known, unknown);
    // It is always the same salt, and another one for another name.
    assert_eq!(tries("bob", "other").0, unknown);
    assert_ne!(tries("carl", "wrong").0, unknown);
    // The right password costs the signature more.
    assert_eq!(tries("alice", "pw").2, work + 1);
}
