//! The effect of sparsity on uncertainty: calibration on MNIST, and Fashion-MNIST as out-of-distribution data.
//!
//! ```sh
//! scripts/get-data.sh data mnist fashion
//! cargo run --release --example uncertainty
//! ```

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use sparsevd::metrics::auroc;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Bernoulli, Classifier, Delta};
use sparsevd_lab::args::{Needs, Runs, parse};
use sparsevd_lab::curves::{bands, over_seeds};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::folder::Folder;
use sparsevd_lab::page::{Figure, publish};
use sparsevd_lab::record::{Curve, Record};
use sparsevd_lab::results::Results;
use sparsevd_lab::train::Job;
use sparsevd_lab::{Failure, finish, reported};
use sparsevd_report::plots::{Quantity, curves};

/// Trains LeNet-300-100 on MNIST, dense, with binary dropout and with Sparse VD. Each network predicts MNIST's and
/// Fashion-MNIST's test images: with the posterior means, with the pruned means, and averaged over 1, 10 and 100
/// posterior samples.
///
/// Reports error, NLL and calibration on MNIST, the entropy of the predictions in nats on both sets, and how well that
/// entropy separates the two sets (AUROC: 50 % is chance).
///
/// Prints tables; writes results.json, figures (SVG) and report.html into the folder given by --out. Ctrl-C stops after
/// the current step, reports the results so far and exits with 130; --resume continues.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
}

const MNIST: Needs = Needs { example: "uncertainty", set: "mnist fashion", folder: "mnist" };
const FASHION: Needs = Needs { folder: "fashion-mnist", ..MNIST };

fn main() -> ExitCode {
    let defaults =
        [("epochs", "60"), ("seeds", "3"), ("learning_rate", "2e-3"), ("data", "data"), ("out", "runs/uncertainty")];
    finish(run(parse(&defaults)))
}

fn run(mut args: Args) -> Result<(), Failure> {
    let known = args.runs.split(MNIST, (2000, 1000))?;
    let strange = args.runs.split(FASHION, (2000, 1000))?;
    if strange.test().name() == known.test().name() {
        return Err("--data is the folder that holds mnist and fashion-mnist, not one of them".into());
    }
    // Both are inputs of the same network: the mean image of its training data is subtracted.
    let strange = Split::new(known.train().clone(), strange.test().clone())?.centred();
    let asked = Asked { known: known.centred(), strange };
    let folder = args.runs.claim("uncertainty", &args)?;
    let desk = Desk::new(&args.runs)?;
    let mut records = Vec::new();
    let outcome = args.runs.all_seeds().try_for_each(|seed| asked.all(&args, &desk, seed, &mut records));
    desk.finish();
    records.sort_by_key(|record: &Record| {
        ["Dense", "Binary", "Sparse"].iter().position(|name| record.label.starts_with(name))
    });
    reported(outcome, records, |records| report(&args, &asked, records, &folder))
}

/// The images of both sets.
struct Asked {
    known: Split,
    strange: Split,
}

impl Asked {
    /// Adds the records of the three networks with a seed.
    fn all(&self, args: &Args, desk: &Desk, seed: u64, records: &mut Vec<Record>) -> Result<(), Failure> {
        let device = Cpu::seed_from_u64(seed);
        let dense = device.build_module::<LeNet300100<Flat, Delta>, f32>();
        records.extend(self.about(args, desk, "Dense", seed, dense)?);
        let mut dropout = device.build_module::<LeNet300100<Flat, Bernoulli>, f32>();
        dropout.0.posterior = Bernoulli::new(0.2)?;
        records.extend(self.about(args, desk, "Binary dropout", seed, dropout)?);
        let mut sparse = device.build_module::<LeNet300100, f32>();
        args.runs.prepare(&mut sparse)?;
        records.extend(self.about(args, desk, "Sparse VD", seed, sparse)?);
        Ok(())
    }

