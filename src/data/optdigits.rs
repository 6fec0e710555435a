//! The UCI handwritten digits, 140 KB inside the crate, so that examples and tests need no download.

use super::{DataError, Split, dir::assemble, idx};

macro_rules! file {
    ($part:literal) => {
        (
            concat!("optdigits-", $part, "-ubyte.gz"),
            include_bytes!(concat!("../../data/optdigits/optdigits-", $part, "-ubyte.gz")).as_slice(),
        )
    };
}

impl Split {
    /// The UCI handwritten digits: 3,823 training and 1,797 test images of 8 × 8 pixels in 10 classes, inside the
    /// crate.
    ///
    /// A pixel counts the dark cells of a 4 × 4 block of the scanned 32 × 32 bitmap, divided by 16. The two halves were
    /// written by different people (30 and 13). E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*,
    /// UCI Machine Learning Repository (1998), <https://doi.org/10.24432/C50P49>, CC BY 4.0.
    ///
    /// # Errors
    /// None with the files that the crate is built with, as a test checks; the type is that of the other readers.
    pub fn optdigits() -> Result<Self, DataError> {
        let half = |images: (&str, &[u8]), labels: (&str, &[u8])| -> Result<_, DataError> {
            Ok((images.0.to_string(), idx::parse_images(images.0, images.1)?, idx::parse_labels(labels.0, labels.1)?))
        };
        let train = half(file!("train-images-idx3"), file!("train-labels-idx1"))?;
        let test = half(file!("test-images-idx3"), file!("test-labels-idx1"))?;
        assemble("optdigits", 16, train, test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;

    fn class_counts(data: &Dataset) -> Vec<usize> {
        (0..data.classes()).map(|class| data.labels().iter().filter(|label| **label == class).count()).collect()
    }

    /// Pixels as the file's integers: all multiples of 1/16 are exact in `f32`.
    fn integers(data: &Dataset) -> impl Iterator<Item = u64> {
        data.inputs().iter().map(|x| (x * 16.0) as u64)
    }

    #[test]
    fn counts_are_those_of_the_repository() {
        let (train, test) = Split::optdigits().unwrap().into_parts();
        assert_eq!((train.len(), test.len(), train.dims(), train.classes()), (3823, 1797, [1, 8, 8], 10));
        // The class distribution printed in UCI's optdigits.names.
        assert_eq!(class_counts(&train), [376, 389, 380, 389, 387, 376, 377, 387, 380, 382]);
        assert_eq!(class_counts(&test), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn pixels_are_in_place() {
        let (train, test) = Split::optdigits().unwrap().into_parts();
        // Sum of all values, and sum of value × position modulo 1000003, which detects a changed order.
        let sums = |data: &Dataset| {
            let weighted = integers(data).zip(1..).map(|(value, i)| value * i).sum::<u64>() % 1_000_003;
            (integers(data).sum::<u64>(), weighted)
        };
        assert_eq!(sums(&train), (1_204_758, 367_941));
        assert_eq!(sums(&test), (561_718, 48_683));
        assert!(train.inputs().iter().chain(test.inputs()).all(|x| (0.0..=1.0).contains(x)));
    }

    #[test]
    fn the_first_training_image_is_a_zero() {
        let train = Split::optdigits().unwrap().into_parts().0;
        assert_eq!(train.labels()[..10], [0, 0, 7, 4, 6, 2, 5, 5, 0, 8]);
        #[rustfmt::skip]
        let zero = [0, 1,  6, 15, 12,  1, 0, 0,
                    0, 7, 16,  6,  6, 10, 0, 0,
                    0, 8, 16,  2,  0, 11, 2, 0,
                    0, 5, 16,  3,  0,  5, 7, 0,
                    0, 7, 13,  3,  0,  8, 7, 0,
                    0, 4, 12,  0,  1, 13, 5, 0,
                    0, 0, 14,  9, 15,  9, 0, 0,
                    0, 0,  6, 14,  7,  1, 0, 0];
        assert_eq!(integers(&train).take(64).collect::<Vec<_>>(), zero);
    }

    #[test]
    fn centring_leaves_a_zero_training_mean_only() {
        let split = Split::optdigits().unwrap().centred();
        let largest = |data: &Dataset| data.mean_image().iter().fold(0.0_f32, |a, b| a.max(b.abs()));
        assert!(largest(split.train()) < 1e-6);
        assert!(largest(split.test()) > 1e-3); // other writers, another mean
    }
}
