//! The output of a layer as a graph: with given weights, or sampled.

#![allow(clippy::type_complexity, reason = "dfdx's types are long")]

use dfdx::prelude::*;
use sparsevd_priors::{Noise, Prior};

use super::kl::parameters;
use crate::compute::backend::{Backend, LayerView, Taped};
use crate::compute::dfdx_tricks::tensor_of;
use crate::compute::elem::Elem;
use crate::compute::noise;
use crate::compute::reads::{Reads, affine};
use crate::compute::seeds::Seed;
use crate::spec::{Estimator, Family, Map, VARIANCE_FLOOR};

/// A layer's sampled output, composed: local reparameterisation, `y ~ N(map(x, E w) + b, map(x², Var w))`, one draw of
/// the weights, or one draw with its signs flipped for each example.
pub(crate) fn sampled<X: Shape, M: Reads<X>, Q: Family, P: Prior, E: Elem, D: Backend<E>>(
    layer: LayerView<'_, M, Q, P, E, D>,
    x: Taped<X, E, D>,
    seed: Seed,
) -> Result<Taped<M::Output, E, D>, D::Err> {
    let (mut theta, mask) = (layer.theta.retaped::<OwnedTape<E, D>>(), mask(layer)?);
    if let Some(mask) = mask.clone() {
        theta = theta.try_mul(mask)?;
    }
    if layer.posterior.noise() != Noise::Gaussian {
        return affine(layer, x, theta);
    }
    let mut variance = variance(layer)?;
    if let Some(mask) = mask.filter(|_| layer.settings.masking.whole()) {
        variance = variance.try_mul(mask)?;
    }
    match layer.settings.estimator {
        Estimator::LocalReparameterisation => {
            let spread = M::apply(x.with_empty_tape().try_square()?, variance)?;
            let mean = affine(layer, x, theta)?;
            sample(mean, spread, seed)
        }
        Estimator::WeightSampling => {
            let weights = sample(theta, variance, seed)?;
            affine(layer, x, weights)
        }
        Estimator::Flipout => {
            let [input_signs, output_signs] = seed.of_signs();
            let (s, x_noise) = (signs(x.device(), *x.shape(), input_signs)?, x.with_empty_tape());
            let y_noise = M::apply(x_noise.try_mul(s)?, perturbation(variance, seed)?)?;
            let r = signs(y_noise.device(), *y_noise.shape(), output_signs)?;
            affine(layer, x, theta)?.try_add(y_noise.try_mul(r)?)
        }
    }
}

/// A sign for each example and each of its features or channels, the same at all positions of a channel.
fn signs<S: Shape, E: Elem, D: Backend<E>>(device: &D, shape: S, seed: Seed) -> Result<Tensor<S, E, D>, D::Err> {
    let sides: Vec<usize> = shape.concrete().into();
    let (of_one, positions) = sides.split_at(2);
    let mut signs = vec![E::default(); of_one.iter().product()];
    noise::fill_mask(seed, 0.5, &mut signs); // 0 or 2
    let one = E::of(1.0);
    let spread = |sign: E| std::iter::repeat_n(sign - one, positions.iter().product());
    tensor_of(device, &signs.into_iter().flat_map(spread).collect::<Vec<E>>(), shape)
}

/// 1 for the weights that masking keeps, 0 for the others; `None` without masking.
fn mask<M: Map, Q: Family, P, E: Elem, D: Backend<E>>(
    layer: LayerView<'_, M, Q, P, E, D>,
) -> Result<Option<Tensor<M::Weight, E, D>>, D::Err> {
    let Some(threshold) = layer.settings.masking.threshold() else { return Ok(None) };
    let kept: Vec<E> = if Q::TRAINED {
        let (means, spread) = parameters::<_, _, _, _, _, NoneTape>(layer)?;
        let log_alpha = layer.posterior.q(means, spread).log_alpha().finish()?.as_vec();
        log_alpha.into_iter().map(|a| E::of(f64::from(a.f64() < threshold))).collect()
    } else {
        layer.theta.as_vec().into_iter().map(|theta| E::of(f64::from(theta != E::default()))).collect()
    };
    tensor_of(layer.theta.device(), &kept, *layer.theta.shape()).map(Some)
}

/// Var w.
fn variance<M: Map, Q: Family, P, E: Elem, D: Backend<E>>(
    layer: LayerView<'_, M, Q, P, E, D>,
) -> Result<Taped<M::Weight, E, D>, D::Err> {
    let (theta, spread) = parameters(layer)?;
    layer.posterior.variance(theta, spread).finish()?.try_reshape_like(layer.theta.shape())
}

/// `mean + sqrt(variance + floor) ε`.
fn sample<S: Shape, E: Elem, D: Backend<E>>(
    mean: Taped<S, E, D>,
    variance: Taped<S, E, D>,
    seed: Seed,
) -> Result<Taped<S, E, D>, D::Err> {
    mean.try_add(perturbation(variance, seed)?)
}

/// `sqrt(variance + floor) ε`.
fn perturbation<S: Shape, E: Elem, D: Backend<E>>(
    variance: Taped<S, E, D>,
    seed: Seed,
) -> Result<Taped<S, E, D>, D::Err> {
    let shape = *variance.shape();
    let mut eps = vec![E::default(); shape.num_elements()];
    noise::fill(seed, &mut eps);
    let eps = tensor_of(variance.device(), &eps, shape)?;
    let std = variance.try_add(E::of(VARIANCE_FLOOR))?.try_sqrt()?;
    std.try_mul(eps)
}
