//! A server that takes mail and keeps it in memory, so that a test can look at
//! every byte that came.

use std::io::{self, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::PATIENCE;

/// One message that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The `MAIL` line behind `FROM:`, with its parameters.
    pub(crate) from: String,
    /// Each `RCPT` line behind `TO:`.
    pub(crate) to: Vec<String>,
    /// The data, un-stuffed.
    pub(crate) data: Vec<u8>,
}

/// What to answer in the place of a 250 or 354, for a command line (or `.` at
/// the end of the data); `None` is the ordinary answer.
type Rule = fn(&str) -> Option<&'static str>;

/// A listening sink. Its threads end with the test process.
pub(crate) struct Sink {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    taken: Mutex<Vec<Taken>>,
    connections: Mutex<usize>,
    bare: Mutex<usize>,
    more: Condvar,
}

impl Sink {
    /// Listens on a free port of the loopback and says yes to everything.
    pub(crate) fn start() -> Self {
        Self::with_rule(|_| None)
    }

    /// The same, but `rule` may answer first.
    pub(crate) fn with_rule(rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a sink");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                *state.connections.lock().unwrap() += 1;
                std::thread::spawn(move || serve(&stream, &state, rule));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have been made.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
    }

    /// How many CR or LF have come that are no part of a CR LF, in commands and in data.
    pub(crate) fn bare(&self) -> usize {
        *self.state.bare.lock().unwrap()
    }

    /// What has come so far, in order.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.taken.lock().unwrap().clone()
    }

    /// Waits until `count` messages have come, and takes them out.
    pub(crate) fn wait(&self, count: usize) -> Vec<Taken> {
        let end = Instant::now() + PATIENCE;
        let mut taken = self.state.taken.lock().unwrap();
        while taken.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} messages have come to the sink", taken.len());
            taken = self.state.more.wait_timeout(taken, left).unwrap().0;
        }
        std::mem::take(&mut *taken)
    }
}

/// One connection; an I/O error ends it, as the peer may go away at any time.
fn serve(stream: &TcpStream, state: &State, rule: Rule) -> Option<()> {
    let mut input = BufReader::new(Watched { stream, state, cr: false });
    let say = |reply: &str| {
        let mut out = stream;
        write!(out, "{reply}\r\n").ok()
    };
    say(rule("CONNECT").unwrap_or("220 sink.test ESMTP"))?;
    let mut mail = Taken { from: String::new(), to: Vec::new(), data: Vec::new() };
    loop {
        let line = line(&mut input).ok()?;
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix("\r\n").expect("a command ends in CRLF");
        let upper = line.to_ascii_uppercase();
        if let Some(reply) = rule(line) {
            say(reply)?;
        } else if upper.starts_with("EHLO") {
            say(
                "250-sink.test\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES",
            )?;
        } else if upper.starts_with("MAIL FROM:") {
            mail = Taken { from: line["MAIL FROM:".len()..].to_owned(), to: Vec::new(), data: Vec::new() };
            say("250 2.1.0 ok")?;
        } else if upper.starts_with("RCPT TO:") {
            mail.to.push(line["RCPT TO:".len()..].to_owned());
            say("250 2.1.5 ok")?;
        } else if upper == "DATA" && mail.to.is_empty() {
            say("554 5.5.1 no valid recipients")?;
        } else if upper == "DATA" {
            say("354 go ahead")?;
            mail.data = data(&mut input).ok()?;
            if let Some(reply) = rule(".") {
                say(reply)?;
                continue;
            }
            let taken = Taken {
                from: mail.from.clone(),
                to: std::mem::take(&mut mail.to),
                data: std::mem::take(&mut mail.data),
            };
            state.taken.lock().unwrap().push(taken);
            state.more.notify_all();
            say("250 2.0.0 taken")?;
        } else if upper == "QUIT" {
            return say("221 2.0.0 bye");
        } else if matches!(upper.as_str(), "RSET" | "NOOP") || upper.starts_with("HELO") {
            say("250 2.0.0 ok")?;
        } else {
            say("500 5.5.1 what?")?;
        }
    }
}

/// Looks at every octet that comes.
struct Watched<'a> {
    stream: &'a TcpStream,
    state: &'a State,
    /// The last octet was a CR.
    cr: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        for &octet in &buffer[..count] {
            if self.cr != (octet == b'\n') {
                *self.state.bare.lock().unwrap() += 1;
            }
            self.cr = octet == b'\r';
        }
        Ok(count)
    }
}

/// One line with its line end.
fn line(input: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

/// The data up to `CRLF . CRLF`, un-stuffed; no other line end ends a line.
fn data(input: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let line = line(input)?;
        let at_start = data.is_empty() || data.ends_with(b"\r\n");
        match line.as_slice() {
            b".\r\n" if at_start => return Ok(data),
            [b'.', rest @ ..] if at_start => data.extend_from_slice(rest),
            line => data.extend_from_slice(line),
        }
    }
}
