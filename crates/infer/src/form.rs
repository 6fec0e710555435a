//! The forms of a layer's weights.

use serde::{Deserialize, Serialize};

/// The form in which a layer's weights are stored and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Compressed sparse rows.
    Csr,
    /// A dense matrix of the remaining outputs and the columns that any of them reads.
    Dense,
}
