//! Pooling, which dfdx has on nightly Rust only.

use dfdx::nn::ZeroSizedModule;
use dfdx::nn::modules::{Module, NonMutableModule};
use dfdx::prelude::*;
use sparsevd_infer::{Op, Pool, PoolKind};

use super::describe::ByPath;
use super::network::Network;
use crate::compute::{Backend, Elem, Images};
use crate::error::Error;
use crate::spec::Window;

/// The largest pixel of every `K × K` window, channel by channel.
///
/// ```text
/// y[n, c, i, j] = max_{s, t < K} x[n, c, i STRIDE + s - PAD, j STRIDE + t - PAD]
/// ```
/// Pixels outside the image never win. If several pixels of a window are equal and largest, the gradient goes to the
/// first of them, row by row, as in PyTorch. NaN wins over everything, so that it is not lost.
///
/// For the maximum of a whole image there is dfdx's `MaxPoolGlobal`, which gives the gradient to all equal pixels.
///
/// # Shapes
/// input `(batch, channels, height, width)`, output `(batch, channels, height', width')` with `height' = floor((height
/// + 2 PAD - K) / STRIDE) + 1`; the width likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPool2d<const K: usize, const STRIDE: usize = K, const PAD: usize = 0>;

/// The mean of every `K × K` window, channel by channel; pixels outside the image count as zeros.
///
/// ```text
/// y[n, c, i, j] = 1/K² sum_{s, t < K} x[n, c, i STRIDE + s - PAD, j STRIDE + t - PAD]
/// ```
/// For the mean of a whole image there is dfdx's `AvgPoolGlobal`, which gives `(batch, channels)`.
///
/// # Shapes
/// As [`MaxPool2d`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvgPool2d<const K: usize, const STRIDE: usize = K, const PAD: usize = 0>;

/// Implements the module and `Network` for a pool.
macro_rules! pool {
    ($pool:ident, $hook:ident, $kind:expr) => {
        impl<const K: usize, const STRIDE: usize, const PAD: usize> $pool<K, STRIDE, PAD> {
            /// Every use of the pool evaluates this constant, so that invalid sizes do not compile.
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
                Err(Error::misfit(path, format!("images of at least {least} x {least} pixels"), input))
            }

            fn kinds(&self, path: &str, found: &mut ByPath<String>) {
                let kind = format!("{} {{ kernel: {K}, stride: {STRIDE}, pad: {PAD} }}", stringify!($pool));
                found.push((path.into(), kind));
            }

            fn plain(&self, path: &str, _threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
                found.push((path.into(), Op::Pool(Pool { kind: $kind, window: Self::WINDOW })));
                Ok(())
            }
        }
    };
}
pool!(MaxPool2d, max_pool2d, PoolKind::Max);
pool!(AvgPool2d, avg_pool2d, PoolKind::Mean);

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
