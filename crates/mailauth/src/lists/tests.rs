use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Instant;

use hikyaku_dns::{Answer, Data, Error, Mx, RecordType, Tlsa, Txt, Zone};
use hikyaku_message::results::{AuthenticationResults, Dnswl};

use super::*;
use crate::now::now;
use crate::{Budget, Records};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn list(zone: &str) -> List {
    List::new(name(zone))
}

fn zone() -> Zone {
    let mut zone: Zone = "
$TTL 300
$ORIGIN bl.test.
2.0.0.127     A 127.0.0.2
2.2.0.192     A 127.0.0.2
2.2.0.192     TXT \"listed, see \" \"https://bl.test/?ip=192.0.2.2\"
2.2.0.192     TXT \"another\"
3.2.0.192     A 127.255.255.254
4.2.0.192     A 10.0.0.1
6.2.0.192     A 127.0.0.10
6.2.0.192     A 127.0.0.4
7.2.0.192     A 127.0.0.1
8.2.0.192     A 127.0.0.2
8.2.0.192     A 127.255.255.252
9.2.0.192     A 127.0.0.2
9.2.0.192     A 192.0.2.80
10.2.0.192    TXT \"a text alone\"
11.2.0.192    A 127.0.0.2
14.2.0.192    A 127.255.254.2
11.2.0.192    TXT \"tab\\009and \\195\\188 and\\013\\010line\"
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.3
test          A 127.0.0.2
spam.example  A 127.0.1.2
xn--bcher-kva.example A 127.0.1.2
$ORIGIN wl.test.
2.2.0.192     A 127.0.10.1
2.2.0.192     A 127.0.10.3
6.2.0.192     A 127.0.10.1
$ORIGIN six.test.
2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 A 127.0.0.2
$ORIGIN all.test.
*             A 127.0.0.2
$ORIGIN refuses.test.
*             A 127.255.255.255
$ORIGIN parked.test.
*             A 192.0.2.80
"
    .parse()
    .unwrap();
    for (failing, record_type, error) in [
        ("5.2.0.192.bl.test", RecordType::A, Error::ServerFailure),
        ("12.2.0.192.bl.test", RecordType::A, Error::Timeout),
        ("6.2.0.192.bl.test", RecordType::TXT, Error::Timeout),
        ("2.0.0.127.fails.test", RecordType::A, Error::Refused(5)),
        ("12.2.0.192.fails.test", RecordType::A, Error::Refused(5)),
    ] {
        zone.failures.insert((name(failing), record_type), error.into());
    }
    zone.add(name("13.2.0.192.bl.test"), 300, Data::A([127, 0, 0, 2].into()));
    zone.add(name("13.2.0.192.bl.test"), 300, Data::Txt((&*"x".repeat(401)).into()));
    zone
}

/// What the list says, and which questions were asked.
fn look_up_within<'a>(list: &List, subject: impl Into<Subject<'a>>, queries: u32) -> (Listing, Vec<String>) {
    let records = Records::new(zone());
    let lookups = records.lookups(Instant::now(), Budget { queries }).logged();
    let listing = now(list.look_up(&lookups, subject.into()));
    let asked = lookups.log().iter().map(|lookup| format!("{} {}", lookup.name, lookup.record_type)).collect();
    (listing, asked)
}

