use hikyaku_wire::Body;
use proptest::prelude::*;

use super::*;

fn with_line_end(mut content: Vec<u8>) -> Vec<u8> {
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    content
}

/// Content of lines that are hard on dot-stuffing.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => prop::sample::select(vec!["", ".", "..", ". ", ".x", "x.", "x", "QUIT", "\t."]).prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>().prop_filter("no line end", |b| !b"\r\n\0".contains(b)), 0..40),
    ];
    (prop::collection::vec(line, 0..20), any::<bool>()).prop_map(|(lines, ended)| {
        let end = if ended && !lines.is_empty() { &b"\r\n"[..] } else { b"" };
        [&lines.join(&b"\r\n"[..])[..], end].concat()
    })
}

/// The content cut into pieces at any place.
fn pieces(content: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = content;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, more) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = more;
    }
    pieces.push(rest.to_vec());
    pieces
}

proptest! {
    #[test]
    fn messages_travel_byte_identical(
        contents in prop::collection::vec((content(), prop::collection::vec(0usize..12, 0..12)), 1..4),
        chunks in prop::collection::vec(prop_oneof![1usize..4, 1usize..2000], 1..8),
        lmtp in any::<bool>(),
        old in any::<bool>(),
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let age = if old && !lmtp { Age::Old } else { Age::Today };
        let outgoing = |(content, cuts): &(Vec<u8>, Vec<usize>)| Outgoing {
            pieces: pieces(content, cuts),
            ..Outgoing::new(&["one@b.test", "no@b.test", "two@b.test"], content)
        };
        let messages = contents.iter().map(outgoing).collect();
        let (client, server) = Pair::new(protocol, age, messages, chunks).finish();
        prop_assert_eq!(server.taken.len(), contents.len());
        for ((content, _), taken) in contents.into_iter().zip(&server.taken) {
            prop_assert_eq!(&taken.content, &with_line_end(content));
            prop_assert_eq!(taken.to.len(), 2);
        }
        for settled in &client.settled {
            let delivered: Vec<_> = settled.iter().map(Settled::is_delivered).collect();
            prop_assert_eq!(delivered, [true, false, true]);
            prop_assert!(matches!(&settled[1], Settled::Said(reply) if reply.code().as_u16() == 550));
        }
    }
}

