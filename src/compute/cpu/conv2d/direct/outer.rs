//! The gradients of the weights: sums over positions of products of an output's gradient with the pixels that it read.
//! Pixels are laid out channel by channel, so that a row of taps is one run of numbers; gradients output by output.

use std::ops::Range;

use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::Pair;
use super::planes::eight;
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

/// Adds to the sums of some images: of the means and, with noise, of the variances. The sums have a row per row of
/// taps and output.
pub(in super::super) fn add_weight_gradient<E: Elem>(
    geometry: &Geometry,
    outputs: usize,
    [x, g]: Pair<'_, E>,
    slope: Option<&[E]>,
    [means, variances]: [&mut [E]; 2],
) {
    let outer = Outer { geometry, outputs };
    let (n_in, n_out) = (geometry.pixels(), outputs * geometry.positions());
    let at_once = (BLOCK / (outer.x_len() + outer.g_len()).max(1)).clamp(1, (x.len() / n_in).max(1));
    let mut pixels = Buffer::zeros(at_once * outer.x_len() + 3 * WIDEST);
    let mut gradients = Buffer::zeros(at_once * outer.g_len() + WIDEST);
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
    let outer = Outer { geometry, outputs };
    let (channels, kernel) = (geometry.channels, geometry.window.kernel);
    let [runs, run] = outer.runs();
    to.par_chunks_mut(geometry.rows()).with_min_len(8).enumerate().for_each(|(output, to)| {
        for (tap_y, tap_x) in (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x))) {
            let (piece, at) = (tap_x * channels / run, tap_x * channels % run);
            let sums = &sums[((tap_y * runs + piece) * outputs + output) * run + at..][..channels];
            let to = to[tap_y * kernel + tap_x..].iter_mut().step_by(kernel * kernel);
            to.zip(sums).for_each(|(to, sum)| *to += *sum);
        }
    });
}

/// The layout of images, and of the gradients of their outputs.
struct Outer<'a> {
    geometry: &'a Geometry,
    outputs: usize,
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
        self.geometry.positions() * self.outputs
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
        images.for_each(|(from, to)| turn(from, positions, [self.outputs, positions], to, self.outputs));
    }

    /// The runs of numbers that a row of taps reads, and their length: neighbouring taps read neighbouring pixels, or each
    /// tap is a run of its own.
    fn runs(&self) -> [usize; 2] {
        let (kernel, channels) = (self.geometry.window.kernel, self.geometry.channels);
        if self.geometry.window.dilation == 1 { [1, kernel * channels] } else { [kernel, channels] }
    }

    /// Adds the products of some images.
    fn add<E: Elem>(&self, images: usize, x: &[E], g: &[E], sums: &mut [E]) {
        let [runs, run] = self.runs();
        let step = self.geometry.window.dilation * self.geometry.channels;
        // The one of the two sizes that leaves fewer of its rows empty.
        let ten = self.outputs.next_multiple_of(10) < self.outputs.next_multiple_of(8);
        let size = if ten { 10 } else { 8 };
        sums.par_chunks_mut(runs * run * self.outputs).enumerate().for_each(|(tap_y, sums)| {
            let lines = self.lines(images, tap_y);
            for (piece, sums) in sums.chunks_exact_mut(run * self.outputs).enumerate() {
                let x = &x[piece * step..];
                sums.par_chunks_mut(size * run).enumerate().for_each(|(block, sums)| {
                    let g = &g[block * size..];
                    if ten {
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
            let source = self.geometry.window.source(row, tap_y, self.geometry.image[0])?;
            Some([image * self.x_len() + source * self.row(), image * self.g_len() + row * width * self.outputs])
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
            let vectors = if at + (V - 1) * lanes < run { V } else { 1 };
            if vectors == 1 {
                self.tile::<E, T, 1>(lines, &x[at..], g, &mut tile);
            } else {
                self.tile::<E, T, V>(lines, &x[at..], g, &mut tile);
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
        let (columns, channels, outputs) = (self.geometry.outputs[1], self.geometry.channels, self.outputs);
        let lanes = E::Lanes::WIDTH;
        let mut sums = [[splat::<E>(E::default()); V]; T];
        for [from, gradients] in lines {
            let x = &x[*from..*from + (columns - 1) * channels + V * lanes];
            let g = &g[*gradients..*gradients + (columns - 1) * outputs + T];
            for column in 0..columns {
                let x = &x[column * channels..column * channels + V * lanes];
                let g = &g[column * outputs..column * outputs + T];
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
