//! Products with a weight matrix that is mostly masked: they visit only the unmasked weights.

use std::ops::Range;

use sparsevd_priors::Lane;

use super::buffer::Buffer;
use super::product::Matrix;
use super::weights::splat;
use crate::compute::elem::Elem;
use crate::spec::Grid;

/// If more than one weight in this many is unmasked, a dense product is as fast.
const SPARSE: usize = 6;
/// The same for a convolution.
const SPARSE_CONVOLUTION: usize = 14;

/// The unmasked weights, row by row.
pub(super) struct Sparse<E>(Vec<Entry<E>>);

struct Entry<E> {
    row: usize,
    col: usize,
    value: E,
}

impl<E: Elem> Sparse<E> {
    /// The weights whose `kept` is not zero; `None` if there are too many for sparse products.
    pub(super) fn of(weights: &[E], kept: &[E], grid: Grid) -> Option<Self> {
        let count = kept.iter().filter(|kept| **kept != E::default()).count();
        if count > grid.len() / if grid.area > 1 { SPARSE_CONVOLUTION } else { SPARSE } {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        for (row, (weights, kept)) in weights.chunks(grid.cols).zip(kept.chunks(grid.cols)).enumerate() {
            for first in (0..grid.cols).step_by(E::Lanes::WIDTH) {
                let some = first..grid.cols.min(first + E::Lanes::WIDTH);
                if E::Lanes::load(&kept[some.clone()]).first(some.len()).sum() == 0.0 {
                    continue;
                }
                let here = some.filter(|col| kept[*col] != E::default());
                entries.extend(here.map(|col| Entry { row, col, value: weights[col] }));
            }
        }
        Some(Sparse(entries))
    }

    /// The weights in some rows.
    pub(super) fn rows(&self, rows: Range<usize>) -> Rows<'_, E> {
        let before = |row: usize| self.0.partition_point(|entry| entry.row < row);
        let which = before(rows.start)..before(rows.end);
        Rows { entries: &self.0[which], first: rows.start }
    }
}

/// The unmasked weights in some rows. In the products, `u` has a row of `n` numbers for each column of the weights, and
/// `v` has one for each of these rows.
pub(super) struct Rows<'a, E> {
    entries: &'a [Entry<E>],
    first: usize,
}

impl<E: Elem> Rows<'_, E> {
    /// Number of unmasked weights.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Their rows, columns and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize, E)> {
        self.entries.iter().map(|entry| (entry.row - self.first, entry.col, entry.value))
    }

    /// `v += w u`.
    pub(super) fn add_product(&self, u: &[E], n: usize, v: &mut [E]) {
        for Entry { row, col, value } in self.entries {
            add_scaled(&mut v[(row - self.first) * n..][..n], *value, &u[col * n..][..n]);
        }
    }

    /// `u += wᵀ v`.
    pub(super) fn add_transposed(&self, v: &[E], n: usize, u: &mut [E]) {
        for Entry { row, col, value } in self.entries {
            add_scaled(&mut u[col * n..][..n], *value, &v[(row - self.first) * n..][..n]);
        }
    }

    /// Adds `v uᵀ` at these weights to `d`, one number per weight.
    pub(super) fn add_gradient(&self, u: &[E], v: &[E], n: usize, d: &mut [E]) {
        for (Entry { row, col, .. }, d) in self.entries.iter().zip(d) {
            *d += E::of(dot(&u[col * n..][..n], &v[(row - self.first) * n..][..n]));
        }
    }

    /// Adds one number per weight to its place in these rows of `cols` numbers.
    pub(super) fn hand_out(&self, d: &[E], cols: usize, to: &mut [E]) {
        self.entries.iter().zip(d).for_each(|(entry, d)| to[(entry.row - self.first) * cols + entry.col] += *d);
    }

    /// `y = x wᵀ`, with one example per row.
    pub(super) fn forward(&self, x: Matrix<'_, E>, y: &mut [E]) {
        let (n, x, mut v) = (x.rows(), transposed(x.numbers(), x.cols()), Buffer::zeros(y.len()));
        self.add_product(&x, n, &mut v);
        transpose(&v, n, y);
    }

    /// Adds `gᵀ x` to the gradient of these weights and, unless it is empty, `g w` to that of the input.
    pub(super) fn backward(&self, x: Matrix<'_, E>, g: Matrix<'_, E>, d_weights: &mut [E], d_x: &mut [E]) {
        let (n, cols) = (x.rows(), x.cols());
        let (x, g) = (transposed(x.numbers(), cols), transposed(g.numbers(), g.cols()));
        let mut d = vec![E::default(); self.entries.len()];
        self.add_gradient(&x, &g, n, &mut d);
        self.hand_out(&d, cols, d_weights);
        if !d_x.is_empty() {
            let mut d = Buffer::zeros(d_x.len());
            self.add_transposed(&g, n, &mut d);
            let d = transposed(&d, n);
            d_x.iter_mut().zip(d.iter()).for_each(|(to, d)| *to += *d);
        }
    }
}

