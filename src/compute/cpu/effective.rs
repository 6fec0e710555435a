//! The effective weights of one pass: the means and variances that it multiplies with, and the backward pass from these
//! to the parameters.

use std::ops::Range;

use dfdx::prelude::*;
use sparsevd_priors::{Dual, INV_ALPHA_FLOOR, Lane, Noise, Prior, Shared, shared};

use super::buffer::Buffer;
use super::gradient::{Parameter, ordered, with_gradient};
use super::product::Matrix;
use super::sparse::{Rows, Sparse};
use super::weights::{Weights, Write};
use crate::compute::backend::LayerView;
use crate::compute::elem::Elem;
use crate::spec::{Family, Grid, Map, Masking};

/// The effective weights of one pass; it keeps what the backward pass needs.
pub(super) struct Effective<E: Elem> {
    pub(super) grid: Grid,
    shared: Shared,
    formula: Box<dyn Formula<E>>,
    theta: Box<dyn Parameter<E>>,
    spread: Box<dyn Parameter<E>>,
    /// Var w, if there is Gaussian noise.
    variances: Option<Used<E>>,
    /// The weights that masking keeps; `None` without masking.
    kept: Option<Kept<E>>,
}

/// The weights that masking keeps.
struct Kept<E: Elem> {
    /// 1 for the weights that are kept, 0 for the others.
    mask: Buffer<E>,
    means: Used<E>,
    /// True if the variances are masked, too.
    both: bool,
}

/// One number per weight, dense or sparse.
enum Used<E: Elem> {
    Dense(Buffer<E>),
    /// Entries that are not stored are zero.
    Sparse(Sparse<E>),
}

/// Some rows of it, as an operand of a product.
pub(super) enum Factor<'a, E: Elem> {
    /// A row per output.
    Dense(Matrix<'a, E>),
    /// The entries that masking keeps.
    Sparse(Rows<'a, E>),
}

impl<E: Elem> Effective<E> {
    /// The effective weights of a layer. The gradients of parameters that are not contiguous reach them over the tape.
    pub(super) fn of<M: Map, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Cpu>,
        tape: &mut OwnedTape<E, Cpu>,
    ) -> Result<Self, CpuError>
    where
        Cpu: Device<E>,
    {
        let mut effective = Effective::still(layer, ordered(layer.theta, tape)?)?;
        effective.spread = Box::new(ordered(layer.spread, tape)?);
        effective.fill(layer.posterior.noise() == Noise::Gaussian, layer.settings.masking, Q::TRAINED);
        Ok(effective)
    }

    /// The given weights, without noise.
    pub(super) fn still<M: Map, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Cpu>,
        weights: Tensor<M::Weight, E, Cpu>,
    ) -> Result<Self, CpuError>
    where
        Cpu: Device<E>,
    {
        Ok(Effective {
            grid: M::grid(),
            shared: shared::<Q>(),
            formula: Box::new(layer.posterior.clone()),
            theta: Box::new(weights.try_contiguous()?),
            spread: Box::new(layer.spread.clone()),
            variances: None,
            kept: None,
        })
    }

    /// Computes the variances and the mask.
    fn fill(&mut self, noisy: bool, masking: Masking, trained: bool) {
        let threshold = masking.threshold();
        if !noisy && threshold.is_none() {
            return;
        }
        let variances = self.formula.variances(&self.weights());
        self.kept = threshold.map(|threshold| {
            let theta = self.theta.numbers();
            let mask = if trained {
                mask(&self.weights(), &variances, threshold)
            } else {
                not_zero(theta) // log α says nothing about single weights
            };
            Kept { means: Used::of(Buffer::copy(theta), Some(&mask), self.grid), mask, both: masking.whole() }
        });
        let mask = self.kept.as_ref().filter(|kept| kept.both).map(|kept| &*kept.mask);
        self.variances = noisy.then(|| Used::of(variances, mask, self.grid));
    }

    fn weights(&self) -> Weights<'_, E> {
        Weights { grid: self.grid, theta: self.theta.numbers(), spread: self.spread.numbers(), shared: self.shared }
    }

    /// E w of some outputs.
    pub(super) fn means(&self, rows: Range<usize>) -> Factor<'_, E> {
        match &self.kept {
            Some(kept) => kept.means.rows(rows, self.grid.cols),
            None => Factor::Dense(Matrix::rows_of(self.theta.numbers(), rows, self.grid.cols)),
        }
    }

    /// Var w of some outputs, if there is Gaussian noise.
    pub(super) fn variances(&self, rows: Range<usize>) -> Option<Factor<'_, E>> {
        self.variances.as_ref().map(|variances| variances.rows(rows, self.grid.cols))
    }

    /// True if there is Gaussian noise.
    pub(super) fn noisy(&self) -> bool {
        self.variances.is_some()
    }

    /// Adds to the gradients of θ and of the second parameter. `products(d_means, d_variance)` adds the gradient of the
    /// means to its first argument and, if there is noise, that of the variances to its second.
    pub(super) fn pull_back(
        &self,
        grads: &mut Gradients<E, Cpu>,
        products: impl FnOnce(&mut [E], &mut [E]),
    ) -> Result<(), CpuError> {
        self.pull_back_written(grads, |d_means, d_variance| {
            d_variance.fill(E::default());
            products(d_means, d_variance);
        })
    }

    /// The same for `products` that write the gradient of the variances, where unspecified numbers are.
    pub(super) fn pull_back_written(
        &self,
        grads: &mut Gradients<E, Cpu>,
        products: impl FnOnce(&mut [E], &mut [E]),
    ) -> Result<(), CpuError> {
        let mut d_variance = Buffer::any(if self.noisy() { self.grid.len() } else { 0 });
        // The gradients of θ and of the second parameter are written in one pass.
        with_gradient(
            grads,
            |grads| self.theta.gradient(grads),
            |d_theta, grads| {
                match &self.kept {
                    // Sparse products add nothing to the gradients of masked weights.
                    None | Some(Kept { means: Used::Sparse(_), .. }) => products(d_theta, &mut d_variance),
                    Some(Kept { mask, both, .. }) => {
                        let mut d = Buffer::zeros(self.grid.len());
                        products(&mut d, &mut d_variance);
                        d_theta.iter_mut().zip(d.iter()).zip(mask.iter()).for_each(|((to, d), kept)| *to += *d * *kept);
                        if *both {
                            d_variance.iter_mut().zip(mask.iter()).for_each(|(d, kept)| *d *= *kept);
                        }
                    }
                }
                if self.noisy() {
                    let d_spread = self.spread.gradient(grads)?;
                    self.formula.pull_back(&self.weights(), &d_variance, d_theta, d_spread);
                }
                Ok(())
            },
        )
    }
}

