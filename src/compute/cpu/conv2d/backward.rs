//! The gradients of a convolution: of its weights, of its bias, and of its input.

use rayon::prelude::*;
use sparsevd_priors::Lane;

use super::{Convolve, PARTS, direct};
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::effective::Factor;
use crate::compute::cpu::product::{Matrix, multiply_here};
use crate::compute::elem::Elem;
use crate::compute::threads::piece;

/// Consecutive images of the batch, with their gradients.
pub(super) struct Part<'a, E> {
    pub(super) x: &'a [E],
    /// The gradient of the output.
    pub(super) g: &'a [E],
    /// The derivative of each output by its variance, if there is noise.
    pub(super) slope: Option<&'a [E]>,
    /// The gradient of the input, to add to, if it is needed.
    pub(super) d_x: Option<&'a mut [E]>,
}

impl<'a, E> Part<'a, E> {
    /// Splits off the first images: this many numbers of the input and of the output.
    fn split_off(&mut self, inputs: usize, outputs: usize) -> Option<Part<'a, E>> {
        Some(Part {
            x: self.x.split_off(..inputs)?,
            g: self.g.split_off(..outputs)?,
            slope: self.slope.as_mut().and_then(|slope| slope.split_off(..outputs)),
            d_x: self.d_x.as_mut().and_then(|d_x| d_x.split_off_mut(..inputs)),
        })
    }
}

/// The gradients summed over the batch, or over a part of it. Those of the weights are transposed within each group: a
/// row per channel and tap, or per tap and channel if the [`direct`] kernels summed them.
pub(super) struct Sums<E: Elem> {
    pub(super) means: Buffer<E>,
    pub(super) variance: Buffer<E>,
    pub(super) bias: Buffer<E>,
}

impl<E: Elem> Convolve<E> {
    /// Returns the sums over the batch, and adds to the gradient of the input.
    pub(super) fn backward(&self, mut batch: Part<'_, E>) -> Sums<E> {
        if let Some(live) = self.live() {
            let [means, variance] = live.backward([batch.x, batch.g], batch.slope, batch.d_x, PARTS);
            return Sums { means, variance, bias: self.bias_gradient(batch.g) };
        }
        let direct = self.direct();
        if let Some(weights) = direct
            && let Some(d_x) = batch.d_x.take()
        {
            let outputs = self.effective.grid.rows;
            direct::add_input_gradient(&self.geometry, outputs, weights, [batch.x, batch.g], batch.slope, d_x);
        }
        let mut take = |images: usize| batch.split_off(images * self.input_len(), images * self.output_len());
        let count = if direct.is_some() { self.parts_of_direct() } else { PARTS };
        let parts: Vec<_> = self.parts(count).filter_map(|part| take(part.len())).collect();
        let of_part = |part| if direct.is_some() { self.direct_part(&part) } else { self.backward_part(part) };
        let mut sums: Vec<Sums<E>> = parts.into_par_iter().map(of_part).collect();
        let rest = sums.split_off(1.min(sums.len()));
        let Some(mut total) = sums.pop() else {
            let [means, variance, bias] = self.lengths().map(Buffer::zeros);
            return Sums { means, variance, bias };
        };
        let add = |to: &mut Buffer<E>, like: fn(&Sums<E>) -> &Buffer<E>| {
            let n = piece(to.len());
            to.par_chunks_mut(n).enumerate().for_each(|(i, to)| {
                let own = i * n..i * n + to.len();
                rest.iter().for_each(|part| to.iter_mut().zip(&like(part)[own.clone()]).for_each(|(to, g)| *to += *g));
            });
        };
        add(&mut total.means, |s| &s.means);
        add(&mut total.variance, |s| &s.variance);
        add(&mut total.bias, |s| &s.bias);
        total
    }

    /// The lengths of the sums: of means, variances and bias.
    fn lengths(&self) -> [usize; 3] {
        let grid = self.effective.grid;
        [grid.len(), if self.effective.noisy() { grid.len() } else { 0 }, if self.bias { grid.rows } else { 0 }]
    }

    /// Number of parts for the direct kernels. A part has sums of its own of all weights, so it has to be worth them.
    fn parts_of_direct(&self) -> usize {
        (self.images * self.geometry.positions() / 1024).clamp(1, PARTS)
    }

    /// The sums of a part with the direct kernels.
    fn direct_part(&self, part: &Part<'_, E>) -> Sums<E> {
        let [mut means, mut variance, _] = self.lengths().map(Buffer::zeros);
        let sums = [&mut means[..], &mut variance[..]];
        direct::add_weight_gradient(&self.geometry, self.effective.grid.rows, [part.x, part.g], part.slope, sums);
        Sums { means, variance, bias: self.bias_gradient(part.g) }
    }

    /// The gradient of the bias, given that of the output.
    fn bias_gradient(&self, g: &[E]) -> Buffer<E> {
        let mut bias = Buffer::zeros(self.lengths()[2]);
        if self.bias {
            let (outputs, planes) = (bias.len(), g.chunks_exact(self.geometry.positions()));
            planes.enumerate().for_each(|(plane, g)| bias[plane % outputs] += E::of(total(g)));
        }
        bias
    }

    fn backward_part(&self, mut part: Part<'_, E>) -> Sums<E> {
        let [means, variance, bias] = self.lengths().map(Buffer::zeros);
        let mut sums = Sums { means, variance, bias };
        while !part.x.is_empty() {
            let images = self.block().min(part.x.len() / self.input_len());
            let Some(block) = part.split_off(images * self.input_len(), images * self.output_len()) else { break };
            self.backward_block(block, &mut sums);
        }
        sums
    }

