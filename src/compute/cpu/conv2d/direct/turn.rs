//! Transpositions of rows of numbers, in blocks of eight by eight.

use super::planes::eight;
use crate::compute::elem::Elem;

/// Transposes `rows` rows, `step` apart, which have a number for each of the `places`: there its column starts.
pub(super) fn turn<E: Elem>(from: &[E], step: usize, rows: usize, places: &[usize], to: &mut [E]) {
    for (block, places) in places.chunks(8).enumerate() {
        for row in (0..rows).step_by(8) {
            let (from, left) = (&from[row * step + block * 8..], 8.min(rows - row));
            let to = &mut to[row..];
            match left {
                _ if (left - 1) * step + 8 > from.len() => turn_some(from, step, left, places, to),
                8 => turn_block::<E, 8>(from, step, places, to),
                4 => turn_block::<E, 4>(from, step, places, to),
                2 => turn_block::<E, 2>(from, step, places, to),
                _ => turn_some(from, step, left, places, to),
            }
        }
    }
}

/// `N` rows of up to eight columns. If they are fewer, the numbers read after them are not written.
#[inline(always)]
fn turn_block<E: Elem, const N: usize>(from: &[E], step: usize, places: &[usize], to: &mut [E]) {
    let mut rows = [[E::default(); 8]; 8];
    (0..N).for_each(|r| rows[r] = eight(&from[r * step..]));
    for (place, column) in places.iter().zip(E::transposed(rows)) {
        to[*place..place + N].copy_from_slice(&column[..N]);
    }
}

/// The same one number at a time.
fn turn_some<E: Elem>(from: &[E], step: usize, rows: usize, places: &[usize], to: &mut [E]) {
    for (col, place) in places.iter().enumerate() {
        (0..rows).for_each(|row| to[place + row] = from[row * step + col]);
    }
}
