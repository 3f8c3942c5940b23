//! AUTH (RFC 4954): the challenges of the remote, and what this side responds.

use std::time::Instant;

use bytes::BytesMut;
use hikyaku_wire::{AuthCommand, Base64, Code, Command, EnhancedCode, InitialResponse, Reply};

use super::outcome::Outcome;
use super::receive::{Link, Waits};
use super::step::{Close, Ready, Step, Unsupported};
use crate::sasl::{
    Mechanism, Password,
    client::{self, ClientError, Credentials, Exchange},
};

impl Ready {
    /// Proves to the remote who this side is, with the strongest mechanism that fits.
    ///
    /// The nonce is 18 octets that nobody can guess, new for each call. Nothing is sent without
    /// TLS, whatever the mechanism, and no password or token to a remote whose certificate is not
    /// believed ([`Tls::certificate`](crate::Tls::certificate)): else whoever sits between would
    /// have it. If the remote has spoken unasked, the step is [`Step::Close`].
    ///
    /// The conversation ends if the remote does not believe it: with the remote's own reply, which
    /// is 535 5.7.8 for a wrong password. It says something of the credentials and nothing of a
    /// message: who has mail to send keeps it and tries again when they are put right. It also
    /// ends, with 454 4.7.0, if the remote accepts without having proved who it is.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] with 454 4.7.11 without TLS, 454 4.7.5 without a certificate, 454 4.7.4 if no mechanism fits, 454 4.7.0
    /// if the credentials cannot be sent, and 503 5.5.1 after an earlier success or in
    /// a transaction (RFC 4954 §4). Nothing was sent.
    pub fn authenticate(
        mut self,
        credentials: &Credentials,
        nonce: [u8; 18],
        now: Instant,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Step, Unsupported> {
        if let Some(why) = self.link.interrupted(input) {
            return Ok(Close::because(why));
        }
        match self.begin(credentials, nonce, out) {
            Ok(exchange) => Ok(self.link.await_auth(Waits::Auth(exchange), now)),
            Err(reply) => Err(Unsupported { ready: Box::new(self), reply }),
        }
    }

    fn begin(&self, credentials: &Credentials, nonce: [u8; 18], out: &mut BytesMut) -> Result<Auth, Reply> {
        if self.link.authenticated || self.stale {
            return Err(Reply::BAD_SEQUENCE_503);
        }
        let Some(tls) = &self.link.tls else {
            return Err(refusal(11, "credentials are not sent without TLS"));
        };
        if tls.certificate.is_none() && *credentials != Credentials::Certificate {
            return Err(refusal(5, "credentials are not sent to a remote whose certificate is not verified"));
        }
        let offers = |mechanism: Mechanism| self.link.capabilities.has_mechanism(mechanism.name());
        let Some(mechanism) = credentials.mechanism(offers, tls.exporter.is_some()) else {
            return Err(refusal(4, "the remote offers no mechanism that fits the credentials"));
        };
        let offers_plus = offers(Mechanism::ScramSha256Plus);
        let (initial, exchange) = client::start(mechanism, credentials, tls.exporter, offers_plus, nonce)
            .map_err(|error| refusal(0, error.to_string()))?;
        let initial = initial.map(|octets| Base64::encode(&octets)).transpose();
        let initial = initial.map_err(|_| refusal(0, ClientError::Credentials.to_string()))?.map(InitialResponse::new);
        let (now, later) = match initial {
            Some(response) if response.fits_in_command(mechanism.name()) => (Some(response), None),
            response => (None, response.map(|response| Password::new(response.as_str()))),
        };
        let command = AuthCommand::new(mechanism.name(), now.as_ref().map(InitialResponse::as_str));
        Command::Auth(command.expect("a mechanism has a name, and base64 is printable")).write(out);
        Ok(Auth { exchange, later })
    }
}

fn refusal(detail: u16, text: impl Into<std::borrow::Cow<'static, str>>) -> Reply {
    Reply::new(Code::TEMPORARY_AUTH_FAILURE_454, EnhancedCode::new(4, 7, detail), text)
}

/// An exchange that waits for the remote.
#[derive(Debug)]
pub(super) struct Auth {
    exchange: Exchange,
    /// The line with the initial response, if it did not fit into the command: then the first
    /// challenge is empty, and asks for it (RFC 4954 §4).
    later: Option<Password>,
}

impl Auth {
    /// The line that answers a 334.
    fn respond(&mut self, reply: &Reply) -> Result<Password, ClientError> {
        let mut lines = reply.lines();
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(ClientError::Challenge) };
        let challenge = Base64::parse(line).map_err(|_| ClientError::Challenge)?;
        if let Some(response) = self.later.take() {
            return if challenge.is_empty() { Ok(response) } else { Err(ClientError::Challenge) };
        }
        let response = self.exchange.respond(&challenge.decode())?;
        let response = Base64::encode(&response).map_err(|_| ClientError::Credentials)?;
        Ok(Password::new(response.as_str()))
    }
}

impl Link {
    fn await_auth(self, waits: Waits, now: Instant) -> Step {
        let deadline = now + self.config.timeouts.auth;
        self.wait(waits, deadline)
    }

    pub(super) fn auth_answered(
        mut self,
        mut auth: Auth,
        now: Instant,
        reply: Reply,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Step {
        match reply.code().as_u16() {
            334 => {
                if let Some(why) = self.interrupted(input) {
                    return Close::because(why);
                }
                match auth.respond(&reply) {
                    Ok(line) => {
                        out.extend_from_slice(line.as_str().as_bytes());
                        out.extend_from_slice(b"\r\n");
                        self.await_auth(Waits::Auth(auth), now)
                    }
                    Err(error) => {
                        out.extend_from_slice(b"*\r\n");
                        self.await_auth(Waits::Cancelled(given_up(error)), now)
                    }
                }
            }
            // It cannot know yet what it accepts.
            235 if auth.later.is_some() => Close::because(Outcome::desync()),
            235 => match auth.exchange.accepted() {
                Ok(()) => {
                    self.authenticated = true;
                    Step::Ready(Ready::new(self, false))
                }
                Err(error) => Close::because(given_up(error)),
            },
            400..=599 => self.turned_away(reply, now, out),
            _ => Close::because(Outcome::desync()),
        }
    }

    /// The answer to `*` (RFC 4954 §4): whatever it is, the conversation ends, politely if it
    /// is a refusal.
    pub(super) fn cancel_answered(self, why: Outcome, now: Instant, reply: &Reply, out: &mut BytesMut) -> Step {
        match reply.code().as_u16() {
            400..=420 | 422..=599 => self.quit(Some(why), now, out),
            _ => Close::because(why),
        }
    }
}

fn given_up(error: ClientError) -> Outcome {
    Outcome::ours(refusal(0, error.to_string()))
}
