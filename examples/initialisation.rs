//! The effects of the threshold, the initial variance and the initial means.
//!
//! ```sh
//! cargo run --release --example initialisation                      # the digits inside the crate
//! cargo run --release --example initialisation -- --data data/mnist
//! ```

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use serde::Serialize;
use sparsevd::data::Vectors;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Classifier, Delta, copy_means};
use sparsevd_lab::args::{Masked, Runs, distinct, finite, parse};
use sparsevd_lab::curves::{bands, over_seeds};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::folder::Folder;
use sparsevd_lab::page::{Figure, publish};
use sparsevd_lab::record::{Curve, Record};
use sparsevd_lab::results::Results;
use sparsevd_lab::size::{OnImages, on_images};
use sparsevd_lab::train::Job;
use sparsevd_lab::{Failure, finish};
use sparsevd_report::plots::{Quantity, curves};

/// Trains Sparse VD (inputs-300-100-10) from several values of log σ², from the means of a dense network trained
/// before, and with and without weights masked during training; and prunes each trained network at thresholds from -8
/// to 12.
///
/// Prints a table; writes results.json, figures (SVG) and report.html into the folder given by --out. Ctrl-C stops
/// after the current steps, reports the results so far and exits with 130; --resume continues.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    /// Initial values of log σ²
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true, value_parser = finite, default_value = "-20,-15,-10,-8,-6,-4,-2")]
    starts: Vec<f64>,
}

/// One case: a seed, an initialisation and a masking.
#[derive(Clone, Copy)]
struct Case {
    seed: u64,
    log_sigma2: f64,
    pretrained: bool,
    masking: Masked,
    /// The masking given on the command line.
    usually: Masked,
}

fn main() -> ExitCode {
    let defaults =
        [("epochs", "60"), ("seeds", "3"), ("batch", "50"), ("learning_rate", "2e-3"), ("out", "runs/initialisation")];
    finish(run(parse(&defaults)))
}

fn run(mut args: Args) -> Result<(), Failure> {
    let split = args.runs.split_or_digits((600, 300))?.centred();
    on_images(&args, &split, |records, folder| report(&args, &split, records, folder))
}

impl OnImages for Args {
    const NAME: &str = "initialisation";

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure> {
        let seeds = || self.runs.all_seeds();
        let Runs { log_sigma2, masking: usually, .. } = self.runs;
        let usual = |seed: u64| Case { seed, log_sigma2, pretrained: false, masking: usually, usually };
        let mut cases = Vec::new();
        for log_sigma2 in distinct(self.starts.iter().copied()) {
            cases.extend(seeds().map(|seed| Case { log_sigma2, ..usual(seed) }));
        }
        cases.extend(seeds().map(|seed| Case { pretrained: true, ..usual(seed) }));
        for masking in Masked::value_variants().iter().copied().filter(|masking| *masking != usually).rev() {
            cases.extend(seeds().map(|seed| Case { masking, ..usual(seed) }));
        }
        let epochs = (cases.len() + self.runs.seeds as usize) * self.runs.epochs;
        let desk = Desk::of_size(&self.runs, I, epochs)?;
        desk.all(seeds(), &mut Vec::new(), |seed| {
            let mut net = Cpu::seed_from_u64(seed).build_module::<LeNet300100<Flat, Delta, I>, f32>();
            dense(self, split, seed).train(&desk, &mut net)
        })?;
        let outcome = desk.all(cases, records, |case| case.train::<I>(self, split, &desk));
        desk.finish();
        Ok(outcome?)
    }
}

fn dense<'a>(args: &Args, split: &'a Split, seed: u64) -> Job<'a, Vectors> {
    Job { label: "Dense".into(), split, trainer: Trainer { seed, ..args.runs.trainer() }, prunes: false }
}

impl Case {
    fn label(self) -> String {
        match self {
            Case { pretrained: true, .. } => "Sparse VD, pretrained".into(),
            Case { log_sigma2, masking, usually, .. } if masking == usually => {
                format!("Sparse VD, log sigma^2 = {log_sigma2}")
            }
            Case { masking: Masked::Nothing, .. } => "Sparse VD, threshold only afterwards".into(),
            Case { masking: Masked::Means, .. } => "Sparse VD, means masked".into(),
            Case { masking: Masked::Weights, .. } => "Sparse VD, whole weights masked".into(),
        }
    }

    fn train<const I: usize>(self, args: &Args, split: &Split, desk: &Desk) -> Result<Record, Error> {
        let device = Cpu::seed_from_u64(self.seed);
        let mut net = device.build_module::<LeNet300100<LogUniform, Additive, I>, f32>();
        if self.pretrained {
            let mut from = device.build_module::<LeNet300100<Flat, Delta, I>, f32>();
            dense(args, split, self.seed).restore(desk, &mut from)?;
            copy_means(&from, &mut net)?;
        }
        let Case { log_sigma2, masking, .. } = self;
        Runs { log_sigma2, masking, ..args.runs.clone() }.prepare(&mut net)?;
        let trainer = Trainer { seed: self.seed, ..args.runs.trainer() };
        let job = Job { label: self.label(), split, trainer, prunes: true };
        let mut record = job.train(desk, &mut net)?;
        if self.log_sigma2 == args.runs.log_sigma2 {
            self.thresholds(&job, &mut net, &mut record)?;
        }
        record.set("log sigma2", self.log_sigma2);
        Ok(record)
    }

    /// Adds error and weights kept at thresholds from -8 to 12.
    fn thresholds<N, const I: usize>(
        self,
        job: &Job<'_, Vectors>,
        net: &mut N,
        record: &mut Record,
    ) -> Result<(), Error>
    where
        N: Classifier<I, 10, f32, Cpu>,
    {
        let (mut error, mut kept): (Curve, Curve) = Default::default();
        for threshold in (-16..=24).map(|i| 0.5 * f64::from(i)) {
            error.push((threshold, job.score(net, Evaluate::Pruned(threshold))?.error));
            kept.push((threshold, net.sparsity(threshold)?.kept() as f64));
        }
        record.curves.insert("error by threshold".into(), error);
        record.curves.insert("kept by threshold".into(), kept);
        Ok(())
    }
}

fn report(args: &Args, split: &Split, records: Vec<Record>, folder: &Folder) -> Result<(), Failure> {
    let results = Results::on(Args::NAME, args, split, records);
    let x = Quantity::linear("threshold on log α");
    let error = over_seeds(&results.records, "error by threshold", |error| 100.0 * error);
    let error = curves(&error, x, Quantity::log("test error [%]"), "Error over the threshold");
    let kept = over_seeds(&results.records, "kept by threshold", |kept| kept);
    let kept = curves(&kept, x, Quantity::log("weights kept"), "Weights over the threshold");
    let bands = bands(&results.records);
    let figures = vec![
        Figure::new(
            "threshold-error",
            error,
            format!(
                "Where the curve is flat, the threshold hardly matters. To choose a threshold, use --validate. {bands}"
            ),
        ),
        Figure::new("threshold-kept", kept, format!("Flat between the modes of log α. {bands}")),
    ];
    let about = format!(
        "{}; inputs-300-100-10, {} epochs. Scores are those of the last epoch's weights, not of the best epoch's, pruned \
         at log α = {}.",
        args.runs.images(split),
        args.runs.epochs,
        args.runs.threshold
    );
    let columns = ["start", "sparsity at start", "error", "mean error", "nll", "ece", "layers", "compression"];
    publish("Threshold and initialisation", &about, results, &[("Starts", &columns)], figures, folder)
}
