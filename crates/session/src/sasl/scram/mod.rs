//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677, RFC 9266): both sides prove that they
//! know the password, and neither says it.

pub(super) mod client;
mod message;
pub(super) mod server;

/// A nonce as it is written.
pub(super) fn nonce(octets: [u8; 18]) -> String {
    message::base64(&octets).to_string()
}

/// The iterations that a server's first message asks for, which fuzzers keep small.
#[cfg(any(fuzzing, test))]
pub(super) fn work(challenge: &[u8]) -> Option<u32> {
    str::from_utf8(challenge).ok().and_then(message::ServerFirst::parse).map(|first| first.iterations)
}

/// The one channel binding that is implemented (RFC 9266).
const EXPORTER: &str = "tls-exporter";

/// What a client says first of all when it binds.
const BINDS: &str = "p=tls-exporter,,";

#[cfg(test)]
mod tests {
    use hikyaku_wire::Base64;

    use super::*;
    use crate::sasl::{
        Answer, Password, ScramKeys, Secret,
        server::{Ask, Setup, Turn, Wait},
    };

    /// The exchange of RFC 7677 §3, octet by octet on both sides.
    #[test]
    fn rfc7677_example() {
        let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let salt = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let signature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

        let password = Password::new("pencil");
        let (sent, started) = client::start("user", &password, None, false, "rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(sent, first.as_bytes());
        let (sent, claimed) = started.prove(salt.as_bytes()).unwrap();
        assert_eq!(sent, last.as_bytes());
        assert_eq!(claimed.verify(signature.as_bytes()), Ok(()));

        let keys = ScramKeys::derive("pencil", &Base64::parse("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().decode(), 4096);
        let (user, keys) = ("user".into(), keys.unwrap());
        let secret = Secret::new([7; 32]);
        let setup = Setup { secret: &secret, iterations: 4096, delegation: false, offers_plus: false, tls: None };
        let Ok(Turn::Ask(asking)) = server::Server::new(setup, None).first(first.as_bytes()) else { panic!() };
        let Ask::Scram(asked) = asking.into_inner() else { panic!() };
        let Turn::Challenge(sent, waiting) =
            asked.answer(Answer::Keys { user, keys }, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
        else {
            panic!()
        };
        assert_eq!(sent, salt.as_bytes());
        let Wait::ScramChallenged(challenged) = waiting.into_inner() else { panic!() };
        let Ok(Turn::Challenge(sent, _)) = challenged.last(last.as_bytes()) else { panic!() };
        assert_eq!(sent, signature.as_bytes());
    }
}
