//! The fused CPU path: one pass over the weights for the KL and its gradient, one operation per layer for the sampled
//! output.

#![allow(clippy::type_complexity, reason = "dfdx's types are long")]

mod adam;
mod batch_norm;
mod buffer;
mod conv2d;
mod effective;
mod gradient;
mod kl;
mod linear;
mod memory;
mod planes;
mod pool;
mod product;
mod relu;
mod sparse;
mod unfold;
mod weights;

use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use super::backend::{Backend, LayerView, NormMoments, NormView, Numbers, Taped};
use super::elem::Elem;
use super::graph::sample;
use super::seeds::Seed;
use super::sliding::Images;
use super::threads::{CHUNK, PARALLEL};
use crate::spec::{Convolution, Estimator, Family, LinearMap, Map, Window};

impl<E: Elem> Backend<E> for Cpu
where
    Cpu: Device<E>,
{
    const ADAM_CLEARS: bool = true;

    fn shape_error() -> CpuError {
        CpuError::WrongNumElements
    }

    fn in_order<S: Shape>(tensor: &Tensor<S, E, Self>) -> bool {
        memory::in_order(tensor)
    }

    fn adam<S: Shape>(
        tensor: &mut Tensor<S, E, Self>,
        moments: [&mut Numbers<E, Self>; 2],
        gradient: &mut Numbers<E, Self>,
        config: &AdamConfig,
        step: i32,
    ) -> Result<(), Self::Err> {
        if memory::in_order(tensor) {
            adam::update(tensor, moments, gradient, config, step);
            return Ok(());
        }
        let [m, v] = moments;
        config.try_update(step, tensor, m, v, gradient)?;
        gradient::clear::<E>(gradient);
        Ok(())
    }

    fn not_finite<S: Shape>(
        tensor: &Tensor<S, E, Self>,
        gradients: &mut Gradients<E, Self>,
    ) -> Result<Option<f64>, Self::Err> {
        // A loop without an early exit is vectorised.
        let finite = |piece: &[E]| piece.iter().fold(true, |all, x| all & x.is_finite());
        let gradient = &*gradient::gradient(gradients, tensor)?;
        let all = if gradient.len() < PARALLEL {
            finite(gradient)
        } else {
            gradient.par_chunks(CHUNK).map(finite).reduce(|| true, |a, b| a & b)
        };
        Ok(if all { None } else { gradient.iter().map(|x| x.f64()).find(|x| !x.is_finite()) })
    }

    fn relu<S: Shape, T: Tape<E, Self>>(x: Tensor<S, E, Self, T>) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        relu::relu(x)
    }

    fn max_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, CpuError> {
        pool::max_pool2d(x, window)
    }

    fn avg_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, CpuError> {
        pool::avg_pool2d(x, window)
    }

    fn batch_norm<const C: usize, S, Ax: Axes>(
        norm: NormView<'_, C, E, Self>,
        x: Taped<S, E, Self>,
    ) -> Result<(Taped<S, E, Self>, Vec<NormMoments>), Self::Err>
    where
        S: Shape + HasAxes<Ax> + ReduceShapeTo<Rank1<C>, Ax>,
    {
        batch_norm::batch_norm(norm, x)
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
        batch_norm::normalise(x, mean, slope, bias)
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
        input_grad: bool,
    ) -> Result<Taped<(B, Const<O>), E, Self>, Self::Err> {
        match layer.settings.estimator {
            Estimator::LocalReparameterisation => linear::linear(layer, x, seed, input_grad),
            Estimator::WeightSampling | Estimator::Flipout => sample::sampled(layer, x, seed),
        }
    }

    fn conv2d<M: Convolution, B: Dim, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
        x: Taped<(B, M::In, usize, usize), E, Self>,
        seed: Seed,
        input_grad: bool,
    ) -> Result<Taped<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        match layer.settings.estimator {
            Estimator::LocalReparameterisation => conv2d::conv2d(layer, x, seed, input_grad),
            Estimator::WeightSampling | Estimator::Flipout => sample::sampled(layer, x, seed),
        }
    }

    fn conv2d_with<M: Convolution, B: Dim, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
        x: Tensor<(B, M::In, usize, usize), E, Self>,
        weights: Tensor<M::Weight, E, Self>,
    ) -> Result<Tensor<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        conv2d::conv2d_with(layer, x, weights)
    }
}
