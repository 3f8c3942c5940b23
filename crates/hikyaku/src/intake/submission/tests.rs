use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hikyaku_message::{Header, HeaderLimits, MessageId, Received};
use hikyaku_queue::{BodyReader, Envelope, Memory, NewRcpt, Queue};
use proptest::prelude::*;

use super::*;
use crate::{Intake, Routes};

/// A future over a queue in memory, which never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a queue in memory does not wait"),
    }
}

fn rules(owned: &'static [&'static str]) -> Submission {
    let owned: Vec<Mailbox> = owned.iter().map(|address| address.parse().unwrap()).collect();
    Submission { hostname: "mx.example.test".to_owned(), owns: Some(Arc::new(move |mailbox| owned.contains(mailbox))) }
}

/// The user of the tests; the last but one needs its quotes.
const OWNED: [&str; 5] = [
    "anna@example.test",
    "Anna.B@example.test",
    "\"an na\"@example.test",
    "\"b@bank.test\"@example.test",
    "änne@exämple.test",
];

fn intake() -> (Memory, Intake<<Memory as Queue>::Draft>) {
    let queue = Memory::new();
    let intake = now(Intake::open(&queue, None, HeaderLimits::default(), "mx.test")).unwrap();
    (queue, intake)
}

/// What stands in the queue: what was put in front, and the text.
fn submit<'a>(rules: Submission, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(String, Vec<u8>), Reply> {
    let (queue, mut intake) = intake();
    intake.submitted(rules);
    for piece in pieces {
        now(intake.push(Bytes::copy_from_slice(piece)))?;
    }
    let (id, time) = (intake.id(), Timestamp::from_millis(1_795_499_520_000));
    let shown = id.to_string();
    let trace = Received {
        helo: "x.test",
        peer: None,
        by: "mx.example.test",
        with: "ESMTPSA",
        id: &shown,
        recipient: None,
        time,
    };
    let local = "example.test".parse().unwrap();
    let routes = Routes { local, transports: Vec::new(), smarthost: None, named: Vec::new() };
    let units = routes.units([(NewRcpt::new("<b@example.test>".parse().unwrap()), None)], time, time);
    now(intake.commit(Envelope::new("<anna@example.test>".parse().unwrap(), time), trace, units))?;
    let body = now(queue.body(id)).unwrap();
    let mut text = Vec::new();
    while (text.len() as u64) < body.len() {
        text.extend_from_slice(&now(body.read_at(text.len() as u64, usize::MAX)).unwrap());
    }
    Ok((String::from_utf8(body.prepend().to_vec()).unwrap(), text))
}

/// The reply to a message of the user, `None` if it was taken.
fn refusal(message: &str) -> Option<String> {
    submit(rules(&OWNED), [message.as_bytes()]).err().map(|reply| reply.to_string())
}

fn header(from: &str) -> String {
    format!("Subject: x\r\n{from}\r\nTo: b@example.test\r\n\r\nFrom: victim@bank.test\r\n")
}

/// D49, C1.31: what the user owns, in all the forms in which it is the same.
#[test]
fn d49_c1_31_own_addresses() {
    for from in [
        "From: anna@example.test",
        "FROM:anna@EXAMPLE.test",
        "from: \"Anna\" <anna@example.test>",
        "From: Anna\r\n B <anna@example.test>",
        "From:\r\n anna@example.test\r\n ",
        "From: \"anna\"@example.test",
        "From: Anna <\"anna\"@example.test>, Anna.B@example.test",
        "From: \"an na\"@example.test",
        "From: Anna (at home) <anna@example.test>",
        "From: \"b@bank.test\"@example.test",
        "From: =?utf-8?q?J=C3=BCrgen?= <anna@example.test>",
        "From: \"=?utf-8?q?J=C3=BCrgen?=\" <anna@example.test>",
        "From: änne@exämple.test",
        "From: anna@example.test\r\nSender: anna@example.test",
        "Sender: Anna.B@example.test\r\nFrom: anna@example.test",
        "X-From: victim@bank.test\r\nFrom: anna@example.test\r\nFromm: victim@bank.test",
        "Resent-From: anna@example.test\r\nFrom: anna@example.test",
    ] {
        assert_eq!(refusal(&header(from)), None, "{from}");
    }
}

