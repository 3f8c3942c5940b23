//! On which line each part of a policy stands.

use crate::{PolicyBuilder, check::Place};

/// The line, counted from 1, of each part: in the text that was read, or as the policy prints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) lists: Vec<usize>,
    pub(crate) strangers: usize,
    pub(crate) credentials: Vec<usize>,
    pub(crate) rules: Vec<usize>,
    pub(crate) claims: Vec<usize>,
}

impl Lines {
    /// As the policy prints.
    pub(crate) fn printed(builder: &PolicyBuilder) -> Self {
        let PolicyBuilder { open, lists, settings, rules, claims } = builder;
        let mut line = usize::from(*open);
        let mut next = |comment: &[String]| {
            line += comment.len() + 1;
            line
        };
        let lists = lists.iter().map(|list| next(&list.comment)).collect::<Vec<_>>();
        let strangers = if settings.strangers.is_empty() { 0 } else { next(&[]) };
        if settings.accounts_open {
            next(&[]);
        }
        let credentials = settings.credentials.iter().map(|_| next(&[])).collect::<Vec<_>>();
        if next(&[]) == 1 {
            // Nothing stands above the rules, and no empty line either.
            line = 0;
        }
        let mut next = |comment: &[String]| {
            line += comment.len() + 1;
            line
        };
        let rules = rules.iter().map(|rule| next(&rule.comment)).collect();
        let claims = claims.iter().map(|claim| next(&claim.comment)).collect();
        Self { lists, strangers, credentials, rules, claims }
    }

    /// The line of a part.
    pub(crate) fn of(&self, place: Place) -> usize {
        match place {
            Place::Whole => 1,
            Place::List(index) => self.lists[index],
            Place::Credential(index) => self.credentials[index],
            Place::Rule(index, _) => self.rules[index],
            Place::Claim(index, _) => self.claims[index],
        }
    }
}
