//! The inner loops, and the only `unsafe` of this crate.
//!
//! The numbers of `T` examples are interleaved: number `i` of all examples is at `i T .. (i + 1) T`. A weight then
//! multiplies `T` neighbouring numbers, and more for the outputs along a line of an image, which are neighbours, too.

use wide::f32x16;

use crate::Activation;

/// A weight, and the offset of the number that it multiplies for the first output of a plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) offset: u32,
    pub(crate) weight: f32,
}

/// Sparse rows, prepared for multiplication.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// One more than the largest offset.
    reach: usize,
}

impl Rows {
    /// Row `i` is `entries[starts[i]..starts[i + 1]]`.
    pub(crate) fn new(starts: Vec<u32>, entries: Vec<Entry>) -> Self {
        let reach = entries.iter().map(|e| e.offset as usize + 1).max().unwrap_or(0);
        Rows { starts, entries, reach }
    }

    /// The entries of a row.
    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> &[Entry] {
        &self.entries[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// `y[k] = f(bias + sum_e e.weight x[e.offset T + k])` for all `k` of `y`, over the entries of row `i`.
    #[inline(always)]
    pub(crate) fn line<const T: usize>(&self, i: usize, bias: f32, x: &[f32], y: &mut [f32], f: impl Function) {
        let mut from = 0;
        while from < y.len() {
            let (x, y) = (&x[from..], &mut y[from..]);
            from += match y.len() {
                128.. => self.vectors::<8, T>(i, bias, x, y, f),
                64.. => self.vectors::<4, T>(i, bias, x, y, f),
                32.. => self.vectors::<2, T>(i, bias, x, y, f),
                16.. => self.vectors::<1, T>(i, bias, x, y, f),
                8.. => self.numbers::<8, T>(i, bias, x, y, f),
                4.. => self.numbers::<4, T>(i, bias, x, y, f),
                _ => self.number::<T>(i, bias, x, y, f),
            };
        }
    }

    /// The first `16 V` outputs; returns their number.
    #[inline(always)]
    fn vectors<const V: usize, const T: usize>(
        &self,
        i: usize,
        bias: f32,
        x: &[f32],
        y: &mut [f32],
        f: impl Function,
    ) -> usize {
        self.check::<T>(16 * V, x);
        let mut sums = [f32x16::splat(bias); V];
        for e in self.row(i) {
            let (at, weight) = (e.offset as usize * T, f32x16::splat(e.weight));
            // SAFETY: `e.offset < reach`, so the end is at most `(reach - 1) T + 16 V`, which was compared above.
            let x = unsafe { x.get_unchecked(at..at + 16 * V) };
            for (sum, x) in sums.iter_mut().zip(x.as_chunks().0) {
                *sum = weight.mul_add(f32x16::new(*x), *sum);
            }
        }
        for (y, sum) in y.as_chunks_mut().0.iter_mut().zip(sums) {
            *y = f.vector(sum).to_array();
        }
        16 * V
    }

    /// The first `N` outputs; returns `N`.
    #[inline(always)]
    fn numbers<const N: usize, const T: usize>(
        &self,
        i: usize,
        bias: f32,
        x: &[f32],
        y: &mut [f32],
        f: impl Function,
    ) -> usize {
        self.check::<T>(N, x);
        let mut sums = [bias; N];
        for e in self.row(i) {
            let at = e.offset as usize * T;
            // SAFETY: `e.offset < reach`, so the end is at most `(reach - 1) T + N`, which was compared above.
            let x = unsafe { x.get_unchecked(at..at + N) };
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = mul_add(e.weight, *x, *sum);
            }
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = f.number(sum);
        }
        N
    }

    /// The first output; returns 1.
    #[inline(always)]
    fn number<const T: usize>(&self, i: usize, bias: f32, x: &[f32], y: &mut [f32], f: impl Function) -> usize {
        self.check::<T>(1, x);
        // Each addition waits for the one before it, so four sums are computed side by side.
        let mut sums = [bias, 0.0, 0.0, 0.0];
        let mut add = |sum: usize, e: &Entry| {
            // SAFETY: `e.offset < reach`, so this is at most `(reach - 1) T`, which was compared above.
            let x = unsafe { x.get_unchecked(e.offset as usize * T) };
            sums[sum] = mul_add(e.weight, *x, sums[sum]);
        };
        let (fours, rest) = self.row(i).as_chunks::<4>();
        fours.iter().for_each(|four| (0..4).for_each(|k| add(k, &four[k])));
        rest.iter().enumerate().for_each(|(k, e)| add(k, e));
        y[0] = f.number((sums[0] + sums[1]) + (sums[2] + sums[3]));
        1
    }

    #[inline(always)]
    fn check<const T: usize>(&self, len: usize, x: &[f32]) {
        assert!(
            self.reach == 0 || (self.reach - 1) * T + len <= x.len(),
            "the input is shorter than the weights reach"
        );
    }
}

/// A function of each number, one by one and sixteen at a time.
pub(crate) trait Function: Copy {
    fn number(self, x: f32) -> f32;

    #[inline(always)]
    fn vector(self, x: f32x16) -> f32x16 {
        f32x16::new(x.to_array().map(|x| self.number(x)))
    }
}

/// `x`.
#[derive(Clone, Copy)]
pub(crate) struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn number(self, x: f32) -> f32 {
        x
    }

    #[inline(always)]
    fn vector(self, x: f32x16) -> f32x16 {
        x
    }
}

/// `max(x, 0)`; NaN stays NaN.
#[derive(Clone, Copy)]
pub(crate) struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn number(self, x: f32) -> f32 {
        Activation::Relu.of(x)
    }

    #[inline(always)]
    fn vector(self, x: f32x16) -> f32x16 {
        x.simd_lt(f32x16::ZERO).select(f32x16::ZERO, x)
    }
}

impl Function for Activation {
    #[inline(always)]
    fn number(self, x: f32) -> f32 {
        self.of(x)
    }
}

/// `a b + c`, rounded once if the machine has an instruction for it.
#[inline(always)]
pub(crate) fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_feature = "fma") { a.mul_add(b, c) } else { a * b + c }
}
