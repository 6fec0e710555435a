//! Data sets of labelled images.
//!
//! | you have | use |
//! |---|---|
//! | nothing at hand | [`Split::optdigits`]: 5,620 real digits of 8 × 8 pixels, built into the crate |
//! | a folder with MNIST, Fashion-MNIST or anything in their format, or with CIFAR-10 | [`Split::from_dir`] |
//! | one file of them | [`idx::read_images`], [`idx::read_labels`], [`cifar::read_batch`] |
//! | numbers of your own | [`Dataset::new`], then [`Dataset::split`] or [`Dataset::folds`]; [`Split::new`] if the halves are given |
//!
//! Pixels are `f32` in `[0, 1]`; [`Split::centred`] subtracts the mean image of the training half, and
//! [`Split::standardised`] brings each channel to mean 0 and variance 1. [`Augment`] shifts, warps and mirrors.
//!
//! A dense network reads each image as one vector; for a convolutional one, [`Split::images`] keeps channels, height
//! and width.

mod augment;
pub mod cifar;
mod dataset;
mod dir;
mod draw;
mod error;
mod foreign;
pub mod idx;
mod layout;
mod listing;
mod optdigits;
mod share;
mod sniff;
mod split;
mod strata;

pub use augment::Augment;
pub use dataset::Dataset;
pub use error::DataError;
pub use layout::{Images, Layout, Vectors};
pub use share::Share;
pub use split::Split;
