//! A signer by the words of RFC 6376, on whole texts, slow and obviously right.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::canonical::slow;
use crate::crypto::{Hash, Hasher};
use crate::{Canonicalization, SigningKey};

/// The record of the key that signs, of which nothing is secret.
pub(crate) const RECORD: &str = "v=DKIM1; k=ed25519; p=iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=";

/// What is signed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) header: Canonicalization,
    pub(crate) body: Canonicalization,
    pub(crate) domain: String,
    pub(crate) names: String,
    /// More tags, each with its semicolon.
    pub(crate) more: String,
    pub(crate) length: Option<usize>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            header: Canonicalization::Relaxed,
            body: Canonicalization::Relaxed,
            domain: "example.test".to_owned(),
            names: "from:to:subject".to_owned(),
            more: String::new(),
            length: None,
        }
    }
}

/// The field that signs a message that has an empty line, with its line end.
pub(crate) fn sign(message: &[u8], draft: &Draft) -> Vec<u8> {
    let Draft { header, body, domain, names, more, length } = draft;
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").expect("an empty line");
    let (section, text) = (&message[..end + 2], &message[end + 4..]);
    let text = slow::body(text, *body);
    let text = &text[..length.unwrap_or(text.len())];
    let length = length.map(|length| format!(" l={length};")).unwrap_or_default();
    let hash = STANDARD.encode(sha256(text));
    let (header_form, body_form) = (header.as_str(), body.as_str());
    let mut field = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c={header_form}/{body_form};\r\n\td={domain}; s=sel;{more}{length} \
         h={names};\r\n bh={hash}; b="
    )
    .into_bytes();
    let mut fields = fields(section);
    let mut signed = Vec::new();
    for name in names.split(':') {
        let is = |field: &Vec<u8>| name_of(field).eq_ignore_ascii_case(name.trim().as_bytes());
        if let Some(at) = fields.iter().rposition(is) {
            signed.extend(slow::field(&fields.remove(at), *header));
        }
    }
    let own = slow::field(&[&field[..], b"\r\n"].concat(), *header);
    signed.extend(&own[..own.len() - 2]);
    let (key, _) = SigningKey::ed25519(&[1; 32]).expect("any seed is one");
    let signature = key.sign(&signed).expect("Ed25519 signs anything");
    field.extend(STANDARD.encode(signature).bytes());
    field.extend_from_slice(b"\r\n");
    field
}

fn sha256(text: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(Hash::Sha256);
    hasher.push(text);
    hasher.finish().as_ref().to_vec()
}

/// The fields with their line ends.
fn fields(section: &[u8]) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in section.split_inclusive(|&octet| octet == b'\n') {
        match fields.last_mut() {
            Some(last) if !last.ends_with(b"\r\n") || matches!(line.first(), Some(b' ' | b'\t')) => last.extend(line),
            _ => fields.push(line.to_vec()),
        }
    }
    fields
}

fn name_of(field: &[u8]) -> &[u8] {
    field.split(|&octet| octet == b':').next().unwrap_or_default().trim_ascii_end()
}
