//! Sparse Variational Dropout on the digits inside the crate, in a training that survives being killed.
//!
//! ```sh
//! cargo run --release --example compact
//! ```

#[path = "common/resume.rs"]
mod resume;
#[path = "common/stop.rs"]
mod stop;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sparsevd::prelude::*;

/// Trains LeNet-300-100 with Sparse Variational Dropout on the UCI digits and writes posterior.safetensors into the folder
/// given by --out.
///
/// Ctrl-C stops after the current step; --resume goes on, also after a crash, to the same bytes.
#[derive(Clone, Debug, Parser)]
#[command(version)]
struct Args {
    /// Passes over the training data
    #[arg(long, default_value_t = 60)]
    epochs: usize,
    /// Determines the initial weights, the order of the data and the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the results and the checkpoint
    #[arg(long, value_name = "DIR", default_value = "runs/compact")]
    out: PathBuf,
    /// Steps from one checkpoint to the next
    #[arg(long, value_name = "STEPS", default_value_t = 500)]
    checkpoint_every: usize,
    /// Go on from the checkpoint, if there is one
    #[arg(long)]
    resume: bool,
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

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let (split, stop) = (Split::optdigits()?.centred(), stop::stop_on_ctrl_c()?);
    let mut net = Cpu::seed_from_u64(args.seed).build_module::<LeNet300100<LogUniform, Additive, 64>, f32>();
    let epochs = args.epochs as f64;
    let trainer = Trainer {
        epochs: args.epochs,
        batch: 50,
        learning_rate: 2e-3,
        warm_up: (0.05 * epochs, 0.5 * epochs),
        seed: args.seed,
        ..Trainer::default()
    };
    let checkpoints = Checkpoints {
        path: args.out.join("training.safetensors"),
        every: args.checkpoint_every,
        resume: args.resume,
        stop: Some(stop),
    };
    let fit = || trainer.fit_resumable(&mut net, split.train(), &checkpoints, |_, _| ControlFlow::Continue(()));
    if on_threads(0, fit)??.stopped {
        println!("{}", resume::how_to_resume());
        return Ok(());
    }
    save_posterior_with(&net, args.out.join("posterior.safetensors"), &trainer)?;
    let pruned = predict(&mut net, split.test(), Evaluate::Pruned(THRESHOLD))?.score(split.test().labels())?;
    println!("error {:.2} % after pruning\n{}", 100.0 * pruned.error, net.sparsity(THRESHOLD)?);
    Ok(())
}
