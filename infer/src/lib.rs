//! Compact sparse networks out of training: what they are made of, how they run, and their files.

mod block;
pub mod container;
mod entry;
mod error;
pub mod file;
mod kernel;
mod layer;
mod matrix;
mod net;
mod op;
mod pack;
mod pool;
mod shrink;
mod window;

pub use block::ShapeError;
pub use container::Container;
pub use entry::{Entry, Number};
pub use error::FileError;
pub use layer::Layer;
pub use matrix::{Csr, Dense, Matrix};
pub use net::{CompactNet, InputError, Scratch};
pub use op::{Activation, Op, Pool, PoolKind};
pub use safetensors::Dtype;
pub use shrink::compact;
pub use window::Window;
