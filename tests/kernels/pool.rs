//! Pools: against direct loops, PyTorch and finite differences; the CPU's own operations against the dfdx graph.

use dfdx::nn::modules::AvgPoolGlobal;
use proptest::prelude::*;
use sparsevd::prelude::*;
use sparsevd::{AvgPool2d, Taped};

type Images = Tensor<(usize, Const<3>, usize, usize), f64, Cpu>;

fn images(numbers: Vec<f64>, size: [usize; 2]) -> Images {
    Cpu::default().tensor_from_vec(numbers.clone(), (numbers.len() / (3 * size[0] * size[1]), Const, size[0], size[1]))
}

fn wave(len: usize) -> Vec<f64> {
    (0..len).map(|i| i as f64).map(|i| (1.0 + 0.37 * i).sin() + 0.3 * (0.11 * i * i).cos()).collect()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance, "{what}, number {i}: {f} instead of {e}");
    }
}

/// The output of a pool and the gradient of `sum_j y_j cos(j)`, computed one pixel at a time.
fn loops(max: bool, kernel: usize, stride: usize, pad: usize, x: &[f64], size: [usize; 2]) -> Option<[Vec<f64>; 2]> {
    let side = |size: usize| Some((size + 2 * pad).checked_sub(kernel)? / stride + 1);
    let [rows, cols] = [side(size[0])?, side(size[1])?];
    let (mut y, mut dx) = (Vec::new(), vec![0.0; x.len()]);
    for plane in 0..x.len() / (size[0] * size[1]) {
        for (i, j) in (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))) {
            let g = (y.len() as f64).cos();
            let (mut best, mut sum) = (None, 0.0);
            for (s, t) in (0..kernel).flat_map(|s| (0..kernel).map(move |t| (s, t))) {
                let (row, col) = (i * stride + s, j * stride + t);
                if row < pad || col < pad || row - pad >= size[0] || col - pad >= size[1] {
                    continue;
                }
                let at = (plane * size[0] + row - pad) * size[1] + col - pad;
                sum += x[at];
                if best.is_none_or(|best: usize| x[at] > x[best]) {
                    best = Some(at);
                }
                if !max {
                    dx[at] += g / (kernel * kernel) as f64;
                }
            }
            let best = best.expect("a window holds a pixel");
            if max {
                dx[best] += g;
            }
            y.push(if max { x[best] } else { sum / (kernel * kernel) as f64 });
        }
    }
    Some([y, dx])
}

/// Output and input gradient of a pool, for the same loss.
fn run<M>(pool: M, x: &Images) -> Result<[Vec<f64>; 2], CpuError>
where
    M: Module<
            Taped<(usize, Const<3>, usize, usize), f64, Cpu>,
            Output = Taped<(usize, Const<3>, usize, usize), f64, Cpu>,
            Error = CpuError,
        >,
{
    let y = pool.try_forward(x.leaky_trace())?;
    let weights = (0..y.shape().num_elements()).map(|j| (j as f64).cos()).collect();
    let (numbers, weights) = (y.as_vec(), Cpu::default().tensor_from_vec(weights, *y.shape()));
    let grads = (y * weights).sum::<Rank0, _>().backward();
    Ok([numbers, grads.get(x).as_vec()])
}

fn check<const K: usize, const STRIDE: usize, const PAD: usize>(x: &[f64], size: [usize; 2]) {
    let input = images(x.to_vec(), size);
    // The same numbers in another order in memory, as a permuted tensor has them.
    let turned: Tensor<(usize, Const<3>, usize, usize), f64, Cpu> = {
        let turned: Vec<f64> = input.clone().permute::<_, Axes4<0, 1, 3, 2>>().as_vec();
        let turned = images(turned, [size[1], size[0]]);
        turned.permute::<_, Axes4<0, 1, 3, 2>>()
    };
    let (max, avg) = (MaxPool2d::<K, STRIDE, PAD>, AvgPool2d::<K, STRIDE, PAD>);
    for (name, found, known, expected) in [
        ("max", run(max, &input), output_shape(&max, size), loops(true, K, STRIDE, PAD, x, size)),
        ("avg", run(avg, &input), output_shape(&avg, size), loops(false, K, STRIDE, PAD, x, size)),
        ("max, turned", run(max, &turned), output_shape(&max, size), loops(true, K, STRIDE, PAD, x, size)),
        ("avg, turned", run(avg, &turned), output_shape(&avg, size), loops(false, K, STRIDE, PAD, x, size)),
    ] {
        let Some([y, dx]) = expected else {
            assert!(found.is_err() && known.is_err(), "{name}");
            continue;
        };
        let [found_y, found_dx] = found.unwrap();
        assert_close(&found_y, &y, 1e-14, name);
        assert_close(&found_dx, &dx, 1e-14, name);
        assert_eq!(
            known.unwrap().unwrap().iter().product::<usize>() * x.len(),
            y.len() * 3 * size[0] * size[1],
            "{name}"
        );
    }
}

