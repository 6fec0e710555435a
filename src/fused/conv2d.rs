//! A convolutional layer's sampled output as one operation. The images are unfolded once for the mean and the variance
//! product, some at a time so that they stay in the cache, and again in the backward pass.

use std::ops::Range;

use dfdx::prelude::*;
use rayon::prelude::*;
use sparsevd_priors::Prior;

use super::acting::{Acting, piece};
use super::memory::{Buffer, numbers, numbers_mut, tensor, zeros_while};
use super::product::{Matrix, multiply_here};
use super::unfold::Geometry;
use super::{gradient, noise, vec};
use crate::backend::{Elem, Taped};
use crate::layer::{Layer, VARIANCE_FLOOR};
use crate::map::Convolution;
use crate::posterior::{Noise, Posterior};

/// The batch is cut into this many parts, each with gradients of its own that are added up in order, so that the result
/// does not depend on the number of threads.
const PARTS: usize = 8;
/// Unfolded numbers that still fit a core's cache.
const BLOCK: usize = 1 << 16;

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
    let convolution = Convolve::new(&x, Acting::of(layer)?)?;
    let noisy = layer.posterior.noise() == Noise::Gaussian;
    let (mut y, mut slope) = zeros_while(x.device(), convolution.output(&x), || {
        noisy.then(|| {
            let mut eps = Buffer::any(convolution.images * convolution.output_len());
            noise::fill(seed, &mut eps);
            eps
        })
    })?;
    convolution.forward(numbers(&x), numbers(&layer.bias), numbers_mut(&mut y), slope.as_deref_mut());

    let (bias, out) = (layer.bias.clone(), y.ghost());
    tape.add_backward_op(move |grads| {
        let g = std::mem::take(vec(grads.get_or_alloc_mut(&out)?));
        let mut d_x = if input_grad { Some(std::mem::take(gradient(grads, &x)?)) } else { None };
        let sums = convolution.backward(numbers(&x), &g, slope.as_deref(), d_x.as_deref_mut());
        if let Some(d_x) = d_x {
            *gradient(grads, &x)? = d_x;
        }
        *vec(grads.get_or_alloc_mut(&out)?) = g; // back to the device's memory
        if M::BIAS {
            gradient(grads, &bias)?.iter_mut().zip(sums.bias.iter()).for_each(|(to, g)| *to += *g);
        }
        convolution.acting.pull_back(grads, |d_means, d_variance| {
            convolution.transpose(&sums.means, d_means, |to, from| *to += from);
            convolution.transpose(&sums.variance, d_variance, |to, from| *to = from);
        })
    });
    Ok(y.put_tape(tape))
}

/// `y = conv(x, weights) + b`.
#[allow(clippy::type_complexity, reason = "dfdx's types are long")]
pub(super) fn conv2d_with<M: Convolution, B: Dim, Q: Posterior, P: Prior, E: Elem>(
    layer: &Layer<M, Q, P, E, Cpu>,
    x: Tensor<(B, M::In, usize, usize), E, Cpu>,
    weights: Tensor<M::Weight, E, Cpu>,
) -> Result<Tensor<(B, M::Out, usize, usize), E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let x = x.try_contiguous()?;
    let convolution = Convolve::new(&x, Acting::still(layer, weights)?)?;
    tensor(x.device(), convolution.output(&x), |y| convolution.forward(numbers(&x), numbers(&layer.bias), y, None))
}

/// One convolution of a batch.
struct Convolve<M: Convolution, Q: Posterior, E: Elem> {
    acting: Acting<M, Q, E>,
    /// Var w, where there is noise.
    variances: Option<Buffer<E>>,
    /// Of one group of channels.
    geometry: Geometry,
    groups: usize,
    images: usize,
    bias: bool,
}

/// What the batch, or a part of it, adds to the gradients; those of the weights transposed, a row per tap, within each group.
struct Sums<E: Elem> {
    means: Buffer<E>,
    variance: Buffer<E>,
    bias: Buffer<E>,
}

