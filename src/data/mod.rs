//! Labelled images, ready to train on.
//!
//! | you have | reach for |
//! |---|---|
//! | nothing at hand | [`Split::optdigits`]: 5,620 real 8x8 digits, built into the crate |
//! | a folder with MNIST, Fashion-MNIST or anything in their format | [`Split::from_dir`] |
//! | one IDX file | [`idx::read_images`], [`idx::read_labels`] |
//! | numbers of your own | [`Dataset::new`], [`Split::new`] |
//!
//! Pixels are `f32` in `[0, 1]`; [`Split::centred`] subtracts the mean image of the training half. A dense network reads each
//! image as one vector; for a convolutional one, [`Split::images`] keeps channels, height and width.

mod dataset;
mod dir;
mod error;
pub mod idx;
mod layout;
mod optdigits;
mod split;

pub use dataset::Dataset;
pub use error::DataError;
pub use layout::{Images, Layout, Vectors};
pub use split::Split;
