//! Adam's update in one parallel pass that also clears the gradient for the next step.

use dfdx::prelude::*;
use dfdx::tensor_ops::AdamConfig;
use rayon::prelude::*;

use super::memory::numbers_mut;
use crate::compute::backend::Numbers;
use crate::compute::elem::Elem;
use crate::compute::threads::piece;

/// Adam's update of `x` at step `t`; then `g = 0`.
/// ```text
/// m = β₁ m + (1 - β₁) g,   v = β₂ v + (1 - β₂) g²
/// x -= lr m' / (sqrt(v') + ε)   with m' = m / (1 - β₁^t), v' = v / (1 - β₂^t)
/// ```
/// Numbers whose square is subnormal, below 1.1e-19 in `f32`, count as 0. The means of masked weights, their gradients
/// and moments decay without end otherwise, and some processors take many times as long for subnormal numbers.
pub(super) fn update<S: Shape, E: Elem>(
    tensor: &mut Tensor<S, E, Cpu>,
    [m, v]: [&mut Numbers<E, Cpu>; 2],
    g: &mut Numbers<E, Cpu>,
    config: &AdamConfig,
    step: i32,
) {
    let [b1, b2] = config.betas.map(E::of);
    let one = E::ONE;
    let rate = E::of(config.lr / (1.0 - config.betas[0].powi(step)));
    let correction = E::of((1.0 - config.betas[1].powi(step)).sqrt().recip());
    let (eps, n) = (E::of(config.eps), piece(g.len()));
    let least = E::min_positive_value();
    let root = num_traits::Float::sqrt(least);
    let x = numbers_mut(tensor).par_chunks_mut(n).zip(g.par_chunks_mut(n));
    x.zip(m.par_chunks_mut(n).zip(v.par_chunks_mut(n))).for_each(|((x, g), (m, v))| {
        for ((x, g), (m, v)) in x.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
            let d = or_zero(*g, root);
            *m = or_zero(b1 * *m + (one - b1) * d, root);
            *v = or_zero(b2 * *v + (one - b2) * d * d, least);
            *x = or_zero(*x - rate * *m / (num_traits::Float::sqrt(*v) * correction + eps), root);
            *g = E::default();
        }
    });
}

/// `x`, or 0 if it is smaller than `least`; NaN stays.
#[inline(always)]
fn or_zero<E: Elem>(x: E, least: E) -> E {
    if num_traits::Float::abs(x) < least { E::default() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameters that have decayed, one in use, and a NaN.
    #[test]
    fn what_has_decayed_becomes_zero() {
        let device = Cpu::default();
        let mut x: Tensor<Rank1<4>, f32, _> = device.tensor([1e-19, 1e-18, 0.5, f32::NAN]);
        let mut numbers = [[0.0, 1e-30, 0.25, 0.25], [1e-19, 1e-20, 0.0, 0.25], [1e-38, 1e-39, 0.0, 0.25]].map(|n| {
            let mut all = Gradients::<f32, Cpu>::leaky();
            all.get_or_alloc_mut(&x).unwrap().copy_from_slice(&n);
            all
        });
        let [g, m, v] = &mut numbers;
        let (key, config) = (x.clone(), AdamConfig { lr: 0.0, ..AdamConfig::default() });
        let moments = [m.get_or_alloc_mut(&key).unwrap(), v.get_or_alloc_mut(&key).unwrap()];
        update(&mut x, moments, g.get_or_alloc_mut(&key).unwrap(), &config, 2);
        let [m, v] = [m.get(&key).array(), v.get(&key).array()];
        assert_eq!((m[0], m[1], v[0], v[1]), (0.0, 0.0, 0.0, 0.0));
        assert!(m[2] > 0.0 && v[2] > 0.0);
        let x = x.array();
        assert_eq!(x[..3], [0.0, 1e-18, 0.5]);
        assert!(x[3].is_nan());
    }
}
