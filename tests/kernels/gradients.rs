//! The gradients of the whole objective, against central differences with the noise frozen.

use crate::common::{batch, close, compose, floats, gradient, largest, put};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Bernoulli, Delta, Estimator, Family, Fixed, PerLayer, PerOutput, PerWeight, Taped};

const ROWS: usize = 5;
const LABELS: [usize; ROWS] = [0, 2, 1, 1, 2];

type Input<T = dfdx::prelude::NoneTape> = Tensor<(usize, Const<3>), f64, Cpu, T>;
type Net<Q, P> = (Variational<LinearMap<3, 4>, Q, P>, Tanh, Variational<LinearMap<4, 3>, Q, P>);
type Built<Q, P> = (
    modules::Variational<LinearMap<3, 4>, Q, P, f64, Cpu>,
    Tanh,
    modules::Variational<LinearMap<4, 3>, Q, P, f64, Cpu>,
);

/// A network with random parameters, and an input.
fn setting<Q: Family, P: Prior + Default>(settings: Settings, prior: P) -> (Built<Q, P>, Input) {
    let mut random = StdRng::seed_from_u64(4);
    let mut numbers = |low: f64, high: f64| -> Vec<f64> { (0..16).map(|_| random.gen_range(low..high)).collect() };
    let mut net = Cpu::seed_from_u64(0).build_module::<Net<Q, P>, f64>();
    put(&mut net.0.theta, &numbers(-1.0, 1.0));
    put(&mut net.0.spread, &numbers(-4.0, 0.0));
    put(&mut net.0.bias, &numbers(-1.0, 1.0));
    put(&mut net.2.theta, &numbers(-1.0, 1.0));
    put(&mut net.2.spread, &numbers(-4.0, 0.0));
    put(&mut net.2.bias, &numbers(-1.0, 1.0));
    net.configure(settings);
    net.set_prior(prior).unwrap();
    (net, batch::<3, f64>(ROWS, &numbers(-2.0, 2.0)))
}

/// `NLL + beta KL / N`, whose KL counts about as much as the NLL.
fn objective<Q: Family, P: Prior + Default>(
    net: &mut Built<Q, P>,
    x: Input<OwnedTape<f64, Cpu>>,
) -> Taped<Rank0, f64, Cpu> {
    net.0.seed_noise(21);
    net.2.seed_noise(22);
    let nll = categorical(net.forward_mut(x), &LABELS).unwrap();
    Elbo::new(40).unwrap().beta(0.7).unwrap().loss(net, nll, 0.0).unwrap().objective
}

/// The gradients of every parameter of the network, in a row.
fn of_parameters<Q: Family, P: Prior + Default>(
    net: &Built<Q, P>,
    g: &mut dfdx::prelude::Gradients<f64, Cpu>,
) -> Vec<f64> {
    let (a, b) = (&net.0, &net.2);
    let first = [gradient(g, &a.theta), gradient(g, &a.spread), gradient(g, &a.bias)];
    let second = [gradient(g, &b.theta), gradient(g, &b.spread), gradient(g, &b.bias)];
    [first.concat(), second.concat()].concat()
}

/// Central differences with h = 1e-5 err by h^2 f'''/6 ~ 1e-10 and by the rounding 1e-16/h ~ 1e-11: 1e-7 of the
/// largest.
fn hold<Q: Family, P: Prior + Default>(settings: Settings, composed: bool, prior: P) {
    let (mut net, mut x) = setting::<Q, P>(settings, prior);
    compose(&mut net, composed);
    let mut gradients = objective(&mut net, x.leaky_trace()).backward();
    let exact = [of_parameters(&net, &mut gradients), gradient(&mut gradients, &x)].concat();

    let mut numeric = Vec::new();
    macro_rules! differences {
        ($($tensor:expr),+) => {$({
            let at = floats(&$tensor);
            for i in 0..at.len() {
                let mut moved = |h: f64| {
                    let mut to = at.clone();
                    to[i] += h;
                    put(&mut $tensor, &to);
                    objective(&mut net, x.leaky_trace()).array()
                };
                numeric.push((moved(1e-5) - moved(-1e-5)) / 2e-5);
            }
            put(&mut $tensor, &at);
        })+};
    }
    differences!(net.0.theta, net.0.spread, net.0.bias, net.2.theta, net.2.spread, net.2.bias, x);
    let unit = largest(&numeric);
    assert!(unit > 0.01);
    close(std::any::type_name::<Q>(), &exact, &numeric, 1e-7, |_| unit);
}

/// All estimators on both paths.
fn everywhere<Q: Family, P: Prior + Default>(prior: &P) {
    for estimator in [Estimator::LocalReparameterisation, Estimator::WeightSampling, Estimator::Flipout] {
        for composed in [false, true] {
            hold::<Q, P>(Settings { estimator, ..Settings::default() }, composed, prior.clone());
        }
    }
}

#[test]
fn additive() {
    everywhere::<Additive, _>(&LogUniform::Fit);
    everywhere::<Additive, _>(&LogUniform::Exact);
}

/// The objective refits the scale at every point; the gradient holds it fixed, and is exact all the same.
#[test]
fn learned_scales() {
    everywhere::<Additive, _>(&Gaussian::learned());
    everywhere::<Additive, _>(&Ard::per_weight());
    everywhere::<Additive, _>(&Ard::per_output());
    everywhere::<Additive, _>(&Ard::per_input());
    everywhere::<Multiplicative<PerOutput>, _>(&Ard::per_input());
}

#[test]
fn multiplicative() {
    everywhere::<Multiplicative<PerWeight>, _>(&LogUniform::Fit);
    everywhere::<Multiplicative<PerOutput>, _>(&LogUniform::Fit);
    everywhere::<Multiplicative<PerLayer>, _>(&Gaussian::new(0.5).unwrap());
    everywhere::<Multiplicative<Fixed>, _>(&Ard::per_layer());
}

#[test]
fn without_gaussian_noise() {
    for composed in [false, true] {
        hold::<Bernoulli, Flat>(Settings::default(), composed, Flat);
        hold::<Delta, Flat>(Settings::default(), composed, Flat);
    }
}

/// Without the gradient of the data those of the parameters are the same.
#[test]
fn data_known_as_such_give_the_same_gradients() {
    fn same<Q: Family>() {
        for estimator in [Estimator::LocalReparameterisation, Estimator::WeightSampling, Estimator::Flipout] {
            for composed in [false, true] {
                let settings = Settings { estimator, masking: Masking::Means(0.0) };
                let (mut net, x) = setting::<Q, LogUniform>(settings, LogUniform::Fit);
                compose(&mut net, composed);
                let mut any = objective(&mut net, x.leaky_trace()).backward();
                let data = net.input(x);
                let mut data = objective(&mut net, data).backward();
                let (any, data) = (of_parameters(&net, &mut any), of_parameters(&net, &mut data));
                assert!(largest(&any) > 0.01);
                assert_eq!(any, data);
            }
        }
    }
    same::<Additive>();
    same::<Multiplicative<PerOutput>>();
    same::<Bernoulli>();
    same::<Delta>();
}
