#![doc = include_str!("../README.md")]

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
    Adam, Checkpoints, Elbo, Epoch, GaussianLikelihood, History, Loss, Schedule, Trainable, Trainer, WarmUp, Warning,
    categorical,
};
