//! Delivery status notifications (RFC 3464, RFC 6522, RFC 6533): [`Report`] writes them,
//! [`DeliveryStatus`] reads them.
//!
//! ```
//! use hikyaku_message::{Action, DeliveryStatus, Report, ReportRecipient, Returned};
//! use hikyaku_wire::{EnhancedCode, Timestamp};
//!
//! let now = Timestamp::from_millis(1_795_499_520_000);
//! let bob = ReportRecipient::new("<bob@example.org>".parse()?, Action::Failed, EnhancedCode::new(5, 1, 1));
//! let report = Report {
//!     reporting_mta: "mx.example.net".into(),
//!     received_from: None,
//!     arrival: now,
//!     now,
//!     envelope_id: Some("QQ314159".into()),
//!     from: "postmaster@example.net".parse()?,
//!     to: "alice@example.com".parse()?,
//!     id: "3f9a1c".into(),
//!     boundary: "8c51".into(),
//!     recipients: vec![bob],
//!     smtputf8: false,
//!     returned: Returned::Headers,
//!     original: b"Subject: lunch\r\n\r\nAt noon?\r\n".to_vec(),
//! };
//! let mut message = Vec::new();
//! report.write(&mut message);
//! assert_eq!(DeliveryStatus::of_message(&message)?, report.delivery_status());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::fmt;

use hikyaku_wire::{EnhancedCode, ForwardPath, Mailbox, Reply, Timestamp};
use memchr::memmem;

use crate::Date;
use crate::encoding::Encoding;
use crate::fold::{Fold, host, printable, token};

mod mime;
mod read;
mod status;
mod text;

pub use status::{DeliveryStatus, DeliveryStatusError, DeliveryStatusErrorKind, RecipientStatus};
pub use text::{FieldText, StatusField, TypedText};

/// At most so many octets of the original header section are returned.
const HEADER_MAX: usize = 50_000;
/// At most so many octets of what a remote host said are returned, so that
/// the folded field with its name stays below 1 KiB.
const DIAGNOSTIC_MAX: usize = 900;
/// The longest envelope identifier (RFC 3461 §4.4: 100 octets of xtext).
const ENVELOPE_ID_MAX: usize = 100;
/// The longest name of a delivery in our log.
const LOG_ID_MAX: usize = 128;
/// The types of a part that holds a whole message (RFC 2046 §5.2.1, RFC 6532 §3.7).
const RFC822: &str = "message/rfc822";
const GLOBAL: &str = "message/global";

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

    /// The action of this word, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Failed, Self::Delayed, Self::Delivered, Self::Relayed, Self::Expanded];
        all.into_iter().find(|action| action.as_str().eq_ignore_ascii_case(word))
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
    /// The recipient as the sender named it (`ORCPT`, RFC 3461 §4.2), decoded.
    pub original_recipient: Option<TypedText>,
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
    /// How the log of this host names the delivery.
    pub log_id: Option<String>,
    /// Until when attempts go on; only for [`Action::Delayed`].
    pub retry_until: Option<Timestamp>,
}

impl ReportRecipient {
    /// What must be said about a recipient; the rest is `None`.
    #[must_use]
    pub fn new(final_recipient: ForwardPath, action: Action, status: EnhancedCode) -> Self {
        Self {
            original_recipient: None,
            final_recipient,
            action,
            status,
            diagnostic: None,
            remote_mta: None,
            last_attempt: None,
            log_id: None,
            retry_until: None,
        }
    }
}

/// What of the original message a [`Report`] returns (`RET`, RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Returned {
    /// Its header section, at most 50,000 octets of it, cut at the end of a line.
    Headers,
    /// All of it, if [`Report::original`] has at most `limit` octets and can be carried: without
    /// SMTPUTF8 no NUL, no bare CR or LF, no line of more than 998 octets (RFC 2046 §5.2.1).
    /// Else its header section.
    Full {
        /// The most octets to return.
        limit: usize,
    },
}

