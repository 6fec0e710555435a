//! Posterior families, each a formula that needs no training engine.

mod additive;
mod bernoulli;
mod delta;
mod multiplicative;
mod sharing;

use std::fmt::Debug;

use serde::Serialize;

use crate::normal::Normal;
use crate::prior::Shared;
use crate::real::Real;

pub use additive::Additive;
pub use bernoulli::Bernoulli;
pub use delta::Delta;
pub use multiplicative::{AlphaPer, Fixed, Multiplicative};
pub use sharing::{PerLayer, PerOutput, PerWeight, Sharing};

/// A posterior over weights with two parameters: θ, the mean of every weight, and a second parameter for its
/// uncertainty, log σ² or log α (in code, `spread`). Like a prior, a posterior is one formula: [`q`](Posterior::q).
///
/// ```
/// use serde::Serialize;
/// use sparsevd_priors::{Noise, Normal, PerWeight, Posterior, Real};
///
/// /// q(w) = N(θ, softplus(rho)²), the parameterisation of Blundell et al. 2015.
/// #[derive(Clone, Debug, Default, Serialize)]
/// struct Softplus;
///
/// impl Posterior for Softplus {
///     const ID: &'static str = "softplus";
///     const SPREAD: &'static str = "rho";
///     const INITIAL: f64 = -5.0;
///     type Per = PerWeight;
///
///     fn q<R: Real>(&self, theta: R, rho: R) -> Normal<R> {
///         Normal::new(theta, rho.softplus().shift(1e-12).ln().scale(2.0)) // finite however small ρ is
///     }
/// }
/// assert!((Softplus.q(0.3, -5.0_f64).std() - 0.006_715_348).abs() < 1e-9);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a posterior family",
    note = "the families are `Additive`, `Multiplicative<_>`, `Bernoulli` and `Delta`; a `Variational` layer names its map, its posterior and its prior in this order"
)]
pub trait Posterior: Clone + Debug + Default + Serialize + Send + Sync + 'static {
    /// The name of the family in files. It stays the same when the type is renamed; no other family has it.
    const ID: &'static str;
    /// The name of the second parameter, as formulas and files have it: `log_sigma2`, `log_alpha`.
    const SPREAD: &'static str;
    /// The second parameter that a new layer starts with.
    const INITIAL: f64;
    /// The sharing of the second parameter among weights: [`PerWeight`], [`PerOutput`] or [`PerLayer`].
    type Per: Sharing;
    /// True if the second parameter is trained; it is, by default.
    const TRAINED: bool = true;
    /// True if the second parameter is used; it is, by default. Files leave out an unused one.
    const USED: bool = true;

    /// The noise that training adds; [`Noise::Gaussian`] by default.
    fn noise(&self) -> Noise {
        Noise::Gaussian
    }

    /// The marginal of one weight.
    fn q<R: Real>(&self, theta: R, spread: R) -> Normal<R>;

    /// Var w. Equal to `q(theta, spread).var()`; overridden by families that can compute it with less work.
    fn variance<R: Real>(&self, theta: R, spread: R) -> R {
        self.q(theta, spread).var()
    }
}

/// The sharing of a family's second parameter among weights.
pub const fn shared<Q: Posterior>() -> Shared {
    <Q::Per as Sharing>::SHARED
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
