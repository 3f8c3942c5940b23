//! The system resolver against a real authoritative server, NSD, with a root of its own that is
//! signed when the test starts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hikyaku::dns::{Answer, Cache, Error, Limits, Name, Presence, Resolver, Security, System, Timing, TrustAnchors};
use tokio::runtime::Runtime;

use crate::programs::{program, run, unpacked};
use crate::support::eventually;

/// Where SOA and name server of every zone stand.
const HEAD: &str = "$TTL 300\n@ SOA ns.signed.test. admin.signed.test. 1 3600 600 86400 60\n@ NS ns.signed.test.\n";

const SIGNED: &str = r#"
ns            A     127.0.0.1
@             MX    10 mx
mx            A     192.0.2.1
_25._tcp.mx   TLSA  3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
*.wild        TXT   "any"
inside        CNAME mx
outside       CNAME host.plain.test.
nowhere       CNAME absent
away          CNAME absent.plain.test.
typeless      CNAME empty
empty         AAAA  2001:db8::1
circle        CNAME ring
ring          CNAME circle
"#;

const PLAIN: &str = "
host          A     192.0.2.2
inwards       CNAME mx.signed.test.
lost          CNAME absent.signed.test.
";

/// NSD with its zones.
struct Server {
    folder: tempfile::TempDir,
    nsd: Child,
    address: SocketAddr,
    anchor: String,
}

impl Server {
    /// Signs the zones and starts the server on a port of loopback.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut root = format!("{HEAD}ns.signed.test. A 127.0.0.1\n");
        let mut zones = Vec::new();
        // Signed; signed with more iterations than are computed; not signed; with the key of
        // another in the parent; with a key in the parent and no signature.
        for (name, records, sign, with_key) in [
            ("signed.test", SIGNED, Some(&["-n"][..]), Some("signed.test")),
            ("costly.test", "host A 192.0.2.3\n", Some(&["-n", "-t", "200"]), Some("costly.test")),
            ("plain.test", PLAIN, None, None),
            ("wrong.test", "host A 192.0.2.4\n", Some(&[]), Some("costly.test")),
            ("naked.test", "host A 192.0.2.5\n", None, Some("costly.test")),
        ] {
            root.push_str(&format!("{name}. NS ns.signed.test.\n"));
            let file = zone(path, name, &format!("{HEAD}{records}"), sign);
            if let Some(of) = with_key {
                root.push_str(&delegation(path, of, name));
            }
            zones.push((name, file));
        }
        zones.push((".", zone(path, ".", &root, Some(&[]))));
        let anchor = std::fs::read_to_string(path.join("root.key")).unwrap();

        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = format!(
            "server:\n ip-address: 127.0.0.1@{}\n username: \"\"\n chroot: \"\"\n database: \"\"\n server-count: 1\n \
             zonesdir: \"{here}\"\n pidfile: \"{here}/pid\"\n xfrdfile: \"{here}/xfrd\"\n zonelistfile: \"{here}/list\"\n \
             logfile: \"{here}/log\"\n\
             remote-control:\n control-enable: no\n",
            address.port(),
            here = path.display(),
        );
        for (name, file) in &zones {
            config.push_str(&format!("zone:\n name: \"{name}\"\n zonefile: \"{file}\"\n"));
        }
        std::fs::write(path.join("nsd.conf"), config).unwrap();
        let mut nsd = Command::new(unpacked("nsd", "usr/sbin/nsd"));
        nsd.arg("-d").arg("-c").arg(path.join("nsd.conf")).stdin(Stdio::null());
        let nsd = nsd.spawn().unwrap();
        let server = Self { folder, nsd, address, anchor };
        let (runtime, system) = (runtime(), server.system());
        eventually("NSD to answer", || runtime.block_on(system.a(&name("host.plain.test"))).ok());
        server
    }

    /// A resolver that asks it and does not validate.
    fn system(&self) -> System {
        let timing = Timing { timeout: Duration::from_secs(5), attempts: 1 };
        System::from_servers(&[self.address], timing).unwrap()
    }

    fn validating(&self) -> System {
        self.system().validating(&TrustAnchors::Keys(self.anchor.clone())).unwrap()
    }

    fn stop(&mut self) {
        if let Ok(Some(_)) = self.nsd.try_wait() {
            return;
        }
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.nsd.id())]).status();
        let _ = self.nsd.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            eprintln!("the log of NSD:\n{}", log.unwrap_or_default());
        }
    }
}

/// Writes a zone and signs it; the name of its file.
fn zone(folder: &Path, name: &str, text: &str, sign: Option<&[&str]>) -> String {
    let stem = if name == "." { "root" } else { name };
    let file = format!("{stem}.zone");
    std::fs::write(folder.join(&file), text).unwrap();
    let Some(options) = sign else {
        return file;
    };
    // One key that signs all, named after the zone.
    let said = successful(folder, program("ldns-keygen").args(["-a", "ECDSAP256SHA256", "-k", name]));
    let key = said.trim();
    std::fs::copy(folder.join(format!("{key}.key")), folder.join(format!("{stem}.key"))).unwrap();
    let signed = format!("{stem}.signed");
    let mut command = program("ldns-signzone");
    successful(folder, command.args(options).args(["-o", name, "-f", &signed, &file, key]));
    signed
}