/// A message that tells the sender what became of another message: a bounce
/// (RFC 3464), in the form of a `multipart/report` (RFC 6522).
///
/// Its envelope has the null sender `<>`, and it is never sent to `<>`: `to`
/// is a mailbox. What peers supplied is printed so that it can neither end a
/// field nor a body part; each character that has no place there becomes `?`.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The name of this host.
    pub reporting_mta: String,
    /// The name of the host that the original message came from.
    pub received_from: Option<String>,
    /// When the original message was received.
    pub arrival: Timestamp,
    /// When the report is made.
    pub now: Timestamp,
    /// The identifier that the sender gave (`ENVID`, RFC 3461 §4.4), decoded.
    pub envelope_id: Option<String>,
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
    /// What of the original message is returned.
    pub returned: Returned,
    /// The original message; for [`Returned::Headers`] the beginning that holds the header
    /// section is enough.
    pub original: Vec<u8>,
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
            || self.smtputf8 && !header_section(&self.original).is_ascii()
    }

    /// Whether the report must be sent with `BODY=8BITMIME` (RFC 6152).
    #[must_use]
    pub fn needs_8bitmime(&self) -> bool {
        let utf8 = self.needs_smtputf8();
        utf8 || self.original_part(utf8).encoding == Encoding::EightBit
    }

    /// Appends the whole message, with CR LF line ends, no line longer than
    /// 998 octets and the last one ended.
    pub fn write(&self, out: &mut Vec<u8>) {
        let utf8 = self.needs_smtputf8();
        let original = self.original_part(utf8);
        let eight_bit = utf8 || original.encoding == Encoding::EightBit;
        let status = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
        let explanation = self.explanation(original.is_whole());
        let parts = [
            Part::new("text/plain; charset=utf-8", utf8, explanation.into_bytes().into()),
            Part::new(status, utf8, self.delivery_status().print(!utf8).into_bytes().into()),
            original,
        ];
        let boundary = boundary(&self.boundary, &parts);
        out.extend_from_slice(self.fields(&boundary, eight_bit).as_bytes());
        out.extend_from_slice(b"\r\n");
        for part in &parts {
            out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            part.write(out);
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    }

    /// What of the original message is returned, in the form in which it can be.
    fn original_part(&self, utf8: bool) -> Part<'_> {
        let whole = match self.returned {
            Returned::Full { limit } if self.original.len() <= limit => self.whole(utf8),
            Returned::Full { .. } | Returned::Headers => None,
        };
        let content_type = if utf8 { "message/global-headers" } else { "text/rfc822-headers" };
        whole.unwrap_or_else(|| Part::new(content_type, utf8, header_section(&self.original).into()))
    }

    /// The original message as a part. `message/rfc822` may not be encoded (RFC 2046 §5.2.1),
    /// `message/global` may (RFC 6532 §3.7).
    fn whole(&self, utf8: bool) -> Option<Part<'_>> {
        let content = Cow::Borrowed(self.original.as_slice());
        if utf8 {
            return Some(Part::new(GLOBAL, true, content));
        }
        let encoding = Encoding::identity(&content)?;
        Some(Part { content_type: RFC822, encoding, content })
    }

    /// The header section of the report.
    fn fields(&self, boundary: &str, eight_bit: bool) -> String {
        let only = |action| self.recipients.iter().all(|r| r.action == action);
        let subject = if only(Action::Failed) {
            "Your message could not be delivered"
        } else if only(Action::Delayed) {
            "Your message has not been delivered yet"
        } else if only(Action::Delivered) {
            "Your message was delivered"
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
        let encoding = if eight_bit { "8bit" } else { "7bit" };
        field("Content-Transfer-Encoding", &[encoding]);
        fields
    }

    /// The part for people.
    fn explanation(&self, whole: bool) -> String {
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
            if let Some(until) = recipient.until() {
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
        let returned = if whole { "Your message" } else { "The header section of your message" };
        text.push_str(&format!("\r\n{returned} follows, after a part for programs.\r\n"));
        text
    }

    /// What the report says to programs (RFC 3464 §2.1); read from the message again, it is the
    /// same.
    #[must_use]
    pub fn delivery_status(&self) -> DeliveryStatus {
        let utf8 = self.needs_smtputf8();
        DeliveryStatus {
            original_envelope_id: self.envelope_id.as_deref().and_then(|id| said(id, ENVELOPE_ID_MAX)),
            reporting_mta: named("dns", &host(&self.reporting_mta)),
            dsn_gateway: None,
            received_from_mta: self.received_from.as_ref().and_then(|from| named("dns", &host(from))),
            arrival_date: Some(date(self.arrival)),
            other: Vec::new(),
            recipients: self.recipients.iter().map(|recipient| recipient.status(utf8)).collect(),
        }
    }
}

impl ReportRecipient {
    /// What is said of one recipient (RFC 3464 §2.3).
    fn status(&self, utf8: bool) -> RecipientStatus {
        // RFC 6533 §3: in a global report the address may stand as it is.
        let kind = if self.final_recipient.is_ascii() { "rfc822" } else { "utf-8" };
        let path = self.final_recipient.to_string();
        let address = path.strip_prefix('<').and_then(|path| path.strip_suffix('>'));
        RecipientStatus {
            original_recipient: self.original_recipient.clone().filter(|original| original.fits(!utf8)),
            final_recipient: named(kind, address.unwrap_or(&path)),
            action: Some(self.action),
            status: Some(EnhancedCode::new(self.action.class(), self.status.subject(), self.status.detail())),
            remote_mta: self.remote_mta.as_ref().and_then(|remote| named("dns", &host(remote))),
            diagnostic_code: self.diagnostic.as_ref().and_then(|reply| named("smtp", &diagnostic(reply))),
            last_attempt_date: self.last_attempt.map(date),
            final_log_id: self.log_id.as_deref().and_then(|id| said(id, LOG_ID_MAX)),
            will_retry_until: self.until().map(date),
            other: Vec::new(),
        }
    }

    /// Until when attempts go on: after any other outcome there are none (RFC 3464 §2.3.9).
    fn until(&self) -> Option<Timestamp> {
        self.retry_until.filter(|_| self.action == Action::Delayed)
    }
}

fn date(time: Timestamp) -> FieldText {
    FieldText::lossy(&Date::from(time).to_string())
}

/// A text of one of our types; `None` if nothing of it can be said.
fn named(kind: &str, text: &str) -> Option<TypedText> {
    TypedText::new(kind, text).ok()
}

/// The printable characters of a text; `None` if there are none.
fn said(text: &str, limit: usize) -> Option<FieldText> {
    Some(FieldText::lossy(&printable(text, limit))).filter(|text| !text.as_str().is_empty())
}

/// What a remote host said, in words that a space separates.
fn diagnostic(reply: &Reply) -> String {
    let text = printable(&reply.to_string(), DIAGNOSTIC_MAX);
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// One part of the report.
struct Part<'a> {
    content_type: &'static str,
    encoding: Encoding,
    content: Cow<'a, [u8]>,
}

impl<'a> Part<'a> {
    fn new(content_type: &'static str, eight_bit: bool, content: Cow<'a, [u8]>) -> Self {
        let encoding = Encoding::of(&content, eight_bit);
        Self { content_type, encoding, content }
    }

    /// Whether it is the whole original message.
    fn is_whole(&self) -> bool {
        [RFC822, GLOBAL].contains(&self.content_type)
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
fn boundary(wish: &str, parts: &[Part<'_>]) -> String {
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
