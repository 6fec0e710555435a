//! The settings of a training run.

use serde::{Deserialize, Serialize};

use super::checks::augmentation;
use super::elbo::Elbo;
use super::groups::Group;
use super::schedule::{Schedule, WarmUp};
use crate::data::{Augment, Dataset, Layout};
use crate::error::{Error, setting};

/// Trains a classifier with Adam on the negative ELBO, in shuffled mini-batches. The defaults are the recipe of this
/// library's experiments: 100 epochs in batches of 100 at 1e-3, which falls to zero over the second half, while the KL
/// weight rises to 1 over the first ([`WarmUp`]).
///
/// The same seed and network give the same result with any number of threads; [`on_threads`](crate::on_threads) sets
/// that number, and makes training of small networks faster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trainer {
    /// The number of passes over the data.
    pub epochs: usize,
    /// The number of examples in a mini-batch. Examples that do not fill the last one are left out of the epoch.
    pub batch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Parameters with a learning rate of their own; none by default.
    pub groups: Vec<Group>,
    /// The change of the learning rate over the epochs.
    pub schedule: Schedule,
    /// The KL weight after the warm-up.
    pub beta: f64,
    /// The rise of the KL weight from 0.
    pub warm_up: WarmUp,
    /// The random shifts, warps and mirrorings of images, drawn anew each time an image is used; none by default.
    pub augment: Augment,
    /// The seed of the order of the data, of their augmentation and of the noise.
    pub seed: u64,
    /// True to show a progress bar.
    pub progress: bool,
}

impl Default for Trainer {
    fn default() -> Self {
        Trainer {
            epochs: 100,
            batch: 100,
            learning_rate: 1e-3,
            groups: Vec::new(),
            schedule: Schedule::default(),
            beta: 1.0,
            warm_up: WarmUp::default(),
            augment: Augment::default(),
            seed: 0,
            progress: true,
        }
    }
}

impl Trainer {
    /// Checks the settings and returns the objective.
    pub(super) fn elbo<L: Layout>(&self, data: &Dataset<L>) -> Result<Elbo, Error> {
        setting(self.batch > 0, "batch", 0.0, "at least 1")?;
        let most = || format!("at most {}, the examples of {}", data.len(), data.name());
        setting(self.batch <= data.len(), "batch", self.batch as f64, most())?;
        let rate = self.learning_rate;
        setting(rate > 0.0 && rate.is_finite(), "learning_rate", rate, "positive and finite")?;
        self.schedule.check()?;
        augmentation(&self.augment, data)?;
        let (from, to) = self.warm_up.between(self.epochs);
        Elbo::new(data.len())?.beta(self.beta)?.warm_up(from, to)
    }
}
