use std::net::IpAddr;

use hikyaku_message::results::Iprev;
use hikyaku_policy::{Facts, Finding, Limits, Listener, Policy, Stage};
use hikyaku_wire::{ForwardPath, Reply, Timestamp};

use super::{Delegate, DelegateOptions, DelegationAction, DelegationError, DelegationReader, DelegationRequest};

/// A question of Postfix 3.7, as it comes.
const RCPT: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
    client_address=198.51.100.7\nclient_name=client.test\nclient_port=4711\nreverse_client_name=client.test\n\
    server_address=192.0.2.1\nserver_port=25\nhelo_name=client.test\nsender=bob@sender.test\n\
    recipient=anna@example.org\nrecipient_count=0\nqueue_id=\ninstance=b1.6563.0\nsize=1200\netrn_domain=\nstress=\n\
    sasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n\
    ccert_pubkey_fingerprint=\nencryption_protocol=\nencryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n";

const NOON: Timestamp = Timestamp::from_millis(1_780_000_000_000);

fn request(text: &str) -> DelegationRequest {
    let (request, length) = DelegationRequest::parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(length, text.len());
    request
}

/// The same question with other values.
fn with(changes: &[(&str, &str)]) -> DelegationRequest {
    let mut text = String::new();
    for line in RCPT.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap();
        let value = changes.iter().rfind(|(changed, _)| *changed == name).map_or(value, |(_, value)| value);
        text += &format!("{name}={value}\n");
    }
    request(&(text + "\n"))
}

fn facts(changes: &[(&str, &str)]) -> Facts {
    with(changes).facts(Listener::Mx, NOON).unwrap()
}

fn policy(text: &str) -> Policy {
    let policy = Policy::parse(text, &mut |_| Err("no files".into())).unwrap_or_else(|error| panic!("{error}"));
    policy.admit(&Limits::default()).unwrap_or_else(|rejection| panic!("{rejection}"));
    policy
}

struct Site {
    policy: Policy,
    delegate: Delegate,
    now: Timestamp,
}

impl Site {
    fn new(text: &str, change: impl FnOnce(&mut DelegateOptions)) -> Self {
        let mut options = DelegateOptions::default();
        change(&mut options);
        Self { policy: policy(text), delegate: Delegate::new(options), now: NOON }
    }

    fn ask(&mut self, changes: &[(&str, &str)]) -> String {
        let request = with(changes);
        let facts = self.delegate.facts(&request, self.now).unwrap();
        let answer = self.delegate.answer(&self.policy, &request, facts, self.now);
        let text = answer.action.to_string();
        let line = text.strip_suffix("\n\n").unwrap();
        assert!(!line.contains('\n'), "{text:?}");
        line.strip_prefix("action=").unwrap().to_owned()
    }

    fn to(&mut self, recipient: &str) -> String {
        self.ask(&[("recipient", recipient)])
    }

    fn end(&mut self, more: &[(&str, &str)]) -> String {
        self.ask(&[&[("protocol_state", "END-OF-MESSAGE"), ("recipient", "")], more].concat())
    }
}

#[test]
fn a_request_is_read_however_it_is_split() {
    let whole = request(RCPT);
    assert_eq!((whole.text("recipient"), whole.text("sasl_username")), (Some("anna@example.org"), None));
    assert_eq!((whole.attribute("sasl_username"), whole.attribute("nothing")), (Some(&b""[..]), None));
    assert_eq!(whole.to_string(), RCPT);
    let two = RCPT.repeat(2);
    for step in 1..two.len() {
        let (mut reader, mut found) = (DelegationReader::default(), 0);
        for piece in two.as_bytes().chunks(step) {
            reader.push(piece);
            while let Some(request) = reader.next().unwrap() {
                assert_eq!(request, whole);
                found += 1;
            }
        }
        assert_eq!((found, reader.is_within()), (2, false), "{step}");
    }
    let mut reader = DelegationReader::default();
    reader.push(b"request=");
    assert!(reader.is_within());
    assert_eq!(reader.next(), Ok(None));
}

