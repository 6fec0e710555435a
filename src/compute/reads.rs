//! The batch shapes that maps read: the last step from a layer's type to a kernel.

#![allow(clippy::type_complexity, reason = "dfdx's types are long")]

use dfdx::prelude::*;
use sparsevd_priors::Prior;

use super::backend::{Backend, LayerView, Taped};
use super::elem::Elem;
use super::graph::unfold::{columns, gather, images};
use super::seeds::Seed;
use super::sliding::Sliding;
use crate::spec::{Convolution, Family, LinearMap, Map};

/// A map that reads batches of shape `X`.
#[diagnostic::on_unimplemented(
    message = "a layer with the map `{Self}` does not read a batch of shape `{X}`",
    label = "not what the layer reads",
    note = "a dense layer `LinearMap<I, O>` reads `(batch, Const<I>)`, a convolution `Conv2dMap<IN, ..>` reads `(batch, Const<IN>, height, width)`",
    note = "put `Flatten<N>` between images and vectors; the maps are the library's own, no other type is one"
)]
pub trait Reads<X: Shape>: Map {
    /// The shape of the output.
    type Output: Shape;

    /// A layer's output with these weights, off the tape.
    #[doc(hidden)]
    fn evaluate<Q: Family, P: Prior, E: Elem, D: Backend<E>>(
        layer: LayerView<'_, Self, Q, P, E, D>,
        x: Tensor<X, E, D>,
        weights: Tensor<Self::Weight, E, D>,
    ) -> Result<Tensor<Self::Output, E, D>, D::Err> {
        affine(layer, x, weights)
    }

    /// A layer's sampled output. `input_grad` is false if the gradient of `x` is not needed.
    #[doc(hidden)]
    fn sample<Q: Family, P: Prior, E: Elem, D: Backend<E>>(
        layer: LayerView<'_, Self, Q, P, E, D>,
        x: Taped<X, E, D>,
        seed: Seed,
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

/// `x Wᵀ`.
impl<B: Dim, const I: usize, const O: usize, const BIAS: bool> Reads<(B, Const<I>)> for LinearMap<I, O, BIAS> {
    type Output = (B, Const<O>);

    fn sample<Q: Family, P: Prior, E: Elem, D: Backend<E>>(
        layer: LayerView<'_, Self, Q, P, E, D>,
        x: Taped<(B, Const<I>), E, D>,
        seed: Seed,
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

    fn evaluate<Q: Family, P: Prior, E: Elem, D: Backend<E>>(
        layer: LayerView<'_, Self, Q, P, E, D>,
        x: Tensor<(B, M::In, usize, usize), E, D>,
        weights: Tensor<Self::Weight, E, D>,
    ) -> Result<Tensor<Self::Output, E, D>, D::Err> {
        D::conv2d_with(layer, x, weights)
    }

    fn sample<Q: Family, P: Prior, E: Elem, D: Backend<E>>(
        layer: LayerView<'_, Self, Q, P, E, D>,
        x: Taped<(B, M::In, usize, usize), E, D>,
        seed: Seed,
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
pub(crate) fn affine<X: Shape, M: Reads<X>, Q: Family, P, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    layer: LayerView<'_, M, Q, P, E, D>,
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
