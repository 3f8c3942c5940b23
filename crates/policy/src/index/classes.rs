//! Classes: which sets hold a value, one bit a set.

use super::Map;

/// The number of a class. All values that the same sets hold have the same; 0 is the class of
/// what no set holds.
pub(crate) type Class = u32;

/// The classes of one fact.
#[derive(Default)]
pub(crate) struct Classes {
    /// Words of 64 bits that a class takes.
    width: usize,
    count: Class,
    words: Vec<u64>,
    numbers: Map<Box<[u64]>, Class>,
}

impl Classes {
    /// For so many sets.
    pub(super) fn new(sets: usize) -> Self {
        let mut classes = Self { width: sets.div_ceil(64), ..Self::default() };
        classes.number(vec![0; classes.width].into());
        classes
    }

    /// Whether the values of the class are in the set that has this bit.
    pub(crate) fn has(&self, class: Class, bit: u32) -> bool {
        let word = class as usize * self.width + bit as usize / 64;
        self.words.get(word).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// How many classes there are.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// The bits of the sets that hold the values of a class.
    pub(super) fn bits(&self, class: Class) -> impl Iterator<Item = u32> {
        let at = class as usize * self.width;
        let words = self.words[at..at + self.width].iter().enumerate();
        words.flat_map(|(at, word)| {
            let next = |left: &u64| Some(left & left.wrapping_sub(1)).filter(|left| *left != 0);
            let all = std::iter::successors(Some(*word).filter(|word| *word != 0), next);
            all.map(move |left| at as u32 * 64 + left.trailing_zeros())
        })
    }

    /// The class of what these sets hold.
    pub(super) fn of_bits(&mut self, bits: impl IntoIterator<Item = usize>) -> Class {
        self.with(0, bits)
    }

    /// The class of what these sets hold besides those of another class.
    pub(super) fn with(&mut self, class: Class, bits: impl IntoIterator<Item = usize>) -> Class {
        let mut bits = bits.into_iter().peekable();
        if bits.peek().is_none() {
            return class;
        }
        let at = class as usize * self.width;
        let mut words: Box<[u64]> = self.words[at..at + self.width].into();
        bits.for_each(|bit| words[bit / 64] |= 1 << (bit % 64));
        self.number(words)
    }

    fn number(&mut self, words: Box<[u64]>) -> Class {
        if let Some(class) = self.numbers.get(&words) {
            return *class;
        }
        let next = self.count;
        self.count += 1;
        self.words.extend(&words);
        self.numbers.insert(words, next);
        next
    }

    /// Drops what only building needs.
    pub(super) fn finished(mut self) -> Self {
        self.numbers = Map::default();
        self.words.shrink_to_fit();
        self
    }
}
