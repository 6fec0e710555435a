//! The composed path: the same formulas as a dfdx graph, on any device. It is also the reference for the fused kernels.

#[cfg(feature = "cuda")]
mod cuda;
pub(crate) mod kl;
pub(crate) mod node;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod norm;
#[cfg(feature = "cuda")]
mod optimise;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod pool;
pub(crate) mod sample;
pub(crate) mod unfold;
