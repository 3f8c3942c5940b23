//! What `cargo xtask fuzz` is asked to do.

/// The words after `cargo xtask fuzz`, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) task: Task,
    /// As `cargo fuzz --sanitizer` names it.
    pub(super) sanitizer: String,
    /// Those named; none means all.
    pub(super) targets: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Task {
    /// Each target for so many seconds, so many targets at once; with `record`
    /// a line for each in `fuzz/RUNS.md`.
    Run { seconds: u64, jobs: usize, record: bool },
    /// The least inputs that reach what the scratch corpus reaches; with `copy`
    /// they go to `fuzz/corpus`.
    Minimize { copy: bool },
    /// What `fuzz/RUNS.md` says.
    Status,
}

impl Request {
    pub(super) fn parse(words: &[&str]) -> Result<Self, String> {
        let (mut seconds, mut jobs, mut sanitizer) = (None, None, None);
        let (mut record, mut minimize, mut copy, mut status) = (false, false, false, false);
        let mut targets = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match *word {
                "--seconds" => seconds = Some(number(word, value()?)?),
                "--jobs" => jobs = Some(number(word, value()?)?),
                "--sanitizer" => sanitizer = Some((*value()?).to_owned()),
                "--record" => record = true,
                "--minimize" => minimize = true,
                "--copy" => copy = true,
                "--status" => status = true,
                option if option.starts_with('-') => return Err(format!("there is no option {option}")),
                target => targets.push(target.to_owned()),
            }
        }
        let jobs_given = jobs.is_some() || record;
        let task = match (seconds, minimize, status) {
            (Some(seconds), false, false) if !copy => {
                let jobs = usize::try_from(jobs.unwrap_or(1)).map_err(|_| "--jobs is too large")?;
                Task::Run { seconds, jobs, record }
            }
            (None, true, false) if !jobs_given => Task::Minimize { copy },
            (None, false, true) if !jobs_given && !copy && sanitizer.is_none() && targets.is_empty() => Task::Status,
            _ => return Err(USAGE.to_owned()),
        };
        Ok(Self { task, sanitizer: sanitizer.unwrap_or_else(|| "none".to_owned()), targets })
    }
}

/// A whole number above 0.
fn number(option: &str, text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{option} takes a whole number above 0, not {text}")),
    }
}

const USAGE: &str = "\
one of these:
    cargo xtask fuzz --seconds N [--jobs J] [--sanitizer S] [--record] [TARGET...]
    cargo xtask fuzz --minimize [--copy] [--sanitizer S] [TARGET...]
    cargo xtask fuzz --status
fuzz/README.md explains them";

#[test]
fn a_run_has_seconds_and_may_have_the_rest() {
    let run = |seconds, jobs, record, sanitizer: &str, targets: &[&str]| Request {
        task: Task::Run { seconds, jobs, record },
        sanitizer: sanitizer.to_owned(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
    };
    assert_eq!(Request::parse(&["--seconds", "60"]), Ok(run(60, 1, false, "none", &[])));
    let words = ["a", "--jobs", "2", "--seconds", "1", "--record", "b", "--sanitizer", "address"];
    assert_eq!(Request::parse(&words), Ok(run(1, 2, true, "address", &["a", "b"])));
}

#[test]
fn the_other_tasks() {
    let task = |words: &[&str]| Request::parse(words).map(|request| (request.task, request.targets));
    assert_eq!(task(&["--minimize"]), Ok((Task::Minimize { copy: false }, vec![])));
    assert_eq!(task(&["--minimize", "--copy", "a"]), Ok((Task::Minimize { copy: true }, vec!["a".to_owned()])));
    assert_eq!(task(&["--status"]), Ok((Task::Status, vec![])));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let error = |words: &str| Request::parse(&words.split_whitespace().collect::<Vec<_>>()).unwrap_err();
    assert_eq!(error("--seconds"), "--seconds needs a value");
    for value in ["0", "x", "-1", "1.5", "99999999999999999999"] {
        let expected = format!("--seconds takes a whole number above 0, not {value}");
        assert_eq!(error(&format!("--seconds {value}")), expected);
    }
    assert_eq!(error("--second 5"), "there is no option --second");
    for words in [
        "",
        "wire_dot",
        "--jobs 2",
        "--copy",
        "--seconds 1 --copy",
        "--seconds 1 --minimize",
        "--seconds 1 --status",
        "--minimize --jobs 2",
        "--minimize --record",
        "--minimize --status",
        "--status wire_dot",
        "--status --record",
        "--status --copy",
        "--status --sanitizer none",
    ] {
        assert_eq!(error(words), USAGE, "{words}");
    }
}
