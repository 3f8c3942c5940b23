//! What is well formed and yet hardly meant.

use std::collections::BTreeSet;

use hikyaku_wire::Host;

use crate::{
    Action, CertificateSet, Condition, DomainPattern, Domains, HostSet, Identifier, Members, NetworkSet, Networks,
    Note, Policy, Test, Trust,
};

impl Policy {
    /// What is well formed and yet hardly meant, in the order of the lines: lists that nothing
    /// asks, trusted ones because of which nothing is permitted, credentials that nothing asks,
    /// `*.x` where no list of domains holds `x`, and `0.0.0.0/0` or `::/0` without the other.
    pub fn warnings(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        self.unused(&mut notes);
        self.without_apex(&mut notes);
        for (index, list) in self.lists().iter().enumerate() {
            if let Members::Networks(_, networks) = &list.members {
                half(networks, self.list_line(index), &mut notes);
            }
        }
        half(&self.settings.strangers, self.lines.strangers, &mut notes);
        notes.sort_by_key(|note| note.line);
        notes
    }

    fn unused(&self, notes: &mut Vec<Note>) {
        let rules = self.rules.iter().map(|rule| &rule.when);
        let conditions: Vec<_> = rules.chain(self.claims.iter().map(|claim| &claim.when)).collect();
        let mut asked = BTreeSet::new();
        let mut customs = BTreeSet::new();
        for test in conditions.iter().flat_map(|condition| condition.tests()) {
            asked.extend(test.list());
            customs.extend(if let Test::Custom(name) = test { Some(name) } else { None });
        }
        let mut permits = BTreeSet::new();
        for rule in self.rules.iter().filter(|rule| matches!(rule.action, Action::Permit(_)) && !rule.shadow) {
            helpful(&rule.when, true, &mut permits);
        }
        for (index, list) in self.lists().iter().enumerate() {
            let trusted =
                matches!(list.members, Members::Networks(Trust::Trusted | Trust::Wide, _) | Members::Names(true, _));
            let name = &list.name;
            let text = match (asked.contains(name), permits.contains(name)) {
                (false, _) => format!("nothing asks the list `{name}`"),
                (true, false) if trusted => {
                    format!("`{name}` is trusted, but no rule permits because somebody is in it; `trusted` can go")
                }
                _ => continue,
            };
            notes.push(Note { line: Some(self.list_line(index)), text });
        }
        for (index, name) in self.settings.credentials.iter().enumerate() {
            if !customs.contains(name) {
                let text = format!("nothing asks for the credential `{name}`");
                notes.push(Note { line: Some(self.lines.credentials[index]), text });
            }
        }
    }

    fn without_apex(&self, notes: &mut Vec<Note>) {
        let lists = || {
            self.lists().iter().enumerate().filter_map(|(index, list)| match &list.members {
                Members::Domains(_, domains) => Some((index, domains)),
                _ => None,
            })
        };
        let below = |domains: &Domains| {
            let below = |pattern| if let DomainPattern::Below(name) = pattern { Some(name) } else { None };
            domains.iter().filter_map(below).collect::<Vec<_>>()
        };
        if lists().all(|(_, domains)| below(domains).is_empty()) {
            return;
        }
        let all: Domains = lists().flat_map(|(_, domains)| domains.iter()).collect();
        for (index, domains) in lists() {
            let mut bare = below(domains).into_iter().filter(|name| !all.holds(&Host::Domain(name.borrowed())));
            let Some(name) = bare.next() else { continue };
            let more = match bare.count() {
                0 => String::new(),
                more => format!(" (and {more} more like it)"),
            };
            let text = format!("*.{name} does not hold {name} itself, and no list does{more}");
            notes.push(Note { line: Some(self.list_line(index)), text });
        }
    }
}

/// All addresses of one family, and none of the other.
fn half(networks: &Networks, line: usize, notes: &mut Vec<Note>) {
    let whole =
        |family: bool| networks.iter().find(|network| network.prefix() == 0 && network.address().is_ipv4() == family);
    for (v4, other) in [(true, "IPv6"), (false, "IPv4")] {
        if let Some(network) = whole(v4).filter(|_| whole(!v4).is_none()) {
            notes.push(Note { line: Some(line), text: format!("{other} clients are not in {network}") });
        }
    }
}

