//! Decision diagrams over the classes of a space.
//!
//! A node asks for the class of one dimension, and goes on to another node for each set of
//! classes; every node and every set of classes is kept once, so that equal diagrams have one
//! number. What has been worked out for a pair of nodes is remembered.

use super::{
    intern::{Lists, Map},
    line::{Bits, bits, has, ones, words},
    rulings::States,
    space::{Path, Space},
};
use crate::{Limits, TooComplex};

/// A diagram: a set of facts, or a ruling for each of the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ref(pub(super) u32);

/// The ends of diagrams have this bit; below it are the two of sets and then those of rulings.
const END: u32 = 1 << 31;

impl Ref {
    /// No facts at all.
    pub(crate) const NONE: Self = Self(END);
    /// All facts.
    pub(crate) const ALL: Self = Self(END | 1);

    pub(super) fn end(number: u32) -> Self {
        Self(END | (number + 2))
    }

    /// The number of an end that is no set.
    pub(super) fn state(self) -> Option<u32> {
        (self.0 & END != 0).then(|| (self.0 & !END).checked_sub(2)).flatten()
    }

    fn is_end(self) -> bool {
        self.0 & END != 0
    }
}

/// The steps have run out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent;

pub(crate) type Made = Result<Ref, TooComplex>;

/// What is made of two diagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    And,
    Or,
    /// What is in the first and not in the second.
    Minus,
    /// Where the first, a set, holds the facts, this end; elsewhere the second.
    Cover(Ref),
    /// The ruling of rules that come one after the other.
    Merge,
    /// Where two rulings differ.
    Differ,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    dimension: u32,
    /// The edges: where they lead to, and the number of the set of classes that lead there.
    edges: u32,
}

/// Remembered results are forgotten when there are so many, to bound the memory.
const REMEMBERED: usize = 3 << 20;

/// Dimensions of a space, and so the depth of diagrams.
const DEPTH: usize = 1000;

/// Diagrams, each made once, and the work that making them has cost.
#[derive(Debug)]
pub(crate) struct Diagrams<'s> {
    pub(crate) space: &'s Space<'s>,
    pub(super) states: States,
    steps: u64,
    limits: Limits,
    nodes: Vec<Node>,
    /// Of each node its dimension and its edges.
    edges: Lists,
    classes: Lists,
    memo: Map<(Op, Ref, Ref), Ref>,
    /// What is left of lists that are used no more.
    spare: Vec<Bits>,
}

impl<'s> Diagrams<'s> {
    /// # Errors
    /// Too many dimensions.
    pub(crate) fn new(space: &'s Space<'s>, limits: &Limits) -> Result<Self, TooComplex> {
        let diagrams = Self {
            space,
            states: States::default(),
            steps: 0,
            limits: *limits,
            nodes: Vec::new(),
            edges: Lists::default(),
            classes: Lists::default(),
            memo: Map::default(),
            spare: Vec::new(),
        };
        if space.dimensions.len() > DEPTH { Err(diagrams.too_complex(Spent)) } else { Ok(diagrams) }
    }

    pub(crate) fn and(&mut self, a: Ref, b: Ref) -> Made {
        self.make(Op::And, a, b)
    }

    pub(crate) fn or(&mut self, a: Ref, b: Ref) -> Made {
        self.make(Op::Or, a, b)
    }

    pub(crate) fn minus(&mut self, a: Ref, b: Ref) -> Made {
        self.make(Op::Minus, a, b)
    }

    pub(crate) fn not(&mut self, a: Ref) -> Made {
        self.minus(Ref::ALL, a)
    }

    pub(super) fn make(&mut self, op: Op, a: Ref, b: Ref) -> Made {
        self.apply(op, a, b).map_err(|spent| self.too_complex(spent))
    }

    /// The facts whose class in a dimension is one of these.
    pub(crate) fn within(&mut self, dimension: usize, classes: &[u64]) -> Ref {
        let width = self.space.dimensions[dimension].classes;
        let rest: Bits = bits(width, (0..width).filter(|class| !has(classes, *class)));
        self.node(dimension, vec![(Ref::ALL, classes.to_vec()), (Ref::NONE, rest)])
    }

    /// Takes every end for another one.
    pub(super) fn map_ends(&mut self, of: Ref, to: &mut dyn FnMut(&mut States, Ref) -> Ref) -> Made {
        let mut memo = Map::default();
        self.map_node(of, to, &mut memo).map_err(|spent| self.too_complex(spent))
    }

