//! Gradients of graphs, not only of chains: an activation that goes into several parts, parts that meet again, several
//! outputs, on one tape or on several. All against finite differences, in `f64`.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::StandardNormal;
use sparsevd::dfdx::tensor::Gradients;
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{AvgPool2d, Bernoulli, Delta, Estimator, Family, Map, PerOutput, Reads, Taped};

type On<S> = Taped<S, f64, Cpu>;
type Off<S> = Tensor<S, f64, Cpu>;

/// A module from activations of a shape to activations of the same shape.
trait Part<S: Shape> {
    fn run(&mut self, x: On<S>) -> On<S>;
    /// The same noise from here on.
    fn seed(&mut self, _seed: u64) {}
    /// The trained tensors, in order; `f` may change their numbers.
    fn parameters(&mut self, _f: &mut dyn FnMut(&mut Vec<f64>)) {}
    /// Their gradients.
    fn gradients(&self, _of: &Gradients<f64, Cpu>) -> Vec<Vec<f64>> {
        Vec::new()
    }
}

impl<S: Shape, M: Reads<S, Output = S>, Q: Family, P: Prior> Part<S> for modules::Variational<M, Q, P, f64, Cpu> {
    fn run(&mut self, x: On<S>) -> On<S> {
        self.forward_mut(x)
    }
    fn seed(&mut self, seed: u64) {
        self.seed_noise(seed);
    }
    fn parameters(&mut self, f: &mut dyn FnMut(&mut Vec<f64>)) {
        change(&mut self.theta, f);
        if Q::TRAINED {
            change(&mut self.spread, f);
        }
        change(&mut self.bias, f);
    }
    fn gradients(&self, of: &Gradients<f64, Cpu>) -> Vec<Vec<f64>> {
        let mut found = vec![of.get(&self.theta).as_vec()];
        if Q::TRAINED {
            found.push(of.get(&self.spread).as_vec());
        }
        found.push(of.get(&self.bias).as_vec());
        found
    }
}

impl<S: Shape, const C: usize> Part<S> for modules::BatchNorm<C, f64>
where
    Self: ModuleMut<On<S>, Output = On<S>, Error = <Cpu as HasErr>::Err>,
{
    fn run(&mut self, x: On<S>) -> On<S> {
        self.forward_mut(x)
    }
    fn parameters(&mut self, f: &mut dyn FnMut(&mut Vec<f64>)) {
        change(&mut self.scale, f);
        change(&mut self.bias, f);
    }
    fn gradients(&self, of: &Gradients<f64, Cpu>) -> Vec<Vec<f64>> {
        vec![of.get(&self.scale).as_vec(), of.get(&self.bias).as_vec()]
    }
}

/// Without parameters.
struct Plain<F>(F);

impl<S: Shape, F: Fn(On<S>) -> On<S>> Part<S> for Plain<F> {
    fn run(&mut self, x: On<S>) -> On<S> {
        self.0(x)
    }
}

fn change<S: Shape>(tensor: &mut Off<S>, f: &mut dyn FnMut(&mut Vec<f64>)) {
    let mut numbers = tensor.as_vec();
    f(&mut numbers);
    tensor.copy_from(&numbers);
}

/// One step of a graph: a part and what it reads.
struct Step<S> {
    part: Box<dyn Part<S>>,
    reads: usize,
    /// True if it gets a tape of its own, as from `h.retaped()`; otherwise it is on the tape of the others.
    own_tape: bool,
    /// Added to the result, where there is one.
    joined: Option<usize>,
}

/// The objective: a weighted sum of the squares of all activations that no part reads, noise and all.
fn objective<S: Shape>(steps: &mut [Step<S>], x: &Off<S>) -> On<Rank0> {
    let (x, mut tape) = x.leaky_trace().split_tape();
    let last_use = |of: usize, steps: &[Step<S>]| steps.iter().rposition(|s| s.reads == of || s.joined == Some(of));
    let last: Vec<Option<usize>> = (0..=steps.len()).map(|of| last_use(of, steps)).collect();
    let mut values = vec![Some(x)];
    for (i, step) in steps.iter_mut().enumerate() {
        step.part.seed(i as u64);
        // What nobody reads again is handed over, so that it may be written over.
        let alone = last[step.reads] == Some(i) && step.joined != Some(step.reads);
        let h = if alone { values[step.reads].take() } else { values[step.reads].clone() }.unwrap();
        let y = step.part.run(h.put_tape(if step.own_tape { OwnedTape::default() } else { std::mem::take(&mut tape) }));
        let y = match step.joined.and_then(|other| values[other].clone()) {
            Some(other) => y + other,
            None => y,
        };
        let (y, more) = y.split_tape();
        tape = tape.merge(more);
        values.push(Some(y));
    }
    let heads = values.into_iter().enumerate().filter(|(i, _)| last[*i].is_none());
    let zero: Off<Rank0> = Cpu::default().zeros();
    heads.fold(zero.put_tape(tape), |sum, (i, head)| {
        let head = head.unwrap().put_tape(OwnedTape::default());
        sum + head.square().sum::<Rank0, _>() * (0.1 + i as f64)
    })
}

