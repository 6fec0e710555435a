//! Maps: how weights act on an input, linear in the weights.

mod conv2d;
mod linear;

use std::fmt::Debug;

use dfdx::shapes::{ConstShape, Rank1};

pub use conv2d::{Conv2dMap, Convolution};
pub use linear::LinearMap;
use sparsevd_infer::Op;
pub use sparsevd_infer::Window;
use sparsevd_priors::Shared;

/// How the weights of a layer act on its input. It is linear in the weights, so that
/// `y ~ N(map(x, E w), map(x^2, Var w))`: local reparameterisation works for every map. The maps are the library's own.
pub trait Map: Known + Clone + Debug + Default + Send + Sync + 'static {
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

/// The weights of a layer seen as a matrix: a row per output, a column per weight into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Grid {
    /// Outputs.
    pub rows: usize,
    /// Weights into one output.
    pub cols: usize,
    /// Neighbouring columns that belong to one input.
    pub area: usize,
    /// Blocks of rows, each with inputs of its own.
    pub groups: usize,
}

impl Grid {
    /// How many weights there are.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many inputs an output reads.
    pub fn inputs(&self) -> usize {
        self.cols / self.area
    }

    /// How many inputs there are, those of all groups.
    pub fn all_inputs(&self) -> usize {
        self.groups * self.inputs()
    }

    /// Which of all inputs a weight reads.
    pub fn input(&self, weight: usize) -> usize {
        let group = weight / self.cols * self.groups / self.rows;
        group * self.inputs() + weight % self.cols / self.area
    }

    /// Which of the groups that share a number the weight in this row and column belongs to; `None` if each has its
    /// own.
    pub(crate) fn sharing(&self, shared: Shared, row: usize, col: usize) -> Option<usize> {
        match shared {
            Shared::None => None,
            Shared::PerOutput => Some(row),
            Shared::PerInput => Some(self.input(row * self.cols + col)),
            Shared::PerLayer => Some(0),
        }
    }
}

/// A shape of one number.
pub(crate) type One = Rank1<1>;
