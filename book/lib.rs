//! The chapters of the book, so that `cargo test -p sparsevd-book --doc` compiles and runs their code.

#[doc = include_str!("src/introduction.md")]
pub mod introduction {}

#[doc = include_str!("src/log-alpha.md")]
pub mod log_alpha {}

#[doc = include_str!("src/beta-and-n.md")]
pub mod beta_and_n {}

#[doc = include_str!("src/which-prior.md")]
pub mod which_prior {}

#[doc = include_str!("src/five-ways.md")]
pub mod five_ways {}

#[doc = include_str!("src/own-prior.md")]
pub mod own_prior {}

#[doc = include_str!("src/own-posterior.md")]
pub mod own_posterior {}

#[doc = include_str!("src/own-data.md")]
pub mod own_data {}

#[doc = include_str!("src/own-network.md")]
pub mod own_network {}

#[doc = include_str!("src/own-ablation.md")]
pub mod own_ablation {}

#[doc = include_str!("src/files.md")]
pub mod files {}

#[doc = include_str!("src/deployment.md")]
pub mod deployment {}
