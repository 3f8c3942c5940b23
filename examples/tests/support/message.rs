//! Messages as bytes: what a server put in front, and line ends.

/// What final delivery has put in front of a message, and the message.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) return_path: Option<String>,
    /// What the relay found out about the message.
    pub(crate) results: Option<String>,
    /// Whether it is marked as one for quarantine.
    pub(crate) marked: bool,
    pub(crate) received: String,
    pub(crate) message: Vec<u8>,
}

/// Takes off what stands above the first `Received`, and that; panics where there is another field
/// before a `Received`, or none.
pub(crate) fn added(content: &[u8]) -> Added {
    let (mut field, mut rest) = first_field(content);
    let return_path = field.strip_prefix("Return-Path: ").map(str::to_owned);
    if return_path.is_some() {
        (field, rest) = first_field(rest);
    }
    let results = field.strip_prefix("Authentication-Results: ").map(str::to_owned);
    if results.is_some() {
        (field, rest) = first_field(rest);
    }
    let marked = field == "X-Spam-Flag: YES";
    if marked {
        (field, rest) = first_field(rest);
    }
    let received = field
        .strip_prefix("Received: ")
        .unwrap_or_else(|| panic!("a Received field must come first, not {field:?}"))
        .to_owned();
    Added { return_path, results, marked, received, message: rest.to_vec() }
}

/// The first header field, unfolded, and what follows it.
fn first_field(content: &[u8]) -> (String, &[u8]) {
    let mut end = 0;
    loop {
        let line = content[end..].iter().position(|&byte| byte == b'\n').expect("a header field ends in a line end");
        end += line + 1;
        if !matches!(content.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    let field = String::from_utf8_lossy(&content[..end]);
    let unfolded = field.split(['\r', '\n']).map(|line| line.trim()).filter(|line| !line.is_empty());
    (unfolded.collect::<Vec<_>>().join(" "), &content[end..])
}

/// CRLF becomes LF, as in a Maildir.
pub(crate) fn with_lf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for (at, &byte) in message.iter().enumerate() {
        if !(byte == b'\r' && message.get(at + 1) == Some(&b'\n')) {
            out.push(byte);
        }
    }
    out
}

/// LF that no CR precedes becomes CRLF, as a mail client does on its way out.
pub(crate) fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    for &byte in message {
        if byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// True where a CR or an LF stands alone, or a NUL stands anywhere.
pub(crate) fn is_refused(message: &[u8]) -> bool {
    message.iter().enumerate().any(|(at, &byte)| match byte {
        0 => true,
        b'\r' => message.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || message[at - 1] != b'\r',
        _ => false,
    })
}
