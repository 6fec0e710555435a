//! The settings of an experiment as command-line arguments, and the data set that they name.

use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Args, CommandFactory, FromArgMatches, ValueEnum};
use serde::Serialize;
use sparsevd::data::{Augment, DataError, Layout, Split};
use sparsevd::prelude::*;
use sparsevd::{Group, Parameters, Schedule, WarmUp};

use crate::folder::{Again, Folder, FolderError};

/// The seed of the held-out images, and of the subset that `--quick` takes: these are the same for all repetitions.
const DRAW: u64 = 0;

/// The settings of training runs, and the folder for the results.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Runs {
    /// Folder of the data set, or the folder that was given to scripts/get-data.sh
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub data: Option<PathBuf>,
    /// Number of passes over the training data
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub epochs: usize,
    /// The first seed; it determines the initial weights, the order of the data and the noise
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Number of repetitions, each with the next seed
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub seeds: u64,
    /// Number of images in a mini-batch
    #[arg(long, default_value_t = 100)]
    pub batch: usize,
    /// Adam's learning rate
    #[arg(long, default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// Factor of the learning rate for log σ², or log α; more than 1 prunes in fewer epochs
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub variance_rate: f64,
    /// Fraction of the epochs after which the learning rate falls linearly to zero
    #[arg(long, default_value_t = 0.5)]
    pub decay_from: f64,
    /// KL weight after its warm-up; below 1 keeps more weights, above 1 fewer
    #[arg(long, default_value_t = 1.0)]
    pub beta: f64,
    /// Epochs between which the KL weight rises from 0 [default: a twentieth and a half of the epochs]
    #[arg(long, value_name = "FROM,TO", value_parser = epochs_between, conflicts_with = "quick")]
    pub warm_up: Option<(f64, f64)>,
    /// Threshold on log α: weights at or above it are pruned
    #[arg(long, allow_negative_numbers = true, value_parser = finite, default_value_t = sparsevd::THRESHOLD)]
    pub threshold: f64,
    /// The part of these weights that is masked during training, too
    #[arg(long, value_enum, value_name = "WHAT", default_value = "means")]
    pub masking: Masked,
    /// Initial log σ² of networks that learn it
    #[arg(long, allow_negative_numbers = true, default_value_t = -10.0)]
    pub log_sigma2: f64,
    /// Initial log α, the same for each weight whatever its mean, instead of log σ²; for networks that start from trained
    /// means
    #[arg(long, allow_negative_numbers = true, value_parser = finite, conflicts_with = "log_sigma2")]
    pub log_alpha: Option<f64>,
    /// Number of training images to hold out and to test on instead of the test images, for choosing settings; they are
    /// drawn at random, stratified by class, and the same for all seeds
    #[arg(long, value_name = "IMAGES")]
    pub validate: Option<usize>,
    /// Number of threads; 0 means all that the machine has
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Number of steps between checkpoints of a training run; checkpoints are in the folder for the results
    #[arg(long, value_name = "STEPS", default_value_t = 1000, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub checkpoint_every: usize,
    /// Resume from the checkpoints, if there are any
    #[arg(long)]
    pub resume: bool,
    /// Replace an earlier run's results in the folder, even those of other settings; with --resume, keep its training
    /// runs that fit
    #[arg(long)]
    pub overwrite: bool,
    /// Folder for the results; one with an earlier run's results needs --resume or --overwrite, unless that run was
    /// --quick
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub out: PathBuf,
    /// One or two epochs on a few images, one seed and a small KL weight, to check that everything works
    #[arg(long)]
    pub quick: bool,
}

/// The augmentation of training images, drawn anew in each epoch.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Augmentation {
    /// Shifts training images by up to this many pixels in each direction, anew in each epoch
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pub shift: usize,
    /// Stretches, shears and rotates them, by up to this fraction of a pixel per pixel from the centre
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub warp: f64,
    /// Mirrors them left to right with probability one half
    #[arg(long)]
    pub flip: bool,
}

impl Augmentation {
    /// The augmentation for a trainer.
    pub fn augment(&self) -> Augment {
        Augment { crop_pad: self.shift, warp: self.warp, flip: self.flip }
    }
}

