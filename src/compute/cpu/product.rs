//! Matrix products over slices.

use std::ops::Range;

use gemm_common::Parallelism;

use crate::compute::elem::Elem;

/// A row-major matrix, or its transpose.
pub(super) struct Matrix<'a, E> {
    numbers: &'a [E],
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<E> Clone for Matrix<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Matrix<'_, E> {}

impl<'a, E> Matrix<'a, E> {
    /// Views `numbers` as `rows` rows of `cols`.
    pub(super) fn new(numbers: &'a [E], rows: usize, cols: usize) -> Self {
        assert_eq!(numbers.len(), rows * cols, "a {rows} x {cols} matrix");
        Matrix { numbers, rows, cols, transposed: false }
    }

    /// Views some rows of a row-major matrix with `cols` columns.
    pub(super) fn rows_of(numbers: &'a [E], rows: Range<usize>, cols: usize) -> Self {
        Matrix::new(&numbers[rows.start * cols..rows.end * cols], rows.len(), cols)
    }

    /// The transpose, without copying.
    pub(super) fn t(self) -> Self {
        Matrix { rows: self.cols, cols: self.rows, transposed: !self.transposed, ..self }
    }

    /// The numbers in the order of the memory.
    pub(super) fn numbers(&self) -> &'a [E] {
        self.numbers
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// Steps in memory to the next column and the next row.
    fn strides(&self) -> (isize, isize) {
        if self.transposed { (self.rows as isize, 1) } else { (1, self.cols as isize) }
    }
}

/// `out = left right`, or `out += left right`, with `out` row-major; on all threads if the product is large.
pub(super) fn multiply<E: Elem>(out: &mut [E], accumulate: bool, left: Matrix<'_, E>, right: Matrix<'_, E>) {
    product(out, accumulate, left, right, Parallelism::Rayon(0));
}

/// The same on half of the threads, for two products that run side by side. They pack their operands at the same time;
/// a product on all threads waits while one thread packs.
pub(super) fn multiply_on_half<E: Elem>(out: &mut [E], accumulate: bool, left: Matrix<'_, E>, right: Matrix<'_, E>) {
    product(out, accumulate, left, right, Parallelism::Rayon((rayon::current_num_threads() / 2).max(1)));
}

/// The same on the calling thread alone.
pub(super) fn multiply_here<E: Elem>(out: &mut [E], accumulate: bool, left: Matrix<'_, E>, right: Matrix<'_, E>) {
    product(out, accumulate, left, right, Parallelism::None);
}

fn product<E: Elem>(out: &mut [E], accumulate: bool, left: Matrix<'_, E>, right: Matrix<'_, E>, threads: Parallelism) {
    let (m, n, k) = (left.rows, right.cols, left.cols);
    assert_eq!(k, right.rows, "inner dimensions");
    assert_eq!(out.len(), m * n, "a {m} x {n} product");
    let one = <E as num_traits::One>::one();
    let threads = if m * n * k < 64 * 64 * 64 { Parallelism::None } else { threads };
    let beta_c = if accumulate { one } else { <E as num_traits::Zero>::zero() };
    // Its kernels prefer a column-major output: the transpose of this one, so the operands are exchanged.
    let (m, n, [out_cs, out_rs], left, right) =
        if n > 1 { (n, m, [n as isize, 1], right.t(), left.t()) } else { (m, n, [1, n as isize], left, right) };
    let ((left_cs, left_rs), (right_cs, right_rs)) = (left.strides(), right.strides());
    // SAFETY: the assertions above and in `Matrix::new` keep every index that the strides generate inside its slice;
    // `out` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        E::gemm()(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_cs,
            out_rs,
            accumulate,
            left.numbers.as_ptr(),
            left_cs,
            left_rs,
            right.numbers.as_ptr(),
            right_cs,
            right_rs,
            beta_c,
            one,
            false,
            false,
            false,
            threads,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_triple_loop(m in 1_usize..9, n in 1_usize..9, k in 1_usize..9, flip in 0..4, accumulate: bool) {
            let a: Vec<f64> = (0..m * k).map(|i| (i as f64).sin()).collect();
            let b: Vec<f64> = (0..k * n).map(|i| (i as f64).cos()).collect();
            let left = if flip & 1 == 0 { Matrix::new(&a, m, k) } else { Matrix::new(&a, k, m).t() };
            let right = if flip & 2 == 0 { Matrix::new(&b, k, n) } else { Matrix::new(&b, n, k).t() };
            let at = |i: usize, l: usize| if flip & 1 == 0 { a[i * k + l] } else { a[l * m + i] };
            let bt = |l: usize, j: usize| if flip & 2 == 0 { b[l * n + j] } else { b[j * k + l] };
            let mut out = vec![0.5; m * n];
            multiply(&mut out, accumulate, left, right);
            for i in 0..m {
                for j in 0..n {
                    let exact = (0..k).map(|l| at(i, l) * bt(l, j)).sum::<f64>() + if accumulate { 0.5 } else { 0.0 };
                    prop_assert!((out[i * n + j] - exact).abs() < 1e-12);
                }
            }
        }
    }
}
