//! A layer's weights as one pass uses them: the means and the variances that it multiplies with, and the way back.

use dfdx::prelude::*;
use sparsevd_priors::{Dual, Lane, Prior};

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
    /// Where there is a trained-in threshold: 1 for the means that it keeps, 0 for the others; and the means it leaves.
    kept: Option<(Buffer<E>, Buffer<E>)>,
    /// Whether there is Gaussian noise.
    noisy: bool,
}

impl<M: Map, Q: Posterior, E: Elem> Acting<M, Q, E>
where
    Cpu: Device<E>,
{
    pub(super) fn of<P: Prior>(layer: &Layer<M, Q, P, E, Cpu>) -> Result<Self, CpuError> {
        let mut acting = Acting {
            grid: M::grid(),
            posterior: layer.posterior.clone(),
            theta: layer.theta.clone().try_contiguous()?,
            spread: layer.spread.clone().try_contiguous()?,
            kept: None,
            noisy: layer.posterior.noise() == Noise::Gaussian,
        };
        if let Some(threshold) = layer.settings.threshold {
            let kept = kept(&acting.weights(), &acting.posterior, threshold);
            let mut means = Buffer::copy(numbers(&acting.theta));
            means.iter_mut().zip(kept.iter()).for_each(|(mean, kept)| *mean *= *kept);
            acting.kept = Some((kept, means));
        }
        Ok(acting)
    }

    /// These weights, without noise.
    pub(super) fn still<P: Prior>(
        layer: &Layer<M, Q, P, E, Cpu>,
        weights: Tensor<M::Weight, E, Cpu>,
    ) -> Result<Self, CpuError> {
        let (posterior, spread) = (layer.posterior.clone(), layer.spread.clone());
        Ok(Acting { grid: M::grid(), posterior, theta: weights.try_contiguous()?, spread, kept: None, noisy: false })
    }

    fn weights(&self) -> Weights<'_, E> {
        Weights { grid: self.grid, theta: numbers(&self.theta), spread: numbers(&self.spread), shared: Q::SHARED }
    }

    /// E w, a row per output.
    pub(super) fn means(&self) -> Matrix<'_, E> {
        let means = self.kept.as_ref().map_or(numbers(&self.theta), |(_, means)| means);
        self.matrix(means)
    }

    /// Whether there is Gaussian noise.
    pub(super) fn noisy(&self) -> bool {
        self.noisy
    }

    /// Var w.
    pub(super) fn variances(&self) -> Buffer<E> {
        variances(&self.weights(), &self.posterior)
    }

    /// Numbers, one for each weight, a row per output.
    pub(super) fn matrix<'a>(&self, numbers: &'a [E]) -> Matrix<'a, E> {
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
        let mut d_variance = Buffer::any(if self.noisy { self.grid.len() } else { 0 });
        match &self.kept {
            None => products(&mut d_theta, &mut d_variance),
            Some((kept, _)) => {
                let mut d = Buffer::zeros(self.grid.len());
                products(&mut d, &mut d_variance);
                d_theta.iter_mut().zip(d.iter()).zip(kept.iter()).for_each(|((to, d), kept)| *to += *d * *kept);
            }
        }
        if self.noisy {
            let d_spread = gradient(grads, &self.spread)?;
            pull_variances(&self.weights(), &self.posterior, &d_variance, &mut d_theta, d_spread);
        }
        *gradient(grads, &self.theta)? = d_theta;
        Ok(())
    }
}

// What follows is generic over as little as possible: it is what takes the compiler time.

/// A number for every weight.
fn map<E: Elem>(weights: &Weights<'_, E>, f: impl Fn(E::Lanes, E::Lanes) -> E::Lanes + Sync) -> Buffer<E> {
    let mut out = Buffer::any(weights.grid.len());
    weights.for_rows(&mut out, |_, row, out| {
        for i in (0..out.len()).step_by(E::Lanes::WIDTH) {
            let (theta, spread) = row.lanes(i);
            f(theta, spread).store(&mut out[i..]);
        }
    });
    out
}

/// Var w.
fn variances<Q: Posterior, E: Elem>(weights: &Weights<'_, E>, posterior: &Q) -> Buffer<E> {
    map(weights, |theta, spread| posterior.variance(theta, spread))
}

/// 1 where log alpha is below the threshold, otherwise 0.
fn kept<Q: Posterior, E: Elem>(weights: &Weights<'_, E>, posterior: &Q, threshold: f64) -> Buffer<E> {
    map(weights, |theta, spread| (-posterior.q(theta, spread).log_alpha()).above(-threshold))
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
