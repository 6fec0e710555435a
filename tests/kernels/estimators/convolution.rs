//! A convolution, whose positions share weights.

use super::{ESTIMATORS, LOCAL, Means, bound, most, target, with_differences, with_products};
use crate::common::{floats, gradient, put};
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;

type Map = Conv2dMap<2, 3, 3>;
type Conv = modules::Variational<Map, Additive, Flat, f64, Cpu>;
/// Two images of 4 x 4 pixels, so 2 x 2 positions of three channels each.
const SIDE: usize = 4;
const IMAGES: usize = 2;
type Images<const C: usize> = Tensor<(usize, Const<C>, usize, usize), f64, Cpu>;

fn images(x: &[f64]) -> Images<2> {
    Cpu::default().tensor_from_vec(x.to_vec(), (IMAGES, Const, SIDE, SIDE))
}

fn convolution([theta, spread, bias, _]: &[Vec<f64>; 4]) -> Conv {
    let mut conv = Cpu::seed_from_u64(0).build_module::<Variational<Map, Additive, Flat>, f64>();
    put(&mut conv.theta, theta);
    put(&mut conv.spread, spread);
    put(&mut conv.bias, bias);
    conv
}

/// Mean and variance of every output: the convolution of the input and, without bias, that of its squares.
fn output_moments(p: &[Vec<f64>; 4]) -> [Vec<f64>; 2] {
    let [_, spread, bias, x] = p;
    let variances: Vec<f64> = spread.iter().map(|s| s.exp()).collect();
    let of_squares = convolution(&[variances, spread.clone(), vec![0.0; bias.len()], vec![]]);
    [floats(&convolution(p).forward(images(x))), floats(&of_squares.forward(images(x).square()))]
}

/// A quadratic loss of single outputs has the same expectation under every estimator; one of their sum over positions
/// has not.
#[test]
fn a_convolution_agrees_where_the_loss_is_a_sum_over_outputs() {
    let wave = |n: usize, f: &dyn Fn(f64) -> f64| (0..n).map(|i| f(i as f64)).collect::<Vec<f64>>();
    let p = [
        wave(54, &|i| 0.5 * (1.3 * i).cos()),
        wave(54, &|i| -2.0 + 0.4 * i.sin()),
        wave(3, &|i| 0.3 * i.cos()),
        wave(IMAGES * 2 * SIDE * SIDE, &|i| 1.2 * (1.0 + 1.7 * i).sin() + 0.3),
    ];
    let blocks: Vec<usize> = p.iter().map(Vec::len).collect();
    let targets: Vec<f64> = (0..IMAGES * 3 * 4).map(target).collect();
    let expected = with_differences(&p, |p| {
        let [mean, variance] = output_moments(p);
        mean.iter().zip(&variance).zip(&targets).map(|((m, v), t)| (m - t).powi(2) + v).sum()
    });
    let along = expected.clone();
    let expected = with_products(&expected, &along, &blocks);
    // The squared sum over the positions of one channel, where these are independent.
    let [mean, variance] = output_moments(&p);
    let of_sum = mean[..4].iter().sum::<f64>().powi(2) + variance[..4].iter().sum::<f64>();

    let bound = bound(ESTIMATORS.len() * (expected.len() + 1));
    let targets = Cpu::default().tensor_from_vec(targets, (IMAGES, Const::<3>, 2, 2));
    for estimator in ESTIMATORS {
        let mut conv = convolution(&p);
        conv.settings.estimator = estimator;
        conv.seed_noise(5 + estimator as u64);
        let x = images(&p[3]);
        let mut sums = Vec::new();
        let mut pass = |_| {
            let y = conv.forward_mut(x.leaky_trace());
            sums.push(vec![floats(&y)[..4].iter().sum::<f64>().powi(2)]);
            let loss = (y - targets.clone()).square().sum::<Rank0, _>();
            let value = vec![loss.array()];
            let g = &mut loss.backward();
            let of_layer = [gradient(g, &conv.theta), gradient(g, &conv.spread), gradient(g, &conv.bias)].concat();
            with_products(&[value, of_layer, gradient(g, &x)].concat(), &along, &blocks)
        };
        let passes: Vec<Vec<f64>> = (0..2000).map(&mut pass).collect();
        let off = Means::of(&passes).off(&expected);
        assert!(most(&off) < bound, "{estimator:?}: {off:.1?} of {bound:.1}");
        let off = most(&Means::of(&sums).off(&[of_sum]));
        assert_eq!(off < bound, estimator == LOCAL, "{estimator:?}: a sum over positions is {off:.1} off");
        // The loss, with all that the noise adds to it 10 % too large.
        let noise = 0.1 * variance.iter().sum::<f64>();
        assert!(Means::of(&passes).off(&[&[expected[0] - noise][..], &expected[1..]].concat())[0] > bound);
    }
}
