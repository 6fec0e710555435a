//! A dense layer's sampled output and its gradients, fused, against the dfdx graph with the same noise.

use crate::common::{batch, close, floats, gradient, largest, put};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Bernoulli, Delta, Family, Fixed, PerLayer, PerOutput, PerWeight, Taped};

/// Means and spreads at random, inputs, and what multiplies each output in the sum that is differentiated.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    theta: Vec<f64>,
    spread: Vec<f64>,
    bias: Vec<f64>,
    input: Vec<f64>,
    above: Vec<f64>,
    seed: u64,
    settings: Settings,
}

/// The output, then the gradients of theta, spread, bias and input of `sum(above * output)`.
fn pass<const I: usize, const O: usize, const BIAS: bool, Q: Family, E: Elem>(
    case: &Case,
    composed: bool,
) -> [Vec<f64>; 5]
where
    Cpu: Backend<E>,
{
    let dev = Cpu::seed_from_u64(0);
    let mut layer = dev.build_module::<Variational<LinearMap<I, O, BIAS>, Q, Flat>, E>();
    put(&mut layer.theta, &case.theta);
    if Q::TRAINED || Q::SPREAD == "log_alpha" {
        put(&mut layer.spread, &case.spread);
    }
    put(&mut layer.bias, &case.bias); // without BIAS it must not matter
    layer.settings = case.settings;
    layer.composed = composed;
    layer.seed_noise(case.seed);
    let x = batch::<I, E>(case.rows, &case.input);
    let y = layer.forward_mut(x.leaky_trace());
    let out = floats(&y);
    let mut gradients = (y * batch::<O, E>(case.rows, &case.above)).sum::<Rank0, _>().backward();
    [
        out,
        gradient(&mut gradients, &layer.theta),
        gradient(&mut gradients, &layer.spread),
        gradient(&mut gradients, &layer.bias),
        gradient(&mut gradients, &x),
    ]
}

/// In `f64` only the order of sums differs: 1e-10 of the largest entry. In `f32` sums of up to 17 products, and a
/// variance whose logarithm is rounded at up to 12 x 6e-8, are each exact to about 1e-6: 3e-5 leaves room for
/// what cancels.
fn agree<const I: usize, const O: usize, const BIAS: bool, Q: Family>(case: &Case) {
    let exact = pass::<I, O, BIAS, Q, f64>(case, true);
    assert!(case.settings.masking != Masking::Off || largest(&exact[0]) > 0.0 && largest(&exact[1]) > 0.0);
    let compare = |path: &str, a: &[Vec<f64>; 5], tolerance: f64| {
        for (i, part) in ["output", "d theta", "d spread", "d bias", "d input"].iter().enumerate() {
            let what = format!("{path} {part}: {I} to {O}, bias {BIAS}, {}, {case:?}", std::any::type_name::<Q>());
            let unit = if largest(&exact[i]) == 0.0 { 1.0 } else { largest(&exact[i]) };
            close(&what, &a[i], &exact[i], tolerance, |_| unit);
        }
    };
    compare("fused f64", &pass::<I, O, BIAS, Q, f64>(case, false), 1e-10);
    compare("fused f32", &pass::<I, O, BIAS, Q, f32>(case, false), 3e-5);
    compare("composed f32", &pass::<I, O, BIAS, Q, f32>(case, true), 3e-5);
}

