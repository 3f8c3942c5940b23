use proptest::prelude::*;

use super::*;
use crate::{HoldFor, HoldUntil};

fn offered(lines: &[&str]) -> Capabilities {
    let text = lines.iter().fold("mx.test".to_owned(), |text, line| format!("{text}\n{line}"));
    let reply = Reply::plain(Code::OK_250, text);
    let borrowed = Capabilities::parse(&reply);
    let owned = borrowed.into_owned();
    assert_eq!(borrowed, owned);
    // What is read once is what the lines say.
    let size = match borrowed.get(&EhloKeyword::SIZE) {
        Some(Capability::Size(Some(size @ 1..))) => Some(size),
        _ => None,
    };
    assert_eq!((borrowed.size(), owned.size()), (size, size));
    for name in mechanism::NAMES {
        assert_eq!(borrowed.has_mechanism(name), borrowed.mechanisms().any(|m| m.eq_ignore_ascii_case(name)));
    }
    let rebuilt = borrowed.iter().fold(Capabilities::new(), Capabilities::with);
    assert_eq!((rebuilt.offer, &rebuilt), (borrowed.offer, &owned));
    // The same on the wire, and there and back again.
    let mut out = bytes::BytesMut::new();
    reply.write(&mut out);
    let (wire, _) = Reply::parse(&out).unwrap().unwrap();
    assert_eq!(Capabilities::parse(&wire), borrowed);
    assert_eq!(Capabilities::parse(&borrowed.reply("mx.test")), borrowed);
    owned
}

fn words(text: &str) -> Words<'_> {
    Words::new(text).unwrap()
}

#[test]
fn each_extension_has_its_type() {
    let seconds = |n| Seconds::new(n).unwrap();
    let release = |seconds, moment| Capability::FutureRelease {
        interval: HoldFor::new(seconds).unwrap(),
        date_time: HoldUntil::parse(moment).unwrap(),
    };
    let rows = [
        ("PIPELINING", Capability::Pipelining),
        ("SIZE 52428800", Capability::Size(Some(52_428_800))),
        ("8BITMIME", Capability::EightBitMime),
        ("SMTPUTF8", Capability::SmtpUtf8),
        ("ENHANCEDSTATUSCODES", Capability::EnhancedStatusCodes),
        ("STARTTLS", Capability::StartTls),
        ("AUTH PLAIN LOGIN", Capability::Auth(words("PLAIN LOGIN"))),
        ("AUTH", Capability::Auth(words(""))),
        ("CHUNKING", Capability::Chunking),
        ("BINARYMIME", Capability::BinaryMime),
        ("DSN", Capability::Dsn),
        ("DELIVERBY", Capability::DeliverBy(None)),
        ("DELIVERBY 240", Capability::DeliverBy(Some(seconds(240)))),
        ("FUTURERELEASE 86400 2027-01-02T03:04:05Z", release(86_400, "2027-01-02T03:04:05Z")),
        ("MT-PRIORITY", Capability::MtPriority(words(""))),
        ("MT-PRIORITY MIXER", Capability::MtPriority(words("MIXER"))),
        ("REQUIRETLS", Capability::RequireTls),
        ("LIMITS RCPTMAX=20", Capability::Limits(Limits::new(None, Some(20), None).unwrap())),
        ("ETRN", Capability::Etrn),
        ("VRFY", Capability::Vrfy),
        ("EXPN", Capability::Expn),
        ("HELP", Capability::Help),
        ("NO-SOLICITING", Capability::NoSoliciting(words(""))),
        ("NO-SOLICITING com.example:ADV,org.example:ADV", {
            Capability::NoSoliciting(words("com.example:ADV,org.example:ADV"))
        }),
        ("BURL imap imap://imap.example.org", Capability::Burl(words("imap imap://imap.example.org"))),
        ("XCLIENT NAME ADDR LOGIN", Capability::XClient(words("NAME ADDR LOGIN"))),
    ];
    let lines: Vec<_> = rows.iter().map(|(line, _)| *line).collect();
    let all = offered(&lines);
    assert!(all.iter().eq(rows.iter().map(|(_, capability)| *capability)));
    assert_eq!(all.reply("x").lines().skip(1).collect::<Vec<_>>(), lines);
    assert_eq!(rows.iter().fold(Capabilities::new(), |all, (_, capability)| all.with(*capability)), all);
    for (line, capability) in rows {
        assert_eq!(Capability::parse(line), Ok(capability), "{line}");
        assert_eq!(Capability::parse(&line.to_lowercase().replace(' ', "  ")).unwrap().keyword(), capability.keyword());
        let one = offered(&[line]);
        assert!(one.has(&capability.keyword()) && all.has(&capability.keyword()), "{line}");
        assert_eq!(one.get(&capability.keyword()), Some(capability));
        for (_, other) in rows {
            assert_eq!(one.has(&other.keyword()), other.keyword() == capability.keyword());
        }
    }
}

