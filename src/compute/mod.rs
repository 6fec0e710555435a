//! Computation on a device: the trait [`Backend`], fused kernels on the CPU, and the same formulas as a dfdx graph on
//! any device. Nothing here depends on a network; a layer is passed as a [`LayerView`].

mod backend;
mod buffers;
mod cpu;
pub(crate) mod dfdx_tricks;
mod elem;
pub(crate) mod graph;
pub(crate) mod noise;
mod reads;
mod scale;
pub(crate) mod seeds;
mod sliding;
mod threads;
pub(crate) mod visit;

pub use backend::{Backend, LayerView, NormMoments, NormView, OnTape, Taped};
pub use elem::Elem;
pub use reads::Reads;
pub(crate) use reads::affine;
pub(crate) use scale::LearnedScales;
pub(crate) use sliding::Images;
pub use threads::on_threads;
