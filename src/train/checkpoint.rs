//! Checkpoints of a training: when, where, and what is in the file.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use sparsevd_infer::{Container, FileError, file};

use crate::error::{Error, setting};

pub(super) const KIND: &str = "training";
pub(super) const VERSION: u32 = 2;

/// Where a training keeps itself, so that it can go on after a crash or an interruption as if nothing had happened.
///
/// The file is safetensors, and replaced as a whole or not at all: all tensors of the network under their names, as in
/// [`save_posterior`](crate::save_posterior)'s file, and Adam's moments as `adam.m.<name>` and `adam.v.<name>`; in the
/// metadata the number of steps, the position in the data, the running sums of the epoch, the history, the trainer, the
/// layers, activations and pools, the numbers that are not tensors (a norm's epsilon and momentum, the rate of dfdx's
/// dropout), and a fingerprint of the data. There is no state of a random number generator: order, augmentation and
/// noise are functions of the trainer's seed, the epoch and the step. A checkpoint of format 1, from before layers had
/// identifiers, is rejected. (dfdx's own `Dropout` draws from the device
/// instead; a network with it goes on with other noise.)
#[derive(Clone, Debug)]
pub struct Checkpoints<'a> {
    /// The file.
    pub path: PathBuf,
    /// Steps from one checkpoint to the next; one more is written at the end, or where the training is stopped.
    pub every: usize,
    /// Whether to go on from the file, if there is one; otherwise it is deleted at the start.
    pub resume: bool,
    /// Looked at after every step: once true, the step is finished, a checkpoint written and the training stopped.
    pub stop: Option<&'a AtomicBool>,
}

impl Checkpoints<'_> {
    /// Every 1000 steps into this file, from the start.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Checkpoints { path: path.into(), every: 1000, resume: false, stop: None }
    }

    /// Whether the training is to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Sees to it that checkpoints can be written.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        setting(self.every > 0, "steps between checkpoints", 0.0, "at least 1")?;
        let unusable = |source| FileError::Write { path: self.path.clone(), source };
        file::sweep(&self.path).map_err(unusable)?;
        if self.resume {
            return Ok(());
        }
        // Or a crash before the first checkpoint would leave another training's to be resumed.
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(error).into()),
            _ => Ok(()),
        }
    }

    /// The bytes of the file to go on from.
    pub(crate) fn read(&self) -> Result<Option<Container>, Error> {
        if !self.resume {
            return Ok(None);
        }
        match Container::read(&self.path, KIND, VERSION) {
            Ok(file) => Ok(Some(file)),
            Err(FileError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
