//! Variational Bayesian layers with pluggable priors, on dfdx.
#![allow(unused)]

mod backend;
mod fused;
mod graph;
mod layer;
mod map;
mod posterior;
mod taped;

pub use sparsevd_priors as priors;
pub use backend::{Backend, Elem, Taped};
pub use layer::{Estimator, Layer, VARIANCE_FLOOR, Variational};
pub use map::{Grid, LinearMap, Map};
pub use posterior::*;
pub use priors::{Ard, Flat, Gaussian, LogUniform};

/// Sparse VD
pub type SparseVdLinear<const I: usize, const O: usize> = Variational<LinearMap<I, O>, Additive, LogUniform>;
/// ARD
pub type ArdLinear<const I: usize, const O: usize> = Variational<LinearMap<I, O>, Additive, Ard>;
