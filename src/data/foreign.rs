//! Recognition of folders with other data sets, or with known ones in another form, and advice on what to do.

use std::path::{Path, PathBuf};

use super::DataError;
use super::listing::Listing;

const CIFAR10: &str = "fetch the binary version, cifar-10-binary.tar.gz, or run `scripts/get-data.sh DIR cifar10`";
const NUMBERS: &str = "read it into a vector of numbers, one example after another, and pass them to `Dataset::new`";
const IDX: &str = "write it as IDX files (for their layout see `data::idx`), or pass the numbers to `Dataset::new`";
const UNPACK: &str = "unpack it, and give the folder that comes out";

/// Endings of names, or whole names after `=`; the data set or format that has such a file or folder; the advice. The
/// first match is taken.
const FORMS: [(&[&str], &str, &str); 12] = [
    (&["=data_batch_1", "=cifar-10-batches-py"], "CIFAR-10 in its Python form, which is pickled", CIFAR10),
    (&["=data_batch_1.mat", "=cifar-10-batches-mat"], "CIFAR-10 in its MATLAB form", CIFAR10),
    (
        &["=train.bin", "=train.bin.gz", "=cifar-100-binary"],
        "CIFAR-100 in its binary form, whose records of 3,074 bytes are a coarse label (0 to 19), a fine one (0 to 99) and \
         3 x 32 x 32 pixels",
        "only CIFAR-10 is read; cut the file into such records, divide the pixels by 255, choose one of the labels, and pass \
         them to `Dataset::new`",
    ),
    (
        &["=cifar-100-python", "=meta"],
        "CIFAR-100 in its Python form, which is pickled",
        "only CIFAR-10 is read; read it in Python, and pass the numbers to `Dataset::new`",
    ),
    (
        &["labels-idx2-int", "labels-idx2-int.gz"],
        "QMNIST, whose labels are a matrix of eight i32 for each image, the first of them the digit",
        "write the first column as IDX labels, one byte each (for their layout see `data::idx`)",
    ),
    (
        &["_32x32.mat"],
        "SVHN in MATLAB's format, where X is height x width x channel x image and the digit 0 has the label 10",
        "load it with scipy.io.loadmat, bring X into the order image, channel, height, width, and pass the numbers to \
         `Dataset::new`",
    ),
    (
        &[".part", ".crdownload", ".download", ".partial"],
        "an incomplete download",
        "let it finish, or fetch the file again",
    ),
    (&[".tar", ".tar.gz", ".tgz", ".zip", ".7z", ".tar.xz", ".tar.bz2"], "an archive", UNPACK),
    (&["-ubyte.xz", "-ubyte.bz2", "-ubyte.zst"], "a compressed file other than .gz", "unpack it"),
    (
        &[".npz", ".npy", ".pt", ".pth", ".pkl", ".pickle", ".mat", ".h5", ".hdf5"],
        "numbers in another program's format",
        IDX,
    ),
    (&[".csv", ".tsv", ".data", ".arff", ".parquet"], "a table", NUMBERS),
    (&[".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".gif", ".tif", ".tiff"], "images, a file each", NUMBERS),
];

/// The error for a folder without a data set, if it can be more specific than that.
pub(super) fn explain(here: &Listing, is_set: impl Fn(&Listing) -> bool) -> Option<DataError> {
    let near = near(here, &is_set);
    if !near.is_empty() {
        return Some(DataError::Elsewhere { dir: here.dir.clone(), found: near });
    }
    if here.files.is_empty() && here.folders.is_empty() {
        return Some(DataError::Nothing { dir: here.dir.clone() });
    }
    form(here, |_| true).or_else(|| {
        // Perhaps a folder for each class, or for each half.
        let inside = here.folders.first().and_then(|folder| Listing::of(&here.dir.join(folder)).ok())?;
        form(&inside, |_| true)
    })
}

/// The error for data in a form that is not read, judging by the names for which `counts` is true.
pub(super) fn form(here: &Listing, counts: impl Fn(&str) -> bool) -> Option<DataError> {
    let fits = |name: &str, pattern: &str| match pattern.strip_prefix('=') {
        Some(whole) => name == whole,
        None => name.to_ascii_lowercase().ends_with(pattern),
    };
    FORMS.iter().find_map(|(patterns, what, todo)| {
        let mut names = here.files.iter().chain(&here.folders);
        let name = names.find(|name| counts(name) && patterns.iter().any(|pattern| fits(name, pattern)))?;
        let at = here.dir.join(name).display().to_string();
        Some(DataError::Foreign { at, what: (*what).into(), todo: (*todo).into() })
    })
}

/// The folders with data sets up to two levels below, or else one level above.
fn near(here: &Listing, is_set: &impl Fn(&Listing) -> bool) -> Vec<PathBuf> {
    let inside = |listing: &Listing| -> Vec<Listing> {
        let folders = listing.folders.iter().take(100); // more are classes, or a home folder
        folders.filter_map(|folder| Listing::of(&listing.dir.join(folder)).ok()).collect()
    };
    let mut level = inside(here);
    for _ in 0..2 {
        let found: Vec<PathBuf> =
            level.iter().filter(|listing| is_set(listing)).map(|listing| listing.dir.clone()).collect();
        if !found.is_empty() {
            return found;
        }
        level = level.iter().flat_map(inside).take(1000).collect();
    }
    let full = here.dir.canonicalize().ok();
    let outside = full.as_deref().and_then(Path::parent).and_then(|parent| Listing::of(parent).ok());
    outside.filter(is_set).map(|listing| listing.dir).into_iter().collect()
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
