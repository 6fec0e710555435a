//! The output of a convolution.

use rayon::prelude::*;

use super::{Convolve, Noise, PARTS, direct};
use crate::compute::cpu::buffer::Buffer;
use crate::compute::cpu::effective::Factor;
use crate::compute::cpu::product::multiply_here;
use crate::compute::elem::Elem;
use crate::compute::noise;

impl<E: Elem> Convolve<E> {
    /// Computes the output.
    pub(super) fn forward(&self, x: &[E], bias: &[E], y: &mut [E], noise: Option<Noise<'_, E>>) {
        let bias = if self.bias { bias } else { &[] };
        if let Some(weights) = self.direct() {
            return direct::forward(&self.geometry, self.effective.grid.rows, weights, bias, x, y, noise);
        }
        let eps = noise.map(|noise| noise.eps);
        if let Some(live) = self.live() {
            return live.forward(bias, x, y, eps);
        }
        let x = self.cut(x, self.input_len());
        let eps: Vec<_> = match eps {
            Some(eps) => self.cut_mut(eps, self.output_len()).into_iter().map(Some).collect(),
            None => x.iter().map(|_| None).collect(),
        };
        let parts = x.into_par_iter().zip(self.cut_mut(y, self.output_len())).zip(eps);
        parts.for_each(|((x, y), eps)| self.forward_part(x, bias, y, eps));
    }

    /// Cuts a slice with `each` numbers per image into the parts of the batch.
    fn cut<'a>(&self, mut from: &'a [E], each: usize) -> Vec<&'a [E]> {
        self.parts(PARTS).filter_map(|part| from.split_off(..part.len() * each)).collect()
    }

    /// The same for a mutable slice.
    fn cut_mut<'a>(&self, mut from: &'a mut [E], each: usize) -> Vec<&'a mut [E]> {
        self.parts(PARTS).filter_map(|part| from.split_off_mut(..part.len() * each)).collect()
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
        let rows = self.effective.grid.rows / self.groups;
        let mut unfolded = Buffer::any(self.geometry.rows() * columns);
        // The product of one image is laid out as the output is; that of several is copied there.
        let copied = images > 1;
        let mut mean = Buffer::any(if copied { rows * columns } else { 0 });
        let mut var = Buffer::any(if self.effective.noisy() { rows * columns } else { 0 });
        for group in 0..self.groups {
            self.unfold(x, group, &mut unfolded);
            let own = group * rows * columns..(group + 1) * rows * columns;
            let out = if copied { &mut mean[..] } else { &mut y[own] };
            self.product(&self.means(group), &unfolded, columns, out);
            if let Some(variances) = self.variances(group) {
                unfolded.iter_mut().for_each(|u| *u = *u * *u);
                self.product(&variances, &unfolded, columns, &mut var);
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
                    noise::add(y, &mut eps[plane], &var[columns]);
                }
            });
        }
    }

    fn product(&self, weights: &Factor<'_, E>, unfolded: &[E], columns: usize, out: &mut [E]) {
        match weights {
            Factor::Dense(weights) => multiply_here(out, false, *weights, self.matrix(unfolded, columns)),
            Factor::Sparse(weights) => {
                out.fill(E::default());
                weights.add_product(unfolded, columns, out);
            }
        }
    }
}