/// Compares the derivative along a random direction of each tensor. Differences err by the rounding, 1e-16 / step, and
/// by the curvature, step^2, which behind a batch norm of nearly equal numbers is large: one of three steps has to
/// agree.
fn is_right<S: Shape>(graph: u64, mut steps: Vec<Step<S>>, x: &Off<S>, random: &mut StdRng) {
    let gradients = objective(&mut steps, x).backward();
    for i in 0..steps.len() {
        for (which, found) in steps[i].part.gradients(&gradients).iter().enumerate() {
            let along: Vec<f64> = found.iter().map(|_| random.sample(StandardNormal)).collect();
            let mut moved = |by: f64| {
                let mut index = 0;
                steps[i].part.parameters(&mut |numbers| {
                    if index == which {
                        numbers.iter_mut().zip(&along).for_each(|(x, along)| *x += by * along);
                    }
                    index += 1;
                });
                objective(&mut steps, x).array()
            };
            let found: f64 = found.iter().zip(&along).map(|(g, along)| g * along).sum();
            let mut agrees = |step: f64| {
                let (above, below) = (moved(step), moved(-2.0 * step));
                let expected = (above - below) / (2.0 * step);
                moved(step);
                (found - expected).abs() < 1e-6 * (1.0 + found.abs() + above.abs())
            };
            assert!(
                [1e-5, 1e-6, 1e-7].into_iter().any(&mut agrees),
                "graph {graph}, step {i}, tensor {which}: {found}"
            );
        }
    }
}

/// A random graph of these parts.
fn graph<S: Shape>(random: &mut StdRng, part: impl Fn(&mut StdRng) -> Box<dyn Part<S>>) -> Vec<Step<S>> {
    let count = random.gen_range(2..8);
    let step = |i: usize, random: &mut StdRng| Step {
        part: part(random),
        reads: random.gen_range(0..=i),
        own_tape: random.gen_bool(0.5),
        joined: random.gen_bool(0.3).then(|| random.gen_range(0..=i)),
    };
    (0..count).map(|i| step(i, random)).collect()
}

/// A layer with a lot of noise, fused or composed, by any estimator.
fn layer<M: Map, Q: Family, P: Prior + Default>(random: &mut StdRng) -> modules::Variational<M, Q, P, f64, Cpu> {
    let mut layer = Cpu::seed_from_u64(random.r#gen()).build_module::<Variational<M, Q, P>, f64>();
    let estimators = [Estimator::LocalReparameterisation, Estimator::WeightSampling, Estimator::Flipout];
    let estimator = estimators[random.gen_range(0..3)];
    layer.settings = Settings { estimator, ..Settings::default() };
    layer.composed = random.gen_bool(0.5);
    layer.set_spread(-2.0).unwrap();
    layer
}

fn vectors(random: &mut StdRng) -> Box<dyn Part<(usize, Const<3>)>> {
    type Map = LinearMap<3, 3>;
    match random.gen_range(0..8) {
        0 => Box::new(layer::<Map, Additive, LogUniform>(random)),
        1 => Box::new(layer::<Map, Multiplicative<PerOutput>, LogUniform>(random)),
        2 => Box::new(layer::<Map, Delta, Flat>(random)),
        3 => Box::new(layer::<Map, Bernoulli, Flat>(random)),
        4 => Box::new(Cpu::default().build_module::<BatchNorm<3>, f64>()),
        5 | 6 => Box::new(Plain(|x| ReLU.forward(x))),
        _ => Box::new(Plain(|x: On<(usize, Const<3>)>| x.tanh())),
    }
}

fn pictures(random: &mut StdRng) -> Box<dyn Part<(usize, Const<2>, usize, usize)>> {
    type Map = Conv2dMap<2, 2, 3, 1, 1>;
    match random.gen_range(0..8) {
        0 => Box::new(layer::<Map, Additive, LogUniform>(random)),
        1 => Box::new(layer::<Map, Multiplicative<PerOutput>, LogUniform>(random)),
        2 => Box::new(layer::<Map, Delta, Flat>(random)),
        3 => Box::new(Cpu::default().build_module::<BatchNorm<2>, f64>()),
        4 => Box::new(Plain(|x| ReLU.forward(x))),
        5 => Box::new(Plain(|x| MaxPool2d::<3, 1, 1>.forward(x))),
        6 => Box::new(Plain(|x| AvgPool2d::<3, 1, 1>.forward(x))),
        _ => Box::new(Plain(|x: On<(usize, Const<2>, usize, usize)>| x.tanh())),
    }
}

#[test]
fn of_vectors() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let steps = graph(&mut random, vectors);
        is_right(seed, steps, &Cpu::seed_from_u64(seed).sample_normal_like(&(5, Const)), &mut random);
    }
}

