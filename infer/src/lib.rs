//! Compact sparse networks out of training: what they are made of, how they run, and their files.

pub mod container;
mod entry;
mod error;
pub mod file;

pub use container::Container;
pub use entry::{Entry, Number};
pub use error::FileError;
pub use safetensors::Dtype;