/// The lists of which it helps to be a member: those that are not asked under `not`.
fn helpful<'a>(condition: &'a Condition, helps: bool, lists: &mut BTreeSet<&'a Identifier>) {
    match condition {
        Condition::Always => {}
        Condition::Test(test) | Condition::Assuming(test, _) if helps => lists.extend(test.list()),
        Condition::Test(_) | Condition::Assuming(..) => {}
        Condition::Not(inner) => helpful(inner, !helps, lists),
        Condition::All(inner) | Condition::Any(inner) => inner.iter().for_each(|one| helpful(one, helps, lists)),
    }
}

impl Test {
    /// The list that it asks.
    pub fn list(&self) -> Option<&Identifier> {
        match self {
            Self::From(NetworkSet::List(name))
            | Self::Name(HostSet::List(name))
            | Self::Helo(HostSet::List(name))
            | Self::Sender(HostSet::List(name))
            | Self::To(HostSet::List(name))
            | Self::Authenticated(Some(name))
            | Self::Certificate(CertificateSet::List(name)) => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<(usize, String)> {
        let policy = Policy::parse(text, &mut |_| Err(String::new())).unwrap();
        policy.warnings().into_iter().map(|note| (note.line.unwrap(), note.text)).collect()
    }

    #[test]
    fn lists_and_credentials_that_nothing_asks() {
        let text = "local domains ours = a.example\ndomains other = b.example\nusers staff = \"a\"\n\
            credential custom vpn\ncredential custom odd\nnames friends = c.example\ncertificates keys = ca \"x.example\"\n\
            permit when to ours and custom vpn\nnever permit when helo friends or authenticated as staff";
        assert_eq!(
            warnings(text),
            [
                (2, "nothing asks the list `other`".to_owned()),
                (5, "nothing asks for the credential `odd`".to_owned()),
                (7, "nothing asks the list `keys`".to_owned()),
            ]
        );
    }

    #[test]
    fn trusted_lists_because_of_which_nothing_is_permitted() {
        let trusted = |rules: &str| {
            warnings(&format!("trusted networks office = 10.0.0.0/8\ntrusted names posts = m.example\n{rules}"))
                .into_iter()
                .map(|(line, text)| (line, text.contains("`trusted` can go")))
                .collect::<Vec<_>>()
        };
        assert_eq!(trusted("permit when from office or name posts"), []);
        assert_eq!(trusted("permit when not (not from office and not name posts)"), []);
        assert_eq!(trusted("permit when not from office\nrefuse when name posts"), [(1, true), (2, true)]);
        assert_eq!(trusted("shadow permit when from office\npermit when name posts"), [(1, true)]);
        assert_eq!(trusted("refuse when not from office\npermit when name posts"), [(1, true)]);
        assert_eq!(trusted("permit when name posts"), [(1, false)]);
        assert_eq!(warnings("networks n = ::1\npermit when not from n\npermit"), []);
    }

    #[test]
    fn wildcards_without_the_domain_itself() {
        let apex = |list: &str, other: &str| {
            warnings(&format!("domains a = {list}\ndomains b = {other}\npermit when to a or to b"))
        };
        let note = |line: usize, text: &str| (line, text.to_owned());
        assert_eq!(apex("*.x.example, x.example", "none"), []);
        assert_eq!(apex("*.x.example", "X.example"), []);
        assert_eq!(
            apex("*.x.example, *.example", "example.org"),
            [note(1, "*.example does not hold example itself, and no list does")]
        );
        assert_eq!(
            apex("*.x.example, *.y.example, *.z.example", "*.q.example"),
            [
                note(1, "*.x.example does not hold x.example itself, and no list does (and 2 more like it)"),
                note(2, "*.q.example does not hold q.example itself, and no list does"),
            ]
        );
        assert_eq!(warnings("names a = *.x.example\npermit when helo a"), []);
    }

    #[test]
    fn half_of_the_addresses() {
        let note = |line: usize, text: &str| (line, text.to_owned());
        for (networks, expected) in [
            ("0.0.0.0/0", Some("IPv6 clients are not in 0.0.0.0/0")),
            ("::/0, 192.0.2.1", Some("IPv4 clients are not in ::/0")),
            ("::/0, 0.0.0.0/0", None),
            ("0.0.0.0/1, 128.0.0.0/1", None),
            ("2000::/3", None),
        ] {
            let in_list = warnings(&format!("permit when from a\nnetworks a = {networks}"));
            assert_eq!(in_list, expected.map(|text| note(2, text)).into_iter().collect::<Vec<_>>());
            let strangers = warnings(&format!("permit\n\nstrangers from {networks}"));
            assert_eq!(strangers, expected.map(|text| note(3, text)).into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_policy_without_doubts() {
        let ours = "local domains ours = a.example, *.a.example\npermit when to ours\n";
        assert_eq!(warnings(ours), []);
    }
}
