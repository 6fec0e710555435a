//! The whole path on a CUDA device, as far as the compiler sees it: `cargo check --features cuda-check --test suite` needs
//! no toolkit. Nothing here is run.

use sparsevd::prelude::*;
use sparsevd::{Estimator, THRESHOLD, copy_means, gradient_variance, load_means};

type Net = (SparseVdLinear<64, 30>, ReLU, DropoutLinear<30, 20>, ReLU, ArdLinear<20, 10>);

/// One training step by hand, then training and evaluation, on any device.
fn whole_path<E: Elem, D: Backend<E> + DeviceBuildExt>(dev: &D, data: &Dataset) -> Result<f64, Error> {
    let mut net = dev.build_module::<Net, E>();
    net.configure(Settings { estimator: Estimator::WeightSampling, ..Settings::default() });
    net.set_prior(Ard::per_output()).unwrap();
    let mut adam = Adam::new(1e-3);
    let x: Tensor<(usize, Const<64>), E, D> = dev.tensor_from_vec(vec![E::of(0.5); 64], (1, Const));
    gradient_variance(&mut net, 2, 0, |net| categorical(net.forward_mut(x.leaky_trace()), &[0]))?;
    net.configure(Settings { estimator: Estimator::Flipout, ..Settings::default() });
    let x = net.input(x);
    let nll = categorical(net.forward_mut(x), &[0])?;
    let loss = Elbo::new(1)?.loss(&net, nll, 0.0)?;
    adam.step(&mut net, loss.objective)?;

    Trainer::default().fit(&mut net, data)?;
    let path = std::env::temp_dir().join(format!("sparsevd-cuda-{}", std::process::id()));
    let checkpoints = Checkpoints { resume: true, ..Checkpoints::at(&path) };
    Trainer::default().fit_resumable(&mut net, data, &checkpoints)?;
    load_means(&mut net, &path)?;
    save_posterior(&net, &path)?;
    load_posterior(&mut net, &path)?;
    copy_means(&dev.build_module::<Net, E>(), &mut net)?;
    let samples = predict(&mut net, data, Evaluate::Samples { count: 2, seed: 0 })?;
    Ok(samples.score(data.labels())?.error + net.sparsity(THRESHOLD)?.sparsity())
}

/// `cargo test --features cuda -- --ignored` runs it where there is a GPU.
#[test]
#[ignore = "needs a GPU"]
fn on_cuda() {
    let dev = Cuda::seed_from_u64(1);
    let data = Split::optdigits().unwrap().into_parts().0.take(200, 0).unwrap();
    whole_path::<f32, _>(&dev, &data).unwrap();
    whole_path::<f64, _>(&dev, &data).unwrap();
}
