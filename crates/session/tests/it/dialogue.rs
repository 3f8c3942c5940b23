//! The scripts in `tests/dialogues`, each run whole, split at every byte, and
//! one byte at a time.
//!
//! ```text
//! # a comment
//! : size 100          a setting (protocol, size, smtputf8, recipients, line, commands,
//!                     tls, auth, delegation)
//! C: EHLO a.test      the client, with CRLF; \r \n \0 \xNN \\, a last \ means: no CRLF;
//!                     what stands in braces is said in base64
//! S: 250 ...          the server; `S: <close>` is the end of the connection
//! A: rcpt 550 5.1.1 x what the application answers (connect, hello, mail, rcpt, data,
//!                     body: a refusal; message: replies separated by |), 2xx if not said
//! A: accept alice     what it answers to the questions of AUTH: accept a user, the keys of a
//!                     user with a password, reject, refuse with a reply
//! Q: keys alice       a question of AUTH
//! T: exporter         the client waits, and the TLS handshake succeeds (exporter,
//!                     certificate), or `failed`
//! W: ESMTPSA alice    how and by whom a message came that came with TLS
//! P: 1                a pause, in seconds
//! L: junk             the client has reached a limit
//! B: text             a line of the message as the application got it
//! E: reset            a transaction ended
//! ... 300             the client waits for all replies, and then some seconds
//! C x20: NOOP         twenty times
//! ```

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use hikyaku_session::{
    Protocol,
    sasl::{self, ScramKeys, Secret},
    server::{Cause, Config, TlsMode},
};
use hikyaku_wire::{Base64, Reply};

use crate::runner::{Answer, Events, Runner, config, tls};

#[derive(Debug)]
struct Script {
    config: Config,
    /// What the client sends before it waits, and for how long.
    turns: Vec<(Vec<u8>, Duration)>,
    events: Events,
    said: String,
    bodies: Vec<Vec<u8>>,
    ended: Vec<Cause>,
    questions: Vec<String>,
    with: Vec<String>,
    pauses: Vec<Duration>,
    limits: Vec<String>,
    closed: bool,
}

fn parse(text: &str) -> Script {
    let mut script = Script {
        config: config(),
        turns: vec![(Vec::new(), Duration::ZERO)],
        events: Events::default(),
        said: String::new(),
        bodies: Vec::new(),
        ended: Vec::new(),
        questions: Vec::new(),
        with: Vec::new(),
        pauses: Vec::new(),
        limits: Vec::new(),
        closed: false,
    };
    let mut in_body = false;
    for line in text.lines() {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (mark, count, rest) = match rest.strip_prefix('x').and_then(|rest| rest.split_once(": ")) {
            Some((count, rest)) if count.parse::<usize>().is_ok() => {
                (format!("{mark}:"), count.parse().expect("checked"), rest)
            }
            _ => (mark.to_owned(), 1, rest),
        };
        let was_body = std::mem::replace(&mut in_body, mark == "B:");
        match mark.as_str() {
            "" | "#" => {}
            ":" => set(&mut script.config, rest),
            "C:" => {
                let bytes = unescape(rest).repeat(count);
                script.turns.last_mut().expect("never empty").0.extend(bytes);
            }
            "S:" if rest == "<close>" => script.closed = true,
            "S:" => (0..count).for_each(|_| writeln!(script.said, "{}\r", braces(rest)).expect("a String")),
            "A:" => match sasl_answer(rest) {
                Some(answer) => script.events.sasl.extend(vec![answer; count]),
                None => script.events.answers.extend(vec![answer(rest); count]),
            },
            "Q:" => script.questions.push(rest.to_owned()),
            "T:" => {
                script.events.handshakes.push_back((rest != "failed").then(|| tls(rest)));
                script.turns.push((Vec::new(), Duration::ZERO));
            }
            "W:" => script.with.push(rest.to_owned()),
            "P:" => script.pauses.extend(vec![Duration::from_secs(rest.parse().expect("seconds")); count]),
            "L:" => script.limits.extend(vec![rest.to_owned(); count]),
            "B:" => {
                if !was_body {
                    script.bodies.push(Vec::new());
                }
                script.bodies.last_mut().expect("just pushed").extend(unescape(rest));
            }
            "E:" => script.ended.push(cause(rest)),
            "..." => {
                let seconds = if rest.is_empty() { 0 } else { rest.parse().expect("seconds") };
                script.turns.last_mut().expect("never empty").1 = Duration::from_secs(seconds);
                script.turns.push((Vec::new(), Duration::ZERO));
            }
            _ => panic!("what is {line:?}?"),
        }
    }
    script
}

fn set(config: &mut Config, setting: &str) {
    match setting.split_once(' ').expect("a key and a value") {
        ("protocol", "lmtp") => config.protocol = Protocol::Lmtp,
        ("size", size) => config.size = size.parse().expect("a number"),
        ("smtputf8", "no") => config.smtputf8 = false,
        ("recipients", number) => config.limits.recipients = number.parse().expect("a number"),
        ("text_line", number) => config.limits.text_line = number.parse().expect("a number"),
        ("line", number) => config.limits.command_line = number.parse().expect("a number"),
        ("commands", number) => config.limits.commands = number.parse().expect("a number"),
        ("tls", "starttls") => config.tls = TlsMode::StartTls,
        ("tls", "required") => config.tls = TlsMode::Required,
        ("tls", "implicit") => config.tls = TlsMode::Implicit,
        ("auth", mechanisms) => {
            config.auth.secret = Secret::new([3; 32]);
            config.auth.mechanisms = mechanisms.split(' ').map(|name| name.parse().expect("a mechanism")).collect();
        }
        ("delegation", "yes") => config.auth.delegation = true,
        _ => panic!("what is {setting:?}?"),
    }
}

