//! What strangers send and publish to be taken for somebody else, or to make work.

use super::*;

/// What an attacker can send that some reader takes for mail of author.test, with SPF and a good
/// signature of attacker.test (D64: the server attacks of espoofer).
#[test]
fn d64_no_trick_makes_dmarc_pass_for_another_domain() {
    let client = |helo, sender| ["198.51.100.9", helo, sender, "mx.hik.test"];
    let froms = [
        "From: admin@author.test",
        "From: admin@author.test\r\nFrom: x@attacker.test",
        "From: x@attacker.test\r\nFrom: admin@author.test",
        " From: x@attacker.test\r\nFrom: admin@author.test",
        "From : x@attacker.test\r\nFrom: admin@author.test",
        "From: admin@author.test\r\nFrom : x@attacker.test",
        "From\r\n : x@attacker.test\r\nFrom: admin@author.test",
        "From: <x@attacker.test>, <admin@author.test>",
        "From: <x@attacker.test>(, <admin@author.test>)",
        "From: <x@attacker.test>admin@author.test",
        "From: admin@author.test(x@attacker.test)",
        "From: \"admin@author.test\" <admin@author.test>",
        "From: <admin@author.test\\>x@attacker.test>",
        "From: <@attacker.test,@any.test:admin@author.test>",
        "From: <@author.test:x@attacker.test>",
        "From: =?utf-8?B?YWRtaW5AYXV0aG9yLnRlc3Q=?=\r\nFrom: admin@author.test",
        "From: admin@author.test\0@attacker.test",
        "From: admin@author.test,x@attacker.test",
        "Sender: x@attacker.test\r\nFrom: admin@author.test",
        "From: admin@author.test.",
        "From: admin@AUTHOR.TEST",
        "From: group: admin@author.test;",
    ];
    let envelopes = [
        ("attacker.test", "x@attacker.test"),
        ("attacker.test", ""),
        ("attacker.test", "(author.test"),
        ("attacker.test", "x@attacker.test>admin@author.test"),
        ("attacker.test\0.author.test", "x@attacker.test\0@author.test"),
        ("author.test", "x@attacker.test"),
        ("attacker.test", "admin@author.test@attacker.test"),
        ("attacker.test", "\"admin@author.test\"@attacker.test"),
        ("attacker.test", "@author.test:x@attacker.test"),
    ];
    let author = name("author.test");
    for from in froms {
        let message = format!("{from}\r\nTo: b@example.test\r\nSubject: Money\r\n\r\nSend it.\r\n");
        let mut messages = vec![message.clone().into_bytes()];
        // Signed with the From that is theirs, where the signer signs it at all.
        let theirs = b"From: x@attacker.test\r\nTo: b@example.test\r\nSubject: Money\r\n\r\nSend it.\r\n";
        let signed = sign("attacker.test", theirs);
        let fields = &signed[..signed.len() - theirs.len()];
        messages.push([fields, message.as_bytes()].concat());
        for message in messages {
            for (helo, sender) in envelopes {
                let done = check(client(helo, sender), &message);
                let dmarc = done.dmarc.as_ref().unwrap();
                let spoofed = dmarc.result == results::Dmarc::Pass && dmarc.author.as_ref() == Some(&author);
                assert!(!spoofed, "{from:?} {helo:?} {sender:?}");
                // A result of its own for the author, or none with the reason: never `none`.
                let words =
                    [results::Dmarc::Fail, results::Dmarc::PermError, results::Dmarc::Pass, results::Dmarc::None];
                assert!(words.contains(&dmarc.result));
                assert!(dmarc.result != results::Dmarc::None || dmarc.author == Some(name("attacker.test")));
                field(&done);
            }
        }
    }
}

#[test]
fn d64_a_selector_that_hides_the_rest_of_its_name_is_none() {
    let fields = "DKIM-Signature: v=1; a=ed25519-sha256; d=author.test; s=s._domainkey.attacker.test.\0.any; h=from; \
                  bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n";
    let done = check(["198.51.100.9", "x.test", "x@attacker.test", "r"], &[fields.as_bytes(), MESSAGE].concat());
    assert_eq!(done.dkim.as_ref().unwrap()[0].result, results::Dkim::PermError);
    assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::Reject));
}

