//! The fused KL against the dfdx graph it replaces: the same value and gradients for every prior and posterior.

use crate::common::{close, floats, gradient, put};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Shared;
use sparsevd::priors::{Flat, HorseshoeLike, Laplace, ScaleMixture, StudentT};
use sparsevd::{Bernoulli, Delta, Family, Fixed, Map, PerLayer, PerOutput, PerWeight};

/// KL, its gradient by theta and its gradient by the spread.
type Kl = [Vec<f64>; 3];

fn kl<M: Map, Q: Family, P: Prior, E: Elem>(layer: &mut modules::Variational<M, Q, P, E, Cpu>, composed: bool) -> Kl
where
    Cpu: Backend<E>,
{
    layer.composed = composed;
    let kl = layer.kl().unwrap();
    let value = floats(&kl);
    let mut gradients = kl.backward();
    [value, gradient(&mut gradients, &layer.theta), gradient(&mut gradients, &layer.spread)]
}

fn layer<M: Map, Q: Family, P: Prior, E: Elem>(prior: &P, p: &Parameters) -> modules::Variational<M, Q, P, E, Cpu>
where
    Cpu: Backend<E>,
{
    let mut layer = Cpu::seed_from_u64(0).build_module::<Variational<M, Q, Flat>, E>().with_prior(prior.clone());
    put(&mut layer.theta, &p.theta);
    let log_alpha = Q::SPREAD == "log_alpha";
    put(&mut layer.spread, if log_alpha { &p.log_alpha } else { &p.log_sigma2 });
    layer
}

/// In `f64` both paths do the same arithmetic up to the order of sums and the form of `exp_m1`, `ln_1p` and `softplus`:
/// 1e-10 is 5e5 roundings. In `f32` both paths are held against `f64`: the exponent of `e^x` at |x| <= 25 is rounded
/// by up to 1e-6, which a formula passes on; 1e-4 leaves room for what the terms of a quadrature cancel.
///
/// A gradient by theta can be a difference of terms as large as `1 / |theta|` (with alpha fixed, the log-uniform KL
/// does not depend on theta), so that is the unit it is measured in. A shared spread has a unit for every weight.
fn agree<M: Map, Q: Family, P: Prior>(prior: &P, p: &Parameters) {
    let weights = M::grid().len();
    let compare = |path: &str, a: &Kl, b: &Kl, tolerance: f64| {
        let what = |part: &str| {
            format!("{path} {part}: {prior:?}, {} {:?}, {weights} weights", Q::SPREAD, sparsevd::priors::shared::<Q>())
        };
        close(&what("KL"), &a[0], &b[0], tolerance, |_| weights as f64);
        close(&what("d theta"), &a[1], &b[1], tolerance, |i| 1.0 / p.theta[i].abs().max(1e-3));
        let shared = if sparsevd::priors::shared::<Q>() == Shared::None { 1 } else { weights };
        close(&what("d spread"), &a[2], &b[2], tolerance, |_| shared as f64);
    };
    let exact = kl(&mut layer::<M, Q, P, f64>(prior, p), true);
    assert!(exact[0][0].is_finite());
    compare("fused f64", &kl(&mut layer::<M, Q, P, f64>(prior, p), false), &exact, 1e-10);
    compare("fused f32", &kl(&mut layer::<M, Q, P, f32>(prior, p), false), &exact, 1e-4);
    compare("composed f32", &kl(&mut layer::<M, Q, P, f32>(prior, p), true), &exact, 1e-4);
}

#[derive(Clone, Debug)]
struct Parameters {
    theta: Vec<f64>,
    log_sigma2: Vec<f64>,
    log_alpha: Vec<f64>,
}

