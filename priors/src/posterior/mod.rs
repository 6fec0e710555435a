//! Posterior families: what is trained about each weight, as a formula that no engine is needed for.

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

/// A posterior over weights with two parameters: the mean theta of every weight, and a second one, the `spread`, which
/// says how uncertain the weight is: log σ², log α. As a prior is one formula, so is a posterior: [`q`](Posterior::q).
///
/// ```
/// use serde::Serialize;
/// use sparsevd_priors::{Noise, Normal, PerWeight, Posterior, Real};
///
/// /// q(w) = N(theta, softplus(rho)^2), the parameterisation of Blundell et al. 2015.
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
///         Normal::new(theta, rho.softplus().ln().scale(2.0))
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
    /// Which weights share one second parameter: [`PerWeight`], [`PerOutput`] or [`PerLayer`].
    type Per: Sharing;
    /// Whether training changes the second parameter. It does, by default.
    const TRAINED: bool = true;
    /// Whether the second parameter means anything; where it does not, files leave it out. It does, by default.
    const USED: bool = true;

    /// The noise that training adds; [`Noise::Gaussian`] by default.
    fn noise(&self) -> Noise {
        Noise::Gaussian
    }

    /// The marginal of one weight.
    fn q<R: Real>(&self, theta: R, spread: R) -> Normal<R>;

    /// Var w. Equal to `q(theta, spread).var()`, for families where it can be had with less work.
    fn variance<R: Real>(&self, theta: R, spread: R) -> R {
        self.q(theta, spread).var()
    }
}

/// Which weights share one second parameter of a family.
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
