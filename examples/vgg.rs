//! Sparse Variational Dropout on CIFAR-10 with the VGG-like network.
//!
//! ```sh
//! scripts/get-data.sh data cifar10
//! cargo run --release --example vgg
//! cargo run --release --example vgg --features cuda -- --width full     # on a GPU, with CUDA 11.8
//! ```

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use serde::Serialize;
use sparsevd::data::Images;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Bernoulli, Classifier, Schedule, VggHalf, VggLike, VggQuarter, WarmUp, copy_means};
use sparsevd_lab::args::{Augmentation, Needs, Runs, finite, parse};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::finish;
use sparsevd_lab::record::Record;
use sparsevd_lab::seeds::{Seeds, Start};
use sparsevd_lab::threads::Movable;
use sparsevd_lab::train::Job;

/// Trains the VGG-like network (13 convolutions with batch norm, two dense layers) with Sparse Variational Dropout on
/// CIFAR-10, with each colour channel standardised to mean 0 and variance 1. With --pretrain, it starts from the means
/// of a dense network trained with binary dropout, as in the paper.
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
    /// Width of the network; full has 64 to 512 channels
    #[arg(long, value_enum, default_value_t = Width::Quarter)]
    width: Width,
    /// Number of epochs of dense training with binary dropout before Sparse VD, in one cycle of the learning rate
    #[arg(long, value_name = "EPOCHS", default_value_t = 0, conflicts_with = "from")]
    pretrain: usize,
    /// Adam's largest learning rate during pre-training; that of Sparse VD is --learning-rate
    #[arg(long, value_name = "RATE", default_value_t = 1e-3)]
    pretrain_learning_rate: f64,
    /// Dropout rate before every layer but the first, during pre-training
    #[arg(long, value_name = "RATE", default_value_t = 0.1)]
    dropout: f64,
    /// KL weights instead of --beta, each with a training run of its own from the same start
    #[arg(long, value_delimiter = ',', value_parser = finite, conflicts_with = "beta")]
    betas: Vec<f64>,
    #[command(flatten)]
    #[serde(flatten)]
    images: Augmentation,
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
    finish(run(parse(&[("epochs", "60"), ("masking", "nothing"), ("data", "data"), ("out", "runs/vgg")])))
}

fn run(mut args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let split = args.runs.split(NEEDS, (200, 100))?.standardised().images();
    match args.width {
        Width::Quarter => train::<VggQuarter, VggQuarter<Flat, Bernoulli>>(&args, &split),
        Width::Half => train::<VggHalf, VggHalf<Flat, Bernoulli>>(&args, &split),
        Width::Full => train::<VggLike, VggLike<Flat, Bernoulli>>(&args, &split),
    }
}

/// A network for images with three channels, on the GPU with the feature `cuda`.
trait Net: BuildOnDevice<AutoDevice, f32, Built: Classifier<3, 10, f32, AutoDevice, Images> + Movable> {}
impl<N: BuildOnDevice<AutoDevice, f32, Built: Classifier<3, 10, f32, AutoDevice, Images> + Movable>> Net for N {}

fn train<N: Net, Dense: Net>(args: &Args, split: &Split<Images>) -> Result<(), Box<dyn std::error::Error>> {
    let trainer = Trainer { augment: args.images.augment(), ..args.runs.trainer() };
    let title = format!("VGG-like ({:?}) on {}", args.width, split.train().name());
    let desk = Desk::new(&args.runs)?;
    let seeds = Seeds { experiment: "vgg", title, split, trainer, start: &args.start, betas: &args.betas };
    seeds.run(&desk, &args.runs, args, |seed, records| {
        let mut net = AutoDevice::seed_from_u64(seed).build_module::<N, f32>();
        if args.pretrain > 0 {
            let (dense, record) = pretrained::<Dense>(args, &desk, split, seed)?;
            copy_means(&dense, &mut net)?;
            records.push(record);
        }
        args.runs.prepare(&mut net)?;
        Ok(net)
    })
}

/// A deterministic network trained with binary dropout, and its record.
fn pretrained<Dense: Net>(
    args: &Args,
    desk: &Desk,
    split: &Split<Images>,
    seed: u64,
) -> Result<(Dense::Built, Record), Error> {
    let trainer = Trainer {
        epochs: args.pretrain,
        learning_rate: args.pretrain_learning_rate,
        seed,
        groups: Vec::new(),
        schedule: Schedule::OneCycle { rise: 0.2 },
        beta: 1.0, // it has no KL
        warm_up: WarmUp::Off,
        augment: args.images.augment(),
        ..args.runs.trainer()
    };
    let mut net = AutoDevice::seed_from_u64(seed).build_module::<Dense, f32>();
    for (i, (_, layer)) in net.layers_mut().into_iter().enumerate() {
        if let Some(posterior) = layer.posterior().downcast_mut() {
            *posterior = Bernoulli::new(if i == 0 { 0.0 } else { args.dropout })?;
        }
    }
    let job = Job { label: "Dense".into(), split, trainer, prunes: false };
    let record = desk.one(|| job.train(desk, &mut net))?;
    Ok((net, record))
}
