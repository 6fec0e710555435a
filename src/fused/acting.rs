//! A layer's weights as one pass uses them: the means and the variances that it multiplies with, and the way back.

use std::ops::Range;

use dfdx::prelude::*;
use sparsevd_priors::{Dual, Lane, Prior};

use super::few::{Few, Rows};
use super::memory::{Buffer, numbers};
use super::product::Matrix;
use super::weights::{Weights, Write};
use super::{CHUNK, gradient};
use crate::backend::Elem;
use crate::layer::Layer;
use crate::map::{Grid, Map};
use crate::posterior::{Noise, Posterior};

/// A layer's weights as one pass uses them; it keeps what the backward pass needs.
pub(super) struct Acting<M: Map, Q: Posterior, E: Elem> {
    pub(super) grid: Grid,
    posterior: Q,
    theta: Tensor<M::Weight, E, Cpu>,
    spread: Tensor<Q::Spread<M>, E, Cpu>,
    /// Var w, where there is Gaussian noise.
    variances: Option<Buffer<E>>,
    /// What a trained-in threshold leaves, where there is one.
    kept: Option<Kept<E>>,
}

/// What a trained-in threshold leaves.
struct Kept<E: Elem> {
    /// 1 for the means that it keeps, 0 for the others.
    mask: Buffer<E>,
    means: Buffer<E>,
    few: Option<Few<E>>,
}

/// The means as products use them.
pub(super) enum Means<'a, E: Elem> {
    /// A row per output.
    All(Matrix<'a, E>),
    /// Those that a trained-in threshold leaves.
    Few(Rows<'a, E>),
}

impl<M: Map, Q: Posterior, E: Elem> Acting<M, Q, E>
where
    Cpu: Device<E>,
{
    pub(super) fn of<P: Prior>(layer: &Layer<M, Q, P, E, Cpu>) -> Result<Self, CpuError> {
        let mut acting = Acting::still(layer, layer.theta.clone())?;
        acting.spread = acting.spread.try_contiguous()?;
        let (noisy, threshold) = (layer.posterior.noise() == Noise::Gaussian, layer.settings.threshold);
        if noisy || threshold.is_some() {
            let variances = variances(&acting.weights(), &acting.posterior);
            acting.kept = threshold.map(|threshold| Kept::of(&acting.weights(), &variances, threshold));
            acting.variances = noisy.then_some(variances);
        }
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

    /// E w.
    pub(super) fn means(&self) -> Means<'_, E> {
        self.means_of(0..self.grid.rows)
    }

    /// E w, of some outputs.
    pub(super) fn means_of(&self, rows: Range<usize>) -> Means<'_, E> {
        let means = match &self.kept {
            Some(Kept { few: Some(few), .. }) => return Means::Few(few.rows(rows)),
            Some(kept) => &kept.means,
            None => numbers(&self.theta),
        };
        let cols = self.grid.cols;
        Means::All(Matrix::new(&means[rows.start * cols..rows.end * cols], rows.len(), cols))
    }

    /// How many of the means get a gradient.
    pub(super) fn means_left(&self) -> usize {
        match &self.kept {
            Some(Kept { few: Some(few), .. }) => few.len(),
            _ => self.grid.len(),
        }
    }

    /// Var w, a row per output, where there is Gaussian noise.
    pub(super) fn variances(&self) -> Option<Matrix<'_, E>> {
        self.variances.as_ref().map(|variances| self.matrix(variances))
    }

    /// Numbers, one for each weight, a row per output.
    fn matrix<'a>(&self, numbers: &'a [E]) -> Matrix<'a, E> {
        Matrix::new(numbers, self.grid.rows, self.grid.cols)
    }

    /// Adds the gradients of theta and the spread. `products(d_means, d_variance)` adds the gradient of the means to the
    /// first, and writes that of the variances, where there are any, to the second.
    pub(super) fn pull_back(
        &self,
        grads: &mut Gradients<E, Cpu>,
        products: impl FnOnce(&mut [E], &mut [E]),
    ) -> Result<(), CpuError> {
        // Both gradients are written at once, so theta's leaves the store meanwhile.
        let mut d_theta = std::mem::take(gradient(grads, &self.theta)?);
        let mut d_variance = Buffer::any(if self.variances.is_some() { self.grid.len() } else { 0 });
        match &self.kept {
            None => products(&mut d_theta, &mut d_variance),
            // These products give no other mean a gradient.
            Some(Kept { few: Some(_), .. }) => products(&mut d_theta, &mut d_variance),
            Some(Kept { mask, .. }) => {
                let mut d = Buffer::zeros(self.grid.len());
                products(&mut d, &mut d_variance);
                d_theta.iter_mut().zip(d.iter()).zip(mask.iter()).for_each(|((to, d), kept)| *to += *d * *kept);
            }
        }
        if self.variances.is_some() {
            let d_spread = gradient(grads, &self.spread)?;
            pull_variances(&self.weights(), &self.posterior, &d_variance, &mut d_theta, d_spread);
        }
        *gradient(grads, &self.theta)? = d_theta;
        Ok(())
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

impl<E: Elem> Kept<E> {
    /// Keeps where log alpha is below the threshold: where `Var w < e^threshold theta^2`, which takes no logarithm.
    fn of(weights: &Weights<'_, E>, variances: &[E], threshold: f64) -> Self {
        let mut mask = Buffer::any(variances.len());
        let most = E::Lanes::splat(threshold.exp());
        let cols = weights.grid.cols;
        weights.for_rows(&mut mask, |r, row, mask| {
            for i in (0..cols).step_by(E::Lanes::WIDTH) {
                let (theta, variance) = (row.lanes(i).0, E::Lanes::load(&variances[r * cols + i..(r + 1) * cols]));
                (most * theta * theta - variance).above(0.0).store(&mut mask[i..]);
            }
        });
        let mut means = Buffer::copy(weights.theta);
        means.iter_mut().zip(mask.iter()).for_each(|(mean, kept)| *mean *= *kept);
        let few = Few::of(&means, &mask, weights.grid);
        Kept { mask, means, few }
    }
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
