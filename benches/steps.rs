//! The cost of a training step: fused, and composed from dfdx's operations, interleaved in one run.
//!
//! `cd benches && cargo bench --bench steps`

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use sparsevd::on_threads;
use sparsevd::prelude::*;

const BATCH: usize = 100;

/// Value and gradient of the KL of 784 × 300 weights, for a prior.
fn kl<P: Prior + Default>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, prior: P) {
    let mut layer = Cpu::seed_from_u64(0).build_module::<VariationalLinear<784, 300, P>, f32>();
    layer.set_prior(prior).expect("its type");
    for composed in [false, true] {
        layer.composed = composed;
        let path = if composed { "composed" } else { "fused" };
        group.bench_function(format!("{name}/{path}"), |b| {
            on_threads(0, || b.iter(|| black_box(layer.kl().expect("memory").backward()))).expect("threads");
        });
    }
}

fn kls(c: &mut Criterion) {
    let mut group = c.benchmark_group("kl 784x300");
    kl(&mut group, "log-uniform fit", LogUniform::Fit);
    kl(&mut group, "log-uniform exact", LogUniform::Exact);
    kl(&mut group, "ard", Ard::per_weight());
    kl(&mut group, "ard per input", Ard::per_input());
    kl(&mut group, "gaussian learned", Gaussian::learned());
}

/// One step of LeNet-300-100 at batch 100: forward, KL, backward, Adam.
fn steps(c: &mut Criterion) {
    let device = Cpu::seed_from_u64(0);
    device.enable_cache(); // as `Trainer` does
    let mut group = c.benchmark_group("LeNet-300-100 step, batch 100");
    for composed in [false, true] {
        let mut net = device.build_module::<LeNet300100, f32>();
        net.layers_mut().into_iter().for_each(|(_, layer)| layer.compose(composed));
        let mut adam = Adam::new(1e-3);
        let elbo = Elbo::new(60_000).expect("n > 0");
        let x: Tensor<(usize, Const<784>), f32, Cpu> = device.sample_normal_like(&(BATCH, Const));
        let labels: Vec<usize> = (0..BATCH).map(|i| i % 10).collect();
        group.bench_function(if composed { "composed" } else { "fused" }, |b| {
            let step = || {
                let x = net.input(x.clone());
                let nll = categorical(net.forward_mut(x), &labels).expect("labels below 10");
                let loss = elbo.loss(&net, nll, 0.0).expect("a network with layers");
                adam.step(&mut net, loss.objective).expect("memory");
            };
            on_threads(0, || b.iter(step)).expect("threads");
        });
    }
}

criterion_group!(benches, kls, steps);
criterion_main!(benches);
