//! Master files as the crate `domain` reads them.
//!
//! It takes `@` in the data of a record for a label, where RFC 1035 §5.1 has the origin, and it
//! panics where the last line has no end; neither is compared here.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use domain::base::iana::Class;
use domain::base::name::{FlattenInto, Name as DomainName};
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use hikyaku_dns::{Data, Name, Zone};

const ORIGIN: &str = "origin.test";

/// Files that both must read.
const FILES: [&str; 12] = [
    "@ 300 IN SOA ns admin.x. ( 1 ; serial\n 2 3 4\n 5 )\n@ 300 IN NS ns\n",
    "a 60 IN A 192.0.2.1\n  60 IN AAAA 2001:db8::1\n\n; comment\nb 0 IN A 0.0.0.0\n",
    "$ORIGIN x.\na 60 IN MX 10 b\n$ORIGIN y\nc 60 IN MX 65535 y\n@ 60 IN PTR z.\n",
    "$TTL 77\na IN CNAME b\nc IN NS d\n$TTL 78\ne IN TXT e\n",
    "k._domainkey 60 IN TXT ( \"v=DKIM1; k=rsa; \"\n \"p=MIIBIjANBgkq;(x)\" ) ; key\n",
    "a 60 IN TXT \"\\065\\200\\\"\\\\\" x\\032y\\;z \"\"\n",
    "a 60 IN TXT one \"two words\" three\na 60 IN TXT \"\\000\\255\"\n",
    "_25._tcp.mx 60 IN TLSA 3 1 1 (\n d2abde240d7cd3ee 6b4b28c54df034b9\n 7983a1d16e8a410e4561cb106618e971 )\n",
    "a 60 IN TYPE65280 \\# 3 abcdef\nb 60 IN TYPE99 \\# 5 04763d7370\nb 60 IN TXT \\# 6 02616200 0163\nb 60 CLASS1 TYPE65281 \\# 4 ( ab\n cd 0102 )\n",
    "*.wild 60 IN A 192.0.2.9\na\\.b 60 IN A 192.0.2.9\n\\065\\032c 60 IN A 192.0.2.9\n",
    "MiXeD.Case. 60 IN MX 1 UPPER\r\nother 60 IN A 192.0.2.1\r\n",
    "a 60 IN A 192.0.2.1 ; no end of the line",
];

/// Owner, TTL, type, data on the wire, of each record.
type Records = BTreeMap<(String, u32, u16, Vec<u8>), usize>;

fn wire(name: &Name, out: &mut Vec<u8>) {
    for label in name.labels() {
        out.push(label.len().try_into().unwrap());
        out.extend_from_slice(label);
    }
    out.push(0);
}

fn ours(text: &[u8]) -> Option<Records> {
    let zone = Zone::read(text, &ORIGIN.parse().unwrap()).ok()?;
    let mut records = Records::new();
    for (name, here) in &zone.records {
        for record in here {
            let mut octets = Vec::new();
            match &record.data {
                Data::A(address) => octets.extend(address.octets()),
                Data::Aaaa(address) => octets.extend(address.octets()),
                Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => wire(name, &mut octets),
                Data::Mx(mx) => {
                    octets.extend(mx.preference.to_be_bytes());
                    wire(&mx.exchange, &mut octets);
                }
                Data::Soa(soa) => {
                    wire(&soa.primary, &mut octets);
                    wire(&soa.mailbox, &mut octets);
                    for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
                        octets.extend(number.to_be_bytes());
                    }
                }
                Data::Tlsa(tlsa) => {
                    octets.extend([tlsa.usage, tlsa.selector, tlsa.matching]);
                    octets.extend(&tlsa.data);
                }
                Data::Spf(txt) | Data::Txt(txt) => {
                    for string in &txt.strings {
                        octets.push(string.len().try_into().unwrap());
                        octets.extend(string);
                    }
                }
                Data::Unknown { octets: data, .. } => octets.extend(data),
            }
            let mut owner = Vec::new();
            wire(name, &mut owner);
            *records.entry((hex(&owner), record.ttl, record.data.record_type().0, octets)).or_default() += 1;
        }
    }
    Some(records)
}

fn theirs(text: &[u8]) -> Option<Records> {
    let mut file = Zonefile::from([text, b"\n"].concat().as_slice()).allow_invalid();
    file.set_origin(DomainName::from_str(ORIGIN).unwrap());
    file.set_default_class(Class::IN);
    let mut records = Records::new();
    while let Some(entry) = file.next_entry().ok()? {
        let Entry::Record(record) = entry else { return None };
        let name: DomainName<Vec<u8>> = record.owner().clone().flatten_into();
        let mut octets = Vec::new();
        record.data().compose_canonical_rdata(&mut octets).unwrap();
        let owner = hex(&name.as_slice().to_ascii_lowercase());
        let key = (owner, record.ttl().as_secs(), record.rtype().to_int(), octets);
        *records.entry(key).or_default() += 1;
    }
    Some(records)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn both_read_the_same() {
    for text in FILES {
        let ours = ours(text.as_bytes());
        assert!(ours.as_ref().is_some_and(|records| !records.is_empty()), "{text}");
        assert_eq!(ours, theirs(text.as_bytes()), "{text}");
    }
}

/// Each seed and each of its beginnings that is a whole file: where both read it, they read the
/// same.
#[test]
fn both_read_the_same_of_the_seeds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/dns_zone");
    let (mut compared, mut differences) = (0, Vec::new());
    for seed in corpus.read_dir().unwrap() {
        let text = std::fs::read(seed.unwrap().path()).unwrap();
        let ends = text.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1);
        for end in ends.chain([text.len()]) {
            let text = &text[..end];
            let Some(ours) = ours(text) else { continue };
            let Ok(Some(theirs)) = std::panic::catch_unwind(|| theirs(text)) else { continue };
            compared += 1;
            if ours != theirs {
                differences.push(format!("{}\n{ours:?}\n{theirs:?}", String::from_utf8_lossy(text)));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(compared >= 15, "{compared}");
}
