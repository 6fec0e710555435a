//! The composed path: the same formulas as a dfdx graph, on any device. It is also the reference for the fused kernels.

#![allow(clippy::type_complexity, reason = "dfdx's types are long")]

use dfdx::prelude::*;
use sparsevd_priors::{Moments, Normal, Prior, Real, Shared};

use crate::backend::{Backend, Elem, Taped, tensor_of};
use crate::fused::noise;
use crate::layer::{Estimator, Layer, SwitchOff, VARIANCE_FLOOR};
use crate::map::{Convolution, LinearMap, Map};
use crate::posterior::{Noise, Posterior};
use crate::taped::{Matrix, Node};
use crate::unfold::{Sliding, columns, gather, images};

/// The summed KL of a layer, in nats.
pub(crate) fn kl<M: Map, Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
    layer: &Layer<M, Q, P, E, D>,
) -> Result<Taped<Rank0, E, D>, D::Err> {
    let (theta, spread) = parameters::<_, _, _, _, _, OwnedTape<E, D>>(layer)?;
    let q = layer.posterior.q(theta, spread);
    let q = match scales(layer)? {
        None => q,
        Some((scale, minus_2_ln)) => {
            let (scale, shift) = (scale.put_tape(OwnedTape::default()), minus_2_ln.put_tape(OwnedTape::default()));
            let (scale, shift) = (q.mean.join(scale), q.mean.join(shift));
            Normal::new(q.mean / scale, q.log_var + shift)
        }
    };
    layer.prior.kl(q).finish()?.try_sum::<Rank0, _>()
}

/// theta and the spread of every weight, as matrices that belong to one formula.
#[allow(clippy::type_complexity, reason = "a pair")]
fn parameters<M: Map, Q: Posterior, P, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    layer: &Layer<M, Q, P, E, D>,
) -> Result<(Node<E, D, T>, Node<E, D, T>), D::Err> {
    let theta = Node::root(layer.theta.retaped::<T>().try_reshape_like(&matrix::<M>())?);
    let spread = theta.join(spread_matrix::<M, Q, _, _, T>(&layer.spread)?);
    Ok((theta, spread))
}

fn matrix<M: Map>() -> Matrix {
    (M::grid().rows, M::grid().cols)
}

fn spread_matrix<M: Map, Q: Posterior, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    spread: &Tensor<Q::Spread<M>, E, D>,
) -> Result<Tensor<Matrix, E, D, T>, D::Err> {
    let (shape, spread) = (matrix::<M>(), spread.retaped::<T>());
    match Q::SHARED {
        Shared::None => spread.try_reshape_like(&shape),
        Shared::PerOutput => spread.try_reshape_like(&(shape.0,))?.try_broadcast_like::<_, Axis<1>>(&shape),
        Shared::PerInput => spread.try_reshape_like(&(shape.1,))?.try_broadcast_like::<_, Axis<0>>(&shape),
        Shared::PerLayer => spread.try_reshape_like(&())?.try_broadcast_like::<_, Axes2<0, 1>>(&shape),
    }
}

