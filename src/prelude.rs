//! The names that most programs need, and those of dfdx: `use sparsevd::prelude::*`. Import it instead of dfdx's
//! prelude, not in addition to it: some names, such as [`ReLU`], are this library's. Other names are in the root of the
//! crate or in its modules, such as [`priors`](crate::priors) and [`data`](crate::data).
//!
//! | to | use |
//! |---|---|
//! | name a network | a tuple of [`SparseVdLinear`], [`ArdLinear`], [`GaussianLinear`], [`DropoutLinear`], [`GaussianDropoutLinear`], [`DenseLinear`], [`SparseVdConv2d`], with [`ReLU`], [`BatchNorm`], [`MaxPool2d`], [`Flatten`] between them; [`LeNet300100`] |
//! | choose map, posterior and prior | [`Variational`], [`VariationalLinear`] with [`LinearMap`], [`Conv2dMap`]; [`Additive`], [`Multiplicative`]; [`LogUniform`], [`Ard`], [`Gaussian`] |
//! | build it | `Cpu::seed_from_u64(0).build_module::<Net, f32>()` ([`DeviceBuildExt`]) |
//! | get data | [`Split`], [`Dataset`] |
//! | train | [`Trainer`], with [`Checkpoints`]; [`Settings`] and [`Masking`] by [`Network::configure`] |
//! | train in a loop of your own | [`Network::input`], [`categorical`], [`Elbo`], [`Adam`] |
//! | evaluate | [`predict`] with [`Evaluate`]; [`Network::with_weights`] with [`Weights`] |
//! | see what pruning keeps | [`Prune::sparsity`]; layer by layer, [`Network::layers`] and [`Layer`] |
//! | save or load it | [`save_posterior`], [`load_posterior`] |
//! | write a prior | [`Prior`], [`Real`], [`Normal`] |
//! | write generic code | [`Elem`], [`Backend`]; [`Error`] |

pub use crate::data::{Dataset, Split};
pub use crate::priors::{Ard, Gaussian, LogUniform, Normal, Prior, Real};
pub use crate::{
    Adam, Additive, ArdLinear, Backend, BatchNorm, Checkpoints, Conv2dMap, DenseLinear, DeviceBuildExt, DropoutLinear,
    Elbo, Elem, Error, Evaluate, Flatten, GaussianDropoutLinear, GaussianLinear, Layer, LeNet300100, LinearMap,
    Masking, MaxPool2d, Multiplicative, Network, Prune, ReLU, Settings, SparseVdConv2d, SparseVdLinear, Trainer,
    Variational, VariationalLinear, Weights, categorical, load_posterior, predict, save_posterior,
};
pub use dfdx::nn::BuildOnDevice;
pub use dfdx::nn::builders::*;
pub use dfdx::shapes::*;
pub use dfdx::tensor::*;
pub use dfdx::tensor_ops::*;
