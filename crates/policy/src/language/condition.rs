//! Conditions: tests, joined by `not`, and by `and` or `or` but never both without parentheses.

use hikyaku_message::results;
use hikyaku_wire::Domain;
use nom::{Parser, combinator::opt};

use super::{
    lexis::{Parsed, Word, has, must, must_symbol, one_of, shown, symbol, text, unexpected, word, words, wrong},
    words::{DMARC, PERIODS, PERS, TESTS, UNITS},
};
use crate::{
    CertificateSet, Condition, DomainPattern, HostSet, Hours, Identifier, IdentifierError, Listener, NetworkSet, Rate,
    Test, Window, fault::NESTING_LIMIT,
};

/// Where a test stands, as octets of the item from there to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TestPlace {
    /// Its word.
    pub(super) word: usize,
    /// What stands behind that.
    pub(super) argument: usize,
}

/// `condition = term ( *( "and" term ) / *( "or" term ) )`
pub(super) fn condition<'a>(input: &'a str, depth: usize, places: &mut Vec<TestPlace>) -> Parsed<'a, Condition> {
    let (mut rest, first) = term(input, depth, places)?;
    let (_, operator) = opt(word).parse(rest)?;
    let Some(operator) = operator.map(|word| word.text).filter(|word| matches!(*word, "and" | "or")) else {
        return Ok((rest, first));
    };
    let mut terms = vec![first];
    loop {
        let (after, next) = opt(word).parse(rest)?;
        match next {
            Some(Word { text, .. }) if text == operator => {
                let (after, next) = term(after, depth, places)?;
                terms.push(next);
                rest = after;
            }
            Some(Word { text: other @ ("and" | "or"), left }) => {
                let next = term(after, depth, places).ok().map(|(_, next)| next);
                return Err(wrong(left, two_readings(operator, terms, other, next)));
            }
            _ => break,
        }
    }
    let joined = if operator == "and" { Condition::All(terms) } else { Condition::Any(terms) };
    Ok((rest, joined))
}

/// What is wrong with two operators side by side, with the two readings.
fn two_readings(operator: &str, mut terms: Vec<Condition>, other: &str, next: Option<Condition>) -> String {
    /// Conditions that are longer than this are not said again.
    const MOST: usize = 200;
    let message = "`and` and `or` side by side can be read two ways; write parentheses";
    let join = |operator: &str, terms: Vec<Condition>| match operator {
        "and" => Condition::All(terms),
        _ => Condition::Any(terms),
    };
    let Some((next, last)) = next.zip(terms.last().cloned()) else { return message.to_owned() };
    let left = join(other, vec![join(operator, terms.clone()), next.clone()]).to_string();
    terms.pop();
    terms.push(join(other, vec![last, next]));
    let right = join(operator, terms).to_string();
    if left.len() > MOST { message.to_owned() } else { format!("{message}: `{left}` or `{right}`") }
}

/// `term = [ "not" ] ( "(" condition ")" / test )`
fn term<'a>(input: &'a str, depth: usize, places: &mut Vec<TestPlace>) -> Parsed<'a, Condition> {
    let (after, not) = has(input, "not")?;
    if not {
        let (_, again) = opt(word).parse(after)?;
        if let Some(Word { text: "not", left }) = again {
            return Err(wrong(left, "`not not` says nothing; leave both out"));
        }
        let (rest, inner) = primary(after, depth, places)?;
        return Ok((rest, Condition::Not(Box::new(inner))));
    }
    primary(input, depth, places)
}

fn primary<'a>(input: &'a str, depth: usize, places: &mut Vec<TestPlace>) -> Parsed<'a, Condition> {
    let (after, open) = opt(symbol("(")).parse(input)?;
    if open.is_none() {
        return test(input, places);
    }
    if depth == NESTING_LIMIT {
        return Err(wrong(after.len() + 1, crate::Fault::Nesting));
    }
    let (rest, inner) = condition(after, depth + 1, places)?;
    match opt(symbol(")")).parse(rest)? {
        (rest, Some(_)) => Ok((rest, inner)),
        (_, None) => Err(unexpected(rest, "`and`, `or` or `)`", ["and", "or"])),
    }
}

