//! The trait `Prior`: one formula defines a prior.

use std::fmt::Debug;

use serde::Serialize;

use crate::normal::Normal;
use crate::real::Real;

/// A prior over one weight, given by its KL divergence from a Gaussian posterior.
///
/// The KL in nats is its only required method. For a prior known only by its log-density it is [`q.kl_to(|w| ln
/// p(w))`](Normal::kl_to). The formula is written once, over any [`Real`]:
///
/// ```
/// use serde::Serialize;
/// use sparsevd_priors::{Normal, Prior, Real};
///
/// /// The logistic distribution: p(w) = e^-w / (1 + e^-w)^2.
/// #[derive(Clone, Debug, Serialize)]
/// struct Logistic;
///
/// impl Prior for Logistic {
///     const ID: &'static str = "logistic_example";
///
///     fn kl<R: Real>(&self, q: Normal<R>) -> R {
///         q.kl_to(|w| -w.clone() - (-w).softplus().scale(2.0))
///     }
/// }
/// let kl = Logistic.kl(Normal::new(0.5, -2.0_f64));
/// assert!((kl - 1.060_592_021).abs() < 1e-8);
/// ```
///
/// For speed in the fused kernels put `#[inline(always)]` on `kl`; it is correct without. A layer starts with the prior's
/// `Default`, which must be one that it can train with: a derived one sets numbers to 0.
///
/// Files record a prior by its [`ID`](Prior::ID) and its serialised hyper-parameters, and compare both as values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a prior",
    label = "has no KL formula",
    note = "implement it: `impl Prior for {Self} {{ const ID: &'static str = \"mine\"; fn kl<R: Real>(&self, q: Normal<R>) -> R {{ .. }} }}`"
)]
pub trait Prior: Clone + Debug + Serialize + Send + Sync + 'static {
    /// The name of the prior in files. It stays the same when the type is renamed; no other prior has it.
    const ID: &'static str;

    /// KL(q || p) of one weight, in nats.
    fn kl<R: Real>(&self, q: Normal<R>) -> R;

    /// The scale that is learned by empirical Bayes, if there is one; the formula of [`kl`](Prior::kl) is then that for
    /// scale 1. `None` by default.
    fn learned_scale(&self) -> Option<&dyn LearnedScale> {
        None
    }
}

/// A scale that weights share, and that is fitted to their moments in closed form before each pass.
///
/// The fit is the optimum of the summed KL, so the derivative of the KL by the scale is zero there, and holding the
/// scale fixed gives the exact gradient. Only a scale whose optimum follows from E w and E w² can be learned so: a
/// Gaussian's, but not that of a Laplace prior, which needs E |w|. `laws::Laws` checks the fit.
pub trait LearnedScale {
    /// The sharing of the scale among weights; never [`Shared::None`].
    fn shared(&self) -> Shared;

    /// The scale that minimises the summed KL of weights with these moments.
    fn fit(&self, moments: &Moments) -> f64;
}

/// The sharing of a number among the weights of a layer: a learned scale of a prior, or the second parameter of a
/// posterior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shared {
    /// None: every weight has its own.
    None,
    /// All weights into one output neuron or channel.
    PerOutput,
    /// All weights out of one input feature or channel.
    PerInput,
    /// All weights of a layer.
    PerLayer,
}

/// The posterior moments that a learned scale is fitted to, averaged over the weights that share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean of E w = θ.
    pub first: f64,
    /// The mean of E w² = θ² + σ².
    pub second: f64,
    /// The number of weights that share the scale.
    pub count: usize,
}
