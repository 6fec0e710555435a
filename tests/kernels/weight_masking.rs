//! Whole weights masked during training: for every estimator, a pass is that of a layer whose masked weights have mean
//! zero and no variance.

use crate::common::{close, floats, gradient};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Estimator, Family, Map, PerOutput, PerWeight, Reads};

type Built<M, Q> = modules::Variational<M, Q, Flat, f64, Cpu>;
type Dense = LinearMap<11, 5>;
type Grouped = Conv2dMap<4, 6, 3, 1, 1, 1, 2, 2>;

/// Masked are weights with log alpha at or above 0.
const MASKING: Masking = Masking::Weights(0.0);

fn wave(n: usize) -> Vec<f64> {
    (0..n).map(|i| (1.0 + 1.7 * i as f64).sin()).collect()
}

/// Means between 0.8 and 1.6 with either sign, and log alpha around 2 where a weight, or the output that it belongs to,
/// is to be masked, around -2 elsewhere.
fn layer<M: Map, Q: Family>(masked: impl Fn(usize) -> bool) -> Built<M, Q> {
    let mut layer = Cpu::seed_from_u64(3).build_module::<Variational<M, Q, Flat>, f64>();
    let theta: Vec<f64> = wave(M::grid().len()).iter().map(|x| x.signum() * (1.2 + 0.4 * x)).collect();
    layer.set_theta(&theta).unwrap();
    let count = layer.spread.as_vec().len();
    let per_weight = count == theta.len();
    let spread = |(i, x): (usize, f64)| {
        let log_alpha = 0.3 * x + if masked(i) { 2.0 } else { -2.0 };
        // Of a mean whose square is near 1, log sigma^2 is as good.
        if Q::SPREAD == "log_alpha" { log_alpha } else { log_alpha + (theta[i] * theta[i]).ln() }
    };
    layer.spread.copy_from(&wave(count).into_iter().enumerate().map(spread).collect::<Vec<_>>());
    let kept = layer.kept(0.0);
    let of = |i: usize| if per_weight { i } else { i / M::grid().cols };
    assert!((0..theta.len()).all(|i| kept[i] != masked(of(i))), "{:?}", layer.map);
    layer
}

/// The output, then the gradients of theta, spread, bias and input of `sum_j y_j^2 cos j`.
fn pass<M: Reads<X>, Q: Family, X: Shape>(layer: &mut Built<M, Q>, x: &Tensor<X, f64, Cpu>) -> [Vec<f64>; 5] {
    layer.seed_noise(21);
    let y = layer.forward_mut(x.leaky_trace());
    let out = floats(&y);
    let weights = (0..out.len()).map(|j| (j as f64).cos()).collect();
    let weights = Cpu::default().tensor_from_vec(weights, *y.shape());
    let mut g = (y.square() * weights).sum::<Rank0, <M::Output as Shape>::AllAxes>().backward();
    let of_layer = [gradient(&mut g, &layer.theta), gradient(&mut g, &layer.spread), gradient(&mut g, &layer.bias)];
    let [theta, spread, bias] = of_layer;
    [out, theta, spread, bias, gradient(&mut g, x)]
}

/// In `f64` only the order of sums differs: 1e-11 of numbers up to some hundreds.
fn as_if_absent<M: Reads<X>, Q: Family, X: Shape>(x: &Tensor<X, f64, Cpu>, masked: impl Fn(usize) -> bool + Copy) {
    let estimators = [Estimator::LocalReparameterisation, Estimator::WeightSampling, Estimator::Flipout];
    for (estimator, composed) in estimators.into_iter().flat_map(|estimator| [(estimator, false), (estimator, true)]) {
        let mut layer = layer::<M, Q>(masked);
        (layer.settings, layer.composed) = (Settings { estimator, masking: MASKING }, composed);
        let what = format!("{:?}, {:?}, {estimator:?}, composed: {composed}", layer.map, layer.posterior);
        let found = pass(&mut layer, x);

        let kept = layer.kept(0.0);
        let mut absent = layer.clone();
        absent.settings.masking = Masking::Off;
        let theta: Vec<f64> = layer.theta().iter().zip(&kept).map(|(x, kept)| if *kept { *x } else { 0.0 }).collect();
        absent.set_theta(&theta).unwrap();
        let mut spread = floats(&layer.spread);
        let per_weight = spread.len() == kept.len();
        if per_weight {
            // e^-1e4 is 0.
            spread.iter_mut().zip(&kept).for_each(|(spread, kept)| *spread = if *kept { *spread } else { -1e4 });
        }
        absent.spread.copy_from(&spread);
        let mut expected = pass(&mut absent, x);
        // What would bring an absent weight back is not to reach a masked one.
        expected[1].iter_mut().zip(&kept).for_each(|(d, kept)| *d *= f64::from(*kept));

        for (part, (found, expected)) in found.iter().zip(&expected).enumerate() {
            close(&format!("{what}, part {part}"), found, expected, 1e-11, |_| 1.0);
        }
        let [_, d_theta, d_spread, ..] = &found;
        let kept = |i: usize| kept[if per_weight { i } else { i * M::grid().cols }];
        for (i, d) in d_spread.iter().enumerate() {
            assert_eq!(*d != 0.0, kept(i), "{what}: noise is that of kept weights, and log-variance {i} has {d}");
        }
        assert!((0..d_theta.len()).all(|i| layer.kept(0.0)[i] == (d_theta[i] != 0.0)), "{what}: {d_theta:?}");
    }
}

fn rows() -> Tensor<(usize, Const<11>), f64, Cpu> {
    Cpu::default().tensor_from_vec(wave(4 * 11), (4, Const))
}

fn images() -> Tensor<(usize, Const<4>, usize, usize), f64, Cpu> {
    Cpu::default().tensor_from_vec(wave(2 * 4 * 4 * 5), (2, Const, 4, 5))
}

/// Most weights are left; or so few that a product passes over these alone.
#[test]
fn of_a_dense_layer() {
    as_if_absent::<Dense, Additive, _>(&rows(), |i| i % 3 == 0);
    as_if_absent::<Dense, Additive, _>(&rows(), |i| i % 20 != 7);
    as_if_absent::<Dense, Multiplicative<PerWeight>, _>(&rows(), |i| i % 3 == 0);
    as_if_absent::<Dense, Multiplicative<PerWeight>, _>(&rows(), |i| i % 20 != 7);
    as_if_absent::<Dense, Multiplicative<PerOutput>, _>(&rows(), |output| output % 2 == 0);
}

#[test]
fn of_a_convolution() {
    as_if_absent::<Grouped, Additive, _>(&images(), |i| i % 3 == 0);
    as_if_absent::<Grouped, Additive, _>(&images(), |i| i % 20 != 7);
    as_if_absent::<Grouped, Multiplicative<PerOutput>, _>(&images(), |output| output % 2 == 0);
}
