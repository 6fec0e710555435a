//! Pools of one plane.

use crate::{Pool, PoolKind};

/// Pools a plane of `size` (lines, length) for `T` examples; line `i` of the result starts at number `at(i)` of `y`.
pub(crate) fn plane<const T: usize>(
    pool: Pool,
    x: &[f32],
    [height, width]: [usize; 2],
    y: &mut [f32],
    at: impl Fn(usize) -> usize,
    [_, lines, line]: [usize; 3],
) {
    let (window, area) = (pool.window, (pool.window.kernel * pool.window.kernel) as f32);
    let start = match pool.kind {
        PoolKind::Max => f32::NEG_INFINITY,
        PoolKind::Mean => 0.0,
    };
    for i in 0..lines {
        let out = &mut y[at(i) * T..][..line * T];
        for (j, out) in out.chunks_exact_mut(T).enumerate() {
            let mut best = [start; T];
            for row in window.inside(i, height) {
                for col in window.inside(j, width) {
                    let x = &x[(row * width + col) * T..][..T];
                    for (best, x) in best.iter_mut().zip(x) {
                        *best = match pool.kind {
                            PoolKind::Max if *x > *best || x.is_nan() => *x,
                            PoolKind::Max => *best,
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
}
