//! The direct kernels against products with unfolded images.

use proptest::prelude::*;

use super::super::Noise;
use super::*;
use crate::compute::cpu::product::{Matrix, multiply};
use crate::compute::elem::Elem;
use crate::compute::noise;
use crate::compute::seeds::Seed;
use crate::spec::{VARIANCE_FLOOR, Window};

/// Numbers between -1 and 1 without a pattern; of one seed.
fn numbers<E: Elem>(count: usize, seed: u64) -> Vec<E> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 33) as f64 / f64::from(1 << 30) - 1.0
    };
    (0..count).map(|_| E::of(next())).collect()
}

fn squares<E: Elem>(of: &[E]) -> Vec<E> {
    of.iter().map(|x| *x * *x).collect()
}

fn product<E: Elem>(left: Matrix<'_, E>, right: Matrix<'_, E>) -> Vec<E> {
    let mut out = vec![E::default(); left.rows() * right.cols()];
    multiply(&mut out, false, left, right);
    out
}

/// A convolution with numbers to compute with.
struct Case<E> {
    geometry: Geometry,
    outputs: usize,
    weights: [Vec<E>; 2],
    bias: Vec<E>,
    x: Vec<E>,
    /// The gradient of the output.
    g: Vec<E>,
    eps: Vec<E>,
}

/// The results of a pass: the output, its derivative by its variance, and the gradients of the images and the weights.
struct Found<E> {
    y: Vec<E>,
    slope: Vec<E>,
    d_x: Vec<E>,
    d_weights: [Vec<E>; 2],
}

impl<E: Elem> Case<E> {
    fn new(geometry: Geometry, outputs: usize, images: usize, seed: u64) -> Self {
        let (weights, plane) = (outputs * geometry.rows(), outputs * geometry.positions());
        let of = |count, number| numbers(count, seed.wrapping_add(number));
        Case {
            geometry,
            outputs,
            weights: [of(weights, 1), squares(&of(weights, 2))],
            bias: of(outputs, 3),
            x: of(images * geometry.pixels(), 4),
            g: of(images * plane, 5),
            eps: of(images * plane, 6),
        }
    }

    /// By the direct kernels; without noise if not `noisy`.
    fn direct(&self, noisy: bool) -> Found<E> {
        let (geometry, outputs) = (&self.geometry, self.outputs);
        let weights = [&self.weights[0][..], if noisy { &self.weights[1] } else { &[] }];
        let (mut y, mut slope) = (vec![E::nan(); self.g.len()], self.eps.clone());
        forward(
            geometry,
            outputs,
            weights,
            &self.bias,
            &self.x,
            &mut y,
            noisy.then_some(Noise { eps: &mut slope, seed: None }),
        );
        let of_noise = noisy.then_some(&slope[..]);
        let mut d_x = vec![E::ONE; self.x.len()];
        add_input_gradient(geometry, outputs, weights, [&self.x, &self.g], of_noise, &mut d_x);
        let mut sums = [0; 2].map(|_| vec![E::default(); self.weights[0].len()]);
        let [means, variances] = &mut sums;
        add_weight_gradient(geometry, outputs, [&self.x, &self.g], of_noise, [means, variances]);
        let d_weights = sums.map(|sums| {
            let mut d = vec![E::ONE; sums.len()];
            hand_out(geometry, outputs, &sums, &mut d);
            d
        });
        Found { y, slope, d_x, d_weights }
    }

    /// By the kernels that read only the weights that are not zero.
    fn live(&self, noisy: bool) -> Found<E> {
        let [means, variances] = &self.weights;
        let depth = self.geometry.rows();
        let kept: Vec<usize> = (0..means.len()).filter(|at| means[*at] != E::default()).collect();
        let weight = |at: &usize| {
            let variance = if noisy { variances[*at] } else { E::nan() };
            Weight { output: at / depth, col: at % depth, moments: [means[*at], variance] }
        };
        let live = Live { geometry: &self.geometry, outputs: self.outputs, weights: kept.iter().map(weight).collect() };
        let (mut y, mut slope) = (vec![E::nan(); self.g.len()], self.eps.clone());
        live.forward(&self.bias, &self.x, &mut y, noisy.then_some(&mut slope));
        let of_noise = noisy.then_some(&slope[..]);
        let mut d_x = vec![E::ONE; self.x.len()];
        let sums = live.backward([&self.x, &self.g], of_noise, Some(&mut d_x), 8);
        let d_weights = sums.map(|sums| {
            let mut d = vec![E::ONE; means.len()];
            kept.iter().zip(sums.iter()).for_each(|(at, sum)| d[*at] += *sum);
            d
        });
        Found { y, slope, d_x, d_weights }
    }

