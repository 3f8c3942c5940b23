//! The two sides against each other.

use proptest::prelude::*;

use super::*;

/// Names that every mechanism can carry, and that preparation leaves alone.
fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]{1,255}", "[a-z,=@. \u{fc}\u{6f22}]{1,80}"]
}

fn mechanisms() -> impl Strategy<Value = Mechanism> {
    prop::sample::select(&Mechanism::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_knows_the_password_is_let_in(mechanism in mechanisms(), user in names(), secret in names()) {
        let mut users = Users::new(&user, &secret);
        let credentials = credentials(mechanism, &user, &secret);
        let end = converse(mechanism, &credentials, &Given::new(), &mut users, |_, _| {});
        prop_assert_eq!(end, accepted(&user));
    }

    #[test]
    fn who_does_not_is_not(mechanism in mechanisms(), user in names(), secret in names(), other in names()) {
        prop_assume!(secret != other && mechanism != Mechanism::External);
        let mut users = Users::new(&user, &secret);
        let credentials = match mechanism {
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => token(&user, "other"),
            _ => password(&user, &other),
        };
        let end = converse(mechanism, &credentials, &Given::new(), &mut users, |_, _| {});
        prop_assert_eq!(end, refused());
    }

    #[test]
    fn whatever_the_password_the_sides_do_not_panic(
        mechanism in mechanisms(),
        user in "\\PC{0,40}|.{0,90}",
        secret in "\\PC{0,40}|.{0,90}",
    ) {
        let mut users = Users::new("alice", "pw");
        users.name.clone_from(&user);
        users.password.clone_from(&secret);
        if let Ok(keys) = ScramKeys::derive(&secret, b"sixteen octets..", 4096) {
            users.keys = keys;
        }
        let credentials = credentials(mechanism, &user, &secret);
        match converse(mechanism, &credentials, &Given::new(), &mut users, |_, _| {}) {
            End::Accepted(name) => prop_assert_eq!(&*name, user.as_str()),
            End::Refused(reply) => {
                // Only where preparing has made another name of it.
                prop_assert_eq!(reply, Reply::AUTHENTICATION_FAILED_535);
                prop_assert_ne!(crate::sasl::prepare(&user).unwrap(), user.as_str());
            }
            End::Cancelled(error) => prop_assert_eq!(error, ClientError::Credentials),
        }
    }
}

/// Each octet of each message, changed in several ways, and each message cut short: nobody panics,
/// and with SCRAM nobody is let in.
#[test]
fn d37_any_change_of_any_message() {
    let given = Given::new();
    for mechanism in Mechanism::ALL {
        let credentials = credentials(mechanism, "alice", "pw");
        let mut sizes = Vec::new();
        let mut users = Users::new("alice", "pw");
        let end = converse(mechanism, &credentials, &given, &mut users, |_, message| sizes.push(message.len()));
        assert_eq!(end, accepted("alice"));
        let scram = matches!(mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha256Plus);
        assert_eq!(
            sizes.len(),
            if scram {
                5
            } else if mechanism == Mechanism::Login {
                4
            } else {
                1
            }
        );
        let mut changed = 0;
        for (number, size) in sizes.iter().enumerate() {
            // PBKDF2 in each try: not every bit of every octet of the longest exchange.
            let flips: &[u8] = if scram { &[1] } else { &[1, 2, 4, 8, 16, 32, 64, 128, 255] };
            for at in 0..=*size {
                for flip in flips {
                    let end = converse(mechanism, &credentials, &given, &mut users, |count, message| {
                        if count == number {
                            match message.get_mut(at) {
                                Some(octet) => *octet ^= flip,
                                None => message.push(*flip),
                            }
                        }
                    });
                    changed += 1;
                    if scram {
                        assert_ne!(end, accepted("alice"), "{mechanism} {number} {at}");
                    }
                    if let (End::Accepted(user), Mechanism::Plain) = (&end, mechanism) {
                        panic!("PLAIN has no octet that means nothing: {user} {at} {flip}");
                    }
                }
                if at < *size && (!scram || at % 7 == 0) {
                    let end = converse(mechanism, &credentials, &given, &mut users, |count, message| {
                        if count == number {
                            message.truncate(at);
                        }
                    });
                    assert!(!scram || end != accepted("alice"), "{mechanism} {number} cut at {at}");
                }
            }
        }
        assert!(changed > sizes.iter().sum::<usize>(), "{changed}");
    }
}
