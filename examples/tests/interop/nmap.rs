//! The open-relay test of nmap.

use std::net::SocketAddr;

use hikyaku::policy::Policy;

use crate::programs::{program, run};
use crate::support::maildir;
use crate::support::relay::Site;

/// What its script `smtp-open-relay` says of a server; the foreign domain is third.test.
fn verdict(address: SocketAddr) -> String {
    let mut nmap = program("nmap");
    nmap.args(["-n", "-Pn", "-sT", "-v", "-p", &address.port().to_string()]);
    // The plus runs it whatever the port is.
    nmap.args(["--script", "+smtp-open-relay", "--script-args", "smtp-open-relay.domain=third.test"]);
    let (code, said) = run(nmap.arg(address.ip().to_string()));
    assert_eq!(code, 0, "{said}");
    let lines =
        said.lines().filter(|line| line.starts_with(['|', '_'])).map(|line| line.trim_start_matches(['|', '_', ' ']));
    let lines: Vec<_> = lines.collect();
    assert!(lines.first().is_some_and(|line| line.starts_with("smtp-open-relay: ")), "the script has not run: {said}");
    lines.join("\n")
}

#[test]
fn a_closed_relay_is_closed() {
    let policy = "local domains ours = example.test\npermit when to ours\npermit when authenticated and tls\n";
    for site in [Site::closed(), Site::with_policy(policy, "")] {
        let relay = site.start();
        let said = verdict(relay.address());
        assert_eq!(said, "smtp-open-relay: Server doesn't seem to be an open relay, all tests failed");
        relay.stop();
        assert!(maildir(&site.mail()).is_empty());
        // It has really asked.
        let asked = site.events("decision");
        assert!(asked.iter().filter(|line| line["stage"] == "recipient").count() >= 8, "{asked:#?}");
    }
}

#[test]
fn an_open_relay_is_open() {
    let trusted = Site::new("local_domains = [\"example.test\"]\ntrusted_networks = [\"127.0.0.0/8\"]", "");
    for site in [trusted, Site::with_policy(&Policy::open().to_string(), "")] {
        let relay = site.start();
        let said = verdict(relay.address());
        assert!(said.starts_with("smtp-open-relay: Server is an open relay ("), "{said}");
        assert!(said.contains("MAIL FROM:<antispam@third.test> -> RCPT TO:<relaytest@third.test>"), "{said}");
        relay.stop();
    }
}
