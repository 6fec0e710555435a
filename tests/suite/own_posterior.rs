//! A posterior of a user's own, that of the documentation of `Posterior`, in layers.

use crate::common::{batch, close, floats, gradient};
use serde::Serialize;
use sparsevd::infer::{Container, Scratch};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Laplace;
use sparsevd::{
    Estimator, Family, FileError, Map, PerWeight, Posterior, Reads, compact, posterior_about, posterior_from_bytes,
    posterior_to_bytes,
};

/// q(w) = N(theta, softplus(rho)^2), the parameterisation of Blundell et al. 2015.
#[derive(Clone, Debug, Default, Serialize)]
struct Softplus;

impl Posterior for Softplus {
    const ID: &'static str = "softplus";
    const SPREAD: &'static str = "rho";
    const INITIAL: f64 = -5.0;
    type Per = PerWeight;

    fn q<R: Real>(&self, theta: R, rho: R) -> Normal<R> {
        Normal::new(theta, rho.softplus().ln().scale(2.0))
    }
}

/// Another with a parameter of the same name, and a setting.
#[derive(Clone, Debug, Serialize)]
struct Power {
    exponent: f64,
}

impl Default for Power {
    fn default() -> Self {
        Power { exponent: 2.0 }
    }
}

impl Posterior for Power {
    const ID: &'static str = "power";
    const SPREAD: &'static str = "rho";
    const INITIAL: f64 = -5.0;
    type Per = PerWeight;

    fn q<R: Real>(&self, theta: R, rho: R) -> Normal<R> {
        Normal::new(theta, rho.softplus().ln().scale(self.exponent))
    }
}

type Dense = LinearMap<5, 3>;
type Grouped = Conv2dMap<4, 6, 3, 1, 1, 1, 2, 2>;
type Own<M, P, E = f64> = modules::Variational<M, Softplus, P, E, Cpu>;

fn wave(n: usize) -> Vec<f64> {
    (0..n).map(|i| (1.0 + 1.7 * i as f64).sin()).collect()
}

/// Means up to 0.5, deviations from softplus(-3) = 0.05 to softplus(1) = 1.3; all are `f32` numbers, so both precisions mean
/// the same.
fn layer<M: Map, P: Prior + Default, E: Elem>() -> Own<M, P, E>
where
    Cpu: Backend<E>,
{
    let mut layer = Cpu::seed_from_u64(2).build_module::<Variational<M, Softplus, P>, E>();
    let numbers = wave(2 * M::grid().len());
    let (theta, rho) = numbers.split_at(M::grid().len());
    let single = |x: f64| E::of(f64::from(x as f32));
    layer.theta.copy_from(&theta.iter().map(|x| single(0.5 * x)).collect::<Vec<E>>());
    layer.spread.copy_from(&rho.iter().map(|x| single(2.0 * x - 1.0)).collect::<Vec<E>>());
    layer
}

/// The KL, then its gradients by theta and rho.
fn kl<M: Map, P: Prior, E: Elem>(layer: &mut Own<M, P, E>, composed: bool) -> [Vec<f64>; 3]
where
    Cpu: Backend<E>,
{
    layer.composed = composed;
    let kl = layer.kl().unwrap();
    let value = floats(&kl);
    let mut g = kl.backward();
    [value, gradient(&mut g, &layer.theta), gradient(&mut g, &layer.spread)]
}

/// In `f64` both paths do the same arithmetic up to the order of sums and the form of softplus: 1e-10, as for the
/// library's own posteriors. In `f32` some 100 terms of order 1 are each rounded by up to 1e-6.
#[test]
fn its_kl_is_the_same_fused_and_composed() {
    fn same<M: Map, P: Prior + Default>() {
        let exact = kl(&mut layer::<M, P, f64>(), true);
        let fused = kl(&mut layer::<M, P, f64>(), false);
        let single = kl(&mut layer::<M, P, f32>(), false);
        for part in 0..3 {
            close("f64", &fused[part], &exact[part], 1e-10, |_| 1.0);
            close("f32", &single[part], &exact[part], 1e-4, |_| 1.0);
        }
    }
    same::<Dense, LogUniform>();
    same::<Dense, Laplace>();
    same::<Grouped, Ard>();
    // A Gaussian prior of scale 1: (sigma^2 + theta^2 - 1) / 2 - ln sigma, by hand.
    let mut layer = layer::<Dense, Gaussian, f64>();
    layer.prior = Gaussian::new(1.0).unwrap();
    let sigma = |rho: f64| rho.exp().ln_1p();
    let of = |(theta, rho): (&f64, &f64)| (sigma(*rho).powi(2) + theta * theta - 1.0) / 2.0 - sigma(*rho).ln();
    let by_hand: f64 = floats(&layer.theta).iter().zip(&floats(&layer.spread)).map(of).sum();
    assert!((kl(&mut layer, false)[0][0] / by_hand - 1.0).abs() < 1e-12);
}

