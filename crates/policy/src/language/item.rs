//! Items: lists, settings, rules and claims, a line each with the lines that continue it.

use std::collections::BTreeSet;

use hikyaku_wire::{Code, EnhancedCode, Reply};
use nom::{Parser, combinator::opt};

use super::{
    condition::{TestPlace, condition, name, pin, rate, some_text},
    lexis::{
        Parsed, Syntax, Word, end, has, must, must_symbol, one_of, shown, symbol, text, unexpected, word, words, wrong,
    },
    words::{BEGINNINGS, STAGES, VERBS},
};
use crate::{
    Action, CertificatePattern, Claim, Condition, DomainPattern, DomainRole, Domains, Fault, Identifier, Members,
    Network, Networks, Rule, Trust, Verb,
    fault::{did_you_mean, nearest},
};

/// What a line says. Places are octets of the item from there to its end.
#[derive(Debug)]
pub(super) enum Item {
    Open(usize),
    List(ListItem),
    Strangers(Networks),
    AccountsOpen,
    Credential(Identifier, usize),
    Rule(Rule, Places),
    Claim(Claim, Places),
}

#[derive(Debug)]
pub(super) struct ListItem {
    pub(super) name: Identifier,
    /// Where the name stands.
    pub(super) place: usize,
    /// The members that stand in the item.
    pub(super) members: Members,
    /// The files, each with its place.
    pub(super) files: Vec<(String, usize)>,
}

/// Where the parts of a rule or a claim stand.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) start: usize,
    pub(super) argument: usize,
    pub(super) tests: Vec<TestPlace>,
}

/// One item, whole.
pub(super) fn item(input: &str) -> Result<Item, Syntax> {
    let whole = |input| {
        let (rest, item) = beginning(input)?;
        match end(rest) {
            Ok(_) => Ok(item),
            Err(_) => Err(after(rest, &item)),
        }
    };
    whole(input).map_err(|error| match error {
        nom::Err::Failure(syntax) | nom::Err::Error(syntax) => syntax,
        nom::Err::Incomplete(_) => Syntax { left: 0, message: "the line has no end".to_owned() },
    })
}

/// What is wrong where an item should end.
fn after(rest: &str, item: &Item) -> nom::Err<Syntax> {
    let (expected, words): (_, &[&str]) = match item {
        Item::List(_) | Item::Strangers(_) => ("`,` or the end of the line", &[]),
        Item::Rule(Rule { when: Condition::Always, at: None, .. }, _) => {
            ("`at`, `when` or the end of the line", &["at", "when", "via"])
        }
        Item::Rule(Rule { when: Condition::Always, .. }, _) => ("`when` or the end of the line", &["when"]),
        Item::Rule(..) | Item::Claim(..) => ("`and`, `or` or the end of the line", &["and", "or"]),
        Item::Open(_) | Item::AccountsOpen | Item::Credential(..) => ("the end of the line", &[]),
    };
    unexpected(rest, expected, words.iter().copied())
}

