//! What the fuzz targets call: parse, print and parse again.

use std::{fmt::Display, str::FromStr};

use crate::{
    Domains, Networks, Policy,
    random::{Choices, policy},
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
    }
}
