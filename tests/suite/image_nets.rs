//! Convolutional networks as a whole: they train, compose with dfdx's own modules, and name the layer that does not
//! fit.

use dfdx::nn::modules::{AvgPoolGlobal as Mean, ReLU as Relu};
use sparsevd::data::{Augment, DataError, Images};
use sparsevd::prelude::*;
use sparsevd::{AvgPool2d, Classifier, Grid, LeNet5, VggQuarter, WarmUp, posterior_to_bytes};

type Conv<const IN: usize, const OUT: usize, const K: usize, const PAD: usize> =
    Variational<Conv2dMap<IN, OUT, K, 1, PAD>, Additive, LogUniform>;
type Built<N, E = f32> = <N as BuildOnDevice<Cpu, E>>::Built;

fn build<N: BuildOnDevice<Cpu, f32, Built: Network<f32, Cpu>>>() -> Built<N> {
    Cpu::seed_from_u64(0).build_module::<N, f32>()
}

/// Images of a class are a bar at a height of its own, in noise.
fn bars(n: usize, [channels, height, width]: [usize; 3]) -> Result<Dataset, DataError> {
    let mut state = 1_u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let labels: Vec<usize> = (0..n).map(|i| i % 10).collect();
    let mut inputs = Vec::new();
    for label in &labels {
        for pixel in 0..channels * height * width {
            let row = pixel / width % height;
            let bar = row * 10 / height == *label;
            inputs.push(f32::from(u8::from(bar)) - 0.1 + 0.5 * (uniform() - 0.5));
        }
    }
    Dataset::new("bars", [channels, height, width], 10, inputs, labels)
}

/// Trains LeNet-5 on 100 bars, from weights and noise of this seed: the NLL of each epoch, and the errors on 50 others
/// with the posterior means, the pruned means and posterior samples.
fn lenet5_on_bars(seed: u64) -> (Vec<f64>, [f64; 3]) {
    let data = bars(100, [1, 28, 28]).unwrap().images();
    let mut net = Cpu::seed_from_u64(seed).build_module::<LeNet5, f32>();
    assert_eq!(net.sparsity(3.0).unwrap().weights(), 430_500);
    let warm_up = WarmUp::Epochs(1.0, 10.0);
    let trainer = Trainer { epochs: 4, batch: 10, warm_up, seed, progress: false, ..Trainer::default() };
    let history = trainer.fit(&mut net, &data).unwrap();
    let test = bars(50, [1, 28, 28]).unwrap().images();
    let errors = [Evaluate::Mean, Evaluate::Pruned(3.0), Evaluate::Samples { count: 2, seed: 0 }]
        .map(|how| predict(&mut net, &test, how).unwrap().score(test.labels()).unwrap().error);
    (history.epochs.iter().map(|epoch| epoch.nll).collect(), errors)
}

#[test]
fn lenet5_learns_from_images() {
    let (nll, errors) = lenet5_on_bars(0);
    bars_are_learned(&nll, errors);
    // The same seed and network give the same training run.
    assert_eq!(lenet5_on_bars(0), (nll, errors));
}

/// With ten seeds none of 50 images was wrong, three times each, so an error is rarer than 1 in 500 (with 95 %), and three
/// are a matter of 1 seed in 6,000. The NLL fell to 0.256 ± 0.018 of that of the first epoch; the bound is six of these
/// deviations away.
///
/// ```text
/// cargo test -p sparsevd --test suite images_are_learned_from_any_seed -- --ignored --nocapture
/// ```
fn bars_are_learned(nll: &[f64], errors: [f64; 3]) {
    assert!(nll[3] < 0.37 * nll[0], "{nll:?}");
    assert!(errors.iter().all(|error| *error < 0.05), "{errors:?}");
}

