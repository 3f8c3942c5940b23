//! The address forms of open-relay tests, said to the real program: a closed
//! relay with two users, by its configuration and by a policy in a file, and open ones.

use hikyaku::policy::Policy;

use crate::support::battery::{self, Attempt, say};
use crate::support::client::{Client, base64};
use crate::support::relay::Site;
use crate::support::tls::{Identity, Trust};
use crate::support::users::{site as users_site, user};
use crate::support::{delivered, maildir};

const LOCAL: &str = "[local]\nusers = [\"existing\", \"postmaster\"]\n";

/// Closed, by the lists of the configuration.
fn site() -> Site {
    Site::new("local_domains = [\"hik.test\"]", LOCAL)
}

/// Closed, by a policy in a file that has a door for users and one for a certificate.
fn policy(certificate: &str) -> String {
    format!(
        "local domains ours = hik.test\n\
         certificates servers = {certificate}\n\
         permit when to ours\n\
         permit when certificate servers\n\
         permit when authenticated and tls and sender owned\n"
    )
}

/// How a policy writes the key of this certificate.
fn pin(site: &Site, identity: &Identity) -> String {
    let pem = site.path().join("client.pem");
    std::fs::write(&pem, &identity.pem).unwrap();
    let pin = hikyaku::SpkiPin::of_file(&pem).unwrap().to_string();
    format!("spki \"{}\"", pin.replace("sha256//", "sha256/"))
}

/// What relays, one line for each.
fn relayed(attempts: &[Attempt]) -> Vec<String> {
    let relayed = attempts.iter().filter(|attempt| attempt.relayed());
    relayed.map(|attempt| format!("{} {} {}", attempt.id, attempt.mail, attempt.rcpt)).collect()
}

/// Every answer is the one of the table, and nothing was relayed.
fn assert_closed(attempts: &[Attempt]) {
    let other: Vec<_> = attempts.iter().filter(|attempt| !attempt.is_as_expected()).collect();
    assert!(other.is_empty(), "{other:#?}");
    assert_eq!(relayed(attempts), [""; 0]);
    assert!(attempts.len() > 600, "{} attempts", attempts.len());
}

#[test]
fn d47_every_form_gets_the_reply_of_the_table() {
    let by_file = Site::with_policy(&policy("spki \"sha256/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\""), LOCAL);
    for site in [site(), by_file] {
        let relay = site.start();
        assert_closed(&battery::attack_as_stranger(relay.address()));
        // R34 is the only transaction that was accepted, for the two local users.
        delivered(&site.mail(), 2);
        relay.stop();
        assert_eq!(maildir(&site.mail()).len(), 2);
    }
}

/// R30 for every form: a certificate that nobody has issued is shown, and changes nothing. It has
/// the name that the policy wants, and not the authority.
#[test]
fn r30_every_form_with_a_certificate_of_its_own() {
    let authority = Identity::new("authority.test");
    let site = Site::with_policy("", &format!("{LOCAL}\n[tls]\nclient_ca = \"authority.pem\"\n"));
    let pem = site.path().join("authority.pem");
    std::fs::write(&pem, &authority.pem).unwrap();
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replace("\"authority.pem\"", &format!("{pem:?}"))).unwrap();
    let known = Identity::new("known.test");
    site.write_policy(&policy(&format!("{}, ca \"alice.test\"", pin(&site, &known))));
    let relay = site.start();
    let trust = site.trust(Some(&Identity::new("alice.test")));
    assert_closed(&battery::attack(|| Client::start_tls(relay.address(), &trust), |_| {}));
    // One that the policy names opens the door, so clients were asked for theirs.
    let mut server = Client::start_tls(relay.address(), &site.trust(Some(&known))).unwrap();
    assert_eq!(third_party(&mut server), 250);
    relay.stop();
    let shown = site.events("tls");
    let (last, others) = shown.split_last().expect("handshakes");
    assert!(others.len() > 600, "{} connections", others.len());
    assert!(last["spki"].is_string() && others.iter().all(|line| line["spki"].is_null()), "believed by no other");
}

