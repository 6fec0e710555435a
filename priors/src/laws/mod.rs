//! The property-test kit, which checks a prior against its claims.
//!
//! It needs the feature `laws` of `sparsevd`, or of `sparsevd-priors` alone, as a dev-dependency. A test is one line:
//!
//! ```
//! use sparsevd_priors::{Laplace, laws::Laws};
//!
//! let laplace = Laplace::new(0.3)?;
//! let density = laplace.clone();
//! Laws::of(laplace).proper().even().ln_pdf(move |w| density.ln_pdf(w), 1e-9).check();
//! # Ok::<(), sparsevd_priors::Error>(())
//! ```
//!
//! Points are drawn from a fixed seed, so that runs are reproducible. A failure, or a panic, is shrunk to a simple
//! point, and its message names the law, the prior and the point. Tolerances are relative to `1 + |KL|`, and gradients
//! are taken in the units that make them comparable: `max(|θ|, σ) dKL/dθ` and `dKL/dlog σ²`.

mod always;
mod claims;
mod jumps;
mod points;
mod reference;
mod violation;

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::prior::Prior;
use points::{Place, Point};
pub use violation::{Law, Violation};

type Claim<P> = Box<dyn Fn(&Laws<P>, &Point) -> Result<(), Violation>>;

/// A prior and the laws that it is checked against.
///
/// Always checked: value and gradient are finite for θ = 0 and up to 5, σ from 1e-15 to 1e3, in `f64`, `f32` and
/// [`Lanes`](crate::Lanes); the gradient is that of the value, to 1e-6 of finite differences; the value has no jump of
/// more than 0.01 nats, relative to the change around it; single precision agrees with double; a learned scale is the
/// optimum of the summed KL of up to 3,000 weights; and nothing panics. The methods below add claims that only some
/// priors make.
pub struct Laws<P> {
    prior: P,
    cases: u32,
    sigma: RangeInclusive<f64>,
    gradient_bound: f64,
    single_bound: f64,
    proper: bool,
    claims: Vec<(RangeInclusive<f64>, Claim<P>)>,
    density: Option<Box<dyn Fn(f64) -> f64>>,
}

impl<P: Prior> Laws<P> {
    /// The laws that every prior must obey.
    pub fn of(prior: P) -> Self {
        Laws {
            prior,
            cases: 256,
            sigma: 1e-6..=1e3,
            gradient_bound: 1e-6,
            single_bound: 3e-5,
            proper: false,
            claims: Vec::new(),
            density: None,
        }
    }

    /// Sets the number of points at which each law is checked; 256 by default.
    ///
    /// # Panics
    /// For 0, which would check nothing.
    pub fn cases(mut self, cases: u32) -> Self {
        assert!(cases > 0, "cases(0): a law must be checked at one point at least");
        self.cases = cases;
        self
    }

    /// Sets the posteriors for which accuracy is claimed; σ in `1e-6..=1e3` by default, θ up to 5 or up to 8 σ. It
    /// applies to claims made after this line.
    ///
    /// Finiteness, and the agreement of single with double precision, are checked over the whole range nevertheless.
    ///
    /// # Panics
    /// For a range that is empty, or not of positive, finite numbers.
    pub fn for_sigma(mut self, sigma: RangeInclusive<f64>) -> Self {
        let (from, to) = (*sigma.start(), *sigma.end());
        assert!(
            from > 0.0 && from <= to && to.is_finite(),
            "sigma from {from} to {to}: both must be positive and finite"
        );
        self.sigma = sigma;
        self
    }

    /// Sets the tolerance of the gradient against that of the log-density given to [`ln_pdf`](Laws::ln_pdf), relative
    /// to `1 + |KL|`; 1e-6 by default. Quadrature needs more, see [`kl_to`](crate::Normal::kl_to). The gradient is
    /// checked against the derivative of the value to 1e-6 nevertheless.
    ///
    /// # Panics
    /// For a bound that is not a positive, finite number.
    pub fn gradient_within(mut self, bound: f64) -> Self {
        self.gradient_bound = checked(bound);
        self
    }

    /// Sets the tolerance of `f32` and lanes against `f64`, relative to `1 + |KL|` and the derivative itself; 3e-5 by
    /// default. Their rounding is 6e-8; the rest is for sums of terms that are several hundred times larger than their
    /// result.
    ///
    /// # Panics
    /// For a bound that is not a positive, finite number.
    pub fn single_precision_within(mut self, bound: f64) -> Self {
        self.single_bound = checked(bound);
        self
    }

    /// Checks the prior against all its laws.
    ///
    /// # Errors
    /// The first law that fails, at the simplest point found.
    pub fn run(&self) -> Result<(), Violation> {
        self.hold(&points::anywhere(), |at| self.finite(at))?;
        self.hold(&points::with_sigma(self.sigma.clone()), |at| self.gradient(at))?;
        self.hold(&points::with_sigma(self.sigma.clone()), |at| self.continuous(at))?;
        self.hold(&points::anywhere(), |at| self.single_precision(at))?;
        if let Some(density) = &self.density {
            self.guarded(&Point::NOWHERE, |_| {
                claims::normalised("the integral of e^ln_pdf", reference::mass(density, 1e-3), 1e-6)
            })?;
        }
        for (sigma, claim) in &self.claims {
            self.hold(&points::with_sigma(sigma.clone()), |at| claim(self, at))?;
        }
        if self.proper {
            self.guarded(&Point::NOWHERE, |_| self.mass())?;
        }
        if let Some(scale) = self.prior.learned_scale() {
            self.hold(&points::groups(), |group| self.fitted_scale(scale, group))?;
        }
        Ok(())
    }

    /// [`run`](Laws::run) for a test.
    ///
    /// # Panics
    /// If a law fails, with a message that names it.
    #[track_caller]
    pub fn check(self) {
        if let Err(violation) = self.run() {
            panic!("{violation}");
        }
    }

    /// Checks one law at many points, and shrinks a failure.
    fn hold<S>(&self, points: &S, law: impl Fn(&S::Value) -> Result<(), Violation>) -> Result<(), Violation>
    where
        S: Strategy<Value: Place>,
    {
        let config = Config { cases: self.cases, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let outcome = TestRunner::new_with_rng(config, rng).run(points, |at| Ok(self.guarded(&at, &law)?));
        match outcome {
            Err(TestError::Fail(_, simplest)) => self.guarded(&simplest, &law),
            Err(TestError::Abort(reason)) => unreachable!("no point is ever rejected: {reason}"),
            Ok(()) => Ok(()),
        }
    }

    /// Checks one law at one point; a panic violates it, and the violation names the prior.
    fn guarded<A: Place>(&self, at: &A, law: impl Fn(&A) -> Result<(), Violation>) -> Result<(), Violation> {
        let outcome = catch_unwind(AssertUnwindSafe(|| law(at)));
        let outcome = outcome.unwrap_or_else(|panic| Err(at.place().panicked(panic.as_ref())));
        outcome.map_err(|violation| violation.by(format!("{:?}", self.prior)))
    }
}

/// A tolerance, which must be positive and finite.
#[track_caller]
fn checked(bound: f64) -> f64 {
    assert!(bound > 0.0 && bound.is_finite(), "within {bound}: a bound must be positive and finite");
    bound
}
