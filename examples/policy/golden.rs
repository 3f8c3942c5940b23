//! Files of transactions, each with the decision that is expected.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use hikyaku::policy::Decision;
use serde_json::{Value, json};

use crate::explain::why;
use crate::given::{Given, KEYS};
use crate::report::{Problem, Report};
use crate::source;

#[derive(Args)]
pub(crate) struct Golden {
    /// Files of transactions.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What stands in a file, for people who write one.
pub(crate) fn help() -> String {
    let mut text = "\
A file names a policy, and then a transaction a line with what is expected:

  policy relay.policy                 # a path from the folder of this file

  198.51.100.7 -> victim@third.example               = refuse 550 5.7.1 line 9
  198.51.100.7 spf=fail from=<> -> anna@example.org  = defer 450 \"come again\"
  10.1.2.3 user=anna tls -> bert@third.example       = permit via smarthost line 12
  none -> anna@example.org size=20000000             = refuse line none

The client's address, or `none` on a Unix socket; what else is known, before or behind the
arrow; the recipient. Behind the equals sign: `permit`, `refuse` or `defer`, and what else is to be
compared: `via` with the route, the code, the enhanced code, the text in quotation marks,
`quarantine` with its reason, `tag` with each mark, `provisional`, and `line` with the rule's line,
`none` where no rule matches. What is not written is not compared, but for a route and marks, which are then
expected to be none. Several policies may follow each other.

What can be known, as name=value; a value with blanks stands in quotation marks:
"
    .to_owned();
    for key in KEYS.iter().filter(|key| !["peer", "to"].contains(&key.name)) {
        text += &format!("  {:<12} {:<20} {}\n", key.name, key.value, key.help);
    }
    text
}

/// A decision that is not the one that was expected.
struct Failure {
    line: usize,
    transaction: String,
    expected: String,
    came: String,
    why: String,
}

impl Golden {
    pub(crate) fn run(self) -> Result<Report, Problem> {
        let (mut text, mut files, mut passed, mut failed) = (String::new(), Vec::new(), 0, 0);
        for file in &self.files {
            let (good, failures) = run(file)?;
            for Failure { line, transaction, expected, came, why } in &failures {
                text +=
                    &format!("{}:{line}: {transaction}\n  expected  {expected}\n  came      {came}\n", file.display());
                why.lines().for_each(|line| text += &format!("    {line}\n"));
            }
            text += &format!("{}: {good} as expected, {} not\n", file.display(), failures.len());
            let listed = failures.iter().map(|failure| {
                let Failure { line, transaction, expected, came, .. } = failure;
                json!({ "line": line, "transaction": transaction, "expected": expected, "came": came })
            });
            let listed: Vec<Value> = listed.collect();
            files.push(json!({ "file": file.display().to_string(), "passed": good, "failed": listed }));
            passed += good;
            failed += failures.len();
        }
        let json = json!({ "passed": passed, "failed": failed, "files": files });
        Ok(Report { json, text, is_good: failed == 0 })
    }
}

fn run(file: &Path) -> Result<(usize, Vec<Failure>), Problem> {
    let (mut policy, mut passed, mut failures) = (None, 0, Vec::new());
    let mut is_empty = true;
    for (index, text) in source::read(file)?.lines().enumerate() {
        let line = index + 1;
        let problem = |message: String| Problem(format!("{}:{line}: {message}\n  {text}", file.display()));
        let words = words(text).map_err(problem)?;
        match &words[..] {
            [] => continue,
            [first, name] if first == "policy" => {
                let path = file.parent().unwrap_or(Path::new("")).join(unquoted(name));
                policy = Some(source::parse(&path)?);
                continue;
            }
            _ => {}
        }
        let Some(policy) = &policy else {
            return Err(problem("which policy? the first line is `policy` and the name of its file".to_owned()));
        };
        is_empty = false;
        let (given, expected, transaction) = transaction(&words).map_err(problem)?;
        let facts = given.facts(policy);
        let decision = policy.decide(&facts);
        let came = Expected::of(&decision);
        if expected.fits(&came) {
            passed += 1;
        } else {
            let (expected, came) = (expected.to_string(), came.to_string());
            failures.push(Failure { line, transaction, expected, came, why: why(policy, &given) });
        }
    }
    match is_empty {
        true => Err(Problem(format!("{}: there is no transaction in it", file.display()))),
        false => Ok((passed, failures)),
    }
}

fn transaction(words: &[String]) -> Result<(Given, Expected, String), String> {
    let place = |sign: &str| words.iter().position(|word| word == sign);
    let form = "a transaction is `CLIENT -> RECIPIENT = DECISION`";
    let (arrow, equals) = (place("->").ok_or(form)?, place("=").ok_or(form)?);
    let (Some((client, before)), true) = (words[..arrow].split_first(), arrow < equals) else {
        return Err(form.to_owned());
    };
    let (recipient, behind) = words[arrow + 1..equals].split_first().ok_or(form)?;
    let mut given = Given::default();
    given.set("peer", client)?;
    given.set("to", recipient)?;
    for fact in before.iter().chain(behind) {
        let (name, value) = fact.split_once('=').unwrap_or((fact, ""));
        given.set(name, &unquoted(value))?;
    }
    Ok((given, Expected::read(&words[equals + 1..])?, words[..equals].join(" ")))
}

/// The words of a line up to a comment; quotation marks stay, and keep blanks together.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted => {
                word.push(character);
                word.extend(characters.next());
            }
            '"' => {
                is_quoted = !is_quoted;
                word.push(character);
            }
            '#' if word.is_empty() => break,
            character if character.is_whitespace() && !is_quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            character => word.push(character),
        }
    }
    if is_quoted {
        return Err("a text has no closing quotation mark".to_owned());
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// What is wholly in quotation marks, without them.
fn unquoted(word: &str) -> String {
    let inner = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
    let Some(inner) = inner else { return word.to_owned() };
    let (mut text, mut characters) = (String::new(), inner.chars());
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

/// A decision, so far as a file says it.
#[derive(Default)]
struct Expected {
    verb: &'static str,
    route: Option<String>,
    code: Option<String>,
    enhanced: Option<String>,
    text: Option<String>,
    quarantine: Option<String>,
    tags: Vec<String>,
    provisional: bool,
    line: Option<Option<usize>>,
}

impl Expected {
    fn read(words: &[String]) -> Result<Self, String> {
        let (verb, mut rest) = words.split_first().ok_or("what is expected? `permit`, `refuse` or `defer`")?;
        let verbs = ["permit", "refuse", "defer"];
        let verb = verbs.into_iter().find(|known| known == verb);
        let mut expected =
            Self { verb: verb.ok_or("what is expected begins with `permit`, `refuse` or `defer`")?, ..Self::default() };
        let is_digits = |word: &str| !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_digit());
        while let Some((word, more)) = rest.split_first() {
            let (value, after) = more.split_first().map_or((None, more), |(value, after)| (Some(value), after));
            rest = more;
            match (word.as_str(), value) {
                ("via", Some(route)) => (expected.route, rest) = (Some(route.clone()), after),
                ("quarantine", Some(reason)) if reason.starts_with('"') => {
                    (expected.quarantine, rest) = (Some(unquoted(reason)), after);
                }
                ("quarantine", _) => expected.quarantine = Some(String::new()),
                ("tag", Some(tag)) => {
                    expected.tags.push(unquoted(tag));
                    rest = after;
                }
                ("provisional", _) => expected.provisional = true,
                ("line", Some(line)) => {
                    let number = line.parse().map(Some);
                    let line = if line == "none" { Ok(None) } else { number };
                    expected.line = Some(line.map_err(|_| "`line` is followed by a number or `none`")?);
                    rest = after;
                }
                (code, _) if code.len() == 3 && is_digits(code) => expected.code = Some(code.to_owned()),
                (code, _) if code.split('.').count() == 3 && code.split('.').all(is_digits) => {
                    expected.enhanced = Some(code.to_owned());
                }
                (text, _) if text.starts_with('"') => expected.text = Some(unquoted(text)),
                (word, _) => {
                    return Err(format!("`{word}` is not what a decision is made of; see `policy test --help`"));
                }
            }
        }
        Ok(expected)
    }

    fn of(decision: &Decision<'_>) -> Self {
        let reply = &decision.reply;
        let quarantine = decision.quarantine.map(str::to_owned);
        let verb = match (decision.is_permitted(), reply.is_permanent()) {
            (true, _) => "permit",
            (false, true) => "refuse",
            (false, false) => "defer",
        };
        Self {
            verb,
            route: decision.route.map(str::to_owned),
            code: Some(reply.code().to_string()),
            enhanced: reply.enhanced().map(|code| code.to_string()),
            text: Some(reply.lines().collect::<Vec<_>>().join(" ")),
            quarantine,
            tags: decision.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            provisional: decision.provisional,
            line: Some(decision.line),
        }
    }

    /// Whether what came is what is expected here.
    fn fits(&self, came: &Self) -> bool {
        let agrees = |expected: &Option<String>, came: &Option<String>| expected.is_none() || expected == came;
        self.verb == came.verb
            && self.route == came.route
            && agrees(&self.code, &came.code)
            && agrees(&self.enhanced, &came.enhanced)
            && agrees(&self.text, &came.text)
            && self.quarantine == came.quarantine
            && self.tags == came.tags
            && (!self.provisional || came.provisional)
            && self.line.is_none_or(|line| came.line == Some(line))
    }
}

/// As it may stand in a file.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb)?;
        let of_permit = self.verb == "permit";
        if let Some(route) = &self.route {
            write!(f, " via {route}")?;
        }
        for code in [&self.code, &self.enhanced].into_iter().flatten().filter(|_| !of_permit) {
            write!(f, " {code}")?;
        }
        if let Some(text) = self.text.as_ref().filter(|_| !of_permit) {
            write!(f, " {text:?}")?;
        }
        match self.quarantine.as_deref() {
            Some("") => write!(f, " quarantine")?,
            Some(reason) => write!(f, " quarantine {reason:?}")?,
            None => {}
        }
        self.tags.iter().try_for_each(|tag| write!(f, " tag {tag:?}"))?;
        if self.provisional {
            f.write_str(" provisional")?;
        }
        match self.line {
            Some(Some(line)) => write!(f, " line {line}"),
            Some(None) => f.write_str(" line none"),
            None => Ok(()),
        }
    }
}
