//! The training loop.

use std::ops::ControlFlow;
use std::time::Instant;

use dfdx::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::adam::Adam;
use crate::backend::{Backend, Elem, Taped};
use crate::data::{Augment, Dataset, Layout};
use crate::elbo::{Elbo, Loss};
use crate::error::{Error, setting};
use crate::likelihood::categorical;
use crate::network::Network;
use crate::predict::{Classifier, batch, fits, inputs};
use crate::schedule::Schedule;
use crate::sparsity::THRESHOLD;

/// Trains a classifier with Adam on the negative ELBO, in shuffled mini-batches.
///
/// The same seed and network give the same result, whatever the number of threads; [`on_threads`](crate::on_threads) chooses
/// it, and makes training of small networks faster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trainer {
    /// Passes over the data.
    pub epochs: usize,
    /// Data in a mini-batch; what does not fill the last one waits for the next epoch's shuffle.
    pub batch: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// The KL weight after the warm-up.
    pub beta: f64,
    /// The epochs between which the KL weight rises from 0.
    pub warm_up: (f64, f64),
    /// How images are shifted and mirrored, anew each time they are seen; not at all by default.
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
            warm_up: (0.0, 0.0),
            augment: Augment::default(),
            seed: 0,
            progress: true,
        }
    }
}

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
    /// For the caller to fill in: an error on data not trained on.
    pub test_error: Option<f64>,
    /// The fraction of weights at or above log alpha = 3.
    pub sparsity: f64,
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
    /// Whether the caller stopped it early.
    pub stopped: bool,
}

impl Trainer {
    /// Trains `network` on `data`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting out of range; [`Error::Input`] or [`Error::Shape`] for data the network cannot take;
    /// [`Error::NotFinite`] as soon as the objective is NaN or infinite, naming layer, epoch and step.
    pub fn fit<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        self.fit_with(network, data, |_, _| ControlFlow::Continue(()))
    }

    /// As [`fit`](Trainer::fit), calling `after_epoch` with the network and what the epoch came to; it may evaluate, add
    /// to the record, or stop the training. Meanwhile the device's cache is on, so that each step reuses the memory of the
    /// last; afterwards it is off and empty.
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit).
    pub fn fit_with<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        mut after_epoch: impl FnMut(&mut N, &mut Epoch) -> ControlFlow<()>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let elbo = self.check(data)?;
        fits(network, data)?;
        let device = network.layers().first().ok_or(Error::NoLayer)?.1.device();
        device.try_enable_cache().map_err(Error::device)?;
        let history = self.epochs(network, data, &elbo, &mut after_epoch);
        device.try_disable_cache().map_err(Error::device)?;
        history
    }

    fn epochs<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        elbo: &Elbo,
        after_epoch: &mut impl FnMut(&mut N, &mut Epoch) -> ControlFlow<()>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let mut adam = Adam::new(self.learning_rate);
        let mut history = History { sparsity_at_start: network.sparsity(THRESHOLD)?.sparsity(), ..History::default() };
        let bar = self.bar(data.len() / self.batch);
        for epoch in 0..self.epochs {
            adam.learning_rate = self.learning_rate * self.schedule.factor(epoch, self.epochs);
            let mut record = self.epoch(network, data, elbo, &mut adam, epoch, &bar)?;
            let flow = after_epoch(network, &mut record);
            self.show(&bar, &record);
            history.epochs.push(record);
            if flow.is_break() {
                history.stopped = epoch + 1 < self.epochs;
                break;
            }
        }
        bar.finish_and_clear();
        Ok(history)
    }

    fn check<L: Layout>(&self, data: &Dataset<L>) -> Result<Elbo, Error> {
        setting(self.batch > 0, "batch", 0.0, "at least 1")?;
        setting(self.batch <= data.len(), "batch", self.batch as f64, "no larger than the data set")?;
        let rate = self.learning_rate;
        setting(rate > 0.0 && rate.is_finite(), "learning_rate", rate, "positive and finite")?;
        self.schedule.check()?;
        self.augment.check(data)?;
        Elbo::new(data.len())?.beta(self.beta)?.warm_up(self.warm_up.0, self.warm_up.1)
    }

    fn epoch<N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        network: &mut N,
        data: &Dataset<L>,
        elbo: &Elbo,
        adam: &mut Adam<E, D>,
        epoch: usize,
        bar: &ProgressBar,
    ) -> Result<Epoch, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let start = Instant::now();
        let device = network.layers().first().ok_or(Error::NoLayer)?.1.device();
        let order = self.order(data.len(), epoch);
        let (mut nll, mut wrong, mut last_kl, mut seen) = (0.0, 0, 0.0, 0);
        for (step, which) in order.chunks_exact(self.batch).enumerate() {
            let seed = mix(mix(self.seed, epoch as u64), step as u64);
            seed_noise(network, seed);
            let labels: Vec<usize> = which.iter().map(|&i| data.label(i)).collect();
            let x = self.inputs::<I, E, D, L>(&device, data, which, seed)?;
            let logits = network.try_forward_mut(x).map_err(Error::device)?;
            wrong += misclassified(&logits, &labels);
            let loss = elbo.loss(network, categorical(logits, &labels)?, epoch as f64)?;
            check_finite(network, &loss, epoch, step)?;
            (nll, last_kl, seen) = (nll + loss.nll, loss.kl, seen + 1);
            adam.step(network, loss.objective)?;
            bar.inc(1);
        }
        Ok(Epoch {
            epoch,
            learning_rate: adam.learning_rate,
            beta: elbo.beta_at(epoch as f64),
            nll: nll / seen as f64,
            kl: last_kl,
            train_error: wrong as f64 / (seen * self.batch) as f64,
            test_error: None,
            sparsity: network.sparsity(THRESHOLD)?.sparsity(),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The order of the data in an epoch.
    fn order(&self, n: usize, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut StdRng::seed_from_u64(mix(self.seed, epoch as u64)));
        order
    }

    /// Some of the images, augmented as the step's seed decides.
    fn inputs<const I: usize, E: Elem, D: Backend<E>, L: Layout>(
        &self,
        device: &D,
        data: &Dataset<L>,
        which: &[usize],
        seed: u64,
    ) -> Result<Tensor<L::Shape<I>, E, D>, Error> {
        if self.augment.is_off() {
            return inputs(device, data, which);
        }
        let (mut pixels, mut random) = (Vec::new(), StdRng::seed_from_u64(mix(seed, u64::MAX)));
        self.augment.batch(data, which, &mut random, &mut pixels);
        batch(device, data, pixels.iter())
    }

    fn bar(&self, steps: usize) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:24} epoch {prefix} {eta:>4} left  {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new((self.epochs * steps) as u64).with_style(style).with_prefix(format!("0/{}", self.epochs))
    }

    fn show(&self, bar: &ProgressBar, epoch: &Epoch) {
        bar.set_prefix(format!("{}/{}", epoch.epoch + 1, self.epochs));
        let (error, sparse) = (100.0 * epoch.train_error, 100.0 * epoch.sparsity);
        bar.set_message(format!(
            "nll {:.3}  kl {:.0}  train error {error:.2} %  sparse {sparse:.1} %",
            epoch.nll, epoch.kl
        ));
    }
}

