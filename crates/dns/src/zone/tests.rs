//! Lookups in a zone, and what is printed.

use proptest::prelude::*;

use super::*;
use crate::now::now;
use crate::{Soa, Txt};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn zone() -> Zone {
    r#"
$ORIGIN example.test.
$TTL 300
@       SOA   ns admin 1 7200 3600 1209600 60
        MX    10 mx1
        MX    20 mx2
        TXT   "v=spf1 -all"
mx1  30 A     192.0.2.1
mx1     A     192.0.2.2
mx2     AAAA  2001:db8::2
www 100 CNAME mx1
w2   50 CNAME www
dead    CNAME nowhere
text    CNAME mx2
loop    CNAME pool
pool    CNAME loop
a.b.ent A     192.0.2.3
*.wild  MX    5 mx1
*.ali   CNAME mx1
x.wild  A     192.0.2.4
c1 CNAME c2
c2 CNAME c3
c3 CNAME c4
c4 CNAME c5
c5 CNAME c6
c6 CNAME c7
c7 CNAME c8
c8 CNAME mx1
c0 CNAME c1
1.2.0.192.in-addr.arpa. PTR mx1
_25._tcp.mx1 TLSA 3 1 1 00ff
"#
    .parse()
    .unwrap()
}

/// Name, type; how many records, presence, seconds.
#[test]
fn names_are_looked_up() {
    use Presence::{Found, NoData, NoName};
    use RecordType as T;

    for (text, record_type, count, presence, ttl) in [
        ("example.test", T::MX, 2, Found, 300),
        ("EXAMPLE.test", T::SOA, 1, Found, 300),
        ("mx1.example.test", T::A, 2, Found, 30),
        ("mx1.example.test", T::AAAA, 0, NoData, 60),
        ("example.test", T::A, 0, NoData, 60),
        ("nobody.example.test", T::A, 0, NoName, 60),
        ("a.nobody.example.test", T::A, 0, NoName, 60),
        // Nothing above says how long: not kept.
        ("other.test", T::MX, 0, NoName, 0),
        (".", T::MX, 0, NoData, 0),
        // Aliases; the shortest TTL of the chain.
        ("www.example.test", T::CNAME, 1, Found, 100),
        ("www.example.test", T::A, 2, Found, 30),
        ("w2.example.test", T::A, 2, Found, 30),
        ("w2.example.test", T::MX, 0, NoData, 50),
        ("text.example.test", T::AAAA, 1, Found, 300),
        ("dead.example.test", T::A, 0, NoName, 60),
        ("c1.example.test", T::A, 2, Found, 30),
        // A name exists if one below it does.
        ("ent.example.test", T::A, 0, NoData, 60),
        ("b.ent.example.test", T::A, 0, NoData, 60),
        ("c.ent.example.test", T::A, 0, NoName, 60),
        // Wildcards: not for what exists, at any depth otherwise.
        ("y.wild.example.test", T::MX, 1, Found, 300),
        ("z.y.wild.example.test", T::MX, 1, Found, 300),
        ("y.wild.example.test", T::A, 0, NoData, 60),
        ("x.wild.example.test", T::MX, 0, NoData, 60),
        ("y.x.wild.example.test", T::MX, 0, NoName, 60),
        ("wild.example.test", T::MX, 0, NoData, 60),
        ("*.wild.example.test", T::MX, 1, Found, 300),
        ("any.ali.example.test", T::A, 2, Found, 30),
    ] {
        let answer = zone().lookup(&name(text), record_type).unwrap();
        let seen = (answer.records.len(), answer.presence, answer.ttl);
        assert_eq!(seen, (count, presence, seconds(ttl)), "{text} {record_type}");
    }
    // D71: a circle of aliases, and nine of them.
    for text in ["loop.example.test", "c0.example.test"] {
        assert_eq!(zone().lookup(&name(text), T::A), Err(Error::AliasLoop), "{text}");
    }
}

