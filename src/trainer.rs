//! How to train.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Elem};
use crate::checkpoint::{Checkpoints, parse};
use crate::data::{Augment, Dataset, Layout};
use crate::elbo::Elbo;
use crate::error::{Error, setting};
use crate::history::{Epoch, History};
use crate::predict::{Classifier, fits};
use crate::schedule::{Schedule, WarmUp};
use crate::training::{Training, norm_of_one};

/// Trains a classifier with Adam on the negative ELBO, in shuffled mini-batches. The defaults are the recipe of this
/// library's experiments: 100 epochs in batches of 100 at 1e-3, which falls to zero over the second half, while the KL
/// weight rises to 1 over the first ([`WarmUp`]).
///
/// The same seed and network give the same result, whatever the number of threads; [`on_threads`](crate::on_threads)
/// chooses it, and makes training of small networks faster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trainer {
    /// Passes over the data.
    pub epochs: usize,
    /// Examples in a mini-batch; what does not fill the last one waits for the next epoch's shuffle.
    pub batch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// The change of the learning rate over the epochs.
    pub schedule: Schedule,
    /// The KL weight after the warm-up.
    pub beta: f64,
    /// The rise of the KL weight from 0.
    pub warm_up: WarmUp,
    /// How images are shifted, warped and mirrored, anew each time they are seen; not at all by default.
    pub augment: Augment,
    /// Determines the order of the data, their augmentation and the noise.
    pub seed: u64,
    /// Whether to show a progress bar.
    pub progress: bool,
}

impl Default for Trainer {
    fn default() -> Self {
        Trainer {
            epochs: 100,
            batch: 100,
            learning_rate: 1e-3,
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
    /// Trains `network` on `data`. One training at a time on a device: two that share a `Cpu` would share its cache. A
    /// clone of the device is the same device, another `Cpu::seed_from_u64` is not.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting out of range; [`Error::Input`] or [`Error::Shape`] for data the network cannot
    /// take; [`Error::NotFinite`] as soon as the objective is NaN or infinite, naming layer, epoch and step.
    pub fn fit<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>, // a convolutional network reads `split.images()`
    {
        self.fit_with(network, data, |_, _| ControlFlow::Continue(()))
    }

    /// As [`fit`](Trainer::fit), calling `after_epoch` with the network and what the epoch came to; it may evaluate,
    /// add to the record, or stop the training. Meanwhile the device's cache is on, so that each step reuses the memory
    /// of the last; afterwards it is off and empty. What goes wrong inside has to be carried out:
    ///
    /// ```
    /// use sparsevd::prelude::*;
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() -> Result<(), Error> {
    /// let digits = Split::optdigits()?.take(200, 100, 0)?;
    /// let mut net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<64, 10>, f32>();
    /// let mut failed = None;
    /// let (test, trainer) = (digits.test(), Trainer { epochs: 2, progress: false, ..Trainer::default() });
    /// let history = trainer.fit_with(&mut net, digits.train(), |net, epoch| {
    ///     let scored = predict(net, test, Evaluate::Pruned(3.0)).and_then(|p| Ok(p.score(test.labels())?));
    ///     epoch.test = scored.map_err(|error| failed = Some(error)).ok();
    ///     if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// })?;
    /// failed.map_or(Ok(()), Err)?;
    /// assert_eq!(history.epochs.iter().filter_map(|epoch| epoch.test.as_ref()).count(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit).
    pub fn fit_with<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        after_epoch: impl FnMut(&mut N, &mut Epoch) -> ControlFlow<()>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        self.train(network, data, None, after_epoch)
    }

    /// As [`fit_with`](Trainer::fit_with), writing [`Checkpoints`], from which a training that was stopped or killed
    /// goes on to exactly the numbers that it would have come to. `after_epoch` may be called again for an epoch whose
    /// end was after the last checkpoint. A training that is over already gives its network and history back.
    ///
    /// ```
    /// use sparsevd::prelude::*;
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() -> Result<(), Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("training.safetensors");
    /// let digits = Split::optdigits()?.take(200, 100, 0)?;
    /// let mut net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<64, 10>, f32>();
    /// let checkpoints = Checkpoints { every: 10, resume: true, ..Checkpoints::at(path) };
    /// let trainer = Trainer { epochs: 2, progress: false, ..Trainer::default() };
    /// trainer.fit_resumable(&mut net, digits.train(), &checkpoints, |_, _| ControlFlow::Continue(()))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit); [`Error::File`] with [`FileError::Mismatch`](crate::FileError::Mismatch) naming all
    /// that differs where the checkpoint is of other settings, another network or other data, or with what is wrong
    /// with the file; the network is then unchanged. [`Error::Checkpoint`] if none can be written; the last one of this
    /// training is then still there. Without `resume` a file of an earlier training is deleted at the start.
    pub fn fit_resumable<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        checkpoints: &Checkpoints<'_>,
        after_epoch: impl FnMut(&mut N, &mut Epoch) -> ControlFlow<()>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        self.train(network, data, Some(checkpoints), after_epoch)
    }

    /// The history of a checkpoint of this training, whose network takes the place of `network`.
    ///
    /// # Errors
    /// As [`fit_resumable`](Trainer::fit_resumable), without the name of a file.
    pub fn checkpoint_from_bytes<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        bytes: &[u8],
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let mut training = Training::new(self, network, data, self.elbo(data)?)?;
        training.resume(network, &parse(bytes)?)?;
        Ok(training.history())
    }

    fn train<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        checkpoints: Option<&Checkpoints<'_>>,
        after_epoch: impl FnMut(&mut N, &mut Epoch) -> ControlFlow<()>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let elbo = self.elbo(data)?;
        fits(network, data)?;
        let (name, classes) = (data.name(), data.classes());
        if classes > C {
            return Err(Error::Input(format!("{name} has {classes} classes, the network scores for {C}")));
        }
        for (_, layer) in network.layers_mut() {
            let threshold = layer.settings().threshold.unwrap_or(0.0);
            setting(threshold.is_finite(), "trained-in threshold", threshold, "finite, or None")?;
        }
        if L::dims(data.dims()).len() == 1 {
            norm_of_one(network, self.batch)?; // in images a norm has all positions
        }
        let mut training = Training::new(self, network, data, elbo)?;
        checkpoints.map_or(Ok(()), |checkpoints| training.keep(network, checkpoints))?;
        let device = training.device.clone();
        device.try_enable_cache().map_err(Error::device)?;
        let history = training.run(network, after_epoch);
        device.try_disable_cache().map_err(Error::device)?;
        history
    }

    /// Checks the settings.
    fn elbo<L: Layout>(&self, data: &Dataset<L>) -> Result<Elbo, Error> {
        setting(self.batch > 0, "batch", 0.0, "at least 1")?;
        let most = || format!("at most {}, the examples of {}", data.len(), data.name());
        setting(self.batch <= data.len(), "batch", self.batch as f64, most())?;
        let rate = self.learning_rate;
        setting(rate > 0.0 && rate.is_finite(), "learning_rate", rate, "positive and finite")?;
        self.schedule.check()?;
        self.augment.check(data)?;
        let (from, to) = self.warm_up.between(self.epochs);
        Elbo::new(data.len())?.beta(self.beta)?.warm_up(from, to)
    }
}
