//! Reads the fields of a delivery status (RFC 3464 §2), with what real hosts do to them.

use super::Action;
use super::status::{DeliveryStatus, RecipientStatus};
use super::text::{FieldText, StatusField, TypedText};

/// The fields of a delivery status; `None` if there is none.
pub(super) fn status(content: &[u8]) -> Option<DeliveryStatus> {
    let groups = groups(content);
    let mut status = DeliveryStatus::default();
    for (index, group) in groups.iter().enumerate() {
        let has = |names: &[&str]| group.iter().any(|field| is_one_of(field, names));
        let named = has(&["Original-Recipient", "Final-Recipient"]);
        // Without the empty line between them the first group is about both.
        let both = index == 0 && named && has(&MESSAGE);
        if named {
            status.recipients.push(RecipientStatus::default());
        }
        let mut begun = !both;
        for field in group {
            begun |= is_one_of(field, &RECIPIENT);
            match status.recipients.last_mut().filter(|_| begun && !is_one_of(field, &MESSAGE)) {
                Some(recipient) => recipient_field(recipient, field),
                None => message_field(&mut status, field),
            }
        }
    }
    (!groups.is_empty()).then_some(status)
}

/// The fields about the message (RFC 3464 §2.2).
const MESSAGE: [&str; 5] =
    ["Original-Envelope-Id", "Reporting-MTA", "DSN-Gateway", "Received-From-MTA", "Arrival-Date"];
/// The fields about a recipient (RFC 3464 §2.3).
const RECIPIENT: [&str; 9] = [
    "Original-Recipient",
    "Final-Recipient",
    "Action",
    "Status",
    "Remote-MTA",
    "Diagnostic-Code",
    "Last-Attempt-Date",
    "Final-Log-Id",
    "Will-Retry-Until",
];

fn is_one_of(field: &StatusField, names: &[&str]) -> bool {
    names.iter().any(|name| field.name().eq_ignore_ascii_case(name))
}

/// Fills the field of this name if it is empty and the text has the right form; else it is one of
/// the others.
fn message_field(status: &mut DeliveryStatus, field: &StatusField) {
    let filled = match field.name().to_ascii_lowercase().as_str() {
        "original-envelope-id" => set(&mut status.original_envelope_id, plain(field)),
        "reporting-mta" => set(&mut status.reporting_mta, TypedText::parse(field.text())),
        "dsn-gateway" => set(&mut status.dsn_gateway, TypedText::parse(field.text())),
        "received-from-mta" => set(&mut status.received_from_mta, TypedText::parse(field.text())),
        "arrival-date" => set(&mut status.arrival_date, plain(field)),
        _ => false,
    };
    if !filled {
        status.other.push(field.clone());
    }
}

/// Fills the field of this name if it is empty and the text has the right form; else it is one of
/// the others.
fn recipient_field(recipient: &mut RecipientStatus, field: &StatusField) {
    let filled = match field.name().to_ascii_lowercase().as_str() {
        "original-recipient" => set(&mut recipient.original_recipient, TypedText::parse(field.text())),
        "final-recipient" => set(&mut recipient.final_recipient, TypedText::parse(field.text())),
        "action" => set(&mut recipient.action, word(field).and_then(Action::parse)),
        "status" => set(&mut recipient.status, word(field).and_then(|word| word.parse().ok())),
        "remote-mta" => set(&mut recipient.remote_mta, TypedText::parse(field.text())),
        "diagnostic-code" => set(&mut recipient.diagnostic_code, TypedText::parse(field.text())),
        "last-attempt-date" => set(&mut recipient.last_attempt_date, plain(field)),
        "final-log-id" => set(&mut recipient.final_log_id, plain(field)),
        "will-retry-until" => set(&mut recipient.will_retry_until, plain(field)),
        _ => false,
    };
    if !filled {
        recipient.other.push(field.clone());
    }
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let fits = slot.is_none() && value.is_some();
    if fits {
        *slot = value;
    }
    fits
}

fn plain(field: &StatusField) -> Option<FieldText> {
    Some(field.text().clone()).filter(|text| !text.as_str().is_empty())
}

/// A single word; a comment after it means nothing.
fn word(field: &StatusField) -> Option<&str> {
    let text = field.text().as_str();
    let end = text.find([' ', '(']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let rest = rest.trim_start_matches(' ');
    (rest.is_empty() || rest.starts_with('(') && rest.ends_with(')')).then_some(word)
}

/// The groups of fields, which empty lines separate; what is no field is passed over.
fn groups(content: &[u8]) -> Vec<Vec<StatusField>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    // The name and the text so far of the field that is being read.
    let mut field: Option<(String, String)> = None;
    let end = |group: &mut Vec<StatusField>, field: Option<(String, String)>| {
        let made = field.and_then(|(name, text)| StatusField::new(&name, FieldText::lossy(&text)).ok());
        group.extend(made);
    };
    for line in lines(content) {
        let text = String::from_utf8_lossy(line);
        if text.trim_matches([' ', '\t']).is_empty() {
            end(&mut group, field.take());
            if !group.is_empty() {
                groups.push(std::mem::take(&mut group));
            }
        } else if text.starts_with([' ', '\t']) {
            if let Some((_, value)) = &mut field {
                value.push_str(&text);
            }
        } else {
            end(&mut group, field.take());
            let parts = text.split_once(':');
            field = parts.map(|(name, value)| (name.trim_end_matches([' ', '\t']).to_owned(), value.to_owned()));
        }
    }
    end(&mut group, field);
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

/// The lines without their CR LF or LF.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|octet| *octet == b'\n').map(|line| {
        #[cfg(test)]
        crate::work::add(line.len() + 1);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}
