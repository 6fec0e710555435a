//! Sparse Variational Dropout on MNIST with LeNet-5, convolutions included.
//!
//! ```sh
//! scripts/get-data.sh data mnist
//! cargo run --release --example lenet5 -- --data data
//! ```

mod common;

use std::process::ExitCode;

use clap::Parser;
use common::args::{Needs, Training};
use serde::Serialize;
use sparsevd::data::Augment;
use sparsevd::prelude::*;

/// Trains LeNet-5 (two convolutions to 20 and 50 channels, then 800-500-10) with Sparse Variational Dropout on MNIST.
///
/// Prints tables; writes results.json, figures (SVG), report.html, the posterior and the compact network (safetensors) into
/// the folder given by --out.
/// Ctrl-C stops after the current step and reports; --resume goes on, also after a crash, to the same numbers.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    training: Training,
}

const NEEDS: Needs = Needs { example: "lenet5", set: "mnist", folder: "mnist" };

fn main() -> ExitCode {
    common::finish(run(common::args::parse(&[("epochs", "40"), ("out", "runs/lenet5")])))
}

fn run(mut args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let split = args.training.split(NEEDS, (2000, 1000))?.centred().images();
    let net = Cpu::seed_from_u64(args.training.seed).build_module::<LeNet5, f32>();
    let trainer = args.training.trainer(Augment::default());
    let run = common::run::run(net, &split, trainer, &args.training)?;
    let title = format!("LeNet-5 on {}", split.train().name());
    common::output::report(&title, &args, &split, &run, &args.training.out)
}
