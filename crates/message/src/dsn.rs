//! Delivery status notifications (RFC 3464, RFC 6522, RFC 6533).

use std::fmt;

use hikyaku_wire::{EnhancedCode, ForwardPath, Mailbox, Reply, Timestamp};
use memchr::memmem;

use crate::Date;
use crate::encoding::Encoding;
use crate::fold::{Fold, host, printable, token};

/// At most so many octets of the original header section are returned.
const HEADER_MAX: usize = 50_000;
/// At most so many octets of what a remote host said are returned, so that
/// the folded field with its name stays below 1 KiB.
const DIAGNOSTIC_MAX: usize = 900;

/// What became of a message for one recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Not delivered, and no further attempt is made.
    Failed,
    /// Not delivered yet; attempts go on.
    Delayed,
    /// Delivered.
    Delivered,
    /// Handed to a host that will send no notifications of its own.
    Relayed,
    /// Delivered to a list of further recipients.
    Expanded,
}

impl Action {
    /// The word of RFC 3464 §2.3.3.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }

    /// The class of status codes that goes with it (RFC 3463 §3.1).
    fn class(self) -> u8 {
        match self {
            Self::Failed => 5,
            Self::Delayed => 4,
            Self::Delivered | Self::Relayed | Self::Expanded => 2,
        }
    }

    /// What it means, for a person.
    fn sentence(self) -> &'static str {
        match self {
            Self::Failed => "could not be delivered, and no further attempt will be made",
            Self::Delayed => "has not been delivered yet; attempts go on",
            Self::Delivered => "was delivered",
            Self::Relayed => "was passed on to a host that sends no further reports",
            Self::Expanded => "was delivered to a list",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a [`Report`] says about one recipient (RFC 3464 §2.3).
#[derive(Debug, Clone, PartialEq)]
pub struct ReportRecipient {
    /// The recipient, as the message was to be delivered to it.
    pub final_recipient: ForwardPath,
    /// What became of the message.
    pub action: Action,
    /// Why; its class is printed as the one that goes with `action`
    /// (a time-out of class 4 that ended in failure is of class 5).
    pub status: EnhancedCode,
    /// The reply that settled it, if there was one.
    pub diagnostic: Option<Reply>,
    /// The name of the host that gave the reply; `None` if this host did.
    pub remote_mta: Option<String>,
    /// When delivery was last attempted.
    pub last_attempt: Option<Timestamp>,
    /// Until when attempts go on; only for [`Action::Delayed`].
    pub retry_until: Option<Timestamp>,
}

/// A message that tells the sender what became of another message: a bounce
/// (RFC 3464), in the form of a `multipart/report` (RFC 6522).
///
/// Its envelope has the null sender `<>`, and it is never sent to `<>`: `to`
/// is a mailbox. What peers supplied is printed so that it can neither end a
/// field nor a body part. Of the original message at most 50,000 octets of
/// header section are returned, cut at the end of a line.
///
/// # Incomplete support
/// No body of the original message is returned (`RET=FULL`), and neither
/// Original-Envelope-Id nor Original-Recipient is given (RFC 3461).
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The name of this host.
    pub reporting_mta: String,
    /// When the original message was received.
    pub arrival: Timestamp,
    /// When the report is made.
    pub now: Timestamp,
    /// Whom the report is from: the postmaster of this host.
    pub from: Mailbox,
    /// The sender of the original message.
    pub to: Mailbox,
    /// Identifies the report: the left side of its Message-ID.
    pub id: String,
    /// Some random letters and digits that separate the parts.
    pub boundary: String,
    /// What became of it for whom; at least one.
    pub recipients: Vec<ReportRecipient>,
    /// Whether the original message was sent with SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// The original message, or its beginning that holds the header section.
    pub header: Vec<u8>,
}

impl Report {
    /// Whether the report must itself be sent with SMTPUTF8 and
    /// `BODY=8BITMIME`, being of the types of RFC 6533.
    ///
    /// It is so when an address is not ASCII, or when the original message
    /// came with SMTPUTF8 and its header section is not ASCII.
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        !self.from.is_ascii()
            || !self.to.is_ascii()
            || self.recipients.iter().any(|r| !r.final_recipient.is_ascii())
            || self.smtputf8 && !header_section(&self.header).is_ascii()
    }

