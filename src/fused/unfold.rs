//! Images as matrices for a convolution: a row per channel and tap, a column per output position.

use std::ops::Range;

use crate::backend::Elem;
use crate::map::Window;

/// How a window moves over images of one size.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub(super) window: Window,
    pub(super) channels: usize,
    pub(super) image: [usize; 2],
    pub(super) outputs: [usize; 2],
}

impl Geometry {
    /// Output positions of one image.
    pub(super) fn positions(&self) -> usize {
        self.outputs[0] * self.outputs[1]
    }

    /// Numbers of one image.
    pub(super) fn pixels(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// Rows of the matrix.
    pub(super) fn rows(&self) -> usize {
        self.channels * self.window.kernel * self.window.kernel
    }

    /// The matrix of some images, one after the other: `(channels taps) x (images positions)`, zero in the padding.
    pub(super) fn unfold<E: Elem>(&self, images: &[E], to: &mut [E]) {
        let stride = self.window.stride;
        let mut lines = to.chunks_exact_mut(self.outputs[1].max(1));
        self.for_rows(images.len() / self.pixels(), |row, inside, start| {
            let Some(to) = lines.next() else { return };
            let Some(row) = row.filter(|_| !inside.is_empty()) else { return to.fill(E::default()) };
            let from = &images[row + start..row + self.image[1]];
            to[..inside.start].fill(E::default());
            to[inside.end..].fill(E::default());
            if stride == 1 {
                to[inside.clone()].copy_from_slice(&from[..inside.len()]);
            } else {
                to[inside.clone()].iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, x)| *to = *x);
            }
        });
    }

    /// The transpose of [`unfold`](Geometry::unfold): adds every entry to the pixel it was read from.
    pub(super) fn fold<E: Elem>(&self, from: &[E], images: &mut [E]) {
        let stride = self.window.stride;
        let mut lines = from.chunks_exact(self.outputs[1].max(1));
        self.for_rows(images.len() / self.pixels(), |row, inside, start| {
            let Some(from) = lines.next() else { return };
            let Some(row) = row.filter(|_| !inside.is_empty()) else { return };
            let (from, to) = (&from[inside.clone()], &mut images[row + start..row + self.image[1]]);
            if stride == 1 {
                to.iter_mut().zip(from).for_each(|(to, x)| *to += *x);
            } else {
                to.iter_mut().step_by(stride).zip(from).for_each(|(to, x)| *to += *x);
            }
        });
    }

    /// The outputs of a line whose tap lies inside the image, and the pixel that the first of them reads.
    fn inside(&self, tap: usize) -> (Range<usize>, usize) {
        let (w, size) = (&self.window, self.image[1]);
        let first = w.pad.saturating_sub(tap * w.dilation).div_ceil(w.stride);
        let end = (size + w.pad).saturating_sub(tap * w.dilation).div_ceil(w.stride).min(self.outputs[1]);
        if first >= end {
            return (0..0, 0);
        }
        (first..end, first * w.stride + tap * w.dilation - w.pad)
    }

    /// Calls `f(where the image row that a line of outputs reads begins, which of the line lie inside, the first pixel of
    /// the row that they read)` for every line of the matrix; a row in the padding is `None`.
    fn for_rows(&self, images: usize, mut f: impl FnMut(Option<usize>, &Range<usize>, usize)) {
        let ([height, width], k) = (self.image, self.window.kernel);
        for channel in 0..self.channels {
            for (tap_y, tap_x) in (0..k).flat_map(|y| (0..k).map(move |x| (y, x))) {
                let (inside, start) = self.inside(tap_x);
                for image in 0..images {
                    let plane = (image * self.channels + channel) * height;
                    for out_y in 0..self.outputs[0] {
                        let row = self.window.source(out_y, tap_y, height).map(|y| (plane + y) * width);
                        f(row, &inside, start);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Unfolding reads what the window's definition says, and folding is its transpose: `<unfold(a), b> = <a, fold(b)>`.
        #[test]
        fn reads_and_its_transpose(
            k in 1_usize..4, stride in 1_usize..4, pad in 0_usize..3, dilation in 1_usize..3,
            height in 1_usize..9, width in 1_usize..9, channels in 1_usize..3, images in 1_usize..3,
        ) {
            let window = Window { kernel: k, stride, pad, dilation };
            let Some(outputs) = window.outputs([height, width]) else { return Ok(()) };
            let g = Geometry { window, channels, image: [height, width], outputs };
            let a: Vec<f64> = (0..images * g.pixels()).map(|i| (i as f64 + 1.0).sin()).collect();
            let b: Vec<f64> = (0..g.rows() * images * g.positions()).map(|i| (i as f64).cos()).collect();
            let mut unfolded = vec![f64::NAN; b.len()];
            g.unfold(&a, &mut unfolded);
            let mut at = 0;
            for c in 0..channels {
                for tap in window.taps() {
                    for i in 0..images {
                        for source in window.sources(tap, [height, width], outputs) {
                            let plane = (i * channels + c) * height * width;
                            prop_assert_eq!(unfolded[at], source.map_or(0.0, |s| a[plane + s]));
                            at += 1;
                        }
                    }
                }
            }
            let mut folded = vec![0.0; a.len()];
            g.fold(&b, &mut folded);
            let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            prop_assert!((dot(&unfolded, &b) - dot(&a, &folded)).abs() < 1e-9);
        }
    }
}
