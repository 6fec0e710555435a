//! The laws that every prior must obey.

use super::points::{PARTS, Point, evaluate, unit};
use super::{Law, Laws, Violation};
use crate::lanes::Lanes;
use crate::normal::Normal;
use crate::prior::{LearnedScale, Moments, Prior};

/// The steps of finite differences: their error is `step⁴ / 30` times a fifth derivative, and rounding costs 1e-15 over
/// the step.
const STEPS: [f64; 3] = [3e-4, 3e-5, 3e-6];
/// The tolerance of a gradient against finite differences of the value, whose own error is below it if a prior has one
/// scale.
const SLOPE: f64 = 1e-6;

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
        let unit = unit(theta, log_var);
        let [dual, slopes @ ..] = evaluate::<f64>(&self.prior, theta, log_var);
        let here = self.prior.kl(at.posterior());
        at.agree(Law::DualValue, PARTS[0], dual, here, 1e-12 * (1.0 + here.abs()))?;

        let along_theta = |t: f64| self.prior.kl(Normal::new(theta + t * unit, log_var));
        let along_log_var = |t: f64| self.prior.kl(Normal::new(theta, log_var + t));
        let along: [&dyn Fn(f64) -> f64; 2] = [&along_theta, &along_log_var];
        for ((slope, f), what) in slopes.into_iter().zip(along).zip(&PARTS[1..]) {
            let holds = |step: f64| {
                let (numeric, expected) = derivative(f, here, slope, step);
                at.agree(Law::Gradient, what, slope, expected, SLOPE * (1.0 + here.abs() + numeric.abs()))
            };
            // For a quadrature over a sharp peak only the smaller steps are small enough. A wrong slope fails them all.
            let coarse = holds(STEPS[0]);
            if coarse.is_err() && !STEPS[1..].iter().any(|step| holds(*step).is_ok()) {
                return coarse;
            }
        }
        Ok(())
    }

    pub(super) fn single_precision(&self, at: &Point) -> Result<(), Violation> {
        let (theta, log_var) = at.rounded();
        let exact = evaluate::<f64>(&self.prior, theta, log_var);
        let single = evaluate::<f32>(&self.prior, theta, log_var);
        let lanes = evaluate::<Lanes>(&self.prior, theta, log_var);
        for (i, what) in PARTS.iter().enumerate() {
            let within = self.single_bound * (1.0 + exact[0].abs() + exact[i].abs());
            at.agree(Law::SinglePrecision, what, single[i], exact[i], within)?;
            at.agree(Law::Lanes, what, lanes[i], exact[i], within)?;
        }
        Ok(())
    }

    /// At the fitted scale the summed KL is flat, and nowhere lower.
    pub(super) fn fitted_scale(&self, learned: &dyn LearnedScale, group: &[Point]) -> Result<(), Violation> {
        let n = group.len() as f64;
        let mean = |f: fn(&Point) -> f64| group.iter().map(f).sum::<f64>() / n;
        let moments = Moments {
            first: mean(|p| p.theta),
            second: mean(|p| p.theta.powi(2) + p.sigma.powi(2)),
            count: group.len(),
        };
        let (at, scale) = (group[0], learned.fit(&moments));
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
        let slope = (total(1.0 + STEPS[0]) - total(1.0 - STEPS[0])) / (2.0 * STEPS[0]);
        at.agree(Law::Fit, "the derivative of the summed KL in log scale", slope, 0.0, 1e-5 * (n + best.abs()))
    }
}

/// The derivative of `f` at 0 by finite differences, and the expected `slope`: the same, or at a kink any number
/// between the two one-sided derivatives.
fn derivative(f: &dyn Fn(f64) -> f64, here: f64, slope: f64, step: f64) -> (f64, f64) {
    let [two_left, one_left, one_right, two_right] = [-2.0, -1.0, 1.0, 2.0].map(|steps| f(steps * step));
    let numeric = (8.0 * (one_right - one_left) - (two_right - two_left)) / (12.0 * step);
    let right = (4.0 * one_right - two_right - 3.0 * here) / (2.0 * step);
    let left = (3.0 * here - 4.0 * one_left + two_left) / (2.0 * step);
    let between = slope.max(left.min(right)).min(left.max(right));
    (numeric, if (slope - between).abs() < (slope - numeric).abs() { between } else { numeric })
}

const IN_SINGLE: [&str; 3] = ["KL in f32", "dKL/dtheta in f32", "dKL/dlog_var in f32"];
const IN_LANES: [&str; 3] = ["KL in lanes", "dKL/dtheta in lanes", "dKL/dlog_var in lanes"];
