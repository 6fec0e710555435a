//! The error type of the library.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use sparsevd_infer::FileError;
use sparsevd_priors as priors;

use crate::data::DataError;
use crate::metrics::MetricsError;

/// An error of this library: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting outside its range.
    #[error("{name} = {value}; it must be {range}")]
    Setting {
        /// The name of the setting.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The allowed range.
        range: Cow<'static, str>,
    },
    /// A quantity of training is NaN or infinite. If it is the objective or a gradient, the weights are as before the
    /// step, and a training loop of your own can continue. If it is a weight, `place` names its layer.
    #[error("{what} is {value} in {place}{}; {}{}", when(*at), advice(what == KL), last(checkpoint.as_ref()))]
    NotFinite {
        /// The quantity.
        what: String,
        /// Its value.
        value: f64,
        /// The place where it was found: a layer, the output, or the objective.
        place: String,
        /// The epoch, and the step within it, both from 0; `None` in a training loop of your own.
        at: Option<(usize, usize)>,
        /// The last checkpoint, written before this step.
        checkpoint: Option<LastCheckpoint>,
    },
    /// A checkpoint that could not be written. The previous checkpoint of the training run is intact.
    #[error("the checkpoint before epoch {epoch}, step {step}: {source}")]
    Checkpoint {
        /// The epoch, from 0.
        epoch: usize,
        /// The step within the epoch that would have come next, from 0.
        step: usize,
        /// The reason.
        source: FileError,
    },
    /// Two networks whose tensors do not fit each other.
    #[error("the networks do not match: {}", .0.join("; "))]
    Mismatch(Vec<String>),
    /// A network without a layer that has such a prior.
    #[error("no layer has a prior of the type {prior}, only of {found}: the prior is part of the network's type")]
    NoPrior {
        /// The prior that was to be set: its identifier and parameters.
        prior: String,
        /// The priors that the layers have.
        found: String,
    },
    /// Data that the network cannot read.
    #[error("{0}")]
    Input(String),
    /// A part of a network that cannot read its input.
    #[error("{} reads {expected}; it would be given {}", place(layer), dims(found))]
    Shape {
        /// The path of the part, such as `2.0`; empty if the network is a single part.
        layer: String,
        /// The shape that it reads, in words.
        expected: String,
        /// The shape of one example as it arrives there: a number of features, or channels, height, width.
        found: Vec<usize>,
    },
    /// A part of a network that cannot become part of a compact one.
    #[error("{}: {problem}", self::part(part))]
    Compact {
        /// Its path, such as `2.0`; empty if the network is a single part.
        part: String,
        /// The reason.
        problem: String,
    },
    /// A network without any variational layer.
    #[error("the network has no layer of this library, so there is nothing to train, prune or report")]
    NoLayer,
    /// A data set that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Predictions that cannot be scored.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A hyper-parameter that a prior or a posterior cannot have.
    #[error(transparent)]
    Prior(#[from] priors::Error),
    /// A file that cannot be read, written or used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device's error, such as running out of memory.
    #[error("device: {0}")]
    Device(String),
}

impl Error {
    /// This error, naming the file if it is about a file.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Error::File(problem) => Error::File(problem.in_file(path)),
            other => other,
        }
    }

    /// This error, naming the step of the training run if a number was not finite.
    pub(crate) fn while_training(self, epoch: usize, step: usize) -> Self {
        let at = Some((epoch, step));
        match self {
            Error::NotFinite { what, value, place, checkpoint, .. } => {
                Error::NotFinite { what, value, place, at, checkpoint }
            }
            other => other,
        }
    }

    /// This error, with the last good checkpoint if a number was not finite.
    pub(crate) fn after(mut self, last: Option<&LastCheckpoint>) -> Self {
        if let Error::NotFinite { checkpoint, .. } = &mut self {
            *checkpoint = last.cloned();
        }
        self
    }

    /// A part of a network that cannot read its input.
    pub(crate) fn misfit(path: &str, expected: impl Into<String>, found: &[usize]) -> Self {
        Error::Shape { layer: path.into(), expected: expected.into(), found: found.into() }
    }

    /// The KL of a layer that is NaN or infinite although its parameters are finite, at a step that is not known.
    pub(crate) fn kl_not_finite(value: f64, path: &str) -> Self {
        Error::not_finite(KL, value, place(path))
    }

    /// A NaN or an infinity, at a step that is not known.
    pub(crate) fn not_finite(what: impl Into<String>, value: f64, place: String) -> Self {
        Error::NotFinite { what: what.into(), value, place, at: None, checkpoint: None }
    }

    /// Any device's error.
    pub(crate) fn device(error: impl std::fmt::Debug) -> Self {
        Error::Device(format!("{error:?}"))
    }
}

/// The last good checkpoint of a training run that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// The file.
    pub path: PathBuf,
    /// The epoch that it was written in, from 0.
    pub epoch: usize,
    /// The step of that epoch that comes next, from 0.
    pub step: usize,
}

impl fmt::Display for LastCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, before epoch {}, step {}", self.path.display(), self.epoch, self.step)
    }
}

/// The KL, as [`Error::NotFinite`] names it.
const KL: &str = "the KL";

/// A layer in words, by its path.
pub(crate) fn place(path: &str) -> String {
    if path.is_empty() { "the network".into() } else { format!("layer {path}") }
}

/// Any part of a network in words, by its path.
pub(crate) fn part(path: &str) -> String {
    if path.is_empty() { place(path) } else { format!("part {path}") }
}

/// The path of a part, and the name that a tensor has in it.
pub(crate) fn split_name(tensor: &str) -> (&str, &str) {
    tensor.rsplit_once('.').unwrap_or(("", tensor))
}

fn when(at: Option<(usize, usize)>) -> String {
    at.map_or(String::new(), |(epoch, step)| format!(", epoch {epoch}, step {step}"))
}

/// The advice for a KL, or another quantity, that is NaN or infinite.
fn advice(kl: bool) -> &'static str {
    if kl {
        "lower the learning rate, or check the prior's hyper-parameters (your own prior: `Laws::of(prior).check()`)"
    } else {
        "lower the learning rate, or look for unusual values in the inputs; `standardised()` or `centred()` scales them"
    }
}

fn last(checkpoint: Option<&LastCheckpoint>) -> String {
    checkpoint.map_or(String::new(), |last| format!("; the last good checkpoint is {last}"))
}

/// A shape in words.
fn dims(shape: &[usize]) -> String {
    let sides = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    match shape.len() {
        1 => format!("{sides} numbers"),
        3 if shape[1..] == [1, 1] => format!("{sides} (channels, height, width; a vector is `[{}]`)", shape[0]),
        3 => format!("{sides} (channels, height, width)"),
        _ => sides,
    }
}

impl From<dfdx::tensor::CpuError> for Error {
    fn from(error: dfdx::tensor::CpuError) -> Self {
        Error::device(error)
    }
}

/// `Ok` if a setting is in its range; NaN never is.
pub(crate) fn setting(
    ok: bool,
    name: &'static str,
    value: f64,
    range: impl Into<Cow<'static, str>>,
) -> Result<(), Error> {
    if ok { Ok(()) } else { Err(Error::Setting { name, value, range: range.into() }) }
}
