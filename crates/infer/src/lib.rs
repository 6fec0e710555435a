//! Compact sparse networks after training: their construction, inference and files.
//!
//! The crate needs no training library, and inference is allocation-free after the first call. A [`CompactNet`] is read
//! from a file, or made from a trained network's weights, of which the pruned ones are zero:
//!
//! ```
//! use sparsevd_infer::{Activation, Op, Scratch, compact};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let parts = [
//!     Op::Linear { weights: vec![1.0, 0.0, 0.0, 0.0], bias: vec![0.5, 0.25], sigma: None }, // (2, 2), row by row
//!     Op::Activation(Activation::Relu),
//!     Op::Linear { weights: vec![2.0, 4.0], bias: vec![0.0], sigma: None },
//! ];
//! let net = compact(&parts, [2, 1, 1])?; // the second neuron is constant: 4 × 0.25 is folded into the last bias
//! let mut scratch = Scratch::default();
//! assert_eq!(net.forward(&[1.0, 9.0, -1.0, 9.0], &mut scratch)?, [4.0, 1.0]); // two examples
//! assert_eq!(net.report()?.layers[0].outputs, 1);
//! # Ok(()) }
//! ```
//! To compile the kernels for your machine set `RUSTFLAGS="-C target-cpu=native"`.

mod bits;
mod block;
mod chain;
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
mod parts;
mod pool;
mod product;
mod report;
mod run;
mod save;
mod shrink;
mod tune;
mod window;

pub use block::{Before, ShapeError};
pub use container::Container;
pub use entry::{Entry, Number};
pub use error::FileError;
pub use form::Form;
pub use layer::Layer;
pub use net::{CompactNet, InputError, Scratch};
pub use op::{Activation, Op, Pool, PoolKind};
pub use report::{LayerReport, Report};
pub use safetensors::Dtype;
pub use save::Precision;
pub use shrink::compact;
pub use window::Window;

/// The code of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
