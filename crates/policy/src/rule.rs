//! Rules and claims.

use hikyaku_wire::Reply;

use crate::{Condition, Identifier, Rate, Stage};

/// What a rule does with what matches it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The recipient is accepted, and where a route is named its mail goes that way: `permit`,
    /// `permit via smarthost`.
    Permit(Option<Identifier>),
    /// It is refused for good with this reply, a 5xx of one line. `%{ip}`, `%{name}`, `%{helo}`,
    /// `%{user}`, `%{sender}` and `%{recipient}` in its text stand for the facts.
    Refuse(Reply),
    /// It is refused for now with this reply, a 4xx of one line.
    Defer(Reply),
    /// Deferred with 450 4.7.1 where the rate is reached, else the next rules decide:
    /// `limit 100/h per ip`.
    Limit(Rate),
    /// The next rules decide; if they permit, the message is put aside, for this reason.
    Quarantine(Option<String>),
    /// The next rules decide; if they permit, the message gets this mark.
    Tag(String),
}

/// One rule: what it does, and when. It prints as a text says it.
///
/// ```
/// use hikyaku_policy::{Listener, Network, Per, Period, Rate, Rule, Stage, Test};
///
/// let staff = Test::Authenticated(None).and(Test::SenderOwned).and(!Test::On(Listener::Mx));
/// let rule = Rule::permit_via("smarthost".parse()?, staff);
/// assert_eq!(rule.to_string(), "permit via smarthost when authenticated and sender owned and not on mx");
///
/// let inside: Network = "10.0.0.0/8".parse()?;
/// let rule = Rule::limit(Rate::new(100, Period::Hour, Per::Ip), !Test::client(inside));
/// assert_eq!(rule.to_string(), "limit 100/h per ip when not from 10.0.0.0/8");
///
/// let rule = Rule::tag("odd", !Test::AuthorAligned).at(Stage::Message).shadow();
/// assert_eq!(rule.to_string(), "shadow tag \"odd\" at message when not author aligned");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// What it does.
    pub action: Action,
    /// When it does so.
    pub when: Condition,
    /// The stage before which it is not asked; `None`: as soon as what it asks for is known.
    pub at: Option<Stage>,
    /// Whether it only tells what it would do, and does nothing.
    pub shadow: bool,
    /// What the policy says about it: the lines of the comment above it, without `#`.
    pub comment: Vec<String>,
}

impl Rule {
    /// A rule that does this when that is so.
    pub fn new(action: Action, when: impl Into<Condition>) -> Self {
        Self { action, when: when.into(), at: None, shadow: false, comment: Vec::new() }
    }

    /// A rule that accepts.
    pub fn permit(when: impl Into<Condition>) -> Self {
        Self::new(Action::Permit(None), when)
    }

    /// A rule that accepts, and says which way the mail goes.
    pub fn permit_via(route: Identifier, when: impl Into<Condition>) -> Self {
        Self::new(Action::Permit(Some(route)), when)
    }

    /// A rule that refuses for good, with a 5xx reply of one line.
    pub fn refuse(reply: Reply, when: impl Into<Condition>) -> Self {
        Self::new(Action::Refuse(reply), when)
    }

    /// A rule that refuses for now, with a 4xx reply of one line.
    pub fn defer(reply: Reply, when: impl Into<Condition>) -> Self {
        Self::new(Action::Defer(reply), when)
    }

    /// A rule that defers what comes too fast: `limit 100/h per ip`.
    pub fn limit(rate: Rate, when: impl Into<Condition>) -> Self {
        Self::new(Action::Limit(rate), when)
    }

    /// A rule that puts aside what is permitted, for this reason: `quarantine "DMARC"`.
    pub fn quarantine(why: &str, when: impl Into<Condition>) -> Self {
        Self::new(Action::Quarantine(Some(why.to_owned())), when)
    }

    /// A rule that marks what is permitted: `tag "bulk"`.
    pub fn tag(tag: &str, when: impl Into<Condition>) -> Self {
        Self::new(Action::Tag(tag.to_owned()), when)
    }

    /// Whether it ends the reading of rules where it matches: it permits, refuses or defers whoever
    /// it matches.
    pub(crate) fn decides(&self) -> bool {
        matches!(self.action, Action::Permit(_) | Action::Refuse(_) | Action::Defer(_))
    }

    /// The same, asked at that stage and not before.
    #[must_use]
    pub fn at(self, stage: Stage) -> Self {
        Self { at: Some(stage), ..self }
    }

    /// The same, which only tells.
    #[must_use]
    pub fn shadow(self) -> Self {
        Self { shadow: true, ..self }
    }
}

/// What the policy's author says that the policy does, to be proved when it is loaded:
/// `never permit when not authenticated and sender ours`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// Whether that is always so, or never.
    pub always: bool,
    /// What is done.
    pub verb: Verb,
    /// When.
    pub when: Condition,
    /// What the policy says about it: the lines of the comment above it, without `#`.
    pub comment: Vec<String>,
}

impl Claim {
    /// `never permit when …`
    pub fn never(verb: Verb, when: impl Into<Condition>) -> Self {
        Self { always: false, verb, when: when.into(), comment: Vec::new() }
    }

    /// `always refuse when …`
    pub fn always(verb: Verb, when: impl Into<Condition>) -> Self {
        Self { always: true, verb, when: when.into(), comment: Vec::new() }
    }
}

/// What is done with a recipient in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// It is accepted.
    Permit,
    /// It is refused for now.
    Defer,
    /// It is refused for good.
    Refuse,
}