/// D63, C1.25.
#[test]
fn d63_nothing_that_a_peer_says_is_a_result() {
    for hello in
        ["a;dkim=pass", "a\r\nX: y", "a) dkim=pass (", "\"", "'", "\\", "a b", "", "ü.test", "a\0b", "[192.0.2.1]"]
    {
        for sender in
            ["\"x\t;spf=pass\"@d", "\"x\r\n\"@d", "x@d;dmarc=pass", "", "<>", "ü@ü.test", "a@b@c", "\"\\\"\"@d"]
        {
            let done = check(["192.0.2.7", hello, sender, "r"], MESSAGE);
            let read = field(&done);
            let words: Vec<_> = read.results().iter().map(|one| one.method().to_string()).collect();
            assert_eq!(words, ["iprev", "spf", "spf", "dkim", "dmarc"], "{hello:?} {sender:?}");
            let said = |at: usize, property| read.results()[at].property("smtp", property).unwrap().as_str().to_owned();
            let clean = |text: &str| text.replace(['\r', '\n', '\0'], "?");
            assert_eq!(said(1, "helo"), clean(hello));
            let from = if sender.is_empty() { format!("postmaster@{hello}") } else { sender.to_owned() };
            assert_eq!(said(2, "mailfrom"), clean(&from));
        }
    }
}

/// A client whose own records are a maze gets no other answer about the author.
#[test]
fn lookups_are_left_for_the_author_whatever_the_client_publishes() {
    let mut zone = zone();
    let mut text = String::from("$ORIGIN maze.test.\n@ TXT \"v=spf1");
    for at in 0..10 {
        text.push_str(&format!(" mx:m{at}.maze.test"));
    }
    text.push_str(" -all\"\n");
    for at in 0..10 {
        for host in 0..10 {
            text.push_str(&format!("m{at} MX 1 h{at}x{host}\nh{at}x{host} A 203.0.113.{host}\n"));
        }
    }
    for host in 0..20 {
        text.push_str(&format!("9.100.51.198.in-addr.arpa. PTR h0x{host}.maze.test.\n"));
    }
    zone.records.extend(text.parse::<Zone>().unwrap().records);
    let forged = "DKIM-Signature: v=1; a=rsa-sha256; d=author.test; s=none; h=from; bh=AAAA; b=AAAA\r\n".repeat(12);
    let message = [forged.as_bytes(), MESSAGE].concat();
    for (hello, sender) in [("maze.test", "x@maze.test"), ("maze.test", "anna@author.test"), ("maze.test", "")] {
        let records = Records::new(zone.clone());
        let lookups = records.lookups(Instant::now(), Budget::default());
        let done = judge(&rules(), &lookups, ["198.51.100.9", hello, sender, "r"], &[&message]);
        assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::Reject), "{hello} {sender}");
        assert!(lookups.asked() <= 50, "{}", lookups.asked());
        if sender == "anna@author.test" {
            assert_eq!(done.client.mail_from.as_ref().unwrap().result, results::Spf::Fail);
        }
        assert_eq!(done.client.helo.as_ref().unwrap().result, results::Spf::TempError);
    }
    // Also the keys of its signatures are looked up.
    let records = Records::new(zone.clone());
    let lookups = records.lookups(Instant::now(), Budget::default());
    let said = ["198.51.100.9", "maze.test", "x@maze.test", "r"];
    let done = judge(&rules(), &lookups, said, &[&sign("author.test", MESSAGE)]);
    assert_eq!(dmarc(&done), (results::Dmarc::Pass, dmarc::Policy::None));
    // Eight questions for an author with a long name, also where more signatures are allowed.
    let forged = (0..30).map(|at| {
        let hash = "Ck5SoRNWUpSR4X0COv7R5ub2pUTtl6xz4dTFz++ji4M=";
        format!("DKIM-Signature: v=1; a=rsa-sha256; d=d{at}.test; s=s; h=from; b=AAAA;\r\n bh={hash}\r\n")
    });
    let message = forged.collect::<String>() + "From: x@a.b.c.d.e.f.g.h.author.test\r\n\r\nbody\r\n";
    let mut many = rules();
    many.dkim.as_mut().unwrap().signatures = 30;
    for rules in [rules(), many] {
        let records = Records::new(zone.clone());
        let lookups = records.lookups(Instant::now(), Budget::default());
        let done = judge(&rules, &lookups, ["198.51.100.9", "maze.test", "x@maze.test", "r"], &[message.as_bytes()]);
        assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::Reject), "{}", lookups.asked());
    }
}

#[test]
fn an_author_with_more_parentheses_than_anything_is_read_once() {
    let from = [b"From: ".to_vec(), vec![b'('; 64 * 1024], b"\r\n\r\n".to_vec()].concat();
    let done = check(FULL, &from);
    assert_eq!(dmarc(&done).0, results::Dmarc::PermError);
    let from = [&b"From: "[..], &b"(".repeat(32), b"a@b.test", &b")".repeat(32), b"anna@author.test\r\n\r\n"].concat();
    field(&check(FULL, &from));
}

