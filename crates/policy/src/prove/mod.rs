//! The proof: who can relay what, computed from the rules for all facts at once.

mod axioms;
mod build;
mod columns;
mod credentials;
mod cuts;
mod diagram;
mod dialogue;
mod diff;
mod dimension;
mod extent;
mod facts;
mod flip;
mod grid;
mod idle;
mod intern;
mod keys;
mod line;
mod literals;
mod parts;
#[cfg(test)]
mod read;
mod region;
mod report;
mod rows;
mod rulings;
mod siblings;
mod space;
mod suffix;
mod surface;
mod sweep;
mod table;
mod verdict;
mod words;

use hikyaku_wire::Reply;

use crate::{Condition, Facts, Policy, Stage, Verb};

/// How much work a proof may take before it gives up. Deterministic: the same policy gives the
/// same answer everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Steps of work: nodes made and pairs of nodes looked at.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 20_000_000 }
    }
}

/// The proof would take more work than it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too complex to prove within {steps} steps: {dimension} has {classes} classes, most of them by lines {lines:?}"
)]
#[non_exhaustive]
pub struct TooComplex {
    /// The limit.
    pub steps: u64,
    /// The fact whose values the rules divide into most classes.
    pub dimension: &'static str,
    /// How many.
    pub classes: usize,
    /// The lines of the rules that divide it most, at most ten.
    pub lines: Vec<usize>,
}

/// Whether a stranger may send to a domain that is neither local nor a relay domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No stranger can.
    Closed,
    /// Here is one who can.
    Open(Box<Witness>),
}

/// One transaction that shows something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Witness {
    /// All its facts, up to the end of the message. What does not matter has a plain value.
    pub facts: Facts,
    /// The rule that decides, as it prints.
    pub rule: String,
    /// Its line; `None` for the implicit refusal.
    pub line: Option<usize>,
    /// Custom conditions that must have a certain value, with that value.
    pub customs: Vec<(crate::Identifier, bool)>,
    /// What is answered.
    pub reply: Reply,
    /// When that is final: at RCPT, or not before the end of the message.
    pub at: Stage,
}

/// Why a policy that is well formed must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is an open relay, and does not say so in its first line.
    #[error("{}", report::open(.0, .1))]
    Open(Box<Witness>, Vec<Note>),
    /// A claim does not hold.
    #[error("line {line}: this claim does not hold:\n{}", dialogue::dialogue(.witness))]
    Claim {
        /// The claim's line.
        line: usize,
        /// Who shows that.
        witness: Box<Witness>,
    },
    /// At RCPT, foreign recipients of strangers would be accepted until the message is there.
    #[error(
        "line {line}: recipients elsewhere would be accepted from strangers until the message is there; say `at message` if that is meant"
    )]
    Provisional {
        /// The line of the rule that a message may make match.
        line: usize,
        /// Who shows that.
        witness: Box<Witness>,
    },
    /// It cannot be told.
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
}

/// What must be said of a policy besides the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The line that it is about, if it is about one.
    pub line: Option<usize>,
    /// What is to be said.
    pub text: String,
}

/// All that a policy permits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Surface {
    /// Whether it is closed.
    pub verdict: Verdict,
    /// Whether its first line says that it may be open.
    pub declared_open: bool,
    /// What the verdict rests on, in words.
    pub assumptions: Vec<String>,
    /// What is not counted as a credential or as ours and why, and other doubts.
    pub notes: Vec<Note>,
    /// Who may send where, in short.
    pub grid: Grid,
    /// What is permitted: each row is true by itself, and together they are all.
    pub rows: Vec<Row>,
    /// Rules that do nothing, or nothing of their own.
    pub idle: Vec<Idle>,
    /// The claims, each with its line and who shows that it does not hold.
    pub claims: Vec<(usize, Option<Witness>)>,
    /// The lists that the rows name, in the order of their declaration.
    pub extents: Vec<Extent>,
}

