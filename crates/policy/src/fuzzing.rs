//! What the fuzz targets call: parse, print and parse again.

use std::{fmt::Display, str::FromStr};

use crate::{
    Domains, Limits, Networks, Policy,
    random::{Choices, Edges, agree, policy},
};

/// A list of networks: whatever parses prints, and what prints parses to the same list.
pub fn policy_networks(data: &[u8]) {
    if let Some(networks) = round_trip::<Networks>(data) {
        for network in networks.iter() {
            assert!(networks.contains(network.address()), "{network} in {networks}");
        }
    }
}

/// A list of domains: whatever parses prints, and what prints parses to the same list.
pub fn policy_domains(data: &[u8]) {
    round_trip::<Domains>(data);
}

/// The text of a policy: it is refused at a place that is in it, or what it prints parses to the
/// same policy.
pub fn policy_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut read = |file: &str| match file.as_bytes().first() {
        Some(b'n') => Ok("# networks\n10.0.0.0/8\n\n::1 # here".to_owned()),
        Some(b'u') => Ok("alice\n\"b c\"\r\n".to_owned()),
        Some(b'c') => Ok("ca \"a.example\"".to_owned()),
        Some(_) => Ok("a.example\n*.b.example\nlocalhost\n[192.0.2.1]\n*".to_owned()),
        None => Err("it has no name".to_owned()),
    };
    match Policy::parse(text, &mut read) {
        Ok(policy) => {
            let printed = policy.to_string();
            let again = Policy::parse(&printed, &mut read).unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(again, policy, "{printed}");
            assert_eq!(again.to_string(), printed);
            policy.warnings();
        }
        Err(error) => {
            let lines = text.strip_prefix('\u{feff}').unwrap_or(text).split('\n');
            let line = lines.map(|line| line.strip_suffix('\r').unwrap_or(line)).nth(error.line - 1);
            assert!(error.file.is_some() || line == Some(error.text.as_str()), "{error:?}");
            assert!((1..=error.text.chars().count() + 2).contains(&error.column), "{error:?}");
            assert!(!error.message.is_empty() && error.to_string().lines().count() == 3, "{error:?}");
        }
    }
}

/// A policy as a program builds it: what it prints is that policy.
pub fn policy_print(data: &[u8]) {
    let policy = policy(&mut Choices::new(data));
    let printed = policy.to_string();
    let read = Policy::parse(&printed, &mut |file| Err(format!("no file is named here: {file}")));
    let read = read.unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(read, policy, "{printed}");
    assert_eq!(read.to_string(), printed);
}

/// A policy as a program builds it, and facts at its edges: what is proved of it is so for them.
pub fn policy_prove(data: &[u8]) {
    let mut choices = Choices::new(data);
    let policy = policy(&mut choices);
    let limits = Limits { steps: 300_000 };
    let verdict = policy.verdict(&limits).ok();
    if let Some(verdict) = &verdict {
        agree::open(&policy, verdict);
    }
    let edges = Edges::new(&[&policy]);
    for _ in 0..32 {
        let facts = edges.facts(&mut choices);
        agree::decided(&policy, &facts);
        if let Some(verdict) = &verdict {
            agree::closed(&policy, verdict, &facts);
        }
        if choices.is_empty() {
            break;
        }
    }
}

fn round_trip<T: FromStr + Display + PartialEq>(data: &[u8]) -> Option<T> {
    let list: T = std::str::from_utf8(data).ok()?.parse().ok()?;
    let printed = list.to_string();
    assert!(printed.parse().is_ok_and(|again: T| again == list && again.to_string() == printed), "{printed}");
    Some(list)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let files = fs::read_dir(&folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        assert!(files.inspect(|data| run(data)).count() > 0, "no seeds in {}", folder.display());
    }

    #[test]
    fn the_corpus_is_replayed() {
        replay("policy_networks", policy_networks);
        replay("policy_domains", policy_domains);
        replay("policy_print", policy_print);
        replay("policy_prove", policy_prove);
        replay("policy_text", policy_text);
    }
}
