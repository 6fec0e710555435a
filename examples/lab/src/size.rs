//! Experiments on images of several sizes: the size is part of a network's type, so each is compiled by itself.

use sparsevd::prelude::*;

use crate::record::Record;

/// An experiment with networks that read vectors.
pub trait OnImages {
    /// What comes of it, with networks of `I` inputs.
    ///
    /// # Errors
    /// The experiment's own.
    fn records<const I: usize>(&self, split: &Split) -> Result<Vec<Record>, Box<dyn std::error::Error>>;
}

/// The experiment with networks of as many inputs as the images have pixels.
///
/// # Errors
/// The experiment's own, and for images of a size that none of the experiments is compiled for.
pub fn on_images(experiment: &impl OnImages, split: &Split) -> Result<Vec<Record>, Box<dyn std::error::Error>> {
    let (train, test) = (split.train(), split.test());
    println!("{}: {} training and {} test images of {} pixels", train.name(), train.len(), test.len(), train.pixels());
    match train.pixels() {
        64 => experiment.records::<64>(split),
        784 => experiment.records::<784>(split),
        other => Err(format!("images of {other} pixels; this example is built for 8x8 and 28x28").into()),
    }
}
