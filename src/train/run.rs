//! The training loop.

use std::ops::ControlFlow;
use std::time::Instant;

use dfdx::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use rand::seq::SliceRandom;
use sparsevd_infer::Container;

use super::adam::Adam;
use super::checkpoint::Checkpoints;
use super::checks::{entropy, misclassified, norm_of_one};
use super::codec::{self, Codec, Fingerprint, Progress};
use super::elbo::Elbo;
use super::history::{Epoch, History, Warning};
use super::likelihood::categorical;
use super::trainer::Trainer;
use crate::compute::seeds::Seed;
use crate::compute::{Backend, Elem};
use crate::data::{Dataset, Layout};
use crate::error::{Error, LastCheckpoint};
use crate::evaluate::{Classifier, batch, inputs};
use crate::prune::{Prune, Sparsity, THRESHOLD};

/// A network in training, with the state between two steps.
pub(super) struct Run<'a, N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L> {
    network: &'a mut N,
    trainer: &'a Trainer,
    data: &'a Dataset<L>,
    elbo: Elbo,
    pub(super) device: D,
    adam: Adam<E, D>,
    progress: Progress,
    /// The time up to which `progress` has counted.
    clock: Instant,
    bar: ProgressBar,
    checkpoints: Option<(&'a Checkpoints<'a>, Codec<'a>)>,
    last: Option<LastCheckpoint>,
}

