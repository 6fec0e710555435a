//! A training on its way.

mod checks;
mod seeds;

use std::ops::ControlFlow;
use std::time::Instant;

use dfdx::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sparsevd_infer::Container;

use crate::adam::Adam;
use crate::backend::{Backend, Elem};
use crate::checkpoint::{self, Checkpoints, Fingerprint, Keeper, LastCheckpoint, Progress};
use crate::data::{Dataset, Layout};
use crate::elbo::Elbo;
use crate::error::Error;
use crate::history::{Epoch, History, Warning};
use crate::likelihood::categorical;
use crate::network::Network;
use crate::predict::{Classifier, batch, inputs};
use crate::sparsity::{Sparsity, THRESHOLD};
use crate::trainer::Trainer;

pub(crate) use checks::norm_of_one;
use checks::{entropy, misclassified};
pub(crate) use seeds::mix;
use seeds::{order, seed_noise};

/// What is needed between two steps, besides the network.
pub(crate) struct Training<'a, E: Elem, D: Backend<E>, L> {
    trainer: &'a Trainer,
    data: &'a Dataset<L>,
    elbo: Elbo,
    pub(crate) device: D,
    adam: Adam<E, D>,
    progress: Progress,
    /// When the time that `progress` knows of ended.
    clock: Instant,
    bar: ProgressBar,
    checkpoints: Option<(&'a Checkpoints<'a>, Keeper<'a>)>,
    last: Option<LastCheckpoint>,
}

impl<'a, E: Elem, D: Backend<E>, L: Layout> Training<'a, E, D, L> {
    /// At the start.
    pub(crate) fn new(
        trainer: &'a Trainer,
        network: &impl Network<E, D>,
        data: &'a Dataset<L>,
        elbo: Elbo,
    ) -> Result<Self, Error> {
        let history = History { sparsity_at_start: network.sparsity(THRESHOLD)?.sparsity(), ..History::default() };
        Ok(Training {
            trainer,
            data,
            elbo,
            device: network.layers().first().ok_or(Error::NoLayer)?.1.device(),
            adam: Adam::new(trainer.learning_rate),
            progress: Progress { history, ..Progress::default() },
            clock: Instant::now(),
            bar: bar(trainer, data.len() / trainer.batch),
            checkpoints: None,
            last: None,
        })
    }

