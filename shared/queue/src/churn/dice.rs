//! Random numbers that a seed decides.

/// splitmix64
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        // Not a step of the sequence itself, or the next seed would have the same one.
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95).rotate_left(32))
    }

    /// From 0 on, below so many.
    pub(super) fn below(&mut self, many: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % (many as u64)).unwrap_or_default()
    }

    /// So often in a hundred.
    pub(super) fn odds(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn of_list<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
