//! Training: that it learns, prunes and stops, and what it says when it cannot.

mod common;

use std::ops::ControlFlow;

use common::floats;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use sparsevd::prelude::*;

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
    Layer<LinearMap<64, 32>, Additive, LogUniform, f32, Cpu>,
    ReLU,
    Layer<LinearMap<32, 10>, Additive, LogUniform, f32, Cpu>,
);

fn net() -> Built {
    Cpu::seed_from_u64(2).build_module::<Net, f32>()
}

fn error(net: &mut Built, split: &Split, how: Evaluate) -> f64 {
    predict(net, split.test(), how).unwrap().score(split.test().labels()).unwrap().error
}

#[test]
fn a_sparse_network_learns_the_digits() {
    let (split, mut net) = (digits(), net());
    let trainer = Trainer { epochs: 60, learning_rate: 3e-3, warm_up: (5.0, 25.0), ..trainer() };
    let history = trainer.fit(&mut net, split.train()).unwrap();
    let (first, last) = (&history.epochs[0], &history.epochs[59]);
    assert!(last.nll < 0.5 * first.nll && last.train_error < first.train_error);
    assert_eq!((first.beta, last.beta, history.stopped), (0.0, 1.0, false));
    // 2,368 weights. Log alpha at the start exceeds 3 where |theta| < e^-6.5 = 0.0015: about 1 % of U(-0.125, 0.125).
    assert!(history.sparsity_at_start < 0.03, "{}", history.sparsity_at_start);
    assert!(last.sparsity.sparsity() > 0.6, "{}", last.sparsity);
    assert_eq!(last.sparsity, net.sparsity(THRESHOLD).unwrap());
    let mean = error(&mut net, &split, Evaluate::Mean);
    let pruned = error(&mut net, &split, Evaluate::Pruned(THRESHOLD));
    let samples = error(&mut net, &split, Evaluate::Samples { count: 8, seed: 1 });
    assert!(mean < 0.06 && samples < 0.06, "{mean} {samples}");
    assert!((pruned - mean).abs() < 0.005, "{pruned} {mean}");
    // Evaluation leaves the means in place.
    assert_eq!(error(&mut net, &split, Evaluate::Mean), mean);
}

#[test]
fn the_caller_sees_every_epoch_and_may_stop() {
    let (mut net, test) = (net(), few());
    let mut seen = Vec::new();
    let history = Trainer { epochs: 5, ..trainer() }
        .fit_with(&mut net, &few(), |net, epoch| {
            epoch.test = predict(net, &test, Evaluate::Mean).unwrap().score(test.labels()).ok();
            seen.push((epoch.epoch, net.layers().len()));
            if epoch.epoch == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
        net.configure(Settings { composed, ..Settings::default() });
        let result = Trainer { learning_rate: 1e6, ..trainer() }.fit(&mut net, &few());
        let Err(Error::NotFinite { value, layer, epoch, step, .. }) = result else { panic!("{result:?}") };
        // Weights of 1e6 overflow in the output while they are still finite.
        assert!(!value.is_finite() && (layer.starts_with("layer ") || layer == "the output"), "{layer}: {value}");
        assert!(epoch == 0 && step >= 1, "epoch {epoch}, step {step}");
    }
    // A NaN that was there from the start is found in the layer that holds it.
    let mut net = net();
    net.2.spread.copy_from(&[f32::NAN; 320]);
    let result = trainer().fit(&mut net, &few());
    let Err(Error::NotFinite { what, layer, epoch: 0, step: 0, .. }) = result else { panic!("{result:?}") };
    assert_eq!((what.as_str(), layer.as_str()), ("log_sigma2", "layer 2"));
    // The last step of all is looked at, too: an infinite rate in single precision.
    let data = few();
    let last = Trainer { learning_rate: 1e39, epochs: 1, batch: data.len(), ..trainer() };
    let result = last.fit(&mut self::net(), &data);
    let Err(Error::NotFinite { epoch: 0, step: 1, .. }) = result else { panic!("{result:?}") };
    // The parts are finite, what they add up to is not.
    let result = Trainer { beta: 1e300, warm_up: (0.0, 0.0), ..trainer() }.fit(&mut self::net(), &few());
    let Err(Error::NotFinite { what, epoch: 0, step: 0, .. }) = result else { panic!("{result:?}") };
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
    assert_eq!(refused(Trainer { warm_up: (5.0, 2.0), ..trainer() }), "end of the warm-up");
    assert_eq!(refused(Trainer { warm_up: (-1.0, 2.0), ..trainer() }), "start of the warm-up");
    assert_eq!(refused(Trainer { warm_up: (f64::NAN, 2.0), ..trainer() }), "start of the warm-up");
    assert_eq!(refused(Trainer { warm_up: (0.0, f64::INFINITY), ..trainer() }), "end of the warm-up");
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

/// dfdx's own layers start no tape, so the gradient ends behind them.
#[test]
fn a_layer_that_cannot_be_trained_is_not_passed_over() {
    let mut net = Cpu::seed_from_u64(2).build_module::<(Linear<64, 20>, ReLU, ArdLinear<20, 10>), f32>();
    let result = trainer().fit(&mut net, &few());
    let Err(Error::Input(message)) = result else { panic!("{result:?}") };
    assert!(message.starts_with("no gradient for 0.weight, 0.bias;") && message.contains("`Traced`"), "{message}");
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
        let nll = categorical(net.forward_mut(x), &[0, 1, 0, 1]).unwrap();
        let loss = elbo.loss(&net, nll, 0.0).unwrap();
        adam.step(&mut net, loss.objective).unwrap();
        let moved: Vec<f32> =
            net.theta.as_vec().iter().zip(before).map(|(after, before)| (after - before).abs()).collect();
        assert!(moved.iter().all(|x| *x < 0.15), "steps of about the learning rate: {step}, {moved:?}");
        assert!(![0, 20].contains(&step) || moved.iter().all(|x| *x > 0.09), "the first is one: {step}, {moved:?}");
    }
}

/// `y = 2 x - 1 + 0.3 eps`, 400 data: the standard error of the noise level is 0.3 / sqrt(800) = 0.011.
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
    for _ in 0..600 {
        let outputs = net.0.forward_mut(x.clone());
        let loss = elbo.loss(&net, net.1.nll(outputs, y.clone()).unwrap(), 0.0).unwrap();
        nll = loss.nll;
        adam.step(&mut net, loss.objective).unwrap();
    }
    let noise = (0.5 * net.1.log_noise.array()).exp();
    assert!((noise - 0.3).abs() < 4.0 * 0.011, "{noise}");
    assert!((net.0.theta.array()[0][0] - 2.0).abs() < 0.1 && (net.0.bias.array()[0] + 1.0).abs() < 0.1);
    // 0.5 ln(2 pi e 0.3^2) = 0.215 nats per datum.
    assert!((nll - 0.215).abs() < 0.15, "{nll}");
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
