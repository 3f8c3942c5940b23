//! What may be wrong with a part of a policy.

use crate::{DomainError, Identifier, Stage};

/// What is wrong with a list, a rule or a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is nothing in the policy.
    #[error("the policy is empty; one that refuses everything says `refuse`")]
    Empty,
    /// Two lists have one name.
    #[error("`{name}` is declared twice, first in line {first}")]
    DeclaredTwice {
        /// The name.
        name: Identifier,
        /// The line of the first.
        first: usize,
    },
    /// No list has this name.
    #[error("no list is named `{name}`{}", did_you_mean(.meant))]
    NoSuchList {
        /// The name.
        name: Identifier,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// The list that is asked is of another kind.
    #[error("`{name}` is a list of {is}; here stands a list of {takes}")]
    WrongKind {
        /// The name.
        name: Identifier,
        /// What it is a list of.
        is: &'static str,
        /// What it should be a list of.
        takes: &'static str,
    },
    /// A list names one file twice.
    #[error("the list names the file \"{0}\" twice")]
    FileTwice(String),
    /// A list has lost members that are in a file that it names.
    #[error("the list lacks members that are in its file \"{0}\"")]
    FileMembers(String),
    /// A domain that cannot be one.
    #[error("{0}")]
    Domain(#[from] DomainError),
    /// A zone of the DNS that is no name of ASCII letters.
    #[error("a zone is written with its A-labels (xn--…)")]
    Zone,
    /// A mailbox where only hosts are compared.
    #[error("a mailbox is compared with `to` and `sender` only")]
    Mailbox,
    /// An address literal where only names are compared.
    #[error("a confirmed name is never an address literal")]
    Literal,
    /// `refuse` with another code than 5xx.
    #[error("a refusal's code begins with 5; to answer 4xx write `defer`")]
    RefuseCode,
    /// `defer` with another code than 4xx.
    #[error("a deferral's code begins with 4; to answer 5xx write `refuse`")]
    DeferCode,
    /// A reply of several lines.
    #[error("the reply of a rule has one line")]
    ReplyLines,
    /// `%{…}` in a reply that stands for no fact.
    #[error("`%{{{name}}}` stands for nothing; there are %{{ip}}, %{{name}}, %{{helo}}, %{{user}}, %{{sender}} and %{{recipient}}{}", did_you_mean(.meant))]
    Macro {
        /// What stands in the braces.
        name: String,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// `%{` without the brace that closes it.
    #[error("`%{{` is not closed; write `%{{ip}}`")]
    MacroOpen,
    /// A text with a line end or another control character.
    #[error("a text has no line ends and no other control characters")]
    Control,
    /// A text that must say something, and is empty.
    #[error("an empty text says nothing")]
    EmptyText,
    /// A rate that nobody is below.
    #[error("a rate is at least 1")]
    Rate,
    /// Hours beyond the day, or none.
    #[error("hours lie between 00:00 and 24:00, and the first is not the last")]
    Hours,
    /// A test of a result without a result.
    #[error("no result is named")]
    NoResult,
    /// A member or a result that stands twice.
    #[error("`{0}` stands here twice")]
    Twice(String),
    /// A result that is none: it could not be found out.
    #[error("`temperror` means that it could not be found out; write what that counts as: (unknown means yes)")]
    TempError,
    /// A test that cannot be known at the stage of its rule.
    #[error("`{test}` cannot be known before stage {known}; this rule is asked at {at}")]
    TooEarly {
        /// The test, as it prints.
        test: String,
        /// The stage of the rule.
        at: Stage,
        /// The first stage at which the test can be known.
        known: Stage,
    },
    /// Conditions within conditions within conditions.
    #[error("parentheses within parentheses, more than {NESTING_LIMIT} deep")]
    Nesting,
    /// More of something than a policy may have.
    #[error("more than {most} {what}")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many it may have.
        most: usize,
    },
}

/// Parentheses within parentheses at the most.
pub(crate) const NESTING_LIMIT: usize = 32;
/// Lists, rules and claims at the most, each.
pub(crate) const ITEM_LIMIT: usize = 100_000;
/// Members of one list at the most.
pub(crate) const MEMBER_LIMIT: usize = 4_000_000;

/// `; did you mean …?`, if something may have been meant.
pub(crate) fn did_you_mean(word: &Option<String>) -> String {
    word.as_ref().map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// The word that may have been meant: the nearest by the number of letters to be changed, added,
/// left out or exchanged with the next; `None` if none is near.
pub(crate) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = word.chars().count();
    // Fewer than half of the letters, and no long words.
    let most = if length > 64 { 0 } else { (length.saturating_sub(1) / 2).min(3) };
    let near = words.into_iter().filter(|other| other.chars().count().abs_diff(length) <= most);
    let near = near.map(|other| (distance(word, other), other)).filter(|(distance, _)| *distance <= most);
    // Of those that are equally near, the first.
    near.min_by_key(|(distance, _)| *distance).map(|(_, other)| other.to_owned())
}

/// Letters to be changed, added, left out or exchanged with the next; case does not count.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.chars().map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let changed = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

/// Whether a rule may ask for these results; one of them may mean that it could not be found out.
pub(crate) fn check_results<T: PartialEq + ToString>(results: &[T], temp_error: Option<T>) -> Result<(), Fault> {
    if results.is_empty() {
        return Err(Fault::NoResult);
    }
    for (index, result) in results.iter().enumerate() {
        if temp_error.as_ref() == Some(result) {
            return Err(Fault::TempError);
        }
        if results[..index].contains(result) {
            return Err(Fault::Twice(result.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        let words = ["ours", "office", "partners", "tls", "to"];
        for (word, expected) in [
            ("our", Some("ours")),
            ("OURS", Some("ours")),
            ("ofice", Some("office")),
            ("offcie", Some("office")),
            ("parters", Some("partners")),
            ("prters", Some("partners")),
            ("tsl", Some("tls")),
            ("tlls", Some("tls")),
            ("tllls", Some("tls")),
            ("ls", None),
            ("t", None),
            ("xyz", None),
            ("partisans", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words).as_deref(), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(65), ["x"; 1]), None);
    }

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "abd", 1), ("abcd", "acbd", 1), ("abc", "ca", 3), ("ab", "ba", 1)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