/// Central differences of step 1e-5 err by about 1e-10 and by rounding of 1e-16 / 1e-5, for numbers of order 1 to 10.
fn differentiates<M: Reads<X>, X: Shape>(x: &Tensor<X, f64, Cpu>) {
    let estimators = [Estimator::LocalReparameterisation, Estimator::WeightSampling, Estimator::Flipout];
    for (estimator, composed) in estimators.into_iter().flat_map(|estimator| [(estimator, false), (estimator, true)]) {
        let mut layer = layer::<M, LogUniform, f64>();
        (layer.settings.estimator, layer.composed) = (estimator, composed);
        let loss = |layer: &mut Own<M, LogUniform>| {
            layer.seed_noise(4);
            let y = layer.forward_mut(x.leaky_trace());
            y.square().sum::<Rank0, <M::Output as Shape>::AllAxes>() * 0.1 + layer.kl().unwrap()
        };
        let mut g = loss(&mut layer).backward();
        let mut differences = |set: fn(&mut Own<M, LogUniform>, &[f64]), at: Vec<f64>| -> Vec<f64> {
            let of = |i: usize| {
                let mut moved = |by: f64| {
                    let mut to = at.clone();
                    to[i] += by;
                    set(&mut layer, &to);
                    loss(&mut layer).array()
                };
                (moved(1e-5) - moved(-1e-5)) / 2e-5
            };
            let found = (0..at.len()).map(of).collect();
            set(&mut layer, &at);
            found
        };
        let (theta, rho) = (self::layer::<M, LogUniform, f64>().theta, self::layer::<M, LogUniform, f64>().spread);
        let by_theta = differences(|layer, to| layer.theta.copy_from(to), floats(&theta));
        let by_rho = differences(|layer, to| layer.spread.copy_from(to), floats(&rho));
        let what = format!("{:?}, {estimator:?}, composed: {composed}", layer.map);
        assert!(by_rho.iter().all(|d| d.abs() > 1e-6), "{what}: {by_rho:?}");
        close(&what, &gradient(&mut g, &layer.theta), &by_theta, 1e-7, |_| 1.0);
        close(&what, &gradient(&mut g, &layer.spread), &by_rho, 1e-7, |_| 1.0);
    }
}

#[test]
fn its_gradients_are_finite_differences() {
    differentiates::<Dense, _>(&batch::<5, f64>(4, &wave(20)));
    let images: Tensor<(usize, Const<4>, usize, usize), f64, Cpu> =
        Cpu::default().tensor_from_vec(wave(2 * 4 * 9), (2, Const, 3, 3));
    differentiates::<Grouped, _>(&images);
}

/// `log alpha = 2 ln(softplus(rho) / |theta|)` decides, in the report, in `forward`, in training and in a compact network.
#[test]
fn it_prunes() {
    let mut layer = layer::<Dense, LogUniform, f64>();
    let (theta, rho) = (floats(&layer.theta), floats(&layer.spread));
    let log_alpha = |i: usize| 2.0 * (rho[i].exp().ln_1p() / theta[i].abs()).ln();
    let kept: Vec<bool> = (0..15).map(|i| log_alpha(i) < 1.0).collect();
    let count = kept.iter().filter(|kept| **kept).count();
    assert!((3..13).contains(&count), "{count}: both happen");
    assert_eq!(layer.kept(1.0), kept);
    assert_eq!(layer.sparsity(1.0).unwrap().kept(), count);

    let unit = batch::<5, f64>(5, &(0..25).map(|i| f64::from(i % 6 == 0)).collect::<Vec<_>>());
    let bias = floats(&layer.bias);
    // Row i of the output is column i of the weights, and the bias.
    let expected: Vec<f64> = (0..15)
        .map(|at| (at % 3 * 5 + at / 3, at % 3))
        .map(|(i, o)| bias[o] + if kept[i] { theta[i] } else { 0.0 })
        .collect();
    let pruned = floats(&layer.with_weights(Weights::Pruned(1.0)).unwrap().forward(unit.clone()));
    close("pruned", &pruned, &expected, 1e-12, |_| 1.0);
    let small = compact(&layer, &[5], 1.0).unwrap();
    let x: Vec<f32> = unit.as_vec().iter().map(|x| *x as f32).collect();
    let mut scratch = Scratch::default();
    let y: Vec<f64> = small.forward(&x, &mut scratch).unwrap().iter().map(|y| f64::from(*y)).collect();
    close("compact", &y, &expected, 1e-6, |_| 1.0); // single precision

    layer.settings.masking = Masking::Weights(1.0);
    for composed in [false, true] {
        layer.composed = composed;
        let mut g = layer.forward_mut(unit.leaky_trace()).square().sum::<Rank0, _>().backward();
        let (d_theta, d_rho) = (gradient(&mut g, &layer.theta), gradient(&mut g, &layer.spread));
        assert!((0..15).all(|i| (d_theta[i] != 0.0) == kept[i] && (d_rho[i] != 0.0) == kept[i]), "{composed}");
    }
}

