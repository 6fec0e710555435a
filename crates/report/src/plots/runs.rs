//! Cells as horizontal strokes: one stroke for each run of equal cells in a row.

use std::fmt::Write;

/// Path data, for `stroke-width="1"`, of the cells of a grid for which `drawn` returns true. Cells are of size 1 × 1.
///
/// ```text
/// X X . X     ->     M0 0.5h2m1 0h1        2 to the right with a stroke, 1 without, 1 with
/// ```
/// A run takes about 6 bytes, independent of its length.
pub(super) fn path(rows: usize, cols: usize, drawn: impl Fn(usize, usize) -> bool) -> String {
    let mut path = String::new();
    for row in 0..rows {
        let mut pen = None;
        let mut col = 0;
        while col < cols {
            let from = col;
            while col < cols && drawn(row, col) {
                col += 1;
            }
            if col > from {
                // Writing to a string cannot fail.
                let _ = match pen {
                    None => write!(path, "M{from} {row}.5h{}", col - from),
                    Some(pen) => write!(path, "m{} 0h{}", from - pen, col - from),
                };
                pen = Some(col);
            } else {
                col += 1;
            }
        }
    }
    path
}

/// The number of strokes of [`path`].
pub(super) fn count(rows: usize, cols: usize, drawn: impl Fn(usize, usize) -> bool) -> usize {
    let starts = |row: usize| (0..cols).filter(|col| drawn(row, *col) && (*col == 0 || !drawn(row, col - 1))).count();
    (0..rows).map(starts).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Follows a path as a renderer would.
    fn cells(path: &str, rows: usize, cols: usize) -> Vec<bool> {
        let mut cells = vec![false; rows * cols];
        let (mut row, mut col) = (0, 0);
        let mut rest = path;
        while let Some(kind) = rest.chars().next() {
            let end = rest[1..].find(['M', 'm', 'h']).map_or(rest.len(), |i| i + 1);
            let numbers: Vec<f64> = rest[1..end].split(' ').map(|n| n.parse().unwrap()).collect();
            match kind {
                'M' => (col, row) = (numbers[0] as usize, (numbers[1] - 0.5) as usize),
                'm' => col += numbers[0] as usize,
                _ => {
                    let to = col + numbers[0] as usize;
                    cells[row * cols + col..row * cols + to].fill(true);
                    col = to;
                }
            }
            rest = &rest[end..];
        }
        cells
    }

    #[test]
    fn runs_are_strokes() {
        let grid = [true, true, false, true, false, false, false, false];
        assert_eq!(path(2, 4, |r, c| grid[r * 4 + c]), "M0 0.5h2m1 0h1");
        assert_eq!(count(2, 4, |r, c| grid[r * 4 + c]), 2);
    }

    proptest! {
        #[test]
        fn a_path_draws_its_cells_and_no_others(cols in 1_usize..20, grid in prop::collection::vec(any::<bool>(), 0..200)) {
            let rows = grid.len() / cols;
            let drawn = |r: usize, c: usize| grid[r * cols + c];
            let path = path(rows, cols, drawn);
            prop_assert_eq!(cells(&path, rows, cols), &grid[..rows * cols]);
            prop_assert_eq!(path.matches('h').count(), count(rows, cols, drawn));
        }
    }
}
