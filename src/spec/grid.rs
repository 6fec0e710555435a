//! The weights of a layer as a matrix.

use serde::{Deserialize, Serialize};
use sparsevd_priors::Shared;

/// The weights of a layer seen as a matrix: a row per output, a column per weight of that output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Number of outputs.
    pub rows: usize,
    /// Number of weights per output.
    pub cols: usize,
    /// Number of neighbouring columns that belong to one input.
    pub area: usize,
    /// Number of groups: blocks of rows, each with its own inputs.
    pub groups: usize,
}

impl Grid {
    /// Number of weights.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// True if there are no weights.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of inputs that one output reads.
    pub fn inputs(&self) -> usize {
        self.cols / self.area
    }

    /// Number of inputs over all groups.
    pub fn all_inputs(&self) -> usize {
        self.groups * self.inputs()
    }

    /// Index, among the inputs of all groups, of the input that a weight reads.
    pub fn input(&self, weight: usize) -> usize {
        let group = weight / self.cols * self.groups / self.rows;
        group * self.inputs() + weight % self.cols / self.area
    }

    /// Index of the sharing group of the weight in this row and column; `None` if no weights share a number.
    pub(crate) fn sharing(&self, shared: Shared, row: usize, col: usize) -> Option<usize> {
        match shared {
            Shared::None => None,
            Shared::PerOutput => Some(row),
            Shared::PerInput => Some(self.input(row * self.cols + col)),
            Shared::PerLayer => Some(0),
        }
    }
}
