//! Sets on a line.

use std::cmp::Ordering;

/// A set of points of an ordered line, as the sorted points at which one gets in or out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cuts<K> {
    /// Whether what is before the first cut is in the set.
    pub(crate) starts_inside: bool,
    /// Each of them begins what is in, where the points before it are out, or the other way round.
    pub(crate) cuts: Vec<K>,
}

impl<K: Ord + Clone> Cuts<K> {
    pub(crate) fn empty() -> Self {
        Self { starts_inside: false, cuts: Vec::new() }
    }

    /// All from one point on, and before another if there is one.
    pub(crate) fn span(from: K, until: Option<K>) -> Self {
        match until {
            Some(until) if until <= from => Self::empty(),
            until => Self { starts_inside: false, cuts: std::iter::once(from).chain(until).collect() },
        }
    }

    /// The union of spans, in any order, each from one point on and before another.
    pub(crate) fn union(mut spans: Vec<(K, Option<K>)>) -> Self {
        spans.sort_unstable();
        let mut joined: Vec<(K, Option<K>)> = Vec::with_capacity(spans.len());
        for (from, until) in spans {
            if until.as_ref().is_some_and(|until| *until <= from) {
                continue;
            }
            match joined.last_mut() {
                Some((_, end)) if end.as_ref().is_none_or(|end| *end >= from) => {
                    if end.is_some() && (until.is_none() || until > *end) {
                        *end = until;
                    }
                }
                _ => joined.push((from, until)),
            }
        }
        let mut cuts = Vec::with_capacity(2 * joined.len());
        for (from, until) in joined {
            cuts.push(from);
            cuts.extend(until);
        }
        Self { starts_inside: false, cuts }
    }

    #[cfg(test)]
    pub(crate) fn contains(&self, point: &K) -> bool {
        let passed = self.cuts.partition_point(|cut| cut <= point);
        self.starts_inside ^ (passed % 2 == 1)
    }

    pub(crate) fn not(mut self) -> Self {
        self.starts_inside = !self.starts_inside;
        self
    }

    pub(crate) fn or(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a || b)
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a && !b)
    }

    fn combine(&self, other: &Self, inside: impl Fn(bool, bool) -> bool) -> Self {
        let (mut a, mut b) = (self.starts_inside, other.starts_inside);
        let starts_inside = inside(a, b);
        let (mut left, mut right) = (self.cuts.iter().peekable(), other.cuts.iter().peekable());
        let (mut cuts, mut now) = (Vec::new(), starts_inside);
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(l), Some(r)) => l.cmp(r),
            };
            let mut at = None;
            if order.is_le() {
                a = !a;
                at = left.next();
            }
            if order.is_ge() {
                b = !b;
                at = right.next();
            }
            if inside(a, b) != now {
                now = !now;
                cuts.extend(at.cloned());
            }
        }
        Self { starts_inside, cuts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every set of a line of six points, and what stays a set of it.
    fn every() -> Vec<Cuts<u8>> {
        (0..64).map(of_bits).collect()
    }

    fn of_bits(bits: u8) -> Cuts<u8> {
        let inside = |point: u8| bits >> point & 1 == 1;
        let cuts = (1..6).filter(|point| inside(*point) != inside(point - 1)).collect();
        Cuts { starts_inside: inside(0), cuts }
    }

    fn bits(set: &Cuts<u8>) -> u8 {
        (0..6).map(|point| u8::from(set.contains(&point)) << point).sum()
    }

    #[test]
    fn operations_are_those_of_sets() {
        for (a, one) in every().iter().enumerate() {
            assert_eq!(usize::from(bits(one)), a);
            assert_eq!(usize::from(bits(&one.clone().not())), 63 - a);
            for (b, other) in every().iter().enumerate() {
                for (result, expected) in [(one.or(other), a | b), (one.minus(other), a & !b)] {
                    assert_eq!(result, of_bits(u8::try_from(expected).unwrap()), "{one:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn a_union_of_spans_is_what_one_of_them_holds() {
        let spans: Vec<(u8, Option<u8>)> =
            (0..5).flat_map(|from| (0..6).map(move |until| (from, (until < 5).then_some(until)))).collect();
        let holds =
            |(from, until): (u8, Option<u8>), point: u8| from <= point && until.is_none_or(|until| point < until);
        for a in &spans {
            for b in &spans {
                for c in &spans {
                    let union = Cuts::union(vec![*a, *b, *c]);
                    assert!(union.cuts.is_sorted_by(|x, y| x < y), "{union:?}");
                    for point in 0..6 {
                        let expected = [a, b, c].into_iter().any(|span| holds(*span, point));
                        assert_eq!(union.contains(&point), expected, "{a:?} {b:?} {c:?} {point}");
                    }
                    assert_eq!(Cuts::span(a.0, a.1), Cuts::union(vec![*a]));
                }
            }
        }
    }
}
