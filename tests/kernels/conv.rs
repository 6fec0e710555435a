//! Convolutions: against direct loops, against PyTorch, against finite differences; and the moments of what they
//! sample.

use proptest::prelude::*;
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{
    Bernoulli, Convolution, Delta, Estimator, Family, Fixed, Noise, PerLayer, PerOutput, PerWeight, Window,
};
use statrs::distribution::{ChiSquared, ContinuousCDF};

type Plain = Conv2dMap<2, 3, 3>;
type Strided = Conv2dMap<3, 2, 2, 2, 1>;
type Dilated = Conv2dMap<1, 2, 3, 1, 2, 2>;
type Grouped = Conv2dMap<4, 6, 3, 1, 1, 1, 2, 2>;
type Depthwise = Conv2dMap<3, 3, 3, 2, 1, 1, 3, 1>;
type Unbiased = Conv2dMap<2, 2, 1, 3, 0, 1, 1, 2, false>;

/// Calls a function generic over the map with every map above.
macro_rules! every_map {
    ($f:ident $(::<$($q:ty),+>)?($($arg:expr),*)) => {
        $f::<Plain $($(, $q)+)?>($($arg),*);
        $f::<Strided $($(, $q)+)?>($($arg),*);
        $f::<Dilated $($(, $q)+)?>($($arg),*);
        $f::<Grouped $($(, $q)+)?>($($arg),*);
        $f::<Depthwise $($(, $q)+)?>($($arg),*);
        $f::<Unbiased $($(, $q)+)?>($($arg),*);
    };
}

type Conv<M, Q, E = f64> = modules::Variational<M, Q, Flat, E, Cpu>;
type Set<'a, M, Q> = &'a dyn Fn(&mut Conv<M, Q>, &mut Batch<M>, &[f64]);
type Batch<M, E = f64> = Tensor<(usize, <M as Convolution>::In, usize, usize), E, Cpu>;

/// A layer whose numbers are all different.
fn layer<M: Convolution, Q: Family, E: Elem>(seed: u64) -> Conv<M, Q, E>
where
    Cpu: Backend<E>,
{
    let mut layer = Cpu::seed_from_u64(seed).build_module::<Variational<M, Q, Flat>, E>();
    let start = layer.spread.as_vec()[0].f64();
    let spread: Vec<E> =
        (0..layer.spread.as_vec().len()).map(|i| E::of(start.max(-3.0) + 0.3 * (i as f64).sin())).collect();
    layer.spread.copy_from(&spread);
    layer
}

fn batch<M: Convolution, E: Elem>(numbers: &[f64], size: [usize; 2]) -> Batch<M, E>
where
    Cpu: Device<E>,
{
    let numbers: Vec<E> = numbers.iter().map(|x| E::of(*x)).collect();
    let images = numbers.len() / (M::In::SIZE * size[0] * size[1]);
    Cpu::default().tensor_from_vec(numbers, (images, M::In::default(), size[0], size[1]))
}

fn image(len: usize) -> Vec<f64> {
    (0..len).map(|i| i as f64).map(|i| (1.0 + 0.37 * i).sin() + 0.3 * (0.11 * i * i).cos()).collect()
}

fn floats<S: Shape, E: Elem, T: Tape<E, Cpu>>(tensor: &Tensor<S, E, Cpu, T>) -> Vec<f64>
where
    Cpu: Device<E>,
{
    tensor.as_vec().into_iter().map(Elem::f64).collect()
}

/// The definition, one multiplication at a time.
fn loops<M: Convolution>(x: &[f64], size: [usize; 2], w: &[f64], b: &[f64]) -> Option<(Vec<f64>, [usize; 2])> {
    let Window { kernel, stride, pad, dilation } = M::WINDOW;
    let (channels, [height, width]) = (M::In::SIZE, size);
    let side = |size: usize| Some((size + 2 * pad).checked_sub(dilation * (kernel - 1) + 1)? / stride + 1);
    let [rows, cols] = [side(height)?, side(width)?];
    let per_group = channels / M::GROUPS;
    let mut y = Vec::new();
    for image in x.chunks(channels * height * width) {
        for o in 0..M::OUTPUTS {
            for (i, j) in (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))) {
                let mut sum = if M::BIAS { b[o] } else { 0.0 };
                for c in 0..per_group {
                    for (s, t) in (0..kernel).flat_map(|s| (0..kernel).map(move |t| (s, t))) {
                        let (row, col) = (i * stride + s * dilation, j * stride + t * dilation);
                        if row < pad || col < pad || row - pad >= height || col - pad >= width {
                            continue;
                        }
                        let channel = o * M::GROUPS / M::OUTPUTS * per_group + c;
                        sum += w[((o * per_group + c) * kernel + s) * kernel + t]
                            * image[(channel * height + row - pad) * width + col - pad];
                    }
                }
                y.push(sum);
            }
        }
    }
    Some((y, [rows, cols]))
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * (1.0 + e.abs()), "{what}, number {i}: {f} instead of {e}");
    }
}

