//! A set of labelled images.

use std::marker::PhantomData;

use super::{DataError, Images, Layout, Vectors};

/// Labelled images: `n` examples of `channels × height × width` values, each with a class.
///
/// Every data set is valid: it has at least one example, all pixels are finite, and every label is a class. `L` is the
/// layout in which a network reads an image: [`Vectors`], or [`Images`] after [`images`](Dataset::images).
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset<L = Vectors> {
    name: String,
    dims: [usize; 3],
    classes: usize,
    inputs: Vec<f32>,
    labels: Vec<usize>,
    layout: PhantomData<L>,
}

impl Dataset {
    /// A data set of these inputs and labels. `dims` are channels, height, width; `inputs` holds one image after
    /// another, row by row, channel by channel. The `dims` of a table of `f` features are `[f, 1, 1]`, so that
    /// [`standardised`](super::Split::standardised) treats each feature separately.
    ///
    /// # Errors
    /// [`DataError::Empty`], [`DataError::Dims`], [`DataError::Counts`], [`DataError::Label`] or
    /// [`DataError::NonFinite`].
    pub fn new(
        name: impl Into<String>,
        dims: [usize; 3],
        classes: usize,
        inputs: Vec<f32>,
        labels: Vec<usize>,
    ) -> Result<Self, DataError> {
        let name = name.into();
        let product = dims.iter().try_fold(1_usize, |product, side| product.checked_mul(*side));
        let Some(pixels @ 1..) = product else { return Err(DataError::Dims { name, dims }) };
        if labels.is_empty() {
            return Err(DataError::Empty { name });
        }
        if labels.len().checked_mul(pixels) != Some(inputs.len()) {
            return Err(DataError::Counts { name, inputs: inputs.len(), labels: labels.len(), pixels });
        }
        if let Some((index, &label)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
            return Err(DataError::Label { name, index, label, classes });
        }
        if let Some((at, &value)) = inputs.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(DataError::NonFinite { name, index: at / pixels, pixel: at % pixels, value });
        }
        Ok(Self { name, dims, classes, inputs, labels, layout: PhantomData })
    }
}

impl<L: Layout> Dataset<L> {
    /// The same data for convolutional networks: every example with its channels, height and width.
    pub fn images(self) -> Dataset<Images> {
        self.laid_out()
    }

    /// The same data for dense networks: every example as one vector.
    pub fn vectors(self) -> Dataset<Vectors> {
        self.laid_out()
    }

    fn laid_out<M>(self) -> Dataset<M> {
        let Dataset { name, dims, classes, inputs, labels, .. } = self;
        Dataset { name, dims, classes, inputs, labels, layout: PhantomData }
    }

    /// The name of the data set, for tables and figures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Channels, height, width of one image.
    pub fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// Number of classes; labels are `0..classes`.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of values in one image: channels × height × width.
    pub fn pixels(&self) -> usize {
        self.dims.iter().product()
    }

    /// Number of examples, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "there is no empty one")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// All images, one after another.
    pub fn inputs(&self) -> &[f32] {
        &self.inputs
    }

    /// All labels.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The pixels of example `i`.
    ///
    /// # Panics
    /// When `i >= len()`, as a slice does.
    pub fn input(&self, i: usize) -> &[f32] {
        let pixels = self.pixels();
        &self.inputs[i * pixels..(i + 1) * pixels]
    }

    /// The class of example `i`.
    ///
    /// # Panics
    /// When `i >= len()`, as a slice does.
    pub fn label(&self, i: usize) -> usize {
        self.labels[i]
    }

    /// The examples of these indices, all below [`len`](Dataset::len).
    pub(super) fn gather(&self, which: &[usize]) -> Self {
        Self {
            name: self.name.clone(),
            inputs: which.iter().flat_map(|i| self.input(*i)).copied().collect(),
            labels: which.iter().map(|i| self.label(*i)).collect(),
            ..*self
        }
    }

