mod kept;
mod message;

use bytes::Bytes;
use hikyaku_dns::Zone;
use hikyaku_message::{HeaderLimits, results};
use hikyaku_policy::{
    Action, CertificateSet, Condition, Dmarc, DomainRole, HostSet, Identifier, List, Members, Networks, Per, Period,
    PolicyBuilder, Rate, Rule, Test, Trust,
};
use hikyaku_queue::Memory;
use hikyaku_session::Protocol;
use hikyaku_wire::Domain;

use super::*;
use crate::{
    Check, Intake, Names, Routes, Users, VerifyConfig,
    facts::tests::{Asked as Dns, off},
};

const ZONE: &str = r#"
spf.test. 300 TXT "v=spf1 ip4:198.51.100.7 -all"
strict.test. 300 TXT "v=spf1 -all"
_dmarc.strict.test. 300 TXT "v=DMARC1; p=reject"
_dmarc.loose.test. 300 TXT "v=DMARC1; p=quarantine"
7.100.51.198.in-addr.arpa. 300 PTR client.test.
client.test. 300 A 198.51.100.7
8.100.51.198.bad.test. 300 A 127.0.0.2
"#;
const GOOD: &str = "198.51.100.7";
const BAD: &str = "198.51.100.8";

fn identifier(name: &str) -> Identifier {
    name.parse().unwrap()
}

fn to_ours() -> Condition {
    Test::To(HostSet::List(identifier("ours"))).into()
}

fn from_inside() -> Condition {
    Test::From(hikyaku_policy::NetworkSet::List(identifier("inside"))).into()
}

fn sender(domain: &str) -> Condition {
    Test::Sender(HostSet::Pattern(domain.parse().unwrap())).into()
}

fn to(mailbox: &str) -> Condition {
    Test::To(HostSet::Mailbox(mailbox.parse().unwrap())).into()
}

fn listed() -> Condition {
    Test::Listed { zone: "bad.test".parse().unwrap(), at_least: 1 }.into()
}

fn spf_fails() -> Condition {
    Test::Spf(vec![results::Spf::Fail]).into()
}

fn refuse(text: &str, when: impl Into<Condition>) -> Rule {
    Rule::refuse(format!("550 5.7.1 {text}").parse().unwrap(), when)
}

fn builder(rules: Vec<Rule>) -> PolicyBuilder {
    let list = |name: &str, members| List::new(identifier(name), members);
    let inside: Networks = "10.0.0.0/8".parse().unwrap();
    PolicyBuilder {
        lists: vec![
            list("ours", Members::Domains(DomainRole::Local, "hik.test".parse().unwrap())),
            list("inside", Members::Networks(Trust::Trusted, inside)),
        ],
        rules,
        ..PolicyBuilder::default()
    }
}

fn ruling(rules: Vec<Rule>) -> Ruling {
    let routes = Routes {
        local: "elsewhere.test".parse().unwrap(),
        transports: Vec::new(),
        smarthost: None,
        named: vec![(identifier("inner"), "10.0.0.5:25".parse().unwrap())],
    };
    Ruling::new(builder(rules).build().unwrap(), routes).unwrap()
}

/// A relay for hik.test, with alice and bert, and what it has asked the DNS.
struct Relay {
    screening: Screening<Dns>,
    asked: Arc<Mutex<Vec<String>>>,
    queue: Memory,
}

impl Relay {
    fn new(rules: Vec<Rule>) -> Self {
        Self::verifying(rules, off())
    }

    fn verifying(rules: Vec<Rule>, verify: VerifyConfig) -> Self {
        Self::waiting(rules, verify, std::time::Duration::from_secs(3600))
    }

