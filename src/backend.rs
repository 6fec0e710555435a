//! Where the mathematics runs: element types, and the one trait that picks fused kernels or a dfdx graph.

use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;
use sparsevd_infer::Number;
use sparsevd_priors::{Lane, Lanes, Prior};

use crate::fused::Pool;
use crate::graph;
use crate::layer::Layer;
use crate::map::{Convolution, LinearMap, Map};
use crate::norm::{self, Moments, Norm};
use crate::pool::Pooling;
use crate::posterior::Posterior;

/// A number that weights are made of: `f32` or `f64`.
pub trait Elem: Dtype + Number + num_traits::Float + rand_distr::uniform::SampleUniform {
    /// What the fused kernels compute with: sixteen `f32` at a time, or one `f64`.
    type Lanes: Lane<Elem = Self>;

    /// Memory that the kernels reuse.
    #[doc(hidden)]
    fn pool() -> &'static Pool<Self>;

    /// The nearest number to `x`.
    fn of(x: f64) -> Self {
        <Self as num_traits::NumCast>::from(x).unwrap_or_else(num_traits::Float::nan)
    }

    /// This number as `f64`.
    fn f64(self) -> f64 {
        num_traits::ToPrimitive::to_f64(&self).unwrap_or(f64::NAN)
    }
}

impl Elem for f32 {
    type Lanes = Lanes;
    fn pool() -> &'static Pool<f32> {
        static POOL: Pool<f32> = Pool::new();
        &POOL
    }
}

impl Elem for f64 {
    type Lanes = f64;
    fn pool() -> &'static Pool<f64> {
        static POOL: Pool<f64> = Pool::new();
        &POOL
    }
}

/// A tensor on the tape.
pub type Taped<S, E, D> = Tensor<S, E, D, OwnedTape<E, D>>;

/// A tape that records, which a layer needs of its input to train: without one the gradient of whatever the input was
/// computed from would be lost.
#[diagnostic::on_unimplemented(
    message = "training needs an input on a tape, and this one has none",
    label = "has no tape",
    note = "data: `let x = network.input(x);`, which also spares their gradient",
    note = "an activation `h` that goes into several layers: `let again = h.with_empty_tape();` before the first of them takes `h`, or `h.retaped::<OwnedTape<_, _>>()` after `split_tape()`",
    note = "evaluation needs none: `forward` instead of `forward_mut`"
)]
pub trait OnTape<E: Elem, D: Backend<E>>: Tape<E, D> {
    /// The same tensor.
    #[doc(hidden)]
    fn on_tape<S: Shape>(x: Tensor<S, E, D, Self>) -> Taped<S, E, D>;
}

impl<E: Elem, D: Backend<E>> OnTape<E, D> for OwnedTape<E, D> {
    fn on_tape<S: Shape>(x: Taped<S, E, D>) -> Taped<S, E, D> {
        x
    }
}

/// How a device keeps numbers.
pub(crate) type Numbers<E, D> = <D as Storage<E>>::Vec;

/// A dfdx device that variational layers run on. The CPU has fused kernels; any other device runs the same formulas as
/// a dfdx graph.
pub trait Backend<E: Elem>: Pooling<E> + Cache {
    /// Whether [`adam`](Backend::adam) leaves the gradient at zero.
    #[doc(hidden)]
    const ADAM_CLEARS: bool = false;

    /// Whether a tensor's numbers are known to lie in memory as in a new one; those of a transposed or a broadcast one
    /// do not.
    #[doc(hidden)]
    fn in_order<S: Shape>(_tensor: &Tensor<S, E, Self>) -> bool {
        false
    }

    /// Adam's update of one tensor, at step 1, 2, ..
    #[doc(hidden)]
    fn adam<S: Shape>(
        tensor: &mut Tensor<S, E, Self>,
        [m, v]: [&mut Numbers<E, Self>; 2],
        gradient: &mut Numbers<E, Self>,
        config: &AdamConfig,
        step: i32,
    ) -> Result<(), Self::Err> {
        config.try_update(step, tensor, m, v, gradient)
    }

