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
        let decision = policy.decide(&facts);
        let early = policy.decide(&Facts { message: None, ..facts.clone() });
        let is_same = early.is_permitted() || early.line == decision.line;
        let is_final = facts.message.is_none() || (!early.provisional && is_same);
        let (at, reply) = match is_final {
            true => (Stage::Recipient, early.reply),
            false => (Stage::Message, decision.reply),
        };
        let (rule, line) = (decision.rule.to_owned(), decision.line);
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
    if facts.message.is_some() && (*at == Stage::Message || reply.is_positive()) {
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

#[cfg(test)]
mod tests {
    use super::{super::read, *};
    use crate::{Certificate, Dmarc, Finding, HostSet, PolicyBuilder, Rate, Rule, Test};

    fn policy(rules: Vec<Rule>) -> Policy {
        PolicyBuilder { rules, ..PolicyBuilder::default() }.build().unwrap()
    }

    fn plain(policy: &Policy) -> Facts {
        let text = "# 198.51.100.7 connects\nC: EHLO mail.sender.example\nC: MAIL FROM:<spam@sender.example>\n\
                    C: RCPT TO:<victim@stranger.example>\n";
        read::facts(text, policy)
    }

    #[test]
    fn a_dialogue_is_complete_and_shows_who_decides() {
        let helo = Test::Helo(HostSet::Pattern("mail.partner.example".parse().unwrap()));
        let policy = policy(vec![Rule::permit(helo)]);
        let mut facts = plain(&policy);
        facts.hello = Some("mail.partner.example".parse().unwrap());
        facts.spf = Finding::Is(hikyaku_message::results::Spf::Pass);
        let witness = Witness::new(&policy, facts, Vec::new());
        assert_eq!(
            witness.dialogue(),
            "\
# 198.51.100.7 connects, spf=pass
S: 220 relay ready
C: EHLO mail.partner.example
S: 250 relay
C: MAIL FROM:<spam@sender.example>
S: 250 2.1.0 sender ok
C: RCPT TO:<victim@stranger.example>
S: 250 2.1.5 recipient ok                <- line 1: permit when helo mail.partner.example
C: DATA
S: 354 go ahead
C: Subject: test
C:
C: .
S: 250 2.0.0 message ok
C: QUIT
S: 221 2.0.0 bye
# swaks --server RELAY --port 25 --helo mail.partner.example --from spam@sender.example --to victim@stranger.example
"
        );
    }

    #[test]
    fn a_refusal_ends_it_and_what_the_message_decides_stands_behind_it() {
        let size = policy(vec![Rule::permit(!crate::Condition::Test(Test::Size(5000)))]);
        let text = |facts: Facts| Witness::new(&size, facts, Vec::new()).dialogue();
        let told = text(plain(&size));
        assert!(told.contains("<victim@stranger.example>\nS: 250 2.1.5 recipient ok\nC: DATA\n"), "{told}");
        assert!(told.contains("C: .\nS: 250 2.0.0 ok                          <- line 1: permit"), "{told}");
        let mut facts = plain(&size);
        facts.message.as_mut().unwrap().size = 5001;
        let told = text(facts);
        assert!(told.starts_with("# 198.51.100.7 connects, size=5001\n"), "{told}");
        assert!(told.contains("C: .\nS: 550 5.7.1 "), "{told}");
        assert!(told.contains(" <- no rule matches\nC: QUIT"), "{told}");

        let nothing = policy(vec![Rule::permit(Test::Known)]);
        let told = Witness::new(&nothing, plain(&nothing), Vec::new()).dialogue();
        assert!(told.contains("<victim@stranger.example>\nS: 550 5.7.1 "), "{told}");
        assert!(told.contains(" <- no rule matches\nC: QUIT") && !told.contains("DATA"), "{told}");
    }

    #[test]
    fn every_fact_is_told_or_spoken() {
        use hikyaku_message::results::{Arc, Dkim, Iprev, Spf};

        let window = crate::Window { period: crate::Period::Hour, per: crate::Per::Ip };
        let policy = policy(vec![
            Rule::refuse(
                hikyaku_wire::Reply::RELAY_DENIED_550,
                Test::Listed { zone: "zen.example".parse().unwrap(), at_least: 1 },
            ),
            Rule::permit(Test::Rate(Rate { limit: 5, window })),
            Rule::permit(Test::Custom("odd".parse().unwrap())),
        ]);
        let change: [fn(&mut Facts); 36] = [
            |_| {},
            |facts| facts.client = None,
            |facts| facts.client = Some("2001:db8:bad::7".parse().unwrap()),
            |facts| facts.listener = Listener::Lmtp,
            |facts| (facts.listener, facts.tls) = (Listener::Submissions, true),
            |facts| (facts.listener, facts.tls) = (Listener::Submission, true),
            |facts| facts.listener = Listener::Submission,
            |facts| facts.minute = Finding::Is(1439),
            |facts| facts.minute = Finding::Unknown,
            |facts| (facts.iprev, facts.name) = (Finding::Is(Iprev::Pass), Finding::Is("a.example".parse().ok())),
            |facts| (facts.iprev, facts.name) = (Finding::Unknown, Finding::Unknown),
            |facts| facts.iprev = Finding::Is(Iprev::Fail),
            |facts| facts.listed[0].1 = Finding::Is(7),
            |facts| facts.listed[0].1 = Finding::Is(-7),
            |facts| facts.listed[0].1 = Finding::Unknown,
            |facts| facts.certificate = Some(Certificate { spki: [0xee; 32], names: Vec::new() }),
            |facts| {
                let names = vec!["a.example".parse().unwrap(), "b.example".parse().unwrap()];
                facts.certificate = Some(Certificate { spki: std::array::from_fn(|n| n as u8 * 8), names });
            },
            |facts| facts.hello = Some("[192.0.2.1]".parse().unwrap()),
            |facts| facts.user = Some("alice".to_owned()),
            |facts| (facts.user, facts.owned) = (Some("a \"b\\c, d".to_owned()), Finding::Is(true)),
            |facts| facts.sender = Some("<>".parse().unwrap()),
            |facts| facts.sender = Some("<\"a> b\"@sender.example>".parse().unwrap()),
            |facts| facts.recipient = Some("<postmaster>".parse().unwrap()),
            |facts| facts.recipient = Some("<bücher@b\u{fc}cher.example>".parse().unwrap()),
            |facts| facts.recipient = Some("<a@[IPv6:2001:db8::1]>".parse().unwrap()),
            |facts| facts.owned = Finding::Unknown,
            |facts| facts.spf = Finding::Is(Spf::SoftFail),
            |facts| facts.spf = Finding::Unknown,
            |facts| (facts.exists, facts.known) = (Finding::Is(false), Finding::Is(true)),
            |facts| (facts.exists, facts.known) = (Finding::Unknown, Finding::Unknown),
            |facts| facts.recipients = 101,
            |facts| facts.rates[0].1 = 5,
            |facts| facts.custom[0].1 = Finding::Is(true),
            |facts| facts.custom[0].1 = Finding::Unknown,
            |facts| {
                let message = facts.message.as_mut().unwrap();
                (message.size, message.hops, message.aligned) = (1 << 40, 31, Finding::Is(false));
                (message.dkim, message.arc) = (Finding::Is(Dkim::PermError), Finding::Is(Arc::Fail));
                message.dmarc = Finding::Is(Dmarc::Quarantine);
            },
            |facts| {
                let message = facts.message.as_mut().unwrap();
                (message.aligned, message.dkim, message.arc) = (Finding::Unknown, Finding::Unknown, Finding::Unknown);
                message.dmarc = Finding::Unknown;
            },
        ];
        for change in change {
            let mut facts = plain(&policy);
            change(&mut facts);
            let told = dialogue(&Witness::new(&policy, facts.clone(), Vec::new()));
            assert_eq!(read::facts(&told, &policy), facts, "{told}");
            assert!(
                told.lines().all(|line| line.starts_with("S: ") || line.starts_with("C:") || line.starts_with('#')),
                "{told}"
            );
        }
    }

    #[test]
    fn smtputf8_is_asked_for_where_either_address_needs_it() {
        let policy = policy(vec![Rule::permit(Test::Known)]);
        let told = |sender: &str, recipient: &str| {
            let mut facts = plain(&policy);
            (facts.sender, facts.recipient) = (Some(sender.parse().unwrap()), Some(recipient.parse().unwrap()));
            dialogue(&Witness::new(&policy, facts, Vec::new())).contains("> SMTPUTF8\n")
        };
        let (ascii, utf8) = ("<a@b.example>", "<a@b\u{fc}cher.example>");
        assert!(told(ascii, utf8) && told(utf8, ascii) && told("<>", utf8));
        assert!(!told(ascii, ascii) && !told("<>", ascii));
    }

    #[test]
    fn a_shell_takes_each_word_as_one() {
        let policy = policy(vec![Rule::permit(Test::Known)]);
        let mut facts = plain(&policy);
        (facts.listener, facts.tls) = (Listener::Submission, true);
        facts.user = Some("o'hara; rm -rf\n".to_owned());
        facts.sender = Some("<>".parse().unwrap());
        facts.recipient = Some("<\"$(id)\"@stranger.example>".parse().unwrap());
        assert_eq!(
            swaks(&facts),
            "# swaks --server RELAY --port 587 --tls --helo mail.sender.example --auth PLAIN \
             --auth-user 'o'\\''hara; rm -rf?' --from '<>' --to '\"$(id)\"@stranger.example'"
        );
        facts.certificate = Some(Certificate { spki: [1; 32], names: Vec::new() });
        facts.listener = Listener::Submissions;
        facts.recipient = Some("<postmaster>".parse().unwrap());
        let told = swaks(&facts);
        assert!(told.contains("--port 465 --tls-on-connect --tls-cert CERTIFICATE --tls-key KEY "), "{told}");
        assert!(told.ends_with(" --to postmaster"), "{told}");
        (facts.listener, facts.tls) = (Listener::Lmtp, false);
        assert!(swaks(&facts).starts_with("# swaks --server RELAY --port 24 --protocol LMTP --tls-cert"));
    }
}