/// D49, C1.31, C1.26: anything else, and what another program may read as anything else.
#[test]
fn d49_c1_31_addresses_of_others() {
    for (from, why) in [
        ("From: victim@bank.test", "From holds another address"),
        ("From: Anna@example.test", "From holds another address"),
        ("From: anna@example.test.bank.test", "From holds another address"),
        ("From: anna@example.test, victim@bank.test", "From holds another address"),
        ("From: \"victim@bank.test\"@example.test", "From holds another address"),
        ("From: anna@example.test\r\nSender: victim@bank.test", "Sender holds another address"),
        ("Sender: victim@bank.test\r\nFrom: anna@example.test", "Sender holds another address"),
        ("From: anna@example.test\r\nSender: anna@example.test, anna@example.test", "Sender holds 2 addresses"),
        ("From: anna@example.test\r\nSender:", "Sender holds 0 addresses"),
        ("From:", "From holds 0 addresses"),
        ("From: ,", "From holds 0 addresses"),
        ("From: friends: anna@example.test;", "From holds a group"),
        ("From: :;", "From: "),
        ("From: friends:;", "From holds a group"),
        ("From: <>", "From: "),
        ("From: anna", "From: "),
        ("From: anna@example.test;", "From: "),
        ("From: anna@example.test victim@bank.test", "From: "),
        ("From: victim@bank.test <anna@example.test>", "From: a name holds an unquoted @"),
        ("From: \"an na\"@example.test, victim@bank.test <anna@example.test>", "From: a name holds an unquoted @"),
        ("From: <@bank.test:anna@example.test>", "From: a route stands"),
        ("From: anna (victim@bank.test) <anna@example.test>", "From: a comment stands"),
        ("From: anna @example.test", "From: white space stands"),
        ("From: anna@example.test (a@b,", "From: "),
        ("To: anna@example.test", "there is no From field"),
        ("From: anna@example.test\r\nFrom: anna@example.test", "there are two From fields"),
        ("From: anna@example.test\r\nSender: anna@example.test\r\nSender: anna@example.test", "two Sender fields"),
        ("From: anna..b@example.test", "From holds another address"),
        ("From: anna@exa_mple.test", "From: "),
    ] {
        let reply = refusal(&header(from)).expect(from);
        assert!(reply.starts_with("550 5.7.1 the header From is not an address of this user: "), "{from}: {reply}");
        assert!(reply.contains(why), "{from}: {reply}");
    }
    for from in ["From: \"=?x?q?=40?=\"@example.test", "From: =?x?q?a?=@example.test"] {
        let reply =
            submit(Submission { hostname: String::new(), owns: Some(Arc::new(|_| true)) }, [header(from).as_bytes()]);
        assert!(reply.unwrap_err().to_string().contains("an encoded word stands"), "{from}");
    }
}

/// D52: header sections in which two programs may see different From fields.
#[test]
fn d52_malformed_header_sections() {
    for from in [
        "From : anna@example.test",
        "From\t: anna@example.test",
        "From\r\n : anna@example.test",
        "From: anna@example.test\r\nno colon",
        "From: anna@example.test\r\nFrom\0: victim@bank.test",
        "From: anna@example.test\r\n: x",
        "From: anna@example.test\r\nFr om: victim@bank.test",
    ] {
        let reply = refusal(&header(from)).expect(from);
        assert!(reply.starts_with("554 5.6.0 malformed message header: "), "{from}: {reply}");
    }
    let reply = refusal(" From: anna@example.test\r\n\r\n").unwrap();
    assert_eq!(reply, "554 5.6.0 malformed message header: it begins with a space");
    let long = format!("From{}: anna@example.test", " ".repeat(1000));
    assert!(refusal(&header(&long)).unwrap().starts_with("554 5.6.0 "));
}

/// Messages that end within their header section, or have none.
#[test]
fn the_end_of_the_message_ends_the_header_section() {
    for good in ["From: anna@example.test", "From: anna@example.test\r\n", "From: anna@example.test\r\n\r\n"] {
        assert_eq!(refusal(good), None, "{good:?}");
    }
    for (bad, why) in [
        ("", "550 5.7.1 "),
        ("\r\nFrom: anna@example.test\r\n", "550 5.7.1 "),
        ("From: victim@bank.test", "550 5.7.1 "),
        ("Subject: x\r\n", "550 5.7.1 "),
        ("From: anna@example.test\r\nSender: victim@bank.test", "550 5.7.1 "),
        ("From: anna@example.test\r\nFrom", "554 5.6.0 "),
        ("From: anna@example.test\r\n\r", "554 5.6.0 "),
        ("From", "554 5.6.0 "),
        ("hello\r\n", "554 5.6.0 "),
    ] {
        assert!(refusal(bad).unwrap_or_default().starts_with(why), "{bad:?}");
        // It is known before the message is committed, and logged as queued.
        let (_, mut intake) = intake();
        intake.submitted(rules(&OWNED));
        let pushed = now(intake.push(Bytes::copy_from_slice(bad.as_bytes())));
        let finished = intake.finish();
        assert!(finished.as_ref().err().is_some_and(|reply| reply.to_string().starts_with(why)), "{bad:?}");
        assert!(pushed.is_ok() || pushed == finished);
    }
}

