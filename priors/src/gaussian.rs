//! The Gaussian prior, with a fixed scale or one learned per layer.

use serde::{Deserialize, Serialize};

use crate::error::{Error, scale, scale_or_none};
use crate::normal::Normal;
use crate::prior::{LearnedScale, Moments, Prior, Shared};
use crate::real::Real;

/// `p(w) = N(0, s²)`. Closed form, exact, for `q = N(θ, σ²)`:
///
/// ```text
/// KL = (e^d - 1 - d + θ² / s²) / 2,    d = ln σ² - ln s²        nats, one weight
/// ```
///
/// Source: textbook. The learned scale is the empirical-Bayes optimum `s² = mean(θ² + σ²)` over the layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// `None` if the scale is learned.
    #[serde(deserialize_with = "scale_or_none")]
    sigma: Option<f64>,
}

impl Gaussian {
    /// A fixed standard deviation s, here called `sigma`.
    ///
    /// # Errors
    /// [`Error::NotPositive`] unless it is positive and finite, [`Error::OutOfRange`] unless it is between 1e-15 and
    /// 1e15.
    pub fn new(sigma: f64) -> Result<Self, Error> {
        Ok(Gaussian { sigma: Some(scale("Gaussian", "sigma", sigma)?) })
    }

    /// One standard deviation per layer, learned.
    pub fn learned() -> Self {
        Gaussian { sigma: None }
    }
}

/// The learned scale: it needs no tuning.
impl Default for Gaussian {
    fn default() -> Self {
        Gaussian::learned()
    }
}

impl Prior for Gaussian {
    const ID: &'static str = "gaussian";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        kl_to_standard_normal(q.in_units_of(self.sigma.unwrap_or(1.0)))
    }

    fn learned_scale(&self) -> Option<&dyn LearnedScale> {
        if self.sigma.is_some() { None } else { Some(self) }
    }
}

impl LearnedScale for Gaussian {
    fn shared(&self) -> Shared {
        Shared::PerLayer
    }

    fn fit(&self, moments: &Moments) -> f64 {
        moments.second.sqrt()
    }
}

/// KL(q || N(0, 1)), in nats; `e^d - 1 - d` does not cancel near d = 0 the way `e^d - (1 + d)` does.
#[inline(always)]
pub(crate) fn kl_to_standard_normal<R: Real>(q: Normal<R>) -> R {
    (q.log_var.clone().exp_m1() - q.log_var + q.mean.square()).scale(0.5)
}
