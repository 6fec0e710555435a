//! Binary dropout as a posterior.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::multiplicative::proportional;
use super::{Noise, PerLayer, Posterior};
use crate::error::Error;
use crate::normal::{INV_ALPHA_FLOOR, Normal};
use crate::real::Real;

/// Binary dropout on the layer's inputs: each is zeroed with probability `rate` and otherwise scaled by
/// `1 / (1 - rate)`.
///
/// During training each number of each example is dropped independently. A draw of weights cannot drop single pixels:
/// in a convolution it drops whole input channels, the same for all examples, which is more noise than in training.
///
/// Its rate says nothing about single weights: no weight is pruned by its log α.
///
/// Its KL to a prior is not defined weight by weight and counts as zero; pair it with [`Flat`](crate::Flat).
/// Source: Srivastava et al. 2014; Gal and Ghahramani 2016 for sampling it at evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bernoulli {
    #[serde(deserialize_with = "rate")]
    rate: f64,
}

impl Bernoulli {
    /// Dropout with this rate.
    ///
    /// # Errors
    /// [`Error::NotARate`] unless `0 <= rate < 1`.
    pub fn new(rate: f64) -> Result<Self, Error> {
        if (0.0..1.0).contains(&rate) { Ok(Bernoulli { rate }) } else { Err(Error::NotARate { rate }) }
    }

    /// The probability that an input is dropped.
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

/// A rate from a file.
fn rate<'de, D: Deserializer<'de>>(file: D) -> Result<f64, D::Error> {
    Bernoulli::new(f64::deserialize(file)?).map(|dropout| dropout.rate).map_err(D::Error::custom)
}

/// A rate of one half.
impl Default for Bernoulli {
    fn default() -> Self {
        Bernoulli { rate: 0.5 }
    }
}

impl Posterior for Bernoulli {
    const ID: &'static str = "bernoulli";
    const SPREAD: &'static str = "unused";
    const INITIAL: f64 = 0.0;
    type Per = PerLayer;
    const TRAINED: bool = false;
    const USED: bool = false;

    fn noise(&self) -> Noise {
        Noise::Dropout(self.rate)
    }

    /// The Gaussian with the same two moments: `α = rate / (1 - rate)`, at least 1e-30.
    #[inline(always)]
    fn q<R: Real>(&self, theta: R, _unused: R) -> Normal<R> {
        let alpha = (self.rate / (1.0 - self.rate)).max(INV_ALPHA_FLOOR);
        proportional(theta, |log_theta2| log_theta2.shift(alpha.ln()))
    }
}
