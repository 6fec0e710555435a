//! The settings of an experiment, as command-line arguments, and the data they name.

use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Args, CommandFactory, FromArgMatches, ValueEnum};
use serde::Serialize;
use sparsevd::data::{Augment, DataError, Layout, Split};
use sparsevd::prelude::*;
use sparsevd::{Schedule, WarmUp};

use crate::folder::{Again, Folder, FolderError};

/// The seed of what is held out, and of the little that `--quick` takes: which images these are is part of the problem,
/// not of a repetition.
const DRAW: u64 = 0;

/// How to train, and where the results go.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Runs {
    /// Folder of the data set, or the one that scripts/get-data.sh put it into
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub data: Option<PathBuf>,
    /// Passes over the training data
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub epochs: usize,
    /// The first seed; it determines the initial weights, the order of the data and the noise
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Repetitions of everything, each with the next seed
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub seeds: u64,
    /// Images in a mini-batch
    #[arg(long, default_value_t = 100)]
    pub batch: usize,
    /// Adam's learning rate
    #[arg(long, default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// Share of the epochs after which the learning rate falls linearly to zero
    #[arg(long, default_value_t = 0.5)]
    pub decay_from: f64,
    /// KL weight after its warm-up; below 1 keeps more weights, above 1 fewer
    #[arg(long, default_value_t = 1.0)]
    pub beta: f64,
    /// Epochs between which the KL weight rises from 0 [default: a twentieth and a half of the epochs]
    #[arg(long, value_name = "FROM,TO", value_parser = epochs_between, conflicts_with = "quick")]
    pub warm_up: Option<(f64, f64)>,
    /// Weights with log alpha at or above this are pruned
    #[arg(long, allow_negative_numbers = true, value_parser = finite, default_value_t = sparsevd::THRESHOLD)]
    pub threshold: f64,
    /// What of them is masked during training, too
    #[arg(long, value_enum, value_name = "WHAT", default_value = "means")]
    pub masking: Masked,
    /// log sigma^2 at the start, of networks that learn it
    #[arg(long, allow_negative_numbers = true, default_value_t = -10.0)]
    pub log_sigma2: f64,
    /// Holds out so many of the training images, drawn at random, each class in proportion, the same for all seeds, and
    /// judges by them instead of the test images: for choosing settings
    #[arg(long, value_name = "IMAGES")]
    pub validate: Option<usize>,
    /// Threads to train with; 0 for all that the machine has
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Steps from one checkpoint of a training to the next; checkpoints lie in the folder for the results
    #[arg(long, value_name = "STEPS", default_value_t = 1000, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub checkpoint_every: usize,
    /// Go on from the checkpoints, where there are any
    #[arg(long)]
    pub resume: bool,
    /// Replace an earlier run's results in the folder, whatever its settings; with --resume, keep the trainings that
    /// fit
    #[arg(long)]
    pub overwrite: bool,
    /// Folder for the results; one with an earlier run's results needs --resume or --overwrite, unless that run was
    /// --quick
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub out: PathBuf,
    /// An epoch or two on a few images, one seed and little KL, to see that everything works
    #[arg(long)]
    pub quick: bool,
}

/// How training images are changed, anew in each epoch.
#[derive(Clone, Debug, Args, Serialize)]
pub struct Augmentation {
    /// Shifts training images by up to so many pixels in each direction, anew in each epoch
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pub shift: usize,
    /// Stretches, slants and turns them, by up to such a share of a pixel for each pixel from the centre
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub warp: f64,
    /// Mirrors every second one left to right
    #[arg(long)]
    pub flip: bool,
}

impl Augmentation {
    /// For a trainer.
    pub fn augment(&self) -> Augment {
        Augment { crop_pad: self.shift, warp: self.warp, flip: self.flip }
    }
}

/// The command line, where these arguments have these defaults; without one for `data` there are the digits.
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

