//! A convolutional layer's sampled output as one operation. The images are unfolded once for the mean and the variance
//! product, some at a time so that they stay in the cache, and again in the backward pass.

use dfdx::prelude::*;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use super::acting::Acting;
use super::memory::{Buffer, numbers, tensor};
use super::product::{Matrix, multiply_here};
use super::unfold::Geometry;
use super::{gradient, noise};
use crate::backend::{Elem, Taped};
use crate::layer::{Layer, VARIANCE_FLOOR};
use crate::map::Convolution;
use crate::posterior::{Noise, Posterior};

/// The batch is cut into this many parts, each with gradients of its own that are added up in order, so that the result
/// does not depend on the number of threads.
const PARTS: usize = 8;
/// Unfolded numbers that still fit a core's cache.
const BLOCK: usize = 1 << 17;

type Images<B, C, E> = Taped<(B, C, usize, usize), E, Cpu>;

/// `y = conv(x, theta) + b + sqrt(conv(x^2, v) + floor) eps`, with `v = Var w`, on the tape.
pub(super) fn conv2d<M: Convolution, B: Dim, Q: Posterior, P: Prior, E: Elem>(
    layer: &Layer<M, Q, P, E, Cpu>,
    x: Images<B, M::In, E>,
    seed: u64,
    input_grad: bool,
) -> Result<Images<B, M::Out, E>, CpuError>
where
    Cpu: Device<E>,
{
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let (batch, channels, height, width) = *x.shape();
    let outputs = M::WINDOW.outputs([height, width]).ok_or(CpuError::WrongNumElements)?;
    let geometry =
        Geometry { window: M::WINDOW, channels: channels.size() / M::GROUPS, image: [height, width], outputs };
    let convolution =
        Convolve { acting: Acting::of(layer)?, geometry, groups: M::GROUPS, images: batch.size(), bias: M::BIAS };
    let mut slope = (layer.posterior.noise() == Noise::Gaussian).then(|| {
        let mut eps = Buffer::any(batch.size() * convolution.output_len());
        noise::fill(seed, &mut eps);
        eps
    });
    let y = tensor(x.device(), (batch, M::Out::default(), outputs[0], outputs[1]), |y| {
        convolution.forward(numbers(&x), numbers(&layer.bias), y, slope.as_deref_mut());
    })?;

    let (bias, out) = (layer.bias.clone(), y.clone());
    tape.add_backward_op(move |grads| {
        let g = std::mem::take(gradient(grads, &out)?);
        let mut d_x = if input_grad { Some(std::mem::take(gradient(grads, &x)?)) } else { None };
        let sums = convolution.backward(numbers(&x), &g, slope.as_deref(), d_x.as_deref_mut());
        if let Some(d_x) = d_x {
            *gradient(grads, &x)? = d_x;
        }
        *gradient(grads, &out)? = g; // back to the device's memory
        if M::BIAS {
            let d_bias = gradient(grads, &bias)?;
            sums.iter().for_each(|s| d_bias.iter_mut().zip(s.bias.iter()).for_each(|(to, g)| *to += *g));
        }
        let add = |to: &mut [E], from: &[E]| to.iter_mut().zip(from).for_each(|(to, g)| *to += *g);
        convolution.acting.pull_back(
            grads,
            |d| sums.iter().for_each(|s| add(d, &s.means)),
            |d| {
                d.fill(E::default());
                sums.iter().for_each(|s| add(d, &s.variance));
            },
        )
    });
    Ok(y.put_tape(tape))
}

/// One convolution of a batch.
struct Convolve<M: Convolution, Q: Posterior, E: Elem> {
    acting: Acting<M, Q, E>,
    /// Of one group of channels.
    geometry: Geometry,
    groups: usize,
    images: usize,
    bias: bool,
}

/// What one part of the batch adds to the gradients.
struct Sums<E: Elem> {
    means: Buffer<E>,
    variance: Buffer<E>,
    bias: Buffer<E>,
}