fn beginning(input: &str) -> Parsed<'_, Item> {
    let Ok((rest, start)) = word(input) else { return Err(unexpected(input, "a rule or a list", [])) };
    match start.text {
        "open" => Ok((rest, Item::Open(start.left))),
        "trusted" => {
            let (rest, wide) = has(rest, "wide")?;
            if wide {
                let (rest, ()) = must(rest, "networks")?;
                return networks(rest, Trust::Wide);
            }
            match has(rest, "names")? {
                (rest, true) => names(rest, true),
                (rest, false) => {
                    let (rest, ()) = must(rest, "networks")?;
                    networks(rest, Trust::Trusted)
                }
            }
        }
        "local" => {
            let (rest, ()) = must(rest, "domains")?;
            domains(rest, DomainRole::Local)
        }
        "relay" => {
            let (rest, ()) = must(rest, "domains")?;
            domains(rest, DomainRole::Relay)
        }
        "networks" => networks(rest, Trust::Plain),
        "domains" => domains(rest, DomainRole::Plain),
        "names" => names(rest, false),
        "users" => list(rest, "a user in quotes", user, |user| user.clone(), Members::Users),
        "certificates" => {
            list(rest, "`spki \"…\"` or `ca \"…\"`", certificate, ToString::to_string, Members::Certificates)
        }
        "strangers" => {
            let (rest, ()) = must(rest, "from")?;
            let (rest, written) = members(rest, "a network", network)?;
            if let Some((_, left)) = written.files.first() {
                return Err(wrong(*left, "no file can stand here"));
            }
            Ok((rest, Item::Strangers(written.members.into_iter().map(|(network, _)| network).collect())))
        }
        "accounts" => {
            let (rest, ()) = must(rest, "open")?;
            let (rest, ()) = must(rest, "to")?;
            let (rest, ()) = must(rest, "anyone")?;
            Ok((rest, Item::AccountsOpen))
        }
        "credential" => {
            let (rest, ()) = must(rest, "custom")?;
            let place = rest.trim_start_matches([' ', '\t']).len();
            let (rest, name) = name(rest, "the name of a condition")?;
            Ok((rest, Item::Credential(name, place)))
        }
        "never" | "always" => claim(rest, start),
        "shadow" => {
            let Ok((rest, verb)) = word(rest) else { return Err(unexpected(rest, "a rule", ACTIONS)) };
            match rule(rest, start, verb) {
                Some(parsed) => parsed.map(|(rest, (rule, places))| (rest, Item::Rule(rule.shadow(), places))),
                None => Err(unknown(verb, "is not a rule", ACTIONS)),
            }
        }
        _ => match rule(rest, start, start) {
            Some(parsed) => parsed.map(|(rest, (rule, places))| (rest, Item::Rule(rule, places))),
            None => Err(unknown(start, "does not begin a rule or a list", BEGINNINGS)),
        },
    }
}

fn unknown<'a>(word: Word<'_>, what: &str, words: impl IntoIterator<Item = &'a str>) -> nom::Err<Syntax> {
    wrong(word.left, format!("`{}` {what}{}", shown(word.text), did_you_mean(&nearest(word.text, words))))
}

/// The verbs of rules.
const ACTIONS: [&str; 6] = ["permit", "refuse", "defer", "limit", "quarantine", "tag"];

/// `rule = [ "shadow" ] action [ "at" stage ] [ "when" condition ]`; `None` if the verb is none.
fn rule<'a>(input: &'a str, start: Word<'a>, verb: Word<'a>) -> Option<Parsed<'a, (Rule, Places)>> {
    let action = match verb.text {
        "permit" => permit(input),
        "refuse" => reply(input, Verb::Refuse),
        "defer" => reply(input, Verb::Defer),
        "limit" => rate(input).map(|(rest, rate)| (rest, Action::Limit(rate))),
        "quarantine" => opt(text).parse(input).map(|(rest, why)| (rest, Action::Quarantine(why.map(|(why, _)| why)))),
        "tag" => some_text(input, "a mark in quotes").map(|(rest, (tag, _))| (rest, Action::Tag(tag))),
        _ => return None,
    };
    Some(action.and_then(|(rest, action)| {
        let argument = input.trim_start_matches([' ', '\t']).len();
        let mut places = Places { start: start.left, argument, tests: Vec::new() };
        let mut rule = Rule::new(action, Condition::Always);
        let (mut rest, staged) = has(rest, "at")?;
        if staged {
            let (after, stage) = one_of(rest, "connect, hello, mail, recipient or message", words(&STAGES))?;
            rule.at = Some(stage);
            rest = after;
        }
        let (mut rest, conditional) = has(rest, "when")?;
        if conditional {
            (rest, rule.when) = condition(rest, 0, &mut places.tests)?;
        }
        Ok((rest, (rule, places)))
    }))
}

fn permit(input: &str) -> Parsed<'_, Action> {
    let (rest, routed) = has(input, "via")?;
    if !routed {
        return Ok((rest, Action::Permit(None)));
    }
    let (rest, route) = name(rest, "the name of a route")?;
    Ok((rest, Action::Permit(Some(route))))
}