/// Means of either sign from 1e-3 to 3, and one that is exactly zero. All are `f32` numbers, so both precisions mean
/// the same.
fn parameters(n: usize) -> impl Strategy<Value = Parameters> {
    let single = |x: f64| f64::from(x as f32);
    let mean = (-3.0..0.5, prop::bool::ANY).prop_map(|(p, sign)| 10_f64.powf(p) * if sign { -1.0 } else { 1.0 });
    let vec = |low: f64, high: f64| prop::collection::vec((low..high).prop_map(single), n);
    (prop::collection::vec(mean.prop_map(single), n), vec(-12.0, 2.0), vec(-6.0, 4.0)).prop_map(
        |(mut theta, log_sigma2, log_alpha)| {
            theta[0] = 0.0;
            Parameters { theta, log_sigma2, log_alpha }
        },
    )
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

fn all_priors<Q: Family>(p: &Parameters) {
    type Dense = LinearMap<11, 5>;
    for prior in [LogUniform::Fit, LogUniform::Cubic, LogUniform::Exact] {
        agree::<Dense, Q, _>(&prior, p);
    }
    for prior in [Ard::per_weight(), Ard::per_output(), Ard::per_input(), Ard::per_layer()] {
        agree::<Dense, Q, _>(&prior, p);
    }
    for prior in [Gaussian::new(0.4).unwrap(), Gaussian::learned()] {
        agree::<Dense, Q, _>(&prior, p);
    }
    agree::<Dense, Q, _>(&Laplace::new(0.3).unwrap(), p);
    agree::<Dense, Q, _>(&StudentT::new(3.0, 0.5).unwrap(), p);
    agree::<Dense, Q, _>(&ScaleMixture::new(0.3, 1.0, 0.2).unwrap(), p);
    for prior in [HorseshoeLike::new(0.1).unwrap(), HorseshoeLike::exact(0.1).unwrap()] {
        agree::<Dense, Q, _>(&prior, p);
    }
    agree::<Dense, Q, _>(&Flat, p);
}

/// One prior of each kind: how spreads are shared does not depend on more, and every pair takes the compiler seconds.
fn some_priors<Q: Family>(p: &Parameters) {
    agree::<LinearMap<11, 5>, Q, _>(&LogUniform::Fit, p);
    for prior in [Ard::per_weight(), Ard::per_output(), Ard::per_input(), Ard::per_layer()] {
        agree::<LinearMap<11, 5>, Q, _>(&prior, p);
    }
}

/// Channels of different groups are different inputs: where each output reads a channel of its own, a scale per input
/// is one per output.
#[test]
fn a_scale_per_input_is_one_for_each_channel_of_each_group() {
    type Depthwise = Conv2dMap<3, 3, 3, 1, 1, 1, 3, 1>;
    let wave = |at: f64| (0..36).map(|i| f64::from((at * f64::from(i + 1)).sin() as f32)).collect::<Vec<f64>>();
    let p = Parameters { theta: wave(1.1), log_sigma2: wave(2.3), log_alpha: wave(0.7) };
    agree::<Conv2dMap<4, 6, 1, 1, 0, 1, 2, 2>, Additive, _>(
        &Ard::per_input(),
        &Parameters {
            theta: p.theta[..12].to_vec(),
            log_sigma2: p.log_sigma2[..12].to_vec(),
            log_alpha: p.log_alpha[..12].to_vec(),
        },
    );
    let p = Parameters { theta: p.theta[..27].to_vec(), log_sigma2: p.log_sigma2[..27].to_vec(), ..p };
    for composed in [false, true] {
        let of = |prior| kl(&mut layer::<Depthwise, Additive, Ard, f64>(&prior, &p), composed);
        let (per_input, per_output, per_layer) = (of(Ard::per_input()), of(Ard::per_output()), of(Ard::per_layer()));
        for (a, b) in per_input.iter().zip(&per_output) {
            close("per input and per output", a, b, 1e-12, |_| 1.0);
        }
        assert!((per_input[0][0] - per_layer[0][0]).abs() > 1e-3, "composed: {composed}");
    }
}

/// A kernel of 3 x 3 and two groups, in each of which three outputs read two channels: 27 weights share a scale. The fit at its optimum is
/// `scale^2 = mean (theta^2 + sigma^2)`, and the KL then `sum ln scale - ln sigma`, with all sums by hand here. The
/// differences are of step 1e-5, so err by about 1e-10 and by rounding of 1e-14 / 1e-5; gradients are of order 1.
#[test]
fn a_scale_per_input_of_a_grouped_convolution_has_the_right_gradient() {
    type Grouped = Conv2dMap<4, 6, 3, 1, 1, 1, 2, 2>;
    const COUNT: usize = 6 * 2 * 9;
    let wave = |at: f64| (0..COUNT).map(|i| (at * (i + 1) as f64).sin()).collect::<Vec<f64>>();
    // Means that grow from channel to channel, so that another sharing has another KL.
    let channel = |i: usize| i / 54 * 2 + i / 9 % 2;
    let theta: Vec<f64> = wave(1.1).iter().enumerate().map(|(i, x)| (0.3 + channel(i) as f64) * x).collect();
    let p = Parameters { theta, log_sigma2: wave(2.3), log_alpha: wave(0.7) };

    let mut scales = [0.0; 4];
    (0..COUNT).for_each(|i| scales[channel(i)] += (p.theta[i].powi(2) + p.log_sigma2[i].exp()) / 27.0);
    let by_hand: f64 = (0..COUNT).map(|i| 0.5 * (scales[channel(i)].ln() - p.log_sigma2[i])).sum();
    for composed in [false, true] {
        let of = |p: &Parameters| kl(&mut layer::<Grouped, Additive, Ard, f64>(&Ard::per_input(), p), composed);
        let [value, d_theta, d_spread] = of(&p);
        close("KL", &value, &[by_hand], 1e-12, |_| 1.0);
        let differences = |of_parameters: fn(&mut Parameters) -> &mut Vec<f64>| -> Vec<f64> {
            let at = |i: usize, by: f64| {
                let mut moved = p.clone();
                of_parameters(&mut moved)[i] += by;
                of(&moved)[0][0]
            };
            (0..COUNT).map(|i| (at(i, 1e-5) - at(i, -1e-5)) / 2e-5).collect()
        };
        close("d theta", &d_theta, &differences(|p| &mut p.theta), 1e-8, |_| 1.0);
        close("d log sigma^2", &d_spread, &differences(|p| &mut p.log_sigma2), 1e-8, |_| 1.0);
    }
}

proptest! {
    #![proptest_config(config(6))]

    #[test]
    fn additive(p in parameters(55)) {
        all_priors::<Additive>(&p);
    }
    #[test]
    fn multiplicative_per_weight(p in parameters(55)) {
        some_priors::<Multiplicative<PerWeight>>(&p);
    }
    #[test]
    fn multiplicative_per_output(p in parameters(55)) {
        some_priors::<Multiplicative<PerOutput>>(&p);
    }
    #[test]
    fn multiplicative_per_layer(p in parameters(55)) {
        some_priors::<Multiplicative<PerLayer>>(&p);
    }
    #[test]
    fn multiplicative_fixed(p in parameters(55)) {
        some_priors::<Multiplicative<Fixed>>(&p);
    }

    /// A row of weights need not fill its last lane of eight, or may be a single weight.
    #[test]
    fn any_width(p in parameters(9 * 17)) {
        fn both<M: Map>(p: &Parameters) {
            agree::<M, Additive, _>(&Ard::per_input(), p);
            agree::<M, Multiplicative<PerOutput>, _>(&Ard::per_input(), p);
        }
        both::<LinearMap<1, 1>>(&p);
        both::<LinearMap<7, 3>>(&p);
        both::<LinearMap<8, 2>>(&p);
        both::<LinearMap<9, 1>>(&p);
        both::<LinearMap<17, 9>>(&p);
    }
}

proptest! {
    #![proptest_config(config(1))]

    /// Above 16,384 weights the kernels run on several threads.
    #[test]
    fn in_parallel(p in parameters(131 * 130)) {
        agree::<LinearMap<131, 130>, Additive, _>(&Ard::per_output(), &p);
        agree::<LinearMap<131, 130>, Multiplicative<PerOutput>, _>(&LogUniform::Fit, &p);
    }
}

#[test]
fn posteriors_without_density_cost_nothing() {
    fn zero<Q: Family>() {
        for composed in [false, true] {
            let mut layer = Cpu::seed_from_u64(0).build_module::<Variational<LinearMap<4, 3>, Q, LogUniform>, f32>();
            let [value, d_theta, d_spread] = kl(&mut layer, composed);
            assert!([value, d_theta, d_spread].concat().iter().all(|x| *x == 0.0));
        }
    }
    zero::<Delta>();
    zero::<Bernoulli>();
}
