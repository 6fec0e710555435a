//! The binary version of CIFAR-10 (A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009).
//!
//! ```text
//! a record   label (0 to 9) | 1,024 bytes red | 1,024 green | 1,024 blue          32 × 32 each, row by row
//! a file     10,000 records, one after another, without a header
//! a set      data_batch_1.bin to data_batch_5.bin to train on, test_batch.bin
//! ```
//! A file may be gzipped, and may hold any number of records; there is no header that says how many. A record's length
//! is odd, so a file cut at a block of the disk or the network almost never ends with a whole one.

use super::listing::Listing;
use super::sniff::sniff;
use super::{DataError, Dataset, Split, idx};
use std::path::Path;

/// Channels, height, width.
pub const DIMS: [usize; 3] = [3, 32, 32];
/// Labels are `0..CLASSES`.
pub const CLASSES: usize = 10;
/// The name of the data set.
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

/// The images of one file, one byte per value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// One label below [`CLASSES`] for each image; at least one.
    pub labels: Vec<u8>,
    /// `3 × 32 × 32` bytes for each image.
    pub pixels: Vec<u8>,
}

/// Reads one file.
///
/// # Errors
/// [`DataError::Records`], [`DataError::Label`], [`DataError::Foreign`], or the error of reading the file.
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
        let records = || DataError::Records { file: file.into(), found, record: RECORD as u64 };
        return Err(sniff(file, &bytes).or_else(|| hundred(file, &bytes)).unwrap_or_else(records));
    }
    let records = bytes.chunks_exact(RECORD);
    let labels: Vec<u8> = records.clone().map(|record| record[0]).collect();
    if let Some((index, label)) = labels.iter().enumerate().find(|(_, label)| usize::from(**label) >= CLASSES) {
        return Err(DataError::Label { name: file.into(), index, label: usize::from(*label), classes: CLASSES });
    }
    Ok(Batch { labels, pixels: records.flat_map(|record| &record[1..]).copied().collect() })
}

/// The error for a file of CIFAR-100's records; `None` for another file.
fn hundred(file: &str, bytes: &[u8]) -> Option<DataError> {
    let record = RECORD + 1;
    let fits = bytes.len().is_multiple_of(record)
        && bytes.chunks_exact(record).all(|record| record[0] < 20 && record[1] < 100);
    fits.then(|| DataError::Foreign {
        at: file.into(),
        what: format!("{} records of {record} bytes with two labels each, as CIFAR-100 has", bytes.len() / record),
        todo: "choose one of the labels, and pass the numbers to `Dataset::new`".into(),
    })
}

/// The folder that holds the batches: this one, or the archive's folder inside it.
pub(super) fn folder(here: &Listing) -> Result<Option<Listing>, DataError> {
    if is_folder(here) {
        return Listing::of(&here.dir).map(Some);
    }
    let inside = here.folders.iter().any(|folder| folder == FOLDER);
    inside.then(|| Listing::of(&here.dir.join(FOLDER))).transpose()
}

/// True for a folder that holds any of the batches.
pub(super) fn is_folder(here: &Listing) -> bool {
    let batch = |file: &String| {
        let name = file.strip_suffix(".gz").unwrap_or(file);
        TRAIN.iter().chain(&TEST).any(|(batch, _)| *batch == name)
    };
    here.files.iter().any(batch)
}

/// All six batches of a folder.
pub(super) fn read_split(batches: &Listing) -> Result<Split, DataError> {
    Split::new(half(batches, &TRAIN)?, half(batches, &TEST)?)
}

/// One batch after another, so that no more than one is in memory as bytes.
fn half(folder: &Listing, batches: &[(&str, &'static str)]) -> Result<Dataset, DataError> {
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for (name, role) in batches {
        let missing = || folder.missing(role, vec![(*name).into()]);
        let batch = read_batch(&folder.find([(*name).into()]).ok_or_else(missing)?)?;
        inputs.reserve_exact(batch.pixels.len());
        inputs.extend(batch.pixels.iter().map(|value| f32::from(*value) / 255.0));
        labels.extend(batch.labels.iter().map(|label| usize::from(*label)));
    }
    Dataset::new(NAME, DIMS, CLASSES, inputs, labels)
}

#[cfg(test)]
#[path = "cifar_tests.rs"]
mod tests;
