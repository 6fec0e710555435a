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
    let x = numbers_mut(tensor).par_chunks_mut(n).zip(g.par_chunks_mut(n));
    x.zip(m.par_chunks_mut(n).zip(v.par_chunks_mut(n))).for_each(|((x, g), (m, v))| {
        for ((x, g), (m, v)) in x.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
            *m = b1 * *m + (one - b1) * *g;
            *v = b2 * *v + (one - b2) * *g * *g;
            *x -= rate * *m / (num_traits::Float::sqrt(*v) * correction + eps);
            *g = E::default();
        }
    });
}
