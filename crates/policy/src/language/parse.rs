//! Reading a policy: its items, the files that it names, and what is wrong with it.

use std::collections::BTreeMap;

use nom::{Parser, combinator::opt};

use super::{
    TextError,
    item::{Item, ListItem, Places, certificate, domain, item, network, user},
    lexis::{Parsed, Syntax, blank, comments, end, unexpected, word},
    source::Source,
};
use crate::{
    List, Members, Policy, PolicyBuilder,
    check::{Part, Place, Problem},
    lines::Lines,
};

/// Octets of a text, and of all files that it names together, at the most.
const TEXT_LIMIT: usize = 64 << 20;
/// Octets of a line at the most.
const LINE_LIMIT: usize = 8 << 20;

impl Policy {
    /// Reads a policy. `read` gives the text of a file that the policy names; it is asked once for
    /// each name. Whether the policy is one to be used says [`Policy::admit`].
    ///
    /// Time and memory are linear in the length of the text and the files. Both have at most 64 MiB,
    /// and a line at most 8 MiB. Lines end with LF or CRLF; a line that begins with a blank
    /// continues the one above. Comments above an item and within it are kept with it, those below
    /// the last item and those of settings are not.
    ///
    /// # Errors
    /// The first place that is not of the language, or names what is not there.
    pub fn parse(text: &str, read: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<Self, TextError> {
        let source = Source::new(text);
        if text.len() > TEXT_LIMIT {
            return Err(TextError::at(&source, 0, "the text has more than 64 MiB"));
        }
        let mut reader = Reader { source: &source, read, files: BTreeMap::new(), octets: 0, parts: Parts::default() };
        for Span { start, end, comment } in spans(&source)? {
            reader.item(start, end, comment)?;
        }
        let Parts { builder, lines, lists, credentials, rules, claims } = reader.parts;
        Self::of(builder, &lines).map_err(|Problem { place, fault }| {
            let part = |(end, places): &(usize, Places), part: Part| {
                end - match part {
                    Part::Start => places.start,
                    Part::Argument => places.argument,
                    Part::Test(index) => places.tests[index].word,
                    Part::TestArgument(index) => places.tests[index].argument,
                }
            };
            let at = match place {
                Place::Whole => 0,
                Place::List(index) => lists[index],
                Place::Credential(index) => credentials[index],
                Place::Rule(index, of_rule) => part(&rules[index], of_rule),
                Place::Claim(index, of_claim) => part(&claims[index], of_claim),
            };
            TextError::at(&source, at, fault)
        })
    }
}

/// A line with the lines that continue it, and the lines of the comment above.
struct Span {
    start: usize,
    end: usize,
    comment: Vec<String>,
}

fn spans(source: &Source<'_>) -> Result<Vec<Span>, TextError> {
    let mut spans: Vec<Span> = Vec::new();
    let mut comment = Vec::new();
    let mut continues = false;
    for (at, line) in source.lines() {
        if line.len() > LINE_LIMIT {
            return Err(TextError::at(source, at, "the line has more than 8 MiB"));
        }
        let said = line.trim_start_matches([' ', '\t']);
        let indent = line.len() - said.len();
        match (said.chars().next(), spans.last_mut()) {
            (None, _) => continues = false,
            (Some(_), Some(last)) if indent > 0 && continues => last.end = at + line.len(),
            (Some('#'), _) => {
                comment.push(said[1..].trim_end().to_owned());
                continues = false;
            }
            (Some(_), _) if indent > 0 => {
                let message = "a line that begins with a blank continues the one above, and there is none";
                return Err(TextError::at(source, at + indent, message));
            }
            (Some(_), _) => {
                spans.push(Span { start: at, end: at + line.len(), comment: std::mem::take(&mut comment) });
                continues = true;
            }
        }
    }
    Ok(spans)
}

/// The items that were read, and where they stand, as octets of the text.
#[derive(Default)]
struct Parts {
    builder: PolicyBuilder,
    lines: Lines,
    lists: Vec<usize>,
    credentials: Vec<usize>,
    /// The end of each rule, from which its places are counted back.
    rules: Vec<(usize, Places)>,
    claims: Vec<(usize, Places)>,
}

struct Reader<'a, 'r> {
    source: &'a Source<'a>,
    read: &'r mut dyn FnMut(&str) -> Result<String, String>,
    /// The files that were read.
    files: BTreeMap<String, String>,
    /// Octets of the files, each counted as often as it is named.
    octets: usize,
    parts: Parts,
}

impl Reader<'_, '_> {
    fn item(&mut self, start: usize, end: usize, mut comment: Vec<String>) -> Result<(), TextError> {
        let text = &self.source.text[start..end];
        let found = item(text).map_err(|Syntax { left, message }| TextError::at(self.source, end - left, message))?;
        comment.extend(comments(text));
        let line = self.source.line_of(start);
        let first = self.parts.builder == PolicyBuilder::default();
        let Parts { builder, lines, lists, credentials, rules, claims } = &mut self.parts;
        match found {
            Item::Open(_) if first => builder.open = true,
            Item::Open(left) => {
                return Err(TextError::at(self.source, end - left, "`open` stands once, before everything else"));
            }
            Item::List(list) => {
                lines.lists.push(line);
                lists.push(end - list.place);
                let list = self.list(list, end, comment)?;
                self.parts.builder.lists.push(list);
            }
            Item::Strangers(networks) => {
                lines.strangers = line;
                let before = &builder.settings.strangers;
                builder.settings.strangers = before.iter().chain(networks.iter()).copied().collect();
            }
            Item::AccountsOpen => builder.settings.accounts_open = true,
            Item::Credential(name, place) => {
                lines.credentials.push(line);
                credentials.push(end - place);
                builder.settings.credentials.push(name);
            }
            Item::Rule(rule, places) => {
                lines.rules.push(line);
                rules.push((end, places));
                builder.rules.push(crate::Rule { comment, ..rule });
            }
            Item::Claim(claim, places) => {
                lines.claims.push(line);
                claims.push((end, places));
                builder.claims.push(crate::Claim { comment, ..claim });
            }
        }
        Ok(())
    }