#[test]
fn what_is_no_request() {
    let error = |text: &str| DelegationRequest::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error("\n"), DelegationError::Line { line: 1 });
    assert_eq!(error("request=smtpd_access_policy\nnothing\n\n"), DelegationError::Line { line: 2 });
    assert_eq!(error("request=smtpd_access_policy\n=nothing\n\n"), DelegationError::Line { line: 2 });
    assert_eq!(error("request=smtpd_access_policy\na b=c\n\n"), DelegationError::Line { line: 2 });
    assert_eq!(error("request=smtpd_access_policy\na=\0\n\n"), DelegationError::Line { line: 2 });
    assert_eq!(error("request=smtpd_access_policy\na=1\na=2\n\n"), DelegationError::Twice { line: 3 });
    assert_eq!(error("request=smtpd\n\n"), DelegationError::NotSmtpd);
    assert_eq!(error("sender=a\n\n"), DelegationError::NotSmtpd);
    assert_eq!(error("GET / HTTP/1.1\nHost: x\n\n"), DelegationError::Line { line: 1 });
    // The limits, to the octet and to the line.
    let long = |octets: usize| format!("request=smtpd_access_policy\na={}\n\n", "x".repeat(octets - 32));
    assert!(DelegationRequest::parse(long(DelegationRequest::LIMIT).as_bytes()).unwrap().is_some());
    assert_eq!(error(&long(DelegationRequest::LIMIT + 1)), DelegationError::TooLong);
    let endless = "x".repeat(DelegationRequest::LIMIT);
    assert_eq!(DelegationRequest::parse(endless.as_bytes()), Ok(None));
    assert_eq!(error(&(endless + "x")), DelegationError::TooLong);
    let many = |lines: usize| {
        let more: String = (1..lines).map(|line| format!("a{line}=\n")).collect();
        format!("request=smtpd_access_policy\n{more}\n")
    };
    assert!(DelegationRequest::parse(many(DelegationRequest::ATTRIBUTES).as_bytes()).unwrap().is_some());
    assert_eq!(error(&many(DelegationRequest::ATTRIBUTES + 1)), DelegationError::TooMany);
}

#[test]
fn what_postfix_knows_becomes_facts() {
    let usual = facts(&[]);
    assert_eq!(usual.client, "198.51.100.7".parse::<IpAddr>().ok());
    assert_eq!((usual.listener, usual.tls, usual.user.as_deref()), (Listener::Mx, false, None));
    assert_eq!(
        (usual.iprev, usual.name),
        (Finding::Is(Iprev::Pass), Finding::Is(Some("client.test".parse().unwrap())))
    );
    assert_eq!(usual.hello.unwrap().as_str(), "client.test");
    assert_eq!(usual.sender.unwrap().to_string(), "<bob@sender.test>");
    assert_eq!(usual.recipient.unwrap().to_string(), "<anna@example.org>");
    assert_eq!((usual.message, usual.spf), (None, Finding::NotYet));
    assert_eq!(usual.minute, Finding::Is(20 * 60 + 26), "2026-05-28T20:26:40Z");

    let none = facts(&[
        ("client_name", "unknown"),
        ("client_address", "unknown"),
        ("sender", ""),
        ("recipient", "PostMaster"),
    ]);
    assert_eq!((none.client, none.iprev, none.name), (None, Finding::Unknown, Finding::Unknown));
    assert_eq!(none.sender.unwrap().mailbox(), None);
    assert_eq!(none.recipient, Some(ForwardPath::Postmaster));
    // A name is one only with the address that it leads back to, and `unknown` is none.
    for nameless in [("client_name", "unknown"), ("client_address", "unknown")] {
        assert_eq!(facts(&[nameless]).name, Finding::Unknown, "{nameless:?}");
    }
    assert_eq!(facts(&[("client_address", "::ffff:10.1.2.3")]).client, "10.1.2.3".parse::<IpAddr>().ok());

    // What is told of later stages is not known before them.
    let connected = facts(&[("protocol_state", "CONNECT")]);
    assert_eq!((connected.hello.is_some(), connected.stage()), (false, Stage::Connect));
    assert_eq!(facts(&[("protocol_state", "EHLO")]).stage(), Stage::Hello);
    assert_eq!(facts(&[("protocol_state", "MAIL")]).stage(), Stage::Mail);
    assert_eq!(facts(&[("protocol_state", "VRFY")]).stage(), Stage::Recipient);
    assert_eq!(facts(&[("protocol_state", "END-OF-MESSAGE")]).message.unwrap().size, 1200);
    assert_eq!(with(&[("protocol_state", "ETRN")]).stage(), None);
}

