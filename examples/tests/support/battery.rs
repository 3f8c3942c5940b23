//! The address forms of open-relay tests, said over real connections
//! (`crates/policy/tests/open_relay.tsv` explains the table).

use std::net::SocketAddr;

use super::client::{Client, Reply};

/// One line of the table.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    hello: &'static str,
    mail: &'static str,
    mail_codes: &'static str,
    rcpt: &'static str,
    rcpt_codes: &'static str,
}

/// What a server answered to a sender and a recipient of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The row of the recipient.
    pub(crate) id: &'static str,
    pub(crate) mail: &'static str,
    pub(crate) rcpt: &'static str,
    pub(crate) mail_code: u16,
    pub(crate) rcpt_code: u16,
    /// What a closed relay answers: alternatives between bars.
    expected: [&'static str; 2],
    /// Whether a closed relay takes this recipient, too.
    is_ours: bool,
}

impl Attempt {
    /// Whether mail for somewhere else was taken.
    pub(crate) fn relayed(&self) -> bool {
        self.rcpt_code / 100 == 2 && !self.is_ours
    }

    /// Whether the replies are those of the table.
    pub(crate) fn is_as_expected(&self) -> bool {
        let [mail, rcpt] = self.expected;
        let rcpt = if self.mail_code == 250 { rcpt } else { "503|501|500" };
        is_one_of(self.mail_code, mail) && is_one_of(self.rcpt_code, rcpt)
    }
}

fn is_one_of(code: u16, codes: &str) -> bool {
    codes.split('|').any(|one| one == code.to_string())
}

pub(crate) fn rows() -> Vec<Row> {
    let table = include_str!("../../../crates/policy/tests/open_relay.tsv");
    let row = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [id, hello, mail, mail_codes, rcpt, rcpt_codes] = fields[..] else { panic!("six fields: {line}") };
        let hello = if hello == "-" { "EHLO client.evil.test" } else { hello };
        Row { id, hello, mail, mail_codes, rcpt, rcpt_codes }
    };
    table.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

pub(crate) fn say(client: &mut Client, line: &str) -> Reply {
    client.command(line.replace("\\0", "\0")).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Says every row to the server, with every sender where the row has none of its own; each
/// transaction has a connection of its own and goes on to DATA. `after_hello` is what the client
/// does once it has said hello, such as trying to log in.
pub(crate) fn attack(connect: impl Fn() -> std::io::Result<Client>, after_hello: impl Fn(&mut Client)) -> Vec<Attempt> {
    let rows = rows();
    let senders: Vec<&Row> = rows.iter().filter(|row| row.id.starts_with('S')).collect();
    assert_eq!(senders.len(), 12);
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut current: Option<(Client, &Row, u16, bool)> = None;
    for row in rows.iter().filter(|row| row.id.starts_with('R')) {
        let begin = |with: &'static str, codes: &'static str| (Some(with), codes);
        let mails = match row.mail {
            "*" => senders.iter().map(|sender| begin(sender.mail, sender.mail_codes)).collect(),
            "-" => vec![(None, "")],
            mail => vec![begin(mail, row.mail_codes)],
        };
        for (mail, mail_codes) in mails {
            if let Some(mail) = mail {
                finish(current.take());
                let mut client = connect().unwrap_or_else(|error| panic!("{}: {error}", row.id));
                assert_eq!(say(&mut client, row.hello).code, 250, "{} {}", row.id, row.hello);
                after_hello(&mut client);
                let code = say(&mut client, mail).code;
                attempts.push(Attempt {
                    id: row.id,
                    mail,
                    rcpt: row.rcpt,
                    mail_code: code,
                    rcpt_code: 0,
                    expected: [mail_codes, row.rcpt_codes],
                    is_ours: false,
                });
                current = Some((client, row, code, false));
            } else {
                let before = attempts.last().expect("a row that goes on follows one that begins").clone();
                let expected = [before.expected[0], row.rcpt_codes];
                attempts.push(Attempt { id: row.id, rcpt: row.rcpt, expected, ..before });
            }
            let (client, _, _, accepted) = current.as_mut().expect("a connection");
            let attempt = attempts.last_mut().expect("pushed above");
            attempt.rcpt_code = say(client, row.rcpt).code;
            attempt.is_ours = row.rcpt_codes == "250";
            *accepted |= attempt.rcpt_code == 250;
        }
    }
    finish(current.take());
    attempts
}

/// Nothing can be sent where no recipient was accepted.
fn finish(transaction: Option<(Client, &Row, u16, bool)>) {
    let Some((mut client, row, _, accepted)) = transaction else { return };
    let reply = client.data(b"From: a@sender.test\r\nSubject: x\r\n\r\nx\r\n").expect("an answer to DATA");
    assert!(if accepted { reply.code == 250 } else { reply.code >= 500 }, "{}: {reply:?}", row.id);
}

/// Says every sender with every recipient that the table has for all senders, eight recipients to a
/// connection, so that no refusal is made to wait for; each sender has a thread of its own. A
/// sender may also be refused because who asks must log in. `after_hello` is as in [`attack`].
pub(crate) fn attack_by_eights(
    connect: impl Fn() -> std::io::Result<Client> + Sync,
    after_hello: impl Fn(&mut Client) + Sync,
) -> Vec<Attempt> {
    let rows = rows();
    let senders: Vec<&Row> = rows.iter().filter(|row| row.id.starts_with('S')).collect();
    let recipients: Vec<&Row> = rows.iter().filter(|row| row.mail == "*").collect();
    let one = |sender: &Row| {
        let mut attempts = Vec::new();
        for recipients in recipients.chunks(8) {
            let mut client = connect().unwrap_or_else(|error| panic!("{}: {error}", sender.id));
            after_hello(&mut client);
            let mail_code = say(&mut client, sender.mail).code;
            attempts.extend(recipients.iter().map(|row| Attempt {
                id: row.id,
                mail: sender.mail,
                rcpt: row.rcpt,
                mail_code,
                rcpt_code: say(&mut client, row.rcpt).code,
                expected: [if mail_code == 530 { "530" } else { sender.mail_codes }, row.rcpt_codes],
                is_ours: false,
            }));
        }
        attempts
    };
    std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = senders.iter().map(|sender| scope.spawn(move || one(sender))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread that has asked everything")).collect()
    })
}

/// Says the table as a stranger without a login.
pub(crate) fn attack_as_stranger(address: SocketAddr) -> Vec<Attempt> {
    attack(|| Client::connect(address), |_| {})
}
