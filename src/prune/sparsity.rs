//! The sparsity that pruning by log α gives, layer by layer.

use std::fmt;

use dfdx::tensor::Cpu;
use serde::{Deserialize, Serialize};

use crate::compute::{Backend, Elem};
use crate::error::{Error, setting};
use crate::model::{ByPath, Layer, Network};

/// The paper's threshold on log α: there the variance of a weight's noise, σ², is about 20x its signal, θ².
pub const THRESHOLD: f64 = 3.0;

/// The sparsity of a network pruned at a threshold. Only weights are counted, not biases, as in the literature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sparsity {
    /// The threshold: weights with log α at or above it are pruned.
    pub threshold: f64,
    /// The layers, in order.
    pub layers: Vec<LayerSparsity>,
}

/// The sparsity of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSparsity {
    /// The layer's path in the network.
    pub layer: String,
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Number of weights.
    pub weights: usize,
    /// Number of weights that pruning keeps ([`Layer::kept`]).
    pub kept: usize,
    /// Number of inputs that no kept weight reads.
    pub dead_inputs: usize,
    /// Number of outputs that no kept weight feeds.
    pub dead_outputs: usize,
}

impl LayerSparsity {
    fn of<E: Elem, D: Backend<E>>(path: &str, layer: &dyn Layer<E, D>, threshold: f64) -> Self {
        let (grid, kept) = (layer.grid(), layer.kept(threshold));
        let mut read = vec![false; grid.all_inputs()];
        kept.iter().enumerate().for_each(|(weight, kept)| read[grid.input(weight)] |= kept);
        let fed = |output: &[bool]| output.contains(&true);
        LayerSparsity {
            layer: path.to_string(),
            inputs: read.len(),
            outputs: grid.rows,
            weights: grid.len(),
            kept: kept.iter().filter(|kept| **kept).count(),
            dead_inputs: read.iter().filter(|read| !**read).count(),
            dead_outputs: kept.chunks(grid.cols).filter(|output| !fed(output)).count(),
        }
    }

    /// The fraction of weights that are pruned.
    pub fn sparsity(&self) -> f64 {
        1.0 - self.kept as f64 / self.weights as f64
    }
}

/// Pruning, for every network.
pub trait Prune<E: Elem = f32, D: Backend<E> = Cpu>: Network<E, D> {
    /// The sparsity after pruning at this threshold on log α, layer by layer. The paper prunes at 3.
    ///
    /// # Errors
    /// [`Error::Setting`] for a threshold that is NaN; [`Error::NoLayer`].
    fn sparsity(&self, threshold: f64) -> Result<Sparsity, Error> {
        Sparsity::of(&self.layers(), threshold)
    }
}

impl<N: Network<E, D> + ?Sized, E: Elem, D: Backend<E>> Prune<E, D> for N {}

impl Sparsity {
    pub(crate) fn of<E: Elem, D: Backend<E>>(layers: &ByPath<&dyn Layer<E, D>>, threshold: f64) -> Result<Self, Error> {
        setting(!threshold.is_nan(), "threshold", threshold, "a number")?;
        if layers.is_empty() {
            return Err(Error::NoLayer);
        }
        let layers = layers.iter().map(|(path, layer)| LayerSparsity::of(path, *layer, threshold)).collect();
        Ok(Sparsity { threshold, layers })
    }

    /// Number of weights in all layers.
    pub fn weights(&self) -> usize {
        self.layers.iter().map(|l| l.weights).sum()
    }

    /// Number of weights kept in all layers.
    pub fn kept(&self) -> usize {
        self.layers.iter().map(|l| l.kept).sum()
    }

    /// The fraction of all weights that are pruned.
    pub fn sparsity(&self) -> f64 {
        1.0 - self.kept() as f64 / self.weights() as f64
    }

    /// `|W| / |W != 0|`; infinite if no weight is kept.
    pub fn compression(&self) -> f64 {
        self.weights() as f64 / self.kept() as f64
    }
}

/// A table with one line per layer.
impl fmt::Display for Sparsity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:8} {:>9} {:>9} {:>9} {:>12} {:>12}",
            "layer", "weights", "kept", "sparse %", "dead inputs", "dead outputs"
        )?;
        for l in &self.layers {
            let (inputs, outputs) =
                (format!("{}/{}", l.dead_inputs, l.inputs), format!("{}/{}", l.dead_outputs, l.outputs));
            let percent = 100.0 * l.sparsity();
            writeln!(f, "{:8} {:>9} {:>9} {percent:>9.2} {inputs:>12} {outputs:>12}", l.layer, l.weights, l.kept)?;
        }
        let (percent, ratio) = (100.0 * self.sparsity(), self.compression());
        write!(f, "{:8} {:>9} {:>9} {percent:>9.2}   |W|/|W!=0| = {ratio:.1}", "all", self.weights(), self.kept())
    }
}
