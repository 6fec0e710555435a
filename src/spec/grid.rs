//! The weights of a layer as a matrix.

use serde::{Deserialize, Serialize};
use sparsevd_priors::Shared;

/// The weights of a layer seen as a matrix: a row per output, a column per weight into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