fn look_up<'a>(list: &List, subject: impl Into<Subject<'a>>) -> Listing {
    look_up_within(list, subject, 50).0
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn listed(answers: &[[u8; 4]]) -> Listing {
    let answers = answers.iter().map(|answer| (*answer).into()).collect();
    Listing::Listed(Entry { answers, reason: None, security: Security::Indeterminate })
}

/// RFC 5782 §2.1.
#[test]
fn d51_what_the_answers_of_a_list_mean() {
    let failed = |error| Listing::Failed(LookupError::Dns(error));
    for (client, said) in [
        ("192.0.2.2", listed(&[[127, 0, 0, 2]])),
        ("::ffff:192.0.2.2", listed(&[[127, 0, 0, 2]])),
        ("2001:db8::1", listed(&[[127, 0, 0, 3]])),
        ("192.0.2.6", listed(&[[127, 0, 0, 10], [127, 0, 0, 4]])),
        ("192.0.2.14", listed(&[[127, 255, 254, 2]])),
        ("192.0.2.1", Listing::NotListed),
        ("2001:db8::2", Listing::NotListed),
        ("192.0.2.10", Listing::NotListed),
        // What says that the list does not work says nothing about the client.
        ("192.0.2.3", Listing::Broken(Broken::Refused([127, 255, 255, 254].into()))),
        ("192.0.2.7", Listing::Broken(Broken::Refused([127, 0, 0, 1].into()))),
        ("192.0.2.8", Listing::Broken(Broken::Refused([127, 255, 255, 252].into()))),
        ("192.0.2.4", Listing::Broken(Broken::Foreign([10, 0, 0, 1].into()))),
        ("192.0.2.9", Listing::Broken(Broken::Foreign([192, 0, 2, 80].into()))),
        ("192.0.2.5", failed(Error::ServerFailure)),
        ("192.0.2.12", failed(Error::Timeout)),
    ] {
        let is_listed = matches!(said, Listing::Listed(_));
        let found = look_up(&list("bl.test"), address(client));
        assert_eq!(found, said, "{client}");
        assert_eq!(found.is_listed(), is_listed, "{client}");
    }
    assert_eq!(
        look_up_within(&list("bl.test"), address("192.0.2.2"), 0),
        (Listing::Failed(LookupError::Budget), vec![])
    );
}

#[test]
fn the_filter_chooses_among_the_answers() {
    let mut bl = list("bl.test");
    bl.filter = "127.0.0.[2..9]".parse().unwrap();
    assert_eq!(look_up(&bl, address("192.0.2.6")), listed(&[[127, 0, 0, 4]]));
    bl.filter = "127.0.0.5".parse().unwrap();
    assert_eq!(look_up(&bl, address("192.0.2.6")), Listing::NotListed);
    // Who names an answer that others refuse with means it.
    bl.filter = "127.0.0.[1..2]".parse().unwrap();
    assert_eq!(look_up(&bl, address("192.0.2.7")), listed(&[[127, 0, 0, 1]]));
    bl.filter = "127.0.0.2".parse().unwrap();
    assert_eq!(look_up(&bl, address("192.0.2.7")), Listing::Broken(Broken::Refused(Ipv4Addr::LOCALHOST)));
}

/// RFC 5782 §2.1, §2.4, §3.
#[test]
fn rfc_5782_2_names_that_are_asked_for() {
    let asked = |subject: Subject<'_>| look_up_within(&list("bl.test"), subject, 50).1;
    assert_eq!(asked(address("192.0.2.99").into()), ["99.2.0.192.bl.test A"]);
    assert_eq!(asked(address("::ffff:192.0.2.99").into()), ["99.2.0.192.bl.test A"]);
    let nibbles = "9.9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
    assert_eq!(asked(address("2001:db8::99").into()), [format!("{nibbles}.bl.test A")]);
    for (domain, is_listed) in [
        ("spam.example", true),
        ("SPAM.Example", true),
        ("www.spam.example", false),
        ("bücher.example", true),
        ("ham.example", false),
    ] {
        let domain = Name::from_domain(domain).unwrap();
        let (listing, asked) = look_up_within(&list("bl.test"), &domain, 50);
        assert_eq!(listing.is_listed(), is_listed, "{domain}");
        assert_eq!(asked, [format!("{domain}.bl.test A")]);
    }
}

#[test]
fn what_nobody_else_can_know_is_never_asked_for() {
    let all = list("all.test");
    let is_asked = |subject: Subject<'_>| {
        let (listing, asked) = look_up_within(&all, subject, 50);
        assert_eq!(listing == Listing::NotAsked, asked.is_empty());
        assert_eq!(listing.is_listed(), !asked.is_empty());
        !asked.is_empty()
    };
    for private in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.0.0.2",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.2",
        "::",
        "::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff02::1",
    ] {
        assert!(!is_asked(address(private).into()), "{private}");
    }
    for public in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.0.0.1",
        "128.0.0.1",
        "169.253.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.167.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2001:db8::1",
        "fbff::1",
        "fe00::1",
        "fe7f::1",
        "::2",
    ] {
        assert!(is_asked(address(public).into()), "{public}");
    }
    for (domain, asked) in [
        (".", false),
        ("com", false),
        ("localhost", false),
        ("printer.local", false),
        ("a.internal", false),
        ("a.localhost", false),
        ("a.invalid", false),
        ("a.onion", false),
        ("a.alt", false),
        ("nas.home.arpa", false),
        ("192.0.2.1", false),
        ("a.1", false),
        ("a.1a", true),
        ("example.com", true),
        ("local.example", true),
        ("1.example", true),
    ] {
        assert_eq!(is_asked((&name(domain)).into()), asked, "{domain}");
    }
    // A name and a zone that are too long together: 245 + 8 characters fit.
    let labels = [&*"a".repeat(63), &*"b".repeat(63), &*"c".repeat(63)].join(".");
    for (last, asked) in [(52, true), (53, false)] {
        let domain = name(&format!("{labels}.{}", "d".repeat(last)));
        assert_eq!(is_asked((&domain).into()), asked, "{last}");
    }
}

