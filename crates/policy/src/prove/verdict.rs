//! The verdict: closed, or open with a witness; and whether a policy may be used.

use super::{
    Limits, Note, Rejection, TooComplex, Verdict, Witness,
    diagram::{Diagrams, Made, Op, Ref},
    dimension::YES,
    line::bits,
    region::Detail,
    rulings::State,
    space::{Fact, Space},
};
use crate::{Action, Condition, Identifier, Policy, Rule, Stage, Test};

impl Policy {
    /// Whether it is an open relay.
    ///
    /// # Errors
    /// [`TooComplex`]: never a guess.
    pub fn verdict(&self, limits: &Limits) -> Result<Verdict, TooComplex> {
        let space = Space::new(&[self]);
        Diagrams::new(&space, limits)?.verdict(0)
    }

    /// Proves that the policy may be used: it is closed or says that it is open, its claims hold,
    /// and no stranger's message is taken only to be refused.
    ///
    /// # Errors
    /// Why it must not be used.
    pub fn admit(&self, limits: &Limits) -> Result<(), Rejection> {
        let space = Space::new(&[self]);
        let mut diagrams = Diagrams::new(&space, limits)?;
        if !self.open {
            if let Verdict::Open(witness) = diagrams.verdict(0)? {
                return Err(Rejection::Open(witness, space.credentials[0].notes.clone()));
            }
            if let Some((line, witness)) = diagrams.provisional(0)? {
                return Err(Rejection::Provisional { line, witness: Box::new(witness) });
            }
        }
        for (claim, (line, witness)) in diagrams.claims(0)?.into_iter().enumerate() {
            debug_assert_eq!(line, self.claim_line(claim));
            if let Some(witness) = witness {
                return Err(Rejection::Claim { line, witness: Box::new(witness) });
            }
        }
        Ok(())
    }
}