/// `test = fact [ "(" "unknown" "means" ( "yes" / "no" ) ")" ]`
fn test<'a>(input: &'a str, places: &mut Vec<TestPlace>) -> Parsed<'a, Condition> {
    let Ok((after, start)) = word(input) else {
        return Err(unexpected(input, "a condition (from, to, sender, helo, …)", []));
    };
    if start.text == "to"
        && let (rest, true) = has(after, "anywhere")?
    {
        if let (_, Some(_)) = opt(symbol("(")).parse(rest)? {
            return Err(unexpected(rest, "`and`, `or` or the end: that is always known", []));
        }
        return Ok((rest, Condition::Always));
    }
    let argument = after.trim_start_matches([' ', '\t']).len();
    let (rest, test) = fact(after, start)?;
    places.push(TestPlace { word: start.left, argument });
    let (after, open) = opt(symbol("(")).parse(rest)?;
    if open.is_none() {
        return Ok((rest, Condition::Test(test)));
    }
    let (after, ()) = must(after, "unknown")?;
    let (after, ()) = must(after, "means")?;
    let (after, value) = one_of(after, "`yes` or `no`", [("yes", true), ("no", false)])?;
    let (after, ()) = must_symbol(after, ")")?;
    Ok((after, Condition::Assuming(test, value)))
}

/// What stands behind the word of a test.
fn fact<'a>(input: &'a str, start: Word<'a>) -> Parsed<'a, Test> {
    match start.text {
        "from" => network_set(input),
        "to" => {
            let (rest, set) = host_set(input, "`anywhere`, `mailbox`, a list of domains or a domain", true)?;
            Ok((rest, Test::To(set)))
        }
        "sender" => {
            for (word, test) in [("owned", Test::SenderOwned), ("null", Test::SenderNull)] {
                if let (rest, true) = has(input, word)? {
                    return Ok((rest, test));
                }
            }
            let expected = "`owned`, `null`, `mailbox`, a list of domains or a domain";
            let (rest, set) = host_set(input, expected, true)?;
            Ok((rest, Test::Sender(set)))
        }
        "helo" => {
            let (rest, set) = host_set(input, "a list of names or a name", false)?;
            Ok((rest, Test::Helo(set)))
        }
        "name" => {
            let (rest, set) = host_set(input, "a list of names or a name", false)?;
            Ok((rest, Test::Name(set)))
        }
        "iprev" => results(input, words(results::Iprev::ALL), Test::Iprev),
        "on" => {
            let (rest, listener) = one_of(input, "mx, submission, submissions or lmtp", words(&Listener::ALL))?;
            Ok((rest, Test::On(listener)))
        }
        "tls" => Ok((input, Test::Tls)),
        "authenticated" => {
            let (rest, of_list) = has(input, "as")?;
            if !of_list {
                return Ok((input, Test::Authenticated(None)));
            }
            let (rest, name) = name(rest, "a list of users")?;
            Ok((rest, Test::Authenticated(Some(name))))
        }
        "certificate" => certificate(input),
        "known" => Ok((input, Test::Known)),
        "recipient" => {
            let (rest, ()) = must(input, "exists")?;
            Ok((rest, Test::RecipientExists))
        }
        "recipients" => more_than(input, Test::Recipients),
        "hops" => more_than(input, Test::Hops),
        "size" => size(input),
        "author" => {
            let (rest, ()) = must(input, "aligned")?;
            Ok((rest, Test::AuthorAligned))
        }
        "spf" => results(input, words(results::Spf::ALL), Test::Spf),
        "dkim" => results(input, words(results::Dkim::ALL), Test::Dkim),
        "arc" => results(input, words(results::Arc::ALL), Test::Arc),
        "dmarc" => results(input, DMARC.map(|(word, result)| (word.to_owned(), result)).into_iter(), Test::Dmarc),
        "listed" => listed(input),
        "rate" => {
            let (rest, ()) = must_symbol(input, "<")?;
            let (rest, rate) = rate(rest)?;
            Ok((rest, Test::Rate(rate)))
        }
        "hours" => hours(input),
        "custom" => {
            let (rest, name) = name(input, "the name of a condition")?;
            Ok((rest, Test::Custom(name)))
        }
        other => {
            let meant = crate::fault::did_you_mean(&crate::fault::nearest(other, TESTS));
            Err(wrong(start.left, format!("`{}` is not a condition{meant}", shown(other))))
        }
    }
}

/// `NAME = ALPHA *( ALPHA / DIGIT / "-" / "_" )`, no word of the language.
pub(super) fn name<'a>(input: &'a str, expected: &str) -> Parsed<'a, Identifier> {
    let Ok((rest, word)) = word(input) else { return Err(unexpected(input, expected, [])) };
    match word.text.parse() {
        Ok(name) => Ok((rest, name)),
        Err(IdentifierError::Keyword(keyword)) => {
            Err(wrong(word.left, format!("expected {expected}; {}", IdentifierError::Keyword(keyword))))
        }
        Err(error) => Err(wrong(word.left, format!("`{}` is no name: {error}", shown(word.text)))),
    }
}

