//! The backend of CUDA devices: the composed graph.

#![allow(clippy::type_complexity, reason = "dfdx's types are long")]

use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;
use sparsevd_priors::Prior;

use super::{kl, norm, optimise, pool, sample};
use crate::compute::backend::{Backend, LayerView, NormMoments, NormView, Numbers, Taped};
use crate::compute::elem::Elem;
use crate::compute::reads::affine;
use crate::compute::seeds::Seed;
use crate::compute::sliding::Images;
use crate::spec::{Convolution, Family, LinearMap, Map, Window};

impl<E: Elem> Backend<E> for Cuda
where
    Cuda: Device<E>,
{
    const ADAM_CLEARS: bool = false;

    fn shape_error() -> Self::Err {
        CpuError::WrongNumElements.into()
    }

    fn in_order<S: Shape>(_tensor: &Tensor<S, E, Self>) -> bool {
        false
    }

    fn adam<S: Shape>(
        tensor: &mut Tensor<S, E, Self>,
        [m, v]: [&mut Numbers<E, Self>; 2],
        gradient: &mut Numbers<E, Self>,
        config: &AdamConfig,
        step: i32,
    ) -> Result<(), Self::Err> {
        config.try_update(step, tensor, m, v, gradient)
    }

    fn not_finite<S: Shape>(
        tensor: &Tensor<S, E, Self>,
        gradients: &mut Gradients<E, Self>,
    ) -> Result<Option<f64>, Self::Err> {
        optimise::not_finite(tensor, gradients)
    }

    fn relu<S: Shape, T: Tape<E, Self>>(x: Tensor<S, E, Self, T>) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        x.try_relu()
    }

    fn max_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, Self::Err> {
        pool::max_pool2d(x, window)
    }

    fn avg_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, Self::Err> {
        pool::avg_pool2d(x, window)
    }

    fn batch_norm<const C: usize, S, Ax: Axes>(
        norm: NormView<'_, C, E, Self>,
        x: Taped<S, E, Self>,
    ) -> Result<(Taped<S, E, Self>, Vec<NormMoments>), Self::Err>
    where
        S: Shape + HasAxes<Ax> + ReduceShapeTo<Rank1<C>, Ax>,
    {
        norm::batch_norm(norm, x)
    }

    fn normalise<const C: usize, S, Ax: Axes>(
        x: Tensor<S, E, Self>,
        mean: Tensor<Rank1<C>, E, Self>,
        slope: Tensor<Rank1<C>, E, Self>,
        bias: Tensor<Rank1<C>, E, Self>,
    ) -> Result<Tensor<S, E, Self>, Self::Err>
    where
        S: Shape,
        Rank1<C>: BroadcastShapeTo<S, Ax>,
    {
        norm::normalise(x, mean, slope, bias)
    }

    fn kl<M: Map, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
    ) -> Result<Taped<Rank0, E, Self>, Self::Err> {
        kl::kl(layer)
    }

    fn linear<B: Dim, Q: Family, P: Prior, const I: usize, const O: usize, const BIAS: bool>(
        layer: LayerView<'_, LinearMap<I, O, BIAS>, Q, P, E, Self>,
        x: Taped<(B, Const<I>), E, Self>,
        seed: Seed,
        _input_grad: bool,
    ) -> Result<Taped<(B, Const<O>), E, Self>, Self::Err> {
        sample::sampled(layer, x, seed)
    }

    fn conv2d<M: Convolution, B: Dim, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
        x: Taped<(B, M::In, usize, usize), E, Self>,
        seed: Seed,
        _input_grad: bool,
    ) -> Result<Taped<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        sample::sampled(layer, x, seed)
    }

    fn conv2d_with<M: Convolution, B: Dim, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
        x: Tensor<(B, M::In, usize, usize), E, Self>,
        weights: Tensor<M::Weight, E, Self>,
    ) -> Result<Tensor<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        affine(layer, x, weights)
    }
}
