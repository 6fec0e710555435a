//! The forward pass of a layer.

use crate::kernel::{Function, Identity, Relu, Rows};
use crate::layer::{Layer, Weights};
use crate::matrix::Matrix;
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
        for (o, bias) in self.parts().bias.iter().enumerate() {
            for i in 0..plan.lines {
                let x = &x[i * plan.down * T..];
                let line = match self.parts().pool {
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
            if let Some(pool) = self.parts().pool {
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
                pool::plane::<T>(pool, plane, [plan.lines, plan.line], y, |i| to.at(o, i), plan.output);
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
