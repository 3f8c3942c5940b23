use std::time::Instant;

use bytes::BytesMut;
use hikyaku_wire::{Body, Code, Command, EnhancedCode, LineErrorKind, Mail, Recipient, Reply};

use super::{
    Cause,
    connection::{Connection, Mode, Question, Turn},
};
use crate::Protocol;

/// Verbs of other protocols and of old or unoffered extensions: known, not done.
const NOT_IMPLEMENTED: [&str; 6] = ["TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML"];

/// The parameters that MAIL may have; SMTPUTF8 only where the configuration offers it.
const OFFERED: [&str; 3] = ["SIZE", "BODY", "SMTPUTF8"];

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
        // A line that is not whole stays in the input, so that this is its beginning.
        let chunk = !self.lines.discarding() && input.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
        let line = self.lines.next(input);
        let too_long = matches!(&line, Some(Err(error)) if error.kind == LineErrorKind::TooLong);
        if !too_long && self.lines.discarded() > self.session.config.limits.discarded_line {
            self.say(&Reply::TOO_MANY_ERRORS_421, out);
            return Turn::Done;
        }
        let Some(line) = line else { return Turn::Hungry };
        self.fresh = false;
        self.touch(now);
        let (line, command) = match &line {
            Ok(line) => (&line[..], Command::parse(line).map_err(|error| error.reply())),
            Err(error) => (if chunk { &b"BDAT"[..] } else { b"" }, Err(error.reply())),
        };
        match self.act(command, out) {
            Ok(turn) => turn,
            Err(reply) => {
                self.refuse(now, &reply, out);
                if has_verb(line, b"DATA") {
                    self.after_refused_data(input, out);
                } else if has_verb(line, b"BDAT") && self.barred.is_none() {
                    // Nobody knows how long its chunk is, which must not run as commands.
                    self.close();
                }
                Turn::Done
            }
        }
    }

    /// The transition table: what each command does in each state.
    fn act(&mut self, command: Result<Command<&str>, Reply>, out: &mut BytesMut) -> Result<Turn, Reply> {
        let protocol = self.session.protocol();
        match (&self.barred, command) {
            (_, Ok(Command::Quit)) => {
                self.say(&Reply::BYE_221, out);
                self.close();
            }
            (Some(barred), _) => return Err(barred.clone()),
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
                Command::Helo(_) | Command::Ehlo(_) | Command::Lhlo(_) => return Err(Reply::UNKNOWN_COMMAND_500),
                Command::Mail(mail) => {
                    self.may_begin(&mail)?;
                    self.ask(Question::Mail(mail.into_owned()));
                }
                Command::Rcpt(recipient) => {
                    if self.may_add(&recipient)? {
                        self.ask(Question::Recipient(recipient.into_owned()));
                    } else {
                        self.say(&Reply::TOO_MANY_RECIPIENTS_452, out);
                    }
                }
                Command::Data => {
                    self.may_receive()?;
                    return Ok(Turn::Data);
                }
                Command::Rset => {
                    self.end(Cause::Reset);
                    self.idle(&Reply::OK_250, out);
                }
                Command::Noop(_) => self.idle(&Reply::OK_250, out),
                Command::Vrfy(_) => self.idle(&Reply::VRFY_252, out),
                Command::Help(_) => self.idle(&Reply::HELP_214, out),
                Command::XClient(_) => return Err(Reply::UNKNOWN_COMMAND_500),
                Command::Bdat { .. } => {
                    // Its chunk follows unasked and must not run as commands.
                    self.say(&Reply::NOT_IMPLEMENTED_502, out);
                    self.close();
                }
                Command::Unknown(verb, _) if !NOT_IMPLEMENTED.iter().any(|known| verb == *known) => {
                    return Err(Reply::UNKNOWN_COMMAND_500);
                }
                _ => return Err(Reply::NOT_IMPLEMENTED_502),
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

    fn may_begin(&self, mail: &Mail<&str>) -> Result<(), Reply> {
        let session = &self.session;
        if session.hello.is_none() || session.transaction.is_some() {
            return Err(Reply::BAD_SEQUENCE_503);
        }
        let params = &mail.params;
        let unoffered = params.keywords().any(|keyword| !OFFERED.contains(&keyword))
            || params.body == Some(Body::BinaryMime)
            || (params.smtputf8 && !session.config.smtputf8);
        let any = params.keywords().next().is_some();
        if unoffered || (any && !session.extended) {
            return Err(Reply::UNKNOWN_PARAMETER_555);
        }
        if !params.smtputf8 && !mail.from.is_ascii() {
            return Err(Reply::UTF8_SENDER_550);
        }
        let limit = session.config.size;
        if limit > 0 && params.size.is_some_and(|size| size > limit) {
            return Err(Reply::TOO_BIG_552);
        }
        Ok(())
    }

    /// Whether there is room for another recipient.
    fn may_add(&mut self, recipient: &Recipient<&str>) -> Result<bool, Reply> {
        let limit = self.session.config.limits.recipients;
        let Some(transaction) = &mut self.session.transaction else {
            return Err(Reply::BAD_SEQUENCE_503);
        };
        if recipient.params.keywords().next().is_some() {
            return Err(Reply::UNKNOWN_PARAMETER_555);
        }
        if !transaction.mail.params.smtputf8 && !recipient.to.is_ascii() {
            return Err(Reply::UTF8_RECIPIENT_553);
        }
        let tried = transaction.accepted + transaction.refused;
        if tried < limit {
            return Ok(true);
        }
        if tried >= limit.saturating_mul(2) {
            return Err(Reply::TOO_MANY_ERRORS_421);
        }
        transaction.refused += 1;
        Ok(false)
    }

    fn may_receive(&self) -> Result<(), Reply> {
        match &self.session.transaction {
            Some(transaction) if transaction.accepted > 0 => Ok(()),
            Some(transaction) if transaction.refused > 0 && self.session.protocol() == Protocol::Smtp => {
                Err(Reply::NO_VALID_RECIPIENTS_554)
            }
            _ => Err(Reply::BAD_SEQUENCE_503),
        }
    }

    /// What follows a refused DATA without waiting is a message; run as
    /// commands it would be a second conversation inside the first.
    pub(super) fn after_refused_data(&mut self, input: &BytesMut, out: &mut BytesMut) {
        if !input.is_empty() && !self.is_closing() {
            let text = "the message came although DATA was refused";
            self.say(&Reply::new(Code::UNAVAILABLE_421, EnhancedCode::new(4, 7, 0), text), out);
        }
    }
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
