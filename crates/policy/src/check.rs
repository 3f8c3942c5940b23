//! Whether lists, rules and claims are a policy: what a text and a program are both held to.

use std::collections::BTreeSet;

use hikyaku_message::results;
use hikyaku_wire::{Host, Mailbox, Reply};

use crate::{
    Action, CertificateSet, Claim, Condition, DomainPattern, HostSet, Identifier, List, Members, NetworkSet,
    PolicyBuilder, Rate, Rule, Test,
    domains::with_a_labels,
    fault::{Fault, ITEM_LIMIT, MEMBER_LIMIT, NESTING_LIMIT, check_results, nearest},
    lines::Lines,
    list::{Lists, SameName},
};

/// A part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere in particular.
    Whole,
    List(usize),
    Credential(usize),
    Rule(usize, Part),
    Claim(usize, Part),
}

/// A part of a rule or a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Where it begins.
    Start,
    /// What stands behind its verb.
    Argument,
    /// One of its tests, counted from 0 as [`Condition::tests`] gives them.
    Test(usize),
    /// What stands behind the test's word.
    TestArgument(usize),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: Place,
    pub(crate) fault: Fault,
}

/// A builder whose parts are as they are compared and printed.
pub(crate) struct Checked {
    pub(crate) builder: PolicyBuilder,
    pub(crate) lists: Lists,
}

/// Puts all parts into the form in which they are compared and printed, and checks them.
pub(crate) fn check(mut builder: PolicyBuilder, lines: &Lines) -> Result<Checked, Problem> {
    let whole = |fault| Problem { place: Place::Whole, fault };
    if builder == PolicyBuilder::default() {
        return Err(whole(Fault::Empty));
    }
    let counts = [
        ("lists", builder.lists.len()),
        ("rules", builder.rules.len()),
        ("claims", builder.claims.len()),
        ("credentials", builder.settings.credentials.len()),
    ];
    if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count > ITEM_LIMIT) {
        return Err(whole(Fault::TooMany { what, most: ITEM_LIMIT }));
    }
    for (index, list) in builder.lists.iter_mut().enumerate() {
        check_list(list).map_err(|fault| Problem { place: Place::List(index), fault })?;
    }
    let lists = Lists::new(std::mem::take(&mut builder.lists)).map_err(|SameName { name, first, second }| Problem {
        place: Place::List(second),
        fault: Fault::DeclaredTwice { name, first: lines.lists[first] },
    })?;
    let mut seen = BTreeSet::new();
    for (index, name) in builder.settings.credentials.iter().enumerate() {
        if !seen.insert(name) {
            return Err(Problem { place: Place::Credential(index), fault: Fault::Twice(name.to_string()) });
        }
    }
    for (index, rule) in builder.rules.iter_mut().enumerate() {
        check_rule(rule, &lists).map_err(|(part, fault)| Problem { place: Place::Rule(index, part), fault })?;
    }
    for (index, claim) in builder.claims.iter_mut().enumerate() {
        check_claim(claim, &lists).map_err(|(part, fault)| Problem { place: Place::Claim(index, part), fault })?;
    }
    Ok(Checked { builder, lists })
}

fn check_list(list: &mut List) -> Result<(), Fault> {
    if list.members.len() > MEMBER_LIMIT {
        return Err(Fault::TooMany { what: "members", most: MEMBER_LIMIT });
    }
    check_comment(&mut list.comment)?;
    list.members = std::mem::replace(&mut list.members, Members::Users(Vec::new())).normal()?;
    if let Members::Users(users) = &list.members {
        users.iter().try_for_each(|user| check_text(user, false))?;
    }
    let mut seen = BTreeSet::new();
    for (file, members) in &list.files {
        check_text(file, false)?;
        if !seen.insert(file) {
            return Err(Fault::FileTwice(file.clone()));
        }
        if !list.members.hold(members) {
            return Err(Fault::FileMembers(file.clone()));
        }
    }
    Ok(())
}

fn check_comment(comment: &mut [String]) -> Result<(), Fault> {
    for line in comment {
        line.truncate(line.trim_end().len());
        check_text(line, true)?;
    }
    Ok(())
}

/// Whether a text can stand in quotes.
fn check_text(text: &str, may_be_empty: bool) -> Result<(), Fault> {
    if text.is_empty() && !may_be_empty {
        return Err(Fault::EmptyText);
    }
    match text.contains(|c: char| c.is_control() && c != '\t') {
        true => Err(Fault::Control),
        false => Ok(()),
    }
}