    /// With checkpoints, from where the last one is.
    pub(crate) fn keep<N, const I: usize, const C: usize>(
        &mut self,
        network: &mut N,
        checkpoints: &'a Checkpoints<'a>,
    ) -> Result<(), Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        checkpoints.prepare()?;
        if let Some(file) = checkpoints.read()? {
            self.resume(network, &file).map_err(|error| error.in_file(&checkpoints.path))?;
            self.last = Some(self.here(checkpoints));
        }
        self.checkpoints = Some((checkpoints, self.keeper()));
        Ok(())
    }

    /// Goes on from what a file holds.
    pub(crate) fn resume<N, const I: usize, const C: usize>(
        &mut self,
        network: &mut N,
        file: &Container,
    ) -> Result<(), Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        self.progress = self.keeper().unpack(file, network, &mut self.adam)?;
        self.bar.set_position(self.steps_done() as u64);
        Ok(())
    }

    fn keeper(&self) -> Keeper<'a> {
        Keeper { trainer: self.trainer, data: Fingerprint::of(self.data), per_epoch: self.per_epoch() }
    }

    /// To the end of the last epoch, or until it is stopped.
    pub(crate) fn run<N, const I: usize, const C: usize>(
        mut self,
        network: &mut N,
        mut after_epoch: impl FnMut(&mut N, &mut Epoch) -> ControlFlow<()>,
    ) -> Result<History, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let mut stopped = false;
        while self.progress.epoch < self.trainer.epochs && !stopped {
            if self.steps(network)?.is_break() {
                stopped = true;
            } else {
                let mut record = self.record(network)?;
                stopped = after_epoch(network, &mut record).is_break() || self.is_stopped();
                self.show(&record);
                self.progress.next(record);
            }
            if stopped || self.is_due() || self.progress.epoch == self.trainer.epochs {
                self.save(network)?;
            }
        }
        if let Some(warning) = self.progress.history.warning().filter(|_| self.trainer.progress) {
            self.bar.suspend(|| eprintln!("warning: {warning}"));
        }
        self.bar.finish_and_clear();
        Ok(self.history())
    }

    /// The epochs that are over.
    pub(crate) fn history(self) -> History {
        History { stopped: self.progress.epoch < self.trainer.epochs, ..self.progress.history }
    }

    /// The steps of an epoch that are left; breaks off between two of them if it is stopped.
    fn steps<N, const I: usize, const C: usize>(&mut self, network: &mut N) -> Result<ControlFlow<()>, Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let (epoch, per_epoch) = (self.progress.epoch, self.per_epoch());
        self.adam.learning_rate = self.trainer.learning_rate * self.trainer.schedule.factor(epoch, self.trainer.epochs);
        self.clock = Instant::now();
        let order = order(self.trainer.seed, self.data.len(), epoch);
        for which in order.chunks_exact(self.trainer.batch).skip(self.progress.step) {
            self.step(network, which)?;
            self.bar.inc(1);
            if self.progress.step == per_epoch {
                break;
            }
            if self.is_stopped() {
                return Ok(ControlFlow::Break(()));
            }
            if self.is_due() {
                self.save(network)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn step<N, const I: usize, const C: usize>(&mut self, network: &mut N, which: &[usize]) -> Result<(), Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        let Progress { epoch, step, .. } = self.progress;
        let seed = mix(mix(self.trainer.seed, epoch as u64), step as u64);
        seed_noise(network, seed);
        let labels: Vec<usize> = which.iter().map(|&i| self.data.label(i)).collect();
        let x = network.input(self.inputs::<I>(which, seed)?);
        let logits = network.try_forward_mut(x);
        let logits = logits.map_err(|error| norm_of_one(network, which.len()).err().unwrap_or(Error::device(error)))?;
        self.progress.wrong += misclassified(&logits, &labels);
        let loss = self.elbo.loss(network, categorical(logits, &labels)?, epoch as f64);
        let loss = loss.map_err(|error| self.failed(error, epoch, step))?;
        self.progress.nll += loss.nll;
        self.progress.kl = loss.kl;
        self.adam.step(network, loss.objective).map_err(|error| self.failed(error, epoch, step))?;
        self.progress.step += 1;
        Ok(())
    }

    /// An error of this step, with the last good checkpoint where numbers ceased to be numbers.
    fn failed(&self, error: Error, epoch: usize, step: usize) -> Error {
        error.while_training(epoch, step).after(self.last.as_ref())
    }

    /// Some of the data, augmented as the step's seed decides.
    fn inputs<const I: usize>(&self, which: &[usize], seed: u64) -> Result<Tensor<L::Shape<I>, E, D>, Error> {
        let augment = &self.trainer.augment;
        if augment.is_off() {
            return inputs(&self.device, self.data, which);
        }
        let (mut pixels, mut random) = (Vec::new(), StdRng::seed_from_u64(mix(seed, u64::MAX)));
        augment.batch(self.data, which, &mut random, &mut pixels);
        batch(&self.device, self.data, pixels.iter())
    }

    /// What the epoch came to.
    fn record(&mut self, network: &impl Network<E, D>) -> Result<Epoch, Error> {
        self.tick();
        let Progress { epoch, step, nll, kl, wrong, seconds, .. } = self.progress;
        let (nll, sparsity) = (nll / step as f64, network.sparsity(THRESHOLD)?);
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

    fn save<N, const I: usize, const C: usize>(&mut self, network: &N) -> Result<(), Error>
    where
        N: Classifier<I, C, E, D, L>,
    {
        if self.progress.step > 0 {
            self.tick();
        }
        let Some((checkpoints, keeper)) = &self.checkpoints else { return Ok(()) };
        let here = self.here(checkpoints);
        let LastCheckpoint { epoch, step, .. } = here;
        let packed = keeper.pack(network, &mut self.adam, &self.progress);
        let packed = packed.map_err(|error| self.failed(error, epoch, step))?;
        checkpoint::write(&checkpoints.path, &packed).map_err(|source| Error::Checkpoint { epoch, step, source })?;
        self.last = Some(here);
        Ok(())
    }

    /// Takes note of the time that has passed.
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