/// Whether a word can be no name of a list: an address, a network or a domain.
fn is_literal(word: &str) -> bool {
    word.contains(['.', ':', '*', '['])
}

fn network_set(input: &str) -> Parsed<'_, Test> {
    match opt(word).parse(input)? {
        (rest, Some(word)) if is_literal(word.text) => match word.text.parse() {
            Ok(network) => Ok((rest, Test::From(NetworkSet::Network(network)))),
            Err(error) => Err(wrong(word.left, error)),
        },
        _ => {
            let (rest, name) = name(input, "a list of networks, a network or an address")?;
            Ok((rest, Test::From(NetworkSet::List(name))))
        }
    }
}

fn host_set<'a>(input: &'a str, expected: &str, with_mailbox: bool) -> Parsed<'a, HostSet> {
    let (rest, quoted) = opt(text).parse(input)?;
    if let Some((text, left)) = quoted {
        return match text.parse() {
            Ok(name) => Ok((rest, HostSet::Pattern(name))),
            Err(error) => Err(wrong(left, error)),
        };
    }
    match opt(word).parse(input)? {
        (rest, Some(Word { text: "mailbox", .. })) if with_mailbox => {
            let (rest, (mailbox, left)) = some_text(rest, "a mailbox in quotes")?;
            match mailbox.parse() {
                Ok(mailbox) => Ok((rest, HostSet::Mailbox(mailbox))),
                Err(error) => Err(wrong(left, format!("not a mailbox: {error}"))),
            }
        }
        (rest, Some(word)) if is_literal(word.text) => match word.text.parse::<DomainPattern>() {
            Ok(pattern) => Ok((rest, HostSet::Pattern(pattern))),
            Err(error) => Err(wrong(word.left, error)),
        },
        _ => {
            let (rest, name) = name(input, expected)?;
            Ok((rest, HostSet::List(name)))
        }
    }
}

/// A text that must be there.
pub(super) fn some_text<'a>(input: &'a str, expected: &str) -> Parsed<'a, (String, usize)> {
    match opt(text).parse(input)? {
        (rest, Some(text)) => Ok((rest, text)),
        (_, None) => Err(unexpected(input, expected, [])),
    }
}

fn results<'a, T: Copy>(
    input: &'a str,
    table: impl Iterator<Item = (String, T)>,
    test: impl Fn(Vec<T>) -> Test,
) -> Parsed<'a, Test> {
    let table: Vec<_> = table.collect();
    let expected = table.iter().map(|(word, _)| word.as_str()).filter(|word| *word != "temperror");
    let expected = format!("a result ({})", expected.collect::<Vec<_>>().join(", "));
    let mut found = Vec::new();
    let mut rest = input;
    loop {
        let (after, result) = one_of(rest, &expected, table.iter().map(|(word, result)| (word, *result)))?;
        found.push(result);
        match opt(symbol(",")).parse(after)? {
            (next, Some(_)) => rest = next,
            (_, None) => return Ok((after, test(found))),
        }
    }
}

fn certificate(input: &str) -> Parsed<'_, Test> {
    if let (rest, true) = has(input, "any")? {
        return Ok((rest, Test::Certificate(CertificateSet::Trusted)));
    }
    if let (rest, true) = has(input, "spki")? {
        let (rest, pin) = pin(rest)?;
        return Ok((rest, Test::Certificate(CertificateSet::Spki(pin))));
    }
    let (rest, name) = name(input, "`any`, `spki` or a list of certificates")?;
    Ok((rest, Test::Certificate(CertificateSet::List(name))))
}

/// The SHA-256 digest of a public key, `"sha256/…"` (RFC 7469 §2.4).
pub(super) fn pin(input: &str) -> Parsed<'_, [u8; 32]> {
    let (rest, (text, left)) = some_text(input, "the digest of a public key, \"sha256/…\"")?;
    match super::pin::parse(&text) {
        Some(pin) => Ok((rest, pin)),
        None => Err(wrong(left, "not a pin: write \"sha256/\" and the 44 base64 digits of the digest")),
    }
}

