//! Log-uniform against ARD, Gaussian, dropout, dense and magnitude pruning: the same network, side by side.
//!
//! `cargo run --release --example ablation` trains on the 5,620 digits inside the crate; `--help` lists the rest.

mod methods;
mod output;
mod queue;
#[path = "../common/stop.rs"]
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;
use sparsevd::data::Split;

/// Trains one network (inputs-300-100-10) as seven methods and compares error, calibration and sparsity:
/// dense, binary dropout, Gaussian dropout (fixed alpha), Sparse VD (log-uniform prior), ARD (empirical Bayes),
/// Gaussian prior (scale learned per layer), and magnitude pruning of the dense network, fine-tuned at Sparse VD's sparsity.
///
/// Prints a table; writes results.json, figures (SVG) and report.html into the folder given by --out.
/// Ctrl-C stops after the current epochs and reports what is finished.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
pub struct Args {
    /// Folder with IDX files, gzipped or not (MNIST, Fashion-MNIST; see scripts/get-data.sh). Without it: UCI digits, 8x8
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Repetitions of every method, with seeds 0, 1, ..
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub seeds: u64,
    /// Passes over the training data
    #[arg(long, default_value_t = 60, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub epochs: usize,
    /// Images in a mini-batch
    #[arg(long, default_value_t = 50)]
    pub batch: usize,
    /// Adam's learning rate; constant for half the epochs, then linearly to zero
    #[arg(long, default_value_t = 2e-3)]
    pub learning_rate: f64,
    /// KL weight after its warm-up, 0 to 1; smaller keeps more weights
    #[arg(long, default_value_t = 1.0)]
    pub beta: f64,
    /// Weights with log alpha at or above this are pruned
    #[arg(long, default_value_t = sparsevd::THRESHOLD)]
    pub threshold: f64,
    /// Where the results go
    #[arg(long, default_value = "runs/ablation")]
    pub out: PathBuf,
    /// A few epochs on a few images, to see that everything works
    #[arg(long)]
    pub quick: bool,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let mut split = match &args.data {
        Some(folder) => Split::from_dir(folder)?,
        None => Split::optdigits()?,
    };
    if args.quick {
        (args.epochs, args.seeds) = (args.epochs.min(3), 1);
        split = split.take(600, 300)?;
    }
    let split = split.centred();
    let (train, test) = (split.train(), split.test());
    println!("{}: {} training and {} test images of {} pixels", train.name(), train.len(), test.len(), train.pixels());
    let runs = match train.pixels() {
        64 => queue::run_all::<64>(&args, &split)?,
        784 => queue::run_all::<784>(&args, &split)?,
        other => return Err(format!("images of {other} pixels; this example is built for 8x8 and 28x28").into()),
    };
    output::report(&args, &split, &runs)
}