/// `[ code [ enhanced ] ] [ text ]`
fn reply(input: &str, verb: Verb) -> Parsed<'_, Action> {
    let (default, fault) = match verb {
        Verb::Defer => ((450, EnhancedCode::new(4, 7, 1), "try again later"), Fault::DeferCode),
        _ => ((550, EnhancedCode::new(5, 7, 1), "relaying denied"), Fault::RefuseCode),
    };
    let (mut code, mut enhanced, mut rest) = (default.0, Some(default.1), input);
    if let (after, Some(Word { text, left })) = opt(word).parse(input)?
        && text.bytes().all(|b| b.is_ascii_digit())
    {
        code = match text.parse() {
            Ok(code) if text.len() == 3 => code,
            _ => return Err(wrong(left, "a reply code has three digits")),
        };
        if code / 100 != default.0 / 100 {
            return Err(wrong(left, fault));
        }
        (enhanced, rest) = (None, after);
        if let (after, Some(Word { text, left })) = opt(word).parse(rest)?
            && text.starts_with(|c: char| c.is_ascii_digit())
        {
            let Ok(written) = text.parse::<EnhancedCode>() else {
                return Err(wrong(left, format!("`{}` is no enhanced status code, such as 5.7.1", shown(text))));
            };
            if u16::from(written.class()) != code / 100 {
                let (subject, detail) = (written.subject(), written.detail());
                let right = format!("{}.{subject}.{detail}", code / 100);
                return Err(wrong(left, format!("{written} does not go with {code}; write {right}")));
            }
            (enhanced, rest) = (Some(written), after);
        }
    }
    let Some(code) = Code::new(code) else {
        return Err(wrong(input.trim_start_matches([' ', '\t']).len(), format!("{code} is no reply code")));
    };
    let (rest, written) = opt(text).parse(rest)?;
    let text = written.map_or_else(|| default.2.to_owned(), |(text, _)| text);
    let reply = match enhanced {
        Some(enhanced) => Reply::new(code, enhanced, text),
        None => Reply::plain(code, text),
    };
    Ok((rest, if verb == Verb::Defer { Action::Defer(reply) } else { Action::Refuse(reply) }))
}

/// `claim = ( "never" / "always" ) verb "when" condition`
fn claim<'a>(input: &'a str, start: Word<'a>) -> Parsed<'a, Item> {
    let argument = input.trim_start_matches([' ', '\t']).len();
    let (rest, verb) = one_of(input, "permit, refuse or defer", VERBS)?;
    let (rest, ()) = must(rest, "when")?;
    let mut places = Places { start: start.left, argument, tests: Vec::new() };
    let (rest, when) = condition(rest, 0, &mut places.tests)?;
    let claim = if start.text == "always" { Claim::always(verb, when) } else { Claim::never(verb, when) };
    Ok((rest, Item::Claim(claim, places)))
}

fn networks(input: &str, trust: Trust) -> Parsed<'_, Item> {
    list(input, "a network", network, ToString::to_string, |networks| {
        Members::Networks(trust, networks.into_iter().collect())
    })
}

fn domains(input: &str, role: DomainRole) -> Parsed<'_, Item> {
    let domains = |patterns: Vec<DomainPattern>| Members::Domains(role, patterns.into_iter().collect::<Domains>());
    list(input, "a domain", domain, |pattern| pattern.to_string().to_ascii_lowercase(), domains)
}

fn names(input: &str, trusted: bool) -> Parsed<'_, Item> {
    let names = |patterns: Vec<DomainPattern>| Members::Names(trusted, patterns.into_iter().collect::<Domains>());
    list(input, "a name", domain, |pattern| pattern.to_string().to_ascii_lowercase(), names)
}