#[test]
fn reasons_are_asked_for_where_they_are_wanted() {
    let mut bl = list("bl.test");
    bl.reason = true;
    let reason = |client: &str| match look_up_within(&bl, address(client), 50) {
        (Listing::Listed(entry), asked) => (entry.reason, asked.len()),
        (other, asked) => (Some(format!("{other:?}")), asked.len()),
    };
    assert_eq!(reason("192.0.2.2"), (Some("listed, see https://bl.test/?ip=192.0.2.2".into()), 2));
    assert_eq!(reason("192.0.2.11"), (Some("tab?and ?? and??line".into()), 2));
    assert_eq!(reason("192.0.2.13"), (Some("x".repeat(400)), 2));
    // None, and one that cannot be had.
    assert_eq!(reason("2001:db8::1"), (None, 2));
    assert_eq!(reason("192.0.2.6"), (None, 2));
    assert_eq!(reason("192.0.2.1"), (Some("NotListed".into()), 1));
    bl.reason = false;
    let (_, asked) = look_up_within(&bl, address("192.0.2.2"), 50);
    assert_eq!(asked, ["2.2.0.192.bl.test A"]);
}

#[test]
fn weights_are_added() {
    let weighted = |zone, weight| List { weight, ..list(zone) };
    let lists =
        [weighted("bl.test", 3), weighted("wl.test", -5), weighted("all.test", 1), weighted("refuses.test", 100)];
    let score = |client: &str, lists: &[List]| {
        let records = Records::new(zone());
        now(check(&records.lookups(Instant::now(), Budget::default()), lists, address(client).into()))
    };
    for (client, expected) in
        [("192.0.2.2", -1), ("192.0.2.1", 1), ("192.0.2.5", 1), ("2001:db8::1", 4), ("10.0.0.1", 0)]
    {
        let outcome = score(client, &lists);
        assert_eq!((outcome.score, outcome.listings.len()), (expected, 4), "{client}");
    }
    let outcome = score("192.0.2.2", &lists);
    let said: Vec<_> = outcome.listings.iter().map(Listing::is_listed).collect();
    assert_eq!(said, [true, true, true, false]);
    assert_eq!(score("192.0.2.2", &[]), Outcome { score: 0, listings: vec![] });
    let most = [weighted("bl.test", i32::MAX), weighted("all.test", i32::MAX)];
    assert_eq!(score("192.0.2.2", &most).score, i32::MAX);
    let least = [weighted("bl.test", i32::MIN), weighted("all.test", i32::MIN)];
    assert_eq!(score("192.0.2.2", &least).score, i32::MIN);
}

/// A resolver that answers at the third poll, and counts how many questions wait at once.
struct Slow {
    zone: Zone,
    waiting: AtomicUsize,
    most: AtomicUsize,
}

macro_rules! slow {
    ($($method:ident -> $record:ty),*) => {
        impl Resolver for Slow {
            $(async fn $method(&self, name: &Name) -> Result<Answer<$record>, Error> {
                let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
                self.most.fetch_max(waiting, Ordering::Relaxed);
                let mut left = 2;
                std::future::poll_fn(|_| match left {
                    0 => Poll::Ready(()),
                    _ => {
                        left -= 1;
                        Poll::Pending
                    }
                })
                .await;
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                self.zone.$method(name).await
            })*
        }
    };
}
slow!(a -> Ipv4Addr, aaaa -> Ipv6Addr, mx -> Mx, ptr -> Name, tlsa -> Tlsa, txt -> Txt);

#[test]
fn lists_are_asked_at_once() {
    let records = Records::new(Slow { zone: zone(), waiting: AtomicUsize::new(0), most: AtomicUsize::new(0) });
    let lookups = records.lookups(Instant::now(), Budget::default());
    let lists = [List { reason: true, ..list("bl.test") }, list("wl.test"), list("all.test")];
    let mut checking = pin!(check(&lookups, &lists, address("192.0.2.2").into()));
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    let outcome = loop {
        polls += 1;
        assert!(polls < 10);
        if let Poll::Ready(outcome) = checking.as_mut().poll(&mut context) {
            break outcome;
        }
    };
    // Three polls for the addresses and two more for the reason of the first.
    assert_eq!((outcome.score, polls, lookups.asked()), (3, 5, 4));
    assert!(outcome.listings.iter().all(Listing::is_listed));
    assert_eq!(records.lookups(Instant::now(), Budget::default()).asked(), 0);
}

