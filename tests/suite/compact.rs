//! A compact network computes what the pruned posterior mean does, whatever was removed.

use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sparsevd::infer::{CompactNet, Form, Precision, Scratch};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::{AvgPool2d, LeNet5, THRESHOLD, VggQuarter, compact};

/// Keeps some of the weights of every layer. Whole outputs and whole inputs go, too.
fn thin<E: Elem, D: Backend<E>>(net: &mut impl Network<E, D>, keep: f64, random: &mut StdRng) {
    for (_, layer) in net.layers_mut() {
        let grid = layer.grid();
        let outputs: Vec<bool> = (0..grid.rows).map(|_| random.gen_bool(0.6)).collect();
        let inputs: Vec<bool> = (0..grid.inputs()).map(|_| random.gen_bool(0.7)).collect();
        let kept = |i: usize| outputs[i / grid.cols] && inputs[i % grid.cols / grid.area];
        let theta: Vec<f64> = (0..grid.len())
            .map(|i| if kept(i) && random.gen_bool(keep) { random.gen_range(-1.0..1.0) } else { 0.0 })
            .collect();
        layer.set_theta(&theta).unwrap();
    }
}

/// `data` images as both read them, and the logits of both.
fn both<N, const I: usize, const O: usize>(net: &mut N, [h, w]: [usize; 2], data: usize) -> [Vec<f32>; 2]
where
    N: Network<f32, Cpu>
        + Module<Tensor<(usize, Const<I>, usize, usize), f32, Cpu>, Output = Tensor<(usize, Const<O>), f32, Cpu>>,
{
    let x: Tensor<_, f32, _> = Cpu::seed_from_u64(9).sample_normal_like(&(data, Const::<I>, h, w));
    let pruned = net.with_weights(Weights::Pruned(THRESHOLD)).unwrap().forward(x.clone()).as_vec();
    let small = compact(net, &[I, h, w], THRESHOLD).unwrap();
    same_in_all_forms(&small, &x.as_vec());
    [pruned, small.forward(&x.as_vec(), &mut Scratch::default()).unwrap().to_vec()]
}

/// Every form, and every way to divide the data into passes, gives the same.
fn same_in_all_forms(net: &CompactNet, x: &[f32]) {
    let mut scratch = Scratch::default();
    let expected = net.forward(x, &mut scratch).unwrap().to_vec();
    for form in [Form::Csr, Form::Dense] {
        let other = net.with_forms(|_| form);
        assert!(other.layers().iter().all(|layer| layer.form() == form));
        close(other.forward(x, &mut scratch).unwrap(), &expected);
    }
    let one_by_one = x.chunks(net.inputs()).flat_map(|x| net.forward(x, &mut Scratch::default()).unwrap().to_vec());
    close(&one_by_one.collect::<Vec<f32>>(), &expected);
}

/// To 1e-5 of the largest.
fn close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0_f32, |m, b| m.max(b.abs()));
    a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}, largest {largest}"));
}

type Conv<const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const D: usize> =
    Variational<Conv2dMap<I, O, K, S, P, D>, Additive, LogUniform>;
type Grouped = Variational<Conv2dMap<8, 6, 3, 1, 1, 1, 2, 4, false>, Additive, LogUniform>;

/// Everything a part can be: padding, stride, dilation, groups, batch norm before and after an activation and on
/// vectors, pools before and after activations, with and without borders.
type Odd = (
    (Conv<2, 8, 3, 2, 1, 1>, BatchNorm<8>, ReLU, Grouped, BatchNorm<6>),
    (MaxPool2d<3, 2, 1>, ReLU, BatchNorm<6>, Conv<6, 5, 2, 1, 0, 2>),
    (AvgPool2d<2, 1, 1>, Tanh, Conv<5, 7, 3, 1, 1, 1>, ReLU, AvgPool2d<2>),
    (Flatten<28>, BatchNorm<28>, SparseVdLinear<28, 20>, Sigmoid),
    (SparseVdLinear<20, 9>, BatchNorm<9>, ReLU, Dropout),
    SparseVdLinear<9, 4>,
);

