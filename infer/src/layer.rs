//! One layer of a compact network: weights, bias, activation, pool.

use crate::kernel::{Entry, Function, Identity, Relu, Rows, add_product};
use crate::matrix::Matrix;
use crate::pool;
use crate::{Activation, Pool, Window};

/// One layer: a linear map, then an activation, then a pool.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Channels, height and width of what it reads.
    pub(crate) input: [usize; 3],
    /// Which pixels an output reads; everything where there is none.
    pub(crate) window: Option<Window>,
    pub(crate) matrix: Matrix,
    pub(crate) bias: Vec<f32>,
    pub(crate) activation: Option<Activation>,
    pub(crate) pool: Option<Pool>,
    plan: Plan,
}

/// What follows from them.
#[derive(Clone, Debug)]
struct Plan {
    weights: Weights,
    /// Outputs before the pool: lines, and their length.
    lines: usize,
    line: usize,
    /// From the input of an output to that of the one below, and to its right.
    down: usize,
    right: usize,
    /// Channels, height, width after the pool.
    output: [usize; 3],
}

#[derive(Clone, Debug)]
enum Weights {
    Sparse(Rows),
    /// The offsets of the columns, and whether they are 0, 1, 2, ..
    Dense(Vec<u32>, bool),
}

/// A part of a layer that does not fit the rest, in words.
pub(crate) type Misfit = String;

impl Layer {
    pub(crate) fn new(
        input: [usize; 3],
        window: Option<Window>,
        matrix: Matrix,
        bias: Vec<f32>,
        activation: Option<Activation>,
        pool: Option<Pool>,
    ) -> Result<Self, Misfit> {
        let [_, height, width] = input;
        let pitch = width + 2 * window.map_or(0, |w| w.pad);
        let plane = pitch * (height + 2 * window.map_or(0, |w| w.pad));
        let [lines, line] = match window {
            None => [1, 1],
            Some(window) => window.outputs([height, width]).ok_or("the kernel is larger than the image")?,
        };
        let [h, w] = match pool {
            None => [lines, line],
            Some(pool) => pool.window.outputs([lines, line]).ok_or("the pool is larger than the image")?,
        };
        let offset = |column: u32| match window {
            None => column,
            Some(w) => {
                let (channel, tap) = (column as usize / (w.kernel * w.kernel), column as usize % (w.kernel * w.kernel));
                (channel * plane + (tap / w.kernel * pitch + tap % w.kernel) * w.dilation) as u32
            }
        };
        let weights = match &matrix {
            Matrix::Csr(csr) => {
                let entry = |(column, weight): (&u32, &f32)| Entry { offset: offset(*column), weight: *weight };
                let entries = csr.columns().iter().zip(csr.values()).map(entry).collect();
                Weights::Sparse(Rows::new(csr.starts().to_vec(), entries))
            }
            Matrix::Dense(dense) => {
                let offsets: Vec<u32> = dense.columns().iter().map(|c| offset(*c)).collect();
                let all = offsets.iter().zip(0..).all(|(offset, i)| *offset == i);
                Weights::Dense(offsets, all)
            }
        };
        let stride = window.map_or(1, |w| w.stride);
        let output = [bias.len(), h, w];
        let plan = Plan { weights, lines, line, down: stride * pitch, right: stride, output };
        Ok(Layer { input, window, matrix, bias, activation, pool, plan })
    }

    pub(crate) fn pad(&self) -> usize {
        self.window.map_or(0, |w| w.pad)
    }

    /// Numbers of one datum that it reads, padding included.
    pub(crate) fn reads(&self) -> usize {
        let [c, h, w] = self.input;
        c * (h + 2 * self.pad()) * (w + 2 * self.pad())
    }

    /// Channels, height and width of its output.
    pub(crate) fn output(&self) -> [usize; 3] {
        self.plan.output
    }

    /// Numbers of scratch for one datum.
    pub(crate) fn scratch(&self) -> usize {
        let plane = self.plan.lines * self.plan.line;
        match &self.plan.weights {
            Weights::Sparse(_) => {
                if self.pool.is_some() {
                    plane
                } else {
                    0
                }
            }
            Weights::Dense(offsets, all) => {
                let unfolded = if *all { 0 } else { offsets.len() * self.plan.line };
                unfolded + if self.pool.is_some() { plane * self.bias.len() } else { 0 }
            }
        }
    }

