//! Who may get reports.

use super::*;
use crate::LookupError;

/// RFC 9990 §4, step by step.
#[test]
fn destinations_agree_or_get_nothing() {
    let agreed = |entries: &[(&str, &str)], domain: &str, rua: &str| {
        let zone = zone(entries);
        let records = Records::new(&zone);
        let lookups = records.lookups(Instant::now(), Budget::default()).logged();
        let record = Record::parse(format!("v=DMARC1; p=none; rua={rua}").as_bytes()).unwrap();
        let sorted = now(destinations(&lookups, &name(domain), &record));
        let mailboxes: Vec<_> = sorted.agreed.iter().map(|one| one.mailbox().unwrap()).collect();
        let asked: Vec<_> = lookups.log().into_iter().map(|lookup| lookup.name.to_string()).collect();
        (mailboxes.join(" "), sorted.unknown, asked.join(" "))
    };
    let own = ("_dmarc.example.com", "v=DMARC1; p=none");
    let yes = |mailboxes: &str, asked: &str| (mailboxes.to_owned(), vec![], asked.to_owned());
    // The domain itself, and its organization, need not agree.
    assert_eq!(agreed(&[own], "example.com", "mailto:a@example.com"), yes("a@example.com", ""));
    let walks = "_dmarc.example.com _dmarc.com _dmarc.reports.example.com";
    assert_eq!(agreed(&[own], "example.com", "mailto:a@reports.example.com"), yes("a@reports.example.com", walks));
    // Others must, the example of the text.
    let question = "blue.example.com._report._dmarc.red.example.net";
    let rua = "mailto:reports@red.example.net";
    assert_eq!(agreed(&[(question, "v=DMARC1")], "blue.example.com", rua), yes("reports@red.example.net", question));
    assert_eq!(agreed(&[(question, "v=DMARC1;")], "blue.example.com", rua), yes("reports@red.example.net", question));
    assert_eq!(
        agreed(&[("*._report._dmarc.red.example.net", "v=DMARC1")], "blue.example.com", rua),
        yes("reports@red.example.net", question)
    );
    for nothing in [&[][..], &[(question, "v=dmarc1")], &[(question, "yes")], &[(question, "p=none; v=DMARC1")]] {
        assert_eq!(agreed(nothing, "blue.example.com", rua), yes("", question));
    }
    // Of several records one is enough.
    assert_eq!(
        agreed(&[(question, "x"), (question, "v=DMARC1"), (question, "v=DMARC1; x=y")], "blue.example.com", rua),
        yes("reports@red.example.net", question)
    );
    // Another mailbox of the same host, but of no other.
    assert_eq!(
        agreed(&[(question, "v=DMARC1; rua=mailto:other@red.example.net")], "blue.example.com", rua),
        yes("other@red.example.net", question)
    );
    assert_eq!(
        agreed(&[(question, "v=DMARC1; rua=mailto:other@example.net")], "blue.example.com", rua),
        yes("", question)
    );
    assert_eq!(
        agreed(
            &[(question, "v=DMARC1; rua=mailto:x@red.example.net,mailto:y@victim.example")],
            "blue.example.com",
            rua
        ),
        yes("", question)
    );
    // Under the same top, but another organization.
    let (mailboxes, _, asked) =
        agreed(&[own, ("example.com._report._dmarc.reports.com", "v=DMARC1")], "example.com", "mailto:a@reports.com");
    assert_eq!(
        (mailboxes.as_str(), asked.as_str()),
        ("a@reports.com", "_dmarc.example.com _dmarc.com example.com._report._dmarc.reports.com")
    );
    // What failed may be asked again.
    let (mailboxes, unknown, _) =
        agreed(&[(question, "SERVFAIL")], "blue.example.com", &format!("{rua},mailto:a@blue.example.com"));
    assert_eq!(mailboxes, "a@blue.example.com");
    assert_eq!(unknown, [(Destination::parse(rua).unwrap(), LookupError::Dns(Error::ServerFailure))]);
    // Only mail, only ten, each once.
    let many: String = (0..12).map(|n| format!("mailto:a{n}@example.com,")).collect();
    assert_eq!(agreed(&[own], "example.com", &many).0.split(' ').count(), 10);
    assert_eq!(
        agreed(&[own], "example.com", "https://example.com/x,tel:1,mailto:a@example.com,mailto:a@example.com"),
        yes("a@example.com", "")
    );
    // A name that would be too long has no consent.
    let long = [&*"a".repeat(63), &"b".repeat(63), &"c".repeat(63), "example.com"].join(".");
    assert_eq!(agreed(&[], &long, "mailto:a@red.example-long-name-of-a-host.net"), yes("", ""));
}

#[test]
fn a_size_that_is_not_exceeded() {
    let limited = Destination::parse("mailto:a@example.com!10k").unwrap();
    assert_eq!((limited.fits(10_240), limited.fits(10_241)), (true, false));
    assert!(Destination::parse("mailto:a@example.com").unwrap().fits(u64::MAX));
}

/// Twenty short URIs take more than their text, and a host may publish many records with them.
#[test]
fn what_is_large_when_read_is_not_kept() {
    let record = format!("v=DMARC1; rua={}", "a:b,".repeat(20));
    let question = "blue.example.com._report._dmarc.red.example.net";
    let rua = Record::parse(b"v=DMARC1; p=none; rua=mailto:a@red.example.net").unwrap();
    for (records, kept) in [(1, 1), (60, 0)] {
        let zone = zone(&vec![(question, &*record); records]);
        let records = Records::new(&zone);
        let lookups = records.lookups(Instant::now(), Budget::default());
        now(destinations(&lookups, &name("blue.example.com"), &rua));
        assert_eq!(records.len(), kept);
    }
}
