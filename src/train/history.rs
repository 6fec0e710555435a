//! Per-epoch metrics of a training run.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use sparsevd_infer::FileError;

use crate::metrics::Metrics;
use crate::prune::Sparsity;

/// The metrics of one epoch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 0.
    pub epoch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// The KL weight.
    pub beta: f64,
    /// The mean negative log-likelihood while training, in nats per datum.
    pub nll: f64,
    /// The summed KL in nats, at the last step.
    pub kl: f64,
    /// The fraction misclassified while training, noise included.
    pub train_error: f64,
    /// For the caller to fill in: scores on data not trained on.
    pub test: Option<Metrics>,
    /// What pruning at log alpha = 3 would keep, layer by layer.
    pub sparsity: Sparsity,
    /// Time taken.
    pub seconds: f64,
    /// A sign that the training is not learning.
    #[serde(default)]
    pub warning: Option<Warning>,
}

/// A sign that a training run is not learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// All weights have a log alpha of 3 or more, or a mean of zero.
    AllPruned,
    /// From the second epoch on: the NLL is no better than that of predicting every class as often as it occurs.
    NothingLearned,
    /// The KL is below zero by 0.01 nats a weight or more: no proper prior's is.
    NegativeKl,
    /// Fewer than 5 steps an epoch and 1,000 in all, as with a large batch of few data.
    FewSteps,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Warning::AllPruned => {
                "every weight would be pruned: the KL outweighs the likelihood; give it a longer warm_up, a smaller beta, or more data"
            }
            Warning::NegativeKl => {
                "the KL is negative, which that of a probability density never is; check the prior with `Laws::of(prior).check()`"
            }
            Warning::FewSteps => {
                "there are few steps in which to learn; make batch smaller, or epochs more"
            }
            Warning::NothingLearned => {
                "nothing is learned but how frequent each class is; check inputs and labels, or change learning_rate, warm_up or beta"
            }
        })
    }
}

/// Per-epoch metrics of a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// In order.
    pub epochs: Vec<Epoch>,
    /// Sparsity before the first step: a wide initial log sigma^2 or small means already count as noise.
    pub sparsity_at_start: f64,
    /// Whether it was stopped before the last epoch was over.
    pub stopped: bool,
}

impl History {
    /// The warning of the last epoch: a sign that the training run has not learned what it could.
    pub fn warning(&self) -> Option<Warning> {
        self.epochs.last().and_then(|epoch| epoch.warning)
    }

    /// Whether these can be epochs, one after the other.
    ///
    /// # Errors
    /// [`FileError::Structure`] naming the first number that cannot be.
    pub(crate) fn check(&self) -> Result<(), FileError> {
        in_range("history", "sparsity_at_start", self.sparsity_at_start, 0.0..=1.0)?;
        self.epochs.iter().enumerate().try_for_each(|(i, epoch)| epoch.check(i))
    }
}

impl Epoch {
    /// Whether it can be the epoch of this number.
    fn check(&self, number: usize) -> Result<(), FileError> {
        let what = format!("history, epoch {number}");
        let finite = f64::MIN..=f64::MAX;
        in_range(&what, "epoch", self.epoch as f64, number as f64..=number as f64)?;
        in_range(&what, "learning_rate", self.learning_rate, 0.0..=f64::MAX)?;
        in_range(&what, "beta", self.beta, 0.0..=f64::MAX)?;
        in_range(&what, "seconds", self.seconds, 0.0..=f64::MAX)?;
        in_range(&what, "nll", self.nll, finite.clone())?;
        in_range(&what, "kl", self.kl, finite)?;
        in_range(&what, "train_error", self.train_error, 0.0..=1.0)?;
        match self.sparsity.layers.iter().find(|l| l.weights == 0 || l.kept > l.weights) {
            Some(l) => Err(FileError::structure(what, format!("{} of {} weights are kept", l.kept, l.weights))),
            None => Ok(()),
        }
    }
}

/// Refuses a number outside its range, and NaN.
pub(crate) fn in_range(what: &str, name: &str, value: f64, range: RangeInclusive<f64>) -> Result<(), FileError> {
    let (least, most) = (range.start(), range.end());
    let must_be = match (*least == f64::MIN, *most == f64::MAX) {
        _ if range.contains(&value) => return Ok(()),
        (true, _) => "finite".into(),
        (_, true) => format!("finite and at least {least}"),
        _ => format!("from {least} to {most}"),
    };
    Err(FileError::structure(what, format!("{name} is {value:?}; it must be {must_be}")))
}