#[test]
fn what_is_unknown_survives_in_its_order() {
    let all = offered(&["X-NEW a b=c", "PIPELINING", "x-new", "XVERP", "PIPELINING"]);
    let lines: Vec<_> = all.iter().map(|capability| capability.to_string()).collect();
    assert_eq!(lines, ["X-NEW a b=c", "PIPELINING", "x-new", "XVERP", "PIPELINING"]);
    let Some(Capability::Other(extension)) = all.get(&"X-new".parse::<EhloKeyword>().unwrap()) else { panic!() };
    assert_eq!((extension.keyword().as_str(), extension.params()), ("X-NEW", words("a b=c")));
    assert!(all.has(&EhloKeyword::parse("xverp").unwrap()) && !all.has(&EhloKeyword::parse("XVER").unwrap()));
    assert_eq!(all.get(&EhloKeyword::parse("XVER").unwrap()), None);
    assert_ne!(all, offered(&["PIPELINING", "X-NEW a b=c", "x-new", "XVERP", "PIPELINING"]));
    assert_ne!(all, offered(&["X-NEW a b=c", "PIPELINING", "x-new", "XVERP"]));
    assert_eq!(format!("{:?}", offered(&["DSN", "SIZE"])), "[Dsn, Size(None)]");
}

#[test]
fn parameters_that_no_rfc_allows_are_kept_and_mean_nothing() {
    let lines = [
        "PIPELINING yes",
        "STARTTLS REQUIRED",
        "SIZE many",
        "SIZE 1 2",
        "SIZE +1",
        "SIZE 99999999999999999999",
        "SIZE 000000000000000000001",
        "DELIVERBY -1",
        "DELIVERBY 1234567890",
        "FUTURERELEASE",
        "FUTURERELEASE 10",
        "FUTURERELEASE 010 2027-01-02T03:04:05Z",
        "FUTURERELEASE 1000000000 2027-01-02T03:04:05Z",
        "FUTURERELEASE 10 2027-02-29T03:04:05Z",
        "FUTURERELEASE 10 2027-01-02T03:04:05",
        "FUTURERELEASE 0 2027-01-02T03:04:05Z",
        "FUTURERELEASE 10 soon",
        "FUTURERELEASE 10 2027-01-02T03:04:05Z x",
        "FUTURERELEASE 10 10000-01-02T03:04:05Z",
    ];
    for line in lines {
        let keyword = EhloKeyword::parse(line.split(' ').next().unwrap()).unwrap();
        let all = offered(&[line]);
        assert!(all.has(&keyword), "{line}");
        let Some(Capability::Other(extension)) = all.get(&keyword) else { panic!("{line}") };
        assert_eq!(extension.keyword(), keyword);
        assert_eq!(extension.params(), words(&line[keyword.as_str().len()..]));
        assert_eq!(all.iter().next().unwrap().to_string(), line);
        assert_eq!((all.size(), all.limits()), (None, Limits::default()));
    }
}

#[test]
fn rfc_4865_the_moment_is_kept_with_its_offset() {
    let line = "FUTURERELEASE 86400 2027-01-02T03:04:05.5+01:00";
    let all = offered(&[line]);
    let Some(Capability::FutureRelease { interval, date_time }) = all.get(&EhloKeyword::FUTURERELEASE) else {
        panic!("not typed")
    };
    assert_eq!((interval.seconds(), date_time.timestamp().to_string().as_str()), (86_400, "2027-01-02T02:04:05.500Z"));
    assert_eq!(all.iter().next().unwrap().to_string(), line);
}