/// The learned scale of every weight's prior, and the shift `-2 ln scale` of its log-variance; constants of the graph.
fn scales<M: Map, Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
    layer: &Layer<M, Q, P, E, D>,
) -> Result<Option<(Tensor<Matrix, E, D>, Tensor<Matrix, E, D>)>, D::Err> {
    let shared = layer.prior.shared();
    if shared == Shared::None {
        return Ok(None);
    }
    let (theta, spread) = parameters::<_, _, _, _, _, NoneTape>(layer)?;
    let q = layer.posterior.q(theta, spread);
    let second = (q.mean.clone().square() + q.var()).finish()?;
    let first = q.mean.finish()?;
    let fitted = |first: Vec<E>, second: Vec<E>, count: usize| -> Vec<f64> {
        let fit = |(f, s): (&E, &E)| layer.prior.fit(&Moments { first: f.f64(), second: s.f64(), count });
        first.iter().zip(&second).map(fit).collect()
    };
    let (grid, shape, device) = (M::grid(), matrix::<M>(), layer.theta.device());
    let groups = (grid.groups, grid.rows / grid.groups, grid.cols);
    let spread_out = |values: Vec<E>| -> Result<Tensor<Matrix, E, D>, D::Err> {
        let n = values.len();
        let values = tensor_of(device, &values, (n,))?;
        match shared {
            Shared::PerOutput => values.try_broadcast_like::<_, Axis<1>>(&shape),
            Shared::PerInput => {
                let values = values.try_reshape_like(&(grid.groups, grid.cols))?;
                values.try_broadcast_like::<_, Axis<1>>(&groups)?.try_reshape_like(&shape)
            }
            _ => values.try_reshape_like(&())?.try_broadcast_like::<_, Axes2<0, 1>>(&shape),
        }
    };
    let scale: Vec<f64> = match shared {
        Shared::PerOutput => {
            let mean = |x: Tensor<Matrix, E, D>| Ok(x.try_mean::<(usize,), Axis<1>>()?.as_vec());
            fitted(mean(first)?, mean(second)?, grid.cols)
        }
        Shared::PerInput => {
            let mean = |x: Tensor<Matrix, E, D>| {
                let columns = x.try_reshape_like(&groups)?.try_mean::<(usize, usize), Axis<1>>()?;
                Ok(by_input(columns.as_vec(), grid.area))
            };
            let scale = fitted(mean(first)?, mean(second)?, groups.1 * grid.area);
            scale.into_iter().flat_map(|s| std::iter::repeat_n(s, grid.area)).collect()
        }
        Shared::PerLayer | Shared::None => {
            let mean = |x: Tensor<Matrix, E, D>| Ok(x.try_mean::<Rank0, _>()?.as_vec());
            fitted(mean(first)?, mean(second)?, grid.len())
        }
    };
    let shift = scale.iter().map(|s| E::of(-2.0 * s.ln())).collect();
    let scale = scale.into_iter().map(E::of).collect();
    Ok(Some((spread_out(scale)?, spread_out(shift)?)))
}

/// Means over the columns of each input.
fn by_input<E: Elem>(columns: Vec<E>, area: usize) -> Vec<E> {
    let mean = |c: &[E]| E::of(c.iter().map(|x| x.f64()).sum::<f64>() / area as f64);
    columns.chunks(area).map(mean).collect()
}

/// A map that reads batches of shape `X`.
#[diagnostic::on_unimplemented(
    message = "a layer with the map `{Self}` does not read a batch of shape `{X}`",
    label = "not what the layer reads",
    note = "a dense layer `LinearMap<I, O>` reads `(batch, Const<I>)`, a convolution `Conv2dMap<IN, ..>` reads `(batch, Const<IN>, height, width)`",
    note = "between images and vectors goes `Flatten<N>`; the maps are the library's own, another type is none"
)]
pub trait Reads<X: Shape>: Map {
    /// The shape of the output.
    type Output: Shape;

    /// A layer's output with these weights, off the tape.
    #[doc(hidden)]
    fn evaluate<Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
        layer: &Layer<Self, Q, P, E, D>,
        x: Tensor<X, E, D>,
        weights: Tensor<Self::Weight, E, D>,
    ) -> Result<Tensor<Self::Output, E, D>, D::Err> {
        affine(layer, x, weights)
    }

    /// A layer's sampled output. `input_grad` is false where nobody needs the gradient of `x`.
    #[doc(hidden)]
    fn sample<Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
        layer: &Layer<Self, Q, P, E, D>,
        x: Taped<X, E, D>,
        seed: u64,
        input_grad: bool,
    ) -> Result<Taped<Self::Output, E, D>, D::Err>;

    /// The map as a dfdx graph, without bias.
    #[doc(hidden)]
    fn apply<E: Elem, D: Backend<E>, T: Tape<E, D>>(
        x: Tensor<X, E, D, T>,
        weights: Tensor<Self::Weight, E, D, T>,
    ) -> Result<Tensor<Self::Output, E, D, T>, D::Err>;

    /// The bias at every position of an output.
    #[doc(hidden)]
    fn spread_bias<E: Elem, D: Backend<E>, T: Tape<E, D>>(
        bias: Tensor<Self::Bias, E, D, T>,
        shape: &Self::Output,
    ) -> Result<Tensor<Self::Output, E, D, T>, D::Err>;
}

