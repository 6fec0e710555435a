//! Images as a matrix, and the windows over them as more rows of it: what convolutions and pools are composed of.
//!
//! A column is an image of the batch; a row is a pixel, channel by channel. Sliding windows then only pick rows, so that
//! one `gather`, whose indices do not depend on the batch, unfolds everything.

use dfdx::prelude::*;

use crate::backend::Elem;
use crate::map::Window;
use crate::pool::Pooling;
use crate::taped::Matrix;

/// A batch of images.
pub(crate) type Images<B, C, E, D, T> = Tensor<(B, C, usize, usize), E, D, T>;

/// A window that slides over images of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sliding {
    pub(crate) window: Window,
    pub(crate) channels: usize,
    /// Height and width of the images.
    pub(crate) size: [usize; 2],
    /// Height and width of the output.
    pub(crate) outputs: [usize; 2],
}

impl Sliding {
    /// `None` if the window is larger than the padded images.
    pub(crate) fn new<B: Dim, C: Dim>(window: Window, images: &(B, C, usize, usize)) -> Option<Self> {
        let (_, channels, height, width) = *images;
        let outputs = window.outputs([height, width])?;
        Some(Sliding { window, channels: channels.size(), size: [height, width], outputs })
    }

    /// Outputs per channel.
    pub(crate) fn positions(&self) -> usize {
        self.outputs[0] * self.outputs[1]
    }

    /// The rows that a tap of every window over a channel reads; the row after the last pixel holds the padding.
    pub(crate) fn rows(self, channel: usize, tap: [usize; 2]) -> impl Iterator<Item = usize> {
        let area = self.size[0] * self.size[1];
        let sources = self.window.sources(tap, self.size, self.outputs);
        sources.map(move |source| source.map_or(self.channels * area, |pixel| channel * area + pixel))
    }
}

/// Images as columns, with a last row that holds the value of the padding.
pub(crate) fn columns<B: Dim, C: Dim, E: Elem, D: Pooling<E>, T: Tape<E, D>>(
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
pub(crate) fn gather<E: Elem, D: Pooling<E>, T: Tape<E, D>>(
    matrix: Tensor<Matrix, E, D, T>,
    rows: impl Iterator<Item = usize>,
) -> Result<Tensor<Matrix, E, D, T>, D::Err> {
    let rows: Vec<usize> = rows.collect();
    // In the device's own memory: see `tensor_of`.
    let mut index: Tensor<(usize,), usize, D> = matrix.device().try_zeros_like(&(rows.len(),))?;
    index.copy_from(&rows);
    matrix.try_gather(index)
}

/// Columns as images again.
pub(crate) fn images<B: Dim, C: Dim, E: Elem, D: Device<E>, T: Tape<E, D>>(
    columns: Tensor<Matrix, E, D, T>,
    shape: (B, C, usize, usize),
) -> Result<Images<B, C, E, D, T>, D::Err> {
    columns.try_permute::<_, Axes2<1, 0>>()?.try_reshape_like(&shape)
}
