//! What the fuzz targets of this crate assert; the corpus is replayed by a test.

use std::str::FromStr;

use bytes::Bytes;
use hikyaku_message::results::must_remove;
use hikyaku_policy::Policy;
#[cfg(feature = "control")]
use hikyaku_queue::backend::PageRecord;
use hikyaku_wire::{Mailbox, Timestamp};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::{
    Delegate, DelegateOptions, DelegationAction, DelegationReader, DelegationRequest, SpkiPin, intake::forged::Forged,
    tls::names,
};

#[cfg(feature = "control")]
use crate::control::{Answer, Request};

/// `[2]` of a `GeneralName`.
const DNS_NAME: u8 = 0x82;

/// The mail addresses in any octets read the same again; in what webpki takes for a certificate,
/// our reader finds the DNS names that webpki finds.
pub fn certificate(data: &[u8]) {
    for address in names::mail_addresses(data) {
        let again = Mailbox::from_str(&address).map(|again| again.to_string());
        assert_eq!(again.as_ref(), Ok(&address));
        assert!(!address.chars().any(char::is_control), "{address:?}");
    }
    let der = CertificateDer::from(data);
    let Ok(certificate) = EndEntityCert::try_from(&der) else { return };
    let hosts: Vec<&[u8]> = names::alternative_names(data, DNS_NAME).collect();
    for name in certificate.valid_dns_names() {
        assert!(hosts.contains(&name.as_bytes()), "{name}");
    }
    let names = names::of(&certificate);
    for (index, name) in names.iter().enumerate() {
        assert_eq!(**name, name.to_lowercase());
        assert!(!names[..index].contains(name), "{name} is there twice");
        // In a mail address it is a letter like others.
        let wildcard = name.starts_with('*') && !name.contains('@');
        assert!(!wildcard && !name.chars().any(char::is_control), "{name:?}");
    }
}

/// Lines of the control socket, of clients and of relays: what is read prints and reads as the same,
/// what it is about can be read too or is refused, and what is no request has a reason.
#[cfg(feature = "control")]
pub fn control(data: &[u8]) {
    let print = |object: &serde_json::Value| serde_json::to_vec(object).expect("JSON prints");
    match Request::read(data) {
        Ok(request) => {
            let line = serde_json::to_vec(&request).expect("a request prints");
            assert!(!line.contains(&b'\n'));
            assert_eq!(Request::read(&line), Ok(request));
        }
        Err(why) => assert!(!why.is_empty()),
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(data) {
        let line = print(&serde_json::to_value(&answer).expect("an answer prints"));
        assert_eq!(serde_json::from_slice::<Answer>(&line).ok().as_ref(), Some(&answer));
        if let Answer::Page(page) = answer
            && let Ok(page) = page.read()
        {
            assert_eq!(PageRecord::from(&page).read(), Ok(page));
        }
    }
}

/// Questions of Postfix, which the first octet says how to split: they are the same for every split,
/// print as they were read, and each is answered in one line.
pub fn delegation(data: &[u8]) {
    let Some((step, input)) = data.split_first() else { return };
    let read = |step: usize| {
        let (mut reader, mut requests) = (DelegationReader::default(), Vec::new());
        for piece in input.chunks(step.max(1)) {
            reader.push(piece);
            loop {
                match reader.next() {
                    Ok(Some(request)) => requests.push(request),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(reader.next(), Err(error));
                        return (requests, Some(error));
                    }
                }
            }
        }
        (requests, None)
    };
    let (requests, error) = read(input.len());
    assert_eq!(read(usize::from(*step)).0, requests);
    assert!(error.is_none() || read(usize::from(*step)).1.is_some());
    let policy = Policy::open();
    let mut delegate = Delegate::new(DelegateOptions::default());
    for request in requests {
        let text = request.to_string();
        // What is not text prints as something else.
        if !text.contains(char::REPLACEMENT_CHARACTER) {
            let again = DelegationRequest::parse(text.as_bytes()).expect("it was read before");
            assert_eq!(again, Some((request.clone(), text.len())));
        }
        let now = Timestamp::from_millis(0);
        let action = match delegate.facts(&request, now) {
            Ok(facts) => delegate.answer(&policy, &request, facts, now).action,
            Err(reply) => DelegationAction::Reply(reply),
        };
        let text = action.to_string();
        assert!(text.starts_with("action=") && text.find('\n') == Some(text.len() - 2), "{text:?}");
    }
}

