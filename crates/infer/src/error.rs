//! What can be wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

/// A file that cannot be read, written or used: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// What is wrong with this file; [`problem`](FileError::problem) takes it out.
    #[error("{}: {problem}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: Box<FileError>,
    },
    /// The system cannot read it.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system cannot write it. What was there before still is, or, where only the folder could not be synced, the
    /// new file as a whole.
    #[error("cannot write {}: {source}; what is there now is whole", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than is ever read.
    #[error("more than {limit} bytes, so it is not read")]
    TooLarge {
        /// The most that is read.
        limit: u64,
    },
    /// Cut short, damaged, or another kind of file altogether.
    #[error("not a whole safetensors file ({0}); if it was one, it is damaged: take another copy")]
    NotSafetensors(String),
    /// A safetensors file of somebody else's.
    #[error(
        "no metadata `sparsevd`, so this library did not write it; `load_means` takes weights and biases from any safetensors file"
    )]
    Foreign,
    /// A file of this library for another purpose.
    #[error("holds `{found}`, not `{expected}`")]
    Kind {
        /// What was asked for.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Written by a later version of this library.
    #[error("format version {found}; this library reads versions up to {newest}, so use a later one")]
    Version {
        /// The file's version.
        found: u32,
        /// The newest that is known.
        newest: u32,
    },
    /// Its contents are not what was written.
    #[error("damaged: its checksum is {found}, {expected} was written; take another copy")]
    Checksum {
        /// What was written.
        expected: String,
        /// What its contents come to.
        found: String,
    },
    /// All that does not fit between a file and what it is read into.
    #[error("does not fit: {}", .0.join("; "))]
    Mismatch(Vec<String>),
    /// A number that is not one.
    #[error("`{tensor}` holds {value} at index {index}; every number must be finite")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Where, row by row from 0.
        index: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// A number that cannot be what its tensor stands for.
    #[error("`{tensor}` holds {value:?} at index {index}; it must be {must_be}")]
    Range {
        /// The tensor.
        tensor: String,
        /// Where, row by row from 0.
        index: usize,
        /// What it holds there.
        value: f64,
        /// What can be.
        must_be: &'static str,
    },
    /// Contents that contradict themselves.
    #[error("{what}: {problem}")]
    Structure {
        /// Which part.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl FileError {
    /// This error, said of a file.
    #[must_use]
    pub fn in_file(self, path: impl AsRef<Path>) -> Self {
        match self {
            named @ (FileError::In { .. } | FileError::Read { .. } | FileError::Write { .. }) => named,
            problem => FileError::In { path: path.as_ref().into(), problem: Box::new(problem) },
        }
    }

    /// What is wrong, whatever the file.
    pub fn problem(&self) -> &FileError {
        match self {
            FileError::In { problem, .. } => problem.problem(),
            problem => problem,
        }
    }

    /// Contents that contradict themselves.
    pub fn structure(what: impl Into<String>, problem: impl ToString) -> Self {
        FileError::Structure { what: what.into(), problem: problem.to_string() }
    }
}
