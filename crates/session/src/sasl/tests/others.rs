//! Against the crate rsasl, an implementation by others: its server and our client, our server and
//! its client.
//!
//! It does not unescape the names of SCRAM as a server, prompts for LOGIN in words of its own, and takes no
//! initial response there; the cases keep clear of that.

use std::sync::Arc;

use rsasl::{
    callback::{Context, Request, SessionCallback, SessionData},
    mechanisms::{
        external::EXTERNAL,
        login::LOGIN,
        oauthbearer::{
            OAUTHBEARER,
            properties::{OAuthBearerError, OAuthBearerValidate},
        },
        plain::PLAIN,
        scram::{SCRAM_SHA256, SCRAM_SHA256_PLUS, properties::ScramStoredPassword},
        xoauth2::{XOAUTH2, properties::XOAuth2Validate},
    },
    prelude::{
        ChannelBindingCallback, Mechname, Registry, SASLClient, SASLConfig, SASLServer, SessionError, State, Validation,
    },
    property::{AuthId, AuthzId, OAuthBearerToken, Password as Pass},
    validate::{Validate, ValidationError},
};

use super::*;
use crate::sasl::prepare;

/// What its sides are told: who it is, and what proves it.
#[derive(Clone)]
struct Callback {
    user: String,
    secret: String,
    keys: ScramKeys,
    binds: bool,
}

/// Whether its server lets the client in.
struct Verdict;

impl Validation for Verdict {
    type Value = bool;
}

/// The channel binding of its sides.
struct Binding([u8; 32]);

impl ChannelBindingCallback for Binding {
    fn get_cb_data(&self, name: &str) -> Option<&[u8]> {
        (name == "tls-exporter").then_some(&self.0)
    }
}

impl Callback {
    fn new(mechanism: Mechanism, user: &str, secret: &str) -> Self {
        let binds = mechanism == Mechanism::ScramSha256Plus;
        let keys = ScramKeys::derive(secret, b"a salt of 17 oct.", 5000).unwrap();
        Self { user: user.into(), secret: secret.into(), keys, binds }
    }

    /// The token as its servers know it: that of OAUTHBEARER with the scheme.
    fn token(&self, session: &SessionData) -> String {
        let scheme = if session.mechanism().mechanism.as_str() == "OAUTHBEARER" { "Bearer " } else { "" };
        format!("{scheme}{}", self.secret)
    }

    fn has_token(&self, session: &SessionData, context: &Context<'_>) -> bool {
        context.get_ref::<OAuthBearerToken>() == Some(&self.token(session))
    }
}

impl SessionCallback for Callback {
    fn enable_channel_binding(&self) -> bool {
        self.binds
    }

    fn callback(
        &self,
        session: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        let mechanism = session.mechanism().mechanism.as_str();
        // As a server.
        let known = context.get_ref::<AuthId>() == Some(&self.user);
        if request.is::<ScramStoredPassword<'static>>() {
            if known {
                let ScramKeys { salt, iterations, stored_key, server_key } = &self.keys;
                request.satisfy::<ScramStoredPassword<'static>>(&ScramStoredPassword::new(
                    *iterations,
                    salt,
                    stored_key,
                    server_key,
                ))?;
            }
            return Ok(());
        }
        let failure = OAuthBearerError::new("invalid_token", None, None);
        let verdict = if self.has_token(session, context) { Ok(()) } else { Err(failure) };
        request.satisfy::<OAuthBearerValidate>(&verdict)?;
        let verdict = if known && self.has_token(session, context) { Ok(()) } else { Err(r#"{"status":"400"}"#) };
        request.satisfy::<XOAuth2Validate>(&verdict)?;
        // As a client.
        request.satisfy::<AuthId>(&self.user)?;
        request.satisfy::<Pass>(self.secret.as_bytes())?;
        request.satisfy::<OAuthBearerToken>(&self.secret)?;
        if mechanism == "OAUTHBEARER" {
            request.satisfy::<AuthzId>(&self.user)?;
        }
        Ok(())
    }

    fn validate(
        &self,
        session: &SessionData,
        context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let known = context.get_ref::<AuthId>() == Some(&self.user);
        let right = match session.mechanism().mechanism.as_str() {
            "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS" => known,
            "EXTERNAL" => context.get_ref::<AuthzId>() == Some(""),
            "OAUTHBEARER" => context.get_ref::<AuthzId>() == Some(&self.user) && self.has_token(session, context),
            "XOAUTH2" => known && self.has_token(session, context),
            _ => known && context.get_ref::<Pass>() == Some(self.secret.as_bytes()),
        };
        validate.with::<Verdict, _>(|| Ok(right)).map(|_| ())
    }
}

/// What its sides know: the mechanism that is tried, and nothing that would be preferred.
fn config(mechanism: Mechanism, callback: Callback) -> Arc<SASLConfig> {
    static ALL: [rsasl::prelude::Mechanism; 7] =
        [EXTERNAL, SCRAM_SHA256_PLUS, SCRAM_SHA256, OAUTHBEARER, XOAUTH2, PLAIN, LOGIN];
    let at = Mechanism::ALL.iter().position(|known| *known == mechanism).unwrap();
    let registry = Registry::with_mechanisms(&ALL[at..=at]);
    SASLConfig::builder().with_registry(registry).with_callback(callback).unwrap()
}

