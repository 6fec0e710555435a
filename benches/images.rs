//! The cost of the parts of a convolutional network: layers, pools, batch norm, activation, and whole steps.
//!
//! `cd benches && cargo bench --bench images`, takes about two minutes; `-- pool` runs a part of it.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sparsevd::data::Images;
use sparsevd::modules;
use sparsevd::prelude::*;
use sparsevd::{AvgPool2d, Classifier, LeNet5, Taped, VggQuarter, on_threads};

/// Forward and backward of one part, the gradient of its input included, on images of this size.
fn part<N, const IN: usize>(c: &mut Criterion, name: &str, batch: usize, side: usize)
where
    N: BuildOnDevice<Cpu, f32>,
    N::Built: Network<f32, Cpu> + Send + ModuleMut<Taped<(usize, Const<IN>, usize, usize), f32, Cpu>>,
    <N::Built as ModuleMut<Taped<(usize, Const<IN>, usize, usize), f32, Cpu>>>::Output: Total,
{
    let device = Cpu::seed_from_u64(0);
    device.enable_cache(); // as `Trainer` does
    let mut part = device.build_module::<N, f32>();
    let x: Tensor<(usize, Const<IN>, usize, usize), f32, Cpu> = device.sample_normal_like(&(batch, Const, side, side));
    c.bench_function(name, |b| {
        let pass = || black_box(part.forward_mut(x.retaped::<OwnedTape<f32, Cpu>>()).total().backward());
        on_threads(0, || b.iter(pass)).expect("threads");
    });
}

/// The sum of a part's output.
trait Total {
    fn total(self) -> Taped<Rank0, f32, Cpu>;
}

impl<const C: usize> Total for Taped<(usize, Const<C>, usize, usize), f32, Cpu> {
    fn total(self) -> Taped<Rank0, f32, Cpu> {
        self.sum()
    }
}

/// The same for a 3 × 3 convolution with whole weights masked, so that one in twenty is left.
fn masked<const C: usize>(c: &mut Criterion, name: &str, batch: usize, side: usize)
where
    Conv<C, C, 3, 1>:
        BuildOnDevice<Cpu, f32, Built = modules::Variational<Conv2dMap<C, C, 3, 1, 1>, Additive, LogUniform, f32, Cpu>>,
{
    let device = Cpu::seed_from_u64(0);
    device.enable_cache(); // as `Trainer` does
    let mut conv = device.build_module::<Conv<C, C, 3, 1>, f32>();
    conv.settings.masking = Masking::Weights(3.0);
    let spread = |(i, theta): (usize, f64)| (theta * theta).ln() + if i % 20 == 7 { -2.0 } else { 5.0 };
    let spread: Vec<f32> = conv.theta().into_iter().enumerate().map(|x| spread(x) as f32).collect();
    conv.spread.copy_from(&spread);
    let x: Tensor<(usize, Const<C>, usize, usize), f32, Cpu> = device.sample_normal_like(&(batch, Const, side, side));
    c.bench_function(name, |b| {
        let pass = || black_box(conv.forward_mut(x.retaped::<OwnedTape<f32, Cpu>>()).total().backward());
        on_threads(0, || b.iter(pass)).expect("threads");
    });
}

type Conv<const IN: usize, const OUT: usize, const K: usize, const PAD: usize> =
    Variational<Conv2dMap<IN, OUT, K, 1, PAD>, Additive, LogUniform>;

fn parts(c: &mut Criterion) {
    part::<Conv<1, 20, 5, 0>, 1>(c, "conv 1 to 20, 5x5, 100 images of 28x28", 100, 28);
    part::<Conv<20, 50, 5, 0>, 20>(c, "conv 20 to 50, 5x5, 100 images of 12x12", 100, 12);
    part::<Conv<16, 16, 3, 1>, 16>(c, "conv 16 to 16, 3x3, 50 images of 32x32", 50, 32);
    part::<Conv<64, 64, 3, 1>, 64>(c, "conv 64 to 64, 3x3, 50 images of 8x8", 50, 8);
    masked::<64>(c, "conv 64 to 64, 3x3, 50 images of 8x8, 5 % of the weights", 50, 8);
    part::<MaxPool2d<2>, 20>(c, "max pool 2x2, 20 channels, 100 images of 24x24", 100, 24);
    part::<AvgPool2d<2>, 20>(c, "average pool 2x2, 20 channels, 100 images of 24x24", 100, 24);
    part::<BatchNorm<16>, 16>(c, "batch norm, 16 channels, 50 images of 32x32", 50, 32);
    part::<ReLU, 16>(c, "relu, 16 channels, 50 images of 32x32", 50, 32);
}

/// Forward, KL, backward and Adam.
fn step<N, const IN: usize>(c: &mut Criterion, name: &str, batch: usize, side: usize)
where
    N: BuildOnDevice<Cpu, f32, Built: Send + Classifier<IN, 10, f32, Cpu, Images>>,
{
    let device = Cpu::seed_from_u64(0);
    device.enable_cache(); // as `Trainer` does
    let mut net = device.build_module::<N, f32>();
    let x: Tensor<(usize, Const<IN>, usize, usize), f32, Cpu> = device.sample_normal_like(&(batch, Const, side, side));
    let labels: Vec<usize> = (0..batch).map(|i| i % 10).collect();
    let (mut adam, elbo) = (Adam::new(1e-3), Elbo::new(60_000).expect("n > 0"));
    c.bench_function(name, |b| {
        let step = || {
            let x = net.input(x.clone());
            let nll = categorical(net.forward_mut(x), &labels).expect("labels below 10");
            let loss = elbo.loss(&net, nll, 0.0).expect("a network with layers");
            adam.step(&mut net, loss.objective).expect("memory");
        };
        on_threads(0, || b.iter(step)).expect("threads");
    });
}

fn steps(c: &mut Criterion) {
    step::<LeNet5, 1>(c, "LeNet-5 step, batch 100", 100, 28);
    step::<VggQuarter, 3>(c, "VGG-like k = 0.25 step, batch 50", 50, 32);
}

/// Short measurements, so that all benches take a few minutes.
fn quick() -> Criterion {
    let short = Duration::from_secs;
    Criterion::default().sample_size(10).warm_up_time(short(1)).measurement_time(short(3))
}

criterion_group!(name = benches; config = quick(); targets = parts, steps);
criterion_main!(benches);
