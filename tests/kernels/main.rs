//! The computations of layers: the fused kernels compared with the dfdx graph, with PyTorch, and with their
//! definitions.

#[path = "../common/mod.rs"]
mod common;
mod conv;
mod conv_f32;
mod estimators;
mod fused_kl;
mod fused_linear;
mod gradient_variance;
mod gradients;
mod graphs;
mod noise;
mod pool;
mod weight_masking;
