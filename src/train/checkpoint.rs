//! Checkpoints of a training run.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use sparsevd_infer::{Container, FileError, file};

use crate::error::{Error, setting};

pub(super) const KIND: &str = "training";
pub(super) const VERSION: u32 = 2;

/// Checkpoint settings: where and how often to save, and whether to resume.
///
/// The file is safetensors and written atomically. It holds all tensors of the network under their names, as in
/// [`save_posterior`](crate::save_posterior)'s file, and Adam's moments as `adam.m.<name>` and `adam.v.<name>`. Its
/// metadata hold the number of steps, the position in the data, the running sums of the epoch, the history, the
/// trainer, the layers, activations and pools, the scalars (a norm's epsilon and momentum, the rate of dfdx's dropout),
/// and a fingerprint of the data. It holds no state of a random number generator: order, augmentation and noise are
/// functions of the trainer's seed, the epoch and the step. (dfdx's own `Dropout` draws from the device instead; a
/// network with it resumes with different noise.) A checkpoint of format 1, which has no identifiers of layers, is
/// rejected.
#[derive(Clone, Debug)]
pub struct Checkpoints<'a> {
    /// The file.
    pub path: PathBuf,
    /// The number of steps between checkpoints; one more is written when the training run ends or is stopped.
    pub every: usize,
    /// True to resume from the file, if it exists; if false, the file is deleted at the start.
    pub resume: bool,
    /// A flag that is read after every step: if it is true, a checkpoint is written and the training run stops.
    pub stop: Option<&'a AtomicBool>,
}

impl Checkpoints<'_> {
    /// Checkpoints every 1000 steps into this file, without resuming.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Checkpoints { path: path.into(), every: 1000, resume: false, stop: None }
    }

    /// True if the training run is to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Checks that checkpoints can be written, and deletes files of earlier runs unless it resumes.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        setting(self.every > 0, "steps between checkpoints", 0.0, "at least 1")?;
        let unusable = |source| FileError::Write { path: self.path.clone(), source };
        file::sweep(&self.path).map_err(unusable)?;
        if self.resume {
            return Ok(());
        }
        // Otherwise, after a crash before the first checkpoint, that of another run would be resumed.
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(error).into()),
            _ => Ok(()),
        }
    }

    /// The file to resume from, if there is one.
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
