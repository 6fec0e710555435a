//! The cost by batch size, width and prior, on one and on two threads.
//!
//! `cd benches && cargo bench --bench scaling`, takes two or three minutes; `-- kl` runs a part of it.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sparsevd::on_threads;
use sparsevd::prelude::*;
use sparsevd::priors::{HorseshoeLike, Laplace, ScaleMixture, StudentT};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// A group with flat sampling, so that slow benches run only a few times.
fn group<'a>(c: &'a mut Criterion, name: &str) -> Group<'a> {
    let mut group = c.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

/// Runs `work` on one and on two threads.
fn each(group: &mut Group<'_>, name: impl std::fmt::Display, mut work: impl FnMut() + Send) {
    for threads in [1, 2] {
        let id = BenchmarkId::new(format!("{name}"), format!("{threads} thread{}", if threads > 1 { "s" } else { "" }));
        group.bench_function(id, |b| on_threads(threads, || b.iter(&mut work)).expect("two threads"));
    }
}

/// Forward and backward of one Sparse Variational Dropout layer, the gradient of its input included.
fn layer<const I: usize, const O: usize>(group: &mut Group<'_>, name: String, batch: usize) {
    let device = Cpu::seed_from_u64(0);
    let mut layer = device.build_module::<SparseVdLinear<I, O>, f32>();
    let x: Tensor<(usize, Const<I>), f32, Cpu> = device.sample_normal_like(&(batch, Const));
    group.throughput(Throughput::Elements((batch * I * O) as u64));
    each(group, name, || {
        let x = x.retaped::<OwnedTape<f32, Cpu>>();
        black_box(layer.forward_mut(x).sum().backward());
    });
}

fn batches(c: &mut Criterion) {
    let mut group = group(c, "dense 784x300 forward + backward");
    for batch in [1, 10, 100, 1000] {
        layer::<784, 300>(&mut group, format!("batch {batch}"), batch);
    }
}

fn widths(c: &mut Criterion) {
    fn width<const W: usize>(group: &mut Group<'_>) {
        layer::<W, W>(group, format!("{W}x{W}"), 100);
    }
    let mut group = group(c, "dense forward + backward, batch 100");
    width::<64>(&mut group);
    width::<256>(&mut group);
    width::<1024>(&mut group);
    width::<4096>(&mut group);
}

/// Value and gradient of the KL of a `W × W` layer.
fn kl<const W: usize, P: Prior + Default>(group: &mut Group<'_>, name: &str, prior: P) {
    let mut layer = Cpu::seed_from_u64(0).build_module::<VariationalLinear<W, W, P>, f32>();
    layer.set_prior(prior).expect("its type");
    group.throughput(Throughput::Elements((W * W) as u64));
    each(group, name, || {
        black_box(layer.kl().expect("memory").backward());
    });
}

fn priors(c: &mut Criterion) {
    let mut group = group(c, "kl 512x512");
    kl::<512, _>(&mut group, "log-uniform fit", LogUniform::Fit);
    kl::<512, _>(&mut group, "log-uniform cubic", LogUniform::Cubic);
    kl::<512, _>(&mut group, "log-uniform exact", LogUniform::Exact);
    kl::<512, _>(&mut group, "ard per weight", Ard::per_weight());
    kl::<512, _>(&mut group, "ard per output", Ard::per_output());
    kl::<512, _>(&mut group, "ard per input", Ard::per_input());
    kl::<512, _>(&mut group, "ard per layer", Ard::per_layer());
    kl::<512, _>(&mut group, "gaussian fixed", Gaussian::default());
    kl::<512, _>(&mut group, "gaussian learned", Gaussian::learned());
    kl::<512, _>(&mut group, "laplace", Laplace::default());
    kl::<512, _>(&mut group, "student t", StudentT::default());
    kl::<512, _>(&mut group, "scale mixture", ScaleMixture::default());
    kl::<512, _>(&mut group, "horseshoe-like", HorseshoeLike::default());
}

fn kl_widths(c: &mut Criterion) {
    let mut group = group(c, "kl log-uniform fit");
    kl::<64, _>(&mut group, "64x64", LogUniform::Fit);
    kl::<256, _>(&mut group, "256x256", LogUniform::Fit);
    kl::<1024, _>(&mut group, "1024x1024", LogUniform::Fit);
    kl::<4096, _>(&mut group, "4096x4096", LogUniform::Fit);
}

/// One draw of every weight from its posterior: noise, square roots and a sum.
fn noise(c: &mut Criterion) {
    let mut layer = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<784, 300>, f32>();
    let mut group = group(c, "draw of weights");
    group.throughput(Throughput::Elements(784 * 300));
    let mut seed = 0;
    each(&mut group, "784x300", || {
        seed += 1;
        drop(layer.with_weights(Weights::Sample(seed)).expect("memory"));
    });
}

/// A step on a single input, without KL: mostly Adam's work per weight.
fn adam<const W: usize>(group: &mut Group<'_>) {
    let mut layer = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<W, W>, f32>();
    let x: Tensor<(usize, Const<W>), f32, Cpu> = Cpu::default().ones_like(&(1, Const));
    let mut adam = Adam::new(1e-6);
    group.throughput(Throughput::Elements(2 * (W * W) as u64));
    group.bench_function(format!("{W}x{W}"), |b| {
        b.iter(|| {
            let objective = layer.forward_mut(x.leaky_trace()).square().sum();
            adam.step(&mut layer, objective)
        })
    });
}

fn optimiser(c: &mut Criterion) {
    let mut group = group(c, "step on one input");
    adam::<64>(&mut group);
    adam::<256>(&mut group);
    adam::<1024>(&mut group);
    adam::<4096>(&mut group);
}

/// Short measurements, so that all benches take a few minutes.
fn quick() -> Criterion {
    let short = Duration::from_millis;
    Criterion::default().sample_size(10).warm_up_time(short(200)).measurement_time(short(500))
}

criterion_group!(name = benches; config = quick(); targets = batches, widths, priors, kl_widths, noise, optimiser);
criterion_main!(benches);
