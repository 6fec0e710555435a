//! Images as matrices for a convolution: a row per channel and tap, a column per output position.

use std::ops::Range;

use crate::compute::elem::Elem;
use crate::spec::Window;

/// The geometry of a window that moves over images of one size.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub(super) window: Window,
    pub(super) channels: usize,
    pub(super) image: [usize; 2],
    pub(super) outputs: [usize; 2],
}

impl Geometry {
    /// Number of output positions of one image.
    pub(super) fn positions(&self) -> usize {
        self.outputs[0] * self.outputs[1]
    }

    /// Number of pixels of one image, over all channels.
    pub(super) fn pixels(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    /// Number of rows of the matrix.
    pub(super) fn rows(&self) -> usize {
        self.channels * self.window.kernel * self.window.kernel
    }

    /// True if the outputs are as large as the images. Each tap then reads the whole channel, shifted.
    fn keeps_size(&self) -> bool {
        self.window.stride == 1 && self.outputs == self.image
    }

    /// True if every tap of every output lies inside the image and neighbouring outputs read neighbouring pixels.
    fn stays_inside(&self) -> bool {
        self.window.stride == 1 && self.window.pad == 0
    }

    /// Number of pixels of one channel.
    fn area(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// Writes the matrix of some images: `(channels taps) × (images positions)`, zero in the padding.
    pub(super) fn unfold<E: Elem>(&self, images: &[E], to: &mut [E]) {
        if self.keeps_size() {
            let mut planes = to.chunks_exact_mut(self.positions().max(1));
            return self.for_shifts(images.len() / self.pixels(), |plane, shift| {
                let Some(to) = planes.next() else { return };
                let (reading, read) = shift.overlap(to.len());
                to[..reading.start].fill(E::default());
                to[reading.end..].fill(E::default());
                to[reading].copy_from_slice(&images[plane..plane + self.area()][read]);
                shift.clear_edges(to, self.image[1]);
            });
        }
        if self.stays_inside() {
            let mut planes = to.chunks_exact_mut(self.positions());
            return self.for_shifts(images.len() / self.pixels(), |plane, shift| {
                let Some(to) = planes.next() else { return };
                let lines = images[plane + shift.along as usize..].chunks(self.image[1]);
                copy_lines(lines, to, self.outputs[1]);
            });
        }
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

    /// The transpose of [`unfold`](Geometry::unfold): adds every entry to the pixel it was read from. It may set entries
    /// in the padding to zero.
    pub(super) fn fold<E: Elem>(&self, from: &mut [E], images: &mut [E]) {
        if self.keeps_size() {
            let mut planes = from.chunks_exact_mut(self.positions().max(1));
            return self.for_shifts(images.len() / self.pixels(), |plane, shift| {
                let Some(from) = planes.next() else { return };
                shift.clear_edges(from, self.image[1]);
                let (reading, read) = shift.overlap(from.len());
                let to = &mut images[plane..plane + self.area()][read];
                to.iter_mut().zip(&from[reading]).for_each(|(to, x)| *to += *x);
            });
        }
        if self.stays_inside() {
            let mut planes = from.chunks_exact(self.positions());
            return self.for_shifts(images.len() / self.pixels(), |plane, shift| {
                let Some(from) = planes.next() else { return };
                let lines = images[plane + shift.along as usize..].chunks_mut(self.image[1]);
                for (to, from) in lines.zip(from.chunks_exact(self.outputs[1])) {
                    to.iter_mut().zip(from).for_each(|(to, x)| *to += *x);
                }
            });
        }
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

    /// Calls `f(start of a channel of an image, shift by the tap)` for every channel, tap and image.
    fn for_shifts(&self, images: usize, mut f: impl FnMut(usize, Shift)) {
        let Window { kernel, pad, dilation, .. } = self.window;
        for channel in 0..self.channels {
            for (tap_y, tap_x) in (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x))) {
                let cols = (tap_x * dilation) as isize - pad as isize;
                let rows = (tap_y * dilation) as isize - pad as isize;
                let shift = Shift { along: rows * self.image[1] as isize + cols, cols };
                (0..images).for_each(|image| f((image * self.channels + channel) * self.area(), shift));
            }
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

    /// Calls `f(start of the image row that a line of outputs reads, outputs of the line that lie inside, first pixel
    /// of the row that they read)` for every line of the matrix. The start is `None` for a row in the padding.
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

/// Copies the first `width` numbers of every line. Lines are short, and one call of `memcpy` per line costs more than
/// the copying, so eight numbers of all lines are copied at a time.
fn copy_lines<'a, E: Elem>(lines: impl Iterator<Item = &'a [E]> + Clone, to: &mut [E], width: usize) {
    let whole = width / 8 * 8;
    for at in (0..whole).step_by(8) {
        let pairs = to.chunks_exact_mut(width).zip(lines.clone());
        pairs.for_each(|(to, line)| to[at..at + 8].copy_from_slice(&line[at..at + 8]));
    }
    if whole < width {
        let pairs = to.chunks_exact_mut(width).zip(lines);
        pairs.for_each(|(to, line)| to[whole..].copy_from_slice(&line[whole..width]));
    }
}

/// The offset of a tap from its output.
#[derive(Clone, Copy)]
struct Shift {
    /// The offset in pixels of the image, counted row by row.
    along: isize,
    /// The offset in columns.
    cols: isize,
}

impl Shift {
    /// The outputs, out of `len`, that read a pixel, and the pixels that they read; the edges of rows are ignored.
    fn overlap(self, len: usize) -> (Range<usize>, Range<usize>) {
        let by = self.along.unsigned_abs().min(len);
        if self.along < 0 { (by..len, 0..len - by) } else { (0..len - by, by..len) }
    }

    /// Sets to zero the outputs that would read a pixel from the end of another row.
    fn clear_edges<E: Elem>(self, outputs: &mut [E], width: usize) {
        let by = self.cols.unsigned_abs().min(width);
        let edge = if self.cols < 0 { 0..by } else { width - by..width };
        if by > 0 {
            outputs.chunks_exact_mut(width).for_each(|row| row[edge.clone()].fill(E::default()));
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
            k in 1_usize..4, stride in 1_usize..3, pad in 0_usize..3, dilation in 1_usize..3,
            height in 1_usize..9, width in 1_usize..20, channels in 1_usize..3, images in 1_usize..3,
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
            g.fold(&mut b.clone(), &mut folded);
            let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            prop_assert!((dot(&unfolded, &b) - dot(&a, &folded)).abs() < 1e-9);
        }
    }
}
