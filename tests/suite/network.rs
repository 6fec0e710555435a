//! Networks: finding the layers, their KL, their settings, which weights they use, and what pruning keeps.

use crate::common::{batch, floats, put};
use dfdx::nn::ToDevice;
use dfdx::nn::ToDtype;
use sparsevd::infer::Container;
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::{Flat, Laplace, StudentT};
use sparsevd::{Bernoulli, Estimator, Family, compact, copy_means, posterior_from_bytes, posterior_to_bytes};

fn dev() -> Cpu {
    Cpu::seed_from_u64(3)
}

fn paths<N: Network<f32, Cpu>>(net: &mut N) -> Vec<String> {
    let paths: Vec<String> = net.layers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, net.layers_mut().into_iter().map(|(path, _)| path).collect::<Vec<_>>());
    paths
}

type Nested = (
    (SparseVdLinear<4, 6>, ReLU),
    Residual<(ArdLinear<6, 6>, Tanh)>,
    BatchNorm1D<6>,
    Repeated<(GaussianLinear<6, 6>, Sigmoid), 3>,
    (Linear<6, 6>, DropoutOneIn<2>, LayerNorm1D<6>, (DropoutLinear<6, 3>,)),
);

#[test]
fn layers_are_found_wherever_they_are() {
    let mut net = dev().build_module::<Nested, f32>();
    assert_eq!(paths(&mut net), ["0.0", "1.0.0", "3.0.0", "3.1.0", "3.2.0", "4.3.0"]);
    assert_eq!(paths(&mut net.0.0), [""]);
    // A path is where the names of a layer's tensors begin.
    let file = posterior_to_bytes(&net, &()).unwrap();
    let names: Vec<_> = Container::parse("posterior", 2, &file).unwrap().tensors.into_iter().map(|t| t.name).collect();
    for path in paths(&mut net) {
        assert!(names.contains(&format!("{path}.weight")), "{path}: {names:?}");
    }
}

#[test]
fn the_kl_of_a_network_is_the_sum_of_its_layers() {
    let net = dev().build_module::<Nested, f64>();
    let each: Vec<f64> = net.layers().into_iter().map(|(_, layer)| floats(&layer.own_kl().unwrap())[0]).collect();
    assert!(each[..5].iter().all(|kl| *kl > 0.0) && each[5] == 0.0);
    let total = floats(&net.kl().unwrap())[0];
    assert!((total - each.iter().sum::<f64>()).abs() < 1e-9 * total);
}

#[test]
fn a_network_without_our_layers_says_so() {
    type Plain = ((Linear<3, 3>, ReLU), Residual<Linear<3, 3>>, Repeated<Sigmoid, 2>, Softmax);
    let mut net = dev().build_module::<Plain, f32>();
    assert!(paths(&mut net).is_empty());
    assert!(matches!(Network::<f32, Cpu>::kl(&net), Err(Error::NoLayer)));
    assert!(matches!(Prune::<f32, Cpu>::sparsity(&net, 3.0), Err(Error::NoLayer)));
}

#[test]
fn priors_and_settings_reach_the_layers_they_are_for() {
    let mut net = dev().build_module::<Nested, f32>();
    assert_eq!(net.set_prior(Gaussian::new(0.1).unwrap()).unwrap(), 3);
    let told = net.set_prior(Laplace::new(1.0).unwrap()).unwrap_err().to_string();
    assert!(told.starts_with("no layer has a prior of the type laplace"), "{told}");
    assert!(told.contains("ard {") && told.contains("log_uniform fit"), "{told}");
    let mut ard = dev().build_module::<ArdLinear<2, 3>, f32>();
    assert!(ard.set_prior(LogUniform::Exact).unwrap_err().to_string().contains("of the type log_uniform exact"));
    let mut none = dev().build_module::<Linear<2, 3>, f32>();
    assert!(matches!(Network::<f32, Cpu>::set_prior(&mut none, LogUniform::Exact), Err(Error::NoLayer)));
    assert_eq!(net.3.modules[2].0.prior, Gaussian::new(0.1).unwrap());
    assert_eq!(net.1.0.0.prior, Ard::default());
    let settings = Settings { estimator: Estimator::WeightSampling, masking: Masking::Means(2.0) };
    net.configure(settings);
    assert!(net.layers_mut().into_iter().all(|(_, layer)| *layer.settings() == settings));
}

