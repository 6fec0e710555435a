//! Checks of a training run.

use dfdx::prelude::*;

use crate::compute::visit::Tensors;
use crate::compute::{Backend, Elem, Taped};
use crate::data::{Augment, Dataset, Layout};
use crate::error::{Error, setting};
use crate::model::tensors;

/// The number of misclassified examples.
pub(super) fn misclassified<const C: usize, E: Elem, D: Backend<E>>(
    logits: &Taped<(usize, Const<C>), E, D>,
    labels: &[usize],
) -> usize {
    let logits = logits.as_vec();
    let best = |row: &[E]| (1..C).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    logits.chunks(C).zip(labels).filter(|(row, label)| best(row) != **label).count()
}

/// The entropy in nats of labels with these counts: the NLL of predicting every class as often as it occurs.
pub(super) fn entropy(class_counts: &[usize]) -> f64 {
    let all: usize = class_counts.iter().sum();
    let shares = class_counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / all as f64);
    shares.map(|share| -share * share.ln()).sum()
}

/// Rejects batches of one example in a network with a batch norm: a single number has no variance.
pub(super) fn norm_of_one<E: Elem, D: Backend<E>>(network: &dyn Tensors<E, D>, batch: usize) -> Result<(), Error> {
    let has_norm = batch == 1 && tensors::read(network)?.iter().any(|tensor| tensor.role() == "running_var");
    setting(!has_norm, "batch", 1.0, "at least 2, because a batch norm takes the variance of the batch")
}

/// Rejects augmentation of data that are not images, and settings out of range.
pub(super) fn augmentation<L: Layout>(augment: &Augment, data: &Dataset<L>) -> Result<(), Error> {
    let ([_, height, width], pad) = (data.dims(), augment.crop_pad);
    if !augment.is_off() && L::dims(data.dims()).len() == 1 {
        return Err(Error::Input(format!(
            "`augment` is for images, but {} is laid out as vectors; call `.images()` on the data and train \
             a convolutional network, or leave `augment` at its default",
            data.name()
        )));
    }
    let range = "smaller than the images' height and width";
    setting(augment.is_off() || pad < height.min(width), "augment.crop_pad", pad as f64, range)?;
    setting((0.0..=0.5).contains(&augment.warp), "augment.warp", augment.warp, "from 0 to 0.5")
}
