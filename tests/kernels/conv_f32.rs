//! Convolutions in single precision, where kernels written over vectors compute them: the same as in the graph, with all
//! of the weights, with most of them, and with few.

use crate::common::{floats, gradient};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Convolution, Delta, Family};

type Built<M, Q> = modules::Variational<M, Q, Flat, f32, Cpu>;
type Wide = Conv2dMap<3, 20, 3, 1, 1>;
type Tall = Conv2dMap<5, 7, 3>;
type Dilated = Conv2dMap<4, 6, 2, 1, 1, 2, 1, 4, false>;

/// The output, then the gradients of theta, spread, bias and input of `sum_j y_j^2 cos j`.
fn pass<M: Convolution, Q: Family>(
    layer: &mut Built<M, Q>,
    x: &Tensor<(usize, M::In, usize, usize), f32, Cpu>,
) -> [Vec<f64>; 5] {
    layer.seed_noise(21);
    let y = layer.forward_mut(x.leaky_trace());
    let out = floats(&y);
    let weights = (0..out.len()).map(|j| (j as f32).cos()).collect();
    let weights = Cpu::default().tensor_from_vec(weights, *y.shape());
    let mut g = (y.square() * weights).sum::<Rank0, _>().backward();
    let of_layer = [gradient(&mut g, &layer.theta), gradient(&mut g, &layer.spread), gradient(&mut g, &layer.bias)];
    let [theta, spread, bias] = of_layer;
    [out, theta, spread, bias, gradient(&mut g, x)]
}

/// Weights that are `off` are masked, the others have log alpha -1. A sum of some hundred products is off by 1e-5 of the
/// largest number, and 1e-4 leaves room for their squares.
fn same<M: Convolution, Q: Family>(size: [usize; 2], masking: Masking, off: impl Fn(usize) -> bool) {
    let mut layer = Cpu::seed_from_u64(3).build_module::<Variational<M, Q, Flat>, f32>();
    let theta: Vec<f64> = (0..M::grid().len()).map(|i| (1.0 + 1.7 * i as f64).sin()).map(|x| x + x.signum()).collect();
    layer.set_theta(&theta).unwrap();
    if Q::TRAINED {
        let log_alpha = |i: usize| if off(i) { 2.0 } else { -1.0 };
        let spread = theta.iter().enumerate().map(|(i, x)| (log_alpha(i) + (x * x).ln()) as f32).collect::<Vec<_>>();
        layer.spread.copy_from(&spread);
    }
    layer.settings.masking = masking;
    let count = 11 * M::In::SIZE * size[0] * size[1];
    let x: Vec<f32> = (0..count).map(|i| (1.0 + 0.37 * i as f32).sin()).collect();
    let x = Cpu::default().tensor_from_vec(x, (11, M::In::default(), size[0], size[1]));
    let fused = pass(&mut layer, &x);
    layer.composed = true;
    let composed = pass(&mut layer, &x);
    for (part, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
        let most = composed.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (i, (f, c)) in fused.iter().zip(composed).enumerate() {
            let what = format!("{:?} {masking:?}, part {part}, number {i}: {f} instead of {c}", layer.map);
            assert!((f - c).abs() <= 1e-4 * most, "{what}");
        }
    }
    assert!(!Q::TRAINED || fused[2].iter().any(|d| *d != 0.0), "noise");
}

#[test]
fn with_all_weights() {
    for size in [[2, 2], [4, 4], [5, 9], [8, 33]] {
        same::<Wide, Additive>(size, Masking::Off, |_| false);
        same::<Wide, Delta>(size, Masking::Off, |_| false);
        same::<Dilated, Additive>(size, Masking::Off, |_| false);
    }
    same::<Tall, Additive>([7, 5], Masking::Off, |_| false);
}

#[test]
fn with_most_weights_and_with_few() {
    for (size, masking) in
        [([4, 4], Masking::Weights(0.0)), ([5, 9], Masking::Weights(0.0)), ([5, 9], Masking::Means(0.0))]
    {
        for every in [2, 40] {
            same::<Wide, Additive>(size, masking, |i| i % every != 1);
            same::<Dilated, Additive>(size, masking, |i| i % every != 1);
            same::<Tall, Additive>(size, masking, |i| i % every != 1);
        }
        same::<Tall, Additive>(size, masking, |i| i % 3 == 0);
    }
}
