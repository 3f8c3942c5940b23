//! The commands of a client (RFC 5321 §4.1.1 and its extensions), one line each.
//!
//! ```
//! use hikyaku_wire::Command;
//!
//! let line = b"rcpt to:<bob@example.org>";
//! let command: Command<&str> = Command::parse(line).unwrap(); // points into the line
//! let kept: Command = command.into_owned(); // has texts of its own
//! assert_eq!(kept, command);
//! assert_eq!(kept.to_string(), "RCPT TO:<bob@example.org>");
//! ```

mod argument;
mod auth;
mod error;

use std::fmt::{self, Write};

use bytes::BytesMut;

pub use self::{
    argument::Argument,
    auth::AuthCommand,
    error::{CommandError, CommandErrorKind},
};
use crate::{
    AddressErrorKind, ForwardPath, Hello, Mail, MailParams, Recipient, RecipientParams, ReversePath, Verb, XClient,
    grammar::{Mismatch, all, reason},
    verb::Known,
};

/// One command, without its CRLF.
///
/// A verb that is not known is a value too: whether to refuse it is the session's decision.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Command<T = Box<str>> {
    /// `HELO SP Domain` (RFC 5321 §4.1.1.1)
    Helo(Hello<T>),
    /// `EHLO SP ( Domain / address-literal )` (RFC 5321 §4.1.1.1)
    Ehlo(Hello<T>),
    /// `LHLO SP ( Domain / address-literal )` (RFC 2033 §4.1)
    Lhlo(Hello<T>),
    /// `MAIL FROM:Reverse-path [SP Mail-parameters]` (RFC 5321 §4.1.1.2)
    Mail(Mail<T>),
    /// `RCPT TO:Forward-path [SP Rcpt-parameters]` (RFC 5321 §4.1.1.3)
    Rcpt(Recipient<T>),
    /// `DATA` (RFC 5321 §4.1.1.4)
    Data,
    /// `BDAT SP chunk-size [SP "LAST"]` (RFC 3030 §2). The chunk follows at once, whatever the
    /// reply will be.
    Bdat {
        /// Octets of the chunk.
        size: u64,
        /// Whether it is the last one of the message.
        last: bool,
    },
    /// `RSET` (RFC 5321 §4.1.1.5)
    Rset,
    /// `NOOP [SP String]` (RFC 5321 §4.1.1.9)
    Noop(Option<Argument<T>>),
    /// `QUIT` (RFC 5321 §4.1.1.10)
    Quit,
    /// `VRFY SP String` (RFC 5321 §4.1.1.6), or with `SMTPUTF8` behind it (RFC 6531 §3.7.4.2): see
    /// [`Argument::before_smtputf8`].
    Vrfy(Argument<T>),
    /// `EXPN SP String` (RFC 5321 §4.1.1.7), or with `SMTPUTF8` behind it.
    Expn(Argument<T>),
    /// `HELP [SP String]` (RFC 5321 §4.1.1.8)
    Help(Option<Argument<T>>),
    /// `STARTTLS` (RFC 3207 §4)
    StartTls,
    /// `AUTH SP sasl-mech [SP initial-response]` (RFC 4954 §4)
    Auth(AuthCommand<T>),
    /// `XCLIENT 1*( SP attribute-name "=" attribute-value )`, of Postfix; there is no RFC
    XClient(XClient<T>),
    /// A verb that is none of these, and what stands behind it.
    Unknown(Verb<T>, Option<Argument<T>>),
}

