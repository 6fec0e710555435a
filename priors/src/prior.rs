//! `Prior`: the one formula that defines a prior.

use std::fmt::Debug;

use crate::normal::Normal;
use crate::real::Real;

/// A prior over one weight, given by its KL divergence from a Gaussian posterior.
///
/// The KL in nats is all that a prior must say. A prior known only by its log-density says
/// [`q.kl_to(|w| ln p(w))`](Normal::kl_to). The formula is written once, over any [`Real`]:
///
/// ```
/// use sparsevd_priors::{Normal, Prior, Real};
///
/// /// The logistic distribution: p(w) = e^-w / (1 + e^-w)^2.
/// #[derive(Clone, Debug)]
/// struct Logistic;
///
/// impl Prior for Logistic {
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
/// A prior whose scale is learned says how weights share it ([`shared`](Prior::shared)) and how it follows from their
/// moments ([`fit`](Prior::fit)); its formula is then the one for scale 1. Because the fit is the optimum of the
/// summed KL, its derivative there is zero, and holding it fixed gives the exact gradient. Only a scale whose optimum
/// follows from E w and E w^2 can be learned so: a Gaussian's, but not that of a Laplace prior, which needs E |w|.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a prior",
    label = "has no KL formula",
    note = "implement it: `impl Prior for {Self} {{ fn kl<R: Real>(&self, q: Normal<R>) -> R {{ .. }} }}`"
)]
pub trait Prior: Clone + Debug + Send + Sync + 'static {
    /// KL(q || p) of one weight, in nats.
    fn kl<R: Real>(&self, q: Normal<R>) -> R;

    /// Which weights share one learned scale; by default there is none to learn.
    fn shared(&self) -> Shared {
        Shared::None
    }

    /// The scale that minimises the summed KL of weights with these moments; the default is a Gaussian's, and wrong for
    /// anything else. Asked only where [`shared`](Prior::shared) is not `None`; `laws::Laws` checks it.
    fn fit(&self, moments: &Moments) -> f64 {
        moments.second.sqrt()
    }
}

/// Which weights of a layer share one learned scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shared {
    /// No scale is learned (or every weight's own scale is already inside the formula).
    None,
    /// All weights into one output neuron or channel.
    PerOutput,
    /// All weights out of one input feature or channel.
    PerInput,
    /// All weights of a layer.
    PerLayer,
}

/// What a learned scale is fitted to: posterior moments, averaged over the weights that share it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean of E w = theta.
    pub first: f64,
    /// The mean of E w^2 = theta^2 + sigma^2.
    pub second: f64,
    /// How many weights share the scale.
    pub count: usize,
}