fn listed(input: &str) -> Parsed<'_, Test> {
    let (rest, quoted) = opt(text).parse(input)?;
    let (rest, zone) = match quoted {
        Some((text, left)) => (rest, Word { text: &text, left }.domain()?),
        None => match opt(word).parse(input)? {
            (rest, Some(word)) if word.text.contains('.') => (rest, word.domain()?),
            _ => return Err(unexpected(input, "the zone of a list, such as zen.example", [])),
        },
    };
    let (after, compared) = opt(symbol(">=")).parse(rest)?;
    if compared.is_none() {
        return Ok((rest, Test::Listed { zone, at_least: 1 }));
    }
    let (rest, at_least) = number(after, "a score")?;
    Ok((rest, Test::Listed { zone, at_least }))
}

impl Word<'_> {
    fn domain(&self) -> Result<Domain, nom::Err<super::lexis::Syntax>> {
        self.text.parse().map_err(|error| wrong(self.left, format!("not a domain: {error}")))
    }
}

/// A whole number.
fn number<'a, T: std::str::FromStr>(input: &'a str, expected: &str) -> Parsed<'a, T> {
    match opt(word).parse(input)? {
        (rest, Some(word)) if is_number(word.text) => match word.text.parse() {
            Ok(number) => Ok((rest, number)),
            Err(_) => Err(wrong(word.left, format!("{} is too much for {expected}", shown(word.text)))),
        },
        _ => Err(unexpected(input, expected, [])),
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn more_than(input: &str, test: impl Fn(u32) -> Test) -> Parsed<'_, Test> {
    let (rest, ()) = must_symbol(input, ">")?;
    let (rest, most) = number(rest, "a number")?;
    Ok((rest, test(most)))
}

/// `"size" ">" 1*DIGIT [ "K" / "M" / "G" ]`: octets, units of 1,024.
fn size(input: &str) -> Parsed<'_, Test> {
    let (input, ()) = must_symbol(input, ">")?;
    let expected = "a size, such as 500K or 10M";
    let (rest, Some(word)) = opt(word).parse(input)? else { return Err(unexpected(input, expected, [])) };
    let unit = UNITS.iter().find(|(letter, _)| word.text.ends_with(*letter));
    let digits = unit.map_or(word.text, |(letter, _)| word.text.trim_end_matches(*letter));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || word.text.len() - digits.len() > 1 {
        return Err(unexpected(input, expected, []));
    }
    let octets =
        digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit.map_or(1, |(_, octets)| *octets)));
    match octets {
        Some(octets) => Ok((rest, Test::Size(octets))),
        None => Err(wrong(word.left, format!("{} is too much for a size", shown(word.text)))),
    }
}

/// `rate = 1*DIGIT "/" ( "s" / "m" / "h" / "d" ) "per" ( "ip" / "network" / "user" / "sender" / "domain" )`
pub(super) fn rate(input: &str) -> Parsed<'_, Rate> {
    let expected = "a rate, such as 100/h";
    let (rest, Some(word)) = opt(word).parse(input)? else { return Err(unexpected(input, expected, [])) };
    let parts = word.text.split_once('/').filter(|(limit, _)| limit.bytes().all(|b| b.is_ascii_digit()));
    let period = |word: &str| PERIODS.iter().find(|(period, _)| *period == word).map(|(_, period)| *period);
    let Some((limit, period)) = parts.and_then(|(limit, word)| Some((limit.parse().ok()?, period(word)?))) else {
        return Err(unexpected(input, expected, []));
    };
    let (rest, ()) = must(rest, "per")?;
    let (rest, per) = one_of(rest, "ip, network, user, sender or domain", PERS)?;
    Ok((rest, Rate { limit, window: Window { period, per } }))
}

/// `"hours" 2DIGIT ":" 2DIGIT "-" 2DIGIT ":" 2DIGIT`
fn hours(input: &str) -> Parsed<'_, Test> {
    let minute = |time: &str| {
        let (hours, minutes) = time.split_once(':')?;
        let number = |digits: &str| match digits.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(u16::from(tens - b'0') * 10 + u16::from(ones - b'0')),
            _ => None,
        };
        number(minutes).filter(|minutes| *minutes < 60).and_then(|minutes| Some(number(hours)? * 60 + minutes))
    };
    let expected = "hours of the day (UTC), such as 22:00-06:00";
    let (rest, Some(word)) = opt(word).parse(input)? else { return Err(unexpected(input, expected, [])) };
    match word.text.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?))) {
        Some((from, until)) => Ok((rest, Test::Hours(Hours { from, until }))),
        None => Err(unexpected(input, expected, [])),
    }
}
