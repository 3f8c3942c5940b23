//! The commands of a client (RFC 5321 §4.1.1 and its extensions), one line each.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::{
    AddressError, AddressErrorKind, Code, EnhancedCode, ForwardPath, Hello, Mail, MailParams, Recipient,
    RecipientParams, Reply, ReversePath, Verb,
    verb::{self, Known},
};

/// One command, without its CRLF.
///
/// A verb that is not known is a value too: whether to refuse it is the session's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `HELO SP Domain` (RFC 5321 §4.1.1.1)
    Helo(Hello),
    /// `EHLO SP ( Domain / address-literal )` (RFC 5321 §4.1.1.1)
    Ehlo(Hello),
    /// `LHLO SP ( Domain / address-literal )` (RFC 2033 §4.1)
    Lhlo(Hello),
    /// `MAIL FROM:Reverse-path [SP Mail-parameters]` (RFC 5321 §4.1.1.2)
    Mail(Mail),
    /// `RCPT TO:Forward-path [SP Rcpt-parameters]` (RFC 5321 §4.1.1.3)
    Rcpt(Recipient),
    /// `DATA` (RFC 5321 §4.1.1.4)
    Data,
    /// `RSET` (RFC 5321 §4.1.1.5)
    Rset,
    /// `NOOP [SP String]` (RFC 5321 §4.1.1.9); the string is dropped.
    Noop,
    /// `QUIT` (RFC 5321 §4.1.1.10)
    Quit,
    /// `VRFY SP String` (RFC 5321 §4.1.1.6)
    Vrfy(Argument),
    /// `EXPN SP String` (RFC 5321 §4.1.1.7)
    Expn(Argument),
    /// `HELP [SP String]` (RFC 5321 §4.1.1.8)
    Help(Option<Argument>),
    /// `STARTTLS` (RFC 3207 §4)
    StartTls,
    /// `AUTH SP sasl-mech [SP initial-response]` (RFC 4954 §4)
    Auth(AuthCommand),
    /// A verb that is none of these.
    Unknown(Verb),
}

/// The text behind a verb: printable, without line ends or other control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument(Box<str>);

