//! Direct convolutions: products without unfolding, for windows that move one pixel at a time.
//!
//! The general path multiplies with a matrix that holds every pixel once per tap. Here the images are copied once, into
//! [`planes`] whose rows end in the padding, and the [`tile`] kernel reads each tap at its offset. It computes the
//! means of some outputs and then their variances: sums of `x E w` and of `x² Var w`. The gradient of the input is the
//! same kernel with the window turned around, on the output's gradients `g` (for the means) and `g slope` (for the
//! variances): [`input`]. The gradients of the weights are [`outer`] products of channels. If masking leaves few weights,
//! each is multiplied alone: [`live`].

mod forward;
mod input;
mod live;
mod outer;
mod pack;
mod planes;
mod shape;
mod tile;
mod turn;

pub(super) use forward::{draws, forward};
pub(super) use input::add_input_gradient;
pub(super) use live::{Live, Weight};
pub(super) use outer::{add_weight_gradient, hand_out};

use crate::compute::cpu::unfold::Geometry;

/// True if these kernels compute a convolution of this geometry. A window has to be large enough for [`outer`].
pub(super) fn applies(geometry: &Geometry) -> bool {
    let window = &geometry.window;
    window.stride == 1 && window.pad < window.reach() && geometry.rows() >= SHORT
}

/// True if the dense kernels are faster than matrix products: they keep 24 vectors of sixteen numbers in registers. With
/// half of the registers, of half the width, they are not (measured: 1.05 times the time for VGG's layers on AVX2).
pub(super) const WIDE: bool = cfg!(target_feature = "avx512f");
/// If a window reads fewer numbers than this, the matrix products are as fast.
const SHORT: usize = 16;

/// Means and variances, or pixels and the gradients of outputs.
pub(super) type Pair<'a, E> = [&'a [E]; 2];

#[cfg(test)]
mod tests;
