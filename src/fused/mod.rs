//! The fused CPU path: one pass over the weights for the KL and its gradient, one operation per layer for the sampled
//! output. Chosen on `Cpu`; any other device runs [`graph`](crate::graph).

mod kl;
mod linear;
pub(crate) mod noise;
mod product;
mod weights;

use dfdx::prelude::*;
use sparsevd_priors::Prior;

use crate::backend::{Backend, Elem, Taped};
use crate::graph;
use crate::layer::{Estimator, Layer};
use crate::map::{LinearMap, Map};
use crate::posterior::Posterior;

/// Below this many numbers a loop runs on one thread.
const PARALLEL: usize = 16_384;

impl<E: Elem> Backend<E> for Cpu
where
    Cpu: Device<E>,
{
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
            Estimator::WeightSampling => graph::linear(layer, x, seed),
        }
    }
}

/// A tensor's numbers; the tensor must be contiguous, as parameters always are.
fn numbers<S: Shape, E: Elem, T>(tensor: &Tensor<S, E, Cpu, T>) -> Vec<E> {
    let mut numbers = vec![E::default(); tensor.shape().num_elements()];
    tensor.copy_into(&mut numbers);
    numbers
}

/// A tensor's gradient, as numbers to add to.
fn gradient<'a, S: Shape, E: Elem>(
    grads: &'a mut Gradients<E, Cpu>,
    of: &Tensor<S, E, Cpu>,
) -> Result<&'a mut Vec<E>, CpuError> {
    grads.get_or_alloc_mut(of).map(|vec| &mut **vec)
}

/// `to += from`.
fn accumulate<E: Elem>(to: &mut [E], from: impl IntoIterator<Item = E>) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
