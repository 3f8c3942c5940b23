//! The end of the message.

use super::*;

#[tokio::test]
async fn each_recipient_is_decided_on_again_with_the_message() {
    let unsigned = || Condition::from(Test::Dkim(vec![results::Dkim::None]));
    let relay = Relay::new(vec![
        Rule::new(Action::Tag("hers".to_owned()), to("alice@hik.test")),
        refuse("sign it", to("alice@hik.test").and(unsigned())),
        Rule::permit(to_ours()),
    ]);
    let mut visitor = relay.visitor(GOOD);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    let alice = relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await;
    let bert = relay.rcpt(&mut visitor, &mut mail, "bert@hik.test").await;
    assert_eq!((alice.provisional, bert.provisional), (true, false));
    assert_eq!((alice.event().until.as_deref(), bert.event().until), (Some("message"), None));
    let (outcome, results) = relay.message(&mut visitor, &mut mail, TEXT).await;
    assert!(results.contains("dkim=none"), "{results}");
    assert!(!results.contains(super::super::message::TAG), "who does not get it does not mark it: {results}");
    assert_eq!(outcome.recipients(Protocol::Smtp), [], "all or none");
    let lmtp = outcome.recipients(Protocol::Lmtp);
    assert_eq!(lmtp.iter().map(|(to, _)| to.to_string()).collect::<Vec<_>>(), ["<bert@hik.test>"]);
    let hikyaku_session::server::Verdicts::Each(replies) = outcome.verdicts(&Reply::OK_250) else { panic!() };
    assert_eq!(replies.iter().map(|reply| reply.code().as_u16()).collect::<Vec<_>>(), [550, 250]);
    let told: Vec<_> = outcome.told().map(|(to, judgement)| (to.to_string(), judgement.stage)).collect();
    assert_eq!(told, [("<alice@hik.test>".to_owned(), Stage::Message)]);
    let facts = &outcome.judgements[0].1.facts;
    for fact in [&format!("size={}", TEXT.len()), "hops=1", "dkim=none"] {
        assert!(facts.iter().any(|known| known == fact), "{fact} in {facts:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_in_any_case_is_not_verified() {
    let rules = vec![
        refuse("large", Test::Size(10)),
        refuse("dmarc", Test::Dmarc(vec![Dmarc::Reject])),
        Rule::permit(to_ours()),
    ];
    let relay = Relay::verifying(rules, VerifyConfig::default());
    let mut visitor = relay.visitor(GOOD);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    assert!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.provisional);
    let (outcome, results) = relay.message(&mut visitor, &mut mail, TEXT).await;
    assert_eq!(outcome.judgements[0].1.reply.to_string(), "550 5.7.1 large");
    assert_eq!((relay.asked(), outcome.found, results.as_str()), (0, None, ""));
}

#[tokio::test]
async fn marks_of_the_policy_are_told_in_the_message() {
    let dmarc = |result| Condition::from(Test::Dmarc(vec![result]));
    let rules = || {
        vec![
            Rule::new(Action::Quarantine(Some("dmarc".to_owned())), dmarc(Dmarc::Quarantine)),
            Rule::new(Action::Tag("bulk".to_owned()), to("bert@hik.test")),
            Rule::new(Action::Tag("ümlaut".to_owned()), to("alice@hik.test")),
            Rule::new(Action::Tag("z".repeat(201)), to("alice@hik.test")),
            refuse("would be", sender("loose.test")).shadow(),
            Rule::permit(to_ours()),
        ]
    };
    let relay = Relay::new(rules());
    let take = async |sender: &str, to: &[&str]| {
        let mut visitor = relay.visitor(GOOD);
        let mut mail = relay.mail(&mut visitor, sender);
        for to in to {
            assert!(relay.rcpt(&mut visitor, &mut mail, to).await.reply.is_positive());
        }
        let text = format!("From: {sender}\r\n\r\nbody\r\n");
        relay.message(&mut visitor, &mut mail, &text).await
    };
    let (outcome, results) = take("a@loose.test", &["alice@hik.test", "bert@hik.test", "bert@hik.test"]).await;
    let long = "z".repeat(200);
    let marks = ["X-Spam-Flag: YES", "X-Hikyaku-Tag: ?mlaut", &format!("X-Hikyaku-Tag: {long}"), "X-Hikyaku-Tag: bulk"];
    assert!(results.ends_with(&format!("\r\n{}\r\n", marks.join("\r\n"))), "{results}");
    assert_eq!(outcome.found.as_ref().and_then(|found| found.quarantine), Some("policy"));
    assert!(outcome.judgements[0].1.shadows[0].starts_with("shadow refuse 550 5.7.1 \"would be\""));
    let (outcome, results) = take("a@spf.test", &["bert@hik.test"]).await;
    assert!(!results.contains("X-Spam-Flag") && results.ends_with("X-Hikyaku-Tag: bulk\r\n"), "{results}");
    assert_eq!(outcome.found.and_then(|found| found.quarantine), None);
}

#[tokio::test]
async fn dmarc_of_the_configuration_holds_where_the_policy_does_not_ask() {
    let relay = Relay::verifying(vec![Rule::permit(to_ours()), Rule::permit(from_inside())], VerifyConfig::default());
    for (client, code, asked) in [(GOOD, 550, true), ("10.0.0.1", 250, false)] {
        let before = relay.asked();
        let mut visitor = relay.visitor(client);
        let mut mail = relay.mail(&mut visitor, "a@strict.test");
        let at_rcpt = relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await;
        assert!(at_rcpt.reply.is_positive() && relay.asked() == before, "what is only told is looked up at the end");
        let (outcome, _) = relay.message(&mut visitor, &mut mail, "From: a@strict.test\r\n\r\nx\r\n").await;
        let judgement = &outcome.judgements[0].1;
        assert_eq!((judgement.reply.code().as_u16(), relay.asked() > before), (code, asked), "{client}");
        assert_eq!(judgement.rule == "dmarc", code == 550);
    }
}