/// R29 for every form: after a login that has failed, whoever asks is a stranger.
#[test]
fn r29_every_form_after_a_login_that_failed() {
    let listeners = "[[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submission\"\n\n\
                     [[listener]]\naddress = \"127.0.0.1:0\"\nmode = \"submissions\"\n\n";
    let limits = "[limits]\nauth_attempts_per_ip = 1000000\nauth_attempts_per_user = 1000000\n";
    let site = Site::with_policy(
        &policy("spki \"sha256/AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\""),
        &format!("{listeners}{LOCAL}\n{limits}\n[auth]\nusers = \"users.toml\"\n"),
    );
    std::fs::write(site.users(), user("alice", "senders = [\"alice@hik.test\"]")).unwrap();
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replace("\"users.toml\"", &format!("{:?}", site.users()))).unwrap();
    let relay = site.start();
    let trust = site.trust(None);
    let log_in = |client: &mut Client, codes: [u16; 2]| {
        let reply = client.plain("alice", "wrong").unwrap();
        assert!(codes.contains(&reply.code), "{reply:?}");
    };
    let mx = battery::attack(|| Client::start_tls(relay.address(), &trust), |client| log_in(client, [502, 503]));
    assert_closed(&mx);
    for (mode, begin) in [("submission", Client::start_tls as Begin), ("submissions", Client::implicit_tls)] {
        let connect = || begin(relay.listener(mode), &trust);
        assert_closed(&battery::attack_by_eights(connect, |client| log_in(client, [535, 535])));
    }
    // Who can log in may send.
    let mut alice = Client::implicit_tls(relay.listener("submissions"), &trust).unwrap();
    assert_eq!(alice.plain("alice", "secret").unwrap().code, 235);
    assert_eq!(say(&mut alice, "MAIL FROM:<alice@hik.test>").code, 250);
    assert_eq!(say(&mut alice, "RCPT TO:<victim@third.test>").code, 250);
    relay.stop();

    // Without a policy of its own, only users may begin there.
    let site = users_site("", limits, &user("alice", ""));
    let relay = site.start();
    let trust = site.trust(None);
    let connect = || Client::start_tls(relay.listener("submission"), &trust);
    let attempts = battery::attack_by_eights(connect, |client| log_in(client, [535, 535]));
    assert_closed(&attempts);
    assert!(attempts.iter().all(|attempt| attempt.mail_code >= 500), "nobody has begun");
    relay.stop();
}

type Begin = fn(std::net::SocketAddr, &Trust) -> std::io::Result<Client>;

/// The battery is worth something only if it sees a relay that is open: here whoever connects is
/// trusted, and there the policy says so.
#[test]
fn the_battery_sees_what_relays() {
    let trusted = Site::new("local_domains = [\"hik.test\"]\ntrusted_networks = [\"127.0.0.0/8\"]", "");
    let declared = Site::with_policy(&Policy::open().to_string(), "");
    for site in [trusted, declared] {
        let relay = site.start();
        let attempts = battery::attack_as_stranger(relay.address());
        let open = relayed(&attempts);
        for sender in ["MAIL FROM:<>", "MAIL FROM:<spam@third.test>", "MAIL FROM:<@hik.test:x@evil.test>"] {
            for row in ["R1", "R2", "R7", "R10", "R12", "R21", "R22", "R26", "R31"] {
                let expected = match row {
                    "R31" => row.to_owned(),
                    row => format!("{row} {sender}"),
                };
                let found = open.iter().any(|line| line.starts_with(&format!("{expected} ")));
                assert!(found, "{expected} is not among {open:#?}");
            }
        }
        relay.stop();
    }
}

#[test]
fn r33_nobody_may_say_who_the_client_is() {
    let site = site();
    let relay = site.start();
    for line in ["XCLIENT ADDR=127.0.0.1 LOGIN=admin", "XFORWARD ADDR=127.0.0.1", "PROXY TCP4 127.0.0.1 127.0.0.1 1 25"]
    {
        let mut client = Client::connect(relay.address()).unwrap();
        let reply = say(&mut client, line);
        assert!((500..=555).contains(&reply.code), "{line}: {reply:?}");
        // It may have ended the connection; where not, nothing has changed.
        if client.command("EHLO client.evil.test").is_ok() {
            say(&mut client, "MAIL FROM:<x@evil.test>");
            assert_eq!(say(&mut client, "RCPT TO:<victim@third.test>").code, 550, "{line}");
        }
    }
    relay.stop();
}

/// R1, said in a transaction of its own.
fn third_party(client: &mut Client) -> u16 {
    let mail = say(client, "MAIL FROM:<x@evil.test>");
    if mail.code == 250 { say(client, "RCPT TO:<victim@third.test>").code } else { mail.code }
}

#[test]
fn r29_who_has_not_logged_in_is_a_stranger() {
    let site = users_site("", "", &user("alice", ""));
    let relay = site.start();
    let trust = site.trust(None);
    let plain =
        |user: &str, password: &str| format!("AUTH PLAIN {}", base64(format!("\0{user}\0{password}").as_bytes()));
    let tries: [&[String]; 6] = [
        &[plain("alice", "wrong")],
        &[plain("mallory", "secret")],
        &["AUTH PLAIN".to_owned(), "*".to_owned()],
        &["AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWFiY2RlZmdoaWprbA==".to_owned(), "*".to_owned()],
        &["AUTH CRAM-MD5".to_owned()],
        &["AUTH PLAIN !!!".to_owned()],
    ];
    for commands in tries {
        // Where mail from users comes in, nobody but users may even begin.
        for mode in ["submission", "submissions"] {
            let address = relay.listener(mode);
            let client = if mode == "submission" { Client::start_tls } else { Client::implicit_tls };
            let mut client = client(address, &trust).unwrap();
            for command in commands {
                let reply = say(&mut client, command);
                assert!(reply.code == 334 || reply.code >= 500, "{command}: {reply:?}");
            }
            assert_eq!(third_party(&mut client), 530, "{commands:?}");
        }
        // Mail servers cannot log in.
        let mut client = Client::start_tls(relay.address(), &trust).unwrap();
        for command in commands {
            assert!((500..504).contains(&say(&mut client, command).code), "{command}");
        }
        assert_eq!(third_party(&mut client), 550, "{commands:?}");
    }
    relay.stop();
    assert!(maildir(&site.mail()).is_empty());
}

