//! Targets of command lines and of what stands in them.

use bytes::BytesMut;

use crate::{
    Argument, AuthCommand, AuthParam, Body, Command, DeliverBy, Domain, EnvelopeId, ForwardPath, Hello, Hold, HoldFor,
    Host, LocalPart, Mail, MailParams, Mailbox, Notify, OriginalRecipient, Param, Priority, Recipient, RecipientParams,
    Ret, ReversePath, Verb,
};

/// Any line: what parses prints, and what is printed parses to the same command. An error has a
/// permanent reply and points into the line.
pub fn command(data: &[u8]) {
    match Command::parse(data) {
        Ok(command) => the_same_again(&command.into_owned(), Some(&command)),
        Err(error) => {
            assert!(error.at <= data.len());
            assert!(error.reply().is_permanent());
        }
    }
}

/// A command and its printed form mean the same, and so does the borrowed form of it.
fn the_same_again(command: &Command, borrowed: Option<&Command<&str>>) {
    let printed = command.to_string();
    assert!(!printed.contains(char::is_control), "{printed:?}");
    let again = Command::parse(printed.as_bytes()).expect("what is printed parses");
    assert_eq!(&again, command, "{printed}");
    assert_eq!(again.to_string(), printed);
    if let Some(borrowed) = borrowed {
        assert_eq!(borrowed, command);
        assert_eq!(borrowed.to_string(), printed);
    }
    let mut written = BytesMut::new();
    command.write(&mut written);
    assert_eq!(written.strip_suffix(b"\r\n"), Some(printed.as_bytes()));
}

/// Any text as an address and as its parts: what parses prints what is the same, and stands for
/// nothing that could end a path.
pub fn mailbox(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Mailbox::parse(text) {
        Ok(mailbox) => {
            let printed = mailbox.to_string();
            assert!(printed.len() <= text.len().max(printed.rfind('@').map_or(0, |at| at + 48)), "{printed}");
            assert_eq!(printed.parse(), Ok(mailbox.into_owned()));
            assert_eq!(mailbox, mailbox.into_owned().borrowed());
            let local = mailbox.local();
            assert_eq!(LocalPart::from_content(&local.content()), Ok(local.into_owned()));
            assert_eq!(Mailbox::new(*local, *mailbox.host()), Ok(mailbox));
            let path = ForwardPath::Mailbox(mailbox);
            assert_eq!(path.to_string(), format!("<{printed}>"));
            assert_eq!(ForwardPath::parse(&path.to_string()), Ok(path));
        }
        Err(error) => assert!(error.at <= text.len()),
    }
    for error in [
        ReversePath::parse(text).err(),
        ForwardPath::parse(text).err(),
        Host::parse(text).err(),
        Hello::parse(text).err(),
        LocalPart::from_content(text).err(),
    ] {
        assert!(error.is_none_or(|error| error.at <= text.len()));
    }
    if let Ok(local) = LocalPart::from_content(text) {
        assert_eq!(local.content(), text);
        assert_eq!(LocalPart::parse(local.as_received()), Ok(local.borrowed()));
        assert_eq!(local.to_string(), local.as_received());
    }
    #[cfg(feature = "idna")]
    if let Ok(ascii) = Domain::parse(text).and_then(|domain| domain.to_ascii().map(|ascii| ascii.into_owned())) {
        let again = Domain::parse(&ascii).expect("a canonical form is a name");
        assert!(again.is_ascii() && again.to_ascii().as_deref() == Ok(ascii.as_str()), "{ascii}");
    }
}

/// Any text as the parameters of MAIL and of RCPT: each keyword is on the line, none comes twice,
/// and what is printed parses to the same.
pub fn params(data: &[u8]) {
    let Ok(tail) = std::str::from_utf8(data) else { return };
    for verb in ["MAIL FROM:<>", "RCPT TO:<a@b.example>"] {
        let line = format!("{verb}{tail}");
        command(line.as_bytes());
        let (keywords, other): (Vec<String>, Vec<Param>) = match Command::parse(line.as_bytes()) {
            Ok(Command::Mail(mail)) => (
                mail.params.keywords().map(str::to_ascii_uppercase).collect(),
                mail.params.other().iter().map(Param::into_owned).collect(),
            ),
            Ok(Command::Rcpt(recipient)) => (
                recipient.params.keywords().map(str::to_ascii_uppercase).collect(),
                recipient.params.other().iter().map(Param::into_owned).collect(),
            ),
            _ => continue,
        };
        assert_eq!(keywords.len(), tail.split_whitespace().count(), "{line}");
        for (at, keyword) in keywords.iter().enumerate() {
            assert!(tail.to_ascii_uppercase().contains(&format!(" {keyword}")), "{line}");
            assert!(!keywords[..at].contains(keyword), "{line}");
        }
        for param in other {
            assert_eq!(param.to_string().parse(), Ok(param));
        }
    }
}