fn answer(text: &str) -> Answer {
    let (stage, replies) = text.split_once(' ').expect("a stage and a reply");
    let stages = ["connect", "hello", "mail", "rcpt", "data", "body", "message"];
    Answer {
        stage: stages.into_iter().find(|known| *known == stage).expect("a stage"),
        replies: replies.split('|').map(|reply| reply.trim().parse::<Reply>().expect("a reply")).collect(),
    }
}

fn sasl_answer(text: &str) -> Option<sasl::Answer> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match kind {
        "accept" => sasl::Answer::Accept(rest.into()),
        "keys" => {
            let (user, password) = rest.split_once(' ').expect("a user and a password");
            let keys = ScramKeys::derive(password, b"0123456789abcdef", 4096).expect("a password");
            sasl::Answer::Keys { user: user.into(), keys }
        }
        "reject" => sasl::Answer::Reject,
        "refuse" => sasl::Answer::Refuse(rest.parse().expect("a reply")),
        _ => return None,
    })
}

/// What stands in braces goes over the wire in base64.
fn braces(text: &str) -> String {
    match text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (inner, after))) => {
            let inner = Base64::encode(&octets(inner)).expect("not too long");
            format!("{before}{}{}", inner.as_str(), braces(after))
        }
        None => text.to_owned(),
    }
}

fn cause(text: &str) -> Cause {
    match text {
        "accepted" => Cause::Accepted,
        "refused" => Cause::Refused,
        "reset" => Cause::Reset,
        "hello" => Cause::Hello,
        "cut" => Cause::Cut,
        _ => panic!("what is {text:?}?"),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let (text, end) = match text.strip_suffix('\\') {
        Some(text) if !text.ends_with('\\') => (text, ""),
        _ => (text, "\r\n"),
    };
    let mut bytes = octets(&braces(text));
    bytes.extend(end.as_bytes());
    bytes
}

fn octets(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        (bytes, rest) = match (byte, tail) {
            (b'\\', [b'r', tail @ ..]) => ([&bytes[..], b"\r"].concat(), tail),
            (b'\\', [b'n', tail @ ..]) => ([&bytes[..], b"\n"].concat(), tail),
            (b'\\', [b'0', tail @ ..]) => ([&bytes[..], b"\0"].concat(), tail),
            (b'\\', [b'\\', tail @ ..]) => ([&bytes[..], b"\\"].concat(), tail),
            (b'\\', [b'x', a, b, tail @ ..]) => {
                let digits = [*a, *b];
                let digits = std::str::from_utf8(&digits).expect("hexadecimal");
                let byte = u8::from_str_radix(digits, 16).expect("hexadecimal");
                ([&bytes[..], &[byte]].concat(), tail)
            }
            (b'\\', _) => panic!("what is the escape in {text:?}?"),
            _ => ([&bytes[..], &[*byte]].concat(), tail),
        };
    }
    bytes
}

/// Runs a script with its input cut in pieces after the octets that `cut` names.
fn run(script: &Script, cut: impl Fn(usize) -> bool) -> Runner {
    let mut runner = Runner::new(script.config.clone(), script.events.clone());
    let mut position = 0;
    for (input, wait) in &script.turns {
        let mut piece = Vec::new();
        for byte in input {
            piece.push(*byte);
            position += 1;
            if cut(position) {
                runner.feed(&std::mem::take(&mut piece));
            }
        }
        runner.feed(&piece);
        runner.wait(*wait);
    }
    runner
}

fn check(name: &str, how: &str, script: &Script, runner: &Runner) {
    let lines = |said: &str| said.split_inclusive("\r\n").map(str::to_owned).collect::<Vec<_>>();
    let (said, expected) = (lines(&runner.said), lines(&script.said));
    let at = said.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    assert_eq!(said.get(at), expected.get(at), "{name}, {how}: line {} of the server", at + 1);
    assert_eq!(runner.closed, script.closed, "{name}, {how}: closed");
    assert_eq!(runner.ended, script.ended, "{name}, {how}: ended");
    if !script.bodies.is_empty() {
        let text = |bodies: &[Vec<u8>]| bodies.iter().map(|body| body.escape_ascii().to_string()).collect::<Vec<_>>();
        assert_eq!(text(&runner.bodies), text(&script.bodies), "{name}, {how}: messages");
    }
    assert_eq!(runner.questions, script.questions, "{name}, {how}: questions");
    assert_eq!(runner.with, script.with, "{name}, {how}: with");
    assert_eq!(runner.pauses, script.pauses, "{name}, {how}: pauses");
    assert_eq!(runner.limits, script.limits, "{name}, {how}: limits");
    assert_eq!(runner.left(), 0, "{name}, {how}: answers that nobody asked for");
}

#[test]
fn every_dialogue_is_the_same_for_every_split() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let entries = fs::read_dir(folder).expect("the folder of dialogues");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(paths.len() >= 50, "{} dialogues", paths.len());
    for path in paths {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let script = parse(&fs::read_to_string(&path).expect("a dialogue"));
        check(&name, "whole", &script, &run(&script, |_| false));
        check(&name, "byte by byte", &script, &run(&script, |_| true));
        let octets = script.turns.iter().map(|(input, _)| input.len()).sum();
        // A flood of one command has no more kinds of splits than its beginning and its end.
        for at in (1..octets).filter(|at| *at < 3000 || octets - at < 300) {
            check(&name, &format!("split after {at}"), &script, &run(&script, |position| position == at));
        }
    }
}
