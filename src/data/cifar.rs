//! The binary version of CIFAR-10 (A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009).
//!
//! ```text
//! a record   label (0 to 9) | 1,024 bytes red | 1,024 green | 1,024 blue          32 x 32 each, row by row
//! a file     10,000 records, one after another, without a header
//! a set      data_batch_1.bin to data_batch_5.bin to train on, test_batch.bin
//! ```
//! A file may be gzipped, and may hold any number of records; there is no header that says how many. A record's length
//! is odd, so a file cut at a block of the disk or the network almost never ends with a whole one.

use super::dir::list;
use super::{DataError, Dataset, Split, idx};
use std::path::{Path, PathBuf};

/// Channels, height, width.
pub const DIMS: [usize; 3] = [3, 32, 32];
/// Labels are `0..CLASSES`.
pub const CLASSES: usize = 10;
/// What the data set is called.
pub(super) const NAME: &str = "cifar-10";

/// The folder in which the authors' archive puts the files.
const FOLDER: &str = "cifar-10-batches-bin";
const PIXELS: usize = DIMS[0] * DIMS[1] * DIMS[2];
const RECORD: usize = 1 + PIXELS;
const TRAIN: [(&str, &str); 5] = [
    ("data_batch_1.bin", "training batch 1"),
    ("data_batch_2.bin", "training batch 2"),
    ("data_batch_3.bin", "training batch 3"),
    ("data_batch_4.bin", "training batch 4"),
    ("data_batch_5.bin", "training batch 5"),
];
const TEST: [(&str, &str); 1] = [("test_batch.bin", "test batch")];

/// The images of one file, one byte a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// One label below [`CLASSES`] for each image; at least one.
    pub labels: Vec<u8>,
    /// `3 x 32 x 32` bytes for each image.
    pub pixels: Vec<u8>,
}

/// Reads one file.
///
/// # Errors
/// [`DataError::Records`], [`DataError::Label`], or what is wrong with the file.
pub fn read_batch(path: &Path) -> Result<Batch, DataError> {
    parse_batch(&path.display().to_string(), &idx::read(path)?)
}

/// [`read_batch`] from memory; `file` is the name that errors mention.
///
/// # Errors
/// As [`read_batch`].
pub fn parse_batch(file: &str, raw: &[u8]) -> Result<Batch, DataError> {
    let bytes = idx::unpack(file, raw, idx::MAX_BYTES + 1)?;
    let (found, limit) = (bytes.len() as u64, idx::MAX_BYTES);
    if found > limit {
        return Err(DataError::TooLarge { file: file.into(), found, limit });
    }
    if bytes.is_empty() || bytes.len() % RECORD != 0 {
        return Err(DataError::Records { file: file.into(), found, record: RECORD as u64 });
    }
    let records = bytes.chunks_exact(RECORD);
    let labels: Vec<u8> = records.clone().map(|record| record[0]).collect();
    if let Some((index, label)) = labels.iter().enumerate().find(|(_, label)| usize::from(**label) >= CLASSES) {
        return Err(DataError::Label { name: file.into(), index, label: usize::from(*label), classes: CLASSES });
    }
    Ok(Batch { labels, pixels: records.flat_map(|record| &record[1..]).copied().collect() })
}

/// The folder that holds the batches, if `dir` or the archive's folder inside it has any.
pub(super) fn folder(dir: &Path, files: &[String]) -> Option<PathBuf> {
    let batch = |file: &String| {
        let name = file.strip_suffix(".gz").unwrap_or(file);
        TRAIN.iter().chain(&TEST).any(|(batch, _)| *batch == name)
    };
    let inside = || files.iter().any(|file| file == FOLDER).then(|| dir.join(FOLDER)).filter(|dir| dir.is_dir());
    if files.iter().any(batch) { Some(dir.into()) } else { inside() }
}

/// All six batches of a folder.
pub(super) fn read_split(dir: &Path) -> Result<Split, DataError> {
    let files = list(dir).map_err(|source| DataError::Read { path: dir.into(), source })?;
    Split::new(half(dir, &files, &TRAIN)?, half(dir, &files, &TEST)?)
}

/// One batch after another, so that no more than one is in memory as bytes.
fn half(dir: &Path, files: &[String], batches: &[(&str, &'static str)]) -> Result<Dataset, DataError> {
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for (name, role) in batches {
        let batch = read_batch(&find(dir, files, name, role)?)?;
        inputs.reserve_exact(batch.pixels.len());
        inputs.extend(batch.pixels.iter().map(|value| f32::from(*value) / 255.0));
        labels.extend(batch.labels.iter().map(|label| usize::from(*label)));
    }
    Dataset::new(NAME, DIMS, CLASSES, inputs, labels)
}

/// The file, plain before gzipped.
fn find(dir: &Path, files: &[String], name: &str, role: &'static str) -> Result<PathBuf, DataError> {
    let found = [name.to_string(), format!("{name}.gz")].into_iter().find(|name| files.contains(name));
    let missing = || DataError::Missing { dir: dir.into(), role, looked_for: vec![name.into()] };
    found.map(|name| dir.join(name)).ok_or_else(missing)
}

#[cfg(test)]
#[path = "cifar_tests.rs"]
mod tests;
