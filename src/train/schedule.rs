//! Schedules of the learning rate and of the KL weight.

use serde::{Deserialize, Serialize};

use crate::error::{Error, setting};

/// The schedule of the learning rate over the epochs. Much of the sparsity develops while it decays to zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// A constant learning rate.
    Constant,
    /// Constant for this fraction of the epochs, then linearly to zero at the end.
    LinearToZero {
        /// The fraction, from 0 (it decays from the start) to 1 (it never decays).
        from: f64,
    },
    /// One cycle (Smith and Topin 2018): it rises linearly for this fraction of the epochs, then falls to zero along half
    /// a cosine. It suits a network that starts from random weights with a large learning rate.
    OneCycle {
        /// The fraction, from 0 to 1.
        rise: f64,
    },
    /// Multiplied by `factor` at each of these epochs.
    Steps {
        /// The epochs, from 0.
        at: Vec<usize>,
        /// The factor, positive and at most 1.
        factor: f64,
    },
    /// `LinearToZero` from one half: the authors' schedule for LeNet-300-100, and the default.
    #[default]
    HalfThenLinear,
}

impl Schedule {
    /// The factor of the learning rate in epoch `epoch` of `epochs`.
    pub fn factor(&self, epoch: usize, epochs: usize) -> f64 {
        let linear = |from: f64| {
            let (done, start) = (epoch as f64 / epochs.max(1) as f64, from.clamp(0.0, 1.0));
            if done <= start { 1.0 } else { (1.0 - done) / (1.0 - start) }
        };
        match self {
            Schedule::Constant => 1.0,
            Schedule::OneCycle { rise } => {
                let done = (epoch as f64 + 0.5) / epochs.max(1) as f64; // at the middle of the epoch
                let fall = || 0.5 * (1.0 + (std::f64::consts::PI * (done - rise) / (1.0 - rise)).cos());
                if done < *rise { done / rise } else { fall() }
            }
            Schedule::LinearToZero { from } => linear(*from),
            Schedule::HalfThenLinear => linear(0.5),
            Schedule::Steps { at, factor } => factor.powi(at.iter().filter(|at| **at <= epoch).count() as i32),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Schedule::OneCycle { rise } => {
                setting((0.0..=1.0).contains(rise), "schedule.rise", *rise, "between 0 and 1")
            }
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

/// The epochs over which the KL weight rises linearly from 0. Epochs count from 0, and each has one weight: 0 up to the
/// first of the two epochs, the full weight from the second on.
///
/// Without a warm-up the KL outweighs the likelihood while the network has learned nothing, and prunes all of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarmUp {
    /// From the first to the second fraction of the epochs; a training run of one epoch has the full weight.
    Share(f64, f64),
    /// The full weight from the start.
    Off,
    /// From the first to the second epoch; in files a plain pair.
    #[serde(untagged)]
    Epochs(f64, f64),
}

/// From a twentieth to a half of the epochs, as in this library's experiments.
impl Default for WarmUp {
    fn default() -> Self {
        WarmUp::Share(0.05, 0.5)
    }
}

impl WarmUp {
    /// The two epochs, in a training run of `epochs` epochs.
    pub fn between(&self, epochs: usize) -> (f64, f64) {
        match *self {
            WarmUp::Share(..) if epochs < 2 => (0.0, 0.0), // there is no second epoch to rise to
            WarmUp::Share(from, to) => (from * epochs as f64, to * epochs as f64),
            WarmUp::Epochs(from, to) => (from, to),
            WarmUp::Off => (0.0, 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_ups_are_read_as_they_are_written() {
        let read = |text: &str| serde_json::from_str::<WarmUp>(text).unwrap();
        for warm_up in [WarmUp::Share(0.05, 0.5), WarmUp::Epochs(2.0, 20.0), WarmUp::Off] {
            assert_eq!(read(&serde_json::to_string(&warm_up).unwrap()), warm_up);
        }
        assert_eq!(read("[2.0, 20.0]"), WarmUp::Epochs(2.0, 20.0), "the only form of older files");
        assert_eq!([1, 2].map(|epochs| WarmUp::Share(0.5, 1.0).between(epochs)), [(0.0, 0.0), (1.0, 2.0)]);
    }

    #[test]
    fn factors() {
        assert_eq!(Schedule::Constant.factor(7, 10), 1.0);
        assert_eq!(Schedule::HalfThenLinear.factor(50, 100), 1.0);
        assert_eq!(Schedule::HalfThenLinear.factor(75, 100), 0.5);
        assert_eq!(Schedule::LinearToZero { from: 0.0 }.factor(25, 100), 0.75);
        let cycle = |rise| (0..10).map(|epoch| Schedule::OneCycle { rise }.factor(epoch, 10)).collect::<Vec<_>>();
        let factors = cycle(0.2);
        let (risen, falling) = factors.split_at(2);
        assert!((risen[0] - 0.25).abs() < 1e-12 && (risen[1] - 0.75).abs() < 1e-12, "{risen:?}");
        assert!(falling.is_sorted_by(|a, b| a > b) && falling[0] > 0.98 && falling[7] > 0.0 && falling[7] < 0.02);
        assert!(cycle(1.0).is_sorted() && cycle(0.0)[0] > 0.99);
        let steps = Schedule::Steps { at: vec![2, 4], factor: 0.1 };
        assert_eq!([0, 2, 4].map(|e| steps.factor(e, 10)), [1.0, 0.1, 0.1 * 0.1]);
        assert!(Schedule::LinearToZero { from: f64::NAN }.check().is_err());
        assert!(Schedule::OneCycle { rise: -0.1 }.check().is_err());
    }
}