    /// By products with the unfolded images, one image at a time.
    fn general(&self, noisy: bool) -> Found<E> {
        let (depth, positions) = (self.geometry.rows(), self.geometry.positions());
        let mut found = Found {
            y: Vec::new(),
            slope: Vec::new(),
            d_x: vec![E::ONE; self.x.len()],
            d_weights: [0; 2].map(|_| vec![E::ONE; self.weights[0].len()]),
        };
        let weights = [0, 1].map(|moment| Matrix::new(&self.weights[moment], self.outputs, depth));
        let each = self.outputs * positions;
        for (i, x) in self.x.chunks_exact(self.geometry.pixels()).enumerate() {
            let own = i * each..(i + 1) * each;
            let mut u = vec![E::default(); depth * positions];
            self.geometry.unfold(x, &mut u);
            let u2 = squares(&u);
            let mean = product(weights[0], Matrix::new(&u, depth, positions));
            let var = product(weights[1], Matrix::new(&u2, depth, positions));
            let std = |at: usize| num_traits::Float::sqrt(var[at] + E::of(VARIANCE_FLOOR));
            let (eps, g) = (&self.eps[own.clone()], &self.g[own]);
            let noise = |at: usize| if noisy { std(at) * eps[at] } else { E::default() };
            found.y.extend((0..each).map(|at| mean[at] + self.bias[at / positions] + noise(at)));
            let slope: Vec<E> =
                (0..each).map(|at| if noisy { eps[at] / (E::of(2.0) * std(at)) } else { eps[at] }).collect();
            let h: Vec<E> =
                g.iter().zip(&slope).map(|(g, slope)| if noisy { *g * *slope } else { E::default() }).collect();
            found.slope.extend(slope);

            let of = [Matrix::new(g, self.outputs, positions), Matrix::new(&h, self.outputs, positions)];
            let mut d_u = product(weights[0].t(), of[0]);
            let of_variances = product(weights[1].t(), of[1]);
            (0..d_u.len()).for_each(|at| d_u[at] += E::of(2.0) * u[at] * of_variances[at]);
            self.geometry.fold(&mut d_u, &mut found.d_x[i * x.len()..(i + 1) * x.len()]);
            for (moment, u) in [u, u2].iter().enumerate() {
                let d = product(of[moment], Matrix::new(u, depth, positions).t());
                found.d_weights[moment].iter_mut().zip(d).for_each(|(to, d)| *to += d);
            }
        }
        found
    }
}

fn close<E: Elem>(what: &str, found: &[E], expected: &[E], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let (found, expected) = (found.f64(), expected.f64());
        assert!((found - expected).abs() <= tolerance, "{what}, number {i}: {found}, not {expected}");
    }
}

/// All numbers are at most 1 in size, so a sum of `n` products is off by no more than `n` roundings of `n`. A derivative
/// by a variance can be larger.
fn same<E: Elem>(case: &Case<E>, found: &Found<E>, expected: &Found<E>) {
    let sum = (case.geometry.rows() * case.outputs + case.g.len() / case.outputs) as f64;
    let tolerance = sum * E::epsilon().f64() * 10.0;
    close("output", &found.y, &expected.y, tolerance);
    close("slope", &found.slope, &expected.slope, 1e3 * tolerance);
    close("gradient of the images", &found.d_x, &expected.d_x, 1e3 * tolerance);
    close("gradient of the means", &found.d_weights[0], &expected.d_weights[0], tolerance);
    close("gradient of the variances", &found.d_weights[1], &expected.d_weights[1], 1e3 * tolerance);
}

