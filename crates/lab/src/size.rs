//! Experiments on images of several sizes: the size is part of a network's type, so each is compiled by itself.

use serde::Serialize;
use sparsevd::prelude::*;

use crate::args::Runs;
use crate::folder::Folder;
use crate::record::Record;
use crate::{Failure, reported};

/// An experiment with networks that read vectors; it serialises into its settings.
pub trait OnImages: Serialize {
    /// The experiment's name.
    const NAME: &str;

    /// Settings that all experiments have.
    fn runs(&self) -> &Runs;

    /// Adds what comes of it to the records, with networks of `I` inputs.
    ///
    /// # Errors
    /// The experiment's own; what it gave before it failed is among the records.
    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure>;
}

/// The experiment with networks of as many inputs as the images have pixels, [`reported`] into its folder.
///
/// # Errors
/// The experiment's own, those of [`Folder::claim`], and for images of a size that none of the experiments is compiled
/// for.
pub fn on_images<X: OnImages>(
    experiment: &X,
    split: &Split,
    report: impl FnOnce(Vec<Record>, &Folder) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (train, test) = (split.train(), split.test());
    println!(
        "{}: {} images to train on, {} to judge by, of {} pixels",
        train.name(),
        train.len(),
        test.len(),
        train.pixels()
    );
    let folder = experiment.runs().claim(X::NAME, experiment)?;
    let mut records = Vec::new();
    let outcome = match train.pixels() {
        64 => experiment.records::<64>(split, &mut records),
        784 => experiment.records::<784>(split, &mut records),
        other => Err(format!("images of {other} pixels; this example is built for 8x8 and 28x28").into()),
    };
    reported(outcome, records, |records| report(records, &folder))
}