    fn waiting(rules: Vec<Rule>, verify: VerifyConfig, wait: std::time::Duration) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let zone: Zone = ZONE.parse().unwrap();
        let names = Names { hostname: "mx.hik.test".to_owned(), authserv_id: "hik.test".to_owned() };
        let dns = Dns(Arc::new(zone), asked.clone());
        let verification = Verification::new(dns, verify, HeaderLimits::default(), names);
        let users = Users::Listed(["alice".to_owned(), "bert".to_owned()].into());
        let directory = Directory { users, postmaster: None };
        let owns = |user: &str, sender: &Mailbox| sender.local().content() == user;
        let audit = Arc::new(AuditLog::open("/dev/null".as_ref()).unwrap());
        let greylist = GreylistConfig { wait, ..GreylistConfig::default() };
        let screening = Screening::new(ruling(rules), verification, Vec::new(), &greylist, directory, owns, audit);
        Self { screening, asked, queue: Memory::new() }
    }

    fn visitor(&self, client: &str) -> Visitor {
        let mut visitor = self.screening.visitor(Some(client.parse().unwrap()), Listener::Mx);
        visitor.is_called(Some(&"client.test".parse().unwrap()));
        visitor
    }

    fn mail(&self, visitor: &mut Visitor, sender: &str) -> Transaction {
        self.screening.mail(visitor, &format!("<{sender}>").parse().unwrap()).unwrap()
    }

    async fn rcpt(&self, visitor: &mut Visitor, mail: &mut Transaction, to: &str) -> Judgement {
        self.screening.recipient(visitor, mail, &format!("<{to}>").parse().unwrap()).await
    }

    /// The codes of all, each in a transaction of its own from that sender.
    async fn codes(&self, client: &str, sender: &str, to: &[&str]) -> Vec<u16> {
        let mut visitor = self.visitor(client);
        let mut codes = Vec::new();
        for to in to {
            let begun = self.screening.mail(&mut visitor, &format!("<{sender}>").parse().unwrap());
            let reply = match begun {
                Ok(mut mail) => self.rcpt(&mut visitor, &mut mail, to).await.reply,
                Err(refused) => refused.reply,
            };
            codes.push(reply.code().as_u16());
        }
        codes
    }

    async fn message(&self, visitor: &mut Visitor, mail: &mut Transaction, text: &str) -> (Outcome, String) {
        let mut intake = Intake::open(&self.queue, None, HeaderLimits::default(), "hik.test").await.unwrap();
        intake.verified(self.screening.arriving(mail));
        intake.push(Bytes::from(text.to_owned())).await.unwrap();
        intake.finish().unwrap();
        let outcome = self.screening.message(visitor, mail, &mut intake).await;
        (outcome, intake.results)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

const TEXT: &str = "Received: from x\r\nFrom: a@spf.test\r\nSubject: x\r\n\r\nbody\r\n";

#[test]
fn each_stage_asks_the_policy() {
    let relay = Relay::new(vec![
        refuse("network", Test::From(hikyaku_policy::NetworkSet::Network("192.0.2.0/24".parse().unwrap()))),
        refuse("hello", Test::Helo(HostSet::Pattern("bad.client.test".parse().unwrap()))),
        refuse("sender", sender("blocked.test")),
        refuse("user", Condition::from(Test::Authenticated(None)).and(!Condition::from(Test::SenderOwned))),
        Rule::permit(to_ours()),
    ]);
    let said = |judgement: &Judgement| (judgement.stage, judgement.reply.to_string(), judgement.line.is_some());
    let mut visitor = relay.screening.visitor(Some("192.0.2.1".parse().unwrap()), Listener::Mx);
    assert_eq!(said(&relay.screening.greets(&visitor)), (Stage::Connect, "550 5.7.1 network".to_owned(), true));
    visitor = relay.screening.visitor(Some(GOOD.parse().unwrap()), Listener::Mx);
    assert!(relay.screening.greets(&visitor).reply.is_positive());
    visitor.is_called(Some(&"bad.client.test".parse().unwrap()));
    assert_eq!(said(&relay.screening.greets(&visitor)), (Stage::Hello, "550 5.7.1 hello".to_owned(), true));
    visitor.is_called(Some(&"client.test".parse().unwrap()));
    assert!(relay.screening.greets(&visitor).reply.is_positive());
    let refused = relay.screening.mail(&mut visitor, &"<a@blocked.test>".parse().unwrap()).unwrap_err();
    assert_eq!(said(&refused), (Stage::Mail, "550 5.7.1 sender".to_owned(), true));
    visitor.is_user(Some("alice"));
    let refused = relay.screening.mail(&mut visitor, &"<bert@hik.test>".parse().unwrap()).unwrap_err();
    assert_eq!(said(&refused), (Stage::Mail, "550 5.7.1 user".to_owned(), true));
    assert!(refused.facts.contains(&"owned=no".to_owned()), "{refused:?}");
    relay.mail(&mut visitor, "alice@hik.test");
}

/// The lists that the rules name and the sender's SPF, in front of the permit for hik.test.
fn asking() -> Vec<Rule> {
    vec![refuse("listed", listed()), refuse("spf", spf_fails()), Rule::permit(to_ours())]
}

#[tokio::test]
async fn nothing_is_looked_up_for_mail_that_is_refused_anyway() {
    let verify = VerifyConfig { spf: Check::Enforce, iprev: Check::Enforce, ..VerifyConfig::default() };
    let relay = Relay::verifying(asking(), verify);
    let mut visitor = relay.visitor(GOOD);
    for number in 0..100 {
        let mut mail = relay.mail(&mut visitor, &format!("a@d{number}.test"));
        let foreign = relay.rcpt(&mut visitor, &mut mail, "victim@third.test").await;
        assert_eq!(foreign.reply.code().as_u16(), 550);
        let nobody = relay.rcpt(&mut visitor, &mut mail, "nobody@hik.test").await;
        assert_eq!((nobody.reply, nobody.rule.as_str()), (Reply::UNKNOWN_USER_550, "local users"));
    }
    assert_eq!((relay.asked(), visitor.lookups()), (0, 0));

    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    assert!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.is_positive());
    let first = relay.asked();
    assert!(first > 0 && u32::try_from(first).unwrap() == visitor.lookups(), "{first}");
    assert!(relay.rcpt(&mut visitor, &mut mail, "bert@hik.test").await.reply.is_positive());
    // A client that begins anew as the same sender costs nothing more.
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    assert!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.is_positive());
    assert_eq!(relay.asked(), first);
    // Another sender is looked up, the client is not.
    let mut mail = relay.mail(&mut visitor, "a@strict.test");
    assert_eq!(
        relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.rule,
        relay.screening.ruling().policy.rules()[1].to_string()
    );
    let more: Vec<_> = relay.asked.lock().unwrap()[first..].to_vec();
    assert!(more.iter().all(|asked| asked.starts_with("txt ")), "{more:?}");
}