    /// From `T` inputs, padded, to `T` outputs inside a border of `pad` zeros.
    pub(crate) fn forward<const T: usize>(&self, x: &[f32], y: &mut [f32], pad: usize, scratch: &mut [f32]) {
        match self.activation {
            None => self.with::<T>(x, y, pad, scratch, Identity),
            Some(Activation::Relu) => self.with::<T>(x, y, pad, scratch, Relu),
            Some(other) => self.with::<T>(x, y, pad, scratch, other),
        }
    }

    #[inline(always)]
    fn with<const T: usize>(&self, x: &[f32], y: &mut [f32], pad: usize, scratch: &mut [f32], f: impl Function) {
        let to = Target { pad, output: self.plan.output };
        match &self.plan.weights {
            Weights::Sparse(rows) if self.window.is_none() && pad == 0 && self.pool.is_none() => {
                for (i, (bias, y)) in self.bias.iter().zip(y.chunks_exact_mut(T)).enumerate() {
                    rows.line::<T>(i, *bias, x, y, f);
                }
            }
            Weights::Sparse(rows) => self.sparse::<T>(rows, x, y, to, scratch, f),
            Weights::Dense(offsets, all) => self.dense::<T>(offsets, *all, x, y, to, scratch, f),
        }
    }

    fn sparse<const T: usize>(
        &self,
        rows: &Rows,
        x: &[f32],
        y: &mut [f32],
        to: Target,
        scratch: &mut [f32],
        f: impl Function,
    ) {
        let plan = &self.plan;
        for (o, bias) in self.bias.iter().enumerate() {
            for i in 0..plan.lines {
                let x = &x[i * plan.down * T..];
                let line = match self.pool {
                    None => &mut y[to.at(o, i) * T..][..plan.line * T],
                    Some(_) => &mut scratch[i * plan.line * T..][..plan.line * T],
                };
                if plan.right == 1 {
                    rows.line::<T>(o, *bias, x, line, f);
                } else {
                    for (j, y) in line.chunks_exact_mut(T).enumerate() {
                        rows.line::<T>(o, *bias, &x[j * plan.right * T..], y, f);
                    }
                }
            }
            if let Some(pool) = self.pool {
                pool::plane::<T>(pool, scratch, [plan.lines, plan.line], y, |i| to.at(o, i), plan.output);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the same as above, with the columns")]
    fn dense<const T: usize>(
        &self,
        offsets: &[u32],
        all: bool,
        x: &[f32],
        y: &mut [f32],
        to: Target,
        scratch: &mut [f32],
        f: impl Function,
    ) {
        let Matrix::Dense(matrix) = &self.matrix else { return };
        let (plan, rows, n) = (&self.plan, self.bias.len(), self.plan.line * T);
        let (unfolded, planes) = scratch.split_at_mut(if all { 0 } else { offsets.len() * n });
        for i in 0..plan.lines {
            let x = &x[i * plan.down * T..];
            if !all {
                for (to, offset) in unfolded.chunks_exact_mut(n).zip(offsets) {
                    let x = &x[*offset as usize * T..];
                    if plan.right == 1 {
                        to.copy_from_slice(&x[..n]);
                    } else {
                        let from = x.chunks(T).step_by(plan.right);
                        to.chunks_exact_mut(T).zip(from).for_each(|(to, from)| to.copy_from_slice(from));
                    }
                }
            }
            let (out, at, stride) = match self.pool {
                None => (&mut *y, to.at(0, i) * T, to.plane() * T),
                Some(_) => (&mut *planes, i * n, plan.lines * n),
            };
            for (o, bias) in self.bias.iter().enumerate() {
                out[at + o * stride..][..n].fill(*bias);
            }
            let x = if all { x } else { &*unfolded };
            add_product(matrix.weights(), x, &mut out[at..], [rows, offsets.len(), n], stride);
            for o in 0..rows {
                out[at + o * stride..][..n].iter_mut().for_each(|y| *y = f.number(*y));
            }
        }
        if let Some(pool) = self.pool {
            for (o, plane) in planes.chunks_exact(plan.lines * n).take(rows).enumerate() {
                pool::plane::<T>(pool, plane, [plan.lines, plan.line], y, |i| to.at(o, i), plan.output);
            }
        }
    }
}

/// Where outputs go: images within a border.
#[derive(Clone, Copy, Debug)]
struct Target {
    pad: usize,
    output: [usize; 3],
}

impl Target {
    fn plane(self) -> usize {
        (self.output[1] + 2 * self.pad) * (self.output[2] + 2 * self.pad)
    }

    /// The first number of line `i` of channel `o`.
    fn at(self, o: usize, i: usize) -> usize {
        o * self.plane() + (i + self.pad) * (self.output[2] + 2 * self.pad) + self.pad
    }
}