impl<'a, N, const I: usize, const C: usize, E: Elem, D: Backend<E>, L: Layout> Run<'a, N, I, C, E, D, L>
where
    N: Classifier<I, C, E, D, L>,
{
    /// A training run at its start.
    pub(super) fn new(
        network: &'a mut N,
        trainer: &'a Trainer,
        data: &'a Dataset<L>,
        elbo: Elbo,
    ) -> Result<Self, Error> {
        let history = History { sparsity_at_start: network.sparsity(THRESHOLD)?.sparsity(), ..History::default() };
        let device = network.layers().first().ok_or(Error::NoLayer)?.1.device();
        Ok(Run {
            trainer,
            data,
            elbo,
            device,
            adam: Adam::new(trainer.learning_rate).with_groups(network, &trainer.groups)?,
            network,
            progress: Progress { history, ..Progress::default() },
            clock: Instant::now(),
            bar: bar(trainer, data.len() / trainer.batch),
            checkpoints: None,
            last: None,
        })
    }

    /// Turns on checkpoints, and resumes from the last one.
    pub(super) fn keep(&mut self, checkpoints: &'a Checkpoints<'a>) -> Result<(), Error> {
        checkpoints.prepare()?;
        if let Some(file) = checkpoints.read()? {
            self.resume(&file).map_err(|error| error.in_file(&checkpoints.path))?;
            self.last = Some(self.here(checkpoints));
        }
        self.checkpoints = Some((checkpoints, self.codec()));
        Ok(())
    }

    /// Resumes from a file.
    pub(super) fn resume(&mut self, file: &Container) -> Result<(), Error> {
        self.progress = self.codec().unpack(file, self.network, &mut self.adam)?;
        self.bar.set_position(self.steps_done() as u64);
        Ok(())
    }

    fn codec(&self) -> Codec<'a> {
        Codec { trainer: self.trainer, data: Fingerprint::of(self.data), per_epoch: self.per_epoch() }
    }

    /// Trains to the end of the last epoch, or until it is stopped.
    pub(super) fn run(
        mut self,
        mut after_epoch: impl FnMut(&mut N, &mut Epoch) -> Result<ControlFlow<()>, Error>,
    ) -> Result<History, Error> {
        let mut stopped = false;
        while self.progress.epoch < self.trainer.epochs && !stopped {
            if self.steps()?.is_break() {
                stopped = true;
            } else {
                let mut record = self.record()?;
                stopped = after_epoch(self.network, &mut record)?.is_break() || self.is_stopped();
                self.show(&record);
                self.progress.next(record);
            }
            if stopped || self.is_due() || self.progress.epoch == self.trainer.epochs {
                self.save()?;
            }
        }
        if let Some(warning) = self.progress.history.warning().filter(|_| self.trainer.progress) {
            self.bar.suspend(|| eprintln!("warning: {warning}"));
        }
        self.bar.finish_and_clear();
        Ok(self.history())
    }

    /// The history of the epochs that have ended.
    pub(super) fn history(self) -> History {
        History { stopped: self.progress.epoch < self.trainer.epochs, ..self.progress.history }
    }

    /// Takes the remaining steps of an epoch; ends between two steps if it is stopped.
    fn steps(&mut self) -> Result<ControlFlow<()>, Error> {
        let (epoch, per_epoch) = (self.progress.epoch, self.per_epoch());
        self.adam.learning_rate = self.trainer.learning_rate * self.trainer.schedule.factor(epoch, self.trainer.epochs);
        self.clock = Instant::now();
        let mut order: Vec<usize> = (0..self.data.len()).collect();
        order.shuffle(&mut Seed(self.trainer.seed).with(epoch as u64).rng());
        for which in order.chunks_exact(self.trainer.batch).skip(self.progress.step) {
            self.step(which)?;
            self.bar.inc(1);
            if self.progress.step == per_epoch {
                break;
            }
            if self.is_stopped() {
                return Ok(ControlFlow::Break(()));
            }
            if self.is_due() {
                self.save()?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn step(&mut self, which: &[usize]) -> Result<(), Error> {
        let Progress { epoch, step, .. } = self.progress;
        let seed = Seed(self.trainer.seed).with(epoch as u64).with(step as u64);
        for (i, (_, layer)) in self.network.layers_mut().into_iter().enumerate() {
            layer.seed_noise(seed.with(i as u64).0);
        }
        let labels: Vec<usize> = which.iter().map(|&i| self.data.label(i)).collect();
        let x = self.inputs(which, seed)?;
        let x = self.network.input(x);
        let logits = self.network.try_forward_mut(x);
        let logits =
            logits.map_err(|error| norm_of_one(self.network, which.len()).err().unwrap_or(Error::device(error)))?;
        self.progress.wrong += misclassified(&logits, &labels);
        let loss = self.elbo.loss(self.network, categorical(logits, &labels)?, epoch as f64);
        let loss = loss.map_err(|error| self.failed(error, epoch, step))?;
        self.progress.nll += loss.nll;
        self.progress.kl = loss.kl;
        self.adam.step(self.network, loss.objective).map_err(|error| self.failed(error, epoch, step))?;
        self.progress.step += 1;
        Ok(())
    }

    /// An error of this step, with the last good checkpoint if a number was not finite.
    fn failed(&self, error: Error, epoch: usize, step: usize) -> Error {
        error.while_training(epoch, step).after(self.last.as_ref())
    }

    /// Some examples as a batch, augmented by the step's seed.
    fn inputs(&self, which: &[usize], seed: Seed) -> Result<Tensor<L::Shape<I>, E, D>, Error> {
        let augment = &self.trainer.augment;
        if augment.is_off() {
            return inputs(&self.device, self.data, which);
        }
        let (mut pixels, mut random) = (Vec::new(), seed.augmentation().rng());
        augment.batch(self.data, which, &mut random, &mut pixels);
        batch(&self.device, self.data, pixels.iter())
    }

    /// The metrics of the epoch.
    fn record(&mut self) -> Result<Epoch, Error> {
        self.tick();
        let Progress { epoch, step, nll, kl, wrong, seconds, .. } = self.progress;
        let (nll, sparsity) = (nll / step as f64, self.network.sparsity(THRESHOLD)?);
        Ok(Epoch {
            epoch,
            learning_rate: self.adam.learning_rate,
            beta: self.elbo.beta_at(epoch as f64),
            nll,
            kl,
            train_error: wrong as f64 / (step * self.trainer.batch) as f64,
            test: None,
            warning: self.warning(epoch, [nll, kl], &sparsity),
            sparsity,
            seconds,
        })
    }

    /// A sign that nothing is learned.
    fn warning(&self, epoch: usize, [nll, kl]: [f64; 2], sparsity: &Sparsity) -> Option<Warning> {
        let classes = entropy(&self.data.class_counts());
        let nothing_learned = epoch > 0 && classes > 0.0 && nll > 0.98 * classes;
        let few_steps = self.per_epoch() < 5 && self.per_epoch() * self.trainer.epochs < 1000;
        let signs = [
            (kl < -0.01 * sparsity.weights() as f64, Warning::NegativeKl),
            (sparsity.kept() == 0, Warning::AllPruned),
            (nothing_learned, Warning::NothingLearned),
            (few_steps, Warning::FewSteps),
        ];
        signs.into_iter().find_map(|(sign, warning)| sign.then_some(warning))
    }

    fn save(&mut self) -> Result<(), Error> {
        if self.progress.step > 0 {
            self.tick();
        }
        let Some((checkpoints, keeper)) = &self.checkpoints else { return Ok(()) };
        let here = self.here(checkpoints);
        let LastCheckpoint { epoch, step, .. } = here;
        let packed = keeper.pack(self.network, &mut self.adam, &self.progress);
        let packed = packed.map_err(|error| self.failed(error, epoch, step))?;
        codec::write(&checkpoints.path, &packed).map_err(|source| Error::Checkpoint { epoch, step, source })?;
        self.last = Some(here);
        Ok(())
    }

    /// Counts the time that has passed.
    fn tick(&mut self) {
        self.progress.seconds += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }

    fn here(&self, checkpoints: &Checkpoints<'_>) -> LastCheckpoint {
        let Progress { epoch, step, .. } = self.progress;
        LastCheckpoint { path: checkpoints.path.clone(), epoch, step }
    }

    fn per_epoch(&self) -> usize {
        self.data.len() / self.trainer.batch
    }

    fn steps_done(&self) -> usize {
        self.progress.epoch * self.per_epoch() + self.progress.step
    }

    fn is_due(&self) -> bool {
        self.checkpoints.as_ref().is_some_and(|(checkpoints, _)| self.steps_done().is_multiple_of(checkpoints.every))
    }

    fn is_stopped(&self) -> bool {
        self.checkpoints.as_ref().is_some_and(|(checkpoints, _)| checkpoints.stopped())
    }

    fn show(&self, epoch: &Epoch) {
        self.bar.set_prefix(format!("{}/{}", epoch.epoch + 1, self.trainer.epochs));
        let (error, sparse) = (100.0 * epoch.train_error, 100.0 * epoch.sparsity.sparsity());
        let warning = epoch.warning.map_or(String::new(), |warning| format!("  WARNING: {warning}"));
        self.bar.set_message(format!(
            "nll {:.3}  kl {:.0}  train error {error:.2} %  sparse {sparse:.1} %{warning}",
            epoch.nll, epoch.kl
        ));
    }
}

fn bar(trainer: &Trainer, steps: usize) -> ProgressBar {
    if !trainer.progress {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:24} epoch {prefix} {eta:>4} left  {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new((trainer.epochs as u64).saturating_mul(steps as u64))
        .with_style(style)
        .with_prefix(format!("0/{}", trainer.epochs))
}
