//! The property-test kit: say what a prior claims, and it is held to it.
//!
//! It is there with the feature `laws` of `sparsevd`, or of `sparsevd-priors` alone, which belongs among your
//! dev-dependencies. Write one line:
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
//! Points are drawn from a fixed seed, so a run repeats itself. A failure is shrunk to a simple point and told in a
//! sentence that names the law. Tolerances are relative to `1 + |KL|`, and gradients are taken in the units that make
//! them comparable: `max(|theta|, sigma) dKL/dtheta` and `dKL/dlog sigma^2`.

mod always;
mod claims;
mod points;
mod reference;
mod violation;

use std::ops::RangeInclusive;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::prior::{Prior, Shared};
use points::Point;
pub use violation::{Law, Violation};

type Claim<P> = Box<dyn Fn(&Laws<P>, &Point) -> Result<(), Violation>>;

/// A prior and what it is held to.
///
/// Always: value and gradient are finite for theta = 0 and up to 5, sigma from 1e-15 to 1e3, in `f64`, `f32` and
/// [`Lanes`](crate::Lanes); the gradient is that of the value; single precision agrees with double; and a learned scale is the
/// optimum of the summed KL. The methods below add what only some priors claim.
pub struct Laws<P> {
    prior: P,
    cases: u32,
    sigma: RangeInclusive<f64>,
    gradient_bound: f64,
    claims: Vec<(RangeInclusive<f64>, Claim<P>)>,
    density: Option<Box<dyn Fn(f64) -> f64>>,
}

impl<P: Prior> Laws<P> {
    /// What every prior must obey.
    pub fn of(prior: P) -> Self {
        Laws { prior, cases: 256, sigma: 1e-6..=1e3, gradient_bound: 1e-6, claims: Vec::new(), density: None }
    }

    /// How many points each law is tried at; 256 unless told.
    pub fn cases(mut self, cases: u32) -> Self {
        self.cases = cases;
        self
    }

    /// The posteriors whose accuracy is promised; sigma in `1e-6..=1e3` unless told, theta up to 5 or up to 8 sigma. The
    /// claims made after this line are held to it.
    ///
    /// Finiteness, and the agreement of single with double precision, are asked over the whole range all the same.
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

    /// How far a gradient may be off, relative to `1 + |KL|`; 1e-6 unless told. Quadrature needs more, see
    /// [`kl_to`](crate::Normal::kl_to).
    pub fn gradient_within(mut self, bound: f64) -> Self {
        self.gradient_bound = bound;
        self
    }

    /// Holds the prior to all its laws.
    ///
    /// # Errors
    /// The first law that fails, at the simplest point found.
    pub fn run(&self) -> Result<(), Violation> {
        self.hold(&points::anywhere(), |at| self.finite(at))?;
        self.hold(&points::with_sigma(self.sigma.clone()), |at| self.gradient(at))?;
        self.hold(&points::anywhere(), |at| self.single_precision(at))?;
        if let Some(density) = &self.density {
            self.normalised(density)?;
        }
        for (sigma, claim) in &self.claims {
            self.hold(&points::with_sigma(sigma.clone()), |at| claim(self, at))?;
        }
        if self.prior.shared() != Shared::None {
            self.hold(&points::groups(), |group| self.fitted_scale(group))?;
        }
        Ok(())
    }

    /// [`run`](Laws::run) for a test.
    ///
    /// # Panics
    /// With the law that fails, in a sentence.
    #[track_caller]
    pub fn check(self) {
        if let Err(violation) = self.run() {
            panic!("{violation}");
        }
    }

    /// Runs one law at many points, and shrinks what fails.
    fn hold<S: Strategy>(&self, points: &S, law: impl Fn(&S::Value) -> Result<(), Violation>) -> Result<(), Violation> {
        let config = Config { cases: self.cases, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let outcome = TestRunner::new_with_rng(config, rng).run(points, |point| Ok(law(&point)?));
        match outcome {
            Err(TestError::Fail(_, simplest)) => {
                law(&simplest).map_err(|violation| violation.by(format!("{:?}", self.prior)))
            }
            Err(TestError::Abort(reason)) => unreachable!("no point is ever rejected: {reason}"),
            Ok(()) => Ok(()),
        }
    }
}