impl<E: Elem> Used<E> {
    /// The numbers whose mask is not zero, sparse if they are few.
    fn of(mut numbers: Buffer<E>, mask: Option<&[E]>, grid: Grid) -> Self {
        let Some(mask) = mask else { return Used::Dense(numbers) };
        if let Some(sparse) = Sparse::of(&numbers, mask, grid) {
            return Used::Sparse(sparse);
        }
        numbers.iter_mut().zip(mask).for_each(|(x, kept)| *x *= *kept);
        Used::Dense(numbers)
    }

    fn rows(&self, rows: Range<usize>, cols: usize) -> Factor<'_, E> {
        match self {
            Used::Dense(numbers) => Factor::Dense(Matrix::rows_of(numbers, rows, cols)),
            Used::Sparse(sparse) => Factor::Sparse(sparse.rows(rows)),
        }
    }
}

// The functions below have as few type parameters as possible: they take most of the compile time.

/// The variances of a posterior family.
trait Formula<E: Elem>: Send + Sync {
    /// Var w.
    fn variances(&self, weights: &Weights<'_, E>) -> Buffer<E>;

    /// Adds to the gradients of θ and of the second parameter what follows from `d`, the gradient of the variances.
    fn pull_back(&self, weights: &Weights<'_, E>, d: &[E], d_theta: &mut [E], d_spread: &mut [E]);
}

impl<Q: Family, E: Elem> Formula<E> for Q {
    fn variances(&self, weights: &Weights<'_, E>) -> Buffer<E> {
        let mut out = Buffer::any(weights.grid.len());
        weights.for_rows(&mut out, &|_, row, out| {
            for i in (0..out.len()).step_by(E::Lanes::WIDTH) {
                let (theta, spread) = row.lanes(i);
                self.variance(theta, spread).store(&mut out[i..]);
            }
        });
        out
    }

    fn pull_back(&self, weights: &Weights<'_, E>, d: &[E], d_theta: &mut [E], d_spread: &mut [E]) {
        let cols = weights.grid.cols;
        weights.pull_back(Write::Add, d_theta, d_spread, |r, row, i| {
            let (theta, spread) = row.duals(i);
            let d = E::Lanes::load(&d[r * cols + i..(r + 1) * cols]);
            self.variance(theta, spread) * Dual { value: d, grad: [E::Lanes::splat(0.0); 2] }
        });
    }
}

/// 1 for weights with log α below the threshold, otherwise 0. The comparison is `Var w < e^threshold θ²`, which needs
/// no logarithm.
fn mask<E: Elem>(weights: &Weights<'_, E>, variances: &[E], threshold: f64) -> Buffer<E> {
    let mut mask = Buffer::any(variances.len());
    if threshold > -INV_ALPHA_FLOOR.ln() {
        mask.fill(E::ONE); // log α cannot reach the threshold
        return mask;
    }
    let (most, cols) = (E::Lanes::splat(threshold.exp()), weights.grid.cols);
    weights.for_rows(&mut mask, &|r, row, mask| {
        for i in (0..cols).step_by(E::Lanes::WIDTH) {
            let (theta, variance) = (row.lanes(i).0, E::Lanes::load(&variances[r * cols + i..(r + 1) * cols]));
            (most * theta * theta - variance).above(0.0).store(&mut mask[i..]);
        }
    });
    mask
}

/// 1 for numbers that are not zero, otherwise 0.
fn not_zero<E: Elem>(numbers: &[E]) -> Buffer<E> {
    let mut mask = Buffer::any(numbers.len());
    mask.iter_mut().zip(numbers).for_each(|(mask, x)| *mask = if *x == E::default() { E::default() } else { E::ONE });
    mask
}