/// How much a list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// The list's name.
    pub list: String,
    /// What it is declared to be: `trusted networks`.
    pub kind: String,
    /// How much is in it, in words: `256 public, 16.8 M private addresses`.
    pub size: String,
}

/// Who may send where, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grid {
    /// Above each column: `ours`, `relay`, `foreign`, without those there are none of.
    pub columns: Vec<String>,
    /// Before each row who it is, and then a cell a column.
    pub rows: Vec<(String, Vec<Cell>)>,
}

/// How many of a class are permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// None, whatever else is true.
    Never,
    /// It depends on other facts.
    Depends,
    /// All, whatever else is true.
    Always,
}

/// One row of the surface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Who: `anyone`, `from office`, `authenticated`.
    pub who: String,
    /// To whom: `anywhere`, `ours`, `ours except noise`.
    pub to: String,
    /// When: `always`, or what else must be so.
    pub when: String,
    /// The line of the rule, where a row is about one rule.
    pub line: Option<usize>,
    /// The lines of rules above it that take something away from it, where a row is about one rule.
    pub except: Vec<usize>,
    /// Who, to whom and when as one condition: where it is true, and not as the lines of `except`
    /// say, the policy permits.
    pub condition: Condition,
}

/// A rule that does nothing, or nothing of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Idle {
    /// The rule's line.
    pub line: usize,
    /// Why.
    pub why: Why,
}

/// Why a rule does nothing, or nothing of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its condition cannot hold.
    Contradictory,
    /// The rules on these lines decide whatever it would match.
    NeverReached(Vec<usize>),
    /// Without it everything would be decided alike.
    Redundant,
}

/// One way in which two policies differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Facts that they decide differently.
    pub witness: Facts,
    /// What the old one does.
    pub before: Outcome,
    /// What the new one does.
    pub after: Outcome,
}

/// What a policy does in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The verb.
    pub verb: Verb,
    /// The reply, as it is written.
    pub reply: String,
    /// The route, if one is named.
    pub route: Option<String>,
    /// The rule, as it prints.
    pub rule: String,
    /// Its line.
    pub line: Option<usize>,
    /// Marks: tags, and `quarantine` with its reason.
    pub marks: Vec<String>,
}

/// The smallest change of the facts that changes the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flip {
    /// The facts that change, each with its new value, in words: `tls = yes`.
    pub changes: Vec<(String, String)>,
    /// The facts after the change.
    pub facts: Facts,
    /// What is decided then.
    pub verb: Verb,
    /// By which rule.
    pub line: Option<usize>,
}

impl Policy {
    /// All that it permits.
    ///
    /// # Errors
    /// [`TooComplex`]: never a guess.
    pub fn prove(&self, limits: &Limits) -> Result<Surface, TooComplex> {
        surface::surface(self, limits)
    }

    /// Who may send where, in short.
    ///
    /// # Errors
    /// [`TooComplex`]: never a guess.
    pub fn grid(&self, limits: &Limits) -> Result<Grid, TooComplex> {
        grid::grid_of(self, limits)
    }

    /// What another policy does differently. Empty: nothing at all.
    ///
    /// # Errors
    /// [`TooComplex`]: never a guess.
    pub fn diff(&self, new: &Self, limits: &Limits) -> Result<Vec<Change>, TooComplex> {
        diff::diff(self, new, limits)
    }

    /// The nearest facts that are decided differently, at most three that are equally near.
    ///
    /// # Errors
    /// [`TooComplex`]: never a guess.
    pub fn flips(&self, facts: &Facts, limits: &Limits) -> Result<Vec<Flip>, TooComplex> {
        flip::flips(self, facts, limits)
    }
}

impl Witness {
    /// The SMTP dialogue in which it happens; what is not said in one stands in comments.
    pub fn dialogue(&self) -> String {
        dialogue::dialogue(self)
    }
}

#[cfg(test)]
mod told_tests;

#[cfg(test)]
pub(crate) use self::{
    diagram::{Diagrams, Ref},
    rulings::{Mark, Ruling},
    space::Space,
};

#[cfg(test)]
mod tests;
