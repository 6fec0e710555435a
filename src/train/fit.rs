//! Training a classifier: `Trainer::fit` and its variants.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::checkpoint::Checkpoints;
use super::checks::norm_of_one;
use super::codec::parse;
use super::history::{Epoch, History};
use super::run::Run;
use super::trainer::Trainer;
use crate::compute::{Backend, Elem};
use crate::data::{Dataset, Layout};
use crate::error::{Error, setting};
use crate::evaluate::{Classifier, fits};

/// A network that [`Trainer::fit`] can train on data laid out as `L`: every [`Classifier`]. The compiler infers `K`,
/// which stands for the network's widths, element type and device.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be trained as a classifier",
    note = "each part must read as many numbers as the one before it gives, and the last gives `(batch, classes)` scores",
    note = "a convolutional network reads images: give it `split.images()`"
)]
pub trait Trainable<L: Layout, K>: Sized {
    /// Trains this network.
    #[doc(hidden)]
    fn train(
        &mut self,
        trainer: &Trainer,
        data: &Dataset<L>,
        checkpoints: Option<&Checkpoints<'_>>,
        after_epoch: impl FnMut(&mut Self, &mut Epoch) -> Result<ControlFlow<()>, Error>,
    ) -> Result<History, Error>;

    /// Restores this network from a checkpoint.
    #[doc(hidden)]
    fn restore(&mut self, trainer: &Trainer, data: &Dataset<L>, bytes: &[u8]) -> Result<History, Error>;
}

/// The widths, element type and device of a classifier.
pub struct Kind<const I: usize, const C: usize, E, D>(PhantomData<(E, D)>);

impl<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout> Trainable<L, Kind<I, C, E, D>> for N
where
    N: Classifier<I, C, E, D, L>,
{
    fn train(
        &mut self,
        trainer: &Trainer,
        data: &Dataset<L>,
        checkpoints: Option<&Checkpoints<'_>>,
        after_epoch: impl FnMut(&mut Self, &mut Epoch) -> Result<ControlFlow<()>, Error>,
    ) -> Result<History, Error> {
        let elbo = trainer.elbo(data)?;
        fits(self, data)?;
        let (name, classes) = (data.name(), data.classes());
        if classes > C {
            return Err(Error::Input(format!("{name} has {classes} classes, the network scores for {C}")));
        }
        for (_, layer) in self.layers_mut() {
            let threshold = layer.settings().masking.threshold().unwrap_or(0.0);
            setting(threshold.is_finite(), "threshold of masking", threshold, "finite")?;
        }
        if L::dims(data.dims()).len() == 1 {
            norm_of_one(self, trainer.batch)?; // in images a norm averages over positions, too
        }
        let mut run = Run::new(self, trainer, data, elbo)?;
        checkpoints.map_or(Ok(()), |checkpoints| run.keep(checkpoints))?;
        let device = run.device.clone();
        device.try_enable_cache().map_err(Error::device)?;
        let history = run.run(after_epoch);
        device.try_disable_cache().map_err(Error::device)?;
        history
    }

    fn restore(&mut self, trainer: &Trainer, data: &Dataset<L>, bytes: &[u8]) -> Result<History, Error> {
        let mut run = Run::new(self, trainer, data, trainer.elbo(data)?)?;
        run.resume(&parse(bytes)?)?;
        Ok(run.history())
    }
}

impl Trainer {
    /// Trains `network` on `data`. A device can have one training run at a time: two that share a `Cpu` would share its
    /// cache. A clone of a device is the same device; another `Cpu::seed_from_u64` is a different one.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting out of range; [`Error::Input`] or [`Error::Shape`] for data that the network
    /// cannot read; [`Error::NotFinite`] as soon as the objective is NaN or infinite, naming layer, epoch and step.
    pub fn fit<L: Layout, K>(&self, network: &mut impl Trainable<L, K>, data: &Dataset<L>) -> Result<History, Error> {
        network.train(self, data, None, |_, _| Ok(ControlFlow::Continue(())))
    }

