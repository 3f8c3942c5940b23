//! AUTH (RFC 4954): the lines of an exchange, and what becomes of it.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use hikyaku_wire::{AuthCommand, AuthResponse, Base64, Challenge, InitialResponse, LineError, LineErrorKind, Reply};
use zeroize::Zeroizing;

use super::{
    Limit,
    connection::{Connection, Mode, Refusal, refusal},
};
use crate::sasl::{
    Mechanism,
    server::{self as exchange, Setup, Turn, Waiting},
};

/// Octets of a line of AUTH at the most, CRLF included (RFC 4954 §4).
const LINE: usize = 12_288;

impl Connection {
    /// Whether AUTH is one of the extensions of this conversation; once it has succeeded it is
    /// no longer advertised.
    pub(super) fn has_auth(&self) -> bool {
        self.session.mechanisms().next().is_some()
    }

    /// Whether AUTH could succeed now.
    pub(super) fn offers_auth(&self) -> bool {
        self.session.user.is_none() && self.has_auth()
    }

    /// How many octets this line may have: lines of AUTH carry more than others.
    pub(super) fn line_limit(&self, secret: bool) -> usize {
        let limit = self.session.config.limits.command_line;
        if secret && self.offers_auth() { limit.max(LINE) } else { limit }
    }

    /// Takes AUTH.
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        auth: &AuthCommand<&str>,
        out: &mut BytesMut,
    ) -> Result<(), Refusal> {
        let session = &self.session;
        if session.config.auth.mechanisms.is_empty() {
            return Err(Reply::NOT_IMPLEMENTED_502.into());
        }
        let Some(tls) = session.tls() else { return Err(Reply::ENCRYPTION_REQUIRED_538.into()) };
        if session.hello.is_none() || !session.extended || session.user.is_some() || session.transaction.is_some() {
            return Err(Reply::BAD_SEQUENCE_503.into());
        }
        let named = auth.mechanism().parse::<Mechanism>().ok();
        let Some(mechanism) = named.filter(|named| session.mechanisms().any(|known| known == *named)) else {
            return Err(Reply::UNKNOWN_MECHANISM_504.into());
        };
        let initial = auth.initial_response().map(InitialResponse::parse).transpose().map_err(|error| error.reply())?;
        let initial = initial.map(|response| Zeroizing::new(response.data().decode()));
        let setup = Setup {
            secret: &session.config.auth.secret,
            iterations: session.config.auth.iterations,
            delegation: session.config.auth.delegation,
            offers_plus: session.mechanisms().any(|known| known == Mechanism::ScramSha256Plus),
            tls: Some(tls),
        };
        let turn = exchange::start(mechanism, setup, initial.as_ref().map(|octets| &octets[..]));
        self.exchanged(now, turn, out);
        Ok(())
    }

    /// Takes the line that a client responds to a challenge with. If it is none, the exchange
    /// has failed: a client that learns from a challenge that it has guessed wrong must not
    /// go on guessing for nothing.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        waiting: Waiting,
        line: Result<&[u8], LineError>,
        out: &mut BytesMut,
    ) {
        match response(line) {
            Ok(octets) => self.exchanged(now, waiting.respond(&octets), out),
            Err(refusal) => self.failed(now, refusal, out),
        }
    }

    /// What the exchange has come to.
    pub(super) fn exchanged(&mut self, now: Instant, turn: Turn, out: &mut BytesMut) {
        match turn {
            Turn::Challenge(octets, waiting) => match Base64::encode(&octets).and_then(Challenge::new) {
                Ok(challenge) => {
                    write!(out, "{challenge}\r\n").expect("a buffer in memory takes all");
                    self.mode = Mode::Response(waiting);
                }
                Err(error) => self.failed(now, error.reply(), out),
            },
            Turn::Ask(asking) => self.mode = Mode::Authenticate(asking),
            Turn::Accepted(user) => {
                self.session.user = Some(user);
                self.say(&Reply::AUTHENTICATED_235, out);
            }
            Turn::Refused(reply) => self.failed(now, refusal(&reply).into_owned(), out),
        }
    }

    /// Whoever guesses gets few tries, and each takes time.
    fn failed(&mut self, now: Instant, refusal: impl Into<Refusal>, out: &mut BytesMut) {
        let (attempts, delay) = (self.session.config.limits.auth_attempts, self.session.config.limits.auth_delay);
        self.failures += 1;
        if self.failures > attempts {
            let last = Refusal::at(Limit::AuthAttempts, Reply::TOO_MANY_FAILURES_421);
            self.say_no(last, out);
        } else {
            self.refuse(now, refusal, out);
        }
        if delay > Duration::ZERO {
            self.pause = self.pause.max(Some(now + delay));
        }
    }
}

/// What a client responds, decoded.
fn response(line: Result<&[u8], LineError>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let line = line.map_err(|error| match error.kind {
        LineErrorKind::TooLong => Refusal::at(Limit::CommandLine, Reply::AUTH_LINE_TOO_LONG_500),
        _ => error.reply().into(),
    })?;
    // What is not UTF-8 is not base64 either.
    let text = String::from_utf8_lossy(line);
    match AuthResponse::parse(&text).map_err(|error| error.reply())? {
        AuthResponse::Cancel => Err(Reply::CANCELLED_501.into()),
        AuthResponse::Data(data) => Ok(Zeroizing::new(data.decode())),
    }
}
