//! A folder in the layout of MNIST, four IDX files, or of CIFAR-10, six batches.

use super::listing::Listing;
use super::{DataError, Dataset, Split, cifar, foreign, idx};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The four parts, with the stems of their file names; the first stem that exists is read.
const TRAIN_IMAGES: Part = Part { role: "training images", stems: &["train-images"], kind: "idx3-ubyte" };
const TRAIN_LABELS: Part = Part { role: "training labels", stems: &["train-labels"], kind: "idx1-ubyte" };
const TEST_IMAGES: Part = Part { role: "test images", stems: &["t10k-images", "test-images"], kind: "idx3-ubyte" };
const TEST_LABELS: Part = Part { role: "test labels", stems: &["t10k-labels", "test-labels"], kind: "idx1-ubyte" };
const PARTS: [Part; 4] = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];

struct Part {
    role: &'static str,
    stems: &'static [&'static str],
    kind: &'static str,
}

impl Part {
    /// The names without a prefix, in order of preference.
    fn names(&self) -> impl Iterator<Item = String> {
        let spelled = |stem: &&str| ['-', '.'].map(|dot| format!("{stem}{dot}{}", self.kind));
        self.stems.iter().flat_map(spelled)
    }

    /// The prefix before this part's name in `file`: empty, or ending in `-` or `_`.
    fn prefix<'a>(&self, file: &'a str) -> Option<&'a str> {
        let file = file.strip_suffix(".gz").unwrap_or(file);
        let prefix = self.names().find_map(|name| file.strip_suffix(name.as_str()))?;
        (prefix.is_empty() || prefix.ends_with(['-', '_'])).then_some(prefix)
    }

    fn find(&self, folder: &Listing, prefix: &str) -> Result<PathBuf, DataError> {
        let names: Vec<String> = self.names().map(|name| format!("{prefix}{name}")).collect();
        let of_this = |name: &str| self.stems.iter().any(|stem| name.contains(stem));
        let missing = || foreign::form(folder, of_this).unwrap_or_else(|| folder.missing(self.role, names.clone()));
        folder.find(names.clone()).ok_or_else(missing)
    }
}

impl Split {
    /// Reads the four files of MNIST, Fashion-MNIST, or another set in their format, or the six of CIFAR-10, plain or
    /// gzipped.
    ///
    /// Accepted are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    /// `t10k-labels-idx1-ubyte` (or `test-` for `t10k-`), each also written `.idx3-ubyte`, ended by `.gz`, and with one
    /// prefix shared by all, as in `optdigits-train-images-idx3-ubyte`. Of a plain and a gzipped file the plain one is
    /// read.
    ///
    /// Pixels are divided by 255, or by 16 when the prefix begins with `optdigits`. The data set is named after the
    /// folder. Its classes are `0..=` the largest label; EMNIST's letters, which begin at 1, are rejected.
    ///
    /// A folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or with a folder
    /// `cifar-10-batches-bin` of them, is [CIFAR-10](cifar): colour images in 10 classes, pixels divided by 255.
    ///
    /// # Errors
    /// [`DataError::Missing`] with the names looked for, [`DataError::Ambiguous`], [`DataError::Elsewhere`] for a
    /// folder one level too high or too low, [`DataError::Foreign`] for other forms and other data sets, or the error
    /// of reading a file.
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        let folder = Listing::of(dir)?;
        let prefix = match (cifar::folder(&folder)?, prefix(&folder)?) {
            (None, Some(prefix)) => prefix,
            (None, None) => {
                let nothing = || folder.missing(TRAIN_IMAGES.role, TRAIN_IMAGES.names().collect());
                return Err(foreign::explain(&folder, is_set).unwrap_or_else(nothing));
            }
            (Some(batches), None) => return cifar::read_split(&batches),
            (Some(_), Some(prefix)) => {
                let prefixes = vec![prefix.into(), cifar::NAME.into()];
                return Err(DataError::Ambiguous { dir: dir.into(), prefixes });
            }
        };
        let full_scale = if prefix.starts_with("optdigits") { 16 } else { 255 };
        let read = |images: &Part, labels: &Part| -> Result<_, DataError> {
            let (images, labels) = (images.find(&folder, prefix)?, labels.find(&folder, prefix)?);
            Ok((images.display().to_string(), idx::read_images(&images)?, idx::read_labels(&labels)?))
        };
        let train = read(&TRAIN_IMAGES, &TRAIN_LABELS)?;
        let test = read(&TEST_IMAGES, &TEST_LABELS)?;
        assemble(&name(dir), full_scale, train, test)
    }
}

/// A file's name for errors, its images, and their labels.
pub(super) type Half = (String, idx::Images, Vec<u8>);

/// Makes a [`Split`] of bytes: pixels divided by `full_scale`, classes `0..=` the largest label of both halves.
pub(super) fn assemble(name: &str, full_scale: u8, train: Half, test: Half) -> Result<Split, DataError> {
    if let (Some(&first @ 1..), Some(&last)) = (train.2.iter().min(), train.2.iter().max()) {
        return Err(DataError::FirstLabel { name: name.into(), first, last });
    }
    let classes = train.2.iter().chain(&test.2).max().map_or(0, |label| usize::from(*label) + 1);
    let half = |(file, images, labels): Half, role| {
        let pixels = images.height * images.width;
        if let Some((at, &value)) = images.pixels.iter().enumerate().find(|(_, value)| **value > full_scale) {
            return Err(DataError::TooBright { file, index: at / pixels, pixel: at % pixels, value, full_scale });
        }
        let inputs = images.pixels.iter().map(|value| f32::from(*value) / f32::from(full_scale)).collect();
        let labels = labels.into_iter().map(usize::from).collect();
        let dims = [1, images.height, images.width];
        Ok(Dataset::new(format!("{name} ({role})"), dims, classes, inputs, labels)?.renamed(name))
    };
    Split::new(half(train, "train")?, half(test, "test")?)
}

/// True for a folder with at least one file of a data set that can be read.
fn is_set(folder: &Listing) -> bool {
    folder.files.iter().any(|file| PARTS.iter().any(|part| part.prefix(file).is_some())) || cifar::is_folder(folder)
}

/// The one prefix that the folder's IDX files share; `None` if there are none.
fn prefix(folder: &Listing) -> Result<Option<&str>, DataError> {
    let found = |file| PARTS.iter().find_map(|part| part.prefix(file));
    let prefixes: BTreeSet<&str> = folder.files.iter().filter_map(|file| found(file)).collect();
    if prefixes.len() > 1 {
        let prefixes = prefixes.into_iter().map(String::from).collect();
        return Err(DataError::Ambiguous { dir: folder.dir.clone(), prefixes });
    }
    Ok(prefixes.into_iter().next())
}

/// The folder's own name, also for `.` and `..`.
fn name(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.into());
    full.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
#[path = "dir_tests.rs"]
mod tests;