    fn backward_block(&self, mut block: Part<'_, E>, sums: &mut Sums<E>) {
        let images = block.x.len() / self.input_len();
        let columns = images * self.geometry.positions();
        let (rows, cols) = (self.effective.grid.rows / self.groups, self.effective.grid.cols);
        let mut unfolded = Buffer::any(cols * columns);
        // The gradient of one image is laid out as the products need it; that of several is copied.
        let mut copy = Buffer::any(if images > 1 { rows * columns } else { 0 });
        let mut d_var = Buffer::any(if self.effective.noisy() { rows * columns } else { 0 });
        for group in 0..self.groups {
            self.unfold(block.x, group, &mut unfolded);
            self.arrange(&block, group, &mut copy, &mut d_var, &mut sums.bias);
            let d_mean = if images > 1 { &copy[..] } else { &block.g[group * rows * columns..][..rows * columns] };
            let own = group * rows * cols..(group + 1) * rows * cols;
            let mut d_unfolded = block.d_x.as_ref().map(|_| Buffer::any(cols * columns));
            self.add_gradient(&self.means(group), &unfolded, d_mean, columns, &mut sums.means[own.clone()]);
            if let Some(d) = &mut d_unfolded {
                self.transposed_product(&self.means(group), d_mean, columns, d);
            }
            if let Some(variances) = &self.variances(group) {
                let mut squares = Buffer::any(unfolded.len());
                squares.iter_mut().zip(unfolded.iter()).for_each(|(to, u)| *to = *u * *u);
                self.add_gradient(variances, &squares, &d_var, columns, &mut sums.variance[own]);
                if let Some(d) = &mut d_unfolded {
                    self.transposed_product(variances, &d_var, columns, &mut squares);
                    let (two, d_squares) = (E::of(2.0), squares.iter().zip(unfolded.iter()));
                    d.iter_mut().zip(d_squares).for_each(|(to, (d, u))| *to += two * *u * *d);
                }
            }
            if let (Some(d_x), Some(d)) = (&mut block.d_x, &mut d_unfolded) {
                self.fold(d, group, d_x);
            }
        }
    }

    /// Adds the gradients of a group's weights to `sums`: transposed if dense, in the order of the entries if sparse.
    fn add_gradient(&self, weights: &Factor<'_, E>, unfolded: &[E], g: &[E], columns: usize, sums: &mut [E]) {
        match weights {
            Factor::Sparse(weights) => weights.add_gradient(unfolded, g, columns, sums),
            Factor::Dense(weights) => {
                let g = Matrix::new(g, weights.rows(), columns);
                multiply_here(sums, true, self.matrix(unfolded, columns), g.t());
            }
        }
    }

    fn transposed_product(&self, weights: &Factor<'_, E>, g: &[E], columns: usize, out: &mut [E]) {
        match weights {
            Factor::Dense(weights) => multiply_here(out, false, weights.t(), Matrix::new(g, weights.rows(), columns)),
            Factor::Sparse(weights) => {
                out.fill(E::default());
                weights.add_transposed(g, columns, out);
            }
        }
    }

    /// Arranges a group's part of the output's gradient for the products, and computes from it the gradients of the
    /// variances and of the bias.
    fn arrange(&self, block: &Part<'_, E>, group: usize, copy: &mut [E], d_var: &mut [E], d_bias: &mut [E]) {
        self.for_planes(block.x.len() / self.input_len(), group, |plane, columns, output| {
            let g = &block.g[plane.clone()];
            if let Some(sum) = d_bias.get_mut(output) {
                *sum += E::of(total(g));
            }
            if !copy.is_empty() {
                copy[columns.clone()].copy_from_slice(g);
            }
            if let Some(slope) = block.slope {
                let d_var = d_var[columns].iter_mut().zip(g.iter().zip(&slope[plane]));
                d_var.for_each(|(to, (g, slope))| *to = *g * *slope);
            }
        });
    }

    /// Adds every sum to its weight's gradient.
    pub(super) fn hand_out(&self, weights: &Factor<'_, E>, group: usize, sums: &[E], to: &mut [E]) {
        let (rows, cols) = (self.effective.grid.rows / self.groups, self.effective.grid.cols);
        let own = group * rows * cols..(group + 1) * rows * cols;
        let (sums, to) = (&sums[own.start..], &mut to[own]);
        match weights {
            Factor::Sparse(weights) => weights.hand_out(sums, cols, to),
            Factor::Dense(_) if self.direct().is_some() => direct::hand_out(&self.geometry, rows, sums, to),
            Factor::Dense(_) => {
                let at_once = piece(to.len()).div_ceil(cols);
                to.par_chunks_mut(cols).with_min_len(at_once).enumerate().for_each(|(row, to)| {
                    to.iter_mut().zip(sums[row..].iter().step_by(rows)).for_each(|(to, from)| *to += *from);
                });
            }
        }
    }

    /// Adds one group's gradient to that of the images.
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
}

/// The sum of some numbers.
fn total<E: Elem>(numbers: &[E]) -> f64 {
    let mut sum = E::Lanes::splat(0.0);
    for i in (0..numbers.len()).step_by(E::Lanes::WIDTH) {
        sum = sum + E::Lanes::load(&numbers[i..]).first(numbers.len() - i);
    }
    sum.sum()
}
