//! Images as a matrix, and windows over them as selections of its rows: the parts of composed convolutions and pools.
//!
//! A column is an image of the batch; a row is a pixel, channel by channel. A sliding window selects rows, so that one
//! `gather`, whose indices do not depend on the batch, unfolds all images.

use dfdx::prelude::*;

use super::node::Matrix;
use crate::compute::backend::Backend;
use crate::compute::elem::Elem;
use crate::compute::sliding::Images;

/// Images as columns, with a last row that holds the value of the padding.
pub(crate) fn columns<B: Dim, C: Dim, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    x: Images<B, C, E, D, T>,
    padding: E,
) -> Result<Tensor<Matrix, E, D, T>, D::Err> {
    let (batch, channels, height, width) = *x.shape();
    let flat = (batch.size(), channels.size() * height * width);
    let mut margin: Tensor<Matrix, E, D> = x.device().try_zeros_like(&(flat.0, 1))?;
    margin.copy_from(&vec![padding; flat.0]);
    let rows = (x.try_reshape_like(&flat)?, margin).try_concat_along(Axis::<1>)?;
    rows.try_permute::<_, Axes2<1, 0>>()
}

/// Some rows of a matrix.
pub(crate) fn gather<E: Elem, D: Backend<E>, T: Tape<E, D>>(
    matrix: Tensor<Matrix, E, D, T>,
    rows: impl Iterator<Item = usize>,
) -> Result<Tensor<Matrix, E, D, T>, D::Err> {
    let rows: Vec<usize> = rows.collect();
    // In the device's own memory: see `dfdx_tricks::tensor_of`.
    let mut index: Tensor<(usize,), usize, D> = matrix.device().try_zeros_like(&(rows.len(),))?;
    index.copy_from(&rows);
    matrix.try_gather(index)
}

/// Columns as images again.
pub(crate) fn images<B: Dim, C: Dim, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    columns: Tensor<Matrix, E, D, T>,
    shape: (B, C, usize, usize),
) -> Result<Images<B, C, E, D, T>, D::Err> {
    columns.try_permute::<_, Axes2<1, 0>>()?.try_reshape_like(&shape)
}