/// `5,60`, or one number for both.
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
    /// As the settings say, with the first seed.
    pub fn trainer(&self) -> Trainer {
        let warm_up = match self.warm_up {
            _ if self.quick => WarmUp::Share(0.0, 20.0), // few images, of which a whole KL would leave nothing
            Some((from, to)) => WarmUp::Epochs(from, to),
            None => WarmUp::default(),
        };
        Trainer {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            schedule: Schedule::LinearToZero { from: self.decay_from },
            beta: self.beta,
            warm_up,
            augment: Augment::default(),
            seed: self.seed,
            ..Trainer::default()
        }
    }

    /// Takes the folder for the results, for an experiment with these settings, and removes other seeds' networks from
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

    /// Sets the initial log sigma^2, and what the threshold masks during training, of a network that is to be pruned.
    ///
    /// # Errors
    /// For a log sigma^2 that is not finite.
    pub fn prepare(&self, net: &mut impl Network<f32, Cpu>) -> Result<(), Error> {
        net.configure(self.masking.settings(self.threshold));
        net.layers_mut().into_iter().try_for_each(|(_, layer)| layer.set_spread(self.log_sigma2))
    }

    /// All seeds.
    pub fn all_seeds(&self) -> std::ops::Range<u64> {
        self.seed..self.seed.saturating_add(self.seeds)
    }

    /// `3823 training and 1797 test images`.
    pub fn images<L: Layout>(&self, split: &Split<L>) -> String {
        let judges = if self.validate.is_some() { "held-out" } else { "test" };
        format!("{} training and {} {judges} images", split.train().len(), split.test().len())
    }

    /// The data set, in the folder itself or where `get-data.sh` puts it inside; with `--quick`, a little of it.
    ///
    /// # Errors
    /// [`NoData`] where it is not; what [`Split::from_dir`] says.
    pub fn split(&mut self, needs: Needs, quick: (usize, usize)) -> Result<Split, Box<dyn std::error::Error>> {
        let data = self.data.clone().unwrap_or_default();
        let inside = data.join(needs.folder);
        let folder: &Path = if inside.is_dir() { &inside } else { &data };
        let split = Split::from_dir(folder).map_err(|source| needs.explain(&data, source))?;
        self.little(split, quick)
    }

    /// The data set in the folder, or the digits inside the crate; with `--quick`, a little of it.
    ///
    /// # Errors
    /// What [`Split::from_dir`] says.
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

/// A number that results can hold: JSON has no infinity.
///
/// # Errors
/// For anything else.
pub fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if number.is_finite() { Ok(number) } else { Err("it must be finite".into()) }
}

/// A path that results can hold: in UTF-8, as clap asks of a text.
///
/// # Errors
/// For an empty one.
pub fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("it must not be empty") } else { Ok(text.into()) }
}

/// What a threshold masks during training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Masked {
    /// Nothing: pruning comes only afterwards
    Nothing,
    /// The means of weights, as in the authors' code; their noise stays
    Means,
    /// Whole weights: they are gone as if pruned, and training gets faster
    Weights,
}

impl Masked {
    /// How a network with this threshold trains.
    pub fn settings(self, threshold: f64) -> Settings {
        let masking = match self {
            Masked::Nothing => Masking::Off,
            Masked::Means => Masking::Means(threshold),
            Masked::Weights => Masking::Weights(threshold),
        };
        Settings { masking, ..Settings::default() }
    }
}

/// The data set of an example, as `get-data.sh` knows it.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The example's name.
    pub example: &'static str,
    /// The set's name.
    pub set: &'static str,
    /// The folder that it is put into.
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
            DataError::Missing { .. }
            | DataError::Read { .. }
            | DataError::Nothing { .. }
            | DataError::Elsewhere { .. }
            | DataError::Foreign { .. } => NoData { needs: self, dir: dir.into(), source }.into(),
            other => other.into(),
        }
    }
}