#[test]
fn r30_a_certificate_that_nobody_knows_opens_nothing() {
    let (known, unknown) = (Identity::new("alice.test"), Identity::new("alice.test"));
    let pin = |site: &Site, identity: &Identity| {
        let pem = site.path().join("client.pem");
        std::fs::write(&pem, &identity.pem).unwrap();
        hikyaku::SpkiPin::of_file(&pem).unwrap()
    };
    let site = users_site("", "", &user("alice", ""));
    let text = std::fs::read_to_string(site.config()).unwrap();
    let certificate = format!("[[auth.certificate]]\nspki = \"{}\"\nuser = \"alice\"\n", pin(&site, &known));
    std::fs::write(site.config(), text + &certificate).unwrap();
    let relay = site.start();
    let submission = relay.listener("submission");
    for (identity, is_known) in [(&unknown, false), (&known, true)] {
        let trust = site.trust(Some(identity));
        // A certificate by itself is not a login.
        assert_eq!(third_party(&mut Client::start_tls(relay.address(), &trust).unwrap()), 550);
        let mut client = Client::start_tls(submission, &trust).unwrap();
        assert_eq!(third_party(&mut client), 530);
        let offered = say(&mut client, "EHLO client.sender.test").text().contains("EXTERNAL");
        assert_eq!(offered, is_known);
        assert_eq!(say(&mut client, "AUTH EXTERNAL =").code, if is_known { 235 } else { 504 });
        if is_known {
            assert_eq!(third_party(&mut client), 553, "alice is not x@evil.test");
            say(&mut client, "MAIL FROM:<alice@example.test>");
            assert_eq!(say(&mut client, "RCPT TO:<victim@third.test>").code, 250);
            let mut other = Client::start_tls(submission, &trust).unwrap();
            assert_eq!(say(&mut other, "AUTH EXTERNAL Ym9i").code, 535, "D38: the certificate is not bob's");
        } else {
            assert_eq!(third_party(&mut client), 530);
        }
    }
    relay.stop();
    let spki: Vec<_> = site.events("tls").iter().map(|line| line["spki"].is_string()).collect();
    assert_eq!(spki, [false, false, true, true, true]);
    let proofs: Vec<_> = site.events("authentication").iter().map(|line| line["proof"].clone()).collect();
    assert_eq!(proofs, ["certificate", "certificate"]);
}

#[test]
fn who_may_send_anywhere_can() {
    // A user, a trusted network, and a relay domain: the ways that are open.
    let keys = "trusted_networks = [\"127.0.0.0/8\"]\nrelay_domains = [\"partner.test\"]";
    let third = |client: &mut Client, from: &str, to: &str| {
        assert_eq!(say(client, &format!("MAIL FROM:<{from}>")).code, 250);
        let code = say(client, &format!("RCPT TO:<{to}>")).code;
        assert_eq!(say(client, "RSET").code, 250);
        code
    };
    let site = users_site("relay_domains = [\"partner.test\"]", "", &user("alice", ""));
    let relay = site.start();
    let mut stranger = Client::hello(relay.address()).unwrap();
    assert_eq!(third(&mut stranger, "x@evil.test", "victim@partner.test"), 250);
    assert_eq!(third(&mut stranger, "x@evil.test", "victim@sub.partner.test"), 550);
    assert_eq!(third(&mut stranger, "alice@example.test", "victim@third.test"), 550);
    let mut alice = Client::implicit_tls(relay.listener("submissions"), &site.trust(None)).unwrap();
    assert_eq!(alice.plain("alice", "secret").unwrap().code, 235);
    assert_eq!(third(&mut alice, "alice@example.test", "victim@third.test"), 250);
    // She is still alice after RSET and EHLO, and no other connection is.
    assert_eq!(say(&mut alice, "EHLO again.test").code, 250);
    assert_eq!(third(&mut alice, "alice@example.test", "victim@third.test"), 250);
    assert_eq!(third(&mut stranger, "alice@example.test", "victim@third.test"), 550);
    relay.stop();

    let site = Site::new(&format!("local_domains = [\"example.test\"]\n{keys}"), "");
    let relay = site.start();
    let mut trusted = Client::hello(relay.address()).unwrap();
    assert_eq!(third(&mut trusted, "x@evil.test", "victim@third.test"), 250);
    relay.stop();
}
