//! Windows that slide over an image, for convolutions and pools.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The largest side of an image and of a window, so that no product of a few of them overflows.
pub(crate) const LONGEST: usize = 1 << 15;

/// A square window that slides over an image. It determines the pixels that each output reads.
///
/// ```text
/// outputs   o = floor((size + 2 pad - dilation (kernel - 1) - 1) / stride) + 1       in each direction
/// source    i = o stride + t dilation - pad,   t in 0..kernel                        outside 0..size: padding
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Number of pixels read in each direction, at least 1.
    pub kernel: usize,
    /// Distance in pixels from one window to the next, at least 1.
    pub stride: usize,
    /// Number of pixels added on each side.
    pub pad: usize,
    /// Distance in pixels between neighbouring taps of a window, at least 1.
    pub dilation: usize,
}

impl Window {
    /// True if the sizes are so small that no product of a few of them overflows.
    pub(crate) fn is_sane(&self) -> bool {
        [self.kernel, self.stride, self.dilation].iter().all(|n| (1..LONGEST).contains(n)) && self.pad < LONGEST
    }

    /// The number of windows that fit along a side of `size` pixels; `None` if none fits.
    pub const fn output(&self, size: usize) -> Option<usize> {
        match size.saturating_add(self.pad.saturating_mul(2)).checked_sub(self.reach()) {
            Some(room) if self.kernel > 0 && self.stride > 0 => Some(room / self.stride + 1),
            _ => None,
        }
    }

    /// The number of pixels that a window spans, gaps included.
    pub const fn reach(&self) -> usize {
        self.dilation.saturating_mul(self.kernel.saturating_sub(1)).saturating_add(1)
    }

    /// The number of outputs in both directions; `None` for an image that is empty or too small.
    pub fn outputs(&self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        if height == 0 || width == 0 {
            return None;
        }
        Some([self.output(height)?, self.output(width)?])
    }

    /// The pixel that tap `tap` of window `output` reads along a side; `None` in the padding.
    pub fn source(&self, output: usize, tap: usize, size: usize) -> Option<usize> {
        (output * self.stride + tap * self.dilation).checked_sub(self.pad).filter(|i| *i < size)
    }

    /// The pixels that window `output` reads along a side, if it has no gaps.
    #[inline(always)]
    pub fn inside(&self, output: usize, size: usize) -> Range<usize> {
        let start = output * self.stride;
        start.saturating_sub(self.pad)..(start + self.kernel).saturating_sub(self.pad).min(size)
    }

    /// The pixels that tap `(y, x)` of every window reads, in the order of the outputs, as indices into the image;
    /// `None` in the padding.
    pub fn sources(
        self,
        [y, x]: [usize; 2],
        [height, width]: [usize; 2],
        [out_height, out_width]: [usize; 2],
    ) -> impl Iterator<Item = Option<usize>> {
        (0..out_height).flat_map(move |row| {
            let from = self.source(row, y, height).map(|row| row * width);
            (0..out_width).map(move |col| Some(from? + self.source(col, x, width)?))
        })
    }

    /// The taps of a window, row by row.
    pub fn taps(self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.kernel).flat_map(move |y| (0..self.kernel).map(move |x| [y, x]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The last window fits, one more would not, and every pixel read is in the image or in the padding around it.
        #[test]
        fn windows_fill_the_padded_image(
            size in 0_usize..20, kernel in 1_usize..6, stride in 1_usize..4, pad in 0_usize..4, dilation in 1_usize..4,
        ) {
            let window = Window { kernel, stride, pad, dilation };
            let end = |outputs: usize| outputs * stride + (kernel - 1) * dilation + 1;
            match window.output(size) {
                None => prop_assert!(end(0) > size + 2 * pad),
                Some(outputs) => {
                    prop_assert!(outputs >= 1 && end(outputs - 1) <= size + 2 * pad && end(outputs) > size + 2 * pad);
                    for (o, t) in (0..outputs).flat_map(|o| (0..kernel).map(move |t| (o, t))) {
                        let at = (o * stride + t * dilation) as isize - pad as isize;
                        let expected = usize::try_from(at).ok().filter(|i| *i < size);
                        prop_assert_eq!(window.source(o, t, size), expected);
                    }
                }
            }
        }
    }
}