/// The test error of a small convolutional network on the digits, trained from weights and noise of this seed.
fn error_on_digits(seed: u64) -> f64 {
    type Net = (SparseVdConv2d<1, 8, 3>, ReLU, MaxPool2d<2>, Flatten<72>, ArdLinear<72, 10>);
    let digits = Split::optdigits().unwrap().take(1000, 500, 0).unwrap().centred().images();
    let warm_up = WarmUp::Epochs(0.0, 20.0);
    let trainer =
        Trainer { epochs: 4, batch: 25, learning_rate: 5e-3, progress: false, warm_up, seed, ..Trainer::default() };
    let mut net = Cpu::seed_from_u64(seed).build_module::<Net, f32>();
    trainer.fit(&mut net, digits.train()).unwrap();
    predict(&mut net, digits.test(), Evaluate::Mean).unwrap().score(digits.test().labels()).unwrap().error
}

/// With the same ten seeds 8.4 % ± 1.2; six deviations away.
const ERROR_ON_DIGITS: f64 = 0.155;

#[test]
#[ignore = "twenty training runs; what the bounds of two are made from"]
fn images_are_learned_from_any_seed() {
    let runs: Vec<_> = (0..10).map(|seed| (lenet5_on_bars(seed), error_on_digits(seed))).collect();
    println!("{runs:#?}");
    for ((nll, errors), error) in runs {
        bars_are_learned(&nll, errors);
        assert!(error < ERROR_ON_DIGITS, "{error}");
    }
}

/// Whatever computes on several threads: convolutions, batch norm, pools, weights that are switched off.
#[test]
fn the_threads_change_nothing() {
    type Block = (SparseVdConv2d<1, 16, 3>, BatchNorm<16>, ReLU, MaxPool2d<2>);
    type Wide = (SparseVdLinear<96, 180>, ReLU, ArdLinear<180, 10>); // 17,280 weights: enough for several threads
    type Net = (Block, SparseVdConv2d<16, 24, 3>, Flatten<96>, Wide);
    let data = bars(120, [1, 10, 10]).unwrap().images();
    let trained = |threads: usize| {
        let mut net = build::<Net>();
        net.configure(Settings { masking: Masking::Weights(1.0), ..Settings::default() });
        let trainer = Trainer { epochs: 3, batch: 40, learning_rate: 0.02, progress: false, ..Trainer::default() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trainer.fit(&mut net, &data)).unwrap();
        posterior_to_bytes(&net, &()).unwrap()
    };
    let one = trained(1);
    assert!((2..4).all(|threads| trained(threads) == one));
}

