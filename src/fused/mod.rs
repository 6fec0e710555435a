//! The fused CPU path: one pass over the weights for the KL and its gradient, one operation per layer for the sampled
//! output. Chosen on `Cpu`; any other device runs [`graph`](crate::graph).

mod acting;
mod adam;
mod batch_norm;
mod conv2d;
mod few;
mod kl;
mod linear;
mod memory;
pub(crate) mod noise;
mod product;
mod relu;
mod unfold;
mod weights;

use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use crate::backend::{Backend, Elem, Numbers, Taped};
use crate::graph;
use crate::layer::{Estimator, Layer};
use crate::map::{Convolution, LinearMap, Map};
use crate::norm::{Moments, Norm};
use crate::posterior::Posterior;

pub use memory::Pool;
pub(crate) use memory::{numbers, tensor};

/// Below this many numbers a loop runs on one thread.
const PARALLEL: usize = 16_384;
/// What a thread takes at a time above it.
const CHUNK: usize = 8_192;

impl<E: Elem> Backend<E> for Cpu
where
    Cpu: Device<E>,
{
    const ADAM_CLEARS: bool = true;

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
        vec(gradient).fill(E::default());
        Ok(())
    }

    fn not_finite<S: Shape>(
        tensor: &Tensor<S, E, Self>,
        gradients: &mut Gradients<E, Self>,
    ) -> Result<Option<f64>, Self::Err> {
        // Without a way out of the loop it runs in vectors.
        let finite = |piece: &[E]| piece.iter().fold(true, |all, x| all & x.is_finite());
        let gradient = &*gradient(gradients, tensor)?;
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

    fn batch_norm<const C: usize, S, Ax: Axes>(
        norm: &Norm<C, E, Self>,
        x: Taped<S, E, Self>,
    ) -> Result<(Taped<S, E, Self>, Vec<Moments>), Self::Err>
    where
        S: Shape + HasAxes<Ax> + ReduceShapeTo<Rank1<C>, Ax>,
    {
        batch_norm::batch_norm(norm, x)
    }

    fn kl<M: Map, Q: Posterior, P: Prior>(layer: &Layer<M, Q, P, E, Self>) -> Result<Taped<Rank0, E, Self>, Self::Err> {
        kl::kl(layer)
    }

    fn linear<B: Dim, Q: Posterior, P: Prior, const I: usize, const O: usize, const BIAS: bool>(
        layer: &Layer<LinearMap<I, O, BIAS>, Q, P, E, Self>,
        x: Taped<(B, Const<I>), E, Self>,
        seed: u64,
        input_grad: bool,
    ) -> Result<Taped<(B, Const<O>), E, Self>, Self::Err> {
        match layer.settings.estimator {
            Estimator::LocalReparameterisation => linear::linear(layer, x, seed, input_grad),
            Estimator::WeightSampling | Estimator::Flipout => graph::sampled(layer, x, seed),
        }
    }

    #[allow(clippy::type_complexity, reason = "a shape")]
    fn conv2d<M: Convolution, B: Dim, Q: Posterior, P: Prior>(
        layer: &Layer<M, Q, P, E, Self>,
        x: Taped<(B, M::In, usize, usize), E, Self>,
        seed: u64,
        input_grad: bool,
    ) -> Result<Taped<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        match layer.settings.estimator {
            Estimator::LocalReparameterisation => conv2d::conv2d(layer, x, seed, input_grad),
            Estimator::WeightSampling | Estimator::Flipout => graph::sampled(layer, x, seed),
        }
    }

    #[allow(clippy::type_complexity, reason = "a shape")]
    fn conv2d_with<M: Convolution, B: Dim, Q: Posterior, P: Prior>(
        layer: &Layer<M, Q, P, E, Self>,
        x: Tensor<(B, M::In, usize, usize), E, Self>,
        weights: Tensor<M::Weight, E, Self>,
    ) -> Result<Tensor<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        conv2d::conv2d_with(layer, x, weights)
    }
}

/// A parameter with its numbers in order. Where they are not, after a transposition or a broadcast, it is a copy, and
/// the way of its gradient back to the parameter goes onto the tape.
fn ordered<S: Shape, E: Elem>(
    parameter: &Tensor<S, E, Cpu>,
    tape: &mut OwnedTape<E, Cpu>,
) -> Result<Tensor<S, E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let (ordered, way_back) = parameter.retaped::<OwnedTape<E, Cpu>>().try_contiguous()?.split_tape();
    *tape = std::mem::take(tape).merge(way_back);
    Ok(ordered)
}

/// A tensor's gradient, as numbers to add to.
pub(crate) fn gradient<'a, S: Shape, E: Elem>(
    grads: &'a mut Gradients<E, Cpu>,
    of: &Tensor<S, E, Cpu>,
) -> Result<&'a mut Vec<E>, CpuError> {
    grads.get_or_alloc_mut(of).map(|numbers| &mut **numbers)
}

/// The numbers of a gradient. An operation looks for the gradient of its output under a ghost, which does not hold the
/// output's memory, so that what comes next can write over it.
pub(crate) fn vec<E: Elem>(numbers: &mut Numbers<E, Cpu>) -> &mut Vec<E> {
    numbers
}

/// `to += f(from)`, in parallel where it pays.
fn accumulate<E: Elem>(to: &mut [E], from: &[E], f: impl Fn(E) -> E + Sync) {
    let add = |to: &mut [E], from: &[E]| to.iter_mut().zip(from).for_each(|(to, from)| *to += f(*from));
    if to.len() < PARALLEL {
        add(to, from);
    } else {
        to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| add(to, from));
    }
}
