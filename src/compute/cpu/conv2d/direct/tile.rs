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

/// Computes all results of a block: the moments one after the other, so that the registers hold as many results as
/// possible and the planes of one moment are read fewer times.
pub(super) fn block<E: Elem>(shape: &Shape, block: &Block<'_, E>, from: [&[E]; 2], to: &mut Results<E>) {
    let compute = match block.size {
        2 => rows::<E, 2>,
        4 => rows::<E, 4>,
        6 => rows::<E, 6>,
        8 => rows::<E, 8>,
        10 => rows::<E, 10>,
        _ => rows::<E, 12>,
    };
    let step = to.step();
    for ((weights, from), to) in block.moments.iter().zip(from).zip([&mut to.means, &mut to.variances]) {
        if !weights.is_empty() {
            compute(shape, weights, from, to, step);
        }
    }
}

/// One moment of `B` results, `step` apart.
fn rows<E: Elem, const B: usize>(shape: &Shape, weights: &[E], from: &[E], to: &mut [E], step: usize) {
    let (run, lanes) = (RUN * E::Lanes::WIDTH, E::Lanes::WIDTH);
    let width = shape.results::<E>();
    let runs: Vec<_> = (0..width).step_by(run).map(|at| (at, shape.taps_of_run::<E>(at))).collect();
    let some = channels_at_once::<E>(shape, B);
    for first in (0..shape.channels).step_by(some) {
        let channels = first..shape.channels.min(first + some);
        for row in 0..shape.to[0] {
            let taps_y = shape.taps_of_row(row);
            for (at, taps_x) in &runs {
                let mut sums = [[splat::<E>(E::default()); RUN]; B];
                let places = (row * width + at..).step_by(step);
                if first > 0 {
                    for (sums, place) in sums.iter_mut().zip(places.clone()) {
                        let from = &to[place..place + run];
                        *sums = std::array::from_fn(|r| E::Lanes::load(&from[r * lanes..(r + 1) * lanes]));
                    }
                }
                let sums = tile::<E, B>(shape, weights, from, channels.clone(), [row, *at], [&taps_y, taps_x], sums);
                for (sums, place) in sums.iter().zip(places) {
                    let to = &mut to[place..place + run];
                    (0..RUN).for_each(|r| sums[r].store(&mut to[r * lanes..(r + 1) * lanes]));
                }
            }
        }
    }
}

/// The number of channels whose rows and weights fit into a core's first cache.
fn channels_at_once<E: Elem>(shape: &Shape, results: usize) -> usize {
    let rows = shape.kernel.min(shape.from[0]) * shape.row();
    (CACHE / size_of::<E>() / (rows + results * shape.kernel * shape.kernel)).max(4)
}

/// One run of `B` results.
#[inline(always)]
fn tile<E: Elem, const B: usize>(
    shape: &Shape,
    weights: &[E],
    from: &[E],
    channels: Range<usize>,
    [row, at]: [usize; 2],
    [taps_y, taps_x]: [&Range<usize>; 2],
    mut sums: [[E::Lanes; RUN]; B],
) -> [[E::Lanes; RUN]; B] {
    let (k, lanes) = (shape.kernel, E::Lanes::WIDTH);
    let (run, shift) = (RUN * lanes, shape.dilation * shape.side);
    for channel in channels {
        for tap_y in taps_y.clone() {
            let line = channel * shape.plane() + (row + tap_y * shape.dilation - shape.pad) * shape.row() + at;
            let first = ((channel * k + tap_y) * k + taps_x.start) * B;
            let weights = weights[first..first + taps_x.len() * B].as_chunks::<B>().0;
            let starts = (line + taps_x.start * shift..).step_by(shift);
            for (w, start) in weights.iter().zip(starts) {
                let x = &from[start..start + run];
                let x: [E::Lanes; RUN] = std::array::from_fn(|r| E::Lanes::load(&x[r * lanes..(r + 1) * lanes]));
                for b in 0..B {
                    let w = splat::<E>(w[b]);
                    for r in 0..RUN {
                        sums[b][r] = w.mul_add(x[r], sums[b][r]);
                    }
                }
            }
        }
    }
    sums
}
