//! The system resolver against a server on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::rdata;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::{MailHostsError, addresses, mail_hosts};

/// Octets that an answer over UDP may have (the size hickory offers in EDNS).
const MAX_DATAGRAM: usize = 1232;

/// A server that answers by the first label of the name; counts what it is
/// asked over UDP and over TCP.
#[derive(Default)]
struct Server {
    datagrams: AtomicUsize,
    streams: AtomicUsize,
}

impl Server {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let server = Arc::new(Self::default());
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let by_datagram = Arc::clone(&server);
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
                by_datagram.datagrams.fetch_add(1, Ordering::Relaxed);
                let Some(mut response) = answer(&buffer[..length]) else {
                    continue;
                };
                if response.to_vec().unwrap().len() > MAX_DATAGRAM {
                    response = response.truncate();
                }
                let octets = response.to_vec().unwrap();
                udp.send_to(&octets, peer).await.unwrap();
            }
        });
        let by_stream = Arc::clone(&server);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                by_stream.streams.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut query = vec![0; length.into()];
                        stream.read_exact(&mut query).await.unwrap();
                        let octets = answer(&query).unwrap().to_vec().unwrap();
                        stream.write_u16(octets.len().try_into().unwrap()).await.unwrap();
                        stream.write_all(&octets).await.unwrap();
                    }
                });
            }
        });
        (server, address)
    }

    fn asked(&self) -> usize {
        self.datagrams.swap(0, Ordering::Relaxed)
    }
}