fn check_rule(rule: &mut Rule, lists: &Lists) -> Result<(), (Part, Fault)> {
    let start = |fault| (Part::Start, fault);
    let argument = |fault| (Part::Argument, fault);
    check_comment(&mut rule.comment).map_err(start)?;
    match &rule.action {
        Action::Permit(_) => {}
        Action::Refuse(reply) if !reply.is_permanent() => return Err(argument(Fault::RefuseCode)),
        Action::Defer(reply) if !reply.is_transient() => return Err(argument(Fault::DeferCode)),
        Action::Refuse(reply) | Action::Defer(reply) => check_reply(reply).map_err(argument)?,
        Action::Limit(rate) => check_rate(rate).map_err(argument)?,
        Action::Quarantine(why) => check_text(why.as_deref().unwrap_or_default(), true).map_err(argument)?,
        Action::Tag(tag) => check_text(tag, false).map_err(argument)?,
    }
    check_condition(&mut rule.when, lists)?;
    let Some(at) = rule.at else { return Ok(()) };
    let early =
        |test: &Test| (test.stage() > at).then(|| Fault::TooEarly { test: test.to_string(), at, known: test.stage() });
    if let Action::Limit(rate) = rule.action
        && let Some(fault) = early(&Test::Rate(rate))
    {
        return Err(argument(fault));
    }
    let tests = rule.when.tests();
    match tests.into_iter().enumerate().find_map(|(index, test)| Some((index, early(test)?))) {
        Some((index, fault)) => Err((Part::Test(index), fault)),
        None => Ok(()),
    }
}

fn check_claim(claim: &mut Claim, lists: &Lists) -> Result<(), (Part, Fault)> {
    check_comment(&mut claim.comment).map_err(|fault| (Part::Start, fault))?;
    check_condition(&mut claim.when, lists)
}

/// What `%{…}` may stand for in the text of a reply.
const MACROS: [&str; 6] = ["ip", "name", "helo", "user", "sender", "recipient"];

fn check_reply(reply: &Reply) -> Result<(), Fault> {
    let mut lines = reply.lines();
    let text = lines.next().unwrap_or_default();
    if lines.next().is_some() {
        return Err(Fault::ReplyLines);
    }
    check_text(text, true)?;
    for (at, _) in text.match_indices("%{") {
        // Not further than the longest name: what is not closed is not looked for again and again.
        let name: String = text[at + 2..].chars().take_while(|c| *c != '}').take(64).collect();
        if !text[at + 2 + name.len()..].starts_with('}') {
            return Err(Fault::MacroOpen);
        }
        if !MACROS.contains(&name.as_str()) {
            let meant = nearest(&name, MACROS);
            return Err(Fault::Macro { name, meant });
        }
    }
    Ok(())
}

fn check_rate(rate: &Rate) -> Result<(), Fault> {
    if rate.limit == 0 { Err(Fault::Rate) } else { Ok(()) }
}

/// Conditions within conditions at the most, of which some are written without parentheses.
const DEPTH_LIMIT: usize = 4 * NESTING_LIMIT;

fn check_condition(condition: &mut Condition, lists: &Lists) -> Result<(), (Part, Fault)> {
    if is_deeper(condition, DEPTH_LIMIT) {
        return Err((Part::Start, Fault::Nesting));
    }
    *condition = normal(std::mem::replace(condition, Condition::Always));
    if parentheses(condition) > NESTING_LIMIT {
        return Err((Part::Start, Fault::Nesting));
    }
    let mut index = 0;
    check_tests(condition, &mut index, lists).map_err(|fault| (Part::TestArgument(index), fault))
}

fn is_deeper(condition: &Condition, limit: usize) -> bool {
    match (condition, limit) {
        (Condition::Always | Condition::Test(_) | Condition::Assuming(..), _) => false,
        (_, 0) => true,
        (Condition::Not(inner), _) => is_deeper(inner, limit - 1),
        (Condition::All(inner) | Condition::Any(inner), _) => inner.iter().any(|one| is_deeper(one, limit - 1)),
    }
}

/// The same with two at least in each `and` and `or`.
fn normal(condition: Condition) -> Condition {
    let each = |inner: Vec<Condition>| inner.into_iter().map(normal).collect::<Vec<_>>();
    let alone = |inner: &mut Vec<Condition>| if inner.len() == 1 { inner.pop() } else { None };
    match condition {
        Condition::Not(inner) => Condition::Not(Box::new(normal(*inner))),
        Condition::All(inner) if inner.is_empty() => Condition::Always,
        Condition::Any(inner) if inner.is_empty() => Condition::Not(Box::new(Condition::Always)),
        Condition::All(inner) => {
            let mut inner = each(inner);
            alone(&mut inner).unwrap_or(Condition::All(inner))
        }
        Condition::Any(inner) => {
            let mut inner = each(inner);
            alone(&mut inner).unwrap_or(Condition::Any(inner))
        }
        one => one,
    }
}

