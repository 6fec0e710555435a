//! One network with several seeds: trained, scored, compacted, reported.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use sparsevd::data::{Augment, Layout};
use sparsevd::prelude::*;
use sparsevd::{Classifier, save_posterior_with};
use sparsevd_report::plots::{Quantity, Series, curves};

use crate::args::Runs;
use crate::curves::{bands, log_alphas, over_seeds};
use crate::desk::Desk;
use crate::lower::lower;
use crate::page::{self, Figure};
use crate::record::Record;
use crate::reported;
use crate::results::Results;
use crate::small::small;
use crate::table::seeds;
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
}

impl<L: Layout + Clone> Seeds<'_, L> {
    /// Trains the networks that `build` makes for each seed; `build` adds the records of its own training runs. Beside
    /// the page it writes, for each seed, the posterior and the compact networks into a folder `seed-0`, ...
    ///
    /// # Errors
    /// Those of training, of files, of a network that cannot be compacted.
    pub fn run<N, const I: usize>(
        &self,
        desk: &Desk,
        runs: &Runs,
        configuration: &impl Serialize,
        build: impl Fn(u64, &mut Vec<Record>) -> Result<N, Error>,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        N: Classifier<I, 10, f32, Cpu, L> + Send,
    {
        let (label, mut records) = (self.label(), Vec::new());
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
            let pruned: Vec<Record> = results.records.iter().filter(|r| r.label == label).cloned().collect();
            let figures = figures(&pruned, runs);
            let about = format!(
                "{}: {}; the weights of the last epoch, not of the best one.",
                self.split.train().name(),
                runs.images(self.split)
            );
            page::publish(&self.title, &about, results, &TABLES, figures, &folder)
        })
    }

    /// Adds the records of one seed.
    fn one<N, const I: usize>(
        &self,
        seed: u64,
        desk: &Desk,
        runs: &Runs,
        build: &impl Fn(u64, &mut Vec<Record>) -> Result<N, Error>,
        records: &mut Vec<Record>,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        N: Classifier<I, 10, f32, Cpu, L> + Send,
    {
        let trainer = Trainer { seed, ..self.trainer.clone() };
        let job = Job { label: self.label().into(), split: self.split, trainer, prunes: true };
        let (mut net, folder) = (build(seed, records)?, |run: &Path| run.join(format!("seed-{seed}")));
        if desk.stopped() {
            return Ok(());
        }
        if let Some(from) = &self.start.from {
            load_posterior(&mut net, folder(from).join(POSTERIOR))?;
        }
        let folder = folder(&runs.out);
        let mut record = desk.one(|| job.train(desk, &mut net))?;
        save_posterior_with(&net, folder.join(POSTERIOR), &job.trainer)?;
        let small = small(&mut net, self.split.test(), runs.threshold, &folder)?;
        println!("\n{}\n\n{small}\n", net.sparsity(runs.threshold)?);
        small.record(&mut record);
        let unfinished = record.unfinished;
        records.push(record);
        let lower = lower(&mut net, self.split, runs.threshold, seed)?.into_iter();
        records.extend(lower.map(|lower| Record { unfinished, ..lower }));
        Ok(())
    }

    /// The label of the networks in tables.
    fn label(&self) -> &'static str {
        if self.trainer.augment == Augment::default() { "Sparse VD" } else { "Sparse VD, augmented images" }
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

/// Loss and error over seeds, every seed's compression, and log α layer by layer.
fn figures(records: &[Record], runs: &Runs) -> Vec<Figure> {
    let both = |score: &str, f: fn(f64) -> f64| {
        let named = |name: &str, mut all: Vec<Series>| {
            all.iter_mut().for_each(|series| series.name = name.into());
            all
        };
        let train = named("training, sampled", over_seeds(records, &format!("train {score}"), f));
        [train, named("test, pruned means", over_seeds(records, &format!("test {score}"), f))].concat()
    };
    let epoch = Quantity::linear("epoch");
    let loss = curves(&both("nll", |y| y), epoch, Quantity::log("NLL [nats per image]"), "Negative log-likelihood");
    let error = curves(&both("error", |y| 100.0 * y), epoch, Quantity::log("error [%]"), "Error");
    let by_seed: Vec<Record> =
        records.iter().map(|r| Record { label: format!("seed {}", r.seed), ..r.clone() }).collect();
    let compression = over_seeds(&by_seed, "sparsity", |sparsity| 1.0 / (1.0 - sparsity));
    let compression = curves(&compression, epoch, Quantity::log("|W| / |W ≠ 0|"), "Compression");
    let layers = |record: &Record| {
        let layer = |layer: &(String, Vec<f64>)| Record {
            label: format!("layer {}", layer.0),
            log_alpha: vec![layer.clone()],
            ..Record::default()
        };
        record.log_alpha.iter().map(layer).collect::<Vec<_>>()
    };
    let layers: Vec<Record> = records.iter().flat_map(layers).collect();
    let (bands, seeds) = (bands(records), seeds(records));
    let modes = format!("log α after training, of {seeds}. If two modes are far apart, the threshold hardly matters.");
    vec![
        Figure::new("loss", loss, format!("During training, with the layers' noise, and on the test images. {bands}")),
        Figure::new("error", error, format!("The share of images misclassified, under the same conditions. {bands}")),
        Figure::new(
            "compression",
            compression,
            "Each seed separately. Compression follows the KL weight, then the decay of the learning rate.",
        ),
        Figure::new("log-alpha", log_alphas(&layers, runs.threshold), modes),
    ]
}
