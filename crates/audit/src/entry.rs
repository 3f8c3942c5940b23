//! A fact with its time and what it belongs to.

use hikyaku_wire::Timestamp;

use crate::Event;
use crate::line::{Fields, Object};

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it happened.
    pub time: Timestamp,
    /// The identifier of the session it belongs to.
    pub session: Option<String>,
    /// The identifier of the message it belongs to.
    pub message: Option<String>,
    /// What happened.
    pub event: Event,
    /// Keys that were read and are not known; empty for an entry that was not read.
    pub extra: Vec<Extra>,
}

/// A key of a line that is not known, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    key: String,
    json: String,
}

impl Extra {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value, as JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// Why a line could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Not one JSON object in UTF-8 on one line.
    #[error("not a JSON object, near octet {at}")]
    Json {
        /// About where, counted in octets.
        at: usize,
    },
    /// The same key occurs twice.
    #[error("the key {0:?} occurs twice")]
    Duplicate(String),
    /// A key that each line has is missing, or its value is of another form.
    #[error("the key {0:?} is missing or not of its form")]
    Key(&'static str),
}

impl Entry {
    /// An entry that belongs to no session and no message yet.
    #[must_use]
    pub fn new(time: Timestamp, event: impl Into<Event>) -> Self {
        Self { time, session: None, message: None, event: event.into(), extra: Vec::new() }
    }

    /// The entry as one of this session.
    #[must_use]
    pub fn in_session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// The entry as one of this message.
    #[must_use]
    pub fn of_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Appends the entry as exactly one line that ends in LF.
    ///
    /// Each text is cut to 1 KiB (its last character is then `…`); a reply of
    /// several lines has LF between them, escaped like any control character.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let mut line = String::with_capacity(256);
        let mut object = Object::new(&mut line);
        object.field("time", &self.time);
        object.field("event", &String::from(self.event.name()));
        object.field("session", &self.session);
        object.field("message", &self.message);
        self.event.write(&mut object);
        for extra in &self.extra {
            object.json(&extra.key, &extra.json);
        }
        object.end();
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }

    /// Reads a line, with or without its line end.
    ///
    /// # Errors
    /// When it is not one JSON object on one line, has a key twice, or lacks
    /// `time` or `event`. An event whose keys are not of their form is no
    /// error, but [`Event::Unknown`].
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(at) = line.iter().position(|octet| matches!(octet, b'\n' | b'\r')) {
            return Err(LineError::Json { at });
        }
        let text = std::str::from_utf8(line).map_err(|error| LineError::Json { at: error.valid_up_to() })?;
        let mut fields: Fields<'_> = serde_json::from_str(text).map_err(|error| LineError::Json {
            // The column counts octets from 1, and is 0 before the first one.
            at: error.column().saturating_sub(1).min(text.len()),
        })?;
        if let Some(key) = fields.duplicate() {
            return Err(LineError::Duplicate(key.to_owned()));
        }
        let time = fields.take("time").ok_or(LineError::Key("time"))?;
        let event: String = fields.take("event").ok_or(LineError::Key("event"))?;
        let session = fields.take("session").ok_or(LineError::Key("session"))?;
        let message = fields.take("message").ok_or(LineError::Key("message"))?;
        let event = Event::read(event, &mut fields);
        let extra = fields.rest().map(|(key, json)| Extra { key, json }).collect();
        Ok(Self { time, session, message, event, extra })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;
    use hikyaku_wire::{Code, EnhancedCode, ForwardPath, Reply, ReversePath};
    use proptest::prelude::*;

    const TIME: Timestamp = Timestamp::from_millis(1_795_499_520_123);

    fn written(entry: &Entry) -> String {
        let mut out = Vec::new();
        entry.write_line(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn decision() -> Decision {
        Decision {
            stage: "recipient".into(),
            peer: Some([192, 0, 2, 1].into()),
            hello: Some("client.test".into()),
            user: None,
            sender: Some(ReversePath::Null),
            recipient: Some("<\"a b\"@c.test>".parse().unwrap()),
            rule: "closed".into(),
            line: Some(7),
            until: Some("message".into()),
            facts: vec!["spf=pass".into(), "tls=yes".into()],
            shadows: vec!["shadow refuse".into()],
            reply: Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), "relaying denied"),
        }
    }

    #[test]
    fn one_line_of_each_kind() {
        let path = |text: &str| text.parse::<ForwardPath>().unwrap();
        let reply = |text: &str| text.parse::<Reply>().unwrap();
        let to = || vec![path("<a@b.test>"), path("<postmaster>")];
        let address = Some("192.0.2.9:25".parse().unwrap());
        let cases: [(Event, &str); 20] = [
            (
                Started { hostname: "mx.test".into(), version: "1".into(), listeners: vec!["[::1]:25".into()] }.into(),
                r#""started","hostname":"mx.test","version":"1","listeners":["[::1]:25"]"#,
            ),
            (Stopped { reason: "signal".into() }.into(), r#""stopped","reason":"signal""#),
            (
                Connection { listener: "unix:/x".into(), peer: None, mode: "lmtp".into() }.into(),
                r#""connection","listener":"unix:/x","mode":"lmtp""#,
            ),
            (
                Tls {
                    version: "TLSv1.3".into(),
                    cipher: "TLS13_AES_256_GCM_SHA384".into(),
                    server_name: Some("mx.test".into()),
                    spki: Some("sha256//Dw8=".into()),
                    names: vec!["client.test".into()],
                }
                .into(),
                r#""tls","version":"TLSv1.3","cipher":"TLS13_AES_256_GCM_SHA384","server_name":"mx.test","spki":"sha256//Dw8=","names":["client.test"]"#,
            ),
            (
                Tls { version: "TLSv1.2".into(), cipher: "x".into(), server_name: None, spki: None, names: vec![] }
                    .into(),
                r#""tls","version":"TLSv1.2","cipher":"x","names":[]"#,
            ),
            (
                Verified {
                    iprev: Some("pass client.test".into()),
                    helo: Some("none client.test".into()),
                    spf: Some("softfail sender.test".into()),
                    dkim: vec!["pass sender.test s1".into(), "temperror other.test s".into()],
                    arc: Some("none".into()),
                    dmarc: Some("fail author.test".into()),
                    quarantine: Some("dmarc".into()),
                }
                .into(),
                r#""verified","iprev":"pass client.test","helo":"none client.test","spf":"softfail sender.test","dkim":["pass sender.test s1","temperror other.test s"],"arc":"none","dmarc":"fail author.test","quarantine":"dmarc""#,
            ),
            (
                Verified { iprev: None, helo: None, spf: None, dkim: vec![], arc: None, dmarc: None, quarantine: None }
                    .into(),
                r#""verified","dkim":[]"#,
            ),
            (
                Authentication {
                    user: Some("alice".into()),
                    proof: "password".into(),
                    reply: Reply::AUTHENTICATION_FAILED_535,
                }
                .into(),
                r#""authentication","user":"alice","proof":"password","reply":"535 5.7.8 authentication failed""#,
            ),
            (
                Reloaded { what: "users".into(), error: Some("line 1".into()), changes: vec![] }.into(),
                r#""reloaded","what":"users","error":"line 1","changes":[]"#,
            ),
            (
                Reloaded { what: "policy".into(), error: None, changes: vec!["1 change".into()] }.into(),
                r#""reloaded","what":"policy","changes":["1 change"]"#,
            ),
            (
                decision().into(),
                r#""decision","stage":"recipient","peer":"192.0.2.1","hello":"client.test","sender":"<>","recipient":"<\"a b\"@c.test>","rule":"closed","line":7,"reply":"550 5.7.1 relaying denied","until":"message","facts":["spf=pass","tls=yes"],"shadows":["shadow refuse"]"#,
            ),
            (
                Queued { sender: ReversePath::Null, recipients: to(), size: u64::MAX }.into(),
                r#""queued","sender":"<>","recipients":["<a@b.test>","<postmaster>"],"size":18446744073709551615"#,
            ),
            (
                Attempt { recipients: to(), host: "b.test".into(), address, number: 2, reply: None }.into(),
                r#""attempt","recipients":["<a@b.test>","<postmaster>"],"host":"b.test","address":"192.0.2.9:25","number":2"#,
            ),
            (
                Delivered { recipient: path("<a@b.test>"), to: "maildir".into(), reply: reply("250 2.0.0 ok") }.into(),
                r#""delivered","recipient":"<a@b.test>","to":"maildir","reply":"250 2.0.0 ok""#,
            ),
            (
                Deferred { recipient: path("<a@b.test>"), by: None, reply: reply("451 4.4.1 x"), next: TIME }.into(),
                r#""deferred","recipient":"<a@b.test>","reply":"451 4.4.1 x","next":"2026-11-24T05:52:00.123Z""#,
            ),
            (
                Failed { recipient: path("<a@b.test>"), by: Some("b.test".into()), reply: reply("550 x") }.into(),
                r#""failed","recipient":"<a@b.test>","by":"b.test","reply":"550 x""#,
            ),
            (
                Bounced { to: "s@t.test".parse().unwrap(), bounce: "m2".into(), recipients: to() }.into(),
                r#""bounced","to":"s@t.test","bounce":"m2","recipients":["<a@b.test>","<postmaster>"]"#,
            ),
            (
                QueueChanged {
                    by: "uid 0".into(),
                    action: "hold".into(),
                    selection: vec!["key=mx:b.test".into()],
                    detail: Some("looks odd".into()),
                    units: 2,
                }
                .into(),
                r#""queue_changed","by":"uid 0","action":"hold","selection":["key=mx:b.test"],"detail":"looks odd","units":2"#,
            ),
            (Limit { name: "hops".into() }.into(), r#""limit","name":"hops""#),
            (Closed { reason: "quit".into(), messages: 1 }.into(), r#""closed","reason":"quit","messages":1"#),
        ];
        for (event, expected) in cases {
            let entry = Entry::new(TIME, event);
            let line = written(&entry);
            assert_eq!(line, format!("{{\"time\":\"2026-11-24T05:52:00.123Z\",\"event\":{expected}}}\n"));
            assert_eq!(Entry::parse(line.as_bytes()), Ok(entry));
        }
    }

    #[test]
    fn the_identifiers_follow_the_event() {
        let entry = Entry::new(TIME, Limit { name: "x".into() }).in_session("s1").of_message("m1");
        let line = written(&entry);
        assert!(line.contains(r#""event":"limit","session":"s1","message":"m1","name":"x"}"#), "{line}");
        assert_eq!(Entry::parse(line.as_bytes()), Ok(entry));
    }

    /// Log injection: one line for each event whatever a peer said, and nothing in it that acts on a terminal.
    #[test]
    fn log_injection() {
        let cases = [
            "x\r\n{\"time\":\"2026-11-24T05:52:00.123Z\",\"event\":\"delivered\"}\r\n",
            "\u{1b}[2J\u{1b}]0;title\u{7}",
            "abc\u{202e}cba",
            "a\0b",
            "\u{7f}\u{85}\u{9b}2J\u{2028}\u{2029}\u{feff}\u{200b}\u{2066}\u{61c}\u{e0041}",
            "quote\" back\\slash",
            "",
        ];
        for text in cases {
            let told = Decision { hello: Some(text.into()), user: Some(text.into()), ..decision() };
            let entry = Entry::new(TIME, told).in_session(text).of_message(text);
            let line = written(&entry);
            assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
            let harmless = |c: char| matches!(c, ' '..='~' | '\n');
            assert!(line.chars().all(harmless), "{line:?}");
            assert_eq!(Entry::parse(line.as_bytes()), Ok(entry));
        }
    }

    /// Log injection: 10 KiB of HELO are at most 1 KiB of log, and stay UTF-8.
    #[test]
    fn long_texts_are_cut() {
        for (text, kept) in [("x".repeat(10 * 1024), 1021), ("ü".repeat(5 * 1024), 1020)] {
            let told = Decision { hello: Some(text.clone()), ..decision() };
            let line = written(&Entry::new(TIME, told));
            let read = Entry::parse(line.as_bytes()).unwrap();
            let Event::Decision(Decision { hello: Some(hello), .. }) = &read.event else { panic!("{read:?}") };
            assert_eq!(*hello, format!("{}…", &text[..kept]));
            assert_eq!(written(&read), line);
        }
        let whole = "x".repeat(1024);
        let line = written(&Entry::new(TIME, Limit { name: whole.clone() }));
        assert!(line.contains(&whole));
    }

    #[test]
    fn replies_of_several_lines_and_long_ones() {
        for text in ["one\ntwo", "\n\n", "5.7.1 x\n5.7.1 y\n", "x\n  y"] {
            let reply = Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 7, 1), text);
            let entry = Entry::new(TIME, Decision { reply, ..decision() });
            assert_eq!(Entry::parse(written(&entry).as_bytes()), Ok(entry));
        }
        let silent = Decision { reply: Reply::plain(Code::OK_250, ""), ..decision() };
        assert!(written(&Entry::new(TIME, silent)).contains("\"reply\":\"250\","));
        let reply = Reply::plain(Code::MAILBOX_UNAVAILABLE_550, "x".repeat(10 * 1024));
        let line = written(&Entry::new(TIME, Decision { reply, ..decision() }));
        assert!(line.len() < 2048);
        let read = Entry::parse(line.as_bytes()).unwrap();
        assert!(matches!(read.event, Event::Decision(_)));
        assert_eq!(written(&read), line);
    }

    #[test]
    fn what_is_unknown_survives() {
        let head = r#"{"time":"2026-11-24T05:52:00.123Z","event""#;
        let cases = [
            // The line, its event, and how many keys are not known.
            (r#":"eclipse","session":"s","depth":[1,{"b":1e400,"a":null}],"who":"x"}"#, "eclipse", 2),
            (r#":"limit","name":"hops","more":{"b":1, "a":2}}"#, "limit", 1),
            (r#":"limit","name":17}"#, "limit", 1),
            (r#":"queued","sender":"<>","recipients":"none","size":-1}"#, "queued", 3),
            (r#":"failed","recipient":"<a@b.test>","by":null,"reply":"550 x"}"#, "failed", 3),
        ];
        for (rest, name, extra) in cases {
            let line = format!("{head}{rest}");
            let entry = Entry::parse(line.as_bytes()).unwrap();
            assert_eq!((entry.event.name(), entry.extra.len()), (name, extra), "{line}");
            assert_eq!(written(&entry), format!("{line}\n"));
        }
        let line = format!("{head}:\"limit\",\t\"name\":\"a\",\"k\": [1,\t\"\u{202e}\"]}}");
        let entry = Entry::parse(line.as_bytes()).unwrap();
        assert_eq!((entry.extra[0].key(), entry.extra[0].json()), ("k", r#"[1, "\u202e"]"#));
        assert_eq!(Entry::parse(written(&entry).as_bytes()), Ok(entry));
    }

    #[test]
    fn what_is_no_line() {
        let cases = [
            ("", LineError::Json { at: 0 }),
            ("[]", LineError::Json { at: 0 }),
            ("{} x", LineError::Json { at: 3 }),
            ("{\n}", LineError::Json { at: 1 }),
            ("{}\r\n", LineError::Json { at: 2 }),
            ("{\"a\":\"\u{1}\"}", LineError::Json { at: 5 }),
            ("{}", LineError::Key("time")),
            (r#"{"time":"today","event":"limit"}"#, LineError::Key("time")),
            (r#"{"time":"2026-11-24T05:52:00.123Z"}"#, LineError::Key("event")),
            (r#"{"time":"2026-11-24T05:52:00.123Z","event":"limit","message":1}"#, LineError::Key("message")),
            (r#"{"a":1,"b":2,"a":1}"#, LineError::Duplicate("a".into())),
        ];
        for (line, error) in cases {
            assert_eq!(Entry::parse(line.as_bytes()), Err(error), "{line:?}");
        }
        assert_eq!(Entry::parse(b"{\"\xff"), Err(LineError::Json { at: 2 }));
        // Depth costs no stack.
        let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert!(Entry::parse(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn entries_survive(
            millis in 0_i64..253_402_300_800_000,
            session in proptest::option::of("\\PC{0,40}"),
            hello in proptest::option::of(any::<String>()),
            rule in any::<String>(),
            text in "[!-~][ -~]{0,300}",
            local in "[a-z.]{0,3}[ -~]{1,20}",
            names in proptest::collection::vec("[a-z]{1,9}", 0..4),
            size in any::<u64>(),
        ) {
            prop_assume!(hello.as_ref().is_none_or(|h| h.len() <= 1024) && rule.len() <= 1024);
            let time = Timestamp::from_millis(millis);
            let sender = hikyaku_wire::LocalPart::from_content(&local)
                .and_then(|local| {
                    let host = hikyaku_wire::Host::Address([192, 0, 2, 1].into());
                    hikyaku_wire::Mailbox::new(local, host)
                })
                .map_or(ReversePath::Null, ReversePath::Mailbox);
            let reply = Reply::new(Code::MAILBOX_UNAVAILABLE_550, EnhancedCode::new(5, 1, 1), text);
            let told = Decision { hello, rule, sender: Some(sender.clone()), reply, ..decision() };
            let recipients = names.iter().map(|n| format!("<{n}@x.test>").parse().unwrap()).collect();
            for event in [Event::Decision(told), Queued { sender, recipients, size }.into()] {
                let entry = Entry { session: session.clone(), ..Entry::new(time, event) };
                prop_assert_eq!(Entry::parse(written(&entry).as_bytes()), Ok(entry));
            }
        }

        #[test]
        fn any_octets(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
            fuzzing::line(&data);
        }

        #[test]
        fn any_line(rest in "(,\"[a-z]{1,3}\":([0-9]{1,3}|\"\\PC{0,5}\"|\\[\\]|null)){0,4}", name in "limit|failed|x") {
            let line = format!("{{\"time\":\"2026-11-24T05:52:00.123Z\",\"event\":\"{name}\"{rest}}}");
            fuzzing::line(line.as_bytes());
        }
    }
}
