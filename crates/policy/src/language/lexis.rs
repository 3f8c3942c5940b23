//! Words, texts and symbols of one item: a line with the lines that continue it.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_while, take_while1},
    character::complete::char,
    combinator::{map, opt, value, verify},
    error::{ErrorKind, ParseError},
    multi::many0_count,
    sequence::preceded,
};

use crate::fault::{did_you_mean, nearest};

/// Where an item is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Octets of the item from there to its end.
    pub(super) left: usize,
    /// Empty where another reading may fit.
    pub(super) message: String,
}

impl ParseError<&str> for Syntax {
    fn from_error_kind(input: &str, _: ErrorKind) -> Self {
        Self { left: input.len(), message: String::new() }
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

pub(super) type Parsed<'a, T> = IResult<&'a str, T, Syntax>;

/// An error that no other reading can mend.
pub(super) fn wrong(left: usize, message: impl ToString) -> nom::Err<Syntax> {
    nom::Err::Failure(Syntax { left, message: message.to_string() })
}

/// Not what must stand here: says what was expected, and what may have been meant.
pub(super) fn unexpected<'a>(
    input: &str,
    expected: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> nom::Err<Syntax> {
    match next(input) {
        Err(error @ nom::Err::Failure(_)) => error,
        Err(_) => wrong(input.len(), format!("expected {expected}")),
        Ok((_, Word { text, left })) => {
            let meant = did_you_mean(&nearest(text, words));
            wrong(left, format!("expected {expected}, not `{}`{meant}", shown(text)))
        }
    }
}

/// As much of a word as an error shows.
pub(super) fn shown(word: &str) -> String {
    const MOST: usize = 60;
    let shown = word.chars().take(MOST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    shown.chain((word.chars().count() > MOST).then_some('…')).collect()
}

/// A word, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// Octets of the item from its beginning to the item's end.
    pub(super) left: usize,
}

/// Blanks, line ends that a blank follows, and comments: `#` to the end of the line.
pub(super) fn blank(input: &str) -> Parsed<'_, ()> {
    let blanks = take_while1(|c| matches!(c, ' ' | '\t' | '\n'));
    value((), many0_count(alt((blanks, tag("\r\n"), comment)))).parse(input)
}

/// `comment = "#" *<any character but LF>`
fn comment(input: &str) -> Parsed<'_, &str> {
    let (rest, _) = char('#').parse(input)?;
    let (comment, rest) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
    Ok((rest, comment))
}

/// Whether a character ends a word.
fn ends_word(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '#' | '"' | ',' | '(' | ')' | '=' | '<' | '>')
}

/// `word = 1*<any character that is no blank and none of # " , ( ) = < >>`
pub(super) fn word(input: &str) -> Parsed<'_, Word<'_>> {
    let (start, ()) = blank(input)?;
    let (rest, text) = take_while1(|c| !ends_word(c)).parse(start)?;
    match text.char_indices().find(|(_, c)| c.is_control() || c.is_whitespace()) {
        Some((at, c)) => {
            Err(wrong(start.len() - at, format!("the character U+{:04X} cannot stand here", u32::from(c))))
        }
        None => Ok((rest, Word { text, left: start.len() })),
    }
}

/// The next word, or else the next character.
fn next(input: &str) -> Parsed<'_, Word<'_>> {
    match word(input) {
        Err(nom::Err::Error(_)) => {}
        done => return done,
    }
    let (start, ()) = blank(input)?;
    if start.starts_with('"') {
        text(start)?;
    }
    let (rest, text) = nom::bytes::complete::take(1_usize).parse(start)?;
    Ok((rest, Word { text, left: start.len() }))
}

/// This word.
pub(super) fn keyword<'a>(keyword: &'static str) -> impl Parser<&'a str, Output = Word<'a>, Error = Syntax> {
    verify(word, move |word: &Word<'_>| word.text == keyword)
}

/// Whether this word stands here; if so, it is taken.
pub(super) fn has<'a>(input: &'a str, word: &'static str) -> Parsed<'a, bool> {
    map(opt(keyword(word)), |word| word.is_some()).parse(input)
}

/// This word and no other.
pub(super) fn must<'a>(input: &'a str, word: &'static str) -> Parsed<'a, ()> {
    match has(input, word)? {
        (rest, true) => Ok((rest, ())),
        (_, false) => Err(unexpected(input, &format!("`{word}`"), [word])),
    }
}

/// This symbol.
pub(super) fn symbol<'a>(symbol: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = Syntax> {
    preceded(blank, tag(symbol))
}

/// This symbol and no other.
pub(super) fn must_symbol<'a>(input: &'a str, expected: &'static str) -> Parsed<'a, ()> {
    match opt(symbol(expected)).parse(input)? {
        (rest, Some(_)) => Ok((rest, ())),
        (_, None) => Err(unexpected(input, &format!("`{expected}`"), [])),
    }
}

