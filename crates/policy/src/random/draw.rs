//! Choices drawn from bytes.

/// Bytes, one or two for each choice.
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
    /// Where more come from when they have ended; else the first choice is taken from then on.
    state: Option<u64>,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, state: None }
    }

    /// Choices without end.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { bytes: &[], state: Some(seed) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.state.is_none()
    }

    fn byte(&mut self) -> u8 {
        match (self.bytes.split_first(), &mut self.state) {
            (Some((first, rest)), _) => {
                self.bytes = rest;
                *first
            }
            (None, Some(state)) => {
                // splitmix64
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (mixed >> 56) as u8
            }
            (None, None) => 0,
        }
    }

    /// A number below `n`, which is at least 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let high = if n > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (high | usize::from(self.byte())) % n
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// Some of the items in their order, at least `least` where there are so many.
    pub(crate) fn some<T: Clone>(&mut self, items: &[T], least: usize, most: usize) -> Vec<T> {
        let count = least + self.below(most - least + 1);
        let mut chosen: Vec<usize> = (0..count).map(|_| self.below(items.len())).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen.into_iter().map(|index| items[index].clone()).collect()
    }
}
