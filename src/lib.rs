#![doc = include_str!("../README.md")]

mod activation;
mod adam;
mod backend;
mod build;
mod checkpoint;
mod compact;
pub mod data;
mod describe;
mod elbo;
mod error;
mod finite;
mod fused;
mod gradients;
mod graph;
mod history;
mod layer;
mod likelihood;
mod map;
pub mod metrics;
mod nets;
mod network;
mod norm;
mod parts;
mod pool;
mod posterior;
mod posterior_file;
mod predict;
mod scalars;
mod schedule;
mod sound;
mod sparsity;
mod taped;
mod tensors;
mod threads;
mod trainer;
mod training;
mod transfer;
mod unfold;
mod variational;
mod view;

pub use dfdx;
pub use sparsevd_infer as infer;
pub use sparsevd_priors as priors;

pub use activation::ReLU;
pub use adam::Adam;
pub use backend::{Backend, Elem, OnTape, Taped};
pub use build::DeviceBuildExt;
pub use checkpoint::{Checkpoints, LastCheckpoint};
pub use compact::compact;
pub use describe::Description;
pub use elbo::{Elbo, Loss};
pub use error::Error;
pub use gradients::{GradientVariance, Variance, gradient_variance};
pub use graph::Reads;
pub use history::{Epoch, History, Warning};
pub use infer::FileError;
pub use layer::{Estimator, Layer, Settings, SwitchOff, VARIANCE_FLOOR, Variational};
pub use likelihood::{GaussianLikelihood, GaussianNoise, categorical};
pub use map::{Conv2dMap, Convolution, Grid, LinearMap, Map, Window};
pub use nets::{LeNet5, LeNet300100, VggConv, VggHalf, VggLike, VggQuarter};
pub use network::{Kinds, Layers, LayersMut, Network, Plain};
pub use norm::{BatchNorm, Norm};
pub use parts::within;
pub use pool::{AvgPool2d, Flatten, MaxPool2d, Pooling};
pub use posterior::{
    Additive, AlphaPer, Bernoulli, Delta, Fixed, Multiplicative, Noise, PerLayer, PerOutput, PerWeight, Posterior,
    RateError,
};
pub use posterior_file::{
    PosteriorAbout, load_means, load_posterior, means_from_bytes, posterior_about, posterior_from_bytes,
    posterior_to_bytes, save_posterior, save_posterior_with,
};
pub use predict::{Classifier, Evaluate, predict};
pub use schedule::{Schedule, WarmUp};
pub use sparsity::{LayerSparsity, Sparsity, THRESHOLD, mask};
pub use threads::on_threads;
pub use trainer::Trainer;
pub use transfer::copy_means;
pub use variational::{VariationalLayer, Weights};
pub use view::View;

use priors::{Ard, Flat, Gaussian, LogUniform};

/// A dense layer with the additive posterior and any prior.
pub type VariationalLinear<const I: usize, const O: usize, P> = Variational<LinearMap<I, O>, Additive, P>;
/// Sparse Variational Dropout: the additive posterior with the log-uniform prior (Molchanov et al. 2017).
pub type SparseVdLinear<const I: usize, const O: usize> = VariationalLinear<I, O, LogUniform>;
/// Sparse Variational Dropout of a convolution, with stride 1 and no padding; [`Conv2dMap`] has the rest.
pub type SparseVdConv2d<const IN: usize, const OUT: usize, const K: usize> =
    Variational<Conv2dMap<IN, OUT, K>, Additive, LogUniform>;
/// Automatic relevance determination by empirical Bayes (Kharitonov et al. 2018).
pub type ArdLinear<const I: usize, const O: usize> = VariationalLinear<I, O, Ard>;
/// The usual Bayesian layer: a Gaussian prior, its scale learned per layer.
pub type GaussianLinear<const I: usize, const O: usize> = VariationalLinear<I, O, Gaussian>;
/// Gaussian dropout with a fixed alpha.
pub type GaussianDropoutLinear<const I: usize, const O: usize> =
    Variational<LinearMap<I, O>, Multiplicative<Fixed>, Flat>;
/// Binary dropout on the inputs of a dense layer.
pub type DropoutLinear<const I: usize, const O: usize> = Variational<LinearMap<I, O>, Bernoulli, Flat>;
/// An ordinary dense layer.
pub type DenseLinear<const I: usize, const O: usize> = Variational<LinearMap<I, O>, Delta, Flat>;

/// What a program that trains a network needs, dfdx included: `use sparsevd::prelude::*`. Import it instead of dfdx's
/// own prelude, not beside it: some names, such as [`ReLU`], are this library's here.
pub mod prelude {
    pub use crate::data::{Augment, Dataset, Split};
    pub use crate::metrics::{Metrics, Predictions};
    pub use crate::priors::{Ard, Flat, Gaussian, HorseshoeLike, Laplace, LogUniform, Normal, ScaleMixture, StudentT};
    pub use crate::priors::{Moments, Prior, Real, Shared};
    pub use crate::*;
    // Where dfdx has the same name, this library's is meant.
    pub use crate::{DeviceBuildExt, ReLU};
    pub use dfdx::nn::BuildOnDevice;
    pub use dfdx::nn::builders::*;
    pub use dfdx::shapes::*;
    pub use dfdx::tensor::*;
    pub use dfdx::tensor_ops::*;
}