    fn list(&mut self, item: ListItem, end: usize, comment: Vec<String>) -> Result<List, TextError> {
        let ListItem { name, place: _, members, files } = item;
        let mut list = List { comment, ..List::new(name, members) };
        let mut read = Vec::new();
        for (file, place) in files {
            let wrong = |message: String| TextError::at(self.source, end - place, message);
            if !self.files.contains_key(&file) {
                let text = (self.read)(&file).map_err(|error| wrong(format!("\"{file}\" cannot be read: {error}")))?;
                self.files.insert(file.clone(), text);
            }
            let text = self.files.get(&file).map_or("", String::as_str);
            self.octets += text.len();
            if self.octets > TEXT_LIMIT {
                return Err(wrong("the files have more than 64 MiB together".to_owned()));
            }
            let members = members_of_file(&list.members.none(), &file, text)?;
            read.push((file, members));
        }
        list.add_files(read);
        Ok(list)
    }
}

/// The members that stand in a file, one a line; of what kind says a list of it.
pub(crate) fn members_of_file(none: &Members, file: &str, text: &str) -> Result<Members, TextError> {
    let source = Source::new(text);
    Ok(match none {
        Members::Networks(trust, _) => Members::Networks(*trust, each(&source, file, network)?.into_iter().collect()),
        Members::Domains(role, _) => Members::Domains(*role, each(&source, file, bare_domain)?.into_iter().collect()),
        Members::Names(trusted, _) => Members::Names(*trusted, each(&source, file, bare_domain)?.into_iter().collect()),
        Members::Users(_) => Members::Users(each(&source, file, bare_user)?),
        Members::Certificates(_) => Members::Certificates(each(&source, file, certificate)?),
    })
}

/// One member a line; empty lines and comments are left out.
fn each<T>(source: &Source<'_>, file: &str, member: impl Fn(&str) -> Parsed<'_, T>) -> Result<Vec<T>, TextError> {
    let mut members = Vec::new();
    for (at, line) in source.lines() {
        let mut one = || -> Result<(), nom::Err<Syntax>> {
            let (line, ()) = blank(line)?;
            if line.is_empty() {
                return Ok(());
            }
            let (rest, found) = member(line).map_err(|error| match error {
                nom::Err::Error(_) => unexpected(line, "a member of the list", []),
                error => error,
            })?;
            members.push(found);
            end(rest).map_err(|_| unexpected(rest, "the end of the line: one member stands on one line", []))?;
            Ok(())
        };
        one().map_err(|error| match error {
            nom::Err::Failure(Syntax { left, message }) | nom::Err::Error(Syntax { left, message }) => {
                TextError::at(source, at + line.len() - left, message).in_file(file)
            }
            nom::Err::Incomplete(_) => TextError::at(source, at, "the line has no end").in_file(file),
        })?;
    }
    Ok(members)
}

/// In a file a name of one label needs no quotes: nothing else could stand there.
fn bare_domain(input: &str) -> Parsed<'_, crate::DomainPattern> {
    let (rest, word) = opt(word).parse(input)?;
    match word {
        Some(word) => match word.text.parse() {
            Ok(pattern) => Ok((rest, pattern)),
            Err(error) => Err(super::lexis::wrong(word.left, error)),
        },
        None => domain(input),
    }
}

/// Nor does a user whose name is one word.
fn bare_user(input: &str) -> Parsed<'_, String> {
    match opt(word).parse(input)? {
        (rest, Some(word)) => Ok((rest, word.text.to_owned())),
        (_, None) => user(input),
    }
}