/// Any TLS and AUTH on both sides: the machines agree with what is known beforehand.
fn scenarios() -> impl Strategy<Value = Scenario> {
    let credentials = prop::sample::select(vec![
        None,
        Some(password(PASSWORD)),
        Some(password("wrong")),
        Some(token(TOKEN)),
        Some(token("wrong")),
        Some(Credentials::Certificate),
    ]);
    let certificate = prop::sample::select(vec![None, Some(USER), Some("another")]);
    let client = prop::sample::select(moves::CLIENT.to_vec());
    let server = prop::sample::select(moves::SERVER.to_vec());
    // Those that go together, often enough.
    let tls = prop_oneof![
        2 => (client, server),
        1 => Just((client::TlsMode::Implicit, server::TlsMode::Implicit)),
        1 => Just((client::TlsMode::Required, server::TlsMode::StartTls)),
    ];
    let facts = (prop::bool::weighted(0.9), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    let mechanisms = prop::sample::subsequence(Mechanism::ALL.to_vec(), 0..=Mechanism::ALL.len());
    let messages = prop::collection::vec(content(), 0..3);
    let chunks = prop::collection::vec(prop_oneof![1usize..4, 1usize..2000], 1..8);
    (tls, facts, certificate, mechanisms, credentials, messages, chunks).prop_map(
        |(tls, (handshake, exporter, lmtp, old), certificate, mechanisms, credentials, messages, chunks)| {
            let messages = messages.into_iter().map(|content| Outgoing::new(&["one@b.test"], &with_line_end(content)));
            let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
            let age = if old && !lmtp { Age::Old } else { Age::Today };
            let plain = Scenario::plain(protocol, age, messages.collect(), chunks);
            Scenario { tls, handshake, exporter, certificate, mechanisms, credentials, ..plain }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn tls_and_auth_end_as_they_must(scenario in scenarios()) {
        scenario.play(usize::MAX, usize::MAX);
    }

    #[test]
    fn b5_3_a_cut_sends_nothing_in_clear_text(scenario in scenarios(), up_to in 0usize..1500, down_to in 0usize..1500) {
        scenario.play(up_to, down_to);
    }
}

#[test]
fn each_mechanism_works_and_a_wrong_secret_does_not() {
    let cases = [
        (Mechanism::External, Credentials::Certificate, Credentials::Certificate),
        (Mechanism::ScramSha256Plus, password(PASSWORD), password("wrong")),
        (Mechanism::ScramSha256, password(PASSWORD), password("wrong")),
        (Mechanism::OAuthBearer, token(TOKEN), token("wrong")),
        (Mechanism::XOAuth2, token(TOKEN), token("wrong")),
        (Mechanism::Plain, password(PASSWORD), password("wrong")),
        (Mechanism::Login, password(PASSWORD), password("wrong")),
    ];
    assert_eq!(cases.len(), Mechanism::ALL.len());
    for (mechanism, right, wrong) in cases {
        for (credentials, certificate, user) in [(right, USER, Some(USER)), (wrong, "another", None)] {
            let message = Outgoing::new(&["one@b.test"], b"x\r\n");
            let plain = Scenario::plain(Protocol::Smtp, Age::Today, vec![message], vec![1, 30]);
            let tls = (client::TlsMode::Required, server::TlsMode::Required);
            let (mechanisms, credentials) = (vec![mechanism], Some(credentials));
            let mut pair = Pair::of(Scenario { tls, mechanisms, credentials, certificate: Some(certificate), ..plain });
            pair.run(usize::MAX, usize::MAX);
            let taken: Vec<_> = pair.server.taken.iter().map(|taken| taken.user.as_deref()).collect();
            let end = pair.client.end.expect("an end").reply.code().as_u16();
            let expected = if user.is_some() { (vec![user], 221) } else { (vec![], 535) };
            assert_eq!((taken, end), expected, "{mechanism}");
        }
    }
}

/// Who stands between changes what the server offers: a password is proved only where nobody does.
#[test]
fn d37_a_channel_that_is_not_the_same_is_noticed() {
    let message = Outgoing::new(&["one@b.test"], b"x\r\n");
    let plain = Scenario::plain(Protocol::Smtp, Age::Today, vec![message], vec![4096]);
    let tls = (client::TlsMode::Implicit, server::TlsMode::Implicit);
    let mechanisms = vec![Mechanism::ScramSha256Plus];
    let mut pair = Pair::of(Scenario { tls, mechanisms, credentials: Some(password(PASSWORD)), ..plain });
    pair.between = true;
    pair.run(usize::MAX, usize::MAX);
    assert_eq!(pair.server.taken, []);
    assert_eq!(pair.client.end.expect("an end").reply.code().as_u16(), 535);
}

#[test]
fn the_corpus_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/session_pair");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        pair(&std::fs::read(entry.expect("an entry").path()).expect("a seed"));
        files += 1;
    }
    assert!(files > 0, "an empty corpus");
}

#[test]
fn a_message_for_nobody_does_not_disturb_the_next() {
    for (protocol, age) in [(Protocol::Smtp, Age::Today), (Protocol::Smtp, Age::Old), (Protocol::Lmtp, Age::Today)] {
        let messages = vec![
            Outgoing::new(&["no@b.test", "later@b.test"], b"one\r\n"),
            Outgoing::new(&["yes@b.test"], b"two\r\n"),
            Outgoing::new(&["later@b.test"], b"three\r\n"),
        ];
        let (client, server) = Pair::new(protocol, age, messages, vec![1, 7]).finish();
        let contents: Vec<_> = server.taken.iter().map(|taken| &taken.content[..]).collect();
        assert_eq!(contents, [b"two\r\n"]);
        let said: Vec<Vec<_>> = client
            .settled
            .iter()
            .map(|settled| settled.iter().map(|s| s.clone().into_outcome().reply.code().as_u16()).collect())
            .collect();
        assert_eq!(said, [vec![550, 450], vec![250], vec![450]]);
    }
}

#[test]
fn lmtp_recipients_have_their_own_fates() {
    let message = Outgoing::new(&["one@b.test", "no@b.test", "full@b.test", "two@b.test"], b"x\r\n");
    let (client, server) = Pair::new(Protocol::Lmtp, Age::Today, vec![message], vec![3]).finish();
    assert_eq!(server.taken.len(), 1);
    let codes: Vec<_> = client.settled[0].iter().map(|s| s.clone().into_outcome().reply.code().as_u16()).collect();
    assert_eq!(codes, [250, 550, 452, 250]);
    assert!(client.settled[0].iter().all(|settled| matches!(settled, Settled::Said(_))));
}

#[test]
fn what_a_message_needs_travels() {
    let mut message = Outgoing::new(&["\u{fc}@b.test"], "Subject: \u{fc}\r\n".as_bytes());
    message.envelope.from = "<\"a b\"@\u{fc}.test>".parse().expect("a path");
    message.envelope.body = Body::EightBitMime;
    let envelope = message.envelope.clone();
    let (client, server) = Pair::new(Protocol::Smtp, Age::Today, vec![message.clone()], vec![5]).finish();
    assert!(client.settled[0][0].is_delivered());
    let Taken { mail, to, .. } = &server.taken[0];
    assert_eq!((&mail.from, to), (&envelope.from, &envelope.to));
    assert_eq!((mail.params.size, mail.params.body, mail.params.smtputf8), (Some(13), Some(Body::EightBitMime), true));
    // A server without extensions is not given it.
    let (client, server) = Pair::new(Protocol::Smtp, Age::Old, vec![message], vec![5]).finish();
    assert_eq!(client.unsupported.len(), 1);
    assert_eq!(server.taken, []);
}

#[test]
fn what_is_too_big_is_refused_before_and_after() {
    let content = [&b"x".repeat(70)[..], b"\r\n"].concat().repeat(200);
    let honest = Outgoing::new(&["one@b.test"], &content);
    let liar = Outgoing { size: 100, ..honest.clone() };
    let (client, server) = Pair::new(Protocol::Smtp, Age::Today, vec![honest, liar], vec![900]).finish();
    assert_eq!(client.unsupported[0].to_string(), "552 5.3.4 message is larger than the next host takes");
    let said = client.settled[0][0].clone().into_outcome();
    assert_eq!((said.reply.code(), said.by), (Code::TOO_BIG_552, client::By::Remote));
    assert_eq!(server.taken, []);
}

#[test]
fn d31_content_with_a_bare_line_end_is_never_taken() {
    for content in [&b"a\r\nb\n.\r\nc\r\n"[..], b"a\r.\r\n", b"x\r"] {
        let message = Outgoing::new(&["one@b.test"], content);
        let mut pair = Pair::new(Protocol::Smtp, Age::Today, vec![message], vec![1]);
        pair.run(usize::MAX, usize::MAX);
        assert_eq!(pair.server.taken, []);
        let why = pair.client.settled[0][0].clone().into_outcome();
        assert_eq!(why.reply.to_string(), "554 5.6.0 message holds a bare CR or LF");
        assert_eq!(pair.client.end, Some(why));
    }
}

/// Cuts the connection after each octet in each direction: what the server
/// took the client never calls untried, and what it calls delivered was taken.
#[test]
fn d69_a_cut_at_every_byte_loses_nothing() {
    let cases = [(Protocol::Smtp, Age::Today), (Protocol::Smtp, Age::Old), (Protocol::Lmtp, Age::Today)];
    for (protocol, age) in cases {
        let message = Outgoing::new(&["one@b.test", "no@b.test", "full@b.test"], b".a\r\nb\r\n");
        let whole = Pair::new(protocol, age, vec![message.clone()], vec![4096]).run(usize::MAX, usize::MAX);
        let cuts = (0..=whole.0).map(|up| (up, usize::MAX)).chain((0..=whole.1).map(|down| (usize::MAX, down)));
        let (mut delivered, mut unknown) = (0, 0);
        for (up, down) in cuts {
            let mut pair = Pair::new(protocol, age, vec![message.clone()], vec![4096]);
            pair.run(up, down);
            assert!(pair.client.end.is_some() && pair.server.running.is_none());
            let taken = pair.server.taken.len() == 1;
            let Some(settled) = pair.client.settled.first() else {
                assert!(!taken);
                continue;
            };
            let one = &settled[0];
            delivered += usize::from(one.is_delivered());
            unknown += usize::from(matches!(one, Settled::Unknown(_)));
            assert!(!one.is_delivered() || taken, "{up} {down}: {settled:?}");
            assert!(!taken || !matches!(one, Settled::NotTried(_)), "{up} {down}: {settled:?}");
            assert!(!settled[1].is_delivered() && !matches!(settled[1], Settled::Unknown(_)), "{settled:?}");
        }
        assert!(delivered > 0 && unknown > 0);
    }
}
