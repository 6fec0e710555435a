//! Compact networks in files.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bits::Packed;
use crate::block::Before;
use crate::container::{Container, MAX_BYTES, read};
use crate::form::Form;
use crate::layer::Layer;
use crate::matrix::{Csr, Matrix};
use crate::net::CompactNet;
use crate::parts::Parts;
use crate::{Activation, Entry, FileError, Number, Pool, Window, file};

const KIND: &str = "compact";
const VERSION: u32 = 1;

/// The precision of the weights in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits, without rounding.
    #[default]
    Single,
    /// Quantised to posterior precision: multiples of a step. Half a step, the largest rounding error, is the
    /// posterior's standard deviation σ (after Louizos et al. 2017), where σ² is the harmonic mean of the variances of
    /// the layer's weights. 32 bits if no standard deviation is known.
    ///
    /// If the posterior is as wide as the likelihood allows, moving a weight by d costs `d² / (2 σ_i²)` nats, summed
    /// over all training examples. Quantisation then costs `step² / 24 sum_i 1 / σ_i²` nats, which is a sixth of a nat
    /// per weight on average.
    Posterior,
}

/// The metadata of a file.
#[derive(Serialize, Deserialize)]
struct About {
    input: [usize; 3],
    layers: Vec<AboutLayer>,
}

#[derive(Serialize, Deserialize)]
struct AboutLayer {
    input: [usize; 3],
    outputs: usize,
    kept: usize,
    window: Option<Window>,
    activation: Option<Activation>,
    pool: Option<Pool>,
    form: Form,
    sigma: Option<f64>,
    /// If the values are packed.
    step: Option<f32>,
    bits: Option<u32>,
    before: Before,
}

impl CompactNet {
    /// Writes the network to one safetensors file, atomically.
    ///
    /// Layer `i` is a matrix in compressed sparse rows, a row per output, and a bias:
    ///
    /// | tensor | what it is | type |
    /// |---|---|---|
    /// | `i.starts` | the start of each row among the values, and the end | `U32` |
    /// | `i.columns` | the column of each value: `channel area + place`, where `area` is the kernel's, or the whole image's | `U8`, `U16` or `U32`, as they fit |
    /// | `i.values` | the weights; packed: number `k` is the two's complement in bits `k bits ..` of the bytes, lowest first, times `step` | `F32`, or `U8` |
    /// | `i.bias` | one per output | `F32` |
    ///
    /// The metadata `sparsevd` is JSON, whose `about` describes each layer: an output is the bias plus the weighted sum
    /// of the inputs that its row reads, then `activation`, then `pool`. Without a window it reads the whole image.
    ///
    /// ```text
    /// {"input": [2, 1, 1], "layers": [{
    ///   "input": [2, 1, 1], "outputs": 3, "kept": 6,  channels, height, width; output channels; values in the file
    ///   "window": null,                               or {"kernel": 5, "stride": 1, "pad": 0, "dilation": 1}
    ///   "activation": "relu",                         or tanh, sigmoid, null
    ///   "pool": null,                                 or {"kind": "max", "window": {..}}; or mean
    ///   "form": "csr", "sigma": 0.00797,              its form in memory; its largest rounding error
    ///   "step": 0.0159, "bits": 7,                    null if values are F32
    ///   "before": {"weights": 6, "inputs": 2, "outputs": 3, "flops": 12}}, ..]}
    /// ```
    ///
    /// # Errors
    /// [`FileError::Write`]; the file is then as it was.
    pub fn save(&self, path: impl AsRef<Path>, precision: Precision) -> Result<(), FileError> {
        let (path, bytes) = (path.as_ref(), self.to_bytes(precision)?);
        file::replace(path, &bytes).map_err(|source| FileError::Write { path: path.into(), source })
    }

    /// The bytes of [`save`](CompactNet::save)'s file.
    ///
    /// # Errors
    /// [`FileError::Structure`], which a valid network does not cause.
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, FileError> {
        let (mut tensors, mut layers) = (Vec::new(), Vec::new());
        for (i, layer) in self.layers.iter().enumerate() {
            layers.push(write(i, layer, precision, &mut tensors));
        }
        Container::new(tensors, &About { input: self.input, layers })?.to_bytes(KIND, VERSION)
    }

    /// Reads a file of [`save`](CompactNet::save).
    ///
    /// # Errors
    /// Those of [`Container::read`], and [`FileError::Structure`] naming the layer whose rows, columns, weights or
    /// shapes are invalid; memory is allocated only for what the file holds. All errors name the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        Self::from_bytes(&read(path, MAX_BYTES)?).map_err(|error| error.in_file(path))
    }

    /// [`load`](CompactNet::load) from memory.
    ///
    /// # Errors
    /// As [`load`](CompactNet::load), without the name of a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let file = Container::parse(KIND, VERSION, bytes)?;
        let about: About = file.about()?;
        let mut shape = about.input;
        if about.layers.is_empty() {
            return Err(FileError::structure("about", "a network without layers"));
        }
        let mut layers = Vec::with_capacity(about.layers.len());
        for (i, layer) in about.layers.into_iter().enumerate() {
            if layer.input != shape {
                return Err(FileError::structure(
                    format!("layer {i}"),
                    format!("reads {:?}, not {shape:?}", layer.input),
                ));
            }
            let layer = read_layer(&file, i, layer)?;
            shape = layer.output();
            layers.push(layer);
        }
        Ok(CompactNet { input: about.input, layers })
    }
}