/// RFC 8904 §2.
#[test]
fn rfc_8904_2_the_results_of_a_list_of_the_welcome() {
    let wl = list("wl.test");
    let text = |listing: &Listing| {
        let results = AuthenticationResults::new(Value::new("mx.test").unwrap()).unwrap();
        results.with(listing.results(&wl)).to_string()
    };
    let secure = |security| {
        let answers = vec![[127, 0, 10, 1].into(), [127, 0, 10, 3].into()];
        Listing::Listed(Entry { answers, reason: Some("a \"reason\"".into()), security })
    };
    for (listing, word, expected) in [
        (look_up(&wl, address("192.0.2.1")), Dnswl::None, "dnswl=none dns.zone=wl.test"),
        (Listing::NotAsked, Dnswl::None, "dnswl=none dns.zone=wl.test"),
        (
            look_up(&wl, address("192.0.2.6")),
            Dnswl::Pass,
            "dnswl=pass dns.zone=wl.test dns.sec=na policy.ip=127.0.10.1",
        ),
        (
            secure(Security::Secure),
            Dnswl::Pass,
            "dnswl=pass dns.zone=wl.test dns.sec=yes policy.ip=\"127.0.10.1,127.0.10.3\" policy.txt=\"a \\\"reason\\\"\"",
        ),
        (
            secure(Security::Insecure),
            Dnswl::Pass,
            "dnswl=pass dns.zone=wl.test dns.sec=no policy.ip=\"127.0.10.1,127.0.10.3\" policy.txt=\"a \\\"reason\\\"\"",
        ),
        (Listing::Failed(LookupError::Budget), Dnswl::TempError, "dnswl=temperror dns.zone=wl.test"),
        (Listing::Failed(Error::Timeout.into()), Dnswl::TempError, "dnswl=temperror dns.zone=wl.test"),
        (Listing::Failed(Error::Refused(5).into()), Dnswl::PermError, "dnswl=permerror dns.zone=wl.test"),
        (
            Listing::Broken(Broken::Refused([127, 255, 255, 255].into())),
            Dnswl::PermError,
            "dnswl=permerror dns.zone=wl.test",
        ),
    ] {
        assert_eq!(listing.dnswl(), word, "{listing:?}");
        assert_eq!(text(&listing), format!("mx.test; {expected}"));
    }
}

/// RFC 5782 §5.
#[test]
fn rfc_5782_5_a_list_tests_itself() {
    let test = |zone: &str, kind| {
        let mut list = list(zone);
        // Whatever is taken otherwise.
        list.filter = "127.9.9.9".parse().unwrap();
        let records = Records::new(self::zone());
        let lookups = records.lookups(Instant::now(), Budget::default());
        let result = now(list.self_test(&lookups, kind));
        (result, lookups.asked())
    };
    let not_listed = |name: &str| Err(SelfTestError::NotListed(self::name(name)));
    let nibbles = |last| format!("{last}.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0");
    assert_eq!(test("bl.test", Kind::Ipv4), (Ok(()), 2));
    assert_eq!(test("bl.test", Kind::Domains), (Ok(()), 2));
    assert_eq!(test("bl.test", Kind::Ipv6), (not_listed(&format!("{}.bl.test", nibbles(2))), 1));
    assert_eq!(test("six.test", Kind::Ipv6), (Ok(()), 2));
    assert_eq!(test("six.test", Kind::Ipv4), (not_listed("2.0.0.127.six.test"), 1));
    assert_eq!(test("six.test", Kind::Domains), (not_listed("test.six.test"), 1));
    let listed = |name: &str| Err(SelfTestError::Listed(self::name(name)));
    assert_eq!(test("all.test", Kind::Ipv4), (listed("1.0.0.127.all.test"), 2));
    assert_eq!(test("all.test", Kind::Ipv6), (listed(&format!("{}.all.test", nibbles(1))), 2));
    assert_eq!(test("all.test", Kind::Domains), (listed("invalid.all.test"), 2));
    let broken = |broken| (Err(SelfTestError::Broken(broken)), 1);
    assert_eq!(test("refuses.test", Kind::Ipv4), broken(Broken::Refused([127, 255, 255, 255].into())));
    assert_eq!(test("parked.test", Kind::Ipv4), broken(Broken::Foreign([192, 0, 2, 80].into())));
    let failed = LookupError::Dns(Error::Refused(5));
    assert_eq!(test("fails.test", Kind::Ipv4), (Err(SelfTestError::Lookup(failed)), 1));
}