#[tokio::test]
async fn a_list_that_refuses_saves_the_other_lookups() {
    let relay = Relay::new(asking());
    assert_eq!(relay.codes(BAD, "a@spf.test", &["alice@hik.test", "bert@hik.test"]).await, [550, 550]);
    assert_eq!(*relay.asked.lock().unwrap(), ["a 8.100.51.198.bad.test"]);
    assert_eq!(
        relay.codes("10.0.0.1", "a@spf.test", &["alice@hik.test"]).await,
        [550],
        "private, so not asked; SPF fails"
    );
}

#[tokio::test]
async fn one_connection_may_cause_so_many_lookups() {
    let relay = Relay::new(asking());
    let mut visitor = relay.visitor(GOOD);
    let mut codes = Vec::new();
    for number in 0..1000 {
        let mut mail = relay.mail(&mut visitor, &format!("a@d{number}.test"));
        let judgement = relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await;
        codes.push((judgement.reply.code().as_u16(), judgement.limit));
    }
    assert_eq!((codes[0], codes[999]), ((250, None), (451, Some("lookups"))));
    let most = usize::try_from(LOOKUPS).unwrap() + 50;
    assert!((most - 60..most).contains(&relay.asked()), "{}", relay.asked());
    // What is refused in any case is told so still.
    assert_eq!(
        relay
            .screening
            .recipient(
                &mut visitor,
                &mut relay.mail(&mut relay.visitor(GOOD), "a@d.test"),
                &"<x@third.test>".parse().unwrap()
            )
            .await
            .reply
            .code()
            .as_u16(),
        550
    );
    // To the lookup.
    visitor.allowed = visitor.asked;
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    assert_eq!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.limit, Some("lookups"));
    visitor.accepted();
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    assert_eq!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.code().as_u16(), 250);
}

#[tokio::test]
async fn who_is_new_is_deferred_without_a_lookup() {
    let mut rules = vec![Rule::defer("450 4.7.1 greylisted".parse().unwrap(), !Condition::from(Test::Known))];
    rules.extend(asking().split_off(1));
    let relay = Relay::new(rules);
    let mut visitor = relay.visitor(GOOD);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    let new = relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await;
    assert_eq!((new.reply.to_string().as_str(), relay.asked()), ("450 4.7.1 greylisted", 0));
    assert!(new.facts.contains(&"known=no".to_owned()), "{:?}", new.facts);
}

