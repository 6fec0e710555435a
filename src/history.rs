//! What a training came to.

use serde::{Deserialize, Serialize};

use crate::metrics::Metrics;
use crate::sparsity::Sparsity;

/// What an epoch of training came to.
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
}

/// The epochs of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// In order.
    pub epochs: Vec<Epoch>,
    /// Sparsity before the first step: a wide initial log sigma^2 or small means already count as noise.
    pub sparsity_at_start: f64,
    /// Whether it was stopped before the last epoch was over.
    pub stopped: bool,
}
