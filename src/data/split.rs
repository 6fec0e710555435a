//! A training half and a test half.

use std::collections::HashSet;

use super::{DataError, Dataset, Images, Layout, Share, Vectors};

/// Training and test data of the same shape and classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Split<L = Vectors> {
    train: Dataset<L>,
    test: Dataset<L>,
}

impl<L: Layout> Split<L> {
    /// A split of given halves, such as a benchmark's official ones. [`Dataset::split`] makes a split from one table.
    ///
    /// A class without test examples is allowed; the test scores then do not cover it. [`Dataset::class_counts`] shows
    /// the classes of each half.
    ///
    /// # Errors
    /// [`DataError::Halves`] if dimensions or classes differ; [`DataError::Unseen`] for a class with test examples and
    /// no training examples, as in a table sorted by class and cut in two.
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
        let seen: HashSet<usize> = train.labels().iter().copied().collect();
        if let Some(&class) = test.labels().iter().find(|label| !seen.contains(label)) {
            let have = test.labels().iter().filter(|label| **label == class).count();
            return Err(DataError::Unseen { name: test.name().into(), class, have });
        }
        Ok(Self { train, test })
    }

    /// A split of two parts of one data set.
    pub(super) fn of_parts(train: Dataset<L>, test: Dataset<L>) -> Self {
        Self { train, test }
    }

    /// The training half.
    pub fn train(&self) -> &Dataset<L> {
        &self.train
    }

    /// The test half.
    pub fn test(&self) -> &Dataset<L> {
        &self.test
    }

    /// `(train, test)`, by value.
    pub fn into_parts(self) -> (Dataset<L>, Dataset<L>) {
        (self.train, self.test)
    }

    /// A random subset of each half, stratified by class: a smaller, quicker problem.
    ///
    /// # Errors
    /// As [`Dataset::take`].
    pub fn take(&self, train: impl Into<Share>, test: impl Into<Share>, seed: u64) -> Result<Self, DataError> {
        Self::new(self.train.take(train, seed)?, self.test.take(test, seed)?)
    }

    /// Splits the training half again: `n` of its examples, or a fraction, become the test half. Use it to choose
    /// settings; the original test half is then used once, at the end.
    ///
    /// # Errors
    /// As [`Dataset::split`].
    pub fn held_out(&self, n: impl Into<Share>, seed: u64) -> Result<Self, DataError> {
        self.train.split(n, seed)
    }

    /// The same data for convolutional networks: every example with its channels, height and width.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// type Net = (SparseVdConv2d<1, 8, 3>, ReLU, MaxPool2d<2>, Flatten<72>, SparseVdLinear<72, 10>);
    /// let mut net = Cpu::default().build_module::<Net, f32>();
    /// let digits = Split::optdigits()?.centred().images().take(200, 100, 0)?;
    /// Trainer { epochs: 1, ..Trainer::default() }.fit(&mut net, digits.train())?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn images(self) -> Split<Images> {
        Split { train: self.train.images(), test: self.test.images() }
    }

    /// The same data for dense networks: every example as one vector.
    pub fn vectors(self) -> Split<Vectors> {
        Split { train: self.train.vectors(), test: self.test.vectors() }
    }

    /// Subtracts the mean image of the **training** half from both halves.
    ///
    /// ```text
    /// x_ij <- x_ij - m_j,    m_j = (1/N) sum_{i in train} x_ij        j: one pixel
    /// ```
    /// The test half does not enter the mean. Pixels then lie in `[-1, 1]`.
    pub fn centred(mut self) -> Self {
        let mean = self.train.mean_image();
        self.train.subtract(&mean);
        self.test.subtract(&mean);
        self
    }

    /// Brings each channel to mean 0 and variance 1 over the **training** half, and transforms the test half by the
    /// same numbers.
    ///
    /// ```text
    /// x_c <- (x_c - m_c) / s_c       m_c, s_c: mean and standard deviation of channel c, all positions, training half
    /// ```
    /// A channel that is constant in the training half is only centred. The features of a table are standardised
    /// separately if its dimensions are `[features, 1, 1]`; with `[1, 1, features]` they are one channel, with one mean
    /// for all.
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

    /// Labels and, as inputs, positions, of two classes.
    fn labelled(labels: &[usize]) -> Dataset {
        let inputs = (0..labels.len()).map(|i| i as f32).collect();
        Dataset::new("two classes", [1, 1, 1], 2, inputs, labels.to_vec()).unwrap()
    }

    #[test]
    fn a_class_without_training_examples_is_refused() {
        let refused = Split::new(labelled(&[0, 0]), labelled(&[0, 1, 1])).unwrap_err();
        assert!(matches!(refused, DataError::Unseen { class: 1, have: 2, .. }));
        let told = refused.to_string();
        assert!(told.contains("class 1") && told.contains("`split`") && told.contains("`predict`"), "{told}");
        let split = Split::new(labelled(&[0, 1]), labelled(&[0])).unwrap();
        assert_eq!(split.test().class_counts(), [1, 0]);
    }

    #[test]
    fn take_takes_from_each_half() {
        let split = Split::new(labelled(&[0, 0, 1, 1, 1, 1]), labelled(&[1, 1, 0, 0])).unwrap();
        let small = split.take(3, 0.5, 1).unwrap();
        assert_eq!((small.train().class_counts(), small.test().class_counts()), (vec![1, 2], vec![1, 1]));
        assert!(matches!(split.take(2, 5, 1), Err(DataError::Share { count: 5, have: 4, least: 2, most: 4, .. })));
    }

    #[test]
    fn held_out_examples_are_not_learned_from() {
        let split = Split::new(labelled(&[0, 0, 0, 0, 1, 1]), labelled(&[0])).unwrap();
        let held = split.held_out(2, 3).unwrap();
        assert_eq!((held.train().class_counts(), held.test().class_counts()), (vec![3, 1], vec![1, 1]));
        let mut all = [held.train().inputs(), held.test().inputs()].concat();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, split.train().inputs());
        assert_eq!(held, split.train().split(2, 3).unwrap());
    }
}
