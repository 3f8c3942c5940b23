//! The address forms of open-relay tests, against the policy behind the grammar.

use hikyaku_policy::{Facts, Listener, Policy};
use hikyaku_wire::{Code, Command, EnhancedCode, ForwardPath, Host, MailParams, Reply};

const TABLE: &str = include_str!("open_relay.tsv");
const STRANGER: &str = "198.51.100.7";

struct Row {
    id: &'static str,
    hello: &'static str,
    mail: &'static str,
    mail_codes: &'static str,
    rcpt: &'static str,
    rcpt_codes: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |line: &'static str| {
        let fields: Vec<_> = line.split('\t').collect();
        let [id, hello, mail, mail_codes, rcpt, rcpt_codes] = fields[..] else { panic!("six fields: {line}") };
        Row {
            id,
            hello: if hello == "-" { "EHLO client.evil.test" } else { hello },
            mail,
            mail_codes,
            rcpt,
            rcpt_codes,
        }
    };
    TABLE.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// A session in small: the grammar, the policy, and a directory with two users.
struct Server {
    policy: Policy,
    facts: Facts,
    params: MailParams,
}

impl Server {
    fn new(policy: &Policy, client: &str, hello: &str) -> Self {
        let mut facts = Facts::new(Some(client.parse().unwrap()), Listener::Mx);
        facts.hello = match parse(hello) {
            Ok(Command::Ehlo(hello) | Command::Helo(hello)) => Some(hello),
            other => panic!("{other:?}"),
        };
        Self { policy: policy.clone(), facts, params: MailParams::default() }
    }

    fn say(&mut self, line: &str) -> Reply {
        match parse(line) {
            Err(reply) => reply,
            Ok(Command::Mail(mail)) if mail.params.keywords().all(|k| ["SIZE", "BODY", "SMTPUTF8"].contains(&k)) => {
                self.facts.sender = Some(mail.from);
                self.params = mail.params;
                self.policy.decide(&self.facts).reply
            }
            Ok(Command::Rcpt(_)) if self.facts.sender.is_none() => Reply::BAD_SEQUENCE_503,
            Ok(Command::Rcpt(recipient)) if recipient.params.keywords().next().is_none() => {
                self.recipient(recipient.to)
            }
            Ok(Command::Mail(_) | Command::Rcpt(_)) => Reply::UNKNOWN_PARAMETER_555,
            Ok(_) => Reply::NOT_IMPLEMENTED_502,
        }
    }

    fn recipient(&mut self, to: ForwardPath) -> Reply {
        if !to.is_ascii() && !self.params.smtputf8 {
            return Reply::UTF8_RECIPIENT_553;
        }
        self.facts.recipient = Some(to.clone());
        let decision = self.policy.decide(&self.facts);
        assert!(!decision.provisional);
        let here = |host: &Host| ["hik.test", "mx.hik.test", "[192.0.2.25]"].contains(&host.to_string().as_str());
        match to.mailbox() {
            Some(mailbox) if decision.is_permitted() && here(mailbox.host()) => {
                let exists = ["existing", "postmaster"].contains(&&*mailbox.local().content());
                if exists { decision.reply } else { Reply::UNKNOWN_USER_550 }
            }
            _ => decision.reply,
        }
    }
}

fn parse(line: &str) -> Result<Command, Reply> {
    let line = line.replace("\\0", "\0");
    Command::parse(line.as_bytes()).map(Command::into_owned).map_err(|error| error.reply())
}

fn is_one_of(reply: &Reply, codes: &str) -> bool {
    codes.split('|').any(|code| code == reply.code().as_u16().to_string())
}

fn closed(local: &str) -> Policy {
    Policy::closed(local.parse().unwrap(), "partner.test".parse().unwrap(), "10.0.0.0/8".parse().unwrap()).unwrap()
}

