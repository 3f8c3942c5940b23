//! The configuration file: every key is known or refused, by line and name.

use crate::support::files;
use crate::support::relay::Site;

/// All keys of the specification in one file.
const EVERY_KEY: &str = r#"hostname = "mx.example.test"
authserv_id = "example.test"
data_dir = "data"
local_domains = ["example.test", "example.org"]
relay_domains = ["customer.test"]
trusted_networks = ["192.0.2.0/24", "2001:db8::/32", "::1"]

[[listener]]
address = "127.0.0.1:0"
mode = "mx"
tls = "starttls"

[[listener]]
address = "127.0.0.1:0"
mode = "submissions"

[tls]
cert = "cert.pem"
key = "key.pem"
client_ca = "clients.pem"

[[tls.name]]
server_name = "mx.example.org"
cert = "org.pem"
key = "org.key"

[auth]
users = "users.toml"
mechanisms = ["EXTERNAL", "SCRAM-SHA-256", "LOGIN"]
allow_server_certificates = true

[[auth.certificate]]
spki = "sha256//Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8="
user = "alice"

[[auth.certificate]]
name = "client.example.org"
user = "bert"

[verify]
spf = "enforce"
dkim = "report"
dmarc = "enforce"
arc = "report"
iprev = "off"
trusted_sealers = ["lists.example.net"]
timeout = 10

[[dkim]]
domain = "example.test"
selector = "a"
key = "dkim-rsa.pem"

[[dkim]]
domain = "example.test"
selector = "b"
key = "dkim-ed25519.pem"

[limits]
connections = 1000
connections_per_ip = 20
recipients = 500
message_size = 10000000
command_line = 1024
text_line = 4096
header_size = 100000
header_fields = 500
hops = 50
commands = 5000
body_seconds = 100
handshake_seconds = 20
output_buffer = 32768
errors = 10
junk = 60
auth_attempts = 2
auth_attempts_per_ip = 15
auth_attempts_per_user = 15
command_seconds = 200
session_seconds = 1800
min_bytes_per_second = 200
loopback = true

[queue]
store = "spool"

[delivery]
route = "smarthost"
smarthost = "smart.example.net:587"
helo = "mx.example.test"
connect_timeout = 30

[[delivery.transport]]
domain = "customer.test"
to = "192.0.2.1:25"

[[delivery.transport]]
domain = "example.org"
to = "maildir"

[local]
maildir = "mail"
users = ["postmaster", "bert"]
postmaster = "bert@example.test"

[dns]
servers = ["192.0.2.53:53"]
validate = false

[audit]
file = "audit.jsonl"
"#;