/// Spreads from -6 to 3, so that a threshold of 0.1 on log alpha keeps some means and switches others off, and one of
/// -5 keeps few.
fn cases(inputs: usize, outputs: usize) -> impl Strategy<Value = Case> {
    let vec =
        |low: f64, high: f64, n: usize| prop::collection::vec((low..high).prop_map(|x: f64| f64::from(x as f32)), n);
    let masked = |threshold| prop_oneof![Just(Masking::Means(threshold)), Just(Masking::Weights(threshold))];
    let masking = prop_oneof![Just(Masking::Off), masked(0.1), masked(-5.0)];
    (1_usize..7, masking, any::<u64>()).prop_flat_map(move |(rows, masking, seed)| {
        (
            vec(-1.0, 1.0, inputs * outputs),
            vec(-6.0, 3.0, inputs * outputs),
            vec(-1.0, 1.0, outputs),
            vec(-2.0, 2.0, rows * inputs),
            vec(-1.0, 1.0, rows * outputs),
        )
            .prop_map(move |(theta, spread, bias, input, above)| {
                let settings = Settings { masking, ..Settings::default() };
                Case { rows, theta, spread, bias, input, above, seed, settings }
            })
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(2), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn every_posterior(case in cases(11, 5)) {
        fn both<Q: Family>(case: &Case) {
            agree::<11, 5, true, Q>(case);
            agree::<11, 5, false, Q>(case);
        }
        both::<Additive>(&case);
        both::<Multiplicative<PerWeight>>(&case);
        both::<Multiplicative<PerOutput>>(&case);
        both::<Multiplicative<PerLayer>>(&case);
        both::<Multiplicative<Fixed>>(&case);
        both::<Bernoulli>(&case);
        both::<Delta>(&case);
    }

    #[test]
    fn any_width(case in cases(17, 9)) {
        agree::<1, 1, true, Additive>(&case);
        agree::<3, 8, true, Additive>(&case);
        agree::<8, 1, true, Additive>(&case);
        agree::<16, 9, true, Additive>(&case);
        agree::<17, 9, true, Additive>(&case);
    }
}

proptest! {
    #![proptest_config(config(2))]

    /// Above 16,384 weights the kernels run on several threads.
    #[test]
    fn in_parallel(case in cases(131, 130)) {
        agree::<131, 130, true, Additive>(&case);
    }
}

/// `log alpha = -ln(1 / 1) = 0` reaches a threshold of 0: that mean is off, as pruning would have it.
#[test]
fn the_threshold_of_masking_is_the_one_of_pruning() {
    let settings = Settings { masking: Masking::Means(0.0), ..Settings::default() };
    let case = Case {
        rows: 1,
        theta: vec![1.0, 2.0],
        spread: vec![0.0, 0.0],
        bias: vec![0.0],
        input: vec![1.0, 1.0],
        above: vec![1.0],
        seed: 3,
        settings,
    };
    for composed in [false, true] {
        assert_eq!(pass::<2, 1, true, Additive, f64>(&case, composed)[1], [0.0, 1.0], "composed: {composed}");
        assert_eq!(pass::<2, 1, true, Additive, f32>(&case, composed)[1], [0.0, 1.0], "composed: {composed}");
    }
}

/// A permuted or broadcast input is not stored row by row; the fused path must not read it as if it were.
#[test]
fn an_input_that_is_not_contiguous() {
    let outputs = [false, true].map(|composed| {
        let dev = Cpu::seed_from_u64(5);
        let mut layer = dev.build_module::<SparseVdLinear<3, 2>, f64>();
        layer.composed = composed;
        let mut run = |x: Taped<(usize, Const<3>), f64, Cpu>| {
            layer.seed_noise(9);
            let y = layer.forward_mut(x);
            let out = floats(&y);
            let mut gradients = y.square().sum::<Rank0, _>().backward();
            let d_theta = gradient(&mut gradients, &layer.theta);
            ([out, d_theta].concat(), gradients)
        };
        let columns = dev.tensor_from_vec((0..12).map(f64::from).collect(), (Const::<3>, 4_usize));
        let (permuted, mut gradients) = run(columns.leaky_trace().permute::<_, Axes2<1, 0>>());
        let d_columns = gradient(&mut gradients, &columns);
        let row = dev.tensor([1.0, -2.0, 0.5]);
        let (repeated, mut gradients) = run(row.leaky_trace().broadcast_like::<_, Axis<0>>(&(4_usize, Const)));
        [permuted, d_columns, repeated, gradient(&mut gradients, &row)].concat()
    });
    close("fused and composed", &outputs[0], &outputs[1], 1e-10, |_| 1.0);
}

/// Nor do parameters have to be: theta as a transposed matrix, one number for all biases.
#[test]
fn parameters_that_are_not_contiguous() {
    let outputs = [false, true].map(|composed| {
        let dev = Cpu::seed_from_u64(5);
        let mut layer = dev.build_module::<SparseVdLinear<3, 40>, f64>();
        layer.theta = dev.sample_normal::<Rank2<3, 40>>().permute();
        layer.spread = dev.tensor(-2.0).broadcast();
        layer.bias = dev.tensor(0.5).broadcast();
        layer.composed = composed;
        layer.seed_noise(9);
        let x: Tensor<(usize, Const<3>), f64, Cpu> = dev.sample_normal_like(&(7, Const));
        let x = layer.input(x);
        let y = layer.forward_mut(x);
        let out = floats(&y);
        let objective = y.square().sum::<Rank0, _>() + layer.kl().unwrap();
        Adam::new(0.1).step(&mut layer, objective).unwrap();
        [out, floats(&layer.theta), floats(&layer.spread), floats(&layer.bias)].concat()
    });
    close("fused and composed", &outputs[0], &outputs[1], 1e-9, |_| 1.0);
    assert!(outputs[0][7 * 40..].iter().all(|x| x.is_finite()));
}
