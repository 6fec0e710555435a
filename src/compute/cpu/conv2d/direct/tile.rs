//! The kernel: a run of positions of some results, summed over all channels and taps in registers.

use std::ops::Range;

use sparsevd_priors::Lane;

use super::pack::Block;
use super::planes::Results;
use super::shape::{RUN, Shape};
use crate::compute::cpu::weights::splat;
use crate::compute::elem::Elem;

/// Bytes of a core's first cache for the planes and weights that the kernel reads again and again.
const CACHE: usize = 24 << 10;

/// Computes all results of a block.
pub(super) fn block<E: Elem>(shape: &Shape, block: &Block<'_, E>, from: [&[E]; 2], to: &mut Results<E>) {
    let compute = match (from[1].is_empty(), block.size) {
        (true, 2) => rows::<E, 1, 2>,
        (true, 4) => rows::<E, 1, 4>,
        (true, _) => rows::<E, 1, 6>,
        (false, 2) => rows::<E, 2, 2>,
        (false, 4) => rows::<E, 2, 4>,
        (false, _) => rows::<E, 2, 6>,
    };
    compute(shape, block.numbers, from, to);
}

/// The same for `B` results with `M` moments.
fn rows<E: Elem, const M: usize, const B: usize>(shape: &Shape, weights: &[E], from: [&[E]; 2], to: &mut Results<E>) {
    let (run, step) = (RUN * E::Lanes::WIDTH, to.step());
    let runs: Vec<_> = (0..shape.results::<E>()).step_by(run).map(|at| (at, shape.taps_of_run::<E>(at))).collect();
    let some = channels_at_once::<E>(shape, M, B);
    for first in (0..shape.channels).step_by(some) {
        let channels = first..shape.channels.min(first + some);
        for row in 0..shape.to[0] {
            let taps_y = shape.taps_of_row(row);
            for (at, taps_x) in &runs {
                let place = |b: usize, r: usize| {
                    let at = b * step + row * shape.results::<E>() + at + r * E::Lanes::WIDTH;
                    at..at + E::Lanes::WIDTH
                };
                let zero = splat::<E>(E::default());
                let before = |b: usize, m: usize, r: usize| {
                    let numbers = if m == 0 { &to.means } else { &to.variances };
                    if first == 0 { zero } else { E::Lanes::load(&numbers[place(b, r)]) }
                };
                let sums = std::array::from_fn(|b| std::array::from_fn(|m| std::array::from_fn(|r| before(b, m, r))));
                let sums = tile::<E, M, B>(shape, weights, from, channels.clone(), [row, *at], [&taps_y, taps_x], sums);
                for (b, moments) in sums.iter().enumerate() {
                    for (m, sums) in moments.iter().enumerate() {
                        let to = if m == 0 { &mut to.means } else { &mut to.variances };
                        sums.iter().enumerate().for_each(|(r, sum)| sum.store(&mut to[place(b, r)]));
                    }
                }
            }
        }
    }
}

/// The number of channels whose rows and weights fit into a core's first cache.
fn channels_at_once<E: Elem>(shape: &Shape, moments: usize, results: usize) -> usize {
    let rows = shape.kernel.min(shape.from[0]) * shape.row();
    let numbers = moments * (rows + results * shape.kernel * shape.kernel);
    (CACHE / size_of::<E>() / numbers).max(4)
}

/// One run of `B` results with `M` moments.
#[inline(always)]
fn tile<E: Elem, const M: usize, const B: usize>(
    shape: &Shape,
    weights: &[E],
    from: [&[E]; 2],
    channels: Range<usize>,
    [row, at]: [usize; 2],
    [taps_y, taps_x]: [&Range<usize>; 2],
    mut sums: [[[E::Lanes; RUN]; M]; B],
) -> [[[E::Lanes; RUN]; M]; B] {
    let (k, lanes) = (shape.kernel, E::Lanes::WIDTH);
    let (run, shift) = (RUN * lanes, shape.dilation * shape.side);
    for channel in channels {
        for tap_y in taps_y.clone() {
            let line = channel * shape.plane() + (row + tap_y * shape.dilation - shape.pad) * shape.row() + at;
            let first = ((channel * k + tap_y) * k + taps_x.start) * M * B;
            let weights = weights[first..first + taps_x.len() * M * B].chunks_exact(M * B);
            let starts = (line + taps_x.start * shift..).step_by(shift);
            for (w, start) in weights.zip(starts) {
                for m in 0..M {
                    let x = &from[m][start..start + run];
                    let x: [E::Lanes; RUN] = std::array::from_fn(|r| E::Lanes::load(&x[r * lanes..(r + 1) * lanes]));
                    for b in 0..B {
                        let w = splat::<E>(w[m * B + b]);
                        for r in 0..RUN {
                            sums[b][m][r] = w.mul_add(x[r], sums[b][m][r]);
                        }
                    }
                }
            }
        }
    }
    sums
}