/// 10,000 signatures, 50 ARC sets, a maze for SPF and a long name of the author in one message.
#[test]
fn everything_hostile_at_once_keeps_to_the_budget() {
    let mut message = String::new();
    for at in 0..10_000 {
        message.push_str(&format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d=d{at}.test; s=s; h=from; b=AAAA;\r\n \
             bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\r\n"
        ));
    }
    for i in (1..=50).rev() {
        let cv = if i == 1 { "none" } else { "pass" };
        message.push_str(&format!(
            "ARC-Seal: i={i}; a=rsa-sha256; d=a{i}.test; s=s; cv={cv}; t=1; b=AAAA\r\n\
             ARC-Message-Signature: i={i}; a=rsa-sha256; d=a{i}.test; s=s; h=from; b=AAAA;\r\n \
             bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\r\n\
             ARC-Authentication-Results: i={i}; a{i}.test; dmarc=pass header.from=author.test\r\n"
        ));
    }
    message.push_str("From: x@a.b.c.d.e.f.g.h.i.j.k.author.test\r\n\r\nbody\r\n");
    let header = HeaderLimits { octets: 1 << 24, fields: 20_000, hops: 100 };
    let trusted_sealers = (1..=50).map(|i| name(&format!("a{i}.test"))).collect();
    let rules = Rules { header, trusted_sealers, ..Rules::default() };
    let records = Records::new(zone());
    let lookups = records.lookups(Instant::now(), Budget::default());
    let said = ["198.51.100.9", "x.test", "x@x.test", "r"];
    let results = now(ClientResults::check(&rules, &lookups, &client(said), NOW));
    let mut verifier = Verifier::new(&rules);
    message.as_bytes().chunks(4096).for_each(|piece| verifier.push(piece));
    assert!(verifier.hashes() <= 2, "{}", verifier.hashes());
    let done = now(verifier.finish(&lookups, results, NOW));
    assert!(lookups.asked() <= 50, "{}", lookups.asked());
    assert_eq!(done.dkim.as_ref().unwrap().len(), 10_000);
    assert_eq!(done.arc.as_ref().unwrap().result, results::Arc::Fail);
    assert_eq!(dmarc(&done), (results::Dmarc::Fail, dmarc::Policy::Reject));
    assert!(field(&done).field().len() < 8192);
}

/// Whatever the keys of others are, and how long they take, the author's record comes first.
#[test]
fn the_authors_record_is_looked_up_before_any_key() {
    let message = sign("attacker.test", &sign("author.test", MESSAGE));
    let records = Records::new(zone());
    let lookups = records.lookups(Instant::now(), Budget::default()).logged();
    let done = judge(&rules(), &lookups, ["198.51.100.9", "x.test", "x@attacker.test", "r"], &[&message]);
    assert_eq!(dmarc(&done).0, results::Dmarc::Pass);
    let asked: Vec<String> = lookups.log().iter().map(|lookup| lookup.name.to_string()).collect();
    let place =
        |name: &str| asked.iter().position(|asked| asked == name).unwrap_or_else(|| panic!("{name}: {asked:?}"));
    assert!(place("_dmarc.author.test") < place("s._domainkey.author.test"), "{asked:?}");
    assert!(place("_dmarc.author.test") < place("s._domainkey.attacker.test"), "{asked:?}");
}

/// What stands before the first field belongs to nothing, and some readers show it.
#[test]
fn a_line_before_the_first_field_breaks_signatures_and_hides_the_author() {
    let message = sign("author.test", MESSAGE);
    let with = |line: &[u8]| check(["198.51.100.9", "x.test", "", "r"], &[line, &message].concat());
    assert_eq!(with(b"").dkim.unwrap()[0].result, results::Dkim::Pass);
    let done = with(b" From: evil@attacker.test\r\n");
    assert_eq!(done.dkim.as_ref().unwrap()[0].result, results::Dkim::Fail);
    assert_eq!(dmarc(&done).0, results::Dmarc::PermError);
}

/// Where readers differ on what is a field, they may show another author.
#[test]
fn an_author_beside_malformed_lines_is_none() {
    for line in ["no colon\r\n", "From\u{a0}: ceo@author.test\r\n", "\x01From: ceo@author.test\r\n", ": x\r\n"] {
        let message = format!("From: a@attacker.test\r\n{line}From-X: y\r\n\r\nbody\r\n");
        let done = check(["198.51.100.9", "x.test", "x@attacker.test", "r"], message.as_bytes());
        assert_eq!(dmarc(&done).0, results::Dmarc::PermError, "{line:?}");
    }
    let done = check(["198.51.100.9", "x.test", "x@attacker.test", "r"], b"From : a@attacker.test\r\n\r\n");
    assert_eq!(dmarc(&done).0, results::Dmarc::None, "white space before the colon is read by all in the same way");
}
