//! The trait `Backend`, which selects fused kernels or a dfdx graph. Its implementation for the CPU is in `cpu`, that
//! for other devices in `graph`.

use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;
use sparsevd_priors::Prior;

use super::elem::Elem;
use super::seeds::Seed;
use super::sliding::Images;
use crate::spec::{Convolution, Family, LinearMap, Map, Settings, Spread, Window};

/// A tensor with a tape that records, as in training.
pub type Taped<S, E = f32, D = Cpu> = Tensor<S, E, D, OwnedTape<E, D>>;

/// A device's storage of numbers.
pub(crate) type Numbers<E, D> = <D as Storage<E>>::Vec;

/// The parts of a layer that a device needs: tensors, posterior, prior and training settings.
pub struct LayerView<'a, M: Map, Q: Family, P, E: Dtype, D: Storage<E>> {
    pub(crate) theta: &'a Tensor<M::Weight, E, D>,
    pub(crate) spread: &'a Tensor<Spread<M, Q>, E, D>,
    pub(crate) bias: &'a Tensor<M::Bias, E, D>,
    pub(crate) posterior: &'a Q,
    pub(crate) prior: &'a P,
    pub(crate) settings: Settings,
}

impl<M: Map, Q: Family, P, E: Dtype, D: Storage<E>> Clone for LayerView<'_, M, Q, P, E, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Map, Q: Family, P, E: Dtype, D: Storage<E>> Copy for LayerView<'_, M, Q, P, E, D> {}

/// The parts of a batch norm that a device needs.
pub struct NormView<'a, const C: usize, E: Dtype, D: Storage<E>> {
    pub(crate) scale: &'a Tensor<Rank1<C>, E, D>,
    pub(crate) bias: &'a Tensor<Rank1<C>, E, D>,
    pub(crate) epsilon: f64,
}

/// Mean and variance of one channel of a batch of `count` numbers.
#[derive(Clone, Copy, Debug)]
pub struct NormMoments {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    pub(crate) count: f64,
}

/// A tape that records. A layer in training needs one on its input; without it the gradients of everything that the
/// input was computed from would be lost.
#[diagnostic::on_unimplemented(
    message = "training needs an input on a tape, and this one has none",
    label = "has no tape",
    note = "data: `let x = network.input(x);`, which also skips the input gradient",
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

/// A dfdx device that variational layers run on. The CPU has fused kernels; any other device runs the same formulas as
/// a dfdx graph.
#[allow(clippy::type_complexity, reason = "dfdx's types are long")]
pub trait Backend<E: Elem = f32>: Device<E> + ZerosTensor<usize> + CopySlice<usize> + Cache {
    /// True if [`adam`](Backend::adam) sets the gradient to zero.
    #[doc(hidden)]
    const ADAM_CLEARS: bool;

    /// The device's error for a tensor of the wrong shape.
    #[doc(hidden)]
    fn shape_error() -> Self::Err;

    /// True if a tensor's numbers are known to lie in memory as those of a new tensor do; those of a transposed or
    /// broadcast tensor do not.
    #[doc(hidden)]
    fn in_order<S: Shape>(tensor: &Tensor<S, E, Self>) -> bool;

    /// Adam's update of one tensor, at step 1, 2, ..
    #[doc(hidden)]
    fn adam<S: Shape>(
        tensor: &mut Tensor<S, E, Self>,
        moments: [&mut Numbers<E, Self>; 2],
        gradient: &mut Numbers<E, Self>,
        config: &AdamConfig,
        step: i32,
    ) -> Result<(), Self::Err>;

    /// The first NaN or infinity in a tensor's gradient.
    #[doc(hidden)]
    fn not_finite<S: Shape>(
        tensor: &Tensor<S, E, Self>,
        gradients: &mut Gradients<E, Self>,
    ) -> Result<Option<f64>, Self::Err>;

    /// `max(x, 0)`.
    #[doc(hidden)]
    fn relu<S: Shape, T: Tape<E, Self>>(x: Tensor<S, E, Self, T>) -> Result<Tensor<S, E, Self, T>, Self::Err>;

    /// The largest pixel of every window.
    #[doc(hidden)]
    fn max_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, Self::Err>;

    /// The mean of every window.
    #[doc(hidden)]
    fn avg_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, Self::Err>;

    /// Normalises a batch by the moments of its channels; returns the result and the moments.
    #[doc(hidden)]
    fn batch_norm<const C: usize, S, Ax: Axes>(
        norm: NormView<'_, C, E, Self>,
        x: Taped<S, E, Self>,
    ) -> Result<(Taped<S, E, Self>, Vec<NormMoments>), Self::Err>
    where
        S: Shape + HasAxes<Ax> + ReduceShapeTo<Rank1<C>, Ax>;

    /// `slope (x - mean) + bias` for every channel, off the tape.
    #[doc(hidden)]
    fn normalise<const C: usize, S, Ax: Axes>(
        x: Tensor<S, E, Self>,
        mean: Tensor<Rank1<C>, E, Self>,
        slope: Tensor<Rank1<C>, E, Self>,
        bias: Tensor<Rank1<C>, E, Self>,
    ) -> Result<Tensor<S, E, Self>, Self::Err>
    where
        S: Shape,
        Rank1<C>: BroadcastShapeTo<S, Ax>;

    /// The summed KL of a layer, in nats.
    #[doc(hidden)]
    fn kl<M: Map, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
    ) -> Result<Taped<Rank0, E, Self>, Self::Err>;

    /// A dense layer's sampled output. `input_grad` is false if the gradient of `x` is not needed.
    #[doc(hidden)]
    fn linear<B: Dim, Q: Family, P: Prior, const I: usize, const O: usize, const BIAS: bool>(
        layer: LayerView<'_, LinearMap<I, O, BIAS>, Q, P, E, Self>,
        x: Taped<(B, Const<I>), E, Self>,
        seed: Seed,
        input_grad: bool,
    ) -> Result<Taped<(B, Const<O>), E, Self>, Self::Err>;

    /// A convolutional layer's sampled output. `input_grad` is false if the gradient of `x` is not needed.
    #[doc(hidden)]
    fn conv2d<M: Convolution, B: Dim, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
        x: Taped<(B, M::In, usize, usize), E, Self>,
        seed: Seed,
        input_grad: bool,
    ) -> Result<Taped<(B, M::Out, usize, usize), E, Self>, Self::Err>;

    /// A convolutional layer's output with these weights, off the tape.
    #[doc(hidden)]
    fn conv2d_with<M: Convolution, B: Dim, Q: Family, P: Prior>(
        layer: LayerView<'_, M, Q, P, E, Self>,
        x: Tensor<(B, M::In, usize, usize), E, Self>,
        weights: Tensor<M::Weight, E, Self>,
    ) -> Result<Tensor<(B, M::Out, usize, usize), E, Self>, Self::Err>;
}