impl Diagrams<'_> {
    /// Whether a policy of the space is an open relay.
    pub(crate) fn verdict(&mut self, policy: usize) -> Result<Verdict, TooComplex> {
        let region = self.strange_and_foreign(policy)?;
        // Half of the steps for the plainest of all witnesses; then any witness will do.
        let open = match self.with_half(|diagrams| diagrams.permits(policy, region)) {
            Ok(open) => open,
            Err(_) => self.first_permits(policy, region)?,
        };
        Ok(match self.witness(policy, open)? {
            None => Verdict::Closed,
            Some(witness) => Verdict::Open(Box::new(witness)),
        })
    }

    /// Strangers' facts with a foreign recipient that can be.
    pub(crate) fn strange_and_foreign(&mut self, policy: usize) -> Made {
        let (stranger, foreign, feasible) = (self.stranger(policy)?, self.foreign(policy)?, self.feasible()?);
        let region = self.and(stranger, foreign)?;
        self.and(region, feasible)
    }

    /// What the first rule permits that permits anything of a region, without the rulings of all
    /// rules: from where the rule matches is taken what earlier rules do not let through.
    pub(super) fn first_permits(&mut self, policy: usize, region: Ref) -> Made {
        let of = self.space.policies[policy];
        let mut earlier: Vec<(Option<&Identifier>, bool, Ref, Ref)> = Vec::new();
        for (index, rule) in of.rules.iter().enumerate().filter(|(_, rule)| !rule.shadow) {
            let (permits, route) = match &rule.action {
                Action::Permit(route) => (true, route.as_ref()),
                Action::Quarantine(_) | Action::Tag(_) => continue,
                _ => (false, None),
            };
            let (is_true, may_be) = self.rule_parts(policy, index, region)?;
            if permits {
                let mut left = is_true;
                for (their_route, permitted, is_true, may_be) in &earlier {
                    if left == Ref::NONE {
                        break;
                    }
                    // One that may match and does the same does not matter; where one does
                    // match, this rule is not asked, and that one has permitted nothing.
                    let same = *permitted && *their_route == route;
                    left = self.minus(left, if same { *is_true } else { *may_be })?;
                }
                if left != Ref::NONE {
                    return Ok(left);
                }
            }
            earlier.push((route, permits, is_true, may_be));
        }
        Ok(Ref::NONE)
    }

    /// The plainest facts of a set, and what the policy does with them; `None` if it is empty.
    pub(crate) fn witness(&mut self, policy: usize, set: Ref) -> Result<Option<Witness>, TooComplex> {
        let Some(path) = self.plainest(set) else { return Ok(None) };
        let facts = self.space.facts(&path);
        debug_assert_eq!(self.space.classes_of(&facts), path, "{facts:#?}");
        let mut customs = Vec::new();
        for (dimension, of) in self.space.dimensions.iter().enumerate() {
            if let Fact::Custom(name) = &of.fact {
                // It must have a value if there are no such facts with the other one.
                let mut without = |class: usize| -> Result<bool, TooComplex> {
                    let classes = bits(of.classes, [class]);
                    let within = self.within(dimension, &classes);
                    Ok(self.and(set, within)? == Ref::NONE)
                };
                match (without(1 - YES)?, without(YES)?) {
                    (true, false) => customs.push((name.clone(), true)),
                    (false, true) => customs.push((name.clone(), false)),
                    _ => {}
                }
            }
        }
        Ok(Some(Witness::new(self.space.policies[policy], facts, customs)))
    }

    /// Each claim of a policy with its line, and who shows that it does not hold.
    pub(crate) fn claims(&mut self, policy: usize) -> Result<Vec<(usize, Option<Witness>)>, TooComplex> {
        let of = self.space.policies[policy];
        let mut claims = Vec::new();
        for (index, claim) in of.claims().iter().enumerate() {
            // What cannot be told counts against it.
            let (is_true, unknown) = self.condition(policy, &claim.when)?;
            let (when, feasible) = (self.or(is_true, unknown)?, self.feasible()?);
            let region = self.and(when, feasible)?;
            let rulings = self.rulings(policy, region)?;
            let (verb, always) = (claim.verb, claim.always);
            let breaks = self.where_ruled(rulings, &|ruling| (ruling.verb == verb) != always)?;
            claims.push((of.claim_line(index), self.witness(policy, breaks)?));
        }
        Ok(claims)
    }

    /// A stranger whose foreign recipient is accepted until the message is there, and the line
    /// of the rule that a message may make match.
    pub(super) fn provisional(&mut self, policy: usize) -> Result<Option<(usize, Witness)>, TooComplex> {
        let of = self.space.policies[policy];
        let waits = |rule: &Rule| rule.when.tests().iter().any(|test| test.stage() == Stage::Message);
        if !of.rules.iter().any(|rule| !rule.shadow && rule.at != Some(Stage::Message) && waits(rule)) {
            return Ok(None);
        }
        let region = self.strange_and_foreign(policy)?;
        let undecided = self.undecided(region)?;
        let mut so_far = undecided;
        // What a rule in front may still refuse when the message is there.
        let mut refusals = Ref::NONE;
        for (index, rule) in of.rules.iter().enumerate().filter(|(_, rule)| !rule.shadow) {
            let early = match rule.at {
                Some(Stage::Message) => Early { is_true: Ref::NONE, may_be: Ref::NONE, later: region },
                _ => self.early(policy, &rule.when, region)?,
            };
            let early = match &rule.action {
                Action::Limit(rate) => {
                    let reached = Condition::Not(Box::new(Condition::Test(Test::Rate(*rate))));
                    let reached = self.early(policy, &reached, region)?;
                    self.both(early, reached)?
                }
                _ => early,
            };
            if rule.at != Some(Stage::Message) {
                let open = self.still_open(so_far)?;
                let later = self.and(open, early.later)?;
                let taken = match &rule.action {
                    Action::Permit(_) => {
                        let untouched = self.untouched(so_far)?;
                        let now = self.and(refusals, early.is_true)?;
                        let now = self.and(untouched, now)?;
                        self.or(later, now)?
                    }
                    Action::Refuse(_) | Action::Defer(_) | Action::Limit(_) => {
                        refusals = self.or(refusals, later)?;
                        Ref::NONE
                    }
                    Action::Quarantine(_) | Action::Tag(_) => Ref::NONE,
                };
                if let Some(path) = self.plainest(taken) {
                    let mut facts = self.space.facts(&path);
                    facts.message = None;
                    return Ok(Some((of.line(index), Witness::new(of, facts, Vec::new()))));
                }
            }
            let now = self.minus(early.may_be, early.later)?;
            if let Some(layer) = self.layer(&rule.action, (early.is_true, now), undecided, Detail::Replies)? {
                so_far = self.make(Op::Merge, so_far, layer)?;
            }
        }
        Ok(None)
    }

    /// What no rule has decided so far.
    fn still_open(&mut self, so_far: Ref) -> Made {
        self.map_ends(so_far, &mut |states, end| {
            let decided = end.state().is_none_or(|state| states.is_final(state));
            if decided { Ref::NONE } else { Ref::ALL }
        })
    }

    /// What no rule has decided so far or may have.
    fn untouched(&mut self, so_far: Ref) -> Made {
        self.map_ends(so_far, &mut |states, end| {
            let open = end.state().is_some_and(|state| matches!(states.get(state), State::Open(_)));
            if open { Ref::ALL } else { Ref::NONE }
        })
    }

    /// What is known of a condition at RCPT.
    fn early(&mut self, policy: usize, condition: &Condition, region: Ref) -> Result<Early, TooComplex> {
        Ok(match condition {
            Condition::Test(test) | Condition::Assuming(test, _) if test.stage() == Stage::Message => {
                Early { is_true: Ref::NONE, may_be: region, later: region }
            }
            Condition::Always | Condition::Test(_) | Condition::Assuming(..) => {
                let (is_true, may_be) = self.parts(policy, condition, region)?;
                Early { is_true, may_be, later: Ref::NONE }
            }
            Condition::Not(inner) => {
                let inner = self.early(policy, inner, region)?;
                self.opposite(inner, region)?
            }
            Condition::All(inner) => {
                let mut all = Early { is_true: region, may_be: region, later: Ref::NONE };
                for one in inner {
                    let one = self.early(policy, one, region)?;
                    all = self.both(all, one)?;
                }
                all
            }
            Condition::Any(inner) => {
                let mut none = Early { is_true: region, may_be: region, later: Ref::NONE };
                for one in inner {
                    let one = self.early(policy, one, region)?;
                    let one = self.opposite(one, region)?;
                    none = self.both(none, one)?;
                }
                self.opposite(none, region)?
            }
        })
    }

    fn opposite(&mut self, of: Early, region: Ref) -> Result<Early, TooComplex> {
        let is_true = self.minus(region, of.may_be)?;
        Ok(Early { is_true, may_be: self.minus(region, of.is_true)?, later: of.later })
    }

    /// What is false in one is false in both, and else what is later in one is so in both.
    fn both(&mut self, a: Early, b: Early) -> Result<Early, TooComplex> {
        let may_be = self.and(a.may_be, b.may_be)?;
        let later = self.or(a.later, b.later)?;
        Ok(Early { is_true: self.and(a.is_true, b.is_true)?, may_be, later: self.and(later, may_be)? })
    }
}

/// Where a condition is true, where it is not false, and where a message will tell.
#[derive(Clone, Copy)]
struct Early {
    is_true: Ref,
    may_be: Ref,
    later: Ref,
}

/// What must be said of a policy: what is trusted however wide, what is not counted as a credential
/// or as ours and why, and that a policy is closed which says that it is open.
pub(crate) fn notes(space: &Space<'_>, policy: usize, verdict: &Verdict) -> Vec<Note> {
    let of = space.policies[policy];
    let mut notes = Vec::new();
    if of.open && *verdict == Verdict::Closed {
        notes.push(Note { line: Some(1), text: "it says `open`, and is closed: that line can go".to_owned() });
    }
    notes.extend(space.credentials[policy].notes.iter().cloned());
    notes
}
