//! Trains a network and makes it small and fast.
//!
//! ```sh
//! cargo run --release --example compact
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd::{THRESHOLD, on_threads, save_posterior_with};
use sparsevd_lab::args::{finite, path};
use sparsevd_lab::folder::{Again, Folder};
use sparsevd_lab::results::Results;
use sparsevd_lab::{finish, small::small, stop};

/// Trains LeNet-300-100 with Sparse Variational Dropout, on the UCI digits or the images in --data, and compacts it.
///
/// Writes into the folder given by --out: posterior.safetensors, from which training or Python can continue, and the
/// pruned network: compact.safetensors, and compact-posterior.safetensors with weights quantised to posterior
/// precision. Prints the sizes, the errors and the times of a pass, before and after; results.json has them, too.
///
/// Ctrl-C stops after the current step and exits with 130; --resume continues, also after a crash, and gives the same
/// bytes as an uninterrupted run.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    /// Folder with MNIST or Fashion-MNIST [default: the digits inside the crate]
    #[arg(long, value_name = "DIR", value_parser = path)]
    data: Option<PathBuf>,
    /// Passes over the training data
    #[arg(long, default_value_t = 60, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    epochs: usize,
    /// Threshold on log α: weights at or above it are pruned
    #[arg(long, allow_negative_numbers = true, value_parser = finite, default_value_t = THRESHOLD)]
    threshold: f64,
    /// The seed; it determines the initial weights, the order of the data and the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Replace an earlier run's results in the folder, even those of other settings
    #[arg(long)]
    overwrite: bool,
    /// Folder for the results and the checkpoint; one with an earlier run's needs --resume or --overwrite
    #[arg(long, value_name = "DIR", value_parser = path, default_value = "runs/compact")]
    out: PathBuf,
    /// Number of steps between checkpoints
    #[arg(long, value_name = "STEPS", default_value_t = 500)]
    checkpoint_every: usize,
    /// Resume from the checkpoint, if there is one
    #[arg(long)]
    resume: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.data {
        None => Split::optdigits().map_err(Into::into).and_then(|split| run::<64>(&args, split, 50, 2e-3)),
        Some(dir) => Split::from_dir(dir).map_err(Into::into).and_then(|split| run::<784>(&args, split, 100, 1e-3)),
    };
    finish(result)
}

type Net<const I: usize> = LeNet300100<LogUniform, Additive, I>;

fn run<const I: usize>(
    args: &Args,
    split: Split,
    batch: usize,
    learning_rate: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let (split, stop) = (split.centred(), stop::stop_on_signal()?);
    let again = Again { resume: args.resume, overwrite: args.overwrite };
    let folder = Folder::claim(&args.out, "compact", again, args)?;
    let mut net = Cpu::seed_from_u64(args.seed).build_module::<Net<I>, f32>();
    let trainer = Trainer { epochs: args.epochs, batch, learning_rate, seed: args.seed, ..Trainer::default() };
    let checkpoints = Checkpoints {
        path: args.out.join("training.safetensors"),
        every: args.checkpoint_every,
        resume: args.resume,
        stop: Some(stop),
    };
    let fit = || trainer.fit_resumable(&mut net, split.train(), &checkpoints);
    if on_threads(0, fit)??.stopped {
        return Ok(()); // its checkpoint is kept, and `finish` prints the command that resumes
    }
    save_posterior_with(&net, args.out.join("posterior.safetensors"), &trainer)?;
    let small = small(&mut net, split.test(), args.threshold, &args.out)?;
    println!("{small}");
    let records = small.records(&format!("{I}-300-100-10 on {}", split.train().name()), args.seed);
    Results::on("compact", args, &split, records.into()).write(folder.path().join("results.json"))?;
    println!("Wrote {}", args.out.join("compact.safetensors").display());
    Ok(())
}
