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

/// The text of a policy, which may name two files: what parses prints, and what it prints parses
/// to the same policy; what does not parse is told with a place in the text.
pub fn policy_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut read = |file: &str| match file {
        "a" => Ok("a.test\n# a comment\n*.b.test\n".to_owned()),
        "b" => Ok("192.0.2.0/24\n2001:db8::/32\n".to_owned()),
        other => Err(format!("there is no file {other}")),
    };
    match Policy::parse(text, &mut read) {
        Ok(policy) => {
            let lines = text.lines().count();
            assert!((0..policy.rules().len()).all(|rule| (1..=lines).contains(&policy.line(rule))), "{policy}");
            let printed = policy.to_string();
            let again = Policy::parse(&printed, &mut read).unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(again, policy, "{printed}");
            assert_eq!(again.to_string(), printed);
        }
        Err(error) => {
            let last = text.lines().count().max(1);
            let is_in_file = error.file.is_some();
            assert!(error.column > 0 && error.line > 0 && (is_in_file || error.line <= last + 1), "{error:?}");
            assert!(!error.message.is_empty() && !error.to_string().contains('\0'), "{error:?}");
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
