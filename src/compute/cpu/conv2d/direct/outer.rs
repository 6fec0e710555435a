//! The gradients of the weights: sums over positions of products of a pixel with an output's gradient. Both are laid out
//! channel by channel within a pixel, so that a row of taps is one run of numbers.

use std::ops::Range;

use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::Pair;
use super::planes::eight;
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::unfold::Geometry;
use crate::compute::cpu::weights::splat;
use crate::compute::elem::Elem;

/// The numbers of a row of taps that are summed together.
const TAPS: usize = 12;
/// The vectors of outputs that are summed together.
const VECTORS: usize = 2;
/// At least as many numbers as a vector holds.
const WIDEST: usize = 16;
/// Number of pixels and gradients that fit into a core's cache, in one of the two moments.
const BLOCK: usize = 1 << 16;

/// The sums of some taps and outputs.
type Tile<E> = [E; TAPS * VECTORS * WIDEST];

/// Adds to the sums of some images: of the means and, with noise, of the variances. The sums have a row of outputs
/// per tap and channel.
pub(in super::super) fn add_weight_gradient<E: Elem>(
    geometry: &Geometry,
    outputs: usize,
    [x, g]: Pair<'_, E>,
    slope: Option<&[E]>,
    [means, variances]: [&mut [E]; 2],
) {
    let outer = Outer { geometry, outputs, padded: outputs.next_multiple_of(E::Lanes::WIDTH) };
    let (n_in, n_out) = (geometry.pixels(), outputs * geometry.positions());
    let at_once = (BLOCK / (outer.x_len() + outer.g_len()).max(1)).clamp(1, (x.len() / n_in).max(1));
    let mut pixels = Buffer::zeros(at_once * outer.x_len() + TAPS);
    let mut gradients = Buffer::zeros(at_once * outer.g_len());
    let mut products = slope.map(|_| (Buffer::any(pixels.len()), Buffer::any(gradients.len())));
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
    let (channels, cols) = (geometry.channels, geometry.rows());
    let taps = cols / channels;
    to.par_chunks_mut(WIDEST * cols).enumerate().for_each(|(i, to)| {
        let own = i * WIDEST..outputs.min((i + 1) * WIDEST);
        for (channel, tap) in (0..channels).flat_map(|channel| (0..taps).map(move |tap| (channel, tap))) {
            let sums = &sums[(tap * channels + channel) * outputs..][own.clone()];
            let to = to[channel * taps + tap..].iter_mut().step_by(cols);
            to.zip(sums).for_each(|(to, sum)| *to += *sum);
        }
    });
}

/// The layout of images, and of the gradients of their outputs.
struct Outer<'a> {
    geometry: &'a Geometry,
    outputs: usize,
    /// The outputs, rounded up to whole vectors.
    padded: usize,
}

