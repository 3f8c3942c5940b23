//! Conversations of which it is known beforehand how they have to end.

use super::*;

/// What must become of a conversation that nothing cuts short.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It ends before a mail, with this outcome.
    Ends(&'static str),
    /// The client keeps its credentials to itself, for this reason, and quits.
    Keeps(&'static str),
    /// The server wants TLS before it takes mail.
    Refuses,
    /// All mail is sent.
    Sends { tls: bool, user: bool },
}

impl Scenario {
    fn fate(&self) -> Fate {
        use client::TlsMode::{Implicit, Off, Required, StartTls};
        let extended = self.age == Age::Today;
        let offered = extended && self.tls.1 != server::TlsMode::Off;
        let tls = match (self.tls.0, self.tls.1) {
            (Implicit, server::TlsMode::Implicit) if self.handshake => true,
            (Implicit, _) => return Fate::Ends("us 454 4.7.5"),
            (_, server::TlsMode::Implicit) => return Fate::Ends("us 451 4.4.2"),
            (Off, _) => false,
            (StartTls, _) if !offered => false,
            (Required, _) if !offered => return Fate::Ends("us 454 4.7.4"),
            (StartTls | Required, _) if self.handshake => true,
            (StartTls | Required, _) => return Fate::Ends("us 454 4.7.5"),
        };
        let Some(credentials) = &self.credentials else {
            let refuses = self.tls.1 == server::TlsMode::Required && !tls;
            return if refuses { Fate::Refuses } else { Fate::Sends { tls, user: false } };
        };
        if !tls {
            return Fate::Keeps("454 4.7.11");
        }
        let offers = |mechanism| {
            extended
                && self.mechanisms.contains(&mechanism)
                && (mechanism != Mechanism::ScramSha256Plus || self.exporter)
                && (mechanism != Mechanism::External || self.certificate.is_some())
        };
        let right = match credentials {
            Credentials::Certificate => self.certificate == Some(USER),
            given => *given == password(PASSWORD) || *given == token(TOKEN),
        };
        match credentials.mechanism(offers, self.exporter) {
            None => Fate::Keeps("454 4.7.4"),
            Some(_) if right => Fate::Sends { tls, user: true },
            Some(_) => Fate::Ends("remote 535 5.7.8"),
        }
    }

    /// Plays it, cut after so many octets in each direction, and checks what must hold.
    pub(super) fn play(self, up_to: usize, down_to: usize) {
        let fate = self.fate();
        let mut pair = Pair::of(self);
        let whole = pair.run(up_to, down_to);
        let end = pair.client.end.as_ref().expect("the client closes");
        let end = format!("{} {}", if end.by == client::By::Us { "us" } else { "remote" }, end.reply);
        assert!(pair.server.running.is_none());
        pair.check_clear_text();
        let delivered = pair.client.settled.iter().flatten().filter(|settled| settled.is_delivered()).count();
        assert!(delivered <= pair.server.taken.len());
        for taken in &pair.server.taken {
            assert_eq!(Fate::Sends { tls: taken.tls, user: taken.user.as_deref() == Some(USER) }, fate);
        }
        if whole.0 >= up_to || whole.1 >= down_to {
            return;
        }
        let sent = if matches!(fate, Fate::Sends { .. }) { &pair.scenario.messages[..] } else { &[] };
        assert_eq!(delivered, sent.len(), "{fate:?}: {end}");
        let contents = sent.iter().map(|message| message.pieces.concat());
        assert!(contents.eq(pair.server.taken.into_iter().map(|taken| taken.content)));
        match fate {
            Fate::Ends(how) => assert!(end.starts_with(how) && pair.client.settled.is_empty(), "{how}: {end}"),
            Fate::Keeps(why) => assert!(pair.client.unsupported[0].to_string().starts_with(why), "{fate:?}: {end}"),
            Fate::Refuses => {
                let said = pair.client.settled.iter().flatten();
                let said: Vec<_> = said.map(|settled| settled.clone().into_outcome().reply.code().as_u16()).collect();
                assert_eq!(said, vec![530; pair.scenario.messages.len()]);
            }
            Fate::Sends { .. } => assert_eq!(end, "remote 221 2.0.0 bye"),
        }
    }
}

impl Pair {
    /// Where TLS is demanded, or credentials are to be kept, nothing is said without TLS but
    /// what leads to it.
    fn check_clear_text(&self) {
        let demanded = matches!(self.scenario.tls.0, client::TlsMode::Required | client::TlsMode::Implicit);
        if !demanded && self.scenario.credentials.is_none() {
            return;
        }
        for line in self.clear.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let known = ["EHLO relay.test\r", "LHLO relay.test\r", "HELO relay.test\r", "STARTTLS\r", "QUIT\r"];
            // A cut may leave a part of a line.
            assert!(known.iter().any(|known| known.as_bytes().starts_with(line)), "{:?}", self.clear);
        }
    }
}