/// Our client against its server; whether both are content.
fn our_client(mechanism: Mechanism, credentials: &Credentials, callback: Callback, theirs: [u8; 32]) -> bool {
    let name = Mechname::parse(mechanism.name().as_bytes()).unwrap();
    let server = SASLServer::<Verdict, _>::with_cb(config(mechanism, callback), Binding(theirs));
    let mut server = server.start_suggested(name).unwrap();
    let exporter = (mechanism == Mechanism::ScramSha256Plus).then_some(EXPORTER);
    let (mut message, mut exchange) = client_side::start(mechanism, credentials, exporter, false, [3; 18]).unwrap();
    loop {
        let mut challenge = Vec::new();
        let Ok(state) = server.step(message.as_deref(), &mut challenge) else { return false };
        if state.has_sent_message() {
            let Ok(response) = exchange.respond(&challenge) else { return false };
            message = Some(response);
        }
        if let State::Finished(_) = state {
            let verdict = server.validation();
            return verdict == Some(true) && exchange.accepted().is_ok();
        }
    }
}

/// Its client against our server; whether both are content.
fn our_server(mechanism: Mechanism, callback: Callback, users: &mut Users, theirs: [u8; 32]) -> bool {
    let name = Mechname::parse(mechanism.name().as_bytes()).unwrap();
    let client = SASLClient::with_cb(config(mechanism, callback), Binding(theirs));
    let mut client = client.start_suggested(&[name]).unwrap();
    let given = Given { offers_plus: mechanism == Mechanism::ScramSha256Plus, ..Given::new() };
    let (mut initial, mut done) = (None, false);
    if client.are_we_first() {
        let mut first = Vec::new();
        done = matches!(client.step(None, &mut first).unwrap(), State::Finished(_));
        initial = Some(first);
    }
    let turn = server_side::start(mechanism, given.setup(), initial.as_deref());
    let end = serve(turn, users, |challenge| {
        let mut response = Vec::new();
        match client.step(Some(challenge), &mut response) {
            Ok(state) => done = matches!(state, State::Finished(_)),
            Err(_) => return Err(ClientError::Challenge),
        }
        Ok(response)
    });
    match end {
        End::Accepted(user) => {
            assert_eq!(*user, *users.name);
            done || matches!(client.step(None, &mut Vec::new()), Ok(State::Finished(_)))
        }
        _ => false,
    }
}

const PAIRS: [(&str, &str); 4] =
    [("alice", "pencil"), ("\u{fc}ser@example.org", "p\u{e4}ss w\u{f6}rd"), ("I\u{ad}X", "I\u{ad}X"), ("a", "\u{aa}")];

fn has_token(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::OAuthBearer | Mechanism::XOAuth2)
}

#[test]
fn our_client_and_its_server() {
    for mechanism in Mechanism::ALL {
        for (user, secret) in PAIRS {
            let mut user = user.to_owned();
            let secret = if has_token(mechanism) { "token" } else { secret };
            if mechanism == Mechanism::External {
                user.clear();
            }
            let right = credentials(mechanism, &user, secret);
            let of = |credentials: &Credentials, theirs| {
                // Its server compares what PLAIN brings when it has prepared it, and what SCRAM and
                // LOGIN bring as it is.
                let prepares =
                    matches!(mechanism, Mechanism::Plain | Mechanism::ScramSha256 | Mechanism::ScramSha256Plus);
                let (name, password) = if prepares {
                    (prepare(&user).unwrap(), prepare(secret).unwrap())
                } else {
                    (user.as_str().into(), secret.into())
                };
                our_client(mechanism, credentials, Callback::new(mechanism, &name, &password), theirs)
            };
            assert!(of(&right, EXPORTER), "{mechanism} {user} {secret}");
            let binds = mechanism == Mechanism::ScramSha256Plus;
            assert_eq!(of(&right, [1; 32]), !binds, "{mechanism} with another connection");
            if mechanism == Mechanism::External {
                continue;
            }
            let wrong = match mechanism {
                Mechanism::OAuthBearer | Mechanism::XOAuth2 => token(&user, "tokem"),
                _ => password(&user, "pencim"),
            };
            assert!(!of(&wrong, EXPORTER), "{mechanism} with a wrong password");
            assert!(!of(&credentials(mechanism, "nobody", secret), EXPORTER), "{mechanism} of nobody");
        }
    }
}

#[test]
fn its_client_and_our_server() {
    for mechanism in Mechanism::ALL {
        for (user, secret) in PAIRS.into_iter().chain([("a,b=c", "pencil")]) {
            let secret = if has_token(mechanism) { "token" } else { secret };
            if mechanism == Mechanism::OAuthBearer && user.contains(',') {
                // It does not escape that name.
                continue;
            }
            // Its client prepares nothing, and so has to be told what SCRAM prepares.
            let scram = matches!(mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha256Plus);
            let prepared = |text: &str| if scram { prepare(text).unwrap().into_owned() } else { text.to_owned() };
            let (name, secret) = (prepared(user), prepared(secret));
            let (secret, mut users) = (secret.as_str(), Users::new(&name, &secret));
            let mut of = |user: &str, secret: &str, theirs| {
                our_server(mechanism, Callback::new(mechanism, user, secret), &mut users, theirs)
            };
            assert!(of(user, secret, EXPORTER), "{mechanism} {user} {secret}");
            let binds = mechanism == Mechanism::ScramSha256Plus;
            assert_eq!(of(user, secret, [1; 32]), !binds, "{mechanism} with another connection");
            if mechanism != Mechanism::External {
                assert!(!of(user, "wrong", EXPORTER), "{mechanism} with a wrong password");
                assert!(!of("nobody", secret, EXPORTER), "{mechanism} of nobody");
            }
        }
    }
}
