//! What the layers compute: the fused kernels against the dfdx graph, against PyTorch, and against their definitions.

#[path = "../common/mod.rs"]
mod common;
mod conv;
mod estimators;
mod fused_kl;
mod fused_linear;
mod gradient_variance;
mod gradients;
mod graphs;
mod noise;
mod pool;
mod weight_masking;
