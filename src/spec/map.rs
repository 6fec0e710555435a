//! Maps: how weights act on an input, linear in the weights.

use std::fmt::Debug;

use dfdx::shapes::ConstShape;
use serde::Serialize;
use sparsevd_infer::Op;
pub use sparsevd_infer::Window;

use super::grid::Grid;

/// How the weights of a layer act on its input. It is linear in the weights, so that
/// `y ~ N(map(x, E w), map(x^2, Var w))`: local reparameterisation works for every map. The maps are the library's own.
pub trait Map: Known + Clone + Debug + Default + Serialize + Send + Sync + 'static {
    /// The name of the map in files.
    const ID: &'static str;
    /// The shape of the weights, outputs first.
    type Weight: ConstShape;
    /// The shape of the bias: one number per output.
    type Bias: ConstShape;
    /// Whether there is a bias. It is deterministic and carries no KL.
    const BIAS: bool;
    /// Output neurons or channels.
    const OUTPUTS: usize;
    /// Input features or channels that one output reads.
    const INPUTS: usize;
    /// Blocks of outputs, each with inputs of its own.
    const GROUPS: usize = 1;
    /// Weights between one input and one output: 1 for a dense layer, the kernel's area for a convolution.
    const AREA: usize;

    /// The weights as a matrix.
    fn grid() -> Grid {
        Grid { rows: Self::OUTPUTS, cols: Self::INPUTS * Self::AREA, area: Self::AREA, groups: Self::GROUPS }
    }

    /// The map with these weights and this bias, in plain numbers.
    #[doc(hidden)]
    fn op(weights: Vec<f64>, bias: Vec<f64>, sigma: Option<f64>) -> Op;

    /// The shape of one output for the shape of one input, both without the batch.
    ///
    /// # Errors
    /// What the map reads, in words, if it cannot read this.
    fn output_shape(input: &[usize]) -> Result<Vec<usize>, String>;
}

/// A map that the kernels know.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a map: the maps are `LinearMap` and `Conv2dMap`",
    label = "not one of the library's maps",
    note = "a layer of another kind is a module of your own, with layers and parameters inside: examples/custom_block.rs"
)]
pub trait Known {}
