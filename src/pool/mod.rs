//! Pooling, and the other steps between layers that dfdx has on nightly Rust only.

mod cpu;
mod graph;

use dfdx::nn::ZeroSizedModule;
use dfdx::nn::modules::{Module, NonMutableModule};
use dfdx::prelude::*;
use sparsevd_infer::{Op, Pool, PoolKind};

use crate::backend::{Backend, Elem};
use crate::error::Error;
use crate::map::Window;
use crate::network::{Kinds, Network, Plain};
use crate::parts::misfit;
use crate::unfold::Images;

/// How a device pools. The CPU has operations of its own; any other device runs a dfdx graph.
pub trait Pooling<E: Elem>: Device<E> + ZerosTensor<usize> + CopySlice<usize> {
    /// The device's error for a tensor of the wrong shape.
    #[doc(hidden)]
    fn shape_error() -> Self::Err;

    /// The largest pixel of every window.
    #[doc(hidden)]
    fn max_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, Self::Err> {
        graph::max_pool2d(x, window)
    }

    /// The mean of every window.
    #[doc(hidden)]
    fn avg_pool2d<B: Dim, C: Dim, T: Tape<E, Self>>(
        x: Images<B, C, E, Self, T>,
        window: Window,
    ) -> Result<Images<B, C, E, Self, T>, Self::Err> {
        graph::avg_pool2d(x, window)
    }
}

#[cfg(feature = "cuda")]
impl<E: Elem> Pooling<E> for Cuda
where
    Cuda: Device<E>,
{
    fn shape_error() -> Self::Err {
        CpuError::WrongNumElements.into()
    }
}

/// The largest pixel of every `K` x `K` window, channel by channel.
///
/// ```text
/// y[n, c, i, j] = max_{s, t < K} x[n, c, i STRIDE + s - PAD, j STRIDE + t - PAD]
/// ```
/// Pixels outside the image never win. If several pixels of a window are equal and largest, the gradient goes to the
/// first of them, row by row, as in PyTorch. NaN wins over everything, so that it is not lost.
///
/// For the maximum of a whole image there is dfdx's `MaxPoolGlobal`, which gives the gradient to all of them.
///
/// # Shapes
/// input `(batch, channels, height, width)`, output `(batch, channels, height', width')` with
/// `height' = floor((height + 2 PAD - K) / STRIDE) + 1`, and width alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPool2d<const K: usize, const STRIDE: usize = K, const PAD: usize = 0>;

/// The mean of every `K` x `K` window, channel by channel; pixels outside the image count as zeros.
///
/// ```text
/// y[n, c, i, j] = 1/K^2 sum_{s, t < K} x[n, c, i STRIDE + s - PAD, j STRIDE + t - PAD]
/// ```
/// For the mean of a whole image there is dfdx's `AvgPoolGlobal`, which gives `(batch, channels)`.
///
/// # Shapes
/// As [`MaxPool2d`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvgPool2d<const K: usize, const STRIDE: usize = K, const PAD: usize = 0>;

/// The module, and its part in a network.
macro_rules! pool {
    ($pool:ident, $hook:ident, $kind:expr) => {
        impl<const K: usize, const STRIDE: usize, const PAD: usize> $pool<K, STRIDE, PAD> {
            /// A pool that cannot be does not compile: every use comes by here.
            const WINDOW: Window = {
                assert!(K > 0, "a pool's K must be at least 1");
                assert!(STRIDE > 0, "a pool's STRIDE must be at least 1");
                assert!(PAD < K, "a pool's PAD must be less than K, or some windows hold no pixel");
                Window { kernel: K, stride: STRIDE, pad: PAD, dilation: 1 }
            };
        }

        impl<const K: usize, const STRIDE: usize, const PAD: usize> ZeroSizedModule for $pool<K, STRIDE, PAD> {}
        impl<const K: usize, const STRIDE: usize, const PAD: usize> NonMutableModule for $pool<K, STRIDE, PAD> {}

        impl<const K: usize, const STRIDE: usize, const PAD: usize, B: Dim, C: Dim, E, D, T>
            Module<Images<B, C, E, D, T>> for $pool<K, STRIDE, PAD>
        where
            E: Elem,
            D: Backend<E>,
            T: Tape<E, D>,
        {
            type Output = Images<B, C, E, D, T>;
            type Error = D::Err;

            fn try_forward(&self, x: Images<B, C, E, D, T>) -> Result<Self::Output, D::Err> {
                D::$hook(x, Self::WINDOW)
            }
        }

        impl<const K: usize, const STRIDE: usize, const PAD: usize, E: Elem, D: Backend<E>> Network<E, D>
            for $pool<K, STRIDE, PAD>
        {
            fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
                if let [channels, height, width] = *input
                    && let Some([height, width]) = Self::WINDOW.outputs([height, width])
                {
                    return Ok(Some(vec![channels, height, width]));
                }
                let least = K.saturating_sub(2 * PAD).max(1);
                Err(misfit(path, format!("images of at least {least} x {least} pixels"), input))
            }

            fn kinds(&self, path: &str, found: &mut Kinds) {
                let kind = format!("{} {{ kernel: {K}, stride: {STRIDE}, pad: {PAD} }}", stringify!($pool));
                found.push((path.into(), kind));
            }

            fn plain(&self, path: &str, _threshold: f64, found: &mut Plain) -> Result<(), Error> {
                found.push((path.into(), Op::Pool(Pool { kind: $kind, window: Self::WINDOW })));
                Ok(())
            }
        }
    };
}
pool!(MaxPool2d, max_pool2d, PoolKind::Max);
pool!(AvgPool2d, avg_pool2d, PoolKind::Mean);

/// Images as vectors of `N = channels x height x width` numbers, channel by channel, row by row.
///
/// # Shapes
/// input `(batch, channels, height, width)`, output `(batch, N)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten<const N: usize>;

impl<const N: usize> ZeroSizedModule for Flatten<N> {}
impl<const N: usize> NonMutableModule for Flatten<N> {}

impl<const N: usize, B: Dim, C: Dim, E: Elem, D: Backend<E>, T: Tape<E, D>> Module<Images<B, C, E, D, T>>
    for Flatten<N>
{
    type Output = Tensor<(B, Const<N>), E, D, T>;
    type Error = D::Err;

    fn try_forward(&self, x: Images<B, C, E, D, T>) -> Result<Self::Output, D::Err> {
        let (batch, channels, height, width) = *x.shape();
        if channels.size() * height * width != N {
            return Err(D::shape_error());
        }
        x.try_reshape_like(&(batch, Const))
    }
}

impl<const N: usize, E: Elem, D: Backend<E>> Network<E, D> for Flatten<N> {
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        if input.iter().product::<usize>() == N {
            return Ok(Some(vec![N]));
        }
        Err(misfit(path, format!("images of {N} numbers in all"), input))
    }

    fn plain(&self, path: &str, _threshold: f64, found: &mut Plain) -> Result<(), Error> {
        found.push((path.into(), Op::Flatten));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
