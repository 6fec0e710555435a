//! The errors of files.

use std::io;
use std::path::{Path, PathBuf};

/// A file that cannot be read, written or used: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A problem with this file; [`problem`](FileError::problem) returns it alone.
    #[error("{}: {problem}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: Box<FileError>,
    },
    /// The system cannot read it.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The system cannot write it. The earlier file is intact; if only the folder could not be synced, the complete new
    /// file has replaced it.
    #[error("cannot write {}: {source}; the file that is there now is complete", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file larger than the limit.
    #[error("more than {limit} bytes, the most that is read")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Cut short, damaged, or another kind of file altogether.
    #[error("not a complete safetensors file ({0}); if it was one, it is damaged: use another copy")]
    NotSafetensors(String),
    /// A safetensors file that this library did not write.
    #[error(
        "no metadata `sparsevd`, so this library did not write it; `load_means` takes weights and biases from any safetensors file"
    )]
    Foreign,
    /// A file of this library for another purpose.
    #[error("holds `{found}`, not `{expected}`")]
    Kind {
        /// The kind that was expected.
        expected: String,
        /// The file's kind.
        found: String,
    },
    /// Written by a later version of this library.
    #[error("format version {found}; this library reads versions up to {newest}: use a later version of it")]
    Version {
        /// The file's version.
        found: u32,
        /// The newest version that this library reads.
        newest: u32,
    },
    /// Contents that differ from what was written.
    #[error("damaged: its checksum is {found}, {expected} was written; use another copy")]
    Checksum {
        /// The checksum that was written.
        expected: String,
        /// The checksum of its contents.
        found: String,
    },
    /// All differences between a file and what it is read into.
    #[error("does not fit: {}", .0.join("; "))]
    Mismatch(Vec<String>),
    /// A NaN or an infinity.
    #[error("`{tensor}` holds {value} at index {index}; every number must be finite")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The index, row by row from 0.
        index: usize,
        /// The number: NaN or an infinity.
        value: f64,
    },
    /// A number out of range.
    #[error("`{tensor}` holds {value:?} at index {index}; it must be {must_be}")]
    Range {
        /// The tensor.
        tensor: String,
        /// The index, row by row from 0.
        index: usize,
        /// The number.
        value: f64,
        /// The range, in words.
        must_be: &'static str,
    },
    /// Inconsistent contents.
    #[error("{what}: {problem}")]
    Structure {
        /// The part of the file.
        what: String,
        /// The problem.
        problem: String,
    },
}

impl FileError {
    /// This error, naming the file.
    #[must_use]
    pub fn in_file(self, path: impl AsRef<Path>) -> Self {
        match self {
            named @ (FileError::In { .. } | FileError::Read { .. } | FileError::Write { .. }) => named,
            problem => FileError::In { path: path.as_ref().into(), problem: Box::new(problem) },
        }
    }

    /// The problem, without the file's name.
    pub fn problem(&self) -> &FileError {
        match self {
            FileError::In { problem, .. } => problem.problem(),
            problem => problem,
        }
    }

    /// Inconsistent contents.
    pub fn structure(what: impl Into<String>, problem: impl ToString) -> Self {
        FileError::Structure { what: what.into(), problem: problem.to_string() }
    }
}
