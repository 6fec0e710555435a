//! The laws that only some priors claim to obey.

use std::ops::RangeInclusive;

use super::points::{PARTS, Point, evaluate, unit};
use super::{Law, Laws, Violation, checked, reference};
use crate::normal::Normal;
use crate::prior::Prior;

/// The tolerance for rounding and quadrature in laws that hold exactly.
const EXACT: f64 = 1e-7;

impl<P: Prior> Laws<P> {
    /// The prior is a probability density: `KL >= 0`, and the density that the KL implies integrates to one within
    /// 1e-4.
    ///
    /// For a posterior much narrower than any feature of p, `KL = -H(q) - ln p(θ)`: σ is θ / 1000 here, and
    /// |θ| goes from e^-90 to e^90.
    pub fn proper(mut self) -> Self {
        self.proper = true;
        self.nonnegative()
    }

    /// `KL >= 0`, which improper priors can have too.
    pub fn nonnegative(self) -> Self {
        self.claim(|prior, at| {
            let kl = prior.kl(at.posterior());
            at.agree(Law::Proper, "KL", kl, kl.max(0.0), EXACT)
        })
    }

    /// The sign of θ does not matter.
    pub fn even(self) -> Self {
        self.claim(|prior, at| {
            let (kl, mirrored) = (prior.kl(at.posterior()), prior.kl(Normal::new(-at.theta, at.log_var())));
            at.agree(Law::Even, "KL at -theta", mirrored, kl, EXACT * (1.0 + kl.abs()))
        })
    }

    /// `(θ, σ) -> (c θ, c σ)` changes nothing.
    pub fn scale_invariant(self) -> Self {
        self.claim(|prior, at| {
            let (kl, scaled) = (prior.kl(at.posterior()), prior.kl(at.posterior().in_units_of(at.factor)));
            at.agree(Law::ScaleInvariant, "KL of the scaled posterior", scaled, kl, EXACT * (1.0 + kl.abs()))
        })
    }

    /// More noise at the same mean never costs more. This property makes a prior prune.
    pub fn decreasing_in_alpha(self) -> Self {
        self.claim(|prior, at| {
            let [kl, _, slope] = evaluate::<f64>(prior, at.theta, at.log_var());
            let noisier = prior.kl(Normal::new(at.theta, at.log_var() + at.factor));
            at.agree(Law::DecreasingInAlpha, "KL with more noise", noisier, noisier.min(kl), EXACT)?;
            at.agree(Law::DecreasingInAlpha, PARTS[2], slope, slope.min(0.0), EXACT)
        })
    }

    /// The KL is that of this log-density, within `bound * (1 + |KL|)`; its gradient within
    /// [`gradient_within`](Laws::gradient_within); and the density integrates to one.
    ///
    /// The kit integrates up to 9 σ, with about 2,000 points that are concentrated around w = 0 on every scale down to
    /// 1e-9 σ. It computes the mass for |w| from e^-90 to e^90.
    ///
    /// # Panics
    /// For a bound that is not a positive, finite number.
    pub fn ln_pdf(mut self, ln_pdf: impl Fn(f64) -> f64 + Clone + 'static, bound: f64) -> Self {
        checked(bound);
        self.density = Some(Box::new(ln_pdf.clone()));
        self.demand(move |laws, at| {
            let found = evaluate::<f64>(&laws.prior, at.theta, at.log_var());
            let [value, slope, spread] = reference::kl(&ln_pdf, at.theta, at.sigma);
            let size = 1.0 + value.abs();
            at.agree(Law::LnPdf, PARTS[0], found[0], value, bound * size)?;
            let bound = laws.gradient_bound * size;
            // In units of sigma: the reference divides by it, and could not do better.
            let in_sigma = found[1] * at.sigma / unit(at.theta, at.log_var());
            at.agree(Law::LnPdfGradient, "sigma dKL/dtheta", in_sigma, slope, bound)?;
            at.agree(Law::LnPdfGradient, PARTS[2], found[2], spread, bound)
        })
    }

    /// For priors that depend only on α: the value stays within `bound` nats of `exact` for log α in this range.
    ///
    /// # Panics
    /// For a bound that is not a positive, finite number, or an empty range.
    pub fn against<Q: Prior>(self, exact: Q, bound: f64, log_alpha: RangeInclusive<f64>) -> Self {
        checked(bound);
        self.exceeds(exact, -bound..=bound, log_alpha)
    }

    /// The value exceeds that of `other` by an amount in `nats`, for log α in this range.
    ///
    /// # Panics
    /// For an empty range.
    pub fn exceeds<Q: Prior>(self, other: Q, nats: RangeInclusive<f64>, log_alpha: RangeInclusive<f64>) -> Self {
        assert!(
            !nats.is_empty() && !log_alpha.is_empty(),
            "{nats:?} nats for log alpha in {log_alpha:?}: both must hold numbers"
        );
        self.claim(move |prior, at| {
            let q = at.with_log_alpha(&log_alpha);
            let (found, other) = (prior.kl(q.posterior()), other.kl(q.posterior()));
            let nearest = found.max(other + nats.start()).min(other + nats.end());
            let expected = if other.is_nan() { other } else { nearest };
            q.agree(Law::Against, "KL", found, expected, 1e-9)
        })
    }

    /// The derivative in log α stays within `bound` of that of `exact`, for log α in this range.
    ///
    /// # Panics
    /// For a bound that is not a positive, finite number, or an empty range.
    pub fn slope_against<Q: Prior>(self, exact: Q, bound: f64, log_alpha: RangeInclusive<f64>) -> Self {
        checked(bound);
        assert!(!log_alpha.is_empty(), "log alpha in {log_alpha:?}: the range must hold numbers");
        self.claim(move |prior, at| {
            let q = at.with_log_alpha(&log_alpha);
            let [_, _, found] = evaluate::<f64>(prior, q.theta, q.log_var());
            let [_, _, expected] = evaluate::<f64>(&exact, q.theta, q.log_var());
            q.agree(Law::SlopeAgainst, PARTS[2], found, expected, bound)
        })
    }

    /// The density that the KL implies integrates to one.
    pub(super) fn mass(&self) -> Result<(), Violation> {
        const NARROW: f64 = 1e-3;
        let ln_pdf = |w: f64| {
            let sigma = NARROW * w.abs();
            let entropy = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln() + sigma.ln();
            -self.prior.kl(Normal::new(w, 2.0 * sigma.ln())) - entropy
        };
        normalised("the integral of the density that the KL implies", reference::mass(&ln_pdf, 1.0 / 32.0), 1e-4)
    }

    fn claim(self, law: impl Fn(&P, &Point) -> Result<(), Violation> + 'static) -> Self {
        self.demand(move |laws, at| law(&laws.prior, at))
    }

    fn demand(mut self, law: impl Fn(&Self, &Point) -> Result<(), Violation> + 'static) -> Self {
        self.claims.push((self.sigma.clone(), Box::new(law)));
        self
    }
}

/// `Ok` if a density's mass is one.
pub(super) fn normalised(what: &'static str, mass: f64, within: f64) -> Result<(), Violation> {
    Point::NOWHERE.agree(Law::Normalised, what, mass, 1.0, within)
}

impl Point {
    /// The same σ with a mean of `σ e^(-log_alpha / 2)`, where the factor picks log α from the range.
    fn with_log_alpha(&self, range: &RangeInclusive<f64>) -> Point {
        let fraction = (self.factor.log10() + 3.0) / 6.0;
        let log_alpha = range.start() + fraction * (range.end() - range.start());
        Point { theta: self.sigma * (-0.5 * log_alpha).exp(), ..*self }
    }
}
