use std::time::Instant;

use bytes::{Buf, BytesMut};
use hikyaku_wire::{Body, Code, Command, EnhancedCode, LineError, LineErrorKind, Mail, Recipient, Reply};
use zeroize::Zeroize;

use super::{
    Cause, Limit, TlsMode,
    connection::{Connection, Mode, Question, Refusal, Turn},
};
use crate::Protocol;

/// Verbs of other protocols and of old or unoffered extensions: known, not done.
const NOT_IMPLEMENTED: [&str; 6] = ["TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML"];

/// The parameters that MAIL may have; SMTPUTF8 and AUTH only where they are offered.
const OFFERED: [&str; 4] = ["SIZE", "BODY", "SMTPUTF8", "AUTH"];

/// How the first line of what is not SMTP begins (HTTP, TLS, SSH).
const FOREIGN: [&[u8]; 12] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"PATCH ",
    b"TRACE ",
    b"HTTP/",
    b"SSH-",
    b"\x16\x03",
];

impl Connection {
    /// Takes one command line and acts on it.
    pub(super) fn command(&mut self, now: Instant, input: &mut BytesMut, out: &mut BytesMut) -> Turn {
        if self.fresh {
            match is_foreign(input) {
                Some(true) => {
                    self.say(&Reply::NOT_SMTP_554, out);
                    self.close();
                    return Turn::Done;
                }
                Some(false) => {}
                None => return Turn::Hungry,
            }
        }
        let (turn, used) = self.take_line(now, input, out);
        input.advance(used);
        turn
    }

    /// Acts on what `input` begins with, and says how much of it that was. Secrets are wiped.
    fn take_line(&mut self, now: Instant, input: &mut BytesMut, out: &mut BytesMut) -> (Turn, usize) {
        // A line that is not whole stays in the input, so that this is its beginning.
        let mut verb = if self.lines.discarding() { None } else { input.first_chunk::<4>().copied() };
        verb.iter_mut().for_each(|verb| verb.make_ascii_uppercase());
        let secret = matches!(self.mode, Mode::Response(_)) || verb == Some(*b"AUTH");
        self.lines.set_limit(self.line_limit(secret));
        let mut rest = &input[..];
        let line = self.lines.next_slice(&mut rest);
        let turn = self.line(now, line, verb, rest, out);
        let used = input.len() - rest.len();
        if secret {
            input[..used].zeroize();
        }
        (turn, used)
    }

    /// Acts on a line that begins with these four octets; `rest` stands behind it.
    fn line(
        &mut self,
        now: Instant,
        line: Option<Result<&[u8], LineError>>,
        verb: Option<[u8; 4]>,
        rest: &[u8],
        out: &mut BytesMut,
    ) -> Turn {
        let too_long = matches!(&line, Some(Err(error)) if error.kind == LineErrorKind::TooLong);
        if !too_long && self.lines.discarded() > self.session.config.limits.discarded_line {
            self.say_at(Limit::CommandLine, &Reply::TOO_MANY_ERRORS_421, out);
            return Turn::Done;
        }
        let Some(line) = line else { return Turn::Hungry };
        self.fresh = false;
        self.touch(now);
        if let Mode::Response(_) = self.mode
            && let Mode::Response(waiting) = std::mem::replace(&mut self.mode, Mode::Command)
        {
            self.respond(now, waiting, line, out);
            return Turn::Done;
        }
        if !self.count(out) {
            return Turn::Done;
        }
        let (line, command) = match line {
            Ok(line) => (line, Command::parse(line).map_err(|error| sized(error.reply()))),
            Err(_) if too_long && verb == Some(*b"AUTH") && self.offers_auth() => {
                (b"".as_slice(), Err(Refusal::at(Limit::CommandLine, Reply::AUTH_LINE_TOO_LONG_500)))
            }
            Err(error) => {
                let limit = too_long.then_some(Limit::CommandLine);
                let line = if verb == Some(*b"BDAT") { b"BDAT".as_slice() } else { b"" };
                (line, Err(Refusal { limit, ..error.reply().into() }))
            }
        };
        match self.act(now, command, rest, out) {
            Ok(turn) => turn,
            Err(refusal) => {
                self.refuse(now, refusal, out);
                if has_verb(line, b"DATA") {
                    self.after_refused_data(rest, out);
                } else if has_verb(line, b"BDAT") && self.barred.is_none() {
                    // Nobody knows how long its chunk is, which must not run as commands.
                    self.close();
                }
                Turn::Done
            }
        }
    }

