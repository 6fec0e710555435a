//! The points at which laws are checked, and the evaluation of a formula there.

use std::ops::RangeInclusive;

use proptest::prelude::*;

use super::violation::{Law, Violation};
use crate::dual::Dual;
use crate::lane::Lane;
use crate::normal::Normal;
use crate::prior::Prior;

/// A posterior, and a factor for laws that compare two of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub theta: f64,
    pub sigma: f64,
    pub factor: f64,
}

/// The place at which a law is checked: a point, or the first of a group.
pub(super) trait Place: std::fmt::Debug {
    fn place(&self) -> Point;
}

impl Place for Point {
    fn place(&self) -> Point {
        *self
    }
}

impl Place for Vec<Point> {
    fn place(&self) -> Point {
        self.first().copied().unwrap_or(Point::NOWHERE)
    }
}

/// σ from 1e-15 to 1e3, θ from -5 to 5.
pub(super) fn anywhere() -> impl Strategy<Value = Point> {
    up_to(5.0, 1e-15..=1e3)
}

/// Means of every size: zero, comparable with σ, and independent of it (then from -5 to 5).
pub(super) fn with_sigma(sigma: RangeInclusive<f64>) -> impl Strategy<Value = Point> {
    up_to(f64::INFINITY, sigma)
}

fn up_to(largest: f64, sigma: RangeInclusive<f64>) -> impl Strategy<Value = Point> {
    let mean = prop_oneof![
        1 => Just((0.0, 0.0)),
        5 => (0.0..8.0_f64).prop_map(|ratio| (ratio, 0.0)),
        2 => (-4.0..0.0_f64).prop_map(|p| (10_f64.powf(p), 0.0)),
        4 => (0.0..5.0_f64).prop_map(|theta| (0.0, theta)),
        2 => (-12.0..0.0_f64).prop_map(|p| (0.0, 10_f64.powf(p))),
    ];
    let log_sigma = sigma.start().log10()..=sigma.end().log10();
    (log_sigma, mean, any::<bool>(), -3.0..3.0_f64).prop_map(
        move |(log_sigma, (ratio, theta), negative, log_factor)| {
            let sigma = 10_f64.powf(log_sigma);
            let size = f64::min(ratio * sigma, largest) + theta;
            Point { theta: if negative { -size } else { size }, sigma, factor: 10_f64.powf(log_factor) }
        },
    )
}

/// Weights that share a scale: mostly a few, sometimes as many as a layer's.
pub(super) fn groups() -> impl Strategy<Value = Vec<Point>> {
    let weights = |count: std::ops::Range<usize>| prop::collection::vec(up_to(5.0, 1e-3..=10.0), count);
    prop_oneof![12 => weights(1..20), 3 => weights(20..300), 1 => weights(300..3000)]
}

impl Point {
    /// For laws that are not about one posterior.
    pub const NOWHERE: Point = Point { theta: 0.0, sigma: 1.0, factor: 1.0 };

    pub fn log_var(&self) -> f64 {
        2.0 * self.sigma.ln()
    }

    pub fn posterior(&self) -> Normal<f64> {
        Normal::new(self.theta, self.log_var())
    }

    /// The same point with these numbers rounded to single precision, so that rounding the input does not count as an
    /// error of the formula.
    pub fn rounded(&self) -> (f64, f64) {
        (f64::from(self.theta as f32), f64::from(self.log_var() as f32))
    }

    /// `Ok` if `found = expected` within `within`; NaN violates it.
    pub fn agree(&self, law: Law, what: &'static str, found: f64, expected: f64, within: f64) -> Result<(), Violation> {
        if (found - expected).abs() <= within {
            return Ok(());
        }
        Err(Violation { what: what.into(), found, expected, within, ..self.breaks(law) })
    }

    /// The violation of a panic.
    pub fn panicked(&self, panic: &(dyn std::any::Any + Send)) -> Violation {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Violation { what: text.unwrap_or("a panic without a message").to_owned().into(), ..self.breaks(Law::Panic) }
    }

    fn breaks(&self, law: Law) -> Violation {
        let (theta, sigma, prior, what) = (self.theta, self.sigma, String::new(), "".into());
        Violation { prior, law, theta, sigma, what, found: f64::NAN, expected: f64::NAN, within: 0.0 }
    }
}

/// Names for the three numbers of [`evaluate`].
pub(super) const PARTS: [&str; 3] = ["KL", "max(|theta|, sigma) dKL/dtheta", "dKL/dlog_var"];

/// The value and the gradient, the first derivative in units of max(|θ|, σ).
pub(super) fn evaluate<L: Lane>(prior: &impl Prior, theta: f64, log_var: f64) -> [f64; 3] {
    let (mean, log_variance) = Dual::inputs(L::splat(theta), L::splat(log_var));
    let kl = prior.kl(Normal::new(mean, log_variance));
    [kl.value.first(1).sum(), kl.grad[0].first(1).sum() * unit(theta, log_var), kl.grad[1].first(1).sum()]
}

pub(super) fn unit(theta: f64, log_var: f64) -> f64 {
    theta.abs().max((0.5 * log_var).exp())
}
