//! The Gaussian posterior of one weight, and the quantities that priors need of it.

use crate::real::Real;

/// Added to `1/α` under the logarithm of [`Normal::log_alpha`]: log α is capped at `-ln 1e-30 = 69.08`.
///
/// It is an epsilon on the *ratio* θ² / σ², so it does not break scale invariance. A weight whose mean is exactly zero
/// counts as maximally noisy, even if its variance is small.
pub const INV_ALPHA_FLOOR: f64 = 1e-30;

/// `0.5 ln(2 π e)`, the entropy in nats of a standard normal.
const ENTROPY: f64 = 1.418_938_533_204_672_7;

/// The posterior of one weight: `q(w) = N(mean, exp(log_var))`.
///
/// In single precision the ratios below, and every prior of this crate with its gradient, are valid for `|mean| / σ <
/// 1e19`, `|mean| < 1e4` and log σ² between -87 and 30; with a scale outside 0.01 to 100, for σ from 1e-15 to 1e3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal<R> {
    /// The mean, θ.
    pub mean: R,
    /// The logarithm of the variance, log σ².
    pub log_var: R,
}

impl<R: Real> Normal<R> {
    /// The posterior with this mean and log-variance.
    #[inline(always)]
    pub fn new(mean: R, log_var: R) -> Self {
        Normal { mean, log_var }
    }

    /// The variance, σ².
    #[inline(always)]
    pub fn var(&self) -> R {
        self.log_var.clone().exp()
    }

    /// The standard deviation, σ.
    #[inline(always)]
    pub fn std(&self) -> R {
        self.log_var.clone().scale(0.5).exp()
    }

    /// The signal-to-noise ratio `θ² / σ² = 1 / α`. Unlike α it is finite at θ = 0.
    #[inline(always)]
    pub fn inv_alpha(&self) -> R {
        // Squared last: θ² and 1 / σ² leave the range of f32 long before their product does.
        (self.mean.clone() * self.log_var.clone().scale(-0.5).exp()).square()
    }

    /// `log α = ln(σ² / θ²)`, capped at 69.08 (see [`INV_ALPHA_FLOOR`]). Pruning uses this same function.
    #[inline(always)]
    pub fn log_alpha(&self) -> R {
        -self.inv_alpha().shift(INV_ALPHA_FLOOR).ln()
    }

    /// This posterior seen in units of `scale`: `N(mean / scale, var / scale²)`.
    #[inline(always)]
    pub fn in_units_of(self, scale: f64) -> Self {
        Normal { mean: self.mean.scale(scale.recip()), log_var: self.log_var.shift(-2.0 * scale.ln()) }
    }