type Net<Q> = (Variational<LinearMap<4, 3>, Q, LogUniform>, ReLU, Variational<LinearMap<3, 2>, Q, LogUniform>);
type BuiltNet<Q> = <Net<Q> as BuildOnDevice<Cpu, f32>>::Built;

fn net<Q: Family>(seed: u64) -> BuiltNet<Q> {
    let mut net = Cpu::seed_from_u64(seed).build_module::<Net<Q>, f32>();
    net.0.set_spread(-1.0 - seed as f64).unwrap();
    net
}

fn mismatches(result: Result<(), Error>) -> Vec<String> {
    match result {
        Err(Error::File(FileError::Mismatch(problems))) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_saved_and_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("posterior.safetensors");
    let (from, mut to) = (net::<Softplus>(1), net::<Softplus>(2));
    save_posterior(&from, &path).unwrap();
    let bytes = posterior_to_bytes(&from, &()).unwrap();
    assert_ne!(bytes, posterior_to_bytes(&to, &()).unwrap());
    load_posterior(&mut to, &path).unwrap();
    assert_eq!(bytes, posterior_to_bytes(&to, &()).unwrap());
    assert_eq!(to.0.spread.as_vec(), [-2.0; 12]);

    let identifiers = posterior_about(&path).unwrap().layers.into_iter().map(|(_, layer)| layer.posterior.to_string());
    assert_eq!(identifiers.collect::<Vec<_>>(), ["softplus", "softplus"]);
    let names = Container::parse("posterior", 2, &bytes).unwrap().tensors.into_iter().map(|tensor| tensor.name);
    assert_eq!(names.collect::<Vec<_>>(), ["0.bias", "0.rho", "0.weight", "2.bias", "2.rho", "2.weight"]);
}

/// Also where only the identifier or a setting differs.
#[test]
fn a_file_of_another_posterior_is_refused() {
    fn refused<Q: Family>(mut to: BuiltNet<Q>, file: &[u8]) -> Vec<String> {
        let before = posterior_to_bytes(&to, &()).unwrap();
        let problems = mismatches(posterior_from_bytes(&mut to, file));
        assert_eq!(before, posterior_to_bytes(&to, &()).unwrap());
        problems
    }
    let file = posterior_to_bytes(&net::<Softplus>(1), &()).unwrap();
    let here = r#"its posterior is softplus in the file, power {"exponent":2.0} here"#;
    let expected = [format!("layer 0: {here}"), format!("layer 2: {here}")];
    assert_eq!(refused(net::<Power>(1), &file), expected);

    let problems = refused(net::<Additive>(1), &file);
    for part in ["layer 0: its posterior is softplus in the file, additive here", "`0.log_sigma2`", "`2.rho`"] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
    }

    let file = posterior_to_bytes(&net::<Power>(1), &()).unwrap();
    let mut other = net::<Power>(1);
    other.2.posterior.exponent = 3.0;
    let expected = r#"layer 2: its posterior is power {"exponent":2.0} in the file, power {"exponent":3.0} here"#;
    assert_eq!(refused(other, &file), [expected]);
}

/// A variance that is infinite by the posterior's formula is rejected, since a file with it could not be read again.
#[test]
fn a_variance_beyond_the_precision_is_refused() {
    let mut from = net::<Softplus>(1);
    from.2.spread.copy_from(&[-1.0, -1.0, -1.0, -1.0, 1e30, -1.0]);
    let result = posterior_to_bytes(&from, &());
    assert!(matches!(&result, Err(Error::File(FileError::Range { .. }))), "{result:?}");
}
