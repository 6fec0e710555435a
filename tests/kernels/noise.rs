//! The noise of training and of posterior samples: its moments, its independence, and that it is reproducible.

use crate::common::{batch, compose, floats, put};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Bernoulli, Estimator, Family, Fixed, PerOutput, PerWeight};

/// Standard errors that an estimate may be off. The seeds are fixed; with others, 4.5 would be exceeded by chance in
/// 7e-6 of the comparisons, of which this file makes some 160: a false alarm for 1 seed in 1,000.
const ERRORS: f64 = 4.5;

/// The differences of the mean and the variance of `x` from these, in standard errors; the larger of the two.
fn off(x: &[f64], mean: f64, variance: f64) -> f64 {
    let n = x.len() as f64;
    let average = |f: &dyn Fn(f64) -> f64| x.iter().map(|x| f(*x)).sum::<f64>() / n;
    let (found_mean, found_variance) = (average(&|x| x), average(&|x| (x - mean).powi(2)));
    let fourth = average(&|x| (x - mean).powi(4));
    let mean_off = (found_mean - mean).abs() / (variance / n).sqrt();
    let variance_off = (found_variance - variance).abs() / ((fourth - variance * variance).max(0.0) / n).sqrt();
    mean_off.max(variance_off)
}

const X: [f64; 3] = [1.0, -0.5, 2.0];
const THETA: [f64; 6] = [0.5, -1.0, 0.25, 1.5, 0.75, -0.3];
const BIAS: [f64; 2] = [0.3, -0.8];
type Two<Q> = Variational<LinearMap<3, 2>, Q, Flat>;

/// A layer from 3 to 2 with different means, and spreads -1, -1.5, ..
fn layer<Q: Family>(seed: u64) -> modules::Variational<LinearMap<3, 2>, Q, Flat, f32, Cpu> {
    let mut layer = Cpu::seed_from_u64(seed).build_module::<Two<Q>, f32>();
    put(&mut layer.theta, &THETA);
    put(&mut layer.bias, &BIAS);
    if Q::TRAINED {
        put(&mut layer.spread, &[-1.0, -1.5, -2.0, -2.5, -3.0, -3.5]);
    }
    layer
}

/// `E y = b + sum theta x`, `Var y = sum v x^2`, from the variances of the weights.
fn moments(variance: [f64; 6]) -> [(f64, f64); 2] {
    [0, 1].map(|o| {
        let mean = (0..3).map(|i| THETA[3 * o + i] * X[i]).sum::<f64>() + BIAS[o];
        (mean, (0..3).map(|i| variance[3 * o + i] * X[i].powi(2)).sum())
    })
}

/// Outputs for many copies of one input: one column for each of the two.
fn outputs<Q: Family>(
    layer: &mut modules::Variational<LinearMap<3, 2>, Q, Flat, f32, Cpu>,
    rows: usize,
) -> [Vec<f64>; 2] {
    let y = floats(&layer.forward_mut(batch::<3, f32>(rows, &X.repeat(rows)).leaky_traced()));
    [0, 1].map(|o| y.iter().skip(o).step_by(2).copied().collect())
}

fn additive() -> [f64; 6] {
    [-1.0, -1.5, -2.0, -2.5, -3.0, -3.5_f64].map(f64::exp)
}
fn per_weight() -> [f64; 6] {
    std::array::from_fn(|i| additive()[i] * THETA[i].powi(2))
}
fn per_output() -> [f64; 6] {
    std::array::from_fn(|i| additive()[i / 3] * THETA[i].powi(2))
}
/// Fixed log alpha = 0, and dropout of rate 1/2: alpha = 1 either way.
fn alpha_is_one() -> [f64; 6] {
    THETA.map(|theta| theta.powi(2))
}

#[test]
fn outputs_have_the_moments_of_the_posterior() {
    fn hold<Q: Family>(variance: [f64; 6]) {
        for composed in [false, true] {
            let mut layer = layer::<Q>(11);
            layer.composed = composed;
            let columns = outputs(&mut layer, 100_000);
            for ((mean, variance), x) in moments(variance).into_iter().zip(&columns) {
                let name = std::any::type_name::<Q>();
                assert!(off(x, mean, variance) < ERRORS, "{name}: {}", off(x, mean, variance));
                // A wrong sampler is noticed: 5 % too much variance, or a mean off by 3 % of the deviation.
                assert!(off(x, mean, variance / 1.05) > ERRORS, "{name}");
                assert!(off(x, mean + 0.03 * variance.sqrt(), variance) > ERRORS, "{name}");
            }
        }
    }
    hold::<Additive>(additive());
    hold::<Multiplicative<PerWeight>>(per_weight());
    hold::<Multiplicative<PerOutput>>(per_output());
    hold::<Multiplicative<Fixed>>(alpha_is_one());
    hold::<Bernoulli>(alpha_is_one());
}