/// A pin prints in one form, which reads the same.
pub fn pin(data: &[u8]) {
    if let Ok(Ok(pin)) = std::str::from_utf8(data).map(SpkiPin::from_str) {
        let printed = pin.to_string();
        assert_eq!(printed.len(), "sha256//".len() + 44);
        assert_eq!(printed.parse(), Ok(pin));
    }
}

/// What stays of a message, whose first octet says how it is split, is what a slow reader leaves of
/// it that has all of it at once.
pub fn forged(data: &[u8]) {
    let Some((step, message)) = data.split_first() else { return };
    let mut forged = Forged::new("mx.test", u64::MAX);
    let mut kept = Vec::new();
    for piece in message.chunks(usize::from(*step).max(1)) {
        let pushed = forged.push(&Bytes::copy_from_slice(piece), |part| kept.extend_from_slice(&part));
        pushed.expect("there is no limit");
    }
    forged.finish(|part| kept.extend_from_slice(&part));
    assert_eq!(kept, without_forged(message));
}

fn without_forged(message: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = message.split_inclusive(|octet| *octet == b'\n').collect();
    let is_end = |at: usize| lines[at] == b"\r\n" && (at == 0 || lines[at - 1].ends_with(b"\r\n"));
    let end = (0..lines.len()).find(|at| is_end(*at)).unwrap_or(lines.len());
    let body = lines.split_off(end);
    let mut kept = Vec::new();
    while let Some(first) = lines.first() {
        let lower = first.to_ascii_lowercase();
        let is_one = lower.starts_with(b"authentication-results") || lower.starts_with(b"x-hikyaku-tag");
        let more = lines[1..].iter().take_while(|line| is_one && line.starts_with(b" ") || line.starts_with(b"\t"));
        let field: Vec<&[u8]> = lines.drain(..1 + more.count()).collect();
        let field = field.concat();
        let colon = field.iter().position(|octet| *octet == b':').unwrap_or(field.len() - 1);
        let is_tag = field[..colon].trim_ascii_end().eq_ignore_ascii_case(b"x-hikyaku-tag") && field.contains(&b':');
        if !is_tag && !must_remove(&field[..colon], &field[colon + 1..], "mx.test") {
            kept.extend_from_slice(&field);
        }
    }
    [kept, body.concat()].concat()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
        assert!(files.inspect(|data| run(data)).count() > 0, "no seeds in {}", folder.display());
    }

    #[test]
    fn the_corpus_is_replayed() {
        replay("hikyaku_certificate", certificate);
        #[cfg(feature = "control")]
        replay("hikyaku_control", control);
        replay("hikyaku_delegation", delegation);
        replay("hikyaku_pin", pin);
        replay("hikyaku_forged", forged);
    }

    #[test]
    fn a_seed_shows_what_it_is_named_after() {
        let seed = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/hikyaku_certificate");
            fs::read(folder.join(name)).unwrap()
        };
        assert_eq!(names::mail_addresses(&seed("two-addresses")), ["Ann.Lee@Example.ORG", "bob@example.net"]);
        assert_eq!(names::mail_addresses(&seed("address-after-hosts")), ["ann@example.org"]);
        assert_eq!(names::mail_addresses(&seed("address-with-line-end")), [""; 0]);
        assert_eq!(names::mail_addresses(&seed("no-address")), [""; 0]);
        // Whatever is cut off, nothing is read that was not there.
        let whole = seed("two-addresses");
        for cut in 0..whole.len() {
            let addresses = names::mail_addresses(&whole[..cut]);
            assert!(
                ["Ann.Lee@Example.ORG", "bob@example.net"]
                    .starts_with(&addresses[..].iter().map(String::as_str).collect::<Vec<_>>()),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_certificate_with_any_octet_changed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/hikyaku_certificate");
        let mut data = fs::read(folder.join("address-after-hosts")).unwrap();
        for index in 0..data.len() {
            let octet = data[index];
            for other in [0, 1, 0x30, 0x7f, 0x80, 0x81, 0x82, 0xff, octet ^ 1, octet.wrapping_add(1)] {
                data[index] = other;
                certificate(&data);
            }
            data[index] = octet;
        }
    }
}
