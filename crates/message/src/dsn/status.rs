//! The fields of a delivery status (RFC 3464 §2).

use std::fmt;

use hikyaku_wire::{EnhancedCode, Mailbox};

use super::text::{FieldText, StatusField, TypedText, words};
use super::{Action, mime, read};

/// The line length that RFC 5322 §2.1.1 recommends, without CR LF.
const WIDTH: usize = 78;

/// No delivery status could be read, or something cannot stand in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at octet {at}")]
pub struct DeliveryStatusError {
    /// What is wrong.
    pub kind: DeliveryStatusErrorKind,
    /// The octet at which it is, counted from 0; at most the length of what was read.
    pub at: usize,
}

/// What is wrong with a delivery status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryStatusErrorKind {
    /// The message has no part of the type `message/delivery-status`: it is no report.
    #[error("no part of the message is a delivery status")]
    NoStatus,
    /// The part has a content transfer encoding that is not known.
    #[error("the delivery status has an unknown content transfer encoding")]
    Encoding,
    /// The part has no field.
    #[error("a delivery status without a field")]
    Empty,
    /// The part has more than 1 MiB, or a text is longer than it may be.
    #[error("a delivery status or a text in it is too long")]
    TooLong,
    /// A control character in a text.
    #[error("a control character in the text of a field")]
    Control,
    /// A space at the beginning or the end of a text.
    #[error("a space at the beginning or the end of the text of a field")]
    Space,
    /// A name or type that is not one, or nothing after a type.
    #[error("a name or type that is none, or nothing after it")]
    Name,
}

/// What a report says (RFC 3464 §2): about the message, and about each recipient.
///
/// A field that is not well formed, occurs again, or is not of RFC 3464 is kept as it is among
/// the [`other`](Self::other) ones. Nothing is made up: what a report leaves out is `None`.
/// `Display` prints the fields as they stand in a part of the type
/// `message/global-delivery-status` (RFC 6533 §4); they may be not ASCII.
///
/// ```
/// use hikyaku_message::{Action, DeliveryStatus};
///
/// let report = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
///     --b\r\nContent-Type: message/delivery-status\r\n\r\n\
///     Reporting-MTA: dns; mx.example.net\r\n\r\n\
///     Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n";
/// let status = DeliveryStatus::of_message(report)?;
/// let bob = &status.recipients[0];
/// assert_eq!((bob.address(), bob.outcome()), (Some("bob@example.org"), Some(Action::Failed)));
/// # Ok::<(), hikyaku_message::DeliveryStatusError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryStatus {
    /// The identifier that the sender gave (`ENVID`, RFC 3461 §4.4), decoded.
    pub original_envelope_id: Option<FieldText>,
    /// Who reports.
    pub reporting_mta: Option<TypedText>,
    /// Who translated the report from another mail system.
    pub dsn_gateway: Option<TypedText>,
    /// Whom the reporting host had the message from.
    pub received_from_mta: Option<TypedText>,
    /// When the message arrived there; see [`Date`](crate::Date) for its form.
    pub arrival_date: Option<FieldText>,
    /// Every other field about the message, in order.
    pub other: Vec<StatusField>,
    /// What is said of each recipient, in order.
    pub recipients: Vec<RecipientStatus>,
}

/// What a report says about one recipient (RFC 3464 §2.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipientStatus {
    /// The recipient as the sender named it (`ORCPT`, RFC 3461 §4.2), decoded.
    pub original_recipient: Option<TypedText>,
    /// The recipient to which delivery was tried.
    pub final_recipient: Option<TypedText>,
    /// What became of the message.
    pub action: Option<Action>,
    /// Why; as it was printed, also where its class does not go with the action.
    pub status: Option<EnhancedCode>,
    /// The host that gave the diagnostic.
    pub remote_mta: Option<TypedText>,
    /// What was said, such as `smtp; 550 5.1.1 no such user`.
    pub diagnostic_code: Option<TypedText>,
    /// When delivery was last tried; see [`Date`](crate::Date) for its form.
    pub last_attempt_date: Option<FieldText>,
    /// How the reporting host's log names the delivery.
    pub final_log_id: Option<FieldText>,
    /// Until when attempts go on; see [`Date`](crate::Date) for its form.
    pub will_retry_until: Option<FieldText>,
    /// Every other field about the recipient, in order.
    pub other: Vec<StatusField>,
}

impl DeliveryStatus {
    /// Reads the part of the type `message/delivery-status` or `message/global-delivery-status`
    /// of a message, in time linear in its length.
    ///
    /// Line ends may be CR LF or LF. The part is looked for in `multipart` bodies, nested at most
    /// 8 deep, whatever their subtype. The first one counts. Attached messages are not looked into,
    /// because what they report is about something else, unless the body around them says
    /// `report-type=delivery-status` and is no `multipart/report`: so some filters wrap reports.
    ///
    /// # Errors
    /// If there is no such part, it has no fields, more than 1 MiB, or an unknown encoding.
    pub fn of_message(message: &[u8]) -> Result<Self, DeliveryStatusError> {
        let part = mime::status(message)?;
        let mut status = read::status(&part.content);
        status.take().ok_or(DeliveryStatusError { kind: DeliveryStatusErrorKind::Empty, at: part.at })
    }

