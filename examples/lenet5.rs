//! Table 1 of the paper, second half: LeNet-5 on MNIST.
//!
//! ```sh
//! scripts/get-data.sh data mnist
//! cargo run --release --example lenet5
//! ```

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use sparsevd::LeNet5;
use sparsevd::prelude::*;
use sparsevd_lab::args::{Augmentation, Needs, Runs, parse};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::finish;
use sparsevd_lab::seeds::{Seeds, Start};

/// Trains LeNet-5 (two convolutions to 20 and 50 channels, then 800-500-10) with Sparse Variational Dropout on MNIST.
///
/// Prints tables; writes results.json, figures (SVG), report.html, and for each seed the posterior and the compact
/// network (safetensors) into the folder given by --out. Ctrl-C stops after the current step, reports and exits with
/// 130; --resume continues, also after a crash, and gives the same numbers as an uninterrupted run.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    #[command(flatten)]
    #[serde(flatten)]
    start: Start,
    #[command(flatten)]
    #[serde(flatten)]
    images: Augmentation,
}

const NEEDS: Needs = Needs { example: "lenet5", set: "mnist", folder: "mnist" };

fn main() -> ExitCode {
    finish(run(parse(&[
        ("epochs", "100"),
        ("seeds", "2"),
        ("learning_rate", "2e-3"),
        ("warm_up", "5,20"),
        ("data", "data"),
        ("out", "runs/lenet5"),
    ])))
}

fn run(mut args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let split = args.runs.split(NEEDS, (2000, 1000))?.centred().images();
    let title = format!("LeNet-5 on {}", split.train().name());
    let trainer = Trainer { augment: args.images.augment(), ..args.runs.trainer() };
    Seeds { experiment: "lenet5", title, split: &split, trainer, start: &args.start, betas: &[] }.run(
        &Desk::new(&args.runs)?,
        &args.runs,
        &args,
        |seed, _| {
            let mut net = Cpu::seed_from_u64(seed).build_module::<LeNet5, f32>();
            args.runs.prepare(&mut net)?;
            Ok(net)
        },
    )
}
