use super::*;
use crate::lookups::Published as _;

fn printed(text: &str) -> Option<String> {
    Record::parse(text.as_bytes()).map(|record| record.to_string())
}

/// D60: which texts are records (RFC 9989 §4.7 `v`, §4.8 `dmarc-version`).
#[test]
fn d60_a_record_begins_with_its_version() {
    for text in [
        "v=DMARC1",
        "V=DMARC1",
        "v = DMARC1",
        "v\t=\tDMARC1 ;",
        "v=DMARC1;",
        "v=DMARC1;;",
        "v=DMARC1 ; ",
        "v=DMARC1; x",
        "v=DMARC1;=;a=;1=2",
        "v=DMARC1; v=DMARC2",
    ] {
        assert_eq!(printed(text).as_deref(), Some("v=DMARC1"), "{text:?}");
    }
    for text in [
        "",
        ";",
        "v",
        "v=",
        " v=DMARC1",
        "\tv=DMARC1",
        "v=dmarc1",
        "v=DMARC1 p=none",
        "v=DMARC1p",
        "v=DMARC2; p=none",
        "v=DMARC; p=none",
        "p=none; v=DMARC1",
        "; v=DMARC1",
        "v:DMARC1",
        "v==DMARC1",
        "vv=DMARC1",
        "v=spf1 -all",
        "\"v=DMARC1\"",
        "v=DMARC1\u{a0}; p=none",
        "v=DMARC1\r\n; p=none",
    ] {
        assert_eq!(printed(text), None, "{text:?}");
    }
    assert_eq!(Record::parse(b"v=DMARC1\xff"), None);
    assert_eq!(Record::parse(b"v=DMARC1;\xff=\xff"), Some(Record::default()));
}

/// RFC 9989 §4.8: unknown tags are ignored, errors count as the default; what is printed is read
/// as the same record.
#[test]
fn tags_and_their_errors() {
    for (text, expected) in [
        ("v=DMARC1; p=none", "v=DMARC1; p=none"),
        ("v=DMARC1;P=REJECT;SP=Quarantine;np=nOne", "v=DMARC1; p=reject; sp=quarantine; np=none"),
        ("v=DMARC1; t=y; p=reject", "v=DMARC1; p=reject; t=y"),
        ("v=DMARC1; p=reject; t=Y; psd=Y", "v=DMARC1; p=reject; psd=y; t=y"),
        ("v=DMARC1; p=reject; t=yes; psd=no", "v=DMARC1; p=reject"),
        ("v=DMARC1; p=reject; psd=n; t=n", "v=DMARC1; p=reject; psd=n"),
        ("v=DMARC1; p=reject; psd=u", "v=DMARC1; p=reject"),
        ("v=DMARC1; p=reject; adkim=S; aspf = s", "v=DMARC1; p=reject; adkim=s; aspf=s"),
        ("v=DMARC1; p=reject; adkim=strict; aspf=", "v=DMARC1; p=reject"),
        ("v=DMARC1; p=reject; adkim=r; aspf=x", "v=DMARC1; p=reject"),
        // D60: historic tags.
        ("v=DMARC1; p=reject; pct=0; rf=afrf; ri=86400", "v=DMARC1; p=reject"),
        // D60: no policy of the grammar is no policy at all (§4.10.1).
        ("v=DMARC1;p=rejct;rua=mailto:a@b", "v=DMARC1; rua=mailto:a@b"),
        ("v=DMARC1; np=reject", "v=DMARC1"),
        ("v=DMARC1; sp=reject; rua=mailto:a@b", "v=DMARC1; rua=mailto:a@b"),
        ("v=DMARC1; p=reject; sp=rejct", "v=DMARC1"),
        ("v=DMARC1; p=reject; np=", "v=DMARC1"),
        ("v=DMARC1; p=reject none", "v=DMARC1"),
        // The first of two counts.
        ("v=DMARC1; p=none; p=reject; sp=none; sp=rejct", "v=DMARC1; p=none; sp=none"),
        ("v=DMARC1; p=rejct; p=reject", "v=DMARC1"),
        ("v=DMARC1; p=none; fo=1", "v=DMARC1; p=none; fo=1"),
        ("v=DMARC1; p=none; fo=0", "v=DMARC1; p=none"),
        ("v=DMARC1; p=none; fo=d", "v=DMARC1; p=none; fo=0:d"),
        ("v=DMARC1; p=none; fo=s:1:D", "v=DMARC1; p=none; fo=1:d:s"),
        ("v=DMARC1; p=none; fo=0 : s", "v=DMARC1; p=none; fo=0:s"),
        ("v=DMARC1; p=none; fo=0:1", "v=DMARC1; p=none"),
        ("v=DMARC1; p=none; fo=d:d", "v=DMARC1; p=none"),
        ("v=DMARC1; p=none; fo=1:x", "v=DMARC1; p=none"),
        ("v=DMARC1; p=none; fo=", "v=DMARC1; p=none"),
        ("v=DMARC1 ; p = none ; = ; p", "v=DMARC1; p=none"),
        ("v=DMARC1; p=none; p-x=1; 1=2", "v=DMARC1; p=none"),
    ] {
        assert_eq!(printed(text).as_deref(), Some(expected), "{text}");
        assert_eq!(Record::parse(expected.as_bytes()), Record::parse(text.as_bytes()), "{text}");
    }
    // An octet outside of ASCII spoils the value that it stands in.
    assert_eq!(Record::parse(b"v=DMARC1; p=reject; sp=\xff"), Some(Record::default()));
    assert_eq!(Record::parse(b"v=DMARC1; \xff=1; p=none").and_then(|record| record.p), Some(Policy::None));
}

