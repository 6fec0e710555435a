//! The effect of training with the exact KL of the log-uniform prior.
//!
//! ```sh
//! cargo run --release --example kl                      # the digits inside the crate
//! cargo run --release --example kl -- --data data/mnist
//! ```

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd_lab::args::{Runs, parse};
use sparsevd_lab::curves::{bands, kept, over_epochs};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::folder::Folder;
use sparsevd_lab::page::{Figure, publish};
use sparsevd_lab::record::Record;
use sparsevd_lab::results::Results;
use sparsevd_lab::size::{OnImages, on_images};
use sparsevd_lab::table::value;
use sparsevd_lab::train::Job;
use sparsevd_lab::{Failure, finish};
use sparsevd_report::plots::Quantity;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Trains one network (inputs-300-100-10) with four KLs: the paper's sigmoid fit to the log-uniform prior's, the exact
/// one, Kingma's cubic, which approximates it for α ≤ 1 only, and ARD. With the same seed, all four start from the same
/// weights and get the same data and the same noise. So differences are taken for each seed, and their mean has a 95 %
/// interval (Student's t).
///
/// Prints tables; writes results.json, figures (SVG) and report.html into the folder given by --out. Ctrl-C stops after
/// the current steps, reports the results so far and exits with 130; --resume continues.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
}

const FIT: &str = "Sparse VD";
const EXACT: &str = "Sparse VD, exact KL";
const CUBIC: &str = "Kingma's cubic";
const ARD: &str = "ARD";

fn main() -> ExitCode {
    let defaults = [("epochs", "60"), ("seeds", "10"), ("batch", "50"), ("learning_rate", "2e-3"), ("out", "runs/kl")];
    finish(run(parse(&defaults)))
}

fn run(mut args: Args) -> Result<(), Failure> {
    let split = args.runs.split_or_digits((600, 300))?.centred();
    on_images(&args, &split, |records, folder| report(&args, &split, records, folder))
}

impl OnImages for Args {
    const NAME: &str = "kl";

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure> {
        let priors = [FIT, EXACT, CUBIC, ARD];
        let cases = priors.iter().flat_map(|prior| self.runs.all_seeds().map(move |seed| (*prior, seed)));
        let epochs = priors.len() * self.runs.epochs * self.runs.seeds as usize;
        let desk = Desk::of_size(&self.runs, I, epochs)?;
        let outcome = desk.all(cases, records, |(prior, seed)| {
            let trainer = Trainer { seed, ..self.runs.trainer() };
            let (job, device) = (Job { label: prior.into(), split, trainer, prunes: true }, Cpu::seed_from_u64(seed));
            if prior == ARD {
                let mut net = device.build_module::<LeNet300100<Ard, Additive, I>, f32>();
                self.runs.prepare(&mut net)?;
                return job.train(&desk, &mut net);
            }
            let mut net = device.build_module::<LeNet300100<LogUniform, Additive, I>, f32>();
            net.set_prior(match prior {
                EXACT => LogUniform::Exact,
                CUBIC => LogUniform::Cubic,
                _ => LogUniform::Fit,
            })?;
            self.runs.prepare(&mut net)?;
            job.train(&desk, &mut net)
        });
        desk.finish();
        Ok(outcome?)
    }
}

/// The effect of another KL on a number: the mean over seeds of the difference to the fit, and half of its 95 %
/// interval.
fn difference(records: &[Record], label: &str, name: &str, f: fn(f64) -> f64) -> Option<(f64, f64)> {
    let of = |label: &str, seed: u64| {
        let record = records.iter().find(|r| r.label == label && r.seed == seed && !r.unfinished)?;
        Some(f(value(record, name)?))
    };
    let seeds = records.iter().filter(|r| r.label == FIT).map(|r| r.seed);
    let differences: Vec<f64> = seeds.filter_map(|seed| Some(of(label, seed)? - of(FIT, seed)?)).collect();
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
    Some((mean, t * (variance / n).sqrt())).filter(|(mean, half)| mean.is_finite() && half.is_finite())
}

/// The names of a difference and of half of its interval; the name of the number; the function applied to it first.
type Difference = (&'static str, &'static str, &'static str, fn(f64) -> f64);

const DIFFERENCES: [Difference; 3] = [
    ("error, points", "error, 95 %", "error", |x| 100.0 * x),
    ("NLL, nats", "NLL, 95 %", "nll", |x| x),
    ("ln compression", "ln compression, 95 %", "compression", f64::ln),
];

/// A record for each of the other KLs: its difference to the fit.
fn differences(records: &[Record]) -> Vec<Record> {
    let minus = |label: &&str| {
        let mut record = Record::new(format!("{label}, minus the fit"), 0);
        for (difference_name, half, name, f) in DIFFERENCES {
            if let Some((mean, interval)) = difference(records, label, name, f) {
                record.set(difference_name, mean);
                record.set(half, interval);
            }
        }
        record
    };
    let measured = [EXACT, CUBIC, ARD].iter().map(minus).filter(|record| !record.values.is_empty());
    measured.collect()
}

fn report(args: &Args, split: &Split, mut records: Vec<Record>, folder: &Folder) -> Result<(), Failure> {
    let (y, title) = (Quantity::log("test error [%]"), "Test error during training, pruned means");
    let error = over_epochs(&records, "test error", |error| 100.0 * error, y, title);
    let figures = vec![
        Figure::new("sparsity", kept(&records, args.runs.threshold), bands(&records)),
        Figure::new("error", error, bands(&records)),
    ];
    let columns = ["KL", "error", "nll", "ece", "sparsity", "compression", "kl", "seconds"];
    let mut tables = vec![("Trained with", &columns[..])];
    let minus = differences(&records);
    let names: Vec<&str> =
        std::iter::once("difference").chain(DIFFERENCES.iter().flat_map(|(a, b, ..)| [*a, *b])).collect();
    if !minus.is_empty() {
        tables.push(("Differences, seed by seed, and half of their 95 % intervals", &names));
    }
    records.extend(minus);
    let results = Results::on(Args::NAME, args, split, records);
    let about = format!(
        "{}; inputs-300-100-10, {} epochs, {} seeds. Scores are those of the last epoch's weights, not of the best epoch's, \
         pruned at log α = {}.",
        args.runs.images(split),
        args.runs.epochs,
        args.runs.seeds,
        args.runs.threshold
    );
    publish("KL", &about, results, &tables, figures, folder)
}