    /// KL(q || p) in nats for a prior known only by `ln_pdf(w) = ln p(w)`, by quadrature.
    ///
    /// ```text
    /// KL(q || p) = -H(q) - E_q[ln p(w)],     E_q[f(w)] = int phi(t) f(θ + σ t) dt over [-6, 6]
    /// ```
    ///
    /// The interval is cut at w = 0 (at t = -θ / σ, clamped to ±5), and each part gets 22 points that are concentrated
    /// at the cut: Gauss-Legendre in y, with |t - cut| ~ y^2. So 44 evaluations suffice for densities that are smooth
    /// on a scale s, for posteriors narrower and much wider than s, and a kink at w = 0 costs nothing. The points move
    /// with the cut, so that a pole there stays between them, and the gradient is exactly the derivative of the value.
    ///
    /// Largest errors measured for σ in [1e-6, 1e3] and θ up to 5 or up to 8 σ, relative to `1 + |KL|`, of the value /
    /// of the gradient (σ dKL/dθ and dKL/dlog σ²), for densities of scale 1:
    ///
    /// | ln p(w) | σ <= 1 | 1 to 4 | 4 to 40 | 40 to 1000 |
    /// |---|---|---|---|---|
    /// | Gaussian | 4e-7 / 2e-6 | 4e-7 / 2e-6 | 4e-7 / 2e-6 | 4e-7 / 2e-6 |
    /// | Laplace (a kink at 0) | 5e-7 / 3e-6 | 5e-7 / 3e-6 | 5e-7 / 3e-6 | 5e-7 / 3e-6 |
    /// | logistic | 5e-7 / 3e-6 | 5e-7 / 3e-6 | 5e-7 / 3e-6 | 5e-7 / 3e-6 |
    /// | Student t, nu from 1 to 30 | 6e-7 / 3e-6 | 6e-7 / 4e-6 | 2e-6 / 4e-6 | 2e-5 / 2e-5 |
    /// | horseshoe-like (a logarithmic pole at 0) | 2e-6 / 4e-6 | 2e-6 / 6e-6 | 2e-6 / 2e-5 | 7e-6 / 3e-5 |
    /// | Gaussians of 1 and 0.1, half each | 7e-4 / 5e-3 | 1e-3 / 5e-3 | 3e-4 / 1e-3 | 3e-6 / 4e-6 |
    /// | Gaussians of 1 and e^-6, 3/4 in the spike | 6e-3 / 0.03 | 4e-3 / 0.02 | 5e-4 / 6e-4 | 2e-6 / 3e-6 |
    ///
    /// It is accurate for densities with a single scale around w = 0, up to posteriors about ten times as wide, and
    /// less accurate if a spike that is much narrower than the posterior turns into a slab
    /// ([`ScaleMixture`](crate::ScaleMixture) cuts there, too). It is unsuitable for two kinds of densities: one with
    /// its kink or peak at `mu` instead of 0 (shift both there: `Normal::new(q.mean.shift(-mu), q.log_var).kl_to(|v|
    /// ln_p(v.shift(mu)))`), and one whose `ln p` falls faster than any power of w, as a Gumbel's does: too much of the
    /// integral is beyond 6 σ. `Laws::ln_pdf` of feature `laws` measures the error for your density.
    #[inline(always)]
    pub fn kl_to(&self, ln_pdf: impl Fn(R) -> R) -> R {
        let cut = self.edge(0.0, -CUT, CUT);
        let above = integral(&cut, &self.end(END), &RULE, &ln_pdf);
        let below = integral(&cut, &self.end(-END), &RULE, &ln_pdf);
        self.kl_of_mean_ln_pdf(above - below)
    }

    /// KL(q || p) in nats, given `E_q[ln p(w)]`.
    #[inline(always)]
    pub(crate) fn kl_of_mean_ln_pdf(&self, mean: R) -> R {
        -(mean + self.log_var.clone().scale(0.5)).shift(ENTROPY)
    }

    /// The weight `at`, or the nearest one whose distance from the mean is between `low` and `high` standard
    /// deviations.
    #[inline(always)]
    pub(crate) fn edge(&self, at: f64, low: f64, high: f64) -> Edge<R> {
        let std = self.std();
        let t = (self.mean.clone().shift(-at) / std.clone()).scale(-1.0).at_least(low);
        // Exactly `at`, unless one of the two distances is more than 0.
        let too_low = (self.mean.clone() + std.clone().scale(low)).shift(-at).at_least(0.0);
        let too_high = (-self.mean.clone() - std.scale(high)).shift(at).at_least(0.0);
        Edge { t: -(-t).at_least(-high), w: (too_low - too_high).shift(at) }
    }

    /// The weight that lies `t` standard deviations from the mean.
    #[inline(always)]
    fn end(&self, t: f64) -> Edge<R> {
        Edge { t: self.mean.clone().scale(0.0).shift(t), w: self.mean.clone() + self.std().scale(t) }
    }
}

/// A point of a quadrature: its distance from the mean in standard deviations, and the weight there. Neither is
/// computed from the other, which would cost digits where w is near 0.
///
/// Both carry their derivatives, so that the gradient of a rule is exactly that of its value.
pub(crate) struct Edge<R> {
    t: R,
    w: R,
}

