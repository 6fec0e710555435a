//! Large masks with a limited number of strokes.

use super::runs;

/// The largest number of strokes of a layer, of 6 to 9 bytes each. A layer that needs more is drawn in shades of blocks
/// of weights.
const MOST_STROKES: usize = 30_000;
/// The number of shades above blank.
pub(super) const SHADES: usize = 8;

/// Cells, each with a shade from 0 (blank) to [`SHADES`] (full).
pub(super) struct Grid {
    pub rows: usize,
    pub cols: usize,
    pub level: Vec<usize>,
}

impl Grid {
    /// The predicate of the cells of one shade.
    pub fn is(&self, level: usize) -> impl Fn(usize, usize) -> bool + '_ {
        move |row, col| self.level[row * self.cols + col] == level
    }

    fn strokes(&self) -> usize {
        (1..=SHADES).map(|level| runs::count(self.rows, self.cols, self.is(level))).sum()
    }
}

/// The shade of a fraction: 0 for the fraction 0 only, [`SHADES`] for 1 only.
pub(super) fn level(fraction: f64) -> usize {
    let inner = (fraction * SHADES as f64).round() as usize;
    if fraction <= 0.0 {
        0
    } else if fraction >= 1.0 {
        SHADES
    } else {
        inner.clamp(1, SHADES - 1)
    }
}

/// The side of the smallest blocks of flags that need at most [`MOST_STROKES`] strokes, and the blocks as cells.
pub(super) fn shades(rows: usize, cols: usize, kept: &[bool]) -> (usize, Grid) {
    let mut block = 1;
    loop {
        let grid = blocks((rows, cols), kept, block);
        if grid.strokes() <= MOST_STROKES || block >= rows.max(cols) {
            return (block, grid);
        }
        block += 1;
    }
}

fn blocks((all_rows, all_cols): (usize, usize), kept: &[bool], block: usize) -> Grid {
    let (rows, cols) = (all_rows.div_ceil(block), all_cols.div_ceil(block));
    let mut tally = vec![(0_usize, 0_usize); rows * cols];
    for (row, flags) in kept.chunks_exact(all_cols).enumerate() {
        for (col, kept) in flags.iter().enumerate() {
            let (all, some) = &mut tally[row / block * cols + col / block];
            *all += 1;
            *some += usize::from(*kept);
        }
    }
    Grid { rows, cols, level: tally.iter().map(|(all, some)| level(*some as f64 / *all as f64)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_keep_none_and_all_apart_from_few_and_most() {
        assert_eq!([0.0, 1e-9, 0.5, 1.0 - 1e-9, 1.0].map(level), [0, 1, SHADES / 2, SHADES - 1, SHADES]);
    }

    #[test]
    fn blocks_hold_the_fraction_kept() {
        // 2 × 3 flags in blocks of 2: three of four, and one of the remaining two.
        let kept = [true, true, false, true, false, true];
        let grid = blocks((2, 3), &kept, 2);
        assert_eq!((grid.rows, grid.cols, grid.level), (1, 2, vec![6, 4]));
    }
}