/// Gives batch norms something to do.
fn unsettle<const C: usize>(norm: &mut modules::BatchNorm<C, f32>, random: &mut StdRng) {
    let device = norm.scale.device().clone();
    let mut draw = |from: f32, to: f32| device.tensor(std::array::from_fn::<f32, C, _>(|_| random.gen_range(from..to)));
    norm.scale = draw(-1.5, 1.5);
    norm.bias = draw(-0.5, 0.5);
    norm.running_mean = draw(-0.5, 0.5);
    norm.running_var = draw(0.2, 2.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn odd_networks(seed: u64, keep in 0.0_f64..1.0, data in 1_usize..40) {
        let random = &mut StdRng::seed_from_u64(seed);
        let mut net = Cpu::seed_from_u64(seed).build_module::<Odd, f32>();
        thin(&mut net, keep, random);
        unsettle(&mut net.0.1, random);
        unsettle(&mut net.0.4, random);
        unsettle(&mut net.1.2, random);
        unsettle(&mut net.3.1, random);
        unsettle(&mut net.4.1, random);
        let [expected, found] = both::<_, 2, 4>(&mut net, [17, 17], data);
        close(&found, &expected);
    }

    #[test]
    fn lenet5(seed: u64, keep in 0.0_f64..0.3) {
        let mut net = Cpu::seed_from_u64(seed).build_module::<LeNet5, f32>();
        thin(&mut net, keep, &mut StdRng::seed_from_u64(seed));
        let [expected, found] = both::<_, 1, 10>(&mut net, [28, 28], 5);
        close(&found, &expected);
    }

    /// Vectors; the same bits from the file, and no more bytes where it keeps only those that the posterior supports.
    #[test]
    fn lenet300_and_its_file(seed: u64, keep in 0.0_f64..0.3, data in 1_usize..110) {
        let mut net = Cpu::seed_from_u64(seed).build_module::<LeNet300100<LogUniform, Additive, 64>, f32>();
        thin(&mut net, keep, &mut StdRng::seed_from_u64(seed));
        let x: Tensor<_, f32, _> = Cpu::seed_from_u64(9).sample_normal_like(&(data, Const::<64>));
        let small = compact(&net, &[64], THRESHOLD).unwrap();
        same_in_all_forms(&small, &x.as_vec());
        let mut scratch = Scratch::default();
        let found = small.forward(&x.as_vec(), &mut scratch).unwrap().to_vec();
        close(&found, &net.with_weights(Weights::Pruned(THRESHOLD)).unwrap().forward(x.clone()).as_vec());
        let again = CompactNet::from_bytes(&small.to_bytes(Precision::Single).unwrap()).unwrap();
        prop_assert_eq!(again.forward(&x.as_vec(), &mut scratch).unwrap(), &found[..]);
        prop_assert_eq!(again.report().unwrap(), small.report().unwrap());
        // Quantised to posterior precision, the same structure.
        let bytes = small.to_bytes(Precision::Posterior).unwrap();
        prop_assert!(bytes.len() <= small.to_bytes(Precision::Single).unwrap().len() + 200, "the step and the bits");
        let rounded = CompactNet::from_bytes(&bytes).unwrap();
        prop_assert_eq!(rounded.report().unwrap().layers.len(), 3);
        prop_assert_eq!(rounded.forward(&x.as_vec(), &mut scratch).unwrap().len(), found.len());
    }
}

proptest! {
    /// No weight moves by more than sigma, and 1 / sigma^2 is the mean of 1 / sigma_i^2: so the sum of
    /// `(d_i / sigma_i)^2` is no more than the number of weights. On average it is a third of it.
    #[test]
    fn rounding_is_within_the_posterior(log_sigma2 in vec(-12.0_f32..0.0, 16), theta in vec(-1.0..1.0, 16)) {
        let mut net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<4, 4>, f32>();
        net.set_theta(&theta).unwrap();
        net.spread = net.spread.device().tensor_from_vec(log_sigma2.clone(), (Const, Const));
        let small = compact(&net, &[4], f64::INFINITY).unwrap();
        let units: Vec<f32> = (0..16).map(|i| if i % 5 == 0 { 1.0 } else { 0.0 }).collect();
        let weights = |precision| {
            let small = CompactNet::from_bytes(&small.to_bytes(precision).unwrap()).unwrap();
            small.forward(&units, &mut Scratch::default()).unwrap().to_vec() // column by column
        };
        let (exact, rounded) = (weights(Precision::Single), weights(Precision::Posterior));
        let moved = |i: usize| f64::from(exact[i] - rounded[i]).powi(2) / f64::from(log_sigma2[i % 4 * 4 + i / 4]).exp();
        let sum: f64 = (0..16).map(moved).sum();
        prop_assert!(sum <= 16.001, "{sum}");
    }
}

/// Removed and kept parts of a network that can be computed by hand: 3 -> 3 -> 2 -> 1.
#[test]
fn dead_structure_goes() {
    type Net = (SparseVdLinear<3, 3>, ReLU, SparseVdLinear<3, 2>, ReLU, SparseVdLinear<2, 1>);
    let mut net = Cpu::seed_from_u64(0).build_module::<Net, f32>();
    let device = net.0.bias.device().clone();
    let mut set =
        |theta: [&[f64]; 3]| net.layers_mut().into_iter().zip(theta).for_each(|((_, l), t)| l.set_theta(t).unwrap());
    // Input 2 is not read. Neuron 1 is the constant 0.5, neuron 2 is read by neuron 1 of the next layer, which nobody reads.
    set([&[2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[1.0, 4.0, 0.0, 0.0, 0.0, 3.0], &[5.0, 0.0]]);
    net.0.bias = device.tensor([0.25, 0.5, 0.0]);
    net.2.bias = device.tensor([1.0, 7.0]);
    net.4.bias = device.tensor([0.125]);
    let small = compact(&net, &[3], THRESHOLD).unwrap();
    let report = small.report().unwrap();
    let left: Vec<[usize; 3]> = report.layers.iter().map(|l| [l.inputs, l.outputs, l.kept]).collect();
    assert_eq!(left, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]);
    assert_eq!(report.flops(), [2 * (9 + 6 + 2), 6]);
    assert_eq!(report.compression(), 17.0 / 3.0);
    // 5 (2 x + 0.25 + 4 0.5 + 1) + 0.125
    assert_eq!(small.forward(&[1.0, -9.0, 9.0], &mut Scratch::default()).unwrap(), [5.0 * 5.25 + 0.125]);
}

/// In the dense form, too, where the input's first numbers are in the order of the kernel but not of the image.
#[test]
fn convolutions_that_read_what_comes_first() {
    let mut strided = Cpu::default().build_module::<(Conv<1, 2, 1, 2, 0, 1>, Flatten<8>), f32>();
    strided.0.set_theta(&[1.0, 2.0]).unwrap();
    let [expected, found] = both::<_, 1, 8>(&mut strided, [4, 4], 3);
    close(&found, &expected);
    let mut top = Cpu::default().build_module::<(Conv<1, 1, 2, 1, 0, 1>, Flatten<4>), f32>();
    top.0.set_theta(&[1.0, 2.0, 0.0, 0.0]).unwrap();
    let [expected, found] = both::<_, 1, 4>(&mut top, [3, 3], 3);
    close(&found, &expected);
}

/// A constant filter before a padded convolution is wrong at the border if it becomes a bias: it stays.
#[test]
fn constants_stay_before_a_border() {
    type Net = ((Conv<1, 2, 1, 1, 0, 1>, ReLU, Conv<2, 1, 3, 1, 1, 1>), Flatten<9>, SparseVdLinear<9, 9>);
    let mut net = Cpu::seed_from_u64(0).build_module::<Net, f32>();
    let device = net.0.0.bias.device().clone();
    let identity: Vec<f64> = (0..81).map(|i| if i % 10 == 0 { 1.0 } else { 0.0 }).collect();
    for ((_, layer), theta) in net.layers_mut().into_iter().zip([vec![0.0; 2], vec![1.0; 18], identity]) {
        layer.set_theta(&theta).unwrap();
    }
    net.0.0.bias = device.tensor([1.0, -1.0]);
    let [expected, found] = both::<_, 1, 9>(&mut net, [3, 3], 1);
    close(&found, &expected);
    let outputs = compact(&net, &[1, 3, 3], THRESHOLD).unwrap().report().unwrap().layers[0].outputs;
    assert_eq!(outputs, 1, "the one that is zero goes");
}

/// Thirteen padded convolutions with batch norm.
#[test]
fn vgg() {
    let mut net = Cpu::seed_from_u64(0).build_module::<VggQuarter, f32>();
    thin(&mut net, 0.1, &mut StdRng::seed_from_u64(1));
    let [expected, found] = both::<_, 3, 10>(&mut net, [32, 32], 2);
    close(&found, &expected);
}

#[test]
fn a_network_of_which_nothing_is_left() {
    let mut net = Cpu::seed_from_u64(0).build_module::<LeNet5, f32>();
    net.layers_mut().into_iter().for_each(|(_, layer)| layer.set_theta(&vec![0.0; layer.grid().len()]).unwrap());
    let [expected, found] = both::<_, 1, 10>(&mut net, [28, 28], 3);
    assert_eq!(found, expected, "the last bias, three times");
    let small = compact(&net, &[1, 28, 28], THRESHOLD).unwrap();
    let again = CompactNet::from_bytes(&small.to_bytes(Precision::Posterior).unwrap()).unwrap();
    assert_eq!(again.report().unwrap(), small.report().unwrap());
}

#[test]
fn what_cannot_be_is_said() {
    let device = Cpu::seed_from_u64(0);
    let compacted = |net: &dyn Fn() -> Result<CompactNet, Error>| net().unwrap_err().to_string();
    let mut net = device.build_module::<(SparseVdLinear<4, 3>, (ReLU, SparseVdLinear<3, 2>)), f32>();
    assert!(compacted(&|| compact(&net, &[5], 3.0)).contains("layer 0 reads 4 numbers"));
    assert!(matches!(compact(&net, &[4], f64::NAN), Err(Error::Setting { .. })));
    assert!(matches!(compact(&net, &[2, 2], 3.0), Err(Error::Input(_))));
    net.layers_mut()[1].1.set_theta(&[0.0, f64::NAN, 0.0, 0.0, 0.0, 0.0]).unwrap();
    assert!(compacted(&|| compact(&net, &[4], 3.0)).contains("part 1.1: its weight holds NaN"));
    let net = device.build_module::<(SparseVdLinear<4, 3>, Softmax), f32>();
    assert!(matches!(compact(&net, &[4], 3.0), Err(Error::Compact { part, .. }) if part == "1"));
    let small = compact(&net.0, &[4], 3.0).unwrap();
    assert!(small.forward(&[0.0; 7], &mut Scratch::default()).is_err());
}

/// With its path and its name, and what to do.
#[test]
fn what_has_no_compact_form_is_named() {
    #[derive(Clone, Debug, Default)]
    struct Mine;
    impl<E: Elem, D: Backend<E>> Network<E, D> for Mine {}
    type Inner = SparseVdLinear<4, 4>;
    let device = Cpu::seed_from_u64(0);
    let said = |net: &dyn Fn() -> Result<CompactNet, Error>, start: &str| {
        let said = net().unwrap_err().to_string();
        assert!(said.starts_with(start) && said.contains("predict with `Evaluate::Pruned`"), "{said}");
    };
    let net = device.build_module::<(Inner, (ReLU, Residual<Inner>)), f32>();
    said(&|| compact(&net, &[4], 3.0), "part 1.1: `Residual<..>` has no compact form");
    let net = device.build_module::<(Inner, GeneralizedResidual<Inner, Inner>), f32>();
    said(&|| compact(&net, &[4], 3.0), "part 1: `GeneralizedResidual<..>` has no compact form");
    let net = device.build_module::<(Inner, LayerNorm1D<4>, Softmax), f32>();
    said(&|| compact(&net, &[4], 3.0), "part 1: `LayerNorm1D<..>` has no compact form");
    said(&|| compact(&(net.0.clone(), Mine), &[4], 3.0), "part 1: `Mine` has no compact form");

    let mut net = device.build_module::<(Inner, BatchNorm<4>), f32>();
    net.1.running_var.copy_from(&[1.0, -2.0, 1.0, 1.0]);
    let said = compact(&net, &[4], 3.0).unwrap_err().to_string();
    assert_eq!(said, "part 1: its running_var holds -2 and its epsilon is 0.00001; the sum must be more than 0");
    net.1.bias.copy_from(&[f32::NAN; 4]);
    assert_eq!(compact(&net, &[4], 3.0).unwrap_err().to_string(), "part 1: its bias holds NaN");
}

/// The posterior decides about weights, not only their means.
#[test]
fn log_alpha_prunes() {
    let mut net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<2, 1>, f32>();
    net.set_theta(&[1.0, 1.0]).unwrap();
    net.spread = net.spread.device().tensor([[2.9, 3.1]]);
    let small = compact(&net, &[2], 3.0).unwrap();
    assert_eq!(small.report().unwrap().layers[0].kept, 1);
    assert_eq!(small.report().unwrap().layers[0].inputs, 1);
}