    /// The transition table: what each command does in each state.
    fn act(
        &mut self,
        now: Instant,
        command: Result<Command<&str>, Refusal>,
        rest: &[u8],
        out: &mut BytesMut,
    ) -> Result<Turn, Refusal> {
        use Command::{Auth, Bdat, Data, Mail, Rcpt, Vrfy};
        let protocol = self.session.protocol();
        match (&self.barred, command) {
            (_, Ok(Command::Quit)) => {
                self.say(&Reply::BYE_221, out);
                self.close();
            }
            (Some(barred), _) => return Err(barred.clone().into()),
            (None, Ok(Mail(_) | Rcpt(_) | Data | Bdat { .. } | Vrfy(_) | Auth(_))) if self.session.lacks_tls() => {
                return Err(Reply::STARTTLS_FIRST_530.into());
            }
            (None, command) => match command? {
                Command::Helo(hello) if protocol == Protocol::Smtp => {
                    self.hello(Question::Hello { hello: hello.into_owned(), extended: false });
                }
                Command::Ehlo(hello) if protocol == Protocol::Smtp => {
                    self.hello(Question::Hello { hello: hello.into_owned(), extended: true });
                }
                Command::Lhlo(hello) if protocol == Protocol::Lmtp => {
                    self.hello(Question::Hello { hello: hello.into_owned(), extended: true });
                }
                Command::Helo(_) | Command::Ehlo(_) | Command::Lhlo(_) => return Err(Reply::UNKNOWN_COMMAND_500.into()),
                Mail(mail) => {
                    self.may_begin(&mail)?;
                    self.ask(Question::Mail(mail.into_owned()));
                }
                Rcpt(recipient) => {
                    if self.may_add(&recipient)? {
                        self.ask(Question::Recipient(recipient.into_owned()));
                    } else {
                        self.say_at(Limit::Recipients, &Reply::TOO_MANY_RECIPIENTS_452, out);
                    }
                }
                Data => {
                    self.may_receive()?;
                    return Ok(Turn::Data);
                }
                Command::Rset => {
                    self.end(Cause::Reset);
                    self.idle(&Reply::OK_250, out);
                }
                Command::Noop(_) => self.idle(&Reply::OK_250, out),
                Vrfy(_) => self.idle(&Reply::VRFY_252, out),
                Command::Help(_) => self.idle(&Reply::HELP_214, out),
                Command::StartTls => {
                    self.may_encrypt()?;
                    if rest.is_empty() {
                        self.mode = Mode::StartTls;
                        self.say(&Reply::READY_TO_START_TLS_220, out);
                    } else {
                        // Anybody can have put it there, to run as if it had been encrypted.
                        self.say(&Reply::EARLY_INPUT_554, out);
                        self.close();
                    }
                }
                Auth(auth) => self.authenticate(now, &auth, out)?,
                Command::XClient(_) => return Err(Reply::UNKNOWN_COMMAND_500.into()),
                Bdat { .. } => {
                    // Its chunk follows unasked and must not run as commands.
                    self.say(&Reply::NOT_IMPLEMENTED_502, out);
                    self.close();
                }
                Command::Unknown(verb, _) if !NOT_IMPLEMENTED.iter().any(|known| verb == *known) => {
                    return Err(Reply::UNKNOWN_COMMAND_500.into());
                }
                _ => return Err(Reply::NOT_IMPLEMENTED_502.into()),
            },
        }
        Ok(Turn::Done)
    }

    fn ask(&mut self, question: Question) {
        self.mode = Mode::Ask(Box::new(question));
    }

    fn hello(&mut self, question: Question) {
        self.end(Cause::Hello);
        self.ask(question);
    }

    fn may_encrypt(&self) -> Result<(), Refusal> {
        let session = &self.session;
        match session.config.tls {
            TlsMode::Off => Err(Reply::NOT_IMPLEMENTED_502.into()),
            _ if session.tls.is_some() || session.transaction.is_some() => Err(Reply::BAD_SEQUENCE_503.into()),
            _ => Ok(()),
        }
    }

    fn may_begin(&self, mail: &Mail<&str>) -> Result<(), Refusal> {
        let session = &self.session;
        if session.hello.is_none() || session.transaction.is_some() {
            return Err(Reply::BAD_SEQUENCE_503.into());
        }
        let params = &mail.params;
        let unoffered = params.keywords().any(|keyword| !OFFERED.contains(&keyword))
            || params.body == Some(Body::BinaryMime)
            || (params.smtputf8 && !session.config.smtputf8)
            || (params.auth.is_some() && !self.has_auth());
        let any = params.keywords().next().is_some();
        if unoffered || (any && !session.extended) {
            return Err(Reply::UNKNOWN_PARAMETER_555.into());
        }
        if !params.smtputf8 && !mail.from.is_ascii() {
            return Err(Reply::UTF8_SENDER_550.into());
        }
        let limit = session.config.size;
        if limit > 0 && params.size.is_some_and(|size| size > limit) {
            return Err(Refusal::at(Limit::MessageSize, Reply::TOO_BIG_552));
        }
        Ok(())
    }

