//! The decision: the first rule that matches.

#[cfg(test)]
mod tests;
mod text;
mod view;

use std::fmt;

use hikyaku_wire::{Code, EnhancedCode, Reply};

pub(crate) use self::{
    text::harmless,
    view::{View, Watch},
};
use crate::{Action, Facts, Policy, Stage, index::Does, policy::IMPLICIT};

/// What a policy decides, and which rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision<'p> {
    /// What to answer: a 2xx where it is permitted.
    pub reply: Reply,
    /// The rule that decides, as it prints; `implicit refusal` where no rule matches. While the
    /// decision is provisional, the first rule that may still match.
    pub rule: &'p str,
    /// The rule's line; `None` for the implicit refusal.
    pub line: Option<usize>,
    /// Whether facts of a later stage may change the decision: go on, and ask again. Then it is a
    /// permit, which a later stage may take back or mark.
    pub provisional: bool,
    /// The route that the mail goes, if the rule names one. Route, quarantine and tags are those of
    /// what is permitted for good.
    pub route: Option<&'p str>,
    /// Why the message is to be put aside, if it is; empty where the rule does not say.
    pub quarantine: Option<&'p str>,
    /// The marks of the message.
    pub tags: Vec<&'p str>,
    /// The indices of the shadow rules that match, of those that stand before the rule that
    /// decides.
    pub shadows: Vec<usize>,
}

impl Decision<'_> {
    /// Whether the answer is a 2xx.
    pub fn is_permitted(&self) -> bool {
        self.reply.is_positive()
    }
}

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It could not be found out, and never will be.
    Unknown,
    /// A later stage will tell.
    Later,
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// `yes`, `no`, `unknown`, `later`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::True => "yes",
            Self::False => "no",
            Self::Unknown => "unknown",
            Self::Later => "later",
        })
    }
}

impl Value {
    /// What it counts as where it could not be found out, if it is to count as something.
    pub(crate) fn unless_known(self, value: Option<bool>) -> Self {
        match (self, value) {
            (Self::Unknown, Some(value)) => value.into(),
            (value, _) => value,
        }
    }
}

impl std::ops::Not for Value {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other,
        }
    }
}

impl std::ops::BitAnd for Value {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Later, _) | (_, Self::Later) => Self::Later,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::True,
        }
    }
}

impl Policy {
    /// Decides by the facts that are known; at [`Stage::Message`] that is final.
    ///
    /// Before that stage, a refusal that no later fact can turn into a permit is given at once;
    /// everything else is permitted, provisionally where a later fact may change it.
    ///
    /// Each fact is looked up once for all lists, and only the rules are asked that may match by
    /// the lists that it is in. Nothing is allocated for a permit without tags.
    pub fn decide(&self, facts: &Facts) -> Decision<'_> {
        self.decide_watched(&View::new(&self.index, facts), &mut ())
    }

    /// Decides while somebody looks on.
    pub(crate) fn decide_watched<W: Watch>(&self, view: &View<'_>, watch: &mut W) -> Decision<'_> {
        let mut scan = Scan::default();
        let filters = if W::WHOLE { [None; 6] } else { view.may_match() };
        'rules: for (word, all) in self.index.filter.all.iter().enumerate() {
            let mut left = filters.iter().flatten().fold(*all, |left, filter| left & filter[word]);
            while left != 0 {
                let rule = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                if self.takes(rule, view.rule(rule, watch), &mut scan) {
                    break 'rules;
                }
            }
        }
        self.decision(scan, view)
    }

    /// Takes the next rule; gives whether the decision has fallen.
    fn takes<'p>(&'p self, rule: usize, value: Value, scan: &mut Scan<'p>) -> bool {
        let entry = &self.index.rules[rule];
        match entry.does {
            _ if value == Value::False => false,
            _ if entry.shadow => {
                scan.shadows.extend((value == Value::True).then_some(rule));
                false
            }
            Does::Mark => {
                scan.mark(rule, &self.rules[rule].action, value);
                false
            }
            does => scan.rule(rule, does, value),
        }
    }

    fn decision<'p>(&'p self, scan: Scan<'p>, view: &View<'_>) -> Decision<'p> {
        let Scan { pending, decided, first_later, later, permit_later, quarantine, tags, shadows } = scan;
        let decided = decided.unwrap_or(match pending {
            Some((rule, does)) if does != Does::Refuse => Decided::Torn(rule),
            _ => Decided::Implicit,
        });
        let (rule, does) = match decided {
            Decided::Rule(rule, does) => (Some(rule), Some(does)),
            Decided::Torn(rule) => (Some(rule), None),
            Decided::Implicit => (None, Some(Does::Refuse)),
        };
        let permits = matches!(does, Some(Does::Permit(_)));
        let differs = later.is_some_and(|later| later.is_none() || later != does);
        let provisional = (permits || permit_later) && differs;
        let rule = if provisional { first_later } else { rule };
        let action = rule.map(|rule| &self.rules[rule].action);
        let is_permitted = permits || provisional;
        let reply = match action {
            _ if is_permitted => match view.stage {
                Stage::Recipient => Reply::RECIPIENT_OK_250,
                Stage::Mail => Reply::SENDER_OK_250,
                Stage::Connect | Stage::Hello | Stage::Message => Reply::OK_250,
            },
            _ if does.is_none() => torn(),
            Some(Action::Refuse(reply) | Action::Defer(reply)) => text::expanded(reply, view.facts),
            Some(Action::Limit(_)) => limited(),
            _ => IMPLICIT,
        };
        Decision {
            reply,
            rule: rule.map_or("implicit refusal", |rule| &self.names[rule]),
            line: rule.map(|rule| self.line(rule)),
            provisional,
            route: match action {
                Some(Action::Permit(Some(route))) if permits && !provisional => Some(route.as_str()),
                _ => None,
            },
            quarantine: quarantine.filter(|_| permits && !provisional),
            tags: if permits && !provisional { tags } else { Vec::new() },
            shadows,
        }
    }
}

