//! What is counted, and what a transaction keeps.

use super::*;

#[tokio::test]
async fn what_is_counted_is_kept_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("greylist");
    let relay = Relay::new(asking());
    relay.screening.restore(&file).unwrap();
    relay.screening.keep(&file).unwrap();
    assert!(!file.exists(), "nothing asks for it");
    let rules =
        || vec![Rule::defer("450 4.7.1 x".parse().unwrap(), !Condition::from(Test::Known)), Rule::permit(to_ours())];
    let relay = Relay::new(rules());
    assert_eq!(relay.codes(GOOD, "a@spf.test", &["alice@hik.test"]).await, [450]);
    relay.screening.keep(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let other = Relay::new(rules());
    other.screening.restore(&file).unwrap();
    let again = folder.path().join("again");
    other.screening.keep(&again).unwrap();
    assert_eq!(std::fs::read_to_string(&again).unwrap(), text);
    assert!(relay.screening.keep(&folder.path().join("no/folder")).is_err());
    assert!(relay.screening.restore(folder.path()).is_err());
}

#[tokio::test]
async fn recipients_are_counted_when_they_are_accepted() {
    let rate = Rate { limit: 2, window: Window { period: Period::Hour, per: Per::Ip } };
    let relay = Relay::new(vec![Rule::new(Action::Limit(rate), to_ours()), Rule::permit(to_ours())]);
    let to = ["x@third.test", "nobody@hik.test", "alice@hik.test", "bert@hik.test", "alice@hik.test"];
    assert_eq!(relay.codes(GOOD, "a@spf.test", &to).await, [550, 550, 250, 250, 450]);
    assert_eq!(relay.codes(BAD, "a@spf.test", &["alice@hik.test"]).await, [250], "another address");
}

#[tokio::test]
async fn a_policy_names_the_route() {
    let via = Rule::permit_via(identifier("inner"), to("nobody@hik.test"));
    let relay = Relay::new(vec![via, Rule::permit(to_ours())]);
    let mut visitor = relay.visitor(GOOD);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    for (to, code) in [("alice@hik.test", 250), ("nobody@hik.test", 250), ("other@hik.test", 550)] {
        assert_eq!(relay.rcpt(&mut visitor, &mut mail, to).await.reply.code().as_u16(), code, "{to}");
    }
    let (outcome, _) = relay.message(&mut visitor, &mut mail, TEXT).await;
    let routes: Vec<_> = outcome
        .recipients(Protocol::Smtp)
        .into_iter()
        .map(|(to, route)| (to.to_string(), route.map(|r| r.to_string())))
        .collect();
    assert_eq!(
        routes,
        [("<alice@hik.test>".to_owned(), None), ("<nobody@hik.test>".to_owned(), Some("10.0.0.5:25".to_owned()))]
    );
    assert_eq!(relay.screening.ruling().routes().local.to_string(), "hik.test", "what the policy declares");
    let unknown = builder(vec![Rule::permit(to_ours()), Rule::permit_via(identifier("outer"), from_inside())]);
    let routes = relay.screening.ruling().routes().clone();
    let error = Ruling::new(unknown.build().unwrap(), routes).unwrap_err();
    assert_eq!(error.name.as_str(), "outer");
    assert!(error.line > 0 && error.to_string().starts_with("no route is named `outer`"), "{error}");
}

#[tokio::test]
async fn a_transaction_keeps_the_policy_that_it_began_with() {
    let relay = Relay::new(vec![Rule::permit(to_ours())]);
    let mut visitor = relay.visitor(GOOD);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    relay.screening.rule_by(ruling(vec![refuse("closed", to_ours())]));
    assert!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.is_positive());
    let (outcome, _) = relay.message(&mut visitor, &mut mail, TEXT).await;
    assert_eq!(outcome.recipients(Protocol::Smtp).len(), 1);
    let mail = relay.screening.mail(&mut visitor, &"<a@spf.test>".parse().unwrap());
    assert_eq!(mail.unwrap_err().reply.code().as_u16(), 550);
}

#[tokio::test]
async fn a_certificate_is_a_fact_under_tls() {
    let relay = Relay::new(vec![Rule::permit(Test::Certificate(CertificateSet::Spki([7; 32])))]);
    let mut visitor = relay.visitor(GOOD);
    assert!(relay.screening.mail(&mut visitor, &ReversePath::Null).is_err());
    let certificate = hikyaku_session::Certificate { spki: [7; 32], names: vec!["client.test".into(), "a b".into()] };
    visitor.is_encrypted(Some(&Tls { certificate: Some(certificate), ..Tls::default() }));
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    let told = relay.rcpt(&mut visitor, &mut mail, "x@third.test").await;
    assert!(
        told.reply.is_positive() && told.facts.iter().any(|fact| fact.starts_with("certificate=sha256//")),
        "{told:?}"
    );
    assert_eq!(mail.facts().certificate.as_ref().unwrap().names, ["client.test".parse::<Domain>().unwrap()]);
    visitor.is_encrypted(None);
    assert!(relay.screening.mail(&mut visitor, &ReversePath::Null).is_err());
}