    /// The first NaN or infinity in a tensor's gradient.
    #[doc(hidden)]
    fn not_finite<S: Shape>(
        tensor: &Tensor<S, E, Self>,
        gradients: &mut Gradients<E, Self>,
    ) -> Result<Option<f64>, Self::Err> {
        gradients.get_or_alloc_mut(tensor)?;
        let gradient = gradients.get(tensor);
        // On the device: zero times a number is zero, unless the number is none.
        let sum = gradient.clone().try_mul(E::default())?.try_sum::<Rank0, S::AllAxes>()?.as_vec();
        if sum.iter().all(|x| x.f64() == 0.0) {
            return Ok(None);
        }
        Ok(gradient.as_vec().into_iter().map(Elem::f64).find(|x| !x.is_finite()))
    }

    /// `max(x, 0)`.
    #[doc(hidden)]
    fn relu<S: Shape, T: Tape<E, Self>>(x: Tensor<S, E, Self, T>) -> Result<Tensor<S, E, Self, T>, Self::Err> {
        x.try_relu()
    }

    /// A batch, normalised by the moments of its channels, and those moments.
    #[doc(hidden)]
    #[allow(clippy::type_complexity, reason = "a pair")]
    fn batch_norm<const C: usize, S, Ax: Axes>(
        norm: &Norm<C, E, Self>,
        x: Taped<S, E, Self>,
    ) -> Result<(Taped<S, E, Self>, Vec<Moments>), Self::Err>
    where
        S: Shape + HasAxes<Ax> + ReduceShapeTo<Rank1<C>, Ax>,
    {
        norm::composed(norm, x)
    }

    /// The summed KL of a layer, in nats.
    #[doc(hidden)]
    fn kl<M: Map, Q: Posterior, P: Prior>(layer: &Layer<M, Q, P, E, Self>) -> Result<Taped<Rank0, E, Self>, Self::Err> {
        graph::kl(layer)
    }

    /// A dense layer's sampled output. `input_grad` is false where nobody needs the gradient of `x`.
    #[doc(hidden)]
    fn linear<B: Dim, Q: Posterior, P: Prior, const I: usize, const O: usize, const BIAS: bool>(
        layer: &Layer<LinearMap<I, O, BIAS>, Q, P, E, Self>,
        x: Taped<(B, Const<I>), E, Self>,
        seed: u64,
        _input_grad: bool,
    ) -> Result<Taped<(B, Const<O>), E, Self>, Self::Err> {
        graph::sampled(layer, x, seed)
    }

    /// A convolutional layer's sampled output. `input_grad` is false where nobody needs the gradient of `x`.
    #[doc(hidden)]
    #[allow(clippy::type_complexity, reason = "a shape")]
    fn conv2d<M: Convolution, B: Dim, Q: Posterior, P: Prior>(
        layer: &Layer<M, Q, P, E, Self>,
        x: Taped<(B, M::In, usize, usize), E, Self>,
        seed: u64,
        _input_grad: bool,
    ) -> Result<Taped<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        graph::sampled(layer, x, seed)
    }

    /// A convolutional layer's output with these weights, off the tape.
    #[doc(hidden)]
    #[allow(clippy::type_complexity, reason = "a shape")]
    fn conv2d_with<M: Convolution, B: Dim, Q: Posterior, P: Prior>(
        layer: &Layer<M, Q, P, E, Self>,
        x: Tensor<(B, M::In, usize, usize), E, Self>,
        weights: Tensor<M::Weight, E, Self>,
    ) -> Result<Tensor<(B, M::Out, usize, usize), E, Self>, Self::Err> {
        graph::affine(layer, x, weights)
    }
}

/// A tensor of these numbers, in the device's own memory. Handing a `Vec` over instead would add to the device's cache
/// at every step of a training, and the cache never shrinks.
pub(crate) fn tensor_of<S: Shape, E: Elem, D: Backend<E>>(
    device: &D,
    numbers: &[E],
    shape: S,
) -> Result<Tensor<S, E, D>, D::Err> {
    let mut tensor: Tensor<S, E, D> = device.try_zeros_like(&shape)?;
    tensor.copy_from(numbers);
    Ok(tensor)
}

/// Gives a tensor these numbers; where it may be transposed or broadcast, an ordinary one takes its place.
pub(crate) fn overwrite<S: Shape, E: Elem, D: Backend<E>>(
    tensor: &mut Tensor<S, E, D>,
    numbers: &[E],
) -> Result<(), D::Err> {
    if D::in_order(tensor) {
        tensor.copy_from(numbers);
    } else {
        *tensor = tensor_of(tensor.device(), numbers, *tensor.shape())?;
    }
    Ok(())
}

#[cfg(feature = "cuda")]
impl Backend<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl Backend<f64> for Cuda {}
