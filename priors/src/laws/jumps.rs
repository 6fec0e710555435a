//! The law that the KL has no jumps, which finite differences at a few points cannot detect.

use super::points::{Point, evaluate, unit};
use super::{Law, Laws, Violation, reference};
use crate::normal::Normal;
use crate::prior::Prior;

/// The smallest jump that is found, in nats, relative to the change of the KL around it.
const JUMP: f64 = 1e-2;

impl<P: Prior> Laws<P> {
    /// From here to a larger mean, and to a larger variance, the value changes by the integral of its gradient.
    pub(super) fn continuous(&self, at: &Point) -> Result<(), Violation> {
        let (theta, log_var) = (at.theta, at.log_var());
        let outwards = if theta < 0.0 { -unit(theta, log_var) } else { unit(theta, log_var) };
        self.no_jump(at, |t| (theta + t * outwards, log_var), |theta, log_var| [outwards / unit(theta, log_var), 0.0])?;
        self.no_jump(at, |t| (theta, log_var + 2.0 * t), |_, _| [0.0, 2.0])
    }

    /// The same along a path for t from 0 to 1, with the speed of both parameters: of θ in its unit.
    fn no_jump(
        &self,
        at: &Point,
        path: impl Fn(f64) -> (f64, f64),
        speed: impl Fn(f64, f64) -> [f64; 2],
    ) -> Result<(), Violation> {
        let value = |t: f64| {
            let (theta, log_var) = path(t);
            self.prior.kl(Normal::new(theta, log_var))
        };
        let slope = |t: f64| {
            let (theta, log_var) = path(t);
            let [_, by_theta, by_log_var] = evaluate::<f64>(&self.prior, theta, log_var);
            let [theta_speed, log_var_speed] = speed(theta, log_var);
            by_theta * theta_speed + by_log_var * log_var_speed
        };
        let unexplained = |from: f64, to: f64| value(to) - value(from) - reference::integral(&slope, from, to);
        let (start, end) = (value(0.0), value(1.0));
        let within = JUMP * (1.0 + (end - start).abs()) + 1e-9 * start.abs();
        let (mut from, mut to, mut jump) = (0.0, 1.0, unexplained(0.0, 1.0));
        // An error of the integral vanishes as the interval shrinks around it; a jump stays.
        for _ in 0..30 {
            if jump.abs() <= within {
                return Ok(());
            }
            let middle = 0.5 * (from + to);
            let (left, right) = (unexplained(from, middle), unexplained(middle, to));
            (from, to, jump) = if right.abs() > left.abs() { (middle, to, right) } else { (from, middle, left) };
        }
        let (theta, log_var) = path(from);
        let there = Point { theta, sigma: (0.5 * log_var).exp(), ..*at };
        there.agree(Law::Continuous, "the jump of the KL", jump, 0.0, within)
    }
}
