//! Fuzz targets of authentication results and delivery reports.

use hikyaku_wire::{Code, EnhancedCode, ForwardPath, Mailbox, Reply, Timestamp};

use crate::results::{ArcAuthenticationResults, AuthenticationResults, must_remove};
use crate::{Action, DeliveryStatus, Report, ReportRecipient, Returned, TypedText};

/// Authentication results that are read print so that they read the same, in one line and
/// folded, and such a field is removed if it is ours.
pub fn results(data: &[u8]) {
    let name = b"Authentication-Results";
    match AuthenticationResults::parse(data) {
        Ok(results) => {
            let text = results.to_string();
            assert!(!text.contains(['\r', '\n', '\0']));
            assert_eq!(AuthenticationResults::parse(text.as_bytes()).as_ref(), Ok(&results));
            let field = results.field();
            assert!(field.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));
            let (_, value) = field.split_once(':').expect("a field has a colon");
            assert_eq!(AuthenticationResults::parse(value.as_bytes()).as_ref(), Ok(&results));
            let id = results.authserv_id().as_str();
            assert!(must_remove(name, data, id) && must_remove(name, text.as_bytes(), id));
        }
        Err(error) => assert!(error.at <= data.len()),
    }
    match ArcAuthenticationResults::parse(data) {
        Ok(results) => assert_eq!(results.to_string().parse(), Ok(results.into_owned())),
        Err(error) => assert!(error.at <= data.len()),
    }
    // Whatever stands in front of the identifier that opens a field, it is found.
    let ours = [b" mx.example.net; ", data].concat();
    assert!(must_remove(name, &ours, "MX.example.net"));
    assert!(!must_remove(b"Received", &ours, "mx.example.net"));
}

/// A delivery status that is read, from a message or by itself, prints so that it reads the same.
pub fn dsn(data: &[u8]) {
    for read in [DeliveryStatus::of_message(data), DeliveryStatus::parse(data)] {
        match read {
            Ok(status) => {
                let text = status.to_string();
                assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));
                assert_eq!(DeliveryStatus::parse(text.as_bytes()), Ok(status));
            }
            Err(error) => assert!(error.at <= data.len()),
        }
    }
}

/// A report of any content is one message, from which the same delivery status is read.
///
/// The first octets choose; the rest are texts that 0xFF separates, and the original message.
pub fn report(data: &[u8]) {
    let Some((choices, rest)) = data.split_first_chunk::<4>() else {
        return;
    };
    let mut pieces = rest.splitn(8, |octet| *octet == 0xff);
    let mut text = || String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned();
    let some = |choice: u8, text: String| (choices[0] & choice > 0).then_some(text);
    let actions = [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded];
    let mailbox = |text: &str| text.parse::<Mailbox>();
    let (Ok(from), Ok(to)) = (mailbox("postmaster@example.net"), mailbox("alice@example.com")) else {
        unreachable!("both are mailboxes");
    };
    let time = |choice: u8| Timestamp::from_millis(1_795_499_520_000 + i64::from(choice) * 1000);
    let original = text();
    let kind = if choices[0] & 1 > 0 { "utf-8" } else { "rfc822" };
    let recipient = ReportRecipient {
        original_recipient: TypedText::new(kind, &original).ok(),
        final_recipient: mailbox(&original).map_or(ForwardPath::Postmaster, ForwardPath::Mailbox),
        action: actions[usize::from(choices[1] % 5)],
        status: EnhancedCode::new(4, u16::from(choices[2]), u16::from(choices[3])),
        diagnostic: some(2, text())
            .map(|said| Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 1, 1), said)),
        remote_mta: some(4, text()),
        last_attempt: (choices[0] & 8 > 0).then(|| time(choices[2])),
        log_id: some(16, text()),
        retry_until: (choices[0] & 32 > 0).then(|| time(choices[3])),
    };
    let name = text();
    let report = Report {
        reporting_mta: name.clone(),
        received_from: some(64, name.clone()),
        arrival: time(choices[1]),
        now: time(choices[2]),
        envelope_id: some(128, text()),
        from,
        to,
        boundary: text(),
        id: name,
        recipients: vec![recipient; usize::from(choices[1] / 5 % 3) + 1],
        smtputf8: choices[1] & 64 > 0,
        returned: if choices[1] & 128 > 0 { Returned::Full { limit: 2000 } } else { Returned::Headers },
        original: pieces.next().unwrap_or_default().to_vec(),
    };
    let mut message = Vec::new();
    report.write(&mut message);
    assert_eq!(DeliveryStatus::of_message(&message), Ok(report.delivery_status()));
    assert!(message.is_ascii() || report.needs_8bitmime());
    assert!(std::str::from_utf8(&message).is_ok() || !report.needs_smtputf8());
    let ended = message.strip_suffix(b"\r\n").expect("the last line is ended");
    for line in ended.split(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.len() <= 998 && !line.contains(&b'\r') && !line.contains(&0));
    }
    let line_ends = memchr::memmem::find_iter(&message, b"\r\n").count();
    assert_eq!(memchr::memchr_iter(b'\n', &message).count(), line_ends);
    // The boundary stands in its field and in the four delimiters.
    let parameter = memchr::memmem::find(&message, b"boundary=\"").expect("there is a boundary") + 10;
    let length = memchr::memchr(b'"', &message[parameter..]).expect("the boundary is quoted");
    let boundary = &message[parameter..parameter + length];
    assert!(length <= 70);
    assert_eq!(memchr::memmem::find_iter(&message, boundary).count(), 5);
}
