//! The layout of the planes that the kernels read: several images side by side, pixel by pixel, so that a row is a whole
//! number of vectors. Columns of padding on both sides are part of a row. Rows of padding are stored for the sparse
//! kernels; the dense one passes over them.

use std::ops::Range;

use sparsevd_priors::Lane;

use crate::compute::cpu::unfold::Geometry;
use crate::compute::elem::Elem;

/// The vectors of positions that the kernel computes together: a run.
pub(super) const RUN: usize = 2;

/// A convolution of stride 1 from planes to planes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Channels that are read.
    pub(super) channels: usize,
    /// Height and width of what is read.
    pub(super) from: [usize; 2],
    /// Height and width of the results.
    pub(super) to: [usize; 2],
    pub(super) kernel: usize,
    pub(super) dilation: usize,
    pub(super) pad: usize,
    /// Rows of padding that are stored, above and below.
    pub(super) above: usize,
    /// Images side by side, a power of 2.
    pub(super) side: usize,
}

impl Shape {
    /// The convolution of `images` images.
    pub(super) fn of_images<E: Elem>(geometry: &Geometry, images: usize) -> Self {
        let Geometry { window, channels, image: from, outputs: to } = *geometry;
        let (kernel, dilation, pad) = (window.kernel, window.dilation, window.pad);
        Shape { channels, from, to, kernel, dilation, pad, above: 0, side: 1 }.beside::<E>(images)
    }

    /// Its transpose, from `outputs` channels of gradients to images: with the window turned around.
    pub(super) fn of_gradients<E: Elem>(geometry: &Geometry, outputs: usize, images: usize) -> Self {
        let Geometry { window, image: to, outputs: from, .. } = *geometry;
        let (kernel, dilation, pad) = (window.kernel, window.dilation, window.reach() - 1 - window.pad);
        Shape { channels: outputs, from, to, kernel, dilation, pad, above: 0, side: 1 }.beside::<E>(images)
    }

    /// The same with as many images side by side as make the least work.
    fn beside<E: Elem>(self, images: usize) -> Self {
        let lanes = RUN * E::Lanes::WIDTH;
        let work = |shape: &Shape| {
            let runs = (0..shape.results::<E>()).step_by(lanes);
            images.div_ceil(shape.side) * runs.map(|at| shape.taps_of_run::<E>(at).len()).sum::<usize>()
        };
        let sides = (0..).map(|power| 1 << power).take_while(|side| *side <= lanes);
        let shapes = sides.map(|side| Shape { side, ..self });
        shapes.min_by_key(work).unwrap_or(self)
    }

    /// The same with all of the padding stored.
    pub(super) fn padded(self, side: usize) -> Self {
        Shape { above: self.pad, side, ..self }
    }

    /// The length of a row, with its padding.
    pub(super) fn row(&self) -> usize {
        (self.from[1] + 2 * self.pad) * self.side
    }

    /// The length of a channel.
    pub(super) fn plane(&self) -> usize {
        (self.from[0] + 2 * self.above) * self.row()
    }

    /// The place of the first pixel of a channel.
    pub(super) fn first(&self) -> usize {
        self.above * self.row() + self.pad * self.side
    }

    /// The length of all channels, with room for a run that starts at the last number.
    pub(super) fn len<E: Elem>(&self) -> usize {
        self.channels * self.plane() + RUN * E::Lanes::WIDTH
    }

    /// The length of a row of results, rounded up to whole runs.
    pub(super) fn results<E: Elem>(&self) -> usize {
        (self.side * self.to[1]).next_multiple_of(RUN * E::Lanes::WIDTH)
    }

    /// The taps of a row of results that lie inside: along the height.
    pub(super) fn taps_of_row(&self, row: usize) -> Range<usize> {
        self.inside(row..row + 1, self.from[0])
    }

    /// The taps that lie inside for some of the run's results: along the width.
    pub(super) fn taps_of_run<E: Elem>(&self, at: usize) -> Range<usize> {
        let end = (at + RUN * E::Lanes::WIDTH).min(self.side * self.to[1]);
        self.inside(at / self.side..end.div_ceil(self.side), self.from[1])
    }

    /// The taps that read a pixel, out of `size`, for one of some neighbouring results.
    fn inside(&self, results: Range<usize>, size: usize) -> Range<usize> {
        let first = (self.pad + 1).saturating_sub(results.end).div_ceil(self.dilation);
        let end = (size + self.pad).saturating_sub(results.start).div_ceil(self.dilation).min(self.kernel);
        first..end.max(first)
    }
}
