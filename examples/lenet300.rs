//! Table 1 of the paper, first half: LeNet-300-100 on MNIST.
//!
//! ```sh
//! scripts/get-data.sh data mnist
//! cargo run --release --example lenet300
//! ```

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd_lab::args::{Needs, Runs, parse};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::finish;
use sparsevd_lab::seeds::{Seeds, Start};

/// Trains LeNet-300-100 (784-300-100-10) with Sparse Variational Dropout on MNIST.
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
}

const NEEDS: Needs = Needs { example: "lenet300", set: "mnist", folder: "mnist" };

fn main() -> ExitCode {
    finish(run(parse(&[
        ("epochs", "200"),
        ("seeds", "3"),
        ("learning_rate", "2e-3"),
        ("warm_up", "5,20"),
        ("data", "data"),
        ("out", "runs/lenet300"),
    ])))
}

fn run(mut args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let split = args.runs.split(NEEDS, (2000, 1000))?.centred();
    let title = format!("LeNet-300-100 on {}", split.train().name());
    let trainer = args.runs.trainer();
    Seeds { experiment: "lenet300", title, split: &split, trainer, start: &args.start, betas: &[] }.run(
        &Desk::new(&args.runs)?,
        &args.runs,
        &args,
        |seed, _| {
            let mut net = Cpu::seed_from_u64(seed).build_module::<LeNet300100, f32>();
            args.runs.prepare(&mut net)?;
            Ok(net)
        },
    )
}