#[test]
fn more_can_be_offered_than_a_peer_has_offered() {
    for reply in [&b"250-mx\r\n250-DSN\r\n250 SIZE 7\r\n"[..], b"250-2.0.0 mx\r\n250-2.0.0 DSN\r\n250 SIZE 7\r\n"] {
        let (reply, _) = Reply::parse(reply).unwrap().unwrap();
        let more = Capabilities::parse(&reply).into_owned().with(Capability::Help).with(Capability::Size(Some(9)));
        assert_eq!(more, offered(&["DSN", "SIZE 7", "HELP", "SIZE 9"]));
        assert_eq!((more.size(), more.has(&EhloKeyword::HELP)), (Some(7), true));
    }
}

#[test]
fn size_in_all_its_forms() {
    let size = |line: &str| {
        let all = offered(&[line]);
        let Some(Capability::Size(limit)) = all.get(&EhloKeyword::SIZE) else { panic!("{line}") };
        (limit, all.size())
    };
    assert_eq!(size("SIZE"), (None, None));
    assert_eq!(size("SIZE 0"), (Some(0), None));
    assert_eq!(size("size 1000 "), (Some(1000), Some(1000)));
    assert_eq!(size("SIZE 18446744073709551615"), (Some(u64::MAX), Some(u64::MAX)));
    assert_eq!(Capabilities::new().get(&EhloKeyword::SIZE), None);
    assert_eq!(Capabilities::default().size(), None);
    // The first one counts.
    assert_eq!(offered(&["SIZE 1", "SIZE 2"]).size(), Some(1));
    assert_eq!(offered(&["SIZE many", "SIZE 2"]).size(), None);
    assert_eq!(Capabilities::new().with(Capability::Size(Some(1))).with(Capability::Size(Some(2))).size(), Some(1));
}

#[test]
fn rfc_9422_limits() {
    let all = offered(&["LIMITS rcptmax=100 MAILMAX=5 X=1 RCPTDOMAINMAX=1 RCPTMAX=7 Y"]);
    let limits = all.limits();
    assert_eq!((limits.transactions(), limits.recipients(), limits.recipient_domains()), (Some(5), Some(100), Some(1)));
    assert_eq!(limits.others().collect::<Vec<_>>(), ["X=1", "Y"]);
    assert_eq!(limits.to_string(), "MAILMAX=5 RCPTMAX=100 RCPTDOMAINMAX=1 X=1 Y");
    for value in ["0", "01", "1000000", "", "-1", "+1", "x", "1x", "1=2"] {
        let line = format!("LIMITS RCPTMAX={value}");
        let all = offered(&[&line]);
        assert_eq!(all.limits().recipients(), None, "{line}");
        assert_eq!(all.limits().others().count(), 1);
    }
    assert_eq!(offered(&["LIMITS RCPTMAX=999999"]).limits().recipients(), Some(999_999));
    assert_eq!(Limits::new(Some(1), Some(1_000_000), None), Err(CapabilityErrorKind::Range.at(1)));
    assert_eq!(Limits::new(Some(1), Some(999_999), Some(0)), Err(CapabilityErrorKind::Range.at(2)));
    let ours = Limits::new(Some(1), None, Some(3)).unwrap();
    assert_eq!(offered(&[&Capability::Limits(ours).to_string()]).limits(), ours);
    assert_ne!(ours, Limits::new(Some(1), None, None).unwrap());
    assert_ne!(all.limits(), Limits::new(Some(5), Some(100), Some(1)).unwrap());
    assert_eq!(offered(&["LIMITS"]).limits(), Limits::default());
}

#[test]
fn auth_in_its_old_form_too() {
    let all = offered(&["AUTH=LOGIN CRAM-MD5", "AUTH PLAIN"]);
    assert_eq!(all.mechanisms().collect::<Vec<_>>(), ["LOGIN", "CRAM-MD5", "PLAIN"]);
    assert_eq!(all.reply("x").lines().nth(1), Some("AUTH LOGIN CRAM-MD5"));
    for (name, offered) in [("PLAIN", true), ("cram-md5", true), ("NTLM", false), ("X-OWN", false), ("", false)] {
        assert_eq!(all.has_mechanism(name), offered, "{name}");
    }
    assert!(offered(&["AUTH x-own X-TWENTY-FOUR-AND-MORE"]).has_mechanism("X-own"));
    assert!(!offered(&["AUTH x-own X-TWENTY-FOUR-AND-MORE"]).has_mechanism("MORE"));
    assert!(all.has(&EhloKeyword::AUTH));
    assert_eq!(offered(&["SIZE=1000", "AUTHLOGIN=x"]).iter().count(), 0);
}