fn dense<E: Elem>(geometry: Geometry, outputs: usize, images: usize, seed: u64) {
    let case = Case::<E>::new(geometry, outputs, images, seed);
    for noisy in [false, true] {
        same(&case, &case.direct(noisy), &case.general(noisy));
    }
}

/// One weight in `every` is left; of the others, the gradients that the products give are not compared. An output
/// without variance has a slope of 1e8, which is compared relative to that.
fn masked<E: Elem>(geometry: Geometry, outputs: usize, images: usize, seed: u64, every: usize) {
    let mut case = Case::<E>::new(geometry, outputs, images, seed);
    let masked = |at: usize| !(at.wrapping_mul(0x9E37_79B9) >> 7).is_multiple_of(every);
    for weights in &mut case.weights {
        (0..weights.len()).filter(|at| masked(*at)).for_each(|at| weights[at] = E::default());
    }
    for noisy in [false, true] {
        let (mut found, mut expected) = (case.live(noisy), case.general(noisy));
        for d in &mut expected.d_weights {
            (0..d.len()).filter(|at| masked(*at)).for_each(|at| d[at] = E::ONE);
        }
        for slope in found.slope.iter_mut().chain(&mut expected.slope) {
            *slope = if slope.f64().abs() > 1e5 { *slope * E::of(1e-8) } else { *slope };
        }
        same(&case, &found, &expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn are_products_with_unfolded_images(
        kernel in 1_usize..5, pad in 0_usize..5, dilation in 1_usize..3, height in 1_usize..8, width in 1_usize..36,
        channels in 1_usize..7, outputs in 1_usize..20, images in 1_usize..6, seed: u64,
        every in 1_usize..60,
    ) {
        let window = Window { kernel, stride: 1, pad, dilation };
        let Some(sizes) = window.outputs([height, width]) else { return Ok(()) };
        let geometry = Geometry { window, channels, image: [height, width], outputs: sizes };
        prop_assume!(pad < window.reach());
        dense::<f64>(geometry, outputs, images, seed);
        dense::<f32>(geometry, outputs, images, seed);
        masked::<f64>(geometry, outputs, images, seed, every);
        masked::<f32>(geometry, outputs, images, seed, every);
    }
}

/// The block of a seed's noise with number `i` is the first one of `seed.of_block(i)`.
#[test]
fn noise_drawn_by_groups_is_the_stream_of_the_seed() {
    let window = Window { kernel: 3, stride: 1, pad: 1, dilation: 1 };
    for (side, outputs) in [(32, 3), (8, 16), (4, 64), (2, 128)] {
        let geometry = Geometry { window, channels: 4, image: [side; 2], outputs: [side; 2] };
        let (images, seed) = (19, Seed(5));
        assert!(draws::<f32>(&geometry, outputs, images));
        let mut case = Case::<f32>::new(geometry, outputs, images, 3);
        noise::fill(seed, &mut case.eps);
        let drawn = case.direct(true);
        let (mut y, mut slope) = (vec![0.0; case.g.len()], vec![f32::NAN; case.g.len()]);
        let weights = case.weights.each_ref().map(|weights| &weights[..]);
        let noise = Noise { eps: &mut slope, seed: Some(seed) };
        forward(&geometry, outputs, weights, &case.bias, &case.x, &mut y, Some(noise));
        assert_eq!((y, slope), (drawn.y, drawn.slope), "{side}");
    }
    let geometry = Geometry { window, channels: 4, image: [5; 2], outputs: [5; 2] };
    assert!(!draws::<f32>(&geometry, 3, 19));
}

/// Channels in more than one panel, and outputs in several blocks.
#[test]
fn many_channels_are_products_with_unfolded_images() {
    for (channels, outputs, side, dilation, images) in [(16, 16, 9, 1, 3), (32, 50, 4, 1, 5), (48, 24, 5, 2, 17)] {
        let window = Window { kernel: 3, stride: 1, pad: 1, dilation };
        let Some(sizes) = window.outputs([side; 2]) else { unreachable!() };
        let geometry = Geometry { window, channels, image: [side; 2], outputs: sizes };
        dense::<f64>(geometry, outputs, images, 1);
        dense::<f32>(geometry, outputs, images, 2);
    }
}
