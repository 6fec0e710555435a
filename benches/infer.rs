//! The cost of predictions with compact networks, and of single layers in both forms, compared with the crate `sprs`.
//!
//! `cd benches && cargo bench --bench infer`, takes four or five minutes; `-- net` or `-- 300x784` runs a part of it.
//! All benches use one thread.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{ArrayView2, ArrayViewMut2};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;
use sparsevd::infer::{Activation, CompactNet, Form, Op, Pool, PoolKind, Scratch, Window, compact};
use sprs::{CsMat, TriMat, prod};

const DENSITIES: [f64; 8] = [0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500)).sample_size(20);
    group
}

fn normal(rng: &mut StdRng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.sample(StandardNormal)).collect()
}

/// `n` weights, a share `kept` of them nonzero.
fn weights(rng: &mut StdRng, n: usize, kept: f64) -> Vec<f64> {
    (0..n).map(|_| if rng.gen_bool(kept) { 0.1 * rng.sample::<f64, _>(StandardNormal) } else { 0.0 }).collect()
}

fn linear(rng: &mut StdRng, [rows, cols]: [usize; 2], kept: f64) -> Op {
    Op::Linear { weights: weights(rng, rows * cols, kept), bias: weights(rng, rows, 1.0), sigma: None }
}

/// A 5 × 5 convolution, ReLU and 2 × 2 max-pooling.
fn convolution(rng: &mut StdRng, [outputs, inputs]: [usize; 2], kept: f64) -> [Op; 3] {
    let (weights, bias) = (weights(rng, outputs * inputs * 25, kept), weights(rng, outputs, 1.0));
    let window = |kernel, stride| Window { kernel, stride, pad: 0, dilation: 1 };
    [
        Op::Conv2d { weights, bias, groups: 1, window: window(5, 1), sigma: None },
        Op::Activation(Activation::Relu),
        Op::Pool(Pool { kind: PoolKind::Max, window: window(2, 2) }),
    ]
}

/// LeNet-300-100 with 98.6 % zeros: in each layer the density of a trained network, but at random places.
fn lenet_300_100() -> CompactNet {
    let (rng, relu) = (&mut StdRng::seed_from_u64(0), Op::Activation(Activation::Relu));
    let [a, b] = [linear(rng, [300, 784], 0.011), linear(rng, [100, 300], 0.028)];
    compact(&[a, relu.clone(), b, relu, linear(rng, [10, 100], 0.38)], [784, 1, 1]).expect("layers that fit")
}

/// LeNet-5 with 99.6 % zeros, likewise.
fn lenet5() -> CompactNet {
    let (rng, relu) = (&mut StdRng::seed_from_u64(0), Op::Activation(Activation::Relu));
    let mut ops = convolution(rng, [20, 1], 0.33).to_vec();
    ops.extend(convolution(rng, [50, 20], 0.02));
    ops.extend([Op::Flatten, linear(rng, [500, 800], 0.002), relu, linear(rng, [10, 500], 0.05)]);
    compact(&ops, [1, 28, 28]).expect("layers that fit")
}

fn nets(c: &mut Criterion) {
    for (name, net) in [("net LeNet-300-100", lenet_300_100()), ("net LeNet-5", lenet5())] {
        let mut group = group(c, name);
        for batch in [1, 16, 100, 1000] {
            let net = net.tuned(batch);
            let x = normal(&mut StdRng::seed_from_u64(1), batch * net.inputs());
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("batch {batch}"), |b| {
                let mut scratch = Scratch::default();
                b.iter(|| black_box(net.forward(&x, &mut scratch).expect("whole data")).len());
            });
        }
    }
}

fn layers(c: &mut Criterion) {
    for (shape, batch) in [[300, 784], [100, 300]].into_iter().flat_map(|shape| [(shape, 1), (shape, 100)]) {
        let [rows, cols] = shape;
        let mut group = group(c, &format!("{rows}x{cols} batch {batch}"));
        for kept in DENSITIES {
            let percent = format!("{} %", 100.0 * kept);
            let op = linear(&mut StdRng::seed_from_u64(0), shape, kept);
            let x = normal(&mut StdRng::seed_from_u64(1), batch * cols);
            let net = compact(std::slice::from_ref(&op), [cols, 1, 1]).expect("a layer that fits");
            for (name, form) in [("csr", Form::Csr), ("dense", Form::Dense)] {
                let net = net.with_forms(|_| form);
                group.bench_function(BenchmarkId::new(name, &percent), |b| {
                    let mut scratch = Scratch::default();
                    b.iter(|| black_box(net.forward(&x, &mut scratch).expect("whole data")).len());
                });
            }
            group.bench_function(BenchmarkId::new("sprs", &percent), |b| sprs(b, &op, [rows, cols, batch], &x));
        }
    }
}

/// The same layer with `sprs`, under its best conditions: it adds to existing memory, and its inputs and outputs are
/// stored with the examples of a batch next to each other, so that it transposes nothing, unlike this library.
fn sprs(b: &mut criterion::Bencher<'_>, op: &Op, [rows, cols, batch]: [usize; 3], x: &[f32]) {
    let Op::Linear { weights, bias, .. } = op else { return };
    let mut entries = TriMat::new((rows, cols));
    for (i, weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
        entries.add_triplet(i / cols, i % cols, *weight as f32);
    }
    let (matrix, mut y): (CsMat<f32>, Vec<f32>) = (entries.to_csr(), vec![0.0; rows * batch]);
    b.iter(|| {
        y.chunks_exact_mut(batch).zip(bias).for_each(|(y, bias)| y.fill(*bias as f32));
        if batch == 1 {
            prod::mul_acc_mat_vec_csr(matrix.view(), x, &mut y[..]);
        } else {
            let x = ArrayView2::from_shape((cols, batch), x).expect("as many numbers");
            let y = ArrayViewMut2::from_shape((rows, batch), &mut y).expect("as many numbers");
            prod::csr_mulacc_dense_rowmaj(matrix.view(), x, y);
        }
        black_box(&mut y);
    });
}

criterion_group!(benches, nets, layers);
criterion_main!(benches);
