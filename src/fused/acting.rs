//! A layer's weights as one pass uses them: the means and the variances that it multiplies with, and the way back.

use std::ops::Range;

use dfdx::prelude::*;
use sparsevd_priors::{Dual, INV_ALPHA_FLOOR, Lane, Prior};

use super::few::{Few, Rows};
use super::memory::{Buffer, numbers};
use super::product::Matrix;
use super::weights::{Weights, Write};
use super::{CHUNK, gradient, ordered};
use crate::backend::Elem;
use crate::layer::{Layer, SwitchOff};
use crate::map::{Grid, Map};
use crate::posterior::{Noise, Posterior};

/// A layer's weights as one pass uses them; it keeps what the backward pass needs.
pub(super) struct Acting<M: Map, Q: Posterior, E: Elem> {
    pub(super) grid: Grid,
    posterior: Q,
    theta: Tensor<M::Weight, E, Cpu>,
    spread: Tensor<Q::Spread<M>, E, Cpu>,
    /// Var w, where there is Gaussian noise.
    variances: Option<Used<E>>,
    /// What a trained-in threshold leaves, where there is one.
    kept: Option<Kept<E>>,
}

/// What a trained-in threshold leaves.
struct Kept<E: Elem> {
    /// 1 for the weights that it keeps, 0 for the others.
    mask: Buffer<E>,
    means: Used<E>,
    /// Whether it switches off variances, too.
    both: bool,
}

/// A number for each weight.
enum Used<E: Elem> {
    All(Buffer<E>),
    /// The others are zero.
    Few(Few<E>),
}

/// The same, as a product takes them.
pub(super) enum Factor<'a, E: Elem> {
    /// A row per output.
    All(Matrix<'a, E>),
    /// Those that a trained-in threshold leaves.
    Few(Rows<'a, E>),
}

impl<M: Map, Q: Posterior, E: Elem> Acting<M, Q, E>
where
    Cpu: Device<E>,
{
    /// The way back to parameters that do not lie in order goes onto the tape.
    pub(super) fn of<P: Prior>(layer: &Layer<M, Q, P, E, Cpu>, tape: &mut OwnedTape<E, Cpu>) -> Result<Self, CpuError> {
        let mut acting = Acting::still(layer, ordered(&layer.theta, tape)?)?;
        acting.spread = ordered(&layer.spread, tape)?;
        let (noisy, threshold) = (layer.posterior.noise() == Noise::Gaussian, layer.settings.threshold);
        if !noisy && threshold.is_none() {
            return Ok(acting);
        }
        let variances = variances(&acting.weights(), &acting.posterior);
        let both = layer.settings.switch_off == SwitchOff::Weight;
        acting.kept = threshold.map(|threshold| {
            let mask = if Q::TRAINED {
                mask(&acting.weights(), &variances, threshold)
            } else {
                not_zero(numbers(&acting.theta)) // log alpha says nothing about single weights
            };
            Kept { means: Used::of(Buffer::copy(numbers(&acting.theta)), Some(&mask), M::grid()), mask, both }
        });
        let mask = acting.kept.as_ref().filter(|kept| kept.both).map(|kept| &*kept.mask);
        acting.variances = noisy.then(|| Used::of(variances, mask, M::grid()));
        Ok(acting)
    }

    /// These weights, without noise.
    pub(super) fn still<P: Prior>(
        layer: &Layer<M, Q, P, E, Cpu>,
        weights: Tensor<M::Weight, E, Cpu>,
    ) -> Result<Self, CpuError> {
        let (posterior, spread) = (layer.posterior.clone(), layer.spread.clone());
        let theta = weights.try_contiguous()?;
        Ok(Acting { grid: M::grid(), posterior, theta, spread, variances: None, kept: None })
    }

    fn weights(&self) -> Weights<'_, E> {
        Weights { grid: self.grid, theta: numbers(&self.theta), spread: numbers(&self.spread), shared: Q::SHARED }
    }

    /// E w of some outputs.
    pub(super) fn means(&self, rows: Range<usize>) -> Factor<'_, E> {
        match &self.kept {
            Some(kept) => kept.means.rows(rows, self.grid.cols),
            None => Factor::All(Matrix::rows_of(numbers(&self.theta), rows, self.grid.cols)),
        }
    }

    /// Var w of some outputs, where there is Gaussian noise.
    pub(super) fn variances(&self, rows: Range<usize>) -> Option<Factor<'_, E>> {
        self.variances.as_ref().map(|variances| variances.rows(rows, self.grid.cols))
    }

    /// Whether there is Gaussian noise.
    pub(super) fn noisy(&self) -> bool {
        self.variances.is_some()
    }

    /// Adds the gradients of theta and the spread. `products(d_means, d_variance)` adds the gradient of the means to
    /// the first, and that of the variances, where there are any, to the second.
    pub(super) fn pull_back(
        &self,
        grads: &mut Gradients<E, Cpu>,
        products: impl FnOnce(&mut [E], &mut [E]),
    ) -> Result<(), CpuError> {
        // Both gradients are written at once, so theta's leaves the store meanwhile.
        let mut d_theta = std::mem::take(gradient(grads, &self.theta)?);
        let mut d_variance = Buffer::zeros(if self.noisy() { self.grid.len() } else { 0 });
        match &self.kept {
            // Products with few weights give the others no gradient.
            None | Some(Kept { means: Used::Few(_), .. }) => products(&mut d_theta, &mut d_variance),
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
            let d_spread = gradient(grads, &self.spread)?;
            pull_variances(&self.weights(), &self.posterior, &d_variance, &mut d_theta, d_spread);
        }
        *gradient(grads, &self.theta)? = d_theta;
        Ok(())
    }
}