/// The refusal comes with the octet that shows it, and not with the end of the section.
#[test]
fn the_refusal_comes_as_soon_as_it_is_known() {
    for (before, octet) in [
        ("From: victim@bank.test\r\n", "S"),
        ("From: victim@bank.test\r\n", "\r"),
        ("From: anna@example.test\r\nFrom", ":"),
    ] {
        let (_, mut intake) = intake();
        intake.submitted(rules(&OWNED));
        assert_eq!(now(intake.push(Bytes::copy_from_slice(before.as_bytes()))), Ok(()));
        assert!(now(intake.push(Bytes::copy_from_slice(octet.as_bytes()))).is_err(), "{before:?}");
        assert_eq!(intake.limit(), None);
    }
}

/// What is told first stays, whatever follows.
#[test]
fn the_first_refusal_stays() {
    let (_, mut intake) = intake();
    intake.submitted(rules(&OWNED));
    let reply = now(intake.push(Bytes::from_static(b"From: victim@bank.test\r\nSubject: x\r\n"))).unwrap_err();
    assert_eq!(reply.code().as_u16(), 550);
    for more in ["no colon\r\n", "From: anna@example.test\r\n\r\n", "body"] {
        assert_eq!(now(intake.push(Bytes::from(more))), Err(reply.clone()), "{more:?}");
    }
    assert_eq!(intake.finish(), Err(reply));
}

/// A From field cannot grow without end, and no other field is kept.
#[test]
fn what_is_kept_is_bounded() {
    let many =
        |octets: usize| format!("From:{}anna@example.test\r\n", " ".repeat(octets - "anna@example.test\r\n".len()));
    assert_eq!(refusal(&many(FIELD)), None);
    let (_, mut intake) = intake();
    intake.submitted(rules(&OWNED));
    let reply = now(intake.push(Bytes::from(many(FIELD + 1)))).unwrap_err();
    assert_eq!((reply, intake.limit()), (Reply::TOO_BIG_552, Some("header_size")));

    let mut authors = Authors::new(Arc::new(|_| true));
    let mut scan = HeaderScan::new(HeaderLimits::default());
    let field = format!("References: {}", "<x@y> ".repeat(1000));
    authors.push(&mut scan, field.as_bytes()).unwrap();
    assert_eq!(authors.field.capacity(), 0);
    let mut scan = HeaderScan::new(HeaderLimits::default());
    let mut authors = Authors::new(Arc::new(|_| true));
    authors.push(&mut scan, "x".repeat(NAME).as_bytes()).unwrap();
    assert_eq!(authors.field.len(), NAME);
    authors.push(&mut scan, b"x").unwrap();
    assert_eq!(authors.field.capacity(), 0);
}

/// RFC 6409 §8.2, §8.3: what is missing is added behind our trace field, what is there stays.
#[test]
fn missing_fields_are_added() {
    for (fields, date, message_id) in [
        ("", true, true),
        ("Date: nonsense\r\n", false, true),
        ("message-id: nonsense\r\n", true, false),
        ("DATE:\r\nMessage-Id:\r\n", false, false),
        ("Resent-Date: x\r\nResent-Message-ID: y\r\nX: Date: z\r\n", true, true),
    ] {
        let message = format!("{fields}From: anna@example.test\r\n\r\nDate: 1\r\nMessage-ID: 2\r\n\r\n.\r\n");
        for rules in [rules(&OWNED), Submission { owns: None, ..rules(&[]) }] {
            let (prepend, text) = submit(rules, [message.as_bytes()]).unwrap();
            assert_eq!(text, message.as_bytes());
            let added = Header::parse(prepend.as_bytes(), HeaderLimits::default()).unwrap();
            let names: Vec<_> =
                added.fields().map(|field| String::from_utf8_lossy(field.name()).into_owned()).collect();
            let mut expected = vec!["Received"];
            expected.extend(date.then_some("Date"));
            expected.extend(message_id.then_some("Message-ID"));
            assert_eq!(names, expected, "{fields:?}");
            if let Some(date) = added.only("Date") {
                assert_eq!(&*date.value(), b"Tue, 24 Nov 2026 05:52:00 +0000");
            }
            if let Some(field) = added.only("Message-ID") {
                let value = field.value();
                let id = MessageId::parse(&value).unwrap();
                assert_eq!(id.as_str().split_once('@').unwrap().1, "mx.example.test");
                assert!(prepend.contains(&format!("id {}", id.as_str().split('@').next().unwrap())), "{prepend}");
            }
        }
    }
    // Without rules nothing is added.
    let (_, mut plain) = intake();
    now(plain.push(Bytes::from_static(b"Subject: x\r\n\r\n"))).unwrap();
    assert_eq!((plain.finish(), plain.limit()), (Ok(()), None));
}

