//! The field as it is read.

use super::super::signature::{Kind, Signature};
use super::*;

const BH: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn read(value: &str, kind: Kind) -> Result<Signature, Problem> {
    let field = format!("DKIM-Signature:{value}\r\n");
    let header = Header::parse(field.as_bytes(), HeaderLimits::default()).unwrap();
    let (_, signature) = Signature::parse(&header.fields().next().unwrap(), kind);
    signature
}

#[test]
fn each_tag_that_must_be_there() {
    let tags = ["v=1", "a=rsa-sha256", "d=a.test", "s=s", "b=AAAA", &format!("bh={BH}"), "h=from"];
    assert!(read(&tags.join(";"), Kind::Dkim).is_ok());
    for (at, tag) in tags.iter().enumerate() {
        let mut others = tags.to_vec();
        others.remove(at);
        let name: &str = tag.split('=').next().unwrap();
        let missing = read(&others.join(";"), Kind::Dkim);
        assert!(matches!(missing, Err(Problem::MissingTag(found)) if found == name), "{tag}: {missing:?}");
        // Empty is not missing, and not good.
        others.insert(at, &tag[..=name.len()]);
        let expected = match name {
            "a" => Problem::Algorithm,
            "v" => Problem::BadTag("v"),
            "d" => Problem::BadTag("d"),
            "s" => Problem::BadTag("s"),
            "b" => Problem::BadTag("b"),
            "bh" => Problem::BadTag("bh"),
            _ => Problem::FromNotSigned,
        };
        assert_eq!(read(&others.join(";"), Kind::Dkim), Err(expected));
    }
    // v= may stand anywhere; a seal of ARC has none, and a number in i=.
    let turned: Vec<&str> = tags.iter().rev().copied().collect();
    assert!(read(&turned.join("; "), Kind::Dkim).is_ok());
    assert!(read(&format!("i=1; {}", tags[1..].join("; ")), Kind::Arc).is_ok());
    assert_eq!(read(&tags[1..].join("; "), Kind::Dkim), Err(Problem::MissingTag("v")));
}

#[test]
fn values_that_are_read() {
    let read = |more: &str| read(&format!("v=1;d=A.test;s=S.t_1;bh= {BH};h=a : From;{more}"), Kind::Dkim);
    let plain = read("a=rsa-sha256; b= AA\r\n AA ").unwrap();
    assert_eq!((plain.header, plain.body, plain.length, plain.below), (Simple, Simple, None, false));
    assert_eq!((plain.key.to_string(), plain.signature), ("s.t_1._domainkey.a.test".to_owned(), vec![0; 3]));
    for (form, header, body) in [
        ("simple", Simple, Simple),
        ("relaxed", Relaxed, Simple),
        ("simple/relaxed", Simple, Relaxed),
        ("relaxed/relaxed", Relaxed, Relaxed),
    ] {
        let found = read(&format!("a=ed25519-sha256;b=AAA;c={form}")).unwrap();
        assert_eq!((found.header, found.body, found.algorithm), (header, body, Algorithm::Ed25519Sha256));
    }
    for (more, expected) in [
        ("a=rsa-sha256;b=AA AA=A", Problem::BadTag("b")),
        ("a=rsa-sha256;b=A", Problem::BadTag("b")),
        ("a=rsa-sha256;b=@@@@", Problem::BadTag("b")),
        ("a=rsa-sha1;b=AAAA", Problem::BadTag("bh")),
        ("a=RSA-SHA256;b=AAAA", Problem::Algorithm),
        ("a=rsa-sha512;b=AAAA", Problem::Algorithm),
        ("a=rsa-sha256;b=AAAA;c=", Problem::BadTag("c")),
        ("a=rsa-sha256;b=AAAA;c=Relaxed", Problem::BadTag("c")),
        ("a=rsa-sha256;b=AAAA;c=relaxed/", Problem::BadTag("c")),
        ("a=rsa-sha256;b=AAAA;c=relaxed/nowsp", Problem::BadTag("c")),
        ("a=rsa-sha256;b=AAAA;c=simple/simple/simple", Problem::BadTag("c")),
    ] {
        assert_eq!(read(more), Err(expected), "{more}");
    }
    let long = format!("l={}", "9".repeat(76));
    assert_eq!(read(&format!("a=rsa-sha256;b=AAAA;{long}")).unwrap().length, Some(u64::MAX));
    assert_eq!(read(&format!("a=rsa-sha256;b=AAAA;{long}9")), Err(Problem::BadTag("l")));
}

/// The name of the key has at most 253 characters and labels of 63.
#[test]
fn names_that_are_too_long() {
    let label = "x".repeat(63);
    let read = |selector: &str, domain: &str| {
        let value = format!("v=1;a=rsa-sha256;d={domain};s={selector};b=AAAA;bh={BH};h=from");
        read(&value, Kind::Dkim).map(|signature| signature.key.to_string().len())
    };
    assert_eq!(read(&label, &format!("{label}.{label}.{}", "y".repeat(50))), Ok(253));
    assert_eq!(read(&label, &format!("{label}.{label}.{}", "y".repeat(51))), Err(Problem::BadTag("s")));
    assert_eq!(read(&format!("{label}x"), "a.test"), Err(Problem::BadTag("s")));
    assert_eq!(read("a", &format!("{label}x.test")), Err(Problem::BadTag("d")));
    for selector in ["a..b", ".a", "a.", "a\\.b", "*", "a b", "a/b", "-a", "a-"] {
        assert_eq!(read(selector, "a.test"), Err(Problem::BadTag("s")), "{selector}");
    }
}

/// A field with very many tags and one with very many names are read, and cost what they weigh.
#[test]
fn many_tags() {
    let many: String = (0..20_000).map(|at| format!("t{at}=x;")).collect();
    let value = format!("v=1;a=rsa-sha256;d=a.test;s=s;b=AAAA;bh={BH};{many}h=from");
    assert!(read(&value, Kind::Dkim).is_ok());
    assert_eq!(read(&format!("{value};t7=x"), Kind::Dkim), Err(Problem::TagTwice));
}
