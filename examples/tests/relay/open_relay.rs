//! The address forms of open-relay tests, said to the real program: a closed
//! relay with two users (`crates/policy/tests/open_relay.tsv` explains the table).

use crate::support::client::{Client, Reply};
use crate::support::maildir;
use crate::support::relay::Site;

struct Row {
    id: &'static str,
    hello: &'static str,
    mail: &'static str,
    mail_codes: &'static str,
    rcpt: &'static str,
    rcpt_codes: &'static str,
}

fn rows() -> Vec<Row> {
    let table = include_str!("../../../crates/policy/tests/open_relay.tsv");
    let row = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
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
    table.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

fn site() -> Site {
    Site::new("local_domains = [\"hik.test\"]", "[local]\nusers = [\"existing\", \"postmaster\"]")
}

fn say(client: &mut Client, line: &str) -> Reply {
    client.command(line.replace("\\0", "\0")).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn is_one_of(reply: &Reply, codes: &str) -> bool {
    codes.split('|').any(|code| code == reply.code.to_string())
}

#[test]
fn d47_every_form_gets_the_reply_of_the_table() {
    let site = site();
    let relay = site.start();
    let rows = rows();
    let senders: Vec<&Row> = rows.iter().filter(|row| row.id.starts_with('S')).collect();
    assert_eq!(senders.len(), 12);

    let session = |row: &Row, mail: &str, codes: &str| {
        let mut client = Client::connect(relay.address()).unwrap();
        assert_eq!(say(&mut client, row.hello).code, 250, "{} {}", row.id, row.hello);
        let reply = say(&mut client, mail);
        assert!(is_one_of(&reply, codes), "{} {mail}: {reply:?}", row.id);
        (client, reply.code == 250)
    };
    let ask = |row: &Row, (client, in_transaction): &mut (Client, bool)| {
        let expected = if *in_transaction { row.rcpt_codes } else { "503|501|500" };
        let reply = say(client, row.rcpt);
        assert!(is_one_of(&reply, expected), "{} {}: {reply:?}", row.id, row.rcpt);
        reply.code
    };

    let mut asked = 0;
    let mut current: Option<((Client, bool), bool)> = None;
    let finish = |current: &mut Option<((Client, bool), bool)>| {
        let Some(((mut client, _), accepted)) = current.take() else { return };
        let reply = client.data(b"Subject: x\r\n\r\nx\r\n").unwrap();
        // Nothing can be sent where no recipient was accepted.
        assert!(if accepted { reply.code == 250 } else { reply.code >= 500 }, "{reply:?}");
    };
    for row in rows.iter().filter(|row| row.id.starts_with('R')) {
        asked += 1;
        match row.mail {
            "*" => {
                for sender in &senders {
                    finish(&mut current);
                    let mut fresh = session(row, sender.mail, sender.mail_codes);
                    let accepted = ask(row, &mut fresh) == 250;
                    current = Some((fresh, accepted));
                }
            }
            "-" => {
                let (same, accepted) = current.as_mut().expect("a row that goes on follows one that begins");
                *accepted |= ask(row, same) == 250;
            }
            mail => {
                finish(&mut current);
                let mut fresh = session(row, mail, row.mail_codes);
                let accepted = ask(row, &mut fresh) == 250;
                current = Some((fresh, accepted));
            }
        }
    }
    finish(&mut current);
    assert!(asked > 60, "{asked} rows");

    // R34 is the only transaction that was accepted, for the two local users.
    crate::support::delivered(&site.mail(), 2);
    relay.stop();
    assert_eq!(maildir(&site.mail()).len(), 2);
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