#[test]
fn listeners_keep_what_a_proof_takes_for_granted() {
    let listener = |changes: &[(&str, &str)]| facts(changes).listener;
    assert_eq!(listener(&[("server_port", "587")]), Listener::Submission);
    assert_eq!(listener(&[("server_port", "2525")]), Listener::Mx);
    assert_eq!(listener(&[("policy_context", "lmtp"), ("server_port", "587")]), Listener::Lmtp);
    // Nobody is on it in clear text, and users are on listeners for users.
    assert_eq!(listener(&[("server_port", "465")]), Listener::Submission);
    assert_eq!(listener(&[("server_port", "465"), ("encryption_protocol", "TLSv1.3")]), Listener::Submissions);
    assert_eq!(listener(&[("sasl_username", "anna")]), Listener::Submission);
    assert_eq!(listener(&[("sasl_username", "anna"), ("policy_context", "lmtp")]), Listener::Submission);
    assert_eq!(facts(&[("sasl_username", "anna")]).user.as_deref(), Some("anna"));
}

#[test]
fn certificates_are_known_by_their_keys_and_named_by_authorities() {
    let pin = ["AB"; 32].join(":");
    let shown = |changes: &[(&str, &str)]| {
        facts(&[&[("ccert_pubkey_fingerprint", &*pin), ("encryption_protocol", "TLSv1.3")], changes].concat())
            .certificate
    };
    let certificate = shown(&[("ccert_subject", "relay.test"), ("ccert_issuer", "CA")]).unwrap();
    assert_eq!((certificate.spki, certificate.names.len()), ([0xab; 32], 1));
    assert!(certificate.names[0] == "relay.test".parse().unwrap());
    assert_eq!(shown(&[("ccert_subject", "relay.test")]).unwrap().names.len(), 0);
    assert_eq!(shown(&[("ccert_subject", "Jane+20Doe"), ("ccert_issuer", "CA")]).unwrap().names.len(), 0);
    // MD5 and SHA-1 prove nothing.
    assert_eq!(facts(&[("ccert_pubkey_fingerprint", "AB:CD"), ("encryption_protocol", "TLSv1.3")]).certificate, None);
    // Without TLS there is none.
    assert_eq!(facts(&[("ccert_pubkey_fingerprint", &*pin)]).certificate, None);
}

#[test]
fn addresses_without_their_quotes() {
    let recipient = |text: &str| {
        let facts = with(&[("recipient", text)]).facts(Listener::Mx, NOON);
        facts.map(|facts| facts.recipient.unwrap().to_string()).map_err(|reply| reply.to_string())
    };
    assert_eq!(recipient("a b@example.org").as_deref(), Ok("<\"a b\"@example.org>"));
    assert_eq!(recipient("\"a b\"@example.org").as_deref(), Ok("<\"a b\"@example.org>"));
    assert_eq!(recipient("victim@third.test@example.org").as_deref(), Ok("<\"victim@third.test\"@example.org>"));
    assert_eq!(recipient("anna@[192.0.2.1]").as_deref(), Ok("<anna@[192.0.2.1]>"));
    for wrong in ["anna", "@", "anna@", "@example.org", "anna@example..org", "anna@ü\u{7f}"] {
        let reply = recipient(wrong).unwrap_err();
        assert_eq!(reply, "553 5.1.3 the recipient is no address with a domain", "{wrong}");
    }
    let sender = with(&[("sender", "nobody")]).facts(Listener::Mx, NOON).unwrap_err();
    assert_eq!(sender.to_string(), "553 5.1.7 the sender is no address");
}