/// Runs `--check` on `text`: success, and what it said on its error output.
fn check(text: &str) -> (bool, String) {
    let site = Site::closed();
    std::fs::write(site.config(), text).unwrap();
    let before = files(site.path());
    let output = site.run(&["--check", "--config", "relay.toml"]);
    assert_eq!(files(site.path()), before, "a check makes no file");
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_good_file_passes_the_check() {
    assert_eq!(check(EVERY_KEY), (true, String::new()));
    assert_eq!(check(""), (true, String::new()));
    let (good, said) = check("[auth]\nusers = \"users.toml\"");
    assert!(good && said.starts_with("nobody can log in: "), "{said}");
}

#[test]
fn the_check_without_a_file_passes() {
    let site = Site::closed();
    let output = site.run(&["--check"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!site.path().join("relay-data").exists());
}

#[test]
fn each_error_names_file_line_and_key() {
    let table = [
        // (what stands in the file, what stands there instead, key)
        ("hostname = \"mx.example.test\"", "hostnam = \"mx.example.test\"", "hostnam"),
        ("hostname = \"mx.example.test\"", "hostname = 5", "hostname"),
        ("hostname = \"mx.example.test\"", "hostname = \"a b\"", "hostname"),
        ("\"example.test\", \"example.org\"", "\"a..b\"", "local_domains"),
        ("[\"customer.test\"]", "\"customer.test\"", "relay_domains"),
        ("[\"customer.test\"]", "[\"-.test\"]", "relay_domains"),
        ("192.0.2.0/24", "192.0.2.0/33", "trusted_networks"),
        ("address = \"127.0.0.1:0\"", "address = \"nonsense\"", "address"),
        ("address = \"127.0.0.1:0\"", "adress = \"127.0.0.1:0\"", "adress"),
        ("mode = \"mx\"", "mode = \"pop3\"", "mode"),
        ("tls = \"starttls\"", "tls = \"on\"", "tls"),
        ("key = \"key.pem\"", "kye = \"key.pem\"", "kye"),
        ("server_name = \"mx.example.org\"", "server_name = \"*\"", "server_name"),
        ("\"SCRAM-SHA-256\"", "\"CRAM-MD5\"", "mechanisms"),
        ("spki = \"sha256//Dw8P", "spki = \"sha1//Dw8P", "spki"),
        ("user = \"alice\"", "user = \"\"", "user"),
        ("auth_attempts = 2", "auth_attempts = 0", "auth_attempts"),
        ("loopback = true", "loopback = \"yes\"", "loopback"),
        ("authserv_id = \"example.test\"", "authserv_id = \"a b\"", "authserv_id"),
        ("spf = \"enforce\"", "spf = \"strict\"", "spf"),
        ("dmarc = \"enforce\"", "dmark = \"enforce\"", "dmark"),
        ("timeout = 10", "timeout = \"10s\"", "timeout"),
        ("[\"lists.example.net\"]", "[\"lists example\"]", "trusted_sealers"),
        ("selector = \"b\"", "selektor = \"b\"", "selektor"),
        ("validate = false", "validate = 0", "validate"),
        ("store = \"spool\"", "store = \"paper\"", "store"),
        ("store = \"spool\"", "stores = \"spool\"", "stores"),
        ("route = \"smarthost\"", "route = \"pigeon\"", "route"),
        ("smarthost = \"smart.example.net:587\"", "smarthost = \"smart.example.net:0x19\"", "smarthost"),
        ("helo = \"mx.example.test\"", "helo = \"mx example\"", "helo"),
        ("connect_timeout = 30", "connect_timeout = -1", "connect_timeout"),
        ("to = \"192.0.2.1:25\"", "to = \"fax\"", "to"),
        ("domain = \"customer.test\"", "domain = \"customer .test\"", "domain"),
        ("domain = \"customer.test\"", "domains = \"customer.test\"", "domains"),
        ("users = [\"postmaster\", \"bert\"]", "users = \"some\"", "users"),
        ("postmaster = \"bert@example.test\"", "postmaster = \"<>\"", "postmaster"),
        ("192.0.2.53:53", "192.0.2.53:x", "servers"),
        ("file = \"audit.jsonl\"", "fil = \"audit.jsonl\"", "fil"),
        ("[audit]", "[audits]", "audits"),
        ("[dns]", "[[dns]]", "dns"),
    ];
    for (good, bad, key) in table {
        assert!(EVERY_KEY.contains(good), "{good}");
        let text = EVERY_KEY.replacen(good, bad, 1);
        let line = 1 + text.lines().position(|line| line.contains(bad)).unwrap();
        let (passed, said) = check(&text);
        assert!(!passed, "{bad} passes the check");
        for part in ["relay.toml", &format!("line {line}"), key] {
            assert!(said.contains(part), "{bad}: {part:?} in {said:?}");
        }
    }
}

#[test]
fn a_smart_host_route_without_a_smart_host_is_an_error() {
    let (passed, said) = check("[delivery]\nroute = \"smarthost\"\n");
    assert!(!passed && said.contains("smarthost"), "{said}");
}

#[test]
fn the_relay_does_not_start_with_a_bad_file() {
    let site = Site::closed();
    std::fs::write(site.config(), "colour = \"red\"\n").unwrap();
    let output = site.run(&["--config", "relay.toml"]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("relay.toml") && said.contains("line 1") && said.contains("colour"), "{said}");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("listening"));
    assert!(!site.data().exists());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = Site::closed().run(&["--check", "--config", "missing.toml"]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("missing.toml"));
}
