//! One pass over a layer's weights: a formula's values, or the pull-back of a gradient through it.

use rayon::prelude::*;
use sparsevd_priors::{Dual, Lane, Shared};

use crate::compute::elem::Elem;
use crate::compute::threads::{CHUNK, PARALLEL};
use crate::spec::Grid;

/// θ and the second parameter of a layer's weights, as the kernels read them.
pub(super) struct Weights<'a, E> {
    pub(super) grid: Grid,
    pub(super) theta: &'a [E],
    pub(super) spread: &'a [E],
    pub(super) shared: Shared,
}

/// One row of the weights.
pub(super) struct Row<'a, E> {
    theta: &'a [E],
    spread: &'a [E],
    /// True if each weight has its own second parameter; otherwise the row has one.
    own: bool,
}

impl<E: Elem> Row<'_, E> {
    /// The weights from column `i` on, as many as a vector holds.
    #[inline(always)]
    pub(super) fn lanes(&self, i: usize) -> (E::Lanes, E::Lanes) {
        let spread = if self.own { E::Lanes::load(&self.spread[i..]) } else { splat(self.spread[0]) };
        (E::Lanes::load(&self.theta[i..]), spread)
    }

    /// The same as dual numbers, to differentiate by.
    #[inline(always)]
    pub(super) fn duals(&self, i: usize) -> (Dual<E::Lanes>, Dual<E::Lanes>) {
        let (theta, spread) = self.lanes(i);
        Dual::inputs(theta, spread)
    }
}

/// The same number in every lane.
#[inline(always)]
pub(super) fn splat<E: Elem>(x: E) -> E::Lanes {
    E::Lanes::splat(x.f64())
}

impl<E: Elem> Weights<'_, E> {
    pub(super) fn row(&self, r: usize) -> Row<'_, E> {
        let cols = self.grid.cols;
        let spread = match self.shared {
            Shared::None => &self.spread[r * cols..(r + 1) * cols],
            Shared::PerOutput => &self.spread[r..=r],
            Shared::PerLayer | Shared::PerInput => &self.spread[..1],
        };
        Row { theta: &self.theta[r * cols..(r + 1) * cols], spread, own: self.shared == Shared::None }
    }

    /// Runs `f(row index, row, its part of out)` for every row, in parallel if there are many weights.
    pub(super) fn for_rows(&self, out: &mut [E], f: &(dyn Fn(usize, Row<'_, E>, &mut [E]) + Sync)) {
        let cols = self.grid.cols;
        if self.grid.len() < PARALLEL {
            out.chunks_mut(cols).enumerate().for_each(|(r, out)| f(r, self.row(r), out));
        } else {
            let rows = out.par_chunks_mut(cols).enumerate().with_min_len(self.rows_at_once());
            rows.for_each(|(r, out)| f(r, self.row(r), out));
        }
    }

    /// Pulls gradients back through a formula into `d_theta` and `d_spread`, and returns its summed values.
    ///
    /// `f(row index, row, column)` returns the value with its derivatives by θ and the second parameter, already
    /// multiplied by the gradient that arrives.
    pub(super) fn pull_back(
        &self,
        write: Write,
        d_theta: &mut [E],
        d_spread: &mut [E],
        f: impl Fn(usize, &Row<'_, E>, usize) -> Dual<E::Lanes> + Sync,
    ) -> f64 {
        let (cols, own) = (self.grid.cols, self.shared == Shared::None);
        let run = |r: usize, d_theta: &mut [E], d_spread: &mut [E]| -> [f64; 2] {
            let (row, width) = (self.row(r), E::Lanes::WIDTH);
            let (mut value, mut shared) = (E::Lanes::splat(0.0), E::Lanes::splat(0.0));
            for i in (0..cols).step_by(width) {
                let dual = f(r, &row, i);
                value = value + dual.value.first(cols - i);
                write.to(&mut d_theta[i..], dual.grad[0]);
                if own {
                    write.to(&mut d_spread[i..], dual.grad[1]);
                } else {
                    shared = shared + dual.grad[1].first(cols - i);
                }
            }
            [value.sum(), shared.sum()]
        };
        self.sum_of_rows(write, d_theta, d_spread, &run)
    }

    /// Runs `run(row index, its part of d_theta, its part of d_spread)` for every row, and returns the sum of the
    /// values that it returns. Its second result is the gradient of a second parameter that the row shares.
    fn sum_of_rows(&self, write: Write, d_theta: &mut [E], d_spread: &mut [E], run: &RowOf<'_, E>) -> f64 {
        let (cols, own) = (self.grid.cols, self.shared == Shared::None);
        let sums: Vec<[f64; 2]> = match (own, self.grid.len() < PARALLEL) {
            (true, true) => {
                let rows = d_theta.chunks_mut(cols).zip(d_spread.chunks_mut(cols)).enumerate();
                rows.map(|(r, (t, s))| run(r, t, s)).collect()
            }
            (true, false) => {
                let rows = d_theta.par_chunks_mut(cols).zip(d_spread.par_chunks_mut(cols)).enumerate();
                rows.with_min_len(self.rows_at_once()).map(|(r, (t, s))| run(r, t, s)).collect()
            }
            (false, _) => {
                let rows = d_theta.par_chunks_mut(cols).enumerate().with_min_len(self.rows_at_once());
                rows.map(|(r, t)| run(r, t, &mut [])).collect()
            }
        };
        if !own {
            if write == Write::All {
                d_spread.fill(E::default());
            }
            let per_output = self.shared == Shared::PerOutput;
            for (r, [_, shared]) in sums.iter().enumerate() {
                d_spread[if per_output { r } else { 0 }] += E::of(*shared);
            }
        }
        sums.iter().map(|[value, _]| value).sum()
    }

    /// The least number of rows per task.
    fn rows_at_once(&self) -> usize {
        CHUNK.div_ceil(self.grid.cols)
    }
}

/// The computation of [`Weights::pull_back`] for one row.
type RowOf<'a, E> = dyn Fn(usize, &mut [E], &mut [E]) -> [f64; 2] + Sync + 'a;

/// The treatment of the numbers already in a slice.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Write {
    /// Replaces them.
    All,
    /// Adds to them.
    Add,
}

impl Write {
    /// Writes as many numbers as there is room for.
    #[inline(always)]
    fn to<L: Lane>(self, to: &mut [L::Elem], x: L) {
        let count = to.len().min(L::WIDTH);
        let x = if self == Write::Add { L::load(to) + x } else { x };
        x.store(&mut to[..count]);
    }
}
