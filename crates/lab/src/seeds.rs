//! One network with several seeds: trained, scored, compacted, reported.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use sparsevd::data::{Augment, Layout};
use sparsevd::prelude::*;
use sparsevd::{Classifier, posterior_from_bytes, posterior_to_bytes, save_posterior_with};

use crate::Failure;
use crate::args::{Runs, distinct};
use crate::desk::Desk;
use crate::lower::lower;
use crate::page;
use crate::record::Record;
use crate::reported;
use crate::results::Results;
use crate::seeds_figures::{of_one, of_several};
use crate::small::small;
use crate::threads::Movable;
use crate::train::Job;

/// The origin of an experiment's networks.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Start {
    /// Continues from the posteriors of another run in this folder (seed-0/posterior.safetensors, ...), with the
    /// settings given here
    #[arg(long, value_name = "DIR", value_parser = crate::args::path, conflicts_with = "log_sigma2")]
    pub from: Option<PathBuf>,
}

/// The posterior's file in the folder of each seed.
const POSTERIOR: &str = "posterior.safetensors";

/// An experiment with one network.
pub struct Seeds<'a, L> {
    /// Its name, and that of its file among the notes.
    pub experiment: &'a str,
    /// The title of the page.
    pub title: String,
    /// The data.
    pub split: &'a Split<L>,
    /// The trainer, with the first seed.
    pub trainer: Trainer,
    /// The origin of the networks.
    pub start: &'a Start,
    /// KL weights, each for a training run of its own from the same start; if there are none, the trainer's.
    pub betas: &'a [f64],
}

impl<L: Layout + Clone> Seeds<'_, L> {
    /// Trains the networks that `build` makes for each seed; `build` adds the records of its own training runs. Beside
    /// the page it writes, for each seed, the posterior and the compact networks into a folder `seed-0`, ...
    ///
    /// # Errors
    /// Those of training, of files, of a network that cannot be compacted.
    pub fn run<N, const I: usize, D: Backend>(
        &self,
        desk: &Desk,
        runs: &Runs,
        configuration: &impl Serialize,
        build: impl Fn(u64, &mut Vec<Record>) -> Result<N, Error>,
    ) -> Result<(), Failure>
    where
        N: Classifier<I, 10, f32, D, L> + Movable,
    {
        let mut records = Vec::new();
        let same =
            |from: &Path| from.canonicalize().is_ok_and(|from| runs.out.canonicalize().is_ok_and(|out| from == out));
        if self.start.from.as_deref().is_some_and(same) {
            return Err(
                "--from and --out are the same folder, whose posteriors would be replaced; give another --out".into()
            );
        }
        let folder = runs.claim(self.experiment, configuration)?;
        let mut seeds = runs.all_seeds().take_while(|_| !desk.stopped());
        let outcome = seeds.try_for_each(|seed| self.one(seed, desk, runs, &build, &mut records));
        desk.finish();
        reported(outcome, records, |records| {
            let results = Results::new(self.experiment, configuration, self.split, records);
            let labels: Vec<String> = self.betas().into_iter().map(|beta| self.label(beta)).collect();
            let pruned: Vec<Record> = results.records.iter().filter(|r| labels.contains(&r.label)).cloned().collect();
            let figures = if labels.len() > 1 { of_several(&pruned, runs) } else { of_one(&pruned, runs) };
            let about = format!(
                "{}: {}; the weights of the last epoch, not of the best one.",
                self.split.train().name(),
                runs.images(self.split)
            );
            page::publish(&self.title, &about, results, &TABLES, figures, &folder)
        })
    }

    /// Adds the records of one seed.
    fn one<N, const I: usize, D: Backend>(
        &self,
        seed: u64,
        desk: &Desk,
        runs: &Runs,
        build: &impl Fn(u64, &mut Vec<Record>) -> Result<N, Error>,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure>
    where
        N: Classifier<I, 10, f32, D, L> + Movable,
    {
        let mut net = build(seed, records)?;
        if desk.stopped() {
            return Ok(());
        }
        if let Some(from) = &self.start.from {
            load_posterior(&mut net, from.join(format!("seed-{seed}")).join(POSTERIOR))?;
        }
        let start = posterior_to_bytes(&net, &())?;
        for beta in self.betas() {
            posterior_from_bytes(&mut net, &start)?;
            let trainer = Trainer { seed, beta, ..self.trainer.clone() };
            let job = Job { label: self.label(beta), split: self.split, trainer, prunes: true };
            let folder = match self.betas.len() {
                0 | 1 => format!("seed-{seed}"),
                _ => format!("seed-{seed}-beta-{beta}"),
            };
            self.train(&job, desk, runs, &mut net, &runs.out.join(folder), records)?;
            if desk.stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Trains one network, adds its records, and writes its files.
    fn train<N, const I: usize, D: Backend>(
        &self,
        job: &Job<'_, L>,
        desk: &Desk,
        runs: &Runs,
        net: &mut N,
        folder: &Path,
        records: &mut Vec<Record>,
    ) -> Result<(), Failure>
    where
        N: Classifier<I, 10, f32, D, L> + Movable,
    {
        let mut record = desk.one(|| job.train(desk, net))?.with("beta", job.trainer.beta);
        save_posterior_with(net, folder.join(POSTERIOR), &job.trainer)?;
        let small = small(net, self.split.test(), runs.threshold, folder)?;
        println!("\n{}\n\n{small}\n", net.sparsity(runs.threshold)?);
        small.record(&mut record);
        let unfinished = record.unfinished;
        records.push(record);
        if self.betas.len() < 2 {
            let lower = lower(net, self.split, runs.threshold, job.trainer.seed)?.into_iter();
            records.extend(lower.map(|lower| Record { unfinished, ..lower }));
        }
        Ok(())
    }

    /// The KL weights of the training runs.
    fn betas(&self) -> Vec<f64> {
        if self.betas.is_empty() { vec![self.trainer.beta] } else { distinct(self.betas.iter().copied()) }
    }

    /// The label of the networks in tables.
    fn label(&self, beta: f64) -> String {
        let name = if self.trainer.augment == Augment::default() { "Sparse VD" } else { "Sparse VD, augmented images" };
        if self.betas.len() > 1 { format!("{name}, beta = {beta}") } else { name.into() }
    }
}

const TABLES: [page::Columns<'_>; 4] = [
    (
        "With the means below the threshold on log α",
        &["network", "seed", "error", "nll", "ece", "brier", "layers", "sparsity", "compression", "seconds"],
    ),
    (
        "With all means, with ten draws from the posterior, and the best epoch, which is chosen on the test set",
        &["network", "seed", "mean error", "sampled error", "sampled nll", "best error"],
    ),
    ("Compact", &["network", "seed", "kept", "neurons", "bytes", "quantised bytes", "quantised error"]),
    (
        "The same weights pruned at lower thresholds, with an upper estimate of the cost in NLL",
        &["pruned at", "pruned compression", "pruned error", "pruned nll", "pruned cost"],
    ),
];