    /// Whether there is room for another recipient.
    fn may_add(&mut self, recipient: &Recipient<&str>) -> Result<bool, Refusal> {
        let limit = self.session.config.limits.recipients;
        let Some(transaction) = &mut self.session.transaction else {
            return Err(Reply::BAD_SEQUENCE_503.into());
        };
        if recipient.params.keywords().next().is_some() {
            return Err(Reply::UNKNOWN_PARAMETER_555.into());
        }
        if !transaction.mail.params.smtputf8 && !recipient.to.is_ascii() {
            return Err(Reply::UTF8_RECIPIENT_553.into());
        }
        let tried = transaction.accepted + transaction.refused;
        if tried < limit {
            return Ok(true);
        }
        if tried >= limit.saturating_mul(2) {
            return Err(Refusal::at(Limit::Recipients, Reply::TOO_MANY_ERRORS_421));
        }
        transaction.refused += 1;
        Ok(false)
    }

    fn may_receive(&self) -> Result<(), Refusal> {
        match &self.session.transaction {
            Some(transaction) if transaction.accepted > 0 => Ok(()),
            Some(transaction) if transaction.refused > 0 && self.session.protocol() == Protocol::Smtp => {
                Err(Reply::NO_VALID_RECIPIENTS_554.into())
            }
            _ => Err(Reply::BAD_SEQUENCE_503.into()),
        }
    }

    /// What follows a refused DATA without waiting is a message; run as
    /// commands it would be a second conversation inside the first.
    pub(super) fn after_refused_data(&mut self, input: &[u8], out: &mut BytesMut) {
        if !input.is_empty() && !self.is_closing() {
            let text = "the message came although DATA was refused";
            self.say(&Reply::new(Code::UNAVAILABLE_421, EnhancedCode::new(4, 7, 0), text), out);
        }
    }
}

/// A size that is too big for 64 bits is too big for the limit, too.
fn sized(reply: Reply) -> Refusal {
    if reply == Reply::TOO_BIG_552 { Refusal::at(Limit::MessageSize, reply) } else { reply.into() }
}

/// Whether this is the first word of a line that is wrong.
fn has_verb(line: &[u8], verb: &[u8; 4]) -> bool {
    matches!(line.split_at_checked(4), Some((word, rest))
        if word.eq_ignore_ascii_case(verb) && matches!(rest.first(), None | Some(b' ' | b'\t')))
}

/// Whether the first bytes are those of another protocol; none: too early to say.
fn is_foreign(input: &[u8]) -> Option<bool> {
    if FOREIGN.iter().any(|start| input.starts_with(start)) {
        Some(true)
    } else if FOREIGN.iter().any(|start| start.starts_with(input)) {
        None
    } else {
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Tls,
        sasl::Mechanism,
        server::{Auth, Config, Peer, Session},
    };

    #[test]
    fn the_lines_of_auth_are_wiped() {
        let auth = Auth { mechanisms: vec![Mechanism::Plain], ..Auth::default() };
        let config = Config { tls: TlsMode::StartTls, auth, ..Config::new("mx.example.test") };
        let now = Instant::now();
        let mut connection = Connection::new(Session::new(Arc::new(config), Peer::default(), "c1".into()), now);
        connection.encrypted(now, Tls::default());
        let mut out = BytesMut::new();
        for (line, wiped) in [
            ("NOOP secret\r\n", false),
            ("auth PLAIN AGFsaWNlAHNlY3JldA==\r\n", true),
            ("EHLO client.test\r\n", false),
            ("AUTH PLAIN\r\n", true),
            ("AGFsaWNlAHNlY3JldA==\r\n", true),
        ] {
            if matches!(connection.mode, Mode::Ask(_)) {
                connection.mode = Mode::Command;
                connection.session.hello = Some("client.test".parse().expect("a name"));
                connection.session.extended = true;
            }
            let mut input = BytesMut::from(line);
            let (_, used) = connection.take_line(now, &mut input, &mut out);
            assert_eq!(used, line.len());
            assert_eq!(input.iter().all(|octet| *octet == 0), wiped, "{line}");
        }
        assert!(matches!(connection.mode, Mode::Authenticate(_)));
    }
}
