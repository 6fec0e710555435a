//! The laws that every prior obeys.

use super::points::{PARTS, Point, evaluate, unit};
use super::{Law, Laws, Violation};
use crate::lanes::Lanes;
use crate::normal::Normal;
use crate::prior::{Moments, Prior};

/// How far single precision may be off, relative to `1 + |KL|` and the derivative itself. Its rounding is 6e-8; the
/// rest is for sums of terms that are some hundred times larger than their result.
const SINGLE: f64 = 3e-5;
/// The step of finite differences: their error is `STEP^4 / 30` times a fifth derivative, and rounding costs 1e-12.
const STEP: f64 = 3e-4;

impl<P: Prior> Laws<P> {
    pub(super) fn finite(&self, at: &Point) -> Result<(), Violation> {
        let (theta, log_var) = at.rounded();
        let kinds = [evaluate::<f64>, evaluate::<f32>, evaluate::<Lanes>];
        for (kind, names) in kinds.iter().zip([["KL", "dKL/dtheta", "dKL/dlog_var"], IN_SINGLE, IN_LANES]) {
            for (found, what) in kind(&self.prior, theta, log_var).into_iter().zip(names) {
                if !found.is_finite() {
                    at.agree(Law::Finite, what, found, 0.0, f64::MAX)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn gradient(&self, at: &Point) -> Result<(), Violation> {
        let (theta, log_var) = (at.theta, at.log_var());
        let value = |i: f64, j: f64| self.prior.kl(Normal::new(theta + i * unit(theta, log_var), log_var + j));
        let [dual, slopes @ ..] = evaluate::<f64>(&self.prior, theta, log_var);
        let here = value(0.0, 0.0);
        at.agree(Law::DualValue, PARTS[0], dual, here, 1e-12 * (1.0 + here.abs()))?;

        let along = [|t: f64| (t, 0.0), |t: f64| (0.0, t)];
        for ((slope, direction), what) in slopes.into_iter().zip(along).zip(&PARTS[1..]) {
            let f = |steps: f64| {
                let (i, j) = direction(steps * STEP);
                value(i, j)
            };
            let numeric = (8.0 * (f(1.0) - f(-1.0)) - (f(2.0) - f(-2.0))) / (12.0 * STEP);
            // At a kink any slope between the two one-sided ones will do.
            let right = (4.0 * f(1.0) - f(2.0) - 3.0 * here) / (2.0 * STEP);
            let left = (3.0 * here - 4.0 * f(-1.0) + f(-2.0)) / (2.0 * STEP);
            let kink = (right - left).abs() > 1e-2 * (1.0 + numeric.abs());
            let expected = if kink { slope.clamp(left.min(right), left.max(right)) } else { numeric };
            let size = 1.0 + here.abs() + numeric.abs();
            at.agree(Law::Gradient, what, slope, expected, self.gradient_bound * size)?;
        }
        Ok(())
    }

    pub(super) fn single_precision(&self, at: &Point) -> Result<(), Violation> {
        let (theta, log_var) = at.rounded();
        let exact = evaluate::<f64>(&self.prior, theta, log_var);
        let single = evaluate::<f32>(&self.prior, theta, log_var);
        let lanes = evaluate::<Lanes>(&self.prior, theta, log_var);
        for (i, what) in PARTS.iter().enumerate() {
            let within = SINGLE * (1.0 + exact[0].abs() + exact[i].abs());
            at.agree(Law::SinglePrecision, what, single[i], exact[i], within)?;
            at.agree(Law::Lanes, what, lanes[i], exact[i], within)?;
        }
        Ok(())
    }

    /// At the fitted scale the summed KL is flat, and nowhere lower.
    pub(super) fn fitted_scale(&self, group: &[Point]) -> Result<(), Violation> {
        let n = group.len() as f64;
        let mean = |f: fn(&Point) -> f64| group.iter().map(f).sum::<f64>() / n;
        let moments = Moments {
            first: mean(|p| p.theta),
            second: mean(|p| p.theta.powi(2) + p.sigma.powi(2)),
            count: group.len(),
        };
        let (at, scale) = (group[0], self.prior.fit(&moments));
        if !(scale > 0.0 && scale.is_finite()) {
            at.agree(Law::Fit, "the scale", scale, moments.second.sqrt(), 0.0)?;
        }
        let total = |factor: f64| -> f64 {
            group.iter().map(|p| self.prior.kl(p.posterior().in_units_of(scale * factor))).sum()
        };
        let best = total(1.0);
        let within = 1e-9 * (n + best.abs());
        for factor in [0.1, 0.5, 0.9, 0.99, 1.01, 1.1, 2.0, 10.0] {
            let other = total(factor);
            at.agree(Law::Fit, "the summed KL", best, best.min(other), within)?;
        }
        let slope = (total(1.0 + STEP) - total(1.0 - STEP)) / (2.0 * STEP);
        at.agree(Law::Fit, "the derivative of the summed KL in log scale", slope, 0.0, 1e-5 * (n + best.abs()))
    }
}

const IN_SINGLE: [&str; 3] = ["KL in f32", "dKL/dtheta in f32", "dKL/dlog_var in f32"];
const IN_LANES: [&str; 3] = ["KL in lanes", "dKL/dtheta in lanes", "dKL/dlog_var in lanes"];
