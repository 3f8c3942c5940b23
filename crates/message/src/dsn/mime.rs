//! As much of MIME (RFC 2045, RFC 2046) as it takes to find a delivery status.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::status::{DeliveryStatusError, DeliveryStatusErrorKind};
use crate::encoding::{from_base64, from_quoted_printable};

/// The longest delivery status, in octets.
pub(super) const CONTENT_MAX: usize = 1024 * 1024;
/// Multipart bodies inside of each other.
const DEPTH_MAX: usize = 8;
/// The longest field of a part's header section that is read, in octets.
const FIELD_MAX: usize = 8 * 1024;
/// The longest boundary; RFC 2046 §5.1.1 allows 70.
const BOUNDARY_MAX: usize = 200;

/// The part that holds the delivery status.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// The octet of the message at which it begins.
    pub(super) at: usize,
    /// What it holds, decoded.
    pub(super) content: Cow<'a, [u8]>,
}

/// The first delivery status of `message`.
pub(super) fn status(message: &[u8]) -> Result<Part<'_>, DeliveryStatusError> {
    let error = |kind, at| DeliveryStatusError { kind, at };
    let found = search(message, 0..message.len(), 0, false);
    let (head, body) = found.ok_or(error(DeliveryStatusErrorKind::NoStatus, message.len()))?;
    let at = body.start;
    if body.len() > CONTENT_MAX {
        return Err(error(DeliveryStatusErrorKind::TooLong, at + CONTENT_MAX));
    }
    let content = &message[body];
    let encoding = token(&head.encoding).to_ascii_lowercase();
    let content = match encoding.as_str() {
        "" | "7bit" | "8bit" | "binary" => Cow::Borrowed(content),
        "quoted-printable" => from_quoted_printable(content).into(),
        "base64" => from_base64(content).into(),
        _ => return Err(error(DeliveryStatusErrorKind::Encoding, at)),
    };
    Ok(Part { at, content })
}

/// What matters in the header section of a part.
#[derive(Debug, Default)]
struct Head {
    content_type: String,
    encoding: String,
}

/// The first delivery status in `range`, which is an entity: a header section and a body.
///
/// `wrapped` says that a message in it may be the report itself.
fn search(message: &[u8], range: Range<usize>, depth: usize, wrapped: bool) -> Option<(Head, Range<usize>)> {
    let (head, body) = head(message, range);
    let ContentType { kind, boundary, is_report } = content_type(&head.content_type);
    if kind == "message/delivery-status" || kind == "message/global-delivery-status" {
        return Some((head, body));
    }
    if depth == DEPTH_MAX {
        return None;
    }
    if wrapped && kind == "message/rfc822" {
        return search(message, body, depth + 1, false);
    }
    let boundary = boundary.filter(|boundary| !boundary.is_empty() && boundary.len() <= BOUNDARY_MAX)?;
    if !kind.starts_with("multipart/") {
        return None;
    }
    // A host that wraps a report leaves it its parameter, and makes the type another.
    let wraps = is_report && kind != "multipart/report";
    let mut part = None;
    let mut line = body.start;
    while line < body.end {
        let next = line_end(message, line, body.end);
        if let Some(close) = delimiter(&message[line..next], boundary.as_bytes()) {
            if let Some(start) = part.take() {
                let found = search(message, start..before_line_end(message, start, line), depth + 1, wraps);
                if found.is_some() {
                    return found;
                }
            }
            if close {
                return None;
            }
            part = Some(next);
        }
        line = next;
    }
    // The last delimiter is missing: the report was cut.
    search(message, part?..body.end, depth + 1, wraps)
}

/// The header section of an entity and the range of its body.
fn head(message: &[u8], range: Range<usize>) -> (Head, Range<usize>) {
    let mut head = Head::default();
    let mut value: Option<&mut String> = None;
    let mut at = range.start;
    while at < range.end {
        let next = line_end(message, at, range.end);
        let line = message[at..next].trim_ascii_end();
        at = next;
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            value = value.filter(|value| value.len() + line.len() <= FIELD_MAX);
            if let Some(value) = &mut value {
                value.push_str(&String::from_utf8_lossy(line));
            }
            continue;
        }
        let colon = memchr(b':', line).unwrap_or(line.len());
        let name = line[..colon].trim_ascii_end();
        let slot = if name.eq_ignore_ascii_case(b"Content-Type") {
            Some(&mut head.content_type)
        } else if name.eq_ignore_ascii_case(b"Content-Transfer-Encoding") {
            Some(&mut head.encoding)
        } else {
            None
        };
        // The first of two counts.
        value = slot.filter(|slot| slot.is_empty() && line.len() <= FIELD_MAX);
        if let Some(value) = &mut value {
            value.push_str(&String::from_utf8_lossy(&line[(colon + 1).min(line.len())..]));
        }
    }
    (head, at..range.end)
}

/// Where the line that begins at `at` ends, its LF included.
fn line_end(message: &[u8], at: usize, end: usize) -> usize {
    let next = memchr(b'\n', &message[at..end]).map_or(end, |lf| at + lf + 1);
    #[cfg(test)]
    crate::work::add(next - at);
    next
}

/// The end of the text before the line that begins at `line`: its line end belongs to the
/// delimiter that follows (RFC 2046 §5.1.1).
fn before_line_end(message: &[u8], start: usize, line: usize) -> usize {
    let text = &message[start..line];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    start + text.strip_suffix(b"\r").unwrap_or(text).len()
}

/// Whether a line is a delimiter, and if so, whether it is the last.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    match line.strip_prefix(b"--")?.strip_prefix(boundary)?.trim_ascii_end() {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

/// The field Content-Type (RFC 2045 §5.1).
#[derive(Debug)]
struct ContentType {
    /// The type with its subtype, in lower case.
    kind: String,
    boundary: Option<String>,
    /// Whether it has `report-type=delivery-status` (RFC 6522 §3).
    is_report: bool,
}

fn content_type(value: &str) -> ContentType {
    let mut parts = parameters(value).into_iter();
    let kind = parts.next().unwrap_or_default();
    let kind = kind.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>().to_ascii_lowercase();
    let (mut boundary, mut is_report) = (None, false);
    for part in parts {
        let Some((name, value)) = part.split_once('=') else { continue };
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        if name.eq_ignore_ascii_case("boundary") {
            boundary.get_or_insert_with(|| value.to_owned());
        } else if name.eq_ignore_ascii_case("report-type") {
            is_report |= value.eq_ignore_ascii_case("delivery-status");
        }
    }
    ContentType { kind, boundary, is_report }
}

/// The parts between semicolons, without quotes and comments.
fn parameters(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut depth) = (false, 0_usize);
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        let last = parts.len() - 1;
        match c {
            '\\' if quoted || depth > 0 => parts[last].extend(characters.next().filter(|_| depth == 0)),
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            ';' if !quoted => parts.push(String::new()),
            _ => parts[last].push(c),
        }
    }
    parts
}

/// A word without comments and white space.
fn token(value: &str) -> String {
    parameters(value).swap_remove(0).trim_ascii().to_owned()
}
