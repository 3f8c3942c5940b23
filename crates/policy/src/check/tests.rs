use hikyaku_message::results;
use hikyaku_wire::{Code, EnhancedCode, Reply};

use crate::{
    Action, CertificatePattern, Claim, Condition, Dmarc, DomainError, DomainPattern, DomainRole, Domains, Fault,
    HostSet, Hours, Identifier, Limits, List, Members, Per, Period, Policy, PolicyBuilder, PolicyError, Rate, Rule,
    Stage, Test, Verb,
};

fn name(name: &str) -> Identifier {
    name.parse().unwrap()
}

fn with_rule(rule: Rule) -> Result<Policy, PolicyError> {
    PolicyBuilder { rules: vec![Rule::permit(Test::Tls), rule], ..PolicyBuilder::default() }.build()
}

fn when(condition: impl Into<Condition>) -> Result<Policy, PolicyError> {
    with_rule(Rule::permit(condition))
}

fn fault<T: std::fmt::Debug>(built: Result<T, PolicyError>) -> (usize, Fault) {
    match built {
        Err(PolicyError::Malformed { line, fault }) => (line, fault),
        other => panic!("{other:?}"),
    }
}

fn assert_round_trip(policy: &Policy) {
    let printed = policy.to_string();
    let read = Policy::parse(&printed, &mut |_| Ok("b.example\n".to_owned()));
    assert_eq!(read.as_ref(), Ok(policy), "{printed}");
    assert_eq!(read.unwrap().to_string(), printed);
}

fn refuse(code: u16, text: &'static str) -> Reply {
    Reply::new(Code::new(code).unwrap(), EnhancedCode::new(5, 7, 1), text)
}

#[test]
fn conditions_take_the_form_in_which_they_print() {
    let (tls, known) = (|| Condition::from(Test::Tls), || Condition::from(Test::Known));
    for (condition, printed) in [
        (Condition::All(vec![]), "permit"),
        (Condition::Any(vec![]), "permit when not to anywhere"),
        (Condition::All(vec![tls()]), "permit when tls"),
        (Condition::Any(vec![Condition::All(vec![!Condition::Any(vec![tls()])])]), "permit when not tls"),
        (Condition::All(vec![tls(), Condition::Any(vec![])]), "permit when tls and not to anywhere"),
        (!Condition::All(vec![]), "permit when not to anywhere"),
        (!!tls(), "permit when not (not tls)"),
        (Condition::All(vec![tls(), Condition::All(vec![known(), tls()])]), "permit when tls and (known and tls)"),
        (tls().and(known()).or(tls()), "permit when (tls and known) or tls"),
        (!(tls().and(known())), "permit when not (tls and known)"),
        (Test::to("bücher.example".parse::<DomainPattern>().unwrap()).into(), "permit when to xn--bcher-kva.example"),
        (
            Test::To(HostSet::Pattern(DomainPattern::Exactly("bücher.example".parse().unwrap()))).into(),
            "permit when to xn--bcher-kva.example",
        ),
        (
            Test::To(HostSet::Pattern(DomainPattern::Address("::ffff:192.0.2.1".parse().unwrap()))).into(),
            "permit when to [192.0.2.1]",
        ),
        (
            Test::sender("a@bücher.example".parse::<hikyaku_wire::Mailbox>().unwrap()).into(),
            "permit when sender mailbox \"a@xn--bcher-kva.example\"",
        ),
        (Test::listed("localhost".parse().unwrap(), 1).into(), "permit when listed \"localhost\""),
        (Test::Known.assuming(true), "permit when known (unknown means yes)"),
        (Test::Size(u64::MAX).into(), "permit when size > 18446744073709551615"),
        (Test::Size(3 << 30).into(), "permit when size > 3G"),
        (Test::Size(0).into(), "permit when size > 0"),
    ] {
        let policy =
            PolicyBuilder { rules: vec![Rule::permit(condition)], ..PolicyBuilder::default() }.build().unwrap();
        assert_eq!(policy.rules()[0].to_string(), printed);
        assert_round_trip(&policy);
    }
}

