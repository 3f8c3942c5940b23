//! Random policies with every construct of the language, facts at the edges of what such a policy
//! asks for, and a slow reading of conditions that shares nothing with the engine.
//!
//! Everything is drawn from bytes ([`Choices`]), so that proptest shrinks it and a fuzzer steers
//! it; where they end, the first choice is taken, which is always the simplest.

pub(crate) mod agree;
mod draw;
mod facts;
mod means;
mod policy;
mod strangers;

#[cfg(test)]
mod suite;

pub(crate) use draw::Choices;
pub(crate) use facts::{Edges, feasible};
pub(crate) use means::{marks_by_hand, verb_by_hand};
pub(crate) use policy::policy;
pub(crate) use strangers::{foreign, stranger};
#[cfg(test)]
pub(crate) use {facts::until, suite::times};
