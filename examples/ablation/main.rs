//! A comparison of the log-uniform prior with ARD, Gaussian prior, dropout, a dense network and magnitude pruning.
//!
//! `cargo run --release --example ablation` trains on the 5,620 digits inside the crate; `--help` lists the rest.

mod figures;
mod methods;

use std::process::ExitCode;

use clap::Parser;
use methods::{Case, Method};
use serde::Serialize;
use sparsevd::data::Split;
use sparsevd_lab::args::{Runs, distinct, finite, parse};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::folder::Folder;
use sparsevd_lab::page::publish;
use sparsevd_lab::record::Record;
use sparsevd_lab::results::Results;
use sparsevd_lab::size::{OnImages, on_images};
use sparsevd_lab::{Failure, finish};

/// Trains one network (inputs-300-100-10) with nine methods and compares error, calibration and sparsity: dense, binary
/// dropout, Gaussian dropout (fixed α), Sparse VD (log-uniform prior) with the paper's fit and with the exact KL, ARD
/// (empirical Bayes) per weight and per neuron, Gaussian prior (scale learned per layer), and magnitude pruning of the
/// dense network to Sparse VD's sparsity, layer by layer, in five rounds of pruning and training.
///
/// Prints tables; writes results.json, figures (SVG) and report.html into the folder given by --out. Ctrl-C stops after
/// the current steps, reports the results so far and exits with 130; --resume continues.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    /// Trains all methods that prune with these KL weights, too, for a curve of error against compression
    #[arg(long, value_delimiter = ',', value_name = "BETA,..", value_parser = finite)]
    betas: Vec<f64>,
    /// Only these methods, by prefixes of their names; magnitude pruning needs dense and sparse-vd
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let defaults =
        [("epochs", "60"), ("seeds", "3"), ("batch", "50"), ("learning_rate", "2e-3"), ("out", "runs/ablation")];
    finish(run(parse(&defaults)))
}

fn run(mut args: Args) -> Result<(), Failure> {
    if let Some(name) = args.only.iter().find(|name| !Method::ALL.iter().any(|method| method.is(name))) {
        let names: Vec<String> = Method::ALL.iter().map(|method| method.plain_name()).collect();
        return Err(
            format!("--only {name}: no method's name begins with that; the methods are {}", names.join(", ")).into()
        );
    }
    let absent = |method: Method| !args.only.iter().any(|name| method.is(name));
    if !absent(Method::Magnitude) && (absent(Method::Dense) || absent(Method::SparseVd)) {
        return Err("--only magnitude: it prunes the dense network to Sparse VD's sparsity; add dense,sparse-vd".into());
    }
    let split = args.runs.split_or_digits((600, 300))?.centred();
    on_images(&args, &split, |records, folder| report(&args, &split, records, folder))
}

impl OnImages for Args {
    const NAME: &str = "ablation";

    fn runs(&self) -> &Runs {
        &self.runs
    }

    /// All methods with all seeds.
    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure> {
        let (trained, pruned) = cases(self);
        let epochs = |cases: &[Case]| {
            cases.iter().map(|case| case.method.rounds() * case.method.epochs(self.runs.epochs)).sum::<usize>()
        };
        let desk = Desk::of_size(&self.runs, I, epochs(&trained) + epochs(&pruned))?;
        desk.all(trained, records, |case| case.train::<I>(self, split, &desk))?;
        let sparse = records.clone();
        let outcome = desk.all(pruned, records, |case| case.prune::<I>(self, split, &desk, &sparse));
        desk.finish();
        Ok(outcome?)
    }
}

/// The cases that are trained from scratch, and those that are pruned afterwards.
fn cases(args: &Args) -> (Vec<Case>, Vec<Case>) {
    let wanted = |method: &Method| args.only.is_empty() || args.only.iter().any(|name| method.is(name));
    let methods: Vec<Method> = Method::ALL.into_iter().filter(wanted).collect();
    let betas = distinct(std::iter::once(args.runs.beta).chain(args.betas.iter().copied()));
    let mut all = Vec::new();
    for seed in args.runs.all_seeds() {
        for method in &methods {
            let betas = if method.prunes() || *method == Method::Magnitude { &betas[..] } else { &betas[..1] };
            all.extend(betas.iter().map(|beta| Case { method: *method, seed, beta: *beta, first: *beta == betas[0] }));
        }
    }
    all.into_iter().partition(|case| case.method != Method::Magnitude)
}

fn report(args: &Args, split: &Split, mut records: Vec<Record>, folder: &Folder) -> Result<(), Failure> {
    records.sort_by_key(|record| Method::ALL.iter().position(|method| *method == Method::of(record)));
    let results = Results::on(Args::NAME, args, split, records);
    let figures = figures::figures(args, split, &results.records);
    let about = format!(
        "{}; inputs-300-100-10, {} epochs. Scores are those of the last epoch's weights, not of the best epoch's. Sparse VD, \
         ARD and the Gaussian prior are pruned at log α = {}.",
        args.runs.images(split),
        args.runs.epochs,
        args.runs.threshold
    );
    let deployed = ["method", "error", "nll", "ece", "brier", "layers", "compression", "neurons", "seconds"];
    let others = ["method", "mean error", "sampled error", "sampled nll", "sampled ece", "entropy", "best error"];
    let tables = [("As deployed", &deployed[..]), ("Unpruned means, and ten draws from the posterior", &others[..])];
    publish(&format!("Ablation on {}", split.train().name()), &about, results, &tables, figures, folder)
}