/// D47, threat table C3.
#[test]
fn d47_every_form_gets_the_reply_of_the_table() {
    let rows = rows();
    let senders: Vec<_> = rows.iter().filter(|row| row.id.starts_with('S')).collect();
    assert_eq!(senders.len(), 12);
    // Whether the server's own name and address are local domains too makes no difference.
    for policy in [closed("hik.test"), closed("hik.test, mx.hik.test, [192.0.2.25]")] {
        let mut server = Server::new(&policy, STRANGER, "EHLO client.evil.test");
        let mut pairs = 0;
        for row in rows.iter().filter(|row| row.id.starts_with('R')) {
            let session = |server: &mut Server, mail: &str, codes: &str| {
                *server = Server::new(&policy, STRANGER, row.hello);
                let reply = server.say(mail);
                assert!(is_one_of(&reply, codes), "{} {mail}: {reply}", row.id);
            };
            let ask = |server: &mut Server| {
                let mail = server.facts.sender.clone();
                let expected = if mail.is_none() { "503|501|500" } else { row.rcpt_codes };
                let reply = server.say(row.rcpt);
                assert!(is_one_of(&reply, expected), "{} {mail:?} {}: {reply}", row.id, row.rcpt);
            };
            match row.mail {
                "*" => {
                    for sender in &senders {
                        session(&mut server, sender.mail, sender.mail_codes);
                        ask(&mut server);
                        pairs += 1;
                    }
                    continue;
                }
                "-" => {}
                mail => session(&mut server, mail, row.mail_codes),
            }
            ask(&mut server);
            pairs += 1;
        }
        assert!(pairs > 600, "{pairs}");
    }
}

#[test]
fn the_table_is_whole_and_permits_nothing_but_local_users() {
    let rows = rows();
    let missing =
        (1..=38).filter(|n| ![29, 30, 33].contains(n)).find(|n| !rows.iter().any(|row| row.id == format!("R{n}")));
    assert_eq!(missing, None);
    for row in
        rows.iter().filter(|row| row.id.starts_with('R') && !row.rcpt_codes.split('|').all(|c| c.starts_with('5')))
    {
        assert_eq!((row.id, row.rcpt_codes), ("R34", "250"));
        assert!(["RCPT TO:<existing@hik.test>", "RCPT TO:<postmaster>"].contains(&row.rcpt), "{}", row.rcpt);
    }
}

/// Who may send to whom: the forms above are refused for a reason, not because everything is.
#[test]
fn positive_controls() {
    let closed = closed("hik.test");
    let authenticated = || {
        Policy::authenticated("hik.test".parse().unwrap(), Default::default(), "10.0.0.0/8".parse().unwrap()).unwrap()
    };
    let refused = Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "relaying denied");
    for (policy, client, user, rcpt, expected, rule) in [
        (closed.clone(), "10.1.2.3", None, "<victim@third.test>", true, "permit when from trusted_networks"),
        (closed.clone(), "::ffff:10.1.2.3", None, "<victim@third.test>", true, "permit when from trusted_networks"),
        (closed.clone(), STRANGER, None, "<victim@third.test>", false, "implicit refusal"),
        (closed.clone(), STRANGER, None, "<x@partner.test>", true, "permit when to relay_domains"),
        (closed.clone(), STRANGER, None, "<x@PARTNER.test>", true, "permit when to relay_domains"),
        (closed.clone(), STRANGER, None, "<x@sub.partner.test>", false, "implicit refusal"),
        (closed.clone(), STRANGER, None, "<existing@hik.test>", true, "permit when to local_domains"),
        (closed.clone(), STRANGER, None, "<PostMaster>", true, "permit when to local_domains"),
        (closed.clone(), STRANGER, Some("alice"), "<victim@third.test>", false, "implicit refusal"),
        (authenticated(), STRANGER, Some("alice"), "<victim@third.test>", true, "permit when authenticated"),
        (authenticated(), STRANGER, None, "<victim@third.test>", false, "implicit refusal"),
        (authenticated(), "10.1.2.3", None, "<victim@third.test>", true, "permit when from trusted_networks"),
        (Policy::open(), STRANGER, None, "<victim@third.test>", true, "permit"),
    ] {
        let mut server = Server::new(&policy, client, "EHLO client.test");
        server.facts.user = user.map(str::to_owned);
        assert!(server.say("MAIL FROM:<a@b.test>").is_positive());
        let reply = server.say(&format!("RCPT TO:{rcpt}"));
        assert_eq!(reply, if expected { Reply::RECIPIENT_OK_250 } else { refused.clone() }, "{client} {user:?} {rcpt}");
        assert_eq!(policy.decide(&server.facts).rule, rule);
    }
}
