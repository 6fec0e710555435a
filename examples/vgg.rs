//! Sparse Variational Dropout on CIFAR-10 with the VGG-like network.
//!
//! ```sh
//! scripts/get-data.sh data cifar10
//! cargo run --release --example vgg -- --data data
//! ```

mod common;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use common::args::{Needs, Training};
use serde::Serialize;
use sparsevd::data::Augment;
use sparsevd::prelude::*;

/// Trains the VGG-like network (13 convolutions with batch norm, two dense layers) with Sparse Variational Dropout on
/// CIFAR-10, each colour channel brought to mean 0 and variance 1.
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
    /// Channels: full is 64 to 512
    #[arg(long, value_enum, default_value_t = Width::Quarter)]
    width: Width,
    /// Shift images by up to 4 pixels and mirror every second one
    #[arg(long)]
    augment: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Width {
    Quarter,
    Half,
    Full,
}

const NEEDS: Needs = Needs { example: "vgg", set: "cifar10", folder: "cifar-10-batches-bin" };

fn main() -> ExitCode {
    common::finish(run(common::args::parse(&[("epochs", "60"), ("out", "runs/vgg")])))
}

fn run(mut args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let split = args.training.split(NEEDS, (200, 100))?.standardised().images();
    let device = Cpu::seed_from_u64(args.training.seed);
    let augment = if args.augment { Augment { crop_pad: 4, flip: true } } else { Augment::default() };
    let (settings, trainer) = (&args.training, args.training.trainer(augment));
    let run = match args.width {
        Width::Quarter => common::run::run(device.build_module::<VggQuarter, f32>(), &split, trainer, settings)?,
        Width::Half => common::run::run(device.build_module::<VggHalf, f32>(), &split, trainer, settings)?,
        Width::Full => common::run::run(device.build_module::<VggLike, f32>(), &split, trainer, settings)?,
    };
    let title = format!("VGG-like ({:?}) on {}", args.width, split.train().name());
    common::output::report(&title, &args, &split, &run, &args.training.out)
}