fn output_shape(pool: &impl Network<f64, Cpu>, size: [usize; 2]) -> Result<Option<Vec<usize>>, Error> {
    pool.output_shape("", &[3, size[0], size[1]])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// With numbers from a short list, so that most windows have ties.
    #[test]
    fn are_what_the_loops_compute(
        batch in 1_usize..3, height in 1_usize..9, width in 1_usize..9, ties in prop::collection::vec(-3_i8..3, 2 * 3 * 64),
    ) {
        let numbers = 3 * batch * height * width;
        for x in [wave(numbers), ties[..numbers].iter().map(|x| f64::from(*x)).collect()] {
            check::<2, 2, 0>(&x, [height, width]);
            check::<3, 2, 1>(&x, [height, width]);
            check::<3, 1, 2>(&x, [height, width]);
            check::<1, 2, 0>(&x, [height, width]);
            check::<4, 3, 1>(&x, [height, width]);
        }
    }
}

/// PyTorch's pools and their gradients; the numbers come from `tests/kernels/golden/conv.py`.
#[test]
fn agree_with_pytorch() {
    let golden: Vec<serde_json::Value> = serde_json::from_str(include_str!("golden/conv.json")).unwrap();
    let check = |name: &str, run: &dyn Fn(&Images) -> [Vec<f64>; 2]| {
        let case = golden.iter().find(|case| case["name"] == name).unwrap();
        let list = |key: &str| -> Vec<f64> { serde_json::from_value(case[key].clone()).unwrap() };
        let size: [usize; 2] = serde_json::from_value(case["size"].clone()).unwrap();
        let [y, dx] = run(&images(wave(2 * 3 * size[0] * size[1]), size));
        assert_close(&y, &list("y"), 1e-12, name);
        assert_close(&dx, &list("dx"), 1e-12, name);
    };
    check("max", &|x| run(MaxPool2d::<2>, x).unwrap());
    check("max overlapping", &|x| run(MaxPool2d::<3, 2, 1>, x).unwrap());
    check("avg", &|x| run(AvgPool2d::<2>, x).unwrap());
    check("avg overlapping", &|x| run(AvgPool2d::<3, 1, 1>, x).unwrap());
}

/// Central differences; no window has a tie, so that all of them exist.
#[test]
fn gradients_are_finite_differences() {
    fn check<M>(pool: M)
    where
        M: Copy
            + Module<
                Taped<(usize, Const<3>, usize, usize), f64, Cpu>,
                Output = Taped<(usize, Const<3>, usize, usize), f64, Cpu>,
                Error = CpuError,
            >,
    {
        let x = wave(2 * 3 * 20);
        let loss = |x: &[f64]| {
            let y = run(pool, &images(x.to_vec(), [5, 4])).unwrap()[0].clone();
            y.iter().zip(0..).map(|(y, j)| y * f64::from(j).cos()).sum::<f64>()
        };
        let difference = |i: usize| {
            let at = |to: f64| {
                loss(&x.iter().enumerate().map(|(j, x)| x + if i == j { to } else { 0.0 }).collect::<Vec<_>>())
            };
            (at(1e-6) - at(-1e-6)) / 2e-6
        };
        let expected: Vec<f64> = (0..x.len()).map(difference).collect();
        let [_, found] = run(pool, &images(x.clone(), [5, 4])).unwrap();
        assert_close(&found, &expected, 1e-8, "gradient");
    }
    check(MaxPool2d::<2>);
    check(MaxPool2d::<3, 1, 1>);
    check(AvgPool2d::<2>);
    check(AvgPool2d::<3, 2, 1>);
}

#[test]
fn nan_is_not_lost() {
    for at in 0..4 {
        let mut x = vec![1.0; 12];
        x[at] = f64::NAN;
        let [y, dx] = run(MaxPool2d::<2>, &images(x, [2, 2])).unwrap();
        assert!(y[0].is_nan() && y[1] == 1.0 && y[2] == 1.0);
        assert_eq!(dx[at], 1.0);
    }
}

#[test]
fn the_mean_of_an_image_is_dfdx_s_and_works_here() {
    let net: (Flatten<60>, ReLU) = Default::default();
    let x = images(wave(2 * 60), [5, 4]);
    assert_eq!(*net.forward(x.clone()).shape(), (2, Const));
    let y: Tensor<(usize, Const<3>), f64, Cpu> = AvgPoolGlobal.forward(x.clone());
    let channel = |c: usize| x.as_vec()[c * 20..(c + 1) * 20].iter().sum::<f64>() / 20.0;
    assert_close(&y.as_vec()[..3], &[channel(0), channel(1), channel(2)], 1e-14, "mean");
}

#[test]
fn flatten_keeps_the_order_and_refuses_other_sizes() {
    let x = images(wave(2 * 60), [5, 4]);
    assert_eq!(Flatten::<60>.forward(x.clone()).as_vec(), x.as_vec());
    assert!(Flatten::<61>.try_forward(x.clone()).is_err());
    let [y, dx] = {
        let y = Flatten::<60>.forward(x.leaky_trace());
        let numbers = y.as_vec();
        [numbers, y.square().sum::<Rank0, _>().backward().get(&x).as_vec()]
    };
    assert_close(&dx, &y.iter().map(|y| 2.0 * y).collect::<Vec<_>>(), 1e-14, "gradient");
}
