//! Priors and posterior families for variational layers, each written once as a formula, without a training engine.
//!
//! | you need | use |
//! |---|---|
//! | sparsity from noise, the Sparse Variational Dropout of Molchanov et al. | [`LogUniform`] |
//! | sparsity by empirical Bayes, per weight, neuron or layer | [`Ard`] |
//! | an ordinary Bayesian network | [`Gaussian`], fixed or learned |
//! | heavier tails, or a spike and a slab | [`Laplace`], [`StudentT`], [`ScaleMixture`] |
//! | sparsity from a proper prior, a pole at 0 and heavy tails | [`HorseshoeLike`] |
//! | a baseline with no prior | [`Flat`] |
//! | one that is not here | implement [`Prior`]: one method, one formula |
//! | a posterior: Gaussian with its own variance, Gaussian dropout, binary dropout, none | [`Additive`], [`Multiplicative`], [`Bernoulli`], [`Delta`] |
//! | another posterior | implement [`Posterior`]: one formula, too |
//!
//! A prior is a formula over [`Real`]. The same function is evaluated in `f64`, differentiated exactly with [`Dual`],
//! compiled to a SIMD kernel with `Dual<Lanes>`, and recorded on the autodiff tape with the graph node of the
//! `sparsevd` crate. The property-test kit in `laws` (feature `laws`) checks its claims, in one line of your tests. For
//! the errors of each approximation see the prior's own page; `paper-notes/kl.md` derives the exact log-uniform KL.

mod ard;
mod dawson;
mod dual;
mod error;
mod flat;
mod gaussian;
mod horseshoe_like;
mod lane;
mod lanes;
mod laplace;
#[cfg(feature = "laws")]
pub mod laws;
mod log_uniform;
mod normal;
mod posterior;
mod prior;
mod real;
mod scale_mixture;
mod student_t;

pub use ard::Ard;
pub use dual::Dual;
pub use error::Error;
pub use flat::Flat;
pub use gaussian::Gaussian;
pub use horseshoe_like::HorseshoeLike;
pub use lane::Lane;
pub use lanes::Lanes;
pub use laplace::Laplace;
pub use log_uniform::LogUniform;
pub use normal::{INV_ALPHA_FLOOR, Normal};
pub use posterior::{
    Additive, AlphaPer, Bernoulli, Delta, Fixed, Multiplicative, Noise, PerLayer, PerOutput, PerWeight, Posterior,
    Sharing, shared,
};
pub use prior::{LearnedScale, Moments, Prior, Shared};
pub use real::{Real, SQRT_FLOOR};
pub use scale_mixture::ScaleMixture;
pub use student_t::StudentT;

/// The code of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