    /// The mean of each pixel over all examples, summed in `f64`.
    pub fn mean_image(&self) -> Vec<f32> {
        let mut sums = vec![0.0_f64; self.pixels()];
        for image in self.inputs.chunks_exact(self.pixels()) {
            sums.iter_mut().zip(image).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        sums.iter().map(|sum| (sum / self.len() as f64) as f32).collect()
    }

    /// Mean and standard deviation of each channel over all examples and positions, summed in `f64`.
    pub fn channel_moments(&self) -> Vec<(f64, f64)> {
        let [channels, height, width] = self.dims;
        let (area, count) = (height * width, (self.len() * height * width) as f64);
        let sum = |channel: usize, f: &dyn Fn(f64) -> f64| {
            let planes = self.inputs.chunks_exact(area).skip(channel).step_by(channels);
            planes.flatten().map(|x| f(f64::from(*x))).sum::<f64>()
        };
        let moments = |channel| {
            let mean = sum(channel, &|x| x) / count;
            (mean, (sum(channel, &|x| (x - mean) * (x - mean)) / count).sqrt())
        };
        (0..channels).map(moments).collect()
    }

    /// The same data under another name.
    pub(super) fn renamed(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Subtracts `image` from every example; extra or missing pixels of `image` are ignored.
    pub(super) fn subtract(&mut self, image: &[f32]) {
        let pixels = self.pixels();
        for x in self.inputs.chunks_exact_mut(pixels) {
            x.iter_mut().zip(image).for_each(|(x, mean)| *x -= mean);
        }
    }

    /// Replaces every value `x` of a channel by `(x - mean) / std`, or by `x - mean` if the standard deviation is 0.
    pub(super) fn standardise(&mut self, moments: &[(f64, f64)]) {
        let area = self.dims[1] * self.dims[2];
        for (plane, (mean, std)) in self.inputs.chunks_exact_mut(area).zip(moments.iter().cycle()) {
            let scale = if *std > 0.0 { std.recip() } else { 1.0 };
            plane.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Dataset {
        Dataset::new("two", [1, 1, 3], 2, vec![0.0, 0.25, 0.5, 1.0, 0.25, 0.0], vec![1, 0]).unwrap()
    }

    #[test]
    fn examples_come_back_as_given() {
        let data = two();
        assert_eq!((data.name(), data.dims(), data.classes(), data.len(), data.pixels()), ("two", [1, 1, 3], 2, 2, 3));
        assert_eq!((data.input(1), data.label(1)), (&[1.0, 0.25, 0.0][..], 0));
        assert_eq!((data.input(0), data.label(0)), (&[0.0, 0.25, 0.5][..], 1));
        assert_eq!(data.mean_image(), [0.5, 0.25, 0.25]);
    }

    /// Channel 0: 0, 2, 4, 6, mean 3, variance (9 + 1 + 1 + 9) / 4 = 5. Channel 1: all 7.
    #[test]
    fn moments_are_those_of_each_channel() {
        let inputs = vec![0.0, 2.0, 7.0, 7.0, 4.0, 6.0, 7.0, 7.0];
        let mut data = Dataset::new("two channels", [2, 1, 2], 1, inputs, vec![0, 0]).unwrap();
        assert_eq!(data.channel_moments(), [(3.0, 5.0_f64.sqrt()), (7.0, 0.0)]);
        data.standardise(&data.channel_moments());
        let [a, b] = [1.0, 3.0].map(|x| (x / 5.0_f64.sqrt()) as f32);
        assert_eq!(data.inputs(), [-b, -a, 0.0, 0.0, a, b, 0.0, 0.0]);
    }

    #[test]
    fn what_is_unsound_is_refused_where_it_is() {
        let new = |dims, classes, inputs: &[f32], labels: &[usize]| {
            Dataset::new("x", dims, classes, inputs.to_vec(), labels.to_vec()).unwrap_err()
        };
        assert!(matches!(new([1, 1, 1], 2, &[], &[]), DataError::Empty { .. }));
        assert!(matches!(new([1, 0, 1], 2, &[], &[0]), DataError::Dims { .. }));
        assert!(matches!(new([usize::MAX, 2, 1], 2, &[0.0], &[0]), DataError::Dims { .. }));
        assert!(matches!(new([usize::MAX, 1, 1], 2, &[0.0], &[0, 1]), DataError::Counts { .. }));
        assert!(matches!(
            new([1, 1, 2], 2, &[0.0; 3], &[0, 1]),
            DataError::Counts { inputs: 3, labels: 2, pixels: 2, .. }
        ));
        assert!(matches!(new([1, 1, 1], 2, &[0.0; 2], &[0, 2]), DataError::Label { index: 1, label: 2, .. }));
        assert!(matches!(new([1, 1, 1], 0, &[0.0], &[0]), DataError::Label { classes: 0, .. }));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let inputs = [0.0, 0.0, 0.0, bad];
            let error = new([1, 1, 2], 2, &inputs, &[0, 1]);
            assert!(matches!(error, DataError::NonFinite { index: 1, pixel: 1, .. }));
            assert!(
                error.to_string().starts_with(&format!("x: value 1 of example 1 is {bad}; every value must be finite"))
            );
        }
    }
}
