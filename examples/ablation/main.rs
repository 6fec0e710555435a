//! Log-uniform against ARD, Gaussian, dropout, dense and magnitude pruning: the same network, side by side.
//!
//! `cargo run --release --example ablation` trains on the 5,620 digits inside the crate; `--help` lists the rest.

mod figures;
mod methods;

use std::process::ExitCode;

use clap::Parser;
use methods::{Case, Method};
use serde::Serialize;
use sparsevd::data::Split;
use sparsevd_lab::args::{Runs, parse};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::finish;
use sparsevd_lab::page::publish;
use sparsevd_lab::record::Record;
use sparsevd_lab::results::Results;

type Failure = Box<dyn std::error::Error>;

/// Trains one network (inputs-300-100-10) as nine methods and compares error, calibration and sparsity:
/// dense, binary dropout, Gaussian dropout (fixed alpha), Sparse VD (log-uniform prior) with the paper's fit and with the exact
/// KL, ARD (empirical Bayes) per weight and per neuron, Gaussian prior (scale learned per layer), and magnitude pruning of the
/// dense network to Sparse VD's sparsity, layer by layer, in five rounds of pruning and training.
///
/// Prints tables; writes results.json, figures (SVG) and report.html into the folder given by --out.
/// Ctrl-C stops after the current steps and reports what is there; --resume goes on.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    /// Trains everything that prunes with these KL weights, too, for a curve of error against sparsity
    #[arg(long, value_delimiter = ',', value_name = "BETA,..")]
    betas: Vec<f64>,
    /// Only these methods, by the beginnings of their names; magnitude pruning needs dense and sparse-vd
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let defaults =
        [("epochs", "60"), ("seeds", "3"), ("batch", "50"), ("learning_rate", "2e-3"), ("out", "runs/ablation")];
    finish(run(parse(&defaults)))
}

fn run(mut args: Args) -> Result<(), Failure> {
    let split = args.runs.split_or_digits((600, 300))?.centred();
    let (train, test) = (split.train(), split.test());
    println!("{}: {} training and {} test images of {} pixels", train.name(), train.len(), test.len(), train.pixels());
    let records = match train.pixels() {
        64 => all::<64>(&args, &split)?,
        784 => all::<784>(&args, &split)?,
        other => return Err(format!("images of {other} pixels; this example is built for 8x8 and 28x28").into()),
    };
    report(&args, &split, records)
}

/// All methods with all seeds.
fn all<const I: usize>(args: &Args, split: &Split) -> Result<Vec<Record>, Failure> {
    let (trained, pruned) = cases(args);
    let epochs = |cases: &[Case]| {
        cases.iter().map(|case| case.method.rounds() * case.method.epochs(args.runs.epochs)).sum::<usize>()
    };
    // Small networks are faster side by side, one thread each.
    let desk = match I {
        64 => Desk::side_by_side(&args.runs, epochs(&trained) + epochs(&pruned))?,
        _ => Desk::new(&args.runs)?,
    };
    let mut records = desk.all(trained, |case| case.train::<I>(args, split, &desk))?;
    let sparse = records.clone();
    records.extend(desk.all(pruned, |case| case.prune::<I>(args, split, &desk, &sparse))?);
    desk.finish();
    Ok(records)
}

/// What is trained from scratch, and what is pruned after that.
fn cases(args: &Args) -> (Vec<Case>, Vec<Case>) {
    let wanted = |method: &Method| args.only.is_empty() || args.only.iter().any(|name| method.is(name));
    let methods: Vec<Method> = Method::ALL.into_iter().filter(wanted).collect();
    let mut betas = vec![args.runs.beta];
    betas.extend(args.betas.iter().filter(|beta| **beta != args.runs.beta));
    let mut all = Vec::new();
    for seed in args.runs.all_seeds() {
        for method in &methods {
            let betas = if method.prunes() || *method == Method::Magnitude { &betas[..] } else { &betas[..1] };
            all.extend(betas.iter().map(|beta| Case { method: *method, seed, beta: *beta, first: *beta == betas[0] }));
        }
    }
    all.into_iter().partition(|case| case.method != Method::Magnitude)
}

fn report(args: &Args, split: &Split, records: Vec<Record>) -> Result<(), Failure> {
    let (train, test) = (split.train(), split.test());
    let name = match train.pixels() {
        64 => "digits".into(),
        _ => train.name().to_lowercase(),
    };
    let mut records = records;
    records.sort_by_key(|record| Method::ALL.iter().position(|method| *method == Method::of(record)));
    let results = Results::new(&format!("ablation-{name}"), args, split, records);
    let figures = figures::figures(args, split, &results.records)?;
    let about = format!(
        "{} training and {} test images; inputs-300-100-10, {} epochs. Mean +- standard deviation over seeds; the last weights, never \
         the best epoch. Everything that prunes is pruned at log alpha = {}.",
        train.len(),
        test.len(),
        args.runs.epochs,
        args.runs.threshold
    );
    let deployed = ["method", "error", "nll", "ece", "brier", "layers", "compression", "neurons", "seconds"];
    let others = ["method", "mean error", "sampled error", "sampled nll", "sampled ece", "entropy", "best error"];
    let tables = [("As deployed", &deployed[..]), ("Unpruned means, and ten draws from the posterior", &others[..])];
    publish(&format!("Ablation on {}", train.name()), &about, &results, &tables, figures, &args.runs.out)
}
