//! Examples of the standards, and what others have signed.

use super::*;

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

const BODY: &str = "\nHi.\n\nWe lost the game. Are you hungry yet?\n\nJoe.\n";
const KEY_6376: &str = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt\
    IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBc\
    WToIMmPSPDdQPNUYckcQ2QIDAQAB";

/// RFC 6376 appendix A.2, with the key of appendix C.
fn rfc6376() -> Vec<u8> {
    crlf(&format!(
        "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>
{BODY}"
    ))
}

/// RFC 8463 appendix A.3: one message signed with both algorithms.
fn rfc8463() -> Vec<u8> {
    crlf(&format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>
{BODY}"
    ))
}

fn keys() -> Zone {
    zone(&[
        ("brisbane._domainkey.example.com", KEY_6376),
        (
            "test._domainkey.football.example.com",
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\
                Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3\
                Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
        ),
        (
            "brisbane._domainkey.football.example.com",
            "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ),
    ])
}

fn reasons(message: &[u8]) -> Vec<Option<Problem>> {
    let (verified, ..) = check(message, &keys(), &Rules::default(), NOW);
    verified.into_iter().map(|one| one.reason).collect()
}

#[test]
fn rfc6376_appendix_a() {
    let (verified, ..) = check(&rfc6376(), &keys(), &Rules::default(), NOW);
    let one = &verified[0];
    assert_eq!((&one.reason, one.key_bits, one.algorithm), (&None, Some(1024), Some(Algorithm::RsaSha256)));
    assert_eq!(one.signature.as_deref(), Some("AuUoFEfD"));
}

#[test]
fn rfc8463_appendix_a() {
    assert_eq!(reasons(&rfc8463()), [None, None]);
    // The key decides, not the signature, what algorithm it is.
    let swapped = String::from_utf8(rfc8463()).unwrap().replace("a=ed25519", "a=rsa");
    assert_eq!(reasons(swapped.as_bytes()), [Some(Problem::KeyType), None]);
    let swapped = String::from_utf8(rfc8463()).unwrap().replace("a=rsa", "a=ed25519");
    assert_eq!(reasons(swapped.as_bytes()), [None, Some(Problem::KeyType)]);
}

/// No octet that is covered can be another one.
#[test]
fn every_octet_counts() {
    for message in [rfc6376(), rfc8463()] {
        let signed = message.windows(5).position(|five| five == b"From:").unwrap();
        for at in signed..message.len() {
            for bit in [1, 0x80] {
                let mut changed = message.clone();
                changed[at] ^= bit;
                let reasons = reasons(&changed);
                assert!(!reasons.contains(&None), "octet {at}, which is {:?}", char::from(message[at]));
            }
        }
    }
    // In the simple form all of the own field is signed but the value of b=.
    let message = rfc6376();
    let at = |text: &[u8]| message.windows(text.len()).position(|window| window == text).unwrap();
    for at in (0..at(b"AuUoFEf")).chain(at(b";\r\nReceived:")..at(b"From:")) {
        let mut changed = message.clone();
        changed[at] ^= 1;
        assert!(!reasons(&changed).contains(&None), "octet {at}, which is {:?}", char::from(message[at]));
    }
}

const KEY_SHA1: &str = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDXz6tr6ZRbJmq3gTrtmc3Kzu1PB+KFkNV2VAmdNM4SOXXa\
    7vbgH2Qfw2NwB28q5A5ocCHgA6BMEMcXTvv1D9LoKb+niM5JkGOt0Vs6wWSNqg2OPbym+QI7EMAWqArxVDbyKiyRkh1OSQiyJXCQDOXA8Mha\
    70YDscnWFSVVn3swKQIDAQAB";

/// D57, RFC 8301: rsa-sha1 passes only where somebody insists, and is not hashed or looked up
/// elsewhere. Signed by dkimpy.
#[test]
fn d57_sha1() {
    let message = crlf(
        "DKIM-Signature: v=1; a=rsa-sha1; c=relaxed/simple; d=example.test;
 i=@example.test; q=dns/txt; s=s; t=1795545049; h=from : subject;
 bh=/t0YeXgRpK9llnjqXbYY+NyRSAs=;
 b=Y8+gAbs10Uz01pRCaTI+NSxpWyZfGxTb3lGH5js0UsKte8esNbTd1BaKrvkdsF9Ao8VkQ
 weWagm7AAB6BqNdkmoP1Jj8mTVoGpE1JJxYcuc6d40rqVpScSDJ52KZJ7a0iI/jULt8jofI
 GUCtsQB92YoDj/QgcvJAHIlFD0ltQnw=
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.test;
 i=@example.test; q=dns/txt; s=s; t=1795545049; h=from : subject;
 bh=Ba3gj8+xBPQLJTahTfzW6RbWQ/XPgESxkCi2B66PSQg=;
 b=jSLxXToiOo3jjoLU2DcHpP5sVCjo6+JcwppkSYNHdRovcGJt7j0fJIB8kV7Wo7iRkGTI+
 hKjXGq95ZudxfQtN4j6wCl1c5znILOHu7E325zt82TK1bheIF+4N2Bc/kb99QndqUq94KZr
 3gGmUriTZ3AkTfqE8kRa8Cyw8Pvvg0Y=
From: Joe <joe@example.test>
Subject: sha1

Hello
",
    );
    let legacy = Rules { allow_legacy: true, ..Rules::default() };
    for (record, rules, expected, hashes) in [
        (KEY_SHA1.to_owned(), Rules::default(), [Some(Problem::Sha1), None], 1),
        (KEY_SHA1.to_owned(), legacy.clone(), [None, None], 2),
        (format!("{KEY_SHA1}; h=sha256"), legacy.clone(), [Some(Problem::KeyHash), None], 2),
        (format!("{KEY_SHA1}; h=sha1"), legacy, [None, Some(Problem::KeyHash)], 2),
    ] {
        let zone = zone(&[("s._domainkey.example.test", &record)]);
        let (verified, _, made) = check(&message, &zone, &rules, NOW);
        let reasons: Vec<Option<Problem>> = verified.into_iter().map(|one| one.reason).collect();
        assert_eq!((&reasons[..], made), (&expected[..], hashes));
    }
}
