//! Windows that slide over images: those of convolutions and pools.

use dfdx::prelude::*;

use crate::spec::Window;

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
    /// The window over images of this shape; `None` if it is larger than the padded images.
    pub(crate) fn new<B: Dim, C: Dim>(window: Window, images: &(B, C, usize, usize)) -> Option<Self> {
        let (_, channels, height, width) = *images;
        let outputs = window.outputs([height, width])?;
        Some(Sliding { window, channels: channels.size(), size: [height, width], outputs })
    }

    /// Number of outputs per channel.
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