const CLOSED: &str = "trusted networks office = 10.0.0.0/8\nlocal domains ours = example.org\n\n\
    permit when to ours\npermit when from office\n";

#[test]
fn what_is_permitted_is_left_to_postfix_unless_it_is_to_be_granted() {
    let mut site = Site::new(CLOSED, |_| {});
    assert_eq!(site.to("anna@example.org"), "DUNNO");
    assert_eq!(site.to("victim@third.test"), "550 5.7.1 relaying denied");
    assert_eq!(site.ask(&[("recipient", "b@third.test"), ("client_address", "10.1.2.3")]), "DUNNO");
    for state in ["CONNECT", "EHLO", "MAIL", "DATA", "ETRN", "END-OF-MESSAGE"] {
        assert_eq!(site.ask(&[("protocol_state", state), ("recipient", "victim@third.test")]), "DUNNO", "{state}");
    }
    assert_eq!(
        site.ask(&[("protocol_state", "VRFY"), ("recipient", "victim@third.test")]),
        "550 5.7.1 relaying denied"
    );

    let mut site = Site::new(CLOSED, |options| options.grants = true);
    assert_eq!(site.to("anna@example.org"), "OK");
    assert_eq!(site.ask(&[("recipient", "b@third.test"), ("client_address", "10.1.2.3")]), "OK");
    assert_eq!(site.to("victim@third.test"), "550 5.7.1 relaying denied");
    // Postfix may read these as addresses at another domain.
    for routed in ["victim%third.test@example.org", "third.test!victim@example.org", "victim@third.test@example.org"] {
        assert_eq!(site.to(routed), "DUNNO", "{routed}");
    }
    // A refusal that nothing can change comes at once.
    let mut site = Site::new("refuse 554 5.7.1 \"go away\" when from 198.51.100.0/24\n", |_| {});
    assert_eq!(site.ask(&[("protocol_state", "CONNECT")]), "554 5.7.1 go away");
}

#[test]
fn a_message_is_decided_on_for_all_its_recipients() {
    let text = "local domains ours = example.org, example.net\n\n\
        refuse 552 5.3.4 \"too big\" when size > 2000 and to example.org\n\
        defer 452 4.3.4 \"too big now\" when size > 3000\n\
        permit when to ours\n";
    let mut site = Site::new(text, |options| options.grants = true);
    // What may still be refused is not OK while Postfix does not ask again.
    assert_eq!(site.to("anna@example.net"), "DUNNO");
    let mut site = Site::new(text, |options| (options.grants, options.end_of_data) = (true, true));
    assert_eq!(site.to("anna@example.net"), "OK");
    assert_eq!(site.end(&[("size", "2500")]), "OK");
    // The strictest holds.
    for recipient in ["zoe@example.net", "anna@example.net", "anna@example.org"] {
        assert_eq!(site.to(recipient), "OK");
    }
    assert_eq!(site.end(&[("size", "3001")]), "552 5.3.4 too big");
    // It is over: nothing of it is left.
    assert_eq!(site.end(&[]), "451 4.3.0 what was decided of the recipients is not known any more, please come again");
    assert_eq!(site.to("anna@example.net"), "OK");
    assert_eq!(site.end(&[("size", "3001")]), "452 4.3.4 too big now");
    // Another transaction is another.
    assert_eq!(site.ask(&[("instance", "other"), ("recipient", "anna@example.org")]), "OK");
    assert_eq!(site.to("anna@example.net"), "OK");
    assert_eq!(site.end(&[("size", "2500")]), "OK");
    assert_eq!(site.end(&[("size", "2500"), ("instance", "other")]), "552 5.3.4 too big");
    // With one recipient Postfix says which, and nothing need be remembered.
    assert_eq!(site.end(&[("size", "2500"), ("recipient", "anna@example.org")]), "552 5.3.4 too big");
}