/// Three outputs of four inputs, with log sigma^2 = 0, so that `log alpha = -ln theta^2`.
type ByHand = modules::Variational<LinearMap<4, 3>, Additive, LogUniform, f64, Cpu>;

fn by_hand() -> ByHand {
    let mut layer = dev().build_module::<SparseVdLinear<4, 3>, f64>();
    #[rustfmt::skip]
    put(&mut layer.theta, &[
        2.0, 0.1, 0.0, 0.01,     // log alpha -1.4, 4.6, cap, 9.2
        0.1, 0.1, 0.0, 0.02,     // none stays at 3
        1.0, 0.3, 0.0, -0.5,     // 0, 2.4, cap, 1.4
    ]);
    layer.set_spread(0.0).unwrap();
    put(&mut layer.bias, &[1.0, 2.0, 3.0]);
    layer
}

/// The weights and the bias that `forward` uses.
fn used(layer: &ByHand) -> Vec<f64> {
    let zero = floats(&layer.forward(batch::<4, f64>(1, &[0.0; 4])));
    let unit = batch::<4, f64>(4, &(0..16).map(|i| f64::from(i % 5 == 0)).collect::<Vec<_>>());
    let y = floats(&layer.forward(unit));
    assert_eq!(zero, [1.0, 2.0, 3.0]);
    (0..12).map(|i| y[i % 4 * 3 + i / 4] - zero[i / 4]).collect()
}

