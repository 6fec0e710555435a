//! Small questions that a training asks.

use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;

use crate::backend::{Backend, Elem, Taped};
use crate::error::{Error, setting};
use crate::tensors;

/// How many of these data get another class than their label.
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

/// Refuses batches of one in a network with a batch norm, to which a single number has no variance.
pub(crate) fn norm_of_one<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &N,
    batch: usize,
) -> Result<(), Error> {
    let has_norm = batch == 1 && tensors::read(network)?.iter().any(|tensor| tensor.role() == "running_var");
    setting(!has_norm, "batch", 1.0, "at least 2, because a batch norm takes the variance of the batch")
}