/// Plays a conversation that lines describe. The first octet of a line says what it is:
///
/// `T` TLS of client and server, a digit each; `f` the handshake fails, `e` there is no exporter;
/// `m` mechanisms, a digit each; `P` the right password, `p` a wrong one, `K` and `k` tokens, `X`
/// and `x` certificates; `L` LMTP, `A` a server that knows HELO alone; `M` begins a message, `W`
/// adds a line to it; `c` how many octets arrive at a time, an octet each; `U` and `D` cut the
/// connection after so many octets, up to the server or down to the client.
pub fn pair(data: &[u8]) {
    let mut scenario = Scenario::plain(Protocol::Smtp, Age::Today, Vec::new(), vec![4096]);
    let (mut up_to, mut down_to) = (usize::MAX, usize::MAX);
    for line in data.split(|byte| *byte == b'\n').take(40) {
        let Some((kind, rest)) = line.split_first() else { continue };
        let digit = |at: usize| rest.get(at).map_or(0, |byte| usize::from(byte % 8));
        match kind {
            b'T' => scenario.tls = (CLIENT[digit(0) % 4], SERVER[digit(1) % 4]),
            b'f' => scenario.handshake = false,
            b'e' => scenario.exporter = false,
            b'm' => {
                let known = rest.iter().filter_map(|byte| Mechanism::ALL.get(usize::from(byte % 8)));
                scenario.mechanisms = known.copied().take(8).collect();
            }
            b'P' => scenario.credentials = Some(password(PASSWORD)),
            b'p' => scenario.credentials = Some(password("wrong")),
            b'K' => scenario.credentials = Some(token(TOKEN)),
            b'k' => scenario.credentials = Some(token("wrong")),
            b'X' | b'x' => {
                scenario.credentials = Some(Credentials::Certificate);
                scenario.certificate = Some(if *kind == b'X' { USER } else { "another" });
            }
            b'L' => scenario.protocol = Protocol::Lmtp,
            b'A' => scenario.age = Age::Old,
            b'M' if scenario.messages.len() < 5 => scenario.messages.push(Outgoing::new(&["one@b.test"], b"")),
            b'W' => {
                if let Some(message) = scenario.messages.last_mut() {
                    let mut text: Vec<_> = rest.iter().filter(|b| !b"\r\0".contains(b)).copied().take(200).collect();
                    text.extend_from_slice(b"\r\n");
                    message.size += text.len() as u64;
                    message.pieces.push(text);
                }
            }
            b'c' if !rest.is_empty() => scenario.chunks = rest.iter().map(|byte| usize::from(*byte)).collect(),
            b'U' => up_to = number(rest),
            b'D' => down_to = number(rest),
            _ => {}
        }
    }
    // There is no older LMTP.
    if scenario.protocol == Protocol::Lmtp {
        scenario.age = Age::Today;
    }
    scenario.play(up_to, down_to);
}

pub(super) const CLIENT: [client::TlsMode; 4] =
    [client::TlsMode::Off, client::TlsMode::StartTls, client::TlsMode::Required, client::TlsMode::Implicit];
pub(super) const SERVER: [server::TlsMode; 4] =
    [server::TlsMode::Off, server::TlsMode::StartTls, server::TlsMode::Required, server::TlsMode::Implicit];

fn number(digits: &[u8]) -> usize {
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit()).take(5);
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}
