//! Two dense layers with a ReLU between them.

use super::{ESTIMATORS, Means, bound, most, target, with_differences, with_products};
use crate::common::{batch, gradient, put};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::{Estimator, Taped};
use statrs::distribution::{Continuous, ContinuousCDF, Normal as Gauss};

const ROWS: usize = 4;
const INPUTS: usize = 3;
const HIDDEN: usize = 4;
const OUTPUTS: usize = 3;
type Built = (
    modules::Variational<LinearMap<INPUTS, HIDDEN>, Additive, LogUniform, f64, Cpu>,
    ReLU,
    modules::Variational<LinearMap<HIDDEN, OUTPUTS>, Additive, LogUniform, f64, Cpu>,
);
type Logits = Taped<(usize, Const<OUTPUTS>), f64, Cpu>;

/// theta, log sigma^2 and bias of either layer, and the input.
type Parameters = [Vec<f64>; 7];

/// Log-variances are around `spread`.
fn parameters(spread: f64) -> Parameters {
    let wave = |n: usize, f: &dyn Fn(f64) -> f64| (0..n).map(|i| f(i as f64)).collect::<Vec<f64>>();
    [
        wave(HIDDEN * INPUTS, &|i| (1.3 * i).cos() + 0.2),
        wave(HIDDEN * INPUTS, &|i| spread + 0.4 * i.sin()),
        wave(HIDDEN, &|i| 0.3 * i.cos()),
        wave(OUTPUTS * HIDDEN, &|i| (0.9 * i + 1.0).sin()),
        wave(OUTPUTS * HIDDEN, &|i| spread + 0.4 * i.cos()),
        wave(OUTPUTS, &|i| 0.2 * (i + 1.0).sin()),
        wave(ROWS * INPUTS, &|i| 1.2 * (1.0 + 1.7 * i).sin()),
    ]
}

/// The loss and its gradient by all parameters, pass by pass. `along` is for the products.
fn passes(
    [theta0, spread0, bias0, theta2, spread2, bias2, x]: &Parameters,
    estimator: Estimator,
    count: usize,
    along: &[f64],
    loss: &dyn Fn(Logits) -> Taped<Rank0, f64, Cpu>,
) -> Vec<Vec<f64>> {
    type Net = (SparseVdLinear<INPUTS, HIDDEN>, ReLU, SparseVdLinear<HIDDEN, OUTPUTS>);
    let mut net: Built = Cpu::seed_from_u64(0).build_module::<Net, f64>();
    put(&mut net.0.theta, theta0);
    put(&mut net.0.spread, spread0);
    put(&mut net.0.bias, bias0);
    put(&mut net.2.theta, theta2);
    put(&mut net.2.spread, spread2);
    put(&mut net.2.bias, bias2);
    net.configure(Settings { estimator, ..Settings::default() });
    net.0.seed_noise(10 + estimator as u64);
    net.2.seed_noise(20 + estimator as u64);
    let x = batch::<INPUTS, f64>(ROWS, x);
    let blocks = [theta0, spread0, bias0, theta2, spread2, bias2].map(Vec::len);
    let blocks = [&blocks[..], &[ROWS * INPUTS]].concat();
    let pass = |_| {
        let loss = loss(net.forward_mut(x.leaky_trace()));
        let value = loss.array();
        let g = &mut loss.backward();
        let (a, b) = (&net.0, &net.2);
        let first = [vec![value], gradient(g, &a.theta), gradient(g, &a.spread), gradient(g, &a.bias)].concat();
        let second = [gradient(g, &b.theta), gradient(g, &b.spread), gradient(g, &b.bias), gradient(g, &x)].concat();
        with_products(&[first, second].concat(), along, &blocks)
    };
    (0..count).map(pass).collect()
}

