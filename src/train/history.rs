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
    /// The number of the epoch, from 0.
    pub epoch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// The KL weight.
    pub beta: f64,
    /// The mean negative log-likelihood during training, in nats per example.
    pub nll: f64,
    /// The summed KL in nats, at the last step.
    pub kl: f64,
    /// The fraction of examples misclassified during training, with noise.
    pub train_error: f64,
    /// Scores on test data, for the caller to fill in.
    pub test: Option<Metrics>,
    /// The sparsity that pruning at log α = 3 would give, layer by layer.
    pub sparsity: Sparsity,
    /// The time taken, in seconds.
    pub seconds: f64,
    /// A sign that the training run is not learning.
    #[serde(default)]
    pub warning: Option<Warning>,
}

/// A sign that a training run is not learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// All weights have a log α of 3 or more, or a mean of zero.
    AllPruned,
    /// From the second epoch on: the NLL is no better than that of predicting every class as often as it occurs.
    NothingLearned,
    /// The KL is below zero by more than 0.01 nats per weight, which no proper prior's can be.
    NegativeKl,
    /// Fewer than 5 steps per epoch and 1,000 in all, as with a large batch and few examples.
    FewSteps,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Warning::AllPruned => {
                "every weight would be pruned: the KL outweighs the likelihood; set a longer warm_up or a smaller beta, or train on more data"
            }
            Warning::NegativeKl => {
                "the KL is negative, which it cannot be if the prior is a probability density; check it with `Laws::of(prior).check()`"
            }
            Warning::FewSteps => {
                "there are too few steps to learn; set a smaller batch, or more epochs"
            }
            Warning::NothingLearned => {
                "the network has learned only the class frequencies; check inputs and labels, or change learning_rate, warm_up or beta"
            }
        })
    }
}

/// Per-epoch metrics of a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The epochs, in order.
    pub epochs: Vec<Epoch>,
    /// The sparsity before the first step: with a large initial log σ² or small means, some weights count as noise
    /// already.
    pub sparsity_at_start: f64,
    /// True if the training run was stopped before the end of the last epoch.
    pub stopped: bool,
}

impl History {
    /// The warning of the last epoch: a sign that the training run has not learned what it could.
    pub fn warning(&self) -> Option<Warning> {
        self.epochs.last().and_then(|epoch| epoch.warning)
    }

    /// `Ok` if the epochs are valid and in order.
    ///
    /// # Errors
    /// [`FileError::Structure`] naming the first number out of range.
    pub(crate) fn check(&self) -> Result<(), FileError> {
        in_range("history", "sparsity_at_start", self.sparsity_at_start, 0.0..=1.0)?;
        self.epochs.iter().enumerate().try_for_each(|(i, epoch)| epoch.check(i))
    }
}

impl Epoch {
    /// `Ok` if it is a valid epoch with this number.
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

/// Rejects a number outside its range, and NaN.
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
