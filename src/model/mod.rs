//! Networks of variational layers and other modules.

mod activation;
mod aliases;
mod build;
mod builders;
pub(crate) mod describe;
mod dfdx_modules;
mod flatten;
mod layer;
mod nets;
mod network;
pub(crate) mod norm;
mod plain;
mod pool;
pub(crate) mod tensors;
mod tuples;
pub(crate) mod variational;
mod variational_layer;
mod view;

pub use activation::ReLU;
pub use aliases::{
    ArdLinear, DenseLinear, DropoutLinear, GaussianDropoutLinear, GaussianLinear, SparseVdConv2d, SparseVdLinear,
    VariationalLinear,
};
pub use build::DeviceBuildExt;
pub use builders::{BatchNorm, Variational};
pub use describe::{ByPath, Description, Identity};
pub use flatten::Flatten;
pub use layer::{Layer, Weights};
pub use nets::{LeNet5, LeNet300100, VggConv, VggHalf, VggLike, VggQuarter};
pub(crate) use network::kinds;
pub use network::{Network, join_path};
pub use pool::{AvgPool2d, MaxPool2d};
pub(crate) use variational::fill;
pub(crate) use variational_layer::log_most;
pub use view::View;
