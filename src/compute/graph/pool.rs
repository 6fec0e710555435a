//! Pooling as a dfdx graph, on any device. It is also the reference for the CPU's own operations.

use dfdx::prelude::*;

use super::node::Matrix;
use super::unfold::{columns, gather, images};
use crate::compute::backend::Backend;
use crate::compute::elem::Elem;
use crate::compute::sliding::{Images, Sliding};
use crate::spec::Window;

/// The largest pixel of every window. A later tap replaces an earlier one only if it is larger, and any number if it is
/// NaN.
pub(crate) fn max_pool2d<B: Dim, C: Dim, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    x: Images<B, C, E, D, T>,
    window: Window,
) -> Result<Images<B, C, E, D, T>, D::Err> {
    let (shape, sliding) = (*x.shape(), Sliding::new(window, x.shape()).ok_or_else(D::shape_error)?);
    let (pixels, tape) = columns(x, E::neg_infinity())?.split_tape();
    let read = |tap| {
        let rows = (0..sliding.channels).flat_map(|channel| sliding.rows(channel, tap));
        gather(pixels.retaped::<T>(), rows)
    };
    let mut best: Tensor<Matrix, E, D, T> = read([0, 0])?;
    for tap in window.taps().skip(1) {
        let next = read(tap)?;
        let keep = best.try_ge(&next)? | best.try_ne(&best)?;
        best = keep.try_choose(best, next)?;
    }
    let (best, operations) = best.split_tape();
    images(best.put_tape(tape.merge(operations)), (shape.0, shape.1, sliding.outputs[0], sliding.outputs[1]))
}

/// The mean of every window.
pub(crate) fn avg_pool2d<B: Dim, C: Dim, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    x: Images<B, C, E, D, T>,
    window: Window,
) -> Result<Images<B, C, E, D, T>, D::Err> {
    let (shape, sliding) = (*x.shape(), Sliding::new(window, x.shape()).ok_or_else(D::shape_error)?);
    let rows = |tap| (0..sliding.channels).flat_map(move |channel| sliding.rows(channel, tap));
    let taps = gather(columns(x, E::default())?, window.taps().flat_map(rows))?;
    let (outputs, area) = (sliding.channels * sliding.positions(), window.kernel * window.kernel);
    let taps = taps.try_reshape_like(&(area, outputs * shape.0.size()))?;
    let mean = taps.try_mean::<(usize,), Axis<0>>()?.try_reshape_like(&(outputs, shape.0.size()))?;
    images(mean, (shape.0, shape.1, sliding.outputs[0], sliding.outputs[1]))
}
