//! The gradients of the weights: sums over positions of products of an output's gradient with the pixels that it read.
//! Pixels are laid out channel by channel, so that a row of taps is one run of numbers; gradients output by output. Both
//! in panels of a few channels or outputs, so that what the kernel reads again and again is small and in order.

use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::Pair;
use super::turn::turn;
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::unfold::Geometry;
use crate::compute::cpu::weights::splat;
use crate::compute::elem::Elem;

/// At least as many numbers as a vector holds.
const WIDEST: usize = 16;
/// Number of pixels and gradients that fit into a core's cache, in one of the two moments.
const BLOCK: usize = 1 << 16;

/// The sums of some outputs and vectors of taps: at most 24, as many as fit into the registers.
type Tile<E> = [E; 24 * WIDEST];

/// Adds to the sums of some images: of the means and, with noise, of the variances. The sums have a row per panel of
/// channels, row of taps and output.
pub(in super::super) fn add_weight_gradient<E: Elem>(
    geometry: &Geometry,
    outputs: usize,
    [x, g]: Pair<'_, E>,
    slope: Option<&[E]>,
    [means, variances]: [&mut [E]; 2],
) {
    let outer = Outer::new(geometry, outputs);
    let (n_in, n_out) = (geometry.pixels(), outputs * geometry.positions());
    let (x_len, g_len) = (outer.x_len() * outer.panels, outer.g_len() * outer.blocks());
    let at_once = (BLOCK / (x_len + g_len).max(1)).clamp(1, (x.len() / n_in).max(1));
    let mut pixels = Buffer::zeros(at_once * x_len + 3 * WIDEST);
    let mut gradients = Buffer::zeros(at_once * g_len);
    let mut products = slope.map(|_| (Buffer::any(pixels.len()), Buffer::zeros(gradients.len())));
    let multiply = |to: &mut [E], a: &[E], b: &[E]| {
        to.iter_mut().zip(a.iter().zip(b)).for_each(|(to, (a, b))| *to = *a * *b);
    };
    let blocks = x.chunks(at_once * n_in).zip(g.chunks(at_once * n_out)).enumerate();
    for (i, (x, g)) in blocks {
        let images = x.len() / n_in;
        outer.take_pixels(x, &mut pixels);
        outer.take_gradients(g, &mut gradients);
        outer.add(images, &pixels, &gradients, means);
        if let (Some((squares, h)), Some(slope)) = (&mut products, slope) {
            multiply(squares, &pixels, &pixels);
            outer.take_gradients(&slope[i * at_once * n_out..][..g.len()], h);
            h.iter_mut().zip(gradients.iter()).for_each(|(h, g)| *h *= *g);
            outer.add(images, squares, h, variances);
        }
    }
}

/// Adds the sums to the gradient of the weights, which has a row per output.
pub(in super::super) fn hand_out<E: Elem>(geometry: &Geometry, outputs: usize, sums: &[E], to: &mut [E]) {
    let outer = Outer::new(geometry, outputs);
    let (channels, kernel) = (outer.geometry.channels, geometry.window.kernel);
    let [runs, run] = outer.runs();
    to.par_chunks_mut(geometry.rows()).with_min_len(8).enumerate().for_each(|(output, to)| {
        let each = outer.tap_rows() * runs * run * outputs;
        let panels = to.chunks_exact_mut(outer.geometry.rows()).zip(sums.chunks_exact(each));
        for (to, sums) in panels {
            for (tap_y, tap_x) in (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x))) {
                let (tap_row, tap) = (tap_y / outer.stacked, tap_x * outer.depth() + tap_y % outer.stacked * channels);
                let (piece, at) = (tap / run, tap % run);
                let sums = &sums[((tap_row * runs + piece) * outputs + output) * run + at..][..channels];
                let to = to[tap_y * kernel + tap_x..].iter_mut().step_by(kernel * kernel);
                to.zip(sums).for_each(|(to, sum)| *to += *sum);
            }
        }
    });
}

/// The layout of images, and of the gradients of their outputs.
struct Outer {
    /// The geometry of a panel of channels.
    geometry: Geometry,
    panels: usize,
    outputs: usize,
    /// Number of outputs in a block.
    size: usize,
    /// The rows of taps whose pixels lie side by side: all if one reads too few numbers for a vector, otherwise one.
    stacked: usize,
}