#[test]
fn of_images() {
    for seed in 0..100 {
        let mut random = StdRng::seed_from_u64(seed);
        let steps = graph(&mut random, pictures);
        is_right(seed, steps, &Cpu::seed_from_u64(seed).sample_normal_like(&(3, Const, 4, 5)), &mut random);
    }
}

/// A tensor that is data in one pass is not data in the next.
#[test]
fn data_can_be_asked_for_their_gradient_later() {
    let mut layer = Cpu::seed_from_u64(1).build_module::<SparseVdLinear<4, 3>, f64>();
    let x: Off<(usize, Const<4>)> = Cpu::seed_from_u64(2).sample_normal_like(&(5, Const));
    let input = layer.input(x.clone());
    layer.forward_mut(input);
    let mut loss = |x: &Off<(usize, Const<4>)>| {
        layer.seed_noise(3);
        layer.forward_mut(x.leaky_trace()).square().sum::<Rank0, _>()
    };
    let found = loss(&x).backward().get(&x).as_vec();
    for (i, found) in found.iter().enumerate() {
        let mut at = |step: f64| {
            let mut numbers = x.as_vec();
            numbers[i] += step;
            loss(&Cpu::default().tensor_from_vec(numbers, *x.shape())).array()
        };
        let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{i}: {found}, not {expected}");
    }
}

/// A trunk with two heads, in each of the ways that a user can write.
#[test]
fn a_trunk_gets_the_gradients_of_both_heads() {
    type Net = (SparseVdLinear<4, 4>, SparseVdLinear<4, 4>, SparseVdLinear<4, 4>);
    type Vectors = (usize, Const<4>);
    type Heads = fn(&mut <Net as BuildOnDevice<Cpu, f64>>::Built, On<Vectors>) -> (On<Vectors>, On<Vectors>);
    let empty_tape: Heads = |net, x| {
        let h = net.0.forward_mut(x);
        (net.1.forward_mut(h.with_empty_tape()), net.2.forward_mut(h))
    };
    let retaped: Heads = |net, x| {
        let (h, tape) = net.0.forward_mut(x).split_tape();
        (net.1.forward_mut(h.clone().put_tape(tape)), net.2.forward_mut(h.retaped::<OwnedTape<_, _>>()))
    };
    let one_after_the_other: Heads = |net, x| {
        let (h, tape) = net.0.forward_mut(x).split_tape();
        let (a, tape) = net.1.forward_mut(h.clone().put_tape(tape)).split_tape();
        (a.put_tape(OwnedTape::default()), net.2.forward_mut(h.put_tape(tape)))
    };
    let net = Cpu::seed_from_u64(1).build_module::<Net, f64>();
    let x: Off<Vectors> = Cpu::seed_from_u64(2).sample_normal_like(&(8, Const));
    for heads in [empty_tape, retaped, one_after_the_other] {
        for known_as_data in [false, true] {
            let loss = |mut net: <Net as BuildOnDevice<Cpu, f64>>::Built| {
                net.layers_mut().into_iter().for_each(|(_, layer)| layer.seed_noise(3));
                let x = if known_as_data { net.input(x.clone()) } else { x.leaky_trace() };
                let (a, b) = heads(&mut net, x);
                a.square().sum::<Rank0, _>() + b.square().sum::<Rank0, _>() * 3.0
            };
            let found = loss(net.clone()).backward().get(&net.0.theta).as_vec();
            for (i, found) in found.iter().enumerate() {
                let at = |step: f64| {
                    let mut net = net.clone();
                    change(&mut net.0.theta, &mut |theta| theta[i] += step);
                    loss(net).array()
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{i}: {found}, not {expected}");
            }
        }
    }
}