/// `int phi(t) f(w) dt` between two points, by a rule for [0, 1].
#[inline(always)]
pub(crate) fn integral<R: Real>(from: &Edge<R>, to: &Edge<R>, rule: &[(f64, f64)], f: &impl Fn(R) -> R) -> R {
    let (dt, dw) = (to.t.clone() - from.t.clone(), to.w.clone() - from.w.clone());
    let sum = rule.iter().fold(dt.clone().scale(0.0), |sum, (x, weight)| {
        let phi = bell(from.t.clone() + dt.clone().scale(*x)).scale(weight * DENSITY);
        sum + phi * f(from.w.clone() + dw.clone().scale(*x))
    });
    dt * sum
}

/// The end of the quadrature, in standard deviations. 2e-9 of a standard normal lies beyond it, for which `DENSITY`
/// below compensates.
pub(crate) const END: f64 = 6.0;
/// The largest distance of a cut from the mean, in standard deviations: a kink or a peak of `ln p` farther out has too
/// little weight to matter.
const CUT: f64 = 5.0;

/// The density of a standard normal at 0, cut off at 6 standard deviations.
const DENSITY: f64 = 0.398_942_281_188_615_7;

#[inline(always)]
fn bell<R: Real>(t: R) -> R {
    t.square().scale(-0.5).exp()
}

/// Points and weights on [0, 1]: `x = y²`, for the points y of the Gauss-Legendre rule.
const RULE: [(f64, f64); 22] = {
    let (mut rule, mut i) = ([(0.0, 0.0); 22], 0);
    while i < 11 {
        let (node, weight) = GAUSS[i];
        let (near, far) = (0.5 - 0.5 * node, 0.5 + 0.5 * node);
        rule[i] = (near * near, near * weight);
        rule[21 - i] = (far * far, far * weight);
        i += 1;
    }
    rule
};

/// The positive half of the 22-point Gauss-Legendre rule on [-1, 1].
const GAUSS: [(f64, f64); 11] = [
    (0.994_294_585_482_399_2, 0.014_627_995_298_273_131),
    (0.970_060_497_835_428_7, 0.033_774_901_584_814_54),
    (0.926_956_772_187_174, 0.052_293_335_152_683_494),
    (0.865_812_577_720_300_1, 0.069_796_468_424_520_43),
    (0.787_816_805_979_208_1, 0.085_941_606_217_067_63),
    (0.694_487_263_186_682_7, 0.100_414_144_442_880_9),
    (0.587_640_403_506_911_6, 0.112_932_296_080_539_05),
    (0.469_355_837_986_757, 0.123_252_376_810_512_27),
    (0.341_935_820_892_084_24, 0.131_173_504_787_062_08),
    (0.207_860_426_688_221_3, 0.136_541_498_346_014_95),
    (0.069_739_273_319_722_21, 0.139_251_872_855_631_7),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// 22 Gauss points integrate polynomials in y up to degree 43; x^k dx = 2 y^(2k+1) dy.
    #[test]
    fn the_rule_integrates_polynomials() {
        for k in 0..=21 {
            let integral: f64 = RULE.iter().map(|(x, weight)| weight * x.powi(k)).sum();
            assert!((integral * f64::from(k + 1) - 1.0).abs() < 1e-13, "{k}: {integral}");
        }
    }

    #[test]
    fn quadrature_of_a_gaussian_density() {
        // KL(N(m, s²) || N(0, 1)) = (s² + m² - 1) / 2 - ln s
        for (m, s) in [(0.0, 1.0), (0.7, 0.1), (-3.0, 2.5), (1e3, 1e-6)] {
            let kl = Normal::new(m, 2.0 * f64::ln(s)).kl_to(|w| w.square().scale(-0.5).shift(-0.918_938_533_204_672_7));
            let exact = 0.5 * (s * s + m * m - 1.0) - s.ln();
            assert!((kl - exact).abs() < 4e-7 * (1.0 + exact), "{kl} {exact}");
        }
    }

    #[test]
    fn log_alpha_of_a_zero_mean_is_the_cap() {
        assert!((Normal::new(0.0_f64, -60.0).log_alpha() - 69.077_552_789_821_37).abs() < 1e-12);
        assert!((Normal::new(2.0_f64, 3.0).log_alpha() - (3.0 - 4_f64.ln())).abs() < 1e-12);
    }
}
