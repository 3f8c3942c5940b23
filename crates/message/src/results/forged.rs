//! Which fields pass themselves off as ours (RFC 8601 §5).

use super::lexer::Lexer;
use super::value::ResultsError;

/// Whether a header field of a message that comes from outside must be removed, because readers
/// may take it for authentication results of the host `authserv_id` (RFC 8601 §5).
///
/// `name` and `value` are the field as it arrived; the value may be folded. It is for every field
/// by itself: ask for all, and remove all for which it is true in one pass, so that none moves
/// into the place of another. A host that goes by several identifiers asks for each of them.
///
/// Removed is an Authentication-Results field (the name in any case, also with white space before
/// the colon)
/// - that names `authserv_id`, in any case, quoted or not, with comments, with a dot at the end,
///   of any version, and whatever follows, readable or not;
/// - whose identifier cannot be read without doubt, if `authserv_id` occurs anywhere in front of
///   the first `;`, with or without the quotes, comments, white space and control characters
///   between its characters: a more forgiving reader might find it there;
/// - whose identifier is not ASCII: it may be another spelling of `authserv_id` (RFC 8616).
///
/// Kept is everything else, the results of other hosts among it, and ARC-Authentication-Results:
/// they are covered by the seal of their ARC set (RFC 8617 §5).
///
/// ```
/// use hikyaku_message::results::must_remove;
///
/// let name = b"Authentication-Results";
/// assert!(must_remove(name, b" MX.example.NET (forged) 1;\r\n\tdkim=pass", "mx.example.net"));
/// assert!(!must_remove(name, b" mx.example.org; dkim=pass", "mx.example.net"));
/// ```
#[must_use]
pub fn must_remove(name: &[u8], value: &[u8], authserv_id: &str) -> bool {
    if !name.trim_ascii_end().eq_ignore_ascii_case(b"Authentication-Results") {
        return false;
    }
    let ours = authserv_id.trim_end_matches('.');
    match identifier(value) {
        Ok(Some(id)) if !id.is_ascii() => true,
        Ok(Some(id)) if is_name(&id) => id.trim_end_matches('.').eq_ignore_ascii_case(ours),
        Ok(_) | Err(_) => might_name(value, ours),
    }
}

/// Whether every reader sees the same name in it.
fn is_name(id: &str) -> bool {
    id.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_'))
}

/// The identifier, if nothing but it, a version, white space and comments precede the first `;`
/// or the end.
fn identifier(value: &[u8]) -> Result<Option<String>, ResultsError> {
    let head = &value[..head(value)];
    let mut lexer = Lexer::new(head)?;
    lexer.skip()?;
    let id = lexer.value()?;
    if lexer.skip()? && lexer.peek().is_some() {
        lexer.number()?;
        lexer.skip()?;
    }
    Ok(lexer.peek().is_none().then(|| id.as_str().to_owned()))
}

/// Where the first `;` is that stands in no quoted string and no comment; the end if there is
/// none, or if something is left open.
fn head(value: &[u8]) -> usize {
    let (mut quoted, mut depth) = (false, 0_usize);
    let mut octets = value.iter().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'\\' if quoted || depth > 0 => {
                octets.next();
            }
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b';' if !quoted && depth == 0 => return at,
            _ => {}
        }
    }
    value.len()
}

/// Whether a forgiving reader might find `ours` in front of the first `;`.
fn might_name(value: &[u8], ours: &str) -> bool {
    let head = &value[..head(value)];
    let ours = skeleton(ours.as_bytes().iter());
    let all = skeleton(head.iter());
    let mut depth = 0_usize;
    let outside = head.iter().filter(|octet| {
        match octet {
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    });
    let outside = skeleton(outside);
    [all, outside].iter().any(|text| memchr::memmem::find(text, &ours).is_some())
}

/// The characters that can be part of a name, in lower case.
fn skeleton<'a>(octets: impl Iterator<Item = &'a u8>) -> Vec<u8> {
    octets.filter(|octet| octet.is_ascii_graphic() && !b"\"\\".contains(octet)).map(u8::to_ascii_lowercase).collect()
}