impl Argument {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What AUTH says. Its initial response is a secret, which is why `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthCommand {
    mechanism: Box<str>,
    initial_response: Option<Box<str>>,
}

impl AuthCommand {
    /// The name of the mechanism in upper case.
    pub fn mechanism(&self) -> &str {
        &self.mechanism
    }

    /// The initial response, still in base64; `=` is an empty one.
    pub fn initial_response(&self) -> Option<&str> {
        self.initial_response.as_deref()
    }
}

impl fmt::Debug for AuthCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthCommand").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// Why a line is not a command, and at which octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct CommandError {
    /// What is wrong.
    pub kind: CommandErrorKind,
    /// The octet, counted from 0 at the start of the line.
    pub at: usize,
}

/// What is wrong with a line that should be a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// No verb at the start of the line, or a control character in it.
    #[error("command not recognized")]
    Unrecognized,
    /// Something stands behind a verb that takes no argument, or the argument is missing.
    #[error("syntax error in argument")]
    Argument,
    /// Not a valid name or address literal behind EHLO, HELO or LHLO.
    #[error("invalid host name")]
    Hello,
    /// Not a valid reverse-path.
    #[error("invalid sender: {0}")]
    Sender(AddressErrorKind),
    /// Not a valid forward-path.
    #[error("invalid recipient: {0}")]
    Recipient(AddressErrorKind),
    /// A parameter is malformed, has a value that it cannot have, or comes twice.
    #[error("invalid parameter")]
    Parameter,
    /// The line is not UTF-8 (RFC 6531 §3.3).
    #[error("not UTF-8")]
    NotUtf8,
}

impl CommandErrorKind {
    pub(crate) fn at(self, at: usize) -> CommandError {
        CommandError { kind: self, at }
    }
}

impl CommandError {
    /// The reply that belongs to this error (RFC 5321 §4.2.2, RFC 3463).
    pub fn reply(&self) -> Reply {
        use CommandErrorKind::*;
        let (code, enhanced) = match self.kind {
            Unrecognized => (Code::SYNTAX_ERROR_500, EnhancedCode::new(5, 5, 2)),
            Argument | Hello | Parameter => (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 4)),
            NotUtf8 | Sender(AddressErrorKind::NotUtf8) | Recipient(AddressErrorKind::NotUtf8) => {
                (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 5, 2))
            }
            Sender(_) => (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 1, 7)),
            Recipient(_) => (Code::PARAMETER_ERROR_501, EnhancedCode::new(5, 1, 3)),
        };
        Reply::new(code, enhanced, self.to_string())
    }
}

impl Command {
    /// Reads one line, without its CRLF.
    ///
    /// Verbs and keywords are read in any case; exactly one space separates them from what
    /// follows; spaces at the end of the line are ignored (RFC 5321 §4.1.1).
    ///
    /// # Errors
    /// [`CommandError`] says what is wrong, where, and which reply belongs to it.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        use CommandErrorKind as Kind;
        if let Some(at) = line.iter().position(|b| b.is_ascii_control() && *b != b'\t') {
            return Err(Kind::Unrecognized.at(at));
        }
        let line = line.trim_ascii_end();
        let word = line.split(|b| *b == b' ').next().unwrap_or_default();
        let Some(verb) = verb::known(word) else {
            return Verb::read(line).map(Self::Unknown).ok_or(Kind::Unrecognized.at(0));
        };
        let at = word.len() + 1;
        let argument = line.get(at..);
        let bare = |command: Self| match argument {
            None => Ok(command),
            Some(_) => Err(Kind::Argument.at(at)),
        };
        let hello = || Hello::read(argument.unwrap_or_default()).ok_or(Kind::Hello.at(at.min(line.len())));
        let text = || Argument::read(argument.unwrap_or_default(), at.min(line.len()));
        match verb {
            Known::Helo => hello().map(Self::Helo),
            Known::Ehlo => hello().map(Self::Ehlo),
            Known::Lhlo => hello().map(Self::Lhlo),
            Known::Mail => mail(line).map(Self::Mail),
            Known::Rcpt => rcpt(line).map(Self::Rcpt),
            Known::Data => bare(Self::Data),
            Known::Rset => bare(Self::Rset),
            Known::Noop => argument.map_or(Ok(()), |_| text().map(drop)).map(|()| Self::Noop),
            Known::Quit => bare(Self::Quit),
            Known::Vrfy => text().map(Self::Vrfy),
            Known::Expn => text().map(Self::Expn),
            Known::Help => argument.map(|_| text()).transpose().map(Self::Help),
            Known::StartTls => bare(Self::StartTls),
            Known::Auth => {
                auth(argument.unwrap_or_default()).ok_or(Kind::Argument.at(at.min(line.len()))).map(Self::Auth)
            }
        }
    }

    /// Appends the line with its CRLF.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(self.to_string().as_bytes());
        out.put_slice(b"\r\n");
    }
}

impl Argument {
    fn read(argument: &[u8], at: usize) -> Result<Self, CommandError> {
        let text = std::str::from_utf8(argument).map_err(|_| CommandErrorKind::NotUtf8.at(at))?;
        let valid = !text.is_empty() && !text.contains(char::is_control);
        valid.then(|| Self(text.into())).ok_or(CommandErrorKind::Argument.at(at))
    }
}

/// What stands behind `keyword`, and where.
fn after<'a>(line: &'a [u8], keyword: &str) -> Result<&'a [u8], CommandError> {
    match line.split_at_checked(keyword.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(keyword.as_bytes()) => Ok(rest),
        _ => Err(CommandErrorKind::Argument.at("MAIL".len())),
    }
}

fn moved(by: usize, kind: fn(AddressErrorKind) -> CommandErrorKind) -> impl Fn(AddressError) -> CommandError {
    move |error| kind(error.kind).at(by + error.at)
}

/// Octets that are no text are told apart from a path that is wrong (RFC 6531 §3.3); controls
/// beyond ASCII (U+0080 to U+009F) have no place in a command either.
fn utf8(line: &[u8]) -> Result<(), CommandError> {
    let text = std::str::from_utf8(line).map_err(|error| CommandErrorKind::NotUtf8.at(error.valid_up_to()))?;
    let control = text.find(|c: char| c.is_control() && c != '\t');
    control.map_or(Ok(()), |at| Err(CommandErrorKind::Unrecognized.at(at)))
}

fn mail(line: &[u8]) -> Result<Mail, CommandError> {
    utf8(line)?;
    let rest = after(line, "MAIL FROM:")?;
    let at = line.len() - rest.len();
    let (rest, from) = ReversePath::read(rest).map_err(moved(at, CommandErrorKind::Sender))?;
    let params = MailParams::read(rest, line.len() - rest.len())?;
    Ok(Mail { from, params })
}

fn rcpt(line: &[u8]) -> Result<Recipient, CommandError> {
    utf8(line)?;
    let rest = after(line, "RCPT TO:")?;
    let at = line.len() - rest.len();
    let (rest, to) = ForwardPath::read(rest).map_err(moved(at, CommandErrorKind::Recipient))?;
    let params = RecipientParams::read(rest, line.len() - rest.len())?;
    Ok(Recipient { to, params })
}

/// `sasl-mech = 1*20mech-char`, `initial-response = base64 / "="` (RFC 4954 §8). Whether the
/// base64 is right is the session's question, because its reply depends on the state.
fn auth(argument: &[u8]) -> Option<AuthCommand> {
    let mut words = argument.split(|b| *b == b' ');
    let mechanism = words.next().filter(|w| (1..=20).contains(&w.len()))?;
    let valid = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_';
    let response = words.next();
    let shaped = |w: &[u8]| !w.is_empty() && w.iter().all(u8::is_ascii_graphic);
    if !mechanism.iter().all(valid) || !response.is_none_or(shaped) || words.next().is_some() {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(AuthCommand {
        mechanism: text(mechanism).to_ascii_uppercase().into(),
        initial_response: response.map(|r| text(r).into()),
    })
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Helo(name) => write!(f, "HELO {name}"),
            Self::Ehlo(name) => write!(f, "EHLO {name}"),
            Self::Lhlo(name) => write!(f, "LHLO {name}"),
            Self::Mail(mail) => mail.fmt(f),
            Self::Rcpt(recipient) => recipient.fmt(f),
            Self::Data => f.write_str("DATA"),
            Self::Rset => f.write_str("RSET"),
            Self::Noop => f.write_str("NOOP"),
            Self::Quit => f.write_str("QUIT"),
            Self::Vrfy(argument) => write!(f, "VRFY {argument}"),
            Self::Expn(argument) => write!(f, "EXPN {argument}"),
            Self::Help(None) => f.write_str("HELP"),
            Self::Help(Some(argument)) => write!(f, "HELP {argument}"),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth(auth) => {
                write!(f, "AUTH {}", auth.mechanism)?;
                auth.initial_response.iter().try_for_each(|response| write!(f, " {response}"))
            }
            Self::Unknown(verb) => verb.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(line: impl AsRef<[u8]>) -> String {
        match Command::parse(line.as_ref()) {
            Ok(command) => format!("ok {command}"),
            Err(error) => {
                let reply = error.reply();
                format!("{} {}", reply.code(), reply.enhanced().unwrap())
            }
        }
    }

    #[test]
    fn every_command_prints_what_it_parses() {
        for (line, printed) in [
            ("helo x.test", "HELO x.test"),
            ("EHLO [IPv6:::1]", "EHLO [IPv6:::1]"),
            ("EHLO my_pc", "EHLO my_pc"),
            ("EHLO xn--bcher-kva.test", "EHLO xn--bcher-kva.test"),
            ("LHLO x.test", "LHLO x.test"),
            ("mail from:<A@B.test> size=100 BODY=8bitmime", "MAIL FROM:<A@B.test> SIZE=100 BODY=8BITMIME"),
            ("MAIL FROM:<> SIZE=0 SMTPUTF8 X-Y=z", "MAIL FROM:<> SIZE=0 SMTPUTF8 X-Y=z"),
            ("MAIL FROM:<a@b.test> FOO=1", "MAIL FROM:<a@b.test> FOO=1"),
            ("RCPT TO:<postMASTER>", "RCPT TO:<postmaster>"),
            ("RCPT TO:<@a.test,@b.test:u@c.test>", "RCPT TO:<u@c.test>"),
            ("RCPT TO:<u@c.test> NOTIFY=NEVER", "RCPT TO:<u@c.test> NOTIFY=NEVER"),
            ("DATA  ", "DATA"),
            ("rset", "RSET"),
            ("NOOP anything at all", "NOOP"),
            ("quit", "QUIT"),
            ("VRFY root", "VRFY root"),
            ("EXPN all", "EXPN all"),
            ("HELP", "HELP"),
            ("HELP data", "HELP data"),
            ("STARTTLS", "STARTTLS"),
            ("auth plain AGEAYg==", "AUTH PLAIN AGEAYg=="),
            ("AUTH SCRAM-SHA-256", "AUTH SCRAM-SHA-256"),
            ("etrn x.test", "ETRN"),
            ("TURN", "TURN"),
            ("SEND FROM:<a@b.test>", "SEND"),
        ] {
            assert_eq!(reply(line), format!("ok {printed}"));
            let again = Command::parse(printed.as_bytes()).unwrap();
            assert_eq!(Command::parse(line.as_bytes()), Ok(again));
        }
    }

    #[test]
    fn d4_d5_d6_d8_d10_paths() {
        for line in [
            "MAIL FROM: <a@b.test>",
            "MAIL FROM:< >",
            "MAIL FROM:<postmaster>",
            "MAIL FROM:<a..b@c.test>",
            "MAIL FROM:<x>",
            "MAIL FROM:a@b.test",
            "MAIL FROM:",
            "MAIL FROM:<;sh@x;y>",
        ] {
            assert_eq!(reply(line), "501 5.1.7", "{line}");
        }
        for line in [
            "RCPT TO:<root>",
            "RCPT TO:<>",
            "RCPT TO:<@a.test@b.test>",
            "RCPT TO:<@a.test:>",
            "RCPT TO:<\"a\"b@d.test>",
            "RCPT TO:<a@x.test.>",
            "RCPT TO:<u@c.test",
            "RCPT TO: <u@c.test>",
        ] {
            assert_eq!(reply(line), "501 5.1.3", "{line}");
        }
    }

    #[test]
    fn d17_names_behind_ehlo() {
        for line in ["EHLO", "EHLO ", "EHLO a b", "EHLO bücher.test", "EHLO [1.2.3]", "EHLO a;b", "HELO (x)"] {
            assert_eq!(reply(line), "501 5.5.4", "{line}");
        }
        assert_eq!(reply(format!("EHLO {}", "x".repeat(256))), "501 5.5.4");
    }

    #[test]
    fn d18_parameters() {
        let mail = |params: &str| reply(format!("MAIL FROM:<a@b.test>{params}"));
        for params in [
            " SIZE=1 SIZE=2",
            " size=1 SIZE=1",
            " SIZE=",
            " SIZE=-1",
            " SIZE=999999999999999999999",
            " =x",
            "SIZE=1",
            "  SIZE=1",
            " BODY=",
            " BODY=9BIT",
            " SMTPUTF8=1",
            " SIZE",
            " A=b=c",
            " A\u{1}",
        ] {
            assert!(mail(params).starts_with("50"), "{params}: {}", mail(params));
        }
        assert_eq!(mail(" SIZE=99999999999999999999"), format!("ok MAIL FROM:<a@b.test> SIZE={}", u64::MAX));
        let twice = "RCPT TO:<a@b.test> NOTIFY=NEVER NOTIFY=NEVER";
        assert_eq!(reply(twice), "501 5.5.4");
    }

    #[test]
    fn arguments_where_none_belong_and_the_reverse() {
        for line in [
            "DATA junk",
            "QUIT junk",
            "RSET x",
            "STARTTLS x",
            "VRFY",
            "EXPN",
            "AUTH",
            "AUTH PLAIN a b",
            "MAIL",
            "MAIL FROM",
            "RCPT",
            "RCPT FROM:<a@b.test>",
            "MAIL TO:<a@b.test>",
            "AUTH waytoolongformechanism",
        ] {
            assert_eq!(reply(line), "501 5.5.4", "{line}");
        }
    }

    #[test]
    fn d16_d23_octets_that_are_no_text() {
        assert_eq!(reply("RCPT TO:<ü@d.test>"), "ok RCPT TO:<ü@d.test>");
        assert_eq!(reply(b"RCPT TO:<\xc3(@d.test>"), "501 5.5.2");
        assert_eq!(reply(b"RCPT TO:<\xc3@d.test>"), "501 5.5.2");
        assert_eq!(reply(b"VRFY \xff"), "501 5.5.2");
        assert_eq!(reply("MAIL FROM:<> A=\u{93}"), "500 5.5.2");
        for line in
            [&b"\0"[..], b"", b" ", b"NOOP \x00", b"\x16\x03\x01", b"RCPT TO:<a\0@b.test>", b"NO\rOP", b"\xff\xfe"]
        {
            assert_eq!(reply(line), "500 5.5.2", "{line:?}");
        }
    }

    #[test]
    fn an_error_points_at_the_octet() {
        let at = |line: &str| Command::parse(line.as_bytes()).unwrap_err().at;
        assert_eq!(at("MAIL FROM:<bob@@x.test>"), 15);
        assert_eq!(at("MAIL FROM:<a@b.test> SIZE="), 25);
        assert_eq!(at("MAIL FROM:<a@b.test> SIZE=1 SIZE=2"), 28);
        assert_eq!(at("RCPT TO:<a b@x.test>"), 10);
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let command = Command::parse(b"AUTH PLAIN c2VjcmV0").unwrap();
        assert!(!format!("{command:?}").contains("c2VjcmV0"));
    }
}