impl<'a> Command<&'a str> {
    /// Reads one line, without its CRLF. Nothing is copied.
    ///
    /// Verbs and keywords are read in any case; exactly one space separates them from what
    /// follows; spaces at the end of the line are ignored (RFC 5321 §4.1.1).
    ///
    /// # Errors
    /// [`CommandError`] says what is wrong, where, and which reply belongs to it.
    pub fn parse(line: &'a [u8]) -> Result<Self, CommandError> {
        use CommandErrorKind as Kind;
        let mut line = line;
        while let [before @ .., b' ' | b'\t'] = line {
            line = before;
        }
        let verb = Known::read(line);
        // A verb alone needs no other look at the line.
        if verb.is_none_or(|verb| line.len() > verb.len()) && !all(line, |b| matches!(b, b' '..=b'~')) {
            check(line)?;
        }
        let Some(verb) = verb else {
            return unknown(line).ok_or(Kind::Unrecognized.at(0));
        };
        let text = std::str::from_utf8(line).map_err(|error| Kind::NotUtf8.at(error.valid_up_to()))?;
        let at = verb.len() + 1;
        let argument = text.get(at..);
        // Where the argument begins, or should.
        let at = at.min(line.len());
        let bare = |command| if argument.is_none() { Ok(command) } else { Err(Kind::Argument.at(at)) };
        let hello = || Hello::parse(argument.unwrap_or_default()).map_err(|e| Kind::Hello.at(at + e.at));
        let word = |text| Argument::parse(text).map_err(|e| e.kind.at(at + e.at));
        match verb {
            Known::Helo => hello().map(Self::Helo),
            Known::Ehlo => hello().map(Self::Ehlo),
            Known::Lhlo => hello().map(Self::Lhlo),
            Known::Mail => {
                let at = after(text, "MAIL FROM:")?;
                let (rest, from) = ReversePath::read(&text[at..]).map_err(|e| wrong_path(text, e, Kind::Sender))?;
                Ok(Self::Mail(Mail { from, params: MailParams::read(text, text.len() - rest.len())? }))
            }
            Known::Rcpt => {
                let at = after(text, "RCPT TO:")?;
                let (rest, to) = ForwardPath::read(&text[at..]).map_err(|e| wrong_path(text, e, Kind::Recipient))?;
                Ok(Self::Rcpt(Recipient { to, params: RecipientParams::read(text, text.len() - rest.len())? }))
            }
            Known::Data => bare(Self::Data),
            Known::Bdat => {
                let chunk = bdat(argument.unwrap_or_default()).ok_or(Kind::Argument.at(at))?;
                Ok(Self::Bdat { size: chunk.0, last: chunk.1 })
            }
            Known::Rset => bare(Self::Rset),
            Known::Noop => argument.map(word).transpose().map(Self::Noop),
            Known::Quit => bare(Self::Quit),
            Known::Vrfy => word(argument.unwrap_or_default()).map(Self::Vrfy),
            Known::Expn => word(argument.unwrap_or_default()).map(Self::Expn),
            Known::Help => argument.map(word).transpose().map(Self::Help),
            Known::StartTls => bare(Self::StartTls),
            Known::Auth => {
                let auth = AuthCommand::parse(argument.unwrap_or_default()).map_err(|e| e.kind.at(at + e.at))?;
                Ok(Self::Auth(auth))
            }
            Known::XClient => {
                let client = XClient::parse(argument.unwrap_or_default());
                client.map_err(|e| Kind::XClient(e.kind).at(at + e.at)).map(Self::XClient)
            }
        }
    }
}

/// Of a line that has other octets than printable ASCII: a control character has no place in a command,
/// among them the ones beyond ASCII (U+0080 to U+009F).
#[cold]
fn check(line: &[u8]) -> Result<(), CommandError> {
    let ascii = line.iter().position(|b| b.is_ascii_control() && *b != b'\t');
    let beyond = || line.windows(2).position(|pair| matches!(pair, [0xc2, 0x80..=0x9f]));
    ascii.or_else(beyond).map_or(Ok(()), |at| Err(CommandErrorKind::Unrecognized.at(at)))
}

/// A line with a verb that is not known; none if its first word cannot be a verb, or what follows
/// cannot be an argument.
fn unknown(line: &[u8]) -> Option<Command<&str>> {
    let text = std::str::from_utf8(line).ok()?;
    let (verb, argument) = match text.split_once(' ') {
        Some((verb, argument)) => (verb, Some(Argument::parse(argument).ok()?)),
        None => (text, None),
    };
    Some(Command::Unknown(Verb::parse(verb).ok()?, argument))
}

/// Where the path begins behind `verb`, of which the first four letters are known.
fn after(line: &str, verb: &str) -> Result<usize, CommandError> {
    match line.as_bytes().get(4..verb.len()) {
        Some(rest) if rest.eq_ignore_ascii_case(&verb.as_bytes()[4..]) => Ok(verb.len()),
        _ => Err(CommandErrorKind::Argument.at(4)),
    }
}

#[cold]
fn wrong_path(line: &str, error: nom::Err<Mismatch>, kind: fn(AddressErrorKind) -> CommandErrorKind) -> CommandError {
    let (why, at) = reason(line.as_bytes(), error);
    kind(why).at(at)
}