/// With weight sampling a pass has one draw of the weights, so the moments are over passes.
#[test]
fn sampled_weights_have_the_moments_of_the_posterior() {
    let mut layer = layer::<Additive>(12);
    layer.settings.estimator = Estimator::WeightSampling;
    let passes: Vec<_> = (0..20_000).map(|_| outputs(&mut layer, 2)).collect();
    for (o, (mean, variance)) in moments(additive()).into_iter().enumerate() {
        assert!(passes.iter().all(|y| y[o][0] == y[o][1]));
        let x: Vec<f64> = passes.iter().map(|y| y[o][0]).collect();
        assert!(off(&x, mean, variance) < ERRORS);
        assert!(off(&x, mean, variance / 1.1) > ERRORS);
    }
}

/// The mean of `x` in standard errors, if the true mean is 0: `sum x / sqrt(sum x²)`.
fn mean_off(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The noise of output `o` for datum `n` over many passes with two copies of one input: `[[pass 0, 1, ..]; n]; o]`.
fn pairs(estimator: Estimator, passes: usize) -> [[Vec<f64>; 2]; 2] {
    let mut layer = layer::<Additive>(15);
    layer.settings.estimator = estimator;
    let passes: Vec<_> = (0..passes).map(|_| outputs(&mut layer, 2)).collect();
    let mean = moments(additive()).map(|(mean, _)| mean);
    [0, 1].map(|o| [0, 1].map(|n| passes.iter().map(|y| y[o][n] - mean[o]).collect()))
}

/// As with sampled weights the moments are over passes; but two data of a batch are uncorrelated, where sampled weights
/// give both the same noise.
#[test]
fn flipout_has_the_moments_of_the_posterior_and_uncorrelated_data() {
    let noise = pairs(Estimator::Flipout, 20_000);
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>();
    for (o, (_, variance)) in moments(additive()).into_iter().enumerate() {
        let [first, second] = &noise[o];
        for x in [first, second] {
            assert!(off(x, 0.0, variance) < ERRORS);
            assert!(off(x, 0.0, variance / 1.1) > ERRORS);
        }
        assert!(mean_off(&product(first, second)).abs() < ERRORS);
    }
    // Both outputs of one datum, and of the other: without signs at the outputs, those at the inputs would turn both at
    // once, and this product would not be 0 on average.
    let [[a, b], [c, d]] = &noise;
    assert!(mean_off(&product(&product(a, b), &product(c, d))).abs() < ERRORS);
    // Of 2^3 patterns of signs at the inputs 2 give the same size. Without them all sizes would be the same.
    let same = |(a, b): (&f64, &f64)| f64::from((a.abs() - b.abs()).abs() < 1e-5 * (1.0 + a.abs()));
    let same: Vec<f64> = a.iter().zip(b).map(same).collect();
    assert!(off(&same, 0.25, 0.25 * 0.75) < ERRORS);

    let [[first, second], _] = &pairs(Estimator::WeightSampling, 1000);
    assert!(mean_off(&product(first, second)) > 3.0 * ERRORS);
}

/// A convolution from 2 channels to 2, with a 2 x 2 kernel, on a 3 x 3 image: 2 x 4 outputs. Signs do not differ within
/// a channel, so that positions `p` and `q` are as correlated as the pixels that they read make them under one draw of
/// the weights, `Cov(y_p, y_q) = sum_i v_i x_pi x_qi`; and different data are uncorrelated.
#[test]
fn flipout_of_a_convolution_flips_whole_channels() {
    type Conv = Variational<Conv2dMap<2, 2, 2>, Additive, Flat>;
    let mut layer = Cpu::seed_from_u64(16).build_module::<Conv, f32>();
    let variance: [f64; 16] = std::array::from_fn(|i| (-1.0 - 0.2 * i as f64).exp());
    put(&mut layer.spread, &variance.map(f64::ln));
    layer.settings.estimator = Estimator::Flipout;
    let image: [f64; 18] = std::array::from_fn(|i| (1.0 + 0.9 * i as f64).sin() + 0.5);
    let x: Tensor<_, f32, Cpu> =
        Cpu::default().tensor_from_vec(image.map(|x| x as f32).repeat(2), (2, Const::<2>, 3, 3));
    let mean = floats(&layer.forward(x.clone()));
    let passes: Vec<Vec<f64>> = (0..20_000)
        .map(|_| floats(&layer.forward_mut(x.leaky_trace())).iter().zip(&mean).map(|(y, mean)| y - mean).collect())
        .collect();
    // Output `channel, p` of datum n is number `8 n + 4 channel + p`; it reads pixel `(c, p + tap)` for weight `4 c + tap`.
    let reads = |p: usize, i: usize| image[9 * (i / 4) + 3 * (p / 2 + i % 4 / 2) + p % 2 + i % 2];
    for (channel, p, q) in (0..32).map(|i| (i / 16, i / 4 % 4, i % 4)) {
        let expected: f64 = (0..8).map(|i| variance[8 * channel + i] * reads(p, i) * reads(q, i)).sum();
        let (a, b) = (4 * channel + p, 4 * channel + q);
        let off = |shift: usize, expected: f64| {
            mean_off(&passes.iter().map(|y| y[a] * y[b + shift] - expected).collect::<Vec<_>>()).abs()
        };
        assert!(off(0, expected) < ERRORS && off(8, 0.0) < ERRORS, "{channel}, {p}, {q}");
        assert!(p != q || off(0, expected / 1.1) > ERRORS);
        assert!(off(0, 0.0) > ERRORS || expected.abs() < 0.05, "{channel}, {p}, {q}: {expected}");
    }
    let across = |p: usize, q: usize| mean_off(&passes.iter().map(|y| y[p] * y[4 + q]).collect::<Vec<_>>()).abs();
    assert!((0..16).all(|i| across(i / 4, i % 4) < ERRORS), "channels have weights of their own");
}

/// Draws of each weight of `Weights::Sample`, seen through unit inputs.
fn draws<Q: Family>() -> Vec<Vec<f64>> {
    let mut layer = layer::<Q>(13);
    put(&mut layer.bias, &[0.0; 2]);
    let unit = batch::<3, f32>(3, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let mut draws = vec![Vec::new(); 6];
    for seed in 0..20_000 {
        let y = floats(&layer.with_weights(Weights::Sample(seed)).unwrap().forward(unit.clone()));
        (0..6).for_each(|i| draws[i].push(y[i % 3 * 2 + i / 3]));
    }
    draws
}

#[test]
fn posterior_samples_have_the_moments_of_the_posterior() {
    fn hold<Q: Family>(variance: [f64; 6]) {
        for (i, draws) in draws::<Q>().iter().enumerate() {
            assert!(off(draws, THETA[i], variance[i]) < ERRORS, "weight {i}");
            assert!(off(draws, THETA[i], variance[i] / 1.1) > ERRORS, "weight {i}");
        }
    }
    hold::<Additive>(additive());
    hold::<Multiplicative<PerOutput>>(per_output());
}

/// With dropout of rate 1/2 a weight is 0 or twice its mean, so that its variance follows from how often. The same coin
/// decides for both outputs.
#[test]
fn posterior_samples_of_dropout_are_zero_or_scaled_up() {
    let all = draws::<Bernoulli>();
    for (i, (draws, theta)) in all.iter().zip(THETA).enumerate() {
        assert!(draws.iter().all(|w| *w == 0.0 || (w / theta - 2.0).abs() < 1e-6), "weight {i}: single precision");
        let kept: Vec<f64> = draws.iter().map(|w| f64::from(*w != 0.0)).collect();
        assert!(off(&kept, 0.5, 0.25) < ERRORS, "weight {i}");
        // A rate that is 5 % off is noticed.
        assert!(off(&kept, 0.475, 0.475 * 0.525) > ERRORS, "weight {i}");
        assert!(draws.iter().zip(&all[i % 3]).all(|(w, first)| (*w == 0.0) == (*first == 0.0)), "weight {i}");
    }
}

/// Four channels in two groups, each with a coin of its own: each is on in half of the draws, each two in a quarter,
/// where 20,000 draws have a standard error of 0.0035 or less.
#[test]
fn dropout_tosses_a_coin_for_each_channel_of_each_group() {
    type Grouped = Variational<Conv2dMap<4, 6, 1, 1, 0, 1, 2, 2, false>, Bernoulli, Flat>;
    let dev = Cpu::seed_from_u64(0);
    let mut layer = dev.build_module::<Grouped, f64>();
    layer.set_theta(&[1.0; 12]).unwrap();
    let unit: Tensor<(usize, Const<4>, usize, usize), f64, Cpu> =
        dev.tensor_from_vec((0..16).map(|i| f64::from(i % 5 == 0)).collect(), (4, Const, 1, 1));
    let draws: Vec<[bool; 4]> = (0..20_000)
        .map(|seed| {
            let y = floats(&layer.with_weights(Weights::Sample(seed)).unwrap().forward(unit.clone()));
            std::array::from_fn(|channel| y[channel * 6..][..6].iter().any(|y| *y > 0.0))
        })
        .collect();
    for (a, b) in [(0, 0), (1, 1), (2, 2), (3, 3), (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        let share = draws.iter().filter(|on| on[a] && on[b]).count() as f64 / 20_000.0;
        let expected = if a == b { 0.5 } else { 0.25 };
        assert!((share - expected).abs() < ERRORS * 0.0035, "channels {a} and {b}: {share}");
    }
}

/// Noise of one pass and of the next, at any shift: 1,000 numbers, so a correlation of 4.5 / sqrt(1000) = 0.14 is
/// chance.
#[test]
fn noise_is_independent_between_outputs_rows_and_passes() {
    let mut layer = layer::<Additive>(14);
    let ((m0, v0), (m1, v1)) = (moments(additive())[0], moments(additive())[1]);
    let passes: Vec<Vec<f64>> = (0..4)
        .map(|_| {
            let [a, b] = outputs(&mut layer, 600);
            let pairs = a.iter().zip(&b);
            pairs.flat_map(|(a, b)| [(a - m0) / v0.sqrt(), (b - m1) / v1.sqrt()]).collect()
        })
        .collect();
    for (first, second) in [(0, 0), (0, 1), (1, 2), (0, 3)] {
        for shift in -20_i32..=20 {
            if first == second && shift == 0 {
                continue;
            }
            let sum: f64 = (100..1100).map(|i| passes[first][i] * passes[second][(i as i32 + shift) as usize]).sum();
            let correlation = sum / 1000.0;
            assert!(correlation.abs() < 0.15, "passes {first} and {second}, shift {shift}: {correlation:.3}");
        }
    }
}

/// Different layers, and posterior samples of neighbouring seeds, do not share noise either.
#[test]
fn neighbouring_seeds_have_different_noise() {
    let mut layer = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<40, 40>, f32>();
    put(&mut layer.theta, &[0.0; 1600]);
    layer.set_spread(0.0).unwrap();
    put(&mut layer.bias, &[0.0; 40]);
    let unit = batch::<40, f32>(40, &(0..1600).map(|i| f64::from(i % 41 == 0)).collect::<Vec<_>>());
    let mut draw = |seed: u64| {
        let layer = layer.with_weights(Weights::Sample(seed)).unwrap();
        floats(&layer.forward(unit.clone()).permute::<_, Axes2<1, 0>>().contiguous())
    };
    let gamma = 0x9E37_79B9_7F4A_7C15_u64;
    let first = draw(7);
    for other in [8, 9, 7 + (1 << 32), 7 + (1 << 48), 7_u64.wrapping_add(gamma), 7_u64.wrapping_sub(gamma)] {
        let second = draw(other);
        for shift in -9_i32..=9 {
            let sum: f64 = (100..1100).map(|i| first[i] * second[(i as i32 + shift) as usize]).sum();
            assert!((sum / 1000.0).abs() < 0.15, "seed {other}, shift {shift}: {:.3}", sum / 1000.0);
        }
    }
}

/// A few steps of a network that is wide enough for several threads.
fn trained(seed: u64, threads: usize, settings: Settings, composed: bool) -> Vec<f64> {
    type Net = (SparseVdLinear<64, 300>, ReLU, ArdLinear<300, 10>);
    let data = Split::optdigits().unwrap().into_parts().0.take(300, 0).unwrap();
    let mut net = Cpu::seed_from_u64(1).build_module::<Net, f32>();
    net.configure(settings);
    compose(&mut net, composed);
    let trainer = Trainer { epochs: 2, batch: 100, seed, progress: false, ..Trainer::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| trainer.fit(&mut net, &data)).unwrap();
    [floats(&net.0.theta), floats(&net.0.spread), floats(&net.0.bias), floats(&net.2.theta)].concat()
}

#[test]
fn a_seed_determines_a_training_to_the_bit_whatever_the_threads() {
    let sampling = Settings { estimator: Estimator::WeightSampling, ..Settings::default() };
    let flipout = Settings { estimator: Estimator::Flipout, ..Settings::default() };
    let cases = [(Settings::default(), false), (sampling, false), (flipout, false), (Settings::default(), true)];
    for (settings, composed) in cases {
        let first = trained(5, 1, settings, composed);
        assert_eq!(first, trained(5, 1, settings, composed), "again: {settings:?}");
        assert_eq!(first, trained(5, 2, settings, composed), "two threads: {settings:?}");
        assert_eq!(first, trained(5, 3, settings, composed), "three threads: {settings:?}");
        assert_ne!(first, trained(6, 1, settings, composed), "another seed: {settings:?}");
    }
}
