//! What can be wrong with data, said with the file, the numbers, and the way out.

use std::path::PathBuf;

/// Why data was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file or folder could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A `.gz` stream is damaged, or is cut short.
    #[error("{file}: damaged gzip stream ({source}); download the file again")]
    Gzip {
        /// The file.
        file: String,
        /// What the decompressor said.
        source: std::io::Error,
    },
    /// The first four bytes are those of another format.
    #[error(
        "{file}: begins with the bytes {found:02x?}, an IDX file of {what} begins with {expected:02x?}; \
         are the image and label files swapped, or is this another format?"
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
        /// What the header says.
        dims: Vec<u32>,
        /// The largest product accepted.
        limit: u64,
    },
    /// Fewer or more bytes than the header promises (decompressed bytes, for a `.gz` file).
    #[error("{file}: {found} bytes, its header promises {expected}; the file is {}, download it again",
        if found < expected { "cut short" } else { "too long" })]
    Length {
        /// The file.
        file: String,
        /// Bytes promised by the header, the header included.
        expected: u64,
        /// Bytes there. For a `.gz` file that is too long, reading stops at the first byte too many.
        found: u64,
    },
    /// A file, or what a `.gz` file unpacks to, is larger than this reader accepts.
    #[error("{file}: {found} bytes or more, the limit is {limit}; split the file")]
    TooLarge {
        /// The file.
        file: String,
        /// Bytes found.
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
        /// Bytes there, decompressed for a `.gz` file.
        found: u64,
        /// Bytes of one record.
        record: u64,
    },
    /// A folder lacks one of the files of a data set.
    #[error("{dir}: no {role}; looked for {}, each also with `.gz` (and IDX files with any prefix, as in \
        `optdigits-`); scripts/get-data.sh fetches MNIST, Fashion-MNIST and CIFAR-10",
        looked_for.join(", "), dir = dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
        /// The missing part, as `training images`.
        role: &'static str,
        /// The names that would have been accepted.
        looked_for: Vec<String>,
    },
    /// A folder holds several data sets.
    #[error("{dir}: several data sets, with the prefixes {prefixes:?}; give each a folder of its own", dir = dir.display())]
    Ambiguous {
        /// The folder.
        dir: PathBuf,
        /// What stands before `train-images` and its siblings, sorted; `cifar-10` for CIFAR's batches.
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
        "{name}: {inputs} input values for {labels} labels of {pixels} pixels each; expected {labels} x {pixels} values"
    )]
    Counts {
        /// The data set.
        name: String,
        /// Values given.
        inputs: usize,
        /// Labels given.
        labels: usize,
        /// Channels x height x width.
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
    /// A pixel that is NaN or infinite.
    #[error("{name}: pixel {pixel} of example {index} is {value}; every pixel must be finite")]
    NonFinite {
        /// The data set.
        name: String,
        /// The example, from 0.
        index: usize,
        /// The pixel within the example, from 0.
        pixel: usize,
        /// Its value.
        value: f32,
    },
    /// More examples asked for than there are, or none.
    #[error("{name}: asked for the first {asked} examples of {have}; ask for 1 to {have}")]
    Take {
        /// The data set.
        name: String,
        /// Examples asked for.
        asked: usize,
        /// Examples there.
        have: usize,
    },
    /// More examples to hold out than leave any to learn from, or none.
    #[error("{name}: cannot hold out {asked} of {have} training examples; 1 to {most} can be", most = have.saturating_sub(1))]
    HeldOut {
        /// The data set.
        name: String,
        /// Examples to hold out.
        asked: usize,
        /// Training examples there.
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