/// `chunk-size ::= 1*DIGIT` with `end-marker ::= LAST` (RFC 3030 §2). A size that is not read
/// exactly would let octets of the message run as commands: what has more than 20 digits or does
/// not fit 64 bits is no size.
fn bdat(argument: &str) -> Option<(u64, bool)> {
    let (digits, last) = match argument.split_once(' ') {
        Some((digits, last)) => (digits, last.eq_ignore_ascii_case("LAST").then_some(true)?),
        None => (argument, false),
    };
    let shaped = (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    shaped.then(|| digits.parse().ok()).flatten().map(|size| (size, last))
}

impl<T: AsRef<str>> Command<T> {
    /// Appends the line with its CRLF.
    pub fn write(&self, out: &mut BytesMut) {
        write!(out, "{self}\r\n").expect("a BytesMut grows, and no Display of this crate fails");
    }

    /// The same command with texts of its own.
    pub fn into_owned(self) -> Command
    where
        T: Into<Box<str>>,
    {
        match self {
            Self::Helo(name) => Command::Helo(name.into_owned()),
            Self::Ehlo(name) => Command::Ehlo(name.into_owned()),
            Self::Lhlo(name) => Command::Lhlo(name.into_owned()),
            Self::Mail(mail) => Command::Mail(mail.into_owned()),
            Self::Rcpt(recipient) => Command::Rcpt(recipient.into_owned()),
            Self::Data => Command::Data,
            Self::Bdat { size, last } => Command::Bdat { size, last },
            Self::Rset => Command::Rset,
            Self::Noop(argument) => Command::Noop(argument.map(Argument::into_owned)),
            Self::Quit => Command::Quit,
            Self::Vrfy(argument) => Command::Vrfy(argument.into_owned()),
            Self::Expn(argument) => Command::Expn(argument.into_owned()),
            Self::Help(argument) => Command::Help(argument.map(Argument::into_owned)),
            Self::StartTls => Command::StartTls,
            Self::Auth(auth) => Command::Auth(auth.into_owned()),
            Self::XClient(client) => Command::XClient(client.into_owned()),
            Self::Unknown(verb, argument) => Command::Unknown(verb.into_owned(), argument.map(Argument::into_owned)),
        }
    }
}

impl<T: AsRef<str>, U: AsRef<str>> PartialEq<Command<U>> for Command<T> {
    fn eq(&self, other: &Command<U>) -> bool {
        match (self, other) {
            (Self::Helo(a), Command::Helo(b))
            | (Self::Ehlo(a), Command::Ehlo(b))
            | (Self::Lhlo(a), Command::Lhlo(b)) => a == b,
            (Self::Mail(a), Command::Mail(b)) => a == b,
            (Self::Rcpt(a), Command::Rcpt(b)) => a == b,
            (Self::Bdat { size, last }, Command::Bdat { size: other_size, last: other_last }) => {
                size == other_size && last == other_last
            }
            (Self::Vrfy(a), Command::Vrfy(b)) | (Self::Expn(a), Command::Expn(b)) => a == b,
            (Self::Noop(a), Command::Noop(b)) | (Self::Help(a), Command::Help(b)) => same(a, b),
            (Self::Auth(a), Command::Auth(b)) => a == b,
            (Self::XClient(a), Command::XClient(b)) => a == b,
            (Self::Unknown(a, x), Command::Unknown(b, y)) => a == b && same(x, y),
            (Self::Data, Command::Data)
            | (Self::Rset, Command::Rset)
            | (Self::Quit, Command::Quit)
            | (Self::StartTls, Command::StartTls) => true,
            _ => false,
        }
    }
}

/// Two values that may be missing, each in a form of its own.
pub(crate) fn same<A: PartialEq<B>, B>(a: &Option<A>, b: &Option<B>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b,
        (a, b) => a.is_none() && b.is_none(),
    }
}

impl<T: AsRef<str>> Eq for Command<T> {}

