//! What a conversation that waits takes from the heap, its buffers not counted.

use std::{sync::Arc, time::Instant};

use allocation_counter::measure;
use bytes::BytesMut;
use hikyaku_session::{
    Tls,
    sasl::{self, Mechanism},
    server::{self, Auth, Config, Peer, Step, TlsMode},
};
use hikyaku_wire::Reply;

struct Talk {
    step: Option<Step>,
    now: Instant,
    input: BytesMut,
    out: BytesMut,
}

impl Talk {
    /// Buffers that hold all that is said.
    fn new() -> Self {
        let mut input = BytesMut::with_capacity(1 << 20);
        // From its first piece on a buffer is shared.
        input.extend_from_slice(b"x");
        drop(input.split());
        Self { step: None, now: Instant::now(), input, out: BytesMut::with_capacity(1 << 20) }
    }

    fn start(&mut self, config: Arc<Config>) {
        let peer = Peer { address: Some([192, 0, 2, 1].into()), port: 4711 };
        let step = server::start(config, peer, "18f0a2b3c4d5", self.now);
        self.drive(step);
    }

    fn say(&mut self, lines: &str) {
        self.input.extend_from_slice(lines.as_bytes());
        let step = self.step.take().expect("it waits");
        self.drive(step);
    }

    fn drive(&mut self, mut step: Step) {
        let (now, out) = (self.now, &mut self.out);
        loop {
            step = match step {
                Step::Receive(receive) => match receive.process(now, &mut self.input, out) {
                    Step::Receive(receive) => {
                        self.step = Some(Step::Receive(receive));
                        return;
                    }
                    step => step,
                },
                Step::Flush(flush) => flush.flushed(now),
                Step::Pause(pause) => pause.resume(now),
                Step::Decide(decide) => decide.reply(now, &Reply::OK_250, out),
                Step::Authenticate(asked) => asked.answer(now, sasl::Answer::Accept("alice".into()), [0; 18], out),
                Step::Upgrade(upgrade) => {
                    let tls = Tls {
                        version: "TLSv1.3".into(),
                        cipher: "TLS13_AES_256_GCM_SHA384".into(),
                        server_name: Some("mx.example.test".into()),
                        exporter: Some([1; 32]),
                        certificate: None,
                    };
                    upgrade.established(now, tls, &self.input)
                }
                Step::Data(data) => data.accept(now, out),
                Step::Body(body) => body.next(),
                Step::Message(message) => message.reply(now, server::Verdicts::One(Reply::OK_250), out),
                Step::Ended(ended) => ended.next(),
                Step::Refused(refused) => refused.next(),
                Step::Close => panic!("the conversation is over: {}", String::from_utf8_lossy(out)),
            };
        }
    }
}

/// Octets that are still held once all of it has been said.
fn held(config: &Arc<Config>, lines: &[&str]) -> i64 {
    let mut talk = Talk::new();
    let counted = measure(|| {
        talk.start(Arc::clone(config));
        lines.iter().for_each(|lines| talk.say(lines));
    });
    assert!(talk.step.is_some());
    counted.bytes_current
}

#[test]
fn an_idle_conversation_is_small() {
    let auth = Auth { mechanisms: vec![Mechanism::Plain], ..Auth::default() };
    let config = Arc::new(Config { tls: TlsMode::StartTls, auth, ..Config::new("mx.example.test") });
    let hello = "EHLO mail.client.example.test\r\n";
    let plain = held(&config, &[hello]);
    let tls = held(&config, &["STARTTLS\r\n", hello]);
    let known = held(&config, &["STARTTLS\r\n", hello, "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"]);
    println!("octets of an idle conversation: {plain}, with TLS {tls}, with AUTH {known}");
    assert!(0 < plain && plain < tls && tls < known, "something is counted");
    assert!(plain < 512 && known < 1024, "{plain} {tls} {known}");
    // Whatever has happened before leaves nothing behind.
    let message = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\ntext\r\n.\r\n";
    let wrong = "XYZZY\r\n".repeat(9);
    assert_eq!(held(&config, &[hello, message, &wrong, message]), plain);
}

#[test]
fn recipients_take_no_memory_here() {
    let config = Arc::new(Config::new("mx.example.test"));
    let begin = "EHLO a.test\r\nMAIL FROM:<a@b.test>\r\n";
    let many = "RCPT TO:<somebody.with.a.long.name@example.test>\r\n".repeat(1000);
    assert_eq!(held(&config, &[begin]), held(&config, &[begin, &many]));
}