/// The DS record that says that the key of one zone signs the other.
fn delegation(folder: &Path, of: &str, name: &str) -> String {
    let said = successful(folder, program("ldns-key2ds").args(["-n", "-2", &format!("{of}.key")]));
    format!("{name}. {}\n", &said[said.find("IN").unwrap()..].trim_end())
}

fn successful(folder: &Path, command: &mut Command) -> String {
    let (code, said) = run(command.current_dir(folder));
    assert_eq!(code, 0, "{command:?}: {said}");
    said
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn said<T>(answer: Result<Answer<T>, Error>) -> Result<(Presence, Security), Error> {
    answer.map(|answer| (answer.presence, answer.security))
}

#[test]
fn answers_are_as_secure_as_the_weakest_link_of_their_proof() {
    use Presence::{Found, NoData, NoName};
    use Security::{Indeterminate, Insecure, Secure};

    let server = Server::start();
    let (runtime, system, plain) = (runtime(), server.validating(), server.system());
    let ask = |system: &System, of: &str| said(runtime.block_on(system.a(&name(of))));
    let mut differences = Vec::new();
    for (of, expected) in [
        ("mx.signed.test", Ok((Found, Secure))),
        ("inside.signed.test", Ok((Found, Secure))),
        ("outside.signed.test", Ok((Found, Insecure))),
        ("nowhere.signed.test", Ok((NoName, Secure))),
        ("away.signed.test", Ok((NoName, Insecure))),
        ("typeless.signed.test", Ok((NoData, Secure))),
        ("circle.signed.test", Err(Error::AliasLoop)),
        ("absent.signed.test", Ok((NoName, Secure))),
        ("signed.test", Ok((NoData, Secure))),
        ("x.wild.signed.test", Ok((NoData, Secure))),
        ("absent.test", Ok((NoName, Secure))),
        ("host.plain.test", Ok((Found, Insecure))),
        ("absent.plain.test", Ok((NoName, Insecure))),
        ("plain.test", Ok((NoData, Insecure))),
        ("inwards.plain.test", Ok((Found, Insecure))),
        ("lost.plain.test", Ok((NoName, Insecure))),
        ("host.costly.test", Ok((Found, Secure))),
        ("absent.costly.test", Ok((NoName, Insecure))),
        ("costly.test", Ok((NoData, Insecure))),
        ("host.wrong.test", Err(Error::Bogus)),
        ("absent.wrong.test", Err(Error::Bogus)),
        ("wrong.test", Err(Error::Bogus)),
        ("host.naked.test", Err(Error::Bogus)),
        ("absent.naked.test", Err(Error::Bogus)),
    ] {
        let validated = ask(&system, of);
        if validated != expected {
            differences.push(format!("{of}: {validated:?} for {expected:?}"));
        }
        // Without validation nothing is proved, and nothing is bogus.
        let without = ask(&plain, of).map(|(_, security)| security);
        if !matches!(without, Ok(Indeterminate) | Err(Error::AliasLoop)) {
            differences.push(format!("{of} without validation: {without:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));

    let answer = runtime.block_on(system.mx(&name("signed.test"))).unwrap();
    assert_eq!((answer.records[0].exchange.to_string(), answer.security), ("mx.signed.test".to_owned(), Secure));
    assert_eq!(answer.ttl, Duration::from_secs(300));
    let tlsa = name("_25._tcp.mx.signed.test");
    let answer = runtime.block_on(system.tlsa(&tlsa)).unwrap();
    assert_eq!((answer.records.len(), answer.records[0].data.len(), answer.security), (1, 32, Secure));
    let answer = runtime.block_on(system.txt(&name("a.b.wild.signed.test"))).unwrap();
    assert_eq!((answer.records.as_slice(), answer.security), (&["any".into()][..], Secure));
    let answer = runtime.block_on(system.a(&name("inside.signed.test"))).unwrap();
    assert_eq!(answer.records, [Ipv4Addr::new(192, 0, 2, 1)]);

    // The keys of the real root sign none of this.
    let others = server.system().validating(&TrustAnchors::Root).unwrap();
    assert_eq!(ask(&others, "mx.signed.test"), Err(Error::Bogus));
    assert_eq!(ask(&others, "absent.signed.test"), Err(Error::Bogus));
}

#[test]
fn negative_answers_are_kept_with_their_proof() {
    let mut server = Server::start();
    let runtime = runtime();
    let cache = Cache::new(server.validating(), Limits::default(), Instant::now as fn() -> Instant);
    let ask = || {
        ["absent.signed.test", "signed.test", "absent.plain.test", "host.wrong.test"].map(|of| {
            let answer = runtime.block_on(cache.a(&name(of)));
            answer.map(|answer| (answer.presence, answer.security, answer.ttl.as_secs().div_ceil(60)))
        })
    };
    let first = ask();
    assert_eq!(
        first,
        [
            Ok((Presence::NoName, Security::Secure, 1)),
            Ok((Presence::NoData, Security::Secure, 1)),
            Ok((Presence::NoName, Security::Insecure, 1)),
            Err(Error::Bogus),
        ]
    );
    server.stop();
    let [name, data, plain, wrong] = ask();
    assert_eq!([name, data, plain], first[..3]);
    // What failed is asked again, and there is nobody to answer.
    assert!(matches!(wrong, Err(Error::Unreachable | Error::Timeout)), "{wrong:?}");
}