/// `to += scale from`.
fn add_scaled<E: Elem>(to: &mut [E], scale: E, from: &[E]) {
    to.iter_mut().zip(from).for_each(|(to, x)| *to += scale * *x);
}

fn dot<E: Elem>(a: &[E], b: &[E]) -> f64 {
    let whole = a.len() - a.len() % E::Lanes::WIDTH;
    let (chunks, tail) = (a[..whole].chunks_exact(E::Lanes::WIDTH), &a[whole..]);
    let [mut even, mut odd] = [splat::<E>(E::default()); 2];
    for (a, b) in chunks.zip(b.chunks_exact(E::Lanes::WIDTH)) {
        (even, odd) = (odd, E::Lanes::load(a).mul_add(E::Lanes::load(b), even));
    }
    let rest: f64 = tail.iter().zip(&b[whole..]).map(|(a, b)| (*a * *b).f64()).sum();
    (even + odd).sum() + rest
}

/// The transpose of a matrix of `cols` columns.
fn transposed<E: Elem>(from: &[E], cols: usize) -> Buffer<E> {
    let mut to = Buffer::any(from.len());
    transpose(from, cols, &mut to);
    to
}

/// Transposes 16 rows at a time, so that a number is still in the cache when its neighbours are read.
fn transpose<E: Elem>(from: &[E], cols: usize, to: &mut [E]) {
    let rows = from.len() / cols.max(1);
    for (i, some) in from.chunks(16 * cols.max(1)).enumerate() {
        for col in 0..cols {
            let to = &mut to[col * rows + 16 * i..][..some.len() / cols];
            to.iter_mut().zip(some[col..].iter().step_by(cols)).for_each(|(to, x)| *to = *x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cpu::product::multiply;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_dense_product(rows in 1_usize..9, cols in 1_usize..40, n in 1_usize..40, every in 16_usize..40) {
            let grid = Grid { rows, cols, area: 1, groups: 1 };
            let kept: Vec<f64> = (0..grid.len()).map(|i| f64::from(i % every == 3)).collect();
            let w: Vec<f64> = kept.iter().enumerate().map(|(i, kept)| kept * (1.0 + i as f64)).collect();
            let count = kept.iter().filter(|kept| **kept > 0.0).count();
            let sparse = Sparse::of(&w, &kept, grid);
            prop_assert_eq!(sparse.is_some(), count <= grid.len() / SPARSE);
            let Some(sparse) = sparse else { return Ok(()) };
            let all = sparse.rows(0..rows);
            prop_assert_eq!(all.entries.len(), count);
            prop_assert!((0..rows).all(|row| sparse.rows(row..row + 1).entries.iter().all(|entry| entry.row == row)));

            let x: Vec<f64> = (0..n * cols).map(|i| (i as f64).sin()).collect();
            let g: Vec<f64> = (0..n * rows).map(|i| (i as f64).cos()).collect();
            let (x, g) = (Matrix::new(&x, n, cols), Matrix::new(&g, n, rows));
            let w = Matrix::new(&w, rows, cols);
            let dense = |left, right, like: &[f64]| {
                let mut out = vec![0.0; like.len()];
                multiply(&mut out, false, left, right);
                out
            };
            let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-10 * (1.0 + b.abs()));
            let mut y = vec![0.5; n * rows];
            all.forward(x, &mut y);
            prop_assert!(close(&y, &dense(x, w.t(), &y)));
            let (mut d_w, mut d_x) = (vec![0.0; grid.len()], vec![0.0; n * cols]);
            all.backward(x, g, &mut d_w, &mut d_x);
            all.backward(x, g, &mut d_w, &mut []);
            prop_assert!(close(&d_x, &dense(g, w, &d_x)));
            let expected = dense(g.t(), x, &d_w);
            prop_assert!((0..grid.len()).all(|i| (d_w[i] - 2.0 * expected[i] * kept[i]).abs() < 1e-9));
        }
    }
}
