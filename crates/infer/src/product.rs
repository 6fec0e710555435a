//! Dense products for few examples. They do not pack their operands, as large products do, and so are allocation-free.

use wide::{f32x8, f32x16};

use crate::kernel::{Function, mul_add};

/// A product `y = f(w x + bias)`: `w` of `(rows, inner)`, `x` of `(inner, cols)`, one bias per row.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) w: &'a [f32],
    pub(crate) x: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) inner: usize,
    pub(crate) cols: usize,
}

impl Product<'_> {
    /// Writes the product to `y`, whose row `i` starts at `i stride`.
    pub(crate) fn into(self, y: &mut [f32], stride: usize, f: impl Function) {
        let Product { w, x, bias, inner, cols } = self;
        if cols == 1 {
            for (r, (bias, y)) in bias.iter().zip(y.iter_mut().step_by(stride)).enumerate() {
                *y = f.number(bias + dot(&w[r * inner..(r + 1) * inner], &x[..inner]));
            }
            return;
        }
        let mut row = 0;
        while row < bias.len() {
            let y = &mut y[row * stride..];
            row += match bias.len() - row {
                4.. => self.some_rows::<4>(row, y, stride, f),
                _ => self.some_rows::<1>(row, y, stride, f),
            };
        }
    }

    /// Computes `R` rows from `row` on; returns `R`. The last columns may be computed twice, to fill a vector.
    #[inline(always)]
    fn some_rows<const R: usize>(&self, row: usize, y: &mut [f32], stride: usize, f: impl Function) -> usize {
        let mut from = 0;
        while from < self.cols {
            from = match (self.cols, self.cols - from) {
                (_, 64..) => self.vectors::<R, 4>(row, from, y, stride, f),
                (_, 32..) => self.vectors::<R, 2>(row, from, y, stride, f),
                (_, 16..) => self.vectors::<R, 1>(row, from, y, stride, f),
                (16.., 9..) => self.vectors::<R, 1>(row, self.cols - 16, y, stride, f),
                (8.., _) => self.eight::<R>(row, from.min(self.cols - 8), y, stride, f),
                _ => self.one::<R>(row, from, y, stride, f),
            };
        }
        R
    }

    /// `R` rows of weights.
    #[inline(always)]
    fn weights<const R: usize>(&self, row: usize) -> [&[f32]; R] {
        std::array::from_fn(|r| &self.w[(row + r) * self.inner..(row + r + 1) * self.inner])
    }

    /// Computes `16 V` columns; returns their end.
    #[inline(always)]
    fn vectors<const R: usize, const V: usize>(
        &self,
        row: usize,
        from: usize,
        y: &mut [f32],
        stride: usize,
        f: impl Function,
    ) -> usize {
        let w = self.weights::<R>(row);
        let mut sums: [[f32x16; V]; R] = std::array::from_fn(|r| [f32x16::splat(self.bias[row + r]); V]);
        for (k, x) in self.x.chunks_exact(self.cols).enumerate().take(self.inner) {
            let x: [f32x16; V] = std::array::from_fn(|v| f32x16::from(&x[from + 16 * v..from + 16 * v + 16]));
            for (sums, w) in sums.iter_mut().zip(w) {
                let w = f32x16::splat(w[k]);
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum = w.mul_add(x, *sum));
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            let y = y[r * stride + from..][..16 * V].as_chunks_mut().0;
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = f.vector(sum).to_array());
        }
        from + 16 * V
    }

    /// Computes eight columns; returns their end.
    #[inline(always)]
    fn eight<const R: usize>(&self, row: usize, from: usize, y: &mut [f32], stride: usize, f: impl Function) -> usize {
        let w = self.weights::<R>(row);
        let mut sums: [f32x8; R] = std::array::from_fn(|r| f32x8::splat(self.bias[row + r]));
        for (k, x) in self.x.chunks_exact(self.cols).enumerate().take(self.inner) {
            let x = f32x8::from(&x[from..from + 8]);
            sums.iter_mut().zip(w).for_each(|(sum, w)| *sum = f32x8::splat(w[k]).mul_add(x, *sum));
        }
        for (r, sum) in sums.into_iter().enumerate() {
            let y = &mut y[r * stride + from..][..8];
            y.iter_mut().zip(sum.to_array()).for_each(|(y, sum)| *y = f.number(sum));
        }
        from + 8
    }

    /// Computes a column; returns its end.
    #[inline(always)]
    fn one<const R: usize>(&self, row: usize, from: usize, y: &mut [f32], stride: usize, f: impl Function) -> usize {
        for (r, w) in self.weights::<R>(row).into_iter().enumerate() {
            let column = self.x.iter().skip(from).step_by(self.cols);
            let sum = w.iter().zip(column).fold(self.bias[row + r], |sum, (w, x)| mul_add(*w, *x, sum));
            y[r * stride + from] = f.number(sum);
        }
        from + 1
    }
}

/// `sum_k a_k b_k`.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<64>(), b.as_chunks::<64>());
    let mut sums = [f32x16::ZERO; 4];
    for (a, b) in a.iter().zip(b) {
        let parts = a.as_chunks().0.iter().zip(b.as_chunks().0);
        sums.iter_mut().zip(parts).for_each(|(sum, (a, b))| *sum = f32x16::new(*a).mul_add(f32x16::new(*b), *sum));
    }
    let ((a, a_rest), (b, b_rest)) = (a_rest.as_chunks(), b_rest.as_chunks());
    for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
        *sum = f32x16::new(*a).mul_add(f32x16::new(*b), *sum);
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (a, b)| mul_add(*a, *b, sum));
    ((sums[0] + sums[1]) + (sums[2] + sums[3])).reduce_add() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Relu;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_triple_loop(rows in 1_usize..10, inner in 0_usize..150, cols in 1_usize..140, gap in 0_usize..3) {
            let w: Vec<f32> = (0..rows * inner).map(|i| (i as f32).sin()).collect();
            let x: Vec<f32> = (0..inner * cols).map(|i| (i as f32).cos()).collect();
            let bias: Vec<f32> = (0..rows).map(|i| i as f32).collect();
            let stride = cols + gap;
            let mut y = vec![0.5; rows * stride];
            Product { w: &w, x: &x, bias: &bias, inner, cols }.into(&mut y, stride, Relu);
            for i in 0..rows {
                for j in 0..stride {
                    let sum: f32 = (0..inner).map(|k| w[i * inner + k] * x.get(k * cols + j).unwrap_or(&0.0)).sum();
                    let expected = if j < cols { (bias[i] + sum).max(0.0) } else { 0.5 };
                    prop_assert!((y[i * stride + j] - expected).abs() < 1e-4, "{} {} {} {}", i, j, y[i * stride + j], expected);
                }
            }
        }
    }
}