fn answer(query: &[u8]) -> Option<Message> {
    let query = Message::from_vec(query).unwrap();
    let question = query.queries[0].clone();
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.metadata.recursion_available = true;
    message.add_query(question.clone());
    let name = question.name().clone();
    let other = |first: &str| rr::Name::from_ascii(format!("{first}.test.")).unwrap();
    let with = |message: &mut Message, ttl, data| {
        message.add_answer(rr::Record::from_rdata(name.clone(), ttl, data));
    };
    let soa = rdata::SOA::new(other("ns"), other("admin"), 1, 2, 3, 4, 60);
    let soa = rr::Record::from_rdata(rr::Name::from_ascii("test.").unwrap(), 90, RData::SOA(soa));
    let first = name.iter().next().unwrap_or_default().to_ascii_lowercase();
    match (&*first, question.query_type()) {
        (b"silent", _) => return None,
        (b"servfail", _) => message.metadata.response_code = ResponseCode::ServFail,
        (b"refused", _) => message.metadata.response_code = ResponseCode::Refused,
        (b"nowhere", _) => {
            message.metadata.response_code = ResponseCode::NXDomain;
            message.add_authority(soa);
        }
        (b"referral", _) => {
            let ns = RData::NS(rdata::NS(other("ns")));
            message.add_authority(rr::Record::from_rdata(name.clone(), 60, ns));
        }
        (b"bare", _) => {}
        (b"alias", _) => with(&mut message, 20, RData::CNAME(rdata::CNAME(other("mx")))),
        (b"dangling", _) => with(&mut message, 20, RData::CNAME(rdata::CNAME(other("nowhere")))),
        (b"circle", _) => with(&mut message, 20, RData::CNAME(rdata::CNAME(other("circle")))),
        (b"ring", _) => with(&mut message, 20, RData::CNAME(rdata::CNAME(other("rong")))),
        (b"rong", _) => with(&mut message, 20, RData::CNAME(rdata::CNAME(other("ring")))),
        (b"mx", rr::RecordType::A) => {
            with(&mut message, 40, RData::A(rdata::A::new(192, 0, 2, 1)));
            with(&mut message, 30, RData::A(rdata::A::new(192, 0, 2, 2)));
        }
        (b"mx", rr::RecordType::AAAA) => {
            with(&mut message, 40, RData::AAAA("2001:db8::1".parse::<Ipv6Addr>().unwrap().into()));
        }
        (b"domain", rr::RecordType::MX) => {
            with(&mut message, 40, RData::MX(rdata::MX::new(20, other("mx2"))));
            with(&mut message, 40, RData::MX(rdata::MX::new(10, other("MX"))));
        }
        (b"null", rr::RecordType::MX) => {
            with(&mut message, 40, RData::MX(rdata::MX::new(0, rr::Name::root())));
        }
        (b"domain", rr::RecordType::TXT) => {
            let strings = vec![&b"v=spf1 "[..], b"\xff"];
            with(&mut message, 40, RData::TXT(rdata::TXT::from_bytes(strings)));
        }
        (b"large", rr::RecordType::TXT) => {
            for number in 0..20_u8 {
                let strings = [[number; 100]; 2];
                let strings = strings.iter().map(|string| &string[..]).collect();
                with(&mut message, 40, RData::TXT(rdata::TXT::from_bytes(strings)));
            }
        }
        (b"_25", rr::RecordType::TLSA) => {
            let tlsa = rdata::TLSA::new(3.into(), 1.into(), 1.into(), vec![7; 32]);
            with(&mut message, 40, RData::TLSA(tlsa));
        }
        (b"1", rr::RecordType::PTR) => {
            // A label that holds a dot, a parenthesis and a line end.
            let labels = [&b"a.b) \n"[..], b"test"];
            let target = rr::Name::from_labels(labels).unwrap();
            with(&mut message, 40, RData::PTR(rdata::PTR(target)));
        }
        _ => {
            message.add_authority(soa);
        }
    }
    Some(message)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn start() -> (Arc<Server>, System) {
    let (server, address) = Server::start().await;
    let timing = Timing { timeout: Duration::from_millis(2_000), attempts: 1 };
    (server, System::from_servers(&[address], timing).unwrap())
}

#[tokio::test]
async fn records_of_each_type_are_found() {
    let (server, system) = start().await;
    let a = system.a(&name("MX.test")).await.unwrap();
    assert_eq!(a.records, [[192, 0, 2, 1], [192, 0, 2, 2]].map(Ipv4Addr::from));
    assert_eq!((a.presence, a.ttl.as_secs()), (Presence::Found, 30));
    assert_eq!(a.security, Security::Indeterminate);
    assert_eq!(server.asked(), 1);
    // Nothing is kept here.
    assert_eq!(system.a(&name("mx.test")).await, Ok(a));
    assert_eq!(server.asked(), 1);

    let aaaa = system.aaaa(&name("mx.test")).await.unwrap();
    assert_eq!(aaaa.records, ["2001:db8::1".parse::<Ipv6Addr>().unwrap()]);
    let mx = system.mx(&name("domain.test")).await.unwrap();
    let expected =
        [(20, "mx2.test"), (10, "mx.test")].map(|(preference, exchange)| Mx { preference, exchange: name(exchange) });
    assert_eq!(mx.records, expected);
    let txt = system.txt(&name("domain.test")).await.unwrap();
    assert_eq!(txt.records[0].concat(), b"v=spf1 \xff");
    let tlsa = system.tlsa(&name("_25._tcp.mx.test")).await.unwrap();
    let expected = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
    assert_eq!(tlsa.records, [expected]);
    let ptr = Name::reverse("192.0.2.1".parse().unwrap());
    let ptr = system.ptr(&ptr).await.unwrap();
    assert_eq!(ptr.records[0].to_string(), r"a\.b\)\032\010.test");

    let alias = system.a(&name("alias.test")).await.unwrap();
    assert_eq!((alias.records.len(), alias.ttl.as_secs()), (2, 20));
}

#[tokio::test]
async fn what_does_not_fit_comes_over_tcp() {
    let (server, system) = start().await;
    let txt = system.txt(&name("large.test")).await.unwrap();
    assert_eq!(txt.records.len(), 20);
    assert_eq!(txt.records[19].concat(), [19; 200]);
    assert_eq!(server.streams.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nothing_is_an_answer_and_failure_is_none() {
    let (_server, system) = start().await;
    for (text, expected) in [
        ("nowhere.test", Ok((Presence::NoName, 60))),
        ("mx.test", Ok((Presence::NoData, 60))),
        ("bare.test", Ok((Presence::NoData, 0))),
        ("dangling.test", Ok((Presence::NoName, 60))),
        ("alias.test", Ok((Presence::NoData, 60))),
        ("servfail.test", Err(Error::ServerFailure)),
        ("refused.test", Err(Error::Refused(5))),
        ("referral.test", Err(Error::ServerFailure)),
        // D71: a circle of aliases is not a domain without MX.
        ("circle.test", Err(Error::AliasLoop)),
        ("ring.test", Err(Error::AliasLoop)),
    ] {
        let answer = system.mx(&name(text)).await;
        let answer = answer.map(|answer| {
            assert!(answer.records.is_empty());
            (answer.presence, answer.ttl.as_secs())
        });
        assert_eq!(answer, expected, "{text}");
    }
}

/// D71 over the wire.
#[tokio::test]
async fn d71_mail_hosts_of_a_real_server() {
    let (_server, system) = start().await;
    for (domain, expected) in [
        ("domain.test", Ok(vec![name("mx.test"), name("mx2.test")])),
        ("mx.test", Ok(vec![name("mx.test")])),
        ("null.test", Err(MailHostsError::NoMail)),
        ("nowhere.test", Err(MailHostsError::NoDomain)),
        ("servfail.test", Err(MailHostsError::Lookup(Error::ServerFailure))),
    ] {
        assert_eq!(mail_hosts(&system, &name(domain), &[], 1).await, expected, "{domain}");
    }
    let found = addresses(&system, &name("mx.test")).await.unwrap();
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let (server, address) = Server::start().await;
    let timing = Timing { timeout: Duration::from_millis(50), attempts: 2 };
    let system = System::from_servers(&[address], timing).unwrap();
    assert_eq!(system.mx(&name("silent.test")).await, Err(Error::Timeout));
    // The second question may still lie in the socket of the server.
    let twice = async {
        while server.datagrams.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), twice).await.expect("asked twice");
    assert_eq!(server.asked(), 2);
}

#[test]
fn no_server_is_an_error() {
    let none = System::from_servers(&[], Timing::default());
    assert_eq!(none.err(), Some(SystemError::NoServer));
}

/// Records of an answer: owner, proof, TTL, and an address or the name of an alias.
fn answers(records: &[(&str, Proof, u32, &str)]) -> Vec<rr::Record> {
    let name = |text: &str| rr::Name::from_ascii(text).unwrap();
    let record = |(owner, proof, ttl, text): &(&str, Proof, u32, &str)| {
        let data = match text.parse::<Ipv4Addr>() {
            Ok(address) => RData::A(rdata::A(address)),
            Err(_) => RData::CNAME(rdata::CNAME(name(text))),
        };
        let mut record = rr::Record::from_rdata(name(owner), *ttl, data);
        record.proof = *proof;
        record
    };
    records.iter().map(record).collect()
}

#[test]
fn only_the_records_at_the_end_of_the_aliases_are_an_answer() {
    use Proof::{Bogus, Indeterminate, Insecure, Secure};
    let found = |records: &[(&str, Proof, u32, &str)]| {
        let asked = rr::Name::from_ascii("Mx.test.").unwrap();
        let answer = found::<Ipv4Addr>(&asked, &answers(records), Link::FIRST)?;
        let last = answer.records.iter().map(|address| address.octets()[3]).collect::<Vec<_>>();
        Ok::<_, Error>((last, answer.security, answer.ttl.as_secs()))
    };
    // Signed records of others are no answer, and neither their TTL nor their proof counts.
    assert_eq!(
        found(&[
            ("mx.test.", Secure, 9, "192.0.2.1"),
            ("evil.test.", Insecure, 5, "192.0.2.2"),
            ("MX.test.", Secure, 8, "192.0.2.3"),
        ]),
        Ok((vec![1, 3], Security::Secure, 8))
    );
    assert_eq!(found(&[("evil.test.", Secure, 5, "192.0.2.2")]), Err(Error::Malformed));
    assert_eq!(found(&[]), Err(Error::Malformed));
    for (alias, record, expected) in [
        (Secure, Secure, Ok(Security::Secure)),
        (Secure, Insecure, Ok(Security::Insecure)),
        (Insecure, Secure, Ok(Security::Insecure)),
        (Insecure, Indeterminate, Ok(Security::Indeterminate)),
        (Indeterminate, Insecure, Ok(Security::Indeterminate)),
        (Bogus, Secure, Err(Error::Bogus)),
        (Secure, Bogus, Err(Error::Bogus)),
    ] {
        let answer = found(&[("a.test.", record, 7, "192.0.2.1"), ("mx.test.", alias, 6, "a.test.")]);
        assert_eq!(answer, expected.map(|security| (vec![1], security, 6)), "{alias} {record}");
    }
    // The weaker of two records of one name.
    let both = [("mx.test.", Insecure, 9, "192.0.2.1"), ("mx.test.", Secure, 9, "192.0.2.2")];
    assert_eq!(found(&both), Ok((vec![1, 2], Security::Insecure, 9)));
    // Eight aliases are followed, and no ninth.
    let owners: Vec<String> = (0..=9).map(|number| format!("{number}.test.")).collect();
    let mut chain = vec![("mx.test.", Secure, 9, &*owners[0])];
    for (number, owner) in owners.iter().enumerate().take(7) {
        chain.push((owner, Secure, 9, &owners[number + 1]));
    }
    chain.push(("7.test.", Secure, 9, "192.0.2.1"));
    assert_eq!(found(&chain), Ok((vec![1], Security::Secure, 9)));
    chain.pop();
    chain.extend([("7.test.", Secure, 9, "8.test."), ("8.test.", Secure, 9, "192.0.2.1")]);
    assert_eq!(found(&chain), Err(Error::AliasLoop));
    assert_eq!(found(&[("mx.test.", Secure, 9, "mx.test.")]), Err(Error::AliasLoop));
}

#[tokio::test]
async fn trust_anchors_are_keys() {
    let system = || System::from_servers(&["127.0.0.1:53".parse().unwrap()], Timing::default()).unwrap();
    let key =
        ". IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";
    assert!(system().validating(&TrustAnchors::Keys(format!("; the root\n{key}\n"))).is_ok());
    assert!(system().validating(&TrustAnchors::Root).is_ok());
    let ds = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";
    for text in ["", "; no key\n", "nonsense", ds, ". IN DNSKEY 257 3 13 ?"] {
        let error = system().validating(&TrustAnchors::Keys(text.to_owned())).err();
        assert!(matches!(error, Some(SystemError::Anchors(_))), "{text}: {error:?}");
    }
}

#[tokio::test]
async fn what_was_validated_is_forgotten_after_some_time() {
    let system = System::from_servers(&["127.0.0.1:53".parse().unwrap()], Timing::default()).unwrap();
    let lookups = |system: &System| system.source.current.lock().unwrap().lookups;
    let validating = system.clone().validating(&TrustAnchors::Root).unwrap();
    for number in 1..=RENEWED_AFTER + 2 {
        // Answered without asking anybody.
        validating.a(&name("localhost")).await.unwrap();
        let expected = if number > RENEWED_AFTER { number - RENEWED_AFTER } else { number };
        assert_eq!(lookups(&validating), expected);
        system.a(&name("localhost")).await.unwrap();
    }
    assert_eq!(lookups(&system), RENEWED_AFTER + 2);
}