impl<M: Convolution, Q: Posterior, E: Elem> Convolve<M, Q, E>
where
    Cpu: Device<E>,
{
    /// Numbers that one image gives.
    fn output_len(&self) -> usize {
        self.acting.grid.rows * self.geometry.positions()
    }

    /// Numbers of one image, all groups.
    fn input_len(&self) -> usize {
        self.groups * self.geometry.pixels()
    }

    /// Images in a part of the batch.
    fn part(&self) -> usize {
        self.images.div_ceil(PARTS).max(1)
    }

    /// Images unfolded at a time.
    fn block(&self) -> usize {
        (BLOCK / (self.geometry.rows() * self.geometry.positions()).max(1)).clamp(1, self.part())
    }

    /// The rows of a weight matrix that belong to a group.
    fn group<'a>(&self, weights: Matrix<'a, E>, group: usize) -> Matrix<'a, E> {
        let rows = self.acting.grid.rows / self.groups;
        let cols = self.acting.grid.cols;
        Matrix::new(&weights.numbers()[group * rows * cols..(group + 1) * rows * cols], rows, cols)
    }

    /// The output; `eps` becomes `eps / (2 std)`, the derivative of an output by its variance.
    fn forward(&self, x: &[E], bias: &[E], y: &mut [E], eps: Option<&mut [E]>) {
        let (n_in, n_out) = (self.part() * self.input_len(), self.part() * self.output_len());
        let bias = if self.bias { bias } else { &[] };
        match eps {
            Some(eps) => {
                let parts = y.par_chunks_mut(n_out).zip(eps.par_chunks_mut(n_out)).zip(x.par_chunks(n_in));
                parts.for_each(|((y, eps), x)| self.forward_part(x, bias, y, Some(eps)));
            }
            None => {
                y.par_chunks_mut(n_out).zip(x.par_chunks(n_in)).for_each(|(y, x)| self.forward_part(x, bias, y, None));
            }
        }
    }

    fn forward_part(&self, x: &[E], bias: &[E], y: &mut [E], mut eps: Option<&mut [E]>) {
        let (n_in, n_out) = (self.block() * self.input_len(), self.block() * self.output_len());
        for (i, (x, y)) in x.chunks(n_in).zip(y.chunks_mut(n_out)).enumerate() {
            let count = y.len();
            self.forward_block(x, bias, y, eps.as_mut().map(|eps| &mut eps[i * n_out..i * n_out + count]));
        }
    }

    fn forward_block(&self, x: &[E], bias: &[E], y: &mut [E], mut eps: Option<&mut [E]>) {
        let images = x.len() / self.input_len();
        let columns = images * self.geometry.positions();
        let rows = self.acting.grid.rows / self.groups;
        let mut unfolded = Buffer::any(self.geometry.rows() * columns);
        let (mut mean, mut var) = (Buffer::any(rows * columns), Buffer::any(rows * columns));
        for group in 0..self.groups {
            self.unfold(x, group, &mut unfolded);
            multiply_here(&mut mean, false, self.group(self.acting.means(), group), self.matrix(&unfolded, columns));
            if let Some(variance) = self.acting.variance() {
                unfolded.iter_mut().for_each(|u| *u = *u * *u);
                multiply_here(&mut var, false, self.group(variance, group), self.matrix(&unfolded, columns));
            }
            self.for_planes(images, group, |plane, columns, output| {
                let (y, mean) = (&mut y[plane.clone()], &mean[columns.clone()]);
                let b = bias.get(output).copied().unwrap_or_default();
                y.iter_mut().zip(mean).for_each(|(y, mean)| *y = *mean + b);
                if let Some(eps) = &mut eps {
                    add_noise(y, &mut eps[plane], &var[columns]);
                }
            });
        }
    }

    fn backward(&self, x: &[E], g: &[E], slope: Option<&[E]>, d_x: Option<&mut [E]>) -> Vec<Sums<E>> {
        let (n_in, n_out) = (self.part() * self.input_len(), self.part() * self.output_len());
        let parts = x.par_chunks(n_in).zip(g.par_chunks(n_out)).enumerate();
        let slope = |i: usize, len: usize| slope.map(|slope| &slope[i * n_out..i * n_out + len]);
        match d_x {
            Some(d_x) => {
                let parts = parts.zip(d_x.par_chunks_mut(n_in));
                parts.map(|((i, (x, g)), d_x)| self.backward_part(x, g, slope(i, g.len()), Some(d_x))).collect()
            }
            None => parts.map(|(i, (x, g))| self.backward_part(x, g, slope(i, g.len()), None)).collect(),
        }
    }

    fn backward_part(&self, x: &[E], g: &[E], slope: Option<&[E]>, mut d_x: Option<&mut [E]>) -> Sums<E> {
        let grid = self.acting.grid;
        let noisy = if slope.is_some() { grid.len() } else { 0 };
        let mut sums =
            Sums { means: Buffer::zeros(grid.len()), variance: Buffer::zeros(noisy), bias: Buffer::zeros(grid.rows) };
        let (n_in, n_out) = (self.block() * self.input_len(), self.block() * self.output_len());
        for (i, (x, g)) in x.chunks(n_in).zip(g.chunks(n_out)).enumerate() {
            let slope = slope.map(|slope| &slope[i * n_out..i * n_out + g.len()]);
            let d_x = d_x.as_mut().map(|d_x| &mut d_x[i * n_in..i * n_in + x.len()]);
            self.backward_block(x, g, slope, d_x, &mut sums);
        }
        sums
    }

    fn backward_block(&self, x: &[E], g: &[E], slope: Option<&[E]>, mut d_x: Option<&mut [E]>, sums: &mut Sums<E>) {
        let images = x.len() / self.input_len();
        let columns = images * self.geometry.positions();
        let rows = self.acting.grid.rows / self.groups;
        let weights = rows * self.acting.grid.cols;
        let mut unfolded = Buffer::any(self.geometry.rows() * columns);
        let mut d_unfolded = Buffer::any(if d_x.is_some() { unfolded.len() } else { 0 });
        let (mut d_mean, mut d_var) = (Buffer::any(rows * columns), Buffer::any(rows * columns));
        for group in 0..self.groups {
            self.unfold(x, group, &mut unfolded);
            self.for_planes(images, group, |plane, columns, output| {
                let g = &g[plane.clone()];
                sums.bias[output] += g.iter().copied().fold(E::default(), |sum, g| sum + g);
                d_mean[columns.clone()].copy_from_slice(g);
                if let Some(slope) = slope {
                    let d_var = d_var[columns].iter_mut().zip(g.iter().zip(&slope[plane]));
                    d_var.for_each(|(to, (g, slope))| *to = *g * *slope);
                }
            });
            let of_output = |d| Matrix::new(d, rows, columns);
            let own = group * weights..(group + 1) * weights;
            multiply_here(&mut sums.means[own.clone()], true, of_output(&d_mean), self.matrix(&unfolded, columns).t());
            if d_x.is_some() {
                let means = self.group(self.acting.means(), group);
                multiply_here(&mut d_unfolded, false, means.t(), of_output(&d_mean));
            }
            if let Some(variance) = self.acting.variance() {
                let mut squares = Buffer::any(unfolded.len());
                squares.iter_mut().zip(unfolded.iter()).for_each(|(to, u)| *to = *u * *u);
                multiply_here(&mut sums.variance[own], true, of_output(&d_var), self.matrix(&squares, columns).t());
                if d_x.is_some() {
                    let d_squares = &mut squares;
                    multiply_here(d_squares, false, self.group(variance, group).t(), of_output(&d_var));
                    let two = E::of(2.0);
                    let terms = d_squares.iter().zip(unfolded.iter());
                    d_unfolded.iter_mut().zip(terms).for_each(|(to, (d, u))| *to += two * *u * *d);
                }
            }
            if let Some(d_x) = &mut d_x {
                self.fold(&d_unfolded, group, d_x);
            }
        }
    }

    fn matrix<'a>(&self, unfolded: &'a [E], columns: usize) -> Matrix<'a, E> {
        Matrix::new(unfolded, self.geometry.rows(), columns)
    }

    /// The matrix of one group's channels.
    fn unfold(&self, x: &[E], group: usize, to: &mut [E]) {
        if self.groups == 1 {
            return self.geometry.unfold(x, to);
        }
        let mut own = Buffer::any(x.len() / self.groups);
        self.for_group(x.len(), group, |all, part| own[part].copy_from_slice(&x[all]));
        self.geometry.unfold(&own, to);
    }

    /// Adds one group's gradient to the images.
    fn fold(&self, from: &[E], group: usize, d_x: &mut [E]) {
        if self.groups == 1 {
            return self.geometry.fold(from, d_x);
        }
        let mut own = Buffer::zeros(d_x.len() / self.groups);
        self.geometry.fold(from, &mut own);
        self.for_group(d_x.len(), group, |all, part| {
            d_x[all].iter_mut().zip(&own[part]).for_each(|(to, d)| *to += *d);
        });
    }

    /// Where a group's channels lie, image by image: among all channels, and among its own.
    fn for_group(&self, len: usize, group: usize, mut f: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>)) {
        let pixels = self.geometry.pixels();
        for image in 0..len / self.input_len() {
            let start = image * self.input_len() + group * pixels;
            f(start..start + pixels, image * pixels..(image + 1) * pixels);
        }
    }

    /// Calls `f(where a plane is in the output, where it is in the product, its output channel)` for a group's planes.
    fn for_planes(
        &self,
        images: usize,
        group: usize,
        mut f: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>, usize),
    ) {
        let (rows, positions) = (self.acting.grid.rows / self.groups, self.geometry.positions());
        for (image, row) in (0..images).flat_map(|image| (0..rows).map(move |row| (image, row))) {
            let output = group * rows + row;
            let plane = (image * self.acting.grid.rows + output) * positions;
            let column = (row * images + image) * positions;
            f(plane..plane + positions, column..column + positions, output);
        }
    }
}

/// `y += sqrt(var + floor) eps`; `eps` becomes `eps / (2 std)`.
pub(super) fn add_noise<E: Elem>(y: &mut [E], eps: &mut [E], var: &[E]) {
    let (half, floor) = (E::of(0.5), E::of(VARIANCE_FLOOR));
    for ((y, var), eps) in y.iter_mut().zip(var).zip(eps) {
        let std = num_traits::Float::sqrt(*var + floor);
        *y += std * *eps;
        *eps = half * *eps / std;
    }
}