/// Parentheses within parentheses, as it prints.
fn parentheses(condition: &Condition) -> usize {
    let inside = |one: &Condition, in_not: bool| match one {
        Condition::All(_) | Condition::Any(_) => 1 + parentheses(one),
        Condition::Not(_) if in_not => 1 + parentheses(one),
        _ => parentheses(one),
    };
    match condition {
        Condition::Always | Condition::Test(_) | Condition::Assuming(..) => 0,
        Condition::Not(inner) => inside(inner, true),
        Condition::All(inner) | Condition::Any(inner) => inner.iter().map(|one| inside(one, false)).max().unwrap_or(0),
    }
}

/// Checks the tests in order; `index` counts them, and stays at the one that is wrong.
fn check_tests(condition: &mut Condition, index: &mut usize, lists: &Lists) -> Result<(), Fault> {
    match condition {
        Condition::Always => Ok(()),
        Condition::Test(test) | Condition::Assuming(test, _) => {
            check_test(test, lists)?;
            *index += 1;
            Ok(())
        }
        Condition::Not(inner) => check_tests(inner, index, lists),
        Condition::All(inner) | Condition::Any(inner) => {
            inner.iter_mut().try_for_each(|one| check_tests(one, index, lists))
        }
    }
}

fn check_test(test: &mut Test, lists: &Lists) -> Result<(), Fault> {
    const HOSTS: &[&str] = &["domains", "names"];
    match test {
        Test::From(NetworkSet::List(name)) => check_name(name, &["networks"], &[], lists),
        Test::From(NetworkSet::Network(_)) => Ok(()),
        Test::Hours(hours) => match hours.from < 1440 && hours.until <= 1440 && hours.from != hours.until {
            true => Ok(()),
            false => Err(Fault::Hours),
        },
        Test::Name(HostSet::Mailbox(_)) | Test::Helo(HostSet::Mailbox(_)) => Err(Fault::Mailbox),
        Test::Name(HostSet::Pattern(DomainPattern::Address(_))) => Err(Fault::Literal),
        Test::Name(set) | Test::Helo(set) => check_hosts(set, HOSTS, &[], lists),
        Test::Sender(set) => check_hosts(set, &["domains"], &["owned", "null", "mailbox"], lists),
        Test::To(set) => check_hosts(set, &["domains"], &["anywhere", "mailbox"], lists),
        Test::Authenticated(Some(name)) => check_name(name, &["users"], &[], lists),
        Test::Certificate(CertificateSet::List(name)) => check_name(name, &["certificates"], &["any", "spki"], lists),
        Test::Listed { zone, .. } if !zone.is_ascii() => Err(Fault::Zone),
        Test::Rate(rate) => check_rate(rate),
        Test::Iprev(results) => check_results(results, Some(results::Iprev::TempError)),
        Test::Spf(results) => check_results(results, Some(results::Spf::TempError)),
        Test::Dkim(results) => check_results(results, Some(results::Dkim::TempError)),
        Test::Arc(results) => check_results(results, None),
        Test::Dmarc(results) => check_results(results, None),
        Test::On(_)
        | Test::Listed { .. }
        | Test::Tls
        | Test::Authenticated(None)
        | Test::Certificate(CertificateSet::Trusted | CertificateSet::Spki(_))
        | Test::SenderNull
        | Test::SenderOwned
        | Test::RecipientExists
        | Test::Known
        | Test::Recipients(_)
        | Test::Size(_)
        | Test::Hops(_)
        | Test::AuthorAligned
        | Test::Custom(_) => Ok(()),
    }
}

fn check_hosts(set: &mut HostSet, kinds: &[&'static str], words: &[&'static str], lists: &Lists) -> Result<(), Fault> {
    match set {
        HostSet::List(name) => return check_name(name, kinds, words, lists),
        HostSet::Pattern(pattern) => {
            *pattern = std::mem::replace(pattern, DomainPattern::All).normal()?;
        }
        HostSet::Mailbox(mailbox) => {
            if let Host::Domain(domain) = mailbox.host() {
                let host = Host::Domain(with_a_labels(domain.clone())?);
                *mailbox = Mailbox::new(mailbox.local().clone(), host).map_err(crate::DomainError::Syntax)?;
            }
            check_text(&mailbox.to_string(), false)?;
        }
    }
    Ok(())
}

fn check_name(name: &Identifier, kinds: &[&'static str], words: &[&'static str], lists: &Lists) -> Result<(), Fault> {
    match lists.get(name).map(|list| list.members.kind()) {
        Some(kind) if kinds.contains(&kind) => Ok(()),
        Some(is) => Err(Fault::WrongKind { name: name.clone(), is, takes: kinds[0] }),
        None => {
            let fitting = lists.as_slice().iter().filter(|list| kinds.contains(&list.members.kind()));
            let candidates = words.iter().copied().chain(fitting.map(|list| list.name.as_str()));
            let meant = nearest(name.as_str(), candidates);
            Err(Fault::NoSuchList { name: name.clone(), meant })
        }
    }
}

#[cfg(test)]
mod tests;
