//! This library's side of `scripts/interop/check.py`: reads state dicts, writes outputs and posteriors.
//!
//! Reads `inputs.safetensors` and PyTorch's `state.safetensors` in a folder. Writes the outputs of a network with those
//! means, and the posterior and the outputs of another network.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use sparsevd::data::{Images, Layout, Vectors};
use sparsevd::dfdx::prelude::TensorCollection;
use sparsevd::infer::{Container, Entry, container};
use sparsevd::prelude::*;
use sparsevd::{Classifier, load_means};

#[derive(Parser)]
struct Args {
    net: Which,
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    /// 64-300-100-10, ReLU
    Dense,
    /// A convolution to 8 channels, batch norm, ReLU, pool; 128-10
    Conv,
}

type Dense = LeNet300100<LogUniform, Additive, 64>;
type Conv = (
    Variational<Conv2dMap<1, 8, 3, 1, 1, 1, 1, 1, false>, Additive, LogUniform>,
    BatchNorm<8>,
    ReLU,
    MaxPool2d<2>,
    Flatten<128>,
    SparseVdLinear<128, 10>,
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (args, dev) = (Args::parse(), Cpu::seed_from_u64(5));
    match args.net {
        Which::Dense => exchange::<_, 64, Vectors>(dev.build_module::<Dense, f32>(), &args.folder),
        Which::Conv => exchange::<_, 1, Images>(dev.build_module::<Conv, f32>(), &args.folder),
    }
}

fn exchange<N, const I: usize, L: Layout>(mut net: N, folder: &Path) -> Result<(), Box<dyn std::error::Error>>
where
    N: Classifier<I, 10, f32, Cpu, L> + TensorCollection<f32, Cpu>,
{
    let inputs = container::tensors(&container::read(&folder.join("inputs.safetensors"), 1 << 20)?)?;
    let inputs = inputs.iter().find(|entry| entry.name == "inputs").ok_or("no `inputs`")?;
    let shape = L::shape(inputs.shape[0], [1, 8, 8]).ok_or("the network reads 8 x 8 images")?;
    let x: Tensor<L::Shape<I>, f32, Cpu> = Cpu::default().tensor_from_vec(inputs.values()?, shape);

    net.try_forward_mut(x.leaky_trace()).map_err(|e| format!("{e:?}"))?; // moves the running moments
    save_posterior(&net, folder.join("own.safetensors"))?;
    let own = net.try_forward(x.clone()).map_err(|e| format!("{e:?}"))?.as_vec();
    load_means(&mut net, folder.join("state.safetensors"))?;
    let theirs = net.try_forward(x).map_err(|e| format!("{e:?}"))?.as_vec();
    let outputs = |name: &str, values: &[f32]| Entry::new(name, &[values.len() / 10, 10], values);
    let file = Container::new(vec![outputs("own", &own), outputs("theirs", &theirs)], &())?;
    Ok(file.write(&folder.join("outputs.safetensors"), "outputs", 1)?)
}