impl<M: Convolution, Q: Posterior, E: Elem> Convolve<M, Q, E>
where
    Cpu: Device<E>,
{
    fn new<B: Dim>(x: &Tensor<(B, M::In, usize, usize), E, Cpu>, acting: Acting<M, Q, E>) -> Result<Self, CpuError> {
        let (batch, channels, height, width) = *x.shape();
        let outputs = M::WINDOW.outputs([height, width]).ok_or(CpuError::WrongNumElements)?;
        let geometry =
            Geometry { window: M::WINDOW, channels: channels.size() / M::GROUPS, image: [height, width], outputs };
        let variances = acting.noisy().then(|| acting.variances());
        Ok(Convolve { acting, variances, geometry, groups: M::GROUPS, images: batch.size(), bias: M::BIAS })
    }

    /// The shape of the output.
    fn output<B: Dim>(&self, x: &Tensor<(B, M::In, usize, usize), E, Cpu>) -> (B, M::Out, usize, usize) {
        (x.shape().0, M::Out::default(), self.geometry.outputs[0], self.geometry.outputs[1])
    }

    /// Numbers that one image gives.
    fn output_len(&self) -> usize {
        self.acting.grid.rows * self.geometry.positions()
    }

    /// Numbers of one image, all groups.
    fn input_len(&self) -> usize {
        self.groups * self.geometry.pixels()
    }

    /// Where the parts of the batch begin and end: of the same size, give or take an image.
    fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<M, Q, E> {
        let images = self.images;
        (0..PARTS).map(move |i| images * i / PARTS..images * (i + 1) / PARTS).filter(|part| !part.is_empty())
    }

    /// The numbers of each part, `each` an image.
    fn cut<'a>(&self, mut from: &'a [E], each: usize) -> Vec<&'a [E]> {
        self.parts().filter_map(|part| from.split_off(..part.len() * each)).collect()
    }

    /// The same, to write to.
    fn cut_mut<'a>(&self, mut from: &'a mut [E], each: usize) -> Vec<&'a mut [E]> {
        self.parts().filter_map(|part| from.split_off_mut(..part.len() * each)).collect()
    }

    /// Images unfolded at a time.
    fn block(&self) -> usize {
        (BLOCK / (self.geometry.rows() * self.geometry.positions()).max(1)).clamp(1, self.images.div_ceil(PARTS).max(1))
    }

    /// The rows of a weight matrix that belong to a group.
    fn group<'a>(&self, weights: Matrix<'a, E>, group: usize) -> Matrix<'a, E> {
        let rows = self.acting.grid.rows / self.groups;
        let cols = self.acting.grid.cols;
        Matrix::new(&weights.numbers()[group * rows * cols..(group + 1) * rows * cols], rows, cols)
    }

    /// The output; `eps` becomes `eps / (2 std)`, the derivative of an output by its variance.
    fn forward(&self, x: &[E], bias: &[E], y: &mut [E], eps: Option<&mut [E]>) {
        let bias = if self.bias { bias } else { &[] };
        let x = self.cut(x, self.input_len());
        let eps: Vec<_> = match eps {
            Some(eps) => self.cut_mut(eps, self.output_len()).into_iter().map(Some).collect(),
            None => x.iter().map(|_| None).collect(),
        };
        let parts = x.into_par_iter().zip(self.cut_mut(y, self.output_len())).zip(eps);
        parts.for_each(|((x, y), eps)| self.forward_part(x, bias, y, eps));
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
        // The product of one image is laid out as the output is; that of several is copied there.
        let copied = images > 1;
        let mut mean = Buffer::any(if copied { rows * columns } else { 0 });
        let mut var = Buffer::any(rows * columns);
        for group in 0..self.groups {
            self.unfold(x, group, &mut unfolded);
            let own = group * rows * columns..(group + 1) * rows * columns;
            let out = if copied { &mut mean[..] } else { &mut y[own] };
            multiply_here(out, false, self.group(self.acting.means(), group), self.matrix(&unfolded, columns));
            if let Some(variances) = &self.variances {
                let variance = self.acting.matrix(variances);
                unfolded.iter_mut().for_each(|u| *u = *u * *u);
                multiply_here(&mut var, false, self.group(variance, group), self.matrix(&unfolded, columns));
            }
            self.for_planes(images, group, |plane, columns, output| {
                let y = &mut y[plane.clone()];
                if copied {
                    y.copy_from_slice(&mean[columns.clone()]);
                }
                if let Some(b) = bias.get(output) {
                    y.iter_mut().for_each(|y| *y += *b);
                }
                if let Some(eps) = &mut eps {
                    add_noise(y, &mut eps[plane], &var[columns]);
                }
            });
        }
    }

    fn backward(&self, x: &[E], g: &[E], slope: Option<&[E]>, d_x: Option<&mut [E]>) -> Sums<E> {
        let noisy = slope.is_some();
        let x = self.cut(x, self.input_len());
        let slope: Vec<_> = match slope {
            Some(slope) => self.cut(slope, self.output_len()).into_iter().map(Some).collect(),
            None => x.iter().map(|_| None).collect(),
        };
        let d_x: Vec<_> = match d_x {
            Some(d_x) => self.cut_mut(d_x, self.input_len()).into_iter().map(Some).collect(),
            None => x.iter().map(|_| None).collect(),
        };
        let parts = x.into_par_iter().zip(self.cut(g, self.output_len())).zip(slope).zip(d_x);
        let sums: Vec<Sums<E>> = parts.map(|(((x, g), slope), d_x)| self.backward_part(x, g, slope, d_x)).collect();
        let total = |len: usize, of: fn(&Sums<E>) -> &Buffer<E>| {
            let mut total = Buffer::any(len);
            let n = piece(total.len());
            total.par_chunks_mut(n).enumerate().for_each(|(i, to)| {
                let own = i * n..i * n + to.len();
                to.fill(E::default());
                sums.iter().for_each(|part| to.iter_mut().zip(&of(part)[own.clone()]).for_each(|(to, g)| *to += *g));
            });
            total
        };
        let grid = self.acting.grid;
        Sums {
            means: total(grid.len(), |s| &s.means),
            variance: total(if noisy { grid.len() } else { 0 }, |s| &s.variance),
            bias: total(grid.rows, |s| &s.bias),
        }
    }

    fn backward_part(&self, x: &[E], g: &[E], slope: Option<&[E]>, mut d_x: Option<&mut [E]>) -> Sums<E> {
        let grid = self.acting.grid;
        let noisy = if slope.is_some() { grid.len() } else { 0 };
        let mut sums =
            Sums { means: Buffer::any(grid.len()), variance: Buffer::any(noisy), bias: Buffer::zeros(grid.rows) };
        let (n_in, n_out) = (self.block() * self.input_len(), self.block() * self.output_len());
        for (i, (x, g)) in x.chunks(n_in).zip(g.chunks(n_out)).enumerate() {
            let slope = slope.map(|slope| &slope[i * n_out..i * n_out + g.len()]);
            let d_x = d_x.as_mut().map(|d_x| &mut d_x[i * n_in..i * n_in + x.len()]);
            self.backward_block(x, g, slope, d_x, &mut sums, i > 0);
        }
        sums
    }

    /// Replaces the sums of the weights, or adds to them.
    fn backward_block(
        &self,
        x: &[E],
        g: &[E],
        slope: Option<&[E]>,
        mut d_x: Option<&mut [E]>,
        sums: &mut Sums<E>,
        add: bool,
    ) {
        let images = x.len() / self.input_len();
        let columns = images * self.geometry.positions();
        let rows = self.acting.grid.rows / self.groups;
        let weights = rows * self.acting.grid.cols;
        let mut unfolded = Buffer::any(self.geometry.rows() * columns);
        let mut d_unfolded = Buffer::any(if d_x.is_some() { unfolded.len() } else { 0 });
        let copied = images > 1;
        let mut d_mean = Buffer::any(if copied { rows * columns } else { 0 });
        let mut d_var = Buffer::any(rows * columns);
        for group in 0..self.groups {
            self.unfold(x, group, &mut unfolded);
            self.for_planes(images, group, |plane, columns, output| {
                let g = &g[plane.clone()];
                sums.bias[output] += g.iter().copied().fold(E::default(), |sum, g| sum + g);
                if copied {
                    d_mean[columns.clone()].copy_from_slice(g);
                }
                if let Some(slope) = slope {
                    let d_var = d_var[columns].iter_mut().zip(g.iter().zip(&slope[plane]));
                    d_var.for_each(|(to, (g, slope))| *to = *g * *slope);
                }
            });
            let of_output = |d| Matrix::new(d, rows, columns);
            let d_mean = if copied { &d_mean[..] } else { &g[group * rows * columns..(group + 1) * rows * columns] };
            let own = group * weights..(group + 1) * weights;
            multiply_here(&mut sums.means[own.clone()], add, self.matrix(&unfolded, columns), of_output(d_mean).t());
            if d_x.is_some() {
                let means = self.group(self.acting.means(), group);
                multiply_here(&mut d_unfolded, false, means.t(), of_output(d_mean));
            }
            if let Some(variances) = &self.variances {
                let variance = self.acting.matrix(variances);
                let mut squares = Buffer::any(unfolded.len());
                squares.iter_mut().zip(unfolded.iter()).for_each(|(to, u)| *to = *u * *u);
                multiply_here(&mut sums.variance[own], add, self.matrix(&squares, columns), of_output(&d_var).t());
                if d_x.is_some() {
                    let d_squares = &mut squares;
                    multiply_here(d_squares, false, self.group(variance, group).t(), of_output(&d_var));
                    let two = E::of(2.0);
                    let terms = d_squares.iter().zip(unfolded.iter());
                    d_unfolded.iter_mut().zip(terms).for_each(|(to, (d, u))| *to += two * *u * *d);
                }
            }
            if let Some(d_x) = &mut d_x {
                self.fold(&mut d_unfolded, group, d_x);
            }
        }
    }

    /// Hands every transposed sum to its weight.
    fn transpose(&self, from: &[E], to: &mut [E], put: impl Fn(&mut E, E) + Sync) {
        let (rows, cols) = (self.acting.grid.rows / self.groups, self.acting.grid.cols);
        let at_once = piece(to.len()).div_ceil(cols);
        to.par_chunks_mut(cols).with_min_len(at_once).enumerate().for_each(|(row, to)| {
            let group = &from[row / rows * rows * cols..];
            to.iter_mut().zip(group[row % rows..].iter().step_by(rows)).for_each(|(to, from)| put(to, *from));
        });
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
    fn fold(&self, from: &mut [E], group: usize, d_x: &mut [E]) {
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
    fn for_group(&self, len: usize, group: usize, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        let pixels = self.geometry.pixels();
        for image in 0..len / self.input_len() {
            let start = image * self.input_len() + group * pixels;
            f(start..start + pixels, image * pixels..(image + 1) * pixels);
        }
    }

    /// Calls `f(where a plane is in the output, where it is in the product, its output channel)` for a group's planes.
    fn for_planes(&self, images: usize, group: usize, mut f: impl FnMut(Range<usize>, Range<usize>, usize)) {
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
