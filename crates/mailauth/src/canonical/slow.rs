//! The canonical forms by the words of RFC 6376 §3.4, on whole texts, slow and obviously right.

use super::Canonicalization;

fn is_wsp(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// Each run of WSP becomes one SP.
fn reduce(text: &[u8]) -> Vec<u8> {
    let mut reduced: Vec<u8> = Vec::new();
    for (at, &octet) in text.iter().enumerate() {
        if !is_wsp(octet) {
            reduced.push(octet);
        } else if at == 0 || !is_wsp(text[at - 1]) {
            reduced.push(b' ');
        }
    }
    reduced
}

/// Lines without their CRLF; what stands behind the last CRLF is a line if it is not empty.
fn lines(body: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut at = 0;
    while at < body.len() {
        if body[at..].starts_with(b"\r\n") {
            lines.push(Vec::new());
            at += 2;
        } else {
            lines.last_mut().expect("there is one").push(body[at]);
            at += 1;
        }
    }
    if lines.last().expect("there is one").is_empty() {
        lines.pop();
    }
    lines
}

/// RFC 6376 §3.4.3 and §3.4.4.
pub(crate) fn body(body: &[u8], form: Canonicalization) -> Vec<u8> {
    let mut lines = lines(body);
    if form == Canonicalization::Relaxed {
        for line in &mut lines {
            while line.last().is_some_and(|&octet| is_wsp(octet)) {
                line.pop();
            }
            *line = reduce(line);
        }
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    if lines.is_empty() && form == Canonicalization::Simple {
        return b"\r\n".to_vec();
    }
    lines.iter().flat_map(|line| [line.as_slice(), b"\r\n"]).flatten().copied().collect()
}

/// RFC 6376 §3.4.1 and §3.4.2: of a field from its name to the CRLF at its end.
pub(crate) fn field(whole: &[u8], form: Canonicalization) -> Vec<u8> {
    if form == Canonicalization::Simple {
        return whole.to_vec();
    }
    let whole = whole.strip_suffix(b"\r\n").expect("a line end");
    let colon = whole.iter().position(|&octet| octet == b':').expect("a colon");
    let mut unfolded = Vec::new();
    let mut at = colon + 1;
    while at < whole.len() {
        if whole[at..].starts_with(b"\r\n") && whole.get(at + 2).is_some_and(|&octet| is_wsp(octet)) {
            at += 2;
        } else {
            unfolded.push(whole[at]);
            at += 1;
        }
    }
    let mut name = whole[..colon].to_ascii_lowercase();
    while name.last().is_some_and(|&octet| is_wsp(octet)) {
        name.pop();
    }
    let mut value = reduce(&unfolded);
    if value.first() == Some(&b' ') {
        value.remove(0);
    }
    if value.last() == Some(&b' ') {
        value.pop();
    }
    [&name[..], b":", &value, b"\r\n"].concat()
}
