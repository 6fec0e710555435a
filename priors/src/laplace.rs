//! The Laplace prior, the counterpart of an L1 penalty.

use serde::{Deserialize, Serialize};

use crate::error::{Error, scale, scale_number};
use crate::normal::Normal;
use crate::prior::Prior;
use crate::real::Real;

/// `p(w) = e^(-|w| / b) / (2b)`, `b > 0` in the units of the weights; its variance is `2 b²`. Closed form, exact to
/// rounding:
///
/// ```text
/// KL    = ln(2b) + E|w| / b - 0.5 ln(2 π e σ²)                                      nats, one weight
/// E|w|  = σ sqrt(2/π) e^(-x²) + θ erf(x),    x = θ / (σ sqrt 2)
/// ```
///
/// Source: textbook (the mean of a folded normal). It does not prune: its KL grows as σ -> 0 and as σ -> inf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Laplace {
    #[serde(deserialize_with = "scale_number")]
    b: f64,
}

/// `b = 1`.
impl Default for Laplace {
    fn default() -> Self {
        Laplace { b: 1.0 }
    }
}

impl Laplace {
    /// A fixed scale b.
    ///
    /// # Errors
    /// [`Error::NotPositive`] unless `b` is positive and finite, [`Error::OutOfRange`] unless it is between 1e-15 and
    /// 1e15.
    pub fn new(b: f64) -> Result<Self, Error> {
        Ok(Laplace { b: scale("Laplace", "b", b)? })
    }

    /// `ln p(w) = -|w| / b - ln(2b)`, in nats.
    #[inline(always)]
    pub fn ln_pdf<R: Real>(&self, w: R) -> R {
        w.abs().scale(-self.b.recip()).shift(-(2.0 * self.b).ln())
    }
}

/// `0.5 ln(2 π e) - ln 2`: the entropy of a standard normal, less `ln 2`.
const ENTROPY_LESS_LN_2: f64 = 0.725_791_352_644_727_4;

impl Prior for Laplace {
    const ID: &'static str = "laplace";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        let q = q.in_units_of(self.b);
        let std = q.std();
        let x = (q.mean.clone() / std.clone()).scale(std::f64::consts::FRAC_1_SQRT_2);
        let near = std * (-x.clone().square()).exp().scale((2.0 / std::f64::consts::PI).sqrt());
        let mean_abs = near + q.mean * x.erf();
        (mean_abs - q.log_var.scale(0.5)).shift(-ENTROPY_LESS_LN_2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of mpmath 1.3 at 25 digits.
    #[test]
    fn the_kl_is_exact() {
        for (theta, sigma, exact) in [
            (0.3, 0.2, 1.195_369_277_294_415),
            (-1.5, 0.9, 0.915_256_956_021_602_4),
            (2.0, 0.5, 1.967_362_973_173_650_4),
        ] {
            let kl = Laplace::default().kl(Normal::new(theta, 2.0 * f64::ln(sigma)));
            assert!((kl - exact).abs() < 2e-15, "{kl} {exact}");
        }
    }
}