#[test]
fn recipients_and_rates_are_counted_once() {
    let text = "local domains ours = example.org\n\n\
        defer 452 4.5.3 \"too many\" when recipients > 2\nlimit 3/h per ip\npermit when to ours\n";
    let mut site = Site::new(text, |_| {});
    assert_eq!(site.to("a@example.org"), "DUNNO");
    // Asked again, from another list of restrictions, it is the same recipient.
    assert_eq!(site.to("a@example.org"), "DUNNO");
    assert_eq!(site.delegate.held, 1);
    assert_eq!(site.to("b@example.org"), "DUNNO");
    assert_eq!(site.to("c@example.org"), "452 4.5.3 too many");
    // Another transaction counts its own recipients, and the client's rate goes on.
    assert_eq!(site.ask(&[("instance", "2"), ("recipient", "c@example.org")]), "DUNNO");
    assert!(site.ask(&[("instance", "2"), ("recipient", "d@example.org")]).starts_with("450 4.7.1 "));
    assert_eq!(site.ask(&[("instance", "2"), ("recipient", "c@example.org")]), "DUNNO", "it was counted before");
    assert_eq!(
        site.ask(&[("instance", "3"), ("recipient", "e@example.org"), ("client_address", "198.51.100.8")]),
        "DUNNO"
    );
    site.now = Timestamp::from_millis(NOON.as_millis() + 7_200_000);
    assert_eq!(site.ask(&[("instance", "4"), ("recipient", "d@example.org")]), "DUNNO");
}

#[test]
fn a_rate_at_its_limit_does_not_refuse_the_message_it_has_counted() {
    let text = "local domains ours = example.org\n\n\
        refuse \"too big\" when size > 5000\nlimit 1/h per ip\npermit when to ours\n";
    let mut site = Site::new(text, |options| options.end_of_data = true);
    assert_eq!(site.to("a@example.org"), "DUNNO");
    assert_eq!(site.end(&[]), "DUNNO");
    assert!(site.to("a@example.org").starts_with("450 4.7.1 "));
}

#[test]
fn who_comes_again_is_known() {
    let text =
        "local domains ours = example.org\n\ndefer 450 4.7.1 \"come again\" when not known\npermit when to ours\n";
    let mut site = Site::new(text, |_| {});
    assert_eq!(site.to("a@example.org"), "450 4.7.1 come again");
    site.now = Timestamp::from_millis(NOON.as_millis() + 299_000);
    assert_eq!(site.to("a@example.org"), "450 4.7.1 come again");
    site.now = Timestamp::from_millis(NOON.as_millis() + 301_000);
    assert_eq!(site.to("a@example.org"), "DUNNO");
    assert_eq!(site.to("b@example.org"), "450 4.7.1 come again");
    assert_eq!(site.delegate.triplets().len(), 2);
    // What the caller knows is not asked here.
    let request = with(&[("recipient", "c@example.org")]);
    let mut facts = site.delegate.facts(&request, site.now).unwrap();
    facts.known = Finding::Is(true);
    assert_eq!(site.delegate.answer(&site.policy, &request, facts, site.now).action, DelegationAction::Dunno);
    assert_eq!(site.delegate.triplets().len(), 2);
}

