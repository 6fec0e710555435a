//! Pools of one plane.

use crate::window::Window;
use crate::{Pool, PoolKind};

/// The lines of a plane, in memory `pitch` numbers apart.
#[derive(Clone, Copy)]
pub(crate) struct Plane {
    pub(crate) lines: usize,
    pub(crate) line: usize,
    pub(crate) pitch: usize,
}

/// Pools a plane for `T` examples; line `i` of the result starts at number `at(i)` of `y`.
pub(crate) fn plane<const T: usize>(
    pool: Pool,
    x: &[f32],
    size: Plane,
    y: &mut [f32],
    at: impl Fn(usize) -> usize,
    [_, lines, line]: [usize; 3],
) {
    for i in 0..lines {
        let out = &mut y[at(i) * T..][..line * T];
        match (pool.kind, pool.window) {
            (PoolKind::Max, Window { kernel: 2, stride: 2, pad: 0, dilation: 1 }) => {
                let row = |i: usize| &x[i * size.pitch * T..][..2 * line * T];
                largest_of_four::<T>(row(2 * i), row(2 * i + 1), out);
            }
            _ => line_of_any::<T>(pool, x, size, i, out),
        }
    }
}

/// The largest of two by two numbers, for `T` examples each.
fn largest_of_four<const T: usize>(top: &[f32], bottom: &[f32], out: &mut [f32]) {
    let pairs = top.chunks_exact(2 * T).zip(bottom.chunks_exact(2 * T));
    for (out, (top, bottom)) in out.chunks_exact_mut(T).zip(pairs) {
        for (k, out) in out.iter_mut().enumerate() {
            *out = larger(larger(top[k], top[T + k]), larger(bottom[k], bottom[T + k]));
        }
    }
}

/// One line of a pool of any kind.
fn line_of_any<const T: usize>(pool: Pool, x: &[f32], size: Plane, i: usize, out: &mut [f32]) {
    let (window, area) = (pool.window, (pool.window.kernel * pool.window.kernel) as f32);
    let start = match pool.kind {
        PoolKind::Max => f32::NEG_INFINITY,
        PoolKind::Mean => 0.0,
    };
    for (j, out) in out.chunks_exact_mut(T).enumerate() {
        let mut best = [start; T];
        for row in window.inside(i, size.lines) {
            for col in window.inside(j, size.line) {
                let x = &x[(row * size.pitch + col) * T..][..T];
                for (best, x) in best.iter_mut().zip(x) {
                    *best = match pool.kind {
                        PoolKind::Max => larger(*best, *x),
                        PoolKind::Mean => *best + *x,
                    };
                }
            }
        }
        for (out, best) in out.iter_mut().zip(best) {
            *out = if pool.kind == PoolKind::Mean { best / area } else { best };
        }
    }
}

/// The larger of two numbers; NaN if one is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}