#[test]
fn what_cannot_print_is_refused() {
    let error = |condition: Condition| fault(when(condition)).1;
    assert_eq!(fault(PolicyBuilder::default().build()), (1, Fault::Empty));
    assert_eq!(error(Test::Spf(vec![]).into()), Fault::NoResult);
    assert_eq!(error(Test::Dmarc(vec![Dmarc::Pass, Dmarc::Pass]).into()), Fault::Twice("pass".to_owned()));
    assert_eq!(error(Test::Iprev(vec![results::Iprev::TempError]).into()), Fault::TempError);
    assert_eq!(error(Test::Dkim(vec![results::Dkim::TempError]).into()), Fault::TempError);
    assert_eq!(error(Test::Spf(vec![results::Spf::TempError]).into()), Fault::TempError);
    for (from, until) in [(0, 0), (1440, 5), (0, 1441), (77, 77)] {
        assert_eq!(error(Test::Hours(Hours { from, until }).into()), Fault::Hours);
    }
    assert_round_trip(&when(Test::Hours(Hours { from: 1439, until: 1440 })).unwrap());
    assert_eq!(error(Test::Rate(Rate::new(0, Period::Hour, Per::Ip)).into()), Fault::Rate);
    let mailbox: hikyaku_wire::Mailbox = "a@b.example".parse().unwrap();
    assert_eq!(error(Test::helo(mailbox.clone()).into()), Fault::Mailbox);
    assert_eq!(error(Test::name(mailbox).into()), Fault::Mailbox);
    let odd = DomainPattern::Exactly("ｈik.example".parse().unwrap());
    assert_eq!(error(Test::to(odd.clone()).into()), Fault::Domain(DomainError::Idna));
    let long = format!("{0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(60));
    assert_eq!(
        error(Test::to(DomainPattern::Below(long.parse().unwrap())).into()),
        Fault::Domain(DomainError::NothingBelow)
    );
    assert_eq!(error(Test::listed("bücher.example".parse().unwrap(), 1).into()), Fault::Zone);
    let deep = |levels: usize| (0..levels).fold(Condition::from(Test::Tls), |inner, _| !inner);
    assert_round_trip(&when(deep(33)).unwrap());
    assert_eq!(error(deep(34)), Fault::Nesting);
    assert_eq!(error(deep(1000)), Fault::Nesting);
    let rule = |rule: Rule| fault(with_rule(rule)).1;
    let always = Condition::Always;
    assert_eq!(rule(Rule::refuse(Reply::LOCAL_ERROR_451, always.clone())), Fault::RefuseCode);
    assert_eq!(rule(Rule::defer(refuse(550, "x"), always.clone())), Fault::DeferCode);
    assert_eq!(rule(Rule::refuse(refuse(550, "x\ny"), always.clone())), Fault::ReplyLines);
    assert_eq!(
        rule(Rule::refuse(refuse(550, "%{x}"), always.clone())),
        Fault::Macro { name: "x".to_owned(), meant: None }
    );
    assert_eq!(rule(Rule::limit(Rate::new(0, Period::Day, Per::User), always.clone())), Fault::Rate);
    assert_eq!(rule(Rule::tag("", always.clone())), Fault::EmptyText);
    assert_eq!(rule(Rule::tag("a\nb", always.clone())), Fault::Control);
    assert_eq!(rule(Rule::quarantine("a\u{85}", always.clone())), Fault::Control);
    assert_round_trip(&with_rule(Rule::quarantine("", always.clone())).unwrap());
    assert_round_trip(&with_rule(Rule::new(Action::Quarantine(None), always.clone())).unwrap());
    let too_early = rule(Rule::refuse(refuse(550, "x"), Test::AuthorAligned).at(Stage::Recipient));
    let (test, at, known) = ("author aligned".to_owned(), Stage::Recipient, Stage::Message);
    assert_eq!(too_early, Fault::TooEarly { test, at, known });
    assert!(with_rule(Rule::refuse(refuse(550, "x"), Test::AuthorAligned).at(Stage::Message)).is_ok());
    let mut commented = Rule::tag("x", always);
    commented.comment = vec![" so \t".to_owned()];
    let policy = with_rule(commented.clone()).unwrap();
    assert_eq!((policy.rules()[1].comment[0].as_str(), policy.line(1)), (" so", 3));
    assert_round_trip(&policy);
    commented.comment = vec!["a\nb".to_owned()];
    assert_eq!(fault(with_rule(commented)), (3, Fault::Control));
    let claims = vec![Claim::never(Verb::Permit, Test::Authenticated(Some(name("x"))))];
    let built = PolicyBuilder { claims, ..PolicyBuilder::default() }.build();
    assert_eq!(fault(built), (1, Fault::NoSuchList { name: name("x"), meant: None }));
}

#[test]
fn lists_of_programs() {
    let build = |lists: Vec<List>| PolicyBuilder { open: true, lists, ..PolicyBuilder::default() }.build();
    let list = |members| List::new(name("x"), members);
    let users = |users: &[&str]| Members::Users(users.iter().map(|user| (*user).to_owned()).collect());
    let policy = build(vec![list(users(&["b", "a", "b"]))]).unwrap();
    assert_eq!(policy.lists()[0].members, users(&["a", "b"]));
    assert_round_trip(&policy);
    assert_eq!(fault(build(vec![list(users(&["a", ""]))])), (2, Fault::EmptyText));
    assert_eq!(fault(build(vec![list(users(&["a\r"]))])), (2, Fault::Control));
    let ca = |name: &str| CertificatePattern::Named(name.parse().unwrap());
    let policy = build(vec![list(Members::Certificates(vec![ca("bücher.example"), ca("a.example")]))]).unwrap();
    assert_eq!(policy.lists()[0].to_string(), "certificates x = ca \"a.example\", ca \"xn--bcher-kva.example\"");
    assert_round_trip(&policy);
    let odd: Domains = [DomainPattern::Below("ｈik.example".parse().unwrap())].into_iter().collect();
    let odd = list(Members::Domains(DomainRole::Plain, odd));
    assert_eq!(fault(build(vec![odd])), (2, Fault::Domain(DomainError::Idna)));
    let twice = vec![list(users(&["a"])), list(users(&["b"]))];
    assert_eq!(fault(build(twice)), (3, Fault::DeclaredTwice { name: name("x"), first: 2 }));
    // Files.
    let domains = |text: &str| Members::Domains(DomainRole::Local, text.parse().unwrap());
    let with_file = || list(domains("a.example")).with_file("b.txt", "b.example\n").unwrap();
    let policy = build(vec![with_file()]).unwrap();
    assert_eq!(policy.lists()[0].to_string(), "local domains x = a.example, file \"b.txt\"");
    assert_eq!(policy.lists()[0].members, domains("a.example, b.example"));
    assert_round_trip(&policy);
    let mut more = with_file();
    more.members = domains("b.example, c.example");
    let policy = build(vec![more]).unwrap();
    assert_eq!(policy.lists()[0].to_string(), "local domains x = c.example, file \"b.txt\"");
    let mut fewer = with_file();
    fewer.members = domains("a.example");
    assert_eq!(fault(build(vec![fewer])), (2, Fault::FileMembers("b.txt".to_owned())));
    let twice = with_file().with_file("b.txt", "c.example").unwrap();
    assert_eq!(fault(build(vec![twice])), (2, Fault::FileTwice("b.txt".to_owned())));
    let error = list(domains("none")).with_file("b.txt", "ok.example\n-\n").unwrap_err();
    assert_eq!((error.file.as_deref(), error.line, error.column), (Some("b.txt"), 2, 1));
    let mut everything = list(domains("none")).with_file("b.txt", "*\nb.example\n[192.0.2.1]").unwrap();
    assert_eq!(everything.to_string(), "local domains x = file \"b.txt\"");
    everything.members = domains("*, a.example");
    assert_eq!(fault(build(vec![everything])), (2, Fault::FileMembers("b.txt".to_owned())));
    // A network that another one in the list holds is still there.
    let networks = Members::Networks(crate::Trust::Plain, "10.0.0.0/8".parse().unwrap());
    assert!(build(vec![list(networks).with_file("n", "10.1.0.0/16\n10.2.3.4").unwrap()]).is_ok());
    let networks = |text: &str| Members::Networks(crate::Trust::Plain, text.parse().unwrap());
    for (lost, is_lost) in [("9.0.0.0/8, 10.1.0.0/16", true), ("10.0.0.0/9, 10.3.0.0/16", true), ("8.0.0.0/5", false)] {
        let mut fewer = list(networks("none")).with_file("n", "10.1.0.0/16\n10.200.0.1").unwrap();
        fewer.members = networks(lost);
        assert_eq!(build(vec![fewer]).is_err(), is_lost, "{lost}");
    }
}

#[test]
fn what_must_not_be_used_is_told_with_its_rule() {
    let load = |text: &str| Policy::load(text, &mut |_| Err(String::new()), &Limits::default());
    let error = load("local domains ours = example.org\npermit when to ours\npermit when helo x.example").unwrap_err();
    let told = error.to_string();
    assert_eq!((error.line, error.text.as_str()), (3, "permit when helo x.example"), "{told}");
    assert!(told.lines().next().unwrap().contains("line 3") && told.contains("EHLO x.example"), "{told}");
    assert!(matches!(error.rejected.as_deref(), Some(PolicyError::Rejected(_))));
    assert!(load("open\npermit").is_ok() && load("refuse").is_ok());
    let error = load("permit when athenticated").unwrap_err();
    assert_eq!((error.column, error.rejected), (13, None));
}