impl Outer<'_> {
    /// The length of a row of pixels, with padding on both sides.
    fn row(&self) -> usize {
        (self.geometry.image[1] + 2 * self.geometry.window.pad) * self.geometry.channels
    }

    fn x_len(&self) -> usize {
        self.geometry.image[0] * self.row()
    }

    fn g_len(&self) -> usize {
        self.geometry.positions() * self.padded
    }

    /// Copies images.
    fn take_pixels<E: Elem>(&self, from: &[E], to: &mut [E]) {
        let ([height, width], channels) = (self.geometry.image, self.geometry.channels);
        for (from, to) in from.chunks_exact(self.geometry.pixels()).zip(to.chunks_exact_mut(self.x_len())) {
            for (y, to) in to.chunks_exact_mut(self.row()).enumerate() {
                let to = &mut to[self.geometry.window.pad * channels..][..width * channels];
                turn(&from[y * width..], height * width, [channels, width], to, channels);
            }
        }
    }

    /// Copies numbers of outputs.
    fn take_gradients<E: Elem>(&self, from: &[E], to: &mut [E]) {
        let positions = self.geometry.positions();
        let images = from.chunks_exact(self.outputs * positions).zip(to.chunks_exact_mut(self.g_len()));
        images.for_each(|(from, to)| turn(from, positions, [self.outputs, positions], to, self.padded));
    }

    /// Adds the products of some images to a row of outputs per tap and channel.
    fn add<E: Elem>(&self, images: usize, x: &[E], g: &[E], sums: &mut [E]) {
        let (window, channels) = (self.geometry.window, self.geometry.channels);
        // Neighbouring taps read neighbouring pixels, or each tap is a run of its own.
        let (runs, run) = if window.dilation == 1 { (1, window.kernel * channels) } else { (window.kernel, channels) };
        let rows = sums.par_chunks_mut(runs * run * self.outputs).enumerate();
        rows.for_each(|(tap_y, sums)| {
            let lines = self.lines(images, tap_y);
            for (piece, sums) in sums.chunks_exact_mut(run * self.outputs).enumerate() {
                let start = piece * window.dilation * channels;
                sums.par_chunks_mut(TAPS * self.outputs).enumerate().for_each(|(i, sums)| {
                    self.add_taps(&lines, &x[start + i * TAPS..], g, sums);
                });
            }
        });
    }

    /// The starts of the rows of pixels that a row of taps reads, with those of the gradients.
    fn lines(&self, images: usize, tap_y: usize) -> Vec<[usize; 2]> {
        let [height, width] = self.geometry.outputs;
        let line = |image: usize, row: usize| {
            let source = self.geometry.window.source(row, tap_y, self.geometry.image[0])?;
            Some([image * self.x_len() + source * self.row(), image * self.g_len() + row * width * self.padded])
        };
        (0..images).flat_map(|image| (0..height).filter_map(move |row| line(image, row))).collect()
    }

    /// Adds those of at most `TAPS` numbers.
    fn add_taps<E: Elem>(&self, lines: &[[usize; 2]], x: &[E], g: &[E], sums: &mut [E]) {
        let lanes = E::Lanes::WIDTH;
        let mut tile = [E::default(); TAPS * VECTORS * WIDEST];
        for output in (0..self.outputs).step_by(VECTORS * lanes) {
            let vectors = if output + lanes < self.outputs { VECTORS } else { 1 };
            match vectors {
                1 => self.tile::<E, 1>(lines, x, &g[output..], &mut tile),
                _ => self.tile::<E, VECTORS>(lines, x, &g[output..], &mut tile),
            }
            let width = (self.outputs - output).min(vectors * lanes);
            for (to, from) in sums.chunks_exact_mut(self.outputs).zip(tile.chunks_exact(vectors * lanes)) {
                to[output..output + width].iter_mut().zip(from).for_each(|(to, sum)| *to += *sum);
            }
        }
    }

    /// The sums of `TAPS` numbers and `V` vectors of outputs.
    #[inline(always)]
    fn tile<E: Elem, const V: usize>(&self, lines: &[[usize; 2]], x: &[E], g: &[E], to: &mut Tile<E>) {
        let (columns, channels, padded) = (self.geometry.outputs[1], self.geometry.channels, self.padded);
        let lanes = E::Lanes::WIDTH;
        let mut sums = [[splat::<E>(E::default()); V]; TAPS];
        for [from, gradients] in lines {
            let x = &x[*from..*from + (columns - 1) * channels + TAPS];
            let g = &g[*gradients..*gradients + (columns - 1) * padded + V * lanes];
            for column in 0..columns {
                let x = &x[column * channels..column * channels + TAPS];
                let g = &g[column * padded..column * padded + V * lanes];
                let g: [E::Lanes; V] = std::array::from_fn(|v| E::Lanes::load(&g[v * lanes..(v + 1) * lanes]));
                for t in 0..TAPS {
                    for v in 0..V {
                        sums[t][v] = splat::<E>(x[t]).mul_add(g[v], sums[t][v]);
                    }
                }
            }
        }
        for t in 0..TAPS {
            for v in 0..V {
                sums[t][v].store(&mut to[(t * V + v) * lanes..(t * V + v + 1) * lanes]);
            }
        }
    }
}

/// Transposes rows of numbers, `step` apart: column by column, `padded` apart.
fn turn<E: Elem>(from: &[E], step: usize, [rows, width]: [usize; 2], to: &mut [E], padded: usize) {
    let whole = |n: usize| n - n % 8;
    for col in (0..whole(width)).step_by(8) {
        for row in (0..whole(rows)).step_by(8) {
            let mut block = [[E::default(); 8]; 8];
            for r in 0..8 {
                block[r] = eight(&from[(row + r) * step + col..]);
            }
            for (c, column) in E::transposed(block).iter().enumerate() {
                to[(col + c) * padded + row..][..8].copy_from_slice(column);
            }
        }
        copy(from, step, [whole(rows)..rows, col..col + 8], to, padded);
    }
    copy(from, step, [0..rows, whole(width)..width], to, padded);
}

/// The same one number at a time.
fn copy<E: Elem>(from: &[E], step: usize, [rows, cols]: [Range<usize>; 2], to: &mut [E], padded: usize) {
    for col in cols {
        for row in rows.clone() {
            to[col * padded + row] = from[row * step + col];
        }
    }
}