/// Ties a step's noise to the seed, so that a training does not depend on what ran before it.
fn seed_noise<E: Elem, D: Backend<E>>(network: &mut impl Network<E, D>, seed: u64) {
    for (i, (_, layer)) in network.layers_mut().into_iter().enumerate() {
        layer.seed_noise(mix(seed, i as u64));
    }
}

/// A seed from a seed and a number.
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let z = (seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 27)
}

fn misclassified<const C: usize, E: Elem, D: Backend<E>>(
    logits: &Taped<(usize, Const<C>), E, D>,
    labels: &[usize],
) -> usize {
    let logits = logits.as_vec();
    let best = |row: &[E]| (1..C).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    logits.chunks(C).zip(labels).filter(|(row, label)| best(row) != **label).count()
}

/// Stops at the first number that is not one, and says where it came from.
fn check_finite<E: Elem, D: Backend<E>>(
    network: &impl Network<E, D>,
    loss: &Loss<E, D>,
    epoch: usize,
    step: usize,
) -> Result<(), Error> {
    if loss.nll.is_finite() && loss.kl.is_finite() {
        return Ok(());
    }
    let found =
        |what: &str, value: f64, layer: String| Error::NotFinite { what: what.into(), value, layer, epoch, step };
    for (path, layer) in network.layers() {
        if let Some((parameter, value)) = layer.not_finite() {
            return Err(found(parameter, value, format!("layer {path}")));
        }
        let kl = layer.kl()?.as_vec().first().map_or(f64::NAN, |x| x.f64());
        if !kl.is_finite() {
            return Err(found("the KL", kl, format!("layer {path}")));
        }
    }
    Err(found("the negative log-likelihood", loss.nll, "the output".into()))
}