impl<T: AsRef<str>> fmt::Display for Command<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind = |f: &mut fmt::Formatter<'_>, argument: &Option<Argument<T>>| match argument {
            Some(argument) => write!(f, " {argument}"),
            None => Ok(()),
        };
        match self {
            Self::Helo(name) => write!(f, "HELO {name}"),
            Self::Ehlo(name) => write!(f, "EHLO {name}"),
            Self::Lhlo(name) => write!(f, "LHLO {name}"),
            Self::Mail(mail) => mail.fmt(f),
            Self::Rcpt(recipient) => recipient.fmt(f),
            Self::Data => f.write_str("DATA"),
            Self::Bdat { size, last } => write!(f, "BDAT {size}{}", if *last { " LAST" } else { "" }),
            Self::Rset => f.write_str("RSET"),
            Self::Noop(argument) => f.write_str("NOOP").and_then(|()| behind(f, argument)),
            Self::Quit => f.write_str("QUIT"),
            Self::Vrfy(argument) => write!(f, "VRFY {argument}"),
            Self::Expn(argument) => write!(f, "EXPN {argument}"),
            Self::Help(argument) => f.write_str("HELP").and_then(|()| behind(f, argument)),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth(auth) => write!(f, "AUTH {auth}"),
            Self::XClient(client) => write!(f, "XCLIENT {client}"),
            Self::Unknown(verb, argument) => write!(f, "{verb}").and_then(|()| behind(f, argument)),
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
            ("DATA\t \t", "DATA"),
            ("rset", "RSET"),
            ("NOOP anything at all", "NOOP anything at all"),
            ("quit", "QUIT"),
            ("VRFY root", "VRFY root"),
            ("EXPN all", "EXPN all"),
            ("HELP", "HELP"),
            ("HELP data", "HELP data"),
            ("STARTTLS", "STARTTLS"),
            ("auth plain AGEAYg==", "AUTH PLAIN AGEAYg=="),
            ("AUTH SCRAM-SHA-256", "AUTH SCRAM-SHA-256"),
            ("etrn x.test", "ETRN x.test"),
            ("XCLIENTS a  b", "XCLIENTS a  b"),
            ("TURN", "TURN"),
            ("xclient NAME=a.test addr=[unavailable]", "XCLIENT NAME=a.test addr=[unavailable]"),
            ("send FROM:<a@b.test>", "SEND FROM:<a@b.test>"),
            ("bdat 0 last", "BDAT 0 LAST"),
            ("BDAT 007", "BDAT 7"),
            ("BDAT 18446744073709551615", "BDAT 18446744073709551615"),
            ("VRFY jörg SMTPUTF8", "VRFY jörg SMTPUTF8"),
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
        assert_eq!(mail(" SIZE=18446744073709551615"), format!("ok MAIL FROM:<a@b.test> SIZE={}", u64::MAX));
        assert_eq!(mail(" SIZE=18446744073709551616"), "552 5.3.4");
        assert_eq!(mail(" SIZE=99999999999999999999"), "552 5.3.4");
        assert_eq!(mail(" SIZE=000000000000000000001"), "501 5.5.4");
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
            "XCLIENT",
            "XCLIENT NAME=a NAME=b",
            "XCLIENT ADDR=a.test",
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
        for control in ['\u{80}', '\u{93}', '\u{9f}'] {
            assert_eq!(reply(format!("MAIL FROM:<> A={control}")), "500 5.5.2");
        }
        assert_eq!(reply("MAIL FROM:<> A=\u{a0}"), "ok MAIL FROM:<> A=\u{a0}");
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
    fn d21_a_chunk_has_one_size() {
        for line in [
            "BDAT",
            "BDAT 5 LAST X",
            "BDAT -1",
            "BDAT +1",
            "BDAT 1e3",
            "BDAT 18446744073709551616",
            "BDAT 99999999999999999999999 LAST",
            "BDAT 000000000000000000001",
            "BDAT 5 FIRST",
            "BDAT 5  LAST",
            "BDAT  5",
            "BDAT LAST",
            "BDAT 0x10",
        ] {
            assert_eq!(reply(line), "501 5.5.4", "{line}");
        }
        assert_eq!(Command::parse(b"bdat 86 last"), Ok(Command::<&str>::Bdat { size: 86, last: true }));
        assert_ne!(Command::parse(b"BDAT 86").unwrap(), Command::parse(b"BDAT 86 LAST").unwrap());
        assert_ne!(Command::parse(b"BDAT 86").unwrap(), Command::parse(b"BDAT 87").unwrap());
    }

    #[test]
    fn what_stands_behind_an_unknown_verb_is_kept() {
        let Command::Unknown(verb, argument) = Command::parse(b"etrn  @x.test").unwrap() else { panic!() };
        assert!(verb == "ETRN");
        assert_eq!(argument.unwrap().as_str(), " @x.test");
        assert_ne!(Command::parse(b"ETRN x").unwrap(), Command::parse(b"ETRN y").unwrap());
        assert_ne!(Command::parse(b"ETRN x").unwrap(), Command::parse(b"ETRN").unwrap());
    }
}
