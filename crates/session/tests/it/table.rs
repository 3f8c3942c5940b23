//! Every state and every command: which reply comes of it.

use hikyaku_session::{
    sasl::{self, Mechanism},
    server::{Auth, Config, TlsMode},
};
use hikyaku_wire::Reply;
use insta::assert_snapshot;

use crate::runner::{Answer, Events, Runner, config, lmtp, tls};

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
    "MAIL FROM:<a@b.test> AUTH=<>",
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
    "STARTTLS x",
    "AUTH",
    "AUTH PLAIN",
    "AUTH PLAIN AGFsaWNlAHNlY3JldA==",
    "AUTH PLAIN =",
    "AUTH PLAIN !!!",
    "AUTH PLAIN AA== x",
    "AUTH LOGIN",
    "AUTH EXTERNAL =",
    "AUTH SCRAM-SHA-256-PLUS",
    "AUTH XYZZY",
    "AGFsaWNlAHNlY3JldA==",
    "*",
    "BDAT 3",
    "TURN",
    "ETRN x",
    "SEND FROM:<a@b.test>",
    "SAML FROM:<a@b.test>",
    "XYZZY",
    "",
    "QUIT",
];

/// A state: its name, what leads to it, and in which pieces the client says that.
struct State {
    name: &'static str,
    config: Config,
    before: Vec<String>,
    events: Events,
}

impl State {
    fn new(name: &'static str, config: Config, before: &[&str]) -> Self {
        let before = before.iter().map(|lines| format!("{lines}\r\n")).collect();
        Self { name, config, before, events: Events::default() }
    }

    fn refused(mut self, stage: &'static str, reply: Reply) -> Self {
        self.events.answers.push_back(Answer { stage, replies: vec![reply] });
        self
    }

    fn lmtp(mut self) -> Self {
        self.config = lmtp();
        self.before.iter_mut().for_each(|lines| *lines = lines.replace("EHLO", "LHLO"));
        self
    }
}

fn table(states: impl IntoIterator<Item = State>) -> String {
    let states: Vec<_> = states.into_iter().map(|state| (state.name, column(&state))).collect();
    let mut table = String::new();
    let mut line = |first: &str, cells: Vec<&str>| {
        let cells = cells.iter().map(|cell| format!("| {cell:15} ")).collect::<String>();
        table = format!("{table}{}\n", format!("{first:36} {cells}").trim_end());
    };
    line("command", states.iter().map(|(name, _)| *name).collect());
    for (row, command) in COMMANDS.iter().enumerate() {
        line(command, states.iter().map(|(_, cells)| cells[row].as_str()).collect());
    }
    table
}

fn column(state: &State) -> Vec<String> {
    let mut config = state.config.clone();
    config.size = 1_000_000;
    let cells = COMMANDS.iter().map(|command| {
        let mut runner = Runner::new(config.clone(), state.events.clone());
        state.before.iter().for_each(|lines| runner.feed(lines.as_bytes()));
        assert!(!runner.closed && runner.ended.is_empty(), "{}", state.name);
        runner.take_said();
        runner.feed(format!("{command}\r\n").as_bytes());
        cell(&runner)
    });
    cells.collect()
}

#[test]
fn the_transition_table() {
    let (hello, mail, recipient) = ("EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>");
    let state = |name, before: &[&str]| State::new(name, config(), before);
    let states = [
        state("connected", &[]),
        state("HELO", &["HELO a.test"]),
        state("EHLO", &[hello]),
        state("MAIL", &[hello, mail]),
        state("MAIL utf8", &[hello, "MAIL FROM:<a@b.test> SMTPUTF8"]),
        state("RCPT", &[hello, mail, recipient]),
        state("RCPT 550", &[hello, mail, recipient]).refused("rcpt", Reply::UNKNOWN_USER_550),
        state("greeting 554", &[]).refused("connect", Reply::NO_VALID_RECIPIENTS_554),
        state("greeting 451", &[]).refused("connect", Reply::LOCAL_ERROR_451),
        state("LMTP", &[]).lmtp(),
        state("LMTP LHLO", &[hello]).lmtp(),
        state("LMTP MAIL", &[hello, mail]).lmtp(),
        state("LMTP RCPT", &[hello, mail, recipient]).lmtp(),
        state("LMTP RCPT 550", &[hello, mail, recipient]).lmtp().refused("rcpt", Reply::UNKNOWN_USER_550),
    ];
    assert_snapshot!("transitions", table(states));
}

#[test]
fn the_transition_table_of_tls_and_auth() {
    let (hello, mail, recipient) = ("EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>");
    let auth = "AUTH PLAIN AGFsaWNlAHNlY3JldA==";
    let state = |name, mode, before: &[&str]| {
        let mechanisms = vec![Mechanism::ScramSha256Plus, Mechanism::External, Mechanism::Plain];
        let auth = Auth { mechanisms, ..Auth::default() };
        let mut state = State::new(name, Config { tls: mode, auth, ..config() }, before);
        state.events.handshakes.push_back(Some(tls("exporter")));
        state.events.sasl.push_back(sasl::Answer::Accept("alice".into()));
        state
    };
    use TlsMode::{Implicit, Off, Required, StartTls};
    let states = [
        state("off EHLO", Off, &[hello]),
        state("required", Required, &[]),
        state("required EHLO", Required, &[hello]),
        state("clear EHLO", StartTls, &[hello]),
        state("clear RCPT", StartTls, &[hello, mail, recipient]),
        state("TLS", StartTls, &[hello, "STARTTLS"]),
        state("required TLS", Required, &[hello, "STARTTLS"]),
        state("implicit TLS", Implicit, &[]),
        state("TLS HELO", StartTls, &["STARTTLS", "HELO a.test"]),
        state("TLS EHLO", StartTls, &["STARTTLS", hello]),
        state("TLS RCPT", StartTls, &["STARTTLS", hello, mail, recipient]),
        state("TLS exchange", StartTls, &["STARTTLS", hello, "AUTH PLAIN"]),
        state("AUTH", StartTls, &["STARTTLS", hello, auth]),
        state("AUTH RSET EHLO", StartTls, &["STARTTLS", hello, auth, "RSET", hello]),
        state("AUTH HELO", StartTls, &["STARTTLS", hello, auth, "HELO a.test"]),
        state("AUTH RCPT", StartTls, &["STARTTLS", hello, auth, mail, recipient]),
    ];
    assert_snapshot!("transitions_of_tls_and_auth", table(states));
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
