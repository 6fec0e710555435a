//! Pruning by log α: sparsity, and compact networks.

mod compact;
mod sparsity;

pub use compact::compact;
pub use sparsity::{LayerSparsity, Prune, Sparsity, THRESHOLD};