/// Evaluation and deterministic training agree with the loops; so does what is known of the shape beforehand.
fn forward<M: Convolution, E: Elem>(images: usize, size: [usize; 2], seed: u64, tolerance: f64)
where
    Cpu: Backend<E>,
{
    let mut net = layer::<M, Delta, E>(seed);
    let x = image(images * M::In::SIZE * size[0] * size[1]);
    let expected = loops::<M>(&x, size, &floats(&net.theta), &floats(&net.bias));
    let known = net.output_shape("", &[M::In::SIZE, size[0], size[1]]);
    let x = batch::<M, E>(&x, size);
    let Some((expected, [rows, cols])) = expected else {
        assert!(known.is_err());
        assert!(net.try_forward(x.clone()).is_err() && net.try_forward_mut(x.leaky_trace()).is_err());
        let x = net.input(x);
        return assert!(net.try_forward_mut(x).is_err());
    };
    assert_eq!(known.unwrap(), Some(vec![M::OUTPUTS, rows, cols]));
    let y = net.forward(x.clone());
    assert_eq!(*y.shape(), (images, M::Out::default(), rows, cols));
    assert_close(&floats(&y), &expected, tolerance, "forward");
    for composed in [false, true] {
        net.composed = composed;
        let data = net.input(x.clone());
        assert_close(&floats(&net.forward_mut(data)), &expected, tolerance, "forward_mut of data");
        assert_close(&floats(&net.forward_mut(x.leaky_trace())), &expected, tolerance, "forward_mut");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn is_what_the_loops_compute(images in 1_usize..4, height in 1_usize..9, width in 1_usize..9, seed: u64) {
        every_map!(forward::<f64>(images, [height, width], seed, 1e-12));
        every_map!(forward::<f32>(images, [height, width], seed, 1e-5));
    }
}

/// Every gradient of `sum_j y_j cos(j)` against central differences of step 1e-5: their error is the step squared times
/// the third derivative, plus rounding of 1e-16 / 1e-5; all gradients here are of order 1.
fn finite_differences<M: Convolution, Q: Family>(size: [usize; 2], estimator: Estimator, composed: bool) {
    let mut net = layer::<M, Q, f64>(3);
    net.settings.estimator = estimator;
    net.composed = composed;
    let x = image(2 * M::In::SIZE * size[0] * size[1]);
    let loss = |net: &mut Conv<M, Q>, x: Batch<M>| {
        net.seed_noise(11);
        let y = net.forward_mut(x.leaky_trace());
        let weights = (0..y.shape().num_elements()).map(|j| (j as f64).cos()).collect();
        let weights = Cpu::default().tensor_from_vec(weights, *y.shape());
        (y * weights).sum::<Rank0, _>()
    };
    let input = batch::<M, f64>(&x, size);
    let grads = loss(&mut net, input.clone()).backward();

    let step = 1e-5;
    let check = |what: &str, numbers: &[f64], gradient: Vec<f64>, set: Set<M, Q>| {
        let difference = |i: usize| {
            let at = |to: f64| {
                let (mut net, mut input, mut moved) = (net.clone(), input.clone(), numbers.to_vec());
                moved[i] += to;
                set(&mut net, &mut input, &moved);
                loss(&mut net, input).array()
            };
            (at(step) - at(-step)) / (2.0 * step)
        };
        let expected: Vec<f64> = (0..numbers.len()).map(difference).collect();
        let what = format!("{what} of {:?} with {:?}, {estimator:?}", net.map, net.posterior);
        assert_close(&gradient, &expected, 2e-8, &what);
        expected
    };
    let theta =
        check("theta", &floats(&net.theta), grads.get(&net.theta).as_vec(), &|net, _, to| net.theta.copy_from(to));
    // A weight has no gradient where every pixel that it reads is dropped: with a rate of a half, few have none.
    let dropped = if let Noise::Dropout(_) = net.posterior.noise() { theta.len() / 3 } else { 0 };
    assert!(theta.iter().filter(|g| **g == 0.0).count() <= dropped, "{theta:?}");
    if Q::TRAINED {
        let spread = grads.get(&net.spread).as_vec();
        let spread = check("spread", &floats(&net.spread), spread, &|net, _, to| net.spread.copy_from(to));
        assert!(spread.iter().all(|g| *g != 0.0));
    }
    if M::BIAS {
        check("bias", &floats(&net.bias), grads.get(&net.bias).as_vec(), &|net, _, to| net.bias.copy_from(to));
    }
    check("input", &x, grads.get(&input).as_vec(), &|_, input, to| *input = moved(input, to));
}

/// The same tensor with other numbers.
fn moved<S: Shape>(tensor: &Tensor<S, f64, Cpu>, to: &[f64]) -> Tensor<S, f64, Cpu> {
    Cpu::default().tensor_from_vec(to.to_vec(), *tensor.shape())
}

#[test]
fn gradients_are_finite_differences_for_every_map() {
    for composed in [false, true] {
        every_map!(finite_differences::<Additive>([4, 5], Estimator::default(), composed));
    }
}

#[test]
fn gradients_are_finite_differences_for_every_posterior_and_estimator() {
    let estimators = [Estimator::LocalReparameterisation, Estimator::WeightSampling, Estimator::Flipout];
    for (estimator, composed) in estimators.into_iter().flat_map(|e| [(e, false), (e, true)]) {
        finite_differences::<Grouped, Additive>([3, 3], estimator, composed);
        finite_differences::<Grouped, Multiplicative<PerWeight>>([3, 3], estimator, composed);
        finite_differences::<Grouped, Multiplicative<PerOutput>>([3, 3], estimator, composed);
        finite_differences::<Strided, Multiplicative<PerLayer>>([3, 3], estimator, composed);
        finite_differences::<Strided, Multiplicative<Fixed>>([3, 3], estimator, composed);
        finite_differences::<Dilated, Bernoulli>([3, 3], estimator, composed);
        finite_differences::<Depthwise, Delta>([3, 3], estimator, composed);
    }
}

/// Masking, whether it keeps most of the means or few: fused as in the graph.
#[test]
fn masking_is_the_same_on_both_paths() {
    fn check<M: Convolution>(size: [usize; 2], off: impl Fn(usize) -> bool, masking: fn(f64) -> Masking) {
        let mut net = layer::<M, Additive, f64>(4);
        let spread: Vec<f64> = (0..M::grid().len()).map(|i| if off(i) { 4.0 } else { -30.0 }).collect();
        net.spread.copy_from(&spread);
        net.settings.masking = masking(0.5);
        let x = batch::<M, f64>(&image(3 * M::In::SIZE * size[0] * size[1]), size);
        let [fused, composed] = [false, true].map(|composed| {
            net.composed = composed;
            net.seed_noise(7);
            let y = net.forward_mut(x.leaky_trace());
            let out = floats(&y);
            let grads = y.square().sum::<Rank0, _>().backward();
            let d_theta = grads.get(&net.theta).as_vec();
            assert!(
                (0..spread.len()).all(|i| off(i) == (d_theta[i] == 0.0)),
                "{:?}: only what is left learns",
                net.map
            );
            [out, d_theta, grads.get(&net.spread).as_vec(), grads.get(&net.bias).as_vec(), grads.get(&x).as_vec()]
        });
        for (fused, composed) in fused.iter().zip(&composed) {
            assert_close(fused, composed, 1e-11, &format!("{:?}", net.map));
        }
    }
    for size in [[4, 5], [9, 9]] {
        for masking in [Masking::Means, Masking::Weights] {
            check::<Plain>(size, |i| i % 3 == 0, masking);
            check::<Plain>(size, |i| i % 20 != 7, masking);
            check::<Grouped>(size, |i| i % 3 == 0, masking);
            check::<Grouped>(size, |i| i % 20 != 7, masking);
            check::<Grouped>(size, |_| true, masking);
        }
    }
}

/// Draws of an output, output by output.
type Draws = Vec<Vec<f64>>;

/// The two-sided p-values of draws, given the mean and variance that they should have, of three sums that are
/// chi-squared.
///
/// ```text
/// mean          sum_j n (m_j - mu_j)^2 / v_j               ~ chi^2(outputs)
/// variance      sum_j (n - 1) s_j^2 / v_j                  ~ chi^2(outputs (n - 1))
/// correlation   sum_{j < outputs - 1} n r_{j, j+1}^2       ~ chi^2(outputs - 1), nearly
/// ```
fn surprise(draws: &Draws, mean: &[f64], variance: &[f64]) -> [f64; 3] {
    let n = draws[0].len() as f64;
    let means: Vec<f64> = draws.iter().map(|x| x.iter().sum::<f64>() / n).collect();
    let covariance = |a: usize, b: usize| {
        let product = |(x, y): (&f64, &f64)| (x - means[a]) * (y - means[b]);
        draws[a].iter().zip(&draws[b]).map(product).sum::<f64>() / (n - 1.0)
    };
    let outputs = draws.len();
    let tail = |sum: f64, freedom: f64| {
        let below = ChiSquared::new(freedom).unwrap().cdf(sum);
        2.0 * below.min(1.0 - below)
    };
    [
        tail((0..outputs).map(|j| n * (means[j] - mean[j]).powi(2) / variance[j]).sum(), outputs as f64),
        tail((0..outputs).map(|j| (n - 1.0) * covariance(j, j) / variance[j]).sum(), outputs as f64 * (n - 1.0)),
        tail(
            (1..outputs).map(|j| n * covariance(j - 1, j).powi(2) / covariance(j, j) / covariance(j - 1, j - 1)).sum(),
            outputs as f64 - 1.0,
        ),
    ]
}

/// Every output of one image, drawn as a batch of copies of it.
fn draws<M: Convolution, Q: Family>(net: &mut Conv<M, Q>, x: &[f64], size: [usize; 2]) -> Draws {
    const COPIES: usize = 4000;
    net.seed_noise(5);
    let y = floats(&net.forward_mut(batch::<M, f64>(&x.repeat(COPIES), size).leaky_traced()));
    let outputs = y.len() / COPIES;
    (0..outputs).map(|j| y.iter().skip(j).step_by(outputs).copied().collect()).collect()
}

/// The mean and the variance are `conv(x, E w) + b` and `conv(x^2, Var w)`, and each position has noise of its own. By
/// chance one of the sums, three for each of five layers, is this far out once in 2,000 seeds; the seed is fixed.
#[test]
fn local_reparameterisation_has_the_right_moments() {
    fn moments<M: Convolution, Q: Family>(size: [usize; 2]) {
        let mut net = layer::<M, Q, f64>(1);
        let x = image(M::In::SIZE * size[0] * size[1]);
        let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
        let (theta, zero) = (floats(&net.theta), vec![0.0; M::OUTPUTS]);
        let shared = theta.len() / net.spread.as_vec().len();
        let variances: Vec<f64> = floats(&net.spread).into_iter().flat_map(|s| vec![s; shared]).collect();
        let variances: Vec<f64> = theta.iter().zip(&variances).map(|(t, s)| net.posterior.variance(*t, *s)).collect();
        let mean = loops::<M>(&x, size, &theta, &floats(&net.bias)).unwrap().0;
        let variance = loops::<M>(&squares, size, &variances, &zero).unwrap().0;
        for composed in [false, true] {
            net.composed = composed;
            let right = draws(&mut net, &x, size);
            let found = surprise(&right, &mean, &variance);
            assert!(found.iter().all(|p| *p > 3e-5), "{:?}, {:?}: {found:?}", net.map, net.posterior);

            // The test notices a sampler that is 2 % too wide, a mean without its bias, and noise shared by neighbours.
            let with = |f: &dyn Fn(usize, usize) -> f64| {
                let wrong: Draws = (0..right.len()).map(|j| (0..right[0].len()).map(|i| f(j, i)).collect()).collect();
                surprise(&wrong, &mean, &variance)
            };
            let noise = |j: usize, i: usize| right[j][i] - mean[j];
            assert!(with(&|j, i| mean[j] + 1.02 * noise(j, i))[1] < 3e-5);
            assert!(with(&|j, i| right[j][i] + 0.05 * variance[j].sqrt())[0] < 3e-5);
            let other = |j: usize| if j == 0 { 1 } else { j - 1 };
            let blend = |j: usize, i: usize| 0.95 * noise(j, i) + 0.31 * noise(other(j), i);
            assert!(with(&|j, i| mean[j] + blend(j, i))[2] < 3e-5);
        }
    }
    moments::<Plain, Additive>([4, 5]);
    moments::<Grouped, Additive>([3, 4]);
    moments::<Strided, Multiplicative<PerWeight>>([4, 5]);
    moments::<Dilated, Multiplicative<PerOutput>>([3, 4]);
    moments::<Depthwise, Multiplicative<PerLayer>>([5, 5]);
}

/// PyTorch's convolutions and their gradients; the numbers come from `tests/kernels/golden/conv.py`.
#[test]
fn agrees_with_pytorch() {
    fn check<M: Convolution>(name: &str) {
        let golden: Vec<serde_json::Value> = serde_json::from_str(include_str!("golden/conv.json")).unwrap();
        let case = golden.iter().find(|case| case["name"] == name).unwrap();
        let list = |key: &str| -> Vec<f64> { serde_json::from_value(case[key].clone()).unwrap() };
        let size: [usize; 2] = serde_json::from_value(case["size"].clone()).unwrap();
        let mut net = layer::<M, Delta, f64>(0);
        net.theta.copy_from(&(0..M::grid().len()).map(|i| (0.73 * i as f64).cos()).collect::<Vec<_>>());
        net.bias.copy_from(&(0..M::OUTPUTS).map(|i| 0.1 * i as f64 - 0.2).collect::<Vec<_>>());
        let x = batch::<M, f64>(&image(2 * M::In::SIZE * size[0] * size[1]), size);
        for composed in [false, true] {
            net.composed = composed;
            let y = net.forward_mut(x.leaky_trace());
            assert_close(&floats(&y), &list("y"), 1e-12, name);
            let weights = (0..list("y").len()).map(|j| (j as f64).cos()).collect();
            let weights = Cpu::default().tensor_from_vec(weights, *y.shape());
            let grads = (y * weights).sum::<Rank0, _>().backward();
            assert_close(&floats(&grads.get(&x)), &list("dx"), 1e-12, name);
            assert_close(&floats(&grads.get(&net.theta)), &list("dw"), 1e-12, name);
            assert_close(&floats(&grads.get(&net.bias)), &list("db"), 1e-12, name);
        }
    }
    check::<Plain>("plain");
    check::<Strided>("strided");
    check::<Dilated>("dilated");
    check::<Grouped>("grouped");
    check::<Depthwise>("depthwise");
}

/// Sampling the weights gives all positions of an image the same weights: on an image that is everywhere the same, all
/// outputs of a channel are equal; local reparameterisation makes them differ.
#[test]
fn weight_sampling_shares_its_noise() {
    let mut net = layer::<Plain, Additive, f64>(2);
    for (estimator, shared) in [(Estimator::WeightSampling, true), (Estimator::LocalReparameterisation, false)] {
        net.settings.estimator = estimator;
        let y = floats(&net.forward_mut(batch::<Plain, f64>(&[0.7; 2 * 25], [5, 5]).leaky_traced()));
        for channel in y.chunks(9) {
            assert_eq!(channel.iter().all(|y| (y - channel[0]).abs() < 1e-12), shared);
        }
    }
}

/// A convolution whose kernel covers the image is a dense layer: KL, pruning and sampled weights see the same matrix.
#[test]
fn the_rest_of_the_library_sees_a_matrix() {
    let mut conv = Cpu::seed_from_u64(4).build_module::<Variational<Conv2dMap<2, 3, 4>, Additive, LogUniform>, f64>();
    let mut dense = Cpu::default().build_module::<SparseVdLinear<32, 3>, f64>();
    let theta: Vec<f64> = (0..96).map(|i| f64::from(i) * 0.001).collect();
    for layer in [&mut conv as &mut dyn Layer<f64, Cpu>, &mut dense] {
        layer.set_theta(&theta).unwrap();
        layer.set_spread(-6.0).unwrap();
    }
    dense.bias.copy_from(&conv.bias.as_vec());
    let x = image(64);
    for weights in [Weights::Mean, Weights::Pruned(0.0), Weights::Sample(9)] {
        let (conv, dense) = (conv.with_weights(weights).unwrap(), dense.with_weights(weights).unwrap());
        let flat = Cpu::default().tensor_from_vec(x.clone(), (2, Const::<32>));
        let y = conv.forward(batch::<Conv2dMap<2, 3, 4>, f64>(&x, [4, 4]));
        assert_close(&floats(&y), &floats(&dense.forward(flat)), 1e-12, &format!("{weights:?}"));
    }
    assert_close(&[conv.kl().unwrap().array()], &[dense.kl().unwrap().array()], 1e-12, "KL");
    assert_eq!(conv.sparsity(0.0).unwrap().kept(), dense.sparsity(0.0).unwrap().kept());
}
