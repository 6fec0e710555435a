//! A training half and a test half.

use super::{DataError, Dataset, Images, Layout, Vectors};

/// Training and test data of the same shape and classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Split<L = Vectors> {
    train: Dataset<L>,
    test: Dataset<L>,
}

impl<L: Layout> Split<L> {
    /// # Errors
    /// [`DataError::Halves`] when dimensions or classes differ.
    pub fn new(train: Dataset<L>, test: Dataset<L>) -> Result<Self, DataError> {
        if train.dims() != test.dims() || train.classes() != test.classes() {
            return Err(DataError::Halves {
                train: train.name().into(),
                train_dims: train.dims(),
                train_classes: train.classes(),
                test: test.name().into(),
                test_dims: test.dims(),
                test_classes: test.classes(),
            });
        }
        Ok(Self { train, test })
    }

    /// What to learn from.
    pub fn train(&self) -> &Dataset<L> {
        &self.train
    }

    /// What to be judged on.
    pub fn test(&self) -> &Dataset<L> {
        &self.test
    }

    /// `(train, test)`, by value.
    pub fn into_parts(self) -> (Dataset<L>, Dataset<L>) {
        (self.train, self.test)
    }

    /// The first `train` and the first `test` examples: a smaller, quicker problem.
    ///
    /// # Errors
    /// [`DataError::Take`] when either is 0 or more than there are.
    pub fn take(self, train: usize, test: usize) -> Result<Self, DataError> {
        Ok(Self { train: self.train.take(train)?, test: self.test.take(test)? })
    }

    /// The last `n` training examples in place of the test half: to choose settings by, so that the test half, seen once
    /// at the end, tells the truth.
    ///
    /// # Errors
    /// [`DataError::HeldOut`] when `n` is 0 or would leave nothing to learn from.
    pub fn held_out(self, n: usize) -> Result<Self, DataError> {
        let have = self.train.len();
        if !(1..have).contains(&n) {
            return Err(DataError::HeldOut { name: self.train.name().into(), asked: n, have });
        }
        let left = have - n;
        Ok(Self { test: self.train.clone().take_last(n)?, train: self.train.take(left)? })
    }

    /// For convolutional networks: every datum with its channels, height and width.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// type Net = (SparseVdConv2d<1, 8, 3>, ReLU, MaxPool2d<2>, Flatten<72>, SparseVdLinear<72, 10>);
    /// let mut net = Cpu::default().build_module::<Net, f32>();
    /// let digits = Split::optdigits()?.centred().images().take(200, 100)?;
    /// Trainer { epochs: 1, ..Trainer::default() }.fit(&mut net, digits.train())?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn images(self) -> Split<Images> {
        Split { train: self.train.images(), test: self.test.images() }
    }

    /// For dense networks: every datum as one vector.
    pub fn vectors(self) -> Split<Vectors> {
        Split { train: self.train.vectors(), test: self.test.vectors() }
    }

    /// Subtracts the mean image of the **training** half from both halves.
    ///
    /// ```text
    /// x_ij <- x_ij - m_j,    m_j = (1/N) sum_{i in train} x_ij        j: one pixel
    /// ```
    /// The test half plays no part in the mean. Pixels then lie in `[-1, 1]`.
    pub fn centred(mut self) -> Self {
        let mean = self.train.mean_image();
        self.train.subtract(&mean);
        self.test.subtract(&mean);
        self
    }

    /// Brings each channel to mean 0 and variance 1 over the **training** half, and the test half by the same numbers.
    ///
    /// ```text
    /// x_c <- (x_c - m_c) / s_c       m_c, s_c: mean and standard deviation of channel c, all positions, training half
    /// ```
    /// A channel that is constant in the training half is only centred.
    pub fn standardised(mut self) -> Self {
        let moments = self.train.channel_moments();
        self.train.standardise(&moments);
        self.test.standardise(&moments);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(dims: [usize; 3], classes: usize, inputs: &[f32]) -> Dataset {
        let n = inputs.len() / dims.iter().product::<usize>();
        Dataset::new("half", dims, classes, inputs.to_vec(), vec![0; n]).unwrap()
    }

    #[test]
    fn centring_uses_the_training_mean_on_both_halves() {
        // Training mean of pixel 0: (0 + 1) / 2 = 0.5; of pixel 1: (0.25 + 1) / 2 = 0.625.
        let train = half([1, 1, 2], 1, &[0.0, 0.25, 1.0, 1.0]);
        let test = half([1, 1, 2], 1, &[0.5, 0.0]);
        let (train, test) = Split::new(train, test).unwrap().centred().into_parts();
        assert_eq!(train.inputs(), [-0.5, -0.375, 0.5, 0.375]);
        assert_eq!(test.inputs(), [0.0, -0.625]);
    }

    #[test]
    fn standardising_uses_the_training_moments_on_both_halves() {
        // Channel 0 of the training half: mean 2, deviation 1. Channel 1: always 5, so only centred.
        let train = half([2, 1, 1], 1, &[1.0, 5.0, 3.0, 5.0]);
        let test = half([2, 1, 1], 1, &[6.0, 7.0]);
        let (train, test) = Split::new(train, test).unwrap().standardised().into_parts();
        assert_eq!(train.inputs(), [-1.0, 0.0, 1.0, 0.0]);
        assert_eq!(test.inputs(), [4.0, 2.0]);
    }

    #[test]
    fn halves_that_differ_are_refused() {
        let a = half([1, 1, 2], 2, &[0.0; 2]);
        assert!(matches!(Split::new(a.clone(), half([1, 2, 1], 2, &[0.0; 2])), Err(DataError::Halves { .. })));
        assert!(matches!(Split::new(a.clone(), half([1, 1, 2], 3, &[0.0; 2])), Err(DataError::Halves { .. })));
        assert!(Split::new(a.clone(), a).is_ok());
    }

    #[test]
    fn take_takes_from_each_half() {
        let split = Split::new(half([1, 1, 1], 1, &[0.0, 1.0, 2.0]), half([1, 1, 1], 1, &[3.0, 4.0])).unwrap();
        let small = split.clone().take(2, 1).unwrap();
        assert_eq!((small.train().inputs(), small.test().inputs()), (&[0.0, 1.0][..], &[3.0][..]));
        assert!(split.take(2, 3).is_err());
    }

    #[test]
    fn held_out_examples_are_not_learned_from() {
        let split = Split::new(half([1, 1, 1], 1, &[0.0, 1.0, 2.0]), half([1, 1, 1], 1, &[3.0])).unwrap();
        let held = split.clone().held_out(1).unwrap();
        assert_eq!((held.train().inputs(), held.test().inputs()), (&[0.0, 1.0][..], &[2.0][..]));
        assert!([0, 3, 4].into_iter().all(|n| split.clone().held_out(n).is_err()));
        let error = split.clone().held_out(3).unwrap_err().to_string();
        assert!(error.contains("hold out 3 of 3") && error.contains("1 to 2"), "{error}");
    }
}