impl Outer {
    fn new(geometry: &Geometry, outputs: usize) -> Self {
        let channels = if geometry.channels.is_multiple_of(WIDEST) { WIDEST } else { geometry.channels };
        // The one of the two sizes that leaves fewer of its rows empty.
        let size = if outputs.next_multiple_of(10) < outputs.next_multiple_of(8) { 10 } else { 8 };
        let (panels, kernel) = (geometry.channels / channels, geometry.window.kernel);
        let stacked = if kernel * channels < WIDEST { kernel } else { 1 };
        Outer { geometry: Geometry { channels, ..*geometry }, panels, outputs, size, stacked }
    }

    /// Number of rows of taps that are summed one after the other.
    fn tap_rows(&self) -> usize {
        self.geometry.window.kernel / self.stacked
    }

    /// The numbers of a pixel, over the rows of taps that are stacked.
    fn depth(&self) -> usize {
        self.stacked * self.geometry.channels
    }

    /// The length of a row of pixels of a panel, with padding on both sides.
    fn row(&self) -> usize {
        (self.geometry.image[1] + 2 * self.geometry.window.pad) * self.depth()
    }

    /// The length of a panel of an image: a row per row of the image or, if taps are stacked, of the outputs.
    fn x_len(&self) -> usize {
        let [rows, outputs] = [self.geometry.image[0], self.geometry.outputs[0]];
        self.row() * if self.stacked > 1 { outputs } else { rows }
    }

    /// The length of a block of outputs of an image.
    fn g_len(&self) -> usize {
        self.geometry.positions() * self.size
    }

    fn blocks(&self) -> usize {
        self.outputs.div_ceil(self.size)
    }

    /// Copies images: panel after panel, and in a panel image after image.
    fn take_pixels<E: Elem>(&self, from: &[E], to: &mut [E]) {
        if self.stacked > 1 {
            return self.stack_pixels(from, to);
        }
        let Geometry { image: [height, width], channels, window, .. } = self.geometry;
        let place = |y: usize, x: usize| y * self.row() + (x + window.pad) * channels;
        let places: Vec<_> = (0..height).flat_map(|y| (0..width).map(move |x| place(y, x))).collect();
        let (each, images) = (self.geometry.pixels(), from.len() / (self.panels * self.geometry.pixels()));
        for (image, panel) in (0..images).flat_map(|image| (0..self.panels).map(move |panel| (image, panel))) {
            let to = &mut to[(panel * images + image) * self.x_len()..][..self.x_len()];
            turn(&from[(image * self.panels + panel) * each..], places.len(), channels, &places, to);
        }
    }

    /// The same with what all rows of taps read side by side.
    fn stack_pixels<E: Elem>(&self, from: &[E], to: &mut [E]) {
        let Geometry { image: [height, width], channels, window, outputs } = self.geometry;
        for (from, to) in from.chunks_exact(self.geometry.pixels()).zip(to.chunks_exact_mut(self.x_len())) {
            for (y, to) in to.chunks_exact_mut(self.row()).enumerate().take(outputs[0]) {
                for tap in 0..self.stacked {
                    let Some(source) = window.source(y, tap, height) else { continue };
                    for channel in 0..channels {
                        let from = &from[(channel * height + source) * width..][..width];
                        let to = to[window.pad * self.depth() + tap * channels + channel..].iter_mut();
                        to.step_by(self.depth()).zip(from).for_each(|(to, x)| *to = *x);
                    }
                }
            }
        }
    }

    /// Copies numbers of outputs: block after block, and in a block image after image. What a block lacks is not written.
    fn take_gradients<E: Elem>(&self, from: &[E], to: &mut [E]) {
        let positions = self.geometry.positions();
        let places: Vec<_> = (0..positions).map(|position| position * self.size).collect();
        let images = from.len() / (self.outputs * positions);
        for (image, first) in (0..images).flat_map(|i| (0..self.outputs).step_by(self.size).map(move |o| (i, o))) {
            let to = &mut to[(first / self.size * images + image) * self.g_len()..][..self.g_len()];
            let rows = self.size.min(self.outputs - first);
            turn(&from[(image * self.outputs + first) * positions..], positions, rows, &places, to);
        }
    }