/// `x W^T`.
impl<B: Dim, const I: usize, const O: usize, const BIAS: bool> Reads<(B, Const<I>)> for LinearMap<I, O, BIAS> {
    type Output = (B, Const<O>);

    fn sample<Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
        layer: &Layer<Self, Q, P, E, D>,
        x: Taped<(B, Const<I>), E, D>,
        seed: u64,
        input_grad: bool,
    ) -> Result<Taped<Self::Output, E, D>, D::Err> {
        D::linear(layer, x, seed, input_grad)
    }

    fn apply<E: Elem, D: Backend<E>, T: Tape<E, D>>(
        x: Tensor<(B, Const<I>), E, D, T>,
        weights: Tensor<Rank2<O, I>, E, D, T>,
    ) -> Result<Tensor<Self::Output, E, D, T>, D::Err> {
        x.try_matmul(weights.try_permute::<Rank2<I, O>, Axes2<1, 0>>()?)
    }

    fn spread_bias<E: Elem, D: Backend<E>, T: Tape<E, D>>(
        bias: Tensor<Self::Bias, E, D, T>,
        shape: &Self::Output,
    ) -> Result<Tensor<Self::Output, E, D, T>, D::Err> {
        bias.try_broadcast_like::<_, Axis<0>>(shape)
    }
}

/// The product of the kernels with the pixels that each output reads.
impl<M: Convolution, B: Dim> Reads<(B, M::In, usize, usize)> for M {
    type Output = (B, M::Out, usize, usize);

    fn evaluate<Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
        layer: &Layer<Self, Q, P, E, D>,
        x: Tensor<(B, M::In, usize, usize), E, D>,
        weights: Tensor<Self::Weight, E, D>,
    ) -> Result<Tensor<Self::Output, E, D>, D::Err> {
        D::conv2d_with(layer, x, weights)
    }

    fn sample<Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
        layer: &Layer<Self, Q, P, E, D>,
        x: Taped<(B, M::In, usize, usize), E, D>,
        seed: u64,
        input_grad: bool,
    ) -> Result<Taped<Self::Output, E, D>, D::Err> {
        D::conv2d(layer, x, seed, input_grad)
    }

    fn apply<E: Elem, D: Backend<E>, T: Tape<E, D>>(
        x: Tensor<(B, M::In, usize, usize), E, D, T>,
        weights: Tensor<Self::Weight, E, D, T>,
    ) -> Result<Tensor<Self::Output, E, D, T>, D::Err> {
        let (shape, grid) = (*x.shape(), M::grid());
        let sliding = Sliding::new(M::WINDOW, &shape).ok_or_else(D::shape_error)?;
        let rows = |channel| M::WINDOW.taps().flat_map(move |tap| sliding.rows(channel, tap));
        let columns = gather(columns(x, E::default())?, (0..sliding.channels).flat_map(rows))?;
        let outputs = sliding.positions() * shape.0.size();
        let columns = columns.try_reshape_like(&(M::GROUPS, grid.cols, outputs))?;
        let weights = weights.try_reshape_like(&(M::GROUPS, grid.rows / M::GROUPS, grid.cols))?;
        let y = weights.try_matmul(columns)?;
        let y = y.try_reshape_like(&(grid.rows * sliding.positions(), shape.0.size()))?;
        images(y, (shape.0, M::Out::default(), sliding.outputs[0], sliding.outputs[1]))
    }

    fn spread_bias<E: Elem, D: Backend<E>, T: Tape<E, D>>(
        bias: Tensor<Self::Bias, E, D, T>,
        shape: &Self::Output,
    ) -> Result<Tensor<Self::Output, E, D, T>, D::Err> {
        bias.try_reshape_like(&(M::Out::default(),))?.try_broadcast_like::<_, Axes3<0, 2, 3>>(shape)
    }
}

/// The map and its bias, for an input on any tape.
pub(crate) fn affine<X: Shape, M: Reads<X>, Q: Posterior, P, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    layer: &Layer<M, Q, P, E, D>,
    x: Tensor<X, E, D, T>,
    weights: Tensor<M::Weight, E, D, T>,
) -> Result<Tensor<M::Output, E, D, T>, D::Err> {
    let y = M::apply(x, weights)?;
    if !M::BIAS {
        return Ok(y);
    }
    let bias = M::spread_bias(layer.bias.retaped::<T>(), y.shape())?;
    y.try_add(bias)
}