/// A name that no identifier can hold does not cost the message, and can add no field.
#[test]
fn a_host_name_cannot_add_a_field() {
    for hostname in ["", "a b", "x>\r\nBcc: <victim@bank.test", "a@b"] {
        let rules = Submission { hostname: hostname.to_owned(), owns: None };
        let (prepend, _) = submit(rules, [&b"From: a@b.test\r\n\r\n"[..]]).unwrap();
        assert!(prepend.ends_with("@hikyaku.invalid>\r\n"), "{prepend}");
        assert!(!prepend.contains("Bcc"), "{prepend}");
    }
}

/// No address is looked at: what may be relayed may be submitted.
#[test]
fn without_owned_addresses_no_address_is_looked_at() {
    for message in ["", "hello\r\n", "From: a@b\r\nFrom: c@d\r\n\r\n", "From : x\r\n\r\n"] {
        assert!(submit(Submission { owns: None, ..rules(&[]) }, [message.as_bytes()]).is_ok(), "{message:?}");
    }
    let reply = submit(Submission { owns: None, ..rules(&[]) }, [&b" x"[..]]).unwrap_err();
    assert_eq!(reply.code().as_u16(), 554);
}

/// Whoever says too late that the message is a submission gets no message through unseen.
#[test]
fn rules_that_come_late_see_no_author() {
    let (_, mut intake) = intake();
    now(intake.push(Bytes::from_static(b"From: victim@bank.test\r\n"))).unwrap();
    intake.submitted(rules(&OWNED));
    assert!(now(intake.push(Bytes::from_static(b"Subject: x\r\n\r\n"))).is_err());
}

/// C1.34: a From field that is hard to read costs time that is linear in its length.
#[test]
fn c1_34_hard_from_fields() {
    for part in ["(", "a ", "\"", "a@b,", "<", "\\", "=?"] {
        let from = format!("From: {}\r\n\r\n", part.repeat((FIELD - 10) / part.len()));
        assert!(refusal(&from).is_some(), "{part}");
    }
}

#[test]
fn the_rules_print_no_addresses() {
    let text = format!("{:?} {:?}", rules(&OWNED), Authors::new(Arc::new(|_| true)));
    assert!(text.contains("mx.example.test") && !text.contains("anna"), "{text}");
}

proptest! {
    /// Any split of the octets gives the same verdict and the same message.
    #[test]
    fn every_split_is_the_same(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "From: anna@example.test\r\n", "From: victim@bank.test\r\n", "Sender: anna@example.test\r\n",
                "From", "Sender", ":", " ", "\r\n", "\r", "\n", "anna@example.test", "victim@bank.test", "\t", ",",
                "Date: x\r\n", "Message-ID: <x@y>\r\n", "Subject: y\r\n", "\r\n\r\n", "x", "\u{e4}", "\0", "\"", "(",
            ]),
            0..12,
        ),
        good in any::<bool>(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let start = if good { "From: anna@example.test\r\n" } else { "" };
        let message = [start, &parts.concat()].concat().into_bytes();
        let whole = submit(rules(&OWNED), [&message[..]]);
        let octets = submit(rules(&OWNED), message.chunks(1));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([message.len()]);
        let pieces: Vec<&[u8]> = [0].into_iter().chain(cuts.iter().copied()).zip(ends).map(|(a, b)| &message[a..b]).collect();
        let split = submit(rules(&OWNED), pieces);
        if let Ok((_, text)) = &whole {
            prop_assert_eq!(text, &message);
            let header = Header::parse(&message, HeaderLimits::default()).unwrap();
            let from = header.only("From").expect("one From field").value().into_owned();
            let from = AddressList::parse(&from).unwrap();
            let own: Vec<Mailbox> = OWNED.iter().map(|address| address.parse().unwrap()).collect();
            prop_assert!(from.mailboxes().all(|one| own.contains(&one.address().mailbox().unwrap())));
        }
        // The identifier is another one each time.
        let verdict = |result: Result<(String, Vec<u8>), Reply>| result.map(|(prepend, text)| (prepend.matches("\r\n").count(), text));
        let whole = verdict(whole);
        prop_assert_eq!(&whole, &verdict(octets));
        prop_assert_eq!(&whole, &verdict(split));
    }
}