    /// As [`fit`](Trainer::fit), calling `after_epoch` with the network and the metrics of the epoch; it may evaluate, add
    /// to the record, stop the training run, or end it with an error. Meanwhile the device's cache is on, so that each
    /// step reuses the memory of the last; afterwards it is off and empty.
    ///
    /// ```
    /// use sparsevd::prelude::*;
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() -> Result<(), Error> {
    /// let digits = Split::optdigits()?.take(200, 100, 0)?;
    /// let mut net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<64, 10>, f32>();
    /// let (test, trainer) = (digits.test(), Trainer { epochs: 2, progress: false, ..Trainer::default() });
    /// let history = trainer.fit_with(&mut net, digits.train(), |net, epoch| {
    ///     epoch.test = Some(predict(net, test, Evaluate::Pruned(3.0))?.score(test.labels())?);
    ///     Ok(ControlFlow::Continue(()))
    /// })?;
    /// assert_eq!(history.epochs.iter().filter_map(|epoch| epoch.test.as_ref()).count(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit); that of `after_epoch`.
    pub fn fit_with<N: Trainable<L, K>, L: Layout, K>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        after_epoch: impl FnMut(&mut N, &mut Epoch) -> Result<ControlFlow<()>, Error>,
    ) -> Result<History, Error> {
        network.train(self, data, None, after_epoch)
    }

    /// As [`fit`](Trainer::fit), writing [`Checkpoints`]. Resuming a run that was stopped or killed is bit-identical to
    /// an uninterrupted one. A run that has already ended returns its network and history.
    ///
    /// ```
    /// use sparsevd::prelude::*;
    ///
    /// # fn main() -> Result<(), Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("training.safetensors");
    /// let digits = Split::optdigits()?.take(200, 100, 0)?;
    /// let mut net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<64, 10>, f32>();
    /// let checkpoints = Checkpoints { every: 10, resume: true, ..Checkpoints::at(path) };
    /// Trainer { epochs: 2, ..Trainer::default() }.fit_resumable(&mut net, digits.train(), &checkpoints)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit); [`Error::File`] with [`FileError::Mismatch`](crate::FileError::Mismatch) listing every
    /// difference if the checkpoint is of other settings, another network or other data, or with the error of a damaged
    /// file; the network is then unchanged. [`Error::Checkpoint`] if a checkpoint cannot be written; the previous one
    /// of this run is then intact. Without `resume` a file of an earlier run is deleted at the start.
    pub fn fit_resumable<L: Layout, K>(
        &self,
        network: &mut impl Trainable<L, K>,
        data: &Dataset<L>,
        checkpoints: &Checkpoints<'_>,
    ) -> Result<History, Error> {
        network.train(self, data, Some(checkpoints), |_, _| Ok(ControlFlow::Continue(())))
    }

    /// As [`fit_resumable`](Trainer::fit_resumable), calling `after_epoch` as [`fit_with`](Trainer::fit_with) does. It may
    /// be called again for an epoch whose end was after the last checkpoint.
    ///
    /// # Errors
    /// As [`fit_resumable`](Trainer::fit_resumable); that of `after_epoch`.
    pub fn fit_resumable_with<N: Trainable<L, K>, L: Layout, K>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        checkpoints: &Checkpoints<'_>,
        after_epoch: impl FnMut(&mut N, &mut Epoch) -> Result<ControlFlow<()>, Error>,
    ) -> Result<History, Error> {
        network.train(self, data, Some(checkpoints), after_epoch)
    }

    /// Restores `network` from a checkpoint of this training run, and returns its history.
    ///
    /// # Errors
    /// As [`fit_resumable`](Trainer::fit_resumable), without the name of a file.
    pub fn checkpoint_from_bytes<L: Layout, K>(
        &self,
        network: &mut impl Trainable<L, K>,
        data: &Dataset<L>,
        bytes: &[u8],
    ) -> Result<History, Error> {
        network.restore(self, data, bytes)
    }
}
