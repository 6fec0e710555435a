//! Variational Bayesian layers with pluggable priors, on [dfdx].
//!
//! A layer is `Variational<Map, Posterior, Prior>`: the map applies the weights to an input, the posterior has the
//! trained parameters of each weight, and the prior is one formula. Sparse Variational Dropout (Molchanov, Ashukha,
//! Vetrov, ICML 2017) is its log-uniform special case with the additive posterior. Networks are tuples of layers and
//! other modules; [`prelude`] has the names that most programs need.
//!
//! ```
//! use sparsevd::prelude::*;
//!
//! type Net = (SparseVdLinear<64, 100>, ReLU, SparseVdLinear<100, 10>);
//!
//! # fn main() -> Result<(), Error> {
//! let mut net = Cpu::seed_from_u64(0).build_module::<Net, f32>();
//! let digits = Split::optdigits()?.centred();
//! Trainer { epochs: 1, ..Trainer::default() }.fit(&mut net, digits.train())?;
//! let pruned = predict(&mut net, digits.test(), Evaluate::Pruned(3.0))?.score(digits.test().labels())?;
//! println!("error {:.1} %\n{}", 100.0 * pruned.error, net.sparsity(3.0)?);
//! # Ok(()) }
//! ```
//!
//! # Which type to use
//!
//! | to | use |
//! |---|---|
//! | write a layer in a network's type | [`SparseVdLinear`], [`ArdLinear`], [`GaussianLinear`], [`DropoutLinear`], [`DenseLinear`]; any other combination is [`Variational`] with [`LinearMap`] or [`Conv2dMap`] |
//! | choose a prior | [`priors`] has a table of them; a prior of your own implements [`priors::Prior`] |
//! | choose a posterior | [`Additive`], [`Multiplicative`], [`Bernoulli`], [`Delta`]; one of your own implements [`Posterior`] |
//! | build a network on a device | [`DeviceBuildExt::build_module`]; its layers are then [`modules::Variational`], and [`Network::layers`] gives any of them as [`Layer`] |
//! | change how layers train | [`Network::configure`] with [`Settings`]: [`Estimator`], [`Masking`]; [`Network::set_prior`] |
//! | train a classifier | [`Trainer`], with [`Checkpoints`] to resume; [`Schedule`], [`WarmUp`], [`Group`], [`data::Augment`] |
//! | train in a loop of your own | [`Network::input`], [`categorical`] or [`GaussianLikelihood`], [`Elbo::loss`], [`Adam::step`] |
//! | get data | [`data::Split`], [`data::Dataset`] |
//! | evaluate | [`predict`] with [`Evaluate`], then [`metrics::Predictions`]; [`Network::with_weights`] with [`Weights`] for a forward pass |
//! | see what pruning keeps | [`Prune::sparsity`] |
//! | deploy | [`compact`], then the crate [`infer`], which does not depend on dfdx |
//! | save or load a posterior | [`save_posterior`], [`load_posterior`]; [`load_means`] from PyTorch, [`copy_means`] |
//! | measure the noise of gradients | [`gradient_variance`] |
//! | use more or fewer threads | [`on_threads`] |
//! | write generic code | [`Elem`], [`Backend`], [`Family`], [`Map`], [`Network`], [`Classifier`] |
//! | understand a failure | [`Error`], [`Warning`] |
//!
//! Numbers are in nats unless a name says otherwise; the KL is summed over weights, not averaged.

mod compute;
pub mod data;
mod error;
mod evaluate;
mod io;
pub mod metrics;
mod model;
pub mod modules;
pub mod prelude;
mod prune;
mod spec;
mod train;

pub use dfdx;
pub use sparsevd_infer as infer;
pub use sparsevd_priors as priors;

pub use compute::{Backend, Elem, OnTape, Reads, Taped, on_threads};
pub use error::{Error, LastCheckpoint};
pub use evaluate::{Classifier, Evaluate, GradientVariance, Variance, gradient_variance, predict};
pub use infer::FileError;
pub use io::{
    PosteriorAbout, copy_means, load_means, load_posterior, means_from_bytes, posterior_about, posterior_from_bytes,
    posterior_to_bytes, save_posterior, save_posterior_with,
};
pub use model::{
    ArdLinear, AvgPool2d, BatchNorm, ByPath, DenseLinear, Description, DeviceBuildExt, DropoutLinear, Flatten,
    GaussianDropoutLinear, GaussianLinear, Identity, Layer, LeNet5, LeNet300100, MaxPool2d, Network, ReLU,
    SparseVdConv2d, SparseVdLinear, Variational, VariationalLinear, VggConv, VggHalf, VggLike, VggQuarter, View,
    Weights, join_path,
};
pub use priors::{
    Additive, AlphaPer, Bernoulli, Delta, Fixed, Multiplicative, Noise, PerLayer, PerOutput, PerWeight, Posterior,
    Sharing,
};
pub use prune::{LayerSparsity, Prune, Sparsity, THRESHOLD, compact};
pub use spec::{
    Conv2dMap, Convolution, Estimator, Family, Grid, LinearMap, Map, Masking, Settings, Spread, SpreadShape,
    VARIANCE_FLOOR, Window,
};
pub use train::{
    Adam, Checkpoints, Elbo, Epoch, GaussianLikelihood, Group, History, Loss, Parameters, Schedule, Trainable, Trainer,
    WarmUp, Warning, categorical,
};

/// The code of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