    /// Appends the whole message, with CR LF line ends, no line longer than
    /// 998 octets and the last one ended.
    pub fn write(&self, out: &mut Vec<u8>) {
        let utf8 = self.needs_smtputf8();
        let (delivery_status, headers) = if utf8 {
            ("message/global-delivery-status", "message/global-headers")
        } else {
            ("message/delivery-status", "text/rfc822-headers")
        };
        let parts = [
            Part::new("text/plain; charset=utf-8", utf8, self.explanation().into_bytes()),
            Part::new(delivery_status, utf8, self.delivery_status(utf8).into_bytes()),
            Part::new(headers, utf8, header_section(&self.header).to_vec()),
        ];
        let boundary = boundary(&self.boundary, &parts);
        out.extend_from_slice(self.fields(&boundary, utf8).as_bytes());
        out.extend_from_slice(b"\r\n");
        for part in &parts {
            out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            part.write(out);
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    }

    /// The header section of the report.
    fn fields(&self, boundary: &str, utf8: bool) -> String {
        let only = |action| self.recipients.iter().all(|r| r.action == action);
        let subject = if only(Action::Failed) {
            "Your message could not be delivered"
        } else if only(Action::Delayed) {
            "Your message has not been delivered yet"
        } else {
            "What became of your message"
        };
        let mut fields = String::new();
        let mut field = |name: &str, words: &[&str]| {
            let mut fold = Fold::new(name);
            for word in words {
                fold.word(word);
            }
            fields.push_str(&fold.end());
        };
        let from = format!("<{}>", self.from);
        field("From", &["Mail Delivery System", &from]);
        field("To", &[&format!("<{}>", self.to)]);
        field("Subject", &[subject]);
        field("Date", &[&Date::from(self.now).to_string()]);
        let host = host(&self.reporting_mta);
        field("Message-ID", &[&format!("<{}@{host}>", token(&self.id, 128))]);
        field("Auto-Submitted", &["auto-replied"]);
        field("MIME-Version", &["1.0"]);
        field(
            "Content-Type",
            &["multipart/report;", "report-type=delivery-status;", &format!("boundary=\"{boundary}\"")],
        );
        let encoding = if utf8 { "8bit" } else { "7bit" };
        field("Content-Transfer-Encoding", &[encoding]);
        fields
    }

    /// The part for people.
    fn explanation(&self) -> String {
        let mut text = format!(
            "This is the mail system of {}.\r\n\r\n\
             It is about the message that you sent and that arrived here on\r\n{}.\r\n",
            host(&self.reporting_mta),
            Date::from(self.arrival),
        );
        for recipient in &self.recipients {
            let address = &recipient.final_recipient;
            let sentence = recipient.action.sentence();
            text.push_str(&format!("\r\n{address}\r\nYour message {sentence}.\r\n"));
            if let Some(until) = recipient.retry_until {
                let until = Date::from(until);
                text.push_str(&format!("Attempts go on until {until}.\r\n"));
            }
            if let Some(diagnostic) = &recipient.diagnostic {
                let by = match &recipient.remote_mta {
                    Some(remote) => format!("The mail system {} said", host(remote)),
                    None => String::from("The reason is"),
                };
                let mut lines = Fold::new(&by);
                lines.new_line().words(&printable(&diagnostic.to_string(), DIAGNOSTIC_MAX));
                text.push_str(&lines.end());
            }
        }
        text.push_str("\r\nThe header section of your message follows, after a part for programs.\r\n");
        text
    }

    /// The part for programs (RFC 3464 §2.1).
    fn delivery_status(&self, utf8: bool) -> String {
        let mut status = String::new();
        let mut field = |name: &str, text: &str| {
            status.push_str(&Fold::new(name).words(text).end());
        };
        field("Reporting-MTA", &format!("dns; {}", host(&self.reporting_mta)));
        field("Arrival-Date", &Date::from(self.arrival).to_string());
        for recipient in &self.recipients {
            recipient.fields(utf8, &mut status);
        }
        status
    }
}

impl ReportRecipient {
    /// The fields of one recipient (RFC 3464 §2.3), after an empty line.
    fn fields(&self, utf8: bool, out: &mut String) {
        out.push_str("\r\n");
        let mut field = |name: &str, words: &[&str]| {
            let mut fold = Fold::new(name);
            for word in words {
                fold.word(word);
            }
            out.push_str(&fold.end());
        };
        // RFC 6533 §3: in a global report the address may stand as it is.
        let kind = if utf8 && !self.final_recipient.is_ascii() { "utf-8;" } else { "rfc822;" };
        let path = self.final_recipient.to_string();
        let address = path.strip_prefix('<').and_then(|path| path.strip_suffix('>'));
        field("Final-Recipient", &[kind, address.unwrap_or(&path)]);
        field("Action", &[self.action.as_str()]);
        let status = EnhancedCode::new(self.action.class(), self.status.subject(), self.status.detail());
        field("Status", &[&status.to_string()]);
        if let Some(remote) = &self.remote_mta {
            field("Remote-MTA", &["dns;", &host(remote)]);
        }
        if let Some(diagnostic) = &self.diagnostic {
            let text = printable(&diagnostic.to_string(), DIAGNOSTIC_MAX);
            out.push_str(&Fold::new("Diagnostic-Code").word("smtp;").words(&text).end());
        }
        let mut date = |name: &str, time: Option<Timestamp>| {
            if let Some(time) = time {
                out.push_str(&Fold::new(name).word(&Date::from(time).to_string()).end());
            }
        };
        date("Last-Attempt-Date", self.last_attempt);
        date("Will-Retry-Until", self.retry_until);
    }
}

/// One part of the report.
struct Part {
    content_type: &'static str,
    encoding: Encoding,
    content: Vec<u8>,
}

impl Part {
    fn new(content_type: &'static str, eight_bit: bool, content: Vec<u8>) -> Self {
        let encoding = Encoding::of(&content, eight_bit);
        Self { content_type, encoding, content }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (content_type, encoding) = (self.content_type, self.encoding.as_str());
        out.extend_from_slice(
            format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes(),
        );
        self.encoding.write(&self.content, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// A boundary (RFC 2046 §5.1.1) that occurs in no part: `wish`, with a number
/// behind it where chance or a sender had the same wish.
fn boundary(wish: &str, parts: &[Part]) -> String {
    // `=_` cannot occur in quoted-printable text (RFC 2045 §6.7).
    let wish = format!("=_{}", token(wish, 48));
    let occurs = |boundary: &str| {
        let finder = memmem::Finder::new(boundary);
        parts.iter().any(|part| finder.find(&part.content).is_some())
    };
    let mut boundary = wish.clone();
    let mut number = 0_u32;
    // Ends: the parts are finite, and each turn needs another text in them.
    while occurs(&boundary) {
        number += 1;
        boundary = format!("{wish}.{number}");
    }
    boundary
}

/// The header section at the beginning of a message without the empty line
/// after it, at most [`HEADER_MAX`] octets of it, cut at the end of a line.
fn header_section(message: &[u8]) -> &[u8] {
    if message.starts_with(b"\r\n") {
        return &[];
    }
    let section = match memmem::find(message, b"\r\n\r\n") {
        Some(end) => &message[..end + 2],
        None => message,
    };
    if section.len() <= HEADER_MAX {
        return section;
    }
    let section = &section[..HEADER_MAX];
    memmem::rfind(section, b"\r\n").map_or(&[], |end| &section[..end + 2])
}

#[cfg(test)]
mod tests;
