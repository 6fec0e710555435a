//! The Gaussian posterior of one weight, and what priors ask of it.

use crate::real::Real;

/// Added to `1/alpha` under the logarithm of [`Normal::log_alpha`]: log alpha is capped at `-ln 1e-30 = 69.08`.
///
/// It is an epsilon on the *ratio* theta^2 / sigma^2, so it does not spoil scale invariance, and a weight whose mean is
/// exactly zero counts as maximally noisy however small its variance is.
pub const INV_ALPHA_FLOOR: f64 = 1e-30;

/// `0.5 ln(2 pi e)`, the entropy in nats of a standard normal.
const ENTROPY: f64 = 1.418_938_533_204_672_7;

/// The posterior of one weight: `q(w) = N(mean, exp(log_var))`.
///
/// In single precision the ratios below are finite while `|mean| / sigma < 1e19`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal<R> {
    /// The mean, theta.
    pub mean: R,
    /// The logarithm of the variance, log sigma^2.
    pub log_var: R,
}

impl<R: Real> Normal<R> {
    /// The posterior with this mean and log-variance.
    #[inline(always)]
    pub fn new(mean: R, log_var: R) -> Self {
        Normal { mean, log_var }
    }

    /// The variance, sigma^2.
    #[inline(always)]
    pub fn var(&self) -> R {
        self.log_var.clone().exp()
    }

    /// The standard deviation, sigma.
    #[inline(always)]
    pub fn std(&self) -> R {
        self.log_var.clone().scale(0.5).exp()
    }

    /// The signal-to-noise ratio `theta^2 / sigma^2 = 1 / alpha`. Unlike alpha it is finite at theta = 0.
    #[inline(always)]
    pub fn inv_alpha(&self) -> R {
        self.mean.clone().square() * (-self.log_var.clone()).exp()
    }

    /// `log alpha = ln(sigma^2 / theta^2)`, capped at 69.08 (see [`INV_ALPHA_FLOOR`]). Pruning uses this same function.
    #[inline(always)]
    pub fn log_alpha(&self) -> R {
        -self.inv_alpha().shift(INV_ALPHA_FLOOR).ln()
    }

    /// This posterior seen in units of `scale`: `N(mean / scale, var / scale^2)`.
    #[inline(always)]
    pub fn in_units_of(self, scale: f64) -> Self {
        Normal { mean: self.mean.scale(scale.recip()), log_var: self.log_var.shift(-2.0 * scale.ln()) }
    }

    /// KL(q || p) in nats for a prior known only by `ln_pdf(w) = ln p(w)`, by quadrature.
    ///
    /// ```text
    /// KL(q || p) = -H(q) - E_q[ln p(w)],    E_q[f(w)] ~= h sum_k phi(t_k) f(mean + sigma t_k),   t_k = h (k + 1/2)
    /// ```
    ///
    /// the trapezoidal rule with h = 0.3 and 44 points. For a density that is smooth on the scale s its error falls as
    /// `e^(-2 pi s / (h sigma))`: below 1e-8 while sigma <= s, and it stays bounded for wider posteriors. A kink
    /// (Laplace's at zero) costs up to `h^2 / 8 * phi(0) = 4.5e-3` times the jump of the slope times sigma.
    /// [`Laws::ln_pdf`](crate::laws::Laws::ln_pdf) measures it for your density.
    #[inline(always)]
    pub fn kl_to(&self, ln_pdf: impl Fn(R) -> R) -> R {
        let std = self.std();
        let at = |t: f64| ln_pdf(self.mean.clone() + std.clone().scale(t));
        let pair = |k: usize| {
            let t = STEP * (k as f64 + 0.5);
            (at(t) + at(-t)).scale(STEP * phi(t) / MASS)
        };
        let expected = (1..POINTS / 2).fold(pair(0), |sum, k| sum + pair(k));
        -(expected + self.log_var.clone().scale(0.5)).shift(ENTROPY)
    }
}

const STEP: f64 = 0.3;
const POINTS: usize = 44;
/// What the rule gives for the constant 1; dividing by it makes constants exact.
const MASS: f64 = 0.999_999_999_965_076;

/// The density of a standard normal.
fn phi(t: f64) -> f64 {
    (-0.5 * t * t).exp() * 0.398_942_280_401_432_7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_integrates_constants_exactly() {
        let mass: f64 = (0..POINTS / 2).map(|k| 2.0 * STEP * phi(STEP * (k as f64 + 0.5))).sum();
        assert!((mass - MASS).abs() < 1e-12, "{mass:.15}");
    }

    #[test]
    fn the_rule_is_exact_for_a_gaussian_density() {
        // KL(N(m, s^2) || N(0, 1)) = (s^2 + m^2 - 1) / 2 - ln s
        for (m, s) in [(0.0, 1.0), (0.7, 0.1), (-3.0, 2.5), (1e3, 1e-6)] {
            let kl = Normal::new(m, 2.0 * f64::ln(s)).kl_to(|w| w.square().scale(-0.5).shift(-0.918_938_533_204_672_7));
            let exact = 0.5 * (s * s + m * m - 1.0) - s.ln();
            assert!((kl - exact).abs() < 1e-9 * (1.0 + exact), "{kl} {exact}");
        }
    }

    #[test]
    fn log_alpha_of_a_zero_mean_is_the_cap() {
        assert!((Normal::new(0.0_f64, -60.0).log_alpha() - 69.077_552_789_821_37).abs() < 1e-12);
        assert!((Normal::new(2.0_f64, 3.0).log_alpha() - (3.0 - 4_f64.ln())).abs() < 1e-12);
    }
}
