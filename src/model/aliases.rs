//! Aliases of the usual layers.

use sparsevd_priors::{Additive, Ard, Bernoulli, Delta, Fixed, Flat, Gaussian, LogUniform, Multiplicative};

use super::builders::Variational;
use crate::spec::{Conv2dMap, LinearMap};

/// A dense layer with the additive posterior and any prior.
pub type VariationalLinear<const I: usize, const O: usize, P> = Variational<LinearMap<I, O>, Additive, P>;
/// Sparse Variational Dropout: the additive posterior with the log-uniform prior (Molchanov et al. 2017).
pub type SparseVdLinear<const I: usize, const O: usize> = VariationalLinear<I, O, LogUniform>;
/// Sparse Variational Dropout of a convolution, with stride 1 and no padding; [`Conv2dMap`] has the other settings.
pub type SparseVdConv2d<const IN: usize, const OUT: usize, const K: usize> =
    Variational<Conv2dMap<IN, OUT, K>, Additive, LogUniform>;
/// Automatic relevance determination by empirical Bayes (Kharitonov et al. 2018).
pub type ArdLinear<const I: usize, const O: usize> = VariationalLinear<I, O, Ard>;
/// The usual Bayesian layer: a Gaussian prior, its scale learned per layer.
pub type GaussianLinear<const I: usize, const O: usize> = VariationalLinear<I, O, Gaussian>;
/// Gaussian dropout with a fixed α.
pub type GaussianDropoutLinear<const I: usize, const O: usize> =
    Variational<LinearMap<I, O>, Multiplicative<Fixed>, Flat>;
/// Binary dropout on the inputs of a dense layer.
pub type DropoutLinear<const I: usize, const O: usize> = Variational<LinearMap<I, O>, Bernoulli, Flat>;
/// An ordinary dense layer.
pub type DenseLinear<const I: usize, const O: usize> = Variational<LinearMap<I, O>, Delta, Flat>;