/// The octets as choices and texts from which a command is put together with constructors: what
/// they let through, the line says and nothing else.
pub fn compose(data: &[u8]) {
    let mut choices = Choices(data);
    if let Some(command) = choices.command() {
        the_same_again(&command, None);
    }
}

/// Takes choices from the front of the octets; at their end every choice is 0 and every text empty.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// A text of at most 255 octets; what is no UTF-8 ends it.
    fn text(&mut self) -> &'a str {
        let length = usize::from(self.byte()).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        text.utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    fn number(&mut self) -> u64 {
        let octets = usize::from(self.byte() % 9);
        (0..octets).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn some<V>(&mut self, value: impl FnOnce(&mut Self) -> Option<V>) -> Option<V> {
        if self.byte().is_multiple_of(2) { None } else { value(self) }
    }

    fn mailbox(&mut self) -> Option<Mailbox> {
        let local = LocalPart::from_content(self.text()).ok()?;
        let host = match self.byte() % 3 {
            0 => Host::Domain(self.text().parse::<Domain>().ok()?),
            1 => Host::Address((self.number() as u32).to_be_bytes().into()),
            _ => Host::Address((u128::from(self.number()) << 64 | u128::from(self.number())).to_be_bytes().into()),
        };
        Mailbox::new(local, host).ok()
    }

    fn mail_params(&mut self) -> MailParams {
        let mut params = MailParams::default();
        params.size = self.some(|choices| Some(choices.number()));
        params.body = self.some(|choices| match choices.byte() % 3 {
            0 => Some(Body::SevenBit),
            1 => Some(Body::EightBitMime),
            _ => Some(Body::BinaryMime),
        });
        params.smtputf8 = self.byte() % 2 == 1;
        params.auth = self.some(|choices| AuthParam::encode(&choices.mailbox()?).ok());
        params.ret = self.some(|choices| Some(if choices.byte() % 2 == 0 { Ret::Full } else { Ret::Headers }));
        params.envid = self.some(|choices| EnvelopeId::encode(choices.text()).ok());
        params.requiretls = self.byte() % 2 == 1;
        params.hold = self.some(|choices| HoldFor::new(choices.number() as u32).map(Hold::For));
        params.by = self.some(|choices| choices.text().parse::<DeliverBy>().ok());
        params.priority = self.some(|choices| Priority::new(choices.byte() as i8));
        for _ in 0..self.byte() % 4 {
            let (keyword, value) = (self.text(), self.some(|choices| Some(choices.text())));
            _ = Param::new(keyword, value).and_then(|param| params.push(param));
        }
        params
    }

    fn recipient_params(&mut self) -> RecipientParams {
        let mut params = RecipientParams::default();
        params.notify = self.some(|choices| choices.text().parse::<Notify>().ok());
        params.orcpt = self.some(|choices| OriginalRecipient::encode(choices.text(), choices.text()).ok());
        for _ in 0..self.byte() % 4 {
            let (keyword, value) = (self.text(), self.some(|choices| Some(choices.text())));
            _ = Param::new(keyword, value).and_then(|param| params.push(param));
        }
        params
    }

    fn command(&mut self) -> Option<Command> {
        Some(match self.byte() % 12 {
            0 => Command::Ehlo(self.text().parse().ok()?),
            1 => Command::Mail(Mail {
                from: self.some(Self::mailbox).map_or(ReversePath::Null, ReversePath::Mailbox),
                params: self.mail_params(),
            }),
            2 => Command::Rcpt(Recipient {
                to: self.some(Self::mailbox).map_or(ForwardPath::Postmaster, ForwardPath::Mailbox),
                params: self.recipient_params(),
            }),
            3 => Command::Bdat { size: self.number(), last: self.byte() % 2 == 1 },
            4 => Command::Noop(self.some(|choices| choices.text().parse().ok())),
            5 => Command::Vrfy(self.text().parse().ok()?),
            6 => Command::Expn(self.text().parse().ok()?),
            7 => Command::Help(self.some(|choices| choices.text().parse().ok())),
            8 => {
                let (mechanism, response) = (self.text(), self.some(|choices| Some(choices.text())));
                Command::Auth(AuthCommand::new(mechanism, response).ok()?.into_owned())
            }
            9 => Command::Unknown(
                self.text().parse::<Verb>().ok()?,
                self.some(|choices| choices.text().parse::<Argument>().ok()),
            ),
            10 => Command::Helo(self.text().parse().ok()?),
            _ => Command::Lhlo(self.text().parse().ok()?),
        })
    }
}