/// `text = %x22 *( %x5C ( %x22 / %x5C ) / <any character but those and control characters> ) %x22`,
/// and where it stands.
pub(super) fn text(input: &str) -> Parsed<'_, (String, usize)> {
    let (start, ()) = blank(input)?;
    let (mut rest, _) = char('"').parse(start)?;
    let mut text = String::new();
    loop {
        let (after, plain) =
            take_while(|c: char| !matches!(c, '"' | '\\') && (c == '\t' || !c.is_control())).parse(rest)?;
        text.push_str(plain);
        let mut chars = after.chars();
        match (chars.next(), chars.next()) {
            (Some('"'), _) => return Ok((&after[1..], (text, start.len()))),
            (Some('\\'), Some(c @ ('"' | '\\'))) => {
                text.push(c);
                rest = &after[2..];
            }
            (Some('\\'), Some(c)) if !c.is_control() => {
                return Err(wrong(after.len(), "in a text, `\\` stands only before `\"` and `\\`"));
            }
            (Some(c), _) if c != '\\' && !matches!(c, '\r' | '\n') => {
                return Err(wrong(after.len(), format!("the character U+{:04X} cannot stand in a text", u32::from(c))));
            }
            _ => return Err(wrong(start.len(), "text has no closing quote")),
        }
    }
}

/// The end of the item.
pub(super) fn end(input: &str) -> Parsed<'_, ()> {
    let (rest, ()) = blank(input)?;
    if rest.is_empty() {
        Ok((rest, ()))
    } else {
        Err(nom::Err::Error(Syntax { left: rest.len(), message: String::new() }))
    }
}

/// A word that stands for a value.
pub(super) fn one_of<'a, T: Copy, W: AsRef<str>>(
    input: &'a str,
    expected: &str,
    table: impl IntoIterator<Item = (W, T)>,
) -> Parsed<'a, T> {
    let table: Vec<_> = table.into_iter().collect();
    let found = opt(word).parse(input)?;
    if let (rest, Some(word)) = found
        && let Some((_, value)) = table.iter().find(|(other, _)| other.as_ref() == word.text)
    {
        return Ok((rest, *value));
    }
    Err(unexpected(input, expected, table.iter().map(|(word, _)| word.as_ref())))
}

/// The words of values that print as words.
pub(super) fn words<T: Copy + ToString>(values: &[T]) -> impl Iterator<Item = (String, T)> {
    values.iter().map(|value| (value.to_string(), *value))
}

/// What quotes and comments are in an item that has been read: the comments, without `#`.
pub(super) fn comments(item: &str) -> Vec<String> {
    let mut comments = Vec::new();
    let mut rest = item;
    while let Some(at) = rest.find(['"', '#']) {
        rest = &rest[at..];
        if rest.starts_with('#') {
            let end = rest.find('\n').unwrap_or(rest.len());
            comments.push(rest[1..end].trim_end().to_owned());
            rest = &rest[end..];
        } else {
            // The item has been read, so that each text has its end.
            rest = text(rest).map_or("", |(after, _)| after);
        }
    }
    comments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_something_else_begins() {
        for (input, expected, rest) in [
            ("permit when", "permit", " when"),
            ("  \t x", "x", ""),
            ("# y\n x,y", "x", ",y"),
            ("10.0.0.0/8#c", "10.0.0.0/8", "#c"),
            ("[IPv6:::1](", "[IPv6:::1]", "("),
            ("a\r\n b", "a", "\r\n b"),
            ("\r\n b", "b", ""),
            ("a<b", "a", "<b"),
            ("*.bücher.example=", "*.bücher.example", "="),
        ] {
            let (after, word) = word(input).unwrap();
            assert_eq!((word.text, after), (expected, rest), "{input:?}");
        }
        for input in ["", "  ", "# only", ",", "\"x\"", "\rx"] {
            assert!(matches!(word(input), Err(nom::Err::Error(_))), "{input:?}");
        }
        for input in ["a\u{a0}b", "a\0", "\u{feff}\u{85}"] {
            assert!(matches!(word(input), Err(nom::Err::Failure(_))), "{input:?}");
        }
    }

    #[test]
    fn texts_hold_quotes_and_backslashes() {
        for (input, expected, rest) in [
            (r#""""#, "", ""),
            (r#" "a # b" c"#, "a # b", " c"),
            (r#""\"\\"x"#, "\"\\", "x"),
            ("\"a\tb\"", "a\tb", ""),
            ("\"ü\"", "ü", ""),
        ] {
            let (after, (text, _)) = text(input).unwrap();
            assert_eq!((text.as_str(), after), (expected, rest), "{input:?}");
        }
        let message = |input: &str| match text(input) {
            Err(nom::Err::Failure(syntax)) => (input.len() - syntax.left, syntax.message),
            other => panic!("{other:?}"),
        };
        for (input, at) in
            [("\"", 0), (" \"abc", 1), ("\"a\nb\"", 0), ("\"a\\", 0), ("\"a\\\n\"", 0), ("\"a\r\n b\"", 0)]
        {
            assert_eq!(message(input), (at, "text has no closing quote".to_owned()), "{input:?}");
        }
        assert_eq!(message(r#""a\n""#), (2, r#"in a text, `\` stands only before `"` and `\`"#.to_owned()));
        assert_eq!(message("\"a\u{85}\""), (2, "the character U+0085 cannot stand in a text".to_owned()));
    }

    #[test]
    fn comments_stand_outside_of_texts() {
        assert_eq!(comments("permit \"#no\\\"#\" # a \r\n # b\n when tls"), [" a", " b"]);
        assert_eq!(comments("x"), Vec::<String>::new());
        assert_eq!(comments("x #"), [""]);
    }
}
