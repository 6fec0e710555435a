//! A dense layer's sampled output as one operation: two products, noise and bias forward; their pull-back backward.

use dfdx::prelude::*;
use sparsevd_priors::{Dual, Lane, Prior};

use super::product::{Matrix, multiply};
use super::weights::{Weights, splat};
use super::{accumulate, gradient, noise, numbers};
use crate::backend::{Elem, Taped};
use crate::layer::{Layer, VARIANCE_FLOOR};
use crate::map::{Grid, LinearMap, Map};
use crate::posterior::{Noise, Posterior};

/// `y = x theta^T + b + sqrt(x^2 v^T + floor) eps`, with `v = Var w`, on the tape.
pub(super) fn linear<B: Dim, Q: Posterior, P: Prior, E: Elem, const I: usize, const O: usize, const BIAS: bool>(
    layer: &Layer<LinearMap<I, O, BIAS>, Q, P, E, Cpu>,
    x: Taped<(B, Const<I>), E, Cpu>,
    seed: u64,
    input_grad: bool,
) -> Result<Taped<(B, Const<O>), E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let pass = Pass::new(layer, numbers(&x), seed);
    let bias = if BIAS { numbers(&layer.bias) } else { Vec::new() };
    let y = x.device().try_tensor_from_vec(pass.output(&bias), (x.shape().0, Const::<O>))?;

    let (theta, spread, bias) = (layer.theta.clone(), layer.spread.clone(), layer.bias.clone());
    let out = y.clone();
    tape.add_backward_op(move |grads| {
        grads.try_alloc_for(&out)?;
        let g = numbers(&grads.get(&out));
        let g_variance = pass.variance_gradient(&g);
        if BIAS {
            let d_bias = gradient(grads, &bias)?;
            g.chunks(O).for_each(|row| accumulate(d_bias, row.iter().copied()));
        }
        // Both gradients are written at once, so they leave the store meanwhile.
        let mut d_theta = std::mem::take(gradient(grads, &theta)?);
        let mut d_spread = std::mem::take(gradient(grads, &spread)?);
        pass.weight_gradient(&g, g_variance.as_deref(), &mut d_theta, &mut d_spread);
        *gradient(grads, &theta)? = d_theta;
        *gradient(grads, &spread)? = d_spread;
        if input_grad {
            pass.input_gradient(&g, g_variance.as_deref(), gradient(grads, &x)?);
        }
        Ok(())
    });
    Ok(y.put_tape(tape))
}

/// What one pass computes with, and what its backward pass needs again.
struct Pass<Q, E> {
    posterior: Q,
    grid: Grid,
    x: Vec<E>,
    theta: Vec<E>,
    spread: Vec<E>,
    /// 1 for the means that the trained-in threshold keeps, 0 for the others.
    kept: Option<Vec<E>>,
    /// The means that act: theta, less those switched off.
    means: Vec<E>,
    sampling: Option<Sampling<E>>,
}

/// The noisy half of a pass.
struct Sampling<E> {
    x2: Vec<E>,
    variance: Vec<E>,
    std: Vec<E>,
    eps: Vec<E>,
}

impl<Q: Posterior, E: Elem> Pass<Q, E> {
    fn new<M: Map, P: Prior>(layer: &Layer<M, Q, P, E, Cpu>, x: Vec<E>, seed: u64) -> Self
    where
        Cpu: Device<E>,
    {
        let (theta, spread) = (numbers(&layer.theta), numbers(&layer.spread));
        let mut pass = Pass {
            posterior: layer.posterior.clone(),
            grid: M::grid(),
            means: theta.clone(),
            x,
            theta,
            spread,
            kept: None,
            sampling: None,
        };
        if let Some(threshold) = layer.settings.threshold {
            let kept = pass.map_weights(|q, theta, spread| {
                // log alpha < threshold
                (-q.q(theta, spread).log_alpha()).above(-threshold)
            });
            pass.means.iter_mut().zip(&kept).for_each(|(mean, kept)| *mean *= *kept);
            pass.kept = Some(kept);
        }
        if pass.posterior.noise() == Noise::Gaussian {
            pass.sampling = Some(pass.sampling(seed));
        }
        pass
    }