fn write(i: usize, layer: &Layer, precision: Precision, tensors: &mut Vec<Entry>) -> AboutLayer {
    let parts = layer.parts();
    let csr = match &parts.matrix {
        Matrix::Csr(csr) => csr.clone(),
        Matrix::Dense(dense) => dense.csr(parts.bias.len()),
    };
    let mut put = |entry: Entry| tensors.push(entry);
    put(Entry::new(format!("{i}.starts"), &[csr.starts().len()], csr.starts()));
    put(columns(format!("{i}.columns"), csr.columns()));
    let sigma = parts.sigma.filter(|_| precision == Precision::Posterior);
    let packed = sigma.and_then(|sigma| Packed::new(csr.values(), sigma));
    put(match &packed {
        Some(packed) => Entry::new(format!("{i}.values"), &[packed.bytes.len()], &packed.bytes),
        None => Entry::new(format!("{i}.values"), &[csr.values().len()], csr.values()),
    });
    put(Entry::new(format!("{i}.bias"), &[parts.bias.len()], &parts.bias));
    AboutLayer {
        input: parts.input,
        outputs: parts.bias.len(),
        kept: csr.values().len(),
        window: parts.window,
        activation: parts.activation,
        pool: parts.pool,
        form: if too_few(parts.bias.len(), parts.matrix.read().len(), csr.values().len()) {
            Form::Csr
        } else {
            layer.form()
        },
        sigma: parts.sigma,
        step: packed.as_ref().map(|p| p.step),
        bits: packed.map(|p| p.bits),
        before: parts.before,
    }
}

/// True if a dense matrix would be much larger than its file. Where the dense form is faster, it never is.
fn too_few(rows: usize, read: usize, stored: usize) -> bool {
    rows.saturating_mul(read) > 64 * stored.max(1024)
}

/// The columns as a tensor of the smallest type that holds them all.
fn columns(name: String, columns: &[u32]) -> Entry {
    fn narrow<T: Number + TryFrom<u32>>(columns: &[u32]) -> Option<Vec<T>> {
        columns.iter().map(|c| T::try_from(*c).ok()).collect()
    }
    let shape = [columns.len()];
    if let Some(narrow) = narrow::<u8>(columns) {
        return Entry::new(name, &shape, &narrow);
    }
    match narrow::<u16>(columns) {
        Some(narrow) => Entry::new(name, &shape, &narrow),
        None => Entry::new(name, &shape, columns),
    }
}

fn read_layer(file: &Container, i: usize, about: AboutLayer) -> Result<Layer, FileError> {
    let wrong = |problem: String| FileError::structure(format!("layer {i}"), problem);
    let tensor = |name: &str| file.tensor(&format!("{i}.{name}"));
    let starts: Vec<u32> = tensor("starts")?.values()?;
    let columns = tensor("columns")?;
    let columns = match columns.dtype {
        crate::Dtype::U8 => columns.values::<u8>()?.into_iter().map(u32::from).collect(),
        crate::Dtype::U16 => columns.values::<u16>()?.into_iter().map(u32::from).collect(),
        _ => columns.values::<u32>()?,
    };
    let stored = columns.len();
    let values = match (about.step, about.bits) {
        (Some(step), Some(bits)) => {
            Packed { step, bits, bytes: tensor("values")?.values()? }.weights(columns.len()).map_err(wrong)?
        }
        (None, None) => tensor("values")?.exactly::<f32>(columns.len())?,
        (step, bits) => {
            return Err(wrong(format!(
                "packed weights have a step and bits, not only one of them: {step:?}, {bits:?}"
            )));
        }
    };
    if about.kept != stored {
        return Err(wrong(format!("{} weights by its description, {stored} in the file", about.kept)));
    }
    let bias = tensor("bias")?.exactly::<f32>(about.outputs)?;
    // The layer checks the columns against the shapes.
    let matrix = Csr::new(starts, columns, values).map(Matrix::Csr).map_err(wrong)?;
    let parts = Parts {
        input: about.input,
        window: about.window,
        matrix,
        bias,
        activation: about.activation,
        pool: about.pool,
        before: about.before,
        sigma: about.sigma,
    };
    let layer = Layer::new(parts).map_err(wrong)?;
    let [rows, read] = [about.outputs, layer.parts().matrix.read().len()];
    if about.form == Form::Dense && too_few(rows, read, stored) {
        return Err(wrong(format!("{rows} x {read} dense weights, of which {stored} are in the file")));
    }
    layer.in_form(about.form).map_err(wrong)
}
