//! The scale mixture of two Gaussians: a spike and a slab.

use serde::{Deserialize, Serialize};

use crate::error::{Error, fraction, fraction_number, positive, positive_number};
use crate::normal::Normal;
use crate::prior::Prior;
use crate::real::Real;

/// `p(w) = pi N(w; 0, sigma1^2) + (1 - pi) N(w; 0, sigma2^2)`, `0 < pi < 1`, both scales positive, in any order.
///
/// ```text
/// ln p(w) = ln p_wide(w) + softplus(ln p_narrow(w) - ln p_wide(w))        nats, each p with its weight pi or 1 - pi
/// ```
///
/// In this order nothing cancels: far out the softplus goes to 0, near zero it holds the spike.
/// The KL has no closed form; [`Normal::kl_to`] computes it. With the narrow scale n, and a quarter or more of the weight in the wide
/// component, the value / the gradient are off by at most 4e-4 / 3e-3, times `1 + |KL|`, while sigma <= n, for ratios of the scales up to e^6. For wider
/// posteriors that is 2e-3 / 0.05 where the ratio is 10; where it is e^6 it is 7e-3 for the value, and the
/// gradient is not to be relied on beyond sigma = 4 n (0.05 up to there, then up to 2).
///
/// Source: Blundell et al. 2015, "Weight Uncertainty in Neural Networks", eq. 7 (they sample the KL).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScaleMixture {
    #[serde(deserialize_with = "fraction_number")]
    pi: f64,
    #[serde(deserialize_with = "positive_number")]
    sigma1: f64,
    #[serde(deserialize_with = "positive_number")]
    sigma2: f64,
}

/// Half a slab of scale 1, half a spike of scale e^-6: the middle of what Blundell et al. 2015 tried.
impl Default for ScaleMixture {
    fn default() -> Self {
        ScaleMixture { pi: 0.5, sigma1: 1.0, sigma2: 0.002_478_752_176_666_358_5 }
    }
}

impl ScaleMixture {
    /// The weight of the first component, then both standard deviations.
    ///
    /// # Errors
    /// [`Error::NotAFraction`] unless `0 < pi < 1`; [`Error::NotPositive`] unless both scales are positive and finite.
    pub fn new(pi: f64, sigma1: f64, sigma2: f64) -> Result<Self, Error> {
        Ok(ScaleMixture {
            pi: fraction("ScaleMixture", "pi", pi)?,
            sigma1: positive("ScaleMixture", "sigma1", sigma1)?,
            sigma2: positive("ScaleMixture", "sigma2", sigma2)?,
        })
    }

    /// `ln p(w)`, in nats.
    #[inline(always)]
    pub fn ln_pdf<R: Real>(&self, w: R) -> R {
        self.terms().ln_pdf(w)
    }

    fn terms(&self) -> Terms {
        let (one, two) = ((self.pi, self.sigma1), (1.0 - self.pi, self.sigma2));
        let ((p_wide, wide), (p_narrow, narrow)) = if self.sigma1 > self.sigma2 { (one, two) } else { (two, one) };
        Terms {
            wide: -0.5 * wide.powi(-2),
            ln_wide: (p_wide / wide).ln() - HALF_LN_2_PI,
            ratio: 0.5 * (wide.powi(-2) - narrow.powi(-2)),
            ln_ratio: (p_narrow * wide / (p_wide * narrow)).ln(),
        }
    }
}

/// `ln p_wide(w) = wide w^2 + ln_wide`, and `ln(p_narrow / p_wide) = ratio w^2 + ln_ratio`.
struct Terms {
    wide: f64,
    ln_wide: f64,
    ratio: f64,
    ln_ratio: f64,
}

impl Terms {
    #[inline(always)]
    fn ln_pdf<R: Real>(&self, w: R) -> R {
        let square = w.square();
        let excess = square.clone().scale(self.ratio).shift(self.ln_ratio).softplus();
        square.scale(self.wide).shift(self.ln_wide) + excess
    }
}

/// `0.5 ln(2 pi)`.
const HALF_LN_2_PI: f64 = 0.918_938_533_204_672_8;

impl Prior for ScaleMixture {
    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        let terms = self.terms();
        q.kl_to(|w| terms.ln_pdf(w))
    }
}
