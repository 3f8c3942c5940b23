use crate::{Policy, TextError};

fn parse(text: &str) -> Result<Policy, TextError> {
    Policy::parse(text, &mut |file| match file {
        "partners.txt" => {
            Ok("# partners\npartner.example\r\n\n  *.partner.example # and all below\nlocalhost\n".to_owned())
        }
        "staff.txt" => Ok("alice\n\"bob the builder\"\ncarol@example.org\n".to_owned()),
        "bad.txt" => Ok("good.example\n\nfoo*.example\n".to_owned()),
        "two.txt" => Ok("a.example b.example\n".to_owned()),
        _ => Err("no such file".to_owned()),
    })
}

fn policy(text: &str) -> Policy {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn assert_round_trip(policy: &Policy) {
    let printed = policy.to_string();
    let again = parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(&again, policy, "{printed}");
    assert_eq!(again.to_string(), printed);
    assert_eq!(crate::PolicyBuilder::from(policy.clone()).build().as_ref(), Ok(policy));
}

/// All that the language has.
const WHOLE: &str = r#"open
# who we are
# (two lines)
local domains ours = example.org, *.example.org, "localhost", bücher.example, [192.0.2.1]
relay domains partners = partner.net, file "partners.txt"
domains blocked = none
trusted networks office = 10.0.0.0/8,
   2001:db8:12::/48   # the new building
trusted wide networks all = 0.0.0.0/0
networks bad = 203.0.113.7, ::1
trusted names printers = *.printers.example
names friends = *, [IPv6:2001:db8::1]
users staff = "alice", "bob \"the\" \\ builder", file "staff.txt"
certificates servers = spki "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ca "relay.example.org"
strangers from 172.17.0.1, fd00::1
strangers from 172.17.0.2
accounts open to anyone
credential custom vpn

# lists
refuse 550 5.7.1 "listed, see https://bl.example/%{ip}" when listed zen.example >= 3 or listed "localhost" >= -1
refuse when listed bl.example (unknown means yes)
refuse "no" when helo friends or helo foo.example or helo "localhost" or name printers or name *.example
refuse 553 when sender blocked or sender null or sender mailbox "\"a b\"@example.org" or sender owned
defer 450 4.7.1 "greylisted" when not authenticated and not known
defer when iprev fail, permerror and (spf softfail, none or not (tls and not on mx, submission))
"#;

#[test]
fn the_whole_language_prints_and_parses() {
    let text = WHOLE.replace("on mx, submission", "on submissions");
    let rest = r#"
limit 100/h per ip when from office or from 192.0.2.0/24 or from ::1
limit 5/s per network at recipient
shadow limit 7/d per domain when recipients > 100
quarantine when dmarc quarantine, reject
quarantine "odd" when size > 10M or size > 1000 or size > 3G or size > 0 or hops > 30
tag "x" at message when dkim pass, policy, neutral and arc fail and author aligned and dmarc fail, permerror, none, pass
shadow permit via smarthost at mail when authenticated as staff
permit when to ours or to partners or to anywhere or to * or to *.x.example or to mailbox "abuse@example.org"
permit when certificate any or certificate servers or certificate spki "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
permit when hours 22:00-06:30 and rate < 18446744073709551615/m per sender and rate < 1/h per user
permit when custom odd (unknown means no) and not recipient exists
# claims
never permit when not authenticated and sender ours
always refuse when sender blocked
never defer when to anywhere
# the end
"#;
    let policy = policy(&format!("{text}{rest}"));
    assert_round_trip(&policy);
    assert_eq!((policy.lists().len(), policy.rules().len(), policy.claims().len()), (10, 17, 3));
}

fn error(text: &str) -> TextError {
    match parse(text) {
        Err(error) => error,
        Ok(policy) => panic!("{text}\nparses as\n{policy}"),
    }
}

/// Line, column and message.
fn assert_error(text: &str, line: usize, column: usize, message: &str) {
    let found = error(text);
    assert_eq!((found.line, found.column, found.message.as_str()), (line, column, message), "{text}");
    assert_eq!(found.text, text.trim_start_matches('\u{feff}').lines().nth(line - 1).unwrap_or_default());
}

#[test]
fn places_and_reasons() {
    let ours = "local domains ours = example.org\n";
    let mut wrong = Vec::new();
    for (text, line, column, message) in [
        ("@permit when to our", 2, 16, "no list is named `our`; did you mean `ours`?"),
        ("networks x = 10.0.0.1/8", 1, 14, "10.0.0.1/8 has bits set after /8; the network is 10.0.0.0/8"),
        ("permit when athenticated", 1, 13, "`athenticated` is not a condition; did you mean `authenticated`?"),
        ("refuse 450 4.7.1 \"later\" when tls", 1, 8, "a refusal's code begins with 5; to answer 4xx write `defer`"),
        ("domains x = foo*.example", 1, 13, "`*` stands only for a whole first label: *.example.org"),
        (
            "networks m = ::/64",
            1,
            14,
            "::/64 would hold the IPv4-mapped addresses; an IPv4 client is matched by IPv4 networks only",
        ),
        ("@permit when to ours and", 2, 24, "expected a condition (from, to, sender, helo, …)"),
        ("@permit \"x", 2, 8, "text has no closing quote"),
        (
            "@permit when to ours and tls or authenticated",
            2,
            29,
            "`and` and `or` side by side can be read two ways; write parentheses: \
             `(to ours and tls) or authenticated` or `to ours and (tls or authenticated)`",
        ),
        (
            "permit when tls or known or authenticated and on mx",
            1,
            43,
            "`and` and `or` side by side can be read two ways; write parentheses: \
             `(tls or known or authenticated) and on mx` or `tls or known or (authenticated and on mx)`",
        ),
        ("", 1, 1, "the policy is empty; one that refuses everything says `refuse`"),
        ("# nothing\n\n", 1, 1, "the policy is empty; one that refuses everything says `refuse`"),
        ("@\nusers ours = \"a\"\npermit", 3, 7, "`ours` is declared twice, first in line 1"),
        ("domains x = a.example, b.example, A.example", 1, 35, "`a.example` stands here twice"),
        ("networks x = ::1, 10.0.0.0/8, 10.1.0.0/16,\n  10.0.0.0/8", 2, 3, "`10.0.0.0/8` stands here twice"),
        ("users x = \"a\", \"A\", \"a\"", 1, 21, "`a` stands here twice"),
        ("permit when spf pass, fail, pass", 1, 17, "`pass` stands here twice"),
        ("credential custom a\ncredential custom a", 2, 19, "`a` stands here twice"),
        (
            "refuse at mail when on mx and spf fail and\n  to x.example",
            2,
            3,
            "`to x.example` cannot be known before stage recipient; this rule is asked at mail",
        ),
        (
            "limit 10/h per ip at mail",
            1,
            7,
            "`rate < 10/h per ip` cannot be known before stage recipient; this rule is asked at mail",
        ),
        (
            "permit when from ours\nlocal domains ours = a.example",
            1,
            18,
            "`ours` is a list of domains; here stands a list of networks",
        ),
        ("@permit when helo our", 2, 18, "no list is named `our`; did you mean `ours`?"),
        ("@permit when to anywhre", 2, 16, "no list is named `anywhre`; did you mean `anywhere`?"),
        ("@permit when sender ownd", 2, 20, "no list is named `ownd`; did you mean `owned`?"),
        ("@permit when certificate ky", 2, 25, "no list is named `ky`"),
        ("@permit when authenticated as our", 2, 27, "no list is named `our`"),
        ("never permit when from nowhere", 1, 24, "no list is named `nowhere`"),
        ("permit when tls\nopen", 2, 1, "`open` stands once, before everything else"),
        ("open\nopen", 2, 1, "`open` stands once, before everything else"),
        ("open relay", 1, 6, "expected the end of the line, not `relay`"),
        ("Permit", 1, 1, "`Permit` does not begin a rule or a list; did you mean `permit`?"),
        ("example.org", 1, 1, "`example.org` does not begin a rule or a list"),
        ("shadow never", 1, 8, "`never` is not a rule; did you mean `defer`?"),
        ("shadow", 1, 7, "expected a rule"),
        ("permit wen tls", 1, 8, "expected `at`, `when` or the end of the line, not `wen`; did you mean `when`?"),
        ("permit at dawn", 1, 11, "expected connect, hello, mail, recipient or message, not `dawn`"),
        (
            "permit at mial",
            1,
            11,
            "expected connect, hello, mail, recipient or message, not `mial`; did you mean `mail`?",
        ),
        ("permit at mail wen tls", 1, 16, "expected `when` or the end of the line, not `wen`; did you mean `when`?"),
        ("permit via", 1, 11, "expected the name of a route"),
        ("permit via when tls", 1, 12, "expected the name of a route; `when` is a word of the policy language"),
        ("permit via 1a", 1, 12, "`1a` is no name: a name is a letter, then letters, digits, `-` and `_`"),
        ("permit when", 1, 12, "expected a condition (from, to, sender, helo, …)"),
        ("permit when # so", 1, 12, "expected a condition (from, to, sender, helo, …)"),
        ("permit when (tls", 1, 17, "expected `and`, `or` or `)`"),
        ("permit when (tls known", 1, 18, "expected `and`, `or` or `)`, not `known`"),
        ("permit when tls)", 1, 16, "expected `and`, `or` or the end of the line, not `)`"),
        ("permit when not not tls", 1, 17, "`not not` says nothing; leave both out"),
        ("permit when tls (unknown means maybe)", 1, 32, "expected `yes` or `no`, not `maybe`"),
        ("permit when tls (known)", 1, 18, "expected `unknown`, not `known`; did you mean `unknown`?"),
        (
            "permit when to anywhere (unknown means yes)",
            1,
            25,
            "expected `and`, `or` or the end: that is always known, not `(`",
        ),
        ("permit when on imap", 1, 16, "expected mx, submission, submissions or lmtp, not `imap`"),
        (
            "permit when on submision",
            1,
            16,
            "expected mx, submission, submissions or lmtp, not `submision`; did you mean `submission`?",
        ),
        ("permit when spf", 1, 16, "expected a result (none, neutral, pass, fail, softfail, policy, permerror)"),
        (
            "permit when dkim valid",
            1,
            18,
            "expected a result (none, pass, fail, policy, neutral, permerror), not `valid`",
        ),
        ("permit when arc pas", 1, 17, "expected a result (none, pass, fail), not `pas`; did you mean `pass`?"),
        ("permit when dmarc pass,", 1, 24, "expected a result (pass, none, fail, quarantine, reject, permerror)"),
        (
            "permit when spf temperror",
            1,
            17,
            "`temperror` means that it could not be found out; write what that counts as: (unknown means yes)",
        ),
        ("permit when listed zen", 1, 20, "expected the zone of a list, such as zen.example, not `zen`"),
        ("permit when listed zen.example >= many", 1, 35, "expected a score, not `many`"),
        ("permit when listed zen.example >= 3000000000", 1, 35, "3000000000 is too much for a score"),
        ("permit when listed zen_.example", 1, 20, "not a domain: address syntax error at octet 3"),
        ("permit when listed bücher.example", 1, 20, "a zone is written with its A-labels (xn--…)"),
        ("permit when size > 10MB", 1, 20, "expected a size, such as 500K or 10M, not `10MB`"),
        ("permit when size > 99999999999G", 1, 20, "99999999999G is too much for a size"),
        ("permit when size 10", 1, 18, "expected `>`, not `10`"),
        ("permit when hops > -1", 1, 20, "-1 is too much for a number"),
        ("permit when rate < 0/h per ip", 1, 18, "a rate is at least 1"),
        ("limit 0/h per ip", 1, 7, "a rate is at least 1"),
        ("limit 10/w per ip", 1, 7, "expected a rate, such as 100/h, not `10/w`"),
        ("limit 10/h per host", 1, 16, "expected ip, network, user, sender or domain, not `host`"),
        ("limit 10/h by ip", 1, 12, "expected `per`, not `by`"),
        ("permit when hours 8-17", 1, 19, "expected hours of the day (UTC), such as 22:00-06:00, not `8-17`"),
        (
            "permit when hours 08:60-17:00",
            1,
            19,
            "expected hours of the day (UTC), such as 22:00-06:00, not `08:60-17:00`",
        ),
        ("permit when hours 24:00-06:00", 1, 19, "hours lie between 00:00 and 24:00, and the first is not the last"),
        ("permit when hours 08:00-24:01", 1, 19, "hours lie between 00:00 and 24:00, and the first is not the last"),
        ("permit when hours 08:00-08:00", 1, 19, "hours lie between 00:00 and 24:00, and the first is not the last"),
        ("permit when author", 1, 19, "expected `aligned`"),
        ("permit when recipient exist", 1, 23, "expected `exists`, not `exist`; did you mean `exists`?"),
        (
            "permit when certificate spki \"sha256/x\"",
            1,
            30,
            "not a pin: write \"sha256/\" and the 44 base64 digits of the digest",
        ),
        ("permit when to mailbox abuse", 1, 24, "expected a mailbox in quotes, not `abuse`"),
        ("permit when to mailbox \"abuse\"", 1, 24, "not a mailbox: address syntax error at octet 5"),
        ("permit when name [192.0.2.1]", 1, 18, "a confirmed name is never an address literal"),
        ("permit when to \"a b\"", 1, 16, "not a domain: address syntax error at octet 1"),
        (
            "permit when to ｈik.example",
            1,
            16,
            "not an internationalised domain name; write it as it is registered, or its A-labels (xn--…)",
        ),
        ("refuse 55 when tls", 1, 8, "a reply code has three digits"),
        ("refuse 250 5.7.1 \"x\"", 1, 8, "a refusal's code begins with 5; to answer 4xx write `defer`"),
        ("defer 354 4.7.1", 1, 7, "a deferral's code begins with 4; to answer 5xx write `refuse`"),
        ("refuse 599 when tls", 1, 8, "599 is no reply code"),
        ("refuse 550 4.7.1", 1, 12, "4.7.1 does not go with 550; write 5.7.1"),
        ("refuse 550 5.7", 1, 12, "`5.7` is no enhanced status code, such as 5.7.1"),
        ("defer 550", 1, 7, "a deferral's code begins with 4; to answer 5xx write `refuse`"),
        (
            "refuse 550 \"%{ip} %{ipp}\"",
            1,
            8,
            "`%{ipp}` stands for nothing; there are %{ip}, %{name}, %{helo}, %{user}, %{sender} and %{recipient}; did you mean `ip`?",
        ),
        ("refuse \"%{ip\"", 1, 8, "`%{` is not closed; write `%{ip}`"),
        ("tag", 1, 4, "expected a mark in quotes"),
        ("tag \"\"", 1, 5, "an empty text says nothing"),
        ("tag x", 1, 5, "expected a mark in quotes, not `x`"),
        ("never perm when tls", 1, 7, "expected permit, refuse or defer, not `perm`"),
        ("never permit", 1, 13, "expected `when`"),
        ("accounts open", 1, 14, "expected `to`"),
        ("strangers from", 1, 15, "expected a network"),
        ("strangers from file \"a\"", 1, 21, "no file can stand here"),
        ("credential vpn", 1, 12, "expected `custom`, not `vpn`"),
        ("trusted domains x = a.example", 1, 9, "expected `networks`, not `domains`"),
        ("networks = 10.0.0.0/8", 1, 10, "expected the name of a list, not `=`"),
        ("networks x 10.0.0.0/8", 1, 12, "expected `=`, not `10.0.0.0/8`"),
        ("networks x =", 1, 13, "expected a network"),
        ("networks x = 10.0.0.0/8,", 1, 25, "expected a network"),
        ("networks x = 10.0.0.0/8 ::1", 1, 25, "expected `,` or the end of the line, not `::1`"),
        ("networks x = none, ::1", 1, 18, "expected `,` or the end of the line, not `,`"),
        ("networks x = office", 1, 14, "not a network: write 10.0.0.0/8, 2001:db8::/32 or one address"),
        ("domains x = localhost", 1, 13, "a name of one label is written in quotes: \"localhost\""),
        ("domains x = ours", 1, 13, "a name of one label is written in quotes: \"localhost\""),
        ("users x = alice", 1, 11, "expected a user in quotes, not `alice`"),
        ("users x = \"\"", 1, 11, "an empty text says nothing"),
        ("certificates x = \"a\"", 1, 18, "expected `ca`, not `\"`"),
        ("certificates x = ca \"a b\"", 1, 21, "not a domain: address syntax error at octet 1"),
        ("  permit", 1, 3, "a line that begins with a blank continues the one above, and there is none"),
        ("permit\n\n  when tls", 3, 3, "a line that begins with a blank continues the one above, and there is none"),
        ("permit\u{a0}when tls", 1, 7, "the character U+00A0 cannot stand here"),
        ("permit when\rtls", 1, 12, "expected a condition (from, to, sender, helo, …), not `\u{fffd}`"),
        ("tag \"a\u{7f}\"", 1, 7, "the character U+007F cannot stand in a text"),
        ("tag \"a\\n\"", 1, 7, "in a text, `\\` stands only before `\"` and `\\`"),
        ("# \u{1b}[31m\npermit", 2, 1, "a text has no line ends and no other control characters"),
        ("\u{feff}permitt", 1, 1, "`permitt` does not begin a rule or a list; did you mean `permit`?"),
        ("tag \"ü€𝄞\" whn tls", 1, 11, "expected `at`, `when` or the end of the line, not `whn`; did you mean `when`?"),
    ] {
        let text = text.replacen('@', ours, 1);
        let found = error(&text);
        if (found.line, found.column, found.message.as_str()) != (line, column, message) {
            wrong.push(format!(
                "{text}\n  {line}:{column} {message}\n  {}:{} {}",
                found.line, found.column, found.message
            ));
        }
        assert_eq!(found.text, text.trim_start_matches('\u{feff}').lines().nth(line - 1).unwrap_or_default());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_their_errors() {
    let policy = policy("local domains ours = a.example, file \"partners.txt\"\npermit when to ours\n");
    assert_eq!(policy.lists()[0].to_string(), "local domains ours = a.example, file \"partners.txt\"");
    let crate::Members::Domains(_, domains) = &policy.lists()[0].members else { panic!() };
    assert_eq!(domains.to_string(), "a.example, \"localhost\", partner.example, *.partner.example");
    assert_eq!(policy.lists()[0].files().collect::<Vec<_>>(), ["partners.txt"]);
    let printed = |text: &str| self::policy(text).lists()[0].to_string();
    // What stands in the file too is not said again.
    assert_eq!(printed("domains x = partner.example, file \"partners.txt\""), "domains x = file \"partners.txt\"");
    assert_eq!(printed("users x = file \"staff.txt\", \"dave\""), "users x = \"dave\", file \"staff.txt\"");
    assert_error("domains x = file \"none.txt\"", 1, 18, "\"none.txt\" cannot be read: no such file");
    assert_error("domains x = file none.txt", 1, 18, "expected the name of a file in quotes, not `none.txt`");
    assert_error(
        "domains x = file \"partners.txt\", file \"partners.txt\"",
        1,
        9,
        "the list names the file \"partners.txt\" twice",
    );
    for (text, file, line, column, message, shown) in [
        (
            "domains x = file \"bad.txt\"",
            "bad.txt",
            3,
            1,
            "`*` stands only for a whole first label: *.example.org",
            "foo*.example",
        ),
        (
            "domains x = file \"two.txt\"",
            "two.txt",
            1,
            11,
            "expected the end of the line: one member stands on one line, not `b.example`",
            "a.example b.example",
        ),
        ("certificates x = file \"two.txt\"", "two.txt", 1, 1, "expected `ca`, not `a.example`", "a.example b.example"),
    ] {
        let found = error(text);
        assert_eq!((found.line, found.column, found.message.as_str()), (line, column, message));
        assert_eq!((found.file.as_deref(), found.text.as_str()), (Some(file), shown));
    }
    let mut read = 0;
    let text = "domains a = file \"f\"\ndomains b = file \"f\"\npermit when to a or to b";
    Policy::parse(text, &mut |_| {
        read += 1;
        Ok("a.example".to_owned())
    })
    .unwrap();
    assert_eq!(read, 1);
}

#[test]
fn errors_print_with_a_caret() {
    assert_eq!(
        error("permit\npermit when athenticated").to_string(),
        "line 2, column 13: `athenticated` is not a condition; did you mean `authenticated`?\n  \
         permit when athenticated\n              ^"
    );
    assert_eq!(
        error("tag\t\"ü\"\twhn tls").to_string().lines().skip(1).collect::<Vec<_>>(),
        ["  tag\t\"ü\"\twhn tls", "     \t   \t^"]
    );
    assert_eq!(
        error("domains x = file \"bad.txt\"").to_string(),
        "bad.txt, line 3, column 1: `*` stands only for a whole first label: *.example.org\n  foo*.example\n  ^"
    );
    // Of a long line the part around the place.
    let long = format!("domains x = {}, foo*.example, {}", "a.example".repeat(20), "b.example".repeat(20));
    let shown = error(&long).to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[1].starts_with("  …") && lines[1].ends_with('…') && lines[1].chars().count() == 2 + 122, "{shown}");
    let caret = lines[2].chars().count() - 1;
    assert_eq!(lines[1].chars().skip(caret).take(12).collect::<String>(), "foo*.example");
    assert!(error("permit when \u{1b}tls").to_string().chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn lines_continue_and_comments_stay() {
    let text = "\u{feff}# about the file\r\n\r\n# ours\r\n#\r\nlocal domains ours = example.org, # the first\r\n\t# more\r\n  example.net\r\n\
        # gone\r\naccounts open to anyone\r\n# all of it\r\npermit # here\r\n when to ours\r\nnever permit when tls # so\r\n# the end";
    let policy = policy(text);
    assert_eq!(policy.lists()[0].comment, [" about the file", " ours", "", " the first", " more"]);
    assert_eq!(policy.rules()[0].comment, [" all of it", " here"]);
    assert_eq!(policy.claims()[0].comment, [" so"]);
    assert_eq!((policy.list_line(0), policy.line(0), policy.claim_line(0)), (5, 11, 13));
    assert_round_trip(&policy);
    assert_eq!(
        policy.to_string(),
        "# about the file\n# ours\n#\n# the first\n# more\nlocal domains ours = example.net, example.org\n\
         accounts open to anyone\n\n# all of it\n# here\npermit when to ours\n# so\nnever permit when tls\n\
         # what no rule matches: refuse 550 5.7.1 \"relaying denied\"\n"
    );
    let again = parse(&policy.to_string()).unwrap();
    assert_eq!((again.list_line(0), again.line(0), again.claim_line(0)), (6, 11, 13));
    let built = crate::PolicyBuilder::from(policy).build().unwrap();
    assert_eq!((built.list_line(0), built.line(0), built.claim_line(0)), (6, 11, 13));
}

#[test]
fn the_refusal_that_nobody_wrote_is_told_where_it_can_be_reached() {
    for (text, reachable) in [
        ("permit", false),
        ("refuse", false),
        ("permit when tls", true),
        ("shadow permit", true),
        ("limit 1/h per ip", true),
        ("tag \"x\"\nquarantine", true),
        ("defer\npermit when tls", false),
    ] {
        let told = "# what no rule matches: refuse 550 5.7.1 \"relaying denied\"";
        assert_eq!(policy(text).to_string().lines().last() == Some(told), reachable, "{text}");
    }
}

#[test]
fn defaults_of_replies() {
    for (text, printed) in [
        ("refuse", "refuse 550 5.7.1 \"relaying denied\""),
        ("refuse \"no\"", "refuse 550 5.7.1 \"no\""),
        ("refuse 553", "refuse 553 \"relaying denied\""),
        ("refuse 553 5.1.8", "refuse 553 5.1.8 \"relaying denied\""),
        ("refuse 550 \"\"", "refuse 550 \"\""),
        ("refuse 550 \"5.7.9 x\"", "refuse 550 5.7.9 \"x\""),
        ("refuse 550 5.7.1 \"5.7.9 x\"", "refuse 550 5.7.1 \"5.7.9 x\""),
        ("defer", "defer 450 4.7.1 \"try again later\""),
        ("defer 421 4.3.2 \"a\tb\"", "defer 421 4.3.2 \"a\tb\""),
    ] {
        let policy = policy(text);
        assert_eq!(policy.rules()[0].to_string(), printed, "{text}");
        assert_round_trip(&policy);
    }
}

#[test]
fn parentheses_nest_only_so_deep() {
    let nested = |depth: usize| format!("permit when {}tls and known{}", "(".repeat(depth), ")".repeat(depth));
    assert_round_trip(&policy(&nested(32)));
    assert_error(&nested(33), 1, 13 + 32, "parentheses within parentheses, more than 32 deep");
    let alternating = |depth: usize| {
        let open: String = (0..depth).map(|level| if level % 2 == 0 { "tls and (" } else { "tls or (" }).collect();
        format!("permit when {open}tls{}", ")".repeat(depth))
    };
    assert_round_trip(&policy(&alternating(32)));
    let deep = error(&nested(100_000));
    assert_eq!(deep.message, "parentheses within parentheses, more than 32 deep");
    assert_eq!(error(&format!("permit when {}", "not ".repeat(100_000))).column, 17);
}

#[test]
fn what_a_text_may_have_at_the_most() {
    let long = format!("# {}", "x".repeat((8 << 20) - 2));
    assert!(parse(&format!("{long}\npermit")).is_ok());
    assert_eq!(error(&format!("{long}x\npermit")).message, "the line has more than 8 MiB");
    let huge = format!("{}permit", "\n".repeat((64 << 20) - 5));
    assert_eq!(error(&huge).message, "the text has more than 64 MiB");
    // A file counts as often as it is named.
    let text: String = (0..65).map(|n| format!("domains x{n} = file \"f\"\n")).collect();
    let file = format!("#{}", "x".repeat((1 << 20) - 1));
    let read = Policy::parse(&text, &mut |_| Ok(file.clone()));
    assert_eq!(
        read.unwrap_err().to_string().lines().next().unwrap(),
        "line 65, column 20: the files have more than 64 MiB together"
    );
}