#[tokio::test]
async fn each_recipient_has_facts_of_its_own() {
    let known = Condition::from(Test::Known);
    let rules = vec![
        Rule::defer("450 4.7.1 new".parse().unwrap(), !known.clone()),
        refuse("second", Test::Recipients(1)).at(Stage::Message),
        refuse("known, and unsigned", known.and(Test::Dkim(vec![results::Dkim::Fail]).into())),
        Rule::permit(to_ours()),
    ];
    let relay = Relay::waiting(rules, off(), std::time::Duration::from_millis(1));
    let mut visitor = relay.visitor(GOOD);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    for to in ["alice@hik.test", "bert@hik.test"] {
        assert_eq!(relay.rcpt(&mut visitor, &mut mail, to).await.reply.code().as_u16(), 450, "{to} is new");
        let mut tries = 0;
        while !relay.rcpt(&mut visitor, &mut mail, to).await.reply.is_positive() {
            tries += 1;
            assert!(tries < 1_000_000, "{to} is never known");
        }
    }
    let (outcome, _) = relay.message(&mut visitor, &mut mail, TEXT).await;
    let codes: Vec<_> = outcome.judgements.iter().map(|(_, judgement)| judgement.reply.code().as_u16()).collect();
    assert_eq!(codes, [250, 550], "the number of each is its own");

    let rate = Rate { limit: 1, window: Window { period: Period::Hour, per: Per::Ip } };
    let relay = Relay::new(vec![Rule::new(Action::Limit(rate), Condition::Always), Rule::permit(to_ours())]);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    assert_eq!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.code().as_u16(), 250);
    assert_eq!(relay.rcpt(&mut visitor, &mut mail, "bert@hik.test").await.reply.code().as_u16(), 450);
}

/// What was known of a recipient at RCPT is what is known of it at the end.
#[tokio::test]
async fn what_is_known_of_a_recipient_stays_with_it() {
    let unsigned = || Condition::from(Test::Dkim(vec![results::Dkim::None]));
    let refuse_when = |when: Condition| vec![refuse("it", when.and(unsigned())), Rule::permit(to_ours())];
    let codes = async |relay: &Relay, visitor: &mut Visitor, mail: &mut Transaction| {
        let (outcome, _) = relay.message(visitor, mail, TEXT).await;
        outcome.judgements.iter().map(|(_, judgement)| judgement.reply.code().as_u16()).collect::<Vec<_>>()
    };

    let relay = Relay::waiting(refuse_when(Test::Known.into()), off(), std::time::Duration::from_millis(1));
    let mut visitor = relay.visitor(GOOD);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    let mut tries = 0;
    while mail.facts().known != Finding::Is(true) {
        mail = relay.mail(&mut visitor, "a@spf.test");
        assert!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.is_positive());
        tries += 1;
        assert!(tries < 1_000_000, "alice is never known");
    }
    assert!(relay.rcpt(&mut visitor, &mut mail, "bert@hik.test").await.reply.is_positive());
    assert_eq!(codes(&relay, &mut visitor, &mut mail).await, [550, 250]);

    let rate = Test::Rate(Rate { limit: 1, window: Window { period: Period::Hour, per: Per::Ip } });
    let relay = Relay::new(refuse_when(!Condition::from(rate)));
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    for to in ["alice@hik.test", "bert@hik.test"] {
        assert!(relay.rcpt(&mut visitor, &mut mail, to).await.reply.is_positive());
    }
    assert_eq!(codes(&relay, &mut visitor, &mut mail).await, [250, 550]);

    let mut rules = refuse_when(Test::RecipientExists.into());
    rules.insert(1, Rule::permit_via(identifier("inner"), to("nobody@hik.test")));
    let relay = Relay::new(rules);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    for to in ["alice@hik.test", "nobody@hik.test"] {
        assert!(relay.rcpt(&mut visitor, &mut mail, to).await.reply.is_positive());
    }
    assert_eq!(codes(&relay, &mut visitor, &mut mail).await, [550, 250]);
}

/// Where nothing can be permitted any more, what is known may still make a deferral a refusal.
#[tokio::test]
async fn a_deferral_is_worth_a_lookup() {
    let rules = vec![
        refuse("listed", to("alice@hik.test").and(listed())),
        Rule::defer("450 4.7.1 later".parse().unwrap(), to("alice@hik.test")),
        Rule::permit(to_ours()),
    ];
    let relay = Relay::new(rules);
    assert_eq!(relay.codes(BAD, "a@spf.test", &["alice@hik.test"]).await, [550]);
    assert_eq!(relay.codes(GOOD, "a@spf.test", &["alice@hik.test"]).await, [450]);
}