    fn weights(&self) -> Weights<'_, E> {
        Weights { grid: self.grid, theta: &self.theta, spread: &self.spread, shared: Q::SHARED }
    }

    /// A number for every weight.
    fn map_weights(&self, f: impl Fn(&Q, E::Lanes, E::Lanes) -> E::Lanes + Sync) -> Vec<E> {
        let mut out = vec![E::default(); self.grid.len()];
        self.weights().for_rows(&mut out, |_, row, out| {
            for i in (0..out.len()).step_by(E::Lanes::WIDTH) {
                let (theta, spread) = row.lanes(i);
                f(&self.posterior, theta, spread).store(&mut out[i..]);
            }
        });
        out
    }

    fn batch(&self) -> usize {
        self.x.len() / self.grid.cols
    }

    fn sampling(&self, seed: u64) -> Sampling<E> {
        let Grid { rows, cols, .. } = self.grid;
        let x2: Vec<E> = self.x.iter().map(|x| *x * *x).collect();
        let variance = self.map_weights(|q, theta, spread| q.variance(theta, spread));
        let mut std = vec![E::default(); self.batch() * rows];
        let (x2_matrix, v) = (Matrix::new(&x2, self.batch(), cols), Matrix::new(&variance, rows, cols));
        multiply(&mut std, false, x2_matrix, v.t());
        let floor = E::of(VARIANCE_FLOOR);
        std.iter_mut().for_each(|s| *s = num_traits::Float::sqrt(*s + floor));
        let mut eps = vec![E::default(); std.len()];
        noise::fill(seed, &mut eps);
        Sampling { x2, variance, std, eps }
    }

    fn output(&self, bias: &[E]) -> Vec<E> {
        let Grid { rows, cols, .. } = self.grid;
        let mut y = vec![E::default(); self.batch() * rows];
        multiply(&mut y, false, Matrix::new(&self.x, self.batch(), cols), Matrix::new(&self.means, rows, cols).t());
        y.chunks_mut(rows).for_each(|y| accumulate(y, bias.iter().copied()));
        if let Some(s) = &self.sampling {
            accumulate(&mut y, s.std.iter().zip(&s.eps).map(|(std, eps)| *std * *eps));
        }
        y
    }

    /// The gradient with respect to the variance of each output: `g eps / (2 std)`.
    fn variance_gradient(&self, g: &[E]) -> Option<Vec<E>> {
        let half = E::of(0.5);
        let h =
            |s: &Sampling<E>| g.iter().zip(&s.eps).zip(&s.std).map(|((g, eps), std)| half * *g * *eps / *std).collect();
        self.sampling.as_ref().map(h)
    }

    /// Adds the gradients with respect to theta and the spread.
    fn weight_gradient(&self, g: &[E], h: Option<&[E]>, d_theta: &mut [E], d_spread: &mut [E]) {
        let Grid { rows, cols, .. } = self.grid;
        let (g, x) = (Matrix::new(g, self.batch(), rows).t(), Matrix::new(&self.x, self.batch(), cols));
        match &self.kept {
            None => multiply(d_theta, true, g, x),
            Some(kept) => {
                let mut d_means = vec![E::default(); kept.len()];
                multiply(&mut d_means, false, g, x);
                accumulate(d_theta, d_means.iter().zip(kept).map(|(d, kept)| *d * *kept));
            }
        }
        let (Some(s), Some(h)) = (&self.sampling, h) else { return };
        let mut d_variance = vec![E::default(); self.grid.len()];
        multiply(
            &mut d_variance,
            false,
            Matrix::new(h, self.batch(), rows).t(),
            Matrix::new(&s.x2, self.batch(), cols),
        );
        self.weights().pull_back(d_theta, d_spread, |r, row, i| {
            let (theta, spread) = row.duals(i);
            let d = E::Lanes::load(&d_variance[r * cols + i..(r + 1) * cols]);
            self.posterior.variance(theta, spread) * Dual { value: d, grad: [splat(E::default()); 2] }
        });
    }

    /// Adds the gradient with respect to the input: `g theta + 2 x (h v)`.
    fn input_gradient(&self, g: &[E], h: Option<&[E]>, d_x: &mut [E]) {
        let Grid { rows, cols, .. } = self.grid;
        multiply(d_x, true, Matrix::new(g, self.batch(), rows), Matrix::new(&self.means, rows, cols));
        let (Some(s), Some(h)) = (&self.sampling, h) else { return };
        let mut d_x2 = vec![E::default(); self.x.len()];
        multiply(&mut d_x2, false, Matrix::new(h, self.batch(), rows), Matrix::new(&s.variance, rows, cols));
        let two = E::of(2.0);
        accumulate(d_x, d_x2.iter().zip(&self.x).map(|(d, x)| two * *x * *d));
    }
}
