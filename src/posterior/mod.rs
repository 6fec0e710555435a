//! Posterior families: what is trained about each weight.

mod additive;
mod bernoulli;
mod delta;
mod multiplicative;

use std::fmt::Debug;

use dfdx::shapes::ConstShape;
use sparsevd_priors::{Normal, Real, Shared};

use crate::map::Map;

pub use additive::Additive;
pub use bernoulli::{Bernoulli, RateError};
pub use delta::Delta;
pub use multiplicative::{AlphaPer, Fixed, Multiplicative, PerLayer, PerOutput, PerWeight};

/// A posterior over weights, with two parameters: the mean theta of every weight, and a `spread` that says how uncertain
/// it is. As a prior is one formula, so is a posterior: [`q`](Posterior::q).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a posterior family",
    note = "the families are `Additive`, `Multiplicative<_>`, `Bernoulli` and `Delta`; a `Variational` layer names its map, its posterior and its prior in this order"
)]
pub trait Posterior: Clone + Debug + Default + Send + Sync + 'static {
    /// The field's name for the spread; it is also the name of the tensor, `log_sigma2` or `log_alpha` where it is that.
    const SPREAD: &'static str;
    /// Which weights share one spread; not [`Shared::PerInput`], which no kernel knows and no layer compiles with.
    const SHARED: Shared;
    /// The shape that follows from it.
    type Spread<M: Map>: ConstShape;
    /// Whether training changes the spread.
    const TRAINED: bool;
    /// The spread that a new layer starts with.
    const INITIAL: f64;

    /// The noise that training adds.
    fn noise(&self) -> Noise;

    /// The marginal of one weight.
    fn q<R: Real>(&self, theta: R, spread: R) -> Normal<R>;

    /// Var w. Equal to `q(theta, spread).var()`, for families where it can be had with less work.
    fn variance<R: Real>(&self, theta: R, spread: R) -> R {
        self.q(theta, spread).var()
    }
}

/// The noise of a posterior family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// None: the weights are the means.
    None,
    /// Gaussian, with the mean and variance of [`Posterior::q`].
    Gaussian,
    /// Inputs are dropped with this probability, the others scaled up.
    Dropout(f64),
}