    /// Reads the content of such a part, decoded.
    ///
    /// ```text
    /// delivery-status-content = per-message-fields 1*( CRLF per-recipient-fields )
    /// ```
    ///
    /// A group of fields is about a recipient if it names one. Other groups go on with the one
    /// before: some hosts leave empty lines inside.
    ///
    /// # Errors
    /// If it has no fields, or more than 1 MiB.
    pub fn parse(content: &[u8]) -> Result<Self, DeliveryStatusError> {
        if content.len() > mime::CONTENT_MAX {
            return Err(DeliveryStatusError { kind: DeliveryStatusErrorKind::TooLong, at: mime::CONTENT_MAX });
        }
        read::status(content).ok_or(DeliveryStatusError { kind: DeliveryStatusErrorKind::Empty, at: 0 })
    }

    /// The fields, each folded and with its CR LF, and an empty line before each recipient.
    pub(super) fn print(&self, ascii: bool) -> String {
        let mut out = String::new();
        let typed = |out: &mut String, name: &str, text: &Option<TypedText>| {
            if let Some(text) = text {
                field(out, name, &text.print(ascii));
            }
        };
        let plain = |out: &mut String, name: &str, text: &Option<FieldText>| {
            if let Some(text) = text {
                field(out, name, text.as_str());
            }
        };
        plain(&mut out, "Original-Envelope-Id", &self.original_envelope_id);
        typed(&mut out, "Reporting-MTA", &self.reporting_mta);
        typed(&mut out, "DSN-Gateway", &self.dsn_gateway);
        typed(&mut out, "Received-From-MTA", &self.received_from_mta);
        plain(&mut out, "Arrival-Date", &self.arrival_date);
        others(&mut out, &self.other);
        for recipient in &self.recipients {
            out.push_str("\r\n");
            typed(&mut out, "Original-Recipient", &recipient.original_recipient);
            typed(&mut out, "Final-Recipient", &recipient.final_recipient);
            if let Some(action) = recipient.action {
                field(&mut out, "Action", action.as_str());
            }
            if let Some(status) = recipient.status {
                field(&mut out, "Status", &status.to_string());
            }
            typed(&mut out, "Remote-MTA", &recipient.remote_mta);
            typed(&mut out, "Diagnostic-Code", &recipient.diagnostic_code);
            plain(&mut out, "Last-Attempt-Date", &recipient.last_attempt_date);
            plain(&mut out, "Final-Log-Id", &recipient.final_log_id);
            plain(&mut out, "Will-Retry-Until", &recipient.will_retry_until);
            others(&mut out, &recipient.other);
        }
        out
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print(false))
    }
}

impl RecipientStatus {
    /// The recipient as the sender knows it: the original address if there is one, else the final
    /// one; without the angle brackets that some hosts put around it.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        let text = self.original_recipient.as_ref().or(self.final_recipient.as_ref())?.as_str();
        Some(text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text))
    }

    /// [`address`](Self::address), if it is a mailbox of SMTP.
    #[must_use]
    pub fn mailbox(&self) -> Option<Mailbox> {
        let typed = self.original_recipient.as_ref().or(self.final_recipient.as_ref())?;
        let is_mail = ["rfc822", "utf-8"].iter().any(|kind| typed.kind().eq_ignore_ascii_case(kind));
        is_mail.then(|| self.address()?.parse().ok())?
    }

    /// What became of the message: the action, or, where the report has none that is known, what
    /// the class of the status means. Class 2 alone does not say which success it was.
    #[must_use]
    pub fn outcome(&self) -> Option<Action> {
        self.action.or_else(|| match self.status?.class() {
            5 => Some(Action::Failed),
            4 => Some(Action::Delayed),
            _ => None,
        })
    }
}

fn others(out: &mut String, fields: &[StatusField]) {
    for other in fields {
        field(out, other.name(), other.text().as_str());
    }
}

/// One field. It is folded before spaces, of which none is lost: the first becomes a tab.
fn field(out: &mut String, name: &str, text: &str) {
    let mut line = out.len();
    out.push_str(name);
    out.push(':');
    for (index, word) in words(text).enumerate() {
        // The first word has no space before it.
        let spaces = usize::from(index == 0);
        if out.len() - line + spaces + word.len() > WIDTH {
            out.push_str("\r\n");
            line = out.len();
            out.push('\t');
            out.push_str(&word[1 - spaces..]);
        } else {
            out.push_str(if index == 0 { " " } else { "" });
            out.push_str(word);
        }
    }
    out.push_str("\r\n");
}
