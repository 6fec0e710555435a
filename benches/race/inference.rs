//! Predictions with the weights and inputs that `race.py` wrote to a folder, by a compact and by an ordinary network.

use std::collections::BTreeMap;
use std::path::Path;

use dfdx::nn::Module;
use sparsevd::data::{Images, Layout, Vectors};
use sparsevd::infer::{Activation, Entry, InputError, Op, Pool, PoolKind, Scratch, compact, container};
use sparsevd::prelude::*;
use sparsevd::{Classifier, LeNet5, Window, dfdx, load_means};

use crate::{Step, Work};

/// The compact network: no noise, no graph, and only the nonzero weights.
pub fn compacted(folder: &Path, parts: &[Part], shape: [usize; 3]) -> Result<Work, Error> {
    let tensors = tensors(&folder.join("weights.safetensors"))?;
    let tensor = |name: String| {
        let tensor = tensors.get(&name).ok_or_else(|| Error::Input(format!("there is no tensor `{name}`")))?;
        Ok::<_, Error>(tensor.floats()?)
    };
    let mut ops = Vec::new();
    for part in parts {
        match *part {
            Part::Dense(name) => {
                let (weights, bias) = (tensor(format!("{name}.weight"))?, tensor(format!("{name}.bias"))?);
                ops.push(Op::Linear { weights, bias, sigma: None });
            }
            Part::Conv(name, kernel) => {
                let (weights, bias) = (tensor(format!("{name}.weight"))?, tensor(format!("{name}.bias"))?);
                let window = Window { kernel, stride: 1, pad: 0, dilation: 1 };
                ops.push(Op::Conv2d { weights, bias, groups: 1, window, sigma: None });
            }
            Part::Relu => ops.push(Op::Activation(Activation::Relu)),
            Part::Pool => {
                let window = Window { kernel: 2, stride: 2, pad: 0, dilation: 1 };
                ops.push(Op::Pool(Pool { kind: PoolKind::Max, window }));
            }
            Part::Flatten => ops.push(Op::Flatten),
        }
    }
    let (batches, batch) = inputs(folder)?;
    let net = compact(&ops, shape).map_err(|error| Error::Input(error.to_string()))?.tuned(batch);
    let mut scratch = Scratch::default();
    let wrong = |error: InputError| Error::Input(error.to_string());
    let outputs = Some(net.forward(&batches[0], &mut scratch).map_err(wrong)?.to_vec());
    let mut turn = (0..batches.len()).cycle().skip(1);
    let step: Step = Box::new(move || {
        let y = net.forward(&batches[turn.next().unwrap_or(0)], &mut scratch).map_err(wrong)?;
        Ok(f64::from(y[0]))
    });
    Ok(Work { step, outputs })
}

/// A layer of a network to compact, with the prefix of its tensors' names.
#[derive(Clone, Copy)]
pub enum Part {
    Dense(&'static str),
    Conv(&'static str, usize),
    Relu,
    Pool,
    Flatten,
}

pub const MLP: [Part; 5] = [Part::Dense("0"), Part::Relu, Part::Dense("2"), Part::Relu, Part::Dense("4")];
pub const LENET5: [Part; 10] = [
    Part::Conv("0.0", 5),
    Part::Relu,
    Part::Pool,
    Part::Conv("1.0", 5),
    Part::Relu,
    Part::Pool,
    Part::Flatten,
    Part::Dense("3"),
    Part::Relu,
    Part::Dense("5"),
];

/// The network in its form for training, evaluated with its means.
pub fn uncompacted<Net, L: Layout, const I: usize>(folder: &Path, dims: [usize; 3]) -> Result<Work, Error>
where
    Net: BuildOnDevice<Cpu, f32, Built: Classifier<I, 10, f32, Cpu, L>>,
    Net::Built: 'static,
    Cpu: TensorFromVec<f32>,
{
    let (batches, batch) = inputs(folder)?;
    let shape = L::shape::<I>(batch, dims)
        .ok_or_else(|| Error::Input(format!("the network does not read inputs of {dims:?}")))?;
    let device = Cpu::seed_from_u64(0);
    device.enable_cache(); // as `Trainer` does
    let mut net = device.build_module::<Net, f32>();
    load_means(&mut net, folder.join("weights.safetensors"))?;
    let batches: Vec<_> = batches.into_iter().map(|x| device.tensor_from_vec(x, shape)).collect();
    let outputs = net.forward(batches[0].clone()).as_vec();
    let mut turn = (0..batches.len()).cycle().skip(1);
    let step: Step = Box::new(move || Ok(f64::from(net.forward(batches[turn.next().unwrap_or(0)].clone())[[0, 0]])));
    Ok(Work { step, outputs: Some(outputs) })
}

/// LeNet-300-100 in its form for training.
pub fn mlp(folder: &Path) -> Result<Work, Error> {
    uncompacted::<LeNet300100, Vectors, 784>(folder, [1, 28, 28])
}

/// LeNet-5 in its form for training.
pub fn lenet5(folder: &Path) -> Result<Work, Error> {
    uncompacted::<LeNet5, Images, 1>(folder, [1, 28, 28])
}

/// Batches of inputs, and the number of examples in each.
fn inputs(folder: &Path) -> Result<(Vec<Vec<f32>>, usize), Error> {
    let tensors = tensors(&folder.join("inputs.safetensors"))?;
    let inputs = tensors.get("inputs").ok_or_else(|| Error::Input("there is no tensor `inputs`".into()))?;
    let [count, batch, ..] = inputs.shape[..] else { return Err(Error::Input("inputs without batches".into())) };
    let all: Vec<f32> = inputs.values()?;
    Ok((all.chunks(all.len() / count).map(<[f32]>::to_vec).collect(), batch))
}

fn tensors(path: &Path) -> Result<BTreeMap<String, Entry>, Error> {
    let tensors = container::tensors(&container::read(path, container::MAX_BYTES)?)?;
    Ok(tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect())
}