    /// Trains a network, and scores it with each kind of weights.
    fn about<N>(&self, args: &Args, desk: &Desk, method: &str, seed: u64, mut net: N) -> Result<Vec<Record>, Failure>
    where
        N: Classifier<784, 10, f32, Cpu> + Send,
    {
        if desk.stopped() {
            return Ok(Vec::new());
        }
        let prunes = method == "Sparse VD";
        let trainer = Trainer { seed, ..args.runs.trainer() };
        let job = Job { label: method.into(), split: &self.known, trainer, prunes };
        let trained = desk.one(|| job.train(desk, &mut net))?;
        let mut kinds = vec![("means".to_string(), Evaluate::Mean)];
        if prunes {
            kinds.push(("pruned means".into(), Evaluate::Pruned(args.runs.threshold)));
        }
        if method != "Dense" {
            kinds.extend([1, 10, 100].map(|count| (format!("{count} samples"), Evaluate::Samples { count, seed })));
        }
        let ask = |(kind, how): (String, Evaluate)| {
            let mut record =
                Record { unfinished: trained.unfinished, ..Record::new(format!("{method}, {kind}"), seed) };
            self.ask(&mut net, how, &mut record)?;
            Ok(record)
        };
        kinds.into_iter().map(ask).collect()
    }

    fn ask<N>(&self, net: &mut N, how: Evaluate, record: &mut Record) -> Result<(), Failure>
    where
        N: Classifier<784, 10, f32, Cpu>,
    {
        let known = predict(net, self.known.test(), how)?;
        let strange = predict(net, self.strange.test(), how)?;
        let (low, high) = (known.entropies(), strange.entropies());
        record.score("", &known.score(self.known.test().labels())?);
        record.set("entropy elsewhere", high.iter().sum::<f64>() / high.len() as f64);
        record.set("auroc", auroc(&low, &high).unwrap_or(f64::NAN));
        record.curves.insert("entropy".into(), cumulative(low));
        record.curves.insert("entropy elsewhere".into(), cumulative(high));
        Ok(())
    }
}

/// The share of values up to each of 47 points from 0 to ln 10.
fn cumulative(values: Vec<f64>) -> Curve {
    let share = |x: f64| values.iter().filter(|v| **v <= x).count() as f64 / values.len() as f64;
    (0..=46).map(|i| 0.05 * f64::from(i)).map(|x| (x, share(x))).collect()
}

fn report(args: &Args, asked: &Asked, records: Vec<Record>, folder: &Folder) -> Result<(), Failure> {
    let results = Results::new("uncertainty", args, &asked.known, records);
    let shown = ["Dense, means", "Binary dropout, 100 samples", "Sparse VD, pruned means", "Sparse VD, 100 samples"];
    let shown: Vec<Record> = results.records.iter().filter(|r| shown.contains(&r.label.as_str())).cloned().collect();
    let figure = |name: &str, curve: &str, title: &str| {
        let (x, y) = (Quantity::linear("entropy of the prediction [nats]"), Quantity::linear("images up to it [%]"));
        let svg = curves(&over_seeds(&shown, curve, |share| 100.0 * share), x, y, title);
        Figure::new(name, svg, format!("Cumulative: the lower a curve, the higher the entropies. {}", bands(&shown)))
    };
    let figures = vec![
        figure("entropy", "entropy", "Entropy on MNIST's test images"),
        figure("entropy-elsewhere", "entropy elsewhere", "Entropy on Fashion-MNIST, out-of-distribution"),
    ];
    let images = if args.runs.validate.is_some() { "held-out" } else { "test" };
    let about = format!(
        "LeNet-300-100 trained on MNIST, {} epochs, {} seeds, with predictions of MNIST's and Fashion-MNIST's {images} \
         images. Scores are those of the last epoch's weights, not of the best epoch's.",
        args.runs.epochs, args.runs.seeds
    );
    let columns =
        ["network, weights", "error", "nll", "ece", "brier", "entropy", "information", "entropy elsewhere", "auroc"];
    publish(
        "Uncertainty",
        &about,
        results,
        &[("MNIST, and Fashion-MNIST as out-of-distribution data", &columns)],
        figures,
        folder,
    )
}
