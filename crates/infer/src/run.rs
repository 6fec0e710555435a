//! The forward pass of a layer.

use crate::kernel::{Function, Identity, Relu, Rows};
use crate::layer::{Layer, Weights};
use crate::matrix::Matrix;
use crate::pool::Plane;
use crate::product::Product;
use crate::{Activation, pool};

impl Layer {
    /// Computes `T` interleaved outputs, inside a border of `pad` zeros, from `T` padded inputs.
    pub(crate) fn forward<const T: usize>(&self, x: &[f32], y: &mut [f32], pad: usize, scratch: &mut [f32]) {
        match self.parts().activation {
            None => self.with::<T>(x, y, pad, scratch, Identity),
            Some(Activation::Relu) => self.with::<T>(x, y, pad, scratch, Relu),
            Some(other) => self.with::<T>(x, y, pad, scratch, other),
        }
    }

    #[inline(always)]
    fn with<const T: usize>(&self, x: &[f32], y: &mut [f32], pad: usize, scratch: &mut [f32], f: impl Function) {
        let to = Target { pad, output: self.plan.output };
        match &self.plan.weights {
            Weights::Sparse(rows) if self.parts().window.is_none() && pad == 0 && self.parts().pool.is_none() => {
                for (i, (bias, y)) in self.parts().bias.iter().zip(y.chunks_exact_mut(T)).enumerate() {
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
        let whole = self.in_one_run::<T>();
        let size = Plane { lines: plan.lines, line: plan.line, pitch: if whole { plan.down } else { plan.line } };
        for (o, bias) in self.parts().bias.iter().enumerate() {
            let lines = |i: usize, to: &mut [f32]| self.lines::<T>(rows, [o, i], *bias, x, to, f);
            match self.parts().pool {
                None if !whole => (0..plan.lines).for_each(|i| lines(i, &mut y[to.at(o, i) * T..][..plan.line * T])),
                _ if whole => lines(0, &mut scratch[..((plan.lines - 1) * size.pitch + plan.line) * T]),
                _ => {
                    let each = scratch.chunks_exact_mut(plan.line * T).take(plan.lines);
                    each.enumerate().for_each(|(i, line)| lines(i, line));
                }
            }
            match self.parts().pool {
                Some(pool) => pool::plane::<T>(pool, scratch, size, y, |i| to.at(o, i), plan.output),
                None if whole => (0..plan.lines).for_each(|i| {
                    let line = &scratch[i * size.pitch * T..][..plan.line * T];
                    y[to.at(o, i) * T..][..plan.line * T].copy_from_slice(line);
                }),
                None => {}
            }
        }
    }

    /// The outputs of a row from line `i` on, as many as `to` holds.
    #[inline(always)]
    fn lines<const T: usize>(
        &self,
        rows: &Rows,
        [row, i]: [usize; 2],
        bias: f32,
        x: &[f32],
        to: &mut [f32],
        f: impl Function,
    ) {
        let x = &x[i * self.plan.down * T..];
        if self.plan.right == 1 {
            return rows.line::<T>(row, bias, x, to, f);
        }
        for (j, y) in to.chunks_exact_mut(T).enumerate() {
            rows.line::<T>(row, bias, &x[j * self.plan.right * T..], y, f);
        }
    }

    /// True if a plane is computed as one run over its lines, with the numbers between them, which nothing reads: a line
    /// of few examples is too short for the kernel.
    fn in_one_run<const T: usize>(&self) -> bool {
        let plan = &self.plan;
        plan.right == 1 && plan.lines > 1 && plan.down < 2 * plan.line && plan.line * T < 64
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
        let Matrix::Dense(matrix) = &self.parts().matrix else { return };
        let (plan, rows, n) = (&self.plan, self.parts().bias.len(), self.plan.line * T);
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
            let (out, at, stride) = match self.parts().pool {
                None => (&mut *y, to.at(0, i) * T, to.plane() * T),
                Some(_) => (&mut *planes, i * n, plan.lines * n),
            };
            let x = if all { x } else { &*unfolded };
            let product = Product { w: matrix.weights(), x, bias: &self.parts().bias, inner: offsets.len(), cols: n };
            product.into(&mut out[at..], stride, f);
        }
        if let Some(pool) = self.parts().pool {
            for (o, plane) in planes.chunks_exact(plan.lines * n).take(rows).enumerate() {
                let size = Plane { lines: plan.lines, line: plan.line, pitch: plan.line };
                pool::plane::<T>(pool, plane, size, y, |i| to.at(o, i), plan.output);
            }
        }
    }
}

/// The memory layout of the outputs: images inside a border.
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