#[test]
fn marks_are_set_once_a_message() {
    let text = "local domains ours = example.org\n\n\
        quarantine \"forged\" when helo client.test\ntag \"first\" when helo other.test\ntag \"second\" when to x@example.org\n\
        permit when to ours\n"
        .replace("to x@example.org", "to mailbox \"x@example.org\"");
    let mut site = Site::new(&text, |options| options.grants = true);
    assert_eq!(site.to("a@example.org"), "HOLD forged");
    assert_eq!(site.to("b@example.org"), "OK".replace("OK", "DUNNO"));
    let other =
        |site: &mut Site, to: &str| site.ask(&[("instance", "o"), ("helo_name", "other.test"), ("recipient", to)]);
    assert_eq!(other(&mut site, "a@example.org"), "PREPEND X-Hikyaku-Tag: first");
    assert_eq!(other(&mut site, "b@example.org"), "DUNNO");
    assert_eq!(other(&mut site, "x@example.org"), "PREPEND X-Hikyaku-Tag: first, second");
    // Nothing ends the line.
    let reply = Reply::new(hikyaku_wire::Code::LOCAL_ERROR_451, hikyaku_wire::EnhancedCode::new(4, 3, 0), "a\nb");
    for action in
        [DelegationAction::Reply(reply), DelegationAction::Hold("a\nb".into()), DelegationAction::Mark("a\rb".into())]
    {
        let text = action.to_string();
        assert!(text.starts_with("action=") && text.find(['\n', '\r']) == Some(text.len() - 2), "{text:?}");
    }
}

/// What a message may still be refused for is marked at its end, for the strictest of its
/// recipients, and nothing is marked twice.
#[test]
fn marks_wait_for_the_message() {
    for (rule, told) in [("quarantine \"forged\"", "HOLD forged"), ("tag \"forged\"", "PREPEND X-Hikyaku-Tag: forged")]
    {
        let text = format!(
            "local domains ours = example.org, example.net\n\n{rule} when helo client.test\n\
             refuse when size > 5000 and to example.org\npermit when to ours\n"
        );
        let mut site = Site::new(&text, |options| options.end_of_data = true);
        assert_eq!(site.to("a@example.org"), "DUNNO");
        assert_eq!(site.end(&[]), told);
        assert_eq!(site.to("a@example.net"), told);
        assert_eq!(site.end(&[]), "DUNNO", "it was told");
    }
    let text = "local domains ours = example.org, example.net\n\n\
        quarantine \"large\" when size > 2000 and to example.org\npermit when to ours\n";
    let mut site = Site::new(text, |options| options.end_of_data = true);
    for recipient in ["a@example.net", "a@example.org", "z@example.net"] {
        assert_eq!(site.to(recipient), "DUNNO");
    }
    assert_eq!(site.end(&[("size", "2001")]), "HOLD large");
}

/// However many transactions never end.
#[test]
fn what_is_remembered_is_bounded() {
    let text = "local domains ours = example.org\n\nrefuse when size > 2000\npermit when to ours\n";
    let mut site = Site::new(text, |options| (options.entries, options.end_of_data) = (10, true));
    for instance in 0..25 {
        assert_eq!(site.ask(&[("instance", &instance.to_string()), ("recipient", "a@example.org")]), "DUNNO");
    }
    assert_eq!((site.delegate.held, site.delegate.transactions.len(), site.delegate.begun.len()), (10, 10, 10));
    assert!(site.end(&[("instance", "14")]).starts_with("451 "), "forgotten");
    assert_eq!(site.end(&[("instance", "15")]), "DUNNO");
    assert_eq!((site.delegate.held, site.delegate.transactions.len()), (9, 9));
    // One that is larger than all may be is forgotten itself.
    for recipient in 0..11 {
        assert_eq!(site.ask(&[("instance", "big"), ("recipient", &format!("{recipient}@example.org"))]), "DUNNO");
    }
    assert!(site.end(&[("instance", "big")]).starts_with("451 "));
    assert_eq!(site.delegate.held, 0);
    // Nor do those that have ended add up.
    for instance in 100..125 {
        assert_eq!(site.ask(&[("instance", &instance.to_string()), ("recipient", "a@example.org")]), "DUNNO");
        assert_eq!(site.end(&[("instance", &instance.to_string())]), "DUNNO");
    }
    assert_eq!((site.delegate.held, site.delegate.transactions.len(), site.delegate.begun.len()), (0, 0, 10));
    // What is no name of a transaction is not remembered at all.
    site.ask(&[("instance", &"x".repeat(129)), ("recipient", "a@example.org")]);
    site.ask(&[("instance", ""), ("recipient", "a@example.org")]);
    assert_eq!(site.delegate.held, 0);
}
