//! Training: that it learns, prunes and stops, and what it says when it cannot.

use std::ops::ControlFlow;

use crate::common::{compose, floats};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Delta, Fixed, GaussianLikelihood, History, Schedule, THRESHOLD, WarmUp, Warning};

fn digits() -> Split {
    Split::optdigits().unwrap().centred()
}

/// 300 digits: what an error takes to happen.
fn few() -> Dataset {
    digits().into_parts().0.take(300, 0).unwrap()
}

fn trainer() -> Trainer {
    Trainer { epochs: 2, batch: 50, progress: false, ..Trainer::default() }
}

type Net = (SparseVdLinear<64, 32>, ReLU, SparseVdLinear<32, 10>);
type Built = (
    modules::Variational<LinearMap<64, 32>, Additive, LogUniform, f32, Cpu>,
    ReLU,
    modules::Variational<LinearMap<32, 10>, Additive, LogUniform, f32, Cpu>,
);

fn net() -> Built {
    Cpu::seed_from_u64(2).build_module::<Net, f32>()
}

fn error(net: &mut Built, split: &Split, how: Evaluate) -> f64 {
    predict(net, split.test(), how).unwrap().score(split.test().labels()).unwrap().error
}

/// The results of a training run on the digits.
#[derive(Debug)]
struct Learned {
    sparsity: f64,
    mean: f64,
    pruned: f64,
    samples: f64,
}

/// Trains on the digits, from weights and noise of this seed.
fn learn_the_digits(split: &Split, seed: u64) -> (Built, History, Learned) {
    let mut net = Cpu::seed_from_u64(2 + seed).build_module::<Net, f32>();
    let trainer = Trainer { epochs: 60, learning_rate: 3e-3, warm_up: WarmUp::Epochs(5.0, 25.0), seed, ..trainer() };
    let history = trainer.fit(&mut net, split.train()).unwrap();
    let learned = Learned {
        sparsity: history.epochs[59].sparsity.sparsity(),
        mean: error(&mut net, split, Evaluate::Mean),
        pruned: error(&mut net, split, Evaluate::Pruned(THRESHOLD)),
        samples: error(&mut net, split, Evaluate::Samples { count: 8, seed: 1 }),
    };
    (net, history, learned)
}

#[test]
fn a_sparse_network_learns_the_digits() {
    let split = digits();
    let (mut net, history, learned) = learn_the_digits(&split, 0);
    let (first, last) = (&history.epochs[0], &history.epochs[59]);
    assert!(last.nll < 0.5 * first.nll && last.train_error < first.train_error);
    assert_eq!((first.beta, last.beta, history.stopped), (0.0, 1.0, false));
    // 2,368 weights. Log alpha at the start exceeds 3 where |theta| < e^-6.5 = 0.0015: about 1 % of U(-0.125, 0.125).
    assert!(history.sparsity_at_start < 0.03, "{}", history.sparsity_at_start);
    assert_eq!(last.sparsity, net.sparsity(THRESHOLD).unwrap());
    within_bounds(&learned);
    // Evaluation leaves the means in place.
    assert_eq!(error(&mut net, &split, Evaluate::Mean), learned.mean);
}

/// Ten seeds gave these means and standard deviations, and the bounds are six of these away:
///
/// ```text
/// sparsity 0.734 ± 0.0064     error of the means 3.97 % ± 0.21     of samples 4.37 % ± 0.39     pruned - mean 0.02 % ± 0.065
/// cargo test -p sparsevd --test suite the_digits_are_learned_from_any_seed -- --ignored --nocapture
/// ```
/// Another seed, or other last digits from another processor, is beyond one of four with a chance of some 6e-4, by Student's
/// t for a deviation that is known from ten.
fn within_bounds(learned: &Learned) {
    let Learned { sparsity, mean, pruned, samples } = learned;
    assert!(*sparsity > 0.695, "{learned:?}");
    assert!(*mean < 0.053 && *samples < 0.068, "{learned:?}");
    assert!((pruned - mean).abs() < 0.0042, "{learned:?}");
}

#[test]
#[ignore = "ten training runs; what the bounds of one are made from"]
fn the_digits_are_learned_from_any_seed() {
    let split = digits();
    let runs: Vec<Learned> = (0..10).map(|seed| learn_the_digits(&split, seed).2).collect();
    println!("{runs:#?}");
    runs.iter().for_each(within_bounds);
}