#[test]
fn augmentation_follows_the_seed() {
    type Net = (SparseVdConv2d<1, 4, 3>, ReLU, MaxPool2d<2>, Flatten<36>, SparseVdLinear<36, 10>);
    let data = bars(60, [1, 8, 8]).unwrap().images();
    let off = Trainer { epochs: 2, batch: 20, seed: 4, progress: false, ..Trainer::default() };
    let train = |trainer: &Trainer| {
        let mut net = build::<Net>();
        trainer.fit(&mut net, &data).unwrap();
        net.0.theta.as_vec()
    };
    let shifted = Trainer { augment: Augment { crop_pad: 2, warp: 0.1, flip: true }, ..off.clone() };
    assert_eq!(train(&shifted), train(&shifted));
    let mirrored = Trainer { augment: Augment { flip: true, ..Augment::default() }, ..off.clone() };
    let all = [&off, &mirrored, &shifted, &Trainer { seed: 5, ..shifted.clone() }].map(train);
    assert!((0..4).all(|i| (0..i).all(|j| all[i] != all[j])));

    let json = serde_json::to_string(&shifted).unwrap();
    assert_eq!(serde_json::from_str::<Trainer>(&json).unwrap(), shifted);
    assert_eq!(serde_json::from_str::<Trainer>(r#"{ "epochs": 7 }"#).unwrap().augment, Augment::default());
}

#[test]
fn augmentation_that_cannot_be_is_refused() {
    let data = bars(20, [1, 8, 10]).unwrap();
    let trainer = |augment| Trainer { epochs: 1, batch: 20, augment, progress: false, ..Trainer::default() };
    let flip = Augment { flip: true, ..Augment::default() };
    let vectors = trainer(flip).fit(&mut build::<SparseVdLinear<80, 10>>(), &data);
    let Err(Error::Input(message)) = vectors else { panic!("{vectors:?}") };
    assert!(message.contains("`augment`") && message.contains("bars") && message.contains(".images()"), "{message}");
    let mut net = build::<(SparseVdConv2d<1, 2, 3>, Flatten<96>, SparseVdLinear<96, 10>)>();
    let data = data.images();
    for crop_pad in [8, 10, usize::MAX] {
        let refused = trainer(Augment { crop_pad, ..flip }).fit(&mut net, &data);
        assert!(matches!(refused, Err(Error::Setting { name: "augment.crop_pad", .. })), "{refused:?}");
    }
    for warp in [-0.1, 0.6, f64::NAN] {
        let refused = trainer(Augment { warp, ..flip }).fit(&mut net, &data);
        assert!(matches!(refused, Err(Error::Setting { name: "augment.warp", .. })), "{refused:?}");
    }
}

#[test]
fn the_digits_inside_the_crate_are_images_too() {
    let digits = Split::optdigits().unwrap().take(1000, 500, 0).unwrap();
    assert_eq!(digits.clone().images().vectors(), digits);
    let error = error_on_digits(0);
    assert!(error < ERROR_ON_DIGITS, "{error}");
}

#[test]
fn vgg_maps_colour_images_to_classes() {
    let mut net = build::<VggQuarter>();
    let shape = (2, Const::<3>, 32, 32);
    let x: Tensor<_, f32, Cpu> = Cpu::seed_from_u64(1).sample_normal_like(&shape);
    assert_eq!(net.output_shape("", &[3, 32, 32]).unwrap(), Some(vec![10]));
    let y: Tensor<(usize, Const<10>), f32, Cpu> = net.forward(x.clone());
    assert!(y.shape().0 == 2 && y.as_vec().iter().all(|y| y.is_finite()));
    // 13 convolutions and 2 dense layers; 64k, 128k, .. channels at k = 1/4.
    let layers: Vec<Grid> = net.layers().iter().map(|(_, layer)| layer.grid()).collect();
    assert_eq!(layers.len(), 15);
    assert_eq!((layers[0].rows, layers[0].cols, layers[12].rows, layers[12].cols), (16, 27, 128, 128 * 9));
    let x = net.input(x);
    let loss = net.forward_mut(x).square().mean() + net.kl().unwrap() * 1e-6;
    Adam::new(1e-3).step(&mut net, loss).expect("a gradient for every tensor");
}

/// Batch norm first; a residual and a repeated block of convolutions; dfdx's global mean. The gradient
/// of every mean against central differences.
#[test]
fn composes_with_dfdx_and_its_gradients_are_right() {
    type Block = (Conv<2, 2, 3, 1>, Tanh);
    type Net = (
        (BatchNorm2D<2>, Residual<Block>),
        (Repeated<Block, 2>, AvgPool2d<2, 1>, MaxPool2d<3, 2, 1>),
        (AvgPoolGlobal, SparseVdLinear<2, 3>, GeneralizedResidual<Linear<3, 2>, SparseVdLinear<3, 2>>),
    );
    let net = Cpu::seed_from_u64(3).build_module::<Net, f64>();
    let x: Tensor<_, f64, Cpu> = Cpu::seed_from_u64(4).sample_normal_like(&(3, Const::<2>, 6, 5));
    assert_eq!(net.output_shape("", &[2, 6, 5]).unwrap(), Some(vec![2]));
    let loss = |mut net: Built<Net, f64>| {
        net.layers_mut().into_iter().for_each(|(_, layer)| layer.seed_noise(7));
        net.forward_mut(x.leaky_trace()).square().sum::<Rank0, _>()
    };
    let gradients = loss(net.clone()).backward();
    let found = [
        gradients.get(&net.0.1.0.0.theta).as_vec(),
        gradients.get(&net.1.0.modules[0].0.theta).as_vec(),
        gradients.get(&net.1.0.modules[1].0.theta).as_vec(),
        gradients.get(&net.2.1.theta).as_vec(),
        gradients.get(&net.2.2.r.theta).as_vec(),
    ];
    let paths: Vec<_> = net.layers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["0.1.0.0", "1.0.0.0", "1.0.1.0", "2.1", "2.2.r"]);
    for (index, found) in found.iter().enumerate() {
        for (i, found) in found.iter().enumerate() {
            let at = |step: f64| {
                let mut net = net.clone();
                let mut layers = net.layers_mut();
                let mut theta = layers[index].1.theta();
                theta[i] += step;
                layers[index].1.set_theta(&theta).unwrap();
                drop(layers);
                loss(net).array()
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{index}, {i}: {found}, {expected}");
        }
    }
    assert!(found.concat().iter().filter(|g| **g != 0.0).count() > 100);
}

/// Path and shape of a refusal.
fn refused<T>(result: Result<T, Error>) -> (String, Vec<usize>) {
    match result {
        Err(Error::Shape { layer, found, .. }) => (layer, found),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("no error"),
    }
}

#[test]
fn the_layer_that_does_not_fit_is_named() {
    let mut net = build::<LeNet5>();
    let trainer = Trainer { epochs: 1, batch: 10, progress: false, ..Trainer::default() };
    for (dims, layer, found) in [
        ([1, 8, 8], "1.0", vec![20, 2, 2]), // 8 - 4 = 4, halved: too small for the second kernel
        ([1, 4, 30], "0.0", vec![1, 4, 30]), // lower than the first kernel
        ([1, 5, 28], "0.2", vec![20, 1, 24]), // one row does not make a window of two
        ([1, 32, 32], "2", vec![50, 5, 5]), // 1,250 numbers instead of 800
    ] {
        let data = bars(20, dims).unwrap().images();
        assert_eq!(refused(trainer.fit(&mut net, &data)), (layer.into(), found.clone()));
        assert_eq!(refused(predict(&mut net, &data, Evaluate::Mean)), (layer.into(), found));
    }
    let message = trainer.fit(&mut net, &bars(20, [1, 8, 8]).unwrap().images()).unwrap_err().to_string();
    assert_eq!(
        message,
        "layer 1.0 reads 20 x 5 x 5 pixels (channels, height, width) or larger images; \
         it would be given 20 x 2 x 2 (channels, height, width)"
    );
    // What the input's type says is checked as before.
    let colour = bars(20, [3, 28, 28]).unwrap().images();
    assert!(matches!(trainer.fit(&mut net, &colour), Err(Error::Input(_))));
    let flat = bars(20, [1, 9, 9]).unwrap();
    let mut dense = build::<LeNet300100<LogUniform, Additive, 64>>();
    assert!(matches!(trainer.fit(&mut dense, &flat), Err(Error::Input(_))));
}

/// 7 taps on 4 pixels and a padding of 1 on each side: one too many.
#[test]
fn a_kernel_larger_than_the_padded_image_is_refused() {
    type Net = (Conv<1, 2, 7, 1>, MaxPool2d<1>, Flatten<2>, SparseVdLinear<2, 10>);
    let trainer = Trainer { epochs: 1, batch: 10, progress: false, ..Trainer::default() };
    let mut net = build::<Net>();
    for size in [[4, 4], [4, 5], [5, 4]] {
        let data = bars(10, [1, size[0], size[1]]).unwrap().images();
        let expected = ("0".to_string(), vec![1, size[0], size[1]]);
        assert_eq!(refused(trainer.fit(&mut net, &data)), expected);
        assert_eq!(refused(predict(&mut net, &data, Evaluate::Mean)), expected);
        let message = predict(&mut net, &data, Evaluate::Mean).unwrap_err().to_string();
        assert!(message.starts_with("layer 0 reads 1 x 5 x 5 pixels"), "{message}");
    }
    trainer.fit(&mut net, &bars(10, [1, 5, 5]).unwrap().images()).unwrap();
    // Handed over without a data set, such an image is the device's error, and no panic.
    let small: Tensor<_, f32, Cpu> = Cpu::default().zeros_like(&(2, Const::<1>, 4, 4));
    assert!(net.try_forward(small.clone()).is_err() && net.try_forward_mut(small.leaky_traced()).is_err());
}

#[test]
fn shapes_are_walked_through_every_kind_of_module() {
    let of = |net: &dyn Network<f32, Cpu>, shape: &[usize]| net.output_shape("", shape);
    let net = build::<(Conv<1, 4, 3, 1>, BatchNorm2D<4>, (ReLU, MaxPool2d<2>), AvgPoolGlobal, Linear<4, 3>)>();
    assert_eq!(of(&net, &[1, 6, 6]).unwrap(), Some(vec![3]));
    assert_eq!(refused(of(&net, &[2, 6, 6])), ("0".into(), vec![2, 6, 6]));
    assert_eq!(refused(of(&net, &[6])), ("0".into(), vec![6]));
    let shrinks = build::<(ReLU, Residual<Conv<2, 2, 3, 0>>)>();
    assert_eq!(refused(of(&shrinks, &[2, 5, 5])), ("1".into(), vec![2, 5, 5]));
    let two_ways = build::<GeneralizedResidual<Conv<2, 3, 3, 1>, Conv<2, 3, 1, 0>>>();
    assert_eq!(of(&two_ways, &[2, 5, 5]).unwrap(), Some(vec![3, 5, 5]));
    assert_eq!(refused(of(&two_ways, &[3, 5, 5])), ("f".into(), vec![3, 5, 5]));
    let apart = build::<GeneralizedResidual<Conv<2, 3, 3, 0>, Conv<2, 3, 1, 0>>>();
    assert_eq!(refused(of(&apart, &[2, 5, 5])), (String::new(), vec![2, 5, 5]));
    let thrice = build::<Repeated<Conv<2, 2, 3, 0>, 3>>();
    assert_eq!(of(&thrice, &[2, 7, 9]).unwrap(), Some(vec![2, 1, 3]));
    assert_eq!(refused(of(&thrice, &[2, 6, 9])), ("2".into(), vec![2, 2, 5]));
    assert_eq!(refused(of(&build::<(ReLU, BatchNorm2D<3>)>(), &[2, 5, 5])), ("1".into(), vec![2, 5, 5]));
    assert_eq!(refused(of(&build::<(ReLU, Linear<3, 4>)>(), &[5])), ("1".into(), vec![5]));
    assert_eq!(refused(of(&build::<(Flatten<12>, ReLU)>(), &[3, 2, 3])), ("0".into(), vec![3, 2, 3]));

    // A module that says nothing about shapes ends the walk; it refuses nothing.
    struct Unknown;
    impl<E: Elem, D: Backend<E>> Network<E, D> for Unknown {}
    assert_eq!(of(&(Mean, Unknown, build::<DenseLinear<3, 4>>()), &[5, 1, 1]).unwrap(), None);
    assert_eq!(refused(of(&(Relu, build::<DenseLinear<3, 4>>(), Unknown), &[5])), ("1".into(), vec![5]));
}

/// Generic code names the layout last; without it, a classifier reads vectors.
#[test]
fn generic_code_can_train_either() {
    fn train<N: Classifier<I, 10, f32, Cpu, L>, const I: usize, L: sparsevd::data::Layout>(
        net: &mut N,
        data: &Dataset<L>,
    ) -> f64 {
        Trainer { epochs: 1, batch: 10, progress: false, ..Trainer::default() }.fit(net, data).unwrap().epochs[0].nll
    }
    let data = bars(20, [1, 8, 8]).unwrap();
    assert!(train(&mut build::<LeNet300100<Ard, Additive, 64>>(), &data).is_finite());
    let images: Dataset<Images> = data.images();
    assert!(train(&mut build::<(SparseVdConv2d<1, 2, 8>, Flatten<2>, SparseVdLinear<2, 10>)>(), &images).is_finite());
}