#[tokio::test]
async fn what_nobody_can_tell_is_told_so() {
    let vpn = || Condition::from(Test::Custom(identifier("vpn")));
    let relay = Relay::new(vec![refuse("listed", listed()), refuse("vpn", vpn()), Rule::permit(to_ours())]);
    let mut visitor = relay.screening.visitor(None, Listener::Lmtp);
    visitor.facts.minute = Finding::Unknown;
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    assert_eq!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.code().as_u16(), 451);
    let facts = mail.facts();
    assert_eq!(facts.listed, [("bad.test".parse().unwrap(), Finding::Is(0))], "nobody lists who has no address");
    assert_eq!(facts.custom, [(identifier("vpn"), Finding::Unknown)]);
    assert!(matches!(facts.minute, Finding::Is(_)), "the time of the transaction");
}

#[tokio::test]
async fn a_policy_may_have_its_own_word_for_who_is_not_there() {
    let rules = vec![
        refuse("no mail for x", to("x@hik.test")),
        Rule::defer("450 4.2.1 perhaps later".parse().unwrap(), !Condition::from(Test::RecipientExists)),
        Rule::permit(to_ours()),
    ];
    let to = ["x@hik.test", "nobody@hik.test", "alice@hik.test"];
    assert_eq!(Relay::new(rules.clone()).codes(GOOD, "a@spf.test", &to).await, [550, 450, 250]);
    let mut visitor;
    for (without, rule) in [(1, "refuse 550 5.7.1 \"no mail for x\""), (0, "local users")] {
        let mut rules = rules.clone();
        rules.remove(without);
        if without == 0 {
            rules.remove(0);
        }
        let relay = Relay::new(rules);
        visitor = relay.visitor(GOOD);
        let mut mail = relay.mail(&mut visitor, "a@spf.test");
        let judgement = relay.rcpt(&mut visitor, &mut mail, "x@hik.test").await;
        assert!(judgement.rule.starts_with(rule), "{judgement:?}");
    }
}

#[tokio::test]
async fn who_is_no_other_server_is_told_nothing() {
    let relay = Relay::verifying(vec![Rule::permit(to_ours())], VerifyConfig::default());
    for listener in Listener::ALL {
        let mut visitor = relay.screening.visitor(Some(GOOD.parse().unwrap()), listener);
        let mut mail = relay.mail(&mut visitor, "a@strict.test");
        assert_eq!(relay.screening.arriving(&mail).is_some(), listener == Listener::Mx, "{listener}");
        assert!(relay.rcpt(&mut visitor, &mut mail, "alice@hik.test").await.reply.is_positive());
    }
}

/// A message is looked at only where the policy waits for it.
#[tokio::test]
async fn what_no_recipient_waits_for_is_not_looked_at() {
    let broken = Condition::from(Test::Dkim(vec![results::Dkim::Fail]));
    let relay = Relay::new(vec![refuse("broken", to("alice@hik.test").and(broken)), Rule::permit(to_ours())]);
    let mut visitor = relay.screening.visitor(Some(GOOD.parse().unwrap()), Listener::Submission);
    let mut mail = relay.mail(&mut visitor, "a@spf.test");
    for (to, waits) in [("bert@hik.test", false), ("alice@hik.test", true)] {
        assert_eq!(relay.rcpt(&mut visitor, &mut mail, to).await.provisional, waits);
        assert_eq!(relay.screening.arriving(&mail).is_some(), waits, "{to}");
    }
    let (outcome, _) = relay.message(&mut visitor, &mut mail, TEXT).await;
    let told: Vec<_> = outcome.told().map(|(to, judgement)| (to.to_string(), judgement.reply.is_positive())).collect();
    assert_eq!(told, [("<alice@hik.test>".to_owned(), true)], "what was open is told");
}

#[test]
fn whoever_stands_behind_a_proxy_is_not_trusted() {
    let mut builder = builder(vec![Rule::permit(to_ours())]);
    builder.settings.strangers = "10.0.0.7".parse().unwrap();
    let wide = Members::Networks(Trust::Wide, "192.0.2.0/24".parse().unwrap());
    let plain = Members::Networks(Trust::Plain, "198.51.100.0/24".parse().unwrap());
    builder.lists.extend([List::new(identifier("vast"), wide), List::new(identifier("plain"), plain)]);
    let routes = Relay::new(asking()).screening.ruling().routes().clone();
    let ruling = Ruling::new(builder.build().unwrap(), routes).unwrap();
    for (client, is_trusted) in [("10.0.0.6", true), ("10.0.0.7", false), ("192.0.2.1", true), ("198.51.100.7", false)]
    {
        assert_eq!(ruling.is_trusted(client.parse().unwrap()), is_trusted, "{client}");
    }
}
