//! Every state and every command: which reply comes of it.

use hikyaku_wire::Reply;
use insta::assert_snapshot;

use crate::runner::{Answer, Runner, config, lmtp};

const COMMANDS: &[&str] = &[
    "HELO a.test",
    "EHLO a.test",
    "LHLO a.test",
    "EHLO a b",
    "MAIL FROM:<a@b.test>",
    "MAIL FROM:<>",
    "MAIL FROM:<a@b.test> SIZE=9",
    "MAIL FROM:<a@b.test> SIZE=99999999",
    "MAIL FROM:<a@b.test> BODY=8BITMIME",
    "MAIL FROM:<a@b.test> BODY=BINARYMIME",
    "MAIL FROM:<ü@b.test>",
    "MAIL FROM:<ü@b.test> SMTPUTF8",
    "MAIL FROM:<a@b.test> RET=HDRS",
    "MAIL FROM:<a@b.test> SIZE=1 SIZE=2",
    "MAIL FROM:<a>",
    "RCPT TO:<c@d.test>",
    "RCPT TO:<postmaster>",
    "RCPT TO:<ü@d.test>",
    "RCPT TO:<c@d.test> NOTIFY=NEVER",
    "RCPT TO:<>",
    "DATA",
    "DATA x",
    "RSET",
    "NOOP",
    "NOOP x",
    "VRFY root",
    "EXPN all",
    "HELP",
    "HELP DATA",
    "STARTTLS",
    "AUTH PLAIN",
    "BDAT 3",
    "TURN",
    "ETRN x",
    "SEND FROM:<a@b.test>",
    "SAML FROM:<a@b.test>",
    "XYZZY",
    "",
    "QUIT",
];

#[test]
fn the_transition_table() {
    let refused = |stage, reply: Reply| vec![Answer { stage, replies: vec![reply] }];
    let hello = "EHLO a.test\r\n";
    let mail = "EHLO a.test\r\nMAIL FROM:<a@b.test>\r\n";
    let recipient = "EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n";
    let utf8 = "EHLO a.test\r\nMAIL FROM:<a@b.test> SMTPUTF8\r\n";
    let states = [
        ("connected", config(), "", vec![]),
        ("HELO", config(), "HELO a.test\r\n", vec![]),
        ("EHLO", config(), hello, vec![]),
        ("MAIL", config(), mail, vec![]),
        ("MAIL utf8", config(), utf8, vec![]),
        ("RCPT", config(), recipient, vec![]),
        ("RCPT 550", config(), recipient, refused("rcpt", Reply::UNKNOWN_USER_550)),
        ("greeting 554", config(), "", refused("connect", Reply::NO_VALID_RECIPIENTS_554)),
        ("greeting 451", config(), "", refused("connect", Reply::LOCAL_ERROR_451)),
        ("LMTP", lmtp(), "", vec![]),
        ("LMTP LHLO", lmtp(), "LHLO a.test\r\n", vec![]),
        ("LMTP MAIL", lmtp(), &mail.replace("EHLO", "LHLO"), vec![]),
        ("LMTP RCPT", lmtp(), &recipient.replace("EHLO", "LHLO"), vec![]),
        ("LMTP RCPT 550", lmtp(), &recipient.replace("EHLO", "LHLO"), refused("rcpt", Reply::UNKNOWN_USER_550)),
    ]
    .map(|(name, mut config, before, answers)| {
        config.size = 1_000_000;
        let cells = COMMANDS.iter().map(|command| {
            let mut runner = Runner::new(config.clone(), answers.iter().cloned());
            runner.feed(before.as_bytes());
            assert!(!runner.closed && runner.ended.is_empty());
            runner.take_said();
            runner.feed(format!("{command}\r\n").as_bytes());
            cell(&runner)
        });
        (name, cells.collect::<Vec<_>>())
    });

    let mut table = String::new();
    let mut line = |first: &str, cells: Vec<&str>| {
        let cells = cells.iter().map(|cell| format!("| {cell:15} ")).collect::<String>();
        table = format!("{table}{}\n", format!("{first:36} {cells}").trim_end());
    };
    line("command", states.iter().map(|(name, _)| *name).collect());
    for (row, command) in COMMANDS.iter().enumerate() {
        line(command, states.iter().map(|(_, cells)| cells[row].as_str()).collect());
    }
    assert_snapshot!("transitions", table);
}

/// The code and the enhanced code, whether the conversation ended, and what became of a transaction.
fn cell(runner: &Runner) -> String {
    let said = &runner.said;
    let reply = said.lines().last().expect("a reply");
    let mut cell = reply[..3].to_owned();
    let enhanced = reply[4..].split(' ').next().filter(|word| word.matches('.').count() == 2);
    if let Some(enhanced) = enhanced.filter(|word| word.bytes().all(|b| b == b'.' || b.is_ascii_digit())) {
        cell = format!("{cell} {enhanced}");
    }
    if runner.closed {
        cell.push('c');
    }
    for cause in &runner.ended {
        cell = format!("{cell} {}", format!("{cause:?}").to_lowercase());
    }
    cell
}