    /// The runs of numbers that a row of taps reads, and their length: neighbouring taps read neighbouring pixels, or each
    /// tap is a run of its own.
    fn runs(&self) -> [usize; 2] {
        let (kernel, depth) = (self.geometry.window.kernel, self.depth());
        if self.geometry.window.dilation == 1 { [1, kernel * depth] } else { [kernel, depth] }
    }

    /// Adds the products of some images.
    fn add<E: Elem>(&self, images: usize, x: &[E], g: &[E], sums: &mut [E]) {
        let [runs, run] = self.runs();
        let step = self.geometry.window.dilation * self.depth();
        sums.par_chunks_mut(runs * run * self.outputs).enumerate().for_each(|(row, sums)| {
            let (panel, lines) = (row / self.tap_rows(), self.lines(images, row % self.tap_rows()));
            for (piece, sums) in sums.chunks_exact_mut(run * self.outputs).enumerate() {
                let x = &x[panel * images * self.x_len() + piece * step..];
                sums.par_chunks_mut(self.size * run).enumerate().for_each(|(block, sums)| {
                    let g = &g[block * images * self.g_len()..];
                    if self.size == 10 {
                        self.add_block::<E, 10, 2>(&lines, x, g, run, sums);
                    } else {
                        self.add_block::<E, 8, 3>(&lines, x, g, run, sums);
                    }
                });
            }
        });
    }

    /// The starts of the rows of pixels that a row of taps reads, with those of the gradients.
    fn lines(&self, images: usize, tap_y: usize) -> Vec<[usize; 2]> {
        let [height, width] = self.geometry.outputs;
        let line = |image: usize, row: usize| {
            let source =
                if self.stacked > 1 { row } else { self.geometry.window.source(row, tap_y, self.geometry.image[0])? };
            Some([image * self.x_len() + source * self.row(), image * self.g_len() + row * width * self.size])
        };
        (0..images).flat_map(|image| (0..height).filter_map(move |row| line(image, row))).collect()
    }

    /// Adds those of a run of `run` numbers and of at most `T` outputs, `V` vectors at a time.
    fn add_block<E: Elem, const T: usize, const V: usize>(
        &self,
        lines: &[[usize; 2]],
        x: &[E],
        g: &[E],
        run: usize,
        sums: &mut [E],
    ) {
        let lanes = E::Lanes::WIDTH;
        let mut tile = [E::default(); 24 * WIDEST];
        let mut at = 0;
        while at < run {
            let vectors = (run - at).div_ceil(lanes).min(V);
            match vectors {
                1 => self.tile::<E, T, 1>(lines, &x[at..], g, &mut tile),
                2 => self.tile::<E, T, 2>(lines, &x[at..], g, &mut tile),
                _ => self.tile::<E, T, V>(lines, &x[at..], g, &mut tile),
            }
            let width = (run - at).min(vectors * lanes);
            for (to, from) in sums.chunks_exact_mut(run).zip(tile.chunks_exact(vectors * lanes)) {
                to[at..at + width].iter_mut().zip(from).for_each(|(to, sum)| *to += *sum);
            }
            at += vectors * lanes;
        }
    }

    /// The sums of `T` outputs and `V` vectors.
    #[inline(never)]
    fn tile<E: Elem, const T: usize, const V: usize>(&self, lines: &[[usize; 2]], x: &[E], g: &[E], to: &mut Tile<E>) {
        let (columns, depth) = (self.geometry.outputs[1], self.depth());
        let lanes = E::Lanes::WIDTH;
        let mut sums = [[splat::<E>(E::default()); V]; T];
        for [from, gradients] in lines {
            let x = &x[*from..*from + (columns - 1) * depth + V * lanes];
            let g = g[*gradients..*gradients + columns * T].as_chunks::<T>().0;
            for (column, g) in g.iter().enumerate() {
                let x = &x[column * depth..column * depth + V * lanes];
                let x: [E::Lanes; V] = std::array::from_fn(|v| E::Lanes::load(&x[v * lanes..(v + 1) * lanes]));
                for t in 0..T {
                    for v in 0..V {
                        sums[t][v] = splat::<E>(g[t]).mul_add(x[v], sums[t][v]);
                    }
                }
            }
        }
        for t in 0..T {
            for v in 0..V {
                sums[t][v].store(&mut to[(t * V + v) * lanes..(t * V + v + 1) * lanes]);
            }
        }
    }
}