    fn map_node(
        &mut self,
        of: Ref,
        to: &mut dyn FnMut(&mut States, Ref) -> Ref,
        memo: &mut Map<Ref, Ref>,
    ) -> Result<Ref, Spent> {
        if let Some(made) = memo.get(&of) {
            return Ok(*made);
        }
        let made = if of.is_end() {
            to(&mut self.states, of)
        } else {
            let dimension = self.dimension(of);
            let mut edges = Vec::new();
            for edge in 0..self.len(of) {
                let (child, classes) = self.edge(of, edge);
                self.step(1)?;
                let child = self.map_node(child, to, memo)?;
                edges.push((child, self.classes.get(classes).to_vec()));
            }
            self.node(dimension, edges)
        };
        memo.insert(of, made);
        Ok(made)
    }

    /// Counts work that was done with diagrams elsewhere.
    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), TooComplex> {
        self.step(steps as u64).map_err(|spent| self.too_complex(spent))
    }

    /// Whether two sets have facts in common; no diagram is made.
    pub(crate) fn meet(&mut self, a: Ref, b: Ref) -> Result<bool, TooComplex> {
        self.nodes_meet(a, b, &mut Map::default()).map_err(|spent| self.too_complex(spent))
    }

    /// `apart` are the pairs that are known to have nothing in common.
    fn nodes_meet(&mut self, a: Ref, b: Ref, apart: &mut Map<(Ref, Ref), ()>) -> Result<bool, Spent> {
        if a == Ref::NONE || b == Ref::NONE {
            return Ok(false);
        }
        if a == Ref::ALL || b == Ref::ALL || a == b {
            return Ok(true);
        }
        if apart.contains_key(&(a, b)) {
            return Ok(false);
        }
        self.step(1)?;
        let (left, right) = (self.dimension(a), self.dimension(b));
        for edge in 0..if left <= right { self.len(a) } else { 1 } {
            for other in 0..if right <= left { self.len(b) } else { 1 } {
                let (mine, theirs) = (self.edge(a, edge), self.edge(b, other));
                let met = match left.cmp(&right) {
                    std::cmp::Ordering::Less => self.nodes_meet(mine.0, b, apart)?,
                    std::cmp::Ordering::Greater => self.nodes_meet(a, theirs.0, apart)?,
                    std::cmp::Ordering::Equal => {
                        let (these, those) = (self.classes.get(mine.1), self.classes.get(theirs.1));
                        these.iter().zip(those).any(|(a, b)| a & b != 0) && self.nodes_meet(mine.0, theirs.0, apart)?
                    }
                };
                if met {
                    return Ok(true);
                }
            }
        }
        apart.insert((a, b), ());
        Ok(false)
    }

    /// Whether a set holds facts of these classes.
    pub(crate) fn holds(&self, set: Ref, path: &[usize]) -> bool {
        self.end_of(set, path) == Ref::ALL
    }

    pub(super) fn end_of(&self, mut at: Ref, path: &[usize]) -> Ref {
        while !at.is_end() {
            let class = path[self.dimension(at)];
            let edges = (0..self.len(at)).map(|edge| self.edge(at, edge));
            at = edges
                .filter(|(_, classes)| has(self.classes.get(*classes), class))
                .map(|(child, _)| child)
                .next()
                .expect("the edges of a node share out all classes of its dimension");
        }
        at
    }

    /// The cheapest path of a set; `None` if it is empty. Each class that a path takes costs
    /// something; of equally cheap paths the first.
    pub(crate) fn cheapest(&self, set: Ref, cost: &dyn Fn(usize, usize) -> u64) -> Option<Path> {
        let costs: Vec<Vec<u64>> = self
            .space
            .dimensions
            .iter()
            .enumerate()
            .map(|(dimension, of)| (0..of.classes).map(|class| cost(dimension, class)).collect())
            .collect();
        let mut free: Path = costs.iter().map(|costs| least(costs, 0..costs.len()).1).collect();
        let mut memo = Map::default();
        self.cost(set, &costs, &mut memo)?;
        let mut at = set;
        while !at.is_end() {
            let (_, class, child) = memo[&at].expect("a path goes on from each node that it leads to");
            free[self.dimension(at)] = class;
            at = child;
        }
        Some(free)
    }

    /// What the cheapest path from a node on costs more than one that is free to choose; the
    /// class it takes, and where that leads to.
    fn cost(&self, at: Ref, costs: &[Vec<u64>], memo: &mut Map<Ref, Option<(u64, usize, Ref)>>) -> Option<u64> {
        if at.is_end() {
            return (at == Ref::ALL).then_some(0);
        }
        if let Some(known) = memo.get(&at) {
            return known.map(|(cost, ..)| cost);
        }
        let dimension = self.dimension(at);
        let free = least(&costs[dimension], 0..costs[dimension].len()).0;
        let mut best: Option<(u64, usize, Ref)> = None;
        for edge in 0..self.len(at) {
            let (child, classes) = self.edge(at, edge);
            let Some(rest) = self.cost(child, costs, memo) else { continue };
            let (cost, class) = least(&costs[dimension], ones(self.classes.get(classes)));
            let found = (cost - free + rest, class, child);
            if best.is_none_or(|best| (found.0, found.1) < (best.0, best.1)) {
                best = Some(found);
            }
        }
        memo.insert(at, best);
        best.map(|(cost, ..)| cost)
    }

    /// Does something for which it has half of the steps that are left.
    pub(super) fn with_half<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let all = self.limits.steps;
        self.limits.steps = self.steps.midpoint(all);
        let done = work(self);
        self.limits.steps = all;
        done
    }

    pub(super) fn step(&mut self, steps: u64) -> Result<(), Spent> {
        self.steps += steps;
        if self.steps > self.limits.steps { Err(Spent) } else { Ok(()) }
    }

    fn apply(&mut self, op: Op, a: Ref, b: Ref) -> Result<Ref, Spent> {
        if let Some(made) = self.at_once(op, a, b) {
            return Ok(made);
        }
        let (a, b) = if matches!(op, Op::And | Op::Or | Op::Differ) && b < a { (b, a) } else { (a, b) };
        if let Some(made) = self.memo.get(&(op, a, b)) {
            return Ok(*made);
        }
        let made = match (self.dimension_or(a), self.dimension_or(b)) {
            (one, other) if one < other => self.apply_to_left(op, a, b)?,
            (one, other) if one > other => self.apply_to_right(op, a, b)?,
            _ => self.apply_to_both(op, a, b)?,
        };
        if self.memo.len() >= REMEMBERED {
            self.memo.clear();
        }
        self.memo.insert((op, a, b), made);
        Ok(made)
    }

    fn apply_to_left(&mut self, op: Op, a: Ref, b: Ref) -> Result<Ref, Spent> {
        let dimension = self.dimension(a);
        let mut edges = Vec::with_capacity(self.len(a));
        for edge in 0..self.len(a) {
            let (child, classes) = self.edge(a, edge);
            self.step(1)?;
            let child = self.apply(op, child, b)?;
            let classes = self.copy(classes);
            edges.push((child, classes));
        }
        Ok(self.node(dimension, edges))
    }

    fn apply_to_right(&mut self, op: Op, a: Ref, b: Ref) -> Result<Ref, Spent> {
        let dimension = self.dimension(b);
        let mut edges = Vec::with_capacity(self.len(b));
        for edge in 0..self.len(b) {
            let (child, classes) = self.edge(b, edge);
            self.step(1)?;
            let child = self.apply(op, a, child)?;
            let classes = self.copy(classes);
            edges.push((child, classes));
        }
        Ok(self.node(dimension, edges))
    }

    fn apply_to_both(&mut self, op: Op, a: Ref, b: Ref) -> Result<Ref, Spent> {
        let dimension = self.dimension(a);
        let width = words(self.space.dimensions[dimension].classes) as u64;
        let mut edges = Vec::with_capacity(self.len(a) + self.len(b));
        for edge in 0..self.len(a) {
            let (child, classes) = self.edge(a, edge);
            // What the first decides alone is taken whole.
            if let Some(made) = self.alone(op, child) {
                let classes = self.copy(classes);
                edges.push((made, classes));
                self.step(1)?;
                continue;
            }
            let mut rest = self.copy(classes);
            for other in 0..self.len(b) {
                let (theirs, others) = self.edge(b, other);
                self.step(1 + width / 16)?;
                let mut both = self.spare.pop().unwrap_or_default();
                both.clear();
                let mut any = 0;
                let mut left = 0;
                for (rest, word) in rest.iter_mut().zip(self.classes.get(others)) {
                    let word = *rest & word;
                    any |= word;
                    *rest &= !word;
                    left |= *rest;
                    both.push(word);
                }
                if any == 0 {
                    self.spare.push(both);
                    continue;
                }
                let child = self.apply(op, child, theirs)?;
                edges.push((child, both));
                if left == 0 {
                    break;
                }
            }
            self.spare.push(rest);
        }
        Ok(self.node(dimension, edges))
    }

    /// What an operation gives whose first operand is this, whatever the second is.
    fn alone(&self, op: Op, a: Ref) -> Option<Ref> {
        match op {
            Op::And | Op::Minus => (a == Ref::NONE).then_some(a),
            Op::Or => (a == Ref::ALL).then_some(a),
            Op::Cover(end) => (a == Ref::ALL).then_some(end),
            Op::Merge => a.state().filter(|state| self.states.is_final(*state)).map(|_| a),
            Op::Differ => None,
        }
    }

    fn at_once(&mut self, op: Op, a: Ref, b: Ref) -> Option<Ref> {
        if let Some(made) = self.alone(op, a) {
            return Some(made);
        }
        match op {
            Op::And => match (a, b) {
                (Ref::ALL, other) | (other, Ref::ALL) => Some(other),
                (_, Ref::NONE) => Some(Ref::NONE),
                (a, b) => (a == b).then_some(a),
            },
            Op::Or => match (a, b) {
                (Ref::NONE, other) | (other, Ref::NONE) => Some(other),
                (_, Ref::ALL) => Some(Ref::ALL),
                (a, b) => (a == b).then_some(a),
            },
            Op::Minus => match (a, b) {
                (_, Ref::ALL) => Some(Ref::NONE),
                (a, Ref::NONE) => Some(a),
                (a, b) => (a == b).then_some(Ref::NONE),
            },
            Op::Cover(end) => match (a, b) {
                (Ref::NONE, b) => Some(b),
                (_, b) => (b == end).then_some(end),
            },
            Op::Merge => match (a.state(), b.state()) {
                _ if a == b => Some(a),
                (Some(a), Some(b)) => Some(Ref::end(self.states.merge(a, b))),
                (Some(States::UNDECIDED), _) => Some(b),
                (_, Some(States::UNDECIDED)) => Some(a),
                _ => None,
            },
            Op::Differ => match (a.is_end(), b.is_end()) {
                _ if a == b => Some(Ref::NONE),
                (true, true) => Some(Ref::ALL),
                _ => None,
            },
        }
    }

    /// The node of these edges, which share out all classes of its dimension.
    fn node(&mut self, dimension: usize, mut edges: Vec<(Ref, Bits)>) -> Ref {
        edges.sort_by_key(|(child, _)| *child);
        let mut joined: Vec<(Ref, Bits)> = Vec::with_capacity(edges.len().min(8));
        for (child, classes) in edges {
            match joined.last_mut() {
                Some((last, all)) if *last == child => {
                    all.iter_mut().zip(&classes).for_each(|(all, word)| *all |= word);
                    self.spare.push(classes);
                }
                _ if classes.iter().all(|word| *word == 0) => self.spare.push(classes),
                _ => joined.push((child, classes)),
            }
        }
        if let [(child, _)] = &joined[..] {
            return *child;
        }
        let mut list = Vec::with_capacity(joined.len() + 1);
        list.push(dimension as u64);
        for (child, classes) in joined {
            list.push(u64::from(child.0) << 32 | u64::from(self.classes.put(&classes)));
            self.spare.push(classes);
        }
        self.spare.truncate(64);
        let edges = self.edges.put(&list);
        if edges as usize == self.nodes.len() {
            let dimension = u32::try_from(dimension).expect("at most as many dimensions as DEPTH");
            self.nodes.push(Node { dimension, edges });
        }
        Ref(edges)
    }

    fn copy(&mut self, classes: u32) -> Bits {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(self.classes.get(classes));
        copy
    }

    pub(super) fn dimension(&self, node: Ref) -> usize {
        self.nodes[node.0 as usize].dimension as usize
    }

    /// Ends come after all dimensions.
    fn dimension_or(&self, at: Ref) -> usize {
        if at.is_end() { usize::MAX } else { self.dimension(at) }
    }

    fn len(&self, node: Ref) -> usize {
        self.edges.get(self.nodes[node.0 as usize].edges).len() - 1
    }

    fn edge(&self, node: Ref, edge: usize) -> (Ref, u32) {
        let word = self.edges.get(self.nodes[node.0 as usize].edges)[edge + 1];
        (Ref((word >> 32) as u32), word as u32)
    }

    pub(super) fn too_complex(&self, Spent: Spent) -> TooComplex {
        self.space.too_complex(self.limits.steps)
    }
}

/// The least cost of some classes, and the first of them that costs no more.
fn least(costs: &[u64], classes: impl IntoIterator<Item = usize>) -> (u64, usize) {
    classes.into_iter().map(|class| (costs[class], class)).min().unwrap_or((0, 0))
}