#[test]
fn lines_that_are_none_are_ignored() {
    let long = format!("X {}", "y".repeat(504));
    let longer = format!("X {}", "y".repeat(505));
    let reply = format!(
        "250-mx PIPELINING\r\n250-\r\n250- DSN\r\n250--DSN\r\n250-D_S_N\r\n250-X ü\r\n250-DSN ü\r\n250-{long}\r\n250-{longer}\r\n250-SIZE\t7\r\n250 \x1bETRN\r\n"
    );
    let (reply, _) = Reply::parse(reply.as_bytes()).unwrap().unwrap();
    let lines: Vec<_> = Capabilities::parse(&reply).iter().map(|capability| capability.to_string()).collect();
    assert_eq!(lines, [long.as_str(), "SIZE 7"]);
    assert_eq!(Capabilities::parse(&Reply::plain(Code::OK_250, "PIPELINING")), Capabilities::new());
    let enhanced = Reply::parse(b"250-2.0.0 x\r\n250-2.0.0 DSN\r\n250 SIZE 1\r\n").unwrap().unwrap().0;
    assert_eq!(Capabilities::parse(&enhanced), offered(&["DSN", "SIZE 1"]));
}

#[test]
fn no_constructor_takes_what_could_end_the_line() {
    for bad in ["a\r\n250 X", "a\n", "a\0", "\u{7f}", "a\tb", "ü"] {
        let at = bad.bytes().position(|b| !b.is_ascii_graphic()).unwrap();
        assert_eq!(Words::new(bad), Err(CapabilityErrorKind::Parameter.at(at)), "{bad:?}");
        let line = format!("X {bad}");
        assert_eq!(Capability::parse(&line), Err(CapabilityErrorKind::Parameter.at(at + 2)), "{bad:?}");
    }
    assert_eq!(Capability::parse(""), Err(CapabilityErrorKind::Keyword.at(0)));
    assert_eq!(Capability::parse("A_B c"), Err(CapabilityErrorKind::Keyword.at(1)));
    assert_eq!(Capability::parse(" DSN"), Err(CapabilityErrorKind::Keyword.at(0)));
    assert_eq!(Capability::parse("SIZE=1"), Err(CapabilityErrorKind::Keyword.at(4)));
    let octets = |n: usize| "y".repeat(n);
    assert!(Words::new(&octets(480)).is_ok());
    assert_eq!(Words::new(&octets(481)), Err(CapabilityErrorKind::TooLong.at(480)));
    assert!(Capability::parse(&octets(506)).is_ok());
    assert_eq!(Capability::parse(&octets(507)), Err(CapabilityErrorKind::TooLong.at(506)));
    assert!(Seconds::new(999_999_999).is_ok());
    assert_eq!(Seconds::new(1_000_000_000), Err(CapabilityErrorKind::Range.at(0)));
    assert_eq!(Capabilities::new().reply("a\nb\r").to_string(), "250 a b?");
}

proptest! {
    #[test]
    fn what_is_offered_survives_the_wire(
        lines in prop::collection::vec("(PIPELINING|SIZE|size|AUTH|AUTH=|LIMITS|DELIVERBY|FUTURERELEASE|MT-PRIORITY|[A-Z0-9-]{1,9})( |\t)?( ?([A-Z]{0,8}=)?[0-9a-z:/,.-]{0,9}){0,4}", 0..8)
    ) {
        offered(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_prints_and_parses(line in "[A-Z0-9-]{1,20}( [!-~]{1,20}){0,4}") {
        if let Ok(capability) = Capability::parse(&line) {
            let printed = capability.to_string();
            prop_assert_eq!(Capability::parse(&printed), Ok(capability));
        }
    }
}