/// What is answered where a lookup failed that decides between accepting and not.
pub(crate) fn torn() -> Reply {
    const TEXT: &str = "a lookup that decides about this recipient failed, try again later";
    Reply::new(Code::LOCAL_ERROR_451, EnhancedCode::new(4, 4, 3), TEXT)
}

/// What is answered where a limit is reached.
pub(crate) fn limited() -> Reply {
    const TEXT: &str = "too many recipients for now, try again later";
    Reply::new(Code::MAILBOX_BUSY_450, EnhancedCode::new(4, 7, 1), TEXT)
}

/// The rules as they are read, up to the one that decides. A rule that cannot be known to match is
/// pending: whether it does must not matter.
#[derive(Default)]
struct Scan<'p> {
    /// The first pending rule; all others up to here do the same.
    pending: Option<(usize, Does)>,
    decided: Option<Decided>,
    /// The first rule that a later stage may make match.
    first_later: Option<usize>,
    /// What all of those do; `Some(None)` where they do not do the same.
    later: Option<Option<Does>>,
    /// Whether one of them permits.
    permit_later: bool,
    quarantine: Option<&'p str>,
    tags: Vec<&'p str>,
    shadows: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Decided {
    Rule(usize, Does),
    /// By a pending rule, whose like the next is not.
    Torn(usize),
    Implicit,
}

impl<'p> Scan<'p> {
    /// Takes the next rule, which may match; gives whether the decision has fallen.
    fn rule(&mut self, rule: usize, does: Does, value: Value) -> bool {
        match (value, self.pending) {
            (Value::Later, _) => self.later(rule, does),
            (_, Some((pending, before))) if before != does => self.decided = Some(Decided::Torn(pending)),
            (Value::Unknown, None) => self.pending = Some((rule, does)),
            (Value::Unknown | Value::False, _) => {}
            (Value::True, _) => self.decided = Some(Decided::Rule(rule, does)),
        }
        self.decided.is_some()
    }

    /// Takes the next rule, which may match and marks.
    fn mark(&mut self, rule: usize, action: &'p Action, value: Value) {
        if value == Value::True && self.later.is_some() {
            // Whether it marks is told by the rules above it.
            self.later = Some(None);
        }
        match (value, action) {
            (Value::Later, _) => self.later(rule, Does::Mark),
            // A mark that is there is not made twice.
            (Value::True, Action::Tag(tag)) if !self.tags.contains(&tag.as_str()) => self.tags.push(tag),
            (Value::True, Action::Quarantine(why)) if self.quarantine.is_none() => {
                self.quarantine = Some(why.as_deref().unwrap_or_default());
            }
            _ => {}
        }
    }

    fn later(&mut self, rule: usize, does: Does) {
        self.first_later.get_or_insert(rule);
        self.permit_later |= matches!(does, Does::Permit(_));
        self.later = match self.later {
            None => Some(Some(does)),
            Some(all) => Some(all.filter(|all| *all == does)),
        };
    }
}
