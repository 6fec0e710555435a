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
        self.for_lines(images.len() / self.pixels(), |line, image| {
            let to = &mut to[line];
            match image {
                None => to.fill(E::default()),
                Some((row, tap)) => self.read_line(&images[row], tap, to),
            }
        });
    }

    /// The transpose of [`unfold`](Geometry::unfold): adds every entry to the pixel it was read from.
    pub(super) fn fold<E: Elem>(&self, from: &[E], images: &mut [E]) {
        self.for_lines(images.len() / self.pixels(), |line, image| {
            if let Some((row, tap)) = image {
                let (inside, start) = self.inside(tap);
                let (from, row) = (&from[line], &mut images[row]);
                let pixels = row[start..].iter_mut().step_by(self.window.stride);
                pixels.zip(&from[inside]).for_each(|(pixel, x)| *pixel += *x);
            }
        });
    }

    fn read_line<E: Elem>(&self, row: &[E], tap: usize, to: &mut [E]) {
        let (inside, start) = self.inside(tap);
        to[..inside.start].fill(E::default());
        to[inside.end..].fill(E::default());
        if inside.is_empty() {
            return;
        }
        if self.window.stride == 1 {
            let count = inside.len();
            to[inside].copy_from_slice(&row[start..start + count]);
        } else {
            let pixels = row[start..].iter().step_by(self.window.stride);
            to[inside].iter_mut().zip(pixels).for_each(|(to, x)| *to = *x);
        }
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

    /// Calls `f(where a line of outputs is in the matrix, (the image row it reads, its tap along that row))` for every
    /// line; the row is `None` in the padding.
    fn for_lines(&self, images: usize, mut f: impl FnMut(Range<usize>, Option<(Range<usize>, usize)>)) {
        let ([height, width], [out_height, out_width], k) = (self.image, self.outputs, self.window.kernel);
        let mut line = 0;
        for channel in 0..self.channels {
            for (tap_y, tap_x) in (0..k).flat_map(|y| (0..k).map(move |x| (y, x))) {
                for (image, out_y) in (0..images).flat_map(|i| (0..out_height).map(move |y| (i, y))) {
                    let plane = (image * self.channels + channel) * height;
                    let row = self.window.source(out_y, tap_y, height).map(|y| (plane + y) * width);
                    f(line..line + out_width, row.map(|start| (start..start + width, tap_x)));
                    line += out_width;
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
