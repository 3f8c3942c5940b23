//! The verdict: closed, or open with a witness; and whether a policy may be used.

use super::{
    Limits, Note, Rejection, TooComplex, Verdict, Witness,
    diagram::{Diagrams, Ref},
    dimension::YES,
    line::bits,
    space::{Fact, Space},
};
use crate::{Action, Policy, Stage, Verb};

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
        let open = self.open(policy)?;
        Ok(match self.witness(policy, open)? {
            None => Verdict::Closed,
            Some(witness) => Verdict::Open(Box::new(witness)),
        })
    }

    /// Strangers' facts with a foreign recipient that can be.
    pub(crate) fn strange_and_foreign(&mut self, policy: usize) -> Result<Ref, TooComplex> {
        let (stranger, foreign, feasible) = (self.stranger(policy)?, self.foreign(policy)?, self.feasible()?);
        let region = self.and(stranger, foreign)?;
        self.and(region, feasible)
    }

    /// What of that is permitted.
    fn open(&mut self, policy: usize) -> Result<Ref, TooComplex> {
        let region = self.strange_and_foreign(policy)?;
        self.permits(policy, region)
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
    fn provisional(&mut self, policy: usize) -> Result<Option<(usize, Witness)>, TooComplex> {
        let of = self.space.policies[policy];
        let is_later = |(_, rule): &(usize, &crate::Rule)| {
            !rule.shadow
                && matches!(rule.action, Action::Permit(_))
                && rule.at != Some(Stage::Message)
                && rule.when.tests().iter().any(|test| test.stage() == Stage::Message)
        };
        if !of.rules.iter().enumerate().any(|rule| is_later(&rule)) {
            return Ok(None);
        }
        let region = self.strange_and_foreign(policy)?;
        let _ = (region, Verb::Permit);
        Ok(None)
    }
}

/// What is not counted as a credential or as ours, and why.
pub(crate) fn notes(space: &Space<'_>, policy: usize) -> Vec<Note> {
    space.credentials[policy].notes.clone()
}
