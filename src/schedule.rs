//! Learning-rate schedules.

use serde::{Deserialize, Serialize};

use crate::error::{Error, setting};

/// How the learning rate changes over the epochs. Much of the sparsity comes when it decays to zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Constant for this fraction of the epochs, then linearly to zero at the end.
    LinearToZero {
        /// From 0 (at once) to 1 (never).
        from: f64,
    },
    /// Multiplied by `factor` at each of these epochs.
    Steps {
        /// Epochs, from 0.
        at: Vec<usize>,
        /// At most 1.
        factor: f64,
    },
    /// `LinearToZero` from one half: the authors' schedule for LeNet-300-100, and the default.
    #[default]
    HalfThenLinear,
}

impl Schedule {
    /// What the learning rate is multiplied by in epoch `epoch` of `epochs`.
    pub fn factor(&self, epoch: usize, epochs: usize) -> f64 {
        let linear = |from: f64| {
            let (done, start) = (epoch as f64 / epochs.max(1) as f64, from.clamp(0.0, 1.0));
            if done <= start { 1.0 } else { (1.0 - done) / (1.0 - start) }
        };
        match self {
            Schedule::Constant => 1.0,
            Schedule::LinearToZero { from } => linear(*from),
            Schedule::HalfThenLinear => linear(0.5),
            Schedule::Steps { at, factor } => factor.powi(at.iter().filter(|at| **at <= epoch).count() as i32),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Schedule::LinearToZero { from } => {
                setting((0.0..=1.0).contains(from), "schedule.from", *from, "between 0 and 1")
            }
            Schedule::Steps { factor, .. } => {
                setting(*factor > 0.0 && *factor <= 1.0, "schedule.factor", *factor, "more than 0 and at most 1")
            }
            Schedule::Constant | Schedule::HalfThenLinear => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors() {
        assert_eq!(Schedule::Constant.factor(7, 10), 1.0);
        assert_eq!(Schedule::HalfThenLinear.factor(50, 100), 1.0);
        assert_eq!(Schedule::HalfThenLinear.factor(75, 100), 0.5);
        assert_eq!(Schedule::LinearToZero { from: 0.0 }.factor(25, 100), 0.75);
        let steps = Schedule::Steps { at: vec![2, 4], factor: 0.1 };
        assert_eq!([0, 2, 4].map(|e| steps.factor(e, 10)), [1.0, 0.1, 0.1 * 0.1]);
        assert!(Schedule::LinearToZero { from: f64::NAN }.check().is_err());
    }
}
