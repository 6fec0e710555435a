//! Experiments on images of several sizes: the size is part of a network's type, so each size is compiled separately.

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

    /// The settings that all experiments have.
    fn runs(&self) -> &Runs;

    /// Runs the experiment with networks of `I` inputs, and adds its records.
    ///
    /// # Errors
    /// The experiment's own; the results before the failure are among the records.
    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure>;
}

/// Runs the experiment with networks of as many inputs as the images have pixels, and reports it into its folder
/// ([`reported`]).
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
        "{}: {} images to train on, {} to test on, of {} pixels",
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
