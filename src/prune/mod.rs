//! Pruning by log α: what is kept, and networks of nothing else.

mod compact;
mod sparsity;

pub use compact::compact;
pub use sparsity::{LayerSparsity, Prune, Sparsity, THRESHOLD};