/// Parses the command line with these defaults of arguments. Without a default for `data`, it is the digits inside the
/// crate.
pub fn parse<A: CommandFactory + FromArgMatches>(defaults: &[(&'static str, &'static str)]) -> A {
    let with = |command: clap::Command, (name, value): &(&'static str, &'static str)| {
        command.mut_arg(name, |arg| arg.default_value(value).required(false))
    };
    let mut command = defaults.iter().fold(A::command(), with);
    if !defaults.iter().any(|(name, _)| *name == "data") {
        command = command.mut_arg("data", |arg| {
            arg.help("Folder of a data set, such as data/mnist [default: the digits inside the crate]")
        });
    }
    let matches = command.get_matches();
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Parses `5,60`, or one number for both.
fn epochs_between(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text.split_once(',').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse().map_err(|_| format!("`{text}` is not a number; write FROM,TO"));
    Ok((number(from)?, number(to)?))
}

/// These numbers, each once, in the order of their first appearance.
pub fn distinct(numbers: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut once = Vec::new();
    for x in numbers {
        if !once.contains(&x) {
            once.push(x);
        }
    }
    once
}

impl Runs {
    /// The trainer with these settings and the first seed.
    pub fn trainer(&self) -> Trainer {
        let warm_up = match self.warm_up {
            _ if self.quick => WarmUp::Share(0.0, 20.0), // with few images the full KL would prune everything
            Some((from, to)) => WarmUp::Epochs(from, to),
            None => WarmUp::default(),
        };
        Trainer {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            groups: self.groups(),
            schedule: Schedule::LinearToZero { from: self.decay_from },
            beta: self.beta,
            warm_up,
            augment: Augment::default(),
            seed: self.seed,
            ..Trainer::default()
        }
    }

    /// The groups of parameters with learning rates of their own.
    fn groups(&self) -> Vec<Group> {
        let faster = self.variance_rate != 1.0;
        faster.then(|| Group::new(Parameters::LogVariances, self.variance_rate)).into_iter().collect()
    }

    /// Locks the folder for the results of an experiment with these settings, and removes other seeds' networks from
    /// it.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn claim(&self, experiment: &str, settings: &impl Serialize) -> Result<Folder, FolderError> {
        let again = Again { resume: self.resume, overwrite: self.overwrite };
        let folder = Folder::claim(&self.out, experiment, again, settings)?;
        folder.only_seeds(self.all_seeds());
        Ok(folder)
    }

    /// Sets the initial log σ² or log α, and the masking during training, of a network that is to be pruned.
    ///
    /// # Errors
    /// For a number that is not finite.
    pub fn prepare<D: Backend>(&self, net: &mut impl Network<f32, D>) -> Result<(), Error> {
        net.configure(self.masking.settings(self.threshold));
        net.layers_mut().into_iter().try_for_each(|(_, layer)| match self.log_alpha {
            Some(log_alpha) => layer.set_log_alpha(log_alpha),
            None => layer.set_spread(self.log_sigma2),
        })
    }

    /// All seeds.
    pub fn all_seeds(&self) -> std::ops::Range<u64> {
        self.seed..self.seed.saturating_add(self.seeds)
    }

    /// The sizes in words, such as `3823 training and 1797 test images`.
    pub fn images<L: Layout>(&self, split: &Split<L>) -> String {
        let judges = if self.validate.is_some() { "held-out" } else { "test" };
        format!("{} training and {} {judges} images", split.train().len(), split.test().len())
    }

    /// The data set, in the folder itself or where `get-data.sh` puts it inside; with `--quick`, a subset of it.
    ///
    /// # Errors
    /// [`NoData`] if it is not there; those of [`Split::from_dir`].
    pub fn split(&mut self, needs: Needs, quick: (usize, usize)) -> Result<Split, Box<dyn std::error::Error>> {
        let data = self.data.clone().unwrap_or_default();
        let inside = data.join(needs.folder);
        let folder: &Path = if inside.is_dir() { &inside } else { &data };
        let split = Split::from_dir(folder).map_err(|source| needs.explain(&data, source))?;
        self.little(split, quick)
    }

    /// The data set in the folder, or the digits inside the crate; with `--quick`, a subset of it.
    ///
    /// # Errors
    /// Those of [`Split::from_dir`].
    pub fn split_or_digits(&mut self, quick: (usize, usize)) -> Result<Split, Box<dyn std::error::Error>> {
        let split = self.data.as_ref().map_or_else(Split::optdigits, Split::from_dir)?;
        self.little(split, quick)
    }

    fn little(&mut self, split: Split, (train, test): (usize, usize)) -> Result<Split, Box<dyn std::error::Error>> {
        let split = match self.validate {
            Some(images) => split.held_out(images, DRAW)?,
            None => split,
        };
        if !self.quick {
            return Ok(split);
        }
        (self.epochs, self.batch, self.seeds) = (self.epochs.min(2), self.batch.min(50), 1);
        let (all, held) = (split.train().len(), split.test().len());
        Ok(split.take(train.min(all), test.min(held), DRAW)?)
    }
}

/// Parses a number that results can hold: JSON has no infinity.
///
/// # Errors
/// For anything else.
pub fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if number.is_finite() { Ok(number) } else { Err("it must be finite".into()) }
}

/// Parses a path that results can hold: clap ensures that it is UTF-8.
///
/// # Errors
/// For an empty one.
pub fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("it must not be empty") } else { Ok(text.into()) }
}

/// The part of a weight that is masked during training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Masked {
    /// Nothing: weights are pruned only after training
    Nothing,
    /// The means of weights, as in the authors' code; their noise stays
    Means,
    /// Whole weights, as pruning does; training gets faster
    Weights,
}

impl Masked {
    /// The training settings with this threshold.
    pub fn settings(self, threshold: f64) -> Settings {
        let masking = match self {
            Masked::Nothing => Masking::Off,
            Masked::Means => Masking::Means(threshold),
            Masked::Weights => Masking::Weights(threshold),
        };
        Settings { masking, ..Settings::default() }
    }
}

/// The data set of an example, as `get-data.sh` names it.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The example's name.
    pub example: &'static str,
    /// The set's name.
    pub set: &'static str,
    /// The folder that it is put into.
    pub folder: &'static str,
}

/// A data set that was not found.
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
    /// Adds to an error about missing data what to do; returns any other error as it is.
    fn explain(self, dir: &Path, source: DataError) -> Box<dyn std::error::Error> {
        match source {
            DataError::Missing { .. }
            | DataError::Read { .. }
            | DataError::Nothing { .. }
            | DataError::Elsewhere { .. }
            | DataError::Foreign { .. } => NoData { needs: self, dir: dir.into(), source }.into(),
            other => other.into(),
        }
    }
}
