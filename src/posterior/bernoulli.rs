//! Binary dropout as a posterior.

use sparsevd_priors::{INV_ALPHA_FLOOR, Normal, Real, Shared};

use super::multiplicative::proportional;
use super::{Noise, Posterior};
use crate::map::{Map, One};

/// Binary dropout on the layer's inputs: each is zeroed with probability `rate` and otherwise scaled by
/// `1 / (1 - rate)`.
///
/// In training each number of each datum has a coin of its own. A draw of weights
/// ([`Weights::Sample`](crate::Weights::Sample)) cannot toss one for each pixel: in a convolution it drops whole input
/// channels, the same for all data, which is more noise than it was trained with.
///
/// Its rate says nothing about single weights: none is pruned by its log alpha.
///
/// Its KL to a prior is not defined weight by weight and counts as zero; pair it with [`Flat`](crate::priors::Flat).
/// Source: Srivastava et al. 2014; Gal and Ghahramani 2016 for sampling it at evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bernoulli {
    rate: f64,
}

/// A dropout rate outside `[0, 1)`, or NaN.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("dropout rate {0}; it must be at least 0 and less than 1")]
pub struct RateError(pub f64);

impl Bernoulli {
    /// Dropout with this rate.
    ///
    /// # Errors
    /// [`RateError`] unless `0 <= rate < 1`.
    pub fn new(rate: f64) -> Result<Self, RateError> {
        if (0.0..1.0).contains(&rate) { Ok(Bernoulli { rate }) } else { Err(RateError(rate)) }
    }

    /// The probability that an input is dropped.
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

/// A rate of one half.
impl Default for Bernoulli {
    fn default() -> Self {
        Bernoulli { rate: 0.5 }
    }
}

impl Posterior for Bernoulli {
    const SPREAD: &'static str = "unused";
    const SHARED: Shared = Shared::PerLayer;
    type Spread<M: Map> = One;
    const TRAINED: bool = false;
    const INITIAL: f64 = 0.0;

    fn noise(&self) -> Noise {
        Noise::Dropout(self.rate)
    }

    /// The Gaussian with the same two moments: `alpha = rate / (1 - rate)`, 1e-30 at least.
    #[inline(always)]
    fn q<R: Real>(&self, theta: R, _unused: R) -> Normal<R> {
        let alpha = (self.rate / (1.0 - self.rate)).max(INV_ALPHA_FLOOR);
        proportional(theta, |log_theta2| log_theta2.shift(alpha.ln()))
    }
}
