//! A witness as an SMTP dialogue.

use std::fmt::Write;

use hikyaku_wire::{ForwardPath, Reply};

use super::{Witness, table::wrapped, words::words};
use crate::{Facts, Identifier, Listener, Policy, Stage};

/// Characters of a comment line.
const WIDTH: usize = 90;
/// The column at which the arrow stands, if the reply leaves room for it.
const ARROW: usize = 40;

impl Witness {
    /// What the policy does with these facts; `customs` are those without which it would do
    /// something else.
    pub(crate) fn new(policy: &Policy, facts: Facts, customs: Vec<(Identifier, bool)>) -> Self {
        let early = policy.decide(&Facts { message: None, ..facts.clone() });
        let (at, decision) = match early.provisional {
            true => (Stage::Message, policy.decide(&facts)),
            false => (Stage::Recipient, early),
        };
        let (rule, line, reply) = (decision.rule.to_owned(), decision.line, decision.reply);
        Self { facts, rule, line, customs, reply, at }
    }
}

/// The dialogue, each line closed. What is not said in one stands in comments; what stands nowhere
/// is of no note: a DNS that answers, no list that lists, a message like any other.
pub(super) fn dialogue(witness: &Witness) -> String {
    let Witness { facts, reply, at, .. } = witness;
    let mut told = Vec::new();
    for word in words(facts).iter().filter(|word| !word.spoken && !word.plain) {
        told.push(format!("{}={}", word.name, word.value));
    }
    let client = facts.client.map_or("a client without an address".to_owned(), |client| client.to_string());
    let first = match facts.listener {
        Listener::Mx => format!("# {client} connects"),
        listener => format!("# {client} connects to the {listener} listener"),
    };
    let with = if told.is_empty() { "" } else { "," };
    let mut text = wrapped(&(first + with), &told, "#   ", WIDTH) + "\n";
    let mut say = |line: &str| {
        text += line;
        text.push('\n');
    };
    let hello = facts.hello.as_ref().map_or(String::new(), |hello| {
        let verb = if facts.listener == Listener::Lmtp { "LHLO" } else { "EHLO" };
        format!("C: {verb} {}", hello.as_str())
    });
    if facts.tls && facts.listener == Listener::Submissions {
        say("# TLS from the first octet");
    }
    say("S: 220 relay ready");
    if facts.tls && facts.listener != Listener::Submissions {
        say(&hello);
        say("S: 250 relay");
        say("C: STARTTLS");
        say("S: 220 2.0.0 go ahead");
        say("# TLS");
    }
    if !hello.is_empty() {
        say(&hello);
        say("S: 250 relay");
    }
    if let Some(user) = &facts.user {
        say(&format!("# the password of {user:?}"));
        say("C: AUTH PLAIN ...");
        say("S: 235 2.7.0 authenticated");
    }
    if let Some(sender) = &facts.sender {
        let plain = sender.is_ascii() && facts.recipient.as_ref().is_none_or(ForwardPath::is_ascii);
        say(&format!("C: MAIL FROM:{sender}{}", if plain { "" } else { " SMTPUTF8" }));
        say("S: 250 2.1.0 sender ok");
    }
    if let Some(recipient) = &facts.recipient {
        say(&format!("C: RCPT TO:{recipient}"));
        if *at == Stage::Recipient {
            say(&arrow(reply, witness));
        } else {
            say("S: 250 2.1.5 recipient ok");
        }
    }
    if *at == Stage::Message || reply.is_positive() {
        say("C: DATA");
        say("S: 354 go ahead");
        say("C: Subject: test");
        say("C:");
        say("C: .");
        say(&if *at == Stage::Message { arrow(reply, witness) } else { "S: 250 2.0.0 message ok".to_owned() });
    }
    say("C: QUIT");
    say("S: 221 2.0.0 bye");
    say(&swaks(facts));
    text
}

/// The reply that matters, and the rule that gives it.
fn arrow(reply: &Reply, witness: &Witness) -> String {
    let line = witness.line.map_or("no rule matches".to_owned(), |line| format!("line {line}: {}", witness.rule));
    let said = format!("S: {reply}");
    format!("{:ARROW$} <- {line}", said.lines().next().unwrap_or_default())
}

/// The command that speaks the dialogue, if it runs where the client is.
fn swaks(facts: &Facts) -> String {
    let port = match facts.listener {
        Listener::Mx => 25,
        Listener::Submission => 587,
        Listener::Submissions => 465,
        Listener::Lmtp => 24,
    };
    let mut text = format!("# swaks --server RELAY --port {port}");
    let mut option = |name: &str, value: &str| {
        let _ = write!(text, " --{name}");
        if !value.is_empty() {
            let _ = write!(text, " {}", shell(value));
        }
    };
    if facts.listener == Listener::Lmtp {
        option("protocol", "LMTP");
    }
    match (facts.tls, facts.listener) {
        (true, Listener::Submissions) => option("tls-on-connect", ""),
        (true, _) => option("tls", ""),
        _ => {}
    }
    if facts.certificate.is_some() {
        option("tls-cert", "CERTIFICATE");
        option("tls-key", "KEY");
    }
    if let Some(hello) = &facts.hello {
        option("helo", hello.as_str());
    }
    if let Some(user) = &facts.user {
        option("auth", "PLAIN");
        option("auth-user", user);
    }
    if let Some(sender) = &facts.sender {
        option("from", &sender.mailbox().map_or("<>".to_owned(), ToString::to_string));
    }
    if let Some(recipient) = &facts.recipient {
        option("to", &recipient.mailbox().map_or("postmaster".to_owned(), ToString::to_string));
    }
    text
}

/// A word for a shell, on one line.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@.-_:/+=,".contains(c);
    let word = word.replace(char::is_control, "?");
    if word.chars().all(is_plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
