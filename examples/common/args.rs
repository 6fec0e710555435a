//! The settings of a training, as command-line arguments, and the data they name.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::builder::RangedU64ValueParser;
use clap::{Args, CommandFactory, FromArgMatches};
use serde::Serialize;
use sparsevd::data::{Augment, DataError, Split};
use sparsevd::{Checkpoints, Trainer};

/// How to train, and where the results go.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Training {
    /// Folder with the data; scripts/get-data.sh fetches them
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Passes over the training data
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub epochs: usize,
    /// Images in a mini-batch
    #[arg(long, default_value_t = 100)]
    pub batch: usize,
    /// Adam's learning rate; constant for half the epochs, then linearly to zero
    #[arg(long, default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// KL weight after its warm-up, 0 to 1; smaller keeps more weights
    #[arg(long, default_value_t = 1.0)]
    pub beta: f64,
    /// Epochs between which the KL weight rises from 0 [default: a twentieth and a half of the epochs]
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    pub warm_up: Option<Vec<f64>>,
    /// Weights with log alpha at or above this are pruned
    #[arg(long, default_value_t = sparsevd::THRESHOLD)]
    pub threshold: f64,
    /// Determines the initial weights, the order of the data and the noise
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Threads; 0 for all that the machine has
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Steps from one checkpoint of the training to the next; it lies in the folder for the results
    #[arg(long, value_name = "STEPS", default_value_t = 500, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub checkpoint_every: usize,
    /// Go on from the checkpoint, if there is one
    #[arg(long)]
    pub resume: bool,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// One or two epochs on a few images, to see that everything works
    #[arg(long)]
    pub quick: bool,
}

/// The command line, where these arguments have these defaults.
pub fn parse<A: CommandFactory + FromArgMatches>(defaults: &[(&'static str, &'static str)]) -> A {
    let with = |command: clap::Command, (name, value): &(&'static str, &'static str)| {
        command.mut_arg(name, |arg| arg.default_value(value).required(false))
    };
    let matches = defaults.iter().fold(A::command(), with).get_matches();
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

impl Training {
    pub fn trainer(&self, augment: Augment) -> Trainer {
        let epochs = self.epochs as f64;
        let warm_up = match self.warm_up.as_deref() {
            Some(&[from, to]) => (from, to),
            _ if self.quick => (0.0, 20.0 * epochs), // few images, of which a whole KL would leave nothing
            _ => (0.05 * epochs, 0.5 * epochs),
        };
        Trainer {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            beta: self.beta,
            warm_up,
            augment,
            seed: self.seed,
            ..Trainer::default()
        }
    }

    /// Where and when the training is kept.
    pub fn checkpoints<'a>(&self, stop: &'a AtomicBool) -> Checkpoints<'a> {
        let path = self.out.join("training.safetensors");
        Checkpoints { path, every: self.checkpoint_every, resume: self.resume, stop: Some(stop) }
    }

    /// The data set, in the folder itself or where `get-data.sh` puts it inside; with `--quick`, a little of it.
    pub fn split(&mut self, needs: Needs, quick: (usize, usize)) -> Result<Split, Box<dyn std::error::Error>> {
        let inside = self.data.join(needs.folder);
        let folder: &Path = if inside.is_dir() { &inside } else { &self.data };
        let split = Split::from_dir(folder).map_err(|source| needs.explain(&self.data, source))?;
        if !self.quick {
            return Ok(split);
        }
        (self.epochs, self.batch) = (self.epochs.min(2), self.batch.min(50));
        Ok(split.take(quick.0, quick.1)?)
    }
}

/// The data set of an example, as `get-data.sh` knows it.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    pub example: &'static str,
    pub set: &'static str,
    pub folder: &'static str,
}

/// The data set is not where it was looked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "{source}\nThis example needs images: `scripts/get-data.sh {dir} {set}` fetches them, \
     then `cargo run --release --example {example} -- --data {dir}`",
    dir = dir.display(), set = needs.set, example = needs.example
)]
pub struct NoData {
    needs: Needs,
    dir: PathBuf,
    source: DataError,
}

impl Needs {
    /// What to do about missing data; any other error speaks for itself.
    fn explain(self, dir: &Path, source: DataError) -> Box<dyn std::error::Error> {
        match source {
            DataError::Missing { .. } | DataError::Read { .. } => {
                NoData { needs: self, dir: dir.into(), source }.into()
            }
            other => other.into(),
        }
    }
}
