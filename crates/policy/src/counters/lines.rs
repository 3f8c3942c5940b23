//! Keys as words of a line.

/// The key with everything but letters, digits and a few harmless signs as `%` and two digits; `-`
/// stands for an empty one.
pub(super) fn word(key: &[u8]) -> String {
    if key.is_empty() {
        return "-".to_owned();
    }
    let mut word = String::with_capacity(key.len());
    for octet in key {
        match octet {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'.' | b'_' | b'@' | b'=' | b'+' => word.push(char::from(*octet)),
            _ => word.push_str(&format!("%{octet:02x}")),
        }
    }
    word
}

/// The key of a word; `None` for what [`word`] does not write.
pub(super) fn key(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(Vec::new());
    }
    let (mut key, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [octet, after @ ..] = rest {
        rest = after;
        if *octet != b'%' {
            key.push(*octet);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        key.push((digit(high)? * 16 + digit(low)?) as u8);
        rest = after;
    }
    (word(&key) == text).then_some(key)
}
