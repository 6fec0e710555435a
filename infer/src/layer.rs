//! One layer of a compact network: weights, bias, activation, pool.

use crate::block::Before;
use crate::kernel::{Entry, Function, Identity, Relu, Rows};
use crate::matrix::Matrix;
use crate::pool;
use crate::product::Product;
use crate::{Activation, Pool, Window};

/// One layer: a linear map, then an activation, then a pool.
#[derive(Clone, Debug)]
pub struct Layer {
    parts: Parts,
    plan: Plan,
}

/// What a layer is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    /// Channels, height and width of what it reads.
    pub(crate) input: [usize; 3],
    /// Which pixels an output reads; everything where there is none.
    pub(crate) window: Option<Window>,
    pub(crate) matrix: Matrix,
    pub(crate) bias: Vec<f32>,
    pub(crate) activation: Option<Activation>,
    pub(crate) pool: Option<Pool>,
    pub(crate) before: Before,
    /// How far the weights may be rounded.
    pub(crate) sigma: Option<f64>,
}

/// The most numbers that one datum may have anywhere in a network, borders included.
const MOST: usize = 1 << 24;
/// The largest side of an image and of a window, so that no product of a few of them overflows.
const LONGEST: usize = 1 << 15;

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

impl Layer {
    /// The layer of these parts.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub(crate) fn new(parts: Parts) -> Result<Self, String> {
        let Parts { input: [channels, height, width], window, matrix, bias, pool, .. } = &parts;
        let [height, width] = [*height, *width];
        let sane =
            |w: &Window| [w.kernel, w.stride, w.dilation].iter().all(|n| (1..LONGEST).contains(n)) && w.pad < LONGEST;
        if !window.iter().chain(pool.iter().map(|p| &p.window)).all(sane) || height.max(width) > LONGEST {
            return Err(format!("an image of {height} x {width}, or a window, with a side of 0 or beyond {LONGEST}"));
        }
        let pad = window.map_or(0, |w| w.pad);
        let pitch = width + 2 * pad;
        let plane = pitch * (height + 2 * pad);
        let area = window.map_or(height * width, |w| w.kernel * w.kernel);
        let [lines, line] = match window {
            None => [1, 1],
            Some(window) => window.outputs([height, width]).ok_or("the kernel is larger than the image")?,
        };
        let [h, w] = match pool {
            None => [lines, line],
            Some(pool) => pool.window.outputs([lines, line]).ok_or("the pool is larger than the image")?,
        };
        let small = |count: usize, each: usize| count.checked_mul(each).is_some_and(|n| n <= MOST);
        if ![small(*channels, plane), small(bias.len(), lines * line), small(bias.len(), h * w)].iter().all(|ok| *ok) {
            return Err(format!("more than {MOST} numbers for one datum"));
        }
        if parts.input.contains(&0) || bias.is_empty() {
            return Err(format!("{} outputs of an input of {:?}", bias.len(), parts.input));
        }
        let Before { weights, inputs, outputs, flops } = parts.before;
        if [weights, inputs, outputs, flops].iter().any(|n| *n > 1 << 48) {
            return Err(format!("sizes before of {:?}", parts.before));
        }
        if parts.sigma.is_some_and(|sigma| !(sigma > 0.0 && sigma.is_finite())) {
            return Err(format!("a sigma of {:?}", parts.sigma));
        }
        if let Some(i) = bias.iter().position(|b| !b.is_finite()) {
            return Err(format!("bias {i} is {}", bias[i]));
        }
        matrix.fits(bias.len(), channels * area)?;
        let window = *window;
        let offset = |column: u32| match window {
            None => column,
            Some(w) => {
                let (channel, tap) = (column as usize / (w.kernel * w.kernel), column as usize % (w.kernel * w.kernel));
                (channel * plane + (tap / w.kernel * pitch + tap % w.kernel) * w.dilation) as u32
            }
        };
        let weights = match matrix {
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
        let layer = Layer { parts, plan };
        if layer.scratch() > MOST { Err(format!("more than {MOST} numbers for one datum")) } else { Ok(layer) }
    }

    /// What it is made of.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Outputs before the pool, for each output channel.
    pub(crate) fn positions(&self) -> usize {
        self.plan.lines * self.plan.line
    }

    pub(crate) fn pad(&self) -> usize {
        self.parts.window.map_or(0, |w| w.pad)
    }

    /// Numbers of one datum that it reads, padding included.
    pub(crate) fn reads(&self) -> usize {
        let [c, h, w] = self.parts.input;
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
                if self.parts.pool.is_some() {
                    plane
                } else {
                    0
                }
            }
            Weights::Dense(offsets, all) => {
                let unfolded = if *all { 0 } else { offsets.len() * self.plan.line };
                unfolded + if self.parts.pool.is_some() { plane * self.parts.bias.len() } else { 0 }
            }
        }
    }

    /// From `T` inputs, padded, to `T` outputs inside a border of `pad` zeros.
    pub(crate) fn forward<const T: usize>(&self, x: &[f32], y: &mut [f32], pad: usize, scratch: &mut [f32]) {
        match self.parts.activation {
            None => self.with::<T>(x, y, pad, scratch, Identity),
            Some(Activation::Relu) => self.with::<T>(x, y, pad, scratch, Relu),
            Some(other) => self.with::<T>(x, y, pad, scratch, other),
        }
    }

    #[inline(always)]
    fn with<const T: usize>(&self, x: &[f32], y: &mut [f32], pad: usize, scratch: &mut [f32], f: impl Function) {
        let to = Target { pad, output: self.plan.output };
        match &self.plan.weights {
            Weights::Sparse(rows) if self.parts.window.is_none() && pad == 0 && self.parts.pool.is_none() => {
                for (i, (bias, y)) in self.parts.bias.iter().zip(y.chunks_exact_mut(T)).enumerate() {
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
        for (o, bias) in self.parts.bias.iter().enumerate() {
            for i in 0..plan.lines {
                let x = &x[i * plan.down * T..];
                let line = match self.parts.pool {
                    None => &mut y[to.at(o, i) * T..][..plan.line * T],
                    Some(_) => &mut scratch[i * plan.line * T..][..plan.line * T],
                };
                if plan.right == 1 {
                    rows.line::<T>(o, *bias, x, line, f);
                } else {
                    for (j, y) in line.chunks_exact_mut(T).enumerate() {
                        let x = &x[j * plan.right * T..];
                        rows.line::<T>(o, *bias, x, y, f);
                    }
                }
            }
            if let Some(pool) = self.parts.pool {
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
        let Matrix::Dense(matrix) = &self.parts.matrix else { return };
        let (plan, rows, n) = (&self.plan, self.parts.bias.len(), self.plan.line * T);
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
            let (out, at, stride) = match self.parts.pool {
                None => (&mut *y, to.at(0, i) * T, to.plane() * T),
                Some(_) => (&mut *planes, i * n, plan.lines * n),
            };
            let x = if all { x } else { &*unfolded };
            let product = Product { w: matrix.weights(), x, bias: &self.parts.bias, inner: offsets.len(), cols: n };
            product.into(&mut out[at..], stride, f);
        }
        if let Some(pool) = self.parts.pool {
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