#[test]
fn forward_uses_the_weights_it_is_told_to() {
    let mut layer = by_hand();
    let (theta, close) =
        (floats(&layer.theta), |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(close(&used(&layer), &theta));
    let pruned = |layer: &mut ByHand, threshold| used(&layer.with_weights(Weights::Pruned(threshold)).unwrap());
    let sample = |layer: &mut ByHand, seed| used(&layer.with_weights(Weights::Sample(seed)).unwrap());
    assert!(close(&pruned(&mut layer, 3.0), &[2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.3, 0.0, -0.5]));
    // log alpha = 0 reaches a threshold of 0.
    assert!(close(&pruned(&mut layer, 0.0), &[2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
    let (one, two) = (sample(&mut layer, 1), sample(&mut layer, 2));
    assert_eq!(one, sample(&mut layer, 1));
    assert!((0..12).all(|i| one[i] != two[i] && one[i] != theta[i]));
    // A draw leaves out the weights that training has masked whole, and those alone.
    layer.settings = Settings { masking: Masking::Weights(3.0), ..Settings::default() };
    let (left, kept) = (sample(&mut layer, 1), [0, 8, 9, 11]);
    assert!((0..12).all(|i| left[i] == if kept.contains(&i) { one[i] } else { 0.0 }));
    layer.settings.masking = Masking::Means(3.0);
    assert_eq!(one, sample(&mut layer, 1));
    assert!(close(&used(&layer), &theta));
    assert!(matches!(layer.with_weights(Weights::Pruned(f64::NAN)), Err(Error::Setting { .. })));
}

#[test]
fn sparsity_counts_the_inputs_of_all_groups() {
    type Grouped = Variational<Conv2dMap<4, 4, 3, 1, 1, 1, 2, 2>, Additive, LogUniform>;
    let mut layer = Cpu::default().build_module::<Grouped, f32>();
    // Outputs 0 and 1 read channels 0 and 1, of which they keep the second; outputs 2 and 3 read channels 2 and 3, all of them.
    let theta = (0..72).map(|i| if i < 36 && i % 18 < 9 { 0.0 } else { 1.0 });
    layer.set_theta(&theta.collect::<Vec<f64>>()).unwrap();
    let sparsity = layer.sparsity(3.0).unwrap();
    let l = &sparsity.layers[0];
    assert_eq!((l.inputs, l.dead_inputs, l.outputs, l.dead_outputs, l.kept), (4, 1, 4, 0, 54));
}

#[test]
fn sparsity_counts_what_pruning_leaves() {
    let layer = by_hand();
    let sparsity = layer.sparsity(3.0).unwrap();
    let l = &sparsity.layers[0];
    assert_eq!((l.inputs, l.outputs, l.weights, l.kept), (4, 3, 12, 4));
    assert_eq!((l.dead_inputs, l.dead_outputs), (1, 1));
    assert_eq!((sparsity.weights(), sparsity.kept(), sparsity.compression()), (12, 4, 3.0));
    assert!((sparsity.sparsity() - 8.0 / 12.0).abs() < 1e-15);
    let kept = |threshold: f64| layer.sparsity(threshold).unwrap().layers[0].clone();
    // At 0 only the first weight stays; far above, all but the exact zeros; far below, nothing.
    assert_eq!((kept(0.0).kept, kept(0.0).dead_inputs, kept(0.0).dead_outputs), (1, 3, 2));
    assert_eq!((kept(1e9).kept, kept(1e9).dead_inputs, kept(1e9).dead_outputs), (9, 1, 0));
    assert_eq!((kept(-1e9).kept, kept(-1e9).dead_inputs, kept(-1e9).dead_outputs), (0, 4, 3));
    assert_eq!(layer.sparsity(-1e9).unwrap().compression(), f64::INFINITY);
    assert!(matches!(layer.sparsity(f64::NAN), Err(Error::Setting { .. })));
    #[rustfmt::skip]
    assert_eq!(layer.kept(3.0), [true, false, false, false, false, false, false, false, true, true, false, true]);
    assert!(sparsity.to_string().contains("1/4") && sparsity.to_string().contains("= 3.0"));
}

#[test]
fn a_spread_that_is_no_number_is_refused() {
    let mut layer = dev().build_module::<SparseVdLinear<4, 3>, f32>();
    // 1e39 is finite, but not in single precision.
    for spread in [f64::NAN, f64::INFINITY, 1e39] {
        assert!(matches!(layer.set_spread(spread), Err(Error::Setting { .. })), "{spread}");
    }
    assert!(floats(&layer.spread).iter().all(|x| *x == -10.0));
    layer.set_spread(-3.0).unwrap();
    assert!(floats(&layer.spread).iter().all(|x| *x == -3.0));
    assert!(matches!(layer.set_theta(&[0.0; 11]), Err(Error::Mismatch(_))));
}

/// The weights chosen for an evaluation end with it, also in a clone, and also where the view is never dropped.
#[test]
fn chosen_weights_cannot_go_stale() {
    let mut layer = by_hand();
    let theta = used(&layer);
    let view = layer.with_weights(Weights::Pruned(3.0)).unwrap();
    assert_ne!(used(&view), theta);
    assert_eq!(used(&ByHand::clone(&view)), theta);
    std::mem::forget(view);
    layer.set_theta(&[0.5; 12]).unwrap();
    let x = layer.input(batch::<4, f64>(1, &[0.0; 4]));
    layer.forward_mut(x);
    assert_eq!(used(&layer), [0.5; 12]);
}

/// A transposed or broadcast parameter is overwritten number for number, by whatever overwrites parameters.
#[test]
fn parameters_that_are_not_contiguous_are_overwritten_in_order() {
    let from = dev().build_module::<SparseVdLinear<2, 3>, f32>();
    let target = || {
        let mut layer = Cpu::seed_from_u64(9).build_module::<SparseVdLinear<2, 3>, f32>();
        layer.theta = Cpu::seed_from_u64(8).sample_normal::<Rank2<2, 3>>().permute();
        layer.bias = layer.bias.device().tensor(0.5).broadcast();
        layer
    };
    let mut set = target();
    set.set_theta(&Layer::theta(&from)).unwrap();
    assert_eq!(floats(&set.theta), floats(&from.theta));
    let (mut copied, mut loaded) = (target(), target());
    copy_means(&from, &mut copied).unwrap();
    posterior_from_bytes(&mut loaded, &posterior_to_bytes(&from, &()).unwrap()).unwrap();
    for layer in [copied, loaded] {
        assert_eq!((floats(&layer.theta), floats(&layer.bias)), (floats(&from.theta), floats(&from.bias)));
    }
}

/// A module whose `visit` reaches its layer as often as it is told, but whose `visit_mut` does not: pruning would omit
/// it.
mod forgetful {
    use super::*;
    use dfdx::nn::{Module, ModuleMut};

    #[derive(Clone)]
    pub struct Half<N>(pub N, pub usize);
    impl<N: BuildOnDevice<D, E>, E: Elem, D: Backend<E>> BuildOnDevice<D, E> for Half<N>
    where
        Half<N::Built>: BuildModule<D, E>,
    {
        type Built = Half<N::Built>;
    }
    impl<N: TensorCollection<E, D>, E: Elem, D: Backend<E>> TensorCollection<E, D> for Half<N> {
        type To<E2: Dtype, D2: Device<E2>> = Half<N::To<E2, D2>>;
        fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
            visitor: &mut V,
        ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
            visitor.visit_fields(Self::module("half", |s| &s.0, |s| &mut s.0), |n| Half(n, 1))
        }
    }
    impl<X, N: Module<X>> Module<X> for Half<N> {
        type Output = N::Output;
        type Error = N::Error;
        fn try_forward(&self, x: X) -> Result<N::Output, N::Error> {
            self.0.try_forward(x)
        }
    }
    impl<X, N: ModuleMut<X>> ModuleMut<X> for Half<N> {
        type Output = N::Output;
        type Error = N::Error;
        fn try_forward_mut(&mut self, x: X) -> Result<N::Output, N::Error> {
            self.0.try_forward_mut(x)
        }
    }
    impl<N: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D> for Half<N> {
        fn visit<'a>(&'a self, path: &str, found: &mut sparsevd::ByPath<&'a dyn Layer<E, D>>) {
            for _ in 0..self.1 {
                self.0.visit(&format!("{path}.half"), found);
            }
        }
    }
}

#[test]
fn a_module_that_hides_its_layers_is_not_trained() {
    use forgetful::Half;
    let digits = Split::optdigits().unwrap().take(20, 10, 0).unwrap();
    for (visits, problem) in [
        (1, "`visit` reaches 2 of the network's layers, `visit_mut` reaches 1"),
        (0, "2 layers of this library; `visit` reaches 1 of them (visits: 1)"),
        (2, "2 layers of this library; `visit` reaches 2 of them (visits: 3)"),
    ] {
        let mut net = dev().build_module::<(SparseVdLinear<64, 20>, Half<SparseVdLinear<20, 10>>), f32>();
        net.1.1 = visits;
        let trainer = Trainer { epochs: 1, batch: 10, progress: false, ..Trainer::default() };
        let told = trainer.fit(&mut net, digits.train()).unwrap_err().to_string();
        assert!(told.contains(problem), "{told}");
        assert!(predict(&mut net, digits.test(), Evaluate::Mean).is_err());
        // In a loop of one's own, too: the KL sums the layers that `visit` reaches.
        let x: Tensor<(usize, Const<64>), f32, Cpu> = dev().sample_normal_like(&(2, Const));
        let nll = categorical(net.forward_mut(x.leaky_traced()), &[0, 1]).unwrap();
        assert_eq!(Elbo::new(20).unwrap().loss(&net, nll, 0.0).is_err(), visits != 1);
    }
}

/// The KL to N(0, s^2) with the scales that are given out is the layer's.
#[test]
fn learned_scales_can_be_read() {
    type Grouped = Variational<Conv2dMap<4, 6, 3, 1, 1, 1, 2, 2>, Additive, Ard>;
    let mut layer = dev().build_module::<Grouped, f64>();
    layer.spread = layer.theta.clone() * 3.0 - 2.0;
    for (prior, many) in [(Ard::per_output(), 6), (Ard::per_input(), 4), (Ard::per_layer(), 1), (Ard::per_weight(), 0)]
    {
        layer.prior = prior;
        let (scales, grid) = (layer.prior_scales(), Layer::grid(&layer));
        assert_eq!(scales.len(), many);
        if many == 0 {
            continue;
        }
        let scale = |i: usize| {
            scales[match many {
                6 => i / grid.cols,
                4 => grid.input(i),
                _ => 0,
            }]
        };
        let kl = |(i, (theta, log_sigma2)): (usize, (&f64, &f64))| {
            scale(i).ln() - 0.5 * log_sigma2 + (theta * theta + log_sigma2.exp()) / (2.0 * scale(i).powi(2)) - 0.5
        };
        let (theta, spread) = (floats(&layer.theta), floats(&layer.spread));
        let sum: f64 = theta.iter().zip(&spread).enumerate().map(kl).sum();
        let found = floats(&layer.own_kl().unwrap())[0];
        assert!((found - sum).abs() < 1e-9 * (1.0 + sum), "{found} {sum}");
    }
}

#[test]
fn a_threshold_that_is_no_number_is_refused() {
    let mut net = dev().build_module::<SparseVdLinear<4, 2>, f32>();
    net.configure(Settings { masking: Masking::Means(f64::NAN), ..Settings::default() });
    let x: Tensor<(usize, Const<4>), f32, Cpu> = dev().sample_normal_like(&(2, Const));
    let nll = categorical(net.forward_mut(x.leaky_traced()), &[0, 1]).unwrap();
    assert!(matches!(Elbo::new(2).unwrap().loss(&net, nll, 0.0), Err(Error::Setting { .. })));
}

#[test]
fn a_network_changes_precision_and_device() {
    let mut net = dev().build_module::<(SparseVdLinear<4, 6>, ReLU, ArdLinear<6, 2>), f32>();
    net.0.set_spread(-4.0).unwrap();
    net.2.prior = Ard::per_output();
    let wide = net.to_dtype::<f64>();
    let copy = net.to_device(&dev());
    assert_eq!((floats(&wide.0.theta), floats(&wide.2.bias)), (floats(&net.0.theta), floats(&net.2.bias)));
    assert_eq!((floats(&wide.0.spread), floats(&copy.2.theta)), (vec![-4.0; 24], floats(&net.2.theta)));
    assert_eq!((&wide.2.prior, &copy.2.prior), (&Ard::per_output(), &Ard::per_output()));
    let (single, double) = (floats(&net.0.kl().unwrap())[0], floats(&wide.0.kl().unwrap())[0]);
    assert!((single - double).abs() < 1e-4 * double);
}

/// A layer keeps its settings when it is converted to another precision or device.
#[test]
fn another_precision_keeps_posterior_prior_and_settings() {
    type Net = (DropoutLinear<4, 3>, VariationalLinear<3, 3, StudentT>, BatchNorm<3>);
    let mut net = dev().build_module::<Net, f32>();
    net.0.posterior = Bernoulli::new(0.2).unwrap();
    net.set_prior(StudentT::new(3.0, 0.5).unwrap()).unwrap();
    let settings = Settings { masking: Masking::Weights(2.0), ..Settings::default() };
    net.configure(settings);
    (net.2.epsilon, net.2.momentum) = (0.5, 0.25);
    let described = net.descriptions();
    for other in [net.clone().to_dtype::<f64>().to_dtype::<f32>(), net.to_device(&Cpu::seed_from_u64(9))] {
        assert_eq!(other.descriptions(), described);
        assert_eq!((other.2.epsilon, other.2.momentum), (0.5, 0.25));
    }
    let wide = net.to_dtype::<f64>();
    assert_eq!((wide.0.posterior.rate(), wide.1.settings), (0.2, settings));
    assert_eq!(dev().build_module::<Net, f64>().0.posterior, Bernoulli::default());
}

/// A spread that is not trained says nothing about single weights: only means of zero are pruned, also while training.
#[test]
fn dropout_does_not_prune() {
    fn hold<Q: Family>(mut layer: modules::Variational<LinearMap<4, 3>, Q, Flat, f64, Cpu>) {
        let theta = [2.0, 0.1, 0.0, 0.01, 0.1, 0.1, 0.0, 0.02, 1.0, 0.3, 0.0, -0.5];
        layer.set_theta(&theta).unwrap();
        assert!(layer.log_alpha().iter().all(|log_alpha| *log_alpha > 3.0));
        assert_eq!(layer.kept(3.0), theta.map(|theta| theta != 0.0));
        assert_eq!(layer.sparsity(3.0).unwrap().kept(), 9);
        let x = batch::<4, f64>(1, &[1.0, 2.0, 3.0, 4.0]);
        let mean = floats(&layer.forward(x.clone()));
        assert_eq!(floats(&layer.with_weights(Weights::Pruned(3.0)).unwrap().forward(x.clone())), mean);
        let small = compact(&layer, &[4], 3.0).unwrap();
        let compacted =
            small.forward(&[1.0, 2.0, 3.0, 4.0], &mut sparsevd::infer::Scratch::default()).unwrap().to_vec();
        assert!(compacted.iter().zip(&mean).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6), "{compacted:?}, {mean:?}");
        for composed in [false, true] {
            let pass = |layer: &modules::Variational<LinearMap<4, 3>, Q, Flat, f64, Cpu>, masking: Masking| {
                let mut layer = layer.clone();
                layer.settings.masking = masking;
                layer.composed = composed;
                layer.seed_noise(3);
                floats(&layer.forward_mut(x.leaky_trace()))
            };
            let (free, masked) = (pass(&layer, Masking::Off), pass(&layer, Masking::Weights(3.0)));
            assert!(free.iter().zip(&masked).all(|(a, b)| (a - b).abs() < 1e-12), "{free:?}, {masked:?}");
        }
    }
    let mut dropout = dev().build_module::<DropoutLinear<4, 3>, f64>();
    dropout.posterior = Bernoulli::new(0.96).unwrap(); // log alpha = 3.2
    hold(dropout);
    let mut gaussian = dev().build_module::<GaussianDropoutLinear<4, 3>, f64>();
    gaussian.set_spread(4.0).unwrap();
    hold(gaussian);
}

/// Messages name a layer by its path, or the network where it is but one layer.
#[test]
fn a_network_of_one_layer_has_a_name() {
    let mut net = dev().build_module::<SparseVdLinear<64, 10>, f32>();
    let trainer = Trainer { epochs: 1, batch: 10, progress: false, ..Trainer::default() };
    let digits = Split::optdigits().unwrap().take(20, 10, 0).unwrap();
    net.spread.copy_from(&[f32::NAN; 640]);
    let told = trainer.fit(&mut net, digits.train()).unwrap_err().to_string();
    assert!(told.starts_with("log_sigma2 is NaN in the network, epoch 0, step 0; "), "{told}");
    let told = compact(&net, &[64], 3.0).unwrap_err().to_string();
    assert_eq!(told, "the network: its log_sigma2 holds NaN");
    let told = compact(&dev().build_module::<SparseVdLinear<64, 10>, f32>(), &[63], 3.0).unwrap_err().to_string();
    assert!(told.starts_with("the network reads 64 numbers; "), "{told}");
    let file = posterior_to_bytes(&dev().build_module::<SparseVdLinear<64, 10>, f32>(), &()).unwrap();
    let told =
        posterior_from_bytes(&mut dev().build_module::<ArdLinear<64, 10>, f32>(), &file).unwrap_err().to_string();
    assert!(told.contains("the network: its prior is log_uniform fit in the file"), "{told}");
}