impl<E: Elem> Used<E> {
    /// These numbers, where the mask is not zero.
    fn of(mut numbers: Buffer<E>, mask: Option<&[E]>, grid: Grid) -> Self {
        let Some(mask) = mask else { return Used::All(numbers) };
        if let Some(few) = Few::of(&numbers, mask, grid) {
            return Used::Few(few);
        }
        numbers.iter_mut().zip(mask).for_each(|(x, kept)| *x *= *kept);
        Used::All(numbers)
    }

    fn rows(&self, rows: Range<usize>, cols: usize) -> Factor<'_, E> {
        match self {
            Used::All(numbers) => Factor::All(Matrix::rows_of(numbers, rows, cols)),
            Used::Few(few) => Factor::Few(few.rows(rows)),
        }
    }
}

// What follows is generic over as little as possible: it is what takes the compiler time.

/// Var w.
fn variances<Q: Posterior, E: Elem>(weights: &Weights<'_, E>, posterior: &Q) -> Buffer<E> {
    let mut out = Buffer::any(weights.grid.len());
    weights.for_rows(&mut out, |_, row, out| {
        for i in (0..out.len()).step_by(E::Lanes::WIDTH) {
            let (theta, spread) = row.lanes(i);
            posterior.variance(theta, spread).store(&mut out[i..]);
        }
    });
    out
}

/// 1 where log alpha is below the threshold, which is where `Var w < e^threshold theta^2` and takes no logarithm;
/// otherwise 0.
fn mask<E: Elem>(weights: &Weights<'_, E>, variances: &[E], threshold: f64) -> Buffer<E> {
    let mut mask = Buffer::any(variances.len());
    if threshold > -INV_ALPHA_FLOOR.ln() {
        mask.fill(E::ONE); // log alpha never gets there
        return mask;
    }
    let (most, cols) = (E::Lanes::splat(threshold.exp()), weights.grid.cols);
    weights.for_rows(&mut mask, |r, row, mask| {
        for i in (0..cols).step_by(E::Lanes::WIDTH) {
            let (theta, variance) = (row.lanes(i).0, E::Lanes::load(&variances[r * cols + i..(r + 1) * cols]));
            (most * theta * theta - variance).above(0.0).store(&mut mask[i..]);
        }
    });
    mask
}

/// 1 where a number is not zero, otherwise 0.
fn not_zero<E: Elem>(numbers: &[E]) -> Buffer<E> {
    let mut mask = Buffer::any(numbers.len());
    mask.iter_mut().zip(numbers).for_each(|(mask, x)| *mask = if *x == E::default() { E::default() } else { E::ONE });
    mask
}

/// Adds the gradients that those of the variances, `d`, leave in theta and the spread.
fn pull_variances<Q: Posterior, E: Elem>(
    weights: &Weights<'_, E>,
    posterior: &Q,
    d: &[E],
    d_theta: &mut [E],
    d_spread: &mut [E],
) {
    let cols = weights.grid.cols;
    weights.pull_back(Write::Add, d_theta, d_spread, |r, row, i| {
        let (theta, spread) = row.duals(i);
        let d = E::Lanes::load(&d[r * cols + i..(r + 1) * cols]);
        posterior.variance(theta, spread) * Dual { value: d, grad: [E::Lanes::splat(0.0); 2] }
    });
}

/// The length of the pieces in which elementwise loops over `len` numbers run in parallel.
pub(super) fn piece(len: usize) -> usize {
    if len < super::PARALLEL { len.max(1) } else { CHUNK }
}