/// `NAME "=" ( "none" / member *( "," member ) )`
fn list<'a, T>(
    input: &'a str,
    expected: &'static str,
    member: impl Fn(&'a str) -> Parsed<'a, T>,
    key: impl Fn(&T) -> String,
    collect: impl Fn(Vec<T>) -> Members,
) -> Parsed<'a, Item> {
    let place = input.trim_start_matches([' ', '\t']).len();
    let (rest, name) = name(input, "the name of a list")?;
    let (rest, ()) = must_symbol(rest, "=")?;
    let (after, none) = has(rest, "none")?;
    if none {
        return Ok((after, Item::List(ListItem { name, place, members: collect(Vec::new()), files: Vec::new() })));
    }
    let (rest, Written { members, files }) = members(rest, expected, member)?;
    let places: Vec<usize> = members.iter().map(|(_, left)| *left).collect();
    let written: Vec<T> = members.into_iter().map(|(member, _)| member).collect();
    if let Some((index, key)) = first_twice(&written, key) {
        return Err(wrong(places[index], Fault::Twice(key)));
    }
    let members = collect(written);
    Ok((rest, Item::List(ListItem { name, place, members, files })))
}

/// The first member that has stood before.
fn first_twice<T>(members: &[T], key: impl Fn(&T) -> String) -> Option<(usize, String)> {
    let mut seen = BTreeSet::new();
    for (index, member) in members.iter().enumerate() {
        let key = key(member);
        if seen.contains(&key) {
            return Some((index, key));
        }
        seen.insert(key);
    }
    None
}

/// Members, each with its place, and files, each with its place.
struct Written<T> {
    members: Vec<(T, usize)>,
    files: Vec<(String, usize)>,
}

fn members<'a, T>(
    input: &'a str,
    expected: &'static str,
    member: impl Fn(&'a str) -> Parsed<'a, T>,
) -> Parsed<'a, Written<T>> {
    let mut written = Written { members: Vec::new(), files: Vec::new() };
    let mut rest = input;
    loop {
        let (after, is_file) = has(rest, "file")?;
        rest = if is_file {
            let (after, file) = some_text(after, "the name of a file in quotes")?;
            written.files.push(file);
            after
        } else {
            let (start, ()) = super::lexis::blank(after)?;
            match member(start) {
                Ok((after, member)) => {
                    written.members.push((member, start.len()));
                    after
                }
                Err(nom::Err::Error(_)) => return Err(unexpected(rest, expected, [])),
                Err(error) => return Err(error),
            }
        };
        match opt(symbol(",")).parse(rest)? {
            (after, Some(_)) => rest = after,
            (_, None) => return Ok((rest, written)),
        }
    }
}

pub(super) fn network(input: &str) -> Parsed<'_, Network> {
    let (rest, word) = word(input)?;
    word.text.parse().map(|network| (rest, network)).map_err(|error| wrong(word.left, error))
}

/// A domain as a member: a name of one label stands in quotes.
pub(super) fn domain(input: &str) -> Parsed<'_, DomainPattern> {
    if let (rest, Some((text, left))) = opt(text).parse(input)? {
        return text.parse().map(|pattern| (rest, pattern)).map_err(|error| wrong(left, error));
    }
    let (rest, word) = word(input)?;
    DomainPattern::unquoted(word.text).map(|pattern| (rest, pattern)).map_err(|error| wrong(word.left, error))
}

pub(super) fn user(input: &str) -> Parsed<'_, String> {
    let (rest, (user, left)) = text(input)?;
    if user.is_empty() { Err(wrong(left, Fault::EmptyText)) } else { Ok((rest, user)) }
}

pub(super) fn certificate(input: &str) -> Parsed<'_, CertificatePattern> {
    if let (rest, true) = has(input, "spki")? {
        let (rest, pin) = pin(rest)?;
        return Ok((rest, CertificatePattern::Spki(pin)));
    }
    let (rest, ()) = must(input, "ca")?;
    let (rest, (name, left)) = some_text(rest, "a name in quotes")?;
    match name.parse() {
        Ok(name) => Ok((rest, CertificatePattern::Named(name))),
        Err(error) => Err(wrong(left, format!("not a domain: {error}"))),
    }
}
