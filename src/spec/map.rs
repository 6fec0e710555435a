//! Maps: functions of an input and the weights that are linear in the weights.

use std::fmt::Debug;

use dfdx::shapes::ConstShape;
use serde::Serialize;
use sparsevd_infer::Op;
pub use sparsevd_infer::Window;

use super::grid::Grid;

/// The function by which a layer's weights act on its input. It is linear in the weights, so that local
/// reparameterisation works for every map: `y ~ N(map(x, E w), map(x², Var w))`. Only the library's own types can be
/// maps.
pub trait Map: Known + Clone + Debug + Default + Serialize + Send + Sync + 'static {
    /// The name of the map in files.
    const ID: &'static str;
    /// The shape of the weights, outputs first.
    type Weight: ConstShape;
    /// The shape of the bias: one number per output.
    type Bias: ConstShape;
    /// True if the layer has a bias, which is deterministic and carries no KL.
    const BIAS: bool;
    /// Number of output neurons or channels.
    const OUTPUTS: usize;
    /// Number of input features or channels that one output reads.
    const INPUTS: usize;
    /// Number of groups: blocks of outputs, each with its own inputs.
    const GROUPS: usize = 1;
    /// Number of weights between one input and one output: 1 for a dense layer, the kernel's area for a convolution.
    const AREA: usize;

    /// The weights as a matrix.
    fn grid() -> Grid {
        Grid { rows: Self::OUTPUTS, cols: Self::INPUTS * Self::AREA, area: Self::AREA, groups: Self::GROUPS }
    }

    /// The map as an operation of `sparsevd_infer`, with these weights and this bias.
    #[doc(hidden)]
    fn op(weights: Vec<f64>, bias: Vec<f64>, sigma: Option<f64>) -> Op;

    /// The shape of one output for the shape of one input, both without the batch.
    ///
    /// # Errors
    /// A description of the shapes that the map reads, if it cannot read this one.
    fn output_shape(input: &[usize]) -> Result<Vec<usize>, String>;
}

/// Marks the maps that the kernels implement.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a map: the maps are `LinearMap` and `Conv2dMap`",
    label = "not one of the library's maps",
    note = "a layer of another kind is a module of your own, with layers and parameters inside: examples/custom_block.rs"
)]
pub trait Known {}
