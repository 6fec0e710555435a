//! Experiments on images of several sizes: the size is part of a network's type, so each is compiled by itself.

use sparsevd::prelude::*;

use crate::record::Record;
use crate::{Failure, reported};

/// An experiment with networks that read vectors.
pub trait OnImages {
    /// Adds what comes of it to the records, with networks of `I` inputs.
    ///
    /// # Errors
    /// The experiment's own; what it gave before it failed is among the records.
    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure>;
}

/// The experiment with networks of as many inputs as the images have pixels, [`reported`].
///
/// # Errors
/// The experiment's own, and for images of a size that none of the experiments is compiled for.
pub fn on_images(
    experiment: &impl OnImages,
    split: &Split,
    report: impl FnOnce(Vec<Record>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (train, test) = (split.train(), split.test());
    println!(
        "{}: {} images to train on, {} to judge by, of {} pixels",
        train.name(),
        train.len(),
        test.len(),
        train.pixels()
    );
    let mut records = Vec::new();
    let outcome = match train.pixels() {
        64 => experiment.records::<64>(split, &mut records),
        784 => experiment.records::<784>(split, &mut records),
        other => Err(format!("images of {other} pixels; this example is built for 8x8 and 28x28").into()),
    };
    reported(outcome, records, report)
}
