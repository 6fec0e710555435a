//! Compact sparse networks out of training: what they are made of, how they run, and their files.

mod bits;
mod block;
pub mod container;
mod entry;
mod error;
pub mod file;
mod form;
mod kernel;
mod layer;
mod matrix;
mod net;
mod op;
mod pack;
mod pool;
mod report;
mod save;
mod shrink;
mod window;

pub use block::{Before, ShapeError};
pub use container::Container;
pub use entry::{Entry, Number};
pub use error::FileError;
pub use form::Form;
pub use layer::Layer;
pub use matrix::{Csr, Dense, Matrix};
pub use net::{CompactNet, InputError, Scratch};
pub use op::{Activation, Op, Pool, PoolKind};
pub use report::{LayerReport, Report};
pub use safetensors::Dtype;
pub use save::Precision;
pub use shrink::compact;
pub use window::Window;