#[test]
fn answers_are_typed() {
    let mut zone = zone();
    let resolver = &zone;
    let mx1 = name("mx1.example.test");
    let texts = now(resolver.txt(&name("example.test"))).unwrap();
    assert_eq!(texts.records, [Txt::from("v=spf1 -all")]);
    assert_eq!(texts.security, Security::Indeterminate);
    let names = now(resolver.ptr(&Name::reverse("192.0.2.1".parse().unwrap()))).unwrap();
    assert_eq!(names.records, std::slice::from_ref(&mx1));
    let tlsa = now(resolver.tlsa(&name("_25._tcp").join(&mx1).unwrap())).unwrap();
    assert_eq!(tlsa.records[0].data, [0, 255]);
    let addresses = now(resolver.aaaa(&name("mx2.example.test"))).unwrap();
    assert_eq!(addresses.records, ["2001:db8::2".parse::<Ipv6Addr>().unwrap()]);
    zone.security = Security::Secure;
    let nothing = now(zone.mx(&name("nobody.example.test"))).unwrap();
    assert_eq!((nothing.security, nothing.records.len()), (Security::Secure, 0));
}

#[test]
fn failures_are_those_of_one_name_and_type() {
    let mut zone = zone();
    let mx1 = name("mx1.example.test");
    zone.failures.insert((mx1.clone(), RecordType::A), Error::ServerFailure.into());
    zone.failures.insert((name("gone.test"), RecordType::MX), Error::Timeout.into());
    assert_eq!(now(zone.a(&mx1)), Err(Error::ServerFailure));
    assert_eq!(now(zone.aaaa(&mx1)).unwrap().presence, Presence::NoData);
    // Also where an alias leads there.
    assert_eq!(now(zone.a(&name("www.example.test"))), Err(Error::ServerFailure));
    assert_eq!(now(zone.mx(&name("gone.test"))), Err(Error::Timeout));
}

fn names() -> impl Strategy<Value = Name> {
    let octet = prop_oneof![
        4 => b'a'..=b'c',
        1 => any::<u8>().prop_map(|octet| octet.to_ascii_lowercase()),
        1 => prop::sample::select(&br#".\"();@$*_-"#[..]),
    ];
    let label = prop::collection::vec(octet, 1..5);
    prop::collection::vec(label, 0..4).prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap())
}

fn data() -> impl Strategy<Value = Data> {
    let octets = prop::collection::vec(any::<u8>(), 0..300);
    let string = prop::collection::vec(any::<u8>(), 0..=255);
    let time = 0..=0x7fff_ffff_u32;
    prop_oneof![
        any::<Ipv4Addr>().prop_map(Data::A),
        any::<Ipv6Addr>().prop_map(Data::Aaaa),
        names().prop_map(Data::Ns),
        names().prop_map(Data::Ptr),
        (any::<u16>(), names()).prop_map(|(preference, exchange)| Data::Mx(Mx { preference, exchange })),
        (names(), names(), any::<u32>(), [time.clone(), time.clone(), time.clone(), time]).prop_map(
            |(primary, mailbox, serial, [refresh, retry, expire, minimum])| {
                Data::Soa(Soa { primary, mailbox, serial, refresh, retry, expire, minimum })
            }
        ),
        (any::<[u8; 3]>(), octets.clone()).prop_map(|([usage, selector, matching], data)| Data::Tlsa(Tlsa {
            usage,
            selector,
            matching,
            data
        })),
        prop::collection::vec(string, 1..4).prop_map(|strings| Data::Txt(Txt { strings })),
        (256..=u16::MAX, octets).prop_map(|(number, octets)| Data::Unknown { record_type: RecordType(number), octets }),
    ]
}

proptest! {
    #[test]
    fn printed_zones_read_back(
        records in prop::collection::vec((names(), 0..=0x7fff_ffff_u32, data()), 0..20),
        alias in names(),
        target in names(),
    ) {
        let mut zone = Zone::default();
        for (name, ttl, data) in records {
            zone.add(name, ttl, data);
        }
        zone.records.remove(&alias);
        zone.add(alias, 1, Data::Cname(target));
        prop_assert_eq!(zone.to_string().parse(), Ok(zone));
    }

    /// Whatever is printed parses as the same name, and holds nothing that
    /// could end a line or a comment.
    #[test]
    fn printed_names_read_back(name in names()) {
        let text = name.to_string();
        prop_assert!(text.bytes().all(|octet| octet.is_ascii_graphic()));
        prop_assert_eq!(text.parse(), Ok(name));
    }
}
