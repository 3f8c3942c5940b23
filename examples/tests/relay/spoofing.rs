//! Mail that is not from whom it says, in all forms that are known to have deceived others.

use crate::support::client::Client;
use crate::support::maildir;
use crate::support::message::added;
use crate::support::relay::Site;

/// The attacker may send from here as `attack.test` and below; `legitimate.test` sends no mail. It
/// asks for nothing, so that it is the result that counts.
const ZONE: &str = r#"
attack.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"
helo.attack.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"
33.attack.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"
a.attack.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"
any.attack.test. 300 TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.attack.test. 300 TXT "v=DMARC1; p=reject"
legitimate.test. 300 TXT "v=spf1 -all"
_dmarc.legitimate.test. 300 TXT "v=DMARC1; p=none"
selector._domainkey.attack.test. 300 TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
"#;

/// A name, HELO, MAIL, and the header section.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ADMIN: &str = "From: <admin@legitimate.test>\r\n";

const ROWS: &[Row] = &[
    ("a1: a subdomain that does not exist", "helo.attack.test", "<any@mailfrom.notexist.legitimate.test>", ADMIN),
    ("a2: a sender that some read as empty", "attack.test", "<(any@legitimate.test>", ADMIN),
    (
        "a3: NUL in the selector",
        "33.attack.test",
        "<any@33.attack.test>",
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=legitimate.test;\r\n \
         s=selector._domainkey.attack.test.\0.any; h=from; bh=AAAA; b=AAAA\r\nFrom: <admin@legitimate.test>\r\n",
    ),
    (
        "a4: a quote in the domain of a signature",
        "attack.test",
        "<any@attack.test>",
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=legitimate.test'a.attack.test;\r\n \
         s=selector; h=from; bh=AAAA; b=AAAA\r\nFrom: <admin@legitimate.test>\r\n",
    ),
    ("a5: a parenthesis in the sender", "attack.test", "<any@legitimate.test(a.attack.test>", ADMIN),
    ("a6: a quote in the sender", "attack.test", "<any@legitimate.test'@any.attack.test>", ADMIN),
    ("a7: a route in the sender", "attack.test", "<@legitimate.test,@any.test:'any@attack.test>", ADMIN),
    (
        "a8: two From fields",
        "attack.test",
        "<any@attack.test>",
        "From: <first@attack.test>\r\nFrom: <admin@legitimate.test>\r\n",
    ),
    (
        "a8: the other way round",
        "attack.test",
        "<any@attack.test>",
        "From: <admin@legitimate.test>\r\nFrom: <first@attack.test>\r\n",
    ),
    (
        "a9: a space before the first field",
        "attack.test",
        "<any@attack.test>",
        " From: <first@attack.test>\r\nFrom: <admin@legitimate.test>\r\n",
    ),
    (
        "a10: a space behind the name",
        "attack.test",
        "<any@attack.test>",
        "From: <first@attack.test>\r\nFrom : <admin@legitimate.test>\r\n",
    ),
    (
        "a11: a name that is folded",
        "attack.test",
        "<any@attack.test>",
        "From\r\n : <first@attack.test>\r\nFrom: <admin@legitimate.test>\r\n",
    ),
    (
        "a12: Sender in the place of From",
        "attack.test",
        "<any@attack.test>",
        "From\r\n : <first@attack.test>\r\nSender: <admin@legitimate.test>\r\n",
    ),
    (
        "a13: Resent-From in the place of From",
        "attack.test",
        "<any@attack.test>",
        "From\r\n : <first@attack.test>\r\nResent-From: <admin@legitimate.test>\r\n",
    ),
    (
        "a14: two authors",
        "attack.test",
        "<any@attack.test>",
        "From: <first@attack.test>, <admin@legitimate.test>\r\nSender: <s@sender.legitimate.test>\r\n",
    ),
    (
        "a15: an author in an encoded word",
        "attack.test",
        "<any@attack.test>",
        "From: =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUudGVzdD4=?=,<second@attack.test>\r\n",
    ),
    ("a16: a route", "attack.test", "<any@attack.test>", "From: <@attack.test,@any.test:admin@legitimate.test>\r\n"),
    (
        "a17: a quoted pair",
        "attack.test",
        "<any@attack.test>",
        "From: <admin@legitimate.test>\\,<second@attack.test>\r\n",
    ),
    (
        "a18: which comma counts",
        "attack.test",
        "<any@attack.test>",
        "From: admin@legitimate.test,<second@attack.test>\r\n",
    ),
    (
        "a19: an address behind the address",
        "attack.test",
        "<any@attack.test>",
        "From: <any@attack.test>admin@legitimate.test\r\n",
    ),
];

#[test]
fn d64_none_of_it_passes() {
    let site = Site::new("local_domains = [\"example.test\"]", "[verify]\ndmarc = \"report\"");
    std::fs::write(site.zone(), ZONE).unwrap();
    let relay = site.start();
    let (mut taken, mut refused) = (0, Vec::new());
    for (name, hello, sender, header) in ROWS {
        let mut client = Client::connect(relay.address()).unwrap();
        assert_eq!(client.command(format!("EHLO {hello}")).unwrap().code, 250, "{name}");
        let message = format!("{header}To: <bert@example.test>\r\nSubject: x\r\n\r\nbody\r\n");
        let mut reply = client.command(format!("MAIL FROM:{sender}")).unwrap();
        if reply.code == 250 {
            assert_eq!(client.command("RCPT TO:<bert@example.test>").unwrap().code, 250, "{name}");
            reply = client.data(message.as_bytes()).unwrap();
        }
        match reply.code {
            250 => taken += 1,
            500..600 => refused.push(name.split(':').next().unwrap()),
            _ => panic!("{name}: {reply:?}"),
        }
    }
    crate::support::delivered(&site.mail(), taken);
    relay.stop();
    for (_, content) in maildir(&site.mail()) {
        let text = String::from_utf8_lossy(&content).into_owned();
        let results = added(&content).results.expect("results");
        assert!(!results.contains("dmarc=pass"), "{results}\n{text}");
    }
    // The grammar of SMTP has no such senders, and no message holds NUL or begins with a space.
    for name in ["a2", "a3", "a5", "a6", "a9"] {
        assert!(refused.contains(&name), "{name} is not among {refused:?}");
    }
}

/// As the relay is without a word of configuration, what has two faces is refused.
#[test]
fn c1_26_what_has_two_authors_is_refused() {
    let site = Site::closed();
    std::fs::write(site.zone(), ZONE).unwrap();
    let relay = site.start();
    // These have one author, whose domain asks for nothing.
    let one = |row: &&Row| !["a1:", "a4:", "a7:"].iter().any(|name| row.0.starts_with(name));
    for (name, hello, sender, header) in ROWS.iter().filter(one) {
        let mut client = Client::connect(relay.address()).unwrap();
        assert_eq!(client.command(format!("EHLO {hello}")).unwrap().code, 250, "{name}");
        let message = format!("{header}To: <bert@example.test>\r\nSubject: x\r\n\r\nbody\r\n");
        let mut reply = client.command(format!("MAIL FROM:{sender}")).unwrap();
        if reply.code == 250 {
            assert_eq!(client.command("RCPT TO:<bert@example.test>").unwrap().code, 250, "{name}");
            reply = client.data(message.as_bytes()).unwrap();
        }
        assert!((500..600).contains(&reply.code), "{name}: {reply:?}");
    }
    relay.stop();
    assert!(maildir(&site.mail()).is_empty());
}