/// A layer's sampled output, composed: local reparameterisation, `y ~ N(map(x, E w) + b, map(x^2, Var w))`, one draw
/// of the weights, or one draw with its signs flipped for each datum.
pub(crate) fn sampled<X: Shape, M: Reads<X>, Q: Posterior, P: Prior, E: Elem, D: Backend<E>>(
    layer: &Layer<M, Q, P, E, D>,
    x: Taped<X, E, D>,
    seed: u64,
) -> Result<Taped<M::Output, E, D>, D::Err> {
    let (mut theta, mask) = (layer.theta.retaped::<OwnedTape<E, D>>(), mask(layer)?);
    if let Some(mask) = mask.clone() {
        theta = theta.try_mul(mask)?;
    }
    if layer.posterior.noise() != Noise::Gaussian {
        return affine(layer, x, theta);
    }
    let mut variance = variance(layer)?;
    if let Some(mask) = mask.filter(|_| layer.settings.switch_off == SwitchOff::Weight) {
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
            let (s, x_noise) = (signs(x.device(), *x.shape(), seed ^ INPUT_SIGNS)?, x.with_empty_tape());
            let y_noise = M::apply(x_noise.try_mul(s)?, perturbation(variance, seed)?)?;
            let r = signs(y_noise.device(), *y_noise.shape(), seed ^ OUTPUT_SIGNS)?;
            affine(layer, x, theta)?.try_add(y_noise.try_mul(r)?)
        }
    }
}

/// Make of a pass's seed those of its signs: digits of pi, unrelated to how seeds of passes and layers differ.
const INPUT_SIGNS: u64 = 0x243F_6A88_85A3_08D3;
const OUTPUT_SIGNS: u64 = 0x1319_8A2E_0370_7344;

/// A sign for each datum and each of its features or channels, the same at all positions of a channel.
fn signs<S: Shape, E: Elem, D: Backend<E>>(device: &D, shape: S, seed: u64) -> Result<Tensor<S, E, D>, D::Err> {
    let sides: Vec<usize> = shape.concrete().into();
    let (of_one, positions) = sides.split_at(2);
    let mut signs = vec![E::default(); of_one.iter().product()];
    noise::fill_mask(seed, 0.5, &mut signs); // 0 or 2
    let one = E::of(1.0);
    let spread = |sign: E| std::iter::repeat_n(sign - one, positions.iter().product());
    tensor_of(device, &signs.into_iter().flat_map(spread).collect::<Vec<E>>(), shape)
}

/// 1 for the weights that the trained-in threshold keeps, 0 for the others; `None` without one.
fn mask<M: Map, Q: Posterior, P, E: Elem, D: Backend<E>>(
    layer: &Layer<M, Q, P, E, D>,
) -> Result<Option<Tensor<M::Weight, E, D>>, D::Err> {
    let Some(threshold) = layer.settings.threshold else { return Ok(None) };
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
fn variance<M: Map, Q: Posterior, P, E: Elem, D: Backend<E>>(
    layer: &Layer<M, Q, P, E, D>,
) -> Result<Taped<M::Weight, E, D>, D::Err> {
    let (theta, spread) = parameters(layer)?;
    layer.posterior.variance(theta, spread).finish()?.try_reshape_like(layer.theta.shape())
}

/// `mean + sqrt(variance + floor) eps`.
fn sample<S: Shape, E: Elem, D: Backend<E>>(
    mean: Taped<S, E, D>,
    variance: Taped<S, E, D>,
    seed: u64,
) -> Result<Taped<S, E, D>, D::Err> {
    mean.try_add(perturbation(variance, seed)?)
}

/// `sqrt(variance + floor) eps`.
fn perturbation<S: Shape, E: Elem, D: Backend<E>>(
    variance: Taped<S, E, D>,
    seed: u64,
) -> Result<Taped<S, E, D>, D::Err> {
    let shape = *variance.shape();
    let mut eps = vec![E::default(); shape.num_elements()];
    noise::fill(seed, &mut eps);
    let eps = tensor_of(variance.device(), &eps, shape)?;
    let std = variance.try_add(E::of(VARIANCE_FLOOR))?.try_sqrt()?;
    std.try_mul(eps)
}