/// `E sum_no (y_no - t_no)^2 / ROWS`, without sampling. Given the input, hidden units are independent, with moments
///
/// ```text
/// E relu(a) = m Phi(m/s) + s phi(m/s)     E relu(a)^2 = (m^2 + s^2) Phi(m/s) + m s phi(m/s)        of a ~ N(m, s^2)
/// E y = b + sum_h theta_h E h             Var y = sum_h (theta_h^2 + sigma_h^2) E h^2 - theta_h^2 (E h)^2
/// ```
fn expected_loss([theta0, spread0, bias0, theta2, spread2, bias2, x]: &Parameters) -> f64 {
    let normal = Gauss::standard();
    let hidden_moments = |x: &[f64], h: usize| {
        let m = bias0[h] + (0..INPUTS).map(|i| theta0[INPUTS * h + i] * x[i]).sum::<f64>();
        let s = (0..INPUTS).map(|i| spread0[INPUTS * h + i].exp() * x[i].powi(2)).sum::<f64>().sqrt();
        let (below, density) = (normal.cdf(m / s), normal.pdf(m / s));
        [m * below + s * density, (m * m + s * s) * below + m * s * density]
    };
    let mut sum = 0.0;
    for (n, x) in x.chunks(INPUTS).enumerate() {
        let hidden: Vec<[f64; 2]> = (0..HIDDEN).map(|h| hidden_moments(x, h)).collect();
        for o in 0..OUTPUTS {
            let (mut mean, mut variance) = (bias2[o], 0.0);
            for (h, [first, second]) in hidden.iter().enumerate() {
                let (theta, sigma2) = (theta2[HIDDEN * o + h], spread2[HIDDEN * o + h].exp());
                mean += theta * first;
                variance += (theta * theta + sigma2) * second - theta * theta * first * first;
            }
            sum += (mean - target(OUTPUTS * n + o)).powi(2) + variance;
        }
    }
    sum / ROWS as f64
}

/// A quadratic loss, through two layers and a ReLU.
#[test]
fn expected_loss_and_gradient_are_those_of_the_closed_form() {
    let p = parameters(-1.0);
    let blocks: Vec<usize> = p.iter().map(Vec::len).collect();
    let expected = with_differences(&p, expected_loss);
    let along = expected.clone();
    let expected = with_products(&expected, &along, &blocks);
    // What a variance that is 10 % too large is: the gradient is then by a log-variance that is as much larger.
    let mut wider = p.clone();
    [1, 4].into_iter().for_each(|spread: usize| wider[spread].iter_mut().for_each(|s| *s += 1.1_f64.ln()));
    let wider = with_products(&with_differences(&wider, expected_loss), &along, &blocks);

    let targets: Vec<f64> = (0..ROWS * OUTPUTS).map(target).collect();
    let targets = batch::<OUTPUTS, f64>(ROWS, &targets);
    let loss = |y: Logits| (y - targets.clone()).square().sum::<Rank0, _>() / ROWS as f64;
    let bound = bound(ESTIMATORS.len() * expected.len());
    for estimator in ESTIMATORS {
        let passes = passes(&p, estimator, 4000, &along, &loss);
        let off = Means::of(&passes).off(&expected);
        assert!(most(&off) < bound, "{estimator:?}: {off:.1?} of {bound:.1}");

        assert!(most(&Means::of(&passes).off(&wider)) > bound, "a variance that is 10 % off is noticed: {estimator:?}");
        let spread = |numbers: &[f64]| numbers[numbers.len() - 3];
        let scaled: Vec<Vec<f64>> = passes.iter().map(|pass| vec![1.1 * spread(pass)]).collect();
        let off = Means::of(&scaled).off(&[spread(&expected)]);
        assert!(most(&off) > bound, "so is a gradient of the log-variances: {estimator:?}, {off:.1?}");
    }
}

/// Cross-entropy has no closed form. With much noise, so that the loss depends on how much.
#[test]
fn expected_cross_entropies_and_gradients_agree() {
    let p = parameters(1.0);
    let loss = |y: Logits| categorical(y, &[0, 1, 2, 1]).unwrap();
    let numbers = 1 + p.iter().map(Vec::len).sum::<usize>();
    let ones = vec![1.0; numbers];
    let means = |p: &Parameters, estimator| Means::of(&passes(p, estimator, 2500, &ones, &loss));
    let [local, sampling, flipout] = ESTIMATORS.map(|estimator| means(&p, estimator));
    let bound = bound(3 * (numbers + p.len()));
    for (pair, apart) in [local.apart(&sampling), local.apart(&flipout), sampling.apart(&flipout)].iter().enumerate() {
        assert!(most(apart) < bound, "pair {pair}: {apart:.1?} of {bound:.1}");
    }
    let mut wider = p.clone();
    [1, 4].into_iter().for_each(|spread: usize| wider[spread].iter_mut().for_each(|s| *s += 1.3_f64.ln()));
    let apart = local.apart(&means(&wider, Estimator::WeightSampling));
    assert!(most(&apart) > bound, "a variance that is 30 % off is noticed: {apart:.1?}");
}