#[test]
fn the_policy_for_each_kind_of_name() {
    use Policy::{None as Nothing, Quarantine, Reject};
    for (text, own, below, missing) in [
        ("v=DMARC1; p=reject", Some(Reject), Some(Reject), Some(Reject)),
        ("v=DMARC1; p=reject; sp=none", Some(Reject), Some(Nothing), Some(Nothing)),
        ("v=DMARC1; p=reject; np=none", Some(Reject), Some(Reject), Some(Nothing)),
        ("v=DMARC1; p=none; sp=quarantine; np=reject", Some(Nothing), Some(Quarantine), Some(Reject)),
        ("v=DMARC1; sp=reject; np=reject; rua=mailto:a@b", Some(Nothing), Some(Nothing), Some(Nothing)),
        ("v=DMARC1; sp=reject; ruf=mailto:a@b", None, None, None),
        ("v=DMARC1; rua=nobody", None, None, None),
    ] {
        let record = Record::parse(text.as_bytes()).unwrap();
        assert_eq!((record.own(), record.below(), record.missing()), (own, below, missing), "{text}");
    }
    assert_eq!([Reject, Quarantine, Nothing].map(Policy::milder), [Quarantine, Nothing, Nothing]);
}

#[test]
fn destinations_of_reports() {
    let list = |text: &str| {
        let record = Record::parse(format!("v=DMARC1; p=none; rua={text}").as_bytes()).unwrap();
        assert_eq!(Record::parse(record.to_string().as_bytes()), Some(record.clone()), "{text}");
        record
            .rua
            .iter()
            .map(|one| {
                let host = one.host().map(|host| host.to_string());
                (one.mailbox().unwrap_or_default(), one.limit().unwrap_or(0), host.unwrap_or_default())
            })
            .collect::<Vec<_>>()
    };
    let mail = |address: &str, limit: u64| (address.to_owned(), limit, address.rsplit_once('@').unwrap().1.to_owned());
    for (text, expected) in [
        ("mailto:a@example.org", vec![mail("a@example.org", 0)]),
        ("MAILTO:a@example.org , mailto:b@example.com", vec![mail("a@example.org", 0), mail("b@example.com", 0)]),
        ("mailto:a@example.org!10m", vec![mail("a@example.org", 10 << 20)]),
        (
            "mailto:a@example.org!10 K , mailto:user%20@example.com ! 2G",
            vec![mail("a@example.org", 10 << 10), mail("user@example.com", 2 << 30)],
        ),
        ("mailto:a@example.org!7", vec![mail("a@example.org", 7)]),
        ("mailto:a@example.org!1t", vec![mail("a@example.org", 1 << 40)]),
        ("mailto:a@example.org!99999999999999999g", vec![mail("a@example.org", u64::MAX)]),
        ("mailto:a@example.org!", vec![mail("a@example.org", 0)]),
        ("mailto:a@example.org!10x", vec![mail("a@example.org", 0)]),
        ("mailto:a%2Cb%21c@example.org?subject=x", vec![mail("a,b!c@example.org", 0)]),
        ("mailto:%61@%65xample.org", vec![mail("a@example.org", 0)]),
        ("https://u@reports.example.org:8443/x?y#z", vec![(String::new(), 0, "reports.example.org".to_owned())]),
        ("tel:+1234", vec![(String::new(), 0, String::new())]),
        // No URIs, or no addresses.
        ("a@example.org", vec![]),
        ("mailto:", vec![]),
        ("mailto:a", vec![]),
        ("mailto:@example.org", vec![]),
        ("mailto:a@", vec![]),
        ("mailto:a b@example.org", vec![]),
        ("mailto:a%20b@example.org", vec![]),
        ("mailto:a%0d%0aX@example.org", vec![]),
        ("mailto:a%@example.org", vec![]),
        ("mailto:a%zz@example.org", vec![]),
        ("mailto:a%ff@example.org", vec![]),
        ("1mailto:a@example.org", vec![]),
        ("ma ilto:a@example.org", vec![]),
        (":a@example.org", vec![]),
        ("mailto:\u{e4}@example.org", vec![]),
        (",,mailto:a@example.org,", vec![mail("a@example.org", 0)]),
    ] {
        assert_eq!(list(text), expected, "{text}");
    }
    assert_eq!(list(&"mailto:a@example.org,".repeat(21)).len(), 20);
}

#[test]
fn a_record_takes_what_its_destinations_take() {
    let size = |text: &str| Record::parse(text.as_bytes()).unwrap().size();
    let none = size("v=DMARC1; p=none");
    assert!(none >= size_of::<Record>());
    let short = "a:b,".repeat(20);
    for tag in ["rua", "ruf"] {
        assert!(size(&format!("v=DMARC1; p=none; {tag}={short}")) >= none + 20 * (3 + size_of::<Destination>()));
        let long = format!("mailto:{}@example.org", "x".repeat(5000));
        assert!(size(&format!("v=DMARC1; p=none; {tag}={long}")) >= none + 5000);
    }
    let answer = hikyaku_dns::Answer {
        records: vec![hikyaku_dns::Txt::from(&*format!("v=DMARC1; p=none; rua={short}"))],
        presence: hikyaku_dns::Presence::Found,
        security: hikyaku_dns::Security::Insecure,
        ttl: std::time::Duration::from_secs(60),
    };
    let site = crate::dmarc::walk::Site::read(&answer);
    assert!(site.size() >= size_of_val(&site) + none + 20 * (3 + size_of::<Destination>()));
}
