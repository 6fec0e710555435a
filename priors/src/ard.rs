//! Automatic relevance determination: a Gaussian prior whose scales are learned by empirical Bayes.

use serde::{Deserialize, Serialize};

use crate::gaussian::kl_to_standard_normal;
use crate::normal::Normal;
use crate::prior::{LearnedScale, Moments, Prior, Shared};
use crate::real::Real;

/// `p(w) = N(0, s²)` with `s²` maximising the evidence bound, per weight or per group of weights.
///
/// ```text
/// per weight:  s² = θ² + σ²,        KL = 0.5 ln(1 + θ² / σ²)                       nats, one weight
/// per group:   s² = mean(θ² + σ²),  KL = (σ² / s² - 1 - ln(σ² / s²) + θ² / s²) / 2
/// ```
///
/// Exact. The form per weight is invariant under (θ, σ) -> (c θ, c σ), and it lies below the log-uniform KL by at most
/// (γ + ln 2) / 2 = 0.635 nats. Source: Kharitonov, Molchanov, Vetrov 2018, "Variational Dropout via Empirical Bayes".
///
/// "ARD" is always this prior; the log-uniform prior, often published under the same name, is
/// [`LogUniform`](crate::LogUniform).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ard {
    shared: Shared,
}

impl Ard {
    /// One scale per weight: the usual choice, and the default.
    pub fn per_weight() -> Self {
        Ard { shared: Shared::None }
    }

    /// One scale for the weights into each output.
    pub fn per_output() -> Self {
        Ard { shared: Shared::PerOutput }
    }

    /// One scale for the weights out of each input: irrelevant inputs are pruned.
    pub fn per_input() -> Self {
        Ard { shared: Shared::PerInput }
    }

    /// One scale for the whole layer, as [`Gaussian::learned`](crate::Gaussian::learned).
    pub fn per_layer() -> Self {
        Ard { shared: Shared::PerLayer }
    }
}

impl Default for Ard {
    fn default() -> Self {
        Ard::per_weight()
    }
}

impl Prior for Ard {
    const ID: &'static str = "ard";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        match self.shared {
            Shared::None => q.inv_alpha().ln_1p().scale(0.5),
            _ => kl_to_standard_normal(q),
        }
    }

    fn learned_scale(&self) -> Option<&dyn LearnedScale> {
        if self.shared == Shared::None { None } else { Some(self) }
    }
}

impl LearnedScale for Ard {
    fn shared(&self) -> Shared {
        self.shared
    }

    fn fit(&self, moments: &Moments) -> f64 {
        moments.second.sqrt()
    }
}
