//! The sizes of a network before and after compaction.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::FileError;
use crate::block::Before;
use crate::form::Form;
use crate::layer::Layer;
use crate::net::CompactNet;
use crate::save::Precision;

/// The sizes before and after compaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The layers, in order.
    pub layers: Vec<LayerReport>,
    /// Bytes of all weights and biases before compaction, at 32 bits each.
    pub dense_bytes: usize,
    /// Bytes of the file with weights in 32 bits.
    pub single_bytes: usize,
    /// Bytes of the file with weights quantised to posterior precision.
    pub posterior_bytes: usize,
}

/// The sizes of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// The sizes before compaction.
    pub before: Before,
    /// Number of weights that are not zero.
    pub kept: usize,
    /// Number of input features or channels that are read.
    pub inputs: usize,
    /// Number of outputs or output channels that remain.
    pub outputs: usize,
    /// Number of multiplications and additions per example in this form; in the dense form those with zeros count, too.
    pub flops: usize,
    /// The form of its weights.
    pub form: Form,
}

impl CompactNet {
    /// The sizes before and after compaction.
    ///
    /// # Errors
    /// Those of [`to_bytes`](CompactNet::to_bytes).
    pub fn report(&self) -> Result<Report, FileError> {
        let layers: Vec<LayerReport> = self.layers.iter().map(report).collect();
        Ok(Report {
            dense_bytes: layers.iter().fold(0, |bytes: usize, l| {
                bytes.saturating_add(4_usize.saturating_mul(l.before.weights.saturating_add(l.before.outputs)))
            }),
            single_bytes: self.to_bytes(Precision::Single)?.len(),
            posterior_bytes: self.to_bytes(Precision::Posterior)?.len(),
            layers,
        })
    }
}

fn report(layer: &Layer) -> LayerReport {
    let (parts, read) = (layer.parts(), layer.parts().matrix.read());
    let area = parts.window.map_or(1, |w| w.kernel * w.kernel);
    let mut inputs: Vec<usize> = read.iter().map(|column| *column as usize / area).collect();
    inputs.dedup();
    let (kept, outputs) = (parts.matrix.kept(), parts.bias.len());
    let multiplied = match layer.form() {
        Form::Csr => kept,
        Form::Dense => outputs * read.len(),
    };
    let flops = 2 * multiplied * layer.positions();
    LayerReport { before: parts.before, kept, inputs: inputs.len(), outputs, flops, form: layer.form() }
}

impl Report {
    /// `|W| / |W != 0|`; infinite if no weight is kept.
    pub fn compression(&self) -> f64 {
        let sum = |f: fn(&LayerReport) -> usize| self.layers.iter().map(f).sum::<usize>() as f64;
        sum(|l| l.before.weights) / sum(|l| l.kept)
    }

    /// Number of multiplications and additions per example, before and after compaction.
    pub fn flops(&self) -> [usize; 2] {
        [self.layers.iter().map(|l| l.before.flops).sum(), self.layers.iter().map(|l| l.flops).sum()]
    }
}

/// A table with one line per layer.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = ["layer", "weights", "inputs", "outputs", "FLOPs", "form"];
        let [a, b, c, d, e, g] = columns;
        writeln!(f, "{a:5} {b:>17} {c:>13} {d:>11} {e:>23}  {g}")?;
        for (i, l) in self.layers.iter().enumerate() {
            let to = |before: usize, after: usize| format!("{before} -> {after}");
            let (weights, inputs) = (to(l.before.weights, l.kept), to(l.before.inputs, l.inputs));
            let (outputs, flops) = (to(l.before.outputs, l.outputs), to(l.before.flops, l.flops));
            let form = if l.form == Form::Csr { "sparse rows" } else { "dense" };
            writeln!(f, "{i:<5} {weights:>17} {inputs:>13} {outputs:>11} {flops:>23}  {form}")?;
        }
        let ([before, after], dense) = (self.flops(), self.dense_bytes as f64);
        writeln!(f, "|W|/|W!=0| = {:.1}; FLOPs {before} -> {after}", self.compression())?;
        let bytes = |name: &str, bytes: usize| format!("{bytes} bytes {name} (1/{:.1})", dense / bytes as f64);
        let (single, posterior) =
            (bytes("as f32", self.single_bytes), bytes("quantised to posterior precision", self.posterior_bytes));
        write!(f, "{} bytes -> {single}, {posterior}", self.dense_bytes)
    }
}
