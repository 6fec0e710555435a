//! The errors of data sets; a message names the file, the numbers, and what to do.

use std::path::PathBuf;

use super::Share;

/// An error in a data set or in its files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file or folder could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The path that was opened.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A `.gz` stream is damaged, or is cut short.
    #[error("{file}: {}; download the file again", match source.kind() {
        std::io::ErrorKind::UnexpectedEof => "the gzip stream breaks off, so the download is incomplete".into(),
        _ => format!("damaged gzip stream ({source})"),
    })]
    Gzip {
        /// The file.
        file: String,
        /// The decompressor's error.
        source: std::io::Error,
    },
    /// The first four bytes are those of another format, which is not known here.
    #[error(
        "{file}: begins with the bytes {found:02x?}, an IDX file of {what} begins with {expected:02x?}; \
         it is damaged, or of another format"
    )]
    Magic {
        /// The file.
        file: String,
        /// `images` or `labels`.
        what: &'static str,
        /// The magic number of such files.
        expected: [u8; 4],
        /// The file's first bytes, at most four.
        found: Vec<u8>,
    },
    /// A count or a side of the images is zero, or the product is beyond [`MAX_BYTES`](crate::data::idx::MAX_BYTES).
    #[error(
        "{file}: its header says {dims:?} (count, then height and width for images); each must be at least 1 and \
         the product at most {limit} bytes; the header is damaged, download the file again"
    )]
    Header {
        /// The file.
        file: String,
        /// The sizes in the header.
        dims: Vec<u32>,
        /// The largest product accepted.
        limit: u64,
    },
    /// Fewer or more bytes than the header implies (decompressed bytes, for a `.gz` file).
    #[error("{file}: {found} bytes, its header promises {expected}; the file is {}, download it again",
        if found < expected { "cut short" } else { "too long" })]
    Length {
        /// The file.
        file: String,
        /// The number of bytes that the header implies, the header included.
        expected: u64,
        /// The number of bytes found. For a `.gz` file that is too long, reading stops at the first byte too many.
        found: u64,
    },
    /// A file, or what a `.gz` file unpacks to, is larger than this reader accepts.
    #[error("{file}: {found} bytes or more, the limit is {limit}; split the file")]
    TooLarge {
        /// The file.
        file: String,
        /// The number of bytes found.
        found: u64,
        /// [`MAX_BYTES`](crate::data::idx::MAX_BYTES).
        limit: u64,
    },
    /// A CIFAR batch that does not consist of whole records.
    #[error(
        "{file}: {found} bytes are not a whole number of {record}-byte records (a label and an image), of which there \
         must be at least one; the file is cut short or of another format, download it again"
    )]
    Records {
        /// The file.
        file: String,
        /// The number of bytes found, decompressed for a `.gz` file.
        found: u64,
        /// The number of bytes in one record.
        record: u64,
    },
    /// A folder lacks one of the files of a data set.
    #[error("{dir}: no {role}; looked for {}, each also with `.gz` (and IDX files with any prefix, as in \
        `optdigits-`), and found {}; scripts/get-data.sh fetches MNIST, Fashion-MNIST and CIFAR-10",
        looked_for.join(", "), some(there), dir = dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
        /// The missing part, such as `training images`.
        role: &'static str,
        /// The names that would have been accepted.
        looked_for: Vec<String>,
        /// The files in the folder, and the folders, with a slash.
        there: Vec<String>,
    },
    /// A folder without a visible file.
    #[error("{dir}: the folder is empty; scripts/get-data.sh fetches MNIST, Fashion-MNIST and CIFAR-10", dir = dir.display())]
    Nothing {
        /// The folder.
        dir: PathBuf,
    },
    /// A folder one or two levels above the data, or one below.
    #[error("{dir}: no data set in this folder, but in {}; give that folder", some(&named(found)), dir = dir.display())]
    Elsewhere {
        /// The folder.
        dir: PathBuf,
        /// The folders near it that have one.
        found: Vec<PathBuf>,
    },
    /// Another format, or another data set, that is known here but not read.
    #[error("{at}: {what}; {todo}")]
    Foreign {
        /// The file or folder.
        at: String,
        /// The format or data set.
        what: String,
        /// The advice.
        todo: String,
    },
    /// Labels that do not begin at 0.
    #[error(
        "{name}: the training labels are {first} to {last}, as EMNIST's letters are 1 to 26; classes are numbered from 0: \
         read the files with `idx::read_images` and `idx::read_labels`, subtract {first} from each label, and give them to \
         `Dataset::new`"
    )]
    FirstLabel {
        /// The data set.
        name: String,
        /// The smallest label.
        first: u8,
        /// The largest label.
        last: u8,
    },
    /// A folder holds several data sets.
    #[error("{dir}: several data sets, with the prefixes {prefixes:?}; give each a folder of its own", dir = dir.display())]
    Ambiguous {
        /// The folder.
        dir: PathBuf,
        /// The prefixes of `train-images` and the other files, sorted; `cifar-10` for CIFAR's batches.
        prefixes: Vec<String>,
    },
    /// A pixel is brighter than the data set's full scale.
    #[error("{file}: pixel {pixel} of image {index} is {value}, the full scale is {full_scale}; is the prefix right?")]
    TooBright {
        /// The file.
        file: String,
        /// The image, from 0.
        index: usize,
        /// The pixel within the image, from 0.
        pixel: usize,
        /// Its value.
        value: u8,
        /// The value that stands for 1.
        full_scale: u8,
    },
    /// No examples.
    #[error("{name}: no examples; a data set needs at least one")]
    Empty {
        /// The data set.
        name: String,
    },
    /// A dimension of 0, or more pixels than memory can address.
    #[error(
        "{name}: images of {dims:?} (channels, height, width); each must be at least 1, and their product fit memory"
    )]
    Dims {
        /// The data set.
        name: String,
        /// Channels, height, width.
        dims: [usize; 3],
    },
    /// Pixels and labels do not match in number.
    #[error(
        "{name}: {inputs} input values for {labels} labels, with {pixels} values per example; expected {labels} x {pixels}"
    )]
    Counts {
        /// The data set.
        name: String,
        /// The number of values given.
        inputs: usize,
        /// The number of labels given.
        labels: usize,
        /// Channels × height × width.
        pixels: usize,
    },
    /// A label that is not a class.
    #[error("{name}: label {label} of example {index} is not a class; the {classes} classes are 0..{classes}")]
    Label {
        /// The data set.
        name: String,
        /// The example, from 0.
        index: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// An input that is NaN or infinite.
    #[error(
        "{name}: value {pixel} of example {index} is {value}; every value must be finite: fill in what is missing, or leave \
         the example out"
    )]
    NonFinite {
        /// The data set.
        name: String,
        /// The example, from 0.
        index: usize,
        /// The pixel or feature within the example, from 0.
        pixel: usize,
        /// Its value.
        value: f32,
    },
    /// A request for more or fewer examples than can be given.
    #[error("{name}: asked for {asked}, {count} of {have} examples; {least} to {most} can {purpose}")]
    Share {
        /// The data set.
        name: String,
        /// The count or fraction requested.
        asked: Share,
        /// The number of examples that this gives.
        count: usize,
        /// The number of examples in the data set.
        have: usize,
        /// The fewest that can be given.
        least: usize,
        /// The most that can be given.
        most: usize,
        /// The purpose, and the reason for the range.
        purpose: &'static str,
    },
    /// A class with too few examples to be in every part of a split.
    #[error(
        "{name}: {} of class {class}; {what} needs at least {needs} of each class, so that no part is without one. Add \
         examples, leave the class out and number the others from 0, or choose both halves yourself, with `select` and \
         `Split::new`",
        match have { 0 => "no example".into(), 1 => "1 example".into(), n => format!("{n} examples") }
    )]
    Rare {
        /// The data set.
        name: String,
        /// The class.
        class: usize,
        /// The number of its examples.
        have: usize,
        /// The operation that needs more of them.
        what: &'static str,
        /// The number of examples that it needs of each class.
        needs: usize,
    },
    /// Fewer than two folds.
    #[error("{name}: {asked} folds; cross-validation takes at least 2")]
    Folds {
        /// The data set.
        name: String,
        /// The number of folds requested.
        asked: usize,
    },
    /// An index beyond the last example.
    #[error("{name}: example {index} selected; there are {have}, numbered from 0")]
    Index {
        /// The data set.
        name: String,
        /// The index.
        index: usize,
        /// The number of examples in the data set.
        have: usize,
    },
    /// A class with test examples and no training examples.
    #[error(
        "{name}: {have} test examples of class {class}, which no training example has. If one table was cut in two, \
         use `split`, which shuffles each class; to test on a class that was not trained, pass the test data to `predict`"
    )]
    Unseen {
        /// The test half.
        name: String,
        /// The class.
        class: usize,
        /// The number of its test examples.
        have: usize,
    },
    /// Training and test halves that do not belong together.
    #[error(
        "{train}: {train_dims:?} (channels, height, width) in {train_classes} classes, but {test}: {test_dims:?} in \
         {test_classes}; both halves of a split must agree"
    )]
    Halves {
        /// The training half.
        train: String,
        /// Its dimensions.
        train_dims: [usize; 3],
        /// Its classes.
        train_classes: usize,
        /// The test half.
        test: String,
        /// Its dimensions.
        test_dims: [usize; 3],
        /// Its classes.
        test_classes: usize,
    },
}

/// The first names, and the number of the others.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn named(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}