#[test]
fn the_caller_sees_every_epoch_and_may_stop() {
    let (mut net, test) = (net(), few());
    let mut seen = Vec::new();
    let history = Trainer { epochs: 5, ..trainer() }
        .fit_with(&mut net, &few(), |net, epoch| {
            epoch.test = predict(net, &test, Evaluate::Mean).unwrap().score(test.labels()).ok();
            seen.push((epoch.epoch, net.layers().len()));
            Ok(if epoch.epoch == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
    assert_eq!(seen, [(0, 2), (1, 2)]);
    assert!(history.stopped && history.epochs.len() == 2);
    assert!(history.epochs.iter().all(|epoch| epoch.test.is_some()));
}

#[test]
fn what_training_leaves_alone_stays() {
    type Net = (
        Variational<LinearMap<64, 20, false>, Multiplicative<Fixed>, Flat>,
        ReLU,
        Variational<LinearMap<20, 10>, Delta, Flat>,
    );
    let mut net = Cpu::seed_from_u64(2).build_module::<Net, f32>();
    let before = floats(&net.0.theta);
    trainer().fit(&mut net, &few()).unwrap();
    assert_ne!(floats(&net.0.theta), before);
    assert_eq!((floats(&net.0.spread), floats(&net.2.spread)), (vec![0.0], vec![0.0]));
    assert_eq!(floats(&net.0.bias), [0.0; 20]);
}

#[test]
fn a_diverging_training_says_where() {
    for composed in [false, true] {
        let mut net = net();
        compose(&mut net, composed);
        let result = Trainer { learning_rate: 1e6, ..trainer() }.fit(&mut net, &few());
        let Err(Error::NotFinite { value, place, at: Some((epoch, step)), .. }) = result else { panic!("{result:?}") };
        // Weights of 1e6 overflow in the output while they are still finite.
        assert!(!value.is_finite() && (place.starts_with("layer ") || place == "the output"), "{place}: {value}");
        assert!(epoch == 0 && step >= 1, "epoch {epoch}, step {step}");
    }
    // A NaN that was there from the start is found in the layer that holds it.
    let mut net = net();
    net.2.spread.copy_from(&[f32::NAN; 320]);
    let result = trainer().fit(&mut net, &few());
    let Err(Error::NotFinite { what, place, at: Some((0, 0)), .. }) = result else { panic!("{result:?}") };
    assert_eq!((what.as_str(), place.as_str()), ("log_sigma2", "layer 2"));
    // Infinite in single precision.
    let result = Trainer { learning_rate: 1e39, ..trainer() }.fit(&mut self::net(), &few());
    let Err(Error::Setting { name: "learning_rate", .. }) = result else { panic!("{result:?}") };
    // The parts are finite, what they add up to is not.
    let result = Trainer { beta: 1e300, warm_up: WarmUp::Off, ..trainer() }.fit(&mut self::net(), &few());
    let Err(Error::NotFinite { what, at: Some((0, 0)), .. }) = result else { panic!("{result:?}") };
    assert_eq!(what, "beta KL / N");
}

#[test]
fn settings_out_of_range_are_named() {
    let refused = |trainer: Trainer| match trainer.fit(&mut net(), &few()) {
        Err(Error::Setting { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Trainer { batch: 0, ..trainer() }), "batch");
    assert_eq!(refused(Trainer { batch: 301, ..trainer() }), "batch");
    for learning_rate in [0.0, -1e-3, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(Trainer { learning_rate, ..trainer() }), "learning_rate");
    }
    for beta in [-0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(Trainer { beta, ..trainer() }), "beta");
    }
    assert_eq!(refused(Trainer { warm_up: WarmUp::Epochs(5.0, 2.0), ..trainer() }), "end of the warm-up");
    assert_eq!(refused(Trainer { warm_up: WarmUp::Epochs(-1.0, 2.0), ..trainer() }), "start of the warm-up");
    assert_eq!(refused(Trainer { warm_up: WarmUp::Epochs(f64::NAN, 2.0), ..trainer() }), "start of the warm-up");
    assert_eq!(refused(Trainer { warm_up: WarmUp::Epochs(0.0, f64::INFINITY), ..trainer() }), "end of the warm-up");
    for from in [-0.1, 1.1, f64::NAN] {
        assert_eq!(refused(Trainer { schedule: Schedule::LinearToZero { from }, ..trainer() }), "schedule.from");
    }
    for factor in [0.0, 1.5, f64::NAN] {
        let schedule = Schedule::Steps { at: vec![1], factor };
        assert_eq!(refused(Trainer { schedule, ..trainer() }), "schedule.factor");
    }
    let samples = Evaluate::Samples { count: 0, seed: 0 };
    assert!(matches!(predict(&mut net(), &few(), samples), Err(Error::Setting { .. })));
    assert!(matches!(Elbo::new(0), Err(Error::Setting { .. })));
}

#[test]
fn data_that_does_not_fit_is_named() {
    let data = |pixels: usize, classes: usize| {
        Dataset::new("made up", [1, 1, pixels], classes, vec![0.5; 60 * pixels], vec![classes - 1; 60]).unwrap()
    };
    let message = |data: &Dataset| match trainer().fit(&mut net(), data) {
        Err(Error::Input(message)) => message,
        other => panic!("{other:?}"),
    };
    let pixels = message(&data(16, 10));
    assert!(pixels.contains("64") && pixels.contains("16") && pixels.contains("made up"), "{pixels}");
    let classes = "made up has 11 classes, the network scores for 10";
    assert_eq!(message(&data(64, 11)), classes);
    predict(&mut net(), &data(64, 11), Evaluate::Mean).expect("what it makes of other data");
    assert!(matches!(predict(&mut net(), &data(16, 10), Evaluate::Mean), Err(Error::Input(_))));
}

/// A module that lets the gradient end: dfdx's own layer with what comes before it off the tape.
#[test]
fn a_layer_that_cannot_be_trained_is_not_passed_over() {
    let mut net = Cpu::seed_from_u64(2).build_module::<(DenseLinear<64, 20>, ArdLinear<20, 10>), f32>();
    let x: Tensor<(usize, Const<64>), f32, Cpu> = Cpu::seed_from_u64(1).sample_normal_like(&(2, Const));
    let h = net.0.forward(x);
    let nll = categorical(net.1.forward_mut(h.leaky_traced()), &[0, 1]).unwrap();
    let result = Adam::new(1e-3).step(&mut net, nll);
    let Err(Error::Input(message)) = result else { panic!("{result:?}") };
    assert!(message.starts_with("no gradient for 0.weight, 0.bias;"), "{message}");
}

/// A tensor that takes the place of another between two steps is trained from then on.
#[test]
fn a_tensor_that_is_replaced_is_trained() {
    let dev = Cpu::seed_from_u64(1);
    let mut net = dev.build_module::<SparseVdLinear<3, 2>, f32>();
    let (mut adam, elbo) = (Adam::new(0.1), Elbo::new(10).unwrap());
    for step in 0..30 {
        if step == 20 {
            net.theta = net.theta.clone() * 0.5;
        }
        let before = net.theta.as_vec();
        let x: Tensor<(usize, Const<3>), f32, Cpu> = dev.sample_normal_like(&(4, Const));
        let x = net.input(x);
        let nll = categorical(net.forward_mut(x), &[0, 1, 0, 1]).unwrap();
        let loss = elbo.loss(&net, nll, 0.0).unwrap();
        adam.step(&mut net, loss.objective).unwrap();
        let moved: Vec<f32> =
            net.theta.as_vec().iter().zip(before).map(|(after, before)| (after - before).abs()).collect();
        assert!(moved.iter().all(|x| *x < 0.15), "steps of about the learning rate: {step}, {moved:?}");
        assert!(![0, 20].contains(&step) || moved.iter().all(|x| *x > 0.09), "the first is one: {step}, {moved:?}");
    }
}

/// `y = 2 x - 1 + 0.3 eps`, 400 examples with x ~ N(0, 1): the standard errors are 0.3 / sqrt(400) = 0.015 of slope and
/// intercept, and 0.3 / sqrt(800) = 0.011 of the noise level. With other seeds, 4.5 of them are exceeded in 7e-6 of cases.
#[test]
fn regression_learns_the_noise_level() {
    let mut random = rand::rngs::StdRng::seed_from_u64(6);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let x: Vec<f64> = (0..400).map(|_| normal()).collect();
    let y: Vec<f64> = x.iter().map(|x| 2.0 * x - 1.0 + 0.3 * normal()).collect();
    let dev = Cpu::seed_from_u64(1);
    let x: Tensor<(usize, Const<1>), f64, Cpu> = dev.tensor_from_vec(x, (400, Const));
    let y: Tensor<(usize, Const<1>), f64, Cpu> = dev.tensor_from_vec(y, (400, Const));
    let mut net = dev.build_module::<(GaussianLinear<1, 1>, GaussianLikelihood), f64>();
    let elbo = Elbo::new(400).unwrap();
    let mut adam = Adam::new(0.03);
    let mut nll = 0.0;
    for step in 0..600 {
        adam.learning_rate = 0.03 * (1.0 - f64::from(step) / 600.0);
        let outputs = net.0.forward_mut(x.leaky_trace());
        let loss = elbo.loss(&net, net.1.nll(outputs, y.clone()).unwrap(), 0.0).unwrap();
        nll = loss.nll;
        adam.step(&mut net, loss.objective).unwrap();
    }
    let noise = (0.5 * net.1.log_noise.array()).exp();
    assert!((noise - 0.3).abs() < 4.5 * 0.011, "{noise}");
    let (slope, intercept) = (net.0.theta.array()[0][0], net.0.bias.array()[0]);
    assert!((slope - 2.0).abs() < 4.5 * 0.015 && (intercept + 1.0).abs() < 4.5 * 0.015, "{slope} {intercept}");
    // At the best noise level s, ln s + ln(2 pi e) / 2 nats per example. That of the last pass differs by its noise in the
    // slope, whose deviation is the standard error: 0.3 * 0.015 / sqrt(400) / 0.3^2 = 0.0025 nats, or 0.011 in 4.5 of these.
    let expected = noise.ln() + 0.5 * (std::f64::consts::TAU * std::f64::consts::E).ln();
    assert!((nll - expected).abs() < 0.011, "{nll}, not {expected}");
}

#[test]
fn the_likelihoods_are_those_of_their_formulas() {
    let dev = Cpu::default();
    let logits: Tensor<(usize, Const<3>), f64, Cpu> =
        dev.tensor_from_vec(vec![0.0, 1.0, 2.0, -1.0, 0.5, 0.0], (2, Const));
    let nll = |labels: &[usize]| categorical(logits.leaky_trace(), labels);
    let of_known_size: Tensor<Rank2<2, 3>, f64, Cpu> = dev.tensor([[0.0, 1.0, 2.0], [-1.0, 0.5, 0.0]]);
    assert_eq!(categorical(of_known_size.leaky_trace(), &[1, 0]).unwrap().array(), nll(&[1, 0]).unwrap().array());
    let log_sum = |x: [f64; 3]| x.map(f64::exp).iter().sum::<f64>().ln();
    let expected = 0.5 * ((log_sum([0.0, 1.0, 2.0]) - 1.0) + (log_sum([-1.0, 0.5, 0.0]) + 1.0));
    assert!((nll(&[1, 0]).unwrap().array() - expected).abs() < 1e-12);
    assert!(matches!(nll(&[1, 3]), Err(Error::Input(_))) && matches!(nll(&[1]), Err(Error::Input(_))));

    // Two data of two outputs, log s^2 = ln 4: sum over outputs of (y - f)^2 / 8 + ln 2 + ln(2 pi) / 2, then the mean.
    let mut likelihood = dev.build_module::<GaussianLikelihood, f64>();
    likelihood.log_noise = dev.tensor(4_f64.ln());
    let f: Tensor<(usize, Const<2>), f64, Cpu> = dev.tensor_from_vec(vec![0.0, 1.0, 2.0, 3.0], (2, Const));
    let y: Tensor<(usize, Const<2>), f64, Cpu> = dev.tensor_from_vec(vec![1.0, 1.0, 0.0, 6.0], (2, Const));
    let expected = 0.5 * (1.0 + 4.0 + 9.0) / 8.0 + 2.0 * (2_f64.ln() + 0.5 * std::f64::consts::TAU.ln());
    assert!((likelihood.nll(f.leaky_trace(), y).unwrap().array() - expected).abs() < 1e-12);
    let fewer: Tensor<(usize, Const<2>), f64, Cpu> = dev.tensor_from_vec(vec![1.0, 1.0], (1, Const));
    assert!(matches!(likelihood.nll(f.leaky_trace(), fewer), Err(Error::Input(_))));
}

#[test]
fn the_objective_weighs_the_kl() {
    let elbo = Elbo::new(50).unwrap().beta(0.5).unwrap().warm_up(2.0, 6.0).unwrap();
    assert_eq!([0.0, 2.0, 3.0, 4.0, 6.0, 99.0].map(|e| elbo.beta_at(e)), [0.0, 0.0, 0.125, 0.25, 0.5, 0.5]);
    let step = Elbo::new(50).unwrap().warm_up(3.0, 3.0).unwrap();
    assert_eq!([2.0, 3.0, 4.0].map(|e| step.beta_at(e)), [0.0, 1.0, 1.0]);
    assert_eq!(Elbo::new(1).unwrap().beta_at(0.0), 1.0);

    let net = Cpu::seed_from_u64(2).build_module::<ArdLinear<5, 5>, f64>();
    let nll = Cpu::default().tensor(1.25).leaky_trace();
    let loss = elbo.loss(&net, nll, 4.0).unwrap();
    let kl = floats(&net.kl().unwrap())[0];
    assert_eq!((loss.nll, loss.kl, loss.beta), (1.25, kl, 0.25));
    assert!(kl > 1.0 && (loss.objective.array() - (1.25 + 0.25 * kl / 50.0)).abs() < 1e-12);
}

/// The recipe of the experiments: the KL waits until the network has learned something.
#[test]
fn the_kl_warms_up_over_the_first_half_of_the_epochs() {
    let trainer = Trainer::default();
    assert_eq!(trainer.warm_up.between(trainer.epochs), (5.0, 50.0));
    assert_eq!(WarmUp::Epochs(2.0, 7.0).between(20), (2.0, 7.0));
    assert_eq!(WarmUp::Off.between(20), (0.0, 0.0));
    let history = Trainer { epochs: 4, ..self::trainer() }.fit(&mut net(), &few()).unwrap();
    assert_eq!(history.epochs.iter().map(|epoch| epoch.beta).collect::<Vec<_>>(), [0.0, 0.8 / 1.8, 1.0, 1.0]);
}

/// Without a warm-up a Gaussian prior prunes everything before anything is learned.
#[test]
fn a_training_that_collapses_says_so() {
    let mut net = Cpu::seed_from_u64(2).build_module::<(GaussianLinear<64, 20>, ReLU, GaussianLinear<20, 10>), f32>();
    let collapses = Trainer { epochs: 30, learning_rate: 0.02, warm_up: WarmUp::Off, ..trainer() };
    let history = collapses.fit(&mut net, &few()).unwrap();
    assert_eq!(history.warning(), Some(Warning::AllPruned));
    assert!(history.epochs[0].warning.is_none(), "not yet");
    let text = history.warning().unwrap().to_string();
    assert!(text.contains("every weight would be pruned") && text.contains("warm_up"), "{text}");

    // The same number of labels of each class, whatever the input: ln 10 nats.
    let mut blind =
        Dataset::new("blind", [1, 1, 64], 10, vec![0.0; 64 * 300], (0..300).map(|i| i % 10).collect()).unwrap();
    let history = trainer().fit(&mut self::net(), &blind).unwrap();
    assert_eq!(history.warning(), Some(Warning::NothingLearned));
    // Nine in ten of one class: knowing that alone is 0.5 nats, far below ln 10.
    let labels = (0..300).map(|i| if i % 10 == 0 { 1 + i / 10 % 9 } else { 0 }).collect();
    blind = Dataset::new("one in ten", [1, 1, 64], 10, vec![0.0; 64 * 300], labels).unwrap();
    let history = Trainer { epochs: 20, learning_rate: 0.03, ..trainer() }.fit(&mut self::net(), &blind).unwrap();
    assert_eq!(history.warning(), Some(Warning::NothingLearned));
    let learns = Trainer { epochs: 20, learning_rate: 0.01, ..trainer() };
    assert_eq!(learns.fit(&mut self::net(), &few()).unwrap().warning(), None);
    // One step an epoch, and no more than 20 in all.
    let few_steps = Trainer { batch: 300, ..learns };
    let history = few_steps.fit(&mut self::net(), &few()).unwrap();
    assert!(
        history.epochs.iter().all(|epoch| matches!(epoch.warning, Some(Warning::FewSteps | Warning::NothingLearned)))
    );

    // ln theta^2 is no KL of a density.
    #[derive(Clone, Debug, Default, serde::Serialize)]
    struct Mistaken;
    impl Prior for Mistaken {
        const ID: &'static str = "mistaken";

        fn kl<R: Real>(&self, q: Normal<R>) -> R {
            q.mean.square().shift(1e-12).ln()
        }
    }
    let mut net = Cpu::seed_from_u64(2).build_module::<VariationalLinear<64, 10, Mistaken>, f32>();
    assert_eq!(trainer().fit(&mut net, &few()).unwrap().warning(), Some(Warning::NegativeKl));
}

/// A batch norm has no variance of a single number.
#[test]
fn batches_of_one_are_refused_by_a_batch_norm() {
    let one = Trainer { batch: 1, epochs: 1, ..trainer() };
    let refused = |result: Result<History, Error>| match result {
        Err(Error::Setting { name: "batch", value, range }) => {
            assert!(value == 1.0 && range.contains("batch norm"), "{range}")
        }
        other => panic!("{other:?}"),
    };
    let few = few().select(0..5).unwrap();
    let dev = Cpu::seed_from_u64(1);
    refused(one.fit(&mut dev.build_module::<(DenseLinear<64, 20>, BatchNorm<20>, DenseLinear<20, 10>), f32>(), &few));
    refused(one.fit(&mut dev.build_module::<(DenseLinear<64, 20>, BatchNorm1D<20>, DenseLinear<20, 10>), f32>(), &few));
    let images = Dataset::new("images", [1, 8, 8], 10, few.inputs().to_vec(), few.labels().to_vec()).unwrap().images();
    type AfterAll = (SparseVdConv2d<1, 2, 8>, Flatten<2>, BatchNorm<2>, SparseVdLinear<2, 10>);
    refused(one.fit(&mut dev.build_module::<AfterAll, f32>(), &images));
    type InBetween = (SparseVdConv2d<1, 2, 3>, BatchNorm<2>, Flatten<72>, SparseVdLinear<72, 10>);
    one.fit(&mut dev.build_module::<InBetween, f32>(), &images).expect("36 positions of each channel");
}

/// In a loop of one's own: an input, or a gradient, that is no number stops it before a weight is spoilt.
#[test]
fn a_loop_of_ones_own_stops_at_nan() {
    let dev = Cpu::seed_from_u64(1);
    type Net = (BatchNorm<3>, SparseVdLinear<3, 2>);
    type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;
    let mut net = dev.build_module::<Net, f32>();
    let (mut adam, elbo) = (Adam::new(0.1), Elbo::new(10).unwrap());
    let step = |net: &mut Built, adam: &mut Adam<f32, Cpu>, x: [[f32; 3]; 2]| -> Result<(), Error> {
        let x: Tensor<(usize, Const<3>), f32, Cpu> = dev.tensor_from_vec(x.concat(), (2, Const));
        let x = net.input(x);
        let nll = categorical(net.forward_mut(x), &[0, 1])?;
        adam.step(net, elbo.loss(net, nll, 0.0)?.objective)
    };
    step(&mut net, &mut adam, [[1.0; 3], [2.0; 3]]).unwrap();
    let weights = |net: &Built| {
        let (norm, layer) = net;
        let moments = [floats(&norm.scale), floats(&norm.bias), floats(&norm.running_mean), floats(&norm.running_var)];
        [moments.concat(), floats(&layer.theta), floats(&layer.spread), floats(&layer.bias)].concat()
    };
    let before = weights(&net);
    let result = step(&mut net, &mut adam, [[1.0, f32::NAN, 0.0]; 2]);
    let Err(error @ Error::NotFinite { at: None, checkpoint: None, .. }) = &result else { panic!("{result:?}") };
    let told = error.to_string();
    assert!(told.starts_with("the negative log-likelihood is NaN in the output; "), "{told}");
    assert_eq!(weights(&net), before);

    // A finite objective with a gradient that is none: the root of 0.
    let zero = net.1.bias.leaky_trace() * 0.0;
    let norm =
        net.0.scale.leaky_trace().square().sum::<Rank0, _>() + net.0.bias.leaky_trace().square().sum::<Rank0, _>();
    let objective = zero.sqrt().sum::<Rank0, _>() + net.kl().unwrap() + norm;
    let result = adam.step(&mut net, objective);
    let Err(error @ Error::NotFinite { .. }) = &result else { panic!("{result:?}") };
    assert!(error.to_string().starts_with("the gradient of bias is NaN in layer 1; "), "{error}");
    assert_eq!(weights(&net), before);
    adam.learning_rate = f64::NAN;
    let result = step(&mut net, &mut adam, [[1.0; 3], [2.0; 3]]);
    assert!(matches!(result, Err(Error::Setting { name: "learning_rate", .. })), "{result:?}");
    // It goes on as if nothing had happened.
    adam.learning_rate = 0.1;
    step(&mut net, &mut adam, [[1.0; 3], [2.0; 3]]).unwrap();
    assert!(weights(&net).iter().all(|x| x.is_finite()) && weights(&net) != before);
}
